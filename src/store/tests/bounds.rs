//! What is kept for a time or up to a number, what orders it, and what is too big to keep.

use super::*;
use crate::store::tables::{EVENTS, EVENTS_BY_RESOURCE, IDEMPOTENCY, OPERATIONS, OPERATIONS_BY_RESOURCE};
use redb::{ReadableTable as _, ReadableTableMetadata as _};

const HOUR_US: i64 = 3600 * 1_000_000;

fn rows(store: &Store, table: tables::Rows) -> u64 {
    store.read().expect("a reader").open_table(table).expect("a table").len().expect("a length")
}

/// Put a key as if it had begun at this moment.
fn begun_at(store: &Store, key: u8, at: Moment) {
    done(store, |tx| tx.idempotency_begun_at(&[key; 32], at));
}

#[test]
fn an_answer_is_kept_under_its_key() {
    let (_directory, path) = place();
    let store = Store::open(&path).expect("a new file");
    assert_eq!(store.idempotency_get(&[1; 32]), Ok(None));
    done(&store, |tx| tx.idempotency_begin(&[1; 32], &[2; 32], operation_id(3)));
    let begun = Kept { body: [2; 32], operation: operation_id(3), answer: None };
    assert_eq!(store.idempotency_get(&[1; 32]), Ok(Some(begun.clone())));
    done(&store, |tx| tx.idempotency_answer(&[1; 32], "not_found", b"gone".to_vec()));
    drop(store);
    let store = Store::open(&path).expect("the same file");
    let answered = Kept { answer: Some(("not_found".to_owned(), b"gone".to_vec())), ..begun };
    assert_eq!(store.idempotency_get(&[1; 32]), Ok(Some(answered)));
    done(&store, |tx| tx.idempotency_answer(&[9; 32], "", Vec::new()));
    assert_eq!(store.idempotency_get(&[9; 32]), Ok(None), "an answer to what was never begun is not kept");
}

#[test]
fn answers_are_kept_a_day_and_swept_after() {
    let store = memory();
    let now = Moment::now();
    begun_at(&store, 1, Moment(now.0 - 25 * HOUR_US));
    begun_at(&store, 2, Moment(now.0 - 23 * HOUR_US));
    begun_at(&store, 3, now);
    // The clock has jumped back since: kept until it has caught up.
    begun_at(&store, 4, Moment(now.0 + 48 * HOUR_US));
    assert_eq!(store.idempotency_get(&[1; 32]), Ok(None), "a day is over before the sweep, too");
    done(&store, |tx| tx.idempotency_sweep());
    assert_eq!(rows(&store, IDEMPOTENCY), 3);
    for key in 2..=4 {
        assert!(store.idempotency_get(&[key; 32]).expect("a row").is_some(), "key {key}");
    }
    done(&store, |tx| tx.idempotency_begin(&[2; 32], &[9; 32], operation_id(1)));
    assert_eq!(store.idempotency_get(&[2; 32]).expect("a row").map(|kept| kept.body), Some([9; 32]));
}

#[test]
fn events_are_ordered_by_sequence_when_the_clock_jumps_back() {
    let (_directory, path) = place();
    let store = Store::open(&path).expect("a new file");
    let at = |n: u32, at: i64| Event { at: Moment(at), ..event(n) };
    done(&store, |tx| {
        tx.event_append(&at(1, JULY))?;
        tx.event_append(&at(2, JULY - HOUR_US))
    });
    drop(store);
    let store = Store::open(&path).expect("the same file");
    let third = done(&store, |tx| tx.event_append(&at(4, JULY - 2 * HOUR_US)));
    assert_eq!(third, 3, "the sequence goes on after a restart");
    let all = store.event_list(&EventFilter { limit: 10, ..EventFilter::default() }).expect("a list");
    assert_eq!(all.iter().map(|event| event.sequence).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(all.last().map(|event| event.event.clone()), Some(at(1, JULY)));
}

#[test]
fn events_are_found_by_every_filter() {
    let store = memory();
    done(&store, |tx| (1..=60).try_for_each(|n| tx.event_append(&event(n)).map(drop)));
    let sequences = |filter: &EventFilter| -> Vec<u64> {
        store.event_list(filter).expect("a list").iter().map(|event| event.sequence).collect()
    };
    let wanted =
        |keep: &dyn Fn(u32) -> bool| -> Vec<u64> { (1..=60).rev().filter(|n| keep(*n)).map(u64::from).collect() };
    let filter = EventFilter { limit: 100, ..EventFilter::default() };
    assert_eq!(sequences(&filter), wanted(&|_| true));
    assert_eq!(sequences(&EventFilter { subject: Some(Subject::Node), ..filter.clone() }), wanted(&|n| n % 3 == 0));
    let of_one = EventFilter { subject: Some(Subject::Vm), resource_id: Some(vm_id(2).to_string()), ..filter.clone() };
    assert_eq!(sequences(&of_one), wanted(&|n| n % 3 != 0 && n % 5 == 2));
    let resource = EventFilter { resource_id: Some(vm_id(2).to_string()), ..filter.clone() };
    assert_eq!(sequences(&resource), wanted(&|n| n % 5 == 2));
    let kinds = EventFilter { kinds: vec!["vm.started".to_owned(), "x".to_owned()], ..filter.clone() };
    assert_eq!(sequences(&kinds), wanted(&|n| n % 2 == 0));
    let severe = EventFilter { severity: Some(Severity::Warning), ..filter.clone() };
    assert_eq!(sequences(&severe), wanted(&|n| n % 4 == 0));
    let since = EventFilter { since: Some(Moment(JULY + 50)), ..filter.clone() };
    assert_eq!(sequences(&since), wanted(&|n| n >= 50));
    assert_eq!(sequences(&EventFilter { limit: 3, ..filter.clone() }), [60, 59, 58]);
    assert_eq!(sequences(&EventFilter { limit: 2, ..of_one.clone() }).len(), 2);
    assert_eq!(sequences(&EventFilter { limit: 0, ..filter }), [0; 0]);
    assert_eq!(sequences(&EventFilter { limit: 0, ..of_one }), [0; 0]);
    assert_eq!(store.verify(), Ok(()));
}

#[test]
fn the_oldest_events_go_and_their_index_rows_with_them() {
    let store = memory();
    let small = Event { message: String::new(), metadata: BTreeMap::new(), ..event(1) };
    done(&store, |tx| (0..super::event::KEPT + 7).try_for_each(|_| tx.event_append(&small).map(drop)));
    assert_eq!(rows(&store, EVENTS), super::event::KEPT);
    assert_eq!(rows(&store, EVENTS_BY_RESOURCE), super::event::KEPT);
    let tx = store.read().expect("a reader");
    let oldest = tx.open_table(EVENTS).expect("the table").first().expect("a row").map(|(at, _)| at.value().to_vec());
    assert_eq!(oldest, Some(8_u64.to_be_bytes().to_vec()));
    assert_eq!(store.verify(), Ok(()));
}

#[test]
fn the_oldest_ended_operations_go_and_unfinished_ones_stay() {
    let store = memory();
    let kept = u32::try_from(super::operation::KEPT).expect("a small bound");
    done(&store, |tx| {
        (0..kept + 5).try_for_each(|n| {
            let state = if n < 2 { OperationState::Running } else { OperationState::Succeeded };
            tx.operation_put(&Operation { state, intent: Intent::Plain, ..operation(n) })
        })
    });
    assert_eq!(rows(&store, OPERATIONS), u64::from(kept));
    assert_eq!(rows(&store, OPERATIONS_BY_RESOURCE), u64::from(kept));
    assert_eq!(store.operations_unfinished().map(|found| found.len()), Ok(2));
    for (n, there) in [(0, true), (1, true), (2, false), (6, false), (7, true), (kept + 4, true)] {
        assert_eq!(store.operation_get(operation_id(n)).expect("a row").is_some(), there, "operation {n}");
    }
    assert_eq!(store.verify(), Ok(()));
}

#[test]
fn operations_are_listed_newest_first_by_resource_and_state() {
    let store = memory();
    done(&store, |tx| {
        (0..20).try_for_each(|n| {
            let state = if n % 4 == 0 { OperationState::Failed } else { OperationState::Running };
            tx.operation_put(&Operation { state, ..operation(n) })
        })
    });
    let ids = |filter: &OperationFilter, limit, cursor| -> (Vec<OperationId>, usize) {
        let (page, total) = store.operation_list(filter, limit, cursor).expect("a list");
        (page.into_iter().map(|operation| operation.id).collect(), total)
    };
    assert_eq!(ids(&OperationFilter::default(), 2, None), (vec![operation_id(19), operation_id(18)], 20));
    let of_vm = OperationFilter { resource_id: Some(vm_id(4).to_string()), ..OperationFilter::default() };
    assert_eq!(ids(&of_vm, 9, None), (vec![operation_id(14), operation_id(4)], 2));
    assert_eq!(ids(&of_vm, 9, Some(operation_id(14))), (vec![operation_id(4)], 2));
    let failed = OperationFilter { states: vec![OperationState::Failed], ..OperationFilter::default() };
    assert_eq!(ids(&failed, 1, Some(operation_id(16))), (vec![operation_id(12)], 5));
    assert_eq!(
        store.operation_get(operation_id(3)),
        Ok(Some(Operation { state: OperationState::Running, ..operation(3) }))
    );

    let unfinished = store.operations_unfinished().expect("a list");
    assert_eq!(unfinished.len(), 15);
    done(&store, |tx| {
        unfinished.iter().try_for_each(|operation| {
            tx.operation_put(&Operation {
                state: OperationState::Cancelled,
                resource_id: "n".to_owned(),
                ..operation.clone()
            })
        })
    });
    assert_eq!(store.operations_unfinished(), Ok(Vec::new()));
    assert_eq!(store.verify(), Ok(()));
}

#[test]
fn what_is_too_big_is_refused_and_leaves_the_file_as_it_was() {
    let store = memory();
    done(&store, |tx| tx.vm_create(&vm(1)));
    let big = |bytes: usize| VmRecord { definition: DefinitionText("x".repeat(bytes)), ..vm(1) };
    for bytes in [(16 << 20) - 4096, 1 << 20] {
        done(&store, |tx| tx.vm_update(&big(bytes)));
        assert_eq!(store.vm_get(vm_id(1)), Ok(Some(big(bytes))));
    }
    let last = big(1 << 20);
    for bytes in [16 << 20, (16 << 20) + 1, 40 << 20] {
        let refused = store.commit(|tx| tx.vm_update(&big(bytes)));
        assert!(matches!(refused, Err(StoreError::BadRow { table: "vms", .. })), "{bytes} bytes");
        assert_eq!(store.vm_get(vm_id(1)), Ok(Some(last.clone())));
    }
    let many =
        VmRecord { owned_volumes: vec![VolumeRef { pool: String::new(), volume: String::new() }; 2 << 20], ..vm(1) };
    // Small in the file, big in memory: kept where it can be read back, else refused.
    match store.commit(|tx| tx.vm_update(&many)) {
        Ok(()) => assert_eq!(store.vm_get(vm_id(1)), Ok(Some(many))),
        Err(error) => assert!(matches!(error, StoreError::BadRow { .. }), "{error}"),
    }
    let extremes = VmRecord {
        created_at: Moment(i64::MIN),
        updated_at: Moment(i64::MAX),
        generation: u64::MAX,
        start_order: Some(u32::MAX),
        name: String::new(),
        disk_sizes: BTreeMap::from([("vda".to_owned(), u64::MAX)]),
        ..vm(2)
    };
    done(&store, |tx| tx.vm_create(&extremes));
    assert_eq!(store.vm_get(vm_id(2)), Ok(Some(extremes)));
    let answer = store.commit(|tx| {
        tx.idempotency_begin(&[1; 32], &[2; 32], operation_id(1))?;
        tx.idempotency_answer(&[1; 32], "", vec![0; 17 << 20])
    });
    assert!(matches!(answer, Err(StoreError::BadRow { table: "idempotency", .. })));
    assert_eq!(store.verify(), Ok(()));
    assert_eq!(store.healthy(), Ok(()));
}
