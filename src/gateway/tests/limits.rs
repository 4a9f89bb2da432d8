//! What is too long is refused with its own status, and one less passes.

use super::harness::*;
use crate::domain::{api_key::KeyId, decision::Account};
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BODY: usize = 4 * 1024 * 1024;

fn padded(length: usize) -> String {
    let bare = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"pad":""}}"#;
    bare.replace("\"\"", &format!("\"{}\"", "x".repeat(length - bare.len())))
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_end_at_four_mebibytes() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    assert_eq!(Ask::post(padded(BODY)).key(&key).send(gateway.address).await.status, 200);
    assert_eq!(Ask::post(padded(BODY + 1)).key(&key).send(gateway.address).await.status, 413);
    assert_eq!(
        Ask::new(Method::PUT, "/x").body(padded(BODY + 1)).key(&key).send(gateway.address).await.status,
        413
    );
    assert_eq!(upstream.received().len(), 1);
}

fn with_members(count: usize) -> Ask {
    let members: Vec<String> = (0..count).map(|number| format!("\"{number}\":1")).collect();
    let arguments = format!("{{{}}}", members.join(","));
    Ask::old("ping", json!({})).body(format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a","arguments":{arguments}}}}}"#
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_has_so_many_members_and_an_array_as_many_elements_as_there_is_room_for() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let most = with_members(16 * 1024).key(&key).send(gateway.address).await;
    assert_eq!(most.status, 200, "{most:?}");
    let more = with_members(16 * 1024 + 1).key(&key).send(gateway.address).await;
    assert!(more.status == 400 && more.body.contains("more than 16384 members"), "{more:?}");
    let elements = format!("[{}1]", "1,".repeat(1_000_000));
    let list = with_members(0).request.body().clone();
    let list = String::from_utf8(list.to_vec()).unwrap().replace("{}", &elements);
    let answered = with_members(0).body(list).key(&key).send(gateway.address).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_the_reading_of_another_s_long_body() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway =
        house.gateway_with(upstream.address, |settings| settings.workers = std::num::NonZeroUsize::MIN);
    // Every turn is taken, until it is let go.
    let aside = gateway.running.shared.aside.clone();
    let turns = std::thread::available_parallelism().map_or(1, |count| (count.get() / 2).max(1));
    let (held, holds): (Vec<_>, Vec<_>) = (0..turns).map(|_| std::sync::mpsc::channel::<()>()).unzip();
    let holding: Vec<_> = holds
        .into_iter()
        .map(|hold| {
            let other = Account::ApiKey(KeyId::generate().unwrap());
            tokio::spawn(aside.clone().run(other, usize::MAX, move || hold.recv()))
        })
        .collect();
    tokio::task::yield_now().await;
    let long = with_members(10_000).key(&key);
    let address = gateway.address;
    let long = tokio::spawn(async move { long.send(address).await });
    for _ in 0..20 {
        assert_eq!(with_members(100).key(&key).send(address).await.status, 200);
    }
    assert!(!long.is_finished());
    drop(held);
    assert_eq!(long.await.unwrap().status, 200);
    for hold in holding {
        assert!(hold.await.unwrap().unwrap().is_err(), "it was let go");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_says_how_long_a_body_may_be() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    for most in [2048, BODY + 2048] {
        let gateway = house.gateway_with(upstream.address, |settings| settings.max_body = most);
        for (length, status) in [(most, 200), (most + 1, 413)] {
            let put = Ask::new(Method::PUT, "/x").body(padded(length)).key(&key);
            for ask in [Ask::post(padded(length)).key(&key), put] {
                let answered = ask.send(gateway.address).await;
                assert_eq!(answered.status, status, "{length}");
                if status == 413 {
                    let told = if most == 2048 { "longer than 2 KiB" } else { "longer than 4098 KiB" };
                    assert!(answered.body.contains(told), "{}", answered.body);
                }
            }
        }
    }
}

/// Sends bytes as they are and reads until the gateway closes.
async fn raw(gateway: &Served, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    // The gateway may answer and close before it has read everything.
    let _ = stream.write_all(text).await;
    let mut answered = Vec::new();
    let _ = stream.read_to_end(&mut answered).await;
    String::from_utf8_lossy(&answered).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_length_nobody_said_ends_there_too() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for path in ["/mcp", "/x"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let chunk = format!("{:x}\r\n{}\r\n", BODY + 1, "x".repeat(BODY + 1));
        let answered = raw(&gateway, format!("{head}{chunk}0\r\n\r\n").as_bytes()).await;
        assert!(answered.starts_with("HTTP/1.1 413 "), "{path}: {answered}");
    }
    assert!(upstream.received().is_empty());
}

/// So much is read to learn a request's id, whoever sends it.
const UNPROVED: usize = 64 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_is_not_read_before_the_credential_holds() {
    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let (id, revoked) = house.key_of("bob", "free", &["mcp:*"]);
    house.revoke(id);
    let gateway = house.gateway(upstream.address);
    let body = padded(UNPROVED + 1);
    let waiting = |key: &str, framing: &str| {
        format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n{framing}\r\n\r\n"
        )
    };
    // The body never comes, and nobody waits for it.
    let announced = format!("content-length: {}", body.len());
    let answered = raw(&gateway, waiting(&revoked, &announced).as_bytes()).await;
    assert!(answered.starts_with("HTTP/1.1 401 "), "{answered}");
    let answered = raw(&gateway, (waiting(&key, &announced) + &body).as_bytes()).await;
    assert!(answered.starts_with(&format!("{CONTINUE}HTTP/1.1 200 ")), "{answered}");
    // Where no length is announced, the rest never comes.
    let chunk = format!("{:x}\r\n{body}", 2 * body.len());
    let answered = raw(&gateway, (waiting(&revoked, "transfer-encoding: chunked") + &chunk).as_bytes()).await;
    assert!(answered.starts_with("HTTP/1.1 401 "), "{answered}");
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_is_told_the_id_of_a_short_body() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    let (id, revoked) = house.key_of("bob", "free", &["mcp:*"]);
    house.revoke(id);
    let gateway = house.gateway(upstream.address);
    for (length, id, version) in
        [(UNPROVED, json!(1), json!("2.0")), (UNPROVED + 1, json!(null), json!(null))]
    {
        let answered = Ask::post(padded(length)).key(&revoked).send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (401, "unauthorized"));
        assert_eq!((&answered.json()["id"], &answered.json()["jsonrpc"]), (&id, &version), "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_and_fields_have_an_end() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let target = |length: usize| Ask::new(Method::GET, &format!("/{}", "a".repeat(length - 1))).key(&key);
    assert_eq!(target(8193).send(gateway.address).await.status, 414);
    assert_eq!(target(2000).send(gateway.address).await.status, 200);
    let ping = Ask::modern("ping", json!({})).key(&key);
    assert_eq!(ping.clone().with("x-long", &"a".repeat(33 * 1024)).send(gateway.address).await.status, 431);
    assert_eq!(ping.clone().with("x-long", &"a".repeat(30 * 1024)).send(gateway.address).await.status, 200);
    let many = (0..101).fold(ping.clone(), |ask, n| ask.with(&format!("x-{n}"), "1"));
    assert_eq!(many.send(gateway.address).await.status, 431);
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_framed_in_two_ways_is_refused_or_framed_anew() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let head = |fields: &str| {
        format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n{fields}\r\n"
        )
    };
    let length = ping.len();
    for fields in [
        format!("content-length: {length}\r\ncontent-length: {}\r\n", length + 1),
        format!("content-length: +{length}\r\n"),
        format!("content-length: 0x{length:x}\r\n"),
        "content-length: \r\n".to_owned(),
        format!("content-length : {length}\r\n"),
        format!("x-a: 1\r\n folded: 2\r\ncontent-length: {length}\r\n"),
        "transfer-encoding: gzip\r\n".to_owned(),
        "transfer-encoding: chunked, gzip\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "transfer-encoding: identity, chunked\r\n".to_owned(),
        format!("content-length: {length}\r\ncontent-length: {length}\r\n"),
        format!("x-a: 1\ncontent-length: {length}\r\n"),
    ] {
        let answered = raw(&gateway, format!("{}{ping}", head(&fields)).as_bytes()).await;
        assert!(answered.starts_with("HTTP/1.1 400 "), "{fields:?}: {answered}");
    }
    assert!(upstream.received().is_empty());
    // Both framings at once, in either order: neither is believed.
    let (one, other) =
        (format!("content-length: {}\r\n", length + 40), "transfer-encoding: chunked\r\n".to_owned());
    let body = format!("{length:x}\r\n{ping}\r\n0\r\n\r\n");
    for both in [format!("{one}{other}"), format!("{other}{one}")] {
        let answered = raw(&gateway, format!("{}{body}", head(&both)).as_bytes()).await;
        assert!(answered.starts_with("HTTP/1.1 400 "), "{both:?}: {answered}");
    }
    assert!(upstream.received().is_empty());
    let chunked = head(&format!("{other}connection: close\r\n"));
    let answered = raw(&gateway, format!("{chunked}{body}").as_bytes()).await;
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    let received = upstream.only();
    assert_eq!(received.headers["content-length"], length.to_string().as_str());
    assert!(!received.headers.contains_key("transfer-encoding"));
}
