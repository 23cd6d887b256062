//! Pools, volumes and networks of a real libvirtd.

use super::{Daemon, Live, uri};
use crate::hypervisor::{Hypervisor, HypervisorError};
use crate::model::definition::{NewVolume, VolumeRef};
use crate::model::spec::{DiskFormat, DiskProvisioning};
use crate::model::units::Gib;

fn new(volume: &str) -> NewVolume {
    NewVolume {
        at: VolumeRef { pool: "default".to_owned(), volume: volume.to_owned() },
        size: Gib(1),
        format: DiskFormat::Qcow2,
        provisioning: DiskProvisioning::Thin,
        backing: None,
    }
}

#[test]
fn the_default_pool_is_made_and_filled() {
    if uri().is_none() {
        return;
    }
    let daemon = Daemon::start("pool");
    let live = Live::to(&daemon.uri());
    let h = &live.libvirt;
    assert_eq!(h.pools().expect("it answers"), Vec::new());
    assert!(matches!(h.pool("other"), Err(HypervisorError::NotFound(_))), "{:?}", h.pool("other"));
    let thin = new("thin.qcow2");
    let path = h.volume_path(&thin.at).expect("the pool is made");
    assert_eq!(path, "/var/lib/libvirt/images/thin.qcow2");
    let pool = h.pool("default").expect("it is there");
    assert!(pool.active && pool.capacity_bytes > 0 && pool.available_bytes > 0, "{pool:?}");
    assert_eq!(h.pools().expect("it answers").len(), 1);

    assert_eq!(h.volume(&thin.at), Ok(None));
    let made = h.volume_create(&thin).expect("it is made");
    assert_eq!((&made.at, &made.path, made.capacity_bytes), (&thin.at, &path, 1 << 30));
    assert_eq!((made.format, made.backing_path.as_deref()), (Some(DiskFormat::Qcow2), None));
    assert!(made.allocation_bytes < 4 << 20, "{made:?}");
    assert!(matches!(h.volume_create(&thin), Err(HypervisorError::AlreadyExists(_))), "{:?}", h.volume_create(&thin));
    assert_eq!(h.volume(&thin.at), Ok(Some(made.clone())));
    assert_eq!(h.volume_by_path(&path), Ok(Some(made.clone())));
    assert_eq!(h.volume_by_path("/nowhere/x.qcow2"), Ok(None));

    let overlay = NewVolume { backing: Some((path.clone(), DiskFormat::Qcow2)), ..new("over.qcow2") };
    let over = h.volume_create(&overlay).expect("it is made");
    assert_eq!(over.backing_path, Some(path.clone()));
    for (name, format, provisioning) in [
        ("raw.img", DiskFormat::Raw, DiskProvisioning::Thin),
        ("lazy.img", DiskFormat::Raw, DiskProvisioning::ThickLazy),
        ("eager.img", DiskFormat::Raw, DiskProvisioning::ThickEager),
        ("lazy.qcow2", DiskFormat::Qcow2, DiskProvisioning::ThickLazy),
        ("eager.qcow2", DiskFormat::Qcow2, DiskProvisioning::ThickEager),
    ] {
        let made = h.volume_create(&NewVolume { format, provisioning, ..new(name) }).expect(name);
        assert_eq!((made.format, made.capacity_bytes), (Some(format), 1 << 30), "{name}");
        let thick = provisioning != DiskProvisioning::Thin;
        assert_eq!(made.allocation_bytes >= 1 << 30, thick, "{name}: {made:?}");
        h.volume_delete(&made.at).expect("it goes");
    }
    let huge = NewVolume {
        size: Gib(1 << 12),
        format: DiskFormat::Raw,
        provisioning: DiskProvisioning::ThickEager,
        ..new("huge.img")
    };
    assert!(matches!(h.volume_create(&huge), Err(HypervisorError::NoSpace(_))), "{:?}", h.volume_create(&huge));

    let mut names: Vec<String> =
        h.volumes("default").expect("it answers").into_iter().map(|volume| volume.at.volume).collect();
    names.sort();
    assert_eq!(names, ["over.qcow2", "thin.qcow2"]);
    daemon.run(&["exec", "touch", "/var/lib/libvirt/images/behind.img"]);
    let behind = new("behind.img").at;
    assert!(h.volume(&behind).expect("it answers").is_some(), "a file that came behind libvirt's back is found");
    for at in [&overlay.at, &thin.at, &behind] {
        h.volume_delete(at).expect("it goes");
        h.volume_delete(at).expect("it is gone, which is what was wanted");
    }
    assert_eq!(h.volumes("default"), Ok(Vec::new()));
    assert_eq!(h.volume(&VolumeRef { pool: "other".to_owned(), volume: "x".to_owned() }), Ok(None));

    let networks = h.networks().expect("it answers");
    assert!(networks.iter().any(|network| network.name == "default" && network.active), "{networks:?}");
    assert_eq!(h.leases().expect("it answers").len(), 0);
}
