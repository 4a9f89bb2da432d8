//! Which fields cross the gateway, and which end at it.
//!
//! Requests to the upstream are rebuilt, never copied: a client must not speak in the gateway's name, no client
//! credential goes further, and what is meant for one connection stays on it (RFC 9110 §7.6.1).

use std::borrow::Cow;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::domain::decision::Principal;

pub const SUBJECT: HeaderName = HeaderName::from_static("x-portcullis-subject");
pub const CREDENTIAL: HeaderName = HeaderName::from_static("x-portcullis-credential");
pub const SCOPES: HeaderName = HeaderName::from_static("x-portcullis-scopes");
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-portcullis-request-id");

/// Percent-encoding that can be undone without guessing: everything but visible ASCII, and the percent sign itself.
const NOT_VISIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Fields of one connection (RFC 9110 §7.6.1, with the customary ones beside), compared like those below.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields that end here, compared without regard to case and to which mark joins their words: CGI-like servers cannot
/// tell `X_Portcullis_Subject` from `X-Portcullis-Subject`. The last ones make servers see another method, host or path
/// than the one that was judged.
const ENDS_HERE: [&str; 34] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "cookie2",
    "host",
    "content-length",
    "expect",
    "origin",
    "forwarded",
    "x-forwarded",
    "via",
    "dpop",
    "x-user",
    "remote-user",
    "remote-addr",
    "client-ip",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "client-cert",
    "client-cert-chain",
    "x-client-dn",
    "x-client-verify",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-rewrite-url",
    "x-override-url",
];
const ENDS_HERE_PREFIXES: [&str; 13] = [
    "x-portcullis",
    "x-api-key",
    "x-forwarded-",
    "x-original-",
    "x-remote-",
    "x-authenticated-",
    "x-auth-request-",
    "x-webauth-",
    "x-client-cert",
    "x-ssl-",
    "ssl-client-",
    "x-arr-clientcert",
    "x-amzn-mtls-",
];

/// A name, which is in lower case, with every mark between its words made a `-`.
fn spelled(name: &HeaderName) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.as_str().bytes().all(is_plain) {
        return Cow::Borrowed(name.as_str());
    }
    let plain = |byte: u8| if is_plain(byte) { char::from(byte) } else { '-' };
    Cow::Owned(name.as_str().bytes().map(plain).collect())
}

/// Whether a spelled-out name is of this connection.
fn is_hop_by_hop(spelled: &str) -> bool {
    HOP_BY_HOP.contains(&spelled)
}

fn ends_here(spelled: &str) -> bool {
    ENDS_HERE.contains(&spelled) || ENDS_HERE_PREFIXES.iter().any(|prefix| spelled.starts_with(prefix))
}

/// Whether `Connection` names the field as one of this connection.
fn is_named_by_connection(name: &HeaderName, connection: &[HeaderValue]) -> bool {
    connection
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

fn connection_options(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(header::CONNECTION).iter().cloned().collect()
}

/// What the upstream is told about a request beside what the client sent.
pub struct Told<'a> {
    pub principal: &'a Principal,
    pub request_id: &'a str,
    pub address: Option<IpAddr>,
    /// `http` or `https`: how the client reached the gateway.
    pub scheme: &'static str,
    pub upstream: &'a HeaderValue,
}

/// The fields of a request as the upstream receives them.
pub fn to_upstream(client: &HeaderMap, told: &Told<'_>) -> HeaderMap {
    let connection = connection_options(client);
    let mut fields = HeaderMap::with_capacity(client.len() + 8);
    for (name, value) in client {
        let spelled = spelled(name);
        if is_hop_by_hop(&spelled) || ends_here(&spelled) || is_named_by_connection(name, &connection) {
            continue;
        }
        fields.append(name.clone(), value.clone());
    }
    fields.insert(header::HOST, told.upstream.clone());
    introduce(&mut fields, told.principal, told.request_id);
    if let Some(address) = told.address {
        insert(&mut fields, HeaderName::from_static("x-forwarded-for"), &address.to_string());
    }
    fields.insert("x-forwarded-proto", HeaderValue::from_static(told.scheme));
    if let Some(host) = client.get(header::HOST) {
        fields.insert("x-forwarded-host", host.clone());
    }
    fields
}

/// Tells who asks.
pub fn introduce(fields: &mut HeaderMap, principal: &Principal, request_id: &str) {
    insert(fields, SUBJECT, &utf8_percent_encode(principal.subject.as_str(), NOT_VISIBLE).to_string());
    insert(fields, CREDENTIAL, &principal.credential.to_string());
    let scopes: Vec<&str> = principal.scopes.iter().map(|scope| scope.as_str()).collect();
    insert(fields, SCOPES, &scopes.join(" "));
    insert(fields, REQUEST_ID, request_id);
}

/// A field whose text is ours and visible ASCII by its making; one that were not is left out rather than mangled.
fn insert(fields: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        fields.insert(name, value);
    }
}

/// Takes from a response what must not pass to the client, and marks it with the request's id.
pub fn to_client(headers: &mut HeaderMap) {
    let connection = connection_options(headers);
    let leave: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let spelled = spelled(name);
            is_hop_by_hop(&spelled)
                || **name == header::SERVER
                || spelled.starts_with("x-portcullis")
                || is_named_by_connection(name, &connection)
        })
        .cloned()
        .collect();
    for name in leave {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
