//! May a VM start: vCPUs and memory promised to running VMs, foreign ones included, against what
//! the host may promise. A promise is what the definition asks for, never what is measured: a
//! guest that idles now may use all of it in a second.

use super::error::ServiceError;
use super::inventory::{Inventory, Picture, Vm};
use crate::model::id::{NodeId, VmId};
use crate::model::node::{NodeRecord, Scheduling};
use crate::model::operation::{Intent, Operation, Verb};
use crate::model::spec::VmSpec;
use crate::model::units::human_bytes;

/// What a host has and how much more of it may be promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity<'a> {
    /// Name of the host, for the refusal.
    pub node: &'a str,
    /// Host threads; 0: unknown, vCPUs are then not counted.
    pub threads: u32,
    /// Host memory; 0: unknown, memory is then not counted.
    pub memory_bytes: u64,
    pub scheduling: &'a Scheduling,
}

impl<'a> Capacity<'a> {
    /// Of a node, by its facts and settings.
    #[must_use]
    pub fn of(node: &'a NodeRecord) -> Self {
        Self {
            node: &node.hostname,
            threads: node.facts.cpu.total_threads,
            memory_bytes: node.facts.memory.total_bytes,
            scheduling: &node.scheduling,
        }
    }

    /// vCPUs that may be promised in all: threads × overcommit − reserved.
    #[must_use]
    pub fn vcpus(&self) -> u32 {
        let promised = floor(f64::from(self.threads) * self.scheduling.cpu_overcommit);
        let promised = u32::try_from(promised).unwrap_or(u32::MAX);
        promised.saturating_sub(self.scheduling.reserved_cpu_threads)
    }

    /// Memory that may be promised in all, bytes: total × overcommit − reserved.
    #[must_use]
    pub fn memory(&self) -> u64 {
        // A host's memory is far below 2^53 bytes: the product is exact to a byte.
        #[allow(clippy::cast_precision_loss)]
        let promised = floor(self.memory_bytes as f64 * self.scheduling.memory_overcommit);
        promised.saturating_sub(self.scheduling.reserved_memory_bytes)
    }
}

/// A number of zero or more as an integer; what is no number is 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn floor(value: f64) -> u64 {
    // `as` saturates, and makes 0 of NaN.
    value.floor() as u64
}

/// vCPUs and memory of VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promised {
    pub vcpus: u32,
    pub memory_bytes: u64,
}

impl Promised {
    /// What one specification asks for.
    #[must_use]
    pub fn to(spec: &VmSpec) -> Self {
        Self { vcpus: spec.cpu.cores, memory_bytes: spec.memory.size.bytes() }
    }

    /// What the VMs of a node hold now, those that are just being started included; `except` is
    /// the one that asks.
    #[must_use]
    pub fn of(picture: &Picture, inventory: &Inventory, node: NodeId, except: Option<VmId>) -> Self {
        picture
            .vms
            .values()
            .filter(|vm| vm.record.node_id == node && Some(vm.record.id) != except && holds(vm))
            .fold(Self::default(), |sum, vm| sum.plus(Self::to(&inventory.spec(vm))))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            vcpus: self.vcpus.saturating_add(other.vcpus),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }
}

/// Whether a VM's promise counts: it is on, or a start of it has begun.
#[must_use]
pub fn holds(vm: &Vm) -> bool {
    vm.record.state.holds_resources() || vm.operation.as_ref().is_some_and(|operation| starts(operation))
}

/// Whether an operation ends with its VM on.
#[must_use]
pub fn starts(operation: &Operation) -> bool {
    match operation.verb {
        Verb::Start | Verb::Resume => true,
        Verb::Create => match &operation.intent {
            Intent::Create(intent) => intent.start_after,
            Intent::Plain
            | Intent::Delete(_)
            | Intent::Redefine
            | Intent::Update { .. }
            | Intent::Media { .. } => false,
        },
        Verb::Stop
        | Verb::ForceStop
        | Verb::Reboot
        | Verb::Reset
        | Verb::Pause
        | Verb::Suspend
        | Verb::Update
        | Verb::Delete
        | Verb::ForceDelete
        | Verb::Adopt
        | Verb::Redefine
        | Verb::Drain
        | Verb::MountIso
        | Verb::EjectIso
        | Verb::Console
        | Verb::Screenshot
        | Verb::SendKeys => false,
    }
}

/// May `wanted` be promised on top of `promised`.
///
/// # Errors
/// `Exhausted`, naming what is needed, what is free, and how the bound comes about.
pub fn admit(capacity: &Capacity<'_>, promised: Promised, wanted: Promised) -> Result<(), ServiceError> {
    let scheduling = capacity.scheduling;
    let mut lacking = Vec::new();
    let free_vcpus = capacity.vcpus().saturating_sub(promised.vcpus);
    if capacity.threads > 0 && wanted.vcpus > free_vcpus {
        lacking.push(format!(
            "{} vCPUs are needed and {free_vcpus} are free ({} threads × {} − {} reserved, {} promised to running VMs)",
            wanted.vcpus, capacity.threads, scheduling.cpu_overcommit, scheduling.reserved_cpu_threads, promised.vcpus
        ));
    }
    let free_memory = capacity.memory().saturating_sub(promised.memory_bytes);
    if capacity.memory_bytes > 0 && wanted.memory_bytes > free_memory {
        lacking.push(format!(
            "{} of memory is needed and {} is free ({} × {} − {} reserved, {} promised to running VMs)",
            human_bytes(wanted.memory_bytes),
            human_bytes(free_memory),
            human_bytes(capacity.memory_bytes),
            scheduling.memory_overcommit,
            human_bytes(scheduling.reserved_memory_bytes),
            human_bytes(promised.memory_bytes)
        ));
    }
    if lacking.is_empty() {
        return Ok(());
    }
    Err(ServiceError::Exhausted(format!(
        "node \"{}\" has not enough left: {}; stop other VMs, ask for less, or change the node's overcommit",
        capacity.node,
        lacking.join("; ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn settings(cpu: f64, memory: f64, reserved_threads: u32, reserved_gib: u64) -> Scheduling {
        Scheduling {
            cpu_overcommit: cpu,
            memory_overcommit: memory,
            reserved_cpu_threads: reserved_threads,
            reserved_memory_bytes: reserved_gib * GIB,
            ..Scheduling::default()
        }
    }

    fn promise(vcpus: u32, gib: u64) -> Promised {
        Promised { vcpus, memory_bytes: gib * GIB }
    }

    #[test]
    fn the_table_of_admission() {
        // threads, GiB, settings, promised, wanted, admitted
        let normal = settings(4.0, 1.0, 0, 1);
        let rows = [
            (4, 16, &normal, promise(0, 0), promise(16, 15), true),
            (4, 16, &normal, promise(0, 0), promise(17, 1), false),
            (4, 16, &normal, promise(0, 0), promise(1, 16), false),
            (4, 16, &normal, promise(15, 14), promise(1, 1), true),
            (4, 16, &normal, promise(16, 0), promise(1, 1), false),
            (4, 16, &normal, promise(0, 15), promise(1, 1), false),
            // Promised beyond the bound already, by VMs found on the host.
            (4, 16, &normal, promise(900, 900), promise(1, 1), false),
            (4, 16, &settings(1.0, 1.0, 1, 1), promise(0, 0), promise(3, 15), true),
            (4, 16, &settings(1.0, 1.0, 1, 1), promise(0, 0), promise(4, 1), false),
            (3, 16, &settings(1.5, 1.5, 0, 0), promise(0, 0), promise(4, 24), true),
            (3, 16, &settings(1.5, 1.5, 0, 0), promise(0, 0), promise(5, 24), false),
            // More reserved than there is.
            (4, 16, &settings(1.0, 1.0, 9, 99), promise(0, 0), promise(1, 1), false),
            // Unknown facts bound nothing.
            (0, 0, &normal, promise(500, 500), promise(256, 1024), true),
            // Nothing wanted always fits.
            (4, 16, &normal, promise(16, 15), promise(0, 0), true),
            (4, 16, &settings(f64::NAN, f64::NAN, 0, 0), promise(0, 0), promise(1, 1), false),
        ];
        for (index, (threads, gib, scheduling, promised, wanted, admitted)) in rows.into_iter().enumerate() {
            let capacity = Capacity { node: "host", threads, memory_bytes: gib * GIB, scheduling };
            assert_eq!(admit(&capacity, promised, wanted).is_ok(), admitted, "row {index}");
        }
    }

    #[test]
    fn a_refusal_names_needed_free_and_the_sum() {
        let scheduling = settings(4.0, 1.0, 2, 1);
        let capacity = Capacity { node: "host-7", threads: 4, memory_bytes: 16 * GIB, scheduling: &scheduling };
        let refused = admit(&capacity, promise(10, 12), promise(8, 8));
        assert_eq!(
            refused,
            Err(ServiceError::Exhausted(
                "node \"host-7\" has not enough left: 8 vCPUs are needed and 4 are free (4 threads × 4 − 2 reserved, \
                 10 promised to running VMs); 8 GiB of memory is needed and 3 GiB is free (16 GiB × 1 − 1 GiB reserved, \
                 12 GiB promised to running VMs); stop other VMs, ask for less, or change the node's overcommit"
                    .to_owned()
            ))
        );
    }
}
