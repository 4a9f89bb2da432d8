//! What is too large: refused with its own status where it is one more than may be, taken where it is as much, and
//! forgotten, so that no number of such requests fills the memory.

use crate::{
    frames::{Connection, Outcome},
    place::{PING, Place},
    wire,
};

const BODY: usize = 4 * 1024 * 1024;
const TARGET: usize = 8 * 1024;
const FIELDS: usize = 32 * 1024;
const MOST_FIELDS: usize = 100;

/// A call with a body of so many bytes.
fn body(length: usize) -> String {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"pad":""}}"#;
    call.replace("\"\"", &format!("\"{}\"", "x".repeat(length - call.len())))
}

/// A request head up to its framing.
fn head(key: &str, line: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\n"
    )
}

fn announced(key: &str, line: &str, length: usize) -> Vec<u8> {
    format!("{}Content-Length: {length}\r\n\r\n{}", head(key, line), body(length)).into_bytes()
}

/// In chunks of at most `size`.
fn chunked(key: &str, line: &str, length: usize, size: usize) -> Vec<u8> {
    let mut bytes = format!("{}Transfer-Encoding: chunked\r\n\r\n", head(key, line)).into_bytes();
    for chunk in body(length).as_bytes().chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// A GET whose target has so many bytes, most of them in its query.
fn target(key: &str, length: usize) -> Vec<u8> {
    let line = format!("GET /files?{}", "q".repeat(length - "/files?".len()));
    format!("{}\r\n", head(key, &line)).into_bytes()
}

/// A call whose fields have so many bytes: each counts its name, its value, and four for what stands between.
fn fields(key: &str, length: usize) -> Vec<u8> {
    let own = head(key, "POST /mcp") + &format!("Content-Length: {}\r\n", PING.len());
    // Every line but the first.
    let used = own.len() - own.find("\r\n").expect("a line") - 2;
    let pad = "x".repeat(length - used - "X-Pad: \r\n".len());
    format!("{own}X-Pad: {pad}\r\n\r\n{PING}").into_bytes()
}

/// A call with so many fields.
fn many_fields(key: &str, count: usize) -> Vec<u8> {
    let own = head(key, "POST /mcp") + &format!("Content-Length: {}\r\n", PING.len());
    let more = count - (own.matches("\r\n").count() - 1);
    format!("{own}{}\r\n{PING}", "X: 1\r\n".repeat(more)).into_bytes()
}

/// Answers the status, and how long the bodies were that arrived.
fn send(place: &Place, bytes: &[u8]) -> (Vec<u16>, Vec<usize>) {
    let statuses = wire::speak(place.gateway, bytes).statuses();
    (statuses, place.recorder.take().iter().map(|request| request.body.len()).collect())
}

#[test]
fn a_body_has_four_mebibytes_and_not_one_byte_more() {
    let place = Place::new(&[]);
    for line in ["POST /mcp", "PUT /files"] {
        assert_eq!(send(&place, &announced(&place.key, line, BODY)), (vec![200], vec![BODY]), "{line}");
        assert_eq!(send(&place, &announced(&place.key, line, BODY + 1)), (vec![413], vec![]), "{line}");
        for size in [BODY + 1, BODY, 65_536, 4096] {
            let (good, bad) = (BODY, BODY + 1);
            assert_eq!(
                send(&place, &chunked(&place.key, line, good, size)),
                (vec![200], vec![BODY]),
                "{line} {size}"
            );
            assert_eq!(
                send(&place, &chunked(&place.key, line, bad, size)),
                (vec![413], vec![]),
                "{line} {size}"
            );
        }
    }
    place.assert_serves();
}

#[test]
fn a_connection_that_ends_with_a_refusal_says_so_and_one_that_goes_on_does_not() {
    let place = Place::new(&[]);
    let asked = |framing: &str, body: &str| {
        let key = &place.key;
        format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\n{framing}\r\n{body}"
        )
    };
    let length = PING.len();
    let refused = [
        (
            "a trailer with a NUL",
            asked("Transfer-Encoding: chunked\r\n", &format!("{length:x}\r\n{PING}\r\n0\r\nX: \0\r\n\r\n")),
            400,
        ),
        ("more than is read", asked("Content-Length: 99999999\r\n", ""), 413),
        (
            "an expectation",
            asked("Expect: 100-continue\r\nContent-Length: 99\r\n", "")
                .replace("POST /mcp", "PUT /files")
                .replace("Bearer", "Basic"),
            401,
        ),
    ];
    for (what, bytes, status) in refused {
        let heard = wire::speak(place.gateway, bytes.as_bytes());
        assert_eq!(heard.statuses(), [status], "{what}");
        assert_eq!(heard.answers[0].all("connection"), ["close"], "{what}");
    }
    // What was read to its end costs nobody the connection, not even where it is refused.
    let unknown = asked(&format!("Content-Length: {length}\r\n"), PING).replace("Bearer", "Basic");
    let last = String::from_utf8(place.post("Connection: close\r\n", PING)).expect("text");
    let heard = wire::speak(place.gateway, (unknown + &last).as_bytes());
    assert_eq!(heard.statuses(), [401, 200]);
    assert!(heard.answers[0].all("connection").is_empty());
    assert_eq!(place.recorder.take().len(), 1);
}

#[test]
fn a_target_has_eight_kibibytes_and_a_path_two() {
    let place = Place::new(&[]);
    let key = &place.key;
    assert_eq!(send(&place, &target(key, TARGET)), (vec![200], vec![0]));
    for length in [TARGET + 1, 2 * TARGET, 60_000] {
        assert_eq!(send(&place, &target(key, length)), (vec![414], vec![]), "{length}");
    }
    // Longer than any head may be.
    let statuses = send(&place, &target(key, 100_000)).0;
    assert!(statuses.is_empty() || statuses == [414] || statuses == [431], "{statuses:?}");
    let path = |length: usize| {
        format!("{}\r\n", head(key, &format!("GET /{}", "p".repeat(length - 1)))).into_bytes()
    };
    assert_eq!(send(&place, &path(2048)), (vec![200], vec![0]));
    assert_eq!(send(&place, &path(2049)), (vec![400], vec![]));
    place.assert_serves();
}

#[test]
fn fields_have_32_kibibytes_and_are_a_hundred() {
    let place = Place::new(&[]);
    let key = &place.key;
    assert_eq!(send(&place, &fields(key, FIELDS)), (vec![200], vec![PING.len()]));
    for length in [FIELDS + 1, 60_000] {
        assert_eq!(send(&place, &fields(key, length)), (vec![431], vec![]), "{length}");
    }
    let statuses = send(&place, &fields(key, 1_000_000)).0;
    assert!(statuses.is_empty() || statuses == [431], "{statuses:?}");
    assert_eq!(send(&place, &many_fields(key, MOST_FIELDS)), (vec![200], vec![PING.len()]));
    for count in [MOST_FIELDS + 1, 1000] {
        assert_eq!(send(&place, &many_fields(key, count)), (vec![431], vec![]), "{count}");
    }
    place.assert_serves();
}

#[test]
fn over_http_2_the_limits_are_the_same() {
    let place = Place::new(&["--tls", "self-signed"]);
    let bearer = format!("Bearer {}", place.key);
    let usual = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    // What the gateway counts: the fields, and the Host that stands for the authority.
    let used: usize = usual[3..]
        .iter()
        .chain(&[("host", "localhost")])
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    let ask = |path: &str, more: &[(&str, &str)]| {
        let all = [&usual[..], &[(":path", path)], more].concat();
        // Pseudo-fields stand before all others.
        let (mut first, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(name, _)| name.starts_with(':'));
        first.extend(rest);
        let outcome = Connection::open(place.gateway).ask(&first, PING.as_bytes(), &[]);
        (outcome, place.recorder.take().len())
    };
    let pad = |length: usize| "x".repeat(length - used - "x-pad".len() - 4);
    for (length, expected) in [(FIELDS, (Outcome::Status(200), 1)), (FIELDS + 1, (Outcome::Status(431), 0))] {
        assert_eq!(ask("/mcp", &[("x-pad", &pad(length))]), expected, "{length}");
    }
    let many = vec![("x", "1"); MOST_FIELDS];
    // Three are there already: the credential, the type, the host.
    assert_eq!(ask("/mcp", &many[3..]), (Outcome::Status(200), 1));
    assert_eq!(ask("/mcp", &many[2..]), (Outcome::Status(431), 0));
    let query = |length: usize| format!("/files?{}", "q".repeat(length - "/files?".len()));
    assert_eq!(ask(&query(TARGET), &[]), (Outcome::Status(200), 1));
    assert_eq!(ask(&query(TARGET + 1), &[]), (Outcome::Status(414), 0));
}

/// Resident memory, in KiB, where the system tells it.
#[cfg(target_os = "linux")]
pub fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim_end_matches("kB").trim().parse().expect("a number")
}

#[test]
#[cfg(target_os = "linux")]
fn what_was_too_large_is_forgotten() {
    const TIMES: usize = 200;
    const LANES: usize = 4;
    const MORE: u64 = 64 * 1024;
    let place = Place::new(&[]);
    let key = &place.key;
    let kinds = [
        ("a body", 413, announced(key, "POST /mcp", BODY + 1)),
        ("a body in chunks", 413, chunked(key, "POST /mcp", BODY + 1, 65_536)),
        ("a body passed on in chunks", 413, chunked(key, "PUT /files", BODY + 1, 65_536)),
        ("fields", 431, fields(key, FIELDS + 1)),
        ("many fields", 431, many_fields(key, MOST_FIELDS + 1)),
        ("a target", 414, target(key, TARGET + 1)),
    ];
    let storm = |times: usize| {
        for (what, status, bytes) in &kinds {
            std::thread::scope(|scope| {
                for _ in 0..LANES {
                    scope.spawn(move || {
                        for _ in 0..times / LANES {
                            assert_eq!(wire::speak(place.gateway, bytes).statuses(), [*status], "{what}");
                        }
                    });
                }
            });
        }
    };
    // What the allocator and the threads take once is not counted.
    storm(2 * LANES);
    let before = resident(place.process.id());
    storm(TIMES);
    let after = resident(place.process.id());
    eprintln!("{TIMES} of each of {} kinds: from {before} KiB to {after} KiB", kinds.len());
    assert!(after <= before + MORE, "{before} KiB became {after} KiB");
    assert!(place.recorder.take().is_empty());
    place.assert_serves();
}
