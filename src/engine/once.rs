//! What may be used once, by any process: one-time tokens and proofs of possession. The lessor's thread uses them up, so
//! that no thread of the gateway waits for the disk, and those that come together share one commit.
//!
//! Each use leaves a row in the store, so that a call is charged before; and a call whose credential was used up is refused
//! before it is charged, as far as this process remembers.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{
    Engine,
    message::{Message, Spending, Use},
};
use crate::domain::{
    decision::{Principal, Proof, Reason},
    token::{Claims, MOST_SKEW},
};
use crate::store::one_time;

/// How long a request waits before it is refused as unavailable.
const PATIENCE: Duration = Duration::from_secs(2);
/// The realm of proofs of possession.
const PROOFS: &str = "dpop";

impl Engine {
    /// Whether a call of this principal uses up anything.
    pub fn is_spending(&self, principal: &Principal) -> bool {
        !uses(principal).is_empty()
    }

    /// Whether what a call of this principal uses up may still be free, by what this process remembers.
    ///
    /// # Errors
    /// [`Reason::Replayed`] where it was used before.
    pub fn require_unspent(&self, principal: &Principal) -> Result<(), Reason> {
        let is_used = uses(principal).iter().any(|one| self.used_up.has(one));
        if is_used { Err(Reason::Replayed) } else { Ok(()) }
    }

    /// Uses up what a call of this principal may use once. Waits for the store, at most two seconds.
    ///
    /// # Errors
    /// [`Reason::Replayed`] where it was used before; [`Reason::Unavailable`] where that cannot be known.
    pub async fn spend(&self, principal: &Principal) -> Result<(), Reason> {
        let uses = uses(principal);
        if uses.is_empty() {
            return Ok(());
        }
        let (answer, outcome) = oneshot::channel();
        let spending = Spending { uses: uses.clone(), answer };
        self.lessor_inbox.send(Message::Spend(spending)).map_err(|_| Reason::Unavailable)?;
        match tokio::time::timeout(PATIENCE, outcome).await {
            Ok(Ok(Ok(None))) => {
                uses.iter().filter(|one| one.times == 1).for_each(|one| self.used_up.add(one));
                Ok(())
            }
            Ok(Ok(Ok(Some(place)))) => {
                uses.get(place).into_iter().for_each(|one| self.used_up.add(one));
                Err(Reason::Replayed)
            }
            _ => Err(Reason::Unavailable),
        }
    }
}

fn uses(principal: &Principal) -> Vec<Use> {
    let proof = match &principal.proof {
        Some(Proof::Token(proof)) => proof,
        Some(Proof::Secret(_)) | None => return Vec::new(),
    };
    let possession = proof.possession.as_ref().map(|possession| Use {
        realm: PROOFS,
        id: possession.id.clone(),
        times: 1,
        ends_at: possession.ends_at,
    });
    possession.into_iter().chain(of_token(&proof.verified.claims)).collect()
}

fn of_token(claims: &Claims) -> Option<Use> {
    let times = claims.max_uses?.get();
    // It may be taken for as long as clocks may differ.
    let ends_at = claims.expires_at.plus(MOST_SKEW);
    Some(Use { realm: one_time::TOKENS, id: claims.id.to_string(), times, ends_at })
}
