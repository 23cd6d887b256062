//! The file from which libvirt's test driver makes a whole host: `<node>` with pools, networks and
//! domains. Only what the demo's records need is read.

use super::storage::volume_of;
use super::tree::Element;
use crate::hypervisor::HypervisorError;
use crate::model::definition::{DefinitionText, VolumeFacts};
use crate::model::vm::Activity;

/// `<test:runstate>` of a domain that is not started; its number is `VIR_DOMAIN_SHUTOFF`.
const SHUT_OFF: &str = "5";

/// A host of the test driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// Each definition, without what it says to the test driver alone, and whether it is started.
    pub definitions: Vec<(DefinitionText, Activity)>,
    pub volumes: Vec<VolumeFacts>,
}

impl HostFile {
    /// Read it.
    ///
    /// # Errors
    /// `Refused` where it is no such file.
    pub fn read(text: &str) -> Result<Self, HypervisorError> {
        let node = Element::parse(text)?;
        let mut volumes = Vec::new();
        for pool in node.named("pool") {
            let directory = pool.child("target").map(|target| target.text_of("path")).unwrap_or_default();
            for volume in pool.named("volume") {
                let mut facts = volume_of(&pool.text_of("name"), volume);
                if facts.path.is_empty() {
                    // As the driver names it.
                    facts.path = format!("{directory}/{}", facts.at.volume);
                }
                volumes.push(facts);
            }
        }
        let definitions = node
            .named("domain")
            .map(|domain| {
                let mut domain = domain.clone();
                let activity =
                    if domain.text_of("test:runstate") == SHUT_OFF { Activity::Inactive } else { Activity::Active };
                domain.remove_named("test:runstate");
                domain.unset("xmlns:test");
                Ok((DefinitionText(domain.write()?), activity))
            })
            .collect::<Result<_, HypervisorError>>()?;
        Ok(Self { definitions, volumes })
    }
}
