//! Tokens whose signature was verified, by the SHA-256 of their text. Bounded: verifying again costs a fraction of a
//! millisecond, remembering without end costs everything.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::entry::Entry;
use crate::domain::{clock::Timestamp, token::MOST_SKEW};
use crate::engine::lock;

const SHARDS: usize = 16;
/// 16 × 512 = 8 192 tokens.
const SHARD_CAPACITY: usize = 512;

type Shard = Mutex<HashMap<[u8; 32], Arc<Entry>, foldhash::fast::RandomState>>;

#[derive(Debug, Default)]
pub(in crate::engine) struct Cache([Shard; SHARDS]);

impl Cache {
    fn shard(&self, digest: &[u8; 32]) -> &Shard {
        &self.0[usize::from(digest[0]) % SHARDS]
    }

    pub(super) fn find(&self, digest: &[u8; 32]) -> Option<Arc<Entry>> {
        lock(self.shard(digest)).get(digest).cloned()
    }

    pub(super) fn forget(&self, digest: &[u8; 32]) {
        lock(self.shard(digest)).remove(digest);
    }

    /// Remembers a token. In a full shard those that are over go, then some others: which ones is a matter of chance, so
    /// that nobody can choose.
    pub(super) fn keep(&self, digest: [u8; 32], entry: Arc<Entry>, now: Timestamp) {
        let mut shard = lock(self.shard(&digest));
        if shard.len() >= SHARD_CAPACITY {
            shard.retain(|_, entry| now.minus(MOST_SKEW) < entry.verified.claims.expires_at);
        }
        if shard.len() >= SHARD_CAPACITY {
            let some: Vec<_> = shard.keys().take(SHARD_CAPACITY / 8).copied().collect();
            some.iter().for_each(|digest| _ = shard.remove(digest));
        }
        shard.insert(digest, entry);
    }
}
