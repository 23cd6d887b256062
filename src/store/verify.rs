//! The whole file read once: every row decodes, and the indexes say what the rows say. Run on a
//! copy in memory before a file is opened, and by tests after every step.

use std::collections::BTreeSet;

use redb::ReadableTable;

use super::Store;
use super::error::StoreError;
use super::tables::{NODES_BY_HOSTNAME, VMS_BY_NAME, VMS_BY_NODE};
use super::{EventFilter, NodeFilter, OperationFilter, key};

impl Store {
    /// Read everything and compare indexes with rows.
    ///
    /// # Errors
    /// `BadRow`, naming what is wrong.
    pub fn verify(&self) -> Result<(), StoreError> {
        let vms = self.vm_all()?;
        self.operation_list(&OperationFilter::default(), 0, None)?;
        self.operations_unfinished()?;
        self.event_list(&EventFilter { limit: usize::MAX, ..EventFilter::default() })?;
        let nodes = self.node_list(&NodeFilter::default())?;
        let tx = self.read()?;
        let keys = |table| -> Result<BTreeSet<Vec<u8>>, StoreError> {
            let table: redb::ReadOnlyTable<&[u8], &[u8]> = tx.open_table(table)?;
            table.iter()?.map(|entry| Ok(entry?.0.value().to_vec())).collect()
        };
        let differs = |what: &'static str| StoreError::BadRow {
            table: what,
            row: "(index)".to_owned(),
            why: "it does not agree with its rows".to_owned(),
        };
        // Of several VMs of the host with one name the index holds one; ours are all in it.
        let indexed = keys(VMS_BY_NAME)?;
        let name_of = |vm: &crate::model::vm::VmRecord| key(&[vm.project_id.as_bytes(), vm.name.as_bytes()]);
        let names: BTreeSet<Vec<u8>> = vms.iter().map(name_of).collect();
        let ours = vms.iter().filter(|vm| vm.origin.is_managed()).all(|vm| indexed.contains(&name_of(vm)));
        if !ours || !indexed.is_subset(&names) {
            return Err(differs("vms_by_name"));
        }
        let by_node: BTreeSet<Vec<u8>> = vms.iter().map(|vm| key(&[vm.node_id.as_bytes(), vm.id.as_bytes()])).collect();
        if keys(VMS_BY_NODE)? != by_node {
            return Err(differs("vms_by_node"));
        }
        let hostnames: BTreeSet<Vec<u8>> = nodes.iter().map(|node| node.hostname.as_bytes().to_vec()).collect();
        if keys(NODES_BY_HOSTNAME)? != hostnames {
            return Err(differs("nodes_by_hostname"));
        }
        Ok(())
    }
}
