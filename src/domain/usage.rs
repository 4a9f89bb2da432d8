//! Usage: how many calls, by credential, endpoint, outcome and minute.

use serde::Serialize;

use super::clock::Timestamp;
use super::decision::Reason;

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
    /// `(other)` once a flush has met too many different ones.
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
    /// Whose subject it is, where it is a subject.
    pub issuer: Option<String>,
    pub totals: Totals,
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
