//! Which fields cross the gateway, and which end at it.
//!
//! Requests to the upstream are made anew, never copied: a client must not speak in the gateway's name, no client
//! credential goes further, and what is meant for one connection stays on it (RFC 9110 §7.6.1).

pub mod names;

use std::cell::RefCell;
use std::net::IpAddr;

use http::{HeaderName, HeaderValue, header};

use crate::gateway::upstream::RequestHead;
use crate::gateway::wire::{Field, Fields, HOP_BY_HOP, Lines, Suspects, is_among, options, spelled};

pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Fields that each request has of its own.
const OF_A_REQUEST: [&str; 3] = ["host", "content-length", "expect"];

static OF_REQUESTS: Suspects =
    Suspects::new(&[&HOP_BY_HOP, &OF_A_REQUEST, names::JUDGED_HERE, names::TELLING], names::FAMILIES);
static OF_KEYS: Suspects = Suspects::new(&[], &[names::KEYS]);

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
