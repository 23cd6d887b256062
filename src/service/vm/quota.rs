//! What the VMs that an operator made use in all, against the operator's quota.
//!
//! A VM counts from the moment its creation is taken until its record goes: whether or not it runs,
//! with all that it may grow to. Both the look and the taking happen under the lock of promises
//! (`NodeService::promising`), so that of two requests that fit alone one is refused.
//!
//! VMs are told apart by the name in `created_by`. Where a user was deleted and another one has the
//! name now, the old one's VMs count in the new one's quota: they bound, and grant nothing.

use crate::model::access::Quota;
use crate::model::id::VmId;
use crate::model::operation::{Intent, Operation};
use crate::model::spec::VmSpec;
use crate::model::units::Gib;
use crate::model::vm::VmRecord;

use super::super::error::{Finding, FindingKind, ServiceError};
use super::super::inventory::{Inventory, Picture};
use super::super::requests::Caller;
use super::VmService;

/// What VMs use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Use {
    vms: u64,
    vcpus: u64,
    memory_mib: u64,
    disk_gib: u64,
}

impl Use {
    /// Of a VM that is defined like this, its disks apart.
    pub fn of(spec: &VmSpec) -> Self {
        Self {
            vms: 1,
            vcpus: spec.cpu.cores.max(spec.cpu.max_cores).into(),
            memory_mib: spec.memory.size.0.max(spec.memory.max.0),
            disk_gib: 0,
        }
    }

    /// Of a VM that is asked for: the disks among it that would be made.
    pub fn of_new(spec: &VmSpec) -> Self {
        let made = spec.disks.iter().filter(|disk| disk.path.is_empty() && disk.volume.is_empty());
        Self { disk_gib: made.fold(0, |sum, disk| disk.size.0.saturating_add(sum)), ..Self::of(spec) }
    }

    /// Of a VM that is there: the disks that were made for it, attached or not.
    pub fn of_known(record: &VmRecord, spec: &VmSpec) -> Self {
        let bytes = record
            .owned_volumes
            .iter()
            .filter_map(|at| {
                let is = |path: &str| path.rsplit('/').next() == Some(at.volume.as_str());
                record.disk_sizes.iter().find(|(path, _)| is(path)).map(|(_, bytes)| *bytes)
            })
            .fold(0_u64, u64::saturating_add);
        Self { disk_gib: bytes.div_ceil(Gib(1).bytes()), ..Self::of(spec) }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            vms: self.vms.saturating_add(other.vms),
            vcpus: self.vcpus.saturating_add(other.vcpus),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
            disk_gib: self.disk_gib.saturating_add(other.disk_gib),
        }
    }

    fn or_more(self, other: Self) -> Self {
        Self {
            vms: self.vms.max(other.vms),
            vcpus: self.vcpus.max(other.vcpus),
            memory_mib: self.memory_mib.max(other.memory_mib),
            disk_gib: self.disk_gib.max(other.disk_gib),
        }
    }
}

/// What the VMs use that `user` made, but for `except`.
fn used(
    user: &str,
    in_flight: &[std::sync::Arc<Operation>],
    picture: &Picture,
    inventory: &Inventory,
    except: Option<VmId>,
) -> Use {
    let read = inventory.reader();
    let counts = |record: &VmRecord| record.created_by == user && Some(record.id) != except;
    let mut sum = Use::default();
    for vm in picture.vms.values().filter(|vm| counts(&vm.record)) {
        let mut one = Use::of_known(&vm.record, &inventory.spec(vm));
        for operation in in_flight {
            if let Intent::Update { vm: next } = &operation.intent
                && next.id == vm.record.id
            {
                one = one.or_more(Use::of_known(next, &read(&next.definition)));
            }
        }
        sum = sum.plus(one);
    }
    for operation in in_flight {
        if let Intent::Create(intent) = &operation.intent
            && counts(&intent.vm)
            && !picture.vms.contains_key(&intent.vm.id)
        {
            sum = sum.plus(Use::of_known(&intent.vm, &read(&intent.vm.definition)));
        }
    }
    sum
}

/// What of `wanted` the quota does not allow beside `used`. What a VM has already is not refused, be
/// it more than is allowed: a quota that was lowered takes nothing away.
fn exceeded(user: &str, quota: Quota, used: Use, had: Use, wanted: Use) -> Vec<Finding> {
    let rows = [
        ("spec", "VMs", u64::from(quota.vms), used.vms, had.vms, wanted.vms),
        ("spec.cpu.cores", "vCPUs", quota.vcpus.into(), used.vcpus, had.vcpus, wanted.vcpus),
        ("spec.memory.size_mib", "MiB of memory", quota.memory_mib, used.memory_mib, had.memory_mib, wanted.memory_mib),
        ("spec.disks", "GiB of disks", quota.disk_gib, used.disk_gib, had.disk_gib, wanted.disk_gib),
    ];
    rows.into_iter()
        .filter(|&(_, _, allowed, used, had, wanted)| {
            allowed > 0 && wanted > had && used.saturating_add(wanted) > allowed
        })
        .map(|(field, what, allowed, used, _, wanted)| {
            let told = format!(
                "{wanted} {what} are needed, other VMs that {user} made use {used}, and the quota of {user} is \
                 {allowed}; use less, delete what is not needed, or ask an administrator for more"
            );
            Finding::new(field, FindingKind::Exhausted, told)
        })
        .collect()
}

impl VmService {
    /// What the caller's quota does not allow of a VM that has `had` and is to have `wanted`; of one
    /// that somebody else made, all of it counts as the caller's.
    pub(super) fn over_quota(&self, caller: &Caller, id: Option<VmId>, had: Use, wanted: Use) -> Vec<Finding> {
        let Some(quota) = caller.rights.quota() else { return Vec::new() };
        // First these: what ends meanwhile is then in the picture.
        let in_flight = self.operations.in_flight();
        let picture = self.core.inventory.picture();
        let used = used(&caller.user, &in_flight, &picture, &self.core.inventory, id);
        exceeded(&caller.user, quota, used, had, wanted)
    }

    /// As [`over_quota`](Self::over_quota), under the lock of promises.
    ///
    /// # Errors
    /// `Several`, each exhausted.
    pub(super) fn ensure_quota(
        &self,
        caller: &Caller,
        id: Option<VmId>,
        had: Use,
        wanted: Use,
    ) -> Result<(), ServiceError> {
        let found = self.over_quota(caller, id, had, wanted);
        if found.is_empty() { Ok(()) } else { Err(ServiceError::several(found)) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::model::definition::{DefinitionText, VolumeRef};
    use crate::model::id::DEFAULT_PROJECT;
    use crate::model::operation::{CreateIntent, Verb};
    use crate::model::spec::{Cpu, Disk, Memory};
    use crate::model::units::Mib;
    use crate::model::vm::{DeletionProtection, Moment, Origin, PowerState};
    use crate::service::inventory::Vm;
    use crate::service::operations::new_operation;

    fn spec(cores: u32, memory: u64) -> VmSpec {
        VmSpec {
            cpu: Cpu { cores, ..Cpu::default() },
            memory: Memory { size: Mib(memory), ..Memory::default() },
            ..VmSpec::default()
        }
    }

    /// A definition of the tests is its vCPUs, in words.
    fn inventory() -> Inventory {
        Inventory::new(Arc::new(|text| spec(text.0.parse().unwrap_or(0), 256)))
    }

    fn record(user: &str, cores: u32) -> VmRecord {
        let at = VolumeRef { pool: "p".to_owned(), volume: "web-0.qcow2".to_owned() };
        VmRecord {
            id: VmId::random(),
            name: "web".to_owned(),
            hypervisor_name: "web".to_owned(),
            project_id: DEFAULT_PROJECT,
            node_id: crate::model::id::NodeId::random(),
            labels: BTreeMap::new(),
            description: String::new(),
            origin: Origin::ControlPlane,
            created_by: user.to_owned(),
            created_at: Moment(0),
            updated_at: Moment(0),
            generation: 1,
            start_order: None,
            start_delay_sec: None,
            deletion_protection: DeletionProtection::Off,
            guest_os: crate::model::spec::GuestOs::default(),
            owned_volumes: vec![at],
            disk_sizes: BTreeMap::from([
                ("/p/web-0.qcow2".to_owned(), (10 << 30) - 1),
                ("/elsewhere/big.raw".to_owned(), 1 << 50),
            ]),
            definition: DefinitionText(cores.to_string()),
            state: PowerState::Stopped,
            state_changed_at: Moment(0),
            last_seen_at: Moment(0),
            error_message: String::new(),
            lost_reason: String::new(),
        }
    }

    fn caller() -> Caller {
        Caller {
            user: "ann".to_owned(),
            rights: crate::model::access::Rights::WHOLE,
            request_id: String::new(),
            idempotency: None,
        }
    }

    #[test]
    fn what_a_vm_may_grow_to_counts_and_only_the_disks_made_for_it() {
        let mut wanted = spec(2, 512);
        (wanted.cpu.max_cores, wanted.memory.max) = (8, Mib(4096));
        let disk = |size, path: &str, volume: &str| Disk {
            size: Gib(size),
            path: path.to_owned(),
            volume: volume.to_owned(),
            ..Disk::default()
        };
        wanted.disks = vec![disk(3, "", ""), disk(4, "", ""), disk(100, "/p/a", ""), disk(100, "", "b")];
        assert_eq!(Use::of_new(&wanted), Use { vms: 1, vcpus: 8, memory_mib: 4096, disk_gib: 7 });
        assert_eq!(Use::of_known(&record("ann", 2), &wanted).disk_gib, 10, "rounded up, and what was made alone");
        wanted.disks = vec![disk(u64::MAX, "", ""), disk(u64::MAX, "", "")];
        assert_eq!(Use::of_new(&wanted).disk_gib, u64::MAX);
    }

    #[test]
    fn the_vms_of_the_user_count_with_what_is_being_made_of_them() {
        let inventory = inventory();
        let mine = record("ann", 2);
        let others = record("bob", 50);
        inventory.write(|_, edits| {
            edits.put(Vm::of_record(mine.clone()));
            edits.put(Vm::of_record(others));
        });
        let sum =
            |in_flight: &[Arc<Operation>], except| used("ann", in_flight, &inventory.picture(), &inventory, except);
        let one = Use { vms: 1, vcpus: 2, memory_mib: 256, disk_gib: 10 };
        assert_eq!(sum(&[], None), one);
        assert_eq!(sum(&[], Some(mine.id)), Use::default());
        let operation = |verb, id: VmId, intent| Arc::new(new_operation(&caller(), verb, id.to_string(), intent));
        let creation = |vm: &VmRecord| {
            let intent = CreateIntent { vm: vm.clone(), volumes: Vec::new(), autostart: false, start_after: false };
            operation(Verb::Create, vm.id, Intent::Create(Box::new(intent)))
        };
        // Being made and not in the picture, and one that is in it already.
        let flying = [creation(&record("ann", 3)), creation(&mine), creation(&record("bob", 9))];
        assert_eq!((sum(&flying, None).vms, sum(&flying, None).vcpus), (2, 5));
        // Growing counts at once, shrinking once it is done.
        for (cores, counted) in [(7, 7), (1, 2)] {
            let next = VmRecord { definition: DefinitionText(cores.to_string()), ..mine.clone() };
            let update = operation(Verb::Update, mine.id, Intent::Update { vm: Box::new(next) });
            assert_eq!((sum(&[Arc::clone(&update)], None).vcpus, sum(&[update], None).vms), (counted, 1));
        }
    }

    #[test]
    fn only_what_grows_past_the_bound_is_refused_and_all_of_it() {
        let of = |vms, vcpus, memory_mib, disk_gib| Use { vms, vcpus, memory_mib, disk_gib };
        let quota = Quota { vms: 2, vcpus: 8, memory_mib: 1024, disk_gib: 0 };
        let fields = |used, had, wanted| -> Vec<String> {
            exceeded("ann", quota, used, had, wanted).into_iter().map(|found| found.field).collect()
        };
        let none = Use::default();
        assert_eq!(fields(of(1, 6, 512, 9999), none, of(1, 2, 512, 9999)), Vec::<String>::new());
        let all = ["spec", "spec.cpu.cores", "spec.memory.size_mib"];
        assert_eq!(fields(of(2, 6, 512, 0), none, of(1, 3, 513, 1)), all);
        assert_eq!(fields(of(9, 90, 9000, 0), of(1, 4, 512, 0), of(1, 4, 511, 0)), Vec::<String>::new());
        assert_eq!(fields(of(9, 90, 9000, 0), of(1, 4, 512, 0), of(1, 5, 512, 0)), ["spec.cpu.cores"]);
        assert_eq!(fields(of(0, u64::MAX, 0, 0), none, of(1, u64::MAX, 0, 0)), ["spec.cpu.cores"]);
        let told = exceeded("ann", quota, of(0, 6, 0, 0), none, of(1, 4, 0, 0))[0].description.clone();
        assert!(told.contains("4 vCPUs") && told.contains("use 6") && told.contains("is 8"), "{told}");
    }
}
