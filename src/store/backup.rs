//! A backup: one file that holds all of a home, each database as it was at one moment.
//!
//! ```text
//! portcullis-backup-1 <how it is sealed, or `open`>\n
//! <SHA-256 of the manifest, hex> <the manifest: JSON>\n<the parts, one after the other, as long as the manifest says>
//! ```
//!
//! All after the first line is sealed under a passphrase ([`vault::backup`](crate::vault::backup)), or, in a copy for an
//! auditor, which has no key of the vault, as it is. The databases are copied through SQLite while others use them.

mod incoming;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    domain::{
        audit::Hash,
        clock::Timestamp,
        pace::{Cancelled, Pace, Unit},
        secret::Secret,
    },
    store::{
        Rows, Store, StoreError, anchor, audit,
        error::io as failed,
        home::{ANCHOR, Home, STORE, USAGE, VAULT_KEY},
        modes, setting,
        sqlite::copy::{CopyError, Source},
        value::to_json,
        vault_entry,
    },
    vault::{
        VaultError,
        backup::{Lock, SealFault},
    },
};

pub use incoming::Incoming;

/// The first word of a backup.
const FORM: &str = "portcullis-backup-1";
/// What stands in place of a lock where nothing is sealed.
const OPEN: &str = "open";
/// No first line and no manifest of ours is longer.
const LONGEST_LINE: u64 = 16 * 1024;
/// What is read or written at a time.
const BUFFER: usize = 64 * 1024;

/// What a home may be made of, and nothing else: a name in a backup is never a path.
const PARTS: [&str; 4] = [STORE, USAGE, ANCHOR, VAULT_KEY];
/// What marks a home as an auditor's copy: the manifest that it was made from.
pub const MARK: &str = "auditor-copy.json";

/// What a backup holds, and of when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the portcullis that made it.
    pub version: String,
    pub taken_at: Timestamp,
    pub store_id: String,
    /// The last audit record in it, and its hash, hex.
    pub seq: i64,
    pub head: String,
    pub vault_key: VaultKey,
    parts: Vec<Part>,
}

impl Manifest {
    /// What is in the backup at `place`, and what is not, each in a sentence.
    pub fn told(&self, place: &str) -> [String; 2] {
        let key = match self.vault_key {
            VaultKey::Included => format!(
                "{place} holds the key of the vault, sealed under the passphrase: without that nobody can restore it"
            ),
            VaultKey::LeftOut => "the vault's key is not in it: an auditor can read it (restore it into a home of its own), and \
                                  no gateway can be run with it"
                .into(),
            VaultKey::Elsewhere => "the vault's key is not in it, since PORTCULLIS_MASTER_KEY_FILE names it elsewhere: keep a \
                                    copy of that file too"
                .into(),
        };
        let what = format!(
            "store {}, as it was at {}, up to audit record {}",
            self.store_id, self.taken_at, self.seq
        );
        [what, key]
    }

    /// Whether the store that `c` reads is the one that it tells of, as it was.
    pub fn fits(&self, c: &Rows<'_>) -> Result<bool, StoreError> {
        let (store_id, head) = facts(c)?;
        Ok((store_id, head) == (self.store_id.clone(), (self.seq, self.head.clone())))
    }
}

/// Where the key of the vault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultKey {
    /// In the backup.
    Included,
    /// Left out on purpose: a copy for an auditor.
    LeftOut,
    /// It was kept outside of the home, and was not touched.
    Elsewhere,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    name: String,
    size: u64,
    /// SHA-256, hex.
    digest: String,
}

/// Why a backup cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{0}")]
    NotOurs(&'static str),
    #[error("this backup cannot be opened: {0}")]
    Sealed(#[from] SealFault),
    #[error("this backup is damaged: {0}")]
    Damaged(String),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Where it is made, not in the home.
    #[error(
        "there is no room for the backup where it is made, which takes up to twice what the databases take; free some space \
         there, or name a file elsewhere"
    )]
    NoRoom,
    /// Of the file that is read or written.
    #[error("the backup cannot be read or written: {0}")]
    File(io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<VaultError> for BackupError {
    fn from(error: VaultError) -> Self {
        Self::Store(error.into())
    }
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> Self {
        let inner = error.get_ref();
        if let Some(fault) = inner.and_then(|inner| inner.downcast_ref::<SealFault>()) {
            return Self::Sealed(*fault);
        }
        if let Some(cancelled) = inner.and_then(|inner| inner.downcast_ref::<Cancelled>()) {
            return Self::Cancelled(*cancelled);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("its end is missing".into()),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom,
            _ => Self::File(error),
        }
    }
}

/// Who gets it.
pub enum Recipient<'a> {
    /// Whoever restores it, by its passphrase.
    Operator(&'a Secret),
    /// Whoever reads it: the vault's key is left out.
    Auditor,
}

impl From<CopyError> for BackupError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            CopyError::NoRoom => Self::NoRoom,
            CopyError::Store(error) => Self::Store(error),
        }
    }
}

impl Store {
    /// Writes a backup to `out`. `folder` takes the copies of the databases meanwhile, as large as they are. Blocks for as long
    /// as it takes to copy them; nobody else waits for it.
    pub fn back_up(
        &self,
        home: &Home,
        recipient: &Recipient<'_>,
        now: Timestamp,
        folder: &Path,
        mut out: impl Write,
        pace: &Pace,
    ) -> Result<Manifest, BackupError> {
        let vault_key = match recipient {
            Recipient::Auditor => VaultKey::LeftOut,
            Recipient::Operator(_) if home.master_key_file().is_some() => VaultKey::Elsewhere,
            Recipient::Operator(_) => VaultKey::Included,
        };
        // Before the databases: a store is never behind its anchor.
        let anchor = anchor::text(&anchor::file(&self.0.home))?;
        let [portcullis, usage] = self.moment()?;
        pace.expect(portcullis.size() + usage.size(), Unit::Bytes);
        portcullis.copy(&folder.join(STORE), pace)?;
        usage.copy(&folder.join(USAGE), pace)?;
        let mut parts = vec![Part::of(folder, STORE)?, Part::of(folder, USAGE)?];
        let mut small = Vec::new();
        small.extend(anchor.map(|text| (ANCHOR, Zeroizing::new(text.into_bytes()))));
        if vault_key == VaultKey::Included {
            small.push((VAULT_KEY, vault_entry::key_file(home)?));
        }
        parts.extend(small.iter().map(|(name, bytes)| Part::new(name, bytes)));
        let (store_id, (seq, head)) = facts(&portcullis.rows())?;
        let version = env!("CARGO_PKG_VERSION").into();
        let manifest = Manifest { version, taken_at: now, store_id, seq, head, vault_key, parts };
        let pour = |out: &mut dyn Write| -> Result<(), BackupError> {
            let text = to_json(&manifest)?;
            writeln!(out, "{} {text}", digest(text.as_bytes()))?;
            for name in [STORE, USAGE] {
                let copy = BufReader::with_capacity(BUFFER, File::open(folder.join(name))?);
                io::copy(&mut Paced { pace, inner: copy }, out)?;
            }
            for (_, bytes) in &small {
                out.write_all(bytes)?;
            }
            Ok(())
        };
        match recipient {
            Recipient::Auditor => {
                writeln!(out, "{FORM} {OPEN}")?;
                pour(&mut out)?;
            }
            Recipient::Operator(passphrase) => {
                let lock = Lock::generate()?;
                writeln!(out, "{FORM} {}", lock.to_text())?;
                let mut sealing = lock.seal(passphrase, &mut out)?;
                pour(&mut sealing)?;
                sealing.finish()?;
            }
        }
        out.flush()?;
        Ok(manifest)
    }

    /// Both databases as they are now, with nobody writing in between: what the chain says of events is there.
    fn moment(&self) -> Result<[Source; 2], StoreError> {
        let sources = [Source::open(&self.0.portcullis.database)?, Source::open(&self.0.usage.database)?];
        self.write(move |_| {
            sources.iter().try_for_each(Source::hold)?;
            Ok(sources)
        })
    }
}

/// The store's id, and the number and the hash of its last audit record.
fn facts(c: &Rows<'_>) -> Result<(String, (i64, String)), StoreError> {
    let (seq, hash) = audit::head(c)?.map_or((0, Hash::GENESIS), |entry| (entry.record.seq, entry.hash));
    Ok((setting::get(c, setting::STORE_ID)?.unwrap_or_default(), (seq, hash.to_hex())))
}

impl Part {
    fn new(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.into(), size: bytes.len() as u64, digest: digest(bytes) }
    }

    fn of(folder: &Path, name: &str) -> Result<Self, BackupError> {
        let mut hashing = Hashing { sha: Sha256::new(), inner: io::sink() };
        let size =
            io::copy(&mut BufReader::with_capacity(BUFFER, File::open(folder.join(name))?), &mut hashing)?;
        Ok(Self { name: name.into(), size, digest: hex::encode(hashing.sha.finalize()) })
    }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What is read until the work is cancelled.
struct Paced<'a, R> {
    pace: &'a Pace,
    inner: R,
}

impl<R: Read> Read for Paced<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pace.or_nothing().map_err(io::Error::other)?;
        self.inner.read(buffer)
    }
}

/// Hashes what passes.
struct Hashing<W> {
    sha: Sha256,
    inner: W,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.sha.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Marks `home` as an auditor's copy.
pub fn mark(home: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let path = home.join(MARK);
    let text = to_json(manifest)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(&path).and_then(|mut file| writeln!(file, "{text}"));
    written.map_err(|error| failed("write", &path, &error))
}

/// What the home at `home` was made from where it is an auditor's copy.
pub fn marked(home: &Path) -> Result<Option<Manifest>, StoreError> {
    let path = home.join(MARK);
    if !modes::check(&path, modes::Kind::File)? {
        return Ok(None);
    }
    let mut text = String::new();
    File::open(&path)
        .and_then(|file| file.take(LONGEST_LINE).read_to_string(&mut text))
        .map_err(|error| failed("read", &path, &error))?;
    Ok(serde_json::from_str(&text).ok())
}
