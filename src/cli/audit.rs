//! `audit`: who did what, from the log that nobody can change; as a table of the last lines, or as
//! one JSON object a line for other programs.

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use serde_json::{Value, json};

use crate::config::{Config, ConfigError};

use super::accounts::{self, Failure, Shape};
use super::flags::ClientFlags;
use super::table::{print, rows, table, text, when};

/// Below the help.
pub const AFTER_HELP: &str = "\
Sign-ins and calls that change something, oldest first. The newest 100,000 are kept; the journal has
them too.

Examples:
  sudo quantixkvm audit --since 2h
  sudo quantixkvm audit --user ann --method DeleteVM --limit 10
  sudo quantixkvm audit --since 2026-11-01 --json > november.jsonl

Asks the server that runs, by its API socket: for root and for members of the group
quantixkvm-admin. Exits with 0 where it is done, 1 where not (the message is the server's), 2 where
the arguments are wrong, 78 where the configuration is.";

/// Lines of a table, where nothing else is said.
const LINES: u32 = 50;
/// Lines of one call.
const PAGE: u32 = 1000;

/// `audit`.
#[derive(Args)]
pub struct AuditArguments {
    #[command(flatten)]
    client: ClientFlags,
    /// Of this user alone, or of local-root
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Of methods whose name has this in it, such as DeleteVM
    #[arg(long, value_name = "PART")]
    method: Option<String>,
    /// Since then: 2h, 7days, 2026-11-25, "2026-11-25 08:30:00"
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<String>,
    /// The newest so many lines [default: 50; with --json: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// One JSON object a line, as the API has them
    #[arg(long)]
    json: bool,
}

/// A span before now, or a moment in UTC.
fn moment(text: &str) -> Result<String, String> {
    let at = match humantime::parse_duration(text) {
        Ok(span) => SystemTime::now().checked_sub(span).filter(|at| *at >= SystemTime::UNIX_EPOCH),
        Err(_) => {
            let day = text.len() == "2026-11-25".len();
            let whole = if day { format!("{text} 00:00:00") } else { text.to_owned() };
            humantime::parse_rfc3339_weak(&whole).ok()
        }
    };
    let at = at.ok_or("it is no span such as 2h or 7days, and no moment such as 2026-11-25 or 2026-11-25T08:30:00Z")?;
    Ok(humantime::format_rfc3339_micros(at).to_string())
}

impl AuditArguments {
    /// The configuration and the rest.
    pub fn run(self) -> (Result<Config, ConfigError>, impl FnOnce(Config) -> ExitCode) {
        let shape = if self.json { Shape::Json } else { Shape::People };
        let most = match (self.limit, shape) {
            (Some(limit), _) => limit,
            (None, Shape::People) => LINES,
            (None, Shape::Json) => u32::MAX,
        };
        let filter = json!({ "user": self.user, "method": self.method, "since": self.since });
        (self.client.load(), move |config: Config| accounts::end(audit(&config, filter, most, shape)))
    }
}

fn audit(config: &Config, filter: Value, most: u32, shape: Shape) -> Result<(), Failure> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut found: Vec<Value> = Vec::new();
    let mut request = filter;
    loop {
        let left = most - found.len();
        request["pageSize"] = u32::try_from(left).unwrap_or(PAGE).min(PAGE).into();
        let page = accounts::ask(config, "ListAuditEntries", &request)?;
        found.extend(rows(&page, "entries").iter().cloned());
        request["pageToken"] = page["nextPageToken"].clone();
        if found.len() >= most || text(&page, "nextPageToken").is_empty() {
            break;
        }
    }
    found.reverse();
    Ok(print(&match shape {
        Shape::Json => found.iter().map(|line| format!("{line}\n")).collect(),
        Shape::People => told(&found),
    })?)
}

fn told(entries: &[Value]) -> String {
    let row = |entry: &Value| {
        let method = text(entry, "method");
        // The service and its method; the package is always the same few.
        let method = method.rsplit_once('.').map_or(method.as_str(), |(_, method)| method).to_owned();
        let result = match text(entry, "message") {
            message if message.is_empty() => text(entry, "code"),
            message => format!("{}: {message}", text(entry, "code")),
        };
        [
            when(entry, "at"),
            text(entry, "user"),
            text(entry, "via"),
            text(entry, "address"),
            method,
            text(entry, "resource"),
            result,
        ]
    };
    table(
        ["TIME", "WHO", "VIA", "FROM", "METHOD", "ABOUT", "RESULT"],
        entries.iter().map(row).collect(),
        "The audit log has nothing of that.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_span_or_a_moment() {
        for (text, wanted) in [
            ("2026-11-25", "2026-11-25T00:00:00.000000Z"),
            ("2026-11-25 08:30:00", "2026-11-25T08:30:00.000000Z"),
            ("2026-11-25T08:30:00Z", "2026-11-25T08:30:00.000000Z"),
        ] {
            assert_eq!(moment(text).as_deref(), Ok(wanted));
        }
        let hour = moment("1h").expect("a span");
        let since = humantime::parse_rfc3339(&hour).expect("a moment").elapsed().expect("it is past");
        assert!((3600..3660).contains(&since.as_secs()), "{hour}");
        for wrong in ["", "yesterday", "2026-13-01", "-1h", "9999999999999years", "2026-11-25T08:30"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
