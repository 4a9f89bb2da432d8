//! What strangers and their fields may do to a call: keep it back, name others, take away what it is judged by.

use super::harness::*;
use super::tls;
use crate::gateway::Settings;
use http::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_millis(50);
/// Never waited for.
const LATER: Duration = Duration::from_secs(3600);
/// How long a wait may last before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn patient(settings: &mut Settings) {
    settings.timeouts.body = LATER;
    settings.timeouts.head = LATER;
    settings.timeouts.stall = LATER;
}

/// A request whose body does not come to its end.
fn begun(target: &str, credential: &str) -> Vec<u8> {
    format!(
        "POST {target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {credential}\r\n\
         content-type: application/json\r\ncontent-length: 40\r\n\r\n{{\"jsonrpc\""
    )
    .into_bytes()
}

/// Reads until the end of an answer's body, or of the connection.
async fn answer(client: &mut TcpStream) -> String {
    let mut answered = Vec::new();
    let mut piece = [0; 4096];
    while !answered.ends_with(b"}}") {
        match timeout(PATIENCE, client.read(&mut piece)).await.expect("the refusal is kept back") {
            Ok(0) | Err(_) => break,
            Ok(length) => answered.extend_from_slice(&piece[..length]),
        }
    }
    String::from_utf8(answered).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_known_waits_for_no_body() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway_with(upstream.address, patient);
    for (target, credential, status) in [
        ("/mcp", "nobody's", 401),
        ("/files/a", "nobody's", 401),
        ("/files/..%2fa", key.as_str(), 400),
        ("/oauth/token", "nobody's", 400),
        ("/mcp?api_key=x", key.as_str(), 400),
    ] {
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        client.write_all(&begun(target, credential)).await.unwrap();
        let answered = answer(&mut client).await;
        assert!(answered.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answered}");
        assert!(answered.contains("\r\nconnection: close\r\n"), "{target}: {answered}");
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_and_goes_on_sending_is_let_go_in_the_time_of_a_head() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let gateway = house.gateway_with(upstream.address, |settings| {
        patient(settings);
        settings.timeouts.head = 4 * SOON;
    });
    for target in ["/mcp", "/files/a"] {
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        let head = begun(target, "nobody's");
        let endless =
            String::from_utf8(head).unwrap().replace("content-length: 40", "transfer-encoding: chunked");
        client.write_all(endless.replace("{\"jsonrpc\"", "fffffff\r\n").as_bytes()).await.unwrap();
        let dribble = async { while client.write_all(b" ").await.is_ok() {} };
        timeout(PATIENCE, dribble).await.unwrap_or_else(|_| panic!("{target}: it is still listened to"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_behind_its_head_is_told_by_its_id_and_read_for_who_may_call() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway_with(upstream.address, patient);
    let body = r#"{"jsonrpc":"2.0","id":"mine","method":"tools/call","params":{"name":"a"}}"#;
    for (credential, status) in [(key.as_str(), 200), ("nobody's", 401)] {
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        client.set_nodelay(true).unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {credential}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        client.write_all(body.as_bytes()).await.unwrap();
        let answered = answer(&mut client).await;
        assert!(answered.starts_with(&format!("HTTP/1.1 {status} ")), "{answered}");
        assert_eq!(answered.contains(r#""id":"mine""#), status == 401, "{answered}");
    }
    assert_eq!(&upstream.only().body[..], body.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_its_clients_fault() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway_with(upstream.address, |settings| {
        patient(settings);
        settings.timeouts.response = 4 * SOON;
    });
    let mut client = TcpStream::connect(gateway.address).await.unwrap();
    let head = format!(
        "PUT /x HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-length: 3000000\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = client.into_split();
    let dripping = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let mut status = [0; 13];
    timeout(PATIENCE, reading.read_exact(&mut status)).await.expect("it is waited for no longer").unwrap();
    assert_eq!(&status, b"HTTP/1.1 408 ");
    dripping.abort();
    let metrics = Ask::new(Method::GET, "/metrics").send(gateway.admin).await.body;
    let slow = r#"portcullis_upstream_errors_total{fault="upstream_slow"} 0"#;
    assert!(metrics.contains(slow), "{metrics}");
    assert_eq!(gateway.count("bad_request"), 1);
}

/// A stream of HTTP/2 that is reset looks like one at its end to whoever does not look closely.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_broken_off_does_not_pass_for_a_whole_one() {
    for is_whole in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (house, folder) = (House::new(), tempfile::tempdir().unwrap());
        let (key, root) = (house.key(), tls::renew(folder.path(), 0));
        let gateway = house.gateway_with(listener.local_addr().unwrap(), |settings| {
            patient(settings);
            settings.tls = Some(tls::files(folder.path()));
        });
        let stream = tls::connect(gateway.address, &root, b"h2").await.unwrap();
        let (mut client, driver) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(driver);
        let (sender, body) = events();
        let request = Request::put("https://localhost/x").header("authorization", format!("Bearer {key}"));
        let answering = tokio::spawn(client.send_request(request.body(body.into_body()).unwrap()));
        sender.send("a part").await.unwrap();
        let (mut upstream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"a part\r\n") {
            timeout(PATIENCE, upstream.read_buf(&mut heard)).await.unwrap().unwrap();
        }
        if is_whole {
            drop(sender);
            while !heard.ends_with(b"\r\n0\r\n\r\n") {
                timeout(PATIENCE, upstream.read_buf(&mut heard)).await.unwrap().unwrap();
            }
        } else {
            answering.abort();
            let _ =
                timeout(PATIENCE, upstream.read_to_end(&mut heard)).await.expect("the upstream is let go");
            assert!(heard.ends_with(b"a part\r\n"), "{}", heard.escape_ascii());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_takes_away_nothing_that_a_request_is_judged_by() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let call = || Ask::modern("tools/call", json!({"name": "add"})).key(&key);
    for option in [
        "mcp-method",
        "x, Mcp-Name",
        "MCP-Protocol-Version",
        "mcp_session_id",
        "Last-Event-Id",
        "Content-Type",
        "content_encoding",
        "close, accept-encoding",
    ] {
        for ask in [call(), Ask::new(Method::GET, "/files/a").key(&key)] {
            let answered = ask.with("connection", option).send(gateway.address).await;
            assert_eq!((answered.status, answered.reason().as_str()), (400, "bad_request"), "{option}");
        }
    }
    assert!(upstream.received().is_empty());
    for option in
        ["close", "keep-alive, X-Hop", "Upgrade, HTTP2-Settings", "x-portcullis-subject", "authorization"]
    {
        assert_eq!(call().with("connection", option).send(gateway.address).await.status, 200, "{option}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_judged_in_every_spelling_in_which_a_server_could_read_it() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    let old = || Ask::old("tools/call", json!({"name": "add"})).key(&key);
    let status = async |ask: Ask| ask.send(gateway.address).await.status;
    for (name, value, refused) in [
        ("mcp_method", "tools/list", 400),
        ("mcp-name", "delete", 400),
        ("mcp_name", "delete", 400),
        ("mcp_session_id", "stolen", 404),
        ("mcp_protocol_version", "2026-07-28", 400),
        ("content_encoding", "gzip", 415),
        ("content_type", "text/plain", 415),
        ("x_api_key", "pcl_x", 400),
    ] {
        assert_eq!(status(old().with(name, value)).await, refused, "{name}: {value}");
    }
    let stream = Ask::new(Method::GET, "/mcp").key(&key).with("mcp-protocol-version", "2025-11-25");
    assert_eq!(status(stream.with("mcp_method", "tools/call")).await, 400);
    assert!(upstream.received().is_empty());
    for (name, value) in
        [("mcp_method", "tools/call"), ("mcp-name", "add"), ("content_encoding", "identity"), ("x_odd", "1")]
    {
        assert_eq!(status(old().with(name, value)).await, 200, "{name}: {value}");
    }
    // What has no meaning in the new era ends here, however it is spelled.
    let modern = Ask::modern("ping", json!({})).key(&key);
    assert_eq!(status(modern.with("mcp_session_id", "stolen").with("last_event_id", "7")).await, 200);
    let received = upstream.received();
    let last = &received.last().unwrap().headers;
    assert!(!last.contains_key("mcp_session_id") && !last.contains_key("last_event_id"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_more_fields_end_at_the_gateway() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway_with(upstream.address, |settings| {
        settings.stripped = vec!["X-Tenant".parse().unwrap(), "acme-*".parse().unwrap()];
    });
    let ask = Ask::modern("ping", json!({})).key(&key);
    let ask = ask.with("x_tenant", "1").with("acme-role", "1").with("acme_id", "1");
    assert_eq!(ask.with("x-tenants", "kept").with("acme", "kept").send(gateway.address).await.status, 200);
    let headers = upstream.only().headers;
    for name in ["x_tenant", "acme-role", "acme_id"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    assert_eq!(
        (&headers["x-tenants"], &headers["acme"]),
        (&"kept".parse().unwrap(), &"kept".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_hears_by_which_url_a_trusted_proxy_was_reached() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let proxied = |settings: &mut Settings| settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let named =
        |settings: &mut Settings| settings.public_url = Some("https://mcp.example:8443/mcp".parse().unwrap());
    let gateways = [
        house.gateway_with(upstream.address, |_| ()),
        house.gateway_with(upstream.address, proxied),
        house.gateway_with(upstream.address, |settings| {
            proxied(settings);
            named(settings);
        }),
    ];
    for (gateway, told) in gateways.iter().zip([
        ("http", "localhost"),
        ("https", "proxy.example"),
        ("https", "mcp.example:8443"),
    ]) {
        let ask = Ask::new(Method::GET, "/a").key(&key).with("x-forwarded-host", "proxy.example");
        let ask = ask.with("x-forwarded-proto", "https").with("x_forwarded_host", "evil.example");
        assert_eq!(ask.send(gateway.address).await.status, 200);
        let received = upstream.received();
        let headers = &received.last().unwrap().headers;
        assert_eq!([&headers["x-forwarded-proto"], &headers["x-forwarded-host"]], [told.0, told.1]);
        assert!(!headers.contains_key("x_forwarded_host"));
    }
}
