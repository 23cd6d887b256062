use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::id::OperationId;
use super::*;

const PAUSES: [PausedReason; 8] = [
    PausedReason::User,
    PausedReason::IoError,
    PausedReason::NoSpace,
    PausedReason::Watchdog,
    PausedReason::Crashed,
    PausedReason::Migration,
    PausedReason::Guest,
    PausedReason::Other,
];

fn states() -> Vec<PowerState> {
    let mut all = vec![
        PowerState::Provisioning,
        PowerState::Running,
        PowerState::Stopped,
        PowerState::Suspended,
        PowerState::Crashed(Activity::Active),
        PowerState::Crashed(Activity::Inactive),
        PowerState::Migrating,
        PowerState::Lost,
        PowerState::Unknown,
    ];
    all.extend(PAUSES.map(PowerState::Paused));
    all
}

fn situation(state: PowerState, lifetime: Lifetime, origin: Origin, holder: Option<Verb>) -> Situation {
    Situation {
        state,
        lifetime,
        origin,
        protection: DeletionProtection::Off,
        pending: holder.map(|verb| Pending {
            verb,
            operation_id: OperationId(uuid::Uuid::from_u128(7)),
            since: Moment(0),
        }),
    }
}

fn word(decision: &Decision) -> String {
    match decision {
        Decision::Begin(plan) => format!("{plan:?}"),
        Decision::Now => "now".to_owned(),
        Decision::Denied(denial) => format!("- {}", denial.reason()),
    }
}

/// The verb × state matrix, as an administrator would read it.
fn matrix() -> String {
    let mut out = String::from("verb × state: what begins, or the reason why not\n");
    let kinds = [
        ("persistent, managed", Lifetime::Persistent, Origin::ControlPlane, None),
        ("persistent, found on the host", Lifetime::Persistent, Origin::HostDiscovered, None),
        ("transient, found on the host", Lifetime::Transient, Origin::HostDiscovered, None),
        ("managed, held by stop", Lifetime::Persistent, Origin::ControlPlane, Some(Verb::Stop)),
        ("managed, held by delete", Lifetime::Persistent, Origin::ControlPlane, Some(Verb::Delete)),
    ];
    let protected = kinds[..3].iter().map(|&(name, lifetime, origin, holder)| {
        (format!("{name}, protected"), lifetime, origin, holder, DeletionProtection::On)
    });
    let kinds = kinds
        .iter()
        .map(|&(name, lifetime, origin, holder)| (name.to_owned(), lifetime, origin, holder, DeletionProtection::Off));
    for (name, lifetime, origin, holder, protection) in kinds.chain(protected) {
        let _ = writeln!(out, "\n[{name}]");
        for state in states() {
            let _ = writeln!(out, "{state:?}");
            for verb in Verb::ACTIONS {
                let decision = decide(&Situation { protection, ..situation(state, lifetime, origin, holder) }, verb);
                let _ = writeln!(out, "    {:<13}{}", verb.word(), word(&decision));
            }
        }
    }
    out
}

#[test]
fn the_matrix_is_the_golden_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/lifecycle.txt");
    let now = matrix();
    if std::env::var_os("QKVM_BLESS").is_some() {
        std::fs::write(path, &now).expect("the golden folder is writable when blessing");
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(golden == now, "the lifecycle changed; review it, then run with QKVM_BLESS=1\n{now}");
}

fn any_state() -> impl Strategy<Value = PowerState> {
    proptest::sample::select(states())
}

fn any_verb() -> impl Strategy<Value = Verb> {
    proptest::sample::select(Verb::ACTIONS.to_vec())
}

fn any_situation() -> impl Strategy<Value = Situation> {
    let lifetime = prop_oneof![Just(Lifetime::Persistent), Just(Lifetime::Transient)];
    let origin = prop_oneof![Just(Origin::ControlPlane), Just(Origin::HostDiscovered), Just(Origin::Imported)];
    let protection = prop_oneof![Just(DeletionProtection::On), Just(DeletionProtection::Off)];
    (any_state(), lifetime, origin, proptest::option::of(any_verb()), protection).prop_map(
        |(state, lifetime, origin, holder, protection)| Situation {
            protection,
            ..situation(state, lifetime, origin, holder)
        },
    )
}

proptest! {
    /// What `allowed_actions` shows is what `decide` enforces, and a refusal names the VM.
    #[test]
    fn shown_is_enforced(situation in any_situation()) {
        for action in allowed_actions(&situation, "web-1") {
            match decide(&situation, action.verb) {
                Decision::Denied(_) => prop_assert!(action.why_not.expect("denied").contains("\"web-1\"")),
                Decision::Begin(_) | Decision::Now => prop_assert_eq!(action.why_not, None),
            }
        }
    }

    /// Protection stands in the way of deletion alone, and of all of it.
    #[test]
    fn a_protected_vm_is_not_deleted_and_else_as_any(situation in any_situation(), verb in any_verb()) {
        let on = decide(&Situation { protection: DeletionProtection::On, ..situation.clone() }, verb);
        let off = decide(&Situation { protection: DeletionProtection::Off, ..situation.clone() }, verb);
        if !matches!(verb, Verb::Delete | Verb::ForceDelete) {
            prop_assert_eq!(on, off);
        } else if situation.pending.is_none() {
            prop_assert_eq!(on, Decision::Denied(Denial::Protected));
        } else {
            prop_assert!(matches!(on, Decision::Denied(_)));
        }
    }

    /// A held VM yields to nothing but a forced stop, and to that only where nothing is deleted; it is
    /// looked at all the same.
    #[test]
    fn a_held_vm_yields_only_to_force(mut situation in any_situation(), verb in any_verb(), holder in any_verb()) {
        situation.pending = Some(Pending { verb: holder, operation_id: OperationId::now(), since: Moment(0) });
        let denied_busy = matches!(decide(&situation, verb), Decision::Denied(Denial::Busy(_)));
        let looks = [Verb::Console, Verb::Screenshot, Verb::SendKeys];
        let may = looks.contains(&verb)
            || verb == Verb::ForceStop
                && !looks.contains(&holder)
                && !matches!(holder, Verb::Delete | Verb::ForceDelete | Verb::ForceStop);
        prop_assert_eq!(denied_busy, !may);
    }

    /// A plan that begins is not settled yet by the state in which it began (else the verb was
    /// already so), apart from those that a look cannot tell: nothing to save, nothing to clear.
    #[test]
    fn what_begins_is_not_settled_yet(state in any_state(), verb in any_verb()) {
        if let Decision::Begin(plan) = decide(&situation(state, Lifetime::Persistent, Origin::ControlPlane, None), verb)
            && !matches!(plan, Plan::ClearCrash | Plan::Forget)
            && !matches!(state, PowerState::Crashed(_))
        {
            prop_assert_eq!(observe(plan, Seen::State(state)), Progress::Waiting);
        }
    }
}
