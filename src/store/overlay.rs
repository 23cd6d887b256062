//! A storage backend that reads a file and keeps what is written in memory. redb's own check of a
//! file commits to it; through this, a file that we then refuse is not touched by a byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use redb::StorageBackend;

const PAGE_BYTES: u16 = 4096;
const PAGE: u64 = PAGE_BYTES as u64;

#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    /// Bytes of the file that may still be read from it: shrinking and growing zeroes the rest.
    real: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    pub(super) fn new(file: File) -> std::io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, state: Mutex::new(State { len, real: len, pages: BTreeMap::new() }) })
    }

    fn page(&self, state: &State, number: u64) -> std::io::Result<Box<[u8]>> {
        if let Some(page) = state.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = vec![0; usize::from(PAGE_BYTES)].into_boxed_slice();
        let at = number * PAGE;
        let have = usize::try_from(state.real.saturating_sub(at).min(PAGE)).unwrap_or(0);
        self.file.read_exact_at(&mut page[..have], at)?;
        Ok(page)
    }

    /// Every page that `[offset, offset + len)` touches, with the range in it and in the buffer.
    fn spans(offset: u64, len: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
        let end = offset + len as u64;
        (offset / PAGE..end.div_ceil(PAGE)).map(move |number| {
            let from = offset.max(number * PAGE);
            let to = end.min((number + 1) * PAGE);
            let within = |at: u64| usize::try_from(at - number * PAGE).unwrap_or(0);
            let buffer = |at: u64| usize::try_from(at - offset).unwrap_or(0);
            (number, within(from)..within(to), buffer(from)..buffer(to))
        })
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner).len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.len) {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, buffer) in Self::spans(offset, out.len()) {
            let page = self.page(&state, number)?;
            out[buffer].copy_from_slice(&page[within]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if len < state.len {
            state.real = state.real.min(len);
            state.pages.retain(|number, _| number * PAGE < len);
            if let Some(page) = state.pages.get_mut(&(len / PAGE)) {
                page[usize::try_from(len % PAGE).unwrap_or(0)..].fill(0);
            }
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, within, buffer) in Self::spans(offset, data.len()) {
            let mut page = self.page(&state, number)?;
            page[within].copy_from_slice(&data[buffer]);
            state.pages.insert(number, page);
        }
        Ok(())
    }
}
