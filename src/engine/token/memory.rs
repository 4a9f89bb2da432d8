//! Whose tokens are believed and what was taken back, in memory, and how that follows the store.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};

use super::cache::Cache;
use crate::domain::{
    clock::Timestamp,
    issuer::Issuer,
    name::IssuerName,
    signing_key::SigningKey,
    token::{Expected, Revocation, Revocations, TokenId},
};
use crate::engine::lock;
use crate::store::{
    Rows, StoreError, issuer, signing_key,
    trust::{self, Beliefs},
};
use crate::vault::Vault;

/// What tokens are judged by.
#[derive(Debug)]
pub(in crate::engine) struct Known {
    pub(in crate::engine) beliefs: Beliefs,
    /// Whom a token may be for: this home, by all its names, and this process by those that it has of its own.
    pub(in crate::engine) audiences: Arc<[String]>,
    /// What the claims of registered issuers mean here.
    pub(in crate::engine) issuers: HashMap<IssuerName, Issuer>,
    /// This home's own keys, for whoever verifies its tokens.
    pub(in crate::engine) keys: Vec<SigningKey>,
}

impl Known {
    pub(in crate::engine) fn expected(&self, now: Timestamp) -> Expected {
        Expected::new(Arc::clone(&self.audiences), self.beliefs.skew, now)
    }
}

/// All that is known of tokens. What cannot be read, because rows of it are damaged, is `None`: then no token is taken,
/// and API keys go on.
#[derive(Debug, Default)]
pub(in crate::engine) struct Tokens {
    known: ArcSwap<Option<Known>>,
    /// What this process is called beside the names of its home.
    resources: Mutex<Vec<String>>,
    generation: AtomicU64,
    revocations: RwLock<Option<Revocations>>,
    pub(in crate::engine) verified: Cache,
}

impl Tokens {
    pub(in crate::engine) fn beliefs(&self) -> Guard<Arc<Option<Known>>> {
        self.known.load()
    }

    /// Counts what may change what a token reaches without touching the token: what is known of issuers, and what scopes
    /// are. Take it before you look at either.
    pub(in crate::engine) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Has the reach of every token found anew, when it is next asked for.
    pub(in crate::engine) fn outdate(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(in crate::engine) fn revocations(&self) -> RwLockReadGuard<'_, Option<Revocations>> {
        self.revocations.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes tokens also for these from the next reading on.
    pub(in crate::engine) fn add_resources(&self, resources: Vec<String>) {
        lock(&self.resources).extend(resources);
    }

    /// Reads everything.
    pub(in crate::engine) fn read_all(&self, c: &Rows<'_>, vault: &Vault) -> Result<(), StoreError> {
        self.read_beliefs(c, vault)?;
        self.set_revocations(whole(trust::revocations(c))?);
        Ok(())
    }

    pub(in crate::engine) fn read_beliefs(&self, c: &Rows<'_>, vault: &Vault) -> Result<(), StoreError> {
        let read = || {
            let beliefs = trust::load(c, Some(vault))?;
            for error in &beliefs.left_out {
                tracing::error!(%error, "tokens that rest on this row are refused");
            }
            let issuers = issuer::sound(c)?.0.into_iter().map(|issuer| (issuer.name.clone(), issuer));
            let mut audiences = beliefs.identity.audiences();
            audiences.extend(lock(&self.resources).iter().cloned());
            let audiences = audiences.into();
            let (issuers, keys) = (issuers.collect(), signing_key::sound(c)?.0);
            Ok(Known { beliefs, audiences, issuers, keys })
        };
        self.known.store(Arc::new(whole(read())?));
        self.outdate();
        Ok(())
    }

    /// Adds what was revoked since: single tokens, and `others` where any of another kind was.
    pub(in crate::engine) fn revoke(
        &self,
        c: &Rows<'_>,
        tokens: impl IntoIterator<Item = TokenId>,
        others: bool,
    ) -> Result<(), StoreError> {
        // Nothing that was taken back is ever given back before it has ended by itself.
        if self.revocations().is_none() {
            self.set_revocations(whole(trust::revocations(c))?);
            return Ok(());
        }
        let more = match others {
            true => whole(trust::revocations_but_of_tokens(c))?,
            false => Some(Revocations::default()),
        };
        let mut revocations = self.revocations.write().unwrap_or_else(PoisonError::into_inner);
        match (revocations.as_mut(), more) {
            (Some(revocations), Some(more)) => {
                revocations.merge(more);
                revocations.extend(tokens.into_iter().map(Revocation::Token));
            }
            _ => *revocations = None,
        }
        Ok(())
    }

    #[cfg(test)]
    pub(in crate::engine) fn take_for_a_change(&self) {
        drop(self.revocations.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn set_revocations(&self, revocations: Option<Revocations>) {
        *self.revocations.write().unwrap_or_else(PoisonError::into_inner) = revocations;
    }
}

/// `None`, and a word in the log, where a row is damaged; other errors are passed on.
fn whole<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error @ (StoreError::Row { .. } | StoreError::Vault(_))) => {
            tracing::error!(%error, "no token is taken until this is mended");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
