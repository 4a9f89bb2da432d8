//! A browser's page behind each proxy: its question before the real request is answered as the gateway answers it, and the
//! page may read whatever the real one is answered.

use crate::{
    program::{LOOPBACK, Program},
    proxies::Place,
    support::gateway::Reply,
};

const PAGE: &str = "https://app.example.com";

#[test]
fn nginx_lets_pages_ask() {
    lets_pages_ask(Program::Nginx);
}

#[test]
fn caddy_lets_pages_ask() {
    lets_pages_ask(Program::Caddy);
}

#[test]
fn haproxy_lets_pages_ask() {
    lets_pages_ask(Program::Haproxy);
}

#[test]
fn envoy_lets_pages_ask() {
    lets_pages_ask(Program::Envoy);
}

fn lets_pages_ask(program: Program) {
    let Some(place) = Place::at(program, LOOPBACK, &["--allow-origin", PAGE]) else { return };
    let key = place.home.issue("ada", "mcp:*", &[]).key;
    let of_page = |origin: &str| ("Origin", origin.to_owned());
    let asks_first = |method: &str| ("Access-Control-Request-Method", method.to_owned());
    let fields = ("Access-Control-Request-Headers", "authorization,mcp-name".to_owned());
    let credential = ("Authorization", format!("Bearer {key}"));

    for path in ["/mcp", "/files/a?b=c"] {
        let preflight = place.ask("OPTIONS", path, &[of_page(PAGE), asks_first("POST"), fields.clone()], "");
        assert!(matches!(preflight.status, 200 | 204), "{program:?}: {path} is {}", preflight.status);
        assert_eq!(preflight.header("access-control-allow-origin"), Some(PAGE), "{program:?}");
        assert_eq!(
            preflight.header("access-control-allow-headers"),
            Some("authorization,mcp-name"),
            "{program:?}"
        );
        let methods = preflight.header("access-control-allow-methods").unwrap_or_default();
        assert!(methods.contains("POST"), "{program:?}: {methods}");
    }
    let foreign = place.ask("OPTIONS", "/mcp", &[of_page("https://evil.example"), asks_first("POST")], "");
    assert_eq!(foreign.status, 403, "{program:?}");
    assert_eq!(foreign.header("access-control-allow-origin"), None, "{program:?}");
    for lacking in [&[of_page(PAGE)][..], &[asks_first("POST")]] {
        assert_eq!(place.ask("OPTIONS", "/files/a", lacking, "").status, 401, "{program:?}: {lacking:?}");
    }
    // What one of the two could take for a question, and the other not.
    let written = |name: &'static str, value: &str| (name, value.to_owned());
    for odd in [
        &[written("Access-Control-Request-Method", "")][..],
        &[written("Access-Control-Request-Method", " \t")],
        &[written("Access-Control-Request-Method", "no method")],
        &[written("Access_Control_Request_Method", "POST")],
        &[written("Access-Control_Request-Method", "POST")],
        &[asks_first(""), asks_first("POST")],
        &[asks_first("POST"), asks_first("")],
        &[asks_first("POST"), of_page(PAGE)],
        &[asks_first("POST"), written("X-Original-Uri", "/")],
        &[asks_first("POST"), written("X-Original-Method", "GET")],
    ] {
        for (method, path) in [("OPTIONS", "/files/a"), ("POST", "/files/a"), ("OPTIONS", "/mcp")] {
            place.ask(method, path, &[&[of_page(PAGE)], odd].concat(), "{}");
        }
    }
    assert!(place.received().is_empty(), "{program:?}: nothing of that is the server's");

    let told = |reply: &Reply, what: &str| {
        assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE), "{program:?}: {what}");
        let reads = reply.header("access-control-expose-headers").unwrap_or_default();
        assert!(reads.contains("www-authenticate"), "{program:?}: {what}: {reads}");
    };
    let passed = place.ask("POST", "/files/a", &[of_page(PAGE), credential.clone()], "{}");
    assert_eq!(passed.status, 200, "{program:?}");
    told(&passed, "passed");
    let [request] = &place.received()[..] else { panic!("{program:?}") };
    assert!(request.variables().iter().all(|(_, value)| *value != PAGE), "{program:?}: {request:?}");
    let nobody = place.ask("POST", "/files/a", &[of_page(PAGE)], "{}");
    assert_eq!(nobody.status, 401, "{program:?}");
    told(&nobody, "refused");
    let malformed = place.ask("GET", "/a%2fb", &[of_page(PAGE), credential.clone()], "");
    assert!(matches!(malformed.status, 200 | 400), "{program:?}: {}", malformed.status);
    told(&malformed, "of an odd path");
    // Who is no page is told nothing of pages.
    let plain = place.ask("GET", "/files/a", &[credential], "");
    assert_eq!((plain.status, plain.header("access-control-allow-origin")), (200, None), "{program:?}");
}
