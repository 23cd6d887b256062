//! What `quantixkvm check` looks at: everything that the service needs of its host, each with what
//! was found and, where something is missing, what to do. Nothing is changed, but that a guest of
//! the check's own may run for a few seconds. A look that cannot be made, because an earlier one
//! failed, is skipped and says so: the list is always the same.

mod host;
mod hypervisor;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::hypervisor::{AcceleratorChoice, Hypervisor, Kernel, Proof, Result};

/// What is looked at, in the order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Configuration,
    DataDirectory,
    StateFile,
    Listen,
    Cpu,
    Orphans,
    QemuImg,
    Uefi,
    Tpm,
    Libvirt,
    Qemu,
    Kvm,
    LibvirtSpeed,
    Pool,
    Network,
}

impl Subject {
    /// The name in lists and JSON, which stays as it is.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::DataDirectory => "data-directory",
            Self::StateFile => "state-file",
            Self::Listen => "listen",
            Self::Cpu => "cpu",
            Self::Orphans => "orphans",
            Self::QemuImg => "qemu-img",
            Self::Uefi => "uefi",
            Self::Tpm => "tpm",
            Self::Libvirt => "libvirt",
            Self::Qemu => "qemu",
            Self::Kvm => "kvm",
            Self::LibvirtSpeed => "libvirt-speed",
            Self::Pool => "pool",
            Self::Network => "network",
        }
    }

    /// As it is where an earlier look failed.
    fn skipped(self, why: &str) -> Finding {
        Finding { subject: self, status: Status::Skipped, found: why.to_owned(), remedy: None }
    }

    fn ok(self, found: impl Into<String>) -> Finding {
        Finding { subject: self, status: Status::Ok, found: found.into(), remedy: None }
    }

    fn warning(self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { subject: self, status: Status::Warning, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn failed(self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { subject: self, status: Status::Failed, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// How a look ended, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Ok,
    /// Could not be looked at, or does not matter here.
    Skipped,
    /// The service runs, and something is less than it could be.
    Warning,
    /// The service does not run, or does nothing useful.
    Failed,
}

impl Status {
    /// The word in lists and JSON, which stays as it is.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub subject: Subject,
    pub status: Status,
    /// A sentence or part of one.
    pub found: String,
    /// What to do; there is one for each warning and failure.
    pub remedy: Option<String>,
}

/// What the service would run with.
pub struct Settings {
    /// Where they come from, in words.
    pub source: String,
    pub data_dir: PathBuf,
    /// The state file in it.
    pub state_file: PathBuf,
    pub listen: Vec<SocketAddr>,
    pub libvirt_uri: String,
    pub accelerator: AcceleratorChoice,
    /// Root may serve.
    pub root: RootServes,
    /// What KVM is proven with; `None`: this host's own kernel, where it can be read.
    pub kernel: Option<Kernel>,
}

/// Whether the service would run as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootServes {
    Yes,
    No,
}

/// A connection, or the reason why there is none.
pub type Connect = dyn Fn() -> Result<Arc<dyn Hypervisor>> + Send + Sync;
/// KVM put to the proof with a kernel, within a time.
pub type Prove = dyn Fn(&Kernel, Duration) -> Proof + Send + Sync;

/// How the hypervisor is reached.
#[derive(Clone)]
pub struct Reach {
    pub connect: Arc<Connect>,
    pub prove: Arc<Prove>,
}

/// Look at everything. Settings that cannot be used are told as such, and what depends on them is
/// skipped.
#[must_use]
pub fn check(settings: std::result::Result<(&Settings, &Reach), String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &settings {
        Ok((settings, _)) => {
            findings.push(Subject::Configuration.ok(settings.source.clone()));
            findings.extend(host::of_settings(settings));
        }
        Err(why) => {
            findings.push(Subject::Configuration.failed(
                why.clone(),
                "correct what is named, in the file, the environment or the flags; quantixkvm serve --help lists them",
            ));
            findings.extend(
                [Subject::DataDirectory, Subject::StateFile, Subject::Listen].map(|subject| subject.skipped(UNUSABLE)),
            );
        }
    }
    findings.extend(host::of_machine());
    match settings {
        Ok((settings, reach)) => findings.extend(hypervisor::of_hypervisor(settings, reach)),
        Err(_) => findings.extend(hypervisor::SUBJECTS.map(|subject| subject.skipped(UNUSABLE))),
    }
    findings
}

const UNUSABLE: &str = "the configuration cannot be used";

/// Whether the service would run and be of use.
#[must_use]
pub fn is_fit(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.status < Status::Failed)
}

#[cfg(test)]
mod tests;
