//! A stream of libvirt's that tells when there is something to read: no thread waits for it. The
//! `virt` crate's own callback keeps the address of a value that may move.

use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use virt::connect::Connect;
use virt::error::Error;
use virt::stream::Stream;
use virt::sys;

use crate::hypervisor::{SerialSaid, SerialSink};

/// Bytes read at a time.
const CHUNK: usize = 16 << 10;
/// Reads of one stream before the others have their turn; what is left is told again at once.
const READS: usize = 8;

/// An open stream and its connection.
pub(in crate::hypervisor::libvirt) struct Heard {
    stream: Stream,
    /// Behind the stream: it lives as long.
    connect: Connect,
    /// It is told when the connection closes: its streams are told nothing then.
    hears_close: bool,
}

unsafe extern "C" fn free(opaque: *mut c_void) {
    // SAFETY: `opaque` is the box that `hear` made, and libvirt calls this once, after the last call.
    drop(unsafe { Box::from_raw(opaque.cast::<Arc<SerialSink>>()) });
}

unsafe extern "C" fn on_readable(stream: sys::virStreamPtr, _events: c_int, opaque: *mut c_void) {
    // SAFETY: `opaque` is the box that `hear` made; libvirt frees it only after the last call.
    let sink = unsafe { &*opaque.cast::<Arc<SerialSink>>() };
    // A panic must not cross into C.
    let tell = |said: SerialSaid<'_>| {
        let _ = catch_unwind(AssertUnwindSafe(|| sink(said)));
    };
    let mut buffer = [0_u8; CHUNK];
    for _ in 0..READS {
        // SAFETY: the stream is valid for the callback's time, and the buffer as long as is said.
        let read = unsafe { sys::virStreamRecv(stream, buffer.as_mut_ptr().cast::<c_char>(), CHUNK) };
        match usize::try_from(read) {
            Ok(0) => return ended(stream, &tell, String::new()),
            Ok(count) => tell(SerialSaid::Bytes(buffer.get(..count).unwrap_or_default())),
            // Nothing now.
            Err(_) if read == -2 => return,
            Err(_) => return ended(stream, &tell, Error::last_error().message().to_owned()),
        }
    }
}

unsafe extern "C" fn on_close(_: sys::virConnectPtr, _reason: c_int, opaque: *mut c_void) {
    // SAFETY: as in `on_readable`.
    let sink = unsafe { &*opaque.cast::<Arc<SerialSink>>() };
    let said = || sink(SerialSaid::Ended("the connection to libvirtd was closed".to_owned()));
    // A panic must not cross into C.
    let _ = catch_unwind(AssertUnwindSafe(said));
}

fn opaque_of(sink: &Arc<SerialSink>) -> *mut c_void {
    Box::into_raw(Box::new(Arc::clone(sink))).cast()
}

/// The end is told once: libvirt would tell of it for ever.
fn ended(stream: sys::virStreamPtr, tell: &dyn Fn(SerialSaid<'_>), why: String) {
    // SAFETY: called within the callback, in whose time the stream is valid.
    unsafe { sys::virStreamEventUpdateCallback(stream, 0) };
    tell(SerialSaid::Ended(why));
}

impl Heard {
    /// Let `sink` hear all that an open stream of this connection says. libvirt's event thread calls it.
    ///
    /// # Errors
    /// libvirt's.
    pub fn hear(connect: Connect, stream: Stream, sink: SerialSink) -> Result<Self, Error> {
        let sink = Arc::new(sink);
        let opaque = opaque_of(&sink);
        let readable = c_int::try_from(sys::VIR_STREAM_EVENT_READABLE).unwrap_or(1);
        // SAFETY: the stream is valid, and `opaque` is freed by `free` alone.
        let added =
            unsafe { sys::virStreamEventAddCallback(stream.as_ptr(), readable, Some(on_readable), opaque, Some(free)) };
        if added < 0 {
            let error = Error::last_error();
            // SAFETY: a failed registration does not keep `opaque`.
            unsafe { free(opaque) };
            let _ = stream.abort();
            return Err(error);
        }
        let opaque = opaque_of(&sink);
        // SAFETY: the connection is open, and `opaque` is freed by `free` alone.
        let registered =
            unsafe { sys::virConnectRegisterCloseCallback(connect.as_ptr(), Some(on_close), opaque, Some(free)) };
        if registered < 0 {
            // SAFETY: as above.
            unsafe { free(opaque) };
        }
        Ok(Self { stream, connect, hears_close: registered >= 0 })
    }

    /// Write some of it; blocks while the other side does not read.
    ///
    /// # Errors
    /// libvirt's.
    pub fn send(&self, bytes: &[u8]) -> Result<usize, Error> {
        // -2, nothing written now, is no error and no progress.
        Ok(usize::try_from(self.stream.send(bytes)?).unwrap_or(0))
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        // SAFETY: the stream is valid. Where the callback is running, it ends first and then is freed.
        unsafe {
            sys::virStreamEventRemoveCallback(self.stream.as_ptr());
            // Fails where the stream has ended or the connection is lost: it is closed then.
            sys::virStreamAbort(self.stream.as_ptr());
            // The registration holds the connection open.
            if self.hears_close {
                sys::virConnectUnregisterCloseCallback(self.connect.as_ptr(), Some(on_close));
            }
        }
    }
}
