//! Whatever a client writes, however it spells it: a CGI-like server behind the proxy learns who asks, from where and for what
//! from Portcullis and the proxy alone.

use crate::{program::Program, proxies::Place, telling::TELLING, upstream::Received};

const SPOOFED: &str = "spoofed";
/// So many fields go in one request.
const TOGETHER: usize = 20;

#[test]
fn nginx_lets_no_spelling_through() {
    lets_no_spelling_through(Program::Nginx);
}

#[test]
fn caddy_lets_no_spelling_through() {
    lets_no_spelling_through(Program::Caddy);
}

#[test]
fn haproxy_lets_no_spelling_through() {
    lets_no_spelling_through(Program::Haproxy);
}

#[test]
fn envoy_lets_no_spelling_through() {
    lets_no_spelling_through(Program::Envoy);
}

fn spellings(name: &str) -> Vec<String> {
    let mut spellings = vec![
        name.to_owned(),
        name.to_uppercase(),
        name.replace('-', "_"),
        name.to_uppercase().replace('-', "_"),
        name.replacen('-', "_", 1),
        name.replace('-', "."),
        name.replace('-', "~"),
    ];
    spellings.sort();
    spellings.dedup();
    spellings
}

/// What of it a server would take for what the client meant.
fn spoofed(received: &[Received]) -> Vec<String> {
    let variables = received.iter().flat_map(Received::variables);
    variables
        .filter(|(_, value)| value.contains(SPOOFED))
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn lets_no_spelling_through(program: Program) {
    let Some(place) = Place::new(program) else { return };
    let key = place.home.issue("ada", "mcp:*", &[]).key;
    let bearer = format!("Authorization: Bearer {key}\r\nConnection: close\r\n");
    // A second credential is refused, as it should be; here only what is no credential.
    let is_credential = |name: &&&str| name.starts_with("x-api-key") || **name == "authorization";
    let all: Vec<String> =
        TELLING.iter().filter(|name| !is_credential(name)).flat_map(|name| spellings(name)).collect();
    let mut arrived = 0;
    for together in all.chunks(TOGETHER) {
        let lines: String = together.iter().map(|name| format!("{name}: {SPOOFED}\r\n")).collect();
        let ask = |lines: &str| {
            let status = place.say("/a", &format!("{bearer}{lines}"));
            let received = place.received();
            assert_eq!(spoofed(&received), [""; 0], "{program:?}: {lines}");
            assert_eq!(received.is_empty(), status != Some(200), "{program:?}: {status:?} {lines}");
            for request in &received {
                assert_eq!(request.all("x-portcullis-subject"), ["ada"], "{program:?}: {lines}");
            }
            received.len()
        };
        match ask(&lines) {
            // What the proxy itself does not take must not hide what it takes.
            0 => arrived += together.iter().map(|name| ask(&format!("{name}: {SPOOFED}\r\n"))).sum::<usize>(),
            _ => arrived += together.len(),
        }
    }
    eprintln!(
        "{program:?}: {} spellings, {arrived} of their requests arrived, none with a client's word",
        all.len()
    );
    assert!(arrived > all.len() * 9 / 10, "{program:?}: {arrived} of {} arrived", all.len());

    // Credentials in another spelling, the client's word for what Portcullis says, and its wish to have that taken away.
    for lines in [
        "x_api_key: spoofed\r\n",
        "X.API.KEY: spoofed\r\n",
        "x-api_key-secret: spoofed\r\n",
        "Mcp_Session_Id: spoofed\r\n",
        "Last-Event_Id: spoofed\r\n",
        "Connection: X-Portcullis-Subject, X-Portcullis-Scopes\r\n",
        "X-Portcullis-Subject: spoofed\r\nX-Portcullis-Subject: spoofed\r\n",
    ] {
        let status = place.say("/a", &format!("{bearer}{lines}"));
        let received = place.received();
        assert_eq!(spoofed(&received), [""; 0], "{program:?}: {lines}");
        assert!(status == Some(200) || received.is_empty(), "{program:?}: {status:?} {lines}");
        for request in &received {
            assert_eq!(request.all("x-portcullis-subject"), ["ada"], "{program:?}: {lines}");
            assert_eq!(request.all("x-portcullis-scopes"), ["mcp:*"], "{program:?}: {lines}");
            assert!(request.all("authorization").is_empty(), "{program:?}: {lines}");
        }
    }

    // The honest thing nearest to it arrives, and so does what the proxy says itself.
    let honest =
        ["x-users: 1", "x-hosts: 1", "traceparent: 00-1", "accept: text/plain", "mcp-param-region: eu"];
    let lines = honest.map(|line| format!("{line}\r\n")).concat();
    assert_eq!(place.say("/a", &format!("{bearer}{lines}")), Some(200), "{program:?}");
    let received = place.received();
    let [request] = received.as_slice() else { panic!("{program:?}: {received:?}") };
    for (name, value) in honest.map(|line| line.split_once(": ").expect("a field")) {
        assert_eq!(request.all(name), [value], "{program:?}");
    }
    assert_eq!(request.all("x-forwarded-for"), ["127.0.0.1"], "{program:?}");
    assert_eq!(request.all("x-forwarded-proto"), ["http"], "{program:?}");
    assert_eq!(request.all("x-forwarded-host").len(), 1, "{program:?}");
    assert!(request.all("x-portcullis-issuer").iter().all(|value| value.is_empty()), "{program:?}");
}
