//! Both eras of MCP: what each needs, and that the body alone decides.

use super::harness::*;
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_disagree_with_the_body_stop_at_the_gateway() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let call = Ask::modern("tools/call", json!({"name": "echo"})).key(&key);
    for (what, ask, code) in [
        ("method", call.clone().instead("mcp-method", "tools/list"), -32020),
        ("no method", call.clone().without("mcp-method"), -32020),
        ("two methods", call.clone().with("mcp-method", "tools/call"), -32020),
        ("name", call.clone().instead("mcp-name", "delete"), -32020),
        ("no name", call.clone().without("mcp-name"), -32020),
        ("encoded name", call.clone().instead("mcp-name", "=?base64?ZGVsZXRl?="), -32020),
        ("two versions", call.clone().with("mcp-protocol-version", "2026-07-28"), -32020),
        ("old version", call.clone().instead("mcp-protocol-version", "2025-11-25"), -32020),
        ("no version", call.clone().without("mcp-protocol-version"), -32020),
        ("unknown version", call.clone().instead("mcp-protocol-version", "2027-01-01"), -32022),
        ("no version at all", call.clone().instead("mcp-protocol-version", "newest"), -32022),
        ("orphan", Ask::modern("tools/list", json!({})).with("mcp-name", "echo").key(&key), -32020),
    ] {
        let answered = ask.send(gateway.address).await;
        assert_eq!(
            (answered.status, answered.code(), &answered.json()["id"]),
            (400, code, &json!(1)),
            "{what}"
        );
    }
    let bare = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let answered = Ask::modern("tools/list", json!({})).body(bare).key(&key).send(gateway.address).await;
    assert_eq!((answered.status, answered.code()), (400, -32602));
    assert!(upstream.received().is_empty());
    assert_eq!(gateway.count("header_mismatch"), 10);
    for ask in
        [call.clone(), call.instead("mcp-name", "=?base64?ZWNobw==?=").with("mcp-param-region", "west")]
    {
        assert_eq!(ask.send(gateway.address).await.status, 200);
    }
    assert_eq!(upstream.received()[1].headers["mcp-param-region"], "west");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsupported_version_is_told_which_are() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let ask = Ask::modern("ping", json!({})).key(&key).instead("mcp-protocol-version", "2099-01-01");
    let data = ask.send(gateway.address).await.json()["error"]["data"].clone();
    assert_eq!(data["requested"], "2099-01-01");
    assert_eq!(data["supported"], json!(["2026-07-28"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn header_and_body_cannot_name_two_tools() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy(
        "echo",
        json!({"endpoint_restrictions": {"allowed_endpoints": ["tools/call/echo"], "blocked_endpoints": []}}),
    );
    let key = house.key_of("alice", "echo", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    // The header says echo, which is allowed; the body says delete, which is what the upstream would do.
    let [old, new] = Ask::call_in_both_eras("delete").map(|ask| ask.key(&key).instead("mcp-name", "echo"));
    for ask in [new, old] {
        assert_eq!(ask.send(gateway.address).await.reason(), "header_mismatch");
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_one_strict_message_are_refused() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"} {}"#,
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
        "not json",
        "",
    ] {
        let answered = Ask::post(body).key(&key).send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (400, "bad_request"), "{body}");
    }
    let good = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for ask in [
        Ask::post(good).instead("content-type", "text/plain"),
        Ask::post(good).instead("content-type", "application/json; charset=utf-7"),
        Ask::post(good).instead("content-type", "application/json; charset=utf-8; charset=utf-16"),
        Ask::post(good).instead("content-type", "application/json; charset=\"utf-8"),
        Ask::post(good).instead("content-type", "application/json; profile=x"),
        Ask::post(good).instead("content-type", "application/json; charset"),
        Ask::post(good).with("content-type", "application/json"),
        Ask::post(good).without("content-type"),
        Ask::post(good).with("content-encoding", "gzip"),
    ] {
        assert_eq!(ask.key(&key).send(gateway.address).await.status, 415);
    }
    assert!(upstream.received().is_empty());
    for fine in ["Application/JSON;charset=\"UTF-8\"", "application/json; charset=UTF-8", "application/json;"]
    {
        let ask = Ask::post(good).instead("content-type", fine).key(&key);
        assert_eq!(ask.send(gateway.address).await.status, 200, "{fine}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_of_one_revision_and_stand_or_fall_together() {
    let (house, upstream) = (House::new(), Upstream::json(r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#).await);
    house.policy(
        "two",
        json!({"rate_limits": {"requests_per_minute": 2, "requests_per_hour": null, "requests_per_day": null},
        "endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/call/delete"]}}),
    );
    let key = house.key_of("alice", "two", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let delete = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"delete"}}"#;
    let mixed = Ask::post(format!("[{ping},{delete}]")).key(&key);
    for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let answered = mixed.clone().with("mcp-protocol-version", version).send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (400, "bad_request"), "{version}");
    }
    for ask in [mixed.clone(), mixed.with("mcp-protocol-version", "2025-03-26")] {
        let answered = ask.send(gateway.address).await;
        assert_eq!(answered.status, 200, "older clients end their session on any other");
        for (place, error) in answered.json().as_array().unwrap().iter().enumerate() {
            assert_eq!(
                (&error["id"], &error["error"]["data"]["reason"]),
                (&json!(place + 1), &json!("endpoint_denied"))
            );
        }
    }
    assert!(upstream.received().is_empty());
    // Nothing of what was refused was charged: two fit, a third does not.
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"prompts/list"}"#;
    assert_eq!(Ask::post(format!("[{list},{list}]")).key(&key).send(gateway.address).await.status, 200);
    assert_eq!(Ask::post(list).key(&key).send(gateway.address).await.reason(), "rate_limited");
    assert_eq!((gateway.count("allowed"), gateway.count("endpoint_denied")), (2, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_era_has_neither_streams_nor_sessions() {
    let upstream = Upstream::answering(|_| async {
        let mut response = whole("application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        response.headers_mut().insert("mcp-session-id", "abc".parse().unwrap());
        response
    })
    .await;
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for method in [Method::GET, Method::DELETE] {
        let answered = Ask::new(method, "/mcp")
            .with("mcp-protocol-version", "2026-07-28")
            .key(&key)
            .send(gateway.address)
            .await;
        assert_eq!((answered.status, &answered.headers["allow"]), (405, &"POST, OPTIONS".parse().unwrap()));
    }
    let ping = Ask::modern("ping", json!({}))
        .key(&key)
        .with("mcp-session-id", "whatever")
        .with("last-event-id", "1");
    let answered = ping.send(gateway.address).await;
    assert_eq!((answered.status, answered.headers.contains_key("mcp-session-id")), (200, false));
    for field in ["mcp-session-id", "last-event-id"] {
        assert!(!upstream.only().headers.contains_key(field), "{field}");
    }
    let response = Ask::modern("ping", json!({})).body(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).key(&key);
    assert_eq!(response.send(gateway.address).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_not_served_at_the_mcp_endpoint() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for method in [Method::PUT, Method::PATCH, Method::TRACE] {
        let answered = Ask::new(method.clone(), "/mcp").key(&key).send(gateway.address).await;
        assert_eq!(
            (answered.status, &answered.headers["allow"]),
            (405, &"GET, POST, DELETE, OPTIONS".parse().unwrap()),
            "{method}"
        );
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_a_resource_is_no_way_around_the_policy() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("public", json!({"endpoint_restrictions": {"allowed_endpoints": ["resources/read/file:///public/**"], "blocked_endpoints": []}}));
    house.policy("discreet", json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["resources/read/file:///secret.md"]}}));
    let gateway = house.gateway(upstream.address);
    for policy in ["public", "discreet"] {
        let key = house.key_of("alice", policy, &["mcp:*"]).1;
        for uri in
            ["FILE:///secret.md", "file:/secret.md", "file:///secret.md?public", "file://localhost/secret.md"]
        {
            let answered =
                Ask::modern("resources/read", json!({"uri": uri})).key(&key).send(gateway.address).await;
            assert_eq!(answered.reason(), "endpoint_denied", "{policy}: {uri}");
        }
        let fine = "file:///public/hours.md";
        let answered =
            Ask::modern("resources/read", json!({"uri": fine})).key(&key).send(gateway.address).await;
        assert_eq!(answered.status, 200, "{policy}");
    }
    assert_eq!(upstream.received().len(), 2);
}
