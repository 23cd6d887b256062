//! The configuration: a file, then the environment, then flags; the later wins. Every error names
//! the key, where it stands, and what it may be.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where the file is looked for when none is named; it may be missing.
pub const DEFAULT_PATH: &str = "/etc/quantixkvm/config.toml";
/// Prefix of the environment's names: `QUANTIXKVM_DATA_DIR`.
pub const ENV_PREFIX: &str = "QUANTIXKVM_";

/// How guests' CPUs are to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accelerator {
    /// KVM where libvirt offers it, else emulation.
    #[default]
    Auto,
    Kvm,
    Tcg,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

/// All of it, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Addresses to serve on; by default the loopback's two.
    pub listen: Vec<SocketAddr>,
    /// Where the state file lives, mode 0700.
    pub data_dir: PathBuf,
    pub libvirt_uri: String,
    pub accelerator: Accelerator,
    /// libvirt's test driver, a store in memory, example data.
    pub demo: bool,
    pub log_format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `quantixkvm=debug`.
    pub log_level: String,
    /// Run as uid 0.
    pub allow_root: bool,
    /// The API socket for the command line and the administrators' group.
    pub socket: PathBuf,
    /// Whether root on this host needs no token on loopback.
    pub local_root_trust: bool,
    /// A certificate and its key in place of our own; both or none.
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// Further names by which this host may be addressed.
    pub hostnames: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080)), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 8080))],
            data_dir: PathBuf::from("/var/lib/quantixkvm"),
            libvirt_uri: "qemu:///system".to_owned(),
            accelerator: Accelerator::Auto,
            demo: false,
            log_format: LogFormat::Human,
            log_level: "info".to_owned(),
            allow_root: false,
            socket: PathBuf::from("/run/quantixkvm/api.sock"),
            local_root_trust: true,
            tls_certificate: None,
            tls_key: None,
            hostnames: Vec::new(),
        }
    }
}

/// A configuration that cannot be used. The process exits with 78.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// File, environment variable or flag.
    pub place: String,
    pub problem: String,
}

/// One layer: what it does not speak of stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    pub listen: Option<Vec<String>>,
    pub data_dir: Option<PathBuf>,
    pub libvirt_uri: Option<String>,
    pub accelerator: Option<String>,
    pub demo: Option<bool>,
    pub log_format: Option<String>,
    pub log_level: Option<String>,
    pub allow_root: Option<bool>,
    pub socket: Option<PathBuf>,
    pub local_root_trust: Option<String>,
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub hostnames: Option<Vec<String>>,
}

/// The keys, for hints and the environment.
const KEYS: [&str; 13] = [
    "listen",
    "data_dir",
    "libvirt_uri",
    "accelerator",
    "demo",
    "log_format",
    "log_level",
    "allow_root",
    "socket",
    "local_root_trust",
    "tls_certificate",
    "tls_key",
    "hostnames",
];

impl Config {
    /// From the three layers.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key and where it stands.
    pub fn load(
        file: Option<(&Path, &str)>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Layer,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some((path, text)) = file {
            let place = path.display().to_string();
            let layer: Layer = toml::from_str(text)
                .map_err(|error| ConfigError { place: place.clone(), problem: hinted(&error.to_string()) })?;
            config.apply(layer, |key| format!("{place}: {key}"))?;
        }
        let layer = of_environment(environment)?;
        config.apply(layer, |key| format!("{ENV_PREFIX}{}", key.to_ascii_uppercase()))?;
        config.apply(flags, |key| format!("--{}", key.replace('_', "-")))?;
        config.check()
    }

    fn apply(&mut self, layer: Layer, place: impl Fn(&str) -> String) -> Result<(), ConfigError> {
        let bad = |key: &str, problem: String| ConfigError { place: place(key), problem };
        if let Some(listen) = layer.listen {
            if listen.is_empty() {
                return Err(bad("listen", "must name at least one address, such as 127.0.0.1:8080".to_owned()));
            }
            self.listen = listen
                .iter()
                .map(|text| {
                    text.trim().parse().map_err(|_| {
                        bad(
                            "listen",
                            format!("\"{text}\" is no address with a port, such as 127.0.0.1:8080 or [::1]:8080"),
                        )
                    })
                })
                .collect::<Result<_, _>>()?;
        }
        if let Some(dir) = layer.data_dir {
            if !dir.is_absolute() {
                return Err(bad("data_dir", format!("\"{}\" must be an absolute path", dir.display())));
            }
            self.data_dir = dir;
        }
        if let Some(uri) = layer.libvirt_uri {
            if !uri.contains(':') {
                return Err(bad("libvirt_uri", format!("\"{uri}\" is no libvirt URI, such as qemu:///system")));
            }
            self.libvirt_uri = uri;
        }
        if let Some(word) = layer.accelerator {
            self.accelerator = match word.as_str() {
                "auto" => Accelerator::Auto,
                "kvm" => Accelerator::Kvm,
                "tcg" => Accelerator::Tcg,
                other => return Err(bad("accelerator", format!("must be auto, kvm or tcg; it is \"{other}\""))),
            };
        }
        if let Some(word) = layer.log_format {
            self.log_format = match word.as_str() {
                "human" => LogFormat::Human,
                "json" => LogFormat::Json,
                other => return Err(bad("log_format", format!("must be human or json; it is \"{other}\""))),
            };
        }
        if let Some(level) = layer.log_level {
            level
                .parse::<tracing_subscriber::EnvFilter>()
                .map_err(|error| bad("log_level", format!("\"{level}\" is no level or filter: {error}")))?;
            self.log_level = level;
        }
        if let Some(names) = layer.hostnames {
            for name in &names {
                let fine =
                    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
                if !fine {
                    return Err(bad("hostnames", format!("\"{name}\" is no host name")));
                }
            }
            self.hostnames = names;
        }
        self.demo = layer.demo.unwrap_or(self.demo);
        self.allow_root = layer.allow_root.unwrap_or(self.allow_root);
        if let Some(word) = layer.local_root_trust {
            self.local_root_trust = match word.as_str() {
                "on" => true,
                "off" => false,
                other => return Err(bad("local_root_trust", format!("must be on or off; it is \"{other}\""))),
            };
        }
        let absolute = |key: &str, path: PathBuf| {
            if path.is_absolute() {
                Ok(path)
            } else {
                Err(bad(key, format!("\"{}\" must be an absolute path", path.display())))
            }
        };
        if let Some(path) = layer.socket {
            self.socket = absolute("socket", path)?;
        }
        if let Some(path) = layer.tls_certificate {
            self.tls_certificate = Some(absolute("tls_certificate", path)?);
        }
        if let Some(path) = layer.tls_key {
            self.tls_key = Some(absolute("tls_key", path)?);
        }
        Ok(())
    }

    fn check(self) -> Result<Self, ConfigError> {
        let bad = |place: &str, problem: String| Err(ConfigError { place: place.to_owned(), problem });
        if self.demo
            && let Some(open) = self.listen.iter().find(|address| !address.ip().is_loopback())
        {
            return bad(
                "listen",
                format!("{open} is off loopback, and a demonstration lets everybody in; listen on 127.0.0.1 or [::1]"),
            );
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            return bad("tls_certificate", "needs tls_key, and tls_key needs it: name both files, or none".to_owned());
        }
        Ok(self)
    }
}

/// The environment's layer. A variable of ours that is no key is refused by name.
fn of_environment(environment: impl Iterator<Item = (String, String)>) -> Result<Layer, ConfigError> {
    let mut layer = Layer::default();
    for (name, value) in environment {
        let Some(key) = name.strip_prefix(ENV_PREFIX) else { continue };
        let key = key.to_ascii_lowercase();
        let bad = |problem: String| ConfigError { place: name.clone(), problem };
        let flag = || match value.as_str() {
            "1" | "true" | "yes" => Ok(Some(true)),
            "0" | "false" | "no" | "" => Ok(Some(false)),
            other => Err(bad(format!("must be true or false; it is \"{other}\""))),
        };
        let list =
            || Some(value.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect());
        match key.as_str() {
            "listen" => layer.listen = list(),
            "data_dir" => layer.data_dir = Some(PathBuf::from(&value)),
            "libvirt_uri" => layer.libvirt_uri = Some(value.clone()),
            "accelerator" => layer.accelerator = Some(value.clone()),
            "demo" => layer.demo = flag()?,
            "log_format" => layer.log_format = Some(value.clone()),
            "log_level" => layer.log_level = Some(value.clone()),
            "allow_root" => layer.allow_root = flag()?,
            "socket" => layer.socket = Some(PathBuf::from(&value)),
            "local_root_trust" => layer.local_root_trust = Some(value.clone()),
            "tls_certificate" => layer.tls_certificate = Some(PathBuf::from(&value)),
            "tls_key" => layer.tls_key = Some(PathBuf::from(&value)),
            "hostnames" => layer.hostnames = list(),
            other => {
                return Err(bad(match nearest(other) {
                    Some(near) => format!("is no setting; did you mean {ENV_PREFIX}{}?", near.to_ascii_uppercase()),
                    None => format!("is no setting; the settings are: {}", KEYS.join(", ")),
                }));
            }
        }
    }
    Ok(layer)
}

/// An unknown key gets the nearest known one.
fn hinted(error: &str) -> String {
    let error = error.trim();
    let unknown = error.split("unknown field `").nth(1).and_then(|rest| rest.split('`').next());
    match unknown.and_then(nearest) {
        Some(near) => format!("{error}\ndid you mean {near}?"),
        None => error.to_owned(),
    }
}

/// The known key that is closest, where one is close at all.
fn nearest(wrong: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(|key| (distance(wrong, key), *key))
        .min()
        .filter(|(distance, key)| *distance * 3 <= key.len())
        .map(|(_, key)| key)
}

/// Edits from one word to the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(l != *r)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)], flags: Layer) -> Result<Config, ConfigError> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Some((Path::new("/etc/q.toml"), file)), environment, flags)
    }

    #[test]
    fn the_later_layer_wins() {
        let flags = Layer { data_dir: Some(PathBuf::from("/c")), ..Layer::default() };
        let config = load("data_dir = '/a'\nlog_level = 'debug'", &[("QUANTIXKVM_DATA_DIR", "/b")], flags);
        let config = config.expect("it is a good configuration");
        assert_eq!(config.data_dir, PathBuf::from("/c"));
        assert_eq!(config.log_level, "debug");
        let config = load("", &[("QUANTIXKVM_DATA_DIR", "/b"), ("HOME", "/x")], Layer::default());
        assert_eq!(config.map(|config| config.data_dir), Ok(PathBuf::from("/b")));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (file, environment, words) in [
            ("listne = ['x']", vec![], vec!["/etc/q.toml", "listne", "did you mean listen"]),
            ("listen = []", vec![], vec!["/etc/q.toml: listen", "at least one"]),
            ("listen = ['8080']", vec![], vec!["\"8080\"", "127.0.0.1:8080"]),
            ("listen = ['127.0.0.1:99999']", vec![], vec!["127.0.0.1:99999"]),
            ("demo = true\nlisten = ['0.0.0.0:8080']", vec![], vec!["0.0.0.0:8080", "demonstration"]),
            ("local_root_trust = 'yes'", vec![], vec!["local_root_trust", "on or off", "yes"]),
            ("socket = 'x'", vec![], vec!["socket", "absolute"]),
            ("tls_key = '/x'", vec![], vec!["tls_certificate", "both files"]),
            ("listen = 'x'", vec![], vec!["/etc/q.toml", "listen"]),
            ("data_dir = 'x'", vec![], vec!["data_dir", "absolute"]),
            ("libvirt_uri = 'qemu'", vec![], vec!["libvirt_uri", "qemu:///system"]),
            ("accelerator = 'xen'", vec![], vec!["accelerator", "auto, kvm or tcg", "xen"]),
            ("log_format = 'xml'", vec![], vec!["log_format", "human or json"]),
            ("log_level = 'a=b=c'", vec![], vec!["log_level"]),
            ("hostnames = ['a b']", vec![], vec!["hostnames", "a b"]),
            ("demo = 3", vec![], vec!["demo"]),
            ("[server]\nport = 1", vec![], vec!["server"]),
            ("= broken", vec![], vec!["/etc/q.toml"]),
            ("", vec![("QUANTIXKVM_LISTN", "x")], vec!["QUANTIXKVM_LISTN", "QUANTIXKVM_LISTEN"]),
            ("", vec![("QUANTIXKVM_ZZZZZZZZ", "x")], vec!["QUANTIXKVM_ZZZZZZZZ", "the settings are"]),
            ("", vec![("QUANTIXKVM_DEMO", "maybe")], vec!["QUANTIXKVM_DEMO", "true or false"]),
            ("", vec![("QUANTIXKVM_LISTEN", "")], vec!["QUANTIXKVM_LISTEN", "at least one"]),
            ("", vec![("QUANTIXKVM_LISTEN", "[::]:80"), ("QUANTIXKVM_DEMO", "1")], vec!["[::]:80"]),
        ] {
            let error = load(file, &environment, Layer::default()).expect_err(file).to_string();
            for word in words {
                assert!(error.contains(word), "\"{word}\" is not in: {error}");
            }
        }
    }

    /// A setting that no file shows is one that nobody finds.
    #[test]
    fn every_setting_is_in_the_packages_file_with_its_default_and_in_the_corpus() {
        let packaged = include_str!("../packaging/debian/config.toml");
        // What is not commented out: the package serves the network.
        let set = load(packaged, &[], Layer::default()).expect("it is a good configuration");
        assert_eq!(set.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0.0.0.0:8080", "[::]:8080"]);
        assert_eq!(Config { listen: Config::default().listen, ..set }, Config::default());
        for key in KEYS {
            let named =
                |line: &str| line.trim_start_matches('#').split_once(" = ").is_some_and(|(name, _)| name == key);
            assert_eq!(packaged.lines().filter(|line| named(line)).count(), 1, "{key}");
        }
        // Its examples are settings, too.
        let examples: Vec<&str> = packaged.lines().filter_map(|line| line.strip_prefix('#')).collect();
        let examples: Vec<&str> = examples.into_iter().filter(|line| !line.starts_with(' ')).collect();
        let shown = load(&examples.join("\n"), &[], Layer::default()).expect("what is commented out can be used");
        let of_certificate = |config: Config| Config { tls_certificate: None, tls_key: None, ..config };
        assert!(shown.tls_certificate.is_some() && of_certificate(shown) == Config::default());
        let whole: toml::Table = include_str!("../tests/corpus/config/whole.toml").parse().expect("a table");
        assert_eq!(whole.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), KEYS.into());
    }

    /// Every seed, and everything like one: a configuration, or an error that says where.
    fn read(text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        let path = Path::new("/etc/quantixkvm/config.toml");
        match Config::load(Some((path, &text)), std::iter::empty(), Layer::default()) {
            Ok(config) => {
                assert!(!config.listen.is_empty() && config.data_dir.is_absolute());
                true
            }
            Err(error) => {
                assert!(!error.problem.is_empty() && !error.place.is_empty(), "{error}");
                false
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(crate::hostile::cases(500, "tests/corpus/config.regressions"))]

        #[test]
        fn no_text_upsets_the_configuration(text in crate::hostile::like(crate::hostile::seeds("tests/corpus/config"))) {
            read(&text);
        }
    }

    #[test]
    fn every_seed_is_a_configuration_or_refused() {
        let read: Vec<bool> = crate::hostile::seeds("tests/corpus/config").iter().map(|seed| read(seed)).collect();
        assert_eq!(read, [true, false, false, true, false]);
    }
}
