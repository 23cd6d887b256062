//! The calls into libvirt that the `virt` crate does not wrap or wraps wrongly: events, the close
//! callback, bulk statistics (its wrapper leaks), DHCP leases, streams that tell when there is something
//! to read (its wrapper's callback is left dangling when the stream moves). The only unsafe code of the project.
#![allow(unsafe_code)]

pub(super) mod stream;

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use virt::connect::Connect;
use virt::error::Error;
use virt::network::Network;
use virt::sys;

use crate::model::id::VmId;

/// What libvirt said, before it means anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RawEvent {
    Lifecycle { id: VmId, event: i32 },
    Reboot(VmId),
    DefinitionOrDevices(VmId),
    Agent { id: VmId, state: i32 },
    IoError { id: VmId, no_space: bool },
    StateMayHaveChanged(VmId),
    Network,
    Closed { reason: i32 },
}

/// Who hears events. Called from libvirt's event thread: it must not call libvirt.
pub(super) type EventSink = Arc<dyn Fn(RawEvent) + Send + Sync>;

/// A value of a typed parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Signed(i64),
    Unsigned(u64),
    Other,
}

impl Value {
    pub fn as_u64(self) -> u64 {
        match self {
            Self::Signed(value) => u64::try_from(value).unwrap_or(0),
            Self::Unsigned(value) => value,
            Self::Other => 0,
        }
    }
}

unsafe extern "C" fn no_print(_: *mut c_void, _: sys::virErrorPtr) {}

/// libvirt prints each error to standard error unless told not to.
pub(super) fn silence() {
    // SAFETY: the handler is a plain function that reads nothing.
    unsafe { sys::virSetErrorFunc(std::ptr::null_mut(), Some(no_print)) }
}

/// A file of this process again, under a number of its own; `None` where there is none.
pub(super) fn duplicate(number: c_int) -> Option<std::os::fd::OwnedFd> {
    if number < 0 {
        return None;
    }
    // SAFETY: the number is only duplicated, which fails where it names no open file.
    rustix::io::fcntl_dupfd_cloexec(unsafe { std::os::fd::BorrowedFd::borrow_raw(number) }, 0).ok()
}

/// A file that libvirt opened for its caller, which owns it from now on.
pub(super) fn own(number: c_int) -> Option<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd as _;
    // SAFETY: libvirt gives the number away, and nobody else has it.
    (number >= 0).then(|| unsafe { std::os::fd::OwnedFd::from_raw_fd(number) })
}

unsafe extern "C" fn drop_sink(opaque: *mut c_void) {
    // SAFETY: `opaque` is the box that `opaque_of` made, and libvirt calls this once.
    drop(unsafe { Box::from_raw(opaque.cast::<EventSink>()) });
}

fn opaque_of(sink: &EventSink) -> *mut c_void {
    Box::into_raw(Box::new(Arc::clone(sink))).cast()
}

/// Tell the sink; a panic must not cross into C.
unsafe fn tell(opaque: *mut c_void, event: RawEvent) {
    // SAFETY: `opaque` is the box that `opaque_of` made; libvirt frees it only after the last call.
    let sink = unsafe { &*opaque.cast::<EventSink>() };
    let _ = catch_unwind(AssertUnwindSafe(|| sink(event)));
}

/// The domain's UUID, read from the handle without asking libvirtd.
unsafe fn id_of(domain: sys::virDomainPtr) -> VmId {
    let mut bytes = [0_u8; 16];
    // SAFETY: the handle is valid for the callback's time, and the buffer has VIR_UUID_BUFLEN bytes.
    unsafe { sys::virDomainGetUUID(domain, bytes.as_mut_ptr()) };
    VmId::from_bytes(bytes)
}

unsafe extern "C" fn on_lifecycle(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    event: c_int,
    _detail: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: arguments are libvirt's, as documented for this callback.
    unsafe { tell(opaque, RawEvent::Lifecycle { id: id_of(domain), event }) }
}

unsafe extern "C" fn on_reboot(_: sys::virConnectPtr, domain: sys::virDomainPtr, opaque: *mut c_void) {
    // SAFETY: as above.
    unsafe { tell(opaque, RawEvent::Reboot(id_of(domain))) }
}

unsafe extern "C" fn on_device(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _alias: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: as above.
    unsafe { tell(opaque, RawEvent::DefinitionOrDevices(id_of(domain))) }
}

unsafe extern "C" fn on_metadata(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _kind: c_int,
    _uri: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: as above.
    unsafe { tell(opaque, RawEvent::DefinitionOrDevices(id_of(domain))) }
}

unsafe extern "C" fn on_agent(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    state: c_int,
    _reason: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: as above.
    unsafe { tell(opaque, RawEvent::Agent { id: id_of(domain), state }) }
}

unsafe extern "C" fn on_io_error(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _path: *const c_char,
    _alias: *const c_char,
    _action: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    let no_space = !reason.is_null() && {
        // SAFETY: libvirt gives a NUL-terminated text that lives for the callback's time.
        unsafe { CStr::from_ptr(reason) }.to_bytes() == b"enospc"
    };
    // SAFETY: as above.
    unsafe { tell(opaque, RawEvent::IoError { id: id_of(domain), no_space }) }
}

unsafe extern "C" fn on_watchdog(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _action: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: as above.
    unsafe { tell(opaque, RawEvent::StateMayHaveChanged(id_of(domain))) }
}

unsafe extern "C" fn on_balloon(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _actual: std::ffi::c_ulonglong,
    opaque: *mut c_void,
) {
    // SAFETY: as above.
    unsafe { tell(opaque, RawEvent::DefinitionOrDevices(id_of(domain))) }
}

unsafe extern "C" fn on_tray(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _alias: *const c_char,
    _reason: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: as above.
    unsafe { tell(opaque, RawEvent::DefinitionOrDevices(id_of(domain))) }
}

unsafe extern "C" fn on_network(
    _: sys::virConnectPtr,
    _: sys::virNetworkPtr,
    _event: c_int,
    _detail: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: as above.
    unsafe { tell(opaque, RawEvent::Network) }
}

unsafe extern "C" fn on_close(_: sys::virConnectPtr, reason: c_int, opaque: *mut c_void) {
    // SAFETY: as above.
    unsafe { tell(opaque, RawEvent::Closed { reason }) }
}

/// What was registered on a connection. Each registration holds the connection open: it ends only
/// when they are taken back.
#[derive(Debug, Default)]
pub(super) struct Registered {
    domain: Vec<c_int>,
    network: Option<c_int>,
    close: bool,
}

impl Registered {
    /// Take all back. On a connection that is lost this only forgets; on one that hangs it waits.
    pub fn unregister(self, connect: &Connect) {
        // SAFETY: the connection is open, and the ids and the function are those that it was given.
        unsafe {
            for id in self.domain {
                sys::virConnectDomainEventDeregisterAny(connect.as_ptr(), id);
            }
            if let Some(id) = self.network {
                sys::virConnectNetworkEventDeregisterAny(connect.as_ptr(), id);
            }
            if self.close {
                sys::virConnectUnregisterCloseCallback(connect.as_ptr(), Some(on_close));
            }
        }
    }
}

type AnyCallback = unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *mut c_void);

/// Register for everything that is followed, the connection's end included. Events that a driver
/// does not know are left out; the lifecycle must be there.
///
/// # Errors
/// libvirt's.
pub(super) fn register(connect: &Connect, sink: &EventSink) -> Result<Registered, Error> {
    let mut done = Registered { close: register_close(connect, sink), ..Registered::default() };
    // SAFETY (of each transmute): libvirt takes every callback as the generic type and calls it
    // with the arguments that its event id documents; the functions above have exactly those.
    let callbacks: [(u32, AnyCallback); 10] = unsafe {
        [
            (
                sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                std::mem::transmute::<*const c_void, AnyCallback>(on_lifecycle as *const c_void),
            ),
            (sys::VIR_DOMAIN_EVENT_ID_REBOOT, on_reboot),
            (
                sys::VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
                std::mem::transmute::<*const c_void, AnyCallback>(on_device as *const c_void),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
                std::mem::transmute::<*const c_void, AnyCallback>(on_device as *const c_void),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
                std::mem::transmute::<*const c_void, AnyCallback>(on_metadata as *const c_void),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
                std::mem::transmute::<*const c_void, AnyCallback>(on_agent as *const c_void),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
                std::mem::transmute::<*const c_void, AnyCallback>(on_io_error as *const c_void),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_WATCHDOG,
                std::mem::transmute::<*const c_void, AnyCallback>(on_watchdog as *const c_void),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
                std::mem::transmute::<*const c_void, AnyCallback>(on_balloon as *const c_void),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_TRAY_CHANGE,
                std::mem::transmute::<*const c_void, AnyCallback>(on_tray as *const c_void),
            ),
        ]
    };
    for (event, callback) in callbacks {
        let opaque = opaque_of(sink);
        // SAFETY: the connection is open, a null domain means all, and `drop_sink` frees `opaque`.
        let registered = unsafe {
            sys::virConnectDomainEventRegisterAny(
                connect.as_ptr(),
                std::ptr::null_mut(),
                c_int::try_from(event).unwrap_or(0),
                Some(callback),
                opaque,
                Some(drop_sink),
            )
        };
        if registered < 0 {
            // SAFETY: a failed registration does not keep `opaque`.
            unsafe { drop_sink(opaque) };
            if event == sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE {
                let error = Error::last_error();
                done.unregister(connect);
                return Err(error);
            }
        } else {
            done.domain.push(registered);
        }
    }
    let opaque = opaque_of(sink);
    // SAFETY: as for the domain events.
    let registered = unsafe {
        sys::virConnectNetworkEventRegisterAny(
            connect.as_ptr(),
            std::ptr::null_mut(),
            0,
            Some(std::mem::transmute::<
                *const c_void,
                unsafe extern "C" fn(sys::virConnectPtr, sys::virNetworkPtr, *mut c_void),
            >(on_network as *const c_void)),
            opaque,
            Some(drop_sink),
        )
    };
    if registered < 0 {
        // SAFETY: as above.
        unsafe { drop_sink(opaque) };
    } else {
        done.network = Some(registered);
    }
    Ok(done)
}

/// Hear when the connection closes; the test driver's never does.
fn register_close(connect: &Connect, sink: &EventSink) -> bool {
    let opaque = opaque_of(sink);
    // SAFETY: the connection is open, and `drop_sink` frees `opaque`.
    let registered =
        unsafe { sys::virConnectRegisterCloseCallback(connect.as_ptr(), Some(on_close), opaque, Some(drop_sink)) };
    if registered < 0 {
        // SAFETY: a failed registration does not keep `opaque`.
        unsafe { drop_sink(opaque) };
    }
    registered >= 0
}

/// One domain's statistics: names to values.
pub(super) struct Stats {
    pub id: VmId,
    pub values: HashMap<String, Value>,
}

/// Statistics of all domains in one call.
///
/// # Errors
/// libvirt's.
pub(super) fn all_stats(connect: &Connect, groups: u32, flags: u32) -> Result<Vec<Stats>, Error> {
    let mut records: *mut sys::virDomainStatsRecordPtr = std::ptr::null_mut();
    // SAFETY: the connection is open, and libvirt fills `records` with a list that it allocates.
    let count = unsafe {
        sys::virConnectGetAllDomainStats(connect.as_ptr(), groups as c_uint, &raw mut records, flags as c_uint)
    };
    let Ok(count) = usize::try_from(count) else {
        return Err(Error::last_error());
    };
    let mut all = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: the list has `count` records, each with `nparams` parameters.
        unsafe {
            let record = &**records.add(index);
            let length = usize::try_from(record.nparams).unwrap_or(0);
            let parameters =
                if record.params.is_null() { &[] } else { std::slice::from_raw_parts(record.params, length) };
            all.push(Stats {
                id: id_of(record.dom),
                values: parameters.iter().map(|parameter| parameter_of(parameter)).collect(),
            });
        }
    }
    if !records.is_null() {
        // SAFETY: the list is libvirt's own, freed once.
        unsafe { sys::virDomainStatsRecordListFree(records) };
    }
    Ok(all)
}

/// # Safety
/// The parameter is one that libvirt filled: its name ends in NUL and its type says which member
/// of the union is set.
unsafe fn parameter_of(parameter: &sys::virTypedParameter) -> (String, Value) {
    // SAFETY: by contract.
    unsafe {
        let name = CStr::from_ptr(parameter.field.as_ptr()).to_string_lossy().into_owned();
        let value = match u32::try_from(parameter.type_).unwrap_or(0) {
            sys::VIR_TYPED_PARAM_INT => Value::Signed(i64::from(parameter.value.i)),
            sys::VIR_TYPED_PARAM_UINT => Value::Unsigned(u64::from(parameter.value.ui)),
            sys::VIR_TYPED_PARAM_LLONG => Value::Signed(parameter.value.l),
            sys::VIR_TYPED_PARAM_ULLONG => Value::Unsigned(parameter.value.ul),
            _ => Value::Other,
        };
        (name, value)
    }
}

/// Ask the C library's allocator, which libvirt and we share, to give memory back: each thread that
/// calls into libvirt would else have a heap of its own, and a long list of VMs once sent would stay
/// allocated for ever. To be called before there are threads.
pub fn keep_memory_small() {
    const HEAPS: c_int = 2;
    const LARGE_BYTES: c_int = 256 << 10;
    for (what, value) in
        [(libc::M_ARENA_MAX, HEAPS), (libc::M_MMAP_THRESHOLD, LARGE_BYTES), (libc::M_TRIM_THRESHOLD, LARGE_BYTES)]
    {
        // SAFETY: mallopt takes two numbers and keeps no pointer; one that it refuses changes nothing.
        unsafe { libc::mallopt(what, value) };
    }
}

/// A lease: MAC (lower case) and address.
pub(super) type Lease = (String, String);

/// The DHCP leases of a network.
///
/// # Errors
/// libvirt's.
pub(super) fn dhcp_leases(network: &Network) -> Result<Vec<Lease>, Error> {
    let mut leases: *mut sys::virNetworkDHCPLeasePtr = std::ptr::null_mut();
    // SAFETY: the network is valid, a null MAC means all, and libvirt allocates the list.
    let count = unsafe { sys::virNetworkGetDHCPLeases(network.as_ptr(), std::ptr::null(), &raw mut leases, 0) };
    let Ok(count) = usize::try_from(count) else {
        return Err(Error::last_error());
    };
    let mut all = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: the list has `count` leases; each is freed once, after its texts were copied.
        unsafe {
            let lease = *leases.add(index);
            let text = |pointer: *const c_char| {
                if pointer.is_null() { String::new() } else { CStr::from_ptr(pointer).to_string_lossy().into_owned() }
            };
            let pair = (text((*lease).mac).to_ascii_lowercase(), text((*lease).ipaddr));
            sys::virNetworkDHCPLeaseFree(lease);
            if !pair.0.is_empty() && !pair.1.is_empty() {
                all.push(pair);
            }
        }
    }
    if !leases.is_null() {
        // SAFETY: libvirt allocated the array with malloc and leaves it to the caller.
        unsafe { libc::free(leases.cast()) };
    }
    Ok(all)
}
