//! How a client presents its credential.
//!
//! `Authorization: Bearer`, `X-API-Key`, or the pair `X-API-Key-Id` and `X-API-Key-Secret`: one way, once. Two ways at
//! once are malformed, because another reader of the same request could take the other one. A query string never is a
//! way (RFC 9700 §4.3.2): it ends up in logs.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::percent_decode_str;

use crate::domain::api_key::{BadKey, PresentedKey};
use crate::engine::Presented;

const KEY: HeaderName = HeaderName::from_static("x-api-key");
const KEY_ID: HeaderName = HeaderName::from_static("x-api-key-id");
const KEY_SECRET: HeaderName = HeaderName::from_static("x-api-key-secret");

/// What a request came with.
pub fn presented(headers: &HeaderMap, query: Option<&str>) -> Presented {
    if query.is_some_and(holds_credential) {
        return Presented::Malformed(BadKey::Shape);
    }
    match read(headers) {
        Ok(Some(key)) => Presented::ApiKey(key),
        Ok(None) => Presented::Nothing,
        Err(fault) => Presented::Malformed(fault),
    }
}

fn read(headers: &HeaderMap) -> Result<Option<PresentedKey>, BadKey> {
    let authorization = single(headers, &header::AUTHORIZATION)?;
    let key = single(headers, &KEY)?;
    let id = single(headers, &KEY_ID)?;
    let secret = single(headers, &KEY_SECRET)?;
    match (authorization, key, id, secret) {
        (None, None, None, None) => Ok(None),
        (Some(value), None, None, None) => PresentedKey::parse(bearer(text(value)?)?).map(Some),
        (None, Some(value), None, None) => PresentedKey::parse(text(value)?).map(Some),
        (None, None, Some(id), Some(secret)) => PresentedKey::from_parts(text(id)?, text(secret)?).map(Some),
        _ => Err(BadKey::Shape),
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, BadKey> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(BadKey::Shape) } else { Ok(first) }
}

/// What is no text is no key; which characters a key may have its own reader knows.
fn text(value: &HeaderValue) -> Result<&str, BadKey> {
    std::str::from_utf8(value.as_bytes()).map_err(|_| BadKey::Shape)
}

fn bearer(value: &str) -> Result<&str, BadKey> {
    let (scheme, token) = value.split_once(' ').ok_or(BadKey::Shape)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_matches(' ')) } else { Err(BadKey::Shape) }
}

/// Whether a query string carries what looks like a credential: by a parameter's name, or by a value with the mark of
/// our keys.
fn holds_credential(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase().replace('-', "_");
        matches!(&*name, "api_key" | "apikey" | "x_api_key" | "access_token")
            || percent_decode_str(value)
                .decode_utf8_lossy()
                .trim_start_matches(['+', ' '])
                .starts_with("pcl_")
    })
}

#[cfg(test)]
mod tests;
