//! The command line: one file a subcommand, no logic of its own.

mod accounts;
mod audit;
mod backup;
mod cert;
mod check;
mod client;
mod flags;
mod man;
mod panics;
mod password;
mod recover;
mod restore;
mod serve;
mod table;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, ConfigError};

/// EX_CONFIG of sysexits.h: the unit does not restart on it.
const EXIT_CONFIG: u8 = 78;

/// What is said below every help.
const LAYERS: &str = "Settings come from the configuration file, then the environment, then flags; the later wins.";

#[derive(Parser)]
#[command(name = "quantixkvm", version, about = "Virtual machines on one Linux box: one process, libvirt below")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and the page
    #[command(after_help = LAYERS)]
    Serve(flags::ServeFlags),
    /// Look at this host and say what is missing, and how to mend it; changes nothing
    #[command(after_help = check::AFTER_HELP)]
    Check(check::CheckFlags),
    /// Rebuild a lost state file from libvirt
    #[command(after_help = recover::AFTER_HELP)]
    Recover(flags::PlaceFlags),
    /// Back the state up, whether or not the server runs
    #[command(after_help = backup::AFTER_HELP)]
    Backup(backup::BackupFlags),
    /// Put a backup in the state file's place, while the server does not run
    #[command(after_help = restore::AFTER_HELP)]
    Restore(restore::RestoreFlags),
    /// Users: who may sign in, as what, within which bounds
    #[command(after_help = accounts::USER_HELP)]
    User(accounts::UserArguments),
    /// API tokens: by which programs call
    #[command(after_help = accounts::TOKEN_HELP)]
    Token(accounts::TokenArguments),
    /// Sessions: who is signed in
    #[command(after_help = accounts::SESSION_HELP)]
    Session(accounts::SessionArguments),
    /// Print a new code, by which the first administrator is made in the page
    #[command(after_help = accounts::SETUP_HELP)]
    SetupCode(accounts::SetUpArguments),
    /// Show who did what
    #[command(after_help = audit::AFTER_HELP)]
    Audit(audit::AuditArguments),
    /// The certificate that this host shows
    #[command(after_help = cert::AFTER_HELP)]
    Cert(cert::CertArguments),
    /// Print the version
    Version {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the completions of a shell, for its startup files
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a directory, for who packages the program
    #[command(hide = true)]
    Man {
        /// The directory, which must be there
        directory: std::path::PathBuf,
    },
}

/// Parse the arguments and do what they say.
#[must_use]
pub fn main() -> ExitCode {
    panics::install();
    match Arguments::parse().command {
        Command::Serve(flags) => with(flags.load(), serve::serve),
        Command::Check(flags) => check::check(flags),
        Command::Recover(flags) => with(flags.load(), |config| recover::recover(&config)),
        Command::Backup(flags) => {
            let (place, wanted) = flags.split();
            with(place, |config| backup::backup(&config, &wanted))
        }
        Command::Restore(flags) => {
            let (place, wanted) = flags.split();
            with(place.load(), |config| restore::restore(&config, &wanted))
        }
        Command::User(arguments) => run(arguments.run()),
        Command::Token(arguments) => run(arguments.run()),
        Command::Session(arguments) => run(arguments.run()),
        Command::SetupCode(arguments) => run(arguments.run()),
        Command::Audit(arguments) => run(arguments.run()),
        Command::Cert(arguments) => run(arguments.run()),
        Command::Version { json } => {
            if json {
                println!("{}", serde_json::json!({ "version": env!("CARGO_PKG_VERSION") }));
            } else {
                println!("quantixkvm {}", env!("CARGO_PKG_VERSION"));
            }
            ExitCode::SUCCESS
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "quantixkvm", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Man { directory } => man::write(Arguments::command(), &directory),
    }
}

fn run((config, run): (Result<Config, ConfigError>, impl FnOnce(Config) -> ExitCode)) -> ExitCode {
    with(config, run)
}

fn with(config: Result<Config, ConfigError>, run: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match config {
        Ok(config) => run(config),
        Err(error) => {
            eprintln!("quantixkvm: {error}");
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clap's own look at the definitions: names, values, positions.
    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_says_what_it_is() {
        fn look(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} of {} has no help", argument.get_id(), command.get_name());
            }
            command.get_subcommands().for_each(look);
        }
        let program = Arguments::command();
        program.get_subcommands().for_each(look);
        let nested = program.get_subcommands().filter(|command| command.has_subcommands()).count();
        assert_eq!(nested, 4, "user, token, session, cert");
    }
}
