//! Clients that keep the gateway waiting: each is let go, and what it held with it.

use super::harness::*;
use super::tls;
use crate::gateway::Identity;
use serde_json::json;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_millis(50);

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
    while sender.send(event).await.is_ok() {}
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
        client.read_to_string(&mut answered).await.unwrap();
        assert!(answered.starts_with("HTTP/1.1 408 "), "{path}: {answered}");
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
        let _ = client.read_to_end(&mut said).await;
    }
}
