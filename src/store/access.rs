//! Users, their tokens and sessions. All of them are few and are held in memory by the service that
//! judges them; what is here is what survives it.

use redb::ReadableTable;

use super::codec::{Record, decode, encode};
use super::error::StoreError;
use super::stored_access::{SessionV1, TokenV1, UserV1};
use super::tables::{Rows, SESSIONS, TOKENS, USERS, USERS_BY_NAME};
use super::{Store, Transaction};
use crate::model::id::{SessionId, UserId};
use crate::model::user::{SessionRecord, TokenRecord, UserRecord};

/// The user's row in the index of names.
pub(super) fn name_key(user: &UserRecord) -> Vec<u8> {
    user.name.to_ascii_lowercase().into_bytes()
}

impl Store {
    fn all<R: Record, M: TryFrom<R>>(&self, table: Rows) -> Result<Vec<M>, StoreError>
    where
        StoreError: From<M::Error>,
    {
        let table = self.read()?.open_table(table)?;
        table.iter()?.map(|entry| Ok(M::try_from(decode::<R>(entry?.1.value(), "of a user")?)?)).collect()
    }

    /// Every user, by id.
    ///
    /// # Errors
    /// The store's.
    pub fn user_all(&self) -> Result<Vec<UserRecord>, StoreError> {
        self.all::<UserV1, _>(USERS)
    }

    /// Every API token, by id.
    ///
    /// # Errors
    /// The store's.
    pub fn token_all(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.all::<TokenV1, _>(TOKENS)
    }

    /// Every session, by id.
    ///
    /// # Errors
    /// The store's.
    pub fn session_all(&self) -> Result<Vec<SessionRecord>, StoreError> {
        self.all::<SessionV1, _>(SESSIONS)
    }
}

impl Transaction<'_> {
    /// Make or replace a user.
    ///
    /// # Errors
    /// `AlreadyExists` for a name that another has.
    pub fn user_put(&mut self, user: &UserRecord) -> Result<(), StoreError> {
        let mut rows = self.tx.open_table(USERS)?;
        let mut names = self.tx.open_table(USERS_BY_NAME)?;
        let id = user.id.as_bytes().as_slice();
        let name = name_key(user);
        if let Some(other) = names.get(name.as_slice())?.filter(|other| other.value() != id) {
            let by = other.value().try_into().map(UserId::from_bytes).map(|id| id.to_string()).unwrap_or_default();
            return Err(StoreError::AlreadyExists { what: format!("user \"{}\"", user.name), by });
        }
        let before = rows.get(id)?.map(|row| decode::<UserV1>(row.value(), user.id)).transpose()?;
        if let Some(before) = before {
            names.remove(name_key(&UserRecord::try_from(before)?).as_slice())?;
        }
        rows.insert(id, encode(&UserV1::from(user))?.as_slice())?;
        names.insert(name.as_slice(), id)?;
        Ok(())
    }

    /// Delete a user with its tokens and sessions.
    ///
    /// # Errors
    /// The store's.
    pub fn user_delete(&mut self, user: &UserRecord) -> Result<(), StoreError> {
        self.tx.open_table(USERS)?.remove(user.id.as_bytes().as_slice())?;
        self.tx.open_table(USERS_BY_NAME)?.remove(name_key(user).as_slice())?;
        let mut tokens = self.tx.open_table(TOKENS)?;
        let of_user =
            |bytes: &[u8]| decode::<TokenV1>(bytes, "of a token").is_ok_and(|it| it.user_id == *user.id.as_bytes());
        tokens.retain(|_, row| !of_user(row))?;
        let mut sessions = self.tx.open_table(SESSIONS)?;
        let of_user =
            |bytes: &[u8]| decode::<SessionV1>(bytes, "of a session").is_ok_and(|it| it.user_id == *user.id.as_bytes());
        sessions.retain(|_, row| !of_user(row))?;
        Ok(())
    }

    /// Make or replace a token.
    ///
    /// # Errors
    /// The store's.
    pub fn token_put(&mut self, token: &TokenRecord) -> Result<(), StoreError> {
        self.tx.open_table(TOKENS)?.insert(token.id.as_bytes(), encode(&TokenV1::from(token))?.as_slice())?;
        Ok(())
    }

    /// Replace a token that is still there: one that was revoked meanwhile does not come back.
    ///
    /// # Errors
    /// The store's.
    pub fn token_touch(&mut self, token: &TokenRecord) -> Result<(), StoreError> {
        let there = self.tx.open_table(TOKENS)?.get(token.id.as_bytes())?.is_some();
        if there { self.token_put(token) } else { Ok(()) }
    }

    /// Delete a token.
    ///
    /// # Errors
    /// The store's.
    pub fn token_delete(&mut self, id: &str) -> Result<(), StoreError> {
        self.tx.open_table(TOKENS)?.remove(id.as_bytes())?;
        Ok(())
    }

    /// Make or replace a session.
    ///
    /// # Errors
    /// The store's.
    pub fn session_put(&mut self, session: &SessionRecord) -> Result<(), StoreError> {
        let row = encode(&SessionV1::from(session))?;
        self.tx.open_table(SESSIONS)?.insert(session.id.as_bytes().as_slice(), row.as_slice())?;
        Ok(())
    }

    /// Replace a session that is still there: one that has ended meanwhile does not come back.
    ///
    /// # Errors
    /// The store's.
    pub fn session_touch(&mut self, session: &SessionRecord) -> Result<(), StoreError> {
        let there = self.tx.open_table(SESSIONS)?.get(session.id.as_bytes().as_slice())?.is_some();
        if there { self.session_put(session) } else { Ok(()) }
    }

    /// Delete a session.
    ///
    /// # Errors
    /// The store's.
    pub fn session_delete(&mut self, id: SessionId) -> Result<(), StoreError> {
        self.tx.open_table(SESSIONS)?.remove(id.as_bytes().as_slice())?;
        Ok(())
    }
}
