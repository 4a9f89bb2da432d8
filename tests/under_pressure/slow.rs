//! Six kinds of slow clients at once, and honest ones among them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::body::Incoming;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinHandle,
    time::{interval, timeout},
};

use super::{
    place::{Place, message},
    support::PATIENCE,
    upstream::FLOOD,
};

/// Of each kind.
const CLIENTS: usize = 50;
/// Between two bytes of one that drips.
const DRIP: Duration = Duration::from_millis(500);
/// The gateway may grow by so much, in KiB: 256 for each slow client.
const GROWTH: u64 = 6 * CLIENTS as u64 * 256;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_let_go_and_honest_ones_served() {
    let place = Arc::new(Place::new(&[]).await);
    place.ask("note").await;
    let before = place.resident();
    let began = Instant::now();
    let mut unread: Vec<Incoming> = Vec::new();
    let mut ending: Vec<(&str, JoinHandle<()>)> = Vec::new();
    let mut bodies: Vec<JoinHandle<()>> = Vec::new();
    for _ in 0..CLIENTS {
        ending.push(("silent", tokio::spawn(drip(place.connect().await, Vec::new()))));
        // The beginning of a ClientHello that is longer than anyone waits for.
        let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[0; 500]].concat();
        ending.push(("ClientHello", tokio::spawn(drip(place.connect().await, hello))));
        let two = place.handshake(b"h2").await.expect("a handshake");
        ending.push(("HTTP/2", tokio::spawn(drip(two, Vec::new()))));
        let head = format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "x".repeat(500));
        let one = place.handshake(b"http/1.1").await.expect("a handshake");
        ending.push(("head", tokio::spawn(drip(one, head.into_bytes()))));
        let mut one = place.handshake(b"http/1.1").await.expect("a handshake");
        let body = message("note");
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Authorization: Bearer {}\r\n\r\n",
            body.len(),
            place.key
        );
        one.write_all(head.as_bytes()).await.expect("a head");
        bodies.push(tokio::spawn(drip(one, body.into_bytes())));
        let (status, body) = place.call(FLOOD).await;
        assert_eq!(status, 200);
        unread.push(body);
        // Among them the honest ones.
        place.ask("note").await;
    }
    let opened = began.elapsed();
    let kinds = async {
        for (kind, client) in ending {
            timeout(PATIENCE, client).await.unwrap_or_else(|_| panic!("{kind} is still there")).expect(kind);
        }
    };
    tokio::pin!(kinds);
    let (mut honest, mut slowest) = (CLIENTS as u64, Duration::ZERO);
    loop {
        tokio::select! {
            () = &mut kinds => break,
            answer = async { let began = Instant::now(); place.ask("note").await; began.elapsed() } => {
                honest += 1;
                slowest = slowest.max(answer);
            }
        }
    }
    let grown = place.resident().saturating_sub(before);
    eprintln!(
        "{} slow clients opened in {opened:?}, those with a deadline of 10 s gone after {:?}; {honest} honest calls, \
         the slowest {slowest:?}; {before} KiB resident and {grown} more",
        6 * CLIENTS,
        began.elapsed()
    );
    assert!(grown < GROWTH, "{before} KiB resident and {grown} more");
    drop(unread);
    bodies.iter().for_each(JoinHandle::abort);
    place.upstream.wait_for_floods(0).await;
}

/// Sends a byte at a time, then nothing; returns when the gateway has ended the connection.
async fn drip<S: AsyncRead + AsyncWrite>(stream: S, bytes: Vec<u8>) {
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = async {
        let mut clock = interval(DRIP);
        for byte in bytes {
            clock.tick().await;
            if write.write_all(&[byte]).await.is_err() || write.flush().await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    tokio::select! {
        () = sending => {}
        // Its end, whether in order or not.
        _ = read.read_to_end(&mut said) => {}
    }
}
