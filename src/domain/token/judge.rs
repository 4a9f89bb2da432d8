//! Whether a token is to be believed.
//!
//! [`authenticate`] stops at the first check that fails, in the way of a request. [`judge`] goes on as far as anything is
//! left to look at, for people. Both are [`walk`], so that they cannot disagree.

mod witness;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::audience::is_same;
use super::{
    ACCESS_TOKEN, ClaimNames, Claims, Parent, Profile, Revocations, Revoked, TokenId, Trust, TrustedIssuer,
};
use crate::domain::api_key;
use crate::domain::clock::{Timestamp, it_is};
use crate::domain::decision::{Check, Reason};
use crate::domain::identity::Identity;
use crate::domain::jose::{Algorithm, Compact, Header, Part};
use crate::domain::leak::quoted;
use crate::domain::name::IssuerName;
use crate::domain::text::first_of;
use crate::domain::{jose::Fault, json};

pub use witness::Failed;
use witness::{First, Witness};

/// What is said of an API key where a token is expected.
pub const NO_TOKEN: &str =
    "this is an API key and no token; `portcullis key verify` and `portcullis explain` judge API keys";

/// Clocks may differ by this much and no more.
pub const MOST_SKEW: Duration = Duration::from_secs(60);

/// What is asked of a token beside what it says itself.
#[derive(Clone, Debug)]
pub struct Expected {
    audiences: Arc<[String]>,
    skew: Duration,
    now: Timestamp,
}

impl Expected {
    /// `audiences`: whom a token may be for, one of them; an issuer may have its own. `skew` is at most [`MOST_SKEW`].
    pub fn new(audiences: impl Into<Arc<[String]>>, skew: Duration, now: Timestamp) -> Self {
        Self { audiences: audiences.into(), skew: skew.min(MOST_SKEW), now }
    }
}

/// A token that is believed.
#[derive(Clone, Debug)]
pub struct Verified {
    pub claims: Claims,
    /// `None` = this home.
    pub issuer: Option<IssuerName>,
    pub profile: Profile,
    /// The key that signed it.
    pub kid: String,
    /// The RFC 7638 thumbprint of that key.
    pub thumbprint: String,
    /// What it was signed with: the same key may be published for several.
    pub algorithm: Algorithm,
    /// Which claims were read as what.
    pub names: ClaimNames,
}

impl Verified {
    /// For whom it speaks.
    pub fn identity(&self) -> Identity {
        Identity { issuer: self.issuer.clone(), subject: self.claims.subject.clone() }
    }

    /// Judges again, at another moment or by what has changed meanwhile, everything that need not be read in the token
    /// itself: a signature that fitted fits for good, and nothing else does.
    ///
    /// # Errors
    /// The first check that fails, as [`authenticate`] would have it now.
    pub fn still_holds(
        &self,
        trust: &Trust,
        revocations: &Revocations,
        expected: &Expected,
    ) -> Result<(), Failed> {
        let issuer = trust
            .issuer(self.claims.issuer.as_deref())
            .map_err(|reason| Failed::of("issuer", reason, "it is not registered any more"))?;
        let is_same =
            issuer.name == self.issuer && issuer.profile == self.profile && issuer.names == self.names;
        if !is_same {
            return Err(Failed::of("issuer", Reason::WrongIssuer, "it is not registered as it was"));
        }
        if issuer.name.is_some()
            && let Some(other) = trust.whose_subject(issuer, &self.claims.subject)
        {
            let why = is_of_another(&self.claims, other);
            return Err(Failed::of("claims", Reason::Malformed, why));
        }
        let mut keys = issuer.live_keys(&self.kid, expected.now);
        if !keys.any(|key| (key.algorithm(), key.thumbprint()) == (self.algorithm, &*self.thumbprint)) {
            let why = format!("the issuer has no key `{}` any more", quoted(&self.kid));
            return Err(Failed::of("key", Reason::UnknownCredential, why));
        }
        if !issuer.algorithms.contains(&self.algorithm) {
            let why = format!("the issuer does not sign with {} any more", self.algorithm);
            return Err(Failed::of("key", Reason::BadSignature, why));
        }
        let mut first = First::default();
        stand(&self.claims, issuer, &self.kid, revocations, expected, &mut first);
        first.failed.map_or(Ok(()), Err)
    }
}

/// Everything about a token. What nothing vouches for is foreign text.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The first check that failed; `None` = it is to be believed.
    pub reason: Option<Reason>,
    pub checks: Vec<Check>,
    pub header: Option<Header>,
    /// The payload as it stands in the token.
    pub payload: Option<Map<String, Value>>,
    pub claims: Option<Claims>,
    /// Where an issuer was found: its name, `None` being this home.
    pub issuer: Option<Option<IssuerName>>,
    verified: Option<Verified>,
}

impl Verdict {
    /// The token as those who believe it hold it; `None` where it is not to be believed.
    pub fn verified(&self) -> Option<Verified> {
        self.verified.clone().filter(|_| self.is_valid())
    }

    pub fn is_valid(&self) -> bool {
        self.reason.is_none()
    }
}

/// Judges a token for people: every check with its outcome.
pub fn judge(text: &str, trust: &Trust, revocations: &Revocations, expected: &Expected) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.verified = walk(text, trust, revocations, expected, &mut verdict);
    verdict
}

/// A token that is not believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub failed: Failed,
    /// What it says of itself, where its signature fits: it was refused for what was looked at after that.
    pub claims: Option<Box<Claims>>,
    /// Who issued it, where that is so; `None` = this home.
    pub issuer: Option<IssuerName>,
}

/// Judges a token in the way of a request.
///
/// # Errors
/// Why it is not believed.
pub fn authenticate(
    text: &str,
    trust: &Trust,
    revocations: &Revocations,
    expected: &Expected,
) -> Result<Verified, Refused> {
    let mut first = First::default();
    let verified = walk(text, trust, revocations, expected, &mut first);
    match (verified, first.failed) {
        (Some(verified), None) => Ok(verified),
        (_, failed) => {
            let First { claims, issuer, .. } = first;
            let failed = failed.unwrap_or_else(|| Failed::of("form", Reason::Malformed, "it is no token"));
            Err(Refused { failed, claims, issuer })
        }
    }
}

/// The checks, in their order: form, issuer, key, signature, type, claims, then what depends on time and place. `None`
/// where the witness stopped it or nothing was left to look at.
fn walk(
    text: &str,
    trust: &Trust,
    revocations: &Revocations,
    expected: &Expected,
    witness: &mut impl Witness,
) -> Option<Verified> {
    let (token, payload) = match read(text) {
        Ok(read) => read,
        Err(fault) => {
            witness.see("form", Some(Reason::Malformed), || match text.starts_with(api_key::MARK) {
                true => NO_TOKEN.into(),
                false => fault.to_string(),
            });
            return None;
        }
    };
    let header = token.header();
    witness.header(header);
    witness.payload(&payload);
    witness.see("form", None, || format!("a signed token (JWS) by {}", header.alg))?;

    let issuer = match issuer_of(&payload, trust) {
        Ok(issuer) => issuer,
        Err((reason, detail)) => {
            witness.see("issuer", Some(reason), || detail);
            return None;
        }
    };
    let own = issuer.name.is_none();
    witness.see("issuer", None, || match &issuer.name {
        None => "this home".into(),
        Some(name) => format!("{name}, of the {} profile", issuer.profile),
    })?;

    // Until the signature fits, nobody vouches for what it says.
    let claimed = || match &issuer.name {
        None => "the token claims to be of this home".into(),
        Some(name) => format!("the token claims to be of {name}"),
    };
    let key = issuer.key_for(header, expected.now);
    witness.see("key", key.err(), || match key {
        Ok(key) => format!("{}, for {} alone", quoted(key.kid()), key.algorithm()),
        Err(Reason::BadSignature) => {
            format!("{}, which does not sign with {}, or not with this key", claimed(), header.alg)
        }
        Err(_) => match &header.kid {
            Some(kid) => format!("{}, which has no key `{}` that is still good", claimed(), quoted(kid)),
            None => format!("{}, and names no key; there is not exactly one for its algorithm", claimed()),
        },
    })?;
    if let Ok(key) = key {
        let fault = token.verify(key).err();
        witness.see("signature", fault.map(|_| Reason::BadSignature), || {
            fault.map_or("it fits".into(), |fault| {
                format!("{fault}; {}, signed with its key `{}`", claimed(), quoted(key.kid()))
            })
        })?;
    }

    let read = Claims::read(&payload, issuer.profile, &issuer.names, own);
    let is_typed = is_of_profile(header, issuer.profile);
    if !is_typed && let Ok(claims) = &read {
        let other = if own { None } else { trust.whose_subject(issuer, &claims.subject) };
        // Its issuer vouches for whom it names, though it is for another purpose.
        if other.is_none() {
            witness.claims(claims, issuer.name.as_ref());
        }
    }
    witness.see("type", (!is_typed).then_some(Reason::Malformed), || {
        let typ = header.typ.as_deref().map_or("no `typ`".into(), |typ| format!("`typ` {}", quoted(typ)));
        let mend =
            issuer.name.as_ref().filter(|_| !is_typed).zip(profile_for(header)).map(|(name, profile)| {
                format!("; `portcullis issuer set {name} --profile {profile}` takes it")
            });
        format!("{typ}; the {} profile{}", issuer.profile, mend.unwrap_or_default())
    })?;

    let claims = match read {
        Ok(claims) => claims,
        Err(bad) => {
            witness.see("claims", Some(Reason::Malformed), || bad.to_string());
            return None;
        }
    };
    if !own && let Some(other) = trust.whose_subject(issuer, &claims.subject) {
        witness.see("claims", Some(Reason::Malformed), || is_of_another(&claims, other));
        return None;
    }
    witness.claims(&claims, issuer.name.as_ref());
    witness.see("claims", None, || "all that the profile demands are there, each of its type".into())?;

    let kid = key.map_or_else(|_| header.kid.clone().unwrap_or_default(), |key| key.kid().to_owned());
    stand(&claims, issuer, &kid, revocations, expected, witness)?;
    let thumbprint = key.map_or_else(|_| String::new(), |key| key.thumbprint().to_owned());
    Some(Verified {
        claims,
        issuer: issuer.name.clone(),
        profile: issuer.profile,
        kid,
        thumbprint,
        algorithm: header.alg,
        names: issuer.names.clone(),
    })
}

/// The checks that depend on time and place, and on what was taken back.
fn stand(
    claims: &Claims,
    issuer: &TrustedIssuer,
    kid: &str,
    revocations: &Revocations,
    expected: &Expected,
    witness: &mut impl Witness,
) -> Option<()> {
    let skew = expected.skew;
    let begins = claims.not_before.map_or(claims.issued_at, |moment| moment.max(claims.issued_at));
    let is_early = begins > expected.now.plus(skew);
    witness.see("begin", is_early.then_some(Reason::NotYetValid), || {
        format!("valid from {begins}; {}", it_is(expected.now))
    })?;
    let is_over = expected.now.minus(skew) >= claims.expires_at;
    witness.see("end", is_over.then_some(Reason::Expired), || {
        format!("expires at {}; {}", claims.expires_at, it_is(expected.now))
    })?;

    let wanted = if issuer.audiences.is_empty() { &*expected.audiences } else { issuer.audiences.as_slice() };
    let is_for_us = is_meant(claims, wanted, issuer);
    witness.see("audience", (!is_for_us).then_some(Reason::WrongAudience), || {
        let list = |names: &[String]| first_of(names, |name| quoted(name));
        match claims.audience.as_slice() {
            [] if is_for_us => "for nobody in particular, as the legacy profile allows".into(),
            [] => format!("taken here: {}; the token is for nobody in particular", list(wanted)),
            audience => format!("taken here: {}; the token is for {}", list(wanted), list(audience)),
        }
    })?;

    let has_key = |parent: &Parent| issuer.live_keys(parent.kid.as_str(), expected.now).next().is_some();
    let revoked = revocations
        .revoked(claims, issuer.name.as_ref(), issuer.names.bare(&claims.subject), kid)
        .or_else(|| (!claims.grounds.parents.iter().all(has_key)).then_some(Revoked::Parent));
    witness.see("revocation", revoked.map(|_| Reason::Revoked), || {
        revoked.map_or("not revoked".into(), |revoked| revoked.to_string())
    })
}

/// What is said of a subject that only another issuer may have.
fn is_of_another(claims: &Claims, other: &IssuerName) -> String {
    let subject = quoted(claims.subject.as_str());
    format!("a subject that begins as `{subject}` does is of issuer {other} alone")
}

/// The registered issuer whose key a token names that is not known, and the key's name; empty where the token names none.
/// Nothing vouches for the token. `None` where it is refused for another reason.
pub fn missed_key<'a>(text: &str, trust: &'a Trust, now: Timestamp) -> Option<(&'a IssuerName, String)> {
    let (token, payload) = read(text).ok()?;
    let issuer = issuer_of(&payload, trust).ok()?;
    let is_missed = issuer.key_for(token.header(), now) == Err(Reason::UnknownCredential);
    let kid = token.header().kid.clone().unwrap_or_default();
    issuer.name.as_ref().filter(|_| is_missed).map(|name| (name, kid))
}

/// Which token a text is: what those who believe it remember and revoke it by. Nothing vouches for it.
///
/// # Errors
/// Why it is none that could be believed; safe to show.
pub fn identify(text: &str, trust: &Trust) -> Result<TokenId, String> {
    let (_, payload) = read(text).map_err(|fault| fault.to_string())?;
    let issuer = issuer_of(&payload, trust).map_err(|(_, why)| why)?;
    Claims::id_of(&payload, issuer.profile, issuer.name.is_none()).map_err(|bad| bad.to_string())
}

fn read(text: &str) -> Result<(Compact, Map<String, Value>), Fault> {
    let token = Compact::parse(text)?;
    let payload = json::claims(token.payload()).map_err(|_| Fault::Json(Part::Payload))?;
    Ok((token, payload))
}

fn issuer_of<'a>(
    payload: &Map<String, Value>,
    trust: &'a Trust,
) -> Result<&'a TrustedIssuer, (Reason, String)> {
    let iss = match payload.get("iss") {
        None | Some(Value::Null) => None,
        Some(Value::String(iss)) => Some(iss.as_str()),
        Some(_) => return Err((Reason::Malformed, "`iss` has to be a text".into())),
    };
    trust.issuer(iss).map_err(|reason| match iss {
        Some(iss) => {
            let claimed =
                format!("the token claims to be of `{}`, and no such issuer is registered", quoted(iss));
            (reason, claimed)
        }
        None => {
            let nameless =
                "the token names no issuer (`iss`), and no legacy issuer without one is registered";
            (reason, nameless.into())
        }
    })
}

/// A token of another type is for another purpose (RFC 8725 §3.11).
pub(super) fn is_of_profile(header: &Header, profile: Profile) -> bool {
    let is_plain = header.typ.is_none() || header.is_of_type("jwt");
    match profile {
        Profile::AtJwt => header.is_of_type(ACCESS_TOKEN),
        Profile::Oidc => is_plain || header.is_of_type(ACCESS_TOKEN),
        Profile::Legacy => is_plain,
    }
}

/// The strictest profile of other issuers that takes such a token.
fn profile_for(header: &Header) -> Option<Profile> {
    [Profile::AtJwt, Profile::Oidc].into_iter().find(|profile| is_of_profile(header, *profile))
}

/// Whether the token is for one of `wanted`. One of the legacy profile may name nobody, where its issuer has no audience of
/// its own.
fn is_meant(claims: &Claims, wanted: &[String], issuer: &TrustedIssuer) -> bool {
    match claims.audience.as_slice() {
        [] => issuer.profile == Profile::Legacy && issuer.audiences.is_empty(),
        // To the letter first: that is how nearly all tokens say it, and it is asked on every call.
        audience => {
            audience.iter().any(|one| wanted.contains(one))
                || audience.iter().any(|one| wanted.iter().any(|other| is_same(one, other)))
        }
    }
}
