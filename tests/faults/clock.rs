//! R14: the wall clock has gone back between two processes. What happened is told in the order in
//! which it happened.

use quantixkvm::model::id::OperationId;
use quantixkvm::model::operation::{Cancel, Intent, Operation, OperationState, Verb};
use quantixkvm::model::vm::Moment;
use quantixkvm::service::requests::ListOperations;
use quantixkvm::store::{EventFilter, StoreError};
use uuid::Uuid;

use super::world::{World, caller, wanted};

const YEAR_MS: u128 = 365 * 86_400_000;

/// One that a process ended whose clock was a year ahead.
fn of_next_year() -> Operation {
    let year_us = i64::try_from(YEAR_MS).expect("it fits") * 1000;
    Operation {
        id: OperationId(Uuid::from_u128(Uuid::now_v7().as_u128() + (YEAR_MS << 80))),
        verb: Verb::Start,
        resource_id: Uuid::nil().to_string(),
        state: OperationState::Succeeded,
        progress_percent: 100,
        step: String::new(),
        created_at: Moment(Moment::now().0 + year_us),
        deadline: None,
        finished_at: Some(Moment(Moment::now().0 + year_us)),
        error_code: String::new(),
        error_message: String::new(),
        cancel: Cancel::Impossible,
        user: "test".to_owned(),
        request_id: String::new(),
        intent: Intent::Plain,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_and_events_are_in_order_although_the_clock_went_back() {
    let world = World::new().await;
    let ahead = of_next_year();
    let put: Result<(), StoreError> = world.store.commit(|tx| tx.operation_put(&ahead));
    put.expect("the store takes it");
    let process = world.start().await;
    let mut ids = Vec::new();
    for name in ["first", "second", "third"] {
        ids.push(process.vms.create(&caller(), wanted(name)).await.expect("it is made").record.id.to_string());
    }
    process.settled().await;
    let all = ListOperations { resource_id: None, states: Vec::new(), page_size: 0, page_token: String::new() };
    let listed = process.operations.list(&all).expect("a list");
    let order: Vec<String> = listed.items.iter().map(|operation| operation.resource_id.clone()).collect();
    let newest_first: Vec<String> = ids.iter().rev().cloned().chain([ahead.resource_id.clone()]).collect();
    assert_eq!(order, newest_first, "by sequence, not by the clock");
    assert!(listed.items[0].created_at < ahead.created_at, "the clock did go back");
    process.core.keep_now().expect("the store takes it");
    let events = world.store.event_list(&EventFilter { limit: 100, ..EventFilter::default() }).expect("a list");
    let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert!(sequences.is_sorted_by(|left, right| left > right), "{sequences:?}");
    println!("R14: {} operations and {} events in order after a year back", order.len(), sequences.len());
}
