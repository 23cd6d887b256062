//! `backup`: a copy of the state, from the server that runs or from its file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::config::{Config, ConfigError};
use crate::model::backup::BackupKind;
use crate::model::units::human_bytes;
use crate::server;
use crate::store::{BackupError, Inspected, OpenError, Store};

use super::client::{self, ClientError};
use super::flags::{PlaceFlags, SocketFlag};

/// Below the help.
pub const AFTER_HELP: &str = "\
What a backup holds is what the server knows and libvirt does not: projects, labels, descriptions,
operations, events, settings; no disks, and no measured use. A server that runs goes on meanwhile;
where none runs, its file is copied. Without --output the backup goes to the folder backups of the
data directory, of which the newest 10 made by hand are kept; the server adds one an hour, kept for
24 hours and 7 days. To put one back: quantixkvm restore.

Exits with 0 where the backup is made, whole and on the disk; 1 where not (nothing is left of it
then); 78 where the configuration is wrong.";

/// Of `backup` alone.
#[derive(clap::Args)]
pub struct BackupFlags {
    #[command(flatten)]
    pub place: PlaceFlags,
    #[command(flatten)]
    socket: SocketFlag,
    /// Where the backup goes, a file that is not there yet
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// List the backups that there are, and make none
    #[arg(long, conflicts_with = "output")]
    list: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What to do, beside the configuration.
pub struct Wanted {
    output: Option<PathBuf>,
    list: bool,
    json: bool,
}

impl BackupFlags {
    /// The configuration and the rest.
    pub fn split(self) -> (Result<Config, ConfigError>, Wanted) {
        let wanted = Wanted { output: self.output, list: self.list, json: self.json };
        (self.place.load_to_ask(self.socket), wanted)
    }
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0} is there and was left untouched; name another file")]
    Taken(String),
    #[error(transparent)]
    File(#[from] OpenError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("there is no state file at {0}; nothing is there to back up")]
    Nothing(String),
    #[error("the server's answer names no file")]
    Nameless,
}

/// A backup as it is shown.
struct Shown {
    path: String,
    made_at: String,
    size_bytes: u64,
    kind: &'static str,
}

/// Back up or list, say what, and exit with 0 or 1.
pub fn backup(config: &Config, wanted: &Wanted) -> ExitCode {
    let shown = if wanted.list { list(config) } else { make(config, wanted.output.as_deref()).map(|one| vec![one]) };
    match shown {
        Ok(shown) => {
            print!("{}", if wanted.json { as_json(&shown) } else { as_table(&shown) });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("quantixkvm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(config: &Config, output: Option<&Path>) -> Result<Shown, Failure> {
    if let Some(output) = output
        && std::fs::symlink_metadata(output).is_ok()
    {
        return Err(Failure::Taken(output.display().to_string()));
    }
    let state = config.data_dir.join(server::STATE_FILE);
    match (Store::inspect(&state)?, output) {
        (Inspected::Absent, _) => Err(Failure::Nothing(state.display().to_string())),
        (Inspected::Held { .. }, output) => {
            let made = client::call(config, "Quantixkvm.state.v1.StateService/BackupState", &json!({}))?;
            let made = of_wire(&made).ok_or(Failure::Nameless)?;
            match output {
                None => Ok(made),
                Some(output) => {
                    let size_bytes = Store::export(Path::new(&made.path), output)?;
                    Ok(Shown { path: output.display().to_string(), size_bytes, ..made })
                }
            }
        }
        (Inspected::Whole { .. }, None) => {
            let made = Store::back_up_closed(&state)?;
            Ok(Shown {
                path: made.path.display().to_string(),
                made_at: made.name.at.to_string(),
                size_bytes: made.size_bytes,
                kind: made.name.kind.word(),
            })
        }
        (Inspected::Whole { .. }, Some(output)) => Ok(Shown {
            size_bytes: Store::export_closed(&state, output)?,
            path: output.display().to_string(),
            made_at: crate::model::vm::Moment::now().to_string(),
            kind: BackupKind::OnDemand.word(),
        }),
    }
}

/// From the folder itself, so that they are found where no server runs.
fn list(config: &Config) -> Result<Vec<Shown>, Failure> {
    let found = Store::backups_of(&config.data_dir.join(server::STATE_FILE))?;
    Ok(found
        .into_iter()
        .map(|backup| Shown {
            path: backup.path.display().to_string(),
            made_at: backup.name.at.to_string(),
            size_bytes: backup.size_bytes,
            kind: backup.name.kind.word(),
        })
        .collect())
}

/// The API's backup. 64-bit numbers are text in its JSON.
fn of_wire(made: &Value) -> Option<Shown> {
    Some(Shown {
        path: made["path"].as_str()?.to_owned(),
        made_at: made["createdAt"].as_str()?.to_owned(),
        size_bytes: made["sizeBytes"].as_str()?.parse().ok()?,
        kind: BackupKind::OnDemand.word(),
    })
}

fn as_json(shown: &[Shown]) -> String {
    let rows: Vec<Value> = shown
        .iter()
        .map(|one| json!({ "path": one.path, "made_at": one.made_at, "size_bytes": one.size_bytes, "kind": one.kind }))
        .collect();
    format!("{}\n", json!({ "backups": rows }))
}

fn as_table(shown: &[Shown]) -> String {
    if shown.is_empty() {
        return "There are no backups yet.\n".to_owned();
    }
    let mut text = format!("{:<24}  {:<7}  {:>9}  FILE\n", "MADE", "KIND", "SIZE");
    for one in shown {
        text.push_str(&format!(
            "{:<24}  {:<7}  {:>9}  {}\n",
            one.made_at,
            one.kind,
            human_bytes(one.size_bytes),
            one.path
        ));
    }
    text
}
