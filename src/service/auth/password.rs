//! Passwords: argon2id, two at a time, and as long for a name that is nobody's.

use std::sync::{Arc, LazyLock};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use super::secret;
use crate::service::core::blocking;
use crate::service::error::ServiceError;

/// 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes at once: each takes memory and a core for a while.
const AT_ONCE: usize = 2;
/// Hashes that may wait.
const WAITING: usize = 32;

static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(AT_ONCE));
static QUEUE: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(AT_ONCE + WAITING));
/// Of a password that nobody knows.
static NOBODY: LazyLock<Option<Arc<str>>> = LazyLock::new(|| make(&secret::secret().ok()?).ok().map(Arc::from));

fn hasher() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn make(password: &str) -> Result<String, ServiceError> {
    let failed = |why: &str| ServiceError::Internal(format!("the password cannot be hashed: {why}"));
    let hasher = hasher().ok_or_else(|| failed("the parameters are out of bounds"))?;
    let salt = secret::random::<16>()?;
    let hash: argon2::PasswordHash =
        hasher.hash_password_with_salt(password.as_bytes(), &salt).map_err(|error| failed(&error.to_string()))?;
    Ok(hash.to_string())
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServiceError> {
    let _queue = QUEUE
        .try_acquire()
        .map_err(|_| ServiceError::Exhausted("too many sign-ins at once; try again in a few seconds".to_owned()))?;
    let _turn = TURNS.acquire().await.map_err(|_| ServiceError::Unavailable("the server is stopping".to_owned()))?;
    Ok(blocking(work).await)
}

/// What is kept of a password, in PHC's form.
///
/// # Errors
/// `Exhausted` where too many wait.
pub async fn hash(password: String) -> Result<String, ServiceError> {
    in_turn(move || make(&password)).await?
}

/// What came of comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// Right, and kept by weaker parameters than today's: hash it anew.
    RightAndOld,
    Wrong,
}

/// Whether this is the password of which `kept` was kept; `None`: nobody's, which takes as long.
///
/// # Errors
/// `Exhausted` where too many wait.
pub async fn verify(password: String, kept: Option<String>) -> Result<Verdict, ServiceError> {
    in_turn(move || {
        let somebody = kept.is_some();
        let Some(kept) = kept.map(Arc::from).or_else(|| NOBODY.clone()) else { return Verdict::Wrong };
        let right = hasher().is_some_and(|hasher| hasher.verify_password(password.as_bytes(), &*kept).is_ok());
        match (right && somebody, kept.contains(&format!("m={MEMORY_KIB},t={PASSES},p={LANES}"))) {
            (false, _) => Verdict::Wrong,
            (true, true) => Verdict::Right,
            (true, false) => Verdict::RightAndOld,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_its_own_alone_and_kept_by_todays_parameters() {
        let kept = hash("correct horse".to_owned()).await.expect("a hash");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("correct horse".to_owned()).await.expect("a hash"), "without a salt of its own");
        let verdict = async |password: &str, kept: Option<&str>| {
            verify(password.to_owned(), kept.map(str::to_owned)).await.expect("a verdict")
        };
        assert_eq!(verdict("correct horse", Some(&kept)).await, Verdict::Right);
        assert_eq!(verdict("correct hors", Some(&kept)).await, Verdict::Wrong);
        assert_eq!(verdict("correct horse", None).await, Verdict::Wrong);
        assert_eq!(verdict("x", Some("no hash")).await, Verdict::Wrong);
    }
}
