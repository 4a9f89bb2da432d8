//! Clients that keep the gateway waiting: each is let go, and what it held with it.

use super::harness::*;
use super::tls;
use crate::gateway::Identity;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

const SOON: Duration = Duration::from_millis(50);
/// Never waited for.
const LATER: Duration = Duration::from_secs(3600);
/// How long a wait may last before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// An upstream whose answers are streams of events, which come out of the queue with what they are sent with.
async fn streaming() -> (Upstream, mpsc::UnboundedReceiver<mpsc::Sender<&'static str>>) {
    let (opened, queue) = mpsc::unbounded_channel();
    let upstream = Upstream::answering(move |received| {
        let opened = opened.clone();
        async move {
            if received.target != "/mcp" {
                return whole("text/plain", "here");
            }
            let (sender, response) = events();
            opened.send(sender).unwrap();
            response
        }
    })
    .await;
    (upstream, queue)
}

/// Sends more than anybody holds for a client that does not read.
async fn fill(sender: &mpsc::Sender<&'static str>) {
    let event: &'static str = format!("data: {}\n\n", "x".repeat(64 * 1024)).leak();
    while let Ok(sent) = timeout(4 * SOON, sender.send(event)).await {
        sent.expect("the stream is open");
    }
}

async fn closed(sender: &mpsc::Sender<&'static str>, what: &str) {
    timeout(PATIENCE, sender.closed()).await.unwrap_or_else(|_| panic!("{what} holds its upstream"));
}

fn stream_request(key: &str) -> String {
    format!(
        "GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nauthorization: Bearer {key}\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_ends_with_its_credential_and_no_other_does() {
    let (upstream, mut queue) = streaming().await;
    let house = House::new();
    house.policy("free", json!({}));
    let keys = [house.key_of("alice", "free", &["mcp:*"]), house.key_of("bob", "free", &["mcp:*"])];
    let gateway = house.gateway_with(upstream.address, |settings| settings.timeouts.stall = LATER);
    let mut clients = Vec::new();
    let mut senders = Vec::new();
    for (_, key) in &keys {
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        client.write_all(stream_request(key).as_bytes()).await.unwrap();
        clients.push(client);
        senders.push(queue.recv().await.unwrap());
        fill(senders.last().unwrap()).await;
    }
    house.revoke(keys[0].0);
    closed(&senders[0], "a stream of a revoked key").await;
    assert!(!senders[1].is_closed(), "bob's key holds");
    // What was on its way arrives, then the connection ends; the end of the events never comes.
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, clients[0].read_to_end(&mut rest)).await.expect("alice's connection ends");
    assert!(rest.starts_with(b"HTTP/1.1 200 OK") && !rest.ends_with(b"0\r\n\r\n"));
}

/// A connection over HTTP/2 whose streams hold so much until they are read.
async fn over_http_2(
    gateway: &Served,
    root: &rustls::pki_types::CertificateDer<'static>,
) -> SendRequest<Empty<bytes::Bytes>> {
    let stream = tls::connect(gateway.address, root, b"h2").await.unwrap();
    let (sender, driver) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1024)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(driver);
    sender
}

fn get(path: &str, key: &str) -> Request<Empty<bytes::Bytes>> {
    Request::get(format!("https://localhost{path}"))
        .header("accept", "text/event-stream")
        .header("authorization", format!("Bearer {key}"))
        .body(Empty::new())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_stream_whose_window_stays_shut_ends_and_its_connection_goes_on() {
    for way in ["revoked", "stalled"] {
        let (upstream, mut queue) = streaming().await;
        let house = House::new();
        house.policy("free", json!({}));
        let (id, key) = house.key_of("alice", "free", &["mcp:*"]);
        let (_, other) = house.key_of("bob", "free", &["mcp:*"]);
        let folder = tempfile::tempdir().unwrap();
        let root = tls::renew(folder.path(), 0);
        let gateway = house.gateway_with(upstream.address, |settings| {
            settings.tls = Some(tls::files(folder.path()));
            settings.timeouts.stall = if way == "stalled" { 10 * SOON } else { LATER };
        });
        let mut client = over_http_2(&gateway, &root).await;
        let response = client.send_request(get("/mcp", &key)).await.unwrap();
        let shut = queue.recv().await.unwrap();
        if way == "revoked" {
            let other_stream = client.send_request(get("/mcp", &other)).await.unwrap();
            let others = queue.recv().await.unwrap();
            fill(&shut).await;
            fill(&others).await;
            house.revoke(id);
            closed(&shut, way).await;
            assert!(!others.is_closed(), "bob's key holds");
            drop(other_stream);
            closed(&others, "a stream that was left").await;
        } else {
            let event: &'static str = format!("data: {}\n\n", "x".repeat(64 * 1024)).leak();
            while let Ok(Ok(())) = timeout(PATIENCE, shut.send(event)).await {}
            closed(&shut, way).await;
        }
        let mut body = response.into_body();
        while let Some(Ok(_)) = timeout(PATIENCE, body.frame()).await.expect("the stream ends") {}
        let answered = client.send_request(get("/here", &other)).await.unwrap();
        assert_eq!(answered.status(), 200, "{way}: the connection goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_ends_and_the_upstreams_work_with_it() {
    let (sender, response) = events();
    let response = Mutex::new(Some(response));
    let upstream = Upstream::answering(move |_| {
        let response = response.lock().unwrap().take();
        async move { response.unwrap_or_else(|| whole("application/json", "{}")) }
    })
    .await;
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway_with(upstream.address, |settings| settings.timeouts.stall = SOON);
    let mut client = TcpStream::connect(gateway.address).await.unwrap();
    let head = format!(
        "GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let event: &'static str = format!("data: {}\n\n", "x".repeat(64 * 1024)).leak();
    // Sockets hold some of it; the rest waits, until nobody wants it any more.
    let sent = timeout(PATIENCE, async { while sender.send(event).await.is_ok() {} });
    sent.await.expect("a stream that nobody reads ends");
    let answered = Ask::modern("tools/call", json!({"name": "x"})).key(&key).send(gateway.address).await;
    assert_eq!(answered.status, 200);
    // The other half of the proof: it had begun.
    let mut began = [0; 15];
    client.read_exact(&mut began).await.unwrap();
    assert_eq!(&began, b"HTTP/1.1 200 OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_go_on_is_408() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway_with(upstream.address, |settings| settings.timeouts.body = SOON);
    for path in ["/mcp", "/x"] {
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{"
        );
        client.write_all(head.as_bytes()).await.unwrap();
        let mut answered = String::new();
        let read = timeout(PATIENCE, client.read_to_string(&mut answered)).await;
        read.unwrap_or_else(|_| panic!("{path}: nobody ends the wait for a body")).unwrap();
        assert!(answered.starts_with("HTTP/1.1 408 "), "{path}: {answered}");
        assert!(answered.contains("\r\nconnection: close\r\n"), "{path}: {answered}");
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_goes_on_piece_by_piece_passes() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let mut client = TcpStream::connect(gateway.address).await.unwrap();
    let head = format!(
        "PUT /x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {key}\r\ncontent-length: 5\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    for byte in b"slow!" {
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answered = String::new();
    client.read_to_string(&mut answered).await.unwrap();
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    assert_eq!(&upstream.only().body[..], b"slow!");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_after_the_handshake_is_let_go() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let folder = tempfile::tempdir().unwrap();
    let root = tls::renew(folder.path(), 0);
    let identity: Identity = tls::files(folder.path());
    let gateway = house.gateway_with(upstream.address, |settings| {
        settings.tls = Some(identity);
        settings.timeouts.head = SOON;
    });
    for (protocol, begins) in
        [(&b"h2"[..], &b""[..]), (b"h2", b"PRI * HTTP/2.0\r\n"), (b"http/1.1", b""), (b"http/1.1", b"GET /")]
    {
        let mut client = tls::connect(gateway.address, &root, protocol).await.unwrap();
        client.write_all(begins).await.unwrap();
        let mut said = Vec::new();
        // Its end, whether in order or not.
        let ended = timeout(PATIENCE, client.read_to_end(&mut said)).await;
        let protocol = protocol.escape_ascii();
        let _ = ended.unwrap_or_else(|_| panic!("{protocol}: still open after {}", begins.escape_ascii()));
    }
}
