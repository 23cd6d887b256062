//! Pools and volumes in libvirt's XML.

use super::tree::Element;
use crate::hypervisor::HypervisorError;
use crate::model::definition::{NewVolume, PoolKind, VolumeFacts, VolumeKind, VolumeRef};
use crate::model::spec::{DiskFormat, DiskProvisioning};

fn format_word(format: DiskFormat) -> &'static str {
    match format {
        DiskFormat::Qcow2 => "qcow2",
        DiskFormat::Raw => "raw",
    }
}

/// The XML of a new volume.
///
/// # Errors
/// `Refused` where it cannot be written.
pub fn write_volume(volume: &NewVolume) -> Result<String, HypervisorError> {
    let capacity = volume.size.bytes();
    let allocation = match volume.provisioning {
        DiskProvisioning::Thin => 0,
        DiskProvisioning::ThickLazy | DiskProvisioning::ThickEager => capacity,
    };
    let mut target = Element::new("target").with(Element::new("format").attr("type", format_word(volume.format)));
    if volume.format == DiskFormat::Qcow2 {
        target.push(Element::new("compat").text("1.1"));
    }
    let backing = volume.backing.as_ref().map(|(path, format)| {
        Element::new("backingStore")
            .with(Element::new("path").text(path))
            .with(Element::new("format").attr("type", format_word(*format)))
    });
    Element::new("volume")
        .with(Element::new("name").text(&volume.at.volume))
        .with(Element::new("capacity").attr("unit", "bytes").text(capacity))
        .with(Element::new("allocation").attr("unit", "bytes").text(allocation))
        .with(target)
        .with_some(backing)
        .write()
}

/// The facts in a volume's XML.
///
/// # Errors
/// `Refused` where it cannot be read.
pub fn read_volume(pool: &str, text: &str) -> Result<VolumeFacts, HypervisorError> {
    Ok(volume_of(pool, &Element::parse(text)?))
}

pub(super) fn volume_of(pool: &str, volume: &Element) -> VolumeFacts {
    let bytes = |name: &str| volume.text_of(name).parse().unwrap_or(0);
    let word = volume.at(&["target", "format"]).map(|format| format.get_or_empty("type"));
    let format = match word {
        Some("qcow2") => Some(DiskFormat::Qcow2),
        Some("raw" | "iso") => Some(DiskFormat::Raw),
        Some(_) | None => None,
    };
    let name = volume.text_of("name");
    let kind = match (word, format) {
        (Some("iso"), _) => VolumeKind::Iso,
        (_, Some(DiskFormat::Raw)) if name.to_ascii_lowercase().ends_with(".iso") => VolumeKind::Iso,
        (_, Some(_)) => VolumeKind::Disk,
        // A pool of block devices does not say a format.
        (None | Some(""), None) => VolumeKind::Disk,
        (Some(_), None) => VolumeKind::Other,
    };
    VolumeFacts {
        at: VolumeRef { pool: pool.to_owned(), volume: name },
        path: volume.child("target").map(|target| target.text_of("path")).unwrap_or_default(),
        capacity_bytes: bytes("capacity"),
        allocation_bytes: bytes("allocation"),
        format,
        kind,
        // What libvirt always says, and an older one leaves out where it is a file.
        is_file: matches!(volume.get_or_empty("type"), "file" | ""),
        backing_path: volume
            .child("backingStore")
            .map(|backing| backing.text_of("path"))
            .filter(|path| !path.is_empty()),
    }
}

/// A pool that is a directory.
///
/// # Errors
/// `Refused` where it cannot be written.
pub fn write_dir_pool(name: &str, path: &str) -> Result<String, HypervisorError> {
    Element::new("pool")
        .attr("type", "dir")
        .with(Element::new("name").text(name))
        .with(Element::new("target").with(Element::new("path").text(path)))
        .write()
}

/// What a pool's volumes are.
///
/// # Errors
/// `Refused` where it cannot be read.
pub fn read_pool_kind(text: &str) -> Result<PoolKind, HypervisorError> {
    Ok(match Element::parse(text)?.get_or_empty("type") {
        "dir" | "fs" | "netfs" => PoolKind::Files,
        _ => PoolKind::Other,
    })
}

/// Where a pool's volumes lie.
///
/// # Errors
/// `Refused` where it cannot be read.
pub fn read_pool_path(text: &str) -> Result<String, HypervisorError> {
    Ok(Element::parse(text)?.child("target").map(|target| target.text_of("path")).unwrap_or_default())
}
