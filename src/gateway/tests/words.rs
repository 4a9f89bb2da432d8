//! What is told: to those who are refused in a sentence that says what to do, to operators where the server behind has to be
//! mended.

use super::harness::*;
use http::{HeaderName, HeaderValue, Method};
use serde_json::json;

use crate::domain::event::{Event, UPSTREAM_UNFIT};
use crate::ops;
use crate::store::event::Query;

fn message(answered: &Answered) -> String {
    answered.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_needs_no_scope() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    house.policy(
        "quiet",
        json!({"endpoint_restrictions": {"allowed_endpoints": ["tools/list"],
        "blocked_endpoints": ["logging/setLevel"]}}),
    );
    house.policy(
        "lists",
        json!({"endpoint_restrictions": {"allowed_endpoints": ["tools/list"],
        "blocked_endpoints": []}}),
    );
    let gateway = house.gateway(upstream.address);
    let level = || Ask::old("logging/setLevel", json!({"level": "debug"}));
    for (policy, scopes) in [("free", &["mcp:read"][..]), ("free", &["tools:call"]), ("lists", &["mcp:use"])]
    {
        let key = house.key_of("alice", policy, scopes).1;
        let note = Ask::post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        for ask in [
            level(),
            Ask::modern("logging/setLevel", json!({"level": "info"})),
            Ask::old("ping", json!({})),
            note,
            Ask::modern("server/discover", json!({})),
            Ask::new(Method::GET, "/mcp"),
            Ask::new(Method::DELETE, "/mcp"),
        ] {
            let answered = ask.clone().key(&key).send(gateway.address).await;
            assert_eq!(
                (answered.status, answered.body.contains("\"error\"")),
                (200, false),
                "{policy} {scopes:?}"
            );
        }
    }
    let blocked = level().key(&house.key_of("alice", "quiet", &["mcp:*"]).1).send(gateway.address).await;
    assert_eq!((blocked.status, blocked.reason().as_str()), (200, "endpoint_denied"));
    let other = Ask::old("logging/getLevel", json!({})).key(&house.key_of("alice", "free", &["mcp:*"]).1);
    assert_eq!(other.send(gateway.address).await.code(), -32601);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_that_is_refused_ends_no_session_of_an_older_client() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy(
        "quiet",
        json!({"endpoint_restrictions": {"allowed_endpoints": [],
        "blocked_endpoints": ["notifications/**"]}}),
    );
    let key = house.key_of("alice", "quiet", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    let note = Ask::post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).key(&key);
    let batch = Ask::post(r#"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#).key(&key);
    for (ask, status) in [
        (note.clone(), 200),
        (note.clone().with("mcp-protocol-version", "2025-11-25"), 200),
        (batch.with("mcp-protocol-version", "2025-03-26"), 200),
        (note.with("mcp-protocol-version", "2026-07-28"), 403),
    ] {
        let answered = ask.send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (status, "endpoint_denied"));
    }
    assert_eq!(gateway.count("endpoint_denied"), 4);
    assert!(upstream.received().is_empty(), "it is refused all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_to_log_in_where_nobody_can_is_told_what_to_do() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    house.policy("free", json!({}));
    let (id, revoked) = house.key_of("bob", "free", &["mcp:*"]);
    house.revoke(id);
    let gateway = house.gateway(upstream.address);
    let register = Ask::new(Method::POST, "/register").body("{}").with("content-type", "application/json");
    for ask in [
        register.clone(),
        register.clone().key(&revoked),
        Ask::new(Method::GET, "/authorize?client_id=a"),
        Ask::new(Method::POST, "/token"),
    ] {
        let answered = ask.send(gateway.address).await;
        assert_eq!((answered.status, &answered.json()["error"]), (401, &json!("access_denied")));
        let told = answered.json()["error_description"].as_str().unwrap().to_owned();
        for word in ["API key", "Authorization: Bearer", "mistyped, expired or revoked"] {
            assert!(told.contains(word), "{told}");
        }
        assert!(answered.headers.contains_key("www-authenticate"));
    }
    assert!(upstream.received().is_empty());
    // To whoever may ask the server behind it is a path like any other.
    assert_eq!(register.key(&key).send(gateway.address).await.status, 200);
    assert_eq!(upstream.only().target, "/register");
    let elsewhere = Ask::new(Method::POST, "/registered").send(gateway.address).await;
    assert_eq!((elsewhere.status, elsewhere.reason().as_str()), (401, "unauthorized"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_would_do_and_until_when_it_stands() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    house.policy(
        "two",
        json!({"rate_limits": {"requests_per_minute": null, "requests_per_hour": 2,
        "requests_per_day": null, "algorithm": "fixed"}}),
    );
    house.policy(
        "none",
        json!({"rate_limits": {"requests_per_minute": null, "requests_per_hour": null,
        "requests_per_day": 0}}),
    );
    let gateway = house.gateway(upstream.address);
    let told = async |policy: &str, scopes: &[&str], ask: Ask| {
        message(&ask.key(&house.key_of("alice", policy, scopes).1).send(gateway.address).await)
    };
    let call = || Ask::old("tools/call", json!({"name": "search"}));
    let missing = told("free", &["mcp:read"], call()).await;
    assert_eq!(
        missing,
        "none of this credential's scopes covers tools/call/search; the scope tools:call would"
    );
    let spending = house.key_of("alice", "two", &["mcp:use"]).1;
    for _ in 0..2 {
        assert_eq!(call().key(&spending).send(gateway.address).await.status, 200);
    }
    let spent = message(&call().key(&spending).send(gateway.address).await);
    assert_eq!(spent, "all 2 calls of the hour are spent; the next one passes at 2027-01-15T09:00:00Z");
    let nothing = told("none", &["mcp:use"], call()).await;
    assert_eq!(nothing, "the policy lets nothing through: its limit of the day is 0");
    let wrong = told("free", &["mcp:use"], Ask::new(Method::POST, "/sse")).await;
    assert_eq!(wrong, "none of this credential's scopes covers /sse; MCP is served at /mcp");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_mcp_at_a_wrong_path_is_told_the_right_one() {
    let house = House::new();
    let upstream = Upstream::answering(|received| async move {
        let mut response = whole("text/html", "<h1>Not here</h1>");
        *response.status_mut() = if received.target == "/405" {
            http::StatusCode::METHOD_NOT_ALLOWED
        } else {
            http::StatusCode::NOT_FOUND
        };
        response
    })
    .await;
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let hello = |path: &str| {
        let mut ask = Ask::old("initialize", json!({"protocolVersion": "2025-11-25"})).key(&key);
        *ask.request.uri_mut() = path.parse().unwrap();
        ask
    };
    for (path, status) in [("/", 404), ("/sse", 404), ("/mcp/v1", 404), ("/405", 405)] {
        let answered = hello(path).send(gateway.address).await;
        assert_eq!(answered.status, status, "{path}");
        assert_eq!(message(&answered), format!("there is nothing at {path}: MCP is served at /mcp"));
    }
    let spelled = hello("/").instead("accept", "application/json, Text/Event-Stream; q=0.5");
    let answered = spelled.send(gateway.address).await;
    assert_eq!(message(&answered), "there is nothing at /: MCP is served at /mcp");
    for accept in ["text/html", "text/html, text/event-stream;q=0"] {
        let plain = hello("/").instead("accept", accept).send(gateway.address).await;
        assert_eq!(
            (plain.status, plain.body.as_str()),
            (404, "<h1>Not here</h1>"),
            "who asks for a page gets what there is: {accept}"
        );
    }
    assert_eq!(gateway.count("allowed"), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_what_is_wrong_with_the_server_behind() {
    for (status, field, body, ask, told) in [
        (
            307,
            Some(("location", "/mcp/")),
            "",
            Ask::old("tools/list", json!({})),
            "it redirects to /mcp/: give --upstream http://",
        ),
        (
            308,
            Some(("location", "/mcp/")),
            "",
            Ask::new(Method::GET, "/mcp"),
            "it redirects to /mcp/: give --upstream http://",
        ),
        (
            302,
            Some(("location", "https://login.example/?next=secret")),
            "",
            Ask::modern("ping", json!({})),
            "it redirects to https://login.example/?…, and the gateway speaks plain http",
        ),
        (
            401,
            Some(("www-authenticate", "Bearer")),
            "",
            Ask::old("tools/list", json!({})),
            "it wants a login of its own (401)",
        ),
        (407, None, "", Ask::new(Method::DELETE, "/mcp"), "it wants a login of its own (407)"),
        (
            404,
            None,
            "nothing",
            Ask::old("initialize", json!({"protocolVersion": "2025-11-25"})),
            "it has no MCP at /mcp (404)",
        ),
        (
            404,
            None,
            "nothing",
            Ask::old("tools/call", json!({"name": "echo"})),
            "it has no MCP at /mcp (404)",
        ),
        (
            404,
            Some(("content-type", "application/json")),
            r#"{"detail":"Not Found"}"#,
            Ask::modern("tools/list", json!({})),
            "it has no MCP at /mcp (404)",
        ),
        (
            405,
            Some(("content-type", "text/html")),
            "<h1>No</h1>",
            Ask::modern("ping", json!({})),
            "it has no MCP at /mcp (405)",
        ),
        (403, None, "Invalid Origin header", Ask::old("ping", json!({})), "it turns the gateway away (403)"),
        (421, None, "Invalid Host header", Ask::modern("ping", json!({})), "it turns the gateway away (421)"),
        (
            200,
            Some(("content-type", "application/json")),
            "",
            Ask::old("tools/call", json!({"name": "echo"})),
            "it answers with an empty body, which is no MCP",
        ),
        (
            200,
            Some(("content-type", "text/html")),
            "<h1>Log in</h1>",
            Ask::old("tools/list", json!({})),
            "it answers with text/html, which is no MCP",
        ),
    ] {
        let (house, upstream) = (
            House::new(),
            Upstream::answering(move |_| async move {
                let mut response = whole("text/plain", body);
                *response.status_mut() = status.try_into().unwrap();
                if let Some((name, value)) = field {
                    response.headers_mut().insert(name, HeaderValue::from_static(value));
                }
                response
            })
            .await,
        );
        let key = house.key();
        let gateway = house.gateway(upstream.address);
        for _ in 0..3 {
            let answered = ask.clone().key(&key).send(gateway.address).await;
            assert_eq!(answered.status, 502, "{told}");
            assert!(!answered.headers.contains_key("location"));
        }
        gateway.engine.stop().unwrap();
        let events = unfit(&house);
        assert!(!events.is_empty() && events.len() <= 2, "{events:?}");
        assert_eq!(events.iter().map(|event| event.count).sum::<u32>(), 3);
        assert!(events[0].detail.starts_with(told), "{events:?}");
        assert!(!events[0].detail.contains("secret"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_a_matter_of_one_call_is_nobodys_fault_and_passes_to_the_byte() {
    const ERROR: &str = r#"{ "jsonrpc":"2.0", "id":1,"error":{"code":-32601,"message":"no"}}"#;
    for (status, media, body) in [
        (404, "application/json", ERROR),
        (405, "application/json; charset=utf-8", ERROR),
        (403, "application/json", ERROR),
        (403, "application/json", r#"[{"jsonrpc":"2.0","id":1,"error":{}}]"#),
        (400, "text/plain", "that is no call"),
        (503, "text/html", "<h1>Later</h1>"),
    ] {
        let (house, upstream) = (
            House::new(),
            Upstream::answering(move |_| async move {
                let mut response = whole(media, body);
                *response.status_mut() = status.try_into().unwrap();
                response
            })
            .await,
        );
        let key = house.key();
        let gateway = house.gateway(upstream.address);
        for ask in [
            Ask::old("tools/list", json!({})),
            Ask::old("initialize", json!({"protocolVersion": "2025-11-25"})),
            Ask::modern("ping", json!({})),
        ] {
            let answered = ask.key(&key).send(gateway.address).await;
            assert_eq!((answered.status, answered.body.as_str()), (status, body));
        }
        gateway.engine.stop().unwrap();
        assert!(unfit(&house).is_empty(), "{status} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_session_a_status_may_be_a_matter_of_the_session_or_of_one_call() {
    const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
    // A session that has ended is told by 404 in any form; who has none hears that there is no MCP. One call that a server or
    // a proxy before it forbids is no fault of the set-up.
    for (status, found, without) in [(404, (404, "no such session"), 1), (403, (502, ""), 1)] {
        let (house, upstream) = (
            House::new(),
            Upstream::answering(move |received| async move {
                let mut response = whole("text/plain", "no such session");
                if received.body.windows(12).any(|window| window == b"\"initialize\"") {
                    response = whole("application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
                    response.headers_mut().insert(SESSION, HeaderValue::from_static("one"));
                } else {
                    *response.status_mut() = status.try_into().unwrap();
                }
                response
            })
            .await,
        );
        let key = house.key();
        let gateway = house.gateway(upstream.address);
        let begun = Ask::old("initialize", json!({"protocolVersion": "2025-11-25"}));
        let begun = begun.key(&key).send(gateway.address).await;
        let session = begun.headers["mcp-session-id"].to_str().unwrap();
        let within = Ask::old("ping", json!({})).key(&key).with("mcp-session-id", session);
        let ended = within.send(gateway.address).await;
        assert_eq!(ended.status, found.0);
        assert!(ended.body.contains(found.1), "{ended:?}");
        assert_eq!(Ask::old("ping", json!({})).key(&key).send(gateway.address).await.status, 502);
        gateway.engine.stop().unwrap();
        let told: u32 = unfit(&house).iter().map(|event| event.count).sum();
        assert_eq!(told, without, "{status}");
    }
}

/// What the operator was told of the server behind.
fn unfit(house: &House) -> Vec<Event> {
    let query = Query { kind: Some(UPSTREAM_UNFIT.into()), limit: 10, ..Query::default() };
    ops::event::list(&house.ctx, &query).unwrap()
}
