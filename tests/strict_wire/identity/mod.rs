//! Who asks, from where, and for what: the upstream hears it from the gateway alone, however a client spells it.

mod address;
mod http_2;

use crate::{
    place::{PING, Place},
    strict::Message,
    telling::TELLING,
    wire,
};

/// What a client would like to be taken for.
const SPOOFED: &str = "spoofed";

/// The ways to write a name that some server would take for the same.
fn spellings(name: &str) -> Vec<String> {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    let words: Vec<_> = name.split('-').collect();
    let title = words.iter().map(|word| capital(word)).collect::<Vec<_>>().join("-");
    let mut spellings = vec![
        name.to_owned(),
        name.to_uppercase(),
        name.replace('-', "_"),
        title.replace('-', "_"),
        name.replacen('-', "_", 1),
        name.replace('-', "."),
        title,
    ];
    spellings.sort();
    spellings.dedup();
    spellings
}

/// What of it still speaks for the client.
fn spoofed(arrived: &[Message]) -> Vec<String> {
    let fields = arrived.iter().flat_map(|request| &request.fields);
    fields
        .filter(|(_, value)| value.contains(SPOOFED))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

/// How many of these requests arrived; each tells nothing that the client said.
fn prove<'a>(place: &Place, requests: impl Iterator<Item = (&'a str, Vec<u8>)>) -> usize {
    let mut all = 0;
    for (spelling, bytes) in requests {
        let heard = wire::speak(place.gateway, &bytes);
        let (statuses, arrived) = (heard.statuses(), place.recorder.take());
        assert_eq!(spoofed(&arrived), [""; 0], "{spelling}");
        // A second credential is one too many; everything else is no reason to refuse.
        let expected: &[u16] = if arrived.is_empty() { &[400] } else { &[200] };
        assert_eq!(statuses, expected, "{spelling}");
        all += arrived.len();
    }
    all
}

/// The head and body of a request that carries these fields, to the MCP endpoint.
fn with(place: &Place, fields: &str) -> Vec<u8> {
    place.post(&format!("{fields}Connection: close\r\n"), PING)
}

#[test]
fn no_spelling_of_a_field_that_tells_who_asks_goes_through() {
    let place = Place::new(&[]);
    let all: Vec<String> =
        TELLING.iter().filter(|name| **name != "host").flat_map(|name| spellings(name)).collect();
    assert!(all.len() >= 200, "{} spellings", all.len());
    let once = all.iter().map(|name| (name.as_str(), with(&place, &format!("{name}: {SPOOFED}\r\n"))));
    let mut arrived = prove(&place, once);
    let twice = |name: &str| with(&place, &format!("{name}: {SPOOFED}-1\r\n{name}:{SPOOFED}-2\r\n"));
    arrived += prove(&place, all.iter().map(|name| (name.as_str(), twice(name))));
    let blank = |name: &str| with(&place, &format!("{name}:\t {SPOOFED} \t \r\n"));
    arrived += prove(&place, all.iter().map(|name| (name.as_str(), blank(name))));
    let named = |name: &str| with(&place, &format!("Connection: x, {name}\r\n{name}: {SPOOFED}\r\n"));
    arrived += prove(&place, all.iter().map(|name| (name.as_str(), named(name))));
    eprintln!("{} spellings in four forms: {arrived} requests arrived, none with a client's word", all.len());
    // Only a credential in its true name is in the way of the one that counts.
    assert!(arrived > all.len() * 4 * 9 / 10, "{arrived} of {} arrived", all.len() * 4);
}

#[test]
fn nor_does_it_as_a_trailer() {
    let place = Place::new(&[]);
    let (size, key) = (PING.len(), &place.key);
    let trailed = |target: &str, name: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nTE: trailers\r\nTrailer: {name}\r\nTransfer-Encoding: chunked\r\n\r\n\
             {size:x}\r\n{PING}\r\n0\r\n{name}: {SPOOFED}\r\n\r\n"
        )
        .into_bytes()
    };
    for target in ["/mcp", "/files/a"] {
        let arrived = prove(&place, TELLING.iter().map(|name| (*name, trailed(target, name))));
        assert_eq!(arrived, TELLING.len(), "{target}");
    }
}

#[test]
fn a_space_before_the_colon_makes_no_field_of_it() {
    let place = Place::new(&[]);
    for &name in TELLING {
        for line in
            [format!("{name} : {SPOOFED}\r\n"), format!(" {name}: {SPOOFED}\r\n"), format!("{name}\t:x\r\n")]
        {
            assert_eq!(wire::speak(place.gateway, &with(&place, &line)).statuses(), [400], "{line:?}");
        }
    }
    assert!(place.recorder.take().is_empty());
    place.assert_serves();
}

#[test]
fn what_only_resembles_such_a_field_goes_through_untouched() {
    let place = Place::new(&[]);
    for name in [
        "x-user-agent",
        "x-users",
        "x-host-name",
        "x-http-methods",
        "x-authentication-hint",
        "xforwarded-for",
        "forwarded-message",
        "cookies",
        "authorizations",
        "x-real-ipv6-only",
        "x-rewrite-urls",
        "client-certificate-hint",
        "viaduct",
        "te-st",
        "x-trailer",
    ] {
        let heard = wire::speak(place.gateway, &with(&place, &format!("{name}: kept\r\n")));
        assert_eq!(heard.statuses(), [200], "{name}");
        let arrived = place.recorder.take();
        assert_eq!(arrived[0].all(name), ["kept"], "{name}");
    }
}
