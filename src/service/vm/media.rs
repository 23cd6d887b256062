//! Media: an ISO goes into a drive or comes out, of the definition and of the running guest at once.

use std::path::Path;
use std::sync::Arc;

use crate::host::HostRoot;
use crate::host::paths::{Access, Fault, Kind, Look, Opener};
use crate::hypervisor::{self, Hypervisor, HypervisorError, MediaSide};
use crate::model::id::VmId;
use crate::model::operation::{Intent, Verb};
use crate::model::spec::VmSpec;
use crate::model::validate;

use super::super::error::{Finding, FindingKind, ServiceError};
use super::super::host_paths::Naming;
use super::super::inventory::Vm;
use super::super::requests::Caller;
use super::VmService;
use super::begin::Outcome;

pub use crate::hypervisor::Tray;

/// Which drive, and how its tray is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeMedia {
    /// Id of the drive; `None`: the first one.
    pub cdrom: Option<String>,
    pub tray: Tray,
}

impl VmService {
    /// Put a file of the host into a drive; what was in it comes out first.
    ///
    /// # Errors
    /// `Denied` for one that is not the caller's to name; `Invalid` for a path that QEMU cannot read,
    /// with the remedy; `NotFound` for a drive that is not
    /// there; `Precondition` where the guest holds the tray.
    pub async fn mount_iso(
        &self,
        caller: &Caller,
        id: VmId,
        how: ChangeMedia,
        path: String,
    ) -> Result<Arc<Vm>, ServiceError> {
        self.ready()?;
        self.permit(id, Verb::MountIso)?;
        if path.is_empty() {
            return Err(ServiceError::invalid("iso_path", "is required: the absolute path of a file on the host"));
        }
        if let Some(violation) = validate::host_path(&path, "iso_path") {
            return Err(ServiceError::Invalid(vec![violation]));
        }
        let (core, asked, rights) = (Arc::clone(&self.core), path.clone(), caller.rights);
        let look = move || {
            if let Some(told) = Naming::of(&core, rights).file(&asked)? {
                return Err(ServiceError::several(vec![Finding::new("iso_path", FindingKind::Denied, told)]));
            }
            readable(core.hypervisor.as_ref(), &asked)
        };
        self.core.host(look).await??;
        self.change_media(caller, id, Verb::MountIso, how, path).await
    }

    /// Take out what is in a drive.
    ///
    /// # Errors
    /// As [`mount_iso`](Self::mount_iso).
    pub async fn eject_iso(&self, caller: &Caller, id: VmId, how: ChangeMedia) -> Result<Arc<Vm>, ServiceError> {
        self.change_media(caller, id, Verb::EjectIso, how, String::new()).await
    }

    async fn change_media(
        &self,
        caller: &Caller,
        id: VmId,
        verb: Verb,
        how: ChangeMedia,
        path: String,
    ) -> Result<Arc<Vm>, ServiceError> {
        let vm = self.get(id)?;
        let spec = self.core.inventory.spec(&vm);
        let drive = match &how.cdrom {
            Some(drive) => spec.cdroms.iter().find(|cdrom| cdrom.id == *drive),
            None => spec.cdroms.first(),
        };
        let drive = drive.map(|cdrom| cdrom.id.clone()).ok_or_else(|| ServiceError::NotFound {
            what: "CD-ROM drive",
            id: how.cdrom.clone().unwrap_or_else(|| format!("the first of VM \"{}\"", vm.record.name)),
        })?;
        let intent = Intent::Media { cdrom: drive.clone(), path: path.clone() };
        let (hold, _, vm) = self
            .begin(caller, id, verb, move |_, _, operation| {
                operation.intent = intent.clone();
                Ok(())
            })
            .await?;
        let (of, medium, tray) = (drive.clone(), path.clone(), how.tray);
        let done = self
            .call(&hold, move |h| {
                let changed = change(h, id, &of, &medium, tray);
                // Kept apart: libvirt's refusal is about the medium, not about the specification.
                changed.map_or_else(|error| Ok(Err(error)), |()| h.describe(id).map(Ok))
            })
            .await;
        let (result, described) = match done {
            Ok(Ok(described)) => {
                let name = &vm.record.name;
                let outcome = if path.is_empty() {
                    Outcome::info("vm.iso_ejected", format!("drive {drive} of VM \"{name}\" was emptied"))
                } else {
                    Outcome::info("vm.iso_mounted", format!("\"{path}\" was put into drive {drive} of VM \"{name}\""))
                };
                (Ok(outcome), described)
            }
            Ok(Err(error)) => (Err(refusal(error, &vm, &drive, &path)), None),
            Err(error) => (Err(error), None),
        };
        let answer = Self::finish(&self.core, &self.operations, &hold, id, result, move |vm| {
            if let Some(described) = described {
                vm.set_described(described);
            }
        })
        .await;
        self.afterwards(id);
        answer
    }
}

/// Change what a drive holds, in the running guest and in the definition, or in neither: an empty path
/// empties it. Repeated, it changes nothing.
pub(crate) fn change(
    hypervisor: &dyn Hypervisor,
    id: VmId,
    drive: &str,
    path: &str,
    tray: Tray,
) -> hypervisor::Result<()> {
    let put = |path: &str, side| hypervisor.change_media(id, drive, Some(path).filter(|path| !path.is_empty()), side);
    let before = hypervisor.describe(id)?;
    // The guest first: it alone may refuse.
    let done = put(path, MediaSide::Running(tray)).and_then(|runs| Ok((runs, put(path, MediaSide::Defined)?)));
    match done {
        Ok((false, false)) => Err(HypervisorError::NotFound(format!("there is no CD-ROM drive \"{drive}\""))),
        Ok((true, _) | (_, true)) => Ok(()),
        Err(error) => {
            let held = |spec: &VmSpec| {
                spec.cdroms.iter().find(|cdrom| cdrom.id == drive).map(|cdrom| cdrom.medium().to_owned())
            };
            let running = before.as_ref().and_then(|vm| vm.running_spec.as_ref()).and_then(held);
            let defined = before.as_ref().and_then(|vm| held(&vm.spec));
            // By force: the guest may have taken hold of what it got a moment ago, and has its old one back.
            for (held, side) in [(running, MediaSide::Running(Tray::Force)), (defined, MediaSide::Defined)] {
                if let Some(held) = held
                    && let Err(why) = put(&held, side)
                {
                    tracing::warn!(vm = %id, drive, %why, "what the drive held could not be put back");
                }
            }
            Err(error)
        }
    }
}

/// libvirt's refusal, in terms of the request.
fn refusal(error: HypervisorError, vm: &Vm, drive: &str, path: &str) -> ServiceError {
    if let HypervisorError::NotFound(_) = error {
        return ServiceError::NotFound { what: "CD-ROM drive", id: drive.to_owned() };
    }
    if let HypervisorError::TrayHeld(why) = error {
        return ServiceError::Precondition {
            reason: "TRAY_HELD",
            subject: vm.record.id.to_string(),
            message: format!(
                "the guest of VM \"{}\" holds the tray of drive {drive}; unmount the medium there, or ask with force \
                 (libvirt says: {why})",
                vm.record.name
            ),
        };
    }
    if let HypervisorError::Failed(why) = &error
        && !path.is_empty()
    {
        return ServiceError::invalid(
            "iso_path",
            format!(
                "QEMU cannot open it: {why}; put it where QEMU's user may read it, such as /var/lib/libvirt/images"
            ),
        );
    }
    ServiceError::from(error)
}

/// Whether QEMU can read this file; blocks.
fn readable(hypervisor: &dyn Hypervisor, path: &str) -> Result<(), ServiceError> {
    let opener = Opener::of_qemu(&HostRoot::default(), hypervisor.offer()?.qemu_ids);
    match opener.look(Path::new(path), Kind::FileOrDevice, Access::Read) {
        // Not ours to look at: libvirt, which may, says what is wrong with it.
        Ok(Look::Fine | Look::Hidden(_)) => Ok(()),
        // libvirt may be where this process does not see.
        Err(trouble) if trouble.fault == Fault::Missing && hypervisor.volume_by_path(path)?.is_some() => Ok(()),
        Err(trouble) => Err(ServiceError::invalid("iso_path", format!("{}; {}", trouble.why, trouble.remedy))),
    }
}
