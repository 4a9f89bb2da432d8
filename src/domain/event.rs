//! Events: recorded denials and security facts.

use std::borrow::Cow;

use serde::Serialize;

use super::{clock::Timestamp, decision::Reason, identity::called};

/// The kind of an event for an id that was locked out.
pub const LOCKOUT_STARTED: &str = "lockout_started";
/// The kind of an event for what a policy in shadow mode would have denied.
pub const SHADOW_DENIED: &str = "shadow_denied";
/// The kind of an event for a clock that was set back.
pub const CLOCK_SET_BACK: &str = "clock_set_back";
/// The kind of an event for an MCP server whose answers cannot be passed on, until an operator has mended something.
pub const UPSTREAM_UNFIT: &str = "upstream_unfit";

/// Every kind of event: the reasons, and these facts.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    let facts = [LOCKOUT_STARTED, SHADOW_DENIED, CLOCK_SET_BACK, UPSTREAM_UNFIT];
    Reason::all().iter().map(|reason| reason.as_str()).chain(facts)
}

/// One recorded denial or security fact. A burst of equal ones is one event with a count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Position in the store; 0 before it is saved.
    pub seq: i64,
    pub at: Timestamp,
    /// One of [`kinds`].
    pub kind: String,
    /// The credential's id, `-` where none was recognised.
    pub credential: String,
    /// Who vouches for the subject: the name of a registered issuer, empty where it is the home.
    pub issuer: String,
    pub subject: String,
    pub endpoint: String,
    pub address: String,
    /// How many equal ones this stands for.
    pub count: u32,
    /// The request's id, or what else helps.
    pub detail: String,
}

impl Event {
    /// The subject as people read it.
    pub fn who(&self) -> Cow<'_, str> {
        called(&self.issuer, &self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_under_two_issuers_is_told_apart() {
        let of = |issuer: &str| Event {
            seq: 0,
            at: Timestamp::default(),
            kind: SHADOW_DENIED.into(),
            credential: "-".into(),
            issuer: issuer.into(),
            subject: "alice".into(),
            endpoint: "ping".into(),
            address: "192.0.2.1".into(),
            count: 1,
            detail: String::new(),
        };
        assert_eq!((&*of("").who(), &*of("corp").who()), ("alice", "corp: alice"));
    }
}
