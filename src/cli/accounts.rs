//! `user`, `token`, `session` and `setup-code`: what an administrator does on the host about who gets
//! in. Each is a call or two of `AuthService` by the API socket; the tables are for people, `--json`
//! is the API's own answer. A secret stands alone on standard output, and words about it on standard
//! error, so that `TOKEN=$(quantixkvm token add ...)` holds the token.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::config::{Config, ConfigError};

use super::client::{self, ClientError};
use super::flags::{ClientFlags, LAST};
use super::password::{self, PasswordError};
use super::table::{print, rows, shown, table, text, when, word};

/// Below the helps.
pub const USER_HELP: &str = "\
Passwords are asked for, or read from the first line of standard input; never given as arguments.
Roles: a viewer reads; an operator works with VMs, within a quota; an admin does everything.

Examples:
  sudo quantixkvm user add ann
  sudo quantixkvm user add ben --role operator --vms 10 --memory-mib 32768
  sudo quantixkvm user role ben viewer
  pwgen 20 1 | tee ci.password | sudo quantixkvm user add ci --role operator

Asks the server that runs, by its API socket: for root and for members of the group
quantixkvm-admin. Exits with 0 where it is done, 1 where not (the message is the server's), 2 where
the arguments are wrong, 78 where the configuration is.";
pub const TOKEN_HELP: &str = "\
A token does what its owner may, and never more than the role that it was given. It is sent as
\"Authorization: Bearer TOKEN\".

Examples:
  TOKEN=$(sudo quantixkvm token add ben backups --role viewer --days 30)
  sudo quantixkvm token list
  sudo quantixkvm token revoke 4k7qz2mwxa

Asks the server that runs, by its API socket: for root and for members of the group
quantixkvm-admin. Exits with 0 where it is done, 1 where not (the message is the server's), 2 where
the arguments are wrong, 78 where the configuration is.";
pub const SESSION_HELP: &str = "\
Examples:
  sudo quantixkvm session list
  sudo quantixkvm session revoke 0b5f3c1e-6f0a-4d0b-9a43-0d6c5a1c7f11

Asks the server that runs, by its API socket: for root and for members of the group
quantixkvm-admin. Exits with 0 where it is done, 1 where not (the message is the server's), 2 where
the arguments are wrong, 78 where the configuration is.";
pub const SETUP_HELP: &str = "\
While this host has no users, whoever opens its page enters this code and becomes its first
administrator. A new code takes the place of the one before it. The code stands alone on standard
output.

Example:
  sudo quantixkvm setup-code

Asks the server that runs, by its API socket: for root and for members of the group
quantixkvm-admin. Exits with 0 where there is a code, 1 where not (as when there are users already), 2
where the arguments are wrong, 78 where the configuration is.";

/// What each takes.
#[derive(Args)]
pub struct Common {
    #[command(flatten)]
    client: ClientFlags,
    /// As JSON: the API's own answer
    #[arg(long, global = true, display_order = LAST)]
    json: bool,
}

impl Common {
    /// The configuration, and how to answer.
    pub fn split(self) -> (Result<Config, ConfigError>, Shape) {
        (self.client.load(), if self.json { Shape::Json } else { Shape::People })
    }
}

/// Whom the output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    People,
    Json,
}

/// A role, in a word.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum RoleWord {
    /// Reads everything but secrets and the audit log
    Viewer,
    /// Works with VMs, within a quota
    Operator,
    /// Does everything
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

/// Bounds of what an operator's VMs use in all.
#[derive(Args)]
pub struct QuotaFlags {
    /// VMs that an operator may have; 0: no bound
    #[arg(long, value_name = "N")]
    vms: Option<u32>,
    /// vCPUs that an operator's VMs may have in all; 0: no bound
    #[arg(long, value_name = "N")]
    vcpus: Option<u32>,
    /// Memory that an operator's VMs may have in all, in MiB; 0: no bound
    #[arg(long, value_name = "MIB")]
    memory_mib: Option<u64>,
    /// Disks that may be made for an operator's VMs in all, in GiB; 0: no bound
    #[arg(long, value_name = "GIB")]
    disk_gib: Option<u64>,
}

impl QuotaFlags {
    /// Over the bounds that there are; what is not given stays.
    fn onto(&self, before: &Value) -> Value {
        let mut quota: Map<String, Value> = before.as_object().cloned().unwrap_or_default();
        let given = [
            ("vms", self.vms.map(Value::from)),
            ("vcpus", self.vcpus.map(Value::from)),
            ("memoryMib", self.memory_mib.map(|mib| mib.to_string().into())),
            ("diskGib", self.disk_gib.map(|gib| gib.to_string().into())),
        ];
        quota.extend(given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        Value::Object(quota)
    }
}

/// `user`.
#[derive(Args)]
pub struct UserArguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Make a user; the password is asked for, or read from standard input
    Add {
        /// Name of the user: 1-64 letters, digits, '.', '-', '_'
        name: String,
        /// What the user may do
        #[arg(long, value_enum, default_value = "admin")]
        role: RoleWord,
        #[command(flatten)]
        quota: QuotaFlags,
    },
    /// List users
    List,
    /// Set a user's password, which ends the user's sessions
    Passwd {
        /// Name or id
        user: String,
    },
    /// Give a user another role; a lower one ends the user's sessions
    Role {
        /// Name or id
        user: String,
        /// What the user may do from now on
        #[arg(value_enum)]
        role: RoleWord,
    },
    /// Bound what an operator's VMs use in all; bounds that are not named stay
    #[command(group = clap::ArgGroup::new("bounds").args(["vms", "vcpus", "memory_mib", "disk_gib"]).required(true).multiple(true))]
    Quota {
        /// Name or id
        user: String,
        #[command(flatten)]
        quota: QuotaFlags,
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

/// `token`.
#[derive(Args)]
pub struct TokenArguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make an API token; its secret is printed this once, alone on standard output
    Add {
        /// Whose it is: name or id
        user: String,
        /// What it is for: 1-64 characters
        name: String,
        /// The most that it may do [default: what its owner may]
        #[arg(long, value_enum)]
        role: Option<RoleWord>,
        /// Days until it ends, 1-365
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
    },
    /// List tokens, newest first
    List,
    /// End a token at once
    Revoke {
        /// Its id, as in its secret: qkvm_ID_...
        id: String,
    },
}

/// `session`.
#[derive(Args)]
pub struct SessionArguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: SessionCommand,
}

#[derive(Subcommand)]
enum SessionCommand {
    /// List sessions, newest first
    List,
    /// End a session, its streams and its consoles
    Revoke {
        /// Its id
        id: String,
    },
}

/// `setup-code`.
#[derive(Args)]
pub struct SetUpArguments {
    #[command(flatten)]
    common: Common,
}

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Call(#[from] ClientError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

/// Do it, and exit with 0 or 1.
pub fn end(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has had enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("quantixkvm: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A method of `AuthService`.
pub fn ask(config: &Config, method: &str, request: &Value) -> Result<Value, ClientError> {
    client::call(config, &format!("Quantixkvm.auth.v1.AuthService/{method}"), request)
}

/// The answer as JSON, or what people are told of it.
pub fn answer(shape: Shape, answer: &Value, told: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
    Ok(print(&match shape {
        Shape::Json => format!("{answer}\n"),
        Shape::People => told(answer),
    })?)
}

impl UserArguments {
    /// The configuration and the rest.
    pub fn run(self) -> (Result<Config, ConfigError>, impl FnOnce(Config) -> ExitCode) {
        let (config, shape) = self.common.split();
        (config, move |config: Config| end(user(&config, self.command, shape)))
    }
}

impl TokenArguments {
    /// The configuration and the rest.
    pub fn run(self) -> (Result<Config, ConfigError>, impl FnOnce(Config) -> ExitCode) {
        let (config, shape) = self.common.split();
        (config, move |config: Config| end(token(&config, self.command, shape)))
    }
}

impl SessionArguments {
    /// The configuration and the rest.
    pub fn run(self) -> (Result<Config, ConfigError>, impl FnOnce(Config) -> ExitCode) {
        let (config, shape) = self.common.split();
        (config, move |config: Config| end(session(&config, self.command, shape)))
    }
}

impl SetUpArguments {
    /// The configuration and the rest.
    pub fn run(self) -> (Result<Config, ConfigError>, impl FnOnce(Config) -> ExitCode) {
        let (config, shape) = self.common.split();
        (config, move |config: Config| end(set_up_code(&config, shape)))
    }
}

fn user(config: &Config, command: UserCommand, shape: Shape) -> Result<(), Failure> {
    let update = |change: Value| -> Result<Value, Failure> { Ok(ask(config, "UpdateUser", &change)?) };
    match command {
        UserCommand::Add { name, role, quota } => {
            // Nobody types a password for a server that is not there.
            client::reach(config)?;
            let password = password::ask(&name)?;
            let request =
                json!({ "name": name, "password": password, "role": role.name(), "quota": quota.onto(&json!({})) });
            answer(shape, &ask(config, "CreateUser", &request)?, |made| {
                format!("User {}, {}, is made.\n", shown(&text(made, "name")), word(made, "role"))
            })
        }
        UserCommand::List => answer(shape, &ask(config, "ListUsers", &json!({}))?, users),
        UserCommand::Passwd { user } => {
            let found = ask(config, "GetUser", &json!({ "id": user }))?;
            let password = password::ask(&text(&found, "name"))?;
            answer(shape, &update(json!({ "id": user, "password": password }))?, |user| {
                format!("User {} has a new password, and no sessions.\n", shown(&text(user, "name")))
            })
        }
        UserCommand::Role { user, role } => {
            answer(shape, &update(json!({ "id": user, "role": role.name() }))?, |user| {
                format!("User {} is {} now.\n", shown(&text(user, "name")), word(user, "role"))
            })
        }
        UserCommand::Quota { user, quota } => {
            let found = ask(config, "GetUser", &json!({ "id": user }))?;
            answer(shape, &update(json!({ "id": user, "quota": quota.onto(&found["quota"]) }))?, |user| {
                let note = if text(user, "role") == "ADMIN" { ", which do not bound an admin" } else { "" };
                format!("Bounds of user {}: {}{note}.\n", shown(&text(user, "name")), shown(&bounds(&user["quota"])))
            })
        }
        UserCommand::Enable { user } => answer(shape, &update(json!({ "id": user, "enabled": true }))?, |user| {
            format!("User {} may sign in.\n", shown(&text(user, "name")))
        }),
        UserCommand::Disable { user } => answer(shape, &update(json!({ "id": user, "enabled": false }))?, |user| {
            format!("User {} may not sign in any more, and has no sessions.\n", shown(&text(user, "name")))
        }),
        UserCommand::Delete { user } => answer(shape, &ask(config, "DeleteUser", &json!({ "id": user }))?, |_| {
            format!("User {} is deleted.\n", shown(&user))
        }),
    }
}

fn users(answer: &Value) -> String {
    let row = |user: &Value| {
        let enabled = if user["enabled"] == true { "yes" } else { "no" };
        [
            text(user, "name"),
            word(user, "role"),
            enabled.to_owned(),
            bounds(&user["quota"]),
            when(user, "lastLoginAt"),
            text(user, "id"),
        ]
    };
    table(
        ["NAME", "ROLE", "ENABLED", "QUOTA", "LAST SIGN-IN", "ID"],
        rows(answer, "users").iter().map(row).collect(),
        "There are no users yet. Make one: sudo quantixkvm user add NAME",
    )
}

/// Bounds in words; empty: none.
fn bounds(quota: &Value) -> String {
    let bound = |key: &str, unit: &str| {
        let value = &quota[key];
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok()).filter(|number| *number > 0)?;
        Some(format!("{number} {unit}"))
    };
    let all = [bound("vms", "VMs"), bound("vcpus", "vCPUs"), bound("memoryMib", "MiB"), bound("diskGib", "GiB disk")];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn token(config: &Config, command: TokenCommand, shape: Shape) -> Result<(), Failure> {
    match command {
        TokenCommand::Add { user, name, role, days } => {
            let role = role.map_or("ROLE_UNSPECIFIED", RoleWord::name);
            let request = json!({ "userId": user, "name": name, "role": role, "days": days });
            let made = ask(config, "CreateToken", &request)?;
            if shape == Shape::People {
                let token = &made["token"];
                eprintln!(
                    "Token {} of user {}, {}, is good until {}. It is shown this once:",
                    text(token, "id"),
                    shown(&text(token, "userName")),
                    word(token, "role"),
                    when(token, "expiresAt")
                );
            }
            answer(shape, &made, |made| format!("{}\n", text(made, "secret")))
        }
        TokenCommand::List => answer(shape, &ask(config, "ListTokens", &json!({}))?, |answer| {
            let row = |token: &Value| {
                [
                    text(token, "id"),
                    text(token, "name"),
                    text(token, "userName"),
                    word(token, "role"),
                    when(token, "expiresAt"),
                    when(token, "lastUsedAt"),
                ]
            };
            table(
                ["ID", "NAME", "OWNER", "ROLE", "EXPIRES", "LAST USED"],
                rows(answer, "tokens").iter().map(row).collect(),
                "There are no tokens.",
            )
        }),
        TokenCommand::Revoke { id } => answer(shape, &ask(config, "RevokeToken", &json!({ "id": id }))?, |_| {
            format!("Token {} is good no more.\n", shown(&id))
        }),
    }
}

fn session(config: &Config, command: SessionCommand, shape: Shape) -> Result<(), Failure> {
    match command {
        SessionCommand::List => answer(shape, &ask(config, "ListSessions", &json!({}))?, |answer| {
            let row = |session: &Value| {
                [
                    text(session, "id"),
                    text(session, "userName"),
                    text(session, "address"),
                    when(session, "createdAt"),
                    when(session, "lastUsedAt"),
                    when(session, "expiresAt"),
                    text(session, "userAgent"),
                ]
            };
            table(
                ["ID", "USER", "FROM", "BEGAN", "LAST USED", "ENDS", "CLIENT"],
                rows(answer, "sessions").iter().map(row).collect(),
                "Nobody is signed in.",
            )
        }),
        SessionCommand::Revoke { id } => answer(shape, &ask(config, "RevokeSession", &json!({ "id": id }))?, |_| {
            format!("Session {} has ended.\n", shown(&id))
        }),
    }
}

fn set_up_code(config: &Config, shape: Shape) -> Result<(), Failure> {
    let made = ask(config, "CreateSetUpCode", &json!({}))?;
    if shape == Shape::People {
        eprintln!("Good once, and until {}. Open one of these, and enter it:", when(&made, "expiresAt"));
        for url in crate::server::urls(config) {
            eprintln!("  {url}");
        }
        eprintln!("The certificate that a browser shows is to be this one: sudo quantixkvm cert show");
    }
    answer(shape, &made, |made| format!("{}\n", text(made, "code")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_are_not_named_stay() {
        let flags = QuotaFlags { vms: Some(3), vcpus: Some(0), memory_mib: None, disk_gib: None };
        let quota = flags.onto(&json!({ "vcpus": 8, "memoryMib": "1024" }));
        assert_eq!(quota, json!({ "vms": 3, "vcpus": 0, "memoryMib": "1024" }));
        assert_eq!(bounds(&quota), "3 VMs, 1024 MiB");
        assert_eq!(bounds(&Value::Null), "");
    }
}
