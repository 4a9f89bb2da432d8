//! Which fields cross the gateway, and which end at it.
//!
//! Requests to the upstream are made anew, never copied: a client must not speak in the gateway's name, no client
//! credential goes further, and what is meant for one connection stays on it (RFC 9110 §7.6.1).

pub mod names;

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::IpAddr;

use http::{HeaderName, HeaderValue, header};

use super::upstream::RequestHead;
use super::wire::{Field, Fields, Lines};

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

/// Fields that each request has of its own.
const OF_A_REQUEST: [&str; 3] = ["host", "content-length", "expect"];

/// Of names of some kind, for the first two letters a bit for each length: spares most names the comparisons.
struct Suspects([u64; 1024]);

impl Suspects {
    /// Those that are one of `names`, or begin with one of `beginnings`.
    const fn new(names: &[&[&str]], beginnings: &[(&str, &[&str])]) -> Self {
        let mut suspects = [0; 1024];
        let mut list = 0;
        while list < names.len() {
            let mut index = 0;
            while index < names[list].len() {
                let name = names[list][index].as_bytes();
                suspects[Self::place(name[0], name[1])] |= 1 << name.len();
                index += 1;
            }
            list += 1;
        }
        let mut index = 0;
        while index < beginnings.len() {
            let beginning = beginnings[index].0.as_bytes();
            suspects[Self::place(beginning[0], beginning[1])] |= u64::MAX << beginning.len();
            index += 1;
        }
        Self(suspects)
    }

    /// Letters have places of their own; which mark it is does not count.
    const fn place(first: u8, second: u8) -> usize {
        let second = if second.is_ascii_alphanumeric() { second } else { b'-' };
        (first as usize & 31) << 5 | (second as usize & 31)
    }

    fn has(&self, name: &[u8]) -> bool {
        let lengths = match name {
            [first, second, ..] => self.0[Self::place(*first, *second)],
            _ => 0,
        };
        lengths & (1 << name.len().min(63)) != 0
    }
}

static OF_REQUESTS: Suspects =
    Suspects::new(&[&HOP_BY_HOP, &OF_A_REQUEST, names::JUDGED_HERE, names::TELLING], names::FAMILIES);
static OF_KEYS: Suspects = Suspects::new(&[], &[names::KEYS]);
static OF_RESPONSES: Suspects = Suspects::new(&[&HOP_BY_HOP, &["server"]], &[("x-portcullis", &[])]);

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
    if !OF_REQUESTS.has(name) && !OF_KEYS.has(name) {
        return false;
    }
    let name = &*spelled(name);
    let begins = |beginning: &str| name.starts_with(beginning.as_bytes());
    let is_listed = [&HOP_BY_HOP[..], &OF_A_REQUEST, names::JUDGED_HERE, names::TELLING]
        .iter()
        .any(|names| is_among(name, names));
    is_listed
        || begins(names::KEYS.0)
        || (names::FAMILIES.iter().any(|(beginning, _)| begins(beginning))
            && !is_among(name, names::HARMLESS))
}

/// Whether a field of an answer goes no further. `name`: in lower case.
pub fn is_withheld(name: &[u8]) -> bool {
    OF_RESPONSES.has(name) && {
        let name = &*spelled(name);
        is_among(name, &HOP_BY_HOP) || name == b"server" || name.starts_with(b"x-portcullis")
    }
}

/// Whether `Connection` names a field that is judged and passed on: the upstream would receive the request without what it
/// was judged by.
pub fn takes_away_what_is_judged(fields: &Fields) -> bool {
    let is_judged = |option: &[u8]| {
        let name = option.to_ascii_lowercase();
        let name = &*spelled(&name);
        is_among(name, names::JUDGED_AND_PASSED) || name.starts_with(names::JUDGED_FAMILY.as_bytes())
    };
    fields.all(&header::CONNECTION).flat_map(options).any(is_judged)
}

/// The words of a list; of `Connection`: names of fields of this connection, beside `close` and `keep-alive`.
pub fn options(connection: &[u8]) -> impl Iterator<Item = &[u8]> {
    connection.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// What every request begins with: the upstream's own name, and how and from where a client reached the gateway. One thread
/// keeps what it wrote last: nearly all requests of a connection come from the same address.
pub struct Preface {
    upstream: HeaderValue,
    last: RefCell<Option<(Origin, Lines)>>,
}

/// From which address, unknown where a trusted proxy named none, and by which scheme.
type Origin = (Option<IpAddr>, &'static str);

impl Preface {
    pub fn new(upstream: &HeaderValue) -> Self {
        Self { upstream: upstream.clone(), last: RefCell::default() }
    }

    /// `address`: the client's; `scheme`: `http` or `https`, by which it reached the gateway or the proxy before it.
    pub fn write(&self, head: &mut RequestHead, address: Option<IpAddr>, scheme: &'static str) {
        let origin = (address, scheme);
        let mut last = self.last.borrow_mut();
        match last.as_ref().filter(|(known, _)| *known == origin) {
            Some((_, lines)) => head.add_lines(lines),
            None => {
                let lines = self.lines(origin);
                head.add_lines(&lines);
                *last = Some((origin, lines));
            }
        }
    }

    fn lines(&self, (address, scheme): Origin) -> Lines {
        // An address is visible ASCII.
        let address = address.and_then(|address| HeaderValue::try_from(address.to_string()).ok());
        let scheme = HeaderValue::from_static(scheme);
        let fields = [
            (&header::HOST, Some(&self.upstream)),
            (&FORWARDED_PROTO, Some(&scheme)),
            (&FORWARDED_FOR, address.as_ref()),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Makes of a client's fields what the upstream receives, but for those that end here in this request, too. `host`: by
/// which the client reached the gateway, or the proxy before it.
pub fn to_upstream(
    head: &mut RequestHead,
    client: &Fields,
    host: Option<&[u8]>,
    also_ends: impl Fn(&[u8]) -> bool,
) {
    let connection: Vec<_> = client.all(&header::CONNECTION).collect();
    let is_named = |name: &[u8]| {
        connection.iter().copied().flat_map(options).any(|option| option.eq_ignore_ascii_case(name))
    };
    head.pass_some(client, |field| {
        let name = field.name();
        !ends_here(name) && !is_named(name) && !also_ends(name)
    });
    if let Some(host) = host {
        head.pass(Field::of(&FORWARDED_HOST, host));
    }
}

#[cfg(test)]
mod tests;
