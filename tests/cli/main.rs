//! The subcommands beside `serve`, as an administrator runs them: what they print, what they exit
//! with, and what they leave alone.

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod backup;
mod check;
mod help;
mod recover;

use std::path::Path;
use std::process::{Command, Output};

/// Run the program to its end, with an environment that holds none of its settings.
fn run(arguments: &[&str]) -> Output {
    let settings = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("QUANTIXKVM_") || name == "RUST_BACKTRACE");
    let mut program = Command::new(support::BINARY);
    for name in settings {
        program.env_remove(name);
    }
    program.args(arguments).output().expect("the program can be started")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A directory with everything in it: names and bytes.
fn content(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(dir)
        .expect("a directory")
        .flatten()
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).expect("a file"))
        })
        .collect();
    files.sort();
    files
}

/// A data directory as the service wants it.
fn data_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(mode).tempdir().expect("a temporary directory")
}
