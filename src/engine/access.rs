//! What scopes may reach: the catalogue of scopes, the policies, and under each policy a slot for each set of scopes, shared
//! by all keys and tokens that have the same ones.
//!
//! A change of a policy or of the catalogue touches none of them: it exchanges the [`Terms`] of the policy, and whoever
//! calls next finds that what was made by others no longer counts, and has it made anew.

use super::lock;
use crate::domain::{
    api_key::ApiKey,
    endpoint::EndpointSet,
    name::{PolicyName, ScopeName},
    policy::CompiledPolicy,
    scope::Catalogue,
};
use crate::store::{Rows, StoreError, policy, scope};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

/// What scopes may reach, made once for all that have them and the same terms.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) scopes: Arc<[ScopeName]>,
    pub(super) covered: Arc<EndpointSet>,
    pub(super) policy: Arc<CompiledPolicy>,
    generation: u64,
}

/// What holds for all under a policy: its limits, and what the catalogue says that scopes cover.
#[derive(Debug)]
struct Terms {
    policy: Arc<CompiledPolicy>,
    catalogue: Arc<Catalogue>,
    generation: u64,
}

/// A policy's terms as they are now; none while the policy is missing or cannot be compiled.
#[derive(Debug, Default)]
struct Standing {
    terms: ArcSwapOption<Terms>,
    /// That of the newest terms, told when they are in place: a look at it costs less than one at them.
    generation: AtomicU64,
}

impl Standing {
    /// Called by one thread at a time.
    fn exchange(&self, policy: Option<Arc<CompiledPolicy>>, catalogue: &Arc<Catalogue>) {
        let generation = self.generation.load(Ordering::Relaxed) + 1;
        let catalogue = Arc::clone(catalogue);
        self.terms.store(policy.map(|policy| Arc::new(Terms { policy, catalogue, generation })));
        self.generation.store(generation, Ordering::Release);
    }
}

/// Where keys and tokens find their [`Access`].
#[derive(Debug)]
pub(super) struct AccessSlot {
    /// Under which policy, by name.
    pub(super) policy: PolicyName,
    /// The scopes that were given, whatever the policy leaves of them.
    pub(super) scopes: Arc<[ScopeName]>,
    standing: Arc<Standing>,
    made: ArcSwapOption<Access>,
}

impl AccessSlot {
    /// By the terms that hold now; empty where there are none, and an empty slot denies.
    #[inline]
    pub(super) fn load(&self) -> Guard<Option<Arc<Access>>> {
        let made = self.made.load();
        let newest = self.standing.generation.load(Ordering::Acquire);
        if made.as_ref().is_some_and(|access| access.generation == newest) { made } else { self.renew() }
    }

    /// Two callers may make the same at once, or one by terms that are exchanged meanwhile: whoever comes next sees by
    /// the generation which counts.
    #[cold]
    fn renew(&self) -> Guard<Option<Arc<Access>>> {
        let access = self.standing.terms.load().as_ref().map(|terms| {
            let scopes: Arc<[ScopeName]> = terms.policy.policy.effective_scopes(&self.scopes).into();
            let covered = Arc::new(terms.catalogue.compile(&scopes));
            Arc::new(Access {
                scopes,
                covered,
                policy: Arc::clone(&terms.policy),
                generation: terms.generation,
            })
        });
        self.made.store(access.clone());
        Guard::from_inner(access)
    }
}

/// A policy and the slots of those under it.
#[derive(Debug, Default)]
pub(super) struct PolicyAccess {
    standing: Arc<Standing>,
    slots: HashMap<Arc<[ScopeName]>, Arc<AccessSlot>>,
    /// How many slots there are to be before those are looked for that nobody uses any more.
    enough: usize,
}

/// Fewer slots are not worth looking through.
const FEW: usize = 64;

impl PolicyAccess {
    pub(super) fn new(policy: Option<Arc<CompiledPolicy>>, catalogue: &Arc<Catalogue>) -> Self {
        let access = Self::default();
        access.exchange(policy, catalogue);
        access
    }

    /// Puts a policy in the place of the one that held, by this catalogue.
    pub(super) fn exchange(&self, policy: Option<Arc<CompiledPolicy>>, catalogue: &Arc<Catalogue>) {
        self.standing.exchange(policy, catalogue);
    }

    /// Puts a catalogue in the place of the one that held.
    pub(super) fn recatalogue(&self, catalogue: &Arc<Catalogue>) {
        let policy = self.standing.terms.load().as_ref().map(|terms| Arc::clone(&terms.policy));
        self.exchange(policy, catalogue);
    }

    /// `policy`: its own name.
    pub(super) fn slot(&mut self, policy: &PolicyName, scopes: &[ScopeName]) -> Arc<AccessSlot> {
        if let Some(slot) = self.slots.get(scopes) {
            return Arc::clone(slot);
        }
        if self.slots.len() >= self.enough.max(FEW) {
            self.slots.retain(|_, slot| Arc::strong_count(slot) > 1);
            self.enough = self.slots.len() * 2;
        }
        let scopes: Arc<[ScopeName]> = scopes.into();
        let (standing, made) = (Arc::clone(&self.standing), ArcSwapOption::empty());
        let slot =
            Arc::new(AccessSlot { policy: policy.clone(), scopes: Arc::clone(&scopes), standing, made });
        self.slots.insert(scopes, Arc::clone(&slot));
        slot
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }
}

/// The policies and their slots, by name.
#[derive(Debug, Default)]
pub(super) struct Policies(HashMap<PolicyName, PolicyAccess>);

impl Policies {
    pub(super) fn names(&self) -> impl Iterator<Item = &PolicyName> {
        self.0.keys()
    }

    /// Puts a policy in the place of the one that held.
    pub(super) fn exchange(
        &mut self,
        name: PolicyName,
        policy: Option<Arc<CompiledPolicy>>,
        catalogue: &Arc<Catalogue>,
    ) {
        self.0.entry(name).or_default().exchange(policy, catalogue);
    }

    /// Puts a catalogue in the place of the one that held.
    pub(super) fn recatalogue(&self, catalogue: &Arc<Catalogue>) {
        self.0.values().for_each(|policy| policy.recatalogue(catalogue));
    }

    /// Where a key finds what it may reach. A policy that is not known yet is read.
    pub(super) fn slot_of(
        &mut self,
        c: &Rows<'_>,
        catalogue: &Arc<Catalogue>,
        key: &ApiKey,
    ) -> Result<Arc<AccessSlot>, StoreError> {
        if !self.0.contains_key(&key.policy) {
            let access = PolicyAccess::new(compiled(c, &key.policy)?, catalogue);
            self.0.insert(key.policy.clone(), access);
        }
        Ok(self.0.entry(key.policy.clone()).or_default().slot(&key.policy, &key.scopes))
    }
}

/// All that scopes may reach here.
#[derive(Debug, Default)]
pub(super) struct Accesses {
    catalogue: ArcSwap<Catalogue>,
    policies: Mutex<Policies>,
}

impl Accesses {
    pub(super) fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    pub(super) fn set_catalogue(&self, catalogue: Arc<Catalogue>) {
        self.catalogue.store(catalogue);
    }

    /// The policies, for one thread at a time.
    pub(super) fn policies(&self) -> MutexGuard<'_, Policies> {
        lock(&self.policies)
    }

    /// Where a token under `policy` with `scopes` finds what it may reach; `None` where there is no such policy.
    pub(super) fn slot(&self, policy: &PolicyName, scopes: &[ScopeName]) -> Option<Arc<AccessSlot>> {
        Some(self.policies().0.get_mut(policy)?.slot(policy, scopes))
    }

    /// Reads one policy, for a single look; says whether there is one that can be compiled. An error where its row is
    /// damaged, so that it can be named.
    pub(super) fn read_policy(&self, c: &Rows<'_>, name: &PolicyName) -> Result<bool, StoreError> {
        let revision = policy::find(c, name)?;
        let compiled =
            revision.and_then(|revision| CompiledPolicy::new(revision.policy, revision.revision).ok());
        let Some(compiled) = compiled else { return Ok(false) };
        self.policies().exchange(name.clone(), Some(compiled), &self.catalogue());
        Ok(true)
    }
}

/// A policy as it is judged by; `None` where it is missing, damaged or cannot be compiled.
pub(super) fn compiled(c: &Rows<'_>, name: &PolicyName) -> Result<Option<Arc<CompiledPolicy>>, StoreError> {
    let revision = unless_damaged(policy::find(c, name))?;
    Ok(revision.and_then(|revision| CompiledPolicy::new(revision.policy, revision.revision).ok()))
}

/// The scopes as they are judged by, without those whose rows are damaged.
pub(super) fn catalogue(c: &Rows<'_>) -> Result<Arc<Catalogue>, StoreError> {
    let (catalogue, damaged) = scope::sound(c)?;
    damaged.into_iter().try_for_each(|error| unless_damaged::<()>(Err(error)).map(|_| ()))?;
    Ok(Arc::new(catalogue))
}

/// Goes on without a row that is damaged, and says so; what rests on it is denied. Any other error is passed on.
pub(super) fn unless_damaged<T>(found: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    found.or_else(|error| {
        if !error.is_of_one_row() {
            return Err(error);
        }
        tracing::error!(%error, "what rests on this row is denied");
        Ok(None)
    })
}

#[cfg(test)]
mod tests;
