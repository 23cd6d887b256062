//! What is looked at before a VM is made, by CreateVM itself and by its `validate_only`: one look,
//! so that the two can't disagree. Nothing is made, started or kept by it.
//!
//! Everything is looked at before anything is refused: each thing that stands in the way is a
//! [`Finding`] under its field, each other one a [`Check`] that passed or warns.
//!
//! ```text
//! request ──► rules of single values ──► node, name, room ──► devices (resolve) ──► render
//!               model::validate           this file             paths, pools, nets    libvirt's text
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hypervisor::{Accelerator, HostOffer, Hypervisor, HypervisorError};
use crate::model::access::{Privilege, Rights};
use crate::model::definition::{DefinitionText, NewVolume, VmDefinition};
use crate::model::id::VmId;
use crate::model::spec::{Firmware, GuestOsFamily, VmSpec};
use crate::model::units::{Mib, human_bytes};
use crate::model::validate;
use crate::model::vm::{Moment, Origin, PowerState, VmRecord};

use super::super::core::Core;
use super::super::error::{Finding, FindingKind, ServiceError};
use super::super::inventory::Vm;
use super::super::requests::{Caller, CreateVm};
use super::create::identity;
use super::quota::Use;
use super::resolve::{Devices, Host, hypervisor_name};
use super::{VmService, same_name};

/// A request with more of a kind is refused for that, and nobody waits for a look at each.
const DEVICES_LOOKED_AT: usize = 64;

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Path,
    Pool,
    Network,
    Memory,
    Cpu,
    Firmware,
    Tpm,
    Accelerator,
}

impl Subject {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Pool => "pool",
            Self::Network => "network",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Firmware => "firmware",
            Self::Tpm => "tpm",
            Self::Accelerator => "accelerator",
        }
    }
}

/// What came of a look that does not stand in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Passed,
    /// Worth knowing.
    Warning,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub subject: Subject,
    pub outcome: Outcome,
    /// Path in the request; empty: none in particular.
    pub field: String,
    /// A sentence.
    pub message: String,
    /// What to do about a warning; empty: nothing.
    pub remedy: String,
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub checks: Vec<Check>,
    pub findings: Vec<Finding>,
}

impl Report {
    pub fn passed(&mut self, subject: Subject, field: &str, message: impl Into<String>) {
        self.note(subject, Outcome::Passed, field, message.into(), String::new());
    }

    pub fn warn(&mut self, subject: Subject, field: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.note(subject, Outcome::Warning, field, message.into(), remedy.into());
    }

    fn note(&mut self, subject: Subject, outcome: Outcome, field: &str, message: String, remedy: String) {
        self.checks.push(Check { subject, outcome, field: field.to_owned(), message, remedy });
    }

    /// Something stands in the way. What is wrong with a field in itself is told alone: the rest
    /// would follow from it.
    pub fn stop(&mut self, field: &str, kind: FindingKind, description: impl Into<String>) {
        if !self.findings.iter().any(|found| found.field == field) {
            self.findings.push(Finding::new(field, kind, description));
        }
    }

    /// Whether something is wrong with a field of this beginning.
    pub fn is_wrong_below(&self, prefix: &str) -> bool {
        self.findings.iter().any(|found| found.field.starts_with(prefix))
    }

    /// What another part refused, under this field.
    fn stop_by(&mut self, field: &str, error: ServiceError) -> Result<(), ServiceError> {
        let message = error.to_string();
        let (field, kind, description) = match error {
            ServiceError::NotFound { what, id } => (field.to_owned(), FindingKind::NotFound { what, id }, message),
            ServiceError::AlreadyExists(message) => (field.to_owned(), FindingKind::AlreadyExists, message),
            ServiceError::Precondition { reason, subject, message } => {
                (field.to_owned(), FindingKind::Precondition { reason, subject }, message)
            }
            ServiceError::Unimplemented { field, message } => (field, FindingKind::Unimplemented, message),
            ServiceError::Exhausted(message) => (field.to_owned(), FindingKind::Exhausted, message),
            error @ (ServiceError::Invalid(_)
            | ServiceError::Several(_)
            | ServiceError::Busy { .. }
            | ServiceError::Stale(_)
            | ServiceError::Unauthenticated(_)
            | ServiceError::Denied(_)
            | ServiceError::Unavailable(_)
            | ServiceError::DeadlineExceeded(_)
            | ServiceError::Cancelled(_)
            | ServiceError::Internal(_)) => return Err(error),
        };
        self.stop(&field, kind, description);
        Ok(())
    }
}

/// A VM that can be made: its record with the definition as it would be, and what else there is to
/// make.
#[derive(Debug)]
pub(super) struct Preflight {
    pub record: VmRecord,
    pub volumes: Vec<NewVolume>,
    pub checks: Vec<Check>,
    /// Pools that must be made or started first; what is in them was not looked at.
    pub waiting: Vec<String>,
}

impl VmService {
    /// Look at everything that a creation needs.
    ///
    /// # Errors
    /// Everything that stands in its way, at once; `Unavailable` while libvirt is.
    pub(super) async fn preflight(&self, wanted: &CreateVm, caller: &Caller) -> Result<Preflight, ServiceError> {
        let mut report = Report::default();
        let violations = validate::vm_create(&wanted.name, &wanted.description, &wanted.labels, &wanted.spec);
        report.findings.extend(violations.into_iter().map(Finding::from));
        if let Err(error) = self.ready() {
            return Err(if report.findings.is_empty() { error } else { ServiceError::several(report.findings) });
        }
        if wanted.deletion_protection.is_on() && !caller.rights.has(Privilege::VmProtect) {
            report.stop("deletion_protection", FindingKind::Denied, "only the role admin may set or clear it");
        }
        if let Err(error) = self.placed(wanted.node_id).and_then(|node| self.nodes.ensure_schedulable(node)) {
            report.stop_by("node_id", error)?;
        }
        if let Some(other) = same_name(&self.core.inventory.picture(), wanted.project_id, &wanted.name, None) {
            let taken = format!("the project has a VM named \"{}\" already: {other}", wanted.name);
            report.stop("name", FindingKind::AlreadyExists, taken);
        }
        for over in self.over_quota(caller, None, Use::default(), Use::of_new(&wanted.spec)) {
            report.stop(&over.field, over.kind, over.description);
        }
        self.room_for(wanted, &mut report)?;
        let core = Arc::clone(&self.core);
        let (asked, caller, bridges) = (wanted.clone(), caller.clone(), self.nodes.bridges());
        self.core.host(move || look(&core, asked, &caller, bridges, report)).await?
    }

    /// Look at what a VM needs to boot, where a start of it would boot.
    ///
    /// # Errors
    /// `Precondition`, naming each file and network and what to do about it.
    pub(super) async fn ensure_startable(&self, id: VmId) -> Result<(), ServiceError> {
        if self.boots(id)? {
            let (core, vm) = (Arc::clone(&self.core), self.get(id)?);
            self.core.host(move || startable(&core, &vm)).await??;
        }
        Ok(())
    }

    /// vCPUs and memory, each for itself: they are two fields of a form.
    fn room_for(&self, wanted: &CreateVm, report: &mut Report) -> Result<(), ServiceError> {
        let spec = &wanted.spec;
        let mut memory = VmSpec::default();
        memory.memory.size = spec.memory.size;
        let mut cpu = VmSpec::default();
        cpu.cpu.cores = spec.cpu.cores;
        for (subject, field, part) in
            [(Subject::Cpu, "spec.cpu.cores", &cpu), (Subject::Memory, "spec.memory.size_mib", &memory)]
        {
            match self.nodes.admit(part) {
                Ok(()) => {}
                Err(ServiceError::Exhausted(why)) if !wanted.start_on_create => report.warn(
                    subject,
                    field,
                    format!("it could not be started now: {why}"),
                    "ask for less, or make room before it is started",
                ),
                Err(error) => report.stop_by(field, error)?,
            }
        }
        let room = self.nodes.room()?;
        let free = Mib(room.memory_free_bytes >> 20);
        if spec.memory.size <= free {
            let told = format!("{} of {} that are not promised to running VMs", human(spec.memory.size), human(free));
            report.passed(Subject::Memory, "spec.memory.size_mib", told);
        }
        if room.threads > 0 && spec.cpu.cores > room.threads {
            report.warn(
                Subject::Cpu,
                "spec.cpu.cores",
                format!(
                    "{} vCPUs are more than the {} threads of this host: they will wait for one another",
                    spec.cpu.cores, room.threads
                ),
                format!("ask for {} or less", room.threads),
            );
        }
        Ok(())
    }
}

/// Whether everything is there that a VM needs to boot. Blocks.
fn startable(core: &Core, vm: &Vm) -> Result<(), ServiceError> {
    let mut report = Report::default();
    let host = Host::of(core, core.hypervisor.offer()?, Vec::new(), Rights::WHOLE);
    Devices::new(&host, &mut report, true).startable(&core.inventory.spec(vm))?;
    if report.findings.is_empty() {
        return Ok(());
    }
    let told = ServiceError::Several(report.findings);
    Err(ServiceError::Precondition {
        reason: "NOT_STARTABLE",
        subject: vm.record.id.to_string(),
        message: format!("VM \"{}\" cannot start: {told}", vm.record.name),
    })
}

fn human(size: Mib) -> String {
    human_bytes(size.bytes())
}

/// The part that asks libvirt and the file system. Blocks.
fn look(
    core: &Core,
    wanted: CreateVm,
    caller: &Caller,
    bridges: Vec<String>,
    mut report: Report,
) -> Result<Preflight, ServiceError> {
    let hypervisor = core.hypervisor.as_ref();
    let offer = hypervisor.offer()?;
    let id = VmId::random();
    offered(&offer, &wanted.spec, &mut report);
    let host = Host::of(core, Arc::clone(&offer), bridges, caller.rights);
    let mut spec = wanted.spec.clone();
    let is_sane =
        [spec.disks.len(), spec.cdroms.len(), spec.nics.len()].iter().all(|count| *count <= DEVICES_LOOKED_AT);
    if is_sane {
        // First: of what may not be named nothing else is told.
        for found in host.naming.findings(&spec, None)? {
            report.stop(&found.field, found.kind, found.description);
        }
    }
    let mut devices = Devices::new(&host, &mut report, wanted.start_on_create);
    if is_sane {
        devices.resolve(id, &wanted.name, &mut spec)?;
    }
    let Devices { volumes, waiting, .. } = devices;
    let mut record = record(core, wanted, &caller.user, id, &spec, &volumes);
    if report.findings.is_empty() {
        let definition =
            VmDefinition { id, hypervisor_name: record.hypervisor_name.clone(), identity: identity(&record), spec };
        match render(hypervisor, &definition)? {
            Ok(text) => record.definition = text,
            Err(finding) => report.findings.push(finding),
        }
    }
    if report.findings.is_empty() {
        Ok(Preflight { record, volumes, checks: report.checks, waiting: waiting.into_iter().collect() })
    } else {
        Err(ServiceError::several(report.findings))
    }
}

/// What the host gives guests: firmware, TPM, CPU, the accelerator.
fn offered(offer: &HostOffer, spec: &VmSpec, report: &mut Report) {
    match spec.firmware {
        None | Some(Firmware::Bios) => {}
        Some(Firmware::Uefi | Firmware::UefiSecureBoot) if !offer.uefi => report.stop(
            "spec.firmware",
            FindingKind::Unimplemented,
            "this host has no UEFI firmware; install the package ovmf",
        ),
        Some(Firmware::UefiSecureBoot) if !offer.secure_boot => report.stop(
            "spec.firmware",
            FindingKind::Unimplemented,
            "this host's UEFI firmware has no Secure Boot; install the package ovmf",
        ),
        Some(Firmware::Uefi) => report.passed(Subject::Firmware, "spec.firmware", "UEFI firmware is installed"),
        Some(Firmware::UefiSecureBoot) => {
            report.passed(Subject::Firmware, "spec.firmware", "UEFI firmware with Secure Boot is installed");
        }
    }
    let tpm = spec.tpm.as_ref().map(|tpm| tpm.enabled != Some(false));
    match (tpm, offer.tpm_emulator) {
        (Some(true), true) => report.passed(Subject::Tpm, "spec.tpm", "a TPM emulator is installed"),
        (Some(true), false) => report.stop(
            "spec.tpm",
            FindingKind::Unimplemented,
            "this host has no TPM emulator; install the package swtpm and restart libvirtd",
        ),
        (None, false) if spec.guest_os.family == GuestOsFamily::WindowsDesktop => report.warn(
            Subject::Tpm,
            "spec.tpm",
            "this host has no TPM emulator, and Windows 11 does not install without a TPM",
            "install the package swtpm and restart libvirtd",
        ),
        (Some(false) | None, _) => {}
    }
    cpu(offer, spec, report);
    match offer.accelerator {
        Some(Accelerator::Kvm) => report.passed(Subject::Accelerator, "", "the guest runs under KVM"),
        Some(Accelerator::Tcg) | None if offer.runs_guests() => report.warn(
            Subject::Accelerator,
            "",
            "this host emulates guests in software (TCG): they are many times slower than under KVM",
            "run quantixkvm check, which says why there is no KVM and what to do about it",
        ),
        Some(Accelerator::Tcg) | None => {}
    }
}

fn cpu(offer: &HostOffer, spec: &VmSpec, report: &mut Report) {
    let cores = spec.cpu.max_cores.max(spec.cpu.cores);
    if offer.max_vcpus > 0 && cores > offer.max_vcpus {
        report.stop(
            if spec.cpu.cores > offer.max_vcpus { "spec.cpu.cores" } else { "spec.cpu.max_cores" },
            FindingKind::Unimplemented,
            format!("this host's machines have {} vCPUs at most; {cores} were asked for", offer.max_vcpus),
        );
    }
    let model = spec.cpu.model.as_str();
    match model {
        // What these need is the writer's to say.
        "" | "host-passthrough" | "host-model" | "max" | "maximum" => {}
        _ if offer.cpu_models.is_empty() => {}
        _ if offer.cpu_models.iter().any(|offered| offered == model) => {
            report.passed(Subject::Cpu, "spec.cpu.model", format!("this host can give a guest the CPU \"{model}\""));
        }
        _ => report.stop(
            "spec.cpu.model",
            FindingKind::Unimplemented,
            format!("this host cannot give a guest the CPU \"{model}\"; it can: {}", offer.cpu_models.join(", ")),
        ),
    }
}

/// The definition's text, or what this host does not offer for it.
fn render(
    hypervisor: &dyn Hypervisor,
    definition: &VmDefinition,
) -> Result<Result<DefinitionText, Finding>, ServiceError> {
    let (kind, why) = match hypervisor.render(definition) {
        Ok(text) => return Ok(Ok(text)),
        Err(HypervisorError::Unsupported(why)) => (FindingKind::Unimplemented, why),
        Err(HypervisorError::Refused(why)) => (FindingKind::Invalid, why),
        Err(error) => return Err(error.into()),
    };
    // The writer names the field where it knows it.
    Ok(Err(match why.split_once(": ") {
        Some((field, why)) if field.starts_with("spec") && !field.contains(' ') => Finding::new(field, kind, why),
        Some(_) | None => Finding::new("spec", kind, why),
    }))
}

/// The record that a creation would begin with.
fn record(core: &Core, wanted: CreateVm, user: &str, id: VmId, spec: &VmSpec, volumes: &[NewVolume]) -> VmRecord {
    let now = Moment::now();
    let disk_sizes: BTreeMap<String, u64> =
        spec.disks.iter().filter(|disk| disk.size.0 > 0).map(|disk| (disk.path.clone(), disk.size.bytes())).collect();
    VmRecord {
        id,
        hypervisor_name: hypervisor_name(&core.inventory.picture(), id, &wanted.name),
        name: wanted.name,
        project_id: wanted.project_id,
        node_id: core.node_id,
        labels: wanted.labels,
        description: wanted.description,
        origin: Origin::ControlPlane,
        created_by: user.to_owned(),
        created_at: now,
        updated_at: now,
        generation: 1,
        start_order: None,
        start_delay_sec: None,
        deletion_protection: wanted.deletion_protection,
        guest_os: spec.guest_os.clone(),
        owned_volumes: volumes.iter().map(|volume| volume.at.clone()).collect(),
        disk_sizes,
        definition: DefinitionText::default(),
        state: PowerState::Provisioning,
        state_changed_at: now,
        last_seen_at: now,
        error_message: String::new(),
        lost_reason: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::{Tpm, TpmVersion};

    /// A host that has everything.
    fn whole() -> HostOffer {
        HostOffer {
            hypervisor: "QEMU".to_owned(),
            accelerator: Some(Accelerator::Kvm),
            uefi: true,
            secure_boot: true,
            tpm_emulator: true,
            cpu_models: vec!["EPYC".to_owned(), "qemu64".to_owned()],
            max_vcpus: 288,
            ..HostOffer::default()
        }
    }

    fn look(change: impl Fn(&mut HostOffer), ask: impl Fn(&mut VmSpec)) -> Report {
        let (mut offer, mut spec, mut report) = (whole(), VmSpec::default(), Report::default());
        spec.cpu.cores = 1;
        change(&mut offer);
        ask(&mut spec);
        offered(&offer, &spec, &mut report);
        report
    }

    #[test]
    fn what_a_host_lacks_is_named_under_its_field() {
        let tpm = |spec: &mut VmSpec| {
            spec.tpm = Some(Tpm { enabled: None, version: TpmVersion::V2_0, persistent: false });
        };
        let secure = |spec: &mut VmSpec| spec.firmware = Some(Firmware::UefiSecureBoot);
        type Change = fn(&mut HostOffer);
        type Ask = Box<dyn Fn(&mut VmSpec)>;
        let rows: [(Change, Ask, &str); 6] = [
            (|offer| offer.uefi = false, Box::new(|spec| spec.firmware = Some(Firmware::Uefi)), "spec.firmware"),
            (|offer| offer.secure_boot = false, Box::new(secure), "spec.firmware"),
            (|offer| offer.tpm_emulator = false, Box::new(tpm), "spec.tpm"),
            (|_| {}, Box::new(|spec| spec.cpu.model = "Abacus".to_owned()), "spec.cpu.model"),
            (|offer| offer.max_vcpus = 8, Box::new(|spec| spec.cpu.cores = 9), "spec.cpu.cores"),
            (|offer| offer.max_vcpus = 8, Box::new(|spec| spec.cpu.max_cores = 9), "spec.cpu.max_cores"),
        ];
        for (change, ask, field) in rows {
            let fields: Vec<String> = look(change, &ask).findings.into_iter().map(|found| found.field).collect();
            assert_eq!(fields, [field]);
            // Where the host has it, nothing is in the way; only its sizes stay what they are.
            let has = look(|offer| offer.max_vcpus = 288, &ask).findings;
            assert_eq!(has.is_empty(), field != "spec.cpu.model", "{field}: {has:?}");
        }
        for model in ["", "host-passthrough", "max", "EPYC"] {
            assert!(look(|_| {}, |spec| spec.cpu.model = model.to_owned()).findings.is_empty(), "{model}");
        }
    }

    #[test]
    fn what_is_worth_knowing_warns_and_stops_nothing() {
        let warned = |report: Report| {
            assert!(report.findings.is_empty(), "{report:?}");
            let warnings = report.checks.into_iter().filter(|check| check.outcome == Outcome::Warning);
            warnings.map(|check| check.subject).collect::<Vec<_>>()
        };
        assert_eq!(warned(look(|_| {}, |_| {})), []);
        let emulated = |offer: &mut HostOffer| offer.accelerator = Some(Accelerator::Tcg);
        assert_eq!(warned(look(emulated, |_| {})), [Subject::Accelerator]);
        // The demo runs no guest: nothing about it is slow.
        let demo = |offer: &mut HostOffer| {
            emulated(offer);
            offer.hypervisor = "TEST".to_owned();
        };
        assert_eq!(warned(look(demo, |_| {})), []);
        let windows = |spec: &mut VmSpec| spec.guest_os.family = GuestOsFamily::WindowsDesktop;
        assert_eq!(warned(look(|offer| offer.tpm_emulator = false, windows)), [Subject::Tpm]);
    }

    #[test]
    fn one_field_is_told_of_once_and_what_is_no_finding_is_given_back() {
        let mut report = Report::default();
        report.stop("name", FindingKind::Invalid, "is required");
        report.stop("name", FindingKind::AlreadyExists, "is taken");
        report.stop_by("node_id", ServiceError::no_node("x")).expect("a finding");
        assert_eq!(report.findings.len(), 2, "{report:?}");
        assert_eq!(report.findings[1].kind, FindingKind::NotFound { what: "Node", id: "x".to_owned() });
        let away = ServiceError::Unavailable("libvirt is away".to_owned());
        assert_eq!(report.stop_by("node_id", away.clone()), Err(away));
        assert!(report.is_wrong_below("na") && !report.is_wrong_below("spec."));
    }
}
