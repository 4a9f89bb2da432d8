//! The proof of an API key: the digest of its secret, compared in constant time.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Serialize, Serializer};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::form::KeySecret;
use crate::domain::clock::Timestamp;

/// What is stored of a secret: `HMAC-SHA256(pepper, secret)`. Compared in constant time.
#[derive(Clone, Copy)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Which of a key's secrets it is of.
    pub fn mark(&self) -> SecretMark {
        SecretMark(u64::from_be_bytes(self.0.first_chunk().copied().unwrap_or_default()))
    }

    /// Equality in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.words().ct_eq(&other.words()).into()
    }

    /// A barrier a byte would cost nearly as much as the digest; a barrier a word does not.
    fn words(&self) -> [u64; 4] {
        let (words, _) = self.0.as_chunks();
        std::array::from_fn(|index| words.get(index).map_or(0, |word| u64::from_ne_bytes(*word)))
    }
}

/// Tells the secrets of one key apart, those before and after a rotation: the first 64 bits of the digest, shown as 16
/// hexadecimal digits. It proves nothing, and says nothing of the secret to who does not have the pepper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretMark(u64);

/// A text that is no mark of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mark of a secret is 16 hexadecimal digits, in lower case")]
pub struct BadMark;

impl SecretMark {
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl fmt::Display for SecretMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SecretMark {
    type Err = BadMark;

    fn from_str(text: &str) -> Result<Self, BadMark> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(text, 16).ok().filter(|_| is_hex).map(Self).ok_or(BadMark)
    }
}

impl Serialize for SecretMark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

/// Whether `presented` is the digest `current`, or the one before the last rotation while its
/// grace lasts (`now` before the given moment). Two comparisons are made whether or not there is
/// a digest before, so that the time taken tells nothing of a key's rotations.
pub fn proves(
    presented: &SecretDigest,
    current: &SecretDigest,
    previous: Option<(&SecretDigest, Timestamp)>,
    now: Timestamp,
) -> bool {
    let (before, in_grace) = match previous {
        Some((digest, until)) => (digest, now < until),
        None => (current, false),
    };
    let is_current = presented.0.ct_eq(&current.0);
    let is_before = presented.0.ct_eq(&before.0) & Choice::from(u8::from(in_grace));
    (is_current | is_before).into()
}

/// The key under which secrets are digested. Kept in the vault, never beside the digests.
/// Holds the keyed HMAC state, which is cheaper to clone than to make.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    pub fn new(key: &[u8; 32]) -> Self {
        // HMAC pads a short key with zeros to one block (RFC 2104 §2); a whole block cannot be
        // of the wrong length.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(key);
        Self(Hmac::new((&*block).into()))
    }

    pub fn digest(&self, secret: &KeySecret) -> SecretDigest {
        let mut mac = self.0.clone();
        mac.update(secret.as_bytes());
        SecretDigest(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}
