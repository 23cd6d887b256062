//! Who gets in and what they may do. Users, tokens and sessions are few: all are held in memory and
//! judged there, within microseconds; the store keeps what must outlive the process.
//!
//! ```text
//! connection ─┐
//! bearer      ├─► judge ──► Principal ──► may(privilege)?   model::access holds the table
//! cookie     ─┘                │
//!                              └─ ended: cancelled by logout, revocation, demotion, expiry;
//!                                 streams and sockets watch it
//! ```
//!
//! An identity that was given and is none is refused, even where the connection alone would do:
//! who sends a token means to be its owner.

mod accounts;
mod audit;
mod jwt;
mod password;
pub mod secret;
mod setup;
mod throttle;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::model::access::{Need, Privilege, Quota, Rights, Role};
use crate::model::id::{SessionId, UserId};
use crate::model::user::{DEMO, LOCAL_ROOT, SecretHash, SessionRecord, TokenRecord, UserRecord};
use crate::model::vm::Moment;
use crate::store::{Store, StoreError};

use super::core::blocking;
use super::error::ServiceError;

pub use crate::store::{AuditFilter, NumberedEntry};
pub use accounts::{Client, NewUser, SignedIn, UserChange};
pub use audit::Recorder;
pub use setup::SetUpCode;

/// What a session may last, and rest.
const SESSION_MAX: Duration = Duration::from_secs(8 * 3600);
const SESSION_IDLE: Duration = Duration::from_secs(3600);
/// How often what was used when is kept.
const KEEP_USE: Duration = Duration::from_secs(60);
/// How soon an identity that has ended is noticed by those who use it.
const REAP: Duration = Duration::from_millis(500);
/// Where the keys of access tokens are, in the data directory.
const KEYS_FILE: &str = "access-token-keys.json";
/// Before the id of every API token.
const TOKEN_PREFIX: &str = "qkvm_";

/// Who a connection is from, before any request on it has said anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Root of this very host, by loopback, proven by the kernel when the connection was accepted.
    LocalRoot,
    /// Root, or a member of the administrators' group, by the API socket.
    Socket { name: String },
    /// Anybody else.
    Stranger,
}

/// Where a request is from, beside it whether or not its sender is known.
#[derive(Debug, Clone)]
pub struct CallerAddress(pub Arc<str>);

/// Who calls.
#[derive(Debug, Clone)]
pub struct Principal {
    pub who: Who,
    pub via: Via,
    pub role: Role,
    /// As in the audit log.
    pub address: String,
    /// Bounds of what an operator's VMs use.
    pub quota: Quota,
    /// Cancelled when this identity ends or may do less than it could.
    pub ended: CancellationToken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    LocalRoot,
    Socket(String),
    Demo,
    User { id: UserId, name: String },
}

/// By what a caller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    Connection,
    Session(SessionId),
    AccessToken(SessionId),
    ApiToken(String),
}

/// Whose a console's ticket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Whoever brings it: it was given to somebody that is known by the connection alone, which a
    /// WebSocket does not have in common with it.
    Bearer,
    Session(SessionId),
    Token(String),
}

/// The session's cookie. The prefix makes browsers take it from this host alone, over TLS (or on
/// localhost), for every path.
pub const COOKIE: &str = "__Host-quantixkvm";

/// What whoever is cut off is told.
pub const SIGNED_OUT: &str = "your session has ended or may do less than before; sign in again";

impl Principal {
    /// Somebody whose connection says enough: an administrator, for as long as it lasts.
    #[must_use]
    pub fn by_connection(who: Who, address: &str) -> Self {
        Self {
            who,
            via: Via::Connection,
            role: Role::Admin,
            address: address.to_owned(),
            quota: Quota::default(),
            ended: CancellationToken::new(),
        }
    }

    /// As in events and in the audit log.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.who {
            Who::LocalRoot => LOCAL_ROOT,
            Who::Demo => DEMO,
            Who::Socket(name) | Who::User { name, .. } => name,
        }
    }

    /// By what, in a word.
    #[must_use]
    pub fn via_word(&self) -> &'static str {
        match (&self.via, &self.who) {
            (Via::Session(_), _) => "session",
            (Via::AccessToken(_), _) => "access-token",
            (Via::ApiToken(_), _) => "token",
            (Via::Connection, Who::LocalRoot) => "local-root",
            (Via::Connection, Who::Socket(_)) => "socket",
            (Via::Connection, Who::Demo | Who::User { .. }) => "demo",
        }
    }

    /// The session, where there is one.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match &self.via {
            Via::Session(id) | Via::AccessToken(id) => Some(*id),
            Via::Connection | Via::ApiToken(_) => None,
        }
    }

    /// What a ticket that this caller is given is bound to.
    #[must_use]
    pub fn holder(&self) -> Holder {
        match &self.via {
            Via::Connection => Holder::Bearer,
            Via::Session(id) | Via::AccessToken(id) => Holder::Session(*id),
            Via::ApiToken(id) => Holder::Token(id.clone()),
        }
    }

    /// The user, where there is one.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        match &self.who {
            Who::User { id, .. } => Some(*id),
            Who::LocalRoot | Who::Socket(_) | Who::Demo => None,
        }
    }

    /// What this caller may do in a method beyond being let into it.
    #[must_use]
    pub fn rights(&self) -> Rights {
        Rights::new(self.role, self.quota)
    }

    /// Whether this caller has a privilege.
    ///
    /// # Errors
    /// `Denied`, naming the role that has it.
    pub fn may(&self, privilege: Privilege) -> Result<(), ServiceError> {
        match privilege.need() {
            Need::Nothing | Need::Identity => Ok(()),
            Need::Role(least) if self.role >= least => Ok(()),
            Need::Role(least) => Err(ServiceError::Denied(format!(
                "this needs the role {}; {} is {}",
                least.word(),
                self.name(),
                self.role.word()
            ))),
        }
    }
}

/// What a request shows of who sends it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    pub origin: &'a Origin,
    /// Of the `Authorization` header, whole.
    pub authorization: Option<&'a str>,
    /// Of the session's cookie.
    pub cookie: Option<&'a str>,
    pub address: &'a str,
}

struct LiveSession {
    record: SessionRecord,
    /// By the clock that nobody sets.
    ends: Instant,
    rests: Instant,
    ended: CancellationToken,
    used: bool,
}

struct LiveToken {
    record: TokenRecord,
    ends: Instant,
    ended: CancellationToken,
    used: bool,
}

#[derive(Default)]
struct Known {
    users: HashMap<UserId, UserRecord>,
    sessions: HashMap<SessionId, LiveSession>,
    by_secret: HashMap<SecretHash, SessionId>,
    tokens: HashMap<String, LiveToken>,
}

/// How long until `at` from now by the wall clock, by the clock that nobody sets; at most `most`.
fn instant_of(at: Moment, most: Duration) -> Instant {
    Instant::now() + Duration::from_secs(at.seconds_since(Moment::now())).min(most)
}

impl Known {
    fn by_name(&self, name: &str) -> Option<&UserRecord> {
        self.users.values().find(|user| user.name.eq_ignore_ascii_case(name))
    }

    fn add_session(&mut self, record: SessionRecord) {
        let most = Moment(record.created_at.0.saturating_add(micros(SESSION_MAX)));
        let rest = Moment(record.last_used_at.0.saturating_add(micros(SESSION_IDLE)));
        self.by_secret.insert(record.secret_hash, record.id);
        let live = LiveSession {
            ends: instant_of(most, SESSION_MAX),
            rests: instant_of(rest, SESSION_IDLE),
            ended: CancellationToken::new(),
            used: false,
            record,
        };
        self.sessions.insert(live.record.id, live);
    }

    fn add_token(&mut self, record: TokenRecord) {
        let ends = instant_of(record.expires_at, Duration::from_secs(400 * 24 * 3600));
        let live = LiveToken { ends, ended: CancellationToken::new(), used: false, record };
        self.tokens.insert(live.record.id.clone(), live);
    }

    fn end_session(&mut self, id: SessionId) -> Option<SessionRecord> {
        let live = self.sessions.remove(&id)?;
        self.by_secret.remove(&live.record.secret_hash);
        live.ended.cancel();
        Some(live.record)
    }

    fn user_of_session(&mut self, id: SessionId) -> Option<(&UserRecord, &mut LiveSession)> {
        let now = Instant::now();
        let live = self.sessions.get_mut(&id).filter(|live| live.ends > now && live.rests > now)?;
        let user = self.users.get(&live.record.user_id).filter(|user| user.enabled)?;
        live.rests = now + SESSION_IDLE;
        live.record.last_used_at = Moment::now();
        live.used = true;
        Some((user, live))
    }
}

fn micros(of: Duration) -> i64 {
    i64::try_from(of.as_micros()).unwrap_or(i64::MAX)
}

/// Who judges callers that have shown nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Nobody is let in for nothing.
    Guarded,
    /// A demonstration on loopback: whoever comes is its administrator.
    Demo,
}

/// Identity.
pub struct AuthService {
    store: Store,
    door: Door,
    known: Mutex<Known>,
    access_tokens: Mutex<jwt::AccessTokens>,
    throttle: Mutex<throttle::Throttle>,
    setup: setup::SetUp,
    pub audit: Recorder,
    /// One change of accounts at a time: the store first, then what is known.
    changing: tokio::sync::Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forget the keys of access tokens, so that none of those that are out is one any more; the next
/// start makes new ones.
///
/// # Errors
/// A sentence that names the file: it cannot be removed.
pub fn forget_keys(dir: &Path) -> Result<(), String> {
    let path = dir.join(KEYS_FILE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", path.display())),
        Ok(()) | Err(_) => Ok(()),
    }
}

const NOT_SIGNED_IN: &str = "sign in, or send an API token as \"Authorization: Bearer ...\"; on this host run the \
                             call as root (sudo), or use the API socket";

impl AuthService {
    /// What the store knows, with the keys in this directory; `None`: in memory.
    ///
    /// # Errors
    /// A sentence that names the file at fault.
    pub fn open(store: Store, dir: Option<&Path>, audience: String, door: Door) -> Result<Self, String> {
        let told = |error: StoreError| error.to_string();
        let users = store.user_all().map_err(told)?.into_iter().map(|user| (user.id, user)).collect();
        let mut known = Known { users, ..Known::default() };
        store.session_all().map_err(told)?.into_iter().for_each(|session| known.add_session(session));
        store.token_all().map_err(told)?.into_iter().for_each(|token| known.add_token(token));
        let keys = dir.map(|dir| dir.join(KEYS_FILE));
        let access_tokens = jwt::AccessTokens::open(keys.as_deref(), audience)?;
        let auth = Self {
            audit: Recorder::new(store.clone()),
            store,
            door,
            known: Mutex::new(known),
            access_tokens: Mutex::new(access_tokens),
            throttle: Mutex::default(),
            setup: setup::SetUp::new(dir.map(|dir| dir.join("setup-code"))),
            changing: tokio::sync::Mutex::default(),
        };
        if auth.set_up_needed() {
            auth.setup.begin().map_err(|error| error.to_string())?;
        } else {
            auth.setup.over();
        }
        Ok(auth)
    }

    /// Whether nobody has been made yet, where somebody must be.
    #[must_use]
    pub fn set_up_needed(&self) -> bool {
        self.door == Door::Guarded && lock(&self.known).users.is_empty()
    }

    /// When a session ends at the latest, as things stand.
    #[must_use]
    pub fn session_ends(session: &SessionRecord) -> Moment {
        let most = session.created_at.0.saturating_add(micros(SESSION_MAX));
        Moment(most.min(session.last_used_at.0.saturating_add(micros(SESSION_IDLE))))
    }

    /// Whether this is a demonstration.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        self.door == Door::Demo
    }

    /// Who sends a request; `None`: nobody known.
    ///
    /// # Errors
    /// `Unauthenticated`: an identity was shown that is none.
    pub fn judge(&self, shown: Shown<'_>) -> Result<Option<Principal>, ServiceError> {
        if let Some(header) = shown.authorization {
            let refused =
                || ServiceError::Unauthenticated("the token is not valid, or not any more; sign in again".to_owned());
            let (scheme, token) = header.split_once(' ').ok_or_else(refused)?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(ServiceError::Unauthenticated(format!(
                    "Authorization must be \"Bearer\" and a token; {NOT_SIGNED_IN}"
                )));
            }
            let found = self.of_bearer(token.trim(), shown.address).ok_or_else(refused)?;
            return Ok(Some(found));
        }
        if let Some(cookie) = shown.cookie {
            let ended = || ServiceError::Unauthenticated("the session has ended; sign in again".to_owned());
            return self.of_cookie(cookie, shown.address).map(Some).ok_or_else(ended);
        }
        let who = match (shown.origin, self.door) {
            (Origin::LocalRoot, _) => Who::LocalRoot,
            (Origin::Socket { name }, _) => Who::Socket(name.clone()),
            (Origin::Stranger, Door::Demo) => Who::Demo,
            (Origin::Stranger, Door::Guarded) => return Ok(None),
        };
        Ok(Some(Principal::by_connection(who, shown.address)))
    }

    /// The refusal of who shows nothing.
    #[must_use]
    pub fn nobody(&self) -> ServiceError {
        ServiceError::Unauthenticated(if self.set_up_needed() {
            "there are no users yet: open this host's page and enter the code that `sudo quantixkvm setup-code` \
             prints, or run: sudo quantixkvm user add NAME"
                .to_owned()
        } else {
            NOT_SIGNED_IN.to_owned()
        })
    }

    fn of_bearer(&self, token: &str, address: &str) -> Option<Principal> {
        if let Some(rest) = token.strip_prefix(TOKEN_PREFIX) {
            let (id, secret) = rest.split_once('_')?;
            let mut known = lock(&self.known);
            let known = &mut *known;
            let live = known.tokens.get_mut(id).filter(|live| live.ends > Instant::now())?;
            if live.record.secret_hash != secret::hash(secret) {
                return None;
            }
            let user = known.users.get(&live.record.user_id).filter(|user| user.enabled)?;
            live.record.last_used_at = Some(Moment::now());
            live.used = true;
            return Some(Principal {
                who: Who::User { id: user.id, name: user.name.clone() },
                via: Via::ApiToken(live.record.id.clone()),
                role: live.record.role.min(user.role),
                address: address.to_owned(),
                quota: user.quota,
                ended: live.ended.clone(),
            });
        }
        let (user, session) = lock(&self.access_tokens).read(token).ok()?;
        let mut known = lock(&self.known);
        let (found, live) = known.user_of_session(session)?;
        (found.id == user).then(|| of_user(found, live, Via::AccessToken(session), address))
    }

    fn of_cookie(&self, secret: &str, address: &str) -> Option<Principal> {
        let mut known = lock(&self.known);
        let id = *known.by_secret.get(&secret::hash(secret))?;
        let (user, live) = known.user_of_session(id)?;
        Some(of_user(user, live, Via::Session(id), address))
    }

    /// End what this credential is, because it crossed a network in clear.
    pub async fn compromised(&self, authorization: Option<&str>, cookie: Option<&str>) {
        let token = authorization.and_then(|header| header.split_once(' ')).map(|(_, token)| token.trim());
        let session = {
            let known = lock(&self.known);
            let of_cookie = cookie.and_then(|secret| known.by_secret.get(&secret::hash(secret)).copied());
            of_cookie.or_else(|| Some(lock(&self.access_tokens).read(token?).ok()?.1))
        };
        if let Some(session) = session {
            tracing::warn!(%session, "a session's secret crossed the network in clear: the session is ended");
            let _ = self.end_sessions(&[session]).await;
        }
        let id = token.and_then(|token| token.strip_prefix(TOKEN_PREFIX)?.split_once('_'));
        if let Some((id, secret)) = id {
            let ours =
                lock(&self.known).tokens.get(id).is_some_and(|live| live.record.secret_hash == secret::hash(secret));
            if ours {
                tracing::warn!(token = id, "an API token crossed the network in clear: it is revoked");
                let _ = self.end_token(id).await;
            }
        }
    }

    /// The users' failures at this account from there.
    fn throttled(&self, source: IpAddr, account: &str) -> Result<(), ServiceError> {
        match lock(&self.throttle).wait(source, account, Instant::now()) {
            None => Ok(()),
            Some(seconds) => {
                Err(ServiceError::Exhausted(format!("too many failures from {source}; try again in {seconds} seconds")))
            }
        }
    }

    async fn keep<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut crate::store::Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let store = self.store.clone();
        Ok(blocking(move || store.commit(change)).await?)
    }

    async fn end_sessions(&self, ids: &[SessionId]) -> Result<(), ServiceError> {
        // What is told to end ends now, whether or not that can be kept.
        {
            let mut known = lock(&self.known);
            for id in ids {
                known.end_session(*id);
            }
        }
        let ids = ids.to_vec();
        self.keep(move |tx| ids.into_iter().try_for_each(|id| tx.session_delete(id))).await
    }

    async fn end_token(&self, id: &str) -> Result<(), ServiceError> {
        if let Some(live) = lock(&self.known).tokens.remove(id) {
            live.ended.cancel();
        }
        let id = id.to_owned();
        self.keep(move |tx| tx.token_delete(&id)).await
    }

    /// End what has expired, keep what was used when and what was audited, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut reap = tokio::time::interval(REAP);
        reap.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut kept = Instant::now();
        loop {
            tokio::select! {
                _ = reap.tick() => {}
                () = stop.cancelled() => break,
            }
            self.reap().await;
            self.audit.keep().await;
            if kept.elapsed() > KEEP_USE {
                kept = Instant::now();
                self.keep_use().await;
                if let Err(error) = lock(&self.access_tokens).rotate() {
                    tracing::error!(%error, "the key of access tokens could not be replaced");
                }
            }
        }
        self.keep_use().await;
        self.audit.keep().await;
    }

    async fn reap(&self) {
        let now = Instant::now();
        let over: Vec<SessionId> = lock(&self.known)
            .sessions
            .iter()
            .filter(|(_, live)| live.ends <= now || live.rests <= now)
            .map(|(id, _)| *id)
            .collect();
        if !over.is_empty()
            && let Err(error) = self.end_sessions(&over).await
        {
            tracing::error!(%error, "sessions that are over could not be forgotten");
        }
        let over: Vec<String> = lock(&self.known)
            .tokens
            .iter()
            .filter(|(_, live)| live.ends <= now && !live.ended.is_cancelled())
            .map(|(id, live)| {
                // It stays listed, as expired.
                live.ended.cancel();
                id.clone()
            })
            .collect();
        for token in over {
            tracing::info!(token, "an API token has expired");
        }
        self.setup.tick();
    }

    async fn keep_use(&self) {
        let (sessions, tokens) = {
            let mut known = lock(&self.known);
            let sessions: Vec<SessionRecord> = known
                .sessions
                .values_mut()
                .filter_map(|live| std::mem::take(&mut live.used).then(|| live.record.clone()))
                .collect();
            let tokens: Vec<TokenRecord> = known
                .tokens
                .values_mut()
                .filter_map(|live| std::mem::take(&mut live.used).then(|| live.record.clone()))
                .collect();
            (sessions, tokens)
        };
        if sessions.is_empty() && tokens.is_empty() {
            return;
        }
        let kept = self
            .keep(move |tx| {
                sessions.iter().try_for_each(|session| tx.session_touch(session))?;
                tokens.iter().try_for_each(|token| tx.token_touch(token))
            })
            .await;
        if let Err(error) = kept {
            tracing::error!(%error, "when sessions and tokens were used could not be kept");
        }
    }
}

fn of_user(user: &UserRecord, live: &LiveSession, via: Via, address: &str) -> Principal {
    Principal {
        who: Who::User { id: user.id, name: user.name.clone() },
        via,
        role: user.role,
        address: address.to_owned(),
        quota: user.quota,
        ended: live.ended.clone(),
    }
}

#[cfg(test)]
mod tests;
