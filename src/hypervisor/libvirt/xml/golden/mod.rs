//! Every kind of specification as the definition that is written for it, byte for byte, in
//! `tests/golden/xml`. `QKVM_BLESS=1` rewrites the files; what changes in them is reviewed like
//! code. Each specification is also defined on libvirt's test driver and, where
//! `QKVM_LIBVIRT_URI` names one, on a real libvirtd, and read back: the reader and libvirt's own
//! formatting must agree with the writer.

mod round_trip;
mod settled;
mod specs;

use std::path::PathBuf;

use super::caps::{Driver, HostProfile};
use super::write_domain;
use crate::hypervisor::{Accelerator, HypervisorError};
use crate::model::definition::{VmDefinition, VmIdentity, VolumeRef};
use crate::model::id::{DEFAULT_PROJECT, NodeId, VmId};
use crate::model::spec::{Disk, DiskBus, Display, DisplayKind, Firmware, Tpm, TpmVersion, VmSpec};

/// One specification and the file that holds its definition.
pub(super) struct Case {
    pub name: String,
    pub accelerator: Accelerator,
    pub spec: VmSpec,
    /// The name at the hypervisor.
    pub vm_name: String,
    pub description: String,
    pub labels: Vec<(String, String)>,
}

impl Case {
    /// The case's definition; the id follows from the name, so that the file never changes by itself.
    pub fn definition(&self) -> VmDefinition {
        let id = VmId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, self.name.as_bytes()));
        VmDefinition {
            id,
            hypervisor_name: self.vm_name.clone(),
            identity: VmIdentity {
                vm_id: id,
                node_id: NodeId(uuid::Uuid::from_u128(0x0aaa)),
                project_id: DEFAULT_PROJECT,
                name: self.vm_name.clone(),
                description: self.description.clone(),
                labels: self.labels.clone(),
                created_by: "golden".to_owned(),
                created_at_us: 1_700_000_000_000_000,
                generation: 3,
                start_order: Some(2),
                start_delay_sec: Some(5),
                deletion_protection: crate::model::vm::DeletionProtection::Off,
                guest_os_family: self.spec.guest_os.family,
                guest_os_variant: self.spec.guest_os.variant.clone(),
                owned_volumes: vec![VolumeRef { pool: "default".to_owned(), volume: "golden.qcow2".to_owned() }],
            },
            spec: self.spec.clone(),
        }
    }
}

/// A host that has everything.
pub(super) fn whole_host(accelerator: Accelerator) -> HostProfile {
    HostProfile {
        driver: Driver::Qemu,
        accelerator,
        machine: "q35".to_owned(),
        arch: "x86_64".to_owned(),
        emulator: Some("/usr/bin/qemu-system-x86_64".to_owned()),
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

fn golden_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/xml").join(format!("{name}.xml"))
}

#[test]
fn every_specification_is_written_as_before() {
    let bless = std::env::var_os("QKVM_BLESS").is_some();
    let cases = specs::table();
    assert!(cases.len() >= 40, "there are {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let text = write_domain(&case.definition(), &whole_host(case.accelerator))
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let written = format!("{}\n", text.0);
        let file = golden_file(&case.name);
        if bless {
            std::fs::write(&file, &written).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        } else if std::fs::read_to_string(&file).ok().as_deref() != Some(written.as_str()) {
            wrong.push(format!("{}: expected as in {}, got:\n{written}", case.name, file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nQKVM_BLESS=1 rewrites the files", wrong.join("\n"));
}

#[test]
fn every_golden_file_has_its_specification() {
    let names: Vec<String> = specs::table().into_iter().map(|case| format!("{}.xml", case.name)).collect();
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names.len(), "two cases share a name");
    for entry in std::fs::read_dir(golden_file("x").parent().expect("it lies in a folder")).expect("it can be listed") {
        let name = entry.expect("it can be read").file_name().to_string_lossy().into_owned();
        assert!(names.contains(&name), "tests/golden/xml/{name} belongs to no case; remove it");
    }
}

/// What a host lacks is refused by the field's name, and nothing else is.
#[test]
fn what_the_host_lacks_is_named() {
    let base = specs::base();
    let bare = HostProfile {
        uefi: false,
        secure_boot: false,
        tpm_emulator: false,
        cpu_maximum: false,
        video_models: vec!["cirrus".to_owned()],
        nested_flag: None,
        ..whole_host(Accelerator::Tcg)
    };
    let with = |change: &dyn Fn(&mut VmSpec)| {
        let mut spec = VmSpec { display: Display { kind: DisplayKind::None, ..Display::default() }, ..base.clone() };
        change(&mut spec);
        spec
    };
    let on_bus = |bus| Disk { bus: Some(bus), ..specs::disk("/d.qcow2") };
    let tpm = Tpm { enabled: Some(true), version: TpmVersion::V2_0, persistent: false };
    for (field, spec) in [
        ("spec.firmware", with(&|spec| spec.firmware = Some(Firmware::Uefi))),
        ("spec.firmware", with(&|spec| spec.firmware = Some(Firmware::UefiSecureBoot))),
        ("spec.tpm", with(&|spec| spec.tpm = Some(tpm.clone()))),
        ("spec.cpu.model", with(&|spec| spec.cpu.model = "max".to_owned())),
        ("spec.cpu.model", with(&|spec| spec.cpu.model = "host-passthrough".to_owned())),
        ("spec.cpu.model", with(&|spec| spec.cpu.model = "host-model".to_owned())),
        ("spec.cpu.cores", with(&|spec| spec.cpu.max_cores = 256)),
        ("spec.cpu.features.nested_virt", with(&|spec| spec.cpu.features.nested_virt = true)),
        ("spec.display.gpu", with(&|spec| spec.display = Display::default())),
        ("spec.display.type", with(&|spec| spec.display.kind = DisplayKind::Spice)),
        ("spec.disks[].bus", with(&|spec| spec.disks = vec![on_bus(DiskBus::Nvme)])),
        (
            "spec.disks[].bus",
            with(&|spec| {
                spec.disks = vec![on_bus(DiskBus::Ide)];
                spec.firmware = Some(Firmware::Uefi);
            }),
        ),
    ] {
        let definition = VmDefinition { spec, ..specs::case("refused", Accelerator::Tcg, base.clone()).definition() };
        match write_domain(&definition, &bare) {
            Err(HypervisorError::Unsupported(message)) => {
                assert!(message.starts_with(field), "{field} is not named first in: {message}");
            }
            other => panic!("{field}: {other:?}"),
        }
    }
    let plain = specs::case("plain", Accelerator::Tcg, with(&|_| {})).definition();
    assert!(write_domain(&plain, &bare).is_ok(), "a bare host runs a plain VM");
}
