//! One at a time a VM: a QEMU that hangs holds one connection to libvirt, however often it is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::model::id::VmId;

/// VMs that are remembered before those without a turn are forgotten.
const REMEMBERED: usize = 256;

/// Whose turn it is, for each VM.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<VmId, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Wait for a turn; it ends with the guard.
    pub async fn take(&self, vm: VmId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() >= REMEMBERED {
                turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            Arc::clone(turns.entry(vm).or_default())
        };
        turn.lock_owned().await
    }
}
