//! Every key in memory, ready to be judged, what tokens are judged by, and how that picture follows the store.
//!
//! Readers take no lock. Keys with the same scopes under the same policy share one [`AccessSlot`](access::AccessSlot), which goes by what is
//! exchanged when the policy or the catalogue changes, so that such a change touches no key: it costs as much for a million
//! as for one. A policy that is missing, damaged or cannot be compiled leaves the slot empty, and an empty slot denies. A key whose row is damaged is not known,
//! and a scope whose row is damaged covers nothing; all others are judged as ever.

use super::{
    access::{self, Accesses, Policies, compiled, unless_damaged},
    key::KeyEntry,
    lock,
    token::Tokens,
};
use crate::domain::{
    api_key::{ApiKey, KeyId},
    scope::Catalogue,
};
use crate::store::{
    Rows, StoreError, api_key,
    feed::{Change, Feed},
    policy, scope,
};
use crate::vault::Vault;
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// One thread's view of the change feed.
pub struct Watch {
    feed: Feed,
    /// Set until everything this feed has announced is applied.
    behind: bool,
}

impl Watch {
    /// Behind at first: the snapshot may be older than the feed.
    pub(super) fn new(feed: Feed) -> Self {
        Self { feed, behind: true }
    }
}

/// Ids are random and only an operator adds any: nobody can choose them to collide.
type Keys = papaya::HashMap<KeyId, KeyEntry, foldhash::fast::RandomState>;

/// Every key in memory, and all that tokens are judged by.
pub(super) struct Snapshot {
    keys: Keys,
    tokens: Tokens,
    /// Opens the secrets that tokens are signed with; a look at one key needs none.
    vault: Option<Arc<Vault>>,
    access: Accesses,
    /// Up to where the feed was read. Whoever brings the snapshot up to date takes it first, and the policies then.
    position: Mutex<i64>,
    /// Set while the last attempt to catch up has failed: nobody may rely on the snapshot then.
    stale: AtomicBool,
}

impl Snapshot {
    /// Knows no key.
    pub(super) fn empty() -> Self {
        Self {
            keys: Keys::default(),
            tokens: Tokens::default(),
            vault: None,
            access: Accesses::default(),
            position: Mutex::default(),
            stale: AtomicBool::new(false),
        }
    }

    /// Reads everything.
    pub(super) fn load(feed: &mut Feed, vault: Arc<Vault>) -> Result<Self, StoreError> {
        let snapshot = Self { vault: Some(vault), ..Self::empty() };
        {
            let mut applied = lock(&snapshot.position);
            // The position first: what is committed after it is applied a second time, which changes nothing.
            let position = feed.position()?;
            feed.read(|c| snapshot.read_all(c, &mut snapshot.access.policies()))?;
            *applied = position;
        }
        Ok(snapshot)
    }

    /// Reads one key, for a single look that is not worth loading a million for. An error where a row that the look
    /// rests on is damaged, so that it can be named.
    pub(super) fn load_one(c: &Rows<'_>, id: KeyId) -> Result<Self, StoreError> {
        let snapshot = Self::empty();
        if let Some(key) = api_key::find(c, id)? {
            policy::find(c, &key.policy)?;
            key.scopes.iter().try_for_each(|name| scope::find(c, name).map(|_| ()))?;
        }
        snapshot.access.set_catalogue(access::catalogue(c)?);
        snapshot.read_key(c, &mut snapshot.access.policies(), id)?;
        Ok(snapshot)
    }

    /// Brings the snapshot up to the last commit that `watch` can see.
    ///
    /// A thread whose feed has moved waits here until the changes are applied, also where another thread is applying
    /// them: returning earlier would judge by a picture older than the request.
    pub(super) fn follow(&self, watch: &mut Watch) -> Result<(), StoreError> {
        let moved = watch.feed.moved();
        // A failed look counts as a movement until a later one succeeds in reading.
        watch.behind |= *moved.as_ref().unwrap_or(&true);
        moved?;
        if !watch.behind && !self.stale.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut position = lock(&self.position);
        let outcome = self.catch_up(&mut watch.feed, &mut position);
        self.stale.store(outcome.is_err(), Ordering::Release);
        watch.behind = outcome.is_err();
        outcome
    }

    fn catch_up(&self, feed: &mut Feed, position: &mut i64) -> Result<(), StoreError> {
        let (changes, newest) = feed.changes(*position)?;
        feed.read(|c| self.apply(c, &mut self.access.policies(), changes))?;
        *position = newest;
        Ok(())
    }

    fn apply(&self, c: &Rows<'_>, held: &mut Policies, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut keys = HashSet::new();
        let mut policies = HashSet::new();
        let mut scopes = HashSet::new();
        let (mut all_scopes, mut beliefs) = (false, false);
        let (mut revoked, mut revocations) = (Vec::new(), false);
        for change in changes {
            match change {
                Change::Key(id) => _ = keys.insert(id),
                Change::Policy(name) => _ = policies.insert(name),
                Change::Scope(name) => _ = scopes.insert(name),
                Change::Scopes => all_scopes = true,
                Change::Revoked(id) => revoked.push(id),
                Change::Revocations => revocations = true,
                Change::SigningKeys | Change::Issuers => beliefs = true,
                Change::All => return self.read_all(c, held),
            }
        }
        // All is compiled before any of it is exchanged: nobody who is judged meanwhile waits for it.
        let read = |name| Ok((compiled(c, &name)?, name));
        let policies = policies.into_iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        let changed = match scopes {
            _ if all_scopes => Some(access::catalogue(c)?),
            names if names.is_empty() => None,
            names => {
                let mut changed = Catalogue::clone(&self.access.catalogue());
                for name in names {
                    unless_damaged(scope::renew(c, &mut changed, &name).map(Some))?;
                }
                Some(Arc::new(changed))
            }
        };
        if let Some(changed) = &changed {
            self.access.set_catalogue(Arc::clone(changed));
            self.tokens.outdate();
        }
        let catalogue = self.access.catalogue();
        for (compiled, name) in policies {
            held.exchange(name, compiled, &catalogue);
        }
        if changed.is_some() {
            held.recatalogue(&catalogue);
        }
        for id in keys {
            self.read_key(c, held, id)?;
        }
        if revocations || !revoked.is_empty() {
            self.tokens.revoke(c, revoked, revocations)?;
        }
        if beliefs { self.read_beliefs(c) } else { Ok(()) }
    }

    /// Reads whose tokens are believed, and for whom they may be.
    pub(super) fn read_beliefs(&self, c: &Rows<'_>) -> Result<(), StoreError> {
        self.vault.as_ref().map_or(Ok(()), |vault| self.tokens.read_beliefs(c, vault))
    }

    fn read_key(&self, c: &Rows<'_>, policies: &mut Policies, id: KeyId) -> Result<(), StoreError> {
        match unless_damaged(api_key::find(c, id))? {
            Some(key) => {
                let slot = policies.slot_of(c, &self.access.catalogue(), &key)?;
                self.keys.pin().insert(id, KeyEntry::new(key, slot));
            }
            None => _ = self.keys.pin().remove(&id),
        }
        Ok(())
    }

    fn read_all(&self, c: &Rows<'_>, policies: &mut Policies) -> Result<(), StoreError> {
        let catalogue = access::catalogue(c)?;
        self.access.set_catalogue(Arc::clone(&catalogue));
        // Also those that no key is under: a token may be.
        let names: HashSet<_> = policies.names().cloned().chain(policy::names(c)?).collect();
        for name in names {
            let policy = compiled(c, &name)?;
            policies.exchange(name, policy, &catalogue);
        }
        let pinned = self.keys.pin();
        let mut seen = HashSet::new();
        let is_reload = !pinned.is_empty();
        let mut failure = None;
        let mut put = |key: Result<ApiKey, StoreError>| -> Result<(), StoreError> {
            let Some(key) = unless_damaged(key.map(Some))? else { return Ok(()) };
            if is_reload {
                seen.insert(key.id);
            }
            let slot = policies.slot_of(c, &catalogue, &key)?;
            pinned.insert(key.id, KeyEntry::new(key, slot));
            Ok(())
        };
        api_key::each(c, |key| failure = put(key).err().or(failure.take()))?;
        if let Some(error) = failure {
            return Err(error);
        }
        if is_reload {
            pinned.retain(|id, _| seen.contains(id));
        }
        match &self.vault {
            Some(vault) => self.tokens.read_all(c, vault),
            None => Ok(()),
        }
    }

    pub(super) fn access(&self) -> &Accesses {
        &self.access
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Takes, as who applies a revocation takes them and in that order, what he needs to himself.
    #[cfg(test)]
    pub(super) fn take_for_a_change(&self) {
        let _position = lock(&self.position);
        let _policies = self.access.policies();
        self.tokens.take_for_a_change();
    }

    /// Calls `look` with the key's entry, or with `None`.
    pub(super) fn with<T>(&self, id: KeyId, look: impl FnOnce(Option<&KeyEntry>) -> T) -> T {
        look(self.keys.pin().get(&id))
    }
}
