//! The demo's records, before libvirt is asked: what the first comparison would find, with the
//! spec, the sizes and the owner known from the first answer on.

use crate::hypervisor::libvirt::xml::{HostFile, read_domain};
use crate::model::vm::{Activity, Autostart, Lifetime, ListedVm, Moment, PowerState, VmRecord};
use crate::store::Store;

use super::super::error::ServiceError;
use super::super::node::keep_local_node_id;
use super::super::reconcile::record_of;
use super::{HOST, nodes};

/// Put the demo's nodes and VMs into an empty store, in one commit. Blocks.
///
/// # Errors
/// The store's.
pub fn seed(store: &Store) -> Result<(), ServiceError> {
    let now = Moment::now();
    let vms = vms(now)?;
    store.commit(|tx| {
        keep_local_node_id(tx, nodes::this_host().id)?;
        for node in nodes::all() {
            tx.node_create(&node.record(now))?;
        }
        for vm in &vms {
            tx.vm_put(vm)?;
        }
        Ok(())
    })
}

/// The VMs of `host.xml`: ours, because our metadata says so.
pub(super) fn vms(now: Moment) -> Result<Vec<VmRecord>, ServiceError> {
    let host = HostFile::read(HOST)?;
    host.definitions
        .into_iter()
        .map(|(definition, activity)| {
            let read = read_domain(&definition.0)?;
            let identity = read
                .identity
                .ok_or_else(|| ServiceError::Internal(format!("the demo's VM \"{}\" has no metadata", read.name)))?;
            let listed = ListedVm {
                id: read.id,
                hypervisor_name: read.name,
                state: match activity {
                    Activity::Active => PowerState::Running,
                    Activity::Inactive => PowerState::Stopped,
                },
                reason: String::new(),
                lifetime: Lifetime::Persistent,
                autostart: Autostart::Off,
            };
            let record = record_of(&listed, identity, now);
            let size = |path: &str| host.volumes.iter().find(|volume| volume.path == path);
            Ok(VmRecord {
                updated_at: record.created_at,
                disk_sizes: read
                    .spec
                    .disks
                    .iter()
                    .filter_map(|disk| Some((disk.path.clone(), size(&disk.path)?.capacity_bytes)))
                    .collect(),
                definition,
                ..record
            })
        })
        .collect()
}
