//! May QEMU open a file of the host? The one rule, for whoever names a path: it is there, it is of
//! the right kind, every directory on the way lets QEMU's user through, and, where libvirt does not
//! hand the file over to that user, the file itself does. What is wrong comes with the command that
//! mends it.
//!
//! Permissions are read, never tried: this process is another user than QEMU. Access control lists
//! count as much as modes, since they are what the remedies set.

use std::fs::Metadata;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::accounts::Accounts;
use super::{HostRoot, read};

const READ: u32 = 4;
const WRITE: u32 = 2;
const SEARCH: u32 = 1;

/// Who opens a guest's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opener {
    pub name: String,
    pub uid: u32,
    pub gids: Vec<u32>,
    /// Whose a file is when it is opened.
    pub handing: Handing,
}

/// What libvirt does to a file before QEMU opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Handing {
    /// It gives the file to QEMU's user: only the directories on the way count.
    GivenOver,
    /// Nothing: the file's own permissions count, too.
    AsItIs,
}

/// What the opener needs of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    ReadWrite,
}

/// What a path may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file.
    File,
    /// A file or a block device.
    FileOrDevice,
}

/// A path that the opener can open, as far as can be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    Fine,
    /// This process may not look into the directory, and the opener may.
    Hidden(PathBuf),
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    Missing,
    /// A directory, a socket, something that no guest can have.
    WrongKind,
    /// The opener's permissions.
    Closed,
    /// The file system's own trouble.
    Broken,
}

/// Why a path cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub fault: Fault,
    /// Continues a sentence that begins with the field.
    pub why: String,
    pub remedy: String,
}

impl Opener {
    /// QEMU's user: by libvirt's word, or, where it says nothing, whoever this process is.
    #[must_use]
    pub fn of_qemu(root: &HostRoot, ids: Option<(u32, u32)>) -> Self {
        let accounts = Accounts::read(root);
        let handed = !read(root.etc.join("libvirt/qemu.conf")).lines().any(|line| {
            line.trim().strip_prefix("dynamic_ownership").is_some_and(|rest| rest.trim_start().starts_with('='))
                && line.trim().ends_with('0')
        });
        let (uid, gid, handing) = match ids {
            Some((uid, gid)) => (uid, gid, if handed { Handing::GivenOver } else { Handing::AsItIs }),
            None => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw(), Handing::AsItIs),
        };
        let name = accounts.user_name(uid);
        let mut gids = vec![gid];
        gids.extend(accounts.groups_of(&name));
        Self { name, uid, gids, handing }
    }

    /// Whether `path` can be opened.
    ///
    /// # Errors
    /// [`Trouble`], with its remedy.
    pub fn look(&self, path: &Path, kind: Kind, access: Access) -> Result<Look, Trouble> {
        let Way { closed, mut hidden } = self.way(path)?;
        let meta = match std::fs::metadata(path) {
            _ if hidden.is_some() => None,
            Ok(meta) => Some(meta),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                hidden = path.parent().map(Path::to_owned);
                None
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing(path, path)),
            Err(error) => {
                return Err(trouble(Fault::Broken, format!("{}: {error}", path.display()), "mend the file system"));
            }
        };
        if let Some(meta) = &meta {
            of_kind(path, meta, kind)?;
        }
        self.all_open(path, &closed)?;
        let needed = match access {
            Access::Read => READ,
            Access::ReadWrite => READ | WRITE,
        };
        if let Some(meta) = &meta
            && self.handing == Handing::AsItIs
            && !self.may(path, meta, needed)
        {
            let (word, letters) = match access {
                Access::Read => ("read", "r"),
                Access::ReadWrite => ("read and write", "rw"),
            };
            return Err(trouble(
                Fault::Closed,
                format!("{} may not {word} {}, and it runs QEMU", self.name, path.display()),
                format!("run: setfacl -m u:{}:{letters} {}", self.name, shell(path)),
            ));
        }
        Ok(hidden.map_or(Look::Fine, Look::Hidden))
    }

    /// Whether what lies in `directory` can be reached.
    ///
    /// # Errors
    /// [`Trouble`], with its remedy.
    pub fn reach(&self, directory: &Path) -> Result<(), Trouble> {
        let inside = directory.join("x");
        let Way { closed, .. } = self.way(&inside)?;
        self.all_open(directory, &closed)
    }

    /// Whether it may read and write what is at `path`, by its permissions alone.
    #[must_use]
    pub fn may_use(&self, path: &Path, meta: &Metadata) -> bool {
        self.may(path, meta, READ | WRITE)
    }

    /// The directories on the way to `path`, by the names in it and by where its links lead.
    fn way(&self, path: &Path) -> Result<Way, Trouble> {
        let mut way = Way { closed: Vec::new(), hidden: None };
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        for directory in above(path).chain(above(&real)) {
            match std::fs::metadata(&directory) {
                Ok(meta) if !meta.is_dir() => {
                    let why = format!("{} is no directory", directory.display());
                    return Err(trouble(Fault::Missing, why, "name a path that exists"));
                }
                Ok(meta) => {
                    if !self.may(&directory, &meta, SEARCH) && !way.closed.contains(&directory) {
                        way.closed.push(directory);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    way.hidden = directory.parent().map(Path::to_owned);
                    break;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing(path, &directory)),
                Err(error) => {
                    let why = format!("{}: {error}", directory.display());
                    return Err(trouble(Fault::Broken, why, "mend the directory"));
                }
            }
        }
        Ok(way)
    }

    fn all_open(&self, path: &Path, closed: &[PathBuf]) -> Result<(), Trouble> {
        if closed.is_empty() {
            return Ok(());
        }
        let at = closed.iter().map(|one| one.display().to_string()).collect::<Vec<_>>().join(", ");
        let quoted = closed.iter().map(|one| shell(one)).collect::<Vec<_>>().join(" ");
        Err(trouble(
            Fault::Closed,
            format!("{} cannot be reached by {}, who runs QEMU: it may not pass {at}", path.display(), self.name),
            format!(
                "run: setfacl -m u:{}:x {quoted}; or move the file into the directory of a storage pool",
                self.name
            ),
        ))
    }

    /// By the rules of acl(5).
    fn may(&self, path: &Path, meta: &Metadata, wanted: u32) -> bool {
        let has = |bits: u32| bits & wanted == wanted;
        if self.uid == 0 {
            return true;
        }
        if meta.uid() == self.uid {
            return has(meta.mode() >> 6);
        }
        match acl(path) {
            None if self.gids.contains(&meta.gid()) => has(meta.mode() >> 3),
            None => has(meta.mode()),
            Some(list) => list.permits(self, meta.gid(), has),
        }
    }
}

/// Directories that the opener may not pass, and the one into which this process may not look.
struct Way {
    closed: Vec<PathBuf>,
    hidden: Option<PathBuf>,
}

fn trouble(fault: Fault, why: String, remedy: impl Into<String>) -> Trouble {
    Trouble { fault, why, remedy: remedy.into() }
}

fn missing(path: &Path, at: &Path) -> Trouble {
    let why = if path == at {
        format!("{} does not exist", path.display())
    } else {
        format!("{} does not exist: there is no {}", path.display(), at.display())
    };
    trouble(Fault::Missing, why, "put the file there, or name one that exists on this host")
}

fn of_kind(path: &Path, meta: &Metadata, kind: Kind) -> Result<(), Trouble> {
    let file = meta.file_type();
    let fits = match kind {
        Kind::File => file.is_file(),
        Kind::FileOrDevice => file.is_file() || file.is_block_device(),
    };
    if fits {
        return Ok(());
    }
    let is = if file.is_dir() {
        "is a directory"
    } else if file.is_block_device() {
        "is a block device"
    } else {
        "is neither a file nor a block device"
    };
    let wanted = match kind {
        Kind::File => "name a file",
        Kind::FileOrDevice => "name a file or a block device",
    };
    Err(trouble(Fault::WrongKind, format!("{} {is}", path.display()), wanted))
}

/// The directories on the way, the root first.
fn above(path: &Path) -> impl Iterator<Item = PathBuf> {
    let mut all: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
    all.reverse();
    all.into_iter()
}

/// A path as a shell reads it.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | ',' | ':' | '@' | '%');
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// The named entries of an access control list: (tag, permissions, id) as the kernel keeps them.
struct Acl(Vec<(u16, u32, u32)>);

const ACL_USER: u16 = 2;
const ACL_OWNING_GROUP: u16 = 4;
const ACL_GROUP: u16 = 8;
const ACL_MASK: u16 = 16;
const ACL_OTHER: u16 = 32;

/// `None`: the mode says it all.
fn acl(path: &Path) -> Option<Acl> {
    let mut buffer = [0_u8; 4096];
    let length = rustix::fs::getxattr(path, "system.posix_acl_access", &mut buffer[..]).ok()?;
    Acl::read(buffer.get(..length)?)
}

impl Acl {
    /// A version of four bytes, then entries of eight, little-endian (linux/posix_acl_xattr.h).
    fn read(bytes: &[u8]) -> Option<Self> {
        let (version, entries) = bytes.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*version) != 2 {
            return None;
        }
        let entry = |chunk: &[u8]| {
            let [a, b, c, d, e, f, g, h] = <[u8; 8]>::try_from(chunk).ok()?;
            let bits = u32::from(u16::from_le_bytes([c, d]));
            Some((u16::from_le_bytes([a, b]), bits, u32::from_le_bytes([e, f, g, h])))
        };
        entries.chunks_exact(8).map(entry).collect::<Option<_>>().map(Self)
    }

    fn permits(&self, opener: &Opener, group: u32, has: impl Fn(u32) -> bool) -> bool {
        let mask = self.0.iter().find(|(tag, ..)| *tag == ACL_MASK).map_or(7, |(_, bits, _)| *bits);
        if let Some((_, bits, _)) = self.0.iter().find(|(tag, _, id)| *tag == ACL_USER && *id == opener.uid) {
            return has(bits & mask);
        }
        let mut of_a_group = self
            .0
            .iter()
            .filter(|(tag, _, id)| match *tag {
                ACL_OWNING_GROUP => opener.gids.contains(&group),
                ACL_GROUP => opener.gids.contains(id),
                _ => false,
            })
            .map(|(_, bits, _)| has(bits & mask))
            .peekable();
        if of_a_group.peek().is_some() {
            return of_a_group.any(|permitted| permitted);
        }
        self.0.iter().find(|(tag, ..)| *tag == ACL_OTHER).is_some_and(|(_, bits, _)| has(*bits))
    }
}

/// What the first bytes of a file say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// QEMU's format, with the size that a guest sees.
    Qcow2 {
        virtual_bytes: u64,
    },
    /// A CD or DVD by ISO 9660.
    Iso,
    Other,
}

/// Where the first volume descriptor of ISO 9660 lies, and what it says.
const ISO_AT: u64 = 0x8001;
const ISO_WORD: &[u8] = b"CD001";

/// Look at the first bytes; `None`: this process may not.
#[must_use]
pub fn content(path: &Path) -> Option<Content> {
    // Whatever the path has become since it was looked at, this does not wait.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).ok()?;
    let mut file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let mut head = Vec::with_capacity(32);
    file.by_ref().take(32).read_to_end(&mut head).ok()?;
    if head.starts_with(b"QFI\xfb") {
        let size = head.get(24..32).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()).map_or(0, u64::from_be_bytes);
        return Some(Content::Qcow2 { virtual_bytes: size });
    }
    let mut word = Vec::with_capacity(ISO_WORD.len());
    file.seek(SeekFrom::Start(ISO_AT)).ok()?;
    file.take(ISO_WORD.len() as u64).read_to_end(&mut word).ok()?;
    Some(if word == ISO_WORD { Content::Iso } else { Content::Other })
}

/// Bytes that a file takes on its disk; `None`: it is not there or cannot be looked at.
#[must_use]
pub fn allocated(path: &Path) -> Option<u64> {
    let meta = std::fs::metadata(path).ok()?;
    meta.is_file().then(|| meta.blocks().saturating_mul(512))
}

/// Bytes free on the file system that a directory lies on, or would be made on.
#[must_use]
pub fn free_for(directory: &Path) -> Option<u64> {
    let there = directory.ancestors().find(|above| above.exists())?;
    let space = rustix::fs::statvfs(there).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

#[cfg(test)]
#[path = "paths_tests.rs"]
mod tests;
