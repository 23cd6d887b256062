//! The envelope of every value: a version byte, then bincode of a struct that is a stored type of
//! its own. An old reader refuses a newer byte instead of misreading it, and bytes left over are an
//! error: bincode alone would not notice.
//!
//! bincode is complete and no longer developed; it is named here and nowhere else, behind
//! [`Record`], so that another encoding would be one more version byte.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;

/// No record comes near this; a damaged length must not allocate.
const MAX_RECORD_BYTES: usize = 16 << 20;

fn config() -> Configuration<LittleEndian, Varint, Limit<MAX_RECORD_BYTES>> {
    bincode::config::standard().with_limit::<MAX_RECORD_BYTES>()
}

/// A stored type and its version.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// The version byte of this shape. A changed shape is a new type with a new byte.
    const VERSION: u8;
    /// Its table, for errors.
    const TABLE: &'static str;
}

/// The bytes of a record. They are read back before they are used: bincode writes what it will
/// then refuse to read (a record over the limit), and a row that cannot be read stops the next start.
pub(super) fn encode<R: Record>(record: &R) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![R::VERSION];
    bincode::serde::encode_into_std_write(record, &mut bytes, config()).map_err(|error| StoreError::BadRow {
        table: R::TABLE,
        row: "(new)".to_owned(),
        why: error.to_string(),
    })?;
    decode::<R>(&bytes, "(new)")?;
    Ok(bytes)
}

/// The record in these bytes; `row` names it in the error.
pub(super) fn decode<R: Record>(bytes: &[u8], row: impl std::fmt::Display) -> Result<R, StoreError> {
    let bad = |why: String| StoreError::BadRow { table: R::TABLE, row: row.to_string(), why };
    let (&version, body) = bytes.split_first().ok_or_else(|| bad("it is empty".to_owned()))?;
    if version != R::VERSION {
        return Err(bad(format!("its version is {version}, this program knows {}", R::VERSION)));
    }
    let (record, used) =
        bincode::serde::decode_from_slice::<R, _>(body, config()).map_err(|error| bad(error.to_string()))?;
    if used != body.len() {
        return Err(bad(format!("{} bytes are left over", body.len() - used)));
    }
    Ok(record)
}
