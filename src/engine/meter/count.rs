//! What is counted of calls, and whose they are.

use crate::domain::{
    credential::CredentialId,
    usage::{NOBODY, Outcome},
};
use crate::engine::Seen;
use std::collections::HashMap;

pub(super) const MINUTE: i64 = 60_000;

/// By what calls are counted apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CountKey<E> {
    pub(super) minute: i64,
    pub(super) credential: Option<CredentialId>,
    pub(super) endpoint: E,
    pub(super) outcome: Outcome,
}

/// Whom a credential speaks for, and who vouches for that; the home's own is the empty text.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) issuer: Box<str>,
    pub(super) subject: Box<str>,
}

impl Who {
    pub(super) fn of(seen: &Seen<'_>) -> Self {
        Self {
            issuer: seen.issuer.unwrap_or_default().into(),
            subject: seen.subject.unwrap_or(NOBODY).into(),
        }
    }

    pub(super) fn own(subject: &str) -> Self {
        Self { issuer: Box::default(), subject: subject.into() }
    }

    pub(super) fn nobody() -> Self {
        Self::own(NOBODY)
    }
}

/// How often, and who it was.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    pub(super) who: Who,
    pub(super) calls: u64,
}

/// What a stranger can choose of the keys is bounded in number, and the hasher's seed is of this process: nobody gains by
/// collisions.
pub(super) type Bounded<K, V> = HashMap<K, V, foldhash::quality::RandomState>;
