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

fn with_scopes(house: &House, scopes: &[&str]) -> String {
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    house.token("free", |new| new.scopes = scopes).text.expose().to_owned()
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
            assert_eq!((answered.status, answered.reason().as_str()), (404, "session_mismatch"));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_token_neither_reads_along_nor_ends_a_broader_one_s_session() {
    let (house, upstream) = (House::new(), with_sessions().await);
    let token = |scopes: &[&str]| with_scopes(&house, scopes);
    let broad = token(&["tools:list", "tools:call"]);
    let gateway = house.gateway(upstream.address);
    let session = opened(&broad, &gateway).await;
    let before = upstream.received().len();
    let all = || [Ask::new(Method::GET, "/mcp"), Ask::new(Method::DELETE, "/mcp")];
    for narrow in [token(&["tools:list"]), token(&["tools:call", "prompts:get"])] {
        for ask in all() {
            let answered = ask.key(&narrow).with("mcp-session-id", &session).send(gateway.address).await;
            assert_eq!((answered.status, answered.reason().as_str()), (404, "session_mismatch"));
        }
    }
    assert_eq!(upstream.received().len(), before);
    // A client that was told to ask for another scope calls on in its session.
    let other = token(&["prompts:get"]);
    let ping = Ask::old("ping", json!({})).key(&other).with("mcp-session-id", &session);
    assert_eq!(ping.send(gateway.address).await.status, 200);
    for fresh in [token(&["tools:call", "tools:list"]), token(&["tools:list", "tools:call", "prompts:get"])] {
        for ask in all() {
            let answered = ask.key(&fresh).with("mcp-session-id", &session).send(gateway.address).await;
            assert_eq!(answered.status, 200, "a fresh one, or one that may do more");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_token_neither_answers_nor_cancels_in_a_broader_one_s_session() {
    let (house, upstream) = (House::new(), with_sessions().await);
    let token = |scopes: &[&str]| with_scopes(&house, scopes);
    let broad = token(&["tools:list", "tools:call"]);
    let gateway = house.gateway(upstream.address);
    let session = opened(&broad, &gateway).await;
    let message =
        |text: &str| Ask::old("ping", json!({})).body(text.to_owned()).with("mcp-session-id", &session);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let into_it = [
        message(r#"{"jsonrpc":"2.0","id":9,"result":{"action":"accept"}}"#),
        message(r#"{"jsonrpc":"2.0","id":9,"error":{"code":-1,"message":"no"}}"#),
        message(cancel),
        message(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#),
        message(&format!(r#"[{{"jsonrpc":"2.0","id":1,"method":"ping"}},{cancel}]"#))
            .instead("mcp-protocol-version", "2025-03-26"),
    ];
    let before = upstream.received().len();
    for narrow in [token(&["tools:list"]), token(&["tools:call", "prompts:get"])] {
        for ask in &into_it {
            let answered = ask.clone().key(&narrow).send(gateway.address).await;
            let told = (answered.status, answered.body.contains("session_mismatch"));
            assert_eq!(told, (404, true), "{ask:?} {answered:?}");
        }
    }
    assert_eq!(upstream.received().len(), before);
    for fits in [broad.clone(), token(&["tools:call", "tools:list"]), token(&["mcp:*"])] {
        for ask in &into_it {
            assert_eq!(ask.clone().key(&fits).send(gateway.address).await.status, 200, "{ask:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_gone_has_its_client_begin_anew() {
    let (house, upstream) = (House::new(), with_sessions().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let stale = "from-before-the-gateway";
    let ping = Ask::old("ping", json!({})).key(&key).with("mcp-session-id", stale);
    assert_eq!(ping.send(gateway.address).await.status, 404);
    let hello =
        Ask::old("initialize", json!({"protocolVersion": "2025-11-25"})).without("mcp-protocol-version");
    let answered = hello.key(&key).with("mcp-session-id", stale).send(gateway.address).await;
    assert_eq!(answered.status, 200);
    assert!(answered.headers.contains_key("mcp-session-id"));
    assert!(!upstream.received().last().unwrap().headers.contains_key("mcp-session-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_resumed_within_its_session_and_nowhere_else() {
    let (house, upstream) = (House::new(), with_sessions().await);
    let (alice, bob) = (house.key(), house.key_of("bob", "free", &["mcp:*"]).1);
    let gateway = house.gateway(upstream.address);
    let session = opened(&alice, &gateway).await;
    let resume = |key: &str| Ask::new(Method::GET, "/mcp").key(key).with("last-event-id", "stream-1_7");
    let before = upstream.received().len();
    assert_eq!(resume(&alice).send(gateway.address).await.status, 400, "whose it is nobody can tell");
    let stolen = resume(&bob).with("mcp-session-id", &session).send(gateway.address).await;
    assert_eq!((stolen.status, stolen.reason().as_str()), (404, "session_mismatch"));
    assert_eq!(upstream.received().len(), before);
    let own = resume(&alice).with("mcp-session-id", &session).send(gateway.address).await;
    assert_eq!(own.status, 200);
    assert_eq!(upstream.received().last().unwrap().headers["last-event-id"], "stream-1_7");
    // Nothing but a stream is resumed.
    let ping = Ask::old("ping", json!({})).key(&alice).with("last-event-id", "stream-1_7");
    assert_eq!(ping.send(gateway.address).await.status, 200);
    assert!(!upstream.received().last().unwrap().headers.contains_key("last-event-id"));
}
