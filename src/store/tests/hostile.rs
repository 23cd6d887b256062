//! Stored records from bytes that nobody wrote: a record or a refusal, never a panic and never a
//! record that does not read back as itself.

use proptest::prelude::*;

use super::*;
use crate::hostile::{cases, folder, like};
use crate::model::user::{AuditEntry, SessionRecord, TokenRecord, UserRecord};
use crate::store::codec::{Record, decode, encode};
use crate::store::stored::{EventV1, IdempotencyV1, OperationV1, OperationV2, VmV1, VmV2};
use crate::store::stored_access::{AuditV1, SessionV1, TokenV1, UserV1};
use crate::store::stored_node::NodeV1;

/// The golden records of every version, as bytes.
fn records() -> Vec<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex");
    let lines = folder("tests/golden/store").into_iter().filter(|(name, _)| name.starts_with("records-"));
    lines
        .flat_map(|(_, text)| {
            let text = String::from_utf8(text).expect("text");
            text.lines()
                .map(|line| line.rsplit(' ').next().expect("a record").as_bytes().chunks(2).map(byte).collect())
                .collect::<Vec<Vec<u8>>>()
        })
        .collect()
}

/// Read as this record and as what the model makes of it; answers whether it was one.
fn tried<R, M>(bytes: &[u8]) -> bool
where
    R: Record + PartialEq + std::fmt::Debug,
    M: TryFrom<R>,
    for<'a> R: TryFrom<&'a M>,
{
    let Ok(record) = decode::<R>(bytes, "hostile") else { return false };
    let written = encode(&record).expect("what was read can be written");
    // Numbers that are not numbers are equal to nothing: bytes are.
    let again = decode::<R>(&written, "again").expect("what was written can be read");
    assert_eq!(encode(&again).expect("it can be written"), written);
    let Ok(model) = M::try_from(record) else { return true };
    let Ok(back) = R::try_from(&model) else { return true };
    encode(&back).expect("what the model holds can be written");
    true
}

proptest! {
    #![proptest_config(cases(512, "tests/corpus/records.regressions"))]

    #[test]
    fn no_bytes_upset_the_records(bytes in like(records())) {
        tried::<VmV1, VmRecord>(&bytes);
        tried::<VmV2, VmRecord>(&bytes);
        tried::<NodeV1, NodeRecord>(&bytes);
        tried::<OperationV1, Operation>(&bytes);
        tried::<OperationV2, Operation>(&bytes);
        tried::<EventV1, Event>(&bytes);
        tried::<UserV1, UserRecord>(&bytes);
        tried::<TokenV1, TokenRecord>(&bytes);
        tried::<SessionV1, SessionRecord>(&bytes);
        tried::<AuditV1, AuditEntry>(&bytes);
        if let Ok(record) = decode::<IdempotencyV1>(&bytes, "hostile") {
            let written = encode(&record).expect("what was read can be written");
            prop_assert_eq!(decode::<IdempotencyV1>(&written, "again"), Ok(record));
        }
    }
}

#[test]
fn every_seed_is_a_record() {
    for bytes in records() {
        let found = [
            tried::<VmV1, VmRecord>(&bytes),
            tried::<VmV2, VmRecord>(&bytes),
            tried::<NodeV1, NodeRecord>(&bytes),
            tried::<OperationV1, Operation>(&bytes),
            tried::<OperationV2, Operation>(&bytes),
            tried::<EventV1, Event>(&bytes),
            tried::<UserV1, UserRecord>(&bytes),
            tried::<TokenV1, TokenRecord>(&bytes),
            tried::<SessionV1, SessionRecord>(&bytes),
            tried::<AuditV1, AuditEntry>(&bytes),
            decode::<IdempotencyV1>(&bytes, "seed").is_ok(),
        ];
        assert!(found.contains(&true), "{bytes:02x?}");
    }
}
