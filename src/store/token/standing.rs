//! How an issued token stands: whether it is refused before it expires, and why.

use super::ground;
use crate::domain::{
    clock::Timestamp,
    name::{Kid, Subject},
    revocation::{Revocation, Target},
    signing_key::{SigningKey, SigningKeyState},
    token::{IssuedToken, Parent, TokenState},
};
use crate::store::{Rows, StoreError, revocation, signing_key};

/// Why an issued token is refused before it expires.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Refusal {
    Revoked(Revocation),
    /// The key that signed it is retired, or is not there.
    KeyRetired {
        retired_key: Kid,
    },
    /// What it rests on does not stand.
    Fallen {
        /// Its kind, `key` or `token`, and its id.
        kind: &'static str,
        fallen_with: String,
        /// What became of that: revoked, disabled, expired, rotated, removed, retired (its signing key).
        why: &'static str,
    },
}

/// An issued token, and how it stands at the moment of the question.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Standing {
    #[serde(flatten)]
    pub token: IssuedToken,
    pub state: TokenState,
    pub refusal: Option<Refusal>,
}

/// As of when it is asked.
#[derive(Clone, Copy)]
enum AsOf {
    Now(Timestamp),
    /// A moment that has passed: what was done since then does not count.
    Then(Timestamp),
}

impl AsOf {
    fn moment(self) -> Timestamp {
        let (Self::Now(moment) | Self::Then(moment)) = self;
        moment
    }

    /// Whether what was done at `made` counts. Now it does whatever its time: the clock of who did it may run ahead.
    fn counts(self, made: Timestamp) -> bool {
        match self {
            Self::Now(_) => true,
            Self::Then(moment) => made <= moment,
        }
    }
}

/// How a token stands at `now`. Of several revocations that refuse it the narrowest is told.
pub fn standing(c: &Rows<'_>, token: IssuedToken, now: Timestamp) -> Result<Standing, StoreError> {
    as_of(c, token, AsOf::Now(now))
}

/// How a token stood at a moment that has passed, as far as is known: of what is remembered without its time (a key that is
/// disabled, or removed), it counts as it is now.
pub fn standing_then(c: &Rows<'_>, token: IssuedToken, then: Timestamp) -> Result<Standing, StoreError> {
    as_of(c, token, AsOf::Then(then))
}

fn as_of(c: &Rows<'_>, token: IssuedToken, when: AsOf) -> Result<Standing, StoreError> {
    let refusal = refusal(c, &token, when)?;
    let state = token.state(when.moment(), refusal.is_some());
    Ok(Standing { token, state, refusal })
}

fn refusal(c: &Rows<'_>, token: &IssuedToken, when: AsOf) -> Result<Option<Refusal>, StoreError> {
    let own = Parent { jti: token.jti, kid: token.kid.clone(), issued_at: token.issued_at };
    let by_itself = taken_back(c, &own, &token.subject, when)?;
    if by_itself.is_some() {
        return Ok(by_itself);
    }
    if let Some(ground) = &token.rests_on.key {
        let key = ground::key(c, ground.id)?;
        let fallen = match when {
            AsOf::Now(now) => ground.refusal(key.as_ref(), now),
            AsOf::Then(then) => ground.refusal_then(key.as_ref(), then),
        };
        if let Some((_, why)) = fallen {
            return Ok(Some(Refusal::Fallen { kind: "key", fallen_with: ground.id.to_string(), why }));
        }
    }
    for parent in &token.rests_on.parents {
        let why = match taken_back(c, parent, &token.subject, when)? {
            None => continue,
            Some(Refusal::KeyRetired { .. }) => "retired",
            Some(_) => "revoked",
        };
        return Ok(Some(Refusal::Fallen { kind: "token", fallen_with: parent.jti.to_string(), why }));
    }
    Ok(None)
}

/// Why a token of `subject` is refused, whatever it rests on.
fn taken_back(
    c: &Rows<'_>,
    token: &Parent,
    subject: &Subject,
    when: AsOf,
) -> Result<Option<Refusal>, StoreError> {
    let (subject, cut, moment) = (subject.clone(), token.issued_at, token.issued_at);
    for target in [
        Target::Token { id: token.jti },
        Target::Subject { subject, cut },
        Target::Key { issuer: None, kid: token.kid.clone() },
        Target::IssuedBefore { issuer: None, moment },
    ] {
        let found = revocation::find(c, &target)?;
        let refuses = |found: &Revocation| match found.target {
            Target::Token { .. } | Target::Key { .. } => true,
            Target::Subject { cut, .. } => token.issued_at <= cut,
            Target::IssuedBefore { moment, .. } => token.issued_at < moment,
        };
        if let Some(found) = found.filter(|found| when.counts(found.revoked_at) && refuses(found)) {
            return Ok(Some(Refusal::Revoked(found)));
        }
    }
    let key = signing_key::find(c, &token.kid)?
        .map(|key| SigningKey { retired_at: key.retired_at.filter(|&retired| when.counts(retired)), ..key });
    let is_retired = key.is_none_or(|key| key.state(when.moment()) == SigningKeyState::Retired);
    Ok(is_retired.then(|| Refusal::KeyRetired { retired_key: token.kid.clone() }))
}
