//! Keys that tokens named and their issuers are not known to have: perhaps the issuer has new ones.
//!
//! Whoever sends forged tokens chooses what stands here. So it is bounded, a key that was asked for in vain is not asked
//! for again soon, and how often an issuer is asked at all is not decided here.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

use super::lock;
use crate::domain::{clock::Timestamp, name::IssuerName};

/// For how long a key that was asked for is not asked for again.
const IN_VAIN: Duration = Duration::from_secs(600);
/// How many such keys are remembered for an issuer. More cost an issuer no more than what it is asked at most.
const REMEMBERED: usize = 64;

/// What is missed, until somebody takes it.
#[derive(Debug, Default)]
pub struct MissedKeys {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    wanted: BTreeSet<IssuerName>,
    /// Keys by name that were missed, and when first.
    asked: HashMap<IssuerName, HashMap<String, Timestamp>>,
}

impl MissedKeys {
    /// A token of `issuer` named the key `kid`, which is not known; empty where it named none.
    pub fn miss(&self, issuer: &IssuerName, kid: &str, now: Timestamp) {
        let mut state = lock(&self.state);
        let asked = state.asked.entry(issuer.clone()).or_default();
        asked.retain(|_, at| now < at.plus(IN_VAIN));
        if asked.contains_key(kid) {
            return;
        }
        if asked.len() < REMEMBERED {
            asked.insert(kid.to_owned(), now);
        }
        if state.wanted.insert(issuer.clone()) {
            self.wake.notify_one();
        }
    }

    /// Waits until something is missed.
    pub async fn wait(&self) {
        self.wake.notified().await;
    }

    /// Issuers of which something was missed since the last time.
    pub fn take(&self) -> BTreeSet<IssuerName> {
        std::mem::take(&mut lock(&self.state).wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_key_is_missed_once_and_again_when_it_was_long_ago() {
        let (missed, corp): (_, IssuerName) = (MissedKeys::default(), "corp".parse().unwrap());
        missed.miss(&corp, "a", NOW);
        missed.miss(&corp, "a", NOW);
        assert_eq!(missed.take(), BTreeSet::from([corp.clone()]));
        missed.miss(&corp, "a", NOW.plus(IN_VAIN - Duration::from_secs(1)));
        assert_eq!(missed.take(), BTreeSet::new(), "in vain a while ago");
        missed.miss(&corp, "b", NOW);
        assert_eq!(missed.take().len(), 1, "another key");
        missed.miss(&corp, "a", NOW.plus(IN_VAIN));
        assert_eq!(missed.take().len(), 1);
    }

    #[test]
    fn a_storm_of_names_takes_no_more_room_than_a_few() {
        let (missed, corp): (_, IssuerName) = (MissedKeys::default(), "corp".parse().unwrap());
        for number in 0..10_000 {
            missed.miss(&corp, &number.to_string(), NOW);
        }
        assert_eq!(lock(&missed.state).asked[&corp].len(), REMEMBERED);
        assert_eq!(missed.take().len(), 1);
    }
}
