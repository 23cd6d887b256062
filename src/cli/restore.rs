//! `restore`: a backup, put in the state file's place.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::config::Config;
use crate::server::{self, ServeError};
use crate::service::auth;
use crate::store::{Inspected, OpenError, Restored, Store};

use super::flags::PlaceFlags;

/// Below the help.
pub const AFTER_HELP: &str = "\
The server must not run. The backup is read whole before anything is touched: one that is damaged, or
that a newer version wrote, is refused. The file that it replaces is kept beside it as
state.redb.before-restore-TIME; remove that when all is well. What was changed since the backup is
lost, but what libvirt knows is not: the next start compares with it, and VMs that the backup does not
know are found as the host's own. Users are those of the backup; their sessions and API tokens are not
restored, as one that was ended or revoked since must not be good again. A state file that is whole is replaced with --force alone. Backups
are listed by: quantixkvm backup --list. Run as root, the file is given to the owner of its directory.

Exits with 0 where the backup is in its place, 1 where not (nothing is changed then), 78 where the
configuration is wrong.";

/// Of `restore` alone.
#[derive(clap::Args)]
pub struct RestoreFlags {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: PlaceFlags,
    /// Replace a state file that is whole
    #[arg(long)]
    force: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What to do, beside the configuration.
pub struct Wanted {
    file: PathBuf,
    force: bool,
    json: bool,
}

impl RestoreFlags {
    /// The configuration's flags and the rest.
    pub fn split(self) -> (PlaceFlags, Wanted) {
        (self.place, Wanted { file: self.file, force: self.force, json: self.json })
    }
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the backup: {0}")]
    Backup(OpenError),
    #[error(
        "{path} is whole ({vms} VMs), and what was changed since the backup would be lost; if that is meant, give --force"
    )]
    Whole { path: String, vms: usize },
    #[error(
        "the backup is in its place, but the keys of access tokens are not renewed: {0}; remove that file before the \
         server is started"
    )]
    Keys(String),
    #[error(transparent)]
    Directory(#[from] ServeError),
    #[error(transparent)]
    File(#[from] OpenError),
}

/// Restore, say what, and exit with 0 or 1.
pub fn restore(config: &Config, wanted: &Wanted) -> ExitCode {
    match attempt(config, wanted) {
        Ok(done) => {
            let state = config.data_dir.join(server::STATE_FILE);
            print!("{}", if wanted.json { as_json(&done, &state) } else { told(&done, &wanted.file, &state) });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("quantixkvm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn attempt(config: &Config, wanted: &Wanted) -> Result<Restored, Failure> {
    Store::inspect_backup(&wanted.file).map_err(Failure::Backup)?;
    server::prepare_data_dir(&config.data_dir)?;
    let state = config.data_dir.join(server::STATE_FILE);
    if !wanted.force {
        // One that is damaged is what a restore is for; one that is held is refused by its lock.
        if let Ok(Inspected::Whole { vms }) = Store::inspect(&state) {
            return Err(Failure::Whole { path: state.display().to_string(), vms });
        }
    }
    let done = Store::restore(&wanted.file, &state)?;
    auth::forget_keys(&config.data_dir).map_err(Failure::Keys)?;
    Ok(done)
}

fn told(done: &Restored, file: &Path, state: &Path) -> String {
    let count = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    let vms = count(done.vms, "VM");
    let mut text = format!("Restored {} with {vms} from {}.\n", state.display(), file.display());
    if let Some(replaced) = &done.replaced {
        text.push_str(&format!("The file that was there is kept as {}.\n", replaced.display()));
    }
    if done.users > 0 {
        text.push_str(&format!(
            "Its {} may sign in as they could then: who was deleted, disabled or given a lower role since is to be so \
             again.\nIts {} and {} are not restored: sign in again, and make tokens anew.\n",
            count(done.users, "user"),
            count(done.ended.sessions, "session"),
            count(done.ended.tokens, "API token"),
        ));
    }
    text.push_str("The server may be started; it compares with libvirt first.\n");
    text
}

fn as_json(done: &Restored, state: &Path) -> String {
    let replaced = done.replaced.as_ref().map(|path| path.display().to_string());
    let told = json!({
        "state": state.display().to_string(),
        "vms": done.vms,
        "users": done.users,
        "ended_sessions": done.ended.sessions,
        "ended_tokens": done.ended.tokens,
        "replaced": replaced,
    });
    format!("{told}\n")
}
