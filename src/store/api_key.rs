//! API keys in SQLite.
#[cfg(test)]
mod tests;

use super::{
    Rows, StoreError,
    change::{self, Change},
    listing::{self, Field, Holds, Listed},
    quota,
    table::{self, Columns, Noun, Table, moment},
    value::{Value, to_json},
};
use crate::{
    domain::{
        api_key::{ApiKey, KeyId, KeyTerms, SecretDigest},
        clock::Timestamp,
    },
    vault,
};
pub use listing::{count, page, place, window};

const COLUMNS: &str = "id, environment, name, subject, scopes, policy, created_at, expires_at, disabled, \
                       revoked_at, revoked_reason, rotated_at, previous_until, digest, previous_digest, \
                       pepper_version";

pub(super) static TABLE: Table = Table::new("api_key", COLUMNS, 1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Created,
    Expires,
    Subject,
    Name,
    Policy,
}
impl Sort {
    pub const ALL: [Self; 5] = [Self::Created, Self::Expires, Self::Subject, Self::Name, Self::Policy];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Expires => "expires",
            Self::Subject => "subject",
            Self::Name => "name",
            Self::Policy => "policy",
        }
    }
}

/// Which keys, in which order.
pub type Query = listing::Query<Sort>;

impl Listed for Sort {
    type Noun = ApiKey;
    type Id = KeyId;
    type Item = ApiKey;

    const FIELDS: &'static [Field] = &[
        Field::indexed("id", "id", Holds::Text),
        Field::indexed("name", "name", Holds::Text),
        Field::indexed("subject", "subject", Holds::Text),
        Field::indexed("policy", "policy", Holds::Text),
        Field::new("env", "environment", Holds::Text),
        Field::new("scope", "scopes", Holds::Scopes),
        Field::indexed("created", "created_at", Holds::Moment),
        Field::indexed("expires", "expires_at", Holds::MomentOrNever),
    ];

    /// The same as [`ApiKey::state`].
    const STATE: &'static str = "CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
        WHEN expires_at IS NOT NULL AND expires_at <= ? THEN 'expired'
        WHEN disabled THEN 'disabled' ELSE 'active' END";

    fn as_str(self) -> &'static str {
        Self::as_str(self)
    }

    fn item(_: &Rows<'_>, key: ApiKey, _: Timestamp) -> Result<ApiKey, StoreError> {
        Ok(key)
    }
}

pub fn find(c: &Rows<'_>, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    table::find(c, id.as_str())
}

/// How many keys are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub active: u64,
    pub disabled: u64,
    pub expired: u64,
    pub revoked: u64,
    /// Those active ones that expire before the moment asked about.
    pub ending: u64,
}

/// Counts all keys in one pass, which looks at no seal.
pub fn counts(c: &Rows<'_>, now: Timestamp, soon: Timestamp) -> Result<Counts, StoreError> {
    let sql = "SELECT count(*),
            coalesce(sum(revoked_at IS NOT NULL), 0),
            coalesce(sum(revoked_at IS NULL AND expires_at <= ?1), 0),
            coalesce(sum(revoked_at IS NULL AND disabled AND (expires_at IS NULL OR expires_at > ?1)), 0),
            coalesce(sum(revoked_at IS NULL AND NOT disabled AND expires_at > ?1 AND expires_at < ?2), 0)
         FROM api_key";
    let counted = c.one(sql, [now.millis(), soon.millis()], |row| {
        let number = |column: usize| row.get::<i64>(column).map(i64::unsigned_abs);
        let (all, revoked, expired, disabled) = (number(0)?, number(1)?, number(2)?, number(3)?);
        let active = all - revoked - expired - disabled;
        Ok(Counts { active, disabled, expired, revoked, ending: number(4)? })
    })?;
    Ok(counted.unwrap_or_default())
}

/// Calls `each` with every key, or with what is wrong with its row: the engine's first load.
pub fn each(c: &Rows<'_>, each: impl FnMut(Result<ApiKey, StoreError>)) -> Result<(), StoreError> {
    table::each(c, each)
}

/// The ids of rows that are damaged, as they stand there. Needs the vault.
pub fn damaged(c: &Rows<'_>) -> Result<Vec<String>, StoreError> {
    table::damaged::<ApiKey>(c)
}

/// Removes the key of this id if its row is still damaged, and its quota; `false` where it is not.
pub fn delete_damaged(c: &Rows<'_>, id: &str) -> Result<bool, StoreError> {
    let removed = table::delete_damaged::<ApiKey>(c, id)?;
    if removed {
        quota::close(c, id)?;
        // An id that is none was never told of as a key.
        change::append(c, &id.parse().map_or(Change::All, Change::Key))?;
    }
    Ok(removed)
}

pub fn insert(c: &Rows<'_>, key: &ApiKey) -> Result<(), StoreError> {
    table::insert(c, key)?;
    quota::open(c, key.id.as_str())?;
    change::append(c, &Change::Key(key.id))
}

/// Disables or enables a key; `false` where there is none.
pub fn set_disabled(c: &Rows<'_>, id: KeyId, disabled: bool) -> Result<bool, StoreError> {
    alter(c, id, |key| key.disabled = disabled)
}

/// Puts a key under other terms; `false` where there is none.
pub fn set_terms(c: &Rows<'_>, id: KeyId, terms: &KeyTerms) -> Result<bool, StoreError> {
    let KeyTerms { policy, scopes, name, expires_at } = terms.clone();
    alter(c, id, |key| {
        (key.policy, key.scopes, key.name, key.expires_at) = (policy, scopes, name, expires_at);
    })
}

/// Revokes a key for good; `false` where there is none. The first revocation's moment and reason
/// stay.
pub fn set_revoked(c: &Rows<'_>, id: KeyId, at: Timestamp, reason: &str) -> Result<bool, StoreError> {
    alter(c, id, |key| {
        if key.revoked_at.is_none() {
            key.revoked_at = Some(at);
            key.revoked_reason = reason.to_owned();
        }
    })
}

/// Gives a key a new secret; `false` where there is none. The old one is taken until
/// `previous_until`, or not at all.
pub fn set_rotated(
    c: &Rows<'_>,
    id: KeyId,
    digest: &SecretDigest,
    at: Timestamp,
    previous_until: Option<Timestamp>,
) -> Result<bool, StoreError> {
    alter(c, id, |key| {
        key.previous_digest = previous_until.map(|_| key.digest);
        key.previous_until = previous_until;
        key.digest = *digest;
        key.rotated_at = Some(at);
    })
}

fn alter(c: &Rows<'_>, id: KeyId, change: impl FnOnce(&mut ApiKey)) -> Result<bool, StoreError> {
    let altered = table::alter(c, id.as_str(), change)?;
    if altered {
        change::append(c, &Change::Key(id))?;
    }
    Ok(altered)
}

/// Removes a key and its quota; `false` where there is none.
pub fn delete(c: &Rows<'_>, id: KeyId) -> Result<bool, StoreError> {
    let removed = TABLE.delete(c, id.as_str())?;
    if removed {
        quota::close(c, id.as_str())?;
        change::append(c, &Change::Key(id))?;
    }
    Ok(removed)
}

impl Noun for ApiKey {
    const TABLE: &'static Table = &TABLE;

    fn values(&self) -> Result<Vec<Value>, StoreError> {
        Ok(vec![
            self.id.as_str().into(),
            self.environment.to_string().into(),
            self.name.clone().into(),
            self.subject.to_string().into(),
            to_json(&self.scopes)?.into(),
            self.policy.to_string().into(),
            self.created_at.millis().into(),
            moment(self.expires_at),
            self.disabled.into(),
            moment(self.revoked_at),
            self.revoked_reason.clone().into(),
            moment(self.rotated_at),
            moment(self.previous_until),
            self.digest.as_bytes().to_vec().into(),
            self.previous_digest.map(|digest| digest.as_bytes().to_vec()).into(),
            vault::VERSION.into(),
        ])
    }

    fn read(_: &Rows<'_>, row: &Columns<'_>) -> Result<Self, StoreError> {
        if row.get::<u32>(15)? != vault::VERSION {
            return Err(row.bad("its secret was digested under a pepper that this vault does not have"));
        }
        Ok(Self {
            id: row.parse(0)?,
            environment: row.parse(1)?,
            name: row.get(2)?,
            subject: row.parse(3)?,
            scopes: row.json(4)?,
            policy: row.parse(5)?,
            created_at: row.moment(6)?,
            expires_at: row.moment_if_any(7)?,
            disabled: row.get(8)?,
            revoked_at: row.moment_if_any(9)?,
            revoked_reason: row.get(10)?,
            rotated_at: row.moment_if_any(11)?,
            previous_until: row.moment_if_any(12)?,
            digest: SecretDigest::from_bytes(row.get(13)?),
            previous_digest: row.get::<Option<[u8; 32]>>(14)?.map(SecretDigest::from_bytes),
        })
    }
}
