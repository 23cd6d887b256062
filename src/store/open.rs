//! Opening: lock, look without touching, then open. A file that is damaged, foreign, newer or in
//! use is refused in a sentence that names it and what to do; not a byte of it is changed.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageError};

use super::disk::{Disk, Faults};
use super::error::{OpenError, StoreError};
use super::migrate::{STEPS, Step, found, migrate};
use super::overlay::Overlay;
use super::{Inner, Store, backup};

/// Memory that redb may use for pages.
const CACHE_BYTES: usize = 1 << 20;
/// A file that another process holds is refused after 200 ms.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// What every redb file begins with.
const MAGIC: &[u8] = b"redb";

/// What a state file is, without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspected {
    /// There is none: a server makes it.
    Absent,
    /// A process has it open.
    Held { pid: String },
    /// It can be opened, and holds so many VMs.
    Whole { vms: usize },
}

impl Store {
    /// Open the state file, making it where there is none.
    ///
    /// # Errors
    /// [`OpenError`]: the file is then as it was.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_as(path, &STEPS)
    }

    /// As [`open`](Self::open), of the format that `steps` lead to.
    pub(super) fn open_as(path: &Path, steps: &[Step]) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        backup::sweep(path);
        let faults = Faults::default();
        let db = match std::fs::metadata(path) {
            Ok(meta) => {
                fit(path, &meta)?;
                let looked = inspect_as(path, steps)?;
                if (looked.format as usize) < steps.len() {
                    backup::before_upgrade(path, steps)?;
                }
                open_disk(path, &faults)?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() => {
                create(path)?;
                open_disk(path, &faults)?
            }
            Err(error) => return Err(unreadable(path, &error)),
        };
        migrate(&db, steps).map_err(|error| OpenError::Damaged { path: path.to_owned(), why: error.to_string() })?;
        let again = path.to_owned();
        let reopen = move |faults: &Faults| {
            inspect(&again)?;
            open_disk(&again, faults)
        };
        let inner = Inner::over(db, faults, Some(Box::new(reopen)), Some(path.to_owned()), Some(lock));
        let store = Self { inner: Arc::new(inner) };
        // So that the status is right from the beginning; what fails here fails the next backup.
        let _ = store.backups();
        Ok(store)
    }

    /// Make a state file that comes into being with what `fill` puts into it, or not at all.
    ///
    /// # Errors
    /// [`OpenError::Exists`] where there is one; `fill`'s own, and nothing is left then.
    pub fn make<T, E: From<OpenError>>(path: &Path, fill: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        Self::absent(path)?;
        let held = lock(path)?;
        // A server that ended a moment ago may have made it.
        Self::absent(path)?;
        let part = part(path);
        let made = (|| {
            let db = write(path, &part)?;
            let store = Self { inner: Arc::new(Inner::new(db, None, None)) };
            let answer = fill(&store)?;
            drop(store);
            hand_over(&part, path)?;
            hand_over(&lock_file(path), path)?;
            place(&part, path)?;
            Ok(answer)
        })();
        if made.is_err() {
            // It may not even have been made.
            let _ = std::fs::remove_file(&part);
        }
        drop(held);
        made
    }

    /// Whether the place is free.
    ///
    /// # Errors
    /// [`OpenError::Exists`] where it is not.
    pub fn absent(path: &Path) -> Result<(), OpenError> {
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unreadable(path, &error)),
            Ok(_) => Err(OpenError::Exists { path: path.to_owned() }),
        }
    }

    /// Look at a state file, which may be another process's, and change nothing at all.
    ///
    /// # Errors
    /// [`OpenError`]: what opening it would answer.
    pub fn inspect(path: &Path) -> Result<Inspected, OpenError> {
        if let Some(pid) = holder(path)? {
            return Ok(Inspected::Held { pid });
        }
        let looked = match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Inspected::Absent),
            Ok(_) | Err(_) => plain(path).and_then(|()| inspect(path)),
        };
        // One that a server has opened meanwhile changes while it is read.
        match (looked, holder(path)?) {
            (_, Some(pid)) => Ok(Inspected::Held { pid }),
            (Ok(looked), None) => Ok(Inspected::Whole { vms: looked.vms }),
            (Err(error), None) => Err(error),
        }
    }

    /// A store that lives in memory: the demo's and the tests'.
    ///
    /// # Errors
    /// redb's, which memory does not give.
    pub fn in_memory() -> Result<Self, StoreError> {
        let db = Builder::new()
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .map_err(|error| StoreError::Database(error.to_string()))?;
        migrate(&db, &STEPS)?;
        Ok(Self { inner: Arc::new(Inner::new(db, None, None)) })
    }
}

/// A new file comes into being whole: made beside, then renamed into place.
fn create(path: &Path) -> Result<(), OpenError> {
    let part = part(path);
    drop(write(path, &part)?);
    place(&part, path)
}

/// A file that was looked at. Never one that is made here, or made new because it is empty.
fn open_disk(path: &Path, faults: &Faults) -> Result<Database, OpenError> {
    let io = |error: std::io::Error| OpenError::Io { path: path.to_owned(), why: error.to_string() };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(io)?;
    let backend = FileBackend::new(file).map_err(|error| refused(path, &error))?;
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(Disk::new(backend, faults.clone()))
        .map_err(|error| refused(path, &error))
}

/// Where a new file is made before it has its name.
pub(super) fn part(path: &Path) -> PathBuf {
    path.with_extension("redb.new")
}

/// A fresh database in `part`, of our newest format.
fn write(path: &Path, part: &Path) -> Result<Database, OpenError> {
    let io = |error: std::io::Error| OpenError::Io { path: path.to_owned(), why: error.to_string() };
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(part).map_err(io)?;
    let db = Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(FileBackend::new(file).map_err(|error| refused(path, &error))?)
        .map_err(|error| refused(path, &error))?;
    migrate(&db, &STEPS).map_err(|error| OpenError::Io { path: path.to_owned(), why: error.to_string() })?;
    Ok(db)
}

/// Give it its name, durably.
pub(super) fn place(part: &Path, path: &Path) -> Result<(), OpenError> {
    let io = |error: std::io::Error| OpenError::Io { path: path.to_owned(), why: error.to_string() };
    std::fs::rename(part, path).map_err(io)?;
    File::open(directory(path)).and_then(|directory| directory.sync_all()).map_err(io)
}

pub(super) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// What root makes here belongs to whose directory it is: the server does not run as root.
pub(super) fn hand_over(file: &Path, path: &Path) -> Result<(), OpenError> {
    let io = |error: std::io::Error| OpenError::Io { path: file.to_owned(), why: error.to_string() };
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = std::fs::metadata(directory(path)).map_err(io)?;
    std::os::unix::fs::chown(file, Some(owner.uid()), Some(owner.gid())).map_err(io)
}

/// A file that a store may be in, by what it is and who may read it.
fn fit(path: &Path, meta: &std::fs::Metadata) -> Result<(), OpenError> {
    if !meta.is_file() {
        let why = if meta.is_dir() { "it is a directory" } else { "it is no plain file" }.to_owned();
        return Err(OpenError::Foreign { path: path.to_owned(), why });
    }
    private(path, meta.permissions().mode(), 0o600)
}

fn plain(path: &Path) -> Result<(), OpenError> {
    let meta = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    fit(path, &meta)
}

/// A link whose target is away (a disk that is not mounted) must not become an empty store.
fn unreadable(path: &Path, error: &std::io::Error) -> OpenError {
    let why = if error.kind() == std::io::ErrorKind::NotFound && path.is_symlink() {
        "it links to a file that is not there; bring that back, or remove the link".to_owned()
    } else {
        error.to_string()
    };
    OpenError::Io { path: path.to_owned(), why }
}

pub(super) fn lock_file(path: &Path) -> PathBuf {
    path.with_extension("redb.lock")
}

/// The process that has the state file open, by its lock; `None`: nobody.
fn holder(path: &Path) -> Result<Option<String>, OpenError> {
    let at = lock_file(path);
    let io = |error: std::io::Error| OpenError::Io { path: at.clone(), why: error.to_string() };
    let mut file = match File::open(&at) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(io)?,
    };
    // Shared, and let go at once: a server that begins in this moment tries again.
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(pid_in(&mut file))),
        Err(error) => Err(io(error.into())),
    }
}

/// The process that a lock file names.
fn pid_in(file: &mut File) -> String {
    let mut pid = String::new();
    let _ = file.read_to_string(&mut pid);
    let pid = pid.trim();
    if pid.is_empty() { "(unknown)".to_owned() } else { pid.to_owned() }
}

/// One process a state file: a lock file beside it, with our pid in it.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let at = lock_file(path);
    let io = |error: std::io::Error| OpenError::Io { path: at.clone(), why: error.to_string() };
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&at).map_err(io)?;
    let mut tries = 0;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            // It may be just ending, or have its lock and not yet its pid in the file, or have begun
            // another program that has not yet let go of what it inherited.
            Err(rustix::io::Errno::WOULDBLOCK) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(OpenError::Locked { path: path.to_owned(), pid: pid_in(&mut file) });
            }
            Err(error) => return Err(io(error.into())),
        }
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}

/// Others must not read definitions, which can hold passwords.
fn private(path: &Path, mode: u32, wanted: u32) -> Result<(), OpenError> {
    let mode = mode & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(OpenError::Exposed { path: path.to_owned(), mode, wanted }) }
}

/// What a look at a file found.
pub(super) struct Looked {
    pub vms: usize,
    /// The format that lies in the file.
    pub format: u32,
}

/// Look at the whole file through memory: is it redb's, whole, and of a format that we know.
pub(super) fn inspect(path: &Path) -> Result<Looked, OpenError> {
    inspect_as(path, &STEPS)
}

pub(super) fn inspect_as(path: &Path, steps: &[Step]) -> Result<Looked, OpenError> {
    let io = |error: std::io::Error| OpenError::Io { path: path.to_owned(), why: error.to_string() };
    let mut file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    if len == 0 {
        return Err(OpenError::Damaged { path: path.to_owned(), why: "it is empty".to_owned() });
    }
    let mut head = [0; 4];
    if file.read_exact(&mut head).is_err() || head != MAGIC {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "it does not begin as a redb file does".to_owned(),
        });
    }
    let overlay = Overlay::new(file).map_err(io)?;
    // redb may panic on what it takes for impossible: here that is an answer like any other.
    let looked = catch_unwind(AssertUnwindSafe(|| {
        let db = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create_with_backend(overlay)
            .map_err(|error| refused(path, &error))?;
        let damaged = |error: StoreError| OpenError::Damaged { path: path.to_owned(), why: error.to_string() };
        let foreign = |why: &str| OpenError::Foreign { path: path.to_owned(), why: why.to_owned() };
        let format = found(&db).map_err(damaged)?;
        match format {
            // Ours come into being with a format: this is another program's, and stays its own.
            0 => return Err(foreign("a redb file of another program")),
            format if format as usize > steps.len() => {
                let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
                return Err(OpenError::Newer { path: path.to_owned(), found: format, known });
            }
            _ => {}
        }
        // A step that fails on this file fails here, before the file is touched.
        migrate(&db, steps).map_err(damaged)?;
        let store = Store { inner: Arc::new(Inner::new(db, None, None)) };
        store.verify().map_err(damaged)?;
        Ok(Looked { vms: store.vm_all().map_err(damaged)?.len(), format })
    }));
    looked.unwrap_or_else(|_| {
        Err(OpenError::Damaged { path: path.to_owned(), why: "its pages contradict each other".to_owned() })
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "redb's own, and not exhaustive")]
pub(super) fn refused(path: &Path, error: &DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::Locked { path, pid: "(unknown)".to_owned() }
        }
        DatabaseError::UpgradeRequired(version) => {
            OpenError::Foreign { path, why: format!("redb file format {version}") }
        }
        DatabaseError::Storage(StorageError::Io(why))
            if !matches!(why.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) =>
        {
            OpenError::Io { path, why: why.to_string() }
        }
        other => OpenError::Damaged { path, why: other.to_string() },
    }
}
