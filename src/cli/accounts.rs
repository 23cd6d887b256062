//! `user`, `token`, `session`, `setup-code` and `audit`: what an administrator does on the host, by
//! the API socket. Each is one call of `AuthService`; the tables are for people, `--json` is the
//! API's own answer.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::config::Config;

use super::client::{self, ClientError};
use super::flags::PlaceFlags;

/// Below the helps.
pub const AFTER_HELP: &str = "\
Asks the server that runs, by its API socket: for root and for members of the group
quantixkvm-admin. Exits with 0 where it is done, 1 where not, 78 where the configuration is wrong.";

/// What each takes.
#[derive(clap::Args)]
pub struct Common {
    #[command(flatten)]
    place: PlaceFlags,
    /// As JSON
    #[arg(long, global = true)]
    json: bool,
}

/// A role, in a word.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum RoleWord {
    Viewer,
    Operator,
    Admin,
}

impl RoleWord {
    fn name(self) -> &'static str {
        match self {
            Self::Viewer => "VIEWER",
            Self::Operator => "OPERATOR",
            Self::Admin => "ADMIN",
        }
    }
}

#[derive(Subcommand)]
pub enum UserCommand {
    /// Make a user; the password is asked for, or read from standard input
    Add {
        /// Name of the user
        name: String,
        /// What the user may do
        #[arg(long, value_enum, default_value = "admin")]
        role: RoleWord,
    },
    /// List users
    List,
    /// Set a user's password, which ends the user's sessions
    Passwd {
        /// Name or id
        user: String,
    },
    /// Give a user another role
    Role {
        /// Name or id
        user: String,
        /// What the user may do from now on
        #[arg(value_enum)]
        role: RoleWord,
    },
    /// Let a user sign in again
    Enable {
        /// Name or id
        user: String,
    },
    /// Let a user sign in no more, and end what runs
    Disable {
        /// Name or id
        user: String,
    },
    /// Delete a user with its sessions and tokens
    Delete {
        /// Name or id
        user: String,
    },
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make an API token; its secret is printed this once
    Add {
        /// Whose it is: name or id
        user: String,
        /// What it is for
        name: String,
        /// The most that it may do [default: what its owner may]
        #[arg(long, value_enum)]
        role: Option<RoleWord>,
        /// Days until it ends, 1-365
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// List tokens
    List,
    /// End a token at once
    Revoke {
        /// Its id
        id: String,
    },
}

#[derive(Subcommand)]
pub enum SessionCommand {
    /// List sessions
    List,
    /// End a session, its streams and its consoles
    Revoke {
        /// Its id
        id: String,
    },
}

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Call(#[from] ClientError),
    #[error("the password cannot be read: {0}")]
    Password(std::io::Error),
    #[error("the two passwords differ")]
    Differ,
}

fn ask(config: &Config, method: &str, request: &Value) -> Result<Value, Failure> {
    Ok(client::call(config, &format!("Quantixkvm.auth.v1.AuthService/{method}"), request)?)
}
