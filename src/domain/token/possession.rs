//! Proofs of possession (DPoP, RFC 9449): who presents a token shows that it holds the key which the token is bound to.

use std::fmt::Display;
use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

use super::{Claims, Confirmation, Failed};
use crate::domain::clock::{Timestamp, it_is};
use crate::domain::decision::Reason;
use crate::domain::jose::{Compact, VerifyingKey, base64};
use crate::domain::json;
use crate::domain::leak::quoted;
use crate::domain::text::first_of;

/// The `typ` of a proof (RFC 9449 §4.2).
const KIND: &str = "dpop+jwt";
/// How far the moment of a proof may lie from now, either way.
const WINDOW: Duration = Duration::from_secs(300);
/// Longer names of proofs are refused, in bytes.
const LONGEST_NAME: usize = 256;

/// What a proof has to be for.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub method: &'a str,
    /// Every URL by which the request may have been meant; query and fragment do not count.
    pub urls: &'a [String],
    /// The token that it came with, which is believed.
    pub token: &'a str,
    /// The thumbprint of the key that the token names.
    pub bound_to: &'a [u8; 32],
    pub now: Timestamp,
}

/// A proof that fits its request. It may be used once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possession {
    /// The RFC 7638 thumbprint of the key that made it.
    pub jkt: [u8; 32],
    /// The proof's name among all proofs: a digest of that key and the proof's `jti`.
    pub id: String,
    /// The first moment at which it is refused for its age.
    pub ends_at: Timestamp,
}

impl Possession {
    /// Judges a proof by all the checks of RFC 9449 §4.3 but the last one: that it was not used before. A signature by
    /// another key than the token's is not looked at.
    ///
    /// # Errors
    /// [`Reason::Malformed`], [`Reason::BadSignature`], or for its moment [`Reason::Expired`] or [`Reason::NotYetValid`].
    pub fn read(proof: &str, shown: &Shown<'_>) -> Result<Self, Failed> {
        let malformed = |why: &str| failed(Reason::Malformed, why);
        let other = |why: String| failed(Reason::BadSignature, why);
        let compact = Compact::parse(proof).map_err(|fault| malformed(&fault.to_string()))?;
        if !compact.header().is_of_type(KIND) || compact.header().alg.is_symmetric() {
            return Err(malformed("its `typ` is not dpop+jwt, or its algorithm is one of shared secrets"));
        }
        let key =
            key_of(proof, &compact).ok_or_else(|| malformed("its header holds no public key (`jwk`)"))?;
        let jkt = base64::decode(key.thumbprint()).and_then(|bytes| bytes.try_into().ok());
        let jkt: [u8; 32] = jkt.ok_or_else(|| malformed("its key has no thumbprint"))?;
        if jkt != *shown.bound_to {
            let bound_to = base64::encode(shown.bound_to);
            return Err(other(format!(
                "made by the key {}; the token is bound to {bound_to}",
                key.thumbprint()
            )));
        }
        compact.verify(&key).map_err(|fault| other(fault.to_string()))?;
        let claims =
            json::object(compact.payload()).map_err(|_| malformed("its payload is no JSON object"))?;
        let id = text(&claims, "jti")?;
        if id.is_empty() || id.len() > LONGEST_NAME {
            return Err(malformed("its name (`jti`) is empty or too long"));
        }
        let (method, url) = (text(&claims, "htm")?, text(&claims, "htu")?);
        if method != shown.method || !is_one_of(url, shown.urls) {
            return Err(other(format!(
                "made for {} `{}` (htm, htu); this is {} {}",
                quoted(method),
                quoted(url),
                shown.method,
                first_of(shown.urls, |url| quoted(url))
            )));
        }
        if text(&claims, "ath")? != base64::encode(Sha256::digest(shown.token)) {
            return Err(other("made for another token (ath)".into()));
        }
        // NumericDate (RFC 7519 §2): the clocks of browsers have fractions.
        let made = claims.get("iat").and_then(Value::as_f64).and_then(Timestamp::from_numeric_date);
        let made = made.ok_or_else(|| malformed("`iat` is not when it was made"))?;
        let aged =
            |reason| failed(reason, format!("made at {made}; {}; at most 5 minutes apart", it_is(shown.now)));
        if made > shown.now.plus(WINDOW) {
            return Err(aged(Reason::NotYetValid));
        }
        if shown.now.minus(WINDOW) > made {
            return Err(aged(Reason::Expired));
        }
        let mut name = Sha256::new();
        name.update(jkt);
        name.update(id.as_bytes());
        let ends_at = made.plus(WINDOW).plus(Duration::from_secs(1));
        Ok(Self { jkt, id: base64::encode(name.finalize()), ends_at })
    }
}

fn failed(reason: Reason, why: impl Display) -> Failed {
    Failed::of("proof", reason, why)
}

/// Whether a token may be presented with this proof, or without any. One that is bound to a key is never taken as a plain
/// bearer token, nor one that is not bound with a proof (RFC 9449 §4.3, 12).
///
/// # Errors
/// [`Reason::BadSignature`]; [`Reason::UntrustedCertificate`] where the token is bound to a client certificate (RFC 8705),
/// of which none is known yet.
pub fn require_possession(claims: &Claims, possession: Option<&Possession>) -> Result<(), Failed> {
    let lacking = |reason, why| Err(Failed::of("possession", reason, why));
    match (claims.confirmation, possession) {
        (None, None) => Ok(()),
        (None, Some(_)) => lacking(Reason::BadSignature, UNBOUND),
        (Some(Confirmation { certificate: Some(_), .. }), _) => lacking(
            Reason::UntrustedCertificate,
            "the token is bound to a client certificate (cnf.x5t#S256), and none can be shown yet",
        ),
        (Some(Confirmation { jkt: Some(jkt), .. }), Some(possession)) if jkt == possession.jkt => Ok(()),
        _ => lacking(
            Reason::BadSignature,
            "the token is bound to a key (cnf.jkt), and is taken only with a DPoP proof made by it",
        ),
    }
}

/// What is said of a proof beside a token that needs none.
pub const UNBOUND: &str = "the token is bound to no key (cnf.jkt), and came with a DPoP proof";

/// The public key that stands in the header of a proof: nobody vouches for it, and nobody has to, since what counts is that
/// the token names it. A private one is refused.
fn key_of(proof: &str, compact: &Compact) -> Option<VerifyingKey> {
    let header = base64::decode(proof.split('.').next()?)?;
    let header = json::object(&header).ok()?;
    let jwk = header.get("jwk").filter(|jwk| jwk.is_object() && is_cheap(jwk))?;
    VerifyingKey::from_jwk(&jwk.to_string(), Some(compact.header().alg)).ok()
}

/// Whether a signature by it is verified in a bounded time: clients choose these keys. Of RSA, those of at most 4096 bits
/// with the exponent that everybody uses, 65537.
fn is_cheap(jwk: &Value) -> bool {
    const LONGEST: usize = 683;
    let member = |name| jwk.get(name).and_then(Value::as_str);
    member("kty") != Some("RSA")
        || (member("e") == Some("AQAB") && member("n").is_some_and(|modulus| modulus.len() <= LONGEST))
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a str, Failed> {
    let text = claims.get(name).and_then(Value::as_str);
    text.ok_or_else(|| failed(Reason::Malformed, format_args!("`{name}` is missing, or is no text")))
}

/// Scheme and host in any case, a default port or none (RFC 3986 §6.2.2 and §6.2.3); all else letter by letter.
fn is_one_of(url: &str, urls: &[String]) -> bool {
    let normal = |url: &str| {
        let mut url = Url::parse(url).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    normal(url).is_some_and(|url| urls.iter().any(|own| normal(own).as_ref() == Some(&url)))
}

#[cfg(test)]
mod tests;
