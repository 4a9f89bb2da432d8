//! One source and its part of the connections.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{place::Place, support::PATIENCE};

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

async fn scrape(place: &Place) -> String {
    let mut admin = TcpStream::connect(place.admin).await.expect("the admin listener");
    let request = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    admin.write_all(request.as_bytes()).await.expect("a request");
    let mut text = String::new();
    admin.read_to_string(&mut text).await.expect("an answer");
    text
}
