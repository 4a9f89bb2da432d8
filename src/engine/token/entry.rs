//! A token that is remembered.

use std::sync::Arc;

use super::reach::Reach;
use crate::domain::{name::ScopeName, token::Verified};
use crate::engine::access::AccessSlot;

/// A token whose signature was verified, and where what it may reach is found.
#[derive(Debug)]
pub(in crate::engine) struct Entry {
    pub(in crate::engine) verified: Arc<Verified>,
    pub(super) reach: Reach,
    /// As of when its reach was found ([`Tokens::generation`](super::Tokens::generation)).
    pub(super) generation: u64,
}

impl Entry {
    /// Whether its reach is still what would be found. A key may have been put under another policy, or given other scopes.
    pub(super) fn is_current(&self, generation: u64, under: Option<&Arc<AccessSlot>>) -> bool {
        let is_same = match (&self.reach.under, under) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        is_same && self.generation == generation
    }

    /// `None` where its policy is missing or cannot be compiled.
    pub(in crate::engine) fn scopes(&self) -> Option<Arc<[ScopeName]>> {
        self.reach.slot.load().as_ref().map(|access| Arc::clone(&access.scopes))
    }
}
