//! What is used up: as the store knows it, and as this process remembers it.

use std::{collections::HashSet, sync::Mutex, time::Duration};

use sha2::{Digest, Sha256};

use super::{
    lock,
    message::{Outcome, Spending, Use},
};
use crate::domain::clock::Timestamp;
use crate::store::{Rows, StoreError, one_time};

/// How long a use is remembered after it cannot be repeated anyway, so that no clock which is set back forgets any.
const REMEMBERED: Duration = Duration::from_secs(86_400);
/// Of so many uses at least this process remembers that there is no other: of twice as many at most.
const KNOWN: usize = 32_768;

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
    pub(super) fn has(&self, one: &Use) -> bool {
        let name = one.name();
        lock(&self.0).iter().any(|names| names.contains(&name))
    }

    pub(super) fn add(&self, one: &Use) {
        let mut generations = lock(&self.0);
        if generations[0].len() >= KNOWN {
            generations.swap(0, 1);
            generations[0].clear();
        }
        generations[0].insert(one.name());
    }
}

/// What a spending asks of the store: a copy, since a job for the store may run more than once.
pub(super) fn asks(
    spending: &Spending,
) -> impl Fn(&Rows<'_>) -> Result<Outcome, StoreError> + Clone + Send + 'static {
    let uses = spending.uses.clone();
    move |c| {
        for (place, one) in uses.iter().enumerate() {
            if !use_up(c, one)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
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
