//! The command line: one file a subcommand, no logic of its own.

mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, ConfigError, DEFAULT_PATH, Layer};

/// EX_CONFIG of sysexits.h: the unit does not restart on it.
const EXIT_CONFIG: u8 = 78;

#[derive(Parser)]
#[command(name = "quantixkvm", version, about = "Virtual machines on one Linux box: one process, libvirt below")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and the page
    Serve(ServeFlags),
    /// Print the version
    Version {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the completions of a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

/// Flags of `serve`; each is also a key of the file and, with QUANTIXKVM_ before it, of the environment.
#[derive(clap::Args)]
struct ServeFlags {
    /// Configuration file [default: /etc/quantixkvm/config.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to serve on; repeat it or separate with commas [default: 127.0.0.1:8080,[::1]:8080]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    listen: Option<Vec<String>>,
    /// Where the state is kept [default: /var/lib/quantixkvm]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// libvirt's URI [default: qemu:///system]
    #[arg(long, value_name = "URI")]
    libvirt_uri: Option<String>,
    /// How guests' CPUs run: auto, kvm or tcg [default: auto]
    #[arg(long, value_name = "KIND")]
    accelerator: Option<String>,
    /// Example VMs on libvirt's test driver; nothing is written to disk
    #[arg(long)]
    demo: bool,
    /// human or json [default: human]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// error, warn, info, debug, trace, or a filter [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Run as root all the same
    #[arg(long)]
    allow_root: bool,
    /// Serve off loopback although nobody is authenticated
    #[arg(long)]
    insecure_listen: bool,
}

impl ServeFlags {
    fn layer(self) -> (Option<PathBuf>, Layer) {
        let said = |flag: bool| flag.then_some(true);
        let layer = Layer {
            listen: self.listen,
            data_dir: self.data_dir,
            libvirt_uri: self.libvirt_uri,
            accelerator: self.accelerator,
            demo: said(self.demo),
            log_format: self.log_format,
            log_level: self.log_level,
            allow_root: said(self.allow_root),
            insecure_listen: said(self.insecure_listen),
            ..Layer::default()
        };
        (self.config, layer)
    }
}

/// Parse the arguments and do what they say.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(flags) => {
            let (path, layer) = flags.layer();
            match load(path, layer) {
                Ok(config) => serve::serve(config),
                Err(error) => {
                    eprintln!("quantixkvm: {error}");
                    ExitCode::from(EXIT_CONFIG)
                }
            }
        }
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
    }
}

/// A file that was named must be there; the default one may be missing.
fn load(path: Option<PathBuf>, flags: Layer) -> Result<Config, ConfigError> {
    let named = path.is_some();
    let path = path.unwrap_or_else(|| PathBuf::from(DEFAULT_PATH));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => None,
        Err(error) => {
            return Err(ConfigError { place: path.display().to_string(), problem: error.to_string() });
        }
    };
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Config::load(text.as_deref().map(|text| (path.as_path(), text)), environment, flags)
}
