//! What the host offers, from libvirt's capabilities and domain capabilities.

use super::tree::Element;
use crate::hypervisor::{Accelerator, HypervisorError};

/// Which driver of libvirt is behind the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Driver {
    Qemu,
    /// libvirt's test driver: keeps definitions and states, runs nothing.
    Test,
}

/// What the writer needs of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostProfile {
    pub driver: Driver,
    pub accelerator: Accelerator,
    /// `q35`; the test driver's own where it is behind.
    pub machine: String,
    pub arch: String,
    pub emulator: Option<String>,
    /// UEFI by libvirt's auto-selection.
    pub uefi: bool,
    pub secure_boot: bool,
    /// An emulated TPM (swtpm).
    pub tpm_emulator: bool,
    /// `mode='maximum'` is offered.
    pub cpu_maximum: bool,
    pub video_models: Vec<String>,
    pub spice: bool,
    /// `vmx` or `svm`, where the host has it.
    pub nested_flag: Option<String>,
    /// CPU models that are usable here.
    pub cpu_models: Vec<String>,
    /// vCPUs of the machine at most; 0: not told.
    pub max_vcpus: u32,
}

impl HostProfile {
    /// The test driver's.
    #[must_use]
    pub fn for_test_driver() -> Self {
        Self {
            driver: Driver::Test,
            accelerator: Accelerator::Tcg,
            machine: String::new(),
            arch: "i686".to_owned(),
            emulator: None,
            uefi: true,
            secure_boot: true,
            tpm_emulator: true,
            cpu_maximum: true,
            video_models: ["vga", "cirrus", "qxl", "virtio"].map(str::to_owned).to_vec(),
            spice: true,
            nested_flag: Some("vmx".to_owned()),
            cpu_models: Vec::new(),
            max_vcpus: 0,
        }
    }

    /// From the texts of `virConnectGetCapabilities` and `virConnectGetDomainCapabilities`.
    ///
    /// # Errors
    /// `Refused` where they cannot be read.
    pub fn from_capabilities(caps: &str, domain_caps: &str, accelerator: Accelerator) -> Result<Self, HypervisorError> {
        let host = Element::parse(caps)?;
        let offer = Element::parse(domain_caps)?;
        let values = |path: &[&str], enumeration: &str| -> Vec<String> {
            offer
                .at(path)
                .filter(|element| element.get("supported") != Some("no"))
                .and_then(|element| element.named("enum").find(|found| found.get("name") == Some(enumeration)))
                .map(|found| found.named("value").map(Element::own_text).collect())
                .unwrap_or_default()
        };
        let firmware = values(&["os"], "firmware");
        let flags: Vec<&str> = host
            .at(&["host", "cpu"])
            .map(|cpu| cpu.named("feature").map(|feature| feature.get_or_empty("name")).collect())
            .unwrap_or_default();
        let model_has = |flag: &str| flags.contains(&flag);
        let vendor = host.at(&["host", "cpu"]).map(|cpu| cpu.text_of("vendor")).unwrap_or_default();
        let nested_flag = if model_has("vmx") || vendor == "Intel" {
            Some("vmx".to_owned())
        } else if model_has("svm") || vendor == "AMD" {
            Some("svm".to_owned())
        } else {
            None
        };
        Ok(Self {
            driver: Driver::Qemu,
            accelerator,
            machine: "q35".to_owned(),
            arch: offer.text_of("arch"),
            emulator: Some(offer.text_of("path")).filter(|path| !path.is_empty()),
            uefi: firmware.iter().any(|kind| kind == "efi"),
            secure_boot: values(&["os", "loader"], "secure").iter().any(|value| value == "yes"),
            tpm_emulator: values(&["devices", "tpm"], "backendModel").iter().any(|value| value == "emulator"),
            cpu_maximum: offer.child("cpu").is_some_and(|cpu| {
                cpu.named("mode")
                    .any(|mode| mode.get("name") == Some("maximum") && mode.get("supported") == Some("yes"))
            }),
            video_models: values(&["devices", "video"], "modelType"),
            spice: values(&["devices", "graphics"], "type").iter().any(|value| value == "spice"),
            nested_flag,
            cpu_models: usable_models(&offer),
            max_vcpus: offer.child("vcpu").and_then(|vcpu| u32::try_from(vcpu.number("max")).ok()).unwrap_or(0),
        })
    }
}

/// The models that the host's CPU, or the emulator, has every feature of.
fn usable_models(offer: &Element) -> Vec<String> {
    let mut models: Vec<String> = offer
        .child("cpu")
        .and_then(|cpu| cpu.named("mode").find(|mode| mode.get("name") == Some("custom")))
        .filter(|mode| mode.get("supported") == Some("yes"))
        .map(|mode| {
            mode.named("model").filter(|model| model.get("usable") == Some("yes")).map(Element::own_text).collect()
        })
        .unwrap_or_default();
    models.sort();
    models
}

/// User and group that QEMU runs as, from the capabilities: libvirt's own word for whom it hands a
/// guest's files to.
#[must_use]
pub fn read_qemu_ids(caps: &str) -> Option<(u32, u32)> {
    let root = Element::parse(caps).ok()?;
    let dac = root.child("host")?.named("secmodel").find(|model| model.text_of("model") == "dac")?;
    let label = dac.child("baselabel")?.own_text();
    let (user, group) = label.trim().trim_start_matches('+').split_once(":+")?;
    Some((user.parse().ok()?, group.parse().ok()?))
}

/// Whether libvirt offers KVM for x86-64 guests, and the host's UUID and CPU model.
///
/// # Errors
/// `Refused` where the text cannot be read.
pub fn read_host(caps: &str) -> Result<(bool, Option<uuid::Uuid>, String), HypervisorError> {
    let root = Element::parse(caps)?;
    let kvm = root.named("guest").filter_map(|guest| guest.child("arch")).any(|arch| {
        arch.get("name") == Some("x86_64") && arch.named("domain").any(|domain| domain.get("type") == Some("kvm"))
    });
    let uuid = root.child("host").and_then(|host| host.text_of("uuid").parse().ok());
    let model = root.at(&["host", "cpu"]).map(|cpu| cpu.text_of("model")).unwrap_or_default();
    Ok((kvm, uuid, model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_qemu_runs_as_is_read_from_the_label_of_files() {
        let with = |models: &str| format!("<capabilities><host>{models}</host></capabilities>");
        let dac = "<secmodel><model>apparmor</model><baselabel type='kvm'>libvirt</baselabel></secmodel>\
                   <secmodel><model>dac</model><baselabel type='kvm'>+64055:+108</baselabel></secmodel>";
        assert_eq!(read_qemu_ids(&with(dac)), Some((64055, 108)));
        for other in ["", "<secmodel><model>dac</model></secmodel>", "<secmodel><model>none</model></secmodel>"] {
            assert_eq!(read_qemu_ids(&with(other)), None, "{other}");
        }
        assert_eq!(read_qemu_ids("no XML"), None);
    }

    #[test]
    fn only_cpu_models_that_are_usable_are_offered() {
        let caps = "<capabilities><host><cpu/></host></capabilities>";
        let offer = "<domainCapabilities><path>/q</path><arch>x86_64</arch><vcpu max='288'/><cpu>\
                     <mode name='host-model' supported='yes'><model>EPYC</model></mode>\
                     <mode name='custom' supported='yes'><model usable='yes'>qemu64</model>\
                     <model usable='no'>Icelake-Server</model><model usable='unknown'>x</model>\
                     <model usable='yes'>kvm64</model></mode></cpu></domainCapabilities>";
        let profile = HostProfile::from_capabilities(caps, offer, Accelerator::Tcg).expect("capabilities");
        assert_eq!((profile.cpu_models, profile.max_vcpus), (vec!["kvm64".to_owned(), "qemu64".to_owned()], 288));
    }
}
