//! Who asks the authorization server: a client with an API key (RFC 6749 §2.3.1: HTTP Basic, or in the form), or, as in any
//! other call, whoever presents a key or a token. One way, once.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::header;
use percent_encoding::percent_decode_str;

use super::answer::{Fault, Service};
use super::form::Form;
use super::grant;
use crate::domain::api_key::{BadKey, MARK, PresentedKey};
use crate::domain::secret::Secret;
use crate::engine::{Presented, PresentedToken};
use crate::gateway::call::Call;
use crate::gateway::call::credential::{Credential, KEY, KEY_ID, KEY_SECRET, Manner};
use crate::gateway::wire::{Parts, text};

const SEVERAL: &str = "the client authenticates in more than one way";

/// What a client presents for itself.
///
/// # Errors
/// `invalid_request` where it does so in more than one way, or by half of one.
pub fn credential(
    call: &Call<'_>,
    parts: &Parts,
    service: Service,
    form: &Form,
) -> Result<Credential, Fault> {
    let (id, secret) = (form.get("client_id"), form.get("client_secret"));
    let basic = parts.headers.get(&header::AUTHORIZATION).and_then(|value| of_scheme(text(value)?, "basic"));
    if let Some(encoded) = basic {
        let is_twice = parts.headers.single(&header::AUTHORIZATION).is_err();
        let has_key = [KEY, KEY_ID, KEY_SECRET].iter().any(|name| parts.headers.has(name));
        if secret.is_some() || is_twice || has_key {
            return Err(Fault::invalid_request(SEVERAL));
        }
        return Ok(key(from_basic(encoded, id)));
    }
    let credential = call.credential(&parts.method, parts.uri.path(), &parts.headers, None);
    let is_nothing = matches!(credential.presented, Ok(Presented::Nothing));
    match (id, secret, is_nothing) {
        (_, Some(_), false) => Err(Fault::invalid_request(SEVERAL)),
        (Some(id), Some(secret), true) => Ok(key(from_pair(id, secret))),
        (None, Some(_), true) => Err(Fault::invalid_request("client_secret needs client_id")),
        // Whoever narrows a token needs nothing but that token.
        (_, None, true) if service == Service::Token && grant::is_exchange(form) => Ok(subject_token(form)),
        (_, None, _) => Ok(credential),
    }
}

fn key(parsed: Result<PresentedKey, BadKey>) -> Credential {
    let presented = Ok(parsed.map_or_else(Presented::Malformed, Presented::ApiKey));
    Credential { manner: Manner::Key, presented, proof: None }
}

fn subject_token(form: &Form) -> Credential {
    let presented = match form.get("subject_token") {
        Some(text) => {
            Presented::Token(PresentedToken { text: Secret::new(text.to_owned()), possession: None })
        }
        None => Presented::Nothing,
    };
    Credential { manner: Manner::Token, presented: Ok(presented), proof: None }
}

fn of_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = value.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim_matches(' '))
}

fn from_basic(encoded: &str, client_id: Option<&str>) -> Result<PresentedKey, BadKey> {
    let decoded = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = Secret::new(decoded.ok_or(BadKey::Shape)?);
    let (id, secret) = decoded.expose().split_once(':').ok_or(BadKey::Shape)?;
    let plain =
        |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| BadKey::Shape);
    let (id, secret) = (plain(id)?, Secret::new(plain(secret)?));
    if client_id.is_some_and(|other| other != id) {
        return Err(BadKey::Shape);
    }
    from_pair(&id, secret.expose())
}

/// The id of an API key and its secret: the secret's own part, or the whole key.
fn from_pair(id: &str, secret: &str) -> Result<PresentedKey, BadKey> {
    if !secret.starts_with(MARK) {
        return PresentedKey::from_parts(id, secret);
    }
    let key = PresentedKey::parse(secret)?;
    if key.id.as_str() == id { Ok(key) } else { Err(BadKey::Shape) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::{Environment, KeyId, KeySecret};

    #[test]
    fn a_client_is_the_id_and_the_secret_of_a_key() {
        let id = KeyId::generate().unwrap();
        let joined = KeySecret::generate().unwrap().join(Environment::default(), id).expose().to_owned();
        let secret = joined.rsplit('_').next().unwrap().to_owned();
        let basic = |id: &str, secret: &str| BASE64_STANDARD.encode(format!("{id}:{secret}"));
        for encoded in [
            basic(id.as_str(), &secret),
            basic(id.as_str(), &joined),
            basic(id.as_str(), &joined.replace('_', "%5F")),
        ] {
            assert_eq!(from_basic(&encoded, None).unwrap().id, id, "{encoded}");
            assert_eq!(from_basic(&encoded, Some(id.as_str())).unwrap().id, id);
        }
        let other = KeyId::generate().unwrap();
        for encoded in [
            basic(other.as_str(), &joined),
            basic("", &secret),
            basic(id.as_str(), ""),
            "?".into(),
            BASE64_STANDARD.encode("a"),
        ] {
            assert!(from_basic(&encoded, None).is_err(), "{encoded}");
        }
        assert!(from_basic(&basic(id.as_str(), &secret), Some(other.as_str())).is_err());
    }
}
