//! Which files of the host a caller may name: an administrator any, everybody else those that lie in
//! a storage pool of files. The one place where that is decided, for every field that takes a path.
//!
//! An image that is opened as qcow2 names further files in its own header, and a guest writes what it
//! likes into a disk that it has as raw: so what an image opens is judged like what a request names.
//!
//! Nobody but administrators writes into the directories of pools (volumes are made by libvirt), so
//! that what was judged is still what is named when QEMU opens it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::host::inside::{self, Opens, Place};
use crate::hypervisor::Hypervisor;
use crate::model::access::{Privilege, Rights};
use crate::model::definition::PoolKind;
use crate::model::spec::{DiskFormat, VmSpec};

use super::core::Core;
use super::error::{Finding, FindingKind, ServiceError};
use super::inventory::Inventory;

/// Images that may lie over one another.
const CHAIN_MAX: usize = 16;

/// A file that a specification names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named<'a> {
    /// Below the specification.
    field: String,
    path: &'a str,
    /// `Some`: opened as an image of this format.
    image: Option<DiskFormat>,
    is_written: bool,
}

/// Every file that a specification names by its path.
fn named(spec: &VmSpec) -> Vec<Named<'_>> {
    let file = |field: String, path| Named { field, path, image: None, is_written: false };
    let mut all = Vec::new();
    for (index, disk) in spec.disks.iter().enumerate() {
        all.push(Named {
            field: format!("disks[{index}].path"),
            path: disk.path.as_str(),
            image: disk.format,
            is_written: !disk.readonly,
        });
        all.push(Named {
            image: disk.backing_format,
            ..file(format!("disks[{index}].backing_file"), disk.backing_file.as_str())
        });
    }
    for (index, cdrom) in spec.cdroms.iter().enumerate() {
        all.push(file(format!("cdroms[{index}].iso_path"), cdrom.iso_path.as_str()));
    }
    if let Some(direct) = &spec.boot.direct {
        all.push(file("boot.direct_boot.kernel_path".to_owned(), direct.kernel_path.as_str()));
        all.push(file("boot.direct_boot.initrd_path".to_owned(), direct.initrd_path.as_str()));
    }
    all.retain(|one| !one.path.is_empty());
    all
}

impl Named<'_> {
    /// Whether a VM that has `self` gets nothing new by `other`.
    fn covers(&self, other: &Self) -> bool {
        let kind = |named: &Self| named.field.split(['[', '.']).next().unwrap_or_default().to_owned();
        kind(self) == kind(other)
            && self.path == other.path
            && self.image == other.image
            && (self.is_written || !other.is_written)
    }
}

/// What a caller may name.
pub(super) struct Naming<'a> {
    hypervisor: &'a dyn Hypervisor,
    inventory: &'a Inventory,
    rights: Rights,
    pools: OnceCell<Vec<PathBuf>>,
}

impl<'a> Naming<'a> {
    pub fn of(core: &'a Core, rights: Rights) -> Self {
        let hypervisor = core.hypervisor.as_ref();
        Self { hypervisor, inventory: &core.inventory, rights, pools: OnceCell::new() }
    }

    /// What of a specification may not be named, under the fields below `spec`. What `before` had
    /// already is none of it. Blocks.
    pub fn findings(&self, spec: &VmSpec, before: Option<&VmSpec>) -> Result<Vec<Finding>, ServiceError> {
        if self.is_free() {
            return Ok(Vec::new());
        }
        let had = before.map(named).unwrap_or_default();
        let mut found = Vec::new();
        for one in named(spec) {
            // What is no absolute path is refused for that.
            if !one.path.starts_with('/') || had.iter().any(|had| had.covers(&one)) {
                continue;
            }
            let told = match one.image {
                Some(format) => self.image(one.path, format)?,
                None => self.file(one.path)?,
            };
            found.extend(told.map(|told| Finding::new(&format!("spec.{}", one.field), FindingKind::Denied, told)));
        }
        Ok(found)
    }

    fn is_free(&self) -> bool {
        self.rights.has(Privilege::HostPaths)
    }

    fn pools(&self) -> Result<&[PathBuf], ServiceError> {
        if let Some(pools) = self.pools.get() {
            return Ok(pools);
        }
        let all = self.hypervisor.pools()?;
        let of_files = all.into_iter().filter(|pool| pool.active && pool.kind == PoolKind::Files);
        let found = of_files.map(|pool| PathBuf::from(pool.path)).filter(|path| path.is_absolute()).collect();
        Ok(self.pools.get_or_init(|| found))
    }

    /// Why a file may not be named, continuing a sentence; `None`: it may. Blocks.
    pub fn file(&self, path: &str) -> Result<Option<String>, ServiceError> {
        if self.is_free() {
            return Ok(None);
        }
        // One sentence, whether or not something is there: nobody looks around by asking.
        let outside = || format!("{path} is in no storage pool of this host; only the role admin may name it");
        Ok(match inside::place(Path::new(path), self.pools()?) {
            Place::Inside => None,
            Place::Outside => Some(outside()),
            Place::NoFile => Some(format!("{path} is no file; only the role admin may name it")),
            Place::Unseen => match self.hypervisor.volume_by_path(path)? {
                Some(volume) if volume.is_file => None,
                Some(_) | None => Some(outside()),
            },
        })
    }

    /// As [`file`](Self::file), for an image: with it, all that it makes QEMU open.
    pub fn image(&self, path: &str, format: DiskFormat) -> Result<Option<String>, ServiceError> {
        let refused = self.file(path)?;
        if refused.is_some() || self.is_free() {
            return Ok(refused);
        }
        match format {
            DiskFormat::Raw => Ok(None),
            DiskFormat::Qcow2 => self.chain(path),
        }
    }

    fn chain(&self, first: &str) -> Result<Option<String>, ServiceError> {
        let mut path = first.to_owned();
        for _ in 0..CHAIN_MAX {
            if let Some(writer) = self.raw_disk_of(&path) {
                return Ok(Some(format!(
                    "VM \"{writer}\" has {path} as a raw disk and writes into it what it likes; only the role admin \
                     may have it opened as an image"
                )));
            }
            let under = match inside::opens(Path::new(&path)) {
                Opens::Itself => return Ok(None),
                Opens::Backing(name) => name,
                Opens::DataElsewhere => {
                    return Ok(Some(format!(
                        "{path} keeps its data in another file; only the role admin may have it opened"
                    )));
                }
                Opens::NoImage if path == first => {
                    return Ok(Some(format!(
                        "{path} is no qcow2 image; only the role admin may have it opened as one"
                    )));
                }
                // Of another format: it names nothing further.
                Opens::NoImage => return Ok(None),
                Opens::Hidden => match self.hypervisor.volume_by_path(&path)? {
                    Some(volume) => match volume.backing_path {
                        Some(under) => under,
                        None => return Ok(None),
                    },
                    None => {
                        return Ok(Some(format!(
                            "what {path} opens cannot be seen, and no pool lists it (virsh pool-refresh makes a pool \
                             look again); only the role admin may name it"
                        )));
                    }
                },
            };
            // By QEMU's rules: what has a colon before any slash is a protocol, such as `json:` or `nbd:`,
            // and the rest lies beside the image, where it is not absolute.
            let is_protocol = under.split('/').next().is_some_and(|head| head.contains(':'));
            let beside = Path::new(&path).parent().unwrap_or(Path::new("/"));
            let under = beside.join(&under).to_string_lossy().into_owned();
            if is_protocol || self.file(&under)?.is_some() {
                return Ok(Some(format!(
                    "{first} is an image over a file that is in no storage pool of this host; only the role admin may \
                     name it"
                )));
            }
            path = under;
        }
        Ok(Some(format!("{first} is an image over more than {CHAIN_MAX} others; only the role admin may name it")))
    }

    /// A VM that has the file as a raw disk.
    fn raw_disk_of(&self, path: &str) -> Option<String> {
        let picture = self.inventory.picture();
        let is = |spec: &VmSpec| {
            spec.disks.iter().any(|disk| disk.path == path && disk.format == Some(DiskFormat::Raw) && !disk.readonly)
        };
        picture.vms.values().find(|vm| is(&self.inventory.spec(vm))).map(|vm| vm.record.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::{Boot, Cdrom, DirectBoot, Disk};

    fn spec() -> VmSpec {
        let disk = |path: &str, format, readonly| Disk {
            path: path.to_owned(),
            format: Some(format),
            readonly,
            ..Disk::default()
        };
        VmSpec {
            disks: vec![disk("/a", DiskFormat::Raw, true), disk("/b", DiskFormat::Qcow2, false)],
            cdroms: vec![Cdrom { iso_path: "/c".to_owned(), ..Cdrom::default() }, Cdrom::default()],
            boot: Boot {
                direct: Some(DirectBoot { kernel_path: "/k".to_owned(), ..DirectBoot::default() }),
                ..Boot::default()
            },
            ..VmSpec::default()
        }
    }

    /// The fields of `new` that name what `old` does not have.
    fn anew(old: &VmSpec, new: &VmSpec) -> Vec<String> {
        let had = named(old);
        named(new).into_iter().filter(|one| !had.iter().any(|had| had.covers(one))).map(|one| one.field).collect()
    }

    #[test]
    fn every_path_of_a_specification_is_named() {
        let mut whole = spec();
        whole.disks[1].backing_file = "/d".to_owned();
        if let Some(direct) = &mut whole.boot.direct {
            direct.initrd_path = "/i".to_owned();
        }
        let fields: Vec<String> = named(&whole).into_iter().map(|one| one.field).collect();
        assert_eq!(
            fields,
            [
                "disks[0].path",
                "disks[1].path",
                "disks[1].backing_file",
                "cdroms[0].iso_path",
                "boot.direct_boot.kernel_path",
                "boot.direct_boot.initrd_path"
            ]
        );
    }

    #[test]
    fn what_a_vm_has_is_not_named_anew_unless_it_gets_more_of_it() {
        let old = spec();
        assert_eq!(anew(&old, &old), Vec::<String>::new());
        let changed = |change: fn(&mut VmSpec)| {
            let mut new = old.clone();
            change(&mut new);
            anew(&old, &new)
        };
        assert_eq!(changed(|new| new.disks.swap(0, 1)), Vec::<String>::new());
        assert_eq!(changed(|new| new.disks[1].readonly = true), Vec::<String>::new());
        assert_eq!(changed(|new| new.disks[0].readonly = false), ["disks[0].path"]);
        assert_eq!(changed(|new| new.disks[0].format = Some(DiskFormat::Qcow2)), ["disks[0].path"]);
        assert_eq!(changed(|new| new.disks[1].path = "/c".to_owned()), ["disks[1].path"]);
        assert_eq!(changed(|new| new.cdroms[1].iso_path = "/a".to_owned()), ["cdroms[1].iso_path"]);
        assert_eq!(changed(|new| new.cdroms.swap(0, 1)), Vec::<String>::new());
    }
}
