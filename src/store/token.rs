//! What is remembered of issued tokens, in SQLite. The tokens themselves are never kept.
mod cursor;
mod filter;
mod ground;
mod purge;
mod standing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value};

use super::{
    Rows, StoreError,
    page::{self, Damaged, Gathering, Page},
    quota,
    seal::Table,
    to_json,
};
use crate::domain::{
    api_key::KeyId,
    clock::Timestamp,
    filter::Filter,
    name::{Kid, PolicyName},
    revocation::Target,
    token::{Bound, IssuedToken, TokenId},
};
use cursor::Cursor;
pub(super) use ground::TABLE as GROUNDS;
pub use ground::{key as ground_key, live_beside};
pub use purge::{damaged, delete_damaged, purge, purge_beside};
pub use standing::{Refusal, Standing, standing, standing_then};

const COLUMNS: &str = "jti, subject, client, scopes, audience, policy, bound, max_uses, kid, algorithm, issued_at, \
                       expires_at, issued_by";

pub(super) static TABLE: Table = Table { name: "token", columns: COLUMNS, width: 13, key: 1 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Issued,
    Expires,
    Subject,
    Policy,
}
impl Sort {
    pub const ALL: [Self; 4] = [Self::Issued, Self::Expires, Self::Subject, Self::Policy];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Expires => "expires",
            Self::Subject => "subject",
            Self::Policy => "policy",
        }
    }
    /// The column, which an index with the id covers.
    fn column(self) -> &'static str {
        match self {
            Self::Issued => "issued_at",
            Self::Expires => "expires_at",
            Self::Subject => "subject",
            Self::Policy => "policy",
        }
    }
}

/// Which tokens, in which order. Ties are broken by id.
#[derive(Clone, Debug)]
pub struct Query {
    pub filter: Filter,
    pub sort: Sort,
    pub descending: bool,
    pub now: Timestamp,
}

impl Query {
    fn order(&self, backwards: bool) -> String {
        let direction = if self.descending != backwards { "DESC" } else { "ASC" };
        format!("{} {direction}, jti {direction}", self.sort.column())
    }
}

pub fn find(c: &Rows<'_>, jti: TokenId) -> Result<Option<IssuedToken>, StoreError> {
    c.prepare_cached(&format!("SELECT {COLUMNS}, mac FROM token WHERE jti = ?1"))?
        .query_row([jti.to_string()], |row| Ok(checked(c, row)))
        .optional()?
        .transpose()
}

pub fn count(c: &Connection, q: &Query) -> Result<u64, StoreError> {
    let filter = filter::compile(&q.filter, q.now)?;
    let mut select = c.prepare_cached(&format!("SELECT count(*) FROM token WHERE {}", filter.sql))?;
    let count: i64 = select.query_row(params_from_iter(filter.values), |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// How many of the issued tokens that have not ended by themselves are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub live: u64,
    pub expiring: u64,
    pub revoked: u64,
}

/// Counts the tokens whose end lies ahead, in one pass, which looks at no seal.
pub fn counts(c: &Connection, now: Timestamp) -> Result<Counts, StoreError> {
    let mut select = c.prepare_cached(&filter::states())?;
    let now = now.millis();
    Ok(select.query_row([now; filter::NOWS + 1], |row| {
        let number = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(Counts { live: number(0)?, expiring: number(1)?, revoked: number(2)? })
    })?)
}

/// How many tokens that the key signed have not ended by themselves, revoked ones among them.
pub fn unexpired_of(c: &Connection, kid: &Kid, now: Timestamp) -> Result<u64, StoreError> {
    let mut select = c.prepare_cached("SELECT count(*) FROM token WHERE kid = ?1 AND expires_at > ?2")?;
    let count: i64 = select.query_row(params![kid.as_str(), now.millis()], |row| row.get(0))?;
    Ok(count.unsigned_abs())
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
) -> Result<Vec<Result<Standing, Damaged>>, StoreError> {
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
        format!("SELECT {COLUMNS}, mac FROM token WHERE {} ORDER BY {order} LIMIT ? OFFSET ?", filter.sql);
    let mut select = c.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(filter.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let read = checked(c, row).and_then(|token| standing(c, token, q.now));
        found.push(page::in_its_place(row, read)?);
    }
    if backwards.is_some() {
        found.reverse();
    }
    Ok(found)
}

/// Where the token stands in the sorted list; `None` where it is not in it.
pub fn place(c: &Connection, q: &Query, jti: &str) -> Result<Option<u64>, StoreError> {
    let filter = filter::compile(&q.filter, q.now)?;
    page::place(c, &TABLE, filter, (q.sort.column(), q.descending), jti)
}

/// A page by keyset cursor: what the CLI lists. Where the vault is open, seals are checked.
pub fn page(c: &Rows<'_>, q: &Query, after: Option<&str>, limit: u32) -> Result<Page<Standing>, StoreError> {
    let mut condition = filter::compile(&q.filter, q.now)?;
    if let Some(after) = after {
        let then = if q.descending { "<" } else { ">" };
        let values = Cursor::parse(after, q)?.values();
        condition.push(&format!(" AND ({}, jti) {then} (?, ?)", q.sort.column()), values);
    }
    let sql = format!("SELECT {COLUMNS}, mac FROM token WHERE {} ORDER BY {}", condition.sql, q.order(false));
    let mut select = c.prepare_cached(&sql)?;
    let mut gathering = Gathering::new(limit);
    let mut rows = select.query(params_from_iter(condition.values))?;
    gathering.take(&mut rows, |row| standing(c, checked(c, row)?, q.now))?;
    gathering.page(|last| Cursor::after(&last.token, q).to_text())
}

/// How many tokens are live at `now` that a revocation of `target` would refuse, with what rests on them; of many no seal
/// is looked at.
pub fn live_of(c: &Rows<'_>, target: &Target, now: Timestamp) -> Result<u64, StoreError> {
    let (condition, values): (_, Vec<Value>) = match target {
        Target::Token { id } => {
            let id = id.to_string();
            (
                "jti = ? OR jti IN (SELECT jti FROM token_ground WHERE kind = 'token' AND object = ?)",
                vec![id.clone().into(), id.into()],
            )
        }
        Target::Subject { subject, cut } => {
            ("subject = ? AND issued_at <= ?", vec![subject.to_string().into(), cut.millis().into()])
        }
        Target::Key { issuer: None, kid } => (
            "kid = ? OR jti IN (SELECT jti FROM token_ground WHERE kid = ?)",
            vec![kid.to_string().into(), kid.to_string().into()],
        ),
        Target::IssuedBefore { issuer: None, moment } => (
            "issued_at < ? OR jti IN (SELECT jti FROM token_ground WHERE issued_at < ?)",
            vec![moment.millis().into(), moment.millis().into()],
        ),
        Target::Key { issuer: Some(_), .. } | Target::IssuedBefore { issuer: Some(_), .. } => return Ok(0),
    };
    live(c, condition, values, now)
}

/// How many tokens are live at `now` that rest on the key; no seal is looked at.
pub fn live_on(c: &Rows<'_>, key: KeyId, now: Timestamp) -> Result<u64, StoreError> {
    let condition = "jti IN (SELECT jti FROM token_ground WHERE kind = 'key' AND object = ?)";
    live(c, condition, vec![key.to_string().into()], now)
}

fn live(c: &Rows<'_>, condition: &str, mut values: Vec<Value>, now: Timestamp) -> Result<u64, StoreError> {
    values.extend(filter::nows(now));
    let mut select = c.prepare_cached(&filter::live(condition))?;
    let count: i64 = select.query_row(params_from_iter(values), |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Adds a token, and the quota that it shares with all tokens of its subject under its policy.
pub fn insert(c: &Rows<'_>, token: &IssuedToken) -> Result<(), StoreError> {
    c.prepare_cached(&format!(
        "INSERT INTO token ({COLUMNS}, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    ))?
    .execute(params_from_iter(sealed(c, token)?))?;
    ground::insert(c, token.jti, &token.rests_on)?;
    quota::open_shared(c, &quota::account_of_subject(&token.subject, &token.policy))
}

/// The limits that a token carries itself, ready to be judged by.
pub fn bound(token: &IssuedToken) -> Result<Option<Bound>, StoreError> {
    let read =
        |claim| Bound::read(claim).map_err(|bad| StoreError::row(TABLE.name, &token.jti.to_string(), bad));
    token.bound.as_ref().map(read).transpose()
}

/// How many tokens are under the policy and not expired, revoked ones among them.
pub fn live_under(c: &Connection, policy: &PolicyName, now: Timestamp) -> Result<u64, StoreError> {
    let mut select = c.prepare_cached("SELECT count(*) FROM token WHERE policy = ?1 AND expires_at > ?2")?;
    let count: i64 = select.query_row(params![policy.as_str(), now.millis()], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The longest life of what the key `kid` signed and is remembered; zero where there is none.
pub fn longest_life(c: &Connection, kid: &Kid) -> Result<Duration, StoreError> {
    let mut select =
        c.prepare_cached("SELECT coalesce(max(expires_at - issued_at), 0) FROM token WHERE kid = ?1")?;
    let millis: i64 = select.query_row([kid.as_str()], |row| row.get(0))?;
    Ok(Duration::from_millis(millis.unsigned_abs()))
}

/// The values of [`COLUMNS`], and the seal.
fn sealed(c: &Rows<'_>, token: &IssuedToken) -> Result<Vec<Value>, StoreError> {
    TABLE.seal(
        c,
        [
            token.jti.to_string().into(),
            token.subject.to_string().into(),
            token.client.clone().into(),
            to_json(&token.scopes)?.into(),
            to_json(&token.audience)?.into(),
            token.policy.to_string().into(),
            token.bound.as_ref().map(to_json).transpose()?.into(),
            token.max_uses.into(),
            token.kid.to_string().into(),
            token.algorithm.to_string().into(),
            token.issued_at.millis().into(),
            token.expires_at.millis().into(),
            token.issued_by.clone().into(),
        ],
    )
}

/// A row of [`COLUMNS`] and its seal.
fn checked(c: &Rows<'_>, row: &Row<'_>) -> Result<IssuedToken, StoreError> {
    TABLE.check(c, row, 0)?;
    read(c, row)
}

fn read(c: &Rows<'_>, row: &Row<'_>) -> Result<IssuedToken, StoreError> {
    let jti: &str = row.get_ref(0)?.as_str().map_err(|error| StoreError::row(TABLE.name, "?", error))?;
    let bad = |why: &dyn std::fmt::Display| StoreError::row(TABLE.name, jti, why);
    // What a column holds may be of the wrong kind where no seal was looked at.
    let wrong = |error: rusqlite::Error| bad(&error);
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(|error| bad(&error));
    let bound: Option<String> = row.get(6).map_err(wrong)?;
    let id = jti.parse().map_err(|error| bad(&error))?;
    Ok(IssuedToken {
        jti: id,
        rests_on: ground::of(c, id)?,
        subject: text(1)?.parse().map_err(|error| bad(&error))?,
        client: row.get(2).map_err(wrong)?,
        scopes: serde_json::from_str(text(3)?).map_err(|error| bad(&error))?,
        audience: serde_json::from_str(text(4)?).map_err(|error| bad(&error))?,
        policy: text(5)?.parse().map_err(|error| bad(&error))?,
        bound: bound.map(|json| serde_json::from_str(&json)).transpose().map_err(|error| bad(&error))?,
        max_uses: row.get(7).map_err(wrong)?,
        kid: text(8)?.parse().map_err(|error| bad(&error))?,
        algorithm: text(9)?.parse().map_err(|error| bad(&error))?,
        issued_at: Timestamp::from_millis(row.get(10).map_err(wrong)?),
        expires_at: Timestamp::from_millis(row.get(11).map_err(wrong)?),
        issued_by: row.get(12).map_err(wrong)?,
    })
}
