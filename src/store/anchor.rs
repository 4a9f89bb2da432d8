//! The anchor: what the home remembers of its store outside the database, signed by the vault.
//!
//! Which store it has, the last head of the audit chain that was seen, the latest moment that was seen, and whom operators
//! stopped of late. A store that was lost, replaced or put back from an older copy does not fit it. It is written after
//! the commits that it tells of, and not with each: the store is always at or ahead of it, so that no crash makes a good
//! store look bad. Whoever puts back the whole home, anchor and all, is seen only by a head that was kept elsewhere.

mod keeper;

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Rows, StoreError, error::io, home::ANCHOR, modes, sealed_entry, setting, stops};
use crate::{
    domain::{
        audit::{ChainKey, Hash, Record},
        clock::Timestamp,
        stop::Stops,
    },
    vault::AuditSigner,
};

pub(super) use keeper::Keeper;

/// The first word of the file, and what its signature is over before the rest: nothing else that the key signs has it.
const FORM: &str = "portcullis-anchor-1";
/// No anchor of ours is longer, its first line included.
const LONGEST: usize = 8 * 1024 * 1024;
/// No first line is longer.
const LONGEST_HEAD: usize = 256;
/// How many acts that stopped somebody are remembered.
pub(super) const MOST_STOPS: usize = 1000;

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    pub store_id: String,
    /// The last head that was seen.
    pub seq: i64,
    /// Its hash, hex.
    pub hash: String,
    /// The latest moment that was seen.
    pub at: Timestamp,
    /// The last head when an operator had the home remember its store anew: what another process remembers from before that
    /// counts no longer.
    #[serde(default)]
    pub begun: i64,
    /// The records after this one that stopped somebody are all in `stops`.
    pub stops_after: i64,
    /// The newest of them, oldest first.
    pub stops: Vec<Record>,
}

/// Where a home has it.
pub fn file(home: &Path) -> PathBuf {
    home.join(ANCHOR)
}

/// What lies in a home, before its signature is looked at.
pub struct Found {
    path: PathBuf,
    signature: Vec<u8>,
    body: String,
}

impl Found {
    /// What it says, where `key` signed it. `None` for the key: nobody here can tell.
    pub fn open(&self, key: Option<&ChainKey>) -> Result<Anchor, StoreError> {
        let bad = || {
            StoreError::Astray(format!(
                "{} is damaged, or was not written by this home's vault",
                super::error::shown(&self.path)
            ))
        };
        if key.is_some_and(|key| !key.verifies(&signed(&self.body), &self.signature)) {
            return Err(bad());
        }
        serde_json::from_str(&self.body).map_err(|_| bad())
    }
}

/// Reads the anchor of the home at `home`; `None` where it has none.
pub fn read(home: &Path) -> Result<Option<Found>, StoreError> {
    read_file(&file(home))
}

/// Reads an anchor, wherever it lies.
pub fn read_file(path: &Path) -> Result<Option<Found>, StoreError> {
    let Some(text) = text(path)? else { return Ok(None) };
    let (head, body) = text.split_once('\n').unwrap_or_default();
    let signature = head.strip_prefix(FORM).and_then(|hex| hex::decode(hex.trim()).ok()).unwrap_or_default();
    Ok(Some(Found { path: path.to_owned(), signature, body: body.to_owned() }))
}

/// What stands in an anchor; `None` where there is no file.
pub(super) fn text(path: &Path) -> Result<Option<String>, StoreError> {
    if !modes::check(path, modes::Kind::File)? {
        return Ok(None);
    }
    let failed = |error: std::io::Error| io("read", path, &error);
    let mut text = String::new();
    let opened = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    opened.take(LONGEST as u64).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Puts `anchor` in the place of the one that there is, whole or not at all; without its oldest stops where it would be
/// longer than one that is read.
pub fn write(home: &Path, anchor: &Anchor, signer: &AuditSigner) -> Result<(), StoreError> {
    let mut body = super::to_json(anchor)?;
    if let Some(excess) = body.len().checked_sub(LONGEST - LONGEST_HEAD).filter(|excess| *excess > 0) {
        body = super::to_json(&shortened(anchor, excess)?)?;
    }
    let text = format!("{FORM} {}\n{body}", hex::encode(signer.sign(&signed(&body))));
    let (path, draft) = (file(home), home.join(format!("{ANCHOR}.new")));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&draft, &path))
        .map_err(|error| io("write", &path, &error))
}

/// `anchor` without as many of its oldest stops as are `excess` bytes long, or a few more: each may name a thousand keys.
fn shortened(anchor: &Anchor, excess: usize) -> Result<Anchor, StoreError> {
    let mut anchor = anchor.clone();
    // The moment up to which some are gone may become longer too.
    let (mut gone, mut freed) = (0, 0);
    while gone < anchor.stops.len() && freed < excess + LONGEST_HEAD {
        freed += super::to_json(&anchor.stops[gone])?.len();
        gone += 1;
    }
    forget(&mut anchor.stops, gone, &mut anchor.stops_after);
    Ok(anchor)
}

/// Forgets the oldest `gone` of `stops`, and remembers that from there on there are some.
fn forget(stops: &mut Vec<Record>, gone: usize, stops_after: &mut i64) {
    if let Some(last) = stops.drain(..gone).next_back() {
        *stops_after = last.seq;
    }
}

fn signed(body: &str) -> Vec<u8> {
    [FORM.as_bytes(), b"\n", body.as_bytes()].concat()
}

/// Held while an anchor is read and written anew: one process at a time.
pub(super) fn lock(home: &Path) -> Result<File, StoreError> {
    let folder = File::open(home).map_err(|error| io("open", home, &error))?;
    // Where a file system knows no locks two processes may overtake each other; the anchor is then behind for a while.
    let _ = folder.lock();
    Ok(folder)
}

/// Whether the store that `c` reads is the one that `found` remembers, and not an older copy of it. `key`: the public key
/// that must have signed the anchor.
pub fn check(c: &Rows<'_>, found: Option<&Found>, key: Option<&ChainKey>) -> Result<(), StoreError> {
    let Some(found) = found else {
        if sealed_entry::is_anchored(c)? {
            return Err(StoreError::Astray(
                "the anchor of this home is gone, by which an older copy of its store would be noticed"
                    .into(),
            ));
        }
        return Ok(());
    };
    let anchor = found.open(key)?;
    let store_id = setting::get(c, setting::STORE_ID)?.unwrap_or_default();
    if store_id != anchor.store_id {
        return Err(StoreError::Astray(format!(
            "the store in this home is not the one that it had: it is {store_id}, and that was {}",
            anchor.store_id
        )));
    }
    if contains(c, &anchor)? {
        return Ok(());
    }
    let newest: i64 = c.get("SELECT coalesce(max(seq), 0) FROM audit", ())?;
    Err(StoreError::Astray(if newest < anchor.seq {
        format!(
            "the store in this home is an older copy: its audit chain ends at record {newest}, and record {} was seen \
             in it",
            anchor.seq
        )
    } else {
        format!(
            "the store in this home was written anew: its record {} is not the one that was seen",
            anchor.seq
        )
    }))
}

fn contains(c: &Rows<'_>, anchor: &Anchor) -> Result<bool, StoreError> {
    if anchor.seq == 0 {
        return Ok(true);
    }
    let hash = c.one("SELECT hash FROM audit WHERE seq = ?1", [anchor.seq], |row| Ok(Hash(row.get(0)?)))?;
    Ok(hash.is_some_and(|hash| hash.to_hex() == anchor.hash))
}

/// What is to be remembered of the store that `c` reads, after `before`.
pub fn of(c: &Rows<'_>, before: Option<&Anchor>, at: Timestamp) -> Result<Anchor, StoreError> {
    let sql = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
    let head = c.one(sql, (), |row| Ok((row.get(0)?, Hash(row.get(1)?))))?;
    let (seq, hash) = head.unwrap_or((0, Hash::GENESIS));
    let (mut stops, mut stops_after) =
        before.map_or_else(Default::default, |anchor| (anchor.stops.clone(), anchor.stops_after));
    let mut bound = |stops: &mut Vec<Record>, most: usize| {
        if stops.len() > most {
            let gone = stops.len() - MOST_STOPS;
            forget(stops, gone, &mut stops_after);
        }
    };
    stops::each(c, before.map_or(0, |anchor| anchor.seq), Stops::OF_SOMEBODY, |record| {
        stops.push(record);
        // Not after each, which would move all of them each time.
        bound(&mut stops, 2 * MOST_STOPS);
    })?;
    bound(&mut stops, MOST_STOPS);
    Ok(Anchor {
        store_id: setting::get(c, setting::STORE_ID)?.unwrap_or_default(),
        seq,
        hash: hash.to_hex(),
        at: before.map_or(at, |anchor| anchor.at.max(at)),
        begun: before.map_or(seq, |anchor| anchor.begun),
        stops_after,
        stops,
    })
}
