//! Whose tokens are believed, and what was taken back, read for those who judge tokens.
//!
//! What is damaged is left out, so that what rests on it is refused: an issuer, a key. Not so a revocation: to leave that
//! out would let in again what was refused, so a damaged one is an error.

use std::time::Duration;

use super::{Rows, StoreError, issuer, revocation, sealed_setting, setting, signing_key};
use crate::{
    domain::{
        identity::HomeNames,
        issuer::Issuer,
        jose::{KeySet, PrivatePart, VerifyingKey},
        name::IssuerName,
        revocation::Target,
        signing_key::SigningKey,
        token::{ClaimNames, Profile, Revocation, Revocations, Trust, TrustedIssuer, TrustedKey, Whose},
    },
    vault::Vault,
};

/// How far clocks may differ where the setting [`sealed_setting::SKEW`] says nothing.
const DEFAULT_SKEW: Duration = Duration::from_secs(30);

/// What tokens are judged by.
#[derive(Debug)]
pub struct Beliefs {
    pub identity: HomeNames,
    /// This home first, then the registered issuers.
    pub trust: Trust,
    /// How far clocks may differ.
    pub skew: Duration,
    /// What was left out, and why.
    pub left_out: Vec<StoreError>,
}

/// Reads whose tokens are believed. Without the vault, keys that are shared secrets are left out.
pub fn load(c: &Rows<'_>, vault: Option<&Vault>) -> Result<Beliefs, StoreError> {
    let mut left_out = Vec::new();
    let identity = identity(c)?;
    let (own, damaged) = signing_key::sound(c)?;
    left_out.extend(damaged);
    let mut issuers = vec![home(c, vault, &identity, &own, &mut left_out)?];
    let (registered, damaged) = issuer::sound(c)?;
    left_out.extend(damaged);
    for issuer in registered {
        issuers.push(believed(c, vault, issuer, &mut left_out)?);
    }
    let trust = Trust::new(issuers).map_err(|bad| StoreError::row(issuer::TABLE.name, "*", bad))?;
    Ok(Beliefs { identity, trust, skew: skew(c)?, left_out })
}

/// Who this home is to those who read its tokens.
pub fn identity(c: &Rows<'_>) -> Result<HomeNames, StoreError> {
    let Some(store_id) = setting::get(c, setting::STORE_ID)? else {
        return Err(StoreError::Corrupt { file: "the store".into(), detail: "it has no id".into() });
    };
    let resource = sealed_setting::get(c, sealed_setting::RESOURCE)?;
    let resource = resource.map(|text| text.parse()).transpose().map_err(|error: url::ParseError| {
        StoreError::row(sealed_setting::TABLE.name, sealed_setting::RESOURCE, error)
    })?;
    Ok(HomeNames::new(&store_id, resource))
}

/// All that was taken back.
pub fn revocations(c: &Rows<'_>) -> Result<Revocations, StoreError> {
    gather(|each| revocation::each(c, each))
}

/// The same without what was revoked by its own id, of which there may be a million.
pub fn revocations_but_of_tokens(c: &Rows<'_>) -> Result<Revocations, StoreError> {
    gather(|each| revocation::each_but_tokens(c, each))
}

fn gather(
    read: impl FnOnce(
        &mut dyn FnMut(Result<crate::domain::revocation::Revocation, StoreError>),
    ) -> Result<(), StoreError>,
) -> Result<Revocations, StoreError> {
    let (mut all, mut damaged) = (Revocations::default(), None);
    read(&mut |found| match found {
        Ok(revocation) => all.add(remembered(revocation.target)),
        Err(error) => damaged = Some(error),
    })?;
    damaged.map_or(Ok(all), Err)
}

/// A revocation as those who judge tokens hold it.
pub fn remembered(target: Target) -> Revocation {
    let whose = |issuer: Option<IssuerName>| issuer.map_or(Whose::Home, Whose::Issuer);
    match target {
        Target::Token { id } => Revocation::Token(id),
        Target::Subject { subject, cut } => Revocation::Subject { whose: Whose::Anyone, subject, until: cut },
        Target::Key { issuer, kid } => Revocation::Key { whose: whose(issuer), kid: kid.to_string() },
        Target::IssuedBefore { issuer, moment } => Revocation::IssuedBefore { whose: whose(issuer), moment },
    }
}

fn skew(c: &Rows<'_>) -> Result<Duration, StoreError> {
    let Some(text) = sealed_setting::get(c, sealed_setting::SKEW)? else { return Ok(DEFAULT_SKEW) };
    text.parse()
        .map(Duration::from_secs)
        .map_err(|error| StoreError::row(sealed_setting::TABLE.name, sealed_setting::SKEW, error))
}

fn home(
    c: &Rows<'_>,
    vault: Option<&Vault>,
    identity: &HomeNames,
    keys: &[SigningKey],
    left_out: &mut Vec<StoreError>,
) -> Result<TrustedIssuer, StoreError> {
    let mut trusted = Vec::new();
    for key in keys {
        // One that was revoked is retired, and still known, so that its tokens are told to be revoked.
        let target = Target::Key { issuer: None, kid: key.kid.clone() };
        let is_revoked = revocation::find(c, &target)?.is_some();
        if key.retired_at.is_some() && !is_revoked {
            continue;
        }
        match verifying(c, vault, key) {
            Ok(Some(verifying)) => {
                trusted.push(TrustedKey { key: verifying, until: key.verifies_until.filter(|_| !is_revoked) })
            }
            Ok(None) => {}
            Err(error) => left_out.push(error),
        }
    }
    Ok(TrustedIssuer {
        name: None,
        profile: Profile::AtJwt,
        iss: identity.issuers(),
        audiences: Vec::new(),
        algorithms: crate::domain::jose::Algorithm::ISSUED.to_vec(),
        names: ClaimNames::default(),
        keys: trusted,
    })
}

/// What verifies what `key` signed; `None` where that cannot be had: a secret without the vault, or one that is destroyed.
fn verifying(
    c: &Rows<'_>,
    vault: Option<&Vault>,
    key: &SigningKey,
) -> Result<Option<VerifyingKey>, StoreError> {
    let bad = |why: &dyn std::fmt::Display| StoreError::row(signing_key::TABLE.name, key.kid.as_str(), why);
    let verifying = match &key.public {
        Some(jwk) => {
            VerifyingKey::from_jwk(&jwk.to_string(), Some(key.algorithm)).map_err(|fault| bad(&fault))?
        }
        None => {
            let (Some(vault), Some(entry)) = (vault, signing_key::private(c, &key.kid)?) else {
                return Ok(None);
            };
            let pair = vault.open_signing_key(&key.kid, &entry)?;
            pair.verifying_key().map_err(|error| bad(&error))?
        }
    };
    if verifying.algorithm() != key.algorithm {
        return Err(bad(&"its private part is for another algorithm"));
    }
    Ok(Some(verifying.with_kid(key.kid.as_str())))
}

fn believed(
    c: &Rows<'_>,
    vault: Option<&Vault>,
    issuer: Issuer,
    left_out: &mut Vec<StoreError>,
) -> Result<TrustedIssuer, StoreError> {
    let until = issuer.good_until();
    let mut bad = |why: &dyn std::fmt::Display| {
        left_out.push(StoreError::row(issuer::TABLE.name, issuer.name.as_str(), why));
    };
    let mut keys = Vec::new();
    match KeySet::parse(&issuer.keys.to_string(), PrivatePart::Refuse, &issuer.algorithms) {
        Ok(set) => keys.extend(set.keys),
        Err(fault) => bad(&fault),
    }
    if let (Some(vault), Some(entry)) = (vault, issuer::secret(c, &issuer.name)?) {
        let secret = vault.open_issuer_secret(&issuer.name, &entry)?;
        let symmetric = issuer.algorithms.iter().find(|algorithm| algorithm.is_symmetric());
        match symmetric.map(|algorithm| VerifyingKey::hmac(&secret, *algorithm)) {
            Some(Ok(key)) => keys.push(key),
            Some(Err(fault)) => bad(&fault),
            None => bad(&"it has a secret, and signs with no algorithm that has one"),
        }
    }
    Ok(TrustedIssuer {
        name: Some(issuer.name),
        profile: issuer.profile,
        iss: issuer.iss.into_iter().collect(),
        audiences: issuer.audiences,
        algorithms: issuer.algorithms,
        names: ClaimNames {
            subject: issuer.mapping.subject,
            scopes: issuer.mapping.scopes,
            audience: issuer.mapping.audience,
            prefix: issuer.mapping.subject_prefix,
        },
        keys: keys.into_iter().map(|key| TrustedKey { key, until }).collect(),
    })
}
