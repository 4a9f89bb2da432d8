//! Tokens: JWTs as bearer credentials (RFC 7519, RFC 9068), those that this home issues and those of registered issuers.
//!
//! What a token says is in [`Claims`], whom it is believed from in [`Trust`], what was taken back in [`Revocations`].
//! [`judge`] tells people everything about one, [`authenticate`] decides on one in the way of a request; both walk the
//! same checks.

mod audience;
mod bad_claims;
mod bound;
mod claims;
mod grounds;
mod id;
mod inspect;
mod issued;
mod judge;
mod possession;
mod revocation;
mod trust;

pub use audience::is_same as is_same_audience;
pub use bad_claims::BadClaims;
pub use bound::Bound;
pub use claims::{ClaimNames, Claims, Confirmation, find_claim, is_scope, meant_way, names_in};
pub use grounds::{Grounds, KeyGround, MOST_PARENTS, Parent, scopes_left};
pub use id::{BadTokenId, TokenId};
pub use inspect::{Inspection, Moment, inspect};
pub use issued::{IssuedToken, TokenState};
pub use judge::{
    Expected, Failed, MOST_SKEW, NO_TOKEN, Refused, Verdict, Verified, authenticate, identify, judge,
    missed_key,
};
pub use possession::{Possession, Shown, UNBOUND, require_possession};
pub use revocation::{Revocation, Revocations, Revoked, Whose};
pub use trust::{BadTrust, Trust, TrustedIssuer, TrustedKey};

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How long a token, and what was revoked of it, is remembered after its end: 7 days.
pub const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// The media type of an access token, as it stands in `typ` (RFC 9068 §2.1).
pub const ACCESS_TOKEN: &str = "at+jwt";

/// What is demanded of an issuer's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// RFC 9068: `typ` is `at+jwt`; `iss sub aud exp iat jti` are there. This home's own tokens are of this kind.
    #[default]
    AtJwt,
    /// An identity provider's: `typ` is `JWT`, `at+jwt` or left out; `iss`, `exp`, a subject, an audience and `iat` or `nbf`
    /// are there.
    Oidc,
    /// The source document's: `user_id`, `scopes`, `iat`, `exp`, `jti`; times may have fractions; `iss` and `aud` may be
    /// left out.
    Legacy,
}

/// A text that names no profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the profile of an issuer is one of at-jwt, oidc, legacy")]
pub struct BadProfile;

impl Profile {
    pub const ALL: [Self; 3] = [Self::AtJwt, Self::Oidc, Self::Legacy];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtJwt => "at-jwt",
            Self::Oidc => "oidc",
            Self::Legacy => "legacy",
        }
    }
}

impl FromStr for Profile {
    type Err = BadProfile;

    fn from_str(text: &str) -> Result<Self, BadProfile> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == text).ok_or(BadProfile)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Profile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Profile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
