//! How a client presents its credential.
//!
//! An API key: `Authorization: Bearer`, `X-API-Key`, or the pair `X-API-Key-Id` and `X-API-Key-Secret`. A token:
//! `Authorization: Bearer`, or `Authorization: DPoP` with the proof in `DPoP` (RFC 9449). One way, once. Two ways at once
//! are no proper request, because another reader of the same request could take the other one. A query string never is a
//! way (RFC 9700 §4.3.2): it ends up in logs. The mark of our keys tells them from tokens; neither is ever tried as the
//! other.

use http::{HeaderName, header};
use percent_encoding::percent_decode_str;

use crate::domain::api_key::{BadKey, MARK, PresentedKey};
use crate::domain::decision::Reason;
use crate::domain::leak::{self, Sought};
use crate::engine::Presented;

use crate::gateway::wire::{self, Fields, Several};

pub const KEY: HeaderName = HeaderName::from_static("x-api-key");
pub const KEY_ID: HeaderName = HeaderName::from_static("x-api-key-id");
pub const KEY_SECRET: HeaderName = HeaderName::from_static("x-api-key-secret");
const PROOF: HeaderName = HeaderName::from_static("dpop");

/// By what a client wanted to be known, whatever became of it. What it is told when that fails depends on this alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Nothing,
    Key,
    Token,
    /// A token with a proof of possession.
    Bound,
}

/// What a request came with.
#[derive(Clone, Debug)]
pub struct Credential {
    pub manner: Manner,
    pub presented: Result<Presented, Wrong>,
    /// What came beside a token that is bound to a key.
    pub proof: Option<Proof>,
}

/// A proof of possession as it came. It is worth looking at only where its token is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub text: String,
    pub aim: Aim,
}

/// What a proof has to be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    pub method: String,
    /// Every URL by which the request may have been meant.
    pub urls: Vec<String>,
}

/// Why there is nothing to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The request is not put as it should be: RFC 6750 §3.1 `invalid_request`.
    Improper(&'static str),
    /// The proof of possession does not hold.
    Proof(Reason),
    /// A token is longer than is taken.
    Long,
}

const IN_QUERY: Wrong =
    Wrong::Improper("a credential must not stand in the query: send it as Authorization: Bearer");
const SEVERAL: Wrong = Wrong::Improper("the request carries more than one credential, or the same one twice");
const HALF: Wrong = Wrong::Improper("X-API-Key-Id and X-API-Key-Secret belong together");
const EMPTY: Wrong = Wrong::Improper("Authorization names no credential");
const NOWHERE: Wrong = Wrong::Improper(
    "a DPoP token is not taken here: this gateway does not know its public URL, for which the proof is made; its operator \
     sets it with serve --public-url",
);

impl From<Several> for Wrong {
    fn from(Several: Several) -> Self {
        SEVERAL
    }
}

/// Reads what a request came with. `most`: how long a token may be, in bytes. `aim`: what a proof has to be for, where that
/// is known.
pub fn read(
    headers: &Fields,
    query: Option<&str>,
    most: usize,
    aim: impl FnOnce() -> Option<Aim>,
) -> Credential {
    let (mut manner, mut proof) = (Manner::Nothing, None);
    let presented = match query.is_some_and(holds_credential) {
        true => Err(IN_QUERY),
        false => find(headers, &mut manner, &mut proof, aim),
    };
    let is_long = matches!(&presented, Ok(Presented::Token(token)) if token.text.expose().len() > most);
    let presented = if is_long { Err(Wrong::Long) } else { presented };
    Credential { manner, presented, proof }
}

fn find(
    headers: &Fields,
    manner: &mut Manner,
    proof: &mut Option<Proof>,
    aim: impl FnOnce() -> Option<Aim>,
) -> Result<Presented, Wrong> {
    let authorization = headers.single(&header::AUTHORIZATION)?;
    let key = headers.single(&KEY)?;
    let (id, secret) = (headers.single(&KEY_ID)?, headers.single(&KEY_SECRET)?);
    let parsed = match (authorization, key, id, secret) {
        (None, None, None, None) => return Ok(Presented::Nothing),
        (Some(value), None, None, None) => return authorized(value, headers, manner, proof, aim),
        (None, Some(value), None, None) => utf_8(value).and_then(PresentedKey::parse),
        (None, None, Some(id), Some(secret)) => {
            utf_8(id).and_then(|id| PresentedKey::from_parts(id, utf_8(secret)?))
        }
        (None, None, ..) => return Err(HALF),
        _ => return Err(SEVERAL),
    };
    *manner = Manner::Key;
    Ok(parsed.map_or_else(Presented::Malformed, Presented::ApiKey))
}

/// What stands in `Authorization`.
fn authorized(
    value: &[u8],
    headers: &Fields,
    manner: &mut Manner,
    proof: &mut Option<Proof>,
    aim: impl FnOnce() -> Option<Aim>,
) -> Result<Presented, Wrong> {
    let malformed = Ok(Presented::Malformed(BadKey::Shape));
    let Ok(text) = utf_8(value) else { return malformed };
    let (scheme, credential) = text.split_once(' ').unwrap_or((text, ""));
    let credential = credential.trim_matches(' ');
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    let is_bound = scheme.eq_ignore_ascii_case("dpop");
    if credential.is_empty() && (is_bearer || is_bound || text.is_empty()) {
        return Err(EMPTY);
    }
    if is_bearer {
        let presented = Presented::of_text(credential);
        *manner = match presented {
            _ if presented.is_key(credential) => Manner::Key,
            Presented::Token(_) => Manner::Token,
            Presented::Nothing | Presented::Malformed(_) | Presented::ApiKey(_) => Manner::Nothing,
        };
        return Ok(presented);
    }
    if !is_bound {
        return malformed;
    }
    *manner = Manner::Bound;
    let text = headers.single(&PROOF)?.and_then(wire::text);
    match (Presented::of_text(credential), text) {
        (presented @ Presented::Token(_), Some(text)) => {
            *proof = Some(Proof { text: text.to_owned(), aim: aim().ok_or(NOWHERE)? });
            Ok(presented)
        }
        (Presented::Token(_), None)
        | (Presented::Nothing | Presented::Malformed(_) | Presented::ApiKey(_), _) => {
            Err(Wrong::Proof(Reason::Malformed))
        }
    }
}

/// What is no text is no key; which characters a key may have its own reader knows.
fn utf_8(value: &[u8]) -> Result<&str, BadKey> {
    std::str::from_utf8(value).map_err(|_| BadKey::Shape)
}

/// Whether a query string carries what looks like a credential: by a parameter's name, by a value with the mark of our
/// keys, or by a whole key anywhere in it.
fn holds_credential(query: &str) -> bool {
    leak::holds(query, Sought::Keys)
        || query.split(['&', ';']).any(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase().replace('-', "_");
            matches!(&*name, "api_key" | "apikey" | "x_api_key" | "access_token")
                || percent_decode_str(value)
                    .decode_utf8_lossy()
                    .trim_start_matches(['+', ' '])
                    .starts_with(MARK)
        })
}

#[cfg(test)]
mod tests;
