//! What of the upstream's answer a client gets, over both versions of HTTP.

use super::harness::*;
use super::tls::{connect, files, over_http_2, renew};
use crate::gateway::{Origin, Settings};
use http::Method;
use rustls::pki_types::CertificateDer;
use std::io::{self, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PAGE: &str = "https://app.example.com";

/// A gateway in the clear and one under TLS, before the same upstream.
struct Both {
    house: House,
    plain: Served,
    secure: Served,
    root: CertificateDer<'static>,
    _folder: tempfile::TempDir,
}

impl Both {
    fn before(upstream: &Upstream) -> Self {
        let (house, folder) = (House::new(), tempfile::tempdir().unwrap());
        let root = renew(folder.path(), 0);
        let page = |settings: &mut Settings| {
            settings.allowed_origins = vec![PAGE.parse::<Origin>().unwrap()];
        };
        let plain = house.gateway_with(upstream.address, page);
        let secure = house.gateway_with(upstream.address, |settings| {
            page(settings);
            settings.tls = Some(files(folder.path()));
        });
        Self { house, plain, secure, root, _folder: folder }
    }

    /// What both answer.
    async fn answered(&self, ask: &Ask) -> [Answered; 2] {
        let stream = connect(self.secure.address, &self.root, b"h2").await.unwrap();
        let second = over_http_2(stream, &ask.clone().without("host"), "localhost").await;
        [ask.send(self.plain.address).await, second]
    }
}

fn all<'a>(answered: &'a Answered, name: &str) -> Vec<&'a str> {
    answered.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_answer_is_lost_or_said_twice() {
    let upstream = Upstream::answering(|_| async {
        let mut response = whole("text/plain", "hello");
        for (name, value) in [
            ("vary", "accept"),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "x-theirs"),
            ("date", "Fri, 01 Jan 2027 00:00:00 GMT"),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("server", "theirs/1.0"),
            ("x-portcullis-request-id", "theirs"),
        ] {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        response
    })
    .await;
    let both = Both::before(&upstream);
    let ask = Ask::new(Method::GET, "/x").key(&both.house.key());
    for answered in both.answered(&ask.clone().with("origin", PAGE)).await {
        assert_eq!((answered.status, answered.body.as_str()), (200, "hello"));
        assert_eq!(all(&answered, "vary"), ["accept", "origin"]);
        assert_eq!(all(&answered, "access-control-allow-origin"), [PAGE]);
        let [exposed] = all(&answered, "access-control-expose-headers")[..] else { panic!("{answered:?}") };
        assert!(exposed.contains("mcp-session-id") && !exposed.contains("x-theirs"), "{exposed}");
        assert_eq!(all(&answered, "date"), ["Fri, 01 Jan 2027 00:00:00 GMT"]);
        assert_eq!(all(&answered, "x-twice"), ["1", "2"]);
        assert_eq!(all(&answered, "content-length"), ["5"]);
        assert!(!answered.headers.contains_key("server"));
        let [id] = all(&answered, "x-portcullis-request-id")[..] else { panic!("{answered:?}") };
        assert_eq!(id.len(), 36, "{id}");
    }
    for answered in both.answered(&ask).await {
        assert_eq!(all(&answered, "vary"), ["accept"]);
        assert_eq!(all(&answered, "access-control-allow-origin"), ["*"], "who is no page gets what was said");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_and_an_unchanged_answer_say_how_long_the_body_would_be() {
    let upstream = Upstream::answering(|received| async move {
        let mut response = whole("text/plain", "123456789");
        if let Some(status) = received.headers.get("x-want") {
            response = whole("text/plain", "");
            *response.status_mut() = status.to_str().unwrap().parse().unwrap();
        }
        response
    })
    .await;
    let both = Both::before(&upstream);
    let key = both.house.key();
    for answered in both.answered(&Ask::new(Method::HEAD, "/x").key(&key)).await {
        assert_eq!((answered.status, answered.body.as_str()), (200, ""));
        assert_eq!(all(&answered, "content-length"), ["9"]);
    }
    for answered in both.answered(&Ask::new(Method::GET, "/x").key(&key)).await {
        assert_eq!((answered.status, answered.body.as_str()), (200, "123456789"));
        assert_eq!(all(&answered, "content-length"), ["9"]);
    }
    for method in [Method::HEAD, Method::GET] {
        let silent = Ask::new(method, "/x").key(&key).with("x-want", "204");
        for answered in both.answered(&silent).await {
            assert_eq!((answered.status, answered.body.as_str()), (204, ""));
            assert_eq!(all(&answered, "content-length"), [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_an_answer_does_not_pass_for_the_whole_where_only_the_connection_tells() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
    let house = House::new();
    let key = house.key();
    let end_of = async |answer: String| -> io::Result<usize> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = house.gateway(listener.local_addr().unwrap());
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        let ask = format!("GET /x HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n");
        client.write_all(ask.as_bytes()).await.unwrap();
        let (mut upstream, _) = listener.accept().await.unwrap();
        assert_ne!(upstream.read(&mut [0; 4096]).await.unwrap(), 0);
        upstream.write_all(answer.as_bytes()).await.unwrap();
        drop(upstream);
        let mut heard = Vec::new();
        let ended = client.read_to_end(&mut heard).await;
        let heard = String::from_utf8(heard).unwrap();
        assert!(heard.starts_with("HTTP/1.0 200 ") && heard.ends_with("\r\n\r\nhello"), "{heard}");
        ended
    };
    let chunked = format!("{HEAD}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert_eq!(end_of(chunked.clone()).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(end_of(format!("{chunked}0\r\n\r\n")).await.is_ok());
    // Where its length is said, the client can count.
    assert!(end_of(format!("{HEAD}content-length: 9\r\n\r\nhello")).await.is_ok());
}
