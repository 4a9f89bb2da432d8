//! A token in compact form (RFC 7515 §7.1), taken apart.

use serde::Serialize;
use serde_json::{Map, Value};

use super::fault::LONGEST;
use super::{Algorithm, Fault, Part, VerifyingKey, base64};
use crate::domain::json;

/// The longest that a gateway takes unless it is told otherwise. Entra writes a person's groups into tokens, up to 11 KB.
pub const USUAL: usize = 16 * 1024;

/// What of a header counts. `jku`, `x5u`, `jwk` and `x5c` would have the token choose its own key; they count for nothing
/// (RFC 8725 §3.10), and so does what is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Header {
    pub alg: Algorithm,
    /// Foreign text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// Foreign text: a name among the keys of an issuer, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

impl Header {
    /// Whether `typ` is the media type `application/<kind>`, written in full or without its first part, in any case
    /// (RFC 7515 §4.1.9).
    pub fn is_of_type(&self, kind: &str) -> bool {
        self.typ.as_deref().is_some_and(|typ| is_media_type(typ, kind))
    }

    fn read(members: &Map<String, Value>) -> Result<Self, Fault> {
        // Some write what they leave out as null. What must be understood, or chooses a key, never is left out so.
        let text = |name: &'static str| match members.get(name) {
            None => Ok(None),
            Some(Value::Null) if name != "alg" => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Fault::HeaderType(name)),
        };
        if members.contains_key("enc") {
            return Err(Fault::Encrypted);
        }
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(Fault::Critical);
        }
        if text("cty")?.is_some_and(|kind| is_media_type(kind, "jwt")) {
            return Err(Fault::Nested);
        }
        let alg = match text("alg")? {
            None => return Err(Fault::NoAlgorithm),
            Some(alg) if alg.trim().eq_ignore_ascii_case("none") => return Err(Fault::Unsigned),
            Some(alg) => alg.parse().map_err(|_| Fault::UnknownAlgorithm)?,
        };
        let kid = match members.get("kid") {
            // A name as good as any; some count their keys.
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => text("kid")?.map(str::to_owned),
        };
        Ok(Self { alg, typ: text("typ")?.map(str::to_owned), kid })
    }
}

fn is_media_type(text: &str, kind: &str) -> bool {
    let prefix = "application/";
    let short = match text.split_at_checked(prefix.len()) {
        Some((first, rest)) if first.eq_ignore_ascii_case(prefix) => rest,
        _ => text,
    };
    short.eq_ignore_ascii_case(kind)
}

/// A token: well formed, its signature not yet verified.
#[derive(Clone, Debug)]
pub struct Compact {
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
    /// The first two parts, as they were signed.
    signing_input: String,
}

impl Compact {
    /// Takes a token apart.
    ///
    /// # Errors
    /// The first fault of its form, see [`Fault`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > LONGEST {
            return Err(Fault::TooLong);
        }
        let mut parts = text.split('.');
        let (header, payload, signature) = match (parts.next(), parts.next(), parts.next(), parts.count()) {
            (Some(header), Some(payload), Some(signature), 0) => (header, payload, signature),
            (Some(_), Some(_), Some(_), 2) => return Err(Fault::Encrypted),
            _ => return Err(Fault::Parts),
        };
        let decoded = |text, part| base64::decode(text).ok_or(Fault::Base64(part));
        let members = json::object(&decoded(header, Part::Header)?).map_err(|_| Fault::Json(Part::Header))?;
        Ok(Self {
            header: Header::read(&members)?,
            payload: decoded(payload, Part::Payload)?,
            signature: decoded(signature, Part::Signature)?,
            signing_input: text[..header.len() + 1 + payload.len()].to_owned(),
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What is signed. Anyone can have written it until [`Compact::verify`] says otherwise.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether `key` signed it, with the algorithm that `key` is for.
    ///
    /// # Errors
    /// [`Fault::WrongAlgorithm`] or [`Fault::Signature`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), Fault> {
        if self.header.alg != key.algorithm() {
            return Err(Fault::WrongAlgorithm { token: self.header.alg, key: key.algorithm() });
        }
        key.verify(self.signing_input.as_bytes(), &self.signature)
    }
}

/// What is signed of a token with this header and payload: the first two parts. Only [`Header`]'s own members are written.
pub fn signing_input(header: &Header, payload: &Value) -> String {
    // The members of a header and a value made of JSON are always JSON.
    let header = serde_json::to_string(header).unwrap_or_default();
    format!("{}.{}", base64::encode(header), base64::encode(payload.to_string()))
}

/// The whole token: what was signed, and the signature over it.
pub fn join(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", base64::encode(signature))
}
