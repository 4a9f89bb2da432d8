//! Which fields cross the gateway, and which end at it.
//!
//! Requests to the upstream are made anew, never copied: a client must not speak in the gateway's name, no client
//! credential goes further, and what is meant for one connection stays on it (RFC 9110 §7.6.1).

use std::borrow::Cow;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::request_id::RequestId;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-portcullis-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

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

/// Of names of some kind, for each first letter a bit for each length: spares most names the comparisons.
struct Suspects([u64; 256]);

impl Suspects {
    /// Those that are one of `names`, or begin with one of `prefixes`.
    const fn new(names: &[&[&str]], prefixes: &[&str]) -> Self {
        let mut suspects = [0; 256];
        let mut list = 0;
        while list < names.len() {
            let mut index = 0;
            while index < names[list].len() {
                let name = names[list][index].as_bytes();
                suspects[name[0] as usize] |= 1 << name.len();
                index += 1;
            }
            list += 1;
        }
        let mut index = 0;
        while index < prefixes.len() {
            let prefix = prefixes[index].as_bytes();
            suspects[prefix[0] as usize] |= u64::MAX << prefix.len();
            index += 1;
        }
        Self(suspects)
    }

    fn has(&self, name: &HeaderName) -> bool {
        let text = name.as_str().as_bytes();
        let lengths = text.first().map_or(0, |&first| self.0[usize::from(first)]);
        lengths & (1 << text.len().min(63)) != 0
    }
}

static OF_REQUESTS: Suspects = Suspects::new(&[&HOP_BY_HOP, &ENDS_HERE], &ENDS_HERE_PREFIXES);
static OF_RESPONSES: Suspects = Suspects::new(&[&HOP_BY_HOP, &["server"]], &["x-portcullis"]);

/// A name, which is in lower case, with every mark between its words made a `-`.
fn spelled(name: &HeaderName) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.as_str().bytes().all(is_plain) {
        return Cow::Borrowed(name.as_str());
    }
    let plain = |byte: u8| if is_plain(byte) { char::from(byte) } else { '-' };
    Cow::Owned(name.as_str().bytes().map(plain).collect())
}

/// Whether a field of a request goes no further.
fn ends_here(name: &HeaderName) -> bool {
    // What nearly every request has.
    if matches!(*name, header::AUTHORIZATION | header::CONTENT_LENGTH) {
        return true;
    }
    OF_REQUESTS.has(name) && {
        let name = &*spelled(name);
        HOP_BY_HOP.contains(&name)
            || ENDS_HERE.contains(&name)
            || ENDS_HERE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    }
}

/// Whether a field of a response goes no further.
fn is_withheld(name: &HeaderName) -> bool {
    OF_RESPONSES.has(name) && {
        let name = &*spelled(name);
        HOP_BY_HOP.contains(&name) || name == "server" || name.starts_with("x-portcullis")
    }
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

/// What the upstream is told about a request beside what the client sent, and who asks.
pub struct Told<'a> {
    pub request_id: &'a RequestId,
    pub address: Option<IpAddr>,
    /// `http` or `https`: how the client reached the gateway.
    pub scheme: &'static str,
    pub upstream: &'a HeaderValue,
}

/// Makes of a client's fields what the upstream receives.
pub fn to_upstream(fields: &mut HeaderMap, told: &Told<'_>) {
    let connection = connection_options(fields);
    // `Host` is replaced in its place.
    let ending = |name: &HeaderName| {
        *name != header::HOST && (ends_here(name) || is_named_by_connection(name, &connection))
    };
    remove_all(fields, ending);
    fields.reserve(8);
    let host = fields.insert(header::HOST, told.upstream.clone());
    fields.insert(REQUEST_ID, told.request_id.field().clone());
    // An address is visible ASCII.
    if let Some(Ok(address)) = told.address.map(|address| HeaderValue::try_from(address.to_string())) {
        fields.insert(FORWARDED_FOR, address);
    }
    fields.insert(FORWARDED_PROTO, HeaderValue::from_static(told.scheme));
    if let Some(host) = host {
        fields.insert(FORWARDED_HOST, host);
    }
}

fn remove_all(fields: &mut HeaderMap, ending: impl Fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = fields.keys().filter(|name| ending(name)).cloned().collect();
    for name in names {
        fields.remove(name);
    }
}

/// Takes from a response what must not pass to the client.
pub fn to_client(headers: &mut HeaderMap) {
    let connection = connection_options(headers);
    remove_all(headers, |name| is_withheld(name) || is_named_by_connection(name, &connection));
}

#[cfg(test)]
mod tests;
