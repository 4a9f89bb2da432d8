//! What a token rests on: the API key that it was got with, and the tokens that it was narrowed from.
//!
//! It stands in the token itself, under our signature, so that whoever judges the token needs no book to know it, and
//! nobody can take it out.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::bad_claims::BadClaims;
use super::{Bound, TokenId};
use crate::domain::api_key::{ApiKey, KeyId, KeyState, SecretMark};
use crate::domain::clock::Timestamp;
use crate::domain::decision::Reason;
use crate::domain::name::{Kid, ScopeName};
use crate::domain::scope::holds;

/// The claim.
pub(super) const CLAIM: &str = "rests_on";
/// How often a token can be narrowed, one from another.
pub const MOST_PARENTS: usize = 8;

/// What a token rests on. It stands only while all of this does. Empty for one that an operator issued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grounds {
    /// The key that it, or the first of its parents, was got with.
    pub key: Option<KeyGround>,
    /// Those that it was narrowed from, the nearest first; at most [`MOST_PARENTS`].
    #[serde(rename = "tokens")]
    pub parents: Vec<Parent>,
}

/// An API key, with the secret that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeyGround {
    pub id: KeyId,
    /// Which of the key's secrets: a token falls with its own secret, and stays when another one goes.
    pub secret: SecretMark,
}

/// A token of this home, with what revocations may know it by. It speaks for the same subject as what rests on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parent {
    pub jti: TokenId,
    /// The key that signed it.
    pub kid: Kid,
    pub issued_at: Timestamp,
}

impl KeyGround {
    /// Why what was got with the key does not stand at `now`, and in a word what became of the key; `None` = it stands.
    /// `key`: as it is now, where there is one.
    pub fn refusal(&self, key: Option<&ApiKey>, now: Timestamp) -> Option<(Reason, &'static str)> {
        let Some(key) = key else { return Some(REMOVED) };
        fallen(key.has_secret(self.secret, now), key.state(now))
    }

    /// The same at a moment that has passed, as far as is known: a rotation or a revocation since then does not count.
    pub fn refusal_then(&self, key: Option<&ApiKey>, then: Timestamp) -> Option<(Reason, &'static str)> {
        let Some(key) = key else { return Some(REMOVED) };
        // Both take away secrets of which nothing is known any more.
        let is_changed_since = [key.rotated_at, key.revoked_at].into_iter().flatten().any(|at| at > then);
        fallen(is_changed_since || key.has_secret(self.secret, then), key.state_then(then))
    }
}

const REMOVED: (Reason, &str) = (Reason::Revoked, "removed");

fn fallen(has_secret: bool, state: KeyState) -> Option<(Reason, &'static str)> {
    if !has_secret {
        return Some((Reason::Revoked, "rotated"));
    }
    state.refusal().map(|reason| (reason, state.as_str()))
}

/// What a token has of its scopes by what it rests on and the limits that it carries. Whatever becomes of a key (`under`: its
/// scopes), what was got with it may do no more than the key itself.
pub fn scopes_left(
    mut scopes: Vec<ScopeName>,
    under: Option<&[ScopeName]>,
    bound: Option<&Bound>,
) -> Vec<ScopeName> {
    if let Some(under) = under {
        scopes.retain(|scope| holds(under, scope));
    }
    match bound {
        Some(bound) => bound.policy().policy.effective_scopes(&scopes),
        None => scopes,
    }
}

impl Grounds {
    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.parents.is_empty()
    }

    /// Reads the claim. What is not understood cannot be looked after, and is refused.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(value: &Value) -> Result<Self, BadClaims> {
        let wrong = || BadClaims::new(CLAIM, "is not as this home writes it");
        let claim = value.as_object().filter(|claim| !claim.is_empty()).ok_or_else(wrong)?;
        let is_known = |name: &String| matches!(name.as_str(), "key" | "secret" | "tokens");
        if !claim.keys().all(is_known) || claim.contains_key("key") != claim.contains_key("secret") {
            return Err(wrong());
        }
        let text = |name: &str| claim.get(name).map(|value| value.as_str().ok_or_else(wrong)).transpose();
        let key = match (text("key")?, text("secret")?) {
            (Some(id), Some(secret)) => {
                let (id, secret) = (id.parse().ok(), secret.parse().ok());
                Some(KeyGround { id: id.ok_or_else(wrong)?, secret: secret.ok_or_else(wrong)? })
            }
            _ => None,
        };
        let parents = match claim.get("tokens") {
            None => Vec::new(),
            Some(Value::Array(parents)) if (1..=MOST_PARENTS).contains(&parents.len()) => {
                parents.iter().map(parent).collect::<Option<_>>().ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        Ok(Self { key, parents })
    }

    /// The claim; `None` where there is nothing to say.
    pub(super) fn to_json(&self) -> Option<Value> {
        let mut claim = Map::new();
        if let Some(KeyGround { id, secret }) = &self.key {
            claim.insert("key".into(), id.as_str().into());
            claim.insert("secret".into(), secret.to_string().into());
        }
        if !self.parents.is_empty() {
            let parent = |Parent { jti, kid, issued_at }: &Parent| json!({"jti": jti, "kid": kid, "iat": issued_at.seconds()});
            claim.insert("tokens".into(), self.parents.iter().map(parent).collect());
        }
        (!claim.is_empty()).then(|| claim.into())
    }
}

fn parent(value: &Value) -> Option<Parent> {
    let members = value.as_object().filter(|members| members.len() == 3)?;
    let seconds = members.get("iat")?.as_i64().filter(|seconds| *seconds >= 0)?;
    Some(Parent {
        jti: members.get("jti")?.as_str()?.parse().ok()?,
        kid: members.get("kid")?.as_str()?.parse().ok()?,
        issued_at: Timestamp::from_millis(seconds.checked_mul(1000)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grounds() -> Grounds {
        let parent = |byte| Parent {
            jti: TokenId::from_bytes([byte; 16]),
            kid: "k1".parse().unwrap(),
            issued_at: Timestamp::from_millis(1_800_000_000_000),
        };
        let key = KeyGround { id: KeyId::generate().unwrap(), secret: "0123456789abcdef".parse().unwrap() };
        Grounds { key: Some(key), parents: vec![parent(2), parent(1)] }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let whole = grounds();
        for grounds in [
            Grounds { key: None, ..whole.clone() },
            Grounds { parents: Vec::new(), ..whole.clone() },
            whole.clone(),
        ] {
            assert_eq!(Grounds::read(&grounds.to_json().unwrap()), Ok(grounds));
        }
        assert_eq!(Grounds::default().to_json(), None);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let good = grounds().to_json().unwrap();
        let with = |name: &str, value: Value| {
            let mut claim = good.clone();
            claim[name] = value;
            claim
        };
        let parent = good["tokens"][0].clone();
        let mut strange = parent.clone();
        strange["x"] = 1.into();
        for claim in [
            json!({}),
            json!("x"),
            json!({"key": good["key"]}),
            json!({"secret": good["secret"]}),
            with("certificate", "00".into()),
            with("key", "short".into()),
            with("key", 1.into()),
            with("secret", "0123".into()),
            with("secret", "0123456789ABCDEF".into()),
            with("tokens", json!([])),
            with("tokens", json!({})),
            with("tokens", json!([strange])),
            with("tokens", json!([{"jti": "x", "kid": "k1", "iat": 1}])),
            with("tokens", Value::Array(vec![parent; MOST_PARENTS + 1])),
        ] {
            assert!(Grounds::read(&claim).is_err(), "{claim}");
        }
    }
}
