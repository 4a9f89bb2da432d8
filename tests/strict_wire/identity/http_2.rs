//! The same over HTTP/2, where names are lower case, four fields are the request line, and any of it may be forged.

use super::{SPOOFED, spoofed};
use crate::{
    frames::{Connection, Field, Outcome},
    place::{PING, Place},
    telling::TELLING,
};

fn place() -> Place {
    Place::new(&["--tls", "self-signed"])
}

/// A good request of this key, without its end.
fn usual<'a>(bearer: &'a str) -> Vec<Field<'a>> {
    vec![
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/mcp"),
        (":authority", "localhost"),
        ("authorization", bearer),
        ("content-type", "application/json"),
    ]
}

#[test]
fn no_spelling_of_a_field_that_tells_who_asks_goes_through_http_2() {
    let place = place();
    let bearer = format!("Bearer {}", place.key);
    let mut spelled = 0;
    for &name in TELLING {
        // A connection has its time, and these are many.
        let mut connection = Connection::open(place.gateway);
        let mut names =
            vec![name.to_owned(), name.replace('-', "_"), name.replacen('-', "_", 1), name.replace('-', ".")];
        names.sort();
        names.dedup();
        for name in names {
            let once = [usual(&bearer), vec![(name.as_str(), SPOOFED)]].concat();
            let twice = [once.clone(), vec![(name.as_str(), SPOOFED)]].concat();
            for fields in [once, twice] {
                let outcome = connection.ask(&fields, PING.as_bytes(), &[]);
                let arrived = place.recorder.take();
                assert_eq!(spoofed(&arrived), [""; 0], "{name}");
                // A second credential is one too many.
                let expected = if arrived.is_empty() { 400 } else { 200 };
                assert_eq!(outcome, Outcome::Status(expected), "{name}");
                spelled += 1;
            }
        }
    }
    eprintln!("{spelled} requests over HTTP/2, none with a client's word");
}

#[test]
fn nor_does_it_as_a_trailer_of_http_2() {
    let place = place();
    let bearer = format!("Bearer {}", place.key);
    let mut connection = Connection::open(place.gateway);
    for path in ["/mcp", "/files/a"] {
        for &name in TELLING {
            let mut fields = usual(&bearer);
            fields[2].1 = path;
            let outcome = connection.ask(&fields, PING.as_bytes(), &[(name, SPOOFED)]);
            assert_eq!(outcome, Outcome::Status(200), "{path} {name}");
            let arrived = place.recorder.take();
            assert_eq!((arrived.len(), spoofed(&arrived)), (1, Vec::new()), "{path} {name}");
            assert_eq!(arrived[0].body, PING.as_bytes());
        }
    }
}

/// Fields that make a good request malformed (RFC 9113 §8.1 to §8.3), or another one than it seems to be.
#[test]
fn a_request_that_is_forged_in_its_frames_is_refused() {
    let place = place();
    let bearer = format!("Bearer {}", place.key);
    let forged: Vec<(&str, Vec<Field>)> = [
        ("a name in upper case", ("X-Odd", "1")),
        ("a name with a space", ("x odd", "1")),
        ("a name with a colon", ("x:odd", "1")),
        ("a name with a line end", ("x-odd\r\nx-portcullis-subject", "root")),
        ("an empty name", ("", "1")),
        ("a value with a line end", ("x-odd", "1\r\nx-portcullis-subject: root")),
        ("a value with a bare LF", ("x-odd", "1\n2")),
        ("a value with a bare CR", ("x-odd", "1\r2")),
        ("a value with a NUL", ("x-odd", "1\0")),
        ("a connection", ("connection", "x-portcullis-subject")),
        ("a keep-alive", ("keep-alive", "timeout=5")),
        ("a proxy-connection", ("proxy-connection", "keep-alive")),
        ("a coding", ("transfer-encoding", "chunked")),
        ("an upgrade", ("upgrade", "websocket")),
        ("a TE of another coding", ("te", "gzip")),
        ("a length that is too long", ("content-length", "4000")),
        ("a length that is too short", ("content-length", "4")),
        ("a length with a sign", ("content-length", "+40")),
        ("another host", ("host", "elsewhere.example")),
        ("the same host with a port", ("host", "localhost:1")),
        ("a second path", (":path", "/files")),
        ("a second method", (":method", "GET")),
        ("a second authority", (":authority", "localhost")),
        ("a status", (":status", "200")),
        ("an unknown pseudo-field", (":x-portcullis-subject", "root")),
    ]
    .into_iter()
    .map(|(what, field)| (what, [usual(&bearer), vec![field]].concat()))
    .collect();
    let instead: Vec<(&str, Vec<Field>)> = [
        ("no path", (2, (":scheme", "https"))),
        ("an empty path", (2, (":path", ""))),
        ("a path without a slash", (2, (":path", "mcp"))),
        ("a path with a space", (2, (":path", "/mcp HTTP/1.1"))),
        ("a path with a line end", (2, (":path", "/mcp\r\nx: 1"))),
        ("an absolute path", (2, (":path", "http://elsewhere.example/mcp"))),
        ("a star", (2, (":path", "*"))),
        ("a method with a space", (0, (":method", "GET /smuggled HTTP/1.1"))),
        ("a method with a line end", (0, (":method", "GET\r\n"))),
        ("an empty method", (0, (":method", ""))),
        ("CONNECT", (0, (":method", "CONNECT"))),
        ("no method", (0, ("x-method", "POST"))),
        ("another authority", (3, (":authority", "elsewhere.example"))),
        ("an authority with a user", (3, (":authority", "u@localhost"))),
        ("an authority with a path", (3, (":authority", "localhost/x"))),
        ("an authority with a space", (3, (":authority", "local host"))),
        ("an authority with an odd port", (3, (":authority", "localhost:http"))),
        ("no authority", (3, ("x-authority", "localhost"))),
        ("a pseudo-field behind others", (5, (":protocol", "websocket"))),
    ]
    .into_iter()
    .map(|(what, (at, field))| {
        let mut fields = usual(&bearer);
        fields[at] = field;
        (what, fields)
    })
    .collect();
    for (what, fields) in forged.iter().chain(&instead) {
        let outcome = Connection::open(place.gateway).ask(fields, PING.as_bytes(), &[]);
        let is_refused = matches!(outcome, Outcome::Broken | Outcome::Status(400..=499));
        assert!(is_refused, "{what}: {outcome:?}");
        assert!(place.recorder.take().is_empty(), "{what}");
    }
    let trailers: [&[Field]; 3] = [&[(":path", "/files")], &[("X-Odd", "1")], &[("connection", "close")]];
    for trailers in trailers {
        // Trailers that are malformed may be passed over or break the request; they are never told.
        let _ = Connection::open(place.gateway).ask(&usual(&bearer), PING.as_bytes(), trailers);
        assert!(place.recorder.take().len() <= 1, "{trailers:?}");
    }
}

#[test]
fn what_is_odd_over_http_2_but_right_goes_through() {
    let place = place();
    let bearer = format!("Bearer {}", place.key);
    for field in [
        ("content-length", "40"),
        ("te", "trailers"),
        ("host", "localhost"),
        ("x-odd", ""),
        ("x-odd", "a\tb"),
        ("x_odd", "1"),
        ("expect", "100-continue"),
    ] {
        let fields = [usual(&bearer), vec![field]].concat();
        let outcome = Connection::open(place.gateway).ask(&fields, PING.as_bytes(), &[]);
        assert_eq!(outcome, Outcome::Status(200), "{field:?}");
        let arrived = place.recorder.take();
        assert_eq!(arrived.len(), 1, "{field:?}");
        assert_eq!(arrived[0].one("x-forwarded-proto"), Some("https"));
        assert_eq!(arrived[0].body, PING.as_bytes());
    }
}
