//! What a token says of whom it speaks for, for how long, and what for.

mod names;
mod place;
mod reader;

use std::num::NonZeroU32;

use serde_json::{Map, Value, json};

use super::bad_claims::BadClaims;
use super::{Bound, Grounds, Profile, TokenId, grounds};
use crate::domain::clock::Timestamp;
use crate::domain::jose::base64;
use crate::domain::name::{PolicyName, ScopeName, Subject};
use reader::{MISSING, Reader, prefixed};

pub use names::ClaimNames;
pub use place::{find as find_claim, meant_way};
pub use reader::{is_scope, names_in};

/// What a token says, in types that cannot hold a wrong value. Nobody vouches for it until its signature is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub id: TokenId,
    /// `iss`; `None` only in the legacy profile.
    pub issuer: Option<String>,
    pub subject: Subject,
    /// `aud`; empty only in the legacy profile.
    pub audience: Vec<String>,
    /// The first moment at which it is no longer valid.
    pub expires_at: Timestamp,
    pub not_before: Option<Timestamp>,
    pub issued_at: Timestamp,
    pub client_id: Option<String>,
    /// As the issuer calls them, each once: RFC 6749 §3.3 scope tokens, which need not be names here.
    pub scopes: Vec<String>,
    /// The policy that the token is under, by name: tokens of this home only.
    pub policy: Option<PolicyName>,
    /// Limits that the token carries itself.
    pub bound: Option<Bound>,
    /// What the caller has to prove beside the token (RFC 7800).
    pub confirmation: Option<Confirmation>,
    /// How often the token may be used.
    pub max_uses: Option<NonZeroU32>,
    /// What it was got for: tokens of this home only.
    pub grounds: Grounds,
}

/// `cnf`: the token is for the holder of a key, and a thief of the token alone has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The thumbprint of the key of DPoP proofs (RFC 9449 §6.1).
    pub jkt: Option<[u8; 32]>,
    /// SHA-256 of the client certificate (RFC 8705 §3.1).
    pub certificate: Option<[u8; 32]>,
}

impl Claims {
    /// Reads the claims of a token as `profile` demands. A claim that counts and is of a wrong type is refused, never taken
    /// as absent. `own`: it says that it comes from this home, whose tokens are known by their `jti` itself, and are read
    /// more strictly: they are written here.
    ///
    /// # Errors
    /// The first claim that cannot be.
    pub fn read(
        payload: &Map<String, Value>,
        profile: Profile,
        names: &ClaimNames,
        own: bool,
    ) -> Result<Self, BadClaims> {
        let reader = Reader { payload, profile, own };
        Ok(Self {
            id: Self::id_of(payload, profile, own)?,
            issuer: reader.issuer()?,
            subject: prefixed(names, reader.subject(names)?)?,
            audience: reader.audience(names, profile != Profile::Legacy)?,
            expires_at: reader.time("exp")?.ok_or_else(|| BadClaims::new("exp", MISSING))?,
            not_before: reader.time("nbf")?,
            issued_at: reader.issued_at()?,
            client_id: reader.client_id()?,
            scopes: reader.scopes(names)?,
            policy: if own { reader.parsed("policy_name")? } else { None },
            bound: reader.policy().map(Bound::read).transpose()?,
            confirmation: reader.get("cnf").map(confirmation).transpose()?,
            max_uses: reader.max_uses()?,
            grounds: match payload.get(grounds::CLAIM).filter(|_| own) {
                Some(claim) => Grounds::read(claim)?,
                None => Grounds::default(),
            },
        })
    }

    /// Which token it is: what it is remembered and revoked by, whatever may be wrong with its other claims. The rest is as in
    /// [`Claims::read`].
    ///
    /// # Errors
    /// Where it has no name that the profile demands.
    pub fn id_of(payload: &Map<String, Value>, profile: Profile, own: bool) -> Result<TokenId, BadClaims> {
        let reader = Reader { payload, profile, own };
        let issuer = reader.issuer()?;
        Ok(match reader.id()? {
            Some(jti) if own => {
                jti.parse().map_err(|error: super::BadTokenId| BadClaims::new("jti", error.to_string()))?
            }
            Some(jti) => TokenId::of(issuer.as_deref().unwrap_or_default(), &jti),
            // Without a name of its own, what it says is its name. No `jti` is empty.
            None => TokenId::of(&Value::Object(payload.clone()).to_string(), ""),
        })
    }

    /// The payload of a token of this home with these claims (RFC 9068 §2.2, and the source document's `user_id` and
    /// `scopes`). Times are whole seconds, rounded down.
    pub fn to_json(&self) -> Value {
        let mut payload = json!({
            "sub": self.subject,
            "user_id": self.subject,
            "exp": self.expires_at.seconds(),
            "iat": self.issued_at.seconds(),
            "jti": self.id,
            "scope": self.scopes.join(" "),
            "scopes": self.scopes,
        });
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                payload[name] = value;
            }
        };
        add("iss", self.issuer.as_deref().map(Value::from));
        add(
            "aud",
            match self.audience.as_slice() {
                [] => None,
                [one] => Some(one.as_str().into()),
                several => Some(several.into()),
            },
        );
        add("nbf", self.not_before.map(|time| time.seconds().into()));
        add("client_id", self.client_id.as_deref().map(Value::from));
        add("policy_name", self.policy.as_ref().map(|policy| policy.as_str().into()));
        add("policy", self.bound.as_ref().map(Bound::to_json));
        add("cnf", self.confirmation.map(Confirmation::to_json));
        add("max_uses", self.max_uses.map(|uses| uses.get().into()));
        add(grounds::CLAIM, self.grounds.to_json());
        payload
    }

    /// Those of its scopes that can be names of scopes here.
    pub fn scope_names(&self) -> Vec<ScopeName> {
        self.scopes.iter().filter_map(|scope| scope.parse().ok()).collect()
    }
}

impl Confirmation {
    fn to_json(self) -> Value {
        let mut members = Map::new();
        for (name, digest) in [("jkt", self.jkt), ("x5t#S256", self.certificate)] {
            if let Some(digest) = digest {
                members.insert(name.into(), base64::encode(digest).into());
            }
        }
        members.into()
    }
}

/// A way of confirmation that is not understood cannot be checked, so the token is refused.
fn confirmation(value: &Value) -> Result<Confirmation, BadClaims> {
    let wrong = |problem: &str| BadClaims::new("cnf", problem);
    let members = value
        .as_object()
        .filter(|members| !members.is_empty())
        .ok_or_else(|| wrong("has to be an object that is not empty"))?;
    if members.keys().any(|name| !matches!(name.as_str(), "jkt" | "x5t#S256")) {
        return Err(wrong("demands a proof that is not understood here; jkt and x5t#S256 are"));
    }
    let digest = |name: &str| {
        let read =
            |value: &Value| value.as_str().and_then(base64::decode).and_then(|bytes| bytes.try_into().ok());
        members
            .get(name)
            .map(|value| read(value).ok_or_else(|| wrong("holds something that is no SHA-256 in base64url")))
            .transpose()
    };
    Ok(Confirmation { jkt: digest("jkt")?, certificate: digest("x5t#S256")? })
}

#[cfg(test)]
mod tests;
