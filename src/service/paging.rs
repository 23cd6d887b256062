//! Pages of a list. A token names the last row that was sent and a fingerprint of the filters, so
//! that it survives inserts and deletes and is refused where it is not ours or of other filters.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::error::ServiceError;

/// Rows a page where the request does not say.
const DEFAULT_SIZE: usize = 50;
/// Rows a page at most.
const MAX_SIZE: usize = 1000;

/// The page size that is meant.
///
/// # Errors
/// `Invalid` for a negative size.
pub fn size(asked: i32) -> Result<usize, ServiceError> {
    match usize::try_from(asked) {
        Ok(0) => Ok(DEFAULT_SIZE),
        // More than a page can hold is as much as it can hold.
        Ok(size) => Ok(size.min(MAX_SIZE)),
        Err(_) => Err(ServiceError::invalid(
            "page_size",
            format!("must be 0 (meaning {DEFAULT_SIZE}) or 1-{MAX_SIZE}; {asked} was sent"),
        )),
    }
}

/// Eight bytes that change when the filters or the order do.
#[must_use]
pub fn fingerprint(filters: &impl std::fmt::Debug) -> [u8; 8] {
    let digest = Sha256::digest(format!("{filters:?}").as_bytes());
    let mut short = [0; 8];
    short.copy_from_slice(&digest[..8]);
    short
}

/// A token that says: after the row of this key.
#[must_use]
pub fn write_token(key: &str, fingerprint: &[u8; 8]) -> String {
    let mut bytes = fingerprint.to_vec();
    bytes.extend_from_slice(key.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key in a token; `None` for the first page.
///
/// # Errors
/// `Invalid` where the token is not ours or of other filters.
pub fn read_token(token: &str, fingerprint: &[u8; 8]) -> Result<Option<String>, ServiceError> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad_token())?;
    let (mark, key) = bytes.split_at_checked(8).ok_or_else(bad_token)?;
    if mark != fingerprint {
        return Err(bad_token());
    }
    String::from_utf8(key.to_vec()).map(Some).map_err(|_| bad_token())
}

/// The refusal of a token.
#[must_use]
pub fn bad_token() -> ServiceError {
    ServiceError::invalid("page_token", "is not a token of this list with these filters; start again without one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_only_under_its_own_filters() {
        let mine = fingerprint(&("project", 1));
        let other = fingerprint(&("project", 2));
        let token = write_token("web-1/xyz", &mine);
        assert_eq!(read_token(&token, &mine), Ok(Some("web-1/xyz".to_owned())));
        assert!(read_token(&token, &other).is_err());
        for junk in ["x", "!!!!", "AAAA", &"A".repeat(4000)] {
            assert!(read_token(junk, &mine).is_err(), "{junk} was taken for a token");
        }
        assert_eq!(read_token("", &mine), Ok(None));
    }

    proptest::proptest! {
        #![proptest_config(crate::hostile::cases(1000, "tests/corpus/tokens.regressions"))]

        /// A token is one that was written under these filters, or refused.
        #[test]
        fn only_our_own_tokens_are_read(
            key in "\\PC{0,60}",
            text in crate::hostile::like(vec![
                write_token("web-1/xyz", &fingerprint(&1)).into_bytes(),
                write_token("", &fingerprint(&2)).into_bytes(),
                b"AAAAAAAAAAA".to_vec(),
                b"=+/-_".to_vec(),
            ]),
        ) {
            let mine = fingerprint(&1);
            proptest::prop_assert_eq!(read_token(&write_token(&key, &mine), &mine), Ok(Some(key)));
            let text = String::from_utf8_lossy(&text).into_owned();
            if let Ok(Some(key)) = read_token(&text, &mine) {
                proptest::prop_assert_eq!(write_token(&key, &mine), text);
            }
        }
    }

    #[test]
    fn sizes_have_bounds() {
        assert_eq!(size(0), Ok(50));
        assert_eq!(size(1000), Ok(1000));
        assert!(size(-1).is_err());
        assert_eq!(size(1001), Ok(1000));
    }
}
