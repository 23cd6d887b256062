//! A disk of the tests' own: it keeps its bytes in memory, logs what is written and when it is
//! synced, fails when told to, and loses its power.

use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use rustix::io::Errno;

use super::*;
use crate::store::disk::Disk;

/// What was asked of the disk, in order.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
    /// Someone was told that all until here is kept.
    Acknowledged,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// One write, sync or growth after so many fails.
    Once(usize, Errno),
    /// That one, and every one after it.
    From(usize, Errno),
    /// Nothing may be written beyond this byte: the file has holes, and the disk is full.
    FullAt(u64),
    /// Reads fail, too.
    Dead,
}

#[derive(Debug)]
struct State {
    bytes: Vec<u8>,
    log: Vec<Op>,
    trouble: Trouble,
    /// Writes, syncs and growths so far.
    done: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Platter(Arc<Mutex<State>>);

impl Platter {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { bytes: Vec::new(), log: Vec::new(), trouble: Trouble::None, done: 0 })))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("the platter")
    }

    pub(super) fn database(&self, faults: &Faults) -> Result<Database, OpenError> {
        Database::builder()
            .set_cache_size(1 << 16)
            .set_check_integrity_on_open(true)
            .create_with_backend(Disk::new(self.clone(), faults.clone()))
            .map_err(|error| OpenError::Io { path: PathBuf::from("platter"), why: error.to_string() })
    }

    /// A store on it, as one is on a file.
    pub(super) fn store(&self) -> Store {
        let faults = Faults::default();
        let db = self.database(&faults).expect("nothing is wrong yet");
        crate::store::migrate::migrate(&db, &crate::store::migrate::STEPS).expect("nothing is wrong yet");
        let again = self.clone();
        let reopen = move |faults: &Faults| again.database(faults);
        let path = PathBuf::from("/nowhere/state.redb");
        Store { inner: Arc::new(Inner::over(db, faults, Some(Box::new(reopen)), Some(path), None)) }
    }

    /// From now on; counted from here.
    pub(super) fn trouble(&self, trouble: Trouble) {
        let mut state = self.state();
        (state.trouble, state.done) = (trouble, 0);
    }

    /// Writes, syncs and growths since trouble was last set.
    pub(super) fn done(&self) -> usize {
        self.state().done
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    pub(super) fn acknowledged(&self) {
        self.state().log.push(Op::Acknowledged);
    }

    /// What was logged since the last time.
    pub(super) fn take_log(&self) -> Vec<Op> {
        std::mem::take(&mut self.state().log)
    }
}

impl State {
    /// Whether this one fails.
    fn counted(&mut self, end: u64) -> std::io::Result<()> {
        let number = self.done;
        self.done += 1;
        let errno = match self.trouble {
            Trouble::Once(at, errno) if number == at => errno,
            Trouble::From(at, errno) if number >= at => errno,
            Trouble::FullAt(limit) if end > limit => Errno::NOSPC,
            Trouble::Dead => Errno::IO,
            Trouble::None | Trouble::Once(..) | Trouble::From(..) | Trouble::FullAt(_) => return Ok(()),
        };
        Err(errno.into())
    }
}

fn index(at: u64) -> usize {
    usize::try_from(at).expect("a small file")
}

pub(super) fn apply(bytes: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(at, data) => {
            let (from, to) = (index(*at), index(*at) + data.len());
            if bytes.len() < to {
                bytes.resize(to, 0);
            }
            bytes[from..to].copy_from_slice(data);
        }
        Op::SetLen(len) => bytes.resize(index(*len), 0),
        Op::Sync | Op::Acknowledged => {}
    }
}

impl StorageBackend for Platter {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let state = self.state();
        if state.trouble == Trouble::Dead {
            return Err(Errno::IO.into());
        }
        let from = index(offset);
        let found = state.bytes.get(from..from + out.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        let mut state = self.state();
        // A file system gives holes for nothing.
        state.counted(0)?;
        let op = Op::SetLen(len);
        apply(&mut state.bytes, &op);
        state.log.push(op);
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        let mut state = self.state();
        state.counted(0)?;
        state.log.push(Op::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        let mut state = self.state();
        state.counted(offset + data.len() as u64)?;
        let op = Op::Write(offset, data.to_vec());
        apply(&mut state.bytes, &op);
        state.log.push(op);
        Ok(())
    }
}
