//! R2, R3: each step of CreateVM and DeleteVM × {fails, fails after its effect, repeated, undone
//! twice, killed before, killed after}. Afterwards the VM is whole or nothing of it is left, the
//! host's own VMs are unharmed, and no operation is unfinished.

use std::collections::BTreeSet;

use quantixkvm::model::definition::VolumeRef;
use quantixkvm::model::id::VmId;
use quantixkvm::model::vm::PowerState;
use quantixkvm::service::requests::{DeleteVm, ListEvents};

use super::world::{Process, World, caller, wanted};
use super::wrapper::{Fault, Plan};

pub const FAULTS: [Fault; 6] = [
    Fault::Fails,
    Fault::FailsAfter,
    Fault::Twice,
    Fault::FailsThenUndoneTwice,
    Fault::KilledBefore,
    Fault::KilledAfter,
];

/// Do `work`; where the process is killed under it, start another and let it recover.
pub async fn through(
    world: &World,
    process: Process,
    work: impl Future<Output = bool> + Send + 'static,
) -> (Process, Option<bool>) {
    let task = tokio::spawn(work);
    let done = tokio::select! {
        done = task => Some(done.expect("the work does not panic")),
        () = world.faulty.killed() => None,
    };
    if done.is_some() {
        process.settled().await;
        return (process, done);
    }
    world.faulty.deafen();
    process.bury();
    world.faulty.plan(Plan { fault: Fault::None, at: 0 });
    let process = world.start().await;
    process.settled().await;
    (process, None)
}

fn named(process: &Process, name: &str) -> Vec<(VmId, PowerState)> {
    let picture = process.core.inventory.picture();
    picture.vms.values().filter(|vm| vm.record.name == name).map(|vm| (vm.record.id, vm.record.state)).collect()
}

/// What of the host belongs to a VM, by the difference from before.
fn belongings(world: &World, before: &BTreeSet<String>) -> BTreeSet<String> {
    let now = world.holds();
    assert!(before.is_subset(&now), "something of the host's own went: {:?}", before.difference(&now));
    now.difference(before).cloned().collect()
}

async fn create(world: &World, process: Process, name: &str) -> (Process, Option<bool>) {
    let vms = std::sync::Arc::clone(&process.vms);
    let wanted = wanted(name);
    through(world, process, async move { succeeded(vms.create(&caller(), wanted).await) }).await
}

async fn delete(world: &World, process: Process, id: VmId) -> (Process, Option<bool>) {
    let vms = std::sync::Arc::clone(&process.vms);
    let how = DeleteVm { force: true, delete_volumes: true, remove_from_inventory_only: false };
    through(world, process, async move { succeeded(vms.delete(&caller(), id, how).await) }).await
}

/// Whole or nothing; answers with its id where it is whole.
fn whole_or_nothing(
    world: &World,
    process: &Process,
    before: &BTreeSet<String>,
    name: &str,
    case: &str,
) -> Option<VmId> {
    let left = belongings(world, before);
    assert_eq!(world.unfinished(), 0, "{case}: an operation is unfinished");
    match named(process, name).as_slice() {
        [] => {
            assert!(left.is_empty(), "{case}: no record, and left on the host: {left:?}");
            assert!(
                world.store.vm_all().expect("the store").iter().all(|vm| vm.name != name),
                "{case}: a record is left"
            );
            None
        }
        [(id, _)] => {
            assert!(left.contains(&format!("VM {id}")) && left.len() == 3, "{case}: not whole: {left:?}");
            Some(*id)
        }
        more => panic!("{case}: {more:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_create_and_delete() {
    let world = World::new().await;
    let mut process = world.start().await;
    let before = world.holds();

    world.faulty.plan(Plan { fault: Fault::None, at: 0 });
    let (next, done) = create(&world, process, "steps").await;
    process = next;
    assert_eq!(done, Some(true), "without a fault it is created");
    let creating = world.faulty.effects();
    let id = whole_or_nothing(&world, &process, &before, "steps", "create").expect("it is whole");
    world.faulty.plan(Plan { fault: Fault::None, at: 0 });
    let (next, done) = delete(&world, process, id).await;
    process = next;
    assert_eq!(done, Some(true), "without a fault it is deleted");
    let deleting = world.faulty.effects();
    assert_eq!(whole_or_nothing(&world, &process, &before, "steps", "delete"), None);
    assert!(creating.len() >= 5, "few effects of a creation are seen: {creating:?}");
    assert!(deleting.len() >= 4, "few effects of a deletion are seen: {deleting:?}");

    let mut cases = 0;
    for fault in FAULTS {
        for (at, step) in creating.iter().enumerate() {
            let name = format!("c-{cases}");
            let case = format!("create, {fault:?} at {at} ({step})");
            world.faulty.plan(Plan { fault, at });
            let (next, done) = create(&world, process, &name).await;
            process = next;
            let id = whole_or_nothing(&world, &process, &before, &name, &case);
            if done == Some(true) {
                assert!(id.is_some(), "{case}: it was acknowledged and is not there");
            }
            world.faulty.plan(Plan { fault: Fault::None, at: 0 });
            if let Some(id) = id {
                let (next, _) = delete(&world, process, id).await;
                process = next;
                assert_eq!(whole_or_nothing(&world, &process, &before, &name, &case), None);
            }
            cases += 1;
        }
    }
    println!("R2: {cases} faults in creations ({} steps × {} kinds): whole or nothing", creating.len(), FAULTS.len());

    let mut cases = 0;
    for fault in FAULTS {
        for (at, step) in deleting.iter().enumerate() {
            let name = format!("d-{cases}");
            let case = format!("delete, {fault:?} at {at} ({step})");
            world.faulty.plan(Plan { fault: Fault::None, at: 0 });
            let (next, _) = create(&world, process, &name).await;
            process = next;
            let (id, _) = named(&process, &name)[0];
            world.faulty.plan(Plan { fault, at });
            let (next, done) = delete(&world, process, id).await;
            process = next;
            world.faulty.plan(Plan { fault: Fault::None, at: 0 });
            assert_eq!(world.unfinished(), 0, "{case}: an operation is unfinished");
            if done != Some(false) {
                // A volume that could not be deleted is named, with why, and can be deleted later.
                for (volume, why) in told_as_kept(&process, id) {
                    assert!(why.contains("volume_delete"), "{case}: {volume} was kept: {why}");
                    let at = VolumeRef { pool: "default".to_owned(), volume: volume["default/".len()..].to_owned() };
                    world.real.volume_delete(&at).expect("it can be deleted");
                }
                assert_eq!(whole_or_nothing(&world, &process, &before, &name, &case), None, "{case}");
            } else {
                // Refused: it is still known, so that it can be deleted again.
                assert!(!named(&process, &name).is_empty(), "{case}: it failed and cannot be repeated");
                let (next, _) = delete(&world, process, id).await;
                process = next;
                assert_eq!(whole_or_nothing(&world, &process, &before, &name, &case), None, "{case}, repeated");
            }
            cases += 1;
        }
    }
    println!(
        "R3: {cases} faults in deletions ({} steps × {} kinds): nothing left that is not named",
        deleting.len(),
        FAULTS.len()
    );
}

/// It would run on without a definition, on disks that are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_between_powering_off_and_undefining_leaves_nothing_that_runs() {
    let world = World::new().await;
    let process = world.start().await;
    let before = world.holds();
    world.faulty.plan(Plan { fault: Fault::None, at: 0 });
    let (process, _) = create(&world, process, "late").await;
    let (id, _) = named(&process, "late")[0];
    world.faulty.plan(Plan { fault: Fault::StartedAfter, at: 0 });
    let (process, done) = delete(&world, process, id).await;
    assert_eq!(done, Some(true), "nobody stands in the way of it");
    assert_eq!(world.faulty.effects().first(), Some(&"power_off"), "the start came in between");
    assert_eq!(whole_or_nothing(&world, &process, &before, "late", "started late"), None);
}

/// Volumes that the event of a deletion says were kept, and why.
fn told_as_kept(process: &Process, id: VmId) -> Vec<(String, String)> {
    let wanted = ListEvents { resource_id: Some(id.to_string()), limit: 1, ..ListEvents::default() };
    let events = process.vms.events(&wanted).expect("the store answers");
    let last = events.first().expect("a deletion has an event");
    assert_eq!(last.event.kind, "vm.deleted");
    let kept = |(key, why): (&String, &String)| Some((key.strip_prefix("kept:")?.to_owned(), why.clone()));
    last.event.metadata.iter().filter_map(kept).collect()
}

pub fn succeeded<T>(result: Result<T, quantixkvm::service::error::ServiceError>) -> bool {
    if let Err(error) = &result {
        println!("refused: {error}");
    }
    result.is_ok()
}
