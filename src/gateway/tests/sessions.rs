//! Sessions of the old era belong to whoever opened them.

use super::harness::*;
use http::Method;
use serde_json::json;

async fn with_sessions() -> Upstream {
    Upstream::answering(|received| async move {
        let mut response = whole("application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        if !received.headers.contains_key("mcp-session-id") {
            response.headers_mut().insert("mcp-session-id", "upstream.id-7".parse().unwrap());
        }
        response
    })
    .await
}

async fn opened(key: &str, gateway: &Served) -> String {
    let hello =
        Ask::old("initialize", json!({"protocolVersion": "2025-11-25"})).without("mcp-protocol-version");
    let answered = hello.key(key).send(gateway.address).await;
    assert_eq!(answered.status, 200);
    answered.headers["mcp-session-id"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_session_ids_are_refused_on_every_verb() {
    let (house, upstream) = (House::new(), with_sessions().await);
    let (alice, bob) = (house.key(), house.key_of("bob", "free", &["mcp:*"]).1);
    let gateway = house.gateway(upstream.address);
    let (of_alice, of_bob) = (opened(&alice, &gateway).await, opened(&bob, &gateway).await);
    assert_ne!(of_alice, of_bob);
    let before = upstream.received().len();
    for ask in [Ask::old("ping", json!({})), Ask::new(Method::GET, "/mcp"), Ask::new(Method::DELETE, "/mcp")]
    {
        for (key, session) in [(&alice, &of_bob), (&bob, &of_alice), (&alice, &"upstream.id-7".to_owned())] {
            let answered = ask.clone().key(key).with("mcp-session-id", session).send(gateway.address).await;
            assert_eq!((answered.status, answered.reason().as_str()), (403, "session_mismatch"));
        }
    }
    assert_eq!(upstream.received().len(), before);
    for ask in [Ask::old("ping", json!({})), Ask::new(Method::GET, "/mcp"), Ask::new(Method::DELETE, "/mcp")]
    {
        assert_eq!(ask.key(&alice).with("mcp-session-id", &of_alice).send(gateway.address).await.status, 200);
    }
    for received in &upstream.received()[before..] {
        assert_eq!(received.headers["mcp-session-id"], "upstream.id-7");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_the_gateway_that_opened_it() {
    let (house, upstream) = (House::new(), with_sessions().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let session = opened(&key, &gateway).await;
    let other = house.gateway(upstream.address);
    let ping = Ask::old("ping", json!({})).key(&key).with("mcp-session-id", &session);
    assert_eq!(ping.send(other.address).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_client_needs_the_session_that_asked() {
    let (house, upstream) = (House::new(), with_sessions().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let session = opened(&key, &gateway).await;
    let answer = Ask::old("ping", json!({})).body(r#"{"jsonrpc":"2.0","id":9,"result":{}}"#).key(&key);
    assert_eq!(answer.send(gateway.address).await.status, 400);
    assert_eq!(answer.with("mcp-session-id", &session).send(gateway.address).await.status, 200);
}
