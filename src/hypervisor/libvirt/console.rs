//! A guest's screen, keyboard, serial port and drives.
//!
//! A display is a socket of QEMU's own, handed through libvirtd: once open it costs libvirt nothing
//! and outlives it. A serial port is a stream of libvirt's, on a connection of its own: libvirtd
//! stops reading a client with five messages that it cannot pass on, so a guest that does not read
//! what is typed would stop every other port that shared its connection.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use virt::connect::Connect;
use virt::error::{Error, ErrorNumber};
use virt::stream::Stream;
use virt::sys;

use super::ffi::stream::Heard;
use super::{Libvirt, error, ffi, xml};
use crate::hypervisor::{
    Consoles, HypervisorError, MediaSide, Picture, Result, SerialHold, SerialPort, SerialSink, Tray,
};
use crate::model::id::VmId;

/// No screen is larger: 8 K in four bytes a pixel.
const PICTURE_MAX: usize = 128 << 20;
/// How often a tray that the guest shuts again at once is opened anew, and how long after.
const TRAY_TRIES: u32 = 10;
const TRAY_PAUSE: Duration = Duration::from_millis(100);
const PICTURE_CHUNK: usize = 64 << 10;
/// Bytes typed in one message: libvirtd takes five messages at a time.
const TYPED_CHUNK: usize = 4 << 10;
/// Where a stream takes nothing now.
const AGAIN: Duration = Duration::from_millis(5);

pub(super) fn consoles(libvirt: &Libvirt, id: VmId) -> Result<Consoles> {
    if libvirt.link.is_test() {
        return Err(without("consoles"));
    }
    xml::read_consoles(&running_text(libvirt, id)?)
}

fn without(what: &str) -> HypervisorError {
    HypervisorError::Unsupported(format!("libvirt's test driver runs no guests and has no {what}"))
}

fn running_text(libvirt: &Libvirt, id: VmId) -> Result<String> {
    let text = libvirt.on(id, |domain| match domain.id() {
        Some(_) => domain.xml_desc(0).map(Some),
        None => Ok(None),
    })?;
    text.ok_or_else(|| HypervisorError::WrongState("it does not run".to_owned()))
}

pub(super) fn open_vnc(libvirt: &Libvirt, id: VmId, place: u32) -> Result<UnixStream> {
    let number = libvirt.ask(id, |domain| domain.open_graphics_fd(place, sys::VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH))?;
    let socket = i32::try_from(number).ok().and_then(ffi::own);
    let socket: OwnedFd =
        socket.ok_or_else(|| HypervisorError::Failed("libvirt gave no socket for the display".to_owned()))?;
    Ok(UnixStream::from(socket))
}

/// An open port.
struct Port(Heard);

impl SerialPort for Port {
    fn write(&self, bytes: &[u8]) -> Result<()> {
        for chunk in bytes.chunks(TYPED_CHUNK) {
            let mut left = chunk;
            while !left.is_empty() {
                let sent = self.0.send(left).map_err(|error| error::map(&error, None))?;
                if sent == 0 {
                    std::thread::sleep(AGAIN);
                }
                left = left.get(sent..).unwrap_or_default();
            }
        }
        Ok(())
    }
}

pub(super) fn open_serial(
    libvirt: &Libvirt,
    id: VmId,
    hold: SerialHold,
    sink: SerialSink,
) -> Result<Box<dyn SerialPort>> {
    if libvirt.link.is_test() {
        return Err(without("consoles"));
    }
    libvirt.link.health()?;
    let flags = match hold {
        SerialHold::IfFree => 0,
        SerialHold::TakeOver => sys::VIR_DOMAIN_CONSOLE_FORCE,
    };
    let open = || -> std::result::Result<(Connect, Stream), Error> {
        let connect = Connect::open(Some(libvirt.link.uri()))?;
        let domain = connect.lookup_domain_by_uuid(id.0)?;
        let stream = Stream::new(&connect, sys::VIR_STREAM_NONBLOCK)?;
        domain.open_console(None, &stream, flags)?;
        Ok((connect, stream))
    };
    let (connect, stream) = open().map_err(|error| {
        // The one reason for which libvirt gives this code here.
        if error.code().is_known_and(|code| code == ErrorNumber::OperationFailed) {
            HypervisorError::InUse(error.message().to_owned())
        } else {
            error::map(&error, Some(id))
        }
    })?;
    let heard = Heard::hear(connect, stream, sink).map_err(|error| error::map(&error, Some(id)))?;
    Ok(Box::new(Port(heard)))
}

pub(super) fn screenshot(libvirt: &Libvirt, id: VmId) -> Result<Picture> {
    let taken = libvirt.link.asking(Some(id), |connect| {
        let domain = connect.lookup_domain_by_uuid(id.0)?;
        let stream = Stream::new(connect, 0)?;
        let mime_type = domain.screenshot(&stream, 0, 0)?;
        let mut bytes = Vec::new();
        let mut chunk = vec![0; PICTURE_CHUNK];
        loop {
            match stream.recv(&mut chunk).map(|count| usize::try_from(count).unwrap_or(0)) {
                Ok(0) => break,
                Ok(count) if bytes.len() + count <= PICTURE_MAX => {
                    bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
                }
                Ok(_) => {
                    let _ = stream.abort();
                    return Ok(None);
                }
                Err(error) => {
                    let _ = stream.abort();
                    return Err(error);
                }
            }
        }
        stream.finish()?;
        Ok(Some(Picture { bytes, mime_type }))
    })?;
    taken.ok_or_else(|| HypervisorError::Failed(format!("the picture of the screen has more than {PICTURE_MAX} bytes")))
}

pub(super) fn send_keys(libvirt: &Libvirt, id: VmId, codes: &[u16], hold: Duration) -> Result<()> {
    let mut codes: Vec<u32> = codes.iter().map(|code| u32::from(*code)).collect();
    let count = i32::try_from(codes.len()).unwrap_or(i32::MAX);
    let hold = u32::try_from(hold.as_millis()).unwrap_or(u32::MAX);
    libvirt.ask(id, |domain| domain.send_key(sys::VIR_KEYCODE_SET_LINUX, hold, codes.as_mut_ptr(), count, 0))
}

pub(super) fn change_media(
    libvirt: &Libvirt,
    id: VmId,
    drive: &str,
    path: Option<&str>,
    side: MediaSide,
) -> Result<bool> {
    // Each from its own text: what the next start will have may differ from what runs.
    let text = libvirt.on(id, |domain| {
        let (is_there, which) = match side {
            MediaSide::Running(_) => (domain.id().is_some(), 0),
            MediaSide::Defined => (domain.is_persistent()?, sys::VIR_DOMAIN_XML_INACTIVE),
        };
        if is_there { domain.xml_desc(sys::VIR_DOMAIN_XML_SECURE | which).map(Some) } else { Ok(None) }
    })?;
    let Some(changed) = text.map(|text| xml::with_medium(&text, drive, path)).transpose()?.flatten() else {
        return Ok(false);
    };
    match side {
        // libvirt's test driver changes no device: what runs nothing has nothing to be changed, and its
        // definition is written anew.
        MediaSide::Running(_) if libvirt.link.is_test() => {}
        MediaSide::Defined if libvirt.link.is_test() => {
            libvirt.link.quick(None, |connect| connect.define_domain_xml(&changed.whole).map(drop))?;
        }
        MediaSide::Running(tray) => {
            let force = match tray {
                Tray::Ask => 0,
                Tray::Force => sys::VIR_DOMAIN_DEVICE_MODIFY_FORCE,
            };
            let change = || {
                libvirt.ask(id, |domain| {
                    Ok(domain.update_device_flags(&changed.device, sys::VIR_DOMAIN_DEVICE_MODIFY_LIVE | force))
                })
            };
            let mut done = change()?;
            for _ in 1..TRAY_TRIES {
                if !done.as_ref().is_err_and(is_shut_again) {
                    break;
                }
                std::thread::sleep(TRAY_PAUSE);
                done = change()?;
            }
            done.map_err(|failed| tray_held(&failed).unwrap_or_else(|| error::map(&failed, Some(id))))?;
        }
        MediaSide::Defined => {
            libvirt
                .ask(id, |domain| domain.update_device_flags(&changed.device, sys::VIR_DOMAIN_DEVICE_MODIFY_CONFIG))?;
        }
    }
    Ok(true)
}

/// Whether the guest has shut the tray between libvirt's opening of it and the change, as firmware does
/// while it looks for what to boot. QEMU tells it by text alone.
fn is_shut_again(error: &Error) -> bool {
    error.code().is_known_and(|code| code == ErrorNumber::InternalError)
        && error.message().contains("Tray of device")
        && error.message().contains("is not open")
}

/// Whether the guest holds the tray: libvirt waits for it to open, then gives up.
fn tray_held(error: &Error) -> Option<HypervisorError> {
    let held =
        error.code().is_known_and(|code| matches!(code, ErrorNumber::OperationFailed | ErrorNumber::OperationTimeout));
    (held || is_shut_again(error)).then(|| HypervisorError::TrayHeld(error.message().to_owned()))
}
