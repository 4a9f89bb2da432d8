//! An upstream that is down, slow or garbled; ports that are taken.

use super::harness::*;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::engine::Engine;
use crate::gateway::{Gateway, Settings};
use crate::store::{Rows, StoreError};

fn expect(answered: &Answered, status: u16, reason: &str) {
    assert_eq!(
        (answered.status, answered.code(), answered.reason().as_str()),
        (status, i64::from(status), reason)
    );
    assert_eq!(answered.json()["id"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_down_is_502_and_counted() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let house = House::new();
    let key = house.key();
    let gateway = house.gateway(address);
    for ask in Ask::call_in_both_eras("echo") {
        expect(&ask.key(&key).send(gateway.address).await, 502, "upstream_down");
    }
    assert_eq!((gateway.count("failed"), gateway.count("allowed")), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_answer_is_504() {
    let upstream = Upstream::answering(|_| std::future::pending()).await;
    let house = House::new();
    let key = house.key();
    let gateway = house
        .gateway_with(upstream.address, |settings| settings.timeouts.response = Duration::from_millis(20));
    expect(&Ask::modern("ping", json!({})).key(&key).send(gateway.address).await, 504, "upstream_slow");
    assert_eq!(gateway.count("failed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_talks_nonsense_is_502() {
    let house = House::new();
    let key = house.key();
    for (bytes, reason) in [
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "upstream_garbled"),
        ("", "upstream_down"),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\nhtml", "upstream_garbled"),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: a b\r\ncontent-length: 2\r\n\r\n{}",
            "upstream_garbled",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut some = [0; 64];
                let _ = stream.read(&mut some).await;
                stream.write_all(bytes.as_bytes()).await.unwrap();
            }
        });
        let gateway = house.gateway(address);
        expect(&Ask::old("ping", json!({})).key(&key).send(gateway.address).await, 502, reason);
        assert_eq!(gateway.count("failed"), 1, "{bytes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_read_is_503_until_it_can() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let rename = |from: &'static str, to: &'static str| {
        let job = move |c: &Rows<'_>| -> Result<(), StoreError> {
            Ok(c.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}"))?)
        };
        house.ctx.store.write(job).unwrap();
    };
    let calls = Ask::call_in_both_eras("echo").map(|ask| ask.key(&key));
    rename("change", "gone");
    for call in &calls {
        let answered = call.send(gateway.address).await;
        expect(&answered, 503, "unavailable");
        assert_eq!(answered.headers["retry-after"], "1");
        assert_eq!(answered.json()["error"]["data"], json!({"reason": "unavailable", "retryAfterMs": 1000}));
    }
    assert!(upstream.received().is_empty());
    rename("gone", "change");
    for call in &calls {
        assert_eq!(call.send(gateway.address).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_a_clear_error() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let first = house.gateway(upstream.address);
    let vault = house.ctx.vault.as_ref().unwrap();
    for (is_admin, option) in [(false, "--listen"), (true, "--admin-listen")] {
        let mut settings = Settings::new(format!("http://{}/mcp", upstream.address).parse().unwrap());
        settings.listen.set_port(if is_admin { 0 } else { first.address.port() });
        settings.admin_listen.set_port(if is_admin { first.admin.port() } else { 0 });
        let engine = Engine::start(house.ctx.store.clone(), vault, house.clock.clone()).unwrap();
        let error = Gateway::start(settings, engine, house.ctx.clone()).err().unwrap().to_string();
        let taken = if is_admin { first.admin } else { first.address };
        assert!(
            error.contains(&taken.to_string()) && error.contains("in use") && error.contains(option),
            "{error}"
        );
    }
}
