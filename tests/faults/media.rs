//! Each step of MountISO and EjectISO × {fails, fails after its effect, repeated, killed before,
//! killed after}, on real QEMU, running and off: afterwards the drive holds the old medium or the new
//! one, in the guest and in the definition alike, and nothing hangs.

use std::sync::Arc;

use quantixkvm::hypervisor::AcceleratorChoice;
use quantixkvm::hypervisor::libvirt::Libvirt;
use quantixkvm::model::id::VmId;
use quantixkvm::model::spec::{Cdrom, VmSpec};
use quantixkvm::service::requests::CreateVm;
use quantixkvm::service::vm::{ChangeMedia, Tray};

use super::steps::{FAULTS, succeeded, through};
use super::world::{Process, World, caller, wanted};
use super::wrapper::{Fault, Plan};
use crate::support::testbed::Testbed;

/// Of the running guest, and of the definition.
const STEPS: usize = 2;

async fn put(world: &World, process: Process, id: VmId, path: &str) -> (Process, Option<bool>) {
    let vms = Arc::clone(&process.vms);
    let path = path.to_owned();
    through(world, process, async move {
        let how = ChangeMedia { cdrom: None, tray: Tray::Ask };
        if path.is_empty() {
            succeeded(vms.eject_iso(&caller(), id, how).await)
        } else {
            succeeded(vms.mount_iso(&caller(), id, how, path).await)
        }
    })
    .await
}

/// What the drive holds, by libvirt's word on both sides.
fn held(world: &World, id: VmId, case: &str) -> String {
    let of = |spec: &VmSpec| spec.cdroms.first().map(|drive| drive.medium().to_owned()).expect("it has a drive");
    let now = world.real.describe(id).expect("it answers").expect("it is there");
    let defined = of(&now.spec);
    if let Some(running) = &now.running_spec {
        assert_eq!(of(running), defined, "{case}: the guest and the definition differ");
    }
    defined
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_a_change_of_media() {
    let bed = Testbed::new();
    let world = World::on(Arc::new(Libvirt::new(bed.uri.clone(), AcceleratorChoice::Auto))).await;
    let mut process = world.start().await;
    let [old, new] = ["old", "new"].map(|name| bed.file(&format!("{name}.iso"), &"x".repeat(1 << 16)));
    let mut cases = 0;
    for runs in [true, false] {
        let spec = VmSpec { disks: Vec::new(), cdroms: vec![Cdrom::default()], ..wanted("").spec };
        let name = if runs { "runs" } else { "off" };
        let request = CreateVm { spec, start_on_create: runs, autostart: false, ..wanted(name) };
        world.faulty.plan(Plan { fault: Fault::None, at: 0 });
        let made = process.vms.create(&caller(), request).await.expect("it is made");
        let id = made.record.id;
        process.settled().await;
        for next in [new.as_str(), ""] {
            for fault in FAULTS {
                for at in 0..STEPS {
                    let case = format!("{name}: {old} to {next:?}, {fault:?} at {at}");
                    world.faulty.plan(Plan { fault: Fault::None, at: 0 });
                    let (living, done) = put(&world, process, id, &old).await;
                    assert_eq!(done, Some(true), "{case}: the old medium is put in");
                    assert_eq!(
                        world.faulty.effects().len(),
                        STEPS,
                        "the steps are others: {:?}",
                        world.faulty.effects()
                    );
                    world.faulty.plan(Plan { fault, at });
                    let (living, done) = put(&world, living, id, next).await;
                    process = living;
                    assert_eq!(world.unfinished(), 0, "{case}: an operation is unfinished");
                    let now = held(&world, id, &case);
                    let allowed: &[&str] = match done {
                        Some(true) => &[next],
                        Some(false) => &[&old],
                        None => &[&old, next],
                    };
                    assert!(allowed.contains(&now.as_str()), "{case}: it ended {done:?}, and the drive holds {now:?}");
                    cases += 1;
                }
            }
        }
    }
    println!("media: {cases} faults in changes of media: the old one or the new, on both sides");
}
