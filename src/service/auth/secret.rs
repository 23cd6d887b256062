//! Random secrets and what is kept of them, and the files that hold keys.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};

use crate::model::user::SecretHash;
use crate::service::error::ServiceError;

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Letters and digits that are not mistaken for one another when read aloud.
const CODE_LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Bytes that nobody can guess.
///
/// # Errors
/// `Internal` where the kernel has no randomness.
pub fn random<const N: usize>() -> Result<[u8; N], ServiceError> {
    let mut bytes = [0; N];
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(got) if got == N => Ok(bytes),
        Ok(got) => Err(ServiceError::Internal(format!("the kernel gave {got} random bytes of {N}"))),
        Err(why) => Err(ServiceError::Internal(format!("the kernel gives no random bytes: {why}"))),
    }
}

/// A secret of 256 bits, as text.
///
/// # Errors
/// As [`random`].
pub fn secret() -> Result<String, ServiceError> {
    Ok(URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?))
}

/// A short name without meaning: lower-case letters and digits.
///
/// # Errors
/// As [`random`].
pub fn short_id() -> Result<String, ServiceError> {
    Ok(random::<10>()?
        .iter()
        .map(|byte| char::from(CODE_LETTERS[usize::from(byte % 32)]).to_ascii_lowercase())
        .collect())
}

/// A code for people to type: 16 letters of 32, 80 bits, in fours.
///
/// # Errors
/// As [`random`].
pub fn code() -> Result<String, ServiceError> {
    let letters: Vec<u8> = random::<16>()?.iter().map(|byte| CODE_LETTERS[usize::from(byte % 32)]).collect();
    Ok(letters.chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join("-"))
}

/// A typed code, without what people put between.
#[must_use]
pub fn read_code(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).take(64).collect()
}

/// What is kept of a secret.
#[must_use]
pub fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// Write a file that only its owner may read, whole or not at all. What root makes belongs to whose
/// directory it is: the server does not run as root.
///
/// # Errors
/// The file system's.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    // Of an earlier attempt that was cut off.
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    if rustix::process::geteuid().is_root()
        && let Some(parent) = path.parent()
    {
        let owner = std::fs::metadata(parent)?;
        std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    match path.parent() {
        Some(parent) => std::fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Read a file that only its owner may read; `None`: there is none.
///
/// # Errors
/// A sentence that names the file and the cure: it cannot be read, or others may read it.
pub fn read_private(path: &Path) -> Result<Option<Vec<u8>>, String> {
    read(path, |_| Readers::Owner)
}

/// As [`read_private`], of what an administrator put there: a file of root's may be read by its
/// group, which is how one is given to a service without becoming the service's.
///
/// # Errors
/// As of [`read_private`].
pub fn read_given(path: &Path) -> Result<Option<Vec<u8>>, String> {
    read(path, |owner| if owner == 0 { Readers::OwnerAndGroup } else { Readers::Owner })
}

enum Readers {
    Owner,
    OwnerAndGroup,
}

fn read(path: &Path, readers: impl Fn(u32) -> Readers) -> Result<Option<Vec<u8>>, String> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let (beyond, cure) = match readers(meta.uid()) {
        Readers::Owner => (0o077, "0600"),
        Readers::OwnerAndGroup => (0o037, "0640"),
    };
    if meta.mode() & beyond != 0 {
        return Err(format!(
            "{} can be read by other users (mode {:04o}); run: chmod {cure} {}",
            path.display(),
            meta.mode() & 0o7777,
            path.display()
        ));
    }
    std::fs::read(path).map(Some).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = code().expect("randomness");
        assert_eq!(code.len(), 19, "{code}");
        assert_eq!(read_code(&format!(" {} ", code.to_lowercase().replace('-', " "))), code.replace('-', ""));
        assert_eq!(read_code("é-\0"), "");
    }

    #[test]
    fn a_private_file_is_whole_and_ours_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("key");
        assert_eq!(read_private(&path), Ok(None));
        write_private(&path, b"one").expect("it is written");
        write_private(&path, b"two").expect("it is replaced");
        assert_eq!(read_private(&path), Ok(Some(b"two".to_vec())));
        assert_eq!(std::fs::read_dir(home.path()).expect("a listing").count(), 1);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).expect("its mode");
        let told = read_private(&path).expect_err("others may read it");
        assert!(told.contains("0640") && told.contains("chmod 0600"), "{told}");
        // Of root's, whoever put it there: the group's as well, and nobody else's.
        let root = std::fs::metadata(&path).is_ok_and(|meta| meta.uid() == 0);
        assert_eq!(read_given(&path).is_ok(), root);
        for mode in [0o644, 0o660] {
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("its mode");
            assert!(read_given(&path).is_err(), "{mode:o}");
        }
    }
}
