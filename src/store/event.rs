//! Events in SQLite (`usage.db`), and the digest by which the audit chain covers them.
//!
//! A flush is a *batch*. Its number is the moment of its newest event in milliseconds, or the
//! next free number after the batch before: numbers only grow, and one that a crash lost is not
//! given again.

use std::time::Duration;

use super::{StoreError, audit, newest::newest};
use crate::domain::{act::Act, clock::Timestamp, event::Event};
use rusqlite::{Connection, Row, ToSql};
use serde_json::json;
use sha2::{Digest, Sha256};

/// How long events are kept.
pub const RETENTION: Duration = Duration::from_secs(90 * 86_400);

/// Which events; all conditions must hold. Newest first.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub kind: Option<String>,
    pub credential: Option<String>,
    /// Empty: the home itself.
    pub issuer: Option<String>,
    pub subject: Option<String>,
    pub since: Option<Timestamp>,
    pub before_seq: Option<i64>,
    pub limit: u32,
}

/// One flush as it stands in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    pub number: i64,
    pub events: u64,
    /// SHA-256 over the canonical forms (RFC 8785) of its events, each followed by a line feed.
    pub digest: [u8; 32],
}

const COLUMNS: &str = "seq, at, kind, credential, issuer, subject, endpoint, address, count, detail";

pub fn list(c: &Connection, q: &Query) -> Result<Vec<Event>, StoreError> {
    let since = q.since.map(Timestamp::millis);
    let conditions: [(&str, Option<&dyn ToSql>); 6] = [
        ("kind = ?", q.kind.as_ref().map(|v| v as _)),
        ("credential = ?", q.credential.as_ref().map(|v| v as _)),
        ("issuer = ?", q.issuer.as_ref().map(|v| v as _)),
        ("subject = ?", q.subject.as_ref().map(|v| v as _)),
        ("at >= ?", since.as_ref().map(|v| v as _)),
        ("seq < ?", q.before_seq.as_ref().map(|v| v as _)),
    ];
    newest(c, &format!("SELECT {COLUMNS} FROM event WHERE 1"), &conditions, q.limit, |row| Ok(read(row)?))
}

/// Appends one flush of events; the store gives their `seq`. Within a transaction.
/// An empty flush writes nothing.
pub fn append(c: &Connection, events: &[Event]) -> Result<Batch, StoreError> {
    let newest = events.iter().map(|event| event.at.millis()).max().unwrap_or_default();
    let number: i64 = c
        .prepare_cached("SELECT max(?1, coalesce(max(batch) + 1, ?1)) FROM event")?
        .query_row([newest], |row| row.get(0))?;
    let mut insert = c.prepare_cached(
        "INSERT INTO event (at, kind, credential, issuer, subject, endpoint, address, count, detail, batch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let mut digest = Sha256::new();
    for event in events {
        insert.execute((
            event.at.millis(),
            &event.kind,
            &event.credential,
            &event.issuer,
            &event.subject,
            &event.endpoint,
            &event.address,
            event.count,
            &event.detail,
            number,
        ))?;
        absorb(&mut digest, &Event { seq: c.last_insert_rowid(), ..event.clone() })?;
    }
    Ok(Batch { number, events: events.len() as u64, digest: digest.finalize().into() })
}

/// Records a flush in the audit chain: with this, `verify` finds the batch again. Call it once the
/// batch is committed to `usage.db` and not before, so that a process that is killed between the
/// two leaves events without a record, never a record that nothing bears out.
pub fn record(c: &Connection, batch: &Batch, actor: &str, now: Timestamp) -> Result<(), StoreError> {
    let detail = json!({
        "batch": batch.number, "events": batch.events, "digest": hex::encode(batch.digest),
    });
    audit::append(c, now, actor, Act::EventFlush, "", detail)?;
    Ok(())
}

/// One flush as it stands in the store now; no events where it is not there (any more).
pub fn batch(c: &Connection, number: i64) -> Result<Batch, StoreError> {
    let mut statement =
        c.prepare_cached(&format!("SELECT {COLUMNS} FROM event WHERE batch = ?1 ORDER BY seq"))?;
    let mut rows = statement.query([number])?;
    let mut digest = Sha256::new();
    let mut events = 0;
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(event) => absorb(&mut digest, &event)?,
            // Not what was written here: no digest may fit it.
            Err(_) => digest.update(b"\0"),
        }
        events += 1;
    }
    Ok(Batch { number, events, digest: digest.finalize().into() })
}

/// Whether a batch of this number must still be there.
pub fn is_retained(batch: i64, now: Timestamp) -> bool {
    batch >= now.minus(RETENTION).millis()
}

/// Removes what is older than [`RETENTION`], by whole batches; returns how many events went.
pub fn sweep(c: &Connection, now: Timestamp) -> Result<usize, StoreError> {
    Ok(c.execute("DELETE FROM event WHERE batch < ?1", [now.minus(RETENTION).millis()])?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        seq: row.get(0)?,
        at: Timestamp::from_millis(row.get(1)?),
        kind: row.get(2)?,
        credential: row.get(3)?,
        issuer: row.get(4)?,
        subject: row.get(5)?,
        endpoint: row.get(6)?,
        address: row.get(7)?,
        count: row.get(8)?,
        detail: row.get(9)?,
    })
}

/// The issuer stands in the canonical form where it is not the home: batches from before there were issuers keep their
/// digests.
fn absorb(digest: &mut Sha256, event: &Event) -> Result<(), StoreError> {
    let mut form = serde_json::to_value(event).map_err(audit::unwritable)?;
    if let Some(members) = form.as_object_mut().filter(|_| event.issuer.is_empty()) {
        members.remove("issuer");
    }
    digest.update(serde_jcs::to_vec(&form).map_err(audit::unwritable)?);
    digest.update(b"\n");
    Ok(())
}

#[cfg(test)]
mod tests;
