//! `serve`: logs, then the server.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// redb warns that the backend through which a file is looked at first has no locks: ours has, and
/// nobody can do anything about the warning.
const QUIET: &str = "redb=error";

/// Serve until a signal ends it.
pub fn serve(config: Config) -> ExitCode {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log_level)).unwrap_or_else(|_| EnvFilter::new("info"));
    match config.log_format {
        LogFormat::Human => tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .init(),
        LogFormat::Json => {
            tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
        }
    }
    match crate::server::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quantixkvm: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
