//! API keys in SQLite.
mod cursor;
mod filter;
#[cfg(test)]
mod tests;

use rusqlite::{Connection, OptionalExtension, Row, params_from_iter, types::Value};

use super::{
    Rows, StoreError,
    feed::{self, Change},
    page::{self, Damaged, Gathering, Page},
    quota,
    seal::Table,
    to_json,
};
use crate::{
    domain::{
        api_key::{ApiKey, KeyId, KeyTerms, SecretDigest},
        clock::Timestamp,
        filter::Filter,
    },
    vault,
};
use cursor::Cursor;

const COLUMNS: &str = "id, environment, name, subject, scopes, policy, created_at, expires_at, disabled, \
                       revoked_at, revoked_reason, rotated_at, previous_until, digest, previous_digest, \
                       pepper_version";

pub(super) static TABLE: Table = Table { name: "api_key", columns: COLUMNS, width: 16, key: 1 };

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
    fn order(&self, backwards: bool) -> String {
        let column = self.sort.column();
        match self.descending != backwards {
            false => format!("{column} ASC NULLS LAST, id ASC"),
            true => format!("{column} DESC NULLS FIRST, id DESC"),
        }
    }
}

pub fn find(c: &Rows<'_>, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    c.prepare_cached(&format!("SELECT {COLUMNS}, mac FROM api_key WHERE id = ?1"))?
        .query_row([id.as_str()], |row| Ok(checked(c, row)))
        .optional()?
        .transpose()
}

pub fn count(c: &Connection, q: &Query) -> Result<u64, StoreError> {
    let filter = filter::compile(&q.filter, q.now)?;
    let mut select = c.prepare_cached(&format!("SELECT count(*) FROM api_key WHERE {}", filter.sql))?;
    let count: i64 = select.query_row(params_from_iter(filter.values), |row| row.get(0))?;
    Ok(count.unsigned_abs())
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

impl Counts {
    pub fn all(self) -> u64 {
        self.active + self.disabled + self.expired + self.revoked
    }
}

/// Counts all keys in one pass, which looks at no seal.
pub fn counts(c: &Connection, now: Timestamp, soon: Timestamp) -> Result<Counts, StoreError> {
    let mut select = c.prepare_cached(
        "SELECT count(*),
            coalesce(sum(revoked_at IS NOT NULL), 0),
            coalesce(sum(revoked_at IS NULL AND expires_at <= ?1), 0),
            coalesce(sum(revoked_at IS NULL AND disabled AND (expires_at IS NULL OR expires_at > ?1)), 0),
            coalesce(sum(revoked_at IS NULL AND NOT disabled AND expires_at > ?1 AND expires_at < ?2), 0)
         FROM api_key",
    )?;
    Ok(select.query_row([now.millis(), soon.millis()], |row| {
        let number = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
        let (all, revoked, expired, disabled) = (number(0)?, number(1)?, number(2)?, number(3)?);
        let active = all - revoked - expired - disabled;
        Ok(Counts { active, disabled, expired, revoked, ending: number(4)? })
    })?)
}

/// Rows `offset..offset+limit` of the sorted list: what a table shows. Where it is known that there are `total` of them,
/// rows of the second half are looked for from the end, so that the last are found as soon as the first. Where the vault is
/// open, seals are checked.
pub fn window(
    c: &Rows<'_>,
    q: &Query,
    offset: u64,
    limit: u32,
    total: Option<u64>,
) -> Result<Vec<Result<ApiKey, Damaged>>, StoreError> {
    let end = offset.saturating_add(limit.into());
    let backwards = total.filter(|total| (total / 2..*total).contains(&offset));
    let (skip, take) = match backwards {
        None => (offset, limit.into()),
        Some(total) => (total.saturating_sub(end), total.min(end) - offset),
    };
    let mut filter = filter::compile(&q.filter, q.now)?;
    let number = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    filter.values.extend([number(take), number(skip)]);
    let order = q.order(backwards.is_some());
    let sql =
        format!("SELECT {COLUMNS}, mac FROM api_key WHERE {} ORDER BY {order} LIMIT ? OFFSET ?", filter.sql);
    let mut select = c.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(filter.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(page::in_its_place(row, checked(c, row))?);
    }
    if backwards.is_some() {
        found.reverse();
    }
    Ok(found)
}

/// Where the key stands in the sorted list; `None` where it is not in it.
pub fn place(c: &Connection, q: &Query, id: &str) -> Result<Option<u64>, StoreError> {
    let filter = filter::compile(&q.filter, q.now)?;
    page::place(c, &TABLE, filter, (q.sort.column(), q.descending), id)
}

/// A page by keyset cursor: what the CLI lists. Where the vault is open, seals are checked.
pub fn page(c: &Rows<'_>, q: &Query, after: Option<&str>, limit: u32) -> Result<Page<ApiKey>, StoreError> {
    let after = after.map(|text| Cursor::parse(text, q)).transpose()?;
    let filter = filter::compile(&q.filter, q.now)?;
    let mut gathering = Gathering::new(limit);
    for stretch in cursor::stretches(q, after.as_ref()) {
        let sql = format!(
            "SELECT {COLUMNS}, mac FROM api_key WHERE {} AND {} ORDER BY {}",
            filter.sql, stretch.sql, stretch.order
        );
        let mut select = c.prepare_cached(&sql)?;
        let values = filter.values.iter().cloned().chain(stretch.values);
        gathering.take(&mut select.query(params_from_iter(values))?, |row| checked(c, row))?;
        if gathering.is_done() {
            break;
        }
    }
    gathering.page(|last| Cursor::after(last, q).to_text())
}

/// Calls `each` with every key, or with what is wrong with its row: the engine's first load.
pub fn each(c: &Rows<'_>, mut each: impl FnMut(Result<ApiKey, StoreError>)) -> Result<(), StoreError> {
    let mut select = c.prepare_cached(&format!("SELECT {COLUMNS}, mac FROM api_key"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        each(checked(c, row));
    }
    Ok(())
}

/// The ids of rows that are damaged, as they stand there. Needs the vault.
pub fn damaged(c: &Rows<'_>) -> Result<Vec<String>, StoreError> {
    TABLE.damaged_ids(c, checked)
}

/// Removes the key of this id if its row is still damaged, and its quota; `false` where it is not.
pub fn delete_damaged(c: &Rows<'_>, id: &str) -> Result<bool, StoreError> {
    if !TABLE.holds_damaged(c, id, checked)? {
        return Ok(false);
    }
    c.prepare_cached("DELETE FROM api_key WHERE id = ?1")?.execute([id])?;
    quota::close(c, id)?;
    // An id that is none was never told of as a key.
    feed::append(c, &id.parse().map_or(Change::All, Change::Key))?;
    Ok(true)
}

pub fn insert(c: &Rows<'_>, key: &ApiKey) -> Result<(), StoreError> {
    c.prepare_cached(&format!(
        "INSERT INTO api_key ({COLUMNS}, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    ))?
    .execute(params_from_iter(sealed(c, key)?))?;
    quota::open(c, key.id.as_str())?;
    feed::append(c, &Change::Key(key.id))
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

/// Writes a key anew with a change. Its seal is checked first, so that what was tampered with is never sealed.
fn alter(c: &Rows<'_>, id: KeyId, change: impl FnOnce(&mut ApiKey)) -> Result<bool, StoreError> {
    let Some(mut key) = find(c, id)? else { return Ok(false) };
    change(&mut key);
    c.prepare_cached(&format!(
        "UPDATE api_key SET ({COLUMNS}, mac) =
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) WHERE id = ?1"
    ))?
    .execute(params_from_iter(sealed(c, &key)?))?;
    feed::append(c, &Change::Key(id))?;
    Ok(true)
}

/// Removes a key and its quota; `false` where there is none.
pub fn delete(c: &Rows<'_>, id: KeyId) -> Result<bool, StoreError> {
    let changed = c.prepare_cached("DELETE FROM api_key WHERE id = ?1")?.execute([id.as_str()])?;
    if changed > 0 {
        quota::close(c, id.as_str())?;
        feed::append(c, &Change::Key(id))?;
    }
    Ok(changed > 0)
}

/// The values of [`COLUMNS`], and the seal.
fn sealed(c: &Rows<'_>, key: &ApiKey) -> Result<Vec<Value>, StoreError> {
    let moment = |moment: Option<Timestamp>| Value::from(moment.map(Timestamp::millis));
    TABLE.seal(
        c,
        [
            key.id.to_string().into(),
            key.environment.to_string().into(),
            key.name.clone().into(),
            key.subject.to_string().into(),
            to_json(&key.scopes)?.into(),
            key.policy.to_string().into(),
            key.created_at.millis().into(),
            moment(key.expires_at),
            key.disabled.into(),
            moment(key.revoked_at),
            key.revoked_reason.clone().into(),
            moment(key.rotated_at),
            moment(key.previous_until),
            key.digest.as_bytes().to_vec().into(),
            key.previous_digest.map(|digest| digest.as_bytes().to_vec()).into(),
            vault::VERSION.into(),
        ],
    )
}

/// A row of [`COLUMNS`] and its seal.
fn checked(c: &Rows<'_>, row: &Row<'_>) -> Result<ApiKey, StoreError> {
    TABLE.check(c, row, 0)?;
    read(row)
}

fn read(row: &Row<'_>) -> Result<ApiKey, StoreError> {
    let id: &str = row.get_ref(0)?.as_str().map_err(|error| StoreError::row(TABLE.name, "?", error))?;
    let bad = |why: &dyn std::fmt::Display| StoreError::row(TABLE.name, id, why);
    if row.get::<_, u32>(15)? != vault::VERSION {
        return Err(bad(&"its secret was digested under a pepper that this vault does not have"));
    }
    // What a column holds may be of the wrong kind where no seal was looked at.
    let wrong = |error: rusqlite::Error| bad(&error);
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(|error| bad(&error));
    let moment = |column: usize| -> Result<_, StoreError> {
        Ok(row.get::<_, Option<i64>>(column).map_err(wrong)?.map(Timestamp::from_millis))
    };
    Ok(ApiKey {
        id: id.parse().map_err(|error| bad(&error))?,
        environment: text(1)?.parse().map_err(|error| bad(&error))?,
        name: row.get(2).map_err(wrong)?,
        subject: text(3)?.parse().map_err(|error| bad(&error))?,
        scopes: serde_json::from_str(text(4)?).map_err(|error| bad(&error))?,
        policy: text(5)?.parse().map_err(|error| bad(&error))?,
        created_at: Timestamp::from_millis(row.get(6).map_err(wrong)?),
        expires_at: moment(7)?,
        disabled: row.get(8).map_err(wrong)?,
        revoked_at: moment(9)?,
        revoked_reason: row.get(10).map_err(wrong)?,
        rotated_at: moment(11)?,
        previous_until: moment(12)?,
        digest: SecretDigest::from_bytes(row.get(13).map_err(wrong)?),
        previous_digest: row.get::<_, Option<[u8; 32]>>(14).map_err(wrong)?.map(SecretDigest::from_bytes),
    })
}
