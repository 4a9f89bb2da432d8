//! API keys in SQLite.
mod cursor;
mod filter;
#[cfg(test)]
mod tests;

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value};

use super::{
    Page, StoreError,
    feed::{self, Change},
    to_json,
};
use crate::{
    domain::{
        api_key::{ApiKey, KeyId, SecretDigest},
        clock::Timestamp,
        filter::Filter,
    },
    vault,
};
use cursor::Cursor;

const COLUMNS: &str = "id, environment, name, subject, scopes, policy, created_at, expires_at, disabled, \
                       revoked_at, revoked_reason, rotated_at, previous_until, digest, previous_digest";

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
    /// The column, which an index with the id covers.
    fn column(self) -> &'static str {
        match self {
            Self::Created => "created_at",
            Self::Expires => "expires_at",
            Self::Subject => "subject",
            Self::Name => "name",
            Self::Policy => "policy",
        }
    }
}

/// Which keys, in which order. Ties are broken by id; keys that never expire sort last by expiry,
/// and first where the order is descending.
#[derive(Clone, Debug)]
pub struct Query {
    pub filter: Filter,
    pub sort: Sort,
    pub descending: bool,
    pub now: Timestamp,
}

impl Query {
    fn order(&self) -> String {
        let column = self.sort.column();
        match self.descending {
            false => format!("{column} ASC NULLS LAST, id ASC"),
            true => format!("{column} DESC NULLS FIRST, id DESC"),
        }
    }
}

pub fn find(c: &Connection, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM api_key WHERE id = ?1"))?
        .query_row([id.as_str()], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

pub fn count(c: &Connection, q: &Query) -> Result<u64, StoreError> {
    let filter = filter::compile(&q.filter, q.now)?;
    let mut select = c.prepare_cached(&format!("SELECT count(*) FROM api_key WHERE {}", filter.sql))?;
    let count: i64 = select.query_row(params_from_iter(filter.values), |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Rows `offset..offset+limit` of the sorted list: what a table shows.
pub fn window(c: &Connection, q: &Query, offset: u64, limit: u32) -> Result<Vec<ApiKey>, StoreError> {
    let mut filter = filter::compile(&q.filter, q.now)?;
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    filter.values.extend([Value::from(i64::from(limit)), Value::from(offset)]);
    let sql =
        format!("SELECT {COLUMNS} FROM api_key WHERE {} ORDER BY {} LIMIT ? OFFSET ?", filter.sql, q.order());
    rows(c, &sql, filter.values)
}

/// A page by keyset cursor: what the CLI lists.
pub fn page(c: &Connection, q: &Query, after: Option<&str>, limit: u32) -> Result<Page<ApiKey>, StoreError> {
    let after = after.map(|text| Cursor::parse(text, q)).transpose()?;
    let filter = filter::compile(&q.filter, q.now)?;
    // One more than asked for, to know whether there is a next page.
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let mut items = Vec::new();
    for stretch in cursor::stretches(q, after.as_ref()) {
        let missing = i64::try_from(wanted - items.len()).unwrap_or(i64::MAX);
        let sql = format!(
            "SELECT {COLUMNS} FROM api_key WHERE {} AND {} ORDER BY {} LIMIT ?",
            filter.sql, stretch.sql, stretch.order
        );
        let values = filter.values.iter().cloned().chain(stretch.values).chain([Value::from(missing)]);
        items.extend(rows(c, &sql, values)?);
        if items.len() >= wanted {
            break;
        }
    }
    let more = items.len() >= wanted;
    items.truncate(wanted - 1);
    let next = items.last().filter(|_| more).map(|last| Cursor::after(last, q).to_text()).transpose()?;
    Ok(Page { items, next })
}

/// Calls `each` with every key: the engine's first load.
pub fn each(c: &Connection, mut each: impl FnMut(ApiKey)) -> Result<(), StoreError> {
    let mut select = c.prepare_cached(&format!("SELECT {COLUMNS} FROM api_key"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        each(read(row)?);
    }
    Ok(())
}

pub fn insert(c: &Connection, key: &ApiKey) -> Result<(), StoreError> {
    c.prepare_cached(&format!(
        "INSERT INTO api_key ({COLUMNS}, pepper_version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
    ))?
    .execute(params![
        key.id.as_str(),
        key.environment.as_str(),
        key.name,
        key.subject.as_str(),
        to_json(&key.scopes)?,
        key.policy.as_str(),
        key.created_at.millis(),
        key.expires_at.map(Timestamp::millis),
        key.disabled,
        key.revoked_at.map(Timestamp::millis),
        key.revoked_reason,
        key.rotated_at.map(Timestamp::millis),
        key.previous_until.map(Timestamp::millis),
        key.digest.as_bytes(),
        key.previous_digest.as_ref().map(SecretDigest::as_bytes),
        vault::VERSION,
    ])?;
    feed::append(c, &Change::Key(key.id))
}

/// Disables or enables a key; `false` where there is none.
pub fn set_disabled(c: &Connection, id: KeyId, disabled: bool) -> Result<bool, StoreError> {
    let changed = c
        .prepare_cached("UPDATE api_key SET disabled = ?2 WHERE id = ?1")?
        .execute(params![id.as_str(), disabled])?;
    told(c, id, changed)
}

/// Revokes a key for good; `false` where there is none. The first revocation's moment and reason
/// stay.
pub fn set_revoked(c: &Connection, id: KeyId, at: Timestamp, reason: &str) -> Result<bool, StoreError> {
    let changed = c
        .prepare_cached(
            "UPDATE api_key SET revoked_reason = iif(revoked_at IS NULL, ?3, revoked_reason),
                                revoked_at = coalesce(revoked_at, ?2)
             WHERE id = ?1",
        )?
        .execute(params![id.as_str(), at.millis(), reason])?;
    told(c, id, changed)
}

/// Gives a key a new secret; `false` where there is none. The old one is taken until
/// `previous_until`, or not at all.
pub fn set_rotated(
    c: &Connection,
    id: KeyId,
    digest: &SecretDigest,
    at: Timestamp,
    previous_until: Option<Timestamp>,
) -> Result<bool, StoreError> {
    let changed = c
        .prepare_cached(
            "UPDATE api_key SET previous_digest = iif(?4 IS NULL, NULL, digest), previous_until = ?4,
                                digest = ?2, rotated_at = ?3, pepper_version = ?5
             WHERE id = ?1",
        )?
        .execute(params![
            id.as_str(),
            digest.as_bytes(),
            at.millis(),
            previous_until.map(Timestamp::millis),
            vault::VERSION
        ])?;
    told(c, id, changed)
}

/// Removes a key; `false` where there is none.
pub fn delete(c: &Connection, id: KeyId) -> Result<bool, StoreError> {
    let changed = c.prepare_cached("DELETE FROM api_key WHERE id = ?1")?.execute([id.as_str()])?;
    told(c, id, changed)
}

fn told(c: &Connection, id: KeyId, changed: usize) -> Result<bool, StoreError> {
    if changed > 0 {
        feed::append(c, &Change::Key(id))?;
    }
    Ok(changed > 0)
}

fn rows(
    c: &Connection,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<ApiKey>, StoreError> {
    let mut select = c.prepare_cached(sql)?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(read(row)?);
    }
    Ok(keys)
}

fn read(row: &Row<'_>) -> Result<ApiKey, StoreError> {
    let id: &str = row.get_ref(0)?.as_str().map_err(|error| StoreError::row("api_key", "?", error))?;
    let bad = |why: &dyn std::fmt::Display| StoreError::row("api_key", id, why);
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(|error| bad(&error));
    let moment = |column: usize| -> Result<_, StoreError> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
    };
    Ok(ApiKey {
        id: id.parse().map_err(|error| bad(&error))?,
        environment: text(1)?.parse().map_err(|error| bad(&error))?,
        name: row.get(2)?,
        subject: text(3)?.parse().map_err(|error| bad(&error))?,
        scopes: serde_json::from_str(text(4)?).map_err(|error| bad(&error))?,
        policy: text(5)?.parse().map_err(|error| bad(&error))?,
        created_at: Timestamp::from_millis(row.get(6)?),
        expires_at: moment(7)?,
        disabled: row.get(8)?,
        revoked_at: moment(9)?,
        revoked_reason: row.get(10)?,
        rotated_at: moment(11)?,
        previous_until: moment(12)?,
        digest: SecretDigest::from_bytes(row.get(13)?),
        previous_digest: row.get::<_, Option<[u8; 32]>>(14)?.map(SecretDigest::from_bytes),
    })
}
