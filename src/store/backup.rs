//! Backups of the state file and putting one back. Everything here comes into being beside its
//! place as a part file, is brought to the disk, is looked at as a file is that is about to be
//! opened, and only then gets its name: what bears the name of a backup can be restored.
//!
//! ```text
//! open store ── one read transaction, table by table ──┐
//! closed file ── byte by byte, under its lock ─────────┴─► *.part ──► fsync ──► looked at ──► named
//! ```
//!
//! While the store is open it goes on taking writes: the copy is of the moment at which it began,
//! and of all tables of that moment. Turned down: copying the open file's bytes, which between two
//! pages would be of two moments.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use redb::backends::FileBackend;
use redb::{
    Builder, Database, Durability, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, TableHandle as _,
    WriteTransaction,
};

use super::Store;
use super::error::{BackupError, OpenError, StoreError};
use super::migrate::{STEPS, Step};
use super::open::{directory, hand_over, inspect, inspect_as, lock, lock_file, part, place, refused};
use super::tables::{META, ROWS, Rows, SESSIONS, TOKENS, USERS};
use crate::model::backup::{BackupKind, BackupName, newest, superfluous};
use crate::model::vm::Moment;

/// The folder of backups, beside the state file.
const FOLDER: &str = "backups";
/// What is not whole yet ends in this.
const PART: &str = "part";
/// Memory that redb may use for pages of the copy.
const CACHE_BYTES: usize = 1 << 20;
/// Room that is left beside a backup for the state file itself to grow into.
const RESERVE_BYTES: u64 = 4 << 20;

/// A backup that can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub name: BackupName,
    pub path: PathBuf,
    pub size_bytes: u64,
}

/// How backups are doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupStatus {
    /// The state lives in memory: there is nothing to back up.
    NotKept,
    Kept {
        newest: Option<Moment>,
        /// Why the last attempt failed.
        failure: Option<String>,
    },
}

/// What is remembered of the folder between looks at it.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    newest: Option<Moment>,
    failure: Option<String>,
}

/// What putting a backup back did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub vms: usize,
    pub users: usize,
    /// Of the backup, and not restored.
    pub ended: Ended,
    /// Where the file that was replaced is kept; `None`: there was none.
    pub replaced: Option<PathBuf>,
}

/// What a backup holds and a restored state does not: a session that was ended since, and a token
/// that was revoked, must not come back to life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ended {
    pub sessions: usize,
    pub tokens: usize,
}

impl Store {
    /// Make a backup now, while others read and write, and forget those that have had their time.
    /// Blocks.
    ///
    /// # Errors
    /// [`BackupError`]: nothing is left of the attempt then, and the status tells of it.
    pub fn back_up(&self, kind: BackupKind) -> Result<Backup, BackupError> {
        let state = self.inner.path.as_ref().ok_or(BackupError::InMemory)?;
        let _one_at_a_time = self.inner.backing_up.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = folder_of(state);
        let made = make_folder(state).map_err(BackupError::from).and_then(|()| {
            let (name, to) = free_name(&folder, kind);
            let part = part_of(&to);
            let made = self.copy_tables(&part).and_then(|()| Ok(finish(&part, &to, state, &STEPS)?));
            if made.is_err() {
                // It may not even have been made.
                let _ = std::fs::remove_file(&part);
            }
            made.map(|size_bytes| Backup { name, path: to, size_bytes })
        });
        let made = made.map_err(|error| why(error, &folder, self.size_bytes()));
        self.remembered().failure = made.as_ref().err().map(ToString::to_string);
        if made.is_ok() {
            prune(&folder);
        }
        // The status follows; a folder that cannot be read is told of by the next backup.
        let _ = self.backups();
        made
    }

    /// The backups that there are, newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn backups(&self) -> Result<Vec<Backup>, BackupError> {
        let Some(state) = &self.inner.path else { return Ok(Vec::new()) };
        let found = list(&folder_of(state))?;
        let names: Vec<BackupName> = found.iter().map(|backup| backup.name).collect();
        self.remembered().newest = newest(Moment::now(), &names);
        Ok(found)
    }

    /// The backups beside a state file, whoever has that open, newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn backups_of(state: &Path) -> Result<Vec<Backup>, BackupError> {
        list(&folder_of(state))
    }

    /// How backups are doing, as of the last look.
    #[must_use]
    pub fn backup_status(&self) -> BackupStatus {
        if self.inner.path.is_none() {
            return BackupStatus::NotKept;
        }
        let known = self.remembered();
        BackupStatus::Kept { newest: known.newest, failure: known.failure.clone() }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.inner.backups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every table of one moment, in a file of its own that is not whole before the last is in it.
    fn copy_tables(&self, part: &Path) -> Result<(), BackupError> {
        let from = self.read()?;
        nothing_else(&from)?;
        let io = |error: std::io::Error| OpenError::NotSaved { path: part.to_owned(), why: error.to_string() };
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(part).map_err(io)?;
        let db = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(FileBackend::new(file).map_err(|error| refused(part, &error))?)
            .map_err(|error| refused(part, &error))?;
        for table in ROWS {
            commit(&db, Durability::None, |to| copy_rows(&from, to, table))?;
        }
        // The format is among these words: a file without them is nobody's.
        commit(&db, Durability::Immediate, |to| {
            let (from, mut to) = (from.open_table(META)?, to.open_table(META)?);
            for entry in from.iter()? {
                let (at, value) = entry?;
                to.insert(at.value(), value.value())?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// A copy of a state file that no server has open, in the folder of backups.
    ///
    /// # Errors
    /// [`BackupError`]: the file is in use, damaged, newer, or the copy could not be written.
    pub fn back_up_closed(state: &Path) -> Result<Backup, BackupError> {
        let _lock = lock(state)?;
        hand_over(&lock_file(state), state)?;
        back_up_file(state, BackupKind::OnDemand, &STEPS)
    }

    /// A copy of a backup, or of a state file that no server has open, under a name that is free.
    ///
    /// # Errors
    /// As of [`back_up_closed`](Self::back_up_closed).
    pub fn export(from: &Path, to: &Path) -> Result<u64, BackupError> {
        let copied = copy_file(from, &part_of(to)).and_then(|()| finish(&part_of(to), to, to, &STEPS));
        copied.map_err(|error| {
            let _ = std::fs::remove_file(part_of(to));
            why(error.into(), directory(to), size_of(from))
        })
    }

    /// As [`export`](Self::export), of the state file itself, under its lock.
    ///
    /// # Errors
    /// As of [`back_up_closed`](Self::back_up_closed).
    pub fn export_closed(state: &Path, to: &Path) -> Result<u64, BackupError> {
        let _lock = lock(state)?;
        hand_over(&lock_file(state), state)?;
        Self::export(state, to)
    }

    /// Read a backup whole, and change nothing: whether [`restore`](Self::restore) would take it.
    ///
    /// # Errors
    /// [`OpenError`]: it is damaged, newer, or cannot be read.
    pub fn inspect_backup(backup: &Path) -> Result<(), OpenError> {
        inspect(backup).map(drop)
    }

    /// Put a backup in the state file's place, without its sessions and tokens. The file that is there
    /// is kept beside it under another name, and at no moment is there none.
    ///
    /// # Errors
    /// [`OpenError`]: nothing was changed then.
    pub fn restore(backup: &Path, state: &Path) -> Result<Restored, OpenError> {
        let _lock = lock(state)?;
        hand_over(&lock_file(state), state)?;
        // A link keeps leading where it leads: to another disk, perhaps.
        let state = std::fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
        let part = part(&state);
        let io = |error: std::io::Error| OpenError::Io { path: state.clone(), why: error.to_string() };
        let restored = (|| {
            inspect(backup)?;
            copy_file(backup, &part)?;
            // What was copied, rather than what was looked at a moment ago.
            inspect(&part)?;
            let (users, ended) =
                end_all(&part).map_err(|error| OpenError::NotSaved { path: part.clone(), why: error.to_string() })?;
            let looked = inspect(&part)?;
            hand_over(&part, &state)?;
            let replaced = match std::fs::symlink_metadata(&state) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(io(error)),
                Ok(_) => {
                    let aside = aside(&state);
                    std::fs::hard_link(&state, &aside).map_err(io)?;
                    Some(aside)
                }
            };
            place(&part, &state)?;
            Ok(Restored { vms: looked.vms, users, ended, replaced })
        })();
        if restored.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        restored
    }
}

/// A backup of a file that is about to be brought to a new format, whose lock is held.
pub(super) fn before_upgrade(state: &Path, steps: &[Step]) -> Result<(), OpenError> {
    match back_up_file(state, BackupKind::BeforeUpgrade, steps) {
        Ok(backup) => {
            tracing::info!(backup = %backup.path.display(), "the state file is copied before it gets a new format");
            Ok(())
        }
        Err(BackupError::File(error)) => Err(error),
        Err(error @ (BackupError::InMemory | BackupError::NoSpace { .. } | BackupError::Store(_))) => {
            Err(OpenError::NotSaved { path: folder_of(state), why: error.to_string() })
        }
    }
}

/// What a process that was killed left behind. Only who holds the lock may.
pub(super) fn sweep(state: &Path) {
    let remove = |path: &Path| match std::fs::remove_file(path) {
        Ok(()) => tracing::info!(path = %path.display(), "a part of a file that was never finished is removed"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "a part of a file cannot be removed"),
    };
    remove(&part(state));
    let entries = std::fs::read_dir(folder_of(state)).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let whole = path.with_extension("");
        let ours =
            whole.file_name().and_then(|name| name.to_str()).is_some_and(|name| BackupName::parse(name).is_some());
        if ours && path.extension().is_some_and(|end| end == PART) {
            remove(&path);
        }
    }
}

fn folder_of(state: &Path) -> PathBuf {
    directory(state).join(FOLDER)
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(PART);
    PathBuf::from(name)
}

/// Where the file goes that a backup replaces.
fn aside(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(format!(".before-restore-{}", Moment::now().to_string().replace(':', "-")));
    PathBuf::from(name)
}

fn make_folder(state: &Path) -> Result<(), OpenError> {
    let folder = folder_of(state);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => hand_over(&folder, state),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(OpenError::NotSaved { path: folder, why: error.to_string() }),
    }
}

/// A name of now. Two of one millisecond, or a clock that went back, do not overwrite one another.
fn free_name(folder: &Path, kind: BackupKind) -> (BackupName, PathBuf) {
    let mut name = BackupName::new(Moment::now(), kind);
    loop {
        let path = folder.join(name.file());
        if std::fs::symlink_metadata(&path).is_err() {
            return (name, path);
        }
        name.at.0 += 1000;
    }
}

fn back_up_file(state: &Path, kind: BackupKind, steps: &[Step]) -> Result<Backup, BackupError> {
    let folder = folder_of(state);
    make_folder(state)?;
    let (name, to) = free_name(&folder, kind);
    let part = part_of(&to);
    match copy_file(state, &part).and_then(|()| finish(&part, &to, state, steps)) {
        Ok(size_bytes) => {
            prune(&folder);
            Ok(Backup { name, path: to, size_bytes })
        }
        Err(error) => {
            let _ = std::fs::remove_file(&part);
            Err(why(error.into(), &folder, size_of(state)))
        }
    }
}

/// Byte by byte, for us alone, on the disk when it returns.
fn copy_file(from: &Path, part: &Path) -> Result<(), OpenError> {
    let unreadable = |error: std::io::Error| OpenError::Io { path: from.to_owned(), why: error.to_string() };
    let io = |error: std::io::Error| OpenError::NotSaved { path: part.to_owned(), why: error.to_string() };
    let mut from = File::open(from).map_err(unreadable)?;
    let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part).map_err(io)?;
    std::io::copy(&mut from, &mut to).map_err(io)?;
    to.sync_all().map_err(io)
}

/// To the disk, looked at, and named. Answers with its size.
fn finish(part: &Path, to: &Path, owner: &Path, steps: &[Step]) -> Result<u64, OpenError> {
    let io = |error: std::io::Error| OpenError::NotSaved { path: to.to_owned(), why: error.to_string() };
    File::open(part).and_then(|file| file.sync_all()).map_err(io)?;
    inspect_as(part, steps)?;
    hand_over(part, owner)?;
    place(part, to)?;
    std::fs::metadata(to).map(|meta| meta.len()).map_err(io)
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// Bytes that are free where this is, for us; `None`: it cannot be said.
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    rustix::fs::statvfs(path).ok().map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// The failure, or the want of room that is behind it.
fn why(error: BackupError, folder: &Path, size_bytes: u64) -> BackupError {
    let need_bytes = size_bytes + RESERVE_BYTES;
    match free_bytes(folder) {
        Some(free_bytes) if free_bytes < need_bytes => {
            BackupError::NoSpace { path: folder.to_owned(), need_bytes, free_bytes }
        }
        Some(_) | None => error,
    }
}

fn list(folder: &Path) -> Result<Vec<Backup>, BackupError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(OpenError::Io { path: folder.to_owned(), why: error.to_string() }.into()),
    };
    let mut found: Vec<Backup> = entries
        .flatten()
        .filter_map(|entry| {
            let name = BackupName::parse(entry.file_name().to_str()?)?;
            let meta = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some(Backup { name, path: entry.path(), size_bytes: meta.len() })
        })
        .collect();
    found.sort_by_key(|backup| std::cmp::Reverse(backup.name));
    Ok(found)
}

/// Remove what has had its time. What cannot be removed is tried again after the next backup.
fn prune(folder: &Path) {
    let names: Vec<BackupName> = list(folder).unwrap_or_default().iter().map(|backup| backup.name).collect();
    for name in superfluous(Moment::now(), &names) {
        if let Err(error) = std::fs::remove_file(folder.join(name.file())) {
            tracing::warn!(backup = name.file(), %error, "an old backup cannot be removed");
        }
    }
}

/// A table that is not on our list would silently be missing from the copy.
fn nothing_else(from: &ReadTransaction) -> Result<(), StoreError> {
    let known = |name: &str| name == META.name() || ROWS.iter().any(|table| table.name() == name);
    let odd = from.list_tables()?.map(|table| table.name().to_owned()).find(|name| !known(name));
    let odd =
        odd.or(from.list_multimap_tables()?.map(|table| redb::MultimapTableHandle::name(&table).to_owned()).next());
    odd.map_or(Ok(()), |name| Err(StoreError::Database(format!("table {name} is on no list, and would not be copied"))))
}

/// Remove every session and token from a file that was looked at; answers with its users, too. One
/// of a format without them has none.
fn end_all(part: &Path) -> Result<(usize, Ended), BackupError> {
    let io = |error: std::io::Error| OpenError::NotSaved { path: part.to_owned(), why: error.to_string() };
    let file = OpenOptions::new().read(true).write(true).open(part).map_err(io)?;
    let db = Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(FileBackend::new(file).map_err(|error| refused(part, &error))?)
        .map_err(|error| refused(part, &error))?;
    let mut found = (0, Ended::default());
    commit(&db, Durability::Immediate, |tx| {
        let names: Vec<String> = tx.list_tables()?.map(|table| table.name().to_owned()).collect();
        let emptied = |table: Rows| -> Result<usize, StoreError> {
            if !names.iter().any(|name| name == table.name()) {
                return Ok(0);
            }
            let mut rows = tx.open_table(table)?;
            let held = usize::try_from(rows.len()?).unwrap_or(usize::MAX);
            rows.retain(|_, _| false)?;
            Ok(held)
        };
        found.1 = Ended { sessions: emptied(SESSIONS)?, tokens: emptied(TOKENS)? };
        if names.iter().any(|name| name == USERS.name()) {
            found.0 = usize::try_from(tx.open_table(USERS)?.len()?).unwrap_or(usize::MAX);
        }
        Ok(())
    })?;
    Ok(found)
}

fn copy_rows(from: &ReadTransaction, to: &WriteTransaction, table: Rows) -> Result<(), StoreError> {
    let (from, mut to) = (from.open_table(table)?, to.open_table(table)?);
    for entry in from.iter()? {
        let (at, value) = entry?;
        to.insert(at.value(), value.value())?;
    }
    Ok(())
}

fn commit(
    db: &Database,
    durability: Durability,
    work: impl FnOnce(&WriteTransaction) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut tx = db.begin_write()?;
    tx.set_durability(durability)?;
    work(&tx)?;
    Ok(tx.commit()?)
}
