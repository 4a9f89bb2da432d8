//! The audit chain in SQLite: append, sign the head, list, verify.
//!
//! Records are appended within the transaction of what they record, never changed and never
//! removed. A record's `detail` is stored in its canonical form (RFC 8785), so that even white
//! space cannot be altered unseen.

use super::{StoreError, newest::newest, to_json};
use crate::domain::{
    act::Act,
    audit::{Hash, Record},
    clock::Timestamp,
    leak,
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, types::ValueRef};
use serde_json::Value;

pub mod verify;

/// A record with its link and, where it was the head of a commit, the head's Ed25519 signature.
#[derive(Clone, Debug)]
pub struct Entry {
    pub record: Record,
    pub hash: Hash,
    pub signature: Option<Vec<u8>>,
}

/// What to list; all conditions must hold exactly. Newest first.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub actor: Option<String>,
    pub act: Option<String>,
    /// None of these.
    pub not_acts: Vec<&'static str>,
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    pub object: Option<String>,
    pub before_seq: Option<i64>,
    pub limit: u32,
}

/// Appends one record to the chain and returns its position. Call it in the transaction of what
/// it records: the two are committed together or not at all.
pub fn append(
    c: &Connection,
    at: Timestamp,
    actor: &str,
    act: Act,
    object: &str,
    mut detail: Value,
) -> Result<i64, StoreError> {
    let (last, previous) = tail(c)?;
    // A reason or a name that somebody typed may hold what must not be kept.
    leak::redact(&mut detail);
    let text = serde_jcs::to_string(&detail).map_err(unwritable)?;
    let record = Record {
        seq: last + 1,
        at,
        actor: actor.to_owned(),
        act: act.as_str().to_owned(),
        object: object.to_owned(),
        detail,
    };
    let hash = record.link(previous).map_err(unwritable)?;
    c.prepare_cached(
        "INSERT INTO audit (seq, at, actor, act, object, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((record.seq, at.millis(), actor, act.as_str(), object, text, hash.0))?;
    Ok(record.seq)
}

/// Signs the head where records came after the last signature: once for each commit, just before it.
/// What is signed is the 32 bytes of the last record's hash.
pub fn sign_head(c: &Connection, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<(), StoreError> {
    let unsigned: Option<(i64, [u8; 32], bool)> = c
        .prepare_cached("SELECT seq, hash, signature IS NULL FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((seq, hash, true)) = unsigned else { return Ok(()) };
    c.prepare_cached("UPDATE audit SET signature = ?2 WHERE seq = ?1")?.execute((seq, sign(&hash)))?;
    Ok(())
}

/// So many of the newest records are asked what time it was.
const TELLING: u32 = 256;

/// The latest moment that the newest records tell of, from record `since` on; `None` where there are none.
pub(super) fn latest_moment(c: &Connection, since: i64) -> Result<Option<Timestamp>, StoreError> {
    let mut select = c.prepare_cached(
        "SELECT max(at) FROM (SELECT at FROM audit WHERE seq >= ?1 ORDER BY seq DESC LIMIT ?2)",
    )?;
    let at: Option<i64> = select.query_row((since, TELLING), |row| row.get(0))?;
    Ok(at.map(Timestamp::from_millis))
}

/// The newest record, or `None` where there is none yet.
pub fn head(c: &Connection) -> Result<Option<Entry>, StoreError> {
    Ok(list(c, &Query { limit: 1, ..Query::default() })?.pop())
}

pub fn list(c: &Connection, q: &Query) -> Result<Vec<Entry>, StoreError> {
    let [since, until] = [q.since, q.until].map(|at| at.map(Timestamp::millis));
    let not_acts = (!q.not_acts.is_empty()).then(|| to_json(&q.not_acts)).transpose()?;
    // Its user is a number as well, and whom sudo named: `cli:alice` finds `cli:alice (uid 1000)`, and so does `alice`.
    let of_actor = "? IN (actor, substr(actor, 1, instr(actor, ' (') - 1), \
                    substr(substr(actor, 1, instr(actor, ' (') - 1), instr(actor, ':') + 1))";
    let conditions: [(&str, Option<&dyn ToSql>); 7] = [
        (of_actor, q.actor.as_ref().map(|v| v as _)),
        ("act = ?", q.act.as_ref().map(|v| v as _)),
        ("act NOT IN (SELECT value FROM json_each(?))", not_acts.as_ref().map(|v| v as _)),
        ("at >= ?", since.as_ref().map(|v| v as _)),
        ("at < ?", until.as_ref().map(|v| v as _)),
        ("object = ?", q.object.as_ref().map(|v| v as _)),
        ("seq < ?", q.before_seq.as_ref().map(|v| v as _)),
    ];
    newest(
        c,
        "SELECT seq, at, actor, act, object, detail, hash, signature FROM audit WHERE 1",
        &conditions,
        "seq DESC",
        q.limit,
        entry,
    )
}

fn tail(c: &Connection) -> Result<(i64, Hash), StoreError> {
    let last = c
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row((), |row| Ok((row.get(0)?, Hash(row.get(1)?))))
        .optional()?;
    Ok(last.unwrap_or((0, Hash::GENESIS)))
}

/// A record as it is listed. A detail that is no JSON any more is shown as the text that stands
/// there: judging it is `verify`'s part.
fn entry(row: &Row<'_>) -> Result<Entry, StoreError> {
    let text = lossy(row, 5)?;
    let record = Record {
        seq: row.get(0)?,
        at: Timestamp::from_millis(row.get(1)?),
        actor: lossy(row, 2)?,
        act: lossy(row, 3)?,
        object: lossy(row, 4)?,
        detail: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    };
    Ok(Entry { record, hash: Hash(row.get(6)?), signature: row.get(7)? })
}

fn lossy(row: &Row<'_>, column: usize) -> Result<String, StoreError> {
    match row.get_ref(column)? {
        ValueRef::Text(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        _ => Ok(row.get(column)?),
    }
}

/// A record of ours that JSON cannot express: a fault of the caller, seen as SQLite would say it.
pub(super) fn unwritable(error: serde_json::Error) -> StoreError {
    rusqlite::Error::ToSqlConversionFailure(error.into()).into()
}
