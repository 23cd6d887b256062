//! Every operation of the VMs' repository, and each index after each change.

use redb::{ReadableTable as _, TableHandle as _};

use super::*;
use crate::store::tables::{ROWS, VMS};

fn names(vms: &[VmRecord]) -> Vec<&str> {
    vms.iter().map(|vm| vm.name.as_str()).collect()
}

fn ten() -> Store {
    let store = memory();
    done(&store, |tx| (0..10).try_for_each(|n| tx.vm_create(&vm(n))));
    store
}

#[test]
fn what_was_created_is_read_back_whole() {
    let store = ten();
    for n in 0..10 {
        assert_eq!(store.vm_get(vm_id(n)), Ok(Some(vm(n))));
        assert_eq!(store.vm_get_by_name(project(n % 3), &format!("web-{n}")), Ok(Some(vm(n))));
    }
    assert_eq!(store.vm_get(vm_id(99)), Ok(None));
    assert_eq!(store.vm_get_by_name(project(1), "web-0"), Ok(None), "a name of another project");
    assert_eq!(store.verify(), Ok(()));
}

#[test]
fn an_id_and_a_name_are_taken_once() {
    let store = ten();
    let again = store.commit(|tx| tx.vm_create(&vm(3)));
    assert!(matches!(again, Err(StoreError::AlreadyExists { .. })), "{again:?}");

    let mut twin = vm(20);
    twin.name = "web-3".to_owned();
    twin.project_id = project(0);
    let refused = store.commit(|tx| tx.vm_create(&twin)).expect_err("the name is taken");
    let said = refused.to_string();
    assert!(said.contains("web-3") && said.contains(&vm_id(3).to_string()), "{said}");
    assert_eq!(store.vm_get(twin.id), Ok(None), "a refused VM is not there");

    twin.project_id = project(1);
    done(&store, |tx| tx.vm_create(&twin));
    twin.project_id = project(0);
    let moved = store.commit(|tx| tx.vm_update(&twin));
    assert!(matches!(moved, Err(StoreError::AlreadyExists { .. })), "{moved:?}");
    assert_eq!(store.verify(), Ok(()));
}

#[test]
fn a_failed_transaction_changes_nothing() {
    let store = ten();
    let failed: Result<(), StoreError> = store.commit(|tx| {
        tx.vm_delete(vm_id(1))?;
        tx.vm_create(&vm(11))?;
        tx.vm_create(&vm(2))
    });
    assert!(failed.is_err());
    assert_eq!(store.vm_get(vm_id(1)), Ok(Some(vm(1))));
    assert_eq!(store.vm_get(vm_id(11)), Ok(None));
    assert_eq!(store.verify(), Ok(()));
    assert_eq!(store.healthy(), Ok(()), "a refusal is no broken file");
}

#[test]
fn every_filter_by_itself_and_together() {
    let store = ten();
    let list = |filter: VmFilter| store.vm_list(&filter, 100, None).expect("a list");
    let (all, total) = list(VmFilter::default());
    assert_eq!((all.len(), total), (10, 10));

    let (of_project, _) = list(VmFilter { project_id: Some(project(1)), ..VmFilter::default() });
    assert_eq!(names(&of_project), ["web-1", "web-4", "web-7"]);
    let (of_node, _) = list(VmFilter { node_id: Some(node_id(1)), ..VmFilter::default() });
    assert_eq!(names(&of_node), ["web-1", "web-3", "web-5", "web-7", "web-9"]);
    let (running, _) = list(VmFilter { states: vec![PowerState::Running], ..VmFilter::default() });
    assert_eq!(names(&running), ["web-0", "web-2", "web-4", "web-6", "web-8"]);
    let either = vec![PowerState::Running, PowerState::Stopped];
    assert_eq!(list(VmFilter { states: either, ..VmFilter::default() }).1, 10);
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let (labeled, _) = list(VmFilter { labels: vec![label("tier", "front"), label("n", "4")], ..VmFilter::default() });
    assert_eq!(names(&labeled), ["web-4"]);
    let (absent, _) = list(VmFilter { labels: vec![label("color", "")], ..VmFilter::default() });
    assert!(absent.is_empty(), "a label that is not there is not an empty one");
    let (together, total) = list(VmFilter {
        project_id: Some(project(1)),
        node_id: Some(node_id(1)),
        states: vec![PowerState::Stopped],
        labels: vec![label("tier", "back")],
    });
    assert_eq!((names(&together), total), (vec!["web-1", "web-7"], 2));
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let store = ten();
    let filter = VmFilter { states: vec![PowerState::Running], ..VmFilter::default() };
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let (page, total) = store.vm_list(&filter, 2, cursor).expect("a page");
        assert_eq!(total, 5);
        let Some(last) = page.last() else { break };
        cursor = Some(last.id);
        seen.extend(page);
    }
    assert_eq!(names(&seen), ["web-0", "web-2", "web-4", "web-6", "web-8"]);
    assert_eq!(store.vm_list(&filter, 0, None), Ok((Vec::new(), 5)));
}

#[test]
fn indexes_follow_updates_and_deletes() {
    let store = ten();
    let mut moved = vm(4);
    moved.name = "db-4".to_owned();
    moved.project_id = project(2);
    moved.node_id = node_id(7);
    done(&store, |tx| tx.vm_update(&moved));
    assert_eq!(store.vm_get_by_name(project(1), "web-4"), Ok(None));
    assert_eq!(store.vm_get_by_name(project(2), "db-4"), Ok(Some(moved.clone())));
    assert_eq!(store.vm_list_by_node(node_id(7)), Ok(vec![moved]));
    assert_eq!(store.vm_list_by_node(node_id(0)).map(|vms| vms.len()), Ok(4));
    assert_eq!((store.vm_count_by_project(project(1)), store.vm_count_by_project(project(2))), (Ok(2), Ok(4)));

    let mut other = vm(30);
    other.project_id = project(1);
    other.name = "web-4".to_owned();
    done(&store, |tx| tx.vm_create(&other));
    assert_eq!(store.vm_get_by_name(project(1), "web-4"), Ok(Some(other)), "a name given up can be taken");

    done(&store, |tx| (0..10).chain([30]).try_for_each(|n| tx.vm_delete(vm_id(n))));
    assert_eq!(store.vm_all(), Ok(Vec::new()));
    assert_eq!(store.vm_list_by_node(node_id(7)), Ok(Vec::new()));
    assert_eq!(store.vm_count_by_project(project(2)), Ok(0));
    assert_eq!(store.verify(), Ok(()));
    done(&store, |tx| tx.vm_delete(vm_id(4)));
}

#[test]
fn a_status_changes_the_state_alone() {
    let store = ten();
    done(&store, |tx| tx.vm_update_status(vm_id(1), PowerState::Lost, Moment(JULY + 77)));
    let mut wanted = vm(1);
    wanted.state = PowerState::Lost;
    wanted.state_changed_at = Moment(JULY + 77);
    assert_eq!(store.vm_get(vm_id(1)), Ok(Some(wanted)));
    let missing = store.commit(|tx| tx.vm_update_status(vm_id(99), PowerState::Lost, Moment(0)));
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    let missing = store.commit(|tx| tx.vm_update(&vm(99)));
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
}

#[test]
fn foreign_vms_may_share_a_name_and_are_all_counted() {
    let store = memory();
    let foreign = |n: u32| VmRecord {
        name: "web".to_owned(),
        project_id: DEFAULT_PROJECT,
        origin: Origin::HostDiscovered,
        ..vm(n)
    };
    let ours = VmRecord { origin: Origin::ControlPlane, ..foreign(5) };
    done(&store, |tx| {
        tx.vm_create(&ours)?;
        tx.vm_create(&foreign(1))?;
        tx.vm_create(&foreign(2))
    });
    assert_eq!(store.vm_count_by_project(DEFAULT_PROJECT), Ok(3));
    assert_eq!(store.vm_get_by_name(DEFAULT_PROJECT, "web"), Ok(Some(ours.clone())), "ours comes first");
    assert_eq!(store.verify(), Ok(()));

    done(&store, |tx| tx.vm_update(&VmRecord { generation: 9, ..ours.clone() }));
    let adopted = store.commit(|tx| tx.vm_update(&VmRecord { origin: Origin::Imported, ..foreign(1) }));
    assert!(matches!(adopted, Err(StoreError::AlreadyExists { .. })), "{adopted:?}");

    done(&store, |tx| tx.vm_delete(ours.id));
    assert_eq!(store.vm_get_by_name(DEFAULT_PROJECT, "web"), Ok(Some(foreign(1))));
    let taken = store.commit(|tx| tx.vm_create(&ours));
    assert!(matches!(taken, Err(StoreError::AlreadyExists { .. })), "{taken:?}");
    done(&store, |tx| tx.vm_delete(vm_id(1)));
    done(&store, |tx| tx.vm_update(&VmRecord { name: "other".to_owned(), ..foreign(2) }));
    done(&store, |tx| tx.vm_create(&ours));
    assert_eq!(store.vm_count_by_project(DEFAULT_PROJECT), Ok(2));
    assert_eq!(store.verify(), Ok(()));
}

#[test]
fn a_name_that_begins_like_another_is_another() {
    let store = memory();
    let named = |n: u32, name: &str| VmRecord { name: name.to_owned(), project_id: DEFAULT_PROJECT, ..vm(n) };
    done(&store, |tx| {
        tx.vm_create(&named(1, "web"))?;
        tx.vm_create(&named(2, "web-1"))?;
        tx.vm_create(&named(3, "we"))
    });
    assert_eq!(store.vm_get_by_name(DEFAULT_PROJECT, "web").map(|vm| vm.map(|vm| vm.id)), Ok(Some(vm_id(1))));
    assert_eq!(store.vm_get_by_name(DEFAULT_PROJECT, ""), Ok(None));
    assert_eq!(store.vm_count_by_project(DEFAULT_PROJECT), Ok(3));
}

#[test]
fn a_planted_inconsistency_is_found() {
    // A row that no record has, in every table; a row that one has, taken away, from every table.
    for table in ROWS {
        let store = ten();
        done(&store, |tx| Ok(tx.tx.open_table(table)?.insert([1, 2, 3].as_slice(), [9].as_slice())?.is_some()));
        assert!(store.verify().is_err(), "a row planted in {} was not found", table.name());
    }
    for table in ROWS {
        let store = full();
        done(&store, |tx| Ok(tx.tx.open_table(table)?.pop_first()?.is_some()));
        // What was answered under a key is indexed nowhere, nor are tokens, sessions and what was audited.
        let wanted = !["idempotency", "tokens", "sessions", "audit"].contains(&table.name());
        assert_eq!(store.verify().is_err(), wanted, "a row taken from {}", table.name());
    }
    let store = ten();
    done(&store, |tx| {
        let mut vms = tx.tx.open_table(VMS)?;
        let bytes = vms.get(vm_id(1).as_bytes().as_slice())?.map(|value| value.value().to_vec()).unwrap_or_default();
        vms.insert(vm_id(2).as_bytes().as_slice(), bytes.as_slice())?;
        Ok(())
    });
    assert!(store.verify().is_err(), "a record under another's id was not found");
}

/// A store with a row in every table.
fn full() -> Store {
    let store = ten();
    done(&store, |tx| {
        tx.node_create(&node(1))?;
        tx.operation_put(&Operation { state: OperationState::Running, ..operation(1) })?;
        tx.event_append(&event(1))?;
        tx.idempotency_begin(&[7; 32], &[8; 32], operation_id(1))?;
        tx.user_put(&golden::users()[0])?;
        tx.token_put(&golden::token())?;
        tx.session_put(&golden::session())?;
        tx.audit_append(&[golden::audited("ok")])
    });
    assert_eq!(store.verify(), Ok(()));
    store
}
