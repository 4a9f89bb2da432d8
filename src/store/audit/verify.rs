//! Verification of the audit chain, record by record as SQLite yields them.
//!
//! Needs the public key alone. It finds what was altered, removed, inserted or moved, and a tail
//! that was cut off where no signature stands on the new last record. A tail cut back to an
//! earlier commit shows only against a head that was kept elsewhere.

use std::ops::ControlFlow;

use crate::{
    domain::{
        act::Act,
        audit::{ChainKey, Hash, Record},
        clock::Timestamp,
    },
    store::{
        Rows, StoreError,
        event::{self, Purged},
        sqlite::Row,
        value::ValueRef,
    },
};

/// The first record that is not as it was written, and why that shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub seq: i64,
    pub reason: String,
}

/// A verification under way. Feed it with [`Verifier::step`] until that answers `Break`.
pub struct Verifier {
    key: Option<ChainKey>,
    now: Timestamp,
    /// A head that was kept elsewhere and is not met yet.
    sought: Option<Hash>,
    previous: Hash,
    records: u64,
    /// Whether the newest record seen carries a signature.
    signed: bool,
    /// Events that may be gone, by what was last read of the chain.
    purged: Purged,
}

impl Verifier {
    /// `key`: without one no signature is valid. `now` says which events may have been swept.
    pub fn new(key: Option<ChainKey>, now: Timestamp) -> Self {
        Self {
            key,
            now,
            sought: None,
            previous: Hash::GENESIS,
            records: 0,
            signed: false,
            purged: Purged::default(),
        }
    }

    /// Looks on its way for `head`, which was kept elsewhere: whatever led up to it is as it was then.
    #[must_use]
    pub fn seeking(mut self, head: Option<Hash>) -> Self {
        self.sought = head.filter(|head| *head != Hash::GENESIS);
        self
    }

    /// The head that was sought and not met so far.
    pub fn not_met(&self) -> Option<Hash> {
        self.sought
    }

    /// How many records were found good so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The hash of the last good record.
    pub fn head(&self) -> Hash {
        self.previous
    }

    /// Verifies up to `limit` further records, those of events against `usage` where it is given. Between two
    /// steps no read transaction is held, so that a long chain never holds up a checkpoint.
    /// `Break`: the end was reached (`None`), or the first fault was found.
    pub fn step(
        &mut self,
        c: &Rows<'_>,
        usage: Option<&Rows<'_>>,
        limit: u32,
    ) -> Result<ControlFlow<Option<Fault>>, StoreError> {
        let last = i64::try_from(self.records).unwrap_or(i64::MAX);
        let mut seen = 0;
        let fault = c.walk(
            "SELECT seq, at, actor, act, object, detail, hash, signature FROM audit
             WHERE (?1 = 0 OR seq > ?1) ORDER BY seq LIMIT ?2",
            (last, limit),
            |row| {
                let seq = row.get(0)?;
                seen += 1;
                Ok(match self.link(seq, row, c, usage)? {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(reason) => ControlFlow::Break(Fault { seq, reason }),
                })
            },
        )?;
        if fault.is_some() {
            return Ok(ControlFlow::Break(fault));
        }
        if seen == limit {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(ControlFlow::Break(self.unsigned_end()))
    }

    /// The last record must be signed: every commit ends with a signature.
    fn unsigned_end(&self) -> Option<Fault> {
        if self.records == 0 || self.signed {
            return None;
        }
        Some(Fault {
            seq: i64::try_from(self.records).unwrap_or(i64::MAX),
            reason: "the last record carries no signature: records after it were removed, or it was written without the vault".into(),
        })
    }

    fn link(
        &mut self,
        seq: i64,
        row: &Row<'_>,
        c: &Rows<'_>,
        usage: Option<&Rows<'_>>,
    ) -> Result<Result<(), String>, StoreError> {
        let expected = i64::try_from(self.records).unwrap_or(i64::MAX).saturating_add(1);
        if seq != expected {
            return Ok(Err(format!("record {expected} is missing: {seq} stands in its place")));
        }
        let record = match read(seq, row)? {
            Ok(record) => record,
            Err(reason) => return Ok(Err(reason)),
        };
        let Ok(hash) = record.link(self.previous) else {
            return Ok(Err("the record has no canonical form".into()));
        };
        if row.value(6) != ValueRef::Blob(&hash.0) {
            return Ok(Err("its hash does not follow from its contents and the record before it".into()));
        }
        let signature = match row.value(7) {
            ValueRef::Null => None,
            ValueRef::Blob(bytes) => Some(bytes),
            _ => return Ok(Err("its signature is not a signature".into())),
        };
        if let Some(signature) = signature
            && let Err(reason) = self.check_signature(&hash, signature)
        {
            return Ok(Err(reason));
        }
        if let Some(usage) = usage
            && let Err(reason) = self.check_events(&record, c, usage)?
        {
            return Ok(Err(reason));
        }
        self.sought.take_if(|sought| *sought == hash);
        self.previous = hash;
        self.signed = signature.is_some();
        self.records += 1;
        Ok(Ok(()))
    }

    fn check_signature(&self, hash: &Hash, signature: &[u8]) -> Result<(), String> {
        let Some(key) = &self.key else {
            return Err("it is signed, but there is no valid public key to verify that with".into());
        };
        if key.verifies(&hash.0, signature) {
            return Ok(());
        }
        Err(format!("its signature is not valid under the public key {}", key.fingerprint()))
    }

    /// The events that a record covers must still be those, as long as they are retained.
    fn check_events(
        &mut self,
        record: &Record,
        c: &Rows<'_>,
        usage: &Rows<'_>,
    ) -> Result<Result<(), String>, StoreError> {
        if record.act != Act::EventFlush.as_str() {
            return Ok(Ok(()));
        }
        let found = event::check(usage, &record.detail, self.purged, self.now)?;
        if found.is_ok() {
            return Ok(found);
        }
        // Perhaps they went with the word of the chain, and that stands further on, where it is verified in its turn.
        self.purged = event::purged(c)?;
        event::check(usage, &record.detail, self.purged, self.now)
    }
}

/// A record from its columns, or why they cannot be one that was written here.
fn read(seq: i64, row: &Row<'_>) -> Result<Result<Record, String>, StoreError> {
    let at = Timestamp::from_millis(row.get(1)?);
    if at.to_utc().timestamp_millis() != at.millis() {
        return Ok(Err("its time is not a time".into()));
    }
    let mut texts = [""; 4];
    for (text, column) in texts.iter_mut().zip(2..) {
        match row.text(column) {
            Ok(found) => *text = found,
            Err(_) => return Ok(Err("one of its texts is not UTF-8".into())),
        }
    }
    let [actor, act, object, detail] = texts;
    let Ok(value) = serde_json::from_str::<serde_json::Value>(detail) else {
        return Ok(Err("its detail is not JSON".into()));
    };
    if serde_jcs::to_string(&value).ok().as_deref() != Some(detail) {
        return Ok(Err("its detail is not in the form in which details are written".into()));
    }
    Ok(Ok(Record {
        seq,
        at,
        actor: actor.to_owned(),
        act: act.to_owned(),
        object: object.to_owned(),
        detail: value,
    }))
}
