//! Panics as one line of the log. Some are expected: the store turns redb's about a damaged file
//! into a refusal, and the HTTP layer turns a handler's into an answer. Whoever looks for the cause
//! sets `RUST_BACKTRACE`, and gets what Rust prints by itself as well.

use std::panic::PanicHookInfo;

/// From now on, for every thread.
pub fn install() {
    let loud = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0").then(std::panic::take_hook);
    std::panic::set_hook(Box::new(move |panic| {
        let line = line(panic);
        if tracing::dispatcher::has_been_set() {
            tracing::error!("{line}");
        } else {
            eprintln!("quantixkvm: {line}");
        }
        if let Some(loud) = &loud {
            loud(panic);
        }
    }));
}

fn line(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
    let what = panic.payload_as_str().unwrap_or("no message");
    // One line, whatever the message holds.
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("thread {} panicked at {place}: {what}", thread.name().unwrap_or("(unnamed)"))
}
