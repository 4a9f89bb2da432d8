//! Keys as JSON: one (JWK) or several (JWK set), RFC 7517, 7518 §6, 8037 §2.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Algorithm, Fault, VerifyingKey, base64};
use crate::domain::json;

/// More keys in a set are refused.
const MOST_KEYS: usize = 100;
/// A longer `kid` is refused, in characters.
const LONGEST_KID: usize = 256;
/// What only the holder of a key may know (RFC 7518 §6.2.2, §6.3.2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// What is done with a key that holds its private part where the public one suffices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivatePart {
    /// It was published by mistake, and is nobody's proof of anything.
    Refuse,
    /// The public part is taken: for a person who has the key in their own file.
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Bytes of a coordinate.
    pub(super) const fn length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// What a key consists of. Numbers are big-endian; whether they make a sound key is [`VerifyingKey`]'s to judge.
#[derive(Clone)]
pub(super) enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ec { curve: Curve, x: Vec<u8>, y: Vec<u8> },
    Ed25519([u8; 32]),
    Secret(Zeroizing<Vec<u8>>),
}

impl Material {
    /// The members that make the key, none of which needs escaping. For a secret it is the secret.
    fn members(&self) -> Vec<(&'static str, Zeroizing<String>)> {
        let text = |bytes: &[u8]| Zeroizing::new(base64::encode(bytes));
        let name = |name: &str| Zeroizing::new(name.to_owned());
        match self {
            Self::Rsa { n, e } => vec![("e", text(e)), ("kty", name("RSA")), ("n", text(n))],
            Self::Ec { curve, x, y } => {
                vec![("crv", name(curve.as_str())), ("kty", name("EC")), ("x", text(x)), ("y", text(y))]
            }
            Self::Ed25519(x) => vec![("crv", name("Ed25519")), ("kty", name("OKP")), ("x", text(x))],
            Self::Secret(secret) => vec![("k", text(secret)), ("kty", name("oct"))],
        }
    }

    /// RFC 7638 §3: SHA-256 over the required members in the order of their names, without white space; base64url.
    pub(super) fn thumbprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut before = "{\"";
        for (name, value) in self.members() {
            for piece in [before, name, "\":\"", &value] {
                hash.update(piece);
            }
            before = "\",\"";
        }
        hash.update("\"}");
        base64::encode(hash.finalize())
    }

    /// The public key as a JWK for verifying signatures; `None` for a secret, which has no public part.
    pub(super) fn to_jwk(&self, algorithm: Algorithm, kid: &str) -> Option<Value> {
        if matches!(self, Self::Secret(_)) {
            return None;
        }
        let mut jwk = json!({"kid": kid, "alg": algorithm, "use": "sig"});
        for (name, value) in self.members() {
            jwk[name] = Value::from(value.as_str());
        }
        Some(jwk)
    }
}

/// One JWK, read.
#[derive(Clone)]
pub(super) struct Jwk {
    pub(super) material: Material,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) kid: Option<String>,
}

impl Jwk {
    pub(super) fn parse(text: &str, private: PrivatePart) -> Result<Self, Fault> {
        Self::read(&json::object(text.as_bytes()).map_err(|_| Fault::KeyJson)?, private)
    }

    fn read(members: &Map<String, Value>, private: PrivatePart) -> Result<Self, Fault> {
        let is_private =
            PRIVATE.iter().any(|name| members.get(*name).is_some_and(|value| !is_nothing(value)));
        if is_private && private == PrivatePart::Refuse {
            return Err(Fault::KeyPrivate);
        }
        require_verifying(members, is_private)?;
        let algorithm = match text(members, "alg")? {
            Some(name) => Some(name.parse().map_err(|_| Fault::KeyAlgorithm)?),
            None => None,
        };
        let kid = match members.get("kid") {
            // Some count their keys.
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => text(members, "kid")?.map(str::to_owned),
        };
        if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.chars().count() > LONGEST_KID) {
            return Err(Fault::KeyMember("kid"));
        }
        let material = match text(members, "kty")?.ok_or(Fault::KeyMember("kty"))? {
            "RSA" => Material::Rsa { n: number(members, "n")?, e: number(members, "e")? },
            "EC" => {
                let curve = match text(members, "crv")? {
                    Some("P-256") => Curve::P256,
                    Some("P-384") => Curve::P384,
                    Some("P-521") => Curve::P521,
                    _ => return Err(Fault::KeyCurve),
                };
                let coordinate = |name| match bytes(members, name)? {
                    bytes if bytes.len() == curve.length() => Ok(bytes),
                    _ => Err(Fault::KeyMember(name)),
                };
                Material::Ec { curve, x: coordinate("x")?, y: coordinate("y")? }
            }
            "OKP" if text(members, "crv")? == Some("Ed25519") => {
                let x = bytes(members, "x")?;
                Material::Ed25519(x.try_into().map_err(|_| Fault::KeyMember("x"))?)
            }
            "OKP" => return Err(Fault::KeyCurve),
            "oct" => Material::Secret(Zeroizing::new(bytes(members, "k")?)),
            _ => return Err(Fault::KeyType),
        };
        Ok(Self { material, algorithm, kid })
    }
}

/// A key whose `use` or `key_ops` forbid it verifies nothing (RFC 7517 §4.2, §4.3).
fn require_verifying(members: &Map<String, Value>, is_private: bool) -> Result<(), Fault> {
    if text(members, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(Fault::KeyUse);
    }
    let Some(operations) = members.get("key_ops").filter(|value| !is_nothing(value)) else { return Ok(()) };
    let Some(operations) = operations.as_array() else { return Err(Fault::KeyMember("key_ops")) };
    // The private half says what is done with it; its counterpart verifies.
    let allows = |operation: &Value| match operation.as_str() {
        Some("verify") => true,
        Some("sign") => is_private,
        _ => false,
    };
    if operations.iter().any(allows) { Ok(()) } else { Err(Fault::KeyUse) }
}

/// Some write every member that they know, those that say nothing as well.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::KeyMember(name)),
    }
}

fn bytes(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, Fault> {
    text(members, name)?.and_then(base64::decode).ok_or(Fault::KeyMember(name))
}

/// A whole number without leading zeros (RFC 7518 §2, Base64urlUInt).
fn number(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, Fault> {
    match bytes(members, name)? {
        bytes if bytes.first().is_some_and(|&first| first != 0) => Ok(bytes),
        _ => Err(Fault::KeyMember(name)),
    }
}

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
