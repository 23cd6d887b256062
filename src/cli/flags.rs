//! Flags as a layer of the configuration, above the environment's and the file's.

use std::path::{Path, PathBuf};

use crate::config::{Config, ConfigError, DEFAULT_PATH, ENV_PREFIX, Layer};

/// Below the flags of a subcommand itself: where what every one of its kind takes is listed.
pub const LAST: usize = 900;

/// Where the state is and what it is about: every subcommand that does something takes these.
#[derive(clap::Args)]
pub struct PlaceFlags {
    /// Configuration file [default: /etc/quantixkvm/config.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the state is kept [env: QUANTIXKVM_DATA_DIR] [default: /var/lib/quantixkvm]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// libvirt's URI [env: QUANTIXKVM_LIBVIRT_URI] [default: qemu:///system]
    #[arg(long, value_name = "URI")]
    libvirt_uri: Option<String>,
}

/// Where the server that runs is asked.
#[derive(clap::Args)]
pub struct SocketFlag {
    /// The API socket, for root and members of the group quantixkvm-admin [env: QUANTIXKVM_SOCKET]
    /// [default: /run/quantixkvm/api.sock]
    #[arg(long, value_name = "PATH", global = true, display_order = LAST)]
    socket: Option<PathBuf>,
}

/// Of what is asked of the server that runs, and of nothing else.
#[derive(clap::Args)]
pub struct ClientFlags {
    /// Configuration file [default: /etc/quantixkvm/config.toml, where it exists]
    #[arg(long, value_name = "FILE", global = true, display_order = LAST)]
    config: Option<PathBuf>,
    #[command(flatten)]
    socket: SocketFlag,
}

/// Of what works on files of the data directory alone.
#[derive(clap::Args)]
pub struct DataFlags {
    /// Configuration file [default: /etc/quantixkvm/config.toml, where it exists]
    #[arg(long, value_name = "FILE", global = true, display_order = LAST)]
    config: Option<PathBuf>,
    /// Where the state is kept [env: QUANTIXKVM_DATA_DIR] [default: /var/lib/quantixkvm]
    #[arg(long, value_name = "DIR", global = true, display_order = LAST)]
    data_dir: Option<PathBuf>,
}

/// How and where to serve.
#[derive(clap::Args)]
pub struct ServiceFlags {
    /// Address to serve on; repeat it or separate with commas [env: QUANTIXKVM_LISTEN] [default:
    /// 127.0.0.1:8080,[::1]:8080]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    listen: Option<Vec<String>>,
    /// How guests' CPUs run: auto, kvm or tcg [env: QUANTIXKVM_ACCELERATOR] [default: auto]
    #[arg(long, value_name = "KIND")]
    accelerator: Option<String>,
    /// Run as root all the same [env: QUANTIXKVM_ALLOW_ROOT]
    #[arg(long)]
    allow_root: bool,
    #[command(flatten)]
    socket: SocketFlag,
}

/// Of `serve` alone.
#[derive(clap::Args)]
pub struct ServeFlags {
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    service: ServiceFlags,
    /// Example VMs on libvirt's test driver; nothing is written to disk [env: QUANTIXKVM_DEMO]
    #[arg(long)]
    demo: bool,
    /// human or json [env: QUANTIXKVM_LOG_FORMAT] [default: human]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// error, warn, info, debug, trace, or a filter [env: QUANTIXKVM_LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

fn said(flag: bool) -> Option<bool> {
    flag.then_some(true)
}

impl PlaceFlags {
    fn split(self) -> (Option<PathBuf>, Layer) {
        let layer = Layer { data_dir: self.data_dir, libvirt_uri: self.libvirt_uri, ..Layer::default() };
        (self.config, layer)
    }

    /// The configuration that these end.
    pub fn load(self) -> Result<Config, ConfigError> {
        let (path, layer) = self.split();
        load(path, layer)
    }

    /// With those of the service.
    pub fn load_with(self, service: ServiceFlags) -> Result<Config, ConfigError> {
        let (path, layer) = self.split();
        load(path, service.onto(layer))
    }

    /// With the server that runs, which is asked.
    pub fn load_to_ask(self, socket: SocketFlag) -> Result<Config, ConfigError> {
        let (path, layer) = self.split();
        load(path, Layer { socket: socket.socket, ..layer })
    }

    /// What is read, in words.
    pub fn source(&self) -> String {
        let variables = std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| name.starts_with(ENV_PREFIX))
            .collect::<Vec<_>>();
        let file = match &self.config {
            Some(file) => file.display().to_string(),
            None if Path::new(DEFAULT_PATH).exists() => DEFAULT_PATH.to_owned(),
            None => format!("defaults; there is no {DEFAULT_PATH}"),
        };
        if variables.is_empty() { file } else { format!("{file}; {}", variables.join(", ")) }
    }
}

impl ClientFlags {
    /// The configuration that these end.
    pub fn load(self) -> Result<Config, ConfigError> {
        load(self.config, Layer { socket: self.socket.socket, ..Layer::default() })
    }
}

impl DataFlags {
    /// The configuration that these end.
    pub fn load(self) -> Result<Config, ConfigError> {
        load(self.config, Layer { data_dir: self.data_dir, ..Layer::default() })
    }
}

impl ServiceFlags {
    fn onto(self, layer: Layer) -> Layer {
        Layer {
            listen: self.listen,
            accelerator: self.accelerator,
            allow_root: said(self.allow_root),
            socket: self.socket.socket,
            ..layer
        }
    }
}

impl ServeFlags {
    /// The configuration that these end.
    pub fn load(self) -> Result<Config, ConfigError> {
        let (path, layer) = self.place.split();
        let layer = Layer {
            demo: said(self.demo),
            log_format: self.log_format,
            log_level: self.log_level,
            ..self.service.onto(layer)
        };
        load(path, layer)
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
