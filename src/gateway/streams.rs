//! How many streams of events one principal may have open, so that none holds the places of all.
//!
//! The workers share the count. It is looked at when a stream begins and ends; other calls look at one number.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::decision::{Account, Principal};
use crate::domain::identity::Identity;

use super::call::refusal::Refusal;

const SHARDS: usize = 16;

/// Who has streams: a key with the tokens got with it, or a subject with its tokens.
type Owner = (Identity, Account);

/// The streams that are open, by whose they are.
pub struct EventStreams {
    most: usize,
    /// In several maps, so that few who begin or end one at the same time meet.
    open: [Mutex<HashMap<Owner, usize>>; SHARDS],
    random: RandomState,
    /// How many principals have all that they may have.
    full: AtomicUsize,
}

/// One stream's place, for as long as it lives.
pub struct Place {
    streams: Arc<EventStreams>,
    owner: Owner,
}

impl EventStreams {
    pub fn new(most: NonZeroUsize) -> Self {
        Self {
            most: most.get(),
            open: Default::default(),
            random: RandomState::new(),
            full: AtomicUsize::new(0),
        }
    }

    /// Takes a place for a stream that its client opens to hear of whatever happens.
    ///
    /// # Errors
    /// 429 where the principal has all that it may have.
    pub fn listen(self: &Arc<Self>, principal: &Principal) -> Result<Place, Refusal> {
        self.enter(principal, self.most)
    }

    /// Takes a place for a stream that answers a call: there are as many again, so that who listens can still call.
    ///
    /// # Errors
    /// 429 where the principal has all that it may have.
    pub fn answer(self: &Arc<Self>, principal: &Principal) -> Result<Place, Refusal> {
        self.enter(principal, self.most_of_all())
    }

    /// Whether a call of the principal may be answered with a stream: to be known before the call is made.
    pub fn has_room(&self, principal: &Principal) -> bool {
        if self.full.load(Ordering::Relaxed) == 0 {
            return true;
        }
        let owner = (principal.identity.clone(), principal.account.clone());
        self.open(&owner).get(&owner).is_none_or(|&streams| streams < self.most_of_all())
    }

    fn most_of_all(&self) -> usize {
        self.most.saturating_mul(2)
    }

    fn enter(self: &Arc<Self>, principal: &Principal, most: usize) -> Result<Place, Refusal> {
        let owner = (principal.identity.clone(), principal.account.clone());
        let mut open = self.open(&owner);
        let streams = open.get(&owner).copied().unwrap_or_default();
        if streams >= most {
            return Err(Refusal::too_many_streams());
        }
        open.insert(owner.clone(), streams + 1);
        if streams + 1 == self.most_of_all() {
            self.full.fetch_add(1, Ordering::Relaxed);
        }
        drop(open);
        Ok(Place { streams: self.clone(), owner })
    }

    fn open(&self, owner: &Owner) -> MutexGuard<'_, HashMap<Owner, usize>> {
        let shard = self.random.hash_one(owner) as usize % SHARDS;
        self.open[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open(&self.owner);
        let Entry::Occupied(mut streams) = open.entry(self.owner.clone()) else { return };
        if *streams.get() == self.streams.most_of_all() {
            self.streams.full.fetch_sub(1, Ordering::Relaxed);
        }
        match *streams.get() {
            0 | 1 => _ = streams.remove(),
            many => *streams.get_mut() = many - 1,
        }
    }
}

impl std::fmt::Debug for EventStreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventStreams")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::KeyId;
    use crate::domain::credential::CredentialId;
    use crate::gateway::testing;

    fn principal() -> Principal {
        testing::principal("alice", CredentialId::ApiKey(KeyId::generate().unwrap()))
    }

    #[test]
    fn a_principal_has_its_places_and_no_more_until_it_gives_one_back() {
        let streams = Arc::new(EventStreams::new(NonZeroUsize::new(2).unwrap()));
        let (one, other) = (principal(), principal());
        let first = streams.listen(&one).unwrap();
        let second = streams.listen(&one).unwrap();
        assert!(streams.listen(&one).is_err());
        let theirs = streams.listen(&other).unwrap();
        drop(first);
        let third = streams.listen(&one).unwrap();
        // Who listens with all that it has can still call.
        assert!(streams.has_room(&one));
        let answers = [streams.answer(&one).unwrap(), streams.answer(&one).unwrap()];
        assert!(!streams.has_room(&one) && streams.answer(&one).is_err() && streams.has_room(&other));
        drop(second);
        assert!(streams.has_room(&one) && streams.listen(&one).is_err());
        drop((third, theirs, answers));
        let is_empty = |shard: &Mutex<HashMap<_, _>>| shard.lock().unwrap().is_empty();
        assert!(streams.open.iter().all(is_empty), "nobody is remembered");
        assert_eq!(streams.full.load(Ordering::Relaxed), 0);
    }
}
