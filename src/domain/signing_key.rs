//! Signing keys: what the store keeps of one, and what may be said of it at a moment.
//!
//! A key is published before it signs, signs until it is rotated, goes on verifying what it signed, and is then retired.

use serde::Serialize;
use serde_json::Value;

use super::clock::Timestamp;
use super::jose::{Algorithm, VerifyingKey};
use super::name::Kid;

/// A signing key as the store keeps it: everything but its private part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SigningKey {
    pub kid: Kid,
    #[serde(rename = "alg")]
    pub algorithm: Algorithm,
    /// A label for people; empty where none was given.
    pub name: String,
    pub created_at: Timestamp,
    /// The first moment at which it may sign; it is published before.
    pub signs_from: Timestamp,
    /// The first moment at which it signs no more; `None` = until it is rotated.
    pub signs_until: Option<Timestamp>,
    /// The first moment at which nothing that it signed is taken any more; `None` = while it signs.
    pub verifies_until: Option<Timestamp>,
    /// Since when all that it signed is refused.
    pub retired_at: Option<Timestamp>,
    /// Its public part as a JWK (RFC 7517); `None` for HS256, which has none.
    #[serde(rename = "jwk")]
    pub public: Option<Value>,
}

/// What may be said of a signing key at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningKeyState {
    /// Published, and not signing yet.
    Next,
    /// Signs and verifies.
    Active,
    /// Was rotated: verifies what it signed.
    Verifying,
    /// Neither; all that it signed is refused.
    Retired,
}

impl SigningKeyState {
    pub const ALL: [Self; 4] = [Self::Next, Self::Active, Self::Verifying, Self::Retired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Verifying => "verifying",
            Self::Retired => "retired",
        }
    }

    /// Whether what it signed is taken, and its public part published.
    pub const fn verifies(self) -> bool {
        !matches!(self, Self::Retired)
    }
}

impl SigningKey {
    /// A retirement holds whatever its time: the clock of the process that made it may run ahead of this one's.
    pub fn state(&self, now: Timestamp) -> SigningKeyState {
        if self.retired_at.is_some() || self.verifies_until.is_some_and(|end| now >= end) {
            return SigningKeyState::Retired;
        }
        if self.signs_until.is_some_and(|end| now >= end) {
            return SigningKeyState::Verifying;
        }
        if now < self.signs_from { SigningKeyState::Next } else { SigningKeyState::Active }
    }

    /// Its public part in PEM; `None` for HS256, which has none, and for one that cannot be read.
    pub fn public_pem(&self) -> Option<String> {
        VerifyingKey::from_jwk(&self.public.as_ref()?.to_string(), Some(self.algorithm)).ok()?.to_pem()
    }

    /// Whether it is the one to sign with at `now`.
    pub fn signs_at(&self, now: Timestamp) -> bool {
        self.state(now) == SigningKeyState::Active
    }

    /// Whether it can sign at `now` what must be verified up to `until`.
    pub fn can_sign(&self, now: Timestamp, until: Timestamp) -> bool {
        self.signs_at(now) && self.verifies_until.is_none_or(|end| until <= end)
    }
}

/// The public parts of the keys whose signatures are taken at `now`, as a JWK set (RFC 7517 §5): what is published. Those
/// of HS256 have none and are not in it.
pub fn key_set<'a>(keys: impl IntoIterator<Item = &'a SigningKey>, now: Timestamp) -> Value {
    let published = keys.into_iter().filter(|key| key.state(now).verifies());
    serde_json::json!({ "keys": published.filter_map(|key| key.public.as_ref()).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: fn(i64) -> Timestamp = Timestamp::from_millis;

    fn key() -> SigningKey {
        SigningKey {
            kid: "k1".parse().unwrap(),
            algorithm: Algorithm::EdDsa,
            name: String::new(),
            created_at: T(0),
            signs_from: T(10),
            signs_until: Some(T(20)),
            verifies_until: Some(T(30)),
            retired_at: None,
            public: Some(serde_json::json!({ "kid": "k1" })),
        }
    }

    #[test]
    fn a_key_passes_through_its_states_at_the_very_moments() {
        use SigningKeyState::{Active, Next, Retired, Verifying};
        let key = key();
        let states = [(9, Next), (10, Active), (19, Active), (20, Verifying), (29, Verifying), (30, Retired)];
        for (now, state) in states {
            assert_eq!(key.state(T(now)), state, "{now}");
        }
        let open = SigningKey { signs_until: None, verifies_until: None, ..key.clone() };
        assert_eq!(open.state(T(i64::MAX)), Active);
        let retired = SigningKey { retired_at: Some(T(50)), ..key };
        assert_eq!(retired.state(T(15)), Retired, "whatever the clock says");
    }

    #[test]
    fn a_key_signs_nothing_that_outlives_it() {
        assert!(key().can_sign(T(15), T(30)));
        assert!(!key().can_sign(T(15), T(31)));
        assert!(!key().can_sign(T(25), T(26)) && !key().can_sign(T(5), T(26)));
    }

    #[test]
    fn only_what_is_taken_is_published() {
        let keys = [key(), SigningKey { public: None, ..key() }];
        assert_eq!(key_set(&keys, T(5)), serde_json::json!({ "keys": [{ "kid": "k1" }] }));
        assert_eq!(key_set(&keys, T(30)), serde_json::json!({ "keys": [] }));
    }
}
