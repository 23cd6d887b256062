//! A connection for programs that ask once and end, where the server would wait and try again.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::Libvirt;
use crate::hypervisor::{AcceleratorChoice, Hypervisor as _, HypervisorError, Notice, Result};

impl Libvirt {
    /// Connected, or the reason why not.
    ///
    /// # Errors
    /// `Unreachable`, in libvirt's words, or that it did not answer in time.
    pub fn connected(uri: String, choice: AcceleratorChoice, within: Duration) -> Result<Self> {
        let libvirt = Self::new(uri, choice);
        let (tell, told) = channel();
        libvirt.run(Box::new(move |notice| {
            // Only the first one is waited for.
            let _ = tell.send(notice);
        }));
        let why = match told.recv_timeout(within) {
            Ok(Notice::Disconnected(why)) => why,
            Ok(
                Notice::Connected
                | Notice::LifeChanged(_)
                | Notice::DefinitionChanged(_)
                | Notice::Undefined(_)
                | Notice::Rebooted(_)
                | Notice::AgentChanged(..)
                | Notice::NetworkChanged,
            ) => return Ok(libvirt),
            Err(RecvTimeoutError::Timeout) => format!("no answer within {} s", within.as_secs()),
            Err(RecvTimeoutError::Disconnected) => "its thread ended".to_owned(),
        };
        libvirt.close();
        Err(HypervisorError::Unreachable(why))
    }
}
