//! Requests and answers about consoles, keys and media.

use std::time::Duration;

use quantixkvm_proto::Quantixkvm::compute::v1 as wire;
use wire::display_config::DisplayType;
use wire::get_console_request::Kind;

use crate::model::id::VmId;
use crate::model::keys;
use crate::model::validate::{self, quoted};
use crate::model::vm::Moment;
use crate::service::console::{Granted, Picture, SerialHold, Wanted};
use crate::service::error::ServiceError;
use crate::service::vm::{ChangeMedia, Tray};

use super::read::Reader;
use super::vm_out::moment;

/// How long keys are held where the request does not say, and at most.
const HOLD_MS: u32 = 100;
const HOLD_MAX_MS: u32 = 5000;

pub(super) fn wanted(sent: &wire::GetConsoleRequest) -> Result<(VmId, Wanted), ServiceError> {
    let mut reader = Reader::default();
    let id: Option<VmId> = reader.id("vm_id", &sent.vm_id);
    let display = reader.known("type", sent.r#type);
    let kind = reader.known("kind", sent.kind);
    let wanted = match kind {
        Kind::KIND_SERIAL => Wanted::Serial(if sent.take_over { SerialHold::TakeOver } else { SerialHold::IfFree }),
        Kind::KIND_VNC | Kind::KIND_UNSPECIFIED => {
            if sent.take_over {
                reader.wrong("take_over", "is for serial ports; a display takes any number of viewers");
            }
            match display {
                DisplayType::VNC => {}
                DisplayType::SPICE => {
                    return Err(ServiceError::Unimplemented {
                        field: "type".to_owned(),
                        message: "SPICE is not offered by this version; ask for VNC".to_owned(),
                    });
                }
                DisplayType::NONE => reader.wrong("type", "NONE is no display; ask for VNC, or for kind KIND_SERIAL"),
            }
            Wanted::Vnc
        }
    };
    reader.end(())?;
    // What is missing was noted.
    let id = id.ok_or_else(|| ServiceError::invalid("vm_id", "is required: a UUID"))?;
    Ok((id, wanted))
}

pub(super) fn info(id: VmId, wanted: Wanted, granted: Granted) -> wire::ConsoleInfo {
    let (console_type, word) = match wanted {
        Wanted::Vnc => (wire::console_info::ConsoleType::CONSOLE_TYPE_VNC, "vnc"),
        Wanted::Serial(_) => (wire::console_info::ConsoleType::CONSOLE_TYPE_SERIAL, "serial"),
    };
    wire::ConsoleInfo {
        console_type: console_type.into(),
        websocket_url: format!("/consoles/{id}/{word}"),
        ticket: granted.secret,
        expires_at: moment(granted.expires_at).into(),
        ..Default::default()
    }
}

pub(super) fn screenshot(picture: Picture) -> wire::Screenshot {
    wire::Screenshot {
        image: picture.bytes,
        mime_type: picture.mime_type,
        taken_at: moment(Moment::now()).into(),
        ..Default::default()
    }
}

/// The VM, the keys' codes, and how long they are held.
pub(super) fn keys(sent: &wire::SendKeysRequest) -> Result<(VmId, Vec<u16>, Duration), ServiceError> {
    let mut reader = Reader::default();
    let id: Option<VmId> = reader.id("vm_id", &sent.vm_id);
    let mut codes = Vec::new();
    if sent.keys.is_empty() || sent.keys.len() > keys::KEYS_MAX {
        reader.wrong("keys", format!("must name 1-{} keys; {} are named", keys::KEYS_MAX, sent.keys.len()));
    } else {
        for (index, name) in sent.keys.iter().enumerate() {
            match keys::code(name) {
                Some(code) => codes.push(code),
                None => reader.wrong(
                    &format!("keys[{index}]"),
                    format!("{} is the name of no key; the names are: {}", quoted(name), keys::names()),
                ),
            }
        }
    }
    let hold = if sent.hold_ms == 0 { HOLD_MS } else { sent.hold_ms };
    reader.found.extend(validate::range("hold_ms", i64::from(hold), 1, i64::from(HOLD_MAX_MS), Some("meaning 100")));
    reader.end(())?;
    let id = id.ok_or_else(|| ServiceError::invalid("vm_id", "is required: a UUID"))?;
    Ok((id, codes, Duration::from_millis(u64::from(hold))))
}

pub(super) fn media(cdrom_id: &str, force: bool) -> ChangeMedia {
    ChangeMedia {
        cdrom: Some(cdrom_id.to_owned()).filter(|id| !id.is_empty()),
        tray: if force { Tray::Force } else { Tray::Ask },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &str = "11111111-1111-1111-1111-111111111111";

    fn asked(change: impl Fn(&mut wire::GetConsoleRequest)) -> Result<Wanted, ServiceError> {
        let mut sent = wire::GetConsoleRequest { vm_id: VM.to_owned(), ..Default::default() };
        change(&mut sent);
        wanted(&sent).map(|(_, wanted)| wanted)
    }

    #[test]
    fn which_console_is_meant() {
        assert_eq!(asked(|_| ()), Ok(Wanted::Vnc));
        assert_eq!(asked(|sent| sent.kind = Kind::KIND_VNC.into()), Ok(Wanted::Vnc));
        let serial = |take_over| {
            asked(move |sent| {
                sent.kind = Kind::KIND_SERIAL.into();
                sent.take_over = take_over;
            })
        };
        assert_eq!(serial(false), Ok(Wanted::Serial(SerialHold::IfFree)));
        assert_eq!(serial(true), Ok(Wanted::Serial(SerialHold::TakeOver)));
        assert!(matches!(asked(|sent| sent.take_over = true), Err(ServiceError::Invalid(_))));
        assert!(matches!(asked(|sent| sent.r#type = DisplayType::NONE.into()), Err(ServiceError::Invalid(_))));
        let spice = asked(|sent| sent.r#type = DisplayType::SPICE.into());
        assert!(matches!(spice, Err(ServiceError::Unimplemented { .. })), "{spice:?}");
        assert!(matches!(asked(|sent| sent.kind = 77.into()), Err(ServiceError::Invalid(_))));
        assert!(matches!(asked(|sent| sent.vm_id.clear()), Err(ServiceError::Invalid(_))));
    }

    #[test]
    fn keys_are_known_or_named() {
        let pressed = |names: &[&str], hold_ms| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            keys(&wire::SendKeysRequest { vm_id: VM.to_owned(), keys: names, hold_ms, ..Default::default() })
                .map(|(_, codes, hold)| (codes, hold.as_millis()))
        };
        assert_eq!(pressed(&["Ctrl", "ALT", "delete"], 0), Ok((vec![29, 56, 111], 100)));
        assert_eq!(pressed(&["a"], 5000), Ok((vec![30], 5000)));
        let Err(ServiceError::Invalid(wrong)) = pressed(&["any", "a", "\u{1b}[2J"], 5001) else { panic!("refused") };
        let fields: Vec<&str> = wrong.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["keys[0]", "keys[2]", "hold_ms"]);
        assert!(wrong[0].description.contains("backspace"), "{}", wrong[0].description);
        assert!(wrong.iter().all(|violation| !violation.description.contains('\u{1b}')));
        assert!(pressed(&[], 0).is_err() && pressed(&["a"; 17], 0).is_err());
    }
}
