//! What may be used once, by any process: one-time tokens and proofs of possession. The lessor's thread uses them up, so
//! that no thread of the gateway waits for the disk, and those that come together share one commit.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{Engine, lessor::Message, quota::Unavailable};
use crate::domain::{
    clock::Timestamp,
    decision::{Principal, Proof, Reason},
    token::{Claims, MOST_SKEW},
};
use crate::store::{Rows, StoreError, one_time};

/// How long a request waits before it is refused as unavailable.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a use is remembered after it cannot be repeated anyway, so that no clock which is set back forgets any.
pub(super) const REMEMBERED: Duration = Duration::from_secs(86_400);
/// How many of them go with each commit, so that they never pile up.
const FORGOTTEN_AT_ONCE: u32 = 256;
/// The realm of proofs of possession.
const PROOFS: &str = "dpop";

/// One thing that is used up.
#[derive(Clone, Debug)]
struct Use {
    realm: &'static str,
    id: String,
    /// How often it may be used.
    times: u32,
    ends_at: Timestamp,
}

/// What one call uses up, and who waits to hear whether it was the first.
#[derive(Debug)]
pub(super) struct Spending {
    uses: Vec<Use>,
    answer: oneshot::Sender<Result<bool, Unavailable>>,
}

impl Spending {
    pub(super) fn answer(self, outcome: Result<bool, Unavailable>) {
        // Who no longer waits was refused; what it used up stays used.
        let _ = self.answer.send(outcome);
    }

    /// What it asks of the store: a copy, since a job for the store may run more than once.
    pub(super) fn asks(&self) -> impl Fn(&Rows<'_>) -> Result<bool, StoreError> + Clone + Send + 'static {
        let uses = self.uses.clone();
        move |c| {
            for one in &uses {
                if !use_up(c, one)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

impl Engine {
    /// Whether a call of this principal uses up anything.
    pub fn is_spending(&self, principal: &Principal) -> bool {
        !uses(principal).is_empty()
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
        self.lessor_inbox.send(Message::Spend(Spending { uses, answer })).map_err(|_| Reason::Unavailable)?;
        match tokio::time::timeout(PATIENCE, outcome).await {
            Ok(Ok(Ok(true))) => Ok(()),
            Ok(Ok(Ok(false))) => Err(Reason::Replayed),
            _ => Err(Reason::Unavailable),
        }
    }
}

fn uses(principal: &Principal) -> Vec<Use> {
    let Some(Proof::Token(proof)) = &principal.proof else { return Vec::new() };
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

/// Forgets uses that ended before `before`.
pub(super) fn forget(c: &Rows<'_>, before: Timestamp) -> Result<(), StoreError> {
    one_time::purge(c, before, FORGOTTEN_AT_ONCE).map(|_| ())
}

/// The uses of one thing follow each other: the first free place is found by halves.
fn use_up(c: &Rows<'_>, one: &Use) -> Result<bool, StoreError> {
    let name = |place: u32| match place {
        0 => one.id.clone(),
        place => format!("{}.{place}", one.id),
    };
    let (mut free, mut end) = (0, one.times);
    while one.times > 1 && free < end {
        let middle = free + (end - free) / 2;
        match one_time::is_used(c, one.realm, &name(middle))? {
            true => free = middle + 1,
            false => end = middle,
        }
    }
    Ok(free < one.times && one_time::use_up(c, one.realm, &name(free), one.ends_at)?)
}
