//! Files that a VM is given: whether QEMU can open them, whether they are what they are said to be,
//! and who else has them.

use std::path::Path;

use crate::host::paths::{self, Access, Content, Fault, Kind, Look};
use crate::model::definition::VolumeFacts;
use crate::model::spec::{Disk, DiskFormat, VmSpec};
use crate::model::units::human_bytes;

use super::super::error::{FindingKind, ServiceError};
use super::preflight::Subject;
use super::resolve::Devices;

impl Devices<'_> {
    /// What a VM that is defined needs to boot: its files, and its networks.
    pub fn startable(&mut self, spec: &VmSpec) -> Result<(), ServiceError> {
        for disk in &spec.disks {
            let access = if disk.readonly { Access::Read } else { Access::ReadWrite };
            self.file(&format!("disk {}", disk.id), &disk.path, Kind::FileOrDevice, access)?;
        }
        // Without its medium a drive may start empty: that is its own definition's to say.
        let is_there = |path: &str| std::fs::symlink_metadata(path).is_ok();
        for cdrom in spec.cdroms.iter().filter(|cdrom| cdrom.connected != Some(false) && is_there(&cdrom.iso_path)) {
            self.file(&format!("CD-ROM {}", cdrom.id), &cdrom.iso_path, Kind::FileOrDevice, Access::Read)?;
        }
        if let Some(direct) = &spec.boot.direct {
            self.file("kernel", &direct.kernel_path, Kind::File, Access::Read)?;
            self.file("initial RAM disk", &direct.initrd_path, Kind::File, Access::Read)?;
        }
        if spec.nics.iter().any(|nic| !nic.network.is_empty()) {
            let networks = self.host.hypervisor.networks()?;
            for nic in spec.nics.iter().filter(|nic| !nic.network.is_empty()) {
                self.network(&format!("network card {}", nic.mac), &networks, &mut nic.clone());
            }
        }
        Ok(())
    }

    /// The medium of a drive.
    pub(super) fn iso(&mut self, field: &str, path: &str) -> Result<(), ServiceError> {
        if self.file(field, path, Kind::FileOrDevice, Access::Read)?
            && self.on_disk().and_then(|()| paths::content(Path::new(path))).is_some_and(|is| is != Content::Iso)
        {
            let told = format!("{path} does not look like a CD or DVD image (ISO 9660)");
            self.report.warn(Subject::Path, field, told, "see that it was downloaded whole");
        }
        Ok(())
    }

    /// Of a disk with something wrong in it, what can be looked at all the same.
    pub(super) fn paths_alone(&mut self, index: usize, disk: &Disk) -> Result<(), ServiceError> {
        for (name, path) in [("path", &disk.path), ("backing_file", &disk.backing_file)] {
            self.file(&format!("spec.disks[{index}].{name}"), path, Kind::FileOrDevice, Access::Read)?;
        }
        Ok(())
    }

    /// The image under a new disk.
    pub(super) fn backing(&mut self, field: &str, disk: &Disk) -> Result<(), ServiceError> {
        let path = &disk.backing_file;
        let at = format!("{field}.backing_file");
        if !self.file(&at, path, Kind::FileOrDevice, Access::Read)? {
            return Ok(());
        }
        self.format(&format!("{field}.backing_format"), path, disk.backing_format)?;
        let virtual_bytes = match self.on_disk().and_then(|()| paths::content(Path::new(path))) {
            Some(Content::Qcow2 { virtual_bytes }) => virtual_bytes,
            Some(Content::Iso | Content::Other) | None => 0,
        };
        if virtual_bytes > disk.size.bytes() {
            self.report.warn(
                Subject::Path,
                &format!("{field}.size_gib"),
                format!("{path} is an image of {}: its end would be cut off", human_bytes(virtual_bytes)),
                format!("ask for {} GiB or more", virtual_bytes.div_ceil(1 << 30)),
            );
        }
        if let Some(writer) = self.user(path, |other| !other.readonly) {
            self.report.warn(
                Subject::Path,
                &at,
                format!("VM \"{writer}\" writes to {path}: what lies over it is damaged by that"),
                "build on an image that nobody writes to, such as a copy of it",
            );
        }
        Ok(())
    }

    /// Whether QEMU can open a file; an empty path names none.
    pub(super) fn file(&mut self, field: &str, path: &str, kind: Kind, access: Access) -> Result<bool, ServiceError> {
        if !path.starts_with('/') || self.report.findings.iter().any(|found| found.field == field) {
            return Ok(false);
        }
        if self.on_disk().is_none() {
            return Ok(true);
        }
        let who = &self.host.opener.name;
        match self.host.opener.look(Path::new(path), kind, access) {
            Ok(Look::Fine) => {
                self.report.passed(Subject::Path, field, format!("{path} can be opened by {who}, who runs QEMU"));
            }
            Ok(Look::Hidden(directory)) => {
                let told = format!(
                    "this service may not look into {}: whether {path} is there shows when the VM starts",
                    directory.display()
                );
                let remedy = format!("see that {who}, who runs QEMU, can read it");
                self.report.warn(Subject::Path, field, told, remedy);
            }
            // libvirt may be where this process does not see: its pools know better what there is.
            Err(trouble) if trouble.fault == Fault::Missing && self.known(path)?.is_some() => {
                self.report.passed(Subject::Path, field, format!("{path} is a volume of one of libvirt's pools"));
            }
            Err(trouble) => {
                let kind = FindingKind::Precondition { reason: "NOT_READABLE", subject: path.to_owned() };
                self.report.stop(field, kind, format!("{}; {}", trouble.why, trouble.remedy));
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn known(&self, path: &str) -> Result<Option<VolumeFacts>, ServiceError> {
        Ok(self.host.hypervisor.volume_by_path(path)?)
    }

    /// A declared format and the file's first bytes must agree: QEMU believes what it is told.
    pub(super) fn format(&mut self, field: &str, path: &str, declared: Option<DiskFormat>) -> Result<(), ServiceError> {
        let content = self.on_disk().and_then(|()| paths::content(Path::new(path)));
        let is = match content {
            Some(Content::Qcow2 { .. }) => Some(DiskFormat::Qcow2),
            Some(Content::Iso | Content::Other) => Some(DiskFormat::Raw),
            // What this process may not read, libvirt has looked at.
            None => self.known(path)?.and_then(|facts| facts.format),
        };
        match (declared, is) {
            (Some(DiskFormat::Raw), Some(DiskFormat::Qcow2)) => self.report.stop(
                field,
                FindingKind::Invalid,
                format!("is RAW, and {path} is a qcow2 image: the guest would see its container, not the disk in it; set QCOW2"),
            ),
            (Some(DiskFormat::Qcow2), Some(DiskFormat::Raw)) => self.report.stop(
                field,
                FindingKind::Invalid,
                format!("is QCOW2, and {path} is no qcow2 image; set RAW if it is a plain one"),
            ),
            (Some(DiskFormat::Raw), Some(DiskFormat::Raw))
            | (Some(DiskFormat::Qcow2), Some(DiskFormat::Qcow2))
            | (None, _)
            | (Some(_), None) => {}
        }
        Ok(())
    }

    /// A VM whose disk this is, too.
    fn user(&self, path: &str, counts: impl Fn(&Disk) -> bool) -> Option<String> {
        let picture = self.host.inventory.picture();
        picture
            .vms
            .values()
            .find(|vm| self.host.inventory.spec(vm).disks.iter().any(|disk| disk.path == path && counts(disk)))
            .map(|vm| vm.record.name.clone())
    }

    pub(super) fn shared(&mut self, field: &str, disk: &Disk) {
        if let Some(other) = self.user(&disk.path, |other| !(other.readonly && disk.readonly)) {
            self.report.warn(
                Subject::Path,
                field,
                format!("VM \"{other}\" has {} as a disk, too: the two cannot run at once", disk.path),
                "give it a disk of its own, built on this one by backing_file or copied from it",
            );
        }
    }
}
