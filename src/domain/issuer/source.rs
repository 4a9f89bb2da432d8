//! From where, how and when an issuer's keys are fetched.

use std::time::Duration;

use serde::Serialize;

use crate::domain::clock::Timestamp;

/// How long fetched keys are taken for fresh where the issuer says nothing.
const FRESH: Duration = Duration::from_secs(3600);
/// Whatever the issuer says, its keys are fetched no more often than this without a cause…
const LEAST_FRESH: Duration = Duration::from_secs(5 * 60);
/// …and no less often than this.
const MOST_FRESH: Duration = Duration::from_secs(86_400);
/// When to try again where they could not be had.
const RETRY: Duration = Duration::from_secs(5 * 60);
/// With a cause (a token names a key that is not known), they are asked for this often at most: whoever sends forged
/// tokens must not be able to have us storm the issuer.
const RARELY: Duration = Duration::from_secs(60);

/// The source of an issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Where the JWK set is: from the issuer's metadata.
    pub jwks_uri: String,
    /// Hosts that may be at private addresses, by name, as the URL standard writes them.
    pub allow_private: Vec<String>,
    /// What the issuer called the keys that were fetched last (RFC 9110 §8.8.3).
    #[serde(skip)]
    pub etag: Option<String>,
    /// When they were last asked for, also in vain.
    pub asked_at: Timestamp,
    /// When they are to be asked for again.
    pub next_at: Timestamp,
}

impl Source {
    /// Whether the keys are to be asked for now. `missed`: a token named a key that is not known.
    pub fn is_due(&self, now: Timestamp, missed: bool) -> bool {
        // A clock that was set back must not keep old keys for ever.
        let is_early = self.asked_at > now;
        is_early || now >= self.next_at || (missed && now >= self.asked_at.plus(RARELY))
    }

    /// Notes that the keys were had at `now`; `fresh_for` is how long the issuer says they stay.
    pub fn had(&mut self, now: Timestamp, fresh_for: Option<Duration>, etag: Option<String>) {
        let fresh_for = fresh_for.unwrap_or(FRESH).clamp(LEAST_FRESH, MOST_FRESH);
        (self.asked_at, self.next_at, self.etag) = (now, now.plus(fresh_for), etag);
    }

    /// Notes that the keys are being asked for at `now`: who else would ask waits.
    pub fn asked(&mut self, now: Timestamp) {
        (self.asked_at, self.next_at) = (now, now.plus(RETRY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn source(fresh_for: Option<u64>) -> Source {
        let mut source = Source {
            jwks_uri: "https://idp.example.org/keys".into(),
            allow_private: Vec::new(),
            etag: None,
            asked_at: NOW,
            next_at: NOW,
        };
        source.had(NOW, fresh_for.map(Duration::from_secs), Some("\"1\"".into()));
        source
    }

    #[test]
    fn keys_stay_fresh_as_long_as_the_issuer_says_within_bounds() {
        for (said, seconds) in
            [(None, 3600), (Some(0), 300), (Some(299), 300), (Some(7200), 7200), (Some(u64::MAX), 86_400)]
        {
            let source = source(said);
            let at = |seconds| NOW.plus(Duration::from_secs(seconds));
            assert!(!source.is_due(at(seconds - 1), false), "{said:?}");
            assert!(source.is_due(at(seconds), false), "{said:?}");
        }
    }

    #[test]
    fn a_key_that_is_missed_is_asked_for_once_a_minute_at_most() {
        let source = source(None);
        let at = |seconds| NOW.plus(Duration::from_secs(seconds));
        assert!(!source.is_due(at(59), true));
        assert!(source.is_due(at(60), true) && !source.is_due(at(60), false));
    }

    #[test]
    fn what_could_not_be_had_is_tried_again_and_a_clock_set_back_keeps_nothing() {
        let mut source = source(None);
        source.asked(NOW);
        assert!(!source.is_due(NOW.plus(RETRY - Duration::from_secs(1)), false));
        assert!(source.is_due(NOW.plus(RETRY), false));
        assert!(source.is_due(NOW.minus(RETRY), false));
    }
}
