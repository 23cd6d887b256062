//! The shapes of format 2's tables: users, tokens, sessions, the audit log. As in `stored`: field
//! order is the format.

use serde::{Deserialize, Serialize};

use super::codec::Record;
use super::error::StoreError;
use crate::model::access::{Quota, Role};
use crate::model::id::{SessionId, UserId};
use crate::model::user::{AuditEntry, SessionRecord, TokenRecord, UserRecord};
use crate::model::vm::Moment;

fn role_code(role: Role) -> u8 {
    match role {
        Role::Viewer => 1,
        Role::Operator => 2,
        Role::Admin => 3,
    }
}

fn role_of(code: u8) -> Result<Role, StoreError> {
    match code {
        1 => Ok(Role::Viewer),
        2 => Ok(Role::Operator),
        3 => Ok(Role::Admin),
        other => Err(StoreError::BadRow {
            table: "users",
            row: "Role".to_owned(),
            why: format!("{other} stands for nothing"),
        }),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct UserV1 {
    pub id: [u8; 16],
    pub name: String,
    pub role: u8,
    pub enabled: bool,
    pub password_hash: String,
    pub created_at: i64,
    pub password_changed_at: i64,
    pub last_login_at: Option<i64>,
    pub quota_vms: u32,
    pub quota_vcpus: u32,
    pub quota_memory_mib: u64,
    pub quota_disk_gib: u64,
}

impl Record for UserV1 {
    const VERSION: u8 = 1;
    const TABLE: &'static str = "users";
}

impl From<&UserRecord> for UserV1 {
    fn from(user: &UserRecord) -> Self {
        Self {
            id: *user.id.as_bytes(),
            name: user.name.clone(),
            role: role_code(user.role),
            enabled: user.enabled,
            password_hash: user.password_hash.clone(),
            created_at: user.created_at.0,
            password_changed_at: user.password_changed_at.0,
            last_login_at: user.last_login_at.map(|at| at.0),
            quota_vms: user.quota.vms,
            quota_vcpus: user.quota.vcpus,
            quota_memory_mib: user.quota.memory_mib,
            quota_disk_gib: user.quota.disk_gib,
        }
    }
}

impl TryFrom<UserV1> for UserRecord {
    type Error = StoreError;
    fn try_from(user: UserV1) -> Result<Self, StoreError> {
        Ok(Self {
            id: UserId::from_bytes(user.id),
            name: user.name,
            role: role_of(user.role)?,
            enabled: user.enabled,
            password_hash: user.password_hash,
            created_at: Moment(user.created_at),
            password_changed_at: Moment(user.password_changed_at),
            last_login_at: user.last_login_at.map(Moment),
            quota: Quota {
                vms: user.quota_vms,
                vcpus: user.quota_vcpus,
                memory_mib: user.quota_memory_mib,
                disk_gib: user.quota_disk_gib,
            },
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TokenV1 {
    pub id: String,
    pub user_id: [u8; 16],
    pub name: String,
    pub role: u8,
    pub secret_hash: [u8; 32],
    pub created_at: i64,
    pub expires_at: i64,
    pub last_used_at: Option<i64>,
}

impl Record for TokenV1 {
    const VERSION: u8 = 1;
    const TABLE: &'static str = "tokens";
}

impl From<&TokenRecord> for TokenV1 {
    fn from(token: &TokenRecord) -> Self {
        Self {
            id: token.id.clone(),
            user_id: *token.user_id.as_bytes(),
            name: token.name.clone(),
            role: role_code(token.role),
            secret_hash: token.secret_hash,
            created_at: token.created_at.0,
            expires_at: token.expires_at.0,
            last_used_at: token.last_used_at.map(|at| at.0),
        }
    }
}

impl TryFrom<TokenV1> for TokenRecord {
    type Error = StoreError;
    fn try_from(token: TokenV1) -> Result<Self, StoreError> {
        Ok(Self {
            id: token.id,
            user_id: UserId::from_bytes(token.user_id),
            name: token.name,
            role: role_of(token.role)?,
            secret_hash: token.secret_hash,
            created_at: Moment(token.created_at),
            expires_at: Moment(token.expires_at),
            last_used_at: token.last_used_at.map(Moment),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SessionV1 {
    pub id: [u8; 16],
    pub user_id: [u8; 16],
    pub secret_hash: [u8; 32],
    pub created_at: i64,
    pub last_used_at: i64,
    pub address: String,
    pub user_agent: String,
}

impl Record for SessionV1 {
    const VERSION: u8 = 1;
    const TABLE: &'static str = "sessions";
}

impl From<&SessionRecord> for SessionV1 {
    fn from(session: &SessionRecord) -> Self {
        Self {
            id: *session.id.as_bytes(),
            user_id: *session.user_id.as_bytes(),
            secret_hash: session.secret_hash,
            created_at: session.created_at.0,
            last_used_at: session.last_used_at.0,
            address: session.address.clone(),
            user_agent: session.user_agent.clone(),
        }
    }
}

impl From<SessionV1> for SessionRecord {
    fn from(session: SessionV1) -> Self {
        Self {
            id: SessionId::from_bytes(session.id),
            user_id: UserId::from_bytes(session.user_id),
            secret_hash: session.secret_hash,
            created_at: Moment(session.created_at),
            last_used_at: Moment(session.last_used_at),
            address: session.address,
            user_agent: session.user_agent,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AuditV1 {
    pub at: i64,
    pub user: String,
    pub via: String,
    pub address: String,
    pub method: String,
    pub resource: String,
    pub code: String,
    pub message: String,
    pub request_id: String,
}

impl Record for AuditV1 {
    const VERSION: u8 = 1;
    const TABLE: &'static str = "audit";
}

impl From<&AuditEntry> for AuditV1 {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            at: entry.at.0,
            user: entry.user.clone(),
            via: entry.via.clone(),
            address: entry.address.clone(),
            method: entry.method.clone(),
            resource: entry.resource.clone(),
            code: entry.code.clone(),
            message: entry.message.clone(),
            request_id: entry.request_id.clone(),
        }
    }
}

impl From<AuditV1> for AuditEntry {
    fn from(entry: AuditV1) -> Self {
        Self {
            at: Moment(entry.at),
            user: entry.user,
            via: entry.via,
            address: entry.address,
            method: entry.method,
            resource: entry.resource,
            code: entry.code,
            message: entry.message,
            request_id: entry.request_id,
        }
    }
}
