//! What the product costs beside what its parts cost, on this machine, in one run: ours and the
//! floor in turn. A goal that is missed is shown; with QKVM_LONG one that is missed by half again
//! fails.

#[path = "../support/mod.rs"]
mod support;

mod console;
mod floor;
mod history;
mod load;
mod many;
mod page;
mod reads;
mod report;
mod token;
mod verbs;
mod watch;

use report::Report;

/// One measurement: its goals' names and what measures them.
type Measure = (&'static [&'static str], fn(&mut Report));

const MEASURES: [Measure; 10] = [
    (&["P1", "P2", "P7", "P8", "P14"], reads::measure),
    (&["P3", "P4", "P5"], verbs::measure),
    (&["P6"], watch::measure),
    (&["P9"], many::hung_and_many),
    (&["P10"], many::ten_thousand),
    (&["P11"], page::measure),
    (&["P13"], console::measure),
    (&["past"], history::measure),
    (&["who"], token::measure),
    (&["size"], size),
];

/// The release binary, in megabytes.
fn size(report: &mut Report) {
    let bytes = std::fs::metadata(support::BINARY).expect("the program").len();
    #[allow(clippy::cast_precision_loss, reason = "a size in megabytes")]
    report.at_most("size", "the release binary", bytes as f64 / 1e6, 25.0, "MB");
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == "--floor") {
        floor::serve(&arguments.nth(1).expect("the rows' file"));
        return;
    }
    // Cargo's own flags for tests mean nothing here.
    let wanted: Vec<String> = arguments.filter(|argument| !argument.starts_with('-')).collect();
    let mut report = Report::new();
    for (names, measure) in MEASURES {
        if wanted.is_empty() || names.iter().any(|name| wanted.iter().any(|wanted| wanted == name)) {
            measure(&mut report);
        }
    }
    std::process::exit(report.end());
}

/// Runs on a runtime of its own.
fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(work)
}
