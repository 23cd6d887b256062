//! Users, their API tokens and sessions, and the lines of the audit log, as they are kept. Secrets
//! are here as hashes alone.

use super::access::{Quota, Role};
use super::id::{SessionId, UserId};
use super::validate::{Violation, quoted};
use super::vm::Moment;

/// The hash of a secret of 256 random bits, for which one round of SHA-256 is enough.
pub type SecretHash = [u8; 32];

/// Characters of a name at most.
const NAME_MAX: usize = 64;
/// Characters of a password.
const PASSWORD_MIN: usize = 10;
const PASSWORD_MAX: usize = 256;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    pub id: UserId,
    /// Unique without regard to case.
    pub name: String,
    pub role: Role,
    pub enabled: bool,
    /// argon2id, in PHC's form.
    pub password_hash: String,
    pub created_at: Moment,
    pub password_changed_at: Moment,
    pub last_login_at: Option<Moment>,
    pub quota: Quota,
}

/// An API token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// As in the token itself: lower-case letters and digits.
    pub id: String,
    pub user_id: UserId,
    pub name: String,
    /// The most that it may do; its owner's role bounds it, too.
    pub role: Role,
    pub secret_hash: SecretHash,
    pub created_at: Moment,
    pub expires_at: Moment,
    pub last_used_at: Option<Moment>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    pub id: SessionId,
    pub user_id: UserId,
    pub secret_hash: SecretHash,
    pub created_at: Moment,
    pub last_used_at: Moment,
    pub address: String,
    pub user_agent: String,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Moment,
    pub user: String,
    pub via: String,
    pub address: String,
    pub method: String,
    pub resource: String,
    /// `ok`, or the error's code.
    pub code: String,
    pub message: String,
    pub request_id: String,
}

/// How callers are named that are no users.
pub const LOCAL_ROOT: &str = "local-root";
pub const DEMO: &str = "demo";

/// The rule for names of users.
///
/// # Errors
/// The violation, under `field`.
pub fn check_user_name(field: &str, name: &str) -> Result<(), Violation> {
    let fine = (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        && name.as_bytes()[0].is_ascii_alphanumeric();
    if !fine {
        return Err(Violation::new(
            field,
            format!(
                "must be 1-{NAME_MAX} letters, digits, \".\", \"-\" or \"_\", a letter or digit first; it is {}",
                quoted(name)
            ),
        ));
    }
    // In events and in the audit log nobody is to pass for them.
    if [LOCAL_ROOT, DEMO].iter().any(|taken| taken.eq_ignore_ascii_case(name)) {
        return Err(Violation::new(field, format!("{} is how a caller is called that is no user", quoted(name))));
    }
    Ok(())
}

/// The rule for passwords; the sentence never holds the password.
///
/// # Errors
/// The violation, under `field`.
pub fn check_password(field: &str, password: &str) -> Result<(), Violation> {
    let length = password.chars().count();
    if (PASSWORD_MIN..=PASSWORD_MAX).contains(&length) {
        return Ok(());
    }
    Err(Violation::new(field, format!("must be {PASSWORD_MIN}-{PASSWORD_MAX} characters; {length} were sent")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_have_rules() {
        for name in ["a", "root", "alice.b-c_d", "7"] {
            assert!(check_user_name("name", name).is_ok(), "{name}");
        }
        for name in ["", "-a", ".a", "a b", "a\n", "é", "a/b", "local-root", "Demo", &"x".repeat(65)] {
            assert!(check_user_name("name", name).is_err(), "{name}");
        }
        assert!(check_password("password", "0123456789").is_ok());
        let told = check_password("password", "hunter2").expect_err("it is too short");
        assert!(!told.description.contains("hunter2") && told.description.contains("10-256"), "{told:?}");
        assert!(check_password("password", &"x".repeat(257)).is_err());
    }
}
