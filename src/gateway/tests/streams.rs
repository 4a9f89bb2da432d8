//! Streams of server-sent events: unbuffered, and no longer open than their credential holds.

use super::harness::*;
use http::Method;
use serde_json::json;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::ops;

/// An upstream that opens one stream, and what its events are sent with.
async fn streaming() -> (Upstream, mpsc::Sender<&'static str>) {
    let (sender, response) = events();
    let response = Mutex::new(Some(response));
    let upstream = Upstream::answering(move |_| {
        let response = response.lock().unwrap().take();
        async move { response.unwrap_or_else(|| whole("application/json", "{}")) }
    })
    .await;
    (upstream, sender)
}

/// What must come, however long it takes; a control that is broken fails its test in place of keeping it waiting.
async fn in_time<T>(awaited: impl Future<Output = T>, what: &str) -> T {
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, awaited).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn events_pass_one_by_one() {
    let (upstream, sender) = streaming().await;
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let response = Ask::modern("subscriptions/listen", json!({})).key(&key).begin(gateway.address).await;
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let mut body = response.into_body();
    for event in ["data: 1\n\n", ": half a com", "ment\n\n", "data: 2\n\n"] {
        // The next event is sent only when the last one arrived.
        sender.send(event).await.unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), event);
    }
    drop(sender);
    assert!(next(&mut body).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_credential() {
    for way in ["revoked", "expired", "rotated", "denied"] {
        let (upstream, sender) = streaming().await;
        let house = House::new();
        house.policy("free", json!({}));
        let (id, key) = house.key_of("alice", "free", &["mcp:*"]);
        let gateway = house.gateway(upstream.address);
        let response = Ask::new(Method::GET, "/mcp").key(&key).begin(gateway.address).await;
        let mut body = response.into_body();
        sender.send("data: 1\n\n").await.unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 1\n\n");
        match way {
            "revoked" => house.revoke(id),
            "rotated" => _ = ops::api_key::rotate(&house.ctx, id, Duration::ZERO).unwrap(),
            "denied" => house
                .policy("free", json!({"ip_restrictions": {"whitelist": [], "blacklist": ["127.0.0.1"]}})),
            _ => house.clock.advance(Duration::from_secs(25 * 3600)),
        }
        assert!(in_time(next(&mut body), way).await.is_none(), "{way}");
        in_time(sender.closed(), way).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_said_its_length_ends_as_a_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = House::new();
    house.policy("free", json!({}));
    let (id, key) = house.key_of("alice", "free", &["mcp:*"]);
    let gateway = house.gateway(listener.local_addr().unwrap());
    let opening = tokio::spawn({
        let address = gateway.address;
        async move { Ask::new(Method::GET, "/mcp").key(&key).begin(address).await }
    });
    let mut upstream = in_time(listener.accept(), "a request").await.unwrap().0;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 1000\r\n\r\ndata: 1\n\n";
    upstream.write_all(head.as_bytes()).await.unwrap();
    let response = in_time(opening, "an answer").await.unwrap();
    assert!(!response.headers().contains_key("content-length"));
    let mut body = response.into_body();
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 1\n\n");
    house.revoke(id);
    assert!(in_time(next(&mut body), "the end").await.is_none(), "an end, and no broken body");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_upstreams_work() {
    let (upstream, sender) = streaming().await;
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let response = Ask::modern("subscriptions/listen", json!({})).key(&key).begin(gateway.address).await;
    drop(response);
    in_time(sender.closed(), "the end of the upstream's work").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_streams_and_lets_calls_finish() {
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let (begun, began) = tokio::sync::oneshot::channel::<()>();
    let (sender, stream) = events();
    let once = Mutex::new((Some(wait), Some(begun), Some(stream)));
    let upstream = Upstream::answering(move |received| {
        let mut once = once.lock().unwrap();
        let parked =
            (received.method == Method::POST).then(|| (once.0.take().unwrap(), once.1.take().unwrap()));
        let stream = if parked.is_none() { once.2.take() } else { None };
        async move {
            if let Some((wait, begun)) = parked {
                begun.send(()).unwrap();
                wait.await.unwrap();
            }
            stream.unwrap_or_else(|| {
                whole("application/json", r#"{"jsonrpc":"2.0","id":1,"result":{"late":true}}"#)
            })
        }
    })
    .await;
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let mut open = Ask::new(Method::GET, "/mcp").key(&key).begin(gateway.address).await.into_body();
    sender.send("data: 1\n\n").await.unwrap();
    assert!(next(&mut open).await.unwrap().is_ok());
    let address = gateway.address;
    let call = tokio::spawn(async move { Ask::modern("ping", json!({})).key(&key).send(address).await });
    began.await.unwrap();
    let stopping = tokio::task::spawn_blocking(move || gateway.running.shutdown());
    assert!(next(&mut open).await.is_none());
    // No new connection is taken, while the call is still in flight.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    let answered = call.await.unwrap();
    assert_eq!((answered.status, &answered.json()["result"]["late"]), (200, &json!(true)));
    stopping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_has_so_many_streams_and_others_theirs() {
    let senders = std::sync::Arc::new(Mutex::new(Vec::new()));
    let open = senders.clone();
    let upstream = Upstream::answering(move |_| {
        let (sender, response) = events();
        open.lock().unwrap().push(sender);
        async move { response }
    })
    .await;
    let house = House::new();
    let (alice, bob) = (house.key(), house.key_of("bob", "free", &["mcp:*"]).1);
    let gateway = house.gateway_with(upstream.address, |settings| {
        settings.streams_per_principal = std::num::NonZeroUsize::new(2).unwrap();
    });
    let get = |key: &str| Ask::new(Method::GET, "/mcp").key(key);
    let listen = |key: &str| Ask::modern("subscriptions/listen", json!({})).key(key);
    // What is not read to its end stays open.
    let first = get(&alice).begin(gateway.address).await;
    let second = listen(&alice).begin(gateway.address).await;
    assert!(first.status().is_success() && second.status().is_success());
    let before = upstream.received().len();
    for ask in [get(&alice), listen(&alice)] {
        let refused = ask.send(gateway.address).await;
        assert_eq!((refused.status, refused.reason().as_str()), (429, "rate_limited"));
        assert_eq!(refused.headers["retry-after"], "1");
    }
    assert_eq!(upstream.received().len(), before, "before the server is asked");
    let theirs = get(&bob).begin(gateway.address).await;
    assert_eq!(theirs.status(), 200, "of another principal");
    // Who listens with all that it has can still call, on as many streams again.
    let call = || Ask::modern("tools/call", json!({"name": "echo"})).key(&alice);
    let answers = [call().begin(gateway.address).await, call().begin(gateway.address).await];
    assert!(answers.iter().all(|answer| answer.status() == 200));
    let before = upstream.received().len();
    let plain = Ask::new(Method::GET, "/files").key(&alice);
    for ask in [call(), plain] {
        assert_eq!(ask.send(gateway.address).await.status, 429);
    }
    assert_eq!(upstream.received().len(), before);
    drop(answers);
    drop(first);
    in_time(
        async {
            while get(&alice).begin(gateway.address).await.status() != 200 {
                tokio::task::yield_now().await;
            }
        },
        "the place of a stream that has ended",
    )
    .await;
}
