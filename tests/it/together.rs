//! Verbs that meet on one VM: whatever the order in which they were answered, there is one order
//! in which the lifecycle would have answered the same (R19).

use quantixkvm::model::lifecycle::{Decision, Plan, Situation, decide};
use quantixkvm::model::operation::Verb;
use quantixkvm::model::vm::{DeletionProtection, Lifetime, Origin, PausedReason, PowerState};
use serde_json::json;

use crate::support::{Answer, Server, small_spec, state_of};
use crate::vm_verbs::call_of;

const HISTORIES: usize = 960;
/// Histories that run at the same time, each on a VM of its own.
const LANES: usize = 8;
const VERBS: [Verb; 8] =
    [Verb::Start, Verb::Stop, Verb::ForceStop, Verb::Reboot, Verb::Reset, Verb::Pause, Verb::Resume, Verb::Suspend];

/// The next number of a sequence that is the same in every run.
fn next(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 33) as usize
}

fn state(word: &str) -> PowerState {
    match word {
        "RUNNING" => PowerState::Running,
        "STOPPED" => PowerState::Stopped,
        "PAUSED" => PowerState::Paused(PausedReason::User),
        "SUSPENDED" => PowerState::Suspended,
        other => panic!("no verb leads to {other}"),
    }
}

/// What the plan makes of the VM.
fn after(plan: Plan, from: PowerState) -> PowerState {
    match plan {
        Plan::Boot | Plan::Restore | Plan::ClearThenBoot | Plan::Resume | Plan::Wake => PowerState::Running,
        Plan::ShutDown | Plan::ResumeThenShutDown | Plan::PowerOff | Plan::DropSaved | Plan::ClearCrash => {
            PowerState::Stopped
        }
        Plan::Pause => PowerState::Paused(PausedReason::User),
        Plan::Save => PowerState::Suspended,
        Plan::Reboot | Plan::Reset | Plan::Redefine | Plan::ChangeMedia => from,
        Plan::Undefine | Plan::PowerOffThenUndefine | Plan::Forget => panic!("nothing was deleted"),
    }
}

/// Whether one order of these verbs gives these answers and this end.
fn linear(from: PowerState, left: &[(Verb, Answer)], end: PowerState) -> bool {
    if left.is_empty() {
        return from == end;
    }
    (0..left.len()).any(|index| {
        let (verb, answer) = &left[index];
        let mut rest = left.to_vec();
        rest.remove(index);
        let situation = Situation {
            state: from,
            lifetime: Lifetime::Persistent,
            origin: Origin::ControlPlane,
            protection: DeletionProtection::Off,
            pending: None,
        };
        match (decide(&situation, *verb), answer.code()) {
            // It was turned away because another held the VM: no effect.
            (_, "aborted") => linear(from, &rest, end),
            // A forced stop took the VM from it: its effect may have come, or not.
            (Decision::Begin(plan), "canceled") => linear(from, &rest, end) || linear(after(plan, from), &rest, end),
            (Decision::Begin(plan), "") => linear(after(plan, from), &rest, end),
            (Decision::Denied(denial), "failed_precondition") => {
                answer.message() == denial.sentence("subject", from, *verb) && linear(from, &rest, end)
            }
            (Decision::Begin(_) | Decision::Now | Decision::Denied(_), _) => false,
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_verbs_on_one_vm_have_an_order() {
    let server = Server::demo().await;
    let server = &server;
    let begun = std::time::Instant::now();
    let lanes = futures::future::join_all((0..LANES).map(|lane| async move {
        let mut seed = 0x9e37_79b9_7f4a_7c15 ^ (lane as u64 + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        // One name in every project, so that the sentences are the model's.
        let project = format!("99999999-0000-0000-0000-{lane:012}");
        let vm = server.ok("CreateVM", json!({ "name": "subject", "projectId": project, "spec": small_spec() })).await;
        let id = vm["id"].as_str().expect("an id").to_owned();
        let mut seen = (0, 0, 0);
        for history in 0..HISTORIES / LANES {
            // Off, a VM refuses nearly everything: half of the histories begin with one that is on.
            if next(&mut seed).is_multiple_of(2) {
                let (method, body) = call_of("start", &id);
                server.call(method, body).await;
            }
            let first = state_of(&server.vm(&id).await);
            let verbs: Vec<Verb> = (0..3 + next(&mut seed) % 2).map(|_| VERBS[next(&mut seed) % VERBS.len()]).collect();
            let answers = futures::future::join_all(verbs.iter().map(|verb| {
                let (method, body) = call_of(verb.word(), &id);
                server.call(method, body)
            }))
            .await;
            let last = state_of(&server.vm(&id).await);
            for answer in &answers {
                match answer.code() {
                    "" => seen.0 += 1,
                    "aborted" => seen.1 += 1,
                    _ => seen.2 += 1,
                }
            }
            let told: Vec<(Verb, Answer)> = verbs.into_iter().zip(answers).collect();
            assert!(
                linear(state(&first), &told, state(&last)),
                "lane {lane}, history {history}: from {first} to {last} there is no order of {:#?}",
                told.iter()
                    .map(|(verb, answer)| (verb.word(), answer.code(), answer.message(), state_of(&answer.body)))
                    .collect::<Vec<_>>()
            );
        }
        seen
    }))
    .await;
    let sum = lanes.into_iter().fold((0, 0, 0), |sum, lane| (sum.0 + lane.0, sum.1 + lane.1, sum.2 + lane.2));
    println!(
        "R19: {HISTORIES} histories in {:?}: {} verbs done, {} aborted, {} denied or pre-empted; each has an order",
        begun.elapsed(),
        sum.0,
        sum.1,
        sum.2
    );
    assert!(sum.0 > HISTORIES / 2 && sum.1 > HISTORIES / 2, "the verbs hardly met");
}
