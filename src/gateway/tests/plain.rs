//! Plain HTTP beside the MCP endpoint.

use super::harness::*;
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_path_that_was_judged_is_the_path_that_is_forwarded() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for (asked, forwarded) in [
        ("/files/a?b=%2F", "/files/a?b=%2F"),
        ("/files//x/../%61", "/files/a"),
        ("/files/caf%C3%A9/", "/files/caf%C3%A9/"),
    ] {
        let answered = Ask::new(Method::PATCH, asked).body("some text").key(&key).send(gateway.address).await;
        assert_eq!(answered.status, 200, "{asked}");
        let received = upstream.received().pop().unwrap();
        assert_eq!(
            (received.method, received.target.as_str(), &received.body[..]),
            (Method::PATCH, forwarded, &b"some text"[..])
        );
        assert_eq!(received.headers["x-portcullis-subject"], "alice");
    }
    for asked in ["/files/..%2fadmin", "/files/%2e%2e%5cadmin", "/a%00b", "/100%"] {
        assert_eq!(Ask::new(Method::GET, asked).key(&key).send(gateway.address).await.status, 400, "{asked}");
    }
    assert_eq!(upstream.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_the_mcp_path_gets_by_with_the_rules_of_plain_http() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy(
        "http",
        json!({"endpoint_restrictions": {"allowed_endpoints": ["/**"], "blocked_endpoints": []}}),
    );
    let key = house.key_of("alice", "http", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    for path in [
        "/mcp",
        "/mcp/",
        "//mcp",
        "/x/../mcp",
        "/%6dcp",
        "/%6Dcp",
        "/MCP",
        "/mcp;a=b",
        "/mcp%2f",
        "/x/..%2fmcp",
    ] {
        let mut ask = Ask::modern("tools/call", json!({"name": "delete"})).key(&key);
        *ask.request.uri_mut() = path.parse().unwrap();
        assert_eq!(ask.send(gateway.address).await.reason(), "endpoint_denied", "{path}");
    }
    assert!(upstream.received().is_empty());
    let beside = Ask::new(Method::POST, "/mcp2").key(&key).send(gateway.address).await;
    assert_eq!((beside.status, upstream.only().target.as_str()), (200, "/mcp2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_refused_in_plain_json() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    let key = house.key_of("alice", "free", &["tools:call"]).1;
    let gateway = house.gateway(upstream.address);
    let answered = Ask::new(Method::GET, "/x").send(gateway.address).await;
    assert_eq!((answered.status, answered.reason().as_str()), (401, "unauthorized"));
    assert!(answered.json().get("jsonrpc").is_none());
    let answered = Ask::new(Method::GET, "/x").key(&key).send(gateway.address).await;
    assert_eq!((answered.status, answered.reason().as_str()), (403, "insufficient_scope"));
    let trace = Ask::new(Method::TRACE, "/x").key(&key).send(gateway.address).await;
    assert_eq!(
        (trace.status, trace.headers["allow"].to_str().unwrap()),
        (405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
    );
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_and_refusals_of_the_upstream_pass_on_plain_http_only() {
    let upstream = Upstream::answering(|received| async move {
        let mut response = whole("application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        *response.status_mut() = received.headers["x-want"].to_str().unwrap().parse().unwrap();
        response.headers_mut().insert("location", "http://elsewhere.example/".parse().unwrap());
        response
    })
    .await;
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for status in [301, 307, 401] {
        let want = status.to_string();
        let plain = Ask::new(Method::GET, "/x").with("x-want", &want).key(&key).send(gateway.address).await;
        assert_eq!(plain.status, status);
        let mcp = Ask::modern("ping", json!({})).with("x-want", &want).key(&key).send(gateway.address).await;
        assert_eq!(
            (mcp.status, mcp.reason().as_str(), mcp.headers.contains_key("location")),
            (502, "upstream_garbled", false)
        );
    }
    for status in [400, 404, 500] {
        let mcp = Ask::modern("ping", json!({}))
            .with("x-want", &status.to_string())
            .key(&key)
            .send(gateway.address)
            .await;
        assert_eq!(mcp.status, status);
    }
}
