//! What a backup is sealed with: a passphrase, and the cipher that the vault's entries have.
//!
//! The key comes from the passphrase (Argon2id, a salt for each backup). The content is sealed in chunks, each under a random
//! nonce, with its place and whether it is the last as associated data (the STREAM construction, Hoang et al. 2015): none can
//! be altered, left out, moved, or cut off unnoticed, and nothing is believed before it is opened.

use std::io::{self, BufRead, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM_SIV, NONCE_LEN};
use zeroize::Zeroizing;

use super::{KeyFile, MasterKey, VaultError, envelope};
use crate::domain::secret::Secret;

/// What a chunk holds; the last may hold less.
const CHUNK: usize = 64 * 1024;

/// Why what was sealed does not open. Nothing of it can be had then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// Its first chunk does not open.
    #[error("the passphrase is not the one that it was sealed under, or it is damaged at its beginning")]
    Passphrase,
    /// A later one does not open: it was altered, or what came after it is gone.
    #[error("it is damaged, or its end is missing: what was sealed in it is not whole")]
    Damaged,
}

/// How to get the key of a sealed backup: the salt and the cost, in the form of a key file. Not secret.
#[derive(Clone, Debug)]
pub struct Lock(KeyFile);

impl Lock {
    /// A new one.
    pub fn generate() -> Result<Self, VaultError> {
        KeyFile::generate_for_passphrase().map(Self)
    }

    /// What [`Lock::to_text`] gave; `None` where it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        KeyFile::parse(text).filter(|file| matches!(file, KeyFile::Passphrase { .. })).map(Self)
    }

    /// One line, without its end.
    pub fn to_text(&self) -> String {
        self.0.to_text().trim_end().to_owned()
    }

    /// Seals what is written to the answer, and writes that to `out`. Takes a fraction of a second.
    pub fn seal<W: Write>(&self, passphrase: &Secret, out: W) -> Result<Sealing<W>, VaultError> {
        let key = self.0.master_key(Some(passphrase))?;
        Ok(Sealing { place: Place::first(self), key, chunk: Zeroizing::new(Vec::with_capacity(CHUNK)), out })
    }

    /// Opens what was sealed, as it is read from the answer. A reading that fails says why with a [`SealFault`].
    pub fn open<R: BufRead>(&self, passphrase: &Secret, source: R) -> Result<Opening<R>, VaultError> {
        let key = self.0.master_key(Some(passphrase))?;
        Ok(Opening {
            place: Place::first(self),
            key,
            chunk: Zeroizing::default(),
            read: 0,
            is_over: false,
            source,
        })
    }
}

/// Where a chunk stands: what it is bound to.
struct Place {
    lock: String,
    number: u64,
}

impl Place {
    fn first(lock: &Lock) -> Self {
        Self { lock: lock.to_text(), number: 0 }
    }

    /// Of the chunk that is next; each place is taken once.
    fn take(&mut self, is_last: bool) -> Vec<u8> {
        let context = format!("portcullis-backup-1\0{}\0{}\0{}", self.lock, self.number, u8::from(is_last));
        self.number += 1;
        context.into_bytes()
    }
}

/// Seals what is written to it. Only [`Sealing::finish`] makes it whole.
pub struct Sealing<W> {
    place: Place,
    key: MasterKey,
    chunk: Zeroizing<Vec<u8>>,
    out: W,
}

impl<W: Write> Sealing<W> {
    /// Seals the last chunk.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.out)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let context = self.place.take(is_last);
        let sealed = envelope::seal(self.key.bytes(), &context, &self.chunk).map_err(io::Error::other)?;
        self.chunk.clear();
        self.out.write_all(&sealed)
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Only when more comes: the last chunk may be a full one.
        if self.chunk.len() == CHUNK {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Opens what it reads.
pub struct Opening<R> {
    place: Place,
    key: MasterKey,
    chunk: Zeroizing<Vec<u8>>,
    /// How much of the chunk was read.
    read: usize,
    is_over: bool,
    source: R,
}

impl<R: BufRead> Opening<R> {
    fn next_chunk(&mut self) -> io::Result<()> {
        let most = (NONCE_LEN + CHUNK + AES_256_GCM_SIV.tag_len()) as u64;
        let mut sealed = Vec::new();
        self.source.by_ref().take(most).read_to_end(&mut sealed)?;
        self.is_over = self.source.fill_buf()?.is_empty();
        let is_first = self.place.number == 0;
        let context = self.place.take(self.is_over);
        let fault = if is_first { SealFault::Passphrase } else { SealFault::Damaged };
        self.chunk = envelope::open(self.key.bytes(), &context, &sealed)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        self.read = 0;
        Ok(())
    }
}

impl<R: BufRead> Read for Opening<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.read == self.chunk.len() {
            if self.is_over {
                return Ok(0);
            }
            self.next_chunk()?;
        }
        let given = bytes.len().min(self.chunk.len() - self.read);
        bytes[..given].copy_from_slice(&self.chunk[self.read..self.read + given]);
        self.read += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.into())
    }

    fn sealed(content: &[u8]) -> (Lock, Vec<u8>) {
        // As cheap as can be.
        let lock = Lock::parse("portcullis-vault-1-argon2id 64,1,1 c2FsdHNhbHRzYWx0c2FsdA==").unwrap();
        let mut sealing = lock.seal(&secret("right"), Vec::new()).unwrap();
        sealing.write_all(content).unwrap();
        (lock, sealing.finish().unwrap())
    }

    fn opened(lock: &Lock, passphrase: &str, sealed: &[u8]) -> Result<Vec<u8>, SealFault> {
        let mut content = Vec::new();
        match lock.open(&secret(passphrase), sealed).unwrap().read_to_end(&mut content) {
            Ok(_) => Ok(content),
            Err(error) => Err(*error.get_ref().unwrap().downcast_ref::<SealFault>().unwrap()),
        }
    }

    #[test]
    fn what_was_sealed_opens_with_its_passphrase_and_no_other() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let content: Vec<u8> = (0..length).map(|number| number.to_le_bytes()[0]).collect();
            let (lock, sealed) = sealed(&content);
            let lock = Lock::parse(&lock.to_text()).unwrap();
            assert!(opened(&lock, "right", &sealed).as_ref() == Ok(&content), "{length}");
            assert!(opened(&lock, "wrong", &sealed) == Err(SealFault::Passphrase), "{length}");
        }
    }

    #[test]
    fn what_is_altered_moved_or_cut_off_does_not_open() {
        let (lock, whole) = sealed(&vec![7; 3 * CHUNK]);
        let chunk = whole.len() / 3;
        let parts: Vec<&[u8]> = whole.chunks(chunk).collect();
        let altered = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        for (bytes, fault) in [
            (altered(0), SealFault::Passphrase),
            (altered(chunk + 20), SealFault::Damaged),
            (altered(whole.len() - 1), SealFault::Damaged),
            (parts[..2].concat(), SealFault::Damaged),
            (parts[..1].concat(), SealFault::Passphrase),
            (whole[..whole.len() - 1].to_vec(), SealFault::Damaged),
            ([parts[0], parts[2], parts[1]].concat(), SealFault::Damaged),
            ([parts[0], parts[2]].concat(), SealFault::Damaged),
            ([&whole[..], &[0]].concat(), SealFault::Damaged),
            (Vec::new(), SealFault::Passphrase),
        ] {
            assert!(opened(&lock, "right", &bytes) == Err(fault), "{fault:?} of {} bytes", bytes.len());
        }
        let other = Lock::parse("portcullis-vault-1-argon2id 64,1,1 b3RoZXIgc2FsdG90aGVyIA==").unwrap();
        assert!(opened(&other, "right", &whole) == Err(SealFault::Passphrase));
    }

    #[test]
    fn only_a_line_that_asks_for_a_passphrase_is_a_lock() {
        assert!(Lock::parse(&Lock::generate().unwrap().to_text()).is_some());
        assert!(Lock::parse(&KeyFile::generate().unwrap().to_text()).is_none());
        assert!(Lock::parse("").is_none());
    }
}
