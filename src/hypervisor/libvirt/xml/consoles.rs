//! What of a running VM can be seen, and a drive with another medium.

use super::devices;
use super::edit::is_disk;
use super::tree::Element;
use crate::hypervisor::{Consoles, HypervisorError};

/// The displays and the serial port in a running definition.
///
/// # Errors
/// `Refused` where it cannot be read.
pub fn read_consoles(text: &str) -> Result<Consoles, HypervisorError> {
    let domain = Element::parse(text)?;
    let mut found = Consoles::default();
    let Some(devices) = domain.child("devices") else { return Ok(found) };
    for (place, graphics) in (0..).zip(devices.named("graphics")) {
        if graphics.get("type") == Some("vnc") {
            found.vnc = found.vnc.or(Some(place));
        } else {
            found.has_other_display = true;
        }
    }
    found.has_serial = devices.has("serial") || devices.has("console");
    Ok(found)
}

/// A definition in which a drive holds another medium.
pub struct Changed {
    /// The drive alone.
    pub device: String,
    pub whole: String,
}

/// The drive of this id with `path` in it, or with nothing, edited in place; `None`: there is none.
///
/// # Errors
/// `Refused` where the text cannot be read.
pub fn with_medium(text: &str, drive: &str, path: Option<&str>) -> Result<Option<Changed>, HypervisorError> {
    let mut domain = Element::parse(text)?;
    let found = domain.child_mut("devices").children_mut().find(|device| is_disk(device, "cdrom", drive));
    let Some(device) = found else { return Ok(None) };
    insert(device, path);
    let device = device.write()?;
    Ok(Some(Changed { device, whole: domain.write()? }))
}

/// Put the file into the drive, or take out what is in it.
pub(super) fn insert(drive: &mut Element, path: Option<&str>) {
    drive.remove_named("source");
    drive.remove_named("backingStore");
    match path {
        Some(path) => {
            let (kind, source) = devices::source(path);
            drive.set("type", kind);
            drive.push(source);
        }
        // A drive of another kind than these cannot be empty.
        None if matches!(drive.get("type"), Some("file" | "block")) => {}
        None => drive.set("type", "file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &str = "<domain type='kvm'><devices>\
        <disk type='file' device='disk'><source file='/a'/><target dev='vda'/></disk>\
        <disk type='block' device='cdrom'><driver name='qemu' type='raw'/><source dev='/dev/sr0'/>\
        <target dev='sda' bus='sata'/><readonly/><x:ours xmlns:x='urn:x'>kept</x:ours></disk>\
        <graphics type='spice'/><graphics type='vnc' socket='/s'/><graphics type='vnc'/><serial type='pty'/>\
        </devices></domain>";

    #[test]
    fn the_first_vnc_display_is_found_wherever_it_stands() {
        assert_eq!(
            read_consoles(VM).expect("it is read"),
            Consoles { vnc: Some(1), has_other_display: true, has_serial: true }
        );
        assert_eq!(read_consoles("<domain/>").expect("it is read"), Consoles::default());
        assert!(read_consoles("<domain>").is_err());
    }

    #[test]
    fn a_medium_is_changed_and_all_else_kept() {
        let path = "/iso/a&b <1>.iso";
        let changed = with_medium(VM, "sda", Some(path)).expect("it is read").expect("the drive is there");
        let drive = Element::parse(&changed.device).expect("it is XML");
        assert_eq!(drive.get("type"), Some("file"));
        assert_eq!(drive.child("source").and_then(|source| source.get("file")), Some(path));
        assert_eq!(drive.child("source").and_then(|source| source.get("dev")), None);
        assert!(drive.has("readonly") && changed.device.contains("kept"), "{}", changed.device);
        let whole = Element::parse(&changed.whole).expect("it is XML");
        let paths: Vec<&str> = whole
            .child("devices")
            .expect("devices")
            .named("disk")
            .filter_map(|disk| disk.child("source").and_then(|source| source.get("file")))
            .collect();
        assert_eq!(paths, ["/a", path]);
        assert!(changed.whole.contains("kept"), "{}", changed.whole);
        let ejected = with_medium(&changed.whole, "sda", None).expect("it is read").expect("the drive is there");
        assert!(!ejected.device.contains("source"), "{}", ejected.device);
        // A disk is no drive, and what is not there is not made.
        for other in ["vda", "sdb", ""] {
            assert!(with_medium(VM, other, Some(path)).expect("it is read").is_none(), "{other}");
        }
    }
}
