//! The formats as they lie in files that are out there: state files that must be read for ever, and
//! the bytes of each stored record. Those of the newest format are rewritten on purpose alone, with
//! QKVM_BLESS=1; a format that was released is never blessed again: it gets a successor and a
//! migration.

use std::path::Path;

use super::*;
use crate::model::access::{Quota, Role};
use crate::model::id::{SessionId, UserId};
use crate::model::operation::DeleteIntent;
use crate::model::user::{AuditEntry, SessionRecord, TokenRecord, UserRecord};
use crate::model::vm::{Activity, PausedReason};
use crate::store::codec::{Record, decode, encode};
use crate::store::stored::{EventV1, IdempotencyV1, OperationV1, OperationV2, VmV1, VmV2, operation_of, vm_of};
use crate::store::stored_access::{AuditV1, SessionV1, TokenV1, UserV1};
use crate::store::stored_node::NodeV1;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store").join(name)
}

fn blessing() -> bool {
    std::env::var_os("QKVM_BLESS").is_some()
}

const STATES: [PowerState; 8] = [
    PowerState::Provisioning,
    PowerState::Suspended,
    PowerState::Crashed(Activity::Active),
    PowerState::Crashed(Activity::Inactive),
    PowerState::Paused(PausedReason::NoSpace),
    PowerState::Migrating,
    PowerState::Lost,
    PowerState::Unknown,
];

/// The VMs of the golden file.
fn vms() -> Vec<VmRecord> {
    let mut vms: Vec<VmRecord> = (0..8).map(vm).collect();
    for (vm, state) in vms.iter_mut().zip(STATES) {
        vm.state = state;
    }
    vms[5].origin = Origin::HostDiscovered;
    vms[6].origin = Origin::Imported;
    vms[7].labels.clear();
    "its disk is full".clone_into(&mut vms[4].error_message);
    "undefined outside".clone_into(&mut vms[6].lost_reason);
    vms
}

/// Those of format 3, which knows protection.
fn vms_3() -> Vec<VmRecord> {
    let protected = |vm: VmRecord| VmRecord {
        deletion_protection: DeletionProtection::from_flag(vm.generation.is_multiple_of(2)),
        ..vm
    };
    vms().into_iter().map(protected).collect()
}

/// Those of format 3: a protected VM in an intent.
fn operations_3() -> Vec<Operation> {
    let mut operations = operations();
    let vm = VmRecord { deletion_protection: DeletionProtection::On, ..vm(3) };
    operations[2].intent = Intent::Update { vm: Box::new(vm) };
    operations
}

/// The operations of the golden file: one of each intent.
fn operations() -> Vec<Operation> {
    let plain = Operation { verb: Verb::Drain, intent: Intent::Plain, ..operation(1) };
    let redefine = Operation { verb: Verb::Redefine, intent: Intent::Redefine, ..operation(2) };
    let update = Operation { verb: Verb::Update, intent: Intent::Update { vm: Box::new(vm(3)) }, ..operation(3) };
    let delete = Operation {
        verb: Verb::ForceDelete,
        state: OperationState::Running,
        deadline: None,
        cancel: Cancel::Possible,
        intent: Intent::Delete(DeleteIntent {
            vm: vm_id(4),
            volumes: vec![VolumeRef { pool: "default".to_owned(), volume: "web-4.qcow2".to_owned() }],
            kept: vec![("data.raw".to_owned(), "another VM uses it".to_owned())],
            inventory_only: false,
        }),
        ..operation(4)
    };
    let failed = Operation {
        state: OperationState::Failed,
        error_code: "internal".to_owned(),
        error_message: "no room".to_owned(),
        finished_at: Some(Moment(JULY + 9)),
        ..operation(5)
    };
    vec![plain, redefine, update, delete, failed]
}

/// The users of the golden file.
pub(super) fn users() -> Vec<UserRecord> {
    let user = |n: u128, name: &str, role| UserRecord {
        id: UserId(uuid::Uuid::from_u128(n)),
        name: name.to_owned(),
        role,
        enabled: n != 2,
        password_hash: "$argon2id$".to_owned(),
        created_at: Moment(JULY),
        password_changed_at: Moment(JULY + 1),
        last_login_at: (n == 1).then_some(Moment(JULY + 2)),
        quota: Quota { vms: 1, vcpus: 2, memory_mib: 3, disk_gib: 4 },
    };
    vec![user(1, "Root", Role::Admin), user(2, "bob", Role::Operator), user(3, "eve", Role::Viewer)]
}

pub(super) fn token() -> TokenRecord {
    TokenRecord {
        id: "abcdefghjk".to_owned(),
        user_id: users()[0].id,
        name: "ci".to_owned(),
        role: Role::Operator,
        secret_hash: [1; 32],
        created_at: Moment(JULY),
        expires_at: Moment(JULY + 3),
        last_used_at: None,
    }
}

pub(super) fn session() -> SessionRecord {
    SessionRecord {
        id: SessionId(uuid::Uuid::from_u128(9)),
        user_id: users()[0].id,
        secret_hash: [2; 32],
        created_at: Moment(JULY),
        last_used_at: Moment(JULY + 4),
        address: "192.0.2.7".to_owned(),
        user_agent: "a browser".to_owned(),
    }
}

pub(super) fn audited(code: &str) -> AuditEntry {
    AuditEntry {
        at: Moment(JULY),
        user: "Root".to_owned(),
        via: "session".to_owned(),
        address: "192.0.2.7".to_owned(),
        method: "Quantixkvm.compute.v1.VMService/StartVM".to_owned(),
        resource: vm_id(1).to_string(),
        code: code.to_owned(),
        message: String::new(),
        request_id: "r-1".to_owned(),
    }
}

fn write(path: &Path) {
    let store = Store::open(path).expect("a new file");
    done(&store, |tx| {
        vms_3().iter().try_for_each(|vm| tx.vm_put(vm))?;
        (0..3).try_for_each(|n| tx.node_create(&node(n)))?;
        operations_3().iter().try_for_each(|operation| tx.operation_put(operation))?;
        (1..=6).try_for_each(|n| tx.event_append(&event(n)).map(drop))?;
        let answer = Some((String::new(), b"answer".to_vec()));
        let row = IdempotencyV1 { body: [8; 32], created_at_us: JULY, operation: [4; 16], answer };
        tx.tx.open_table(tables::IDEMPOTENCY)?.insert([7; 32].as_slice(), encode(&row)?.as_slice())?;
        tx.setting_put("node_id", node_id(0).as_bytes())?;
        users().iter().try_for_each(|user| tx.user_put(user))?;
        tx.token_put(&token())?;
        tx.session_put(&session())?;
        tx.audit_append(&[audited("ok"), audited("permission_denied")])
    });
    done(&store, |tx| tx.vm_delete(vm_id(99)));
}

#[test]
fn a_file_of_format_1_is_read_whole_and_led_to_today() {
    let (_directory, path) = read_whole("format-1.redb", &vms(), &operations());
    let store = Store::open(&path).expect("it opens again");
    assert_eq!((store.user_all(), store.session_all(), store.token_all()), (Ok(vec![]), Ok(vec![]), Ok(vec![])));
    assert_eq!(store.audit_after(&AuditFilter::default(), 0, 10), Ok(vec![]));
}

#[test]
fn a_file_of_format_2_is_read_whole_and_led_to_today() {
    let (_directory, path) = read_whole("format-2.redb", &vms(), &operations());
    who_gets_in_is_read(&path);
}

#[test]
fn a_file_of_format_3_is_read_whole() {
    let kept = golden("format-3.redb");
    if blessing() {
        let (_directory, path) = place();
        write(&path);
        std::fs::copy(&path, &kept).expect("the golden file is written");
    }
    let (_directory, path) = read_whole("format-3.redb", &vms_3(), &operations_3());
    who_gets_in_is_read(&path);
}

fn who_gets_in_is_read(path: &Path) {
    let store = Store::open(path).expect("it opens again");
    assert_eq!(store.user_all(), Ok(users()));
    assert_eq!(store.token_all(), Ok(vec![token()]));
    assert_eq!(store.session_all(), Ok(vec![session()]));
    let audited = vec![(1, audited("ok")), (2, audited("permission_denied"))];
    assert_eq!(store.audit_after(&AuditFilter::default(), 0, 10), Ok(audited));
}

/// All that every format has, twice, in a copy of the golden file.
fn read_whole(name: &str, vms: &[VmRecord], operations: &[Operation]) -> (tempfile::TempDir, PathBuf) {
    let kept = golden(name);
    let (directory, path) = place();
    std::fs::copy(&kept, &path).expect("the golden file is there");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
    for opening in ["first", "second"] {
        let store = Store::open(&path).expect("the golden file opens");
        assert_eq!(store.vm_all().as_deref(), Ok(vms), "{opening} opening");
        assert_eq!(store.node_list(&NodeFilter::default()), Ok((0..3).map(node).collect()));
        let (mut found, total) = store.operation_list(&OperationFilter::default(), 100, None).expect("a list");
        found.reverse();
        assert_eq!((found.as_slice(), total), (operations, 5));
        assert_eq!(store.operations_unfinished().map(|found| found.len()), Ok(1));
        let events = store.event_list(&EventFilter { limit: 100, ..EventFilter::default() }).expect("a list");
        let events: Vec<(u64, Event)> = events.into_iter().rev().map(|it| (it.sequence, it.event)).collect();
        assert_eq!(events, (1..=6).map(|n| (u64::from(n), event(n))).collect::<Vec<_>>());
        assert_eq!(store.setting("node_id"), Ok(Some(node_id(0).as_bytes().to_vec())));
        assert_eq!(store.setting("schema_version"), Ok(Some(vec![0, 0, 0, 3])));
        let table = store.read().expect("a reader").open_table(tables::IDEMPOTENCY).expect("a table");
        let row = table.get([7; 32].as_slice()).expect("a row").expect("the key").value().to_vec();
        let row = decode::<IdempotencyV1>(&row, "golden").expect("a record");
        assert_eq!((row.body, row.created_at_us, row.operation), ([8; 32], JULY, [4; 16]));
        assert_eq!(row.answer, Some((String::new(), b"answer".to_vec())));
        assert_eq!(store.verify(), Ok(()));
        // What was read can be worked with.
        done(&store, |tx| {
            tx.vm_update(&vms[0])?;
            tx.vm_create(&vm(50))?;
            tx.vm_delete(vm_id(50))
        });
    }
    (directory, path)
}

/// For those who try the program from outside, which cannot make one.
#[test]
fn the_file_of_a_newer_program_stays_refused_and_untouched() {
    let kept = golden("format-newer.redb");
    if blessing() {
        let (_directory, path) = place();
        let store = Store::open(&path).expect("a fresh file");
        done(&store, |tx| tx.setting_put("schema_version", &u32::MAX.to_be_bytes()));
        drop(store);
        std::fs::copy(&path, &kept).expect("the golden file is written");
    }
    let bytes = std::fs::read(&kept).expect("the golden file is there");
    let (_directory, path) = place();
    std::fs::write(&path, &bytes).expect("a file");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
    let refused = Store::open(&path).err();
    assert!(matches!(refused, Some(OpenError::Newer { found: u32::MAX, .. })), "{refused:?}");
    assert_eq!(std::fs::read(&path).expect("it is there"), bytes);
}

fn line<R: Record>(name: &str, record: &R) -> String {
    let bytes = encode(record).expect("a record that can be kept");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {name} {hex}\n", R::TABLE)
}

#[test]
fn each_record_of_version_1_lies_in_the_same_bytes() {
    let mut text = String::new();
    for (n, vm) in vms().iter().enumerate() {
        text += &line(&format!("{n}"), &VmV1::from(vm));
    }
    for n in 0..2 {
        text += &line(&format!("{n}"), &NodeV1::try_from(&node(n)).expect("facts that are JSON"));
    }
    for operation in operations() {
        text += &line(operation.verb.word(), &OperationV1::from(&operation));
    }
    for n in 1..=4 {
        text += &line(&format!("{n}"), &EventV1::from(&event(n)));
    }
    let row = IdempotencyV1 { body: [8; 32], created_at_us: JULY, operation: [4; 16], answer: None };
    text += &line("begun", &row);
    text += &line("answered", &IdempotencyV1 { answer: Some(("not_found".to_owned(), vec![1, 2])), ..row });
    let at = golden("records-1.txt");
    let kept = std::fs::read_to_string(&at).expect("the golden records are there");
    for (now, then) in text.lines().zip(kept.lines()) {
        assert_eq!(now, then, "a stored record changed its bytes: make a V2 of it instead");
    }
    assert_eq!(text.lines().count(), kept.lines().count());
}

#[test]
fn each_record_of_format_2_lies_in_the_same_bytes() {
    let mut text: String = users().iter().map(|user| line(&user.name, &UserV1::from(user))).collect();
    text += &line("ci", &TokenV1::from(&token()));
    text += &line("of Root", &SessionV1::from(&session()));
    text += &line("ok", &AuditV1::from(&audited("ok")));
    let at = golden("records-2.txt");
    let kept = std::fs::read_to_string(&at).expect("the golden records are there");
    assert_eq!(text, kept, "a stored record changed its bytes: make a V2 of it instead");
}

#[test]
fn each_record_of_format_3_lies_in_the_same_bytes() {
    let named = |n: usize| n.to_string();
    let mut text: String = vms_3().iter().enumerate().map(|(n, vm)| line(&named(n), &VmV2::from(vm))).collect();
    for operation in operations_3() {
        text += &line(operation.verb.word(), &OperationV2::from(&operation));
    }
    let at = golden("records-3.txt");
    if blessing() {
        std::fs::write(&at, &text).expect("the golden records are written");
    }
    let kept = std::fs::read_to_string(&at).expect("the golden records are there");
    assert_eq!(text, kept, "a stored record changed its bytes: make a V3 of it instead");
}

#[test]
fn a_record_is_read_by_its_own_version() {
    let protected = VmRecord { deletion_protection: DeletionProtection::On, ..vm(1) };
    let old = encode(&VmV1::from(&protected)).expect("a record");
    let new = encode(&VmV2::from(&protected)).expect("a record");
    assert_eq!(vm_of(&old, "x"), Ok(vm(1)), "version 1 knows no protection");
    assert_eq!(vm_of(&new, "x"), Ok(protected));
    assert!(vm_of(&[], "x").is_err());
    let mut newer = new.clone();
    newer[0] = 3;
    assert!(vm_of(&newer, "x").expect_err("of the future").to_string().contains("version is 3"));
    for (bytes, wanted) in operations().iter().map(|it| (encode(&OperationV1::from(it)), it.clone())) {
        assert_eq!(operation_of(&bytes.expect("a record"), "x"), Ok(wanted));
    }
}

#[test]
fn a_record_of_another_version_cut_or_longer_is_refused() {
    let bytes = encode(&VmV1::from(&vm(1))).expect("a record");
    let why = |bytes: &[u8]| decode::<VmV1>(bytes, "x").expect_err("it is no record").to_string();
    let mut newer = bytes.clone();
    newer[0] = 2;
    assert!(why(&newer).contains("version is 2"), "{}", why(&newer));
    assert!(why(&[]).contains("empty"));
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(why(&longer).contains("1 bytes are left over"), "{}", why(&longer));
    for len in 0..bytes.len() {
        let _ = why(&bytes[..len]);
    }
    for n in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[n / 8] ^= 1 << (n % 8);
        // A record or an error, never a panic and never an allocation of a damaged length.
        let _ = decode::<VmV1>(&flipped, "x").map(VmRecord::try_from);
    }
}
