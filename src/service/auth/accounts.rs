//! What is done with users, sessions and tokens. Every change is in the store before it is told.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use super::setup::SetUpCode;
use super::{AuthService, Principal, TOKEN_PREFIX, Who, lock, password, secret};
use crate::model::access::{Privilege, Quota, Role};
use crate::model::id::{SessionId, UserId, clip};
use crate::model::user::{SessionRecord, TokenRecord, UserRecord, check_password, check_user_name};
use crate::model::validate::Violation;
use crate::model::vm::Moment;
use crate::service::error::ServiceError;

/// Users, sessions of one user and tokens of one user at most.
const USERS_MAX: usize = 1000;
const SESSIONS_MAX: usize = 100;
const TOKENS_MAX: usize = 100;
/// Days of a token.
const DAYS: u32 = 90;
const DAYS_MAX: u32 = 365;
/// Characters of a token's name, and of a client's name that is kept.
const NAME_MAX: usize = 64;
const AGENT_MAX: usize = 200;

/// A new user.
pub struct NewUser {
    pub name: String,
    pub password: String,
    pub role: Role,
    pub quota: Quota,
}

/// What is to change; `None`: not this.
#[derive(Default)]
pub struct UserChange {
    pub role: Option<Role>,
    pub enabled: Option<bool>,
    pub password: Option<String>,
    pub quota: Option<Quota>,
}

/// A session that has begun.
pub struct SignedIn {
    /// For the browser's cookie.
    pub cookie: String,
    pub access_token: String,
    pub access_token_expires_at: Moment,
    pub session: SessionRecord,
    pub user: UserRecord,
}

/// Without its secrets.
impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn")
            .field("session", &self.session.id)
            .field("user", &self.user.name)
            .finish_non_exhaustive()
    }
}

/// Where from, and by what, somebody signs in.
pub struct Client<'a> {
    pub address: &'a str,
    pub user_agent: &'a str,
}

fn no_user(id: &str) -> ServiceError {
    ServiceError::NotFound { what: "User", id: clip(id, NAME_MAX) }
}

fn last_admin() -> ServiceError {
    ServiceError::Precondition {
        reason: "LAST_ADMIN",
        subject: String::new(),
        message: "this is the last enabled administrator; make another first".to_owned(),
    }
}

/// The source that failures are counted by; callers without an address are the host's own.
fn source(address: &str) -> IpAddr {
    address.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

impl AuthService {
    fn find(&self, id: &str) -> Result<UserRecord, ServiceError> {
        let known = lock(&self.known);
        let by_id = id.parse().ok().and_then(|id: UserId| known.users.get(&id));
        by_id.or_else(|| known.by_name(id)).cloned().ok_or_else(|| no_user(id))
    }

    fn other_admin(&self, than: UserId) -> bool {
        lock(&self.known).users.values().any(|user| user.id != than && user.enabled && user.role == Role::Admin)
    }

    async fn make(&self, new: NewUser) -> Result<UserRecord, ServiceError> {
        let rules = [check_user_name("name", &new.name), check_password("password", &new.password)];
        let wrong: Vec<Violation> = rules.into_iter().filter_map(Result::err).collect();
        if !wrong.is_empty() {
            return Err(ServiceError::Invalid(wrong));
        }
        let taken = |name: &str| ServiceError::AlreadyExists(format!("user \"{name}\" exists already"));
        {
            let known = lock(&self.known);
            if known.by_name(&new.name).is_some() {
                return Err(taken(&new.name));
            }
            if known.users.len() >= USERS_MAX {
                return Err(ServiceError::Exhausted(format!("there are {USERS_MAX} users, which is the most")));
            }
        }
        let now = Moment::now();
        let user = UserRecord {
            id: UserId::random(),
            name: new.name,
            role: new.role,
            enabled: true,
            password_hash: password::hash(new.password).await?,
            created_at: now,
            password_changed_at: now,
            last_login_at: None,
            quota: new.quota,
        };
        let row = user.clone();
        self.keep(move |tx| tx.user_put(&row)).await?;
        lock(&self.known).users.insert(user.id, user.clone());
        self.setup.over();
        Ok(user)
    }

    async fn begin(&self, user: UserRecord, client: &Client<'_>) -> Result<SignedIn, ServiceError> {
        let now = Moment::now();
        let cookie = secret::secret()?;
        let session = SessionRecord {
            id: SessionId::random(),
            user_id: user.id,
            secret_hash: secret::hash(&cookie),
            created_at: now,
            last_used_at: now,
            address: client.address.to_owned(),
            user_agent: clip(client.user_agent, AGENT_MAX),
        };
        let (access_token, access_token_expires_at) = lock(&self.access_tokens).issue(user.id, session.id)?;
        // The oldest of too many gives way.
        let mut own: Vec<(Moment, SessionId)> = {
            let known = lock(&self.known);
            let own = known.sessions.values().filter(|live| live.record.user_id == user.id);
            own.map(|live| (live.record.last_used_at, live.record.id)).collect()
        };
        own.sort_unstable();
        let over: Vec<SessionId> = own.iter().rev().skip(SESSIONS_MAX - 1).map(|(_, id)| *id).collect();
        let user = UserRecord { last_login_at: Some(now), ..user };
        let (row, session_row) = (user.clone(), session.clone());
        self.keep(move |tx| {
            tx.user_put(&row)?;
            tx.session_put(&session_row)
        })
        .await?;
        {
            let mut known = lock(&self.known);
            known.users.insert(user.id, user.clone());
            known.add_session(session.clone());
        }
        if !over.is_empty() {
            self.end_sessions(&over).await?;
        }
        Ok(SignedIn { cookie, access_token, access_token_expires_at, session, user })
    }

    /// Make the first administrator and sign in.
    ///
    /// # Errors
    /// `Precondition` where there are users; `Denied` for a wrong code; `Invalid`.
    pub async fn set_up(
        &self,
        code: &str,
        name: String,
        password: String,
        client: Client<'_>,
    ) -> Result<SignedIn, ServiceError> {
        let _changing = self.changing.lock().await;
        if !self.set_up_needed() {
            return Err(ServiceError::Precondition {
                reason: "SET_UP",
                subject: String::new(),
                message: "this host is set up already; sign in".to_owned(),
            });
        }
        self.throttled(source(client.address), "(set-up)")?;
        if let Err(error) = self.setup.check(code) {
            lock(&self.throttle).failed(source(client.address), "(set-up)", Instant::now());
            return Err(error);
        }
        let user = self.make(NewUser { name, password, role: Role::Admin, quota: Quota::default() }).await?;
        self.begin(user, &client).await
    }

    /// Begin a session.
    ///
    /// # Errors
    /// `Unauthenticated`, the same whatever is wrong; `Exhausted` after too many failures.
    pub async fn login(&self, name: &str, password: String, client: Client<'_>) -> Result<SignedIn, ServiceError> {
        let source = source(client.address);
        self.throttled(source, name)?;
        let user = lock(&self.known).by_name(name).cloned();
        let verdict = password::verify(password.clone(), user.as_ref().map(|user| user.password_hash.clone())).await?;
        let _changing = self.changing.lock().await;
        // As it is now: it may have been changed while the password was compared.
        let user = user.and_then(|before| {
            let now = lock(&self.known).users.get(&before.id).cloned()?;
            (now.password_hash == before.password_hash).then_some(now)
        });
        let good = user.filter(|user| user.enabled && verdict != password::Verdict::Wrong);
        let Some(mut user) = good else {
            lock(&self.throttle).failed(source, name, Instant::now());
            return Err(ServiceError::Unauthenticated("the name or the password is wrong".to_owned()));
        };
        lock(&self.throttle).succeeded(source, name);
        if verdict == password::Verdict::RightAndOld {
            user.password_hash = password::hash(password).await?;
        }
        self.begin(user, &client).await
    }

    /// End a caller's own session.
    ///
    /// # Errors
    /// `Precondition` where there is none.
    pub async fn logout(&self, caller: &Principal) -> Result<(), ServiceError> {
        let session = caller.session().ok_or_else(no_session)?;
        self.end_sessions(&[session]).await
    }

    /// Another access token of a caller's own session.
    ///
    /// # Errors
    /// `Precondition` where there is none.
    pub fn refresh(&self, caller: &Principal) -> Result<(String, Moment, SessionRecord, UserRecord), ServiceError> {
        let id = caller.session().ok_or_else(no_session)?;
        let (user, session) = {
            let mut known = lock(&self.known);
            let (user, live) = known.user_of_session(id).ok_or_else(|| self.nobody())?;
            (user.clone(), live.record.clone())
        };
        let (token, ends) = lock(&self.access_tokens).issue(user.id, session.id)?;
        Ok((token, ends, session, user))
    }

    /// Change one's own password; one's other sessions end.
    ///
    /// # Errors
    /// `Unauthenticated` for a wrong old one; `Precondition` for a caller that is no user.
    pub async fn change_password(&self, caller: &Principal, old: String, new: String) -> Result<(), ServiceError> {
        let id = caller.user_id().ok_or_else(|| ServiceError::Precondition {
            reason: "NO_USER",
            subject: String::new(),
            message: format!("{} is no user and has no password", caller.name()),
        })?;
        check_password("new_password", &new).map_err(|wrong| ServiceError::Invalid(vec![wrong]))?;
        let user = self.find(&id.to_string())?;
        self.throttled(source(&caller.address), &user.name)?;
        if password::verify(old, Some(user.password_hash)).await? == password::Verdict::Wrong {
            lock(&self.throttle).failed(source(&caller.address), &user.name, Instant::now());
            return Err(ServiceError::Unauthenticated("the old password is wrong".to_owned()));
        }
        let change = UserChange { password: Some(new), ..UserChange::default() };
        self.apply(&id.to_string(), change, caller.session()).await.map(drop)
    }

    /// Make a user.
    ///
    /// # Errors
    /// `Invalid`; `AlreadyExists`.
    pub async fn user_create(&self, new: NewUser) -> Result<UserRecord, ServiceError> {
        let _changing = self.changing.lock().await;
        self.make(new).await
    }

    /// One user, by id or name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn user_get(&self, id: &str) -> Result<UserRecord, ServiceError> {
        self.find(id)
    }

    /// All users, by name.
    #[must_use]
    pub fn user_list(&self) -> Vec<UserRecord> {
        let mut users: Vec<UserRecord> = lock(&self.known).users.values().cloned().collect();
        users.sort_by_key(|user| user.name.to_ascii_lowercase());
        users
    }

    /// Change a user.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`; `Precondition` for the last administrator.
    pub async fn user_update(&self, id: &str, change: UserChange) -> Result<UserRecord, ServiceError> {
        self.apply(id, change, None).await
    }

    async fn apply(&self, id: &str, change: UserChange, keep: Option<SessionId>) -> Result<UserRecord, ServiceError> {
        let _changing = self.changing.lock().await;
        let before = self.find(id)?;
        let mut user = before.clone();
        user.role = change.role.unwrap_or(user.role);
        user.enabled = change.enabled.unwrap_or(user.enabled);
        user.quota = change.quota.unwrap_or(user.quota);
        if let Some(password) = change.password {
            check_password("password", &password).map_err(|wrong| ServiceError::Invalid(vec![wrong]))?;
            user.password_hash = password::hash(password).await?;
            user.password_changed_at = Moment::now();
        }
        let was_admin = before.enabled && before.role == Role::Admin;
        if was_admin && !(user.enabled && user.role == Role::Admin) && !self.other_admin(user.id) {
            return Err(last_admin());
        }
        let row = user.clone();
        self.keep(move |tx| tx.user_put(&row)).await?;
        lock(&self.known).users.insert(user.id, user.clone());
        let less = user.role < before.role || !user.enabled;
        if less || user.password_hash != before.password_hash {
            self.end_of_user(user.id, keep, less).await?;
        }
        Ok(user)
    }

    /// End a user's sessions but `keep`, and, where `less` may be done, what runs under its tokens.
    async fn end_of_user(&self, id: UserId, keep: Option<SessionId>, less: bool) -> Result<(), ServiceError> {
        let sessions: Vec<SessionId> = {
            let mut known = lock(&self.known);
            if less {
                for live in known.tokens.values_mut().filter(|live| live.record.user_id == id) {
                    std::mem::take(&mut live.ended).cancel();
                }
            }
            let own = known.sessions.values().filter(|live| live.record.user_id == id);
            own.map(|live| live.record.id).filter(|session| Some(*session) != keep).collect()
        };
        self.end_sessions(&sessions).await
    }

    /// Delete a user with its sessions and tokens.
    ///
    /// # Errors
    /// `NotFound`; `Precondition` for the last administrator.
    pub async fn user_delete(&self, id: &str) -> Result<(), ServiceError> {
        let _changing = self.changing.lock().await;
        let user = self.find(id)?;
        if user.enabled && user.role == Role::Admin && !self.other_admin(user.id) {
            return Err(last_admin());
        }
        let row = user.clone();
        self.keep(move |tx| tx.user_delete(&row)).await?;
        let mut known = lock(&self.known);
        known.users.remove(&user.id);
        known.tokens.retain(|_, live| {
            let stays = live.record.user_id != user.id;
            if !stays {
                live.ended.cancel();
            }
            stays
        });
        let own: Vec<SessionId> =
            known.sessions.values().filter(|live| live.record.user_id == user.id).map(|live| live.record.id).collect();
        for session in own {
            known.end_session(session);
        }
        Ok(())
    }

    /// Make an API token, and its secret, which is shown this once. `owner` empty: the caller.
    ///
    /// # Errors
    /// `Invalid`; `NotFound`; `Denied` for another's.
    pub async fn token_create(
        &self,
        caller: &Principal,
        name: String,
        role: Option<Role>,
        days: u32,
        owner: &str,
    ) -> Result<(TokenRecord, UserRecord, String), ServiceError> {
        let _changing = self.changing.lock().await;
        let mut wrong = Vec::new();
        if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
            wrong.push(Violation::new(
                "name",
                format!("must be 1-{NAME_MAX} characters, none of them control characters"),
            ));
        }
        if days > DAYS_MAX {
            wrong.push(Violation::new("days", format!("must be 1-{DAYS_MAX}, or 0 for {DAYS}; it is {days}")));
        }
        if !wrong.is_empty() {
            return Err(ServiceError::Invalid(wrong));
        }
        let user = match (&caller.who, owner) {
            (Who::User { id, .. }, "") => self.find(&id.to_string())?,
            (Who::LocalRoot | Who::Socket(_) | Who::Demo, "") => {
                return Err(ServiceError::invalid("user_id", format!("is required: {} is no user", caller.name())));
            }
            (_, owner) => {
                // Whoever may not hears the same of users that are and of users that are not.
                let own = caller
                    .user_id()
                    .is_some_and(|id| id.to_string() == owner || caller.name().eq_ignore_ascii_case(owner));
                if !own {
                    caller.may(Privilege::UserManage)?;
                }
                self.find(owner)?
            }
        };
        let (own, role) = {
            let known = lock(&self.known);
            let own = known.tokens.values().filter(|live| live.record.user_id == user.id).count();
            // A token that makes tokens makes none that may do more than it may.
            let most = if caller.user_id() == Some(user.id) { caller.role.min(user.role) } else { user.role };
            (own, role.unwrap_or(most).min(most))
        };
        if own >= TOKENS_MAX {
            return Err(ServiceError::Exhausted(format!("{} has {TOKENS_MAX} tokens, which is the most", user.name)));
        }
        let now = Moment::now();
        let text = secret::secret()?;
        let days = if days == 0 { DAYS } else { days };
        let token = TokenRecord {
            id: secret::short_id()?,
            user_id: user.id,
            name,
            role,
            secret_hash: secret::hash(&text),
            created_at: now,
            expires_at: now.plus_seconds(days * 24 * 3600),
            last_used_at: None,
        };
        let row = token.clone();
        self.keep(move |tx| tx.token_put(&row)).await?;
        let whole = format!("{TOKEN_PREFIX}{}_{text}", token.id);
        lock(&self.known).add_token(token.clone());
        Ok((token, user, whole))
    }

    /// A caller's own tokens, or, for who manages users, all; newest first, with their owners' names.
    #[must_use]
    pub fn token_list(&self, caller: &Principal) -> Vec<(TokenRecord, String)> {
        let known = lock(&self.known);
        let all = caller.may(Privilege::UserManage).is_ok();
        let mut found: Vec<(TokenRecord, String)> = known
            .tokens
            .values()
            .filter(|live| all || caller.user_id() == Some(live.record.user_id))
            .map(|live| {
                let owner = known.users.get(&live.record.user_id).map(|user| user.name.clone());
                (live.record.clone(), owner.unwrap_or_default())
            })
            .collect();
        found.sort_by_key(|(token, _)| std::cmp::Reverse((token.created_at, token.id.clone())));
        found
    }

    /// End a token at once.
    ///
    /// # Errors
    /// `NotFound`, also for one that is not the caller's to end.
    pub async fn token_revoke(&self, caller: &Principal, id: &str) -> Result<(), ServiceError> {
        let all = caller.may(Privilege::UserManage).is_ok();
        let owner = lock(&self.known).tokens.get(id).map(|live| live.record.user_id);
        if owner.is_none() || !(all || owner == caller.user_id()) {
            return Err(ServiceError::NotFound { what: "Token", id: clip(id, NAME_MAX) });
        }
        self.end_token(id).await
    }

    /// A caller's own sessions, or, for who manages users, all; newest first, with their users' names.
    #[must_use]
    pub fn session_list(&self, caller: &Principal) -> Vec<(SessionRecord, String)> {
        let known = lock(&self.known);
        let all = caller.may(Privilege::UserManage).is_ok();
        let mut found: Vec<(SessionRecord, String)> = known
            .sessions
            .values()
            .filter(|live| all || caller.user_id() == Some(live.record.user_id))
            .map(|live| {
                let owner = known.users.get(&live.record.user_id).map(|user| user.name.clone());
                (live.record.clone(), owner.unwrap_or_default())
            })
            .collect();
        found.sort_by_key(|(session, _)| std::cmp::Reverse((session.created_at, session.id)));
        found
    }

    /// End a session.
    ///
    /// # Errors
    /// `NotFound`, also for one that is not the caller's to end.
    pub async fn session_revoke(&self, caller: &Principal, id: &str) -> Result<(), ServiceError> {
        let no_session = || ServiceError::NotFound { what: "Session", id: clip(id, NAME_MAX) };
        let session: SessionId = id.parse().map_err(|_| no_session())?;
        let all = caller.may(Privilege::UserManage).is_ok();
        let owner = lock(&self.known).sessions.get(&session).map(|live| live.record.user_id);
        if owner.is_none() || !(all || owner == caller.user_id()) {
            return Err(no_session());
        }
        self.end_sessions(&[session]).await
    }

    /// A new set-up code.
    ///
    /// # Errors
    /// `Precondition` where there are users.
    pub fn set_up_code(&self) -> Result<SetUpCode, ServiceError> {
        if !self.set_up_needed() {
            return Err(ServiceError::Precondition {
                reason: "SET_UP",
                subject: String::new(),
                message: "this host has users already; another is made by: sudo quantixkvm user add NAME".to_owned(),
            });
        }
        self.setup.begin()
    }
}

fn no_session() -> ServiceError {
    ServiceError::Precondition {
        reason: "NO_SESSION",
        subject: String::new(),
        message: "this call comes without a session".to_owned(),
    }
}
