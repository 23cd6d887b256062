//! Autostart with order and delay. The flag is libvirt's own and libvirt acts on it by itself when
//! it starts; what is added here is the order. Once after each boot of the machine, the VMs that
//! have the flag and are off are started: those with a start order first, by it, each waiting for
//! the delay of the one before.
//!
//! Turned down: taking libvirt's flag away from VMs with an order, so that only we would start
//! them. They would then stay off where this service does not run.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::model::access::Rights;
use crate::model::vm::PowerState;

use super::core::{Core, blocking};
use super::error::ServiceError;
use super::requests::Caller;
use super::vm::{Readiness, VmService};

/// The word of the state file under which the last boot that was served is kept.
const BOOT_ID: &str = "boot_id";

/// Start what should be running after this boot, once.
pub async fn run(
    core: Arc<Core>,
    vms: Arc<VmService>,
    mut ready: watch::Receiver<Readiness>,
    boot_id: String,
    stop: CancellationToken,
) {
    tokio::select! {
        waited = ready.wait_for(|ready| *ready == Readiness::Ready) => if waited.is_err() { return },
        () = stop.cancelled() => return,
    }
    match first_of(&core, boot_id).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            tracing::error!(%error, "the last boot is not known; nothing is started by itself");
            return;
        }
    }
    let caller = Caller {
        user: "system".to_owned(),
        rights: Rights::WHOLE,
        request_id: "autostart".to_owned(),
        idempotency: None,
    };
    let picture = core.inventory.picture();
    let mut due: Vec<_> =
        picture.vms.values().filter(|vm| vm.autostart.is_on() && vm.record.state == PowerState::Stopped).collect();
    due.sort_by_key(|vm| (vm.record.start_order.unwrap_or(u32::MAX), vm.record.name.clone()));
    for vm in due {
        if let Err(error) = vms.start(&caller, vm.record.id).await {
            tracing::warn!(vm = %vm.record.id, %error, "not started by itself");
        }
        let delay = Duration::from_secs(u64::from(vm.record.start_delay_sec.unwrap_or(0)));
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Whether this boot is another one than the last that was served; kept either way. The very first
/// run is of no boot: whoever installs the service has decided what runs.
async fn first_of(core: &Arc<Core>, boot_id: String) -> Result<bool, ServiceError> {
    let core = Arc::clone(core);
    blocking(move || {
        let last = core.store.setting(BOOT_ID)?;
        if last.as_deref() == Some(boot_id.as_bytes()) {
            return Ok(false);
        }
        core.store.commit(|tx| tx.setting_put(BOOT_ID, boot_id.as_bytes()))?;
        Ok(last.is_some())
    })
    .await
}
