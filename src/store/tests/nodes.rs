//! Every operation of the nodes' repository, and each index after each change.

use super::*;

fn four() -> Store {
    let store = memory();
    done(&store, |tx| (0..4).try_for_each(|n| tx.node_create(&node(n))));
    store
}

fn hostnames(nodes: Result<Vec<NodeRecord>, StoreError>) -> Vec<String> {
    nodes.expect("a list").into_iter().map(|node| node.hostname).collect()
}

#[test]
fn what_was_created_is_read_back_whole() {
    let store = four();
    for n in 0..4 {
        assert_eq!(store.node_get(node_id(n)), Ok(Some(node(n))));
        assert_eq!(store.node_get_by_hostname(&format!("host-{n}")), Ok(Some(node(n))));
    }
    assert_eq!(store.node_get(node_id(9)), Ok(None));
    assert_eq!(store.node_get_by_hostname("host-"), Ok(None));
    assert_eq!(store.verify(), Ok(()));
}

#[test]
fn an_id_and_a_hostname_are_taken_once() {
    let store = four();
    let again = store.commit(|tx| tx.node_create(&node(1)));
    assert!(matches!(again, Err(StoreError::AlreadyExists { .. })), "{again:?}");
    let mut twin = node(8);
    twin.hostname = "host-1".to_owned();
    let refused = store.commit(|tx| tx.node_create(&twin)).expect_err("the hostname is taken").to_string();
    assert!(refused.contains("host-1") && refused.contains(&node_id(1).to_string()), "{refused}");
    let renamed = store.commit(|tx| tx.node_update(&NodeRecord { hostname: "host-2".to_owned(), ..node(1) }));
    assert!(matches!(renamed, Err(StoreError::AlreadyExists { .. })), "{renamed:?}");
    let missing = store.commit(|tx| tx.node_update(&node(9)));
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    assert_eq!(store.verify(), Ok(()));
}

#[test]
fn lists_by_phase_label_cluster_and_room_for_vms() {
    let store = four();
    done(&store, |tx| {
        tx.node_update_status(node_id(0), NodePhase::Maintenance, "a new fan")?;
        tx.node_update(&NodeRecord { labels: labels(&[("rack", "r2")]), ..node(1) })?;
        let mut cordoned = node(2);
        cordoned.scheduling.schedulable = false;
        tx.node_update(&cordoned)?;
        let mut storage = node(3);
        storage.role.compute = false;
        tx.node_update(&storage)
    });
    let by_phase = |phases: &[NodePhase]| {
        hostnames(store.node_list(&NodeFilter { phases: phases.to_vec(), ..NodeFilter::default() }))
    };
    assert_eq!(by_phase(&[]), ["host-0", "host-1", "host-2", "host-3"]);
    assert_eq!(by_phase(&[NodePhase::Maintenance]), ["host-0"]);
    assert_eq!(by_phase(&[NodePhase::Ready]), ["host-1", "host-2", "host-3"]);
    assert_eq!(by_phase(&[NodePhase::Offline]), [""; 0]);
    let racked = NodeFilter { labels: labels(&[("rack", "r1")]), phases: vec![NodePhase::Ready] };
    assert_eq!(hostnames(store.node_list(&racked)), ["host-2", "host-3"]);
    assert_eq!(hostnames(store.node_list_schedulable()), ["host-1"]);
    assert_eq!(hostnames(store.node_list_by_cluster("east")), ["host-1", "host-3"]);
    assert_eq!(hostnames(store.node_list_by_cluster("")), ["host-0", "host-2"]);
    assert_eq!(hostnames(store.node_list_by_cluster("eas")), [""; 0]);
    let reason = store.node_get(node_id(0)).expect("a row").map(|node| node.phase_reason);
    assert_eq!(reason.as_deref(), Some("a new fan"));
}

#[test]
fn indexes_follow_updates_and_deletes() {
    let store = four();
    let moved = NodeRecord { hostname: "west-1".to_owned(), cluster_id: "west".to_owned(), ..node(1) };
    done(&store, |tx| tx.node_update(&moved));
    assert_eq!(store.node_get_by_hostname("host-1"), Ok(None));
    assert_eq!(store.node_get_by_hostname("west-1"), Ok(Some(moved.clone())));
    assert_eq!(store.node_list_by_cluster("west"), Ok(vec![moved]));
    assert_eq!(hostnames(store.node_list_by_cluster("east")), ["host-3"]);
    assert_eq!(store.verify(), Ok(()));
    done(&store, |tx| (0..5).try_for_each(|n| tx.node_delete(node_id(n))));
    assert_eq!(store.node_list(&NodeFilter::default()), Ok(Vec::new()));
    assert_eq!(store.node_list_by_cluster("west"), Ok(Vec::new()));
    assert_eq!(store.node_get_by_hostname("west-1"), Ok(None));
    assert_eq!(store.verify(), Ok(()));
}

#[test]
fn a_heartbeat_changes_load_and_its_moment_alone() {
    let store = four();
    let load = NodeLoad { load_1m: 0.5, running_vms: 12, ..NodeLoad::default() };
    done(&store, |tx| tx.node_update_heartbeat(node_id(1), load, Moment(JULY + 9)));
    let wanted = NodeRecord { load, last_heartbeat: Moment(JULY + 9), ..node(1) };
    assert_eq!(store.node_get(node_id(1)), Ok(Some(wanted)));
    let missing = store.commit(|tx| tx.node_update_heartbeat(node_id(9), load, Moment(0)));
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    let missing = store.commit(|tx| tx.node_update_status(node_id(9), NodePhase::Ready, ""));
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
}

#[test]
fn every_phase_and_effect_is_read_back_as_itself() {
    let store = memory();
    let phases = [
        NodePhase::Unknown,
        NodePhase::Pending,
        NodePhase::Ready,
        NodePhase::NotReady,
        NodePhase::Maintenance,
        NodePhase::Draining,
        NodePhase::Offline,
    ];
    let effects = [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::NoExecute];
    for (n, phase) in (0..).zip(phases) {
        let mut node = node(n);
        node.phase = phase;
        node.scheduling.taints =
            effects.iter().map(|&effect| Taint { key: "k".to_owned(), value: String::new(), effect }).collect();
        done(&store, |tx| tx.node_create(&node));
        assert_eq!(store.node_get(node.id), Ok(Some(node)));
    }
}

#[test]
fn a_node_whose_facts_cannot_be_read_is_still_a_node() {
    let store = four();
    let odd = NodeRecord { load: NodeLoad { load_1m: f64::NAN, ..NodeLoad::default() }, ..node(1) };
    done(&store, |tx| tx.node_update(&odd));
    let read = store.node_get(node_id(1)).expect("a row").expect("the node");
    assert_eq!(read.load, NodeLoad::default(), "no number is no load");
    assert_eq!(read.facts, odd.facts);
}
