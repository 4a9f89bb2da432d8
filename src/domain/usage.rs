//! Usage: how many calls, by credential, endpoint, outcome and minute.

use std::borrow::Cow;

use serde::Serialize;

use super::clock::Timestamp;
use super::decision::Reason;
use super::endpoint::METHODS;
use super::identity::called;

/// What became of a call, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Allowed,
    /// Let through by a policy in shadow mode that would have denied.
    Shadowed(Reason),
    Denied(Reason),
    /// Allowed, but the upstream could not answer.
    Failed,
}

impl Outcome {
    /// `allowed`, `shadow:<reason>`, `failed`, or the reason itself.
    pub fn code(self) -> String {
        match self {
            Self::Allowed => "allowed".into(),
            Self::Failed => "failed".into(),
            Self::Shadowed(reason) => format!("shadow:{reason}"),
            Self::Denied(reason) => reason.as_str().into(),
        }
    }

    /// What [`Outcome::code`] wrote.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "allowed" => Some(Self::Allowed),
            "failed" => Some(Self::Failed),
            _ => match code.strip_prefix("shadow:") {
                Some(reason) => reason.parse().ok().map(Self::Shadowed),
                None => code.parse().ok().map(Self::Denied),
            },
        }
    }

    pub fn is_denied(self) -> bool {
        matches!(self, Self::Denied(_))
    }
}

/// Stands for a credential and a subject that are not known, and for an endpoint where none was asked for.
pub const NOBODY: &str = "-";
/// Stands before people for the subject of a credential of which only the id is kept.
pub const NOT_KEPT: &str = "(subject not kept)";
/// Stands for endpoints that are not told apart.
pub const OTHER: &str = "(other)";
/// The number of [`OTHER`] among [`NAMES`].
pub const OTHER_NUMBER: u32 = 0;

/// What calls are counted under where names are not told apart, since their callers choose them: one name for all others,
/// one for none, and the methods of MCP in all eras with the gateway's own endpoints.
pub const NAMES: [&str; METHODS.len() + 2] = {
    let mut names = [OTHER; METHODS.len() + 2];
    names[1] = NOBODY;
    let mut index = 0;
    while index < METHODS.len() {
        names[index + 2] = METHODS[index];
        index += 1;
    }
    names
};

/// The number among [`NAMES`] of the method of an endpoint, whatever target it names.
pub fn method_number(endpoint: &str) -> u32 {
    let is_method = |method: &str| {
        endpoint.strip_prefix(method).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found = NAMES.iter().position(|method| is_method(method));
    found.and_then(|number| u32::try_from(number).ok()).unwrap_or(OTHER_NUMBER)
}

/// The method of an endpoint, whatever target it names; [`OTHER`] where it is none of [`NAMES`].
pub fn method(endpoint: &str) -> &'static str {
    NAMES.get(method_number(endpoint) as usize).copied().unwrap_or(OTHER)
}

/// One counter: calls in one minute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Count {
    /// Start of the minute.
    pub minute: Timestamp,
    /// The credential's id; `-` where none was recognised.
    pub credential: String,
    /// Who vouches for the subject: the name of a registered issuer, empty where it is the home.
    pub issuer: String,
    /// `-` where no credential was recognised.
    pub subject: String,
    /// One of [`NAMES`] where it is not told apart from others.
    pub endpoint: String,
    pub outcome: Outcome,
    pub calls: u64,
}

/// Sums over a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Shadowed calls are among them.
    pub allowed: u64,
    pub denied: u64,
    pub failed: u64,
}

impl Totals {
    pub fn calls(self) -> u64 {
        self.allowed + self.denied + self.failed
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            allowed: self.allowed + other.allowed,
            denied: self.denied + other.denied,
            failed: self.failed + other.failed,
        }
    }

    pub fn add(&mut self, outcome: Outcome, calls: u64) {
        match outcome {
            Outcome::Denied(_) => self.denied += calls,
            Outcome::Failed => self.failed += calls,
            Outcome::Allowed | Outcome::Shadowed(_) => self.allowed += calls,
        }
    }
}

/// The calls of one credential, subject, issuer, endpoint or outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Its name; the issuer `""` is the home.
    pub key: String,
    /// Whose subject it is, where it is a subject; of a credential, whose subject it spoke for.
    pub issuer: Option<String>,
    /// Of a credential: for whom it spoke when that was last known; `None` where it is not kept.
    pub subject: Option<String>,
    pub totals: Totals,
}

impl Busy {
    /// For whom a credential spoke, as people read it.
    pub fn who(&self) -> Option<Cow<'_, str>> {
        Some(called(self.issuer.as_deref().unwrap_or_default(), self.subject.as_deref()?))
    }
}

/// What a summary is broken down by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    Credential,
    /// By issuer and subject: one name under two issuers is two.
    Subject,
    Issuer,
    Endpoint,
    Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        let mut outcomes = vec![Outcome::Allowed, Outcome::Failed];
        for &reason in Reason::all() {
            outcomes.extend([Outcome::Denied(reason), Outcome::Shadowed(reason)]);
        }
        for outcome in outcomes {
            assert_eq!(Outcome::from_code(&outcome.code()), Some(outcome));
        }
    }

    #[test]
    fn a_method_is_known_by_itself_and_with_a_target_and_nothing_else_is() {
        for &known in &NAMES {
            assert_eq!(method(known), known);
        }
        assert_eq!(method("tools/call/a/b"), "tools/call");
        assert_eq!(method("resources/read/file:///a"), "resources/read");
        for other in [
            "",
            "tools",
            "tools/caller",
            "tools/calls/x",
            "/oauth",
            "/pub",
            "(othe",
            "x/tools/call",
            "TOOLS/CALL",
        ] {
            assert_eq!(method(other), OTHER, "{other:?}");
        }
    }

    #[test]
    fn other_texts_are_no_codes() {
        for text in ["", "Allowed", "shadow:", "shadow:allowed", "denied", "ip_denied "] {
            assert_eq!(Outcome::from_code(text), None, "{text:?}");
        }
    }

    #[test]
    fn shadowed_calls_were_let_through() {
        let mut totals = Totals::default();
        totals.add(Outcome::Shadowed(Reason::IpDenied), 2);
        totals.add(Outcome::Denied(Reason::IpDenied), 3);
        totals.add(Outcome::Failed, 4);
        assert_eq!(totals, Totals { allowed: 2, denied: 3, failed: 4 });
        assert_eq!(totals.calls(), 9);
    }
}
