//! Conditions of a node: facts that an administrator should know, each with its cure. Judged from
//! what was just seen, kept in memory only; nothing here looks at anything itself.

use crate::hypervisor::{Accelerator, HostOffer, NetworkInfo};
use crate::model::definition::PoolFacts;
use crate::model::event::Severity;
use crate::model::node::{Condition, ConditionKind, ConditionStatus, NodeLoad};
use crate::model::units::human_bytes;
use crate::model::vm::Moment;

/// Below this share of the host's memory available, in percent, it is under pressure.
const MEMORY_PRESSURE_PERCENT: u64 = 5;
/// Below this much available it is under pressure, however big it is.
const MEMORY_PRESSURE_BYTES: u64 = 512 << 20;
/// Above this share used, in percent, a file system is under pressure.
const DISK_PRESSURE_PERCENT: u128 = 95;
/// One is made an hour: beyond this age of the newest, in seconds, something stands in the way.
const BACKUP_OLD_SECONDS: u64 = 2 * 3600;
/// Name of libvirt's hypervisor type when its test driver serves the demo.
const TEST_DRIVER: &str = "TEST";

/// Whether this process can use `/dev/kvm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvmDevice {
    Usable,
    /// There, but this user may not open it; the operating system's words.
    Closed(String),
    Absent,
}

/// Use of a file system that VMs or our state depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// What of ours lies on it, for people: `pool "default"`, `the data directory /var/lib/…`.
    pub what: String,
    /// Device number, by which two paths on one file system are known; 0: unknown.
    pub device: u64,
    pub used_bytes: u64,
    pub total_bytes: u64,
}

/// What was seen of this host.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The connection, with why it is down.
    pub libvirt: Result<(), String>,
    /// Whether the store takes writes, with why not.
    pub store: Result<(), String>,
    pub offer: Option<HostOffer>,
    pub kvm_device: KvmDevice,
    pub load: NodeLoad,
    pub filesystems: Vec<Filesystem>,
    /// `None`: libvirt did not say.
    pub pools: Option<Vec<PoolFacts>>,
    /// `None`: libvirt did not say.
    pub networks: Option<Vec<NetworkInfo>>,
    /// Bridges of the host.
    pub bridges: Vec<String>,
    pub backup: BackupEvidence,
}

/// What is known of the state's backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupEvidence {
    /// The state lives in memory, as the demo's does.
    NotKept,
    Kept {
        /// `None`: there is none.
        age_seconds: Option<u64>,
        /// Why the last attempt failed.
        failure: Option<String>,
    },
}

/// A condition without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub kind: ConditionKind,
    pub status: ConditionStatus,
    pub reason: &'static str,
    pub message: String,
}

fn verdict(kind: ConditionKind, status: ConditionStatus, reason: &'static str, message: impl Into<String>) -> Verdict {
    Verdict { kind, status, reason, message: message.into() }
}

/// Every condition of this host.
#[must_use]
pub fn judge(seen: &Evidence) -> Vec<Verdict> {
    vec![
        ready(seen),
        kvm(seen),
        memory_pressure(&seen.load),
        disk_pressure(&seen.filesystems),
        storage_pool(seen),
        network(seen),
        backup(&seen.backup),
    ]
}

fn ready(seen: &Evidence) -> Verdict {
    let kind = ConditionKind::Ready;
    match (&seen.store, &seen.libvirt) {
        (Err(why), _) => verdict(
            kind,
            ConditionStatus::False,
            "StoreReadOnly",
            format!(
                "the state file takes no writes ({why}); look at the disk under the data directory, then restart the service"
            ),
        ),
        (Ok(()), Err(why)) => verdict(
            kind,
            ConditionStatus::False,
            "LibvirtUnreachable",
            format!("{why}; see whether it runs: systemctl status libvirtd"),
        ),
        (Ok(()), Ok(())) => {
            verdict(kind, ConditionStatus::True, "Connected", "libvirt answers and the state file takes writes")
        }
    }
}

fn kvm(seen: &Evidence) -> Verdict {
    let kind = ConditionKind::KvmAvailable;
    let Some(offer) = &seen.offer else {
        return verdict(
            kind,
            ConditionStatus::Unknown,
            "LibvirtUnreachable",
            "libvirt has not said yet whether it offers KVM",
        );
    };
    if offer.hypervisor.eq_ignore_ascii_case(TEST_DRIVER) {
        return verdict(
            kind,
            ConditionStatus::Unknown,
            "TestDriver",
            "libvirt's test driver keeps VMs in memory and runs no guest, so KVM is not needed; run without --demo for real VMs",
        );
    }
    // Libvirt may have a KVM that this process cannot open: it is libvirt's that counts.
    match (offer.kvm, offer.accelerator, &seen.kvm_device) {
        (true, Some(Accelerator::Kvm) | None, _) => {
            verdict(kind, ConditionStatus::True, "Offered", "libvirt offers KVM, and new VMs use it")
        }
        (true, Some(Accelerator::Tcg), _) => verdict(
            kind,
            ConditionStatus::False,
            "TurnedOff",
            "libvirt offers KVM, but the configuration asks for accelerator \"tcg\": VMs run in software, many times slower; set it to \"auto\" and restart",
        ),
        (false, _, KvmDevice::Absent) => verdict(
            kind,
            ConditionStatus::False,
            "NoDevice",
            "there is no /dev/kvm, so VMs run in software (TCG), many times slower; switch on VT-x or AMD-V in the firmware, load kvm_intel or kvm_amd, or, inside a VM, turn on nested virtualisation",
        ),
        (false, _, KvmDevice::Closed(why)) => verdict(
            kind,
            ConditionStatus::False,
            "DeviceClosed",
            format!(
                "/dev/kvm exists but cannot be opened ({why}), so VMs run in software (TCG), many times slower; add libvirt's QEMU user to the group kvm"
            ),
        ),
        (false, _, KvmDevice::Usable) => verdict(
            kind,
            ConditionStatus::False,
            "NotOffered",
            "/dev/kvm exists, but libvirt does not offer KVM, so VMs run in software (TCG), many times slower; install QEMU's package for this architecture and restart libvirtd",
        ),
    }
}

/// Whether little memory is left; also of other nodes, by what they reported.
#[must_use]
pub fn memory_pressure(load: &NodeLoad) -> Verdict {
    let kind = ConditionKind::MemoryPressure;
    let (available, total) = (load.memory_available_bytes, load.memory_total_bytes);
    if total == 0 {
        return verdict(kind, ConditionStatus::Unknown, "NotMeasured", "memory has not been measured yet");
    }
    let bound = (total / 100 * MEMORY_PRESSURE_PERCENT).max(MEMORY_PRESSURE_BYTES).min(total);
    if available < bound {
        verdict(
            kind,
            ConditionStatus::True,
            "MemoryLow",
            format!(
                "{} of {} is available, less than {}: guests may be killed; stop or shrink VMs, or add memory",
                coarse(available),
                human_bytes(total),
                human_bytes(bound)
            ),
        )
    } else {
        verdict(kind, ConditionStatus::False, "MemoryEnough", "enough memory is available")
    }
}

/// A size that does not change with every measurement: in steps of 64 MiB.
fn coarse(bytes: u64) -> String {
    const STEP: u64 = 64 << 20;
    match bytes / STEP * STEP {
        0 => format!("less than {}", human_bytes(STEP)),
        rounded => human_bytes(rounded),
    }
}

/// Whether a file system is nearly full; also of other nodes, by what they reported.
#[must_use]
pub fn disk_pressure(filesystems: &[Filesystem]) -> Verdict {
    let kind = ConditionKind::DiskPressure;
    let known: Vec<&Filesystem> = filesystems.iter().filter(|fs| fs.total_bytes > 0).collect();
    if known.is_empty() {
        return verdict(kind, ConditionStatus::Unknown, "NotMeasured", "storage has not been measured yet");
    }
    let full: Vec<String> = known
        .iter()
        .filter(|fs| u128::from(fs.used_bytes) * 100 > u128::from(fs.total_bytes) * DISK_PRESSURE_PERCENT)
        .map(|fs| {
            format!("{} ({} of {} used)", fs.what, percent(fs.used_bytes, fs.total_bytes), human_bytes(fs.total_bytes))
        })
        .collect();
    if full.is_empty() {
        verdict(kind, ConditionStatus::False, "SpaceEnough", "enough space is left")
    } else {
        verdict(
            kind,
            ConditionStatus::True,
            "SpaceLow",
            format!(
                "nearly full: {}; a guest whose disk cannot grow is paused: delete what is not needed, or add space",
                full.join(", ")
            ),
        )
    }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{} %", u128::from(part) * 100 / u128::from(whole.max(1)))
}

fn storage_pool(seen: &Evidence) -> Verdict {
    let kind = ConditionKind::StoragePoolReady;
    let Some(pools) = &seen.pools else {
        return verdict(
            kind,
            ConditionStatus::Unknown,
            "LibvirtUnreachable",
            "libvirt has not said which storage pools there are",
        );
    };
    match pools.iter().find(|pool| pool.name == "default") {
        Some(pool) if pool.active => {
            verdict(kind, ConditionStatus::True, "Active", "storage pool \"default\" is active")
        }
        Some(_) => verdict(
            kind,
            ConditionStatus::True,
            "StartedOnUse",
            "storage pool \"default\" is not active; it is started when a disk is first made in it",
        ),
        None => verdict(
            kind,
            ConditionStatus::True,
            "MadeOnUse",
            "there is no storage pool \"default\" yet; it is made when a disk is first made in it",
        ),
    }
}

fn network(seen: &Evidence) -> Verdict {
    let kind = ConditionKind::NetworkReady;
    if let Some(network) = seen.networks.as_ref().and_then(|all| all.iter().find(|network| network.name == "default"))
        && network.active
    {
        return verdict(kind, ConditionStatus::True, "Active", "network \"default\" is active");
    }
    if let Some(other) = seen.networks.as_ref().and_then(|all| all.iter().find(|network| network.active)) {
        return verdict(
            kind,
            ConditionStatus::True,
            "OtherNetwork",
            format!(
                "network \"{}\" is active; network \"default\", which a network card without a network gets, is not",
                other.name
            ),
        );
    }
    if let [first, ..] = seen.bridges.as_slice() {
        return verdict(
            kind,
            ConditionStatus::True,
            "BridgeOnly",
            format!("no libvirt network is active; network cards can be put on bridge {first}"),
        );
    }
    match &seen.networks {
        None => verdict(
            kind,
            ConditionStatus::Unknown,
            "LibvirtUnreachable",
            "libvirt has not said which networks there are",
        ),
        Some(all) if all.iter().any(|network| network.name == "default") => verdict(
            kind,
            ConditionStatus::False,
            "Inactive",
            "network \"default\" is not active; start it: virsh net-start default && virsh net-autostart default",
        ),
        Some(_) => verdict(
            kind,
            ConditionStatus::False,
            "NoNetwork",
            "there is no libvirt network and no bridge for VMs; define one: virsh net-define /usr/share/libvirt/networks/default.xml && virsh net-start default && virsh net-autostart default",
        ),
    }
}

fn backup(seen: &BackupEvidence) -> Verdict {
    let kind = ConditionKind::BackupFresh;
    match seen {
        BackupEvidence::NotKept => verdict(
            kind,
            ConditionStatus::Unknown,
            "NothingKept",
            "the state lives in memory and is gone with the process; nothing is backed up",
        ),
        BackupEvidence::Kept { failure: Some(why), .. } => verdict(
            kind,
            ConditionStatus::False,
            "BackupFailed",
            format!("the state could not be backed up ({why}); mend that, then try it: quantixkvm backup"),
        ),
        BackupEvidence::Kept { age_seconds: None, failure: None } => {
            verdict(kind, ConditionStatus::Unknown, "NoneYet", "the first backup of the state is about to be made")
        }
        BackupEvidence::Kept { age_seconds: Some(age), failure: None } if *age > BACKUP_OLD_SECONDS => verdict(
            kind,
            ConditionStatus::False,
            "BackupOld",
            "the newest backup of the state is more than two hours old; make one and see what stands in the way: quantixkvm backup",
        ),
        BackupEvidence::Kept { age_seconds: Some(_), failure: None } => {
            verdict(kind, ConditionStatus::True, "Fresh", "the state was backed up within the last two hours")
        }
    }
}

/// Whether a condition is as one would wish.
fn is_bad(kind: ConditionKind, status: ConditionStatus) -> bool {
    match (kind, status) {
        (_, ConditionStatus::Unknown) => false,
        (ConditionKind::MemoryPressure | ConditionKind::DiskPressure, status) => status == ConditionStatus::True,
        (
            ConditionKind::Ready
            | ConditionKind::KvmAvailable
            | ConditionKind::StoragePoolReady
            | ConditionKind::NetworkReady
            | ConditionKind::BackupFresh,
            status,
        ) => status == ConditionStatus::False,
    }
}

/// A condition that turned bad, or good again, for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub kind: ConditionKind,
    pub severity: Severity,
    pub message: String,
}

/// The conditions as they are now, each with the time at which its status changed last, and those
/// that turned.
#[must_use]
pub fn merge(before: &[Condition], verdicts: Vec<Verdict>, now: Moment) -> (Vec<Condition>, Vec<Turn>) {
    let mut turns = Vec::new();
    let merged = verdicts
        .into_iter()
        .map(|verdict| {
            let known = before.iter().find(|condition| condition.kind == verdict.kind);
            let was_bad = known.is_some_and(|condition| is_bad(condition.kind, condition.status));
            let bad = is_bad(verdict.kind, verdict.status);
            if bad != was_bad {
                turns.push(Turn {
                    kind: verdict.kind,
                    severity: if bad { Severity::Warning } else { Severity::Info },
                    message: verdict.message.clone(),
                });
            }
            let last_transition = match known {
                Some(condition) if condition.status == verdict.status => condition.last_transition,
                Some(_) | None => now,
            };
            Condition {
                kind: verdict.kind,
                status: verdict.status,
                last_transition,
                reason: verdict.reason.to_owned(),
                message: verdict.message,
            }
        })
        .collect();
    (merged, turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Evidence {
        Evidence {
            libvirt: Ok(()),
            store: Ok(()),
            offer: Some(HostOffer {
                hypervisor: "QEMU".to_owned(),
                kvm: true,
                accelerator: Some(Accelerator::Kvm),
                ..HostOffer::default()
            }),
            kvm_device: KvmDevice::Usable,
            load: NodeLoad { memory_total_bytes: 16 << 30, memory_available_bytes: 8 << 30, ..NodeLoad::default() },
            filesystems: vec![filesystem(50)],
            pools: Some(vec![pool(true)]),
            networks: Some(vec![NetworkInfo {
                id: uuid::Uuid::nil(),
                name: "default".to_owned(),
                active: true,
                bridge: None,
            }]),
            bridges: Vec::new(),
            backup: BackupEvidence::Kept { age_seconds: Some(60), failure: None },
        }
    }

    fn filesystem(used: u64) -> Filesystem {
        Filesystem { what: "pool \"default\"".to_owned(), device: 1, used_bytes: used << 30, total_bytes: 100 << 30 }
    }

    fn pool(active: bool) -> PoolFacts {
        PoolFacts {
            id: uuid::Uuid::nil(),
            path: String::new(),
            name: "default".to_owned(),
            active,
            kind: crate::model::definition::PoolKind::Files,
            capacity_bytes: 100,
            allocation_bytes: 0,
            available_bytes: 100,
        }
    }

    fn status(seen: &Evidence, kind: ConditionKind) -> (ConditionStatus, &'static str) {
        let all = judge(seen);
        assert_eq!(all.len(), 7, "every condition is judged");
        let found = all.iter().find(|verdict| verdict.kind == kind).expect("every kind is judged");
        assert!(!found.message.is_empty());
        (found.status, found.reason)
    }

    #[test]
    fn a_healthy_host_has_nothing_to_tell() {
        assert!(judge(&healthy()).iter().all(|verdict| !is_bad(verdict.kind, verdict.status)));
        assert!(judge(&healthy()).iter().all(|verdict| verdict.status != ConditionStatus::Unknown));
    }

    #[test]
    fn each_condition_follows_its_cause() {
        use ConditionKind as K;
        use ConditionStatus as S;
        type Row = (K, fn(&mut Evidence), S, &'static str);
        let rows: [Row; 24] = [
            (
                K::Ready,
                |e| e.libvirt = Err("libvirt cannot be reached: refused".to_owned()),
                S::False,
                "LibvirtUnreachable",
            ),
            (K::Ready, |e| e.store = Err("disk full".to_owned()), S::False, "StoreReadOnly"),
            (K::KvmAvailable, |e| e.offer = None, S::Unknown, "LibvirtUnreachable"),
            (K::KvmAvailable, |e| offer(e).hypervisor = "TEST".to_owned(), S::Unknown, "TestDriver"),
            (K::KvmAvailable, |e| offer(e).accelerator = Some(Accelerator::Tcg), S::False, "TurnedOff"),
            (
                K::KvmAvailable,
                |e| {
                    offer(e).kvm = false;
                    e.kvm_device = KvmDevice::Absent;
                },
                S::False,
                "NoDevice",
            ),
            (
                K::KvmAvailable,
                |e| {
                    offer(e).kvm = false;
                    e.kvm_device = KvmDevice::Closed("denied".to_owned());
                },
                S::False,
                "DeviceClosed",
            ),
            (K::KvmAvailable, |e| offer(e).kvm = false, S::False, "NotOffered"),
            // This process need not open it: libvirt's QEMU does.
            (K::KvmAvailable, |e| e.kvm_device = KvmDevice::Closed("denied".to_owned()), S::True, "Offered"),
            (K::MemoryPressure, |e| e.load.memory_available_bytes = 700 << 20, S::True, "MemoryLow"),
            (K::MemoryPressure, |e| e.load.memory_available_bytes = 900 << 20, S::False, "MemoryEnough"),
            (
                K::MemoryPressure,
                |e| {
                    e.load.memory_total_bytes = 2 << 30;
                    e.load.memory_available_bytes = 500 << 20;
                },
                S::True,
                "MemoryLow",
            ),
            (K::MemoryPressure, |e| e.load = NodeLoad::default(), S::Unknown, "NotMeasured"),
            (K::DiskPressure, |e| e.filesystems.push(filesystem(96)), S::True, "SpaceLow"),
            (K::DiskPressure, |e| e.filesystems.clear(), S::Unknown, "NotMeasured"),
            (K::StoragePoolReady, |e| e.pools = Some(vec![pool(false)]), S::True, "StartedOnUse"),
            (K::StoragePoolReady, |e| e.pools = None, S::Unknown, "LibvirtUnreachable"),
            (K::NetworkReady, |e| networks(e)[0].active = false, S::False, "Inactive"),
            (K::NetworkReady, |e| networks(e).clear(), S::False, "NoNetwork"),
            (
                K::NetworkReady,
                |e| {
                    networks(e).clear();
                    e.bridges.push("br0".to_owned());
                },
                S::True,
                "BridgeOnly",
            ),
            (K::BackupFresh, |e| e.backup = BackupEvidence::NotKept, S::Unknown, "NothingKept"),
            (K::BackupFresh, |e| e.backup = kept(None, None), S::Unknown, "NoneYet"),
            (K::BackupFresh, |e| e.backup = kept(Some(7201), None), S::False, "BackupOld"),
            (K::BackupFresh, |e| e.backup = kept(Some(60), Some("no room")), S::False, "BackupFailed"),
        ];
        for (index, (kind, change, expected, reason)) in rows.into_iter().enumerate() {
            let mut seen = healthy();
            change(&mut seen);
            assert_eq!(status(&seen, kind), (expected, reason), "row {index}");
        }
    }

    fn kept(age_seconds: Option<u64>, failure: Option<&str>) -> BackupEvidence {
        BackupEvidence::Kept { age_seconds, failure: failure.map(str::to_owned) }
    }

    fn offer(seen: &mut Evidence) -> &mut HostOffer {
        seen.offer.as_mut().expect("the healthy host has one")
    }

    fn networks(seen: &mut Evidence) -> &mut Vec<NetworkInfo> {
        seen.networks.as_mut().expect("the healthy host has them")
    }

    #[test]
    fn a_transition_keeps_its_time_and_is_told_once() {
        let mut seen = healthy();
        let (first, turns) = merge(&[], judge(&seen), Moment(1));
        assert_eq!(turns, []);
        seen.load.memory_available_bytes = 1 << 20;
        let (second, turns) = merge(&first, judge(&seen), Moment(2));
        assert_eq!(turns.len(), 1);
        assert_eq!((turns[0].kind, turns[0].severity), (ConditionKind::MemoryPressure, Severity::Warning));
        let at = |all: &[Condition], kind| all.iter().find(|c| c.kind == kind).map(|c| c.last_transition);
        assert_eq!(at(&second, ConditionKind::MemoryPressure), Some(Moment(2)));
        assert_eq!(at(&second, ConditionKind::Ready), Some(Moment(1)));
        let (third, turns) = merge(&second, judge(&seen), Moment(3));
        assert_eq!((third, turns), (second.clone(), Vec::new()));
        let (_, turns) = merge(&second, judge(&healthy()), Moment(4));
        assert_eq!(turns.iter().map(|turn| turn.severity).collect::<Vec<_>>(), [Severity::Info]);
    }
}
