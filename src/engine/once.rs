//! What may be used once, by any process: one-time tokens and proofs of possession. The lessor's thread uses them up, so
//! that no thread of the gateway waits for the disk, and those that come together share one commit.
//!
//! Each use leaves a row in the store, so that a call is charged before; and a call whose credential was used up is refused
//! before it is charged, as far as this process remembers.

use std::{collections::HashSet, sync::Mutex, time::Duration};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::{Engine, lessor::Message, lock, quota::Unavailable};
use crate::domain::{
    clock::Timestamp,
    decision::{Principal, Proof, Reason},
    token::{Claims, MOST_SKEW},
};
use crate::store::{Rows, StoreError, one_time};

/// How long a request waits before it is refused as unavailable.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a use is remembered after it cannot be repeated anyway, so that no clock which is set back forgets any.
const REMEMBERED: Duration = Duration::from_secs(86_400);
/// The realm of proofs of possession.
const PROOFS: &str = "dpop";
/// Of so many uses at least this process remembers that there is no other: of twice as many at most.
const KNOWN: usize = 32_768;

/// One thing that is used up.
#[derive(Clone, Debug)]
struct Use {
    realm: &'static str,
    id: String,
    /// How often it may be used.
    times: u32,
    ends_at: Timestamp,
}

impl Use {
    fn name(&self) -> Name {
        let digest =
            Sha256::new().chain_update(self.realm).chain_update([0_u8]).chain_update(&self.id).finalize();
        std::array::from_fn(|index| digest[index])
    }
}

/// Half a SHA-256 over realm and id.
type Name = [u8; 16];

/// What is known to be used up, the newest of it. The store knows all; this spares an honest caller the price of somebody
/// who repeats its calls.
#[derive(Debug, Default)]
pub(super) struct UsedUp(Mutex<[HashSet<Name>; 2]>);

impl UsedUp {
    fn has(&self, one: &Use) -> bool {
        let name = one.name();
        lock(&self.0).iter().any(|names| names.contains(&name))
    }

    fn add(&self, one: &Use) {
        let mut generations = lock(&self.0);
        if generations[0].len() >= KNOWN {
            generations.swap(0, 1);
            generations[0].clear();
        }
        generations[0].insert(one.name());
    }
}

/// What one call uses up, and who waits to hear whether it was the first.
#[derive(Debug)]
pub(super) struct Spending {
    uses: Vec<Use>,
    answer: oneshot::Sender<Result<Outcome, Unavailable>>,
}

/// Which of the uses was used up before, by its place; `None` where all were free.
pub(super) type Outcome = Option<usize>;

impl Spending {
    pub(super) fn answer(self, outcome: Result<Outcome, Unavailable>) {
        // Who no longer waits was refused; what it used up stays used.
        let _ = self.answer.send(outcome);
    }

    /// What it asks of the store: a copy, since a job for the store may run more than once.
    pub(super) fn asks(&self) -> impl Fn(&Rows<'_>) -> Result<Outcome, StoreError> + Clone + Send + 'static {
        let uses = self.uses.clone();
        move |c| {
            for (place, one) in uses.iter().enumerate() {
                if !use_up(c, one)? {
                    return Ok(Some(place));
                }
            }
            Ok(None)
        }
    }
}

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

/// Forgets up to `most` uses that ended long ago, and says how many.
pub(super) fn forget(c: &Rows<'_>, now: Timestamp, most: u32) -> Result<u64, StoreError> {
    one_time::purge(c, now.minus(REMEMBERED), most)
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
