//! Pages of strangers, names that were rebound, and addresses that nobody configured: the gateway speaks with its one
//! upstream, whatever a client or that upstream says.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    place::{PING, Place},
    recorder::{RESULT, Recorder, ok},
    strict::Message,
    wire,
};

/// A request without a body; `line` has no version.
fn bare(place: &Place, line: &str, fields: &str) -> Vec<u8> {
    let key = &place.key;
    format!("{line} HTTP/1.1\r\nAuthorization: Bearer {key}\r\n{fields}Connection: close\r\n\r\n")
        .into_bytes()
}

/// The answer to it, and what arrived.
fn ask(place: &Place, bytes: &[u8]) -> (u16, Message, Vec<Message>) {
    let heard = wire::speak(place.gateway, bytes);
    let [status] = heard.statuses()[..] else { panic!("{:?} to {}", heard.statuses(), bytes.escape_ascii()) };
    (status, heard.answers.into_iter().next().expect("an answer"), place.recorder.take())
}

#[test]
fn pages_are_answered_where_they_are_listed_and_told_nothing_where_not() {
    let place = Place::new(&["--allow-origin", "https://app.example.com"]);
    for origin in [
        "https://app.example.com",
        "https://APP.example.com",
        "http://localhost",
        "http://localhost:6274",
        "https://127.0.0.1:8443",
        "http://[::1]:6274",
    ] {
        let (status, answer, arrived) =
            ask(&place, &place.post(&format!("Origin: {origin}\r\nConnection: close\r\n"), PING));
        assert_eq!((status, arrived.len()), (200, 1), "{origin}");
        assert_eq!(answer.one("access-control-allow-origin"), Some(origin));
        assert!(arrived[0].all("origin").is_empty());
    }
    for origin in [
        "null",
        "",
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.evil.example",
        "https://evil.example/https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com/x",
        "https://app.example.com@evil.example",
        "https://evil.example#https://app.example.com",
        "https://app.example.com, https://evil.example",
        "https://sub.app.example.com",
        "https://appxexample.com",
        "app.example.com",
        "//app.example.com",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "http://127.0.0.1.nip.io",
        "http://169.254.169.254",
        "http://10.0.0.1",
        "http://2130706433",
        "http://0.0.0.0",
        "file://",
        "chrome-extension://abcdefgh",
        "javascript:alert(1)",
        "https://app.example.com\u{7f}",
        "https://\u{ff41}pp.example.com",
    ] {
        let fields = format!("Host: localhost\r\nOrigin: {origin}\r\n");
        let requests =
            ["GET /mcp", "DELETE /mcp", "GET /files", "PUT /files"].map(|line| bare(&place, line, &fields));
        let call = place.post(&format!("Origin: {origin}\r\nConnection: close\r\n"), PING);
        for bytes in requests.iter().chain(std::iter::once(&call)) {
            let (status, answer, arrived) = ask(&place, bytes);
            // A control character is no part of any field.
            let expected = if origin.ends_with('\u{7f}') { 400 } else { 403 };
            assert_eq!((status, arrived.len()), (expected, 0), "{origin}");
            assert!(answer.all("access-control-allow-origin").is_empty(), "{origin}");
        }
        let preflight = format!("{fields}Access-Control-Request-Method: POST\r\n");
        let (_, answer, arrived) = ask(&place, &bare(&place, "OPTIONS /mcp", &preflight));
        assert!(answer.all("access-control-allow-origin").is_empty() && arrived.is_empty(), "{origin}");
    }
    let twice = "Origin: https://app.example.com\r\nOrigin: https://app.example.com\r\nConnection: close\r\n";
    assert_eq!(ask(&place, &place.post(twice, PING)).0, 403);
    place.assert_serves();
}

#[test]
fn a_loopback_listener_answers_to_loopback_names_and_its_public_one() {
    let place = Place::new(&["--public-url", "https://mcp.example.com/mcp"]);
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "127.0.0.1:65535",
        "127.9.9.9",
        "[::1]",
        "[::1]:80",
        "[::ffff:127.0.0.1]",
        "mcp.example.com",
        "MCP.example.com",
    ] {
        let (status, _, arrived) = ask(&place, &bare(&place, "GET /files", &format!("Host: {host}\r\n")));
        assert_eq!((status, arrived.len()), (200, 1), "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "evil.localhost.example",
        "localhost.",
        "127.0.0.1.nip.io",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::]",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
        "10.0.0.1",
        "169.254.169.254",
        "mcp.example.com:81",
        "mcp.example.com.evil.example",
        "xn--lcalhost-50a",
    ] {
        for line in ["GET /files", "GET /mcp", "DELETE /mcp", "GET /"] {
            let (status, _, arrived) = ask(&place, &bare(&place, line, &format!("Host: {host}\r\n")));
            assert_eq!((status, arrived.len()), (403, 0), "{host}");
        }
        // Before the credential is looked at.
        let stranger = format!("GET /mcp HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(&place, stranger.as_bytes()).0, 403, "{host}");
    }
    place.assert_serves();
}

/// Somewhere that nobody is to go; counts who does.
struct Bait {
    authority: String,
    visits: Arc<AtomicUsize>,
}

impl Bait {
    /// `None` where the machine has no such address.
    fn set(host: &str) -> Option<Self> {
        let Ok(listener) = TcpListener::bind((host, 0)) else {
            eprintln!("SKIPPED: nothing can listen on {host} here");
            return None;
        };
        let authority = listener.local_addr().expect("an address").to_string();
        let visits = Arc::<AtomicUsize>::default();
        let seen = Arc::clone(&visits);
        thread::spawn(move || listener.incoming().for_each(|_| _ = seen.fetch_add(1, Ordering::SeqCst)));
        Some(Self { authority, visits })
    }

    fn assert_unvisited(&self) {
        // A connection that was begun before is accepted before this one.
        drop(std::net::TcpStream::connect(&self.authority).expect("the bait is there"));
        while self.visits.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        assert_eq!(self.visits.load(Ordering::SeqCst), 1, "somebody went to {}", self.authority);
    }
}

/// Answers with the status that a request asks for, and leads to where it asks for.
fn leading_away(request: &Message) -> Vec<u8> {
    let Some(status) = request.one("x-status") else { return ok("application/json", RESULT) };
    let location = request.one("x-location").expect("somewhere");
    format!(
        "HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Location: {location}\r\n\
         Refresh: 0; url={location}\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn redirects_of_the_upstream_are_neither_followed_nor_passed_on_to_mcp_clients() {
    let place = Place::before(Recorder::with(leading_away, true), &[]);
    let bait = Bait::set("127.0.0.1").expect("a loopback address");
    let location = format!("http://{}/elsewhere", bait.authority);
    for status in [300, 301, 302, 303, 304, 305, 306, 307, 308, 399, 401, 407] {
        let fields = format!("Host: localhost\r\nX-Status: {status}\r\nX-Location: {location}\r\n");
        let call = place
            .post(&format!("X-Status: {status}\r\nX-Location: {location}\r\nConnection: close\r\n"), PING);
        for bytes in [call, bare(&place, "GET /mcp", &fields), bare(&place, "DELETE /mcp", &fields)] {
            let (answered, answer, arrived) = ask(&place, &bytes);
            assert_eq!((answered, arrived.len()), (502, 1), "{status}");
            let all: String = answer.fields.iter().map(|(_, value)| value.as_str()).collect();
            assert!(!all.contains(&bait.authority), "{status}: {:?}", answer.fields);
            assert!(String::from_utf8_lossy(&answer.body).contains("upstream_garbled"), "{status}");
        }
        // Plain HTTP is passed on as it is, to a client who may follow by itself.
        let (answered, answer, arrived) = ask(&place, &bare(&place, "GET /files", &fields));
        assert_eq!((answered, arrived.len()), (status, 1), "the near miss");
        assert_eq!(answer.one("location"), Some(location.as_str()));
    }
    bait.assert_unvisited();
    place.assert_serves();
}

#[test]
fn nobody_but_the_upstream_is_ever_asked() {
    let baits: Vec<_> = ["127.0.0.1", "127.0.0.2", "::1"].into_iter().filter_map(Bait::set).collect();
    assert!(!baits.is_empty(), "no bait was set");
    // Off loopback, where any name is the gateway's, and on it.
    for more in [&["--listen", "0.0.0.0:0", "--allow-plain-http"][..], &[]] {
        let place = Place::new(more);
        let is_open = !more.is_empty();
        for Bait { authority, .. } in &baits {
            let to = format!("http://{authority}/elsewhere");
            let at = format!("Host: {authority}\r\n");
            let own = "Host: localhost\r\n";
            for (line, fields, arrives) in [
                (format!("GET {to}"), at.clone(), true),
                (format!("GET {to}"), own.to_owned(), false),
                (format!("GET //{authority}/elsewhere"), own.to_owned(), true),
                (format!("GET /\\{authority}/elsewhere"), own.to_owned(), false),
                (format!("GET /@{authority}/elsewhere"), own.to_owned(), true),
                (format!("GET /files?url={to}"), own.to_owned(), true),
                (format!("GET /http://{authority}/elsewhere"), own.to_owned(), true),
                (format!("GET /files#@{authority}"), own.to_owned(), true),
                (format!("CONNECT {authority}"), at.clone(), false),
                (format!("GET {authority}"), at.clone(), false),
                ("GET /files".into(), at.clone(), true),
                ("GET /files".into(), format!("{own}X-Forwarded-Host: {authority}\r\n"), true),
                ("GET /files".into(), format!("{own}X-Original-URL: {to}\r\nX-Rewrite-URL: {to}\r\n"), true),
                (
                    "GET /files".into(),
                    format!("{own}Forwarded: host=\"{authority}\"\r\nX-Host: {authority}\r\n"),
                    true,
                ),
                (
                    "GET /files".into(),
                    format!("{own}Referer: {to}\r\nDestination: {to}\r\nLink: <{to}>\r\n"),
                    true,
                ),
                ("GET /files".into(), format!("Host: localhost@{authority}\r\n"), false),
                ("GET /files".into(), format!("{own}Host: {authority}\r\n"), false),
            ] {
                let (status, _, arrived) = ask(&place, &bare(&place, &line, &fields));
                let expected = usize::from(arrives);
                assert_eq!((status == 200, arrived.len()), (arrives, expected), "{line} {fields} {status}");
                assert!(arrives || (400..500).contains(&status), "{line} {fields} {status}");
            }
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{{"uri":"{to}","$schema":"{to}"}}}}"#
            );
            let (status, _, arrived) = ask(&place, &place.post("Connection: close\r\n", &body));
            assert_eq!((status, arrived.len()), (200, 1));
        }
        for host in [
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "[fd00:ec2::254]",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "metadata.google.internal",
        ] {
            let line = format!("GET http://{host}/latest/meta-data");
            let (status, _, arrived) = ask(&place, &bare(&place, &line, &format!("Host: {host}\r\n")));
            let targets: Vec<_> = arrived.iter().map(|request| request.first_line.as_str()).collect();
            let expected =
                if is_open { (200, vec!["GET /latest/meta-data HTTP/1.1"]) } else { (403, vec![]) };
            assert_eq!((status, targets), expected, "{host}");
            let (status, _, arrived) = ask(&place, &bare(&place, &line, "Host: localhost\r\n"));
            assert_eq!((status, arrived.len()), (400, 0), "{host}");
        }
        place.assert_serves();
    }
    baits.iter().for_each(Bait::assert_unvisited);
}
