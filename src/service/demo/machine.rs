//! The host that the demo shows: another machine's facts and sizes, this one's CPU use, load and
//! traffic.

use std::path::Path;

use crate::model::node::{NodeFacts, NodeLoad};

use super::super::conditions::Filesystem;
use super::super::node::{Machine, ThisMachine};
use super::nodes::{DemoNode, this_host};

/// `hypervisor-01`.
pub struct DemoMachine {
    this: ThisMachine,
    shown: DemoNode,
}

impl DemoMachine {
    /// `this` is what is measured.
    #[must_use]
    pub fn new(this: ThisMachine) -> Self {
        Self { this, shown: this_host() }
    }
}

impl Machine for DemoMachine {
    fn hostname(&self) -> String {
        self.shown.hostname.clone()
    }

    fn management_ip(&self) -> String {
        self.shown.management_ip().to_owned()
    }

    fn facts(&self) -> NodeFacts {
        self.shown.facts.clone()
    }

    /// CPU, load and traffic are measured; memory and storage are of the sizes that the facts tell.
    fn load(&self) -> NodeLoad {
        let measured = self.this.load();
        let shown = self.shown.load();
        NodeLoad {
            memory_used_bytes: shown.memory_used_bytes,
            memory_total_bytes: shown.memory_total_bytes,
            memory_available_bytes: shown.memory_available_bytes,
            storage_used_bytes: shown.storage_used_bytes,
            storage_total_bytes: shown.storage_total_bytes,
            ..measured
        }
    }

    /// Every path lies on the one disk that the facts tell of.
    fn filesystem(&self, what: String, _path: &Path) -> Option<Filesystem> {
        let (used_bytes, total_bytes) = self.shown.storage();
        Some(Filesystem { what, device: 1, used_bytes, total_bytes })
    }

    fn bridges(&self) -> Vec<String> {
        Vec::new()
    }
}
