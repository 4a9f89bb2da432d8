//! A backup that is read: its first line, then all of it, into a folder that is the caller's to throw away.

use std::{
    fs::OpenOptions,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{
    BUFFER, BackupError, FORM, Hashing, LONGEST_LINE, Manifest, OPEN, PARTS, Part, STORE, USAGE, VAULT_KEY,
    VaultKey, digest,
};
use crate::{
    domain::{
        pace::{Pace, Unit},
        secret::Secret,
    },
    store::error::io as failed,
    vault::backup::{Lock, SealFault},
};

/// A backup that is read: its first line, and what is to come.
pub struct Incoming<R> {
    lock: Option<Lock>,
    source: R,
}

impl<R: BufRead> Incoming<R> {
    /// Reads the first line. An error where it is no backup.
    pub fn new(mut source: R) -> Result<Self, BackupError> {
        const STRANGER: BackupError = BackupError::NotOurs("it is not a backup of portcullis");
        let line = line(&mut source)?.ok_or(STRANGER)?;
        let (form, how) = line.split_once(' ').ok_or(STRANGER)?;
        if form != FORM {
            return Err(match form.strip_prefix("portcullis-backup-") {
                Some(_) => BackupError::NotOurs(
                    "it is a backup of a newer portcullis; restore it with the portcullis that made it, or a newer one",
                ),
                None => STRANGER,
            });
        }
        let lock = (how != OPEN).then(|| {
            Lock::parse(how)
                .ok_or_else(|| BackupError::Damaged("its first line does not say how it is sealed".into()))
        });
        Ok(Self { lock: lock.transpose()?, source })
    }

    /// Whether a passphrase is needed.
    pub fn is_sealed(&self) -> bool {
        self.lock.is_some()
    }

    /// Refuses what is not sealed where a passphrase is given, or where it is no auditor's copy: whoever wrote it knew none.
    /// Reads the manifest, then `looked_at`, then writes every part to `folder`. None is left half-written there, but some may
    /// be written where a later one is damaged: the folder is the caller's to throw away.
    pub fn unpack(
        self,
        passphrase: Option<&Secret>,
        folder: &Path,
        looked_at: impl FnOnce(&Manifest) -> Result<(), BackupError>,
        pace: &Pace,
    ) -> Result<Manifest, BackupError> {
        match (&self.lock, passphrase) {
            (None, Some(_)) => Err(BackupError::NotOurs(
                "it is not sealed: anybody could have written it, and no passphrase opens it; an auditor's copy is restored \
                 without one",
            )),
            (None, None) => {
                let is_unsealed = |manifest: &Manifest| match manifest.vault_key {
                    VaultKey::LeftOut => looked_at(manifest),
                    VaultKey::Included | VaultKey::Elsewhere => Err(BackupError::NotOurs(
                        "it was forged or altered: it is not sealed, and it is not an auditor's copy; every other backup is sealed",
                    )),
                };
                unpack(self.source, folder, is_unsealed, pace)
            }
            (Some(_), None) => Err(SealFault::Passphrase.into()),
            (Some(lock), Some(passphrase)) => {
                let opening = lock.open(passphrase, self.source)?;
                unpack(BufReader::with_capacity(BUFFER, opening), folder, looked_at, pace)
            }
        }
    }
}

/// One line, without its end; `None` where what comes is no line of ours.
fn line(source: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    source.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    Ok(line.pop().filter(|last| *last == b'\n').and_then(|_| String::from_utf8(line).ok()))
}

fn unpack(
    mut source: impl BufRead,
    folder: &Path,
    looked_at: impl FnOnce(&Manifest) -> Result<(), BackupError>,
    pace: &Pace,
) -> Result<Manifest, BackupError> {
    let damaged = |why: &str| BackupError::Damaged(why.to_owned());
    let line = line(&mut source)?.unwrap_or_default();
    let manifest: Manifest = line
        .split_once(' ')
        .filter(|(noted, text)| *noted == digest(text.as_bytes()))
        .and_then(|(_, text)| serde_json::from_str(text).ok())
        .ok_or_else(|| damaged("it does not say what is in it"))?;
    let is_known = |part: &Part| PARTS.contains(&part.name.as_str());
    let names = || manifest.parts.iter().map(|part| part.name.as_str());
    let is_twice = |name: &str| names().filter(|other| *other == name).count() > 1;
    if !manifest.parts.iter().all(is_known) || names().any(is_twice) {
        return Err(damaged("it names parts that no home has"));
    }
    let wants_key = manifest.vault_key == VaultKey::Included;
    if [STORE, USAGE].iter().any(|name| !names().any(|other| other == *name))
        || wants_key != names().any(|name| name == VAULT_KEY)
    {
        return Err(damaged("a part of it is missing"));
    }
    looked_at(&manifest)?;
    let all = manifest.parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.size));
    pace.expect(all, Unit::Bytes);
    for part in &manifest.parts {
        let path = folder.join(&part.name);
        let at_home = |error: io::Error| BackupError::Store(failed("write", &path, &error));
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(at_home)?;
        let mut hashing = Hashing { sha: Sha256::new(), inner: file };
        let mut left = part.size;
        while left > 0 {
            // In two steps, so that it is known which of both failed.
            let found = source.fill_buf()?;
            if found.is_empty() {
                return Err(damaged("its end is missing"));
            }
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(found.len());
            hashing.write_all(&found[..taken]).map_err(at_home)?;
            source.consume(taken);
            left -= taken as u64;
            pace.step(taken as u64);
            pace.or_nothing()?;
        }
        hashing.inner.sync_all().map_err(at_home)?;
        if hex::encode(hashing.sha.finalize()) != part.digest {
            return Err(damaged(&format!("its part {} is not as it was", part.name)));
        }
    }
    if !source.fill_buf()?.is_empty() {
        return Err(damaged("there is more in it than it says"));
    }
    Ok(manifest)
}
