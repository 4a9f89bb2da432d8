//! One source and its part of the connections.

use std::sync::Arc;

use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{place::Place, support::PATIENCE, upstream::FLOOD};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_has_its_places_and_a_freed_one_can_be_used_again() {
    const MOST: usize = 8;
    let place = Place::new(&["--connections-per-source", "8"]).await;
    let mut held = Vec::new();
    for number in 0..MOST {
        held.push(place.handshake(b"http/1.1").await.unwrap_or_else(|error| panic!("{number}: {error}")));
    }
    place.handshake(b"http/1.1").await.expect_err("one more than it may have");
    assert!(scrape(&place).await.contains("portcullis_connections_refused_total 1\n"));
    held.pop();
    // The gateway hears of the end in its own time.
    let served = timeout(PATIENCE, async { while place.handshake(b"http/1.1").await.is_err() {} });
    served.await.expect("a freed place is given again");
}

/// As many as hold on to whatever they get, and say nothing.
const SILENT: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_keep_nobody_out_however_few_files_may_be_open() {
    // Loopback is not counted as one source, so that these are as good as from many.
    let place = Arc::new(Place::limited("-n 128", &[]).await);
    let (status, mut stream) = place.call(FLOOD).await;
    assert_eq!(status, 200);
    place.upstream.wait_for_floods(1).await;
    let silent: Vec<_> = (0..SILENT)
        .map(|_| {
            let place = Arc::clone(&place);
            tokio::spawn(async move {
                loop {
                    let mut held = place.connect().await;
                    let _ = held.read(&mut [0]).await;
                }
            })
        })
        .collect();
    for _ in 0..5 {
        place.ask("note").await;
    }
    let frame = timeout(PATIENCE, stream.frame()).await.expect("in time").expect("more of it");
    assert!(frame.is_ok(), "who is being answered is not sent away");
    silent.iter().for_each(tokio::task::JoinHandle::abort);
}

/// As many as ask all the time and prove nothing.
const UNPROVED: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_prove_nothing_keep_nobody_out_however_often_they_ask() {
    let place = Arc::new(Place::limited("-n 128", &[]).await);
    let unproved: Vec<_> = (0..UNPROVED)
        .map(|_| {
            let place = Arc::clone(&place);
            tokio::spawn(async move {
                loop {
                    let Ok(mut stream) = place.handshake(b"http/1.1").await else { continue };
                    let ask = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
                    while stream.write_all(ask).await.is_ok()
                        && stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0)
                    {}
                }
            })
        })
        .collect();
    for _ in 0..5 {
        place.ask("note").await;
    }
    unproved.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_has_as_many_files_open_as_it_may() {
    let place = Place::limited("-S -n 256", &[]).await;
    let [soft, hard] = place.files();
    assert!(soft == hard && soft != "256", "{soft} {hard}");
    place.ask("note").await;
}

async fn scrape(place: &Place) -> String {
    let mut admin = TcpStream::connect(place.admin).await.expect("the admin listener");
    let request = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    admin.write_all(request.as_bytes()).await.expect("a request");
    let mut text = String::new();
    admin.read_to_string(&mut text).await.expect("an answer");
    text
}
