//! VMs: the seed's repository, with its indexes kept in the same transaction.

use redb::ReadableTable;

use super::codec::encode;
use super::error::StoreError;
use super::stored::{VmV2, vm_of};
use super::tables::{VMS, VMS_BY_NAME, VMS_BY_NODE};
use super::{Store, Transaction, key, prefix_end};
use crate::model::id::{NodeId, ProjectId, VmId};
use crate::model::vm::{PowerState, VmRecord};

/// Which VMs are meant; empty fields mean all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VmFilter {
    pub project_id: Option<ProjectId>,
    pub node_id: Option<NodeId>,
    pub states: Vec<PowerState>,
    /// All must match.
    pub labels: Vec<(String, String)>,
}

impl VmFilter {
    fn matches(&self, vm: &VmRecord) -> bool {
        self.project_id.is_none_or(|project| vm.project_id == project)
            && self.node_id.is_none_or(|node| vm.node_id == node)
            && (self.states.is_empty() || self.states.contains(&vm.state))
            && self.labels.iter().all(|(key, value)| vm.labels.get(key) == Some(value))
    }
}

fn name_prefix(project: ProjectId, name: &str) -> Vec<u8> {
    key(&[project.as_bytes(), name.as_bytes(), &[0]])
}

/// The VM's row in the index of names.
pub(super) fn name_key(vm: &VmRecord) -> Vec<u8> {
    key(&[&name_prefix(vm.project_id, &vm.name), vm.id.as_bytes()])
}

/// The VM's row in the index of nodes.
pub(super) fn node_key(vm: &VmRecord) -> Vec<u8> {
    key(&[vm.node_id.as_bytes(), vm.id.as_bytes()])
}

/// The VMs of this name in this project, by id.
fn named(
    index: &impl ReadableTable<&'static [u8], &'static [u8]>,
    project: ProjectId,
    name: &str,
) -> Result<Vec<VmId>, StoreError> {
    let prefix = name_prefix(project, name);
    let end = prefix_end(&prefix).unwrap_or_default();
    let mut found = Vec::new();
    for entry in index.range(prefix.as_slice()..end.as_slice())? {
        let (at, _) = entry?;
        found.push(VmId::from_bytes(id_of(at.value().get(prefix.len()..).unwrap_or_default(), "vms_by_name")?));
    }
    Ok(found)
}

fn id_of(bytes: &[u8], table: &'static str) -> Result<[u8; 16], StoreError> {
    bytes.try_into().map_err(|_| StoreError::BadRow {
        table,
        row: format!("{bytes:02x?}"),
        why: "its key is no id".to_owned(),
    })
}

impl Store {
    /// One VM.
    ///
    /// # Errors
    /// The store's.
    pub fn vm_get(&self, id: VmId) -> Result<Option<VmRecord>, StoreError> {
        let table = self.read()?.open_table(VMS)?;
        table.get(id.as_bytes().as_slice())?.map(|value| vm_of(value.value(), id)).transpose()
    }

    /// The VM of this name in this project: ours before one that was found on the host.
    ///
    /// # Errors
    /// The store's.
    pub fn vm_get_by_name(&self, project: ProjectId, name: &str) -> Result<Option<VmRecord>, StoreError> {
        let tx = self.read()?;
        let vms = tx.open_table(VMS)?;
        let mut first = None;
        for id in named(&tx.open_table(VMS_BY_NAME)?, project, name)? {
            let found = vms.get(id.as_bytes().as_slice())?.map(|value| vm_of(value.value(), id)).transpose()?;
            if found.as_ref().is_some_and(|vm| vm.origin.is_managed()) {
                return Ok(found);
            }
            first = first.or(found);
        }
        Ok(first)
    }

    /// Every VM, by id.
    ///
    /// # Errors
    /// The store's; a row that cannot be read is an error naming it.
    pub fn vm_all(&self) -> Result<Vec<VmRecord>, StoreError> {
        let table = self.read()?.open_table(VMS)?;
        table
            .iter()?
            .map(|entry| {
                let (id, value) = entry?;
                vm_of(value.value(), VmId::from_bytes(id_of(id.value(), "vms")?))
            })
            .collect()
    }

    /// A page of the VMs that match, by id after `cursor`, and how many match in all.
    ///
    /// # Errors
    /// The store's.
    pub fn vm_list(
        &self,
        filter: &VmFilter,
        limit: usize,
        cursor: Option<VmId>,
    ) -> Result<(Vec<VmRecord>, usize), StoreError> {
        let mut total = 0;
        let mut page = Vec::new();
        for vm in self.vm_all()? {
            if filter.matches(&vm) {
                total += 1;
                if page.len() < limit && cursor.is_none_or(|cursor| vm.id > cursor) {
                    page.push(vm);
                }
            }
        }
        Ok((page, total))
    }

    /// The VMs of a node.
    ///
    /// # Errors
    /// The store's.
    pub fn vm_list_by_node(&self, node: NodeId) -> Result<Vec<VmRecord>, StoreError> {
        let tx = self.read()?;
        let index = tx.open_table(VMS_BY_NODE)?;
        let vms = tx.open_table(VMS)?;
        let prefix = node.as_bytes().as_slice();
        let end = prefix_end(prefix);
        let mut found = Vec::new();
        for entry in index.range(prefix..)? {
            let (at, _) = entry?;
            let at = at.value();
            if end.as_deref().is_some_and(|end| at >= end) {
                break;
            }
            let id = VmId::from_bytes(id_of(at.get(16..).unwrap_or_default(), "vms_by_node")?);
            if let Some(value) = vms.get(id.as_bytes().as_slice())? {
                found.push(vm_of(value.value(), id)?);
            }
        }
        Ok(found)
    }

    /// How many VMs a project has.
    ///
    /// # Errors
    /// The store's.
    pub fn vm_count_by_project(&self, project: ProjectId) -> Result<usize, StoreError> {
        let index = self.read()?.open_table(VMS_BY_NAME)?;
        let prefix = project.as_bytes().as_slice();
        let end = prefix_end(prefix);
        let mut count = 0;
        for entry in index.range(prefix..)? {
            let (at, _) = entry?;
            if end.as_deref().is_some_and(|end| at.value() >= end) {
                break;
            }
            count += 1;
        }
        Ok(count)
    }
}

impl Transaction<'_> {
    fn vm_row(&self, id: VmId) -> Result<Option<VmRecord>, StoreError> {
        let table = self.tx.open_table(VMS)?;
        table.get(id.as_bytes().as_slice())?.map(|value| vm_of(value.value(), id)).transpose()
    }

    /// Make a VM.
    ///
    /// # Errors
    /// `AlreadyExists`, naming the other, for its id or its name in the project.
    pub fn vm_create(&mut self, vm: &VmRecord) -> Result<(), StoreError> {
        if self.vm_row(vm.id)?.is_some() {
            return Err(StoreError::AlreadyExists { what: format!("VM id {}", vm.id), by: vm.id.to_string() });
        }
        self.vm_put(vm)
    }

    /// Replace a VM that must be there.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` for a name taken in the project.
    pub fn vm_update(&mut self, vm: &VmRecord) -> Result<(), StoreError> {
        if self.vm_row(vm.id)?.is_none() {
            return Err(StoreError::NotFound { what: format!("VM {}", vm.id) });
        }
        self.vm_put(vm)
    }

    /// Put a VM, new or known, and its index rows.
    ///
    /// # Errors
    /// `AlreadyExists` for a name taken in the project. VMs found on the host keep the name that
    /// libvirt gave them, and a VM of ours keeps the name it has.
    pub fn vm_put(&mut self, vm: &VmRecord) -> Result<(), StoreError> {
        let before = self.vm_row(vm.id)?;
        let mut names = self.tx.open_table(VMS_BY_NAME)?;
        let kept = before.as_ref().is_some_and(|before| {
            before.origin.is_managed() && before.project_id == vm.project_id && before.name == vm.name
        });
        if vm.origin.is_managed()
            && !kept
            && let Some(holder) = named(&names, vm.project_id, &vm.name)?.into_iter().find(|&id| id != vm.id)
        {
            return Err(StoreError::AlreadyExists {
                what: format!("the name \"{}\" in the project", vm.name),
                by: format!("VM {holder}"),
            });
        }
        let mut nodes = self.tx.open_table(VMS_BY_NODE)?;
        if let Some(before) = before {
            names.remove(name_key(&before).as_slice())?;
            nodes.remove(node_key(&before).as_slice())?;
        }
        names.insert(name_key(vm).as_slice(), [].as_slice())?;
        nodes.insert(node_key(vm).as_slice(), [].as_slice())?;
        self.tx.open_table(VMS)?.insert(vm.id.as_bytes().as_slice(), encode(&VmV2::from(vm))?.as_slice())?;
        Ok(())
    }

    /// Change the observed state alone.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn vm_update_status(
        &mut self,
        id: VmId,
        state: PowerState,
        at: crate::model::vm::Moment,
    ) -> Result<(), StoreError> {
        let mut vm = self.vm_row(id)?.ok_or_else(|| StoreError::NotFound { what: format!("VM {id}") })?;
        vm.state = state;
        vm.state_changed_at = at;
        self.vm_put(&vm)
    }

    /// Forget a VM. Not there: done.
    ///
    /// # Errors
    /// The store's.
    pub fn vm_delete(&mut self, id: VmId) -> Result<(), StoreError> {
        let Some(vm) = self.vm_row(id)? else {
            return Ok(());
        };
        self.tx.open_table(VMS_BY_NAME)?.remove(name_key(&vm).as_slice())?;
        self.tx.open_table(VMS_BY_NODE)?.remove(node_key(&vm).as_slice())?;
        self.tx.open_table(VMS)?.remove(id.as_bytes().as_slice())?;
        Ok(())
    }
}
