//! The way to the upstream, before one that is played byte by byte.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::head::{AnswerHead, RequestHead};
use super::{BrokenAnswer, Outgoing, Pool, UpstreamFault};
use crate::gateway::config::Settings;
use crate::gateway::wire::{Chunk, Content, Garbled};

type Answered = Result<(AnswerHead, Result<Bytes, BrokenAnswer>), UpstreamFault>;

/// An upstream that is played, and who asks it.
struct Play {
    listener: TcpListener,
    pool: Rc<Pool>,
}

impl Play {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings =
            Settings::new(format!("http://{}/mcp", listener.local_addr().unwrap()).parse().unwrap());
        let pool = Rc::new(Pool::new(settings.upstream.clone(), settings.timeouts));
        Self { listener, pool }
    }

    async fn ask(&self, method: Method, body: &'static str) -> Answered {
        let head = RequestHead::new(&method, &"/mcp?x=1".parse().unwrap());
        let (head, body) = self.pool.send(head, Outgoing::Whole(body.into()), Instant::now()).await?;
        Ok((head, body.collect().await.map(|whole| whole.to_bytes())))
    }

    /// What becomes of a `GET` that is answered with `answer`, after which the upstream closes.
    async fn answered(&self, answer: &[u8]) -> Answered {
        let upstream = async {
            let mut connection = self.listener.accept().await.unwrap().0;
            read_until(&mut connection, b"\r\n\r\n").await;
            connection.write_all(answer).await.unwrap();
        };
        tokio::join!(self.ask(Method::GET, ""), upstream).0
    }
}

async fn read_until(connection: &mut TcpStream, end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(connection.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

/// Plays on one thread, as a worker works.
fn play(play: impl AsyncFnOnce(Play)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async { play(Play::new().await).await });
}

#[test]
fn a_request_is_written_as_http_wants_it_and_its_connection_used_again() {
    play(async |play| {
        let upstream = async {
            let mut connection = play.listener.accept().await.unwrap().0;
            let got = read_until(&mut connection, b"\r\n\r\n").await;
            assert_eq!(got, "GET /mcp?x=1 HTTP/1.1\r\n\r\n");
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
            let posted = read_until(&mut connection, b"hello").await;
            assert_eq!(posted, "POST /mcp?x=1 HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello");
            connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No").await.unwrap();
            connection.write_all(b" Content\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut another = play.listener.accept().await.unwrap().0;
            let got = read_until(&mut another, b"\r\n\r\n").await;
            assert_eq!(got, "POST /mcp?x=1 HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
            another.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        };
        let client = async {
            let (head, body) = play.ask(Method::GET, "").await.unwrap();
            assert_eq!((head.status, &*body.unwrap()), (StatusCode::OK, &b"hi"[..]));
            let (head, body) = play.ask(Method::POST, "hello").await.unwrap();
            assert_eq!((head.status, body.unwrap().len(), head.fields.len()), (StatusCode::NO_CONTENT, 0, 0));
            assert_eq!(play.ask(Method::POST, "").await.unwrap().0.status, StatusCode::OK);
        };
        tokio::join!(upstream, client);
    });
}

#[test]
fn a_kept_connection_on_which_the_upstream_spoke_or_hung_up_is_passed_over() {
    for parting in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"] {
        play(async |play| {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            let upstream = async {
                let mut first = play.listener.accept().await.unwrap().0;
                read_until(&mut first, b"\r\n\r\n").await;
                first.write_all(answer).await.unwrap();
                first
            };
            let (first, answered) = tokio::join!(upstream, play.ask(Method::GET, ""));
            assert_eq!(answered.unwrap().0.status, StatusCode::OK);
            let mut first = first;
            first.write_all(parting).await.unwrap();
            drop(first);
            // The pool's side has heard of it when this side's runtime has.
            tokio::task::yield_now().await;
            let (answered, ()) = tokio::join!(play.ask(Method::GET, ""), async {
                let mut second = play.listener.accept().await.unwrap().0;
                read_until(&mut second, b"\r\n\r\n").await;
                second.write_all(answer).await.unwrap();
            });
            assert_eq!(answered.unwrap().0.status, StatusCode::OK);
        });
    }
}

#[test]
fn a_body_is_whole_or_broken() {
    play(async |play| {
        for (answer, whole) in [
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi", "hi"),
            ("HTTP/1.1 200 OK\r\n\r\nhi", "hi"),
            ("HTTP/1.0 200 OK\r\n\r\nhi", "hi"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nhi", "hi"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", "hi"),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", ""),
        ] {
            let (.., body) = play.answered(answer.as_bytes()).await.unwrap();
            assert_eq!(body.unwrap(), whole, "{answer}");
        }
        for answer in [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
        ] {
            let (.., body) = play.answered(answer.as_bytes()).await.unwrap();
            assert!(body.is_err(), "{answer}");
        }
        for (answer, fault) in [
            ("", UpstreamFault::Down),
            ("HTTP/1.1 200 OK\r\n", UpstreamFault::Down),
            ("HTTP/1.1 100 Continue\r\n\r\n", UpstreamFault::Down),
            ("SSH-2.0-OpenSSH\r\n\r\n", UpstreamFault::Garbled),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", UpstreamFault::Garbled),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", UpstreamFault::Garbled),
            ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", UpstreamFault::Garbled),
            ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhi", UpstreamFault::Garbled),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", UpstreamFault::Garbled),
            ("HTTP/1.1 200 OK\r\nno field\r\n\r\n", UpstreamFault::Garbled),
        ] {
            assert_eq!(play.answered(answer.as_bytes()).await.unwrap_err(), fault, "{answer}");
        }
    });
}

#[test]
fn an_endless_head_is_given_up() {
    play(async |play| {
        let fields = [&b"HTTP/1.1 200 OK\r\n"[..], &b"x: y\r\n".repeat(101), b"\r\n"].concat();
        assert_eq!(play.answered(&fields).await.unwrap_err(), UpstreamFault::Garbled);
        let long = [&b"HTTP/1.1 200 OK\r\nx: "[..], &[b'y'; 192 * 1024]].concat();
        let upstream = async {
            let mut connection = play.listener.accept().await.unwrap().0;
            // The gateway hangs up in the middle of it.
            _ = connection.write_all(&long).await;
            connection
        };
        let (answered, _connection) = tokio::join!(play.ask(Method::GET, ""), upstream);
        assert_eq!(answered.unwrap_err(), UpstreamFault::Garbled);
    });
}

fn head(text: &str, method: &Method) -> Result<AnswerHead, Garbled> {
    let head = AnswerHead::take(&mut BytesMut::from(text), method)?;
    Ok(head.unwrap())
}

#[test]
fn what_stays_on_the_upstreams_connection_is_not_for_the_client() {
    let text = "HTTP/1.1 200 OK\r\nConnection: close, X-Secret-Hop\r\nconnection: x-other-hop\r\n\
        X-Secret-Hop: 1\r\nX-Other-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: websocket\r\n\
        Transfer-Encoding: chunked\r\nContent-Length: 5\r\nProxy-Connection: x\r\nServer: secret/1.0\r\n\
        X_Portcullis_Subject: x\r\nX-Kept: 1\r\nX-Kept: 2\r\n\r\n";
    let head = head(text, &Method::GET).unwrap();
    let kept: Vec<_> = head.fields.iter().map(|field| (field.name(), field.value())).collect();
    assert_eq!(kept, [(&b"x-kept"[..], &b"1"[..]), (b"x-kept", b"2")]);
    assert_eq!(head.content, Content::Chunked(Chunk::Size));
    assert!(!head.is_kept);
}

#[test]
fn a_connection_is_kept_where_both_sides_know_where_the_answer_ends() {
    for (text, is_kept) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true),
    ] {
        assert_eq!(head(text, &Method::GET).unwrap().is_kept, is_kept, "{text}");
    }
    let unsent = |text: &str, method: Method| head(text, &method).unwrap().unsent;
    let said = "HTTP/1.1 200 OK\r\nContent-Length: 9, 9\r\n\r\n";
    assert_eq!(unsent(said, Method::HEAD), Some(9));
    assert_eq!(unsent(said, Method::GET), None);
    assert_eq!(unsent(&said.replace("200 OK", "304 Not Modified"), Method::GET), Some(9));
    for none in [
        said.replace("200 OK", "204 No Content"),
        said.replace("\r\n\r\n", "\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ] {
        assert_eq!(unsent(&none, Method::HEAD), None, "{none}");
    }
    assert_eq!(head(said, &Method::HEAD).unwrap().content, Content::Length(0));
    assert_eq!(head(said, &Method::GET).unwrap().content, Content::Length(9));
}
