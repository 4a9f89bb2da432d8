//! What an authorization server says of itself (RFC 8414, OpenID Connect Discovery 1.0).

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use crate::domain::{json, text::excerpt};

/// More endpoints are not shown.
const MOST_ENDPOINTS: usize = 32;

/// Where the metadata of the issuer at `url` may be, in the order in which they are asked: RFC 8414 §3.1, the same for
/// OpenID Connect, and OpenID Connect Discovery §4.1, which appends.
pub fn locations(url: &Url) -> Vec<Url> {
    let path = url.path().trim_end_matches('/');
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        paths.push(format!("{path}/.well-known/openid-configuration"));
    }
    let at = |path: String| {
        let mut url = url.clone();
        url.set_path(&path);
        url
    };
    paths.into_iter().map(at).collect()
}

/// What of it is needed to verify tokens, and what is shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Where its JWK set is.
    pub jwks_uri: Url,
    /// Its endpoints, by the names of their members: foreign text.
    pub endpoints: BTreeMap<String, String>,
}

/// Why metadata is not taken. Safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMetadata {
    #[error("it is not one JSON object with each name once")]
    Json,
    /// RFC 8414 §3.3.
    #[error(
        "it is of the issuer `{found}`, and `{wanted}` was asked for; they have to be the same, letter by letter: if \
         that is who you mean, give it with --issuer"
    )]
    Issuer { found: String, wanted: String },
    #[error("its `{0}` is missing or no text")]
    Missing(&'static str),
    #[error("its `jwks_uri` is no URL: {0}")]
    JwksUri(String),
}

impl Metadata {
    /// Reads the metadata of the issuer `wanted`, whose name it has to have letter by letter.
    ///
    /// # Errors
    /// See [`BadMetadata`].
    pub fn read(document: &[u8], wanted: &str) -> Result<Self, BadMetadata> {
        let members = json::object(document).map_err(|_| BadMetadata::Json)?;
        let text =
            |name: &'static str| members.get(name).and_then(Value::as_str).ok_or(BadMetadata::Missing(name));
        let found = text("issuer")?;
        if found != wanted {
            return Err(BadMetadata::Issuer { found: excerpt(found), wanted: excerpt(wanted) });
        }
        let jwks_uri = text("jwks_uri")?;
        let jwks_uri = Url::parse(jwks_uri).map_err(|error| BadMetadata::JwksUri(error.to_string()))?;
        let endpoints = members.iter().filter(|(name, _)| name.ends_with("_endpoint"));
        let endpoints = endpoints.filter_map(|(name, url)| Some((name.clone(), url.as_str()?.to_owned())));
        Ok(Self { jwks_uri, endpoints: endpoints.take(MOST_ENDPOINTS).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Vec<String> {
        locations(&Url::parse(url).unwrap()).iter().map(Url::to_string).collect()
    }

    #[test]
    fn metadata_is_looked_for_where_each_specification_puts_it() {
        let plain = [
            "https://idp.example.org/.well-known/oauth-authorization-server",
            "https://idp.example.org/.well-known/openid-configuration",
        ];
        assert_eq!(at("https://idp.example.org"), plain);
        assert_eq!(at("https://idp.example.org/"), plain);
        let deep = [
            "https://idp.example.org:8443/.well-known/oauth-authorization-server/realms/a",
            "https://idp.example.org:8443/.well-known/openid-configuration/realms/a",
            "https://idp.example.org:8443/realms/a/.well-known/openid-configuration",
        ];
        assert_eq!(at("https://idp.example.org:8443/realms/a"), deep);
        assert_eq!(at("https://idp.example.org:8443/realms/a/"), deep);
    }

    #[test]
    fn the_issuer_is_the_same_letter_by_letter() {
        let read = |text: &str| Metadata::read(text.as_bytes(), "https://idp.example.org");
        let right = r#"{"issuer":"https://idp.example.org","jwks_uri":"https://keys.example.org/1"}"#;
        assert_eq!(read(right).unwrap().jwks_uri.as_str(), "https://keys.example.org/1");
        for wrong in [
            "https://idp.example.org/",
            "https://IDP.example.org",
            "https://idp.example.org:443",
            "http://idp.example.org",
        ] {
            let text = right.replace("https://idp.example.org\"", &format!("{wrong}\""));
            assert!(matches!(read(&text), Err(BadMetadata::Issuer { .. })), "{wrong}");
        }
    }

    #[test]
    fn metadata_that_lacks_something_or_says_it_twice_is_refused() {
        let read = |text: &str| Metadata::read(text.as_bytes(), "i").unwrap_err();
        assert_eq!(read(r#"{"issuer":"i"}"#), BadMetadata::Missing("jwks_uri"));
        assert_eq!(read(r#"{"issuer":"i","jwks_uri":7}"#), BadMetadata::Missing("jwks_uri"));
        assert!(matches!(read(r#"{"issuer":"i","jwks_uri":"keys"}"#), BadMetadata::JwksUri(_)));
        assert_eq!(read(r#"{"issuer":"i","issuer":"i","jwks_uri":"https://k"}"#), BadMetadata::Json);
        assert_eq!(read("[]"), BadMetadata::Json);
    }
}
