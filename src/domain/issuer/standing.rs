//! How an issuer stands at a moment.

use std::time::Duration;

use serde::Serialize;

use super::Issuer;
use crate::domain::clock::Timestamp;

/// For how long keys are believed that were fetched and could not be fetched again. What the issuer took back in the
/// meantime is still taken for so long, and no longer.
const LAST_GOOD: Duration = Duration::from_secs(86_400);

/// How the keys of an issuer stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerState {
    /// They were given by hand, and are never fetched.
    Pinned,
    /// They were had when they were last asked for.
    Current,
    /// They could not be had when they were last asked for; those had before are still believed.
    Failing,
    /// They have not been had for so long that none of the issuer's tokens is taken.
    Stale,
}

impl IssuerState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Current => "current",
            Self::Failing => "failing",
            Self::Stale => "stale",
        }
    }
}

impl Issuer {
    /// The first moment at which its keys prove nothing any more unless they are fetched again; `None` for keys that are
    /// pinned.
    pub fn good_until(&self) -> Option<Timestamp> {
        self.url.as_ref().map(|_| self.fetched_at.unwrap_or(self.created_at).plus(LAST_GOOD))
    }

    pub fn state(&self, now: Timestamp) -> IssuerState {
        match self.good_until() {
            None => IssuerState::Pinned,
            Some(end) if now >= end => IssuerState::Stale,
            Some(_) if !self.last_error.is_empty() => IssuerState::Failing,
            Some(_) => IssuerState::Current,
        }
    }
}
