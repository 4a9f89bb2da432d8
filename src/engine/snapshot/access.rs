//! What scopes may reach under a policy, shared by all keys and tokens that have the same ones.

use std::{collections::HashMap, sync::Arc};

use arc_swap::{ArcSwapOption, Guard};

use crate::domain::{
    endpoint::EndpointSet,
    name::{PolicyName, ScopeName},
    policy::CompiledPolicy,
    scope::Catalogue,
};

/// What a set of scopes may reach under a policy.
#[derive(Debug)]
pub(in crate::engine) struct Access {
    pub(in crate::engine) scopes: Arc<[ScopeName]>,
    pub(in crate::engine) covered: Arc<EndpointSet>,
    pub(in crate::engine) policy: Arc<CompiledPolicy>,
}

/// Where keys and tokens find their [`Access`]; empty while there is none.
#[derive(Debug)]
pub(in crate::engine) struct AccessSlot {
    /// Under which policy, by name.
    pub(in crate::engine) policy: PolicyName,
    /// The scopes that were given, whatever the policy leaves of them.
    pub(in crate::engine) scopes: Box<[ScopeName]>,
    access: ArcSwapOption<Access>,
}

impl AccessSlot {
    pub(in crate::engine) fn load(&self) -> Guard<Option<Arc<Access>>> {
        self.access.load()
    }
}

/// A policy and the slots of those under it.
#[derive(Debug, Default)]
pub(super) struct PolicyAccess {
    pub(super) compiled: Option<Arc<CompiledPolicy>>,
    pub(super) slots: HashMap<Box<[ScopeName]>, Arc<AccessSlot>>,
}

impl PolicyAccess {
    /// `policy`: its own name.
    pub(super) fn slot(
        &mut self,
        catalogue: &Catalogue,
        policy: &PolicyName,
        scopes: &[ScopeName],
    ) -> Arc<AccessSlot> {
        if let Some(slot) = self.slots.get(scopes) {
            return Arc::clone(slot);
        }
        self.slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        let access = self.access(catalogue, scopes);
        let access = ArcSwapOption::new(access);
        let slot = Arc::new(AccessSlot { policy: policy.clone(), scopes: scopes.into(), access });
        self.slots.insert(scopes.into(), Arc::clone(&slot));
        slot
    }

    pub(super) fn fill(&self, catalogue: &Catalogue) {
        for (scopes, slot) in &self.slots {
            slot.access.store(self.access(catalogue, scopes));
        }
    }

    fn access(&self, catalogue: &Catalogue, scopes: &[ScopeName]) -> Option<Arc<Access>> {
        let policy = self.compiled.clone()?;
        let scopes: Arc<[ScopeName]> = policy.policy.effective_scopes(scopes).into();
        let covered = Arc::new(catalogue.compile(&scopes));
        Some(Arc::new(Access { scopes, covered, policy }))
    }
}
