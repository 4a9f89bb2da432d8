//! Several keys as JSON: a JWK set (RFC 7517 §5).

use std::collections::BTreeSet;

use serde_json::Value;

use super::jwk::{Jwk, Material, PrivatePart};
use super::{Algorithm, Fault, VerifyingKey};
use crate::domain::json;

/// More keys in a set are refused.
const MOST_KEYS: usize = 100;

/// The keys of a JWK set that verify signatures.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    /// No two of one `kid` for one algorithm. One key stands here once for each algorithm that it is published for.
    pub keys: Vec<VerifyingKey>,
    /// Those that were published without a name, each by its algorithm and thumbprint.
    nameless: BTreeSet<(Algorithm, String)>,
    /// The keys left out, by their place in the set, and why: another use, another type, too weak (RFC 7517 §5).
    pub skipped: Vec<(usize, Fault)>,
}

impl KeySet {
    /// Reads a JWK set. A secret in one that was published is known to everyone: with [`PrivatePart::Refuse`] it is left
    /// out. `fallback` says what keys may be for that name no algorithm themselves. The same key twice is one.
    ///
    /// # Errors
    /// Where it is no set, where secrets and public keys are mixed in a file of one's own, and where two keys have one
    /// `kid` for one algorithm: which of them a token means would be a matter of luck.
    pub fn parse(text: &str, private: PrivatePart, fallback: &[Algorithm]) -> Result<Self, Fault> {
        let set = json::object(text.as_bytes()).map_err(|_| Fault::KeyJson)?;
        let Some(members) = set.get("keys").and_then(Value::as_array).filter(|keys| keys.len() <= MOST_KEYS)
        else {
            return Err(Fault::SetShape);
        };
        let secrets =
            members.iter().filter(|key| key.get("kty").and_then(Value::as_str) == Some("oct")).count();
        if private == PrivatePart::Drop && secrets != 0 && secrets != members.len() {
            return Err(Fault::SetMixed);
        }
        let mut read = Self::default();
        let mut broken = Vec::new();
        for (place, member) in members.iter().enumerate() {
            match of_member(member, private, fallback) {
                Ok((keys, is_named)) => {
                    let nameless = keys.iter().filter(|_| !is_named);
                    read.nameless.extend(nameless.map(|key| (key.algorithm(), key.thumbprint().to_owned())));
                    keys.into_iter().try_for_each(|key| read.add(key))?;
                }
                Err(fault) => {
                    broken.extend(named(member).filter(|_| is_broken(fault)));
                    read.skipped.push((place, fault));
                }
            }
        }
        // One for something else may have the name of another; one that is meant for the same and is broken may not.
        let is_meant_too = |(kid, algorithm): &(&str, Algorithm)| {
            read.keys.iter().any(|key| (key.kid(), key.algorithm()) == (*kid, *algorithm))
        };
        if broken.iter().any(is_meant_too) { Err(Fault::SetDuplicate) } else { Ok(read) }
    }

    fn add(&mut self, key: VerifyingKey) -> Result<(), Fault> {
        let is_meant_too =
            |other: &&VerifyingKey| other.kid() == key.kid() && other.algorithm() == key.algorithm();
        match self.keys.iter().find(is_meant_too) {
            Some(other) if *other == key => {}
            Some(_) => return Err(Fault::SetDuplicate),
            None => self.keys.push(key),
        }
        Ok(())
    }

    /// Whether no token says of `key` that it means this one: it was published without a name, as was another for the same
    /// algorithm.
    pub fn is_ambiguous(&self, key: &VerifyingKey) -> bool {
        let is_alike = |(algorithm, _): &&(Algorithm, String)| *algorithm == key.algorithm();
        key.kid() == key.thumbprint()
            && self.nameless.contains(&(key.algorithm(), key.thumbprint().to_owned()))
            && self.nameless.iter().filter(is_alike).count() > 1
    }

    /// The key that a token was signed with: the one that it names, by name and algorithm, else the only one for its
    /// algorithm. Where it names one that is for other algorithms, that.
    ///
    /// # Errors
    /// [`Fault::SetNoKey`] where there is none, or several could be meant.
    pub fn key_for(&self, header: &super::Header) -> Result<&VerifyingKey, Fault> {
        let is_named = |key: &&VerifyingKey| header.kid.as_ref().is_none_or(|kid| key.kid() == kid);
        let mut named = self.keys.iter().filter(is_named);
        let mut fitting = named.clone().filter(|key| key.algorithm() == header.alg);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) if header.kid.is_some() => named.next().ok_or(Fault::SetNoKey),
            _ => Err(Fault::SetNoKey),
        }
    }
}

/// What verifies by one key of a set, and whether that has a name of its own.
fn of_member(
    member: &Value,
    private: PrivatePart,
    fallback: &[Algorithm],
) -> Result<(Vec<VerifyingKey>, bool), Fault> {
    let jwk = Jwk::read(member.as_object().ok_or(Fault::KeyJson)?, private)?;
    let is_named = jwk.kid.is_some();
    match jwk.material {
        Material::Secret(_) if private == PrivatePart::Refuse => Err(Fault::KeyPrivate),
        _ => Ok((VerifyingKey::from_set(jwk, fallback)?, is_named)),
    }
}

/// The name of a key and the algorithm that it names.
fn named(member: &Value) -> Option<(&str, Algorithm)> {
    Some((member.get("kid")?.as_str()?, member.get("alg")?.as_str()?.parse().ok()?))
}

/// Whether a key is wrong in itself, and not merely for something else or somebody's secret.
fn is_broken(fault: Fault) -> bool {
    !matches!(
        fault,
        Fault::KeyUse
            | Fault::KeyType
            | Fault::KeyCurve
            | Fault::KeyAlgorithm
            | Fault::KeyMismatch(_)
            | Fault::KeyPrivate
    )
}
