//! The list of issued tokens, each with how it stands.

use super::{
    standing::{Standing, standing},
    state,
};
use crate::{
    domain::{
        clock::Timestamp,
        token::{IssuedToken, TokenId},
    },
    store::{
        Rows, StoreError,
        listing::{self, Field, Holds, Listed},
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Issued,
    Expires,
    Subject,
    Policy,
}
impl Sort {
    pub const ALL: [Self; 4] = [Self::Issued, Self::Expires, Self::Subject, Self::Policy];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Expires => "expires",
            Self::Subject => "subject",
            Self::Policy => "policy",
        }
    }
}

/// Which tokens, in which order.
pub type Query = listing::Query<Sort>;

impl Listed for Sort {
    type Noun = IssuedToken;
    type Id = TokenId;
    type Item = Standing;

    const FIELDS: &'static [Field] = &[
        Field::indexed("jti", "jti", Holds::Text),
        Field::indexed("subject", "subject", Holds::Text),
        Field::new("client", "client", Holds::Text),
        Field::indexed("policy", "policy", Holds::Text),
        Field::indexed("kid", "kid", Holds::Text),
        Field::new("alg", "algorithm", Holds::Text),
        Field::new("audience", "audience", Holds::Texts),
        Field::new("scope", "scopes", Holds::Scopes),
        Field::indexed("issued", "issued_at", Holds::Moment),
        Field::indexed("expires", "expires_at", Holds::Moment),
    ];

    const STATE: &'static str = state::STATE;

    fn as_str(self) -> &'static str {
        Self::as_str(self)
    }

    fn item(c: &Rows<'_>, token: IssuedToken, now: Timestamp) -> Result<Standing, StoreError> {
        standing(c, token, now)
    }
}
