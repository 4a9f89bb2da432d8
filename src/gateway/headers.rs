//! Which fields cross the gateway, and which end at it.
//!
//! Requests to the upstream are made anew, never copied: a client must not speak in the gateway's name, no client
//! credential goes further, and what is meant for one connection stays on it (RFC 9110 §7.6.1).

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::IpAddr;

use http::{HeaderName, HeaderValue, header};

use super::upstream::RequestHead;
use super::wire::{Fields, Lines};

pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
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

    fn has(&self, name: &[u8]) -> bool {
        let lengths = name.first().map_or(0, |&first| self.0[usize::from(first)]);
        lengths & (1 << name.len().min(63)) != 0
    }
}

static OF_REQUESTS: Suspects = Suspects::new(&[&HOP_BY_HOP, &ENDS_HERE], &ENDS_HERE_PREFIXES);
static OF_RESPONSES: Suspects = Suspects::new(&[&HOP_BY_HOP, &["server"]], &["x-portcullis"]);

/// A name, which is in lower case, with every mark between its words made a `-`.
fn spelled(name: &[u8]) -> Cow<'_, [u8]> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if name.iter().all(is_plain) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.iter().map(|byte| if is_plain(byte) { *byte } else { b'-' }).collect())
}

fn is_among(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|known| known.as_bytes() == name)
}

/// Whether a field of a request goes no further. `name`: in lower case.
fn ends_here(name: &[u8]) -> bool {
    // What nearly every request has.
    if matches!(name, b"authorization" | b"content-length" | b"host") {
        return true;
    }
    OF_REQUESTS.has(name) && {
        let name = &*spelled(name);
        is_among(name, &HOP_BY_HOP)
            || is_among(name, &ENDS_HERE)
            || ENDS_HERE_PREFIXES.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
    }
}

/// Whether a field of an answer goes no further. `name`: in lower case.
pub fn is_withheld(name: &[u8]) -> bool {
    OF_RESPONSES.has(name) && {
        let name = &*spelled(name);
        is_among(name, &HOP_BY_HOP) || name == b"server" || name.starts_with(b"x-portcullis")
    }
}

/// The words of a list; of `Connection`: names of fields of this connection, beside `close` and `keep-alive`.
pub fn options(connection: &[u8]) -> impl Iterator<Item = &[u8]> {
    connection.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// What every request begins with: the upstream's own name, and how and from where a client reached the gateway. One thread
/// keeps what it wrote last: nearly all requests of a connection come from the same address.
pub struct Preface {
    upstream: HeaderValue,
    scheme: HeaderValue,
    last: RefCell<Option<(Option<IpAddr>, Lines)>>,
}

impl Preface {
    /// `scheme`: `http` or `https`, by which clients reach the gateway.
    pub fn new(upstream: &HeaderValue, scheme: &'static str) -> Self {
        let scheme = HeaderValue::from_static(scheme);
        Self { upstream: upstream.clone(), scheme, last: RefCell::default() }
    }

    /// `address`: the client's; unknown where a trusted proxy named none.
    pub fn write(&self, head: &mut RequestHead, address: Option<IpAddr>) {
        let mut last = self.last.borrow_mut();
        match last.as_ref().filter(|(known, _)| *known == address) {
            Some((_, lines)) => head.add_lines(lines),
            None => {
                let lines = self.lines(address);
                head.add_lines(&lines);
                *last = Some((address, lines));
            }
        }
    }

    fn lines(&self, address: Option<IpAddr>) -> Lines {
        // An address is visible ASCII.
        let address = address.and_then(|address| HeaderValue::try_from(address.to_string()).ok());
        let fields = [
            (&header::HOST, Some(&self.upstream)),
            (&FORWARDED_PROTO, Some(&self.scheme)),
            (&FORWARDED_FOR, address.as_ref()),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Makes of a client's fields what the upstream receives, but for those that end here in this request, too.
pub fn to_upstream(head: &mut RequestHead, client: &Fields, also_ends: impl Fn(&[u8]) -> bool) {
    let connection: Vec<_> = client.all(&header::CONNECTION).collect();
    let is_named = |name: &[u8]| {
        connection.iter().copied().flat_map(options).any(|option| option.eq_ignore_ascii_case(name))
    };
    head.pass_some(client, |field| {
        let name = field.name();
        !ends_here(name) && !is_named(name) && !also_ends(name)
    });
    if let Some(host) = client.iter().find(|field| field.name() == b"host") {
        head.pass(host.named(&FORWARDED_HOST));
    }
}

#[cfg(test)]
mod tests;
