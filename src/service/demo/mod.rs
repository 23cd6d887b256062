//! The demo: four VMs on libvirt's test driver and three nodes, all in memory. Beside what is
//! seeded here it is the product itself: the same store, the same libvirt behind the same trait, so
//! every verb works as it does on a real host.
//!
//! What it shows is data in `assets/demo`: `host.xml` is the host as the test driver reads it, with
//! the VMs, their pool and their network; `nodes.json` has the nodes' facts. The records are read
//! from the same definitions that libvirt gets, so the two cannot disagree.

mod machine;
mod nodes;
mod seed;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_verbs;
#[cfg(test)]
mod tests_whole;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

use rustix::fs::MemfdFlags;

pub use machine::DemoMachine;
pub use nodes::heartbeats;
pub use seed::seed;

/// The demo's host as libvirt's test driver reads it.
const HOST: &str = include_str!("../../../assets/demo/host.xml");

/// The file that the test driver opens. It has no name and lies in memory: nothing is written to
/// disk, no other user can get at it, and nothing is left behind however the process ends.
pub struct Demo {
    host: File,
}

impl Demo {
    /// Write the host down.
    ///
    /// # Errors
    /// The kernel's, where it gives no memory.
    pub fn prepare() -> std::io::Result<Self> {
        let mut host = File::from(rustix::fs::memfd_create("quantixkvm-demo-host", MemfdFlags::CLOEXEC)?);
        host.write_all(HOST.as_bytes())?;
        Ok(Self { host })
    }

    /// Where libvirt finds it, for as long as this lives. The test driver runs in this process.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("test:///proc/self/fd/{}", self.host.as_raw_fd())
    }
}
