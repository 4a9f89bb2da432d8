//! Requests that two servers in a row could read differently. Each row of the tables stands for one connection: its
//! bytes, and what must become of them. Most hide a second request, which must never arrive.

mod codings;
mod lengths;
mod lines;
mod sequences;
mod targets;

use crate::{
    place::{PING, Place},
    strict::Message,
    wire,
};

/// What must become of the bytes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// No request of it arrives.
    Refused,
    /// The same, where nothing more comes after these bytes.
    Cut,
    /// One request arrives: a POST to `/mcp` whose body is the call, however it was written.
    Normalised,
    /// The first request arrives, and what follows is refused.
    FirstOnly,
    /// Both requests arrive, in their order: a near miss.
    Both,
}

/// What must become of it, what it is, and its bytes, in which these stand for others:
///
/// | | |
/// |---|---|
/// | `$P` | the head of a good POST, without its framing and its end |
/// | `$H` `$A` `$J` `$C` | its fields: `Host`, `Authorization`, `Content-Type`, `Connection: close` |
/// | `$B` `$n` `$x` | the body of a good POST; its length, in decimal and in hexadecimal |
/// | `$K` | that body in one chunk, with the last chunk behind it |
/// | `$S` `$m` | a whole request that is to be smuggled; the length of body and this together |
/// | `$N` | a good request that closes, for the end of a row |
pub type Row = (Class, &'static str, &'static [u8]);

/// A target that no honest request has.
pub const SMUGGLED: &str = "/smuggled";

pub fn filled(key: &str, text: &[u8]) -> Vec<u8> {
    let authorization = format!("Authorization: Bearer {key}\r\n");
    let head = "POST /mcp HTTP/1.1\r\n$H$A$J$C";
    let smuggled = format!("GET {SMUGGLED} HTTP/1.1\r\n$H$A\r\n");
    let next = "GET /next HTTP/1.1\r\n$H$A$C\r\n";
    let length = PING.len();
    let chunks = format!("{length:x}\r\n{PING}\r\n0\r\n\r\n");
    let resolved = |text: &str| {
        text.replace("$H", "Host: localhost\r\n")
            .replace("$A", &authorization)
            .replace("$J", "Content-Type: application/json\r\n")
            .replace("$C", "Connection: close\r\n")
    };
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'$') {
        bytes.extend_from_slice(&rest[..at]);
        let filling = match rest[at + 1] {
            b'P' => resolved(head),
            b'B' => PING.to_owned(),
            b'n' => length.to_string(),
            b'x' => format!("{length:x}"),
            b'K' => chunks.clone(),
            b'S' => resolved(&smuggled),
            b'm' => (length + resolved(&smuggled).len()).to_string(),
            b'N' => resolved(next),
            b'k' => key.to_owned(),
            letter => resolved(&format!("${}", char::from(letter))),
        };
        bytes.extend_from_slice(filling.as_bytes());
        rest = &rest[at + 2..];
    }
    bytes.extend_from_slice(rest);
    bytes
}

/// What is wrong with the outcome of a row.
fn fault(class: Class, statuses: &[u16], arrived: &[Message]) -> Option<&'static str> {
    let accepted = statuses.iter().filter(|&&status| status < 400).count();
    let lines: Vec<_> = arrived.iter().map(|request| request.first_line.as_str()).collect();
    let judged = "POST /mcp HTTP/1.1";
    let wanted: &[&str] = match class {
        Class::Refused | Class::Cut => &[],
        Class::Normalised | Class::FirstOnly => &[judged],
        Class::Both => &[judged, "GET /next HTTP/1.1"],
    };
    if lines.iter().any(|line| line.contains(SMUGGLED)) {
        return Some("it smuggled a request");
    }
    if lines != wanted {
        return Some("other requests arrived");
    }
    if accepted != wanted.len() {
        return Some("other requests were accepted than arrived");
    }
    if arrived.first().is_some_and(|first| first.body != PING.as_bytes()) {
        return Some("another body arrived than was judged");
    }
    if statuses.iter().any(|&status| status >= 500) {
        return Some("what a client did is put down to a server");
    }
    let refused = statuses.len() - accepted;
    match class {
        Class::Normalised | Class::Both if refused > 0 => Some("something of it was refused"),
        _ => None,
    }
}

/// Every table.
pub const TABLES: [&[Row]; 5] = [lengths::ROWS, codings::ROWS, lines::ROWS, targets::ROWS, sequences::ROWS];

fn prove(rows: &[Row]) {
    let place = Place::new(&[]);
    let mut faults = Vec::new();
    for &(class, what, text) in rows {
        let bytes = filled(&place.key, text);
        let heard = match class {
            Class::Cut => wire::speak_and_end(place.gateway, &bytes),
            _ => wire::speak(place.gateway, &bytes),
        };
        let (statuses, arrived) = (heard.statuses(), place.recorder.take());
        if let Some(fault) = fault(class, &statuses, &arrived) {
            let lines: Vec<_> = arrived.iter().map(|request| &request.first_line).collect();
            faults.push(format!("{what} ({class:?}): {fault}: {statuses:?}, {lines:?}"));
        }
    }
    assert!(faults.is_empty(), "{} of {} rows:\n{}", faults.len(), rows.len(), faults.join("\n"));
    place.assert_serves();
}

#[test]
fn content_lengths() {
    prove(lengths::ROWS);
}

#[test]
fn transfer_codings_and_chunks() {
    prove(codings::ROWS);
}

#[test]
fn lines_and_fields() {
    prove(lines::ROWS);
}

#[test]
fn targets_hosts_and_versions() {
    prove(targets::ROWS);
}

#[test]
fn several_requests_on_one_connection() {
    prove(sequences::ROWS);
}

#[test]
fn the_table_is_as_long_as_it_is_said_to_be_and_has_both_sides() {
    let mut names: Vec<_> = TABLES.iter().flat_map(|rows| rows.iter().map(|(_, what, _)| *what)).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two rows have one name");
    assert!(all >= 200, "{all} rows");
    for rows in TABLES {
        let taken = rows.iter().filter(|(class, ..)| !matches!(class, Class::Refused | Class::Cut)).count();
        assert!(taken >= 8 && rows.len() - taken >= 8, "{taken} of {} rows are near misses", rows.len());
    }
}
