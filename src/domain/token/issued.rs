//! What is remembered of a token that this home issued: everything but the token.

use serde::Serialize;
use serde_json::Value;

use super::{Grounds, TokenId};
use crate::domain::{
    clock::Timestamp,
    jose::Algorithm,
    name::{Kid, PolicyName, ScopeName, Subject},
};

/// An issued token as the store keeps it. It never changes; whether it was revoked is told by the revocations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IssuedToken {
    pub jti: TokenId,
    pub subject: Subject,
    /// To whom it was given (`client_id`).
    pub client: String,
    pub scopes: Vec<ScopeName>,
    pub audience: Vec<String>,
    pub policy: PolicyName,
    /// The policy that stands in the token itself, where one does.
    pub bound: Option<Value>,
    /// What it was got for.
    pub rests_on: Grounds,
    /// How often it may be used; `None` = as often as the policy lets it.
    pub max_uses: Option<u32>,
    pub kid: Kid,
    #[serde(rename = "alg")]
    pub algorithm: Algorithm,
    pub issued_at: Timestamp,
    /// The first moment at which it is no longer valid.
    pub expires_at: Timestamp,
    /// Who had it issued, as in the audit log.
    pub issued_by: String,
}

/// What may be said of an issued token at one moment. Revoked beats expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    Live,
    /// Live, and less than a tenth of its life is left.
    Expiring,
    Expired,
    Revoked,
}

impl TokenState {
    pub const ALL: [Self; 4] = [Self::Live, Self::Expiring, Self::Expired, Self::Revoked];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::Expiring)
    }
}

impl IssuedToken {
    /// `revoked`: whether the revocations, or the retirement of its key, refuse it.
    pub fn state(&self, now: Timestamp, revoked: bool) -> TokenState {
        if revoked {
            return TokenState::Revoked;
        }
        if now >= self.expires_at {
            return TokenState::Expired;
        }
        let (left, life) = (self.expires_at.since(now), self.expires_at.since(self.issued_at));
        if left.saturating_mul(10) < life { TokenState::Expiring } else { TokenState::Live }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_passes_through_its_states_at_the_very_moments() {
        let token = IssuedToken {
            jti: TokenId::generate().unwrap(),
            subject: "alice".parse().unwrap(),
            client: "alice".into(),
            scopes: vec![],
            audience: vec![],
            policy: PolicyName::default(),
            bound: None,
            rests_on: Grounds::default(),
            max_uses: None,
            kid: "k".parse().unwrap(),
            algorithm: Algorithm::EdDsa,
            issued_at: Timestamp::from_millis(1000),
            expires_at: Timestamp::from_millis(2000),
            issued_by: "cli:tester".into(),
        };
        let state = |now, revoked| token.state(Timestamp::from_millis(now), revoked);
        assert_eq!(state(1900, false), TokenState::Live);
        assert_eq!(state(1901, false), TokenState::Expiring);
        assert_eq!(state(1999, false), TokenState::Expiring);
        assert_eq!(state(2000, false), TokenState::Expired);
        assert_eq!((state(1000, true), state(2000, true)), (TokenState::Revoked, TokenState::Revoked));
    }
}
