//! Events: recorded denials and security facts.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::{clock::Timestamp, decision::Reason, identity::called, usage::NOBODY};

/// The kind of an event for an id that was locked out.
pub const LOCKOUT_STARTED: &str = "lockout_started";
/// How long a lock-out lasts at most.
pub const LONGEST_LOCKOUT: Duration = Duration::from_secs(24 * 3600);
/// The kind of an event for what a policy in shadow mode would have denied.
pub const SHADOW_DENIED: &str = "shadow_denied";
/// The kind of an event for a clock that was set back.
pub const CLOCK_SET_BACK: &str = "clock_set_back";
/// The kind of an event for an MCP server whose answers cannot be passed on, until an operator has mended something.
pub const UPSTREAM_UNFIT: &str = "upstream_unfit";

/// What an address is locked out with: an IPv4 address alone, an IPv6 address with its /64.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

/// How the detail of a lock-out begins.
const UNTIL: &str = "until ";

/// The detail of the event of a lock-out.
pub fn lockout_detail(until: Timestamp) -> String {
    format!("{UNTIL}{until}")
}

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
    /// Whom the credential speaks for; of one that did not prove itself, whose it is where that is known, else `-`.
    pub subject: String,
    pub endpoint: String,
    pub address: String,
    /// How many equal ones this stands for.
    pub count: u32,
    /// The request's id, or what else helps.
    pub detail: String,
}

impl Event {
    /// The subject as people read it. That of a key whose secret did not fit is the key's owner, and perhaps not who called.
    pub fn who(&self) -> Cow<'_, str> {
        let is_tried = [Reason::BadSecret.as_str(), Reason::LockedOut.as_str(), LOCKOUT_STARTED];
        match is_tried.contains(&self.kind.as_str()) && self.subject != NOBODY {
            true => format!("{} (not proved)", self.subject).into(),
            false => called(&self.issuer, &self.subject),
        }
    }

    /// Of what was denied the request's id; and which check failed, and what it compared with what, where that is known.
    pub fn found(&self) -> Option<(&str, &str)> {
        let is_denial = self.kind == SHADOW_DENIED || self.kind.parse::<Reason>().is_ok();
        self.detail.split_once("; ").filter(|_| is_denial)
    }

    /// Until when the lock-out lasts that it tells of, where it tells of one.
    pub fn locked_until(&self) -> Option<Timestamp> {
        let until = self.detail.strip_prefix(UNTIL).filter(|_| self.kind == LOCKOUT_STARTED);
        until.and_then(|until| until.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, detail: String) -> Event {
        Event {
            seq: 0,
            at: Timestamp::default(),
            kind: kind.into(),
            credential: "-".into(),
            issuer: String::new(),
            subject: "alice".into(),
            endpoint: "ping".into(),
            address: "192.0.2.1".into(),
            count: 1,
            detail,
        }
    }

    #[test]
    fn what_was_found_stands_behind_the_id_of_the_request() {
        let found =
            |kind: &str| event(kind, "r-1; hours: 9; 10".into()).found().map(|(_, found)| found.to_owned());
        assert_eq!(found("time_denied").as_deref(), Some("hours: 9; 10"));
        assert_eq!(found(SHADOW_DENIED).as_deref(), Some("hours: 9; 10"));
        assert_eq!(found(UPSTREAM_UNFIT), None);
        assert_eq!(event("time_denied", "r-1".into()).found(), None);
    }

    #[test]
    fn a_lock_out_tells_its_end_and_nothing_else_does() {
        let until = Timestamp::from_millis(1_800_000_000_123);
        let of = |kind: &str, detail: String| event(kind, detail).locked_until();
        assert_eq!(of(LOCKOUT_STARTED, lockout_detail(until)), Some(until));
        assert_eq!(of("locked_out", lockout_detail(until)), None);
        assert_eq!(of(LOCKOUT_STARTED, "until tomorrow".into()), None);
    }

    #[test]
    fn one_name_under_two_issuers_is_told_apart() {
        let of = |issuer: &str| Event { issuer: issuer.into(), ..event(SHADOW_DENIED, String::new()) };
        assert_eq!((&*of("").who(), &*of("corp").who()), ("alice", "corp: alice"));
    }
}
