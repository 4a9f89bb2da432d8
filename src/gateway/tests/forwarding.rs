//! What goes through, and how.

use super::harness::*;
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_call_reaches_the_upstream_byte_for_byte_and_says_who_asks() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    let (id, key) = house.key_of("Zoë", "free", &["tools:call", "tools:list"]);
    let gateway = house.gateway(upstream.address);
    let body = " {\"method\" : \"tools/call\",\"jsonrpc\":\"2.0\", \"id\":\"x\\u0041\",\n \"params\":{\"name\":\"echo\",\"arguments\":{\"n\":1.50e3}} } ";
    let answered = Ask::post(body)
        .key(&key)
        .with("x-portcullis-subject", "root")
        .with("cookie", "a=b")
        .send(gateway.address)
        .await;
    assert_eq!((answered.status, answered.body.as_str()), (200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#));
    let received = upstream.only();
    assert_eq!(
        (received.method, received.target.as_str(), &received.body[..]),
        (Method::POST, "/mcp", body.as_bytes())
    );
    assert_eq!(received.headers["x-portcullis-subject"], "Zo%C3%AB");
    assert_eq!(received.headers["x-portcullis-credential"], id.as_str());
    assert_eq!(received.headers["x-portcullis-request-id"], answered.headers["x-portcullis-request-id"]);
    assert_eq!(received.headers["host"], upstream.address.to_string().as_str());
    assert_eq!(received.headers["x-forwarded-for"], "127.0.0.1");
    assert!(!format!("{:?}", received.headers).contains("pcl_"));
    for field in ["authorization", "cookie", "x-api-key"] {
        assert!(!received.headers.contains_key(field), "{field}");
    }
    assert_eq!(gateway.count("allowed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_present_a_key_is_taken_and_ends_at_the_gateway() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let (id, secret) = (key.split('_').nth(2).unwrap(), key.split('_').nth(3).unwrap());
    let ask = Ask::old("ping", json!({}));
    for ask in [
        ask.clone().key(&key),
        ask.clone().with("x-api-key", &key),
        ask.with("x-api-key-id", id).with("x-api-key-secret", secret),
    ] {
        assert_eq!(ask.send(gateway.address).await.status, 200);
    }
    assert_eq!(upstream.received().len(), 3);
    assert!(!format!("{:?}", upstream.received()).contains(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_cost_nothing_and_requests_one() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("one", json!({"rate_limits": {"requests_per_minute": 1, "requests_per_hour": null, "requests_per_day": null}}));
    let key = house.key_of("alice", "one", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    let notification = Ask::post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).key(&key);
    for _ in 0..3 {
        assert_eq!(notification.send(gateway.address).await.status, 200);
    }
    let list = Ask::modern("prompts/list", json!({})).key(&key);
    assert_eq!(list.send(gateway.address).await.status, 200);
    assert_eq!(list.send(gateway.address).await.status, 429);
    // A call that only looks like a notification costs what it costs.
    let call = Ask::post(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}"#).key(&key);
    assert_eq!(call.send(gateway.address).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_upstream_says_of_itself_stays_behind() {
    let upstream = Upstream::answering(|_| async {
        let mut response = whole("application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        for (name, value) in [
            ("server", "secret/1.0"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("x-kept", "1"),
            ("x-portcullis-subject", "x"),
        ] {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    })
    .await;
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let answered = Ask::modern("ping", json!({})).key(&key).send(gateway.address).await;
    assert_eq!(answered.headers["x-kept"], "1");
    for field in ["server", "x-hop", "x-portcullis-subject"] {
        assert!(!answered.headers.contains_key(field), "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_the_upstream_are_kept_and_their_end_is_not_the_clients_trouble() {
    let upstream = Upstream::answering(|received| async move {
        let mut response = whole("application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        if received.headers.contains_key("x-last") {
            response.headers_mut().insert("connection", "close".parse().unwrap());
        }
        response
    })
    .await;
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let ping = Ask::modern("ping", json!({})).key(&key);
    for ask in [&ping, &ping.clone().with("x-last", "1"), &ping, &ping] {
        assert_eq!(ask.send(gateway.address).await.status, 200);
    }
    assert_eq!(upstream.received().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_where_the_client_is() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("office", json!({"ip_restrictions": {"whitelist": ["198.51.100.0/24"], "blacklist": []}}));
    let key = house.key_of("alice", "office", &["mcp:*"]).1;
    let gateway = house.gateway_with(upstream.address, |settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let ping = Ask::modern("ping", json!({})).key(&key);
    assert_eq!(
        ping.clone().with("x-forwarded-for", "203.0.113.1, 198.51.100.7").send(gateway.address).await.status,
        200
    );
    assert_eq!(upstream.only().headers["x-forwarded-for"], "198.51.100.7");
    for spoofed in ["198.51.100.7, 203.0.113.1", "198.51.100.7, junk"] {
        let answered = ping.clone().with("x-forwarded-for", spoofed).send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (403, "ip_denied"), "{spoofed}");
    }
    assert_eq!(upstream.received().len(), 1);
}
