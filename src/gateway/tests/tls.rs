//! The data listener under TLS: both versions of HTTP, a renewed certificate, and what is refused.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::harness::*;
use crate::gateway::{Gateway, GatewayError, Identity, Settings};
use http::Request;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Writes a fresh pair of files whose change nobody can miss, and returns the certificate.
pub fn renew(folder: &Path, age: u64) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, text) in [("cert.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())] {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + age);
        fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    }
    made.cert.der().clone()
}

pub fn files(folder: &Path) -> Identity {
    Identity::Files { certificate: folder.join("cert.pem"), key: folder.join("key.pem") }
}

/// Shakes hands as a client that trusts `root` alone and speaks `protocol`.
pub async fn connect(
    to: std::net::SocketAddr,
    root: &CertificateDer<'static>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(to).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

pub async fn over_http_2(stream: TlsStream<TcpStream>, ask: &Ask, authority: &str) -> Answered {
    let (mut sender, driver) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(driver);
    let mut request: Request<_> = ask.request.clone().map(Full::new);
    *request.uri_mut() = format!("https://{authority}{}", request.uri().path()).parse().unwrap();
    Answered::read(sender.send_request(request).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_http_are_judged_alike() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let folder = tempfile::tempdir().unwrap();
    let root = renew(folder.path(), 0);
    let key = house.key();
    let gateway = house.gateway_with(upstream.address, |settings| settings.tls = Some(files(folder.path())));
    let ask = Ask::modern("tools/call", json!({"name": "x"}));

    let stream = connect(gateway.address, &root, b"h2").await.unwrap();
    let answered = over_http_2(stream, &ask.clone().without("host").key(&key), "localhost").await;
    assert_eq!(answered.status, 200);
    let received = upstream.only();
    assert_eq!(received.headers["x-portcullis-subject"], "alice");
    assert_eq!(received.headers["x-forwarded-proto"], "https");
    assert!(!received.headers.contains_key("authorization"));

    let stream = connect(gateway.address, &root, b"h2").await.unwrap();
    let answered = over_http_2(stream, &ask.clone().without("host"), "localhost").await;
    assert_eq!(answered.status, 401, "{answered:?}");
    let stream = connect(gateway.address, &root, b"h2").await.unwrap();
    let foreign = ask.clone().key(&key).instead("host", "elsewhere");
    assert_eq!(over_http_2(stream, &foreign, "localhost").await.status, 400, "Host and authority differ");

    let stream = connect(gateway.address, &root, b"http/1.1").await.unwrap();
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(driver);
    let answered = sender.send_request(ask.key(&key).request.map(Full::new)).await.unwrap();
    assert_eq!(answered.status(), 200);
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_serves_the_next_handshake_and_a_broken_one_never() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let folder = tempfile::tempdir().unwrap();
    let first = renew(folder.path(), 0);
    let gateway = house.gateway_with(upstream.address, |settings| settings.tls = Some(files(folder.path())));
    connect(gateway.address, &first, b"h2").await.unwrap();
    let second = renew(folder.path(), 60);
    connect(gateway.address, &second, b"h2").await.unwrap();
    assert!(connect(gateway.address, &first, b"h2").await.is_err(), "the first is no longer shown");
    fs::write(folder.path().join("cert.pem"), "no certificate").unwrap();
    connect(gateway.address, &second, b"h2").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_tls_gets_no_answer_and_a_key_is_not_sent_on() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway_with(upstream.address, |settings| settings.tls = Some(Identity::SelfSigned));
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(driver);
    let ask = Ask::modern("tools/list", json!({})).key(&key);
    assert!(sender.send_request(ask.request.map(Full::new)).await.is_err());
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_does_not_start_without_a_usable_certificate_or_in_the_clear_off_loopback() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    renew(folder.path(), 0);
    let other = tempfile::tempdir().unwrap();
    renew(other.path(), 0);
    let fault = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::new("http://127.0.0.1:1/mcp".parse().unwrap());
        settings.listen.set_port(0);
        settings.admin_listen.set_port(0);
        change(&mut settings);
        let vault = house.ctx.vault.as_ref().unwrap();
        let engine =
            crate::engine::Engine::start(house.ctx.store.clone(), vault, house.clock.clone()).unwrap();
        Gateway::start(settings, engine, house.ctx.clone()).map(|_| ()).unwrap_err()
    };
    let identity = |certificate: &Path, key: &Path| Identity::Files {
        certificate: certificate.join("cert.pem"),
        key: key.join("key.pem"),
    };
    let missing = fault(&|settings| settings.tls = Some(files(Path::new("/nowhere"))));
    assert!(matches!(missing, GatewayError::Tls(_)), "{missing}");
    assert!(missing.to_string().contains("/nowhere/cert.pem"), "{missing}");
    let mixed = fault(&|settings| settings.tls = Some(identity(folder.path(), other.path())));
    assert!(mixed.to_string().contains("do not belong together"), "{mixed}");
    let clear = fault(&|settings| settings.listen = "0.0.0.0:0".parse().unwrap());
    assert!(clear.to_string().contains("--tls-cert"), "{clear}");
}
