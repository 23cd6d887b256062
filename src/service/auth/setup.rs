//! The first administrator is made with a code that only root of this host can read: there is no
//! default password, and nobody who merely reaches the port first gets in.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::secret;
use crate::model::user::SecretHash;
use crate::model::vm::Moment;
use crate::service::error::ServiceError;

/// How long a code is good.
const GOOD_FOR: Duration = Duration::from_secs(30 * 60);
const GOOD_FOR_SEC: u32 = 30 * 60;
/// Wrong codes after which it is good no more.
const TRIES: u32 = 5;

/// A code, for root's eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetUpCode {
    pub code: String,
    pub expires_at: Moment,
}

struct Open {
    hash: SecretHash,
    until: Instant,
    tries: u32,
}

pub(super) struct SetUp {
    /// Where root finds the code; `None`: nowhere.
    path: Option<PathBuf>,
    open: Mutex<Option<Open>>,
}

impl SetUp {
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path, open: Mutex::new(None) }
    }

    /// A new code, which takes the place of the one before it.
    pub fn begin(&self) -> Result<SetUpCode, ServiceError> {
        let code = secret::code()?;
        if let Some(path) = &self.path {
            secret::write_private(path, format!("{code}\n").as_bytes())
                .map_err(|why| ServiceError::Internal(format!("{}: {why}", path.display())))?;
        }
        *self.open() =
            Some(Open { hash: secret::hash(&secret::read_code(&code)), until: Instant::now() + GOOD_FOR, tries: 0 });
        // The one line that holds it: who reads the journal is root.
        tracing::warn!(
            code,
            "there are no users yet; open this host's page and enter the code, which is good for 30 minutes"
        );
        Ok(SetUpCode { code, expires_at: Moment::now().plus_seconds(GOOD_FOR_SEC) })
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the code.
    ///
    /// # Errors
    /// `Denied`, with what to do.
    pub fn check(&self, code: &str) -> Result<(), ServiceError> {
        let denied = |why: &str| ServiceError::Denied(format!("{why}; a new one: sudo quantixkvm setup-code"));
        let mut open = self.open();
        let Some(now) = open.as_mut().filter(|open| open.until > Instant::now()) else {
            return Err(denied("the set-up code is good no more"));
        };
        if now.hash == secret::hash(&secret::read_code(code)) {
            return Ok(());
        }
        now.tries += 1;
        let left = TRIES - now.tries;
        if left == 0 {
            *open = None;
            drop(open);
            self.remove();
            return Err(denied("the set-up code was wrong five times and is good no more"));
        }
        Err(denied(&format!("the set-up code is wrong; {left} tries are left")))
    }

    /// Nobody sets this host up any more.
    pub fn over(&self) {
        *self.open() = None;
        self.remove();
    }

    /// A code that is old goes.
    pub fn tick(&self) {
        let old = self.open().as_ref().is_some_and(|open| open.until <= Instant::now());
        if old {
            tracing::info!("the set-up code is good no more; a new one: sudo quantixkvm setup-code");
            self.over();
        }
    }

    fn remove(&self) {
        let Some(path) = &self.path else { return };
        match std::fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!(%error, path = %path.display(), "an old set-up code stays on disk"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once_it_is_right_and_five_wrong_ones_end_it() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("setup-code");
        let setup = SetUp::new(Some(path.clone()));
        assert!(setup.check("").is_err(), "without a code nothing is right");
        let code = setup.begin().expect("a code").code;
        assert_eq!(std::fs::read_to_string(&path).expect("the file").trim(), code);
        assert_eq!(setup.check(&code.to_lowercase()), Ok(()));
        for left in [4, 3, 2, 1] {
            let told = setup.check("AAAA").expect_err("it is wrong").to_string();
            assert!(told.contains(&left.to_string()), "{told}");
        }
        assert!(setup.check("AAAA").expect_err("it is wrong").to_string().contains("five times"));
        assert!(setup.check(&code).is_err() && !path.exists());
        let code = setup.begin().expect("another").code;
        assert_eq!(setup.check(&code), Ok(()));
        setup.over();
        assert!(setup.check(&code).is_err() && !path.exists());
    }
}
