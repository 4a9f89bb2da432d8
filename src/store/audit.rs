//! The audit chain in SQLite: append, sign the head, list, verify.
//!
//! Records are appended within the transaction of what they record, never changed and never
//! removed. A record's `detail` is stored in its canonical form (RFC 8785), so that even white
//! space cannot be altered unseen.

use super::{
    Rows, StoreError,
    newest::newest,
    sqlite::{BadColumn, Row},
    value::{Value as Bound, ValueRef, to_json},
};
use crate::domain::{
    act::Act,
    audit::{Hash, Record},
    clock::Timestamp,
    leak,
};
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
    c: &Rows<'_>,
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
    c.run(
        "INSERT INTO audit (seq, at, actor, act, object, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (record.seq, at.millis(), actor, act.as_str(), object, text, hash.0),
    )?;
    Ok(record.seq)
}

/// Signs the head where records came after the last signature: once for each commit, just before it.
/// What is signed is the 32 bytes of the last record's hash.
pub fn sign_head(c: &Rows<'_>, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<(), StoreError> {
    let sql = "SELECT seq, hash, signature IS NULL FROM audit ORDER BY seq DESC LIMIT 1";
    let last =
        c.one(sql, (), |row| Ok((row.get::<i64>(0)?, row.get::<[u8; 32]>(1)?, row.get::<bool>(2)?)))?;
    let Some((seq, hash, true)) = last else { return Ok(()) };
    c.run("UPDATE audit SET signature = ?2 WHERE seq = ?1", (seq, sign(&hash))).map(|_| ())
}

/// So many of the newest records are asked what time it was.
const TELLING: u32 = 256;

/// The latest moment that the newest records tell of, from record `since` on; `None` where there are none.
pub(super) fn latest_moment(c: &Rows<'_>, since: i64) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT max(at) FROM (SELECT at FROM audit WHERE seq >= ?1 ORDER BY seq DESC LIMIT ?2)";
    Ok(c.get::<Option<i64>>(sql, (since, TELLING))?.map(Timestamp::from_millis))
}

/// The newest record, or `None` where there is none yet.
pub fn head(c: &Rows<'_>) -> Result<Option<Entry>, StoreError> {
    Ok(list(c, &Query { limit: 1, ..Query::default() })?.pop())
}

pub fn list(c: &Rows<'_>, q: &Query) -> Result<Vec<Entry>, StoreError> {
    let [since, until] = [q.since, q.until].map(|at| at.map(Timestamp::millis));
    let not_acts = (!q.not_acts.is_empty()).then(|| to_json(&q.not_acts)).transpose()?;
    // Its user is a number as well, and whom sudo named: `cli:alice` finds `cli:alice (uid 1000)`, and so does `alice`.
    let of_actor = "? IN (actor, substr(actor, 1, instr(actor, ' (') - 1), \
                    substr(substr(actor, 1, instr(actor, ' (') - 1), instr(actor, ':') + 1))";
    let text = |value: &Option<String>| value.clone().map(Bound::from);
    let conditions = [
        (of_actor, text(&q.actor)),
        ("act = ?", text(&q.act)),
        ("act NOT IN (SELECT value FROM json_each(?))", text(&not_acts)),
        ("at >= ?", since.map(Bound::from)),
        ("at < ?", until.map(Bound::from)),
        ("object = ?", text(&q.object)),
        ("seq < ?", q.before_seq.map(Bound::from)),
    ];
    newest(
        c,
        "SELECT seq, at, actor, act, object, detail, hash, signature FROM audit WHERE 1",
        conditions,
        "seq DESC",
        q.limit,
        entry,
    )
}

fn tail(c: &Rows<'_>) -> Result<(i64, Hash), StoreError> {
    let sql = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
    let last = c.one(sql, (), |row| Ok((row.get(0)?, Hash(row.get(1)?))))?;
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

fn lossy(row: &Row<'_>, column: usize) -> Result<String, BadColumn> {
    match row.value(column) {
        ValueRef::Text(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        _ => row.get(column),
    }
}

/// A record of ours that JSON cannot express: a fault of the caller, seen as SQLite would say it.
pub(super) fn unwritable(error: serde_json::Error) -> StoreError {
    StoreError::Sqlite(error.to_string())
}
