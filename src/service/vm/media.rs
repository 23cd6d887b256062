//! Media: an ISO goes into a drive or comes out, of the definition and of the running guest at once.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::HostRoot;
use crate::host::accounts::Accounts;
use crate::hypervisor::{Hypervisor, HypervisorError};
use crate::model::id::VmId;
use crate::model::operation::{Intent, Verb};
use crate::model::spec_diff::spec_changes;
use crate::model::validate;

use super::super::error::ServiceError;
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
    /// `Invalid` for a path that QEMU cannot read, with the remedy; `NotFound` for a drive that is not
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
        let asked = path.clone();
        self.core.ask(move |h| Ok(readable(h, Path::new(&asked)))).await??;
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
                let changed = h.change_media(id, &of, Some(medium.as_str()).filter(|path| !path.is_empty()), tray);
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
                vm.pending_changes = described
                    .running_spec
                    .as_ref()
                    .map(|running| spec_changes(running, &described.spec))
                    .unwrap_or_default();
                vm.record.definition = described.persistent;
                vm.set_spec(described.spec);
            }
        })
        .await;
        self.afterwards(id);
        answer
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
fn readable(hypervisor: &dyn Hypervisor, path: &Path) -> Result<(), ServiceError> {
    let driver = hypervisor.offer()?.hypervisor.clone();
    let accounts = Accounts::read(&HostRoot::default());
    // libvirt's test driver has no QEMU that would read it.
    let user = (!driver.eq_ignore_ascii_case("test")).then(|| accounts.qemu_user(&HostRoot::default()));
    match obstacle(path, user.as_deref(), &accounts) {
        None => Ok(()),
        Some(why) => Err(ServiceError::invalid("iso_path", why)),
    }
}

/// What keeps QEMU's user from reading a file, and the remedy. The file's own mode does not: libvirt
/// gives it to QEMU. A directory on the way does, where an access list does not say otherwise.
fn obstacle(path: &Path, user: Option<&str>, accounts: &Accounts) -> Option<String> {
    let shown = path.display();
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some(format!("\"{shown}\" does not exist on the host"));
        }
        // Not ours to look at: libvirt, which may, says what is wrong with it.
        Err(_) => return None,
    };
    if !meta.is_file() && !meta.file_type().is_block_device() {
        return Some(format!("\"{shown}\" is neither a file nor a block device"));
    }
    let user = user.filter(|user| accounts.uid(user).is_some_and(|uid| uid != 0))?;
    // Where links lead is what QEMU's user must be able to walk.
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let closed = real.ancestors().skip(1).find(|directory| !may_enter(directory, user, accounts)).map(PathBuf::from)?;
    Some(format!(
        "QEMU runs as {user}, who may not enter \"{0}\"; run: chmod o+x '{0}', or move the file to /var/lib/libvirt/images",
        closed.display()
    ))
}

fn may_enter(directory: &Path, user: &str, accounts: &Accounts) -> bool {
    let Ok(meta) = std::fs::metadata(directory) else { return true };
    let mut list = [0_u8; 0];
    let has_access_list = rustix::fs::getxattr(directory, "system.posix_acl_access", &mut list).is_ok();
    let bit = if accounts.uid(user) == Some(meta.uid()) {
        0o100
    } else if accounts.is_in(user, meta.gid()) {
        0o010
    } else {
        0o001
    };
    has_access_list || meta.mode() & bit != 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_qemu_cannot_read_is_told_with_the_remedy() {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        let closed = home.path().join("closed");
        std::fs::create_dir(&closed).expect("it is new");
        let file = closed.join("a.iso");
        std::fs::write(&file, b"x").expect("it is written");
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
        // A user who is neither the owner nor root.
        let accounts = Accounts::read(&HostRoot::default());
        let user = Some("nobody").filter(|user| accounts.uid(user).is_some()).expect("every Debian has nobody");
        let why = |path: &Path, user| obstacle(path, user, &accounts);

        let told = why(&file, Some(user)).expect("the directory is closed");
        assert!(told.contains(user) && told.contains("chmod o+x") && told.contains("closed"), "{told}");
        assert_eq!(why(&file, None), None, "nobody reads it");
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o711)).expect("it is ours");
        assert_eq!(why(&file, Some(user)), None);
        let link = home.path().join("link.iso");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        assert_eq!(why(&link, Some(user)), None);
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
        assert!(why(&link, Some(user)).is_some(), "the link leads through a closed directory");
        let missing = why(&home.path().join("b.iso"), None).expect("it is not there");
        assert!(missing.contains("does not exist"), "{missing}");
        let directory = why(home.path(), None).expect("it is a directory");
        assert!(directory.contains("neither a file"), "{directory}");
        assert!(why(Path::new("/dev/null"), None).is_some(), "a character device");
    }
}
