//! A key as JSON: JWK, RFC 7517, 7518 §6, 8037 §2.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Algorithm, Fault, base64};
use crate::domain::json;

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

/// What a key consists of. Numbers are big-endian; whether they make a sound key is [`VerifyingKey`](super::VerifyingKey)'s to judge.
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

    pub(super) fn read(members: &Map<String, Value>, private: PrivatePart) -> Result<Self, Fault> {
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
