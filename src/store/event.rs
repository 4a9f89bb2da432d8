//! Events in SQLite (`usage.db`), and the digest by which the audit chain covers them.
//!
//! What is appended at once is a *batch*. Its number is the moment of its newest event in milliseconds, or the next free
//! number after the batch before: numbers only grow, and one that a crash lost is not given again. A record of the chain
//! covers a *span*: all batches after those that the record before it covers. What is known of credentials and what
//! strangers did stand in batches of their own, with a span each, since the latter go first where room is wanted.

use std::time::Duration;

use super::{
    Rows, StoreError, audit,
    newest::newest,
    room::{Cut, Part},
    sqlite::Row,
    value::Value as Bound,
};
use crate::domain::{act::Act, clock::Timestamp, event::Event, text::counted};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How long events are kept.
pub const RETENTION: Duration = Duration::from_secs(90 * 86_400);
/// The [`super::room::mark`] of the batch that was given last.
const BATCH: &str = "batch";

/// Which events; all conditions must hold. Newest first.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub kind: Option<String>,
    pub credential: Option<String>,
    /// Empty: the home itself.
    pub issuer: Option<String>,
    pub subject: Option<String>,
    pub endpoint: Option<String>,
    pub address: Option<String>,
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// After this one in the list, by its number.
    pub before_seq: Option<i64>,
    pub limit: u32,
}

/// Whose events a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of credentials and ids that are known.
    Known,
    Strangers,
}

/// Some batches in a row, as they stand in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first batch and the last.
    pub first: i64,
    pub last: i64,
    pub events: u64,
    /// SHA-256 over the canonical forms (RFC 8785) of its events, each followed by a line feed; hex.
    pub digest: String,
}

/// What one record of the chain covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spans {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strangers: Option<Span>,
}

/// The newest record of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastRecord {
    /// The last batch that it covers; 0 where there is none.
    pub batch: i64,
    pub at: Option<Timestamp>,
}

/// Up to which batch events may be gone, since the chain says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    pub known: i64,
    pub strangers: i64,
}

const COLUMNS: &str = "seq, at, kind, credential, issuer, subject, endpoint, address, count, detail";

/// By their moments and not by their numbers: a gateway tells those that follow a first one when their minute is over, and
/// several gateways tell theirs as they come to it.
pub fn list(c: &Rows<'_>, q: &Query) -> Result<Vec<Event>, StoreError> {
    const AFTER: &str = "(at, seq) < (SELECT at, seq FROM event WHERE seq = ?)";
    let is_there = |seq: i64| c.exists("SELECT 1 FROM event WHERE seq = ?", [seq]);
    // Where it went meanwhile, those that were told before it are all that can follow.
    let after = match q.before_seq {
        Some(seq) if !is_there(seq)? => "seq < ?",
        _ => AFTER,
    };
    let [since, until] = [q.since, q.until].map(|at| at.map(Timestamp::millis));
    let text = |value: &Option<String>| value.clone().map(Bound::from);
    let conditions = [
        ("kind = ?", text(&q.kind)),
        ("credential = ?", text(&q.credential)),
        ("issuer = ?", text(&q.issuer)),
        ("subject = ?", text(&q.subject)),
        ("endpoint = ?", text(&q.endpoint)),
        ("address = ?", text(&q.address)),
        ("at >= ?", since.map(Bound::from)),
        ("at < ?", until.map(Bound::from)),
        (after, q.before_seq.map(Bound::from)),
    ];
    let select = format!("SELECT {COLUMNS} FROM event WHERE 1");
    newest(c, &select, conditions, "at DESC, seq DESC", q.limit, read)
}

/// Appends a batch of events and answers its number; the store gives their `seq`. Within a transaction.
pub fn append(c: &Rows<'_>, whose: Whose, events: &[Event]) -> Result<i64, StoreError> {
    let newest = events.iter().map(|event| event.at.millis()).max().unwrap_or_default();
    let number: i64 = c.get(
        "SELECT max(?1, 1 + max(coalesce((SELECT max(batch) FROM event), 0),
                                coalesce((SELECT value FROM mark WHERE name = ?2), 0)))",
        (newest, BATCH),
    )?;
    super::room::set_mark(c, BATCH, number)?;
    let sql = "INSERT INTO event (at, kind, credential, issuer, subject, endpoint, address, count, detail, batch, stranger)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    for event in events {
        let values = (
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
            whose == Whose::Strangers,
        );
        c.run(sql, values)?;
    }
    Ok(number)
}

impl Spans {
    /// How many events they hold.
    pub fn events(&self) -> u64 {
        self.all().map(|(_, span)| span.events).sum()
    }

    fn last(&self) -> i64 {
        self.all().map(|(_, span)| span.last).max().unwrap_or(0)
    }

    fn all(&self) -> impl Iterator<Item = (Whose, &Span)> {
        let known = self.known.iter().map(|span| (Whose::Known, span));
        known.chain(self.strangers.iter().map(|span| (Whose::Strangers, span)))
    }

    /// What a record covers, by its detail; also where it is from before spans, of a single batch. `None` where it is no
    /// such record.
    fn of(detail: &Value) -> Option<Self> {
        if let Some(batch) = detail.get("batch") {
            let batch = batch.as_i64()?;
            let span = Span {
                first: batch,
                last: batch,
                events: detail.get("events")?.as_u64()?,
                digest: detail.get("digest")?.as_str()?.to_owned(),
            };
            return Some(Self { known: Some(span), strangers: None });
        }
        let spans: Self = serde_json::from_value(detail.clone()).ok()?;
        (spans != Self::default()).then_some(spans)
    }
}

/// What no record up to the one that covers batch `after` covers.
pub fn unrecorded(c: &Rows<'_>, after: i64) -> Result<Spans, StoreError> {
    let find = |whose| {
        let found = span(c, whose, after.saturating_add(1), i64::MAX)?;
        Ok::<_, StoreError>((found.events > 0).then_some(found))
    };
    Ok(Spans { known: find(Whose::Known)?, strangers: find(Whose::Strangers)? })
}

/// The batches from `first` to `last` as they stand in the store now, with the numbers of those that are there.
fn span(c: &Rows<'_>, whose: Whose, first: i64, last: i64) -> Result<Span, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, batch FROM event WHERE batch BETWEEN ?1 AND ?2 AND stranger = ?3 ORDER BY seq"
    );
    let mut digest = Sha256::new();
    let (mut events, mut found) = (0, (first, first));
    c.each(&sql, (first, last, whose == Whose::Strangers), |row| {
        match read(row) {
            Ok(event) => absorb(&mut digest, &event)?,
            // Not what was written here: no digest may fit it.
            Err(_) => digest.update(b"\0"),
        }
        let batch = row.get(10)?;
        found = if events == 0 { (batch, batch) } else { (found.0.min(batch), found.1.max(batch)) };
        events += 1;
        Ok(())
    })?;
    Ok(Span { first: found.0, last: found.1, events, digest: hex::encode(digest.finalize()) })
}

/// The newest record of events in the chain.
pub fn last_record(c: &Rows<'_>) -> Result<LastRecord, StoreError> {
    let q = audit::Query {
        act: Some(Act::EventFlush.as_str().to_owned()),
        object: Some(String::new()),
        limit: 1,
        ..audit::Query::default()
    };
    let newest = audit::list(c, &q)?.pop();
    let spans = newest.as_ref().and_then(|entry| Spans::of(&entry.record.detail)).unwrap_or_default();
    Ok(LastRecord { batch: spans.last(), at: newest.map(|entry| entry.record.at) })
}

/// Records spans in the audit chain: with this, `verify` finds them again. Call it once they are committed to `usage.db`
/// and not before. `last` is the record they were found after; where another process has recorded meanwhile nothing is
/// done, and the answer is `false`.
pub fn record(
    c: &Rows<'_>,
    spans: &Spans,
    last: LastRecord,
    actor: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if last_record(c)? != last {
        return Ok(false);
    }
    let detail = serde_json::to_value(spans).map_err(audit::unwritable)?;
    audit::append(c, now, actor, Act::EventFlush, "", detail)?;
    Ok(true)
}

/// Records that events are about to go before they have had their time.
pub fn record_purge(c: &Rows<'_>, cut: Cut, actor: &str, now: Timestamp) -> Result<(), StoreError> {
    audit::append(c, now, actor, Act::EventPurge, "", purge_detail(cut))?;
    Ok(())
}

/// What the chain says of a purge.
pub fn purge_detail(cut: Cut) -> Value {
    json!({ "before": cut.before.millis(), "strangers": cut.part == Part::StrangerEvents })
}

/// What the chain says of events that are gone. Whether it may be believed is the chain's to show.
pub fn purged(c: &Rows<'_>) -> Result<Purged, StoreError> {
    let mut purged = Purged::default();
    let sql = "SELECT detail FROM audit WHERE object = '' AND act = ?1 ORDER BY seq";
    c.each(sql, [Act::EventPurge.as_str()], |row| {
        let detail: Value =
            row.text(0).ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if let Some(before) = detail.get("before").and_then(Value::as_i64) {
            let is_of_strangers = detail.get("strangers").and_then(Value::as_bool).unwrap_or(true);
            let mark = if is_of_strangers { &mut purged.strangers } else { &mut purged.known };
            *mark = before.max(*mark);
        }
        Ok(())
    })?;
    Ok(purged)
}

/// Holds what a record of the chain says against the events themselves, as long as they must be there; says what is wrong.
pub fn check(
    c: &Rows<'_>,
    detail: &Value,
    purged: Purged,
    now: Timestamp,
) -> Result<Result<(), String>, StoreError> {
    let Some(spans) = Spans::of(detail) else {
        return Ok(Err("it records a flush of events without the flush's batch, digest and number".into()));
    };
    let ended = now.minus(RETENTION).millis();
    for (whose, recorded) in spans.all() {
        let gone_before = match whose {
            Whose::Known => purged.known.max(ended),
            Whose::Strangers => purged.strangers.max(ended),
        };
        let found = span(c, whose, recorded.first, recorded.last)?;
        if found.events == recorded.events && found.digest == recorded.digest {
            continue;
        }
        let may_be_gone = recorded.first < gone_before;
        if may_be_gone && found.events < recorded.events {
            continue;
        }
        return Ok(Err(match found.events {
            0 => format!(
                "{} of its flush {} gone from usage.db: deleted, or lost in a power cut",
                counted(recorded.events, "event"),
                if recorded.events == 1 { "is" } else { "are" }
            ),
            _ => "the events of its flush in usage.db are not those that were recorded".into(),
        }));
    }
    Ok(Ok(()))
}

fn read(row: &Row<'_>) -> Result<Event, StoreError> {
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
