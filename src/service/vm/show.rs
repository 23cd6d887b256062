//! libvirt's own definition of a VM, to be read by people: never with a secret in it.

use crate::model::definition::ShownDefinition;
use crate::model::id::VmId;
use crate::model::vm::PowerState;

use super::super::error::ServiceError;
use super::VmService;

impl VmService {
    /// The definitions as libvirt has them; of a LOST VM, the last that was seen.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` while libvirt is.
    pub async fn definition(&self, id: VmId) -> Result<ShownDefinition, ServiceError> {
        let vm = self.get(id)?;
        if vm.record.state == PowerState::Lost {
            return Ok(ShownDefinition {
                persistent: self.core.hypervisor.redact(&vm.record.definition)?,
                live: String::new(),
            });
        }
        self.core.ask(move |hypervisor| hypervisor.show(id)).await?.ok_or_else(|| ServiceError::no_vm(id))
    }
}
