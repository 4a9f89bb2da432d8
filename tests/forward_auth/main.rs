//! What `portcullis snippet` prints, in the real proxies: they ask at `/verify`, and pass on only what was allowed.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

#[path = "../journeys/support/mod.rs"]
#[allow(dead_code, reason = "shared with the journeys, which use all of it")]
mod support;

#[path = "../strict_wire/telling.rs"]
mod telling;

mod pages;
mod places;
mod program;
mod proxies;
mod spellings;
mod upstream;

use serde_json::json;

use program::Program;
use proxies::Place;
use support::home::policy;

/// The headers of a call of 2026-07-28.
const MODERN: [(&str, &str); 2] = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call")];

#[test]
fn nginx_asks_and_forwards() {
    passes_only_what_is_allowed(Program::Nginx);
}

#[test]
fn caddy_asks_and_forwards() {
    passes_only_what_is_allowed(Program::Caddy);
}

#[test]
fn haproxy_asks_and_forwards() {
    passes_only_what_is_allowed(Program::Haproxy);
}

#[test]
fn envoy_asks_and_forwards() {
    passes_only_what_is_allowed(Program::Envoy);
}

fn passes_only_what_is_allowed(program: Program) {
    let Some(mut place) = Place::new(program) else { return };
    let home = &place.home;
    home.apply_policy(&policy(
        "two",
        &json!({"rate_limits": {"requests_per_minute": null,
        "requests_per_hour": null, "requests_per_day": 2, "algorithm": "sliding"}}),
    ));
    home.apply_policy(&policy(
        "adders",
        &json!({"endpoint_restrictions": {
        "allowed_endpoints": ["tools/call/add"], "blocked_endpoints": []}}),
    ));
    home.apply_policy(&policy(
        "guests",
        &json!({"endpoint_restrictions": {
        "allowed_endpoints": [], "blocked_endpoints": ["/admin/**"]}}),
    ));
    home.apply_policy(&policy(
        "far",
        &json!({"ip_restrictions": {
        "whitelist": ["198.51.100.7"], "blacklist": []}}),
    ));
    home.apply_policy(&policy(
        "near",
        &json!({"ip_restrictions": {
        "whitelist": ["127.0.0.1"], "blacklist": []}}),
    ));
    let key = |policy: &str| format!("Bearer {}", home.issue("ada", "mcp:*", &["--policy", policy]).key);
    let (two, adders, far, near) = (key("two"), key("adders"), key("far"), key("near"));
    let guests = key("guests");
    let credential = |key: &str| ("Authorization", key.to_owned());

    // Allowed: the body arrives whole, the identity is ours, the credential stays here.
    let forged = [
        credential(&near),
        ("X-Portcullis-Subject", "root".to_owned()),
        ("X-Portcullis-Scopes", "everything".to_owned()),
        ("X-Forwarded-For", "198.51.100.7".to_owned()),
        ("Cookie", "session=1".to_owned()),
        ("Mcp-Session-Id", "stolen".to_owned()),
    ];
    let passed = place.ask("POST", "/files/a?b=c", &forged, "a body");
    assert_eq!(passed.status, 200, "{program:?}: {}", passed.text);
    let received = place.received();
    let [request] = received.as_slice() else { panic!("{program:?}: {received:?}") };
    assert_eq!(request.target, "/files/a?b=c");
    assert_eq!(request.body, "a body");
    assert_eq!(request.all("x-portcullis-subject"), ["ada"], "{program:?}");
    assert_eq!(request.all("x-portcullis-scopes"), ["mcp:*"], "{program:?}");
    assert_eq!(request.all("x-portcullis-request-id").len(), 1, "{program:?}");
    for kept in ["authorization", "cookie", "mcp-session-id"] {
        assert!(request.all(kept).is_empty(), "{program:?}: {kept}");
    }

    // What the client says of where it comes from, or of what it asks for, is not believed.
    let spoofed = [
        credential(&far),
        ("X-Forwarded-For", "198.51.100.7".to_owned()),
        ("X-Real-IP", "198.51.100.7".to_owned()),
    ];
    assert_eq!(place.ask("GET", "/a", &spoofed, "").status, 403, "{program:?}");
    let elsewhere = [
        credential(&adders),
        ("X-Original-URI", "/mcp".to_owned()),
        ("X-Forwarded-Uri", "/mcp".to_owned()),
        ("X-Original-Method", "POST".to_owned()),
        ("X-Forwarded-Method", "POST".to_owned()),
    ];
    let modern = |name: &str, key: &str| {
        let mut headers: Vec<_> = MODERN.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        headers.extend([("Mcp-Name", name.to_owned()), credential(key)]);
        headers
    };
    let elsewhere = [&elsewhere[..], &modern("add", &adders)[..3]].concat();
    assert_eq!(place.ask("GET", "/secret", &elsewhere, "").status, 403, "{program:?}");

    // Nobody, and somebody's guess.
    let nobody = place.ask("GET", "/a", &[], "");
    assert_eq!(nobody.status, 401, "{program:?}");
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer realm=\"portcullis\""), "{program:?}");
    assert_eq!(nobody.message()["error"]["data"]["reason"], "unauthorized", "{program:?}");
    assert_eq!(place.ask("GET", "/a", &[credential("Bearer guess")], "").status, 401, "{program:?}");
    assert_eq!(place.ask("GET", "/a/../b", &[], "").status, 401, "{program:?}");
    assert!(place.received().is_empty(), "{program:?}");

    // No spelling of a path gets by a block; what only resembles it passes.
    for path in [
        "/admin",
        "/admin/keys",
        "/admin%2Fkeys",
        "/admin;x",
        "/%2Fadmin",
        "/admin%252f",
        "/ADMIN",
        "/pub%2f..%2fadmin",
    ] {
        let status = place.ask("GET", path, &[credential(&guests)], "").status;
        assert!((400..404).contains(&status), "{program:?}: {path} is {status}");
    }
    assert!(place.received().is_empty(), "{program:?}");
    for path in ["/administration", "/pub/a%20b", "/pub/a;v=1"] {
        assert_eq!(place.ask("GET", path, &[credential(&guests)], "").status, 200, "{program:?}: {path}");
    }
    assert_eq!(place.received().len(), 3, "{program:?}");

    // Tool by tool in the new era; nothing by the headers of an old one.
    assert_eq!(place.ask("POST", "/mcp", &modern("add", &adders), "{}").status, 200, "{program:?}");
    assert_eq!(place.received().len(), 1);
    assert_eq!(place.ask("POST", "/mcp", &modern("delete", &adders), "{}").status, 403, "{program:?}");
    let mismatch = place.ask(
        "POST",
        "/mcp",
        &modern("add", &adders)[..2].iter().cloned().chain([credential(&adders)]).collect::<Vec<_>>(),
        "{}",
    );
    assert_eq!((mismatch.status, &mismatch.message()["error"]["code"]), (400, &json!(-32020)), "{program:?}");
    let old = place.ask("POST", "/mcp", &modern("add", &adders)[1..], "{}");
    assert_eq!((old.status, &old.message()["error"]["code"]), (400, &json!(-32022)), "{program:?}");

    // Over the limit, with the time to wait.
    for _ in 0..2 {
        assert_eq!(place.ask("GET", "/a", &[credential(&two)], "").status, 200, "{program:?}");
    }
    let over = place.ask("GET", "/a", &[credential(&two)], "");
    assert_eq!((over.status, &over.message()["error"]["data"]["reason"]), (429, &json!("rate_limited")));
    assert!(over.header("retry-after").is_some_and(|wait| wait.parse::<u64>().is_ok()), "{program:?}");
    assert_eq!(place.received().len(), 2, "{program:?}");

    // A token of an identity provider is longer than what proxies have buffers for by themselves.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/cases/token-over-8k");
    let keys = format!("{folder}/jwks.json");
    let issuer = [
        "issuer",
        "add",
        "corp",
        "--jwks",
        &keys,
        "--issuer",
        "https://idp.example.org",
        "--profile",
        "oidc",
    ];
    let meaning = ["--audience", "mcp-gateway", "--scope-map", "mcp:read=mcp:*"];
    home.json(&[&issuer[..], &meaning].concat());
    let token = std::fs::read_to_string(format!("{folder}/token.txt")).expect("the token of the case");
    let bearer = |token: &str| [("Authorization", format!("Bearer {}", token.trim()))];
    assert_eq!(place.ask("GET", "/a", &bearer(&token), "").status, 200, "{program:?}");
    assert_eq!(place.received().len(), 1, "{program:?}");
    let longer = format!("a.{}.c", "b".repeat(20_000));
    let refused = place.ask("GET", "/a", &bearer(&longer), "");
    assert_eq!(refused.status, 431, "{program:?}: {}", refused.text);
    assert!(
        refused.text.contains("--max-token") && place.received().is_empty(),
        "{program:?}: {}",
        refused.text
    );

    // No answer is a no.
    place.stop_gateway();
    assert!(place.ask("GET", "/a", &[credential(&near)], "").status >= 500, "{program:?}");
    assert!(place.received().is_empty(), "{program:?}");
}
