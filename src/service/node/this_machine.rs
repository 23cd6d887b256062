//! The machine that the process runs on.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::host::{self, HostRoot, Sampler};
use crate::model::node::{NodeFacts, NodeLoad};

use super::super::conditions::Filesystem;
use super::machine::Machine;

/// This host, by procfs and sysfs.
pub struct ThisMachine {
    root: HostRoot,
    sampler: Mutex<Sampler>,
}

impl ThisMachine {
    /// `storage`: whose file system counts as the node's.
    #[must_use]
    pub fn new(storage: PathBuf) -> Self {
        Self { root: HostRoot::default(), sampler: Mutex::new(Sampler::new(storage)) }
    }
}

impl Machine for ThisMachine {
    fn hostname(&self) -> String {
        host::hostname()
    }

    fn management_ip(&self) -> String {
        host::management_ip(&self.root)
    }

    fn facts(&self) -> NodeFacts {
        host::facts(&self.root)
    }

    fn load(&self) -> NodeLoad {
        self.sampler.lock().unwrap_or_else(PoisonError::into_inner).sample()
    }

    fn filesystem(&self, what: String, path: &Path) -> Option<Filesystem> {
        let device = std::fs::metadata(path).ok()?.dev();
        let (used_bytes, total_bytes) = host::space(path)?;
        Some(Filesystem { what, device, used_bytes, total_bytes })
    }

    fn bridges(&self) -> Vec<String> {
        host::bridges(&self.root)
    }
}
