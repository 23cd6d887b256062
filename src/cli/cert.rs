//! `cert`: what certificate this host shows, and a new one of its own. It works on the files, so that
//! it does not need a server that runs; one that does takes up what changes within seconds.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::{Config, ConfigError};
use crate::http::tls::{Facts, Files};
use crate::model::vm::Moment;
use crate::server;

use super::accounts::Shape;
use super::flags::{DataFlags, LAST};
use super::table::{print, shown};

/// Below the help.
pub const AFTER_HELP: &str = "\
Without tls_certificate and tls_key in the configuration this host has a certificate of its own, in
its data directory; it is made anew 30 days before its end. A browser asks once whether to trust it:
compare the fingerprint that it shows with the one that is printed here. For a certificate of your
own name both files in the configuration; later changes of the files need no restart.

Examples:
  sudo quantixkvm cert show
  sudo quantixkvm cert renew      # after this host got another name or address

Exits with 0 where it is done, 1 where not, 2 where the arguments are wrong, 78 where the
configuration is.";

/// `cert`.
#[derive(Args)]
pub struct CertArguments {
    #[command(flatten)]
    place: DataFlags,
    /// As JSON
    #[arg(long, global = true, display_order = LAST)]
    json: bool,
    #[command(subcommand)]
    command: CertCommand,
}

#[derive(Subcommand)]
enum CertCommand {
    /// Show the certificate: its names, its time, its fingerprint
    Show,
    /// Make this host's own certificate anew, for the names and addresses that it has now
    Renew,
}

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    File(String),
    #[error(
        "there is no certificate at {0} yet: the server makes one when it starts, and `quantixkvm cert renew` does now"
    )]
    None(String),
    #[error("there is no data directory at {0} yet: the server makes it when it starts")]
    NoDirectory(String),
    #[error(
        "{0} is your own certificate, by tls_certificate in the configuration: get a new one where you got it, and put \
         it there with its key; to have one of this host's own, remove tls_certificate and tls_key and restart the service"
    )]
    Given(String),
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl CertArguments {
    /// The configuration and the rest.
    pub fn run(self) -> (Result<Config, ConfigError>, impl FnOnce(Config) -> ExitCode) {
        let shape = if self.json { Shape::Json } else { Shape::People };
        (self.place.load(), move |config: Config| {
            let done = match self.command {
                CertCommand::Show => show(&config, shape),
                CertCommand::Renew => renew(&config, shape),
            };
            match done {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("quantixkvm: {error}");
                    ExitCode::FAILURE
                }
            }
        })
    }
}

fn show(config: &Config, shape: Shape) -> Result<(), Failure> {
    let files = server::certificate_files(config).unwrap_or_else(|| Files::own(&config.data_dir));
    if !files.certificate.exists() && config.tls_certificate.is_none() {
        return Err(Failure::None(files.certificate.display().to_string()));
    }
    told(&files, shape)
}

fn renew(config: &Config, shape: Shape) -> Result<(), Failure> {
    if let Some(given) = server::certificate_files(config) {
        return Err(Failure::Given(given.certificate.display().to_string()));
    }
    if !config.data_dir.is_dir() {
        return Err(Failure::NoDirectory(config.data_dir.display().to_string()));
    }
    let files = Files::own(&config.data_dir);
    files.make(&server::host_names(config)).map_err(Failure::File)?;
    told(&files, shape)?;
    if shape == Shape::People {
        eprintln!("A server that runs takes it up within seconds.");
    }
    Ok(())
}

fn told(files: &Files, shape: Shape) -> Result<(), Failure> {
    let facts = files.facts().map_err(Failure::File)?;
    Ok(print(&match shape {
        Shape::Json => as_json(&facts, files),
        Shape::People => as_text(&facts, files, Moment::now()),
    })?)
}

fn as_json(facts: &Facts, files: &Files) -> String {
    let told = json!({
        "certificate": files.certificate.display().to_string(),
        "key": files.key.display().to_string(),
        "subject": facts.subject,
        "issuer": facts.issuer,
        "self_signed": facts.is_self_signed,
        "names": facts.names,
        "not_before": facts.not_before.to_string(),
        "not_after": facts.not_after.to_string(),
        "sha256": facts.sha256,
    });
    format!("{told}\n")
}

fn as_text(facts: &Facts, files: &Files, now: Moment) -> String {
    let left = facts.not_after.seconds_since(now) / (24 * 3600);
    let ends = if facts.not_after <= now { "it has ended".to_owned() } else { format!("in {left} days") };
    let issuer = if facts.is_self_signed { "itself".to_owned() } else { facts.issuer.clone() };
    let seconds = |at: Moment| at.to_string().replace(".000Z", "Z");
    let lines = [
        ("Certificate", files.certificate.display().to_string()),
        ("Subject", facts.subject.clone()),
        ("Names", facts.names.join(", ")),
        ("Issued by", issuer),
        ("Good from", seconds(facts.not_before)),
        ("Good until", format!("{}, {ends}", seconds(facts.not_after))),
        ("SHA-256", facts.sha256.clone()),
    ];
    lines.iter().map(|(what, value)| format!("{what:<12}{}\n", shown(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_said() {
        let facts = Facts {
            subject: "CN=hv\n01".to_owned(),
            issuer: "CN=ca".to_owned(),
            is_self_signed: false,
            names: vec!["hv-01".to_owned(), "192.0.2.5".to_owned()],
            not_before: Moment(1_782_864_000_000_000),
            not_after: Moment(1_782_864_000_000_000 + 10 * 24 * 3600 * 1_000_000),
            sha256: "AB:CD".to_owned(),
        };
        let files = Files { certificate: "/c.pem".into(), key: "/k.pem".into() };
        let text = as_text(&facts, &files, facts.not_before);
        for words in ["Names       hv-01, 192.0.2.5\n", ", in 10 days\n", "CN=hv\\n01", "Issued by   CN=ca", "AB:CD"] {
            assert!(text.contains(words), "\"{words}\" is not in: {text}");
        }
        assert!(as_text(&facts, &files, facts.not_after).contains("it has ended"));
    }
}
