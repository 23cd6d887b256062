//! Pools and volumes. The pool `default` is made on first use; any other must be there. Nothing
//! here asks QEMU, but a pool may be on slow storage: these calls go through the asking pool.

use std::sync::Arc;

use virt::connect::Connect;
use virt::error::{Error, ErrorNumber};
use virt::storage_pool::StoragePool;
use virt::storage_vol::StorageVol;
use virt::sys;

use super::link::Link;
use super::xml::storage as xml;
use crate::hypervisor::{HypervisorError, Result};
use crate::model::definition::{NewVolume, PoolFacts, PoolKind, VolumeFacts, VolumeRef};
use crate::model::spec::{DiskFormat, DiskProvisioning};

const DEFAULT_POOL: &str = "default";
/// Where libvirt's own tools put it.
const DEFAULT_PATH: &str = "/var/lib/libvirt/images";

fn is(error: &Error, wanted: ErrorNumber) -> bool {
    error.code().is_known_and(|code| code == wanted)
}

fn find(connect: &Connect, pool: &str) -> std::result::Result<StoragePool, Error> {
    match pool.parse::<uuid::Uuid>() {
        Ok(id) => connect.lookup_storage_pool_by_uuid(id),
        Err(_) => connect.lookup_storage_pool_by_name(pool),
    }
}

/// The pool, started; `default` is made where it is missing.
fn ready(connect: &Connect, uri: &str, pool: &str) -> std::result::Result<StoragePool, Error> {
    let found = match find(connect, pool) {
        Err(error) if pool == DEFAULT_POOL && is(&error, ErrorNumber::NoStoragePool) => make_default(connect, uri)?,
        other => other?,
    };
    if !found.is_active()? {
        found.create(0)?;
    }
    Ok(found)
}

/// Where the pool `default` is made.
fn default_path(uri: &str) -> String {
    if uri.contains(":///session") {
        let home = std::env::var("XDG_DATA_HOME")
            .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.local/share")))
            .unwrap_or_else(|_| "/tmp".to_owned());
        format!("{home}/libvirt/images")
    } else {
        DEFAULT_PATH.to_owned()
    }
}

fn make_default(connect: &Connect, uri: &str) -> std::result::Result<StoragePool, Error> {
    let text = xml::write_dir_pool(DEFAULT_POOL, &default_path(uri)).unwrap_or_default();
    let pool = match connect.define_storage_pool_xml(&text, 0) {
        Ok(pool) => pool,
        // Another call has just made it.
        Err(_) => return connect.lookup_storage_pool_by_name(DEFAULT_POOL),
    };
    // The directory may be there already.
    let _ = pool.build(0);
    if let Err(error) = pool.create(0)
        && !pool.is_active().unwrap_or(false)
    {
        let _ = pool.undefine();
        return Err(error);
    }
    let _ = pool.set_autostart(true);
    Ok(pool)
}

fn facts(pool: &StoragePool) -> std::result::Result<PoolFacts, Error> {
    let info = pool.info()?;
    let text = pool.xml_desc(0)?;
    Ok(PoolFacts {
        id: pool.uuid()?,
        name: pool.name()?,
        active: pool.is_active()?,
        kind: xml::read_pool_kind(&text).unwrap_or(PoolKind::Other),
        path: xml::read_pool_path(&text).unwrap_or_default(),
        capacity_bytes: info.capacity,
        allocation_bytes: info.allocation,
        available_bytes: info.available,
    })
}

pub(super) fn pool(link: &Arc<Link>, pool: &str) -> Result<PoolFacts> {
    link.asking(None, |connect| facts(&ready(connect, link.uri(), pool)?))
}

pub(super) fn pool_look(link: &Arc<Link>, pool: &str) -> Result<Option<PoolFacts>> {
    link.asking(None, |connect| match find(connect, pool) {
        Ok(found) => facts(&found).map(Some),
        Err(error) if is(&error, ErrorNumber::NoStoragePool) => Ok((pool == DEFAULT_POOL).then(|| PoolFacts {
            id: uuid::Uuid::nil(),
            name: DEFAULT_POOL.to_owned(),
            active: false,
            kind: PoolKind::Files,
            path: default_path(link.uri()),
            capacity_bytes: 0,
            allocation_bytes: 0,
            available_bytes: 0,
        })),
        Err(error) => Err(error),
    })
}

pub(super) fn pools(link: &Arc<Link>) -> Result<Vec<PoolFacts>> {
    link.asking(None, |connect| connect.list_all_storage_pools(0)?.iter().map(facts).collect())
}

pub(super) fn volume_path(link: &Arc<Link>, at: &VolumeRef) -> Result<String> {
    let text = link.asking(None, |connect| ready(connect, link.uri(), &at.pool)?.xml_desc(0))?;
    let base = xml::read_pool_path(&text)?;
    if base.is_empty() {
        return Err(HypervisorError::Unsupported(format!(
            "pool \"{}\" has no directory in which a new volume could be named; use a pool of files",
            at.pool
        )));
    }
    Ok(format!("{}/{}", base.trim_end_matches('/'), at.volume))
}

pub(super) fn volume_create(link: &Arc<Link>, volume: &NewVolume) -> Result<VolumeFacts> {
    let text = xml::write_volume(volume)?;
    let written = link.asking(None, |connect| {
        let pool = ready(connect, link.uri(), &volume.at.pool)?;
        let thick = volume.provisioning != DiskProvisioning::Thin;
        // A raw volume has no metadata: its allocation alone says that it is thick.
        let flags = if thick && volume.format == DiskFormat::Qcow2 && !link.is_test() {
            sys::VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA
        } else {
            0
        };
        StorageVol::create_xml(&pool, &text, flags)?.xml_desc(0)
    })?;
    xml::read_volume(&volume.at.pool, &written)
}

/// The volume of this name; a file that appeared behind libvirt's back is found by a refresh.
fn lookup(connect: &Connect, uri: &str, at: &VolumeRef) -> std::result::Result<Option<StorageVol>, Error> {
    let pool = match ready(connect, uri, &at.pool) {
        Err(error) if is(&error, ErrorNumber::NoStoragePool) => return Ok(None),
        other => other?,
    };
    match pool.lookup_storage_vol_by_name(&at.volume) {
        Ok(volume) => return Ok(Some(volume)),
        Err(error) if is(&error, ErrorNumber::NoStorageVolume) => {}
        Err(error) => return Err(error),
    }
    if pool.refresh(0).is_err() {
        return Ok(None);
    }
    match pool.lookup_storage_vol_by_name(&at.volume) {
        Ok(volume) => Ok(Some(volume)),
        Err(error) if is(&error, ErrorNumber::NoStorageVolume) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn volume(link: &Arc<Link>, at: &VolumeRef) -> Result<Option<VolumeFacts>> {
    let text =
        link.asking(None, |connect| lookup(connect, link.uri(), at)?.map(|volume| volume.xml_desc(0)).transpose())?;
    text.map(|text| xml::read_volume(&at.pool, &text)).transpose()
}

pub(super) fn volumes(link: &Arc<Link>, pool: &str) -> Result<Vec<VolumeFacts>> {
    let texts = link.asking(None, |connect| {
        let pool = ready(connect, link.uri(), pool)?;
        Ok(pool
            .list_all_volumes(0)?
            .iter()
            // One that goes while we look is not listed.
            .filter_map(|volume| volume.xml_desc(0).ok())
            .collect::<Vec<_>>())
    })?;
    texts.iter().map(|text| xml::read_volume(pool, text)).collect()
}

pub(super) fn volume_by_path(link: &Arc<Link>, path: &str) -> Result<Option<VolumeFacts>> {
    let found = link.asking(None, |connect| match connect.lookup_storage_vol_by_path(path) {
        Ok(volume) => Ok(Some((volume.lookup_storage_pool()?.name()?, volume.xml_desc(0)?))),
        Err(error) if is(&error, ErrorNumber::NoStorageVolume) => Ok(None),
        Err(error) => Err(error),
    })?;
    found.map(|(pool, text)| xml::read_volume(&pool, &text)).transpose()
}

pub(super) fn volume_delete(link: &Arc<Link>, at: &VolumeRef) -> Result<()> {
    link.asking(None, |connect| match lookup(connect, link.uri(), at)? {
        Some(volume) => match volume.delete(0) {
            Err(error) if is(&error, ErrorNumber::NoStorageVolume) => Ok(()),
            other => other,
        },
        None => Ok(()),
    })
}
