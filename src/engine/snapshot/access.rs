//! What scopes may reach under a policy, shared by all keys and tokens that have the same ones.
//!
//! A change of a policy or of the catalogue touches none of them: it exchanges the [`Terms`] of the policy, and whoever
//! calls next finds that what was made by others no longer counts, and has it made anew.

use crate::domain::{
    endpoint::EndpointSet,
    name::{PolicyName, ScopeName},
    policy::CompiledPolicy,
    scope::Catalogue,
};
use arc_swap::{ArcSwapOption, Guard};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What scopes may reach, made once for all that have them and the same terms.
#[derive(Debug)]
pub(in crate::engine) struct Access {
    pub(in crate::engine) scopes: Arc<[ScopeName]>,
    pub(in crate::engine) covered: Arc<EndpointSet>,
    pub(in crate::engine) policy: Arc<CompiledPolicy>,
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
pub(in crate::engine) struct AccessSlot {
    /// Under which policy, by name.
    pub(in crate::engine) policy: PolicyName,
    /// The scopes that were given, whatever the policy leaves of them.
    pub(in crate::engine) scopes: Arc<[ScopeName]>,
    standing: Arc<Standing>,
    made: ArcSwapOption<Access>,
}

impl AccessSlot {
    /// By the terms that hold now; empty where there are none, and an empty slot denies.
    #[inline]
    pub(in crate::engine) fn load(&self) -> Guard<Option<Arc<Access>>> {
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
