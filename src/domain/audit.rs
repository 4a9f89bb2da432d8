//! The audit chain: `hash = SHA-256(previous hash || canonical record)`, each committed head signed.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::clock::Timestamp;

mod key;
pub use key::ChainKey;

/// What is recorded of one act. The canonical form is its JCS bytes (RFC 8785).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counts from 1 without a gap.
    pub seq: i64,
    pub at: Timestamp,
    /// Who: `console:alice`, `cli:alice`, `gateway`.
    pub actor: String,
    /// An [`super::act::Act`].
    pub act: String,
    /// What it was done to: a key's id, a policy's name.
    pub object: String,
    /// What else an auditor wants: the reason given, the policy's revision, the batch's digest.
    /// Never a secret.
    pub detail: serde_json::Value,
}

/// A link of the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first record follows.
    pub const GENESIS: Self = Self([0; 32]);

    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// What [`Hash::to_hex`] wrote; `None` where it is anything else than 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl Record {
    /// The hash of this record after `previous`. Fails where `detail` has no canonical form.
    pub fn link(&self, previous: Hash) -> Result<Hash, serde_json::Error> {
        let canonical = serde_jcs::to_vec(self)?;
        let digest = Sha256::new().chain_update(previous.0).chain_update(canonical).finalize();
        Ok(Hash(digest.into()))
    }
}

#[cfg(test)]
mod tests;
