//! Connections that are played byte by byte, on a clock that goes on by itself to the next thing that anybody waits for.

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::sleep;

use super::*;
use crate::domain::clock::{ManualClock, Timestamp};

const HEAD: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// What an answer begins with and ends with where another request may follow.
const OK: &str = "HTTP/1.1 200 OK\r\ndate: Fri, 15 Jan 2027 08:00:00 GMT\r\n";

/// A pipe knows of no reset.
impl Abrupt for DuplexStream {
    fn break_when_dropped(&self, _: bool) -> io::Result<()> {
        Ok(())
    }
}

/// A connection whose answers take so long to make and repeat the request: its method, its target and its body.
struct Opened {
    client: DuplexStream,
    ended: JoinHandle<io::Result<()>>,
    stop: CancellationToken,
}

impl Opened {
    fn new(making: Duration) -> Self {
        let (client, server) = duplex(1024);
        let stop = CancellationToken::new();
        let terms = Terms {
            timeouts: Timeouts { head: HEAD, idle: IDLE, ..Timeouts::default() },
            stop: stop.clone(),
            clock: Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000))),
        };
        let waiter = Waiter::begins();
        let ended = spawn_local(async move {
            serve(server, &terms, &waiter, |parts, body| async move {
                sleep(making).await;
                let mut text = format!("{} {}", parts.method, parts.uri).into_bytes();
                if parts.uri.path() != "/unread" {
                    match body.collect().await {
                        Ok(whole) => text.extend_from_slice(&whole.to_bytes()),
                        Err(_) => text = b"broken".into(),
                    }
                }
                let mut response = Response::new(Reply::from(Bytes::from(text)));
                if parts.uri.path() == "/closing" {
                    response.headers_mut().insert("connection", HeaderValue::from_static("close"));
                }
                Ok(response)
            })
            .await
        });
        Self { client, ended, stop }
    }

    async fn say(&mut self, text: impl AsRef<[u8]>) {
        self.client.write_all(text.as_ref()).await.unwrap();
    }

    async fn hears(&mut self, text: &str) {
        let mut heard = vec![0; text.len()];
        self.client.read_exact(&mut heard).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), text);
    }

    /// All until the end of the connection.
    async fn hears_last(&mut self) -> String {
        let mut heard = String::new();
        self.client.read_to_string(&mut heard).await.unwrap();
        heard
    }

    async fn ask(&mut self) {
        self.say("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        self.hears(&answer("GET /")).await;
    }

    /// Seconds until the gateway ends a connection at which nothing more is done.
    async fn ends_after(mut self) -> u64 {
        let began = Instant::now();
        assert_eq!(self.hears_last().await, "");
        self.ended.await.unwrap().unwrap();
        began.elapsed().as_secs()
    }
}

fn answer(body: &str) -> String {
    format!("{OK}content-length: {}\r\n\r\n{body}", body.len())
}

fn last_answer(body: &str) -> String {
    answer(body).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")
}

async fn play(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_in_turn_however_they_arrive() {
    let said = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi\
        PUT /c HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nho\r\n1;x\r\n!\r\n0\r\nx: y\r\n\r\nGET /d HTTP/1.1\r\n\r\n";
    let heard = ["GET /a", "POST /bhi", "PUT /cho!", "GET /d"].map(answer).concat();
    play(async {
        for length in [1, 2, 3, 7, 50, 1000] {
            let mut opened = Opened::new(Duration::ZERO);
            for piece in said.as_bytes().chunks(length) {
                opened.say(piece).await;
                tokio::task::yield_now().await;
            }
            opened.hears(&heard).await;
            opened.ask().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_connection_ends_where_it_was_said_and_nothing_behind_is_a_request() {
    play(async {
        for (request, heard) in [
            ("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n", last_answer("GET /")),
            ("GET /closing HTTP/1.1\r\n\r\n", last_answer("GET /closing")),
            ("GET / HTTP/1.0\r\n\r\n", last_answer("GET /").replace("1.1", "1.0")),
            // The body that nobody took has not come.
            ("POST /unread HTTP/1.1\r\nContent-Length: 900\r\n\r\n", last_answer("POST /unread")),
            (
                "HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n",
                last_answer("HEAD /").replace("\r\nHEAD /", "\r\n"),
            ),
        ] {
            let mut opened = Opened::new(Duration::ZERO);
            opened.say(request).await;
            opened.say("GET /next HTTP/1.1\r\n\r\n").await;
            assert_eq!(opened.hears_last().await, heard, "{request}");
        }
        let mut opened = Opened::new(Duration::ZERO);
        opened.say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        let kept = last_answer("GET /").replace("1.1", "1.0").replace("close", "keep-alive");
        opened.hears(&kept).await;
        // One that has come whole is forgotten where nobody took it.
        opened.say("POST /unread HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi").await;
        opened.hears(&answer("POST /unread")).await;
        opened.ask().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_word_gets_it_when_the_body_is_wanted_and_only_then() {
    play(async {
        let mut opened = Opened::new(Duration::ZERO);
        opened.say("POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n").await;
        opened.hears("HTTP/1.1 100 Continue\r\n\r\n").await;
        opened.say("hi").await;
        opened.hears(&answer("POST /hi")).await;
        opened.say("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nho").await;
        opened.hears(&answer("POST /ho")).await;
        opened.say("POST /unread HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
        assert_eq!(opened.hears_last().await, last_answer("POST /unread"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_two_readers_could_frame_differently_is_refused() {
    let fields = |fields: &str| format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\nhello");
    let digits = format!("Content-Length: {}5\r\n", "0".repeat(20));
    let mut refused: Vec<String> = [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\ncontent-length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length:\r\n",
        "Content-Length\r\n",
        "Content-Length : 5\r\n",
        "X: 1\nContent-Length: 5\r\n",
        "X: 1\r\n Content-Length: 5\r\n",
        "X: 1\rContent-Length: 5\r\n",
        &digits,
    ]
    .map(fields)
    .into();
    refused.extend(
        [
            "GET / HTTP/1.1\nhost: x\r\n\r\n",
            "\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\r\n\n",
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET / a HTTP/1.1\r\n\r\n",
            "G(T / HTTP/1.1\r\n\r\n",
            "GET /\r\n\r\n",
        ]
        .map(str::to_owned),
    );
    play(async {
        for request in &refused {
            let mut opened = Opened::new(Duration::ZERO);
            opened.say(request).await;
            let heard = opened.hears_last().await;
            assert!(heard.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{request:?}: {heard}");
            assert!(
                heard.ends_with("content-length: 0\r\nconnection: close\r\n\r\n"),
                "{request:?}: {heard}"
            );
        }
        for near in [
            "Content-Length:\t5  \r\n",
            "Content-Length: 00000000000000000005\r\n",
            "X:\r\ncontent-length:5\r\n",
        ] {
            let mut opened = Opened::new(Duration::ZERO);
            opened.say(fields(near)).await;
            opened.hears(&answer("POST /hello")).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_told_to_who_reads_it() {
    play(async {
        for body in ["Content-Length: 5\r\n\r\nhell", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
            let mut opened = Opened::new(Duration::ZERO);
            opened.say(format!("POST / HTTP/1.1\r\n{body}")).await;
            opened.client.shutdown().await.unwrap();
            assert_eq!(opened.hears_last().await, last_answer("broken"), "{body}");
        }
        let mut opened = Opened::new(Duration::ZERO);
        opened.say("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n").await;
        assert_eq!(opened.hears_last().await, last_answer("broken"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_too_long_is_431_and_one_just_short_enough_is_answered() {
    play(async {
        let long = |value: usize| format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(value));
        let many = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(fields));
        for (good, bad) in [(long(65_000), long(140_000)), (many(100), many(101))] {
            let mut opened = Opened::new(Duration::ZERO);
            opened.say(good).await;
            opened.hears(&answer("GET /")).await;
            let (mut theirs, mut ours) = tokio::io::split(opened.client);
            let saying = spawn_local(async move {
                _ = ours.write_all(bad.as_bytes()).await;
            });
            let mut heard = String::new();
            theirs.read_to_string(&mut heard).await.unwrap();
            assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
            saying.await.unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_answers_is_let_go_when_the_client_leaves() {
    play(async {
        let mut opened = Opened::new(10 * IDLE);
        opened.say("GET / HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\n\r\n").await;
        sleep(SECOND).await;
        drop(opened.client);
        assert!(opened.ended.await.unwrap().is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_ends_what_rests_and_answers_what_was_begun() {
    play(async {
        let mut resting = Opened::new(Duration::ZERO);
        resting.ask().await;
        let mut busy = Opened::new(IDLE);
        busy.say("GET / HTTP/1.1\r\n\r\n").await;
        let mut begun = Opened::new(Duration::ZERO);
        begun.say("GET / HT").await;
        sleep(SECOND).await;
        for opened in [&resting, &busy, &begun] {
            opened.stop.cancel();
        }
        assert_eq!(resting.ends_after().await, 0);
        begun.say("TP/1.1\r\n\r\n").await;
        assert_eq!(begun.hears_last().await, last_answer("GET /"));
        assert_eq!(busy.hears_last().await, last_answer("GET /"));
        // What has come when the gateway stops is answered, and nothing after it.
        let mut waiting = Opened::new(Duration::ZERO);
        waiting.ask().await;
        waiting.say("GET / HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\n\r\n").await;
        waiting.stop.cancel();
        assert_eq!(waiting.hears_last().await, last_answer("GET /"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_for_nothing_more_is_kept_for_a_minute() {
    play(async {
        let mut opened = Opened::new(Duration::ZERO);
        for _ in 0..3 {
            opened.ask().await;
            // One second short of what it may.
            sleep(IDLE - SECOND).await;
        }
        opened.ask().await;
        assert_eq!(opened.ends_after().await, 60);
        let mut opened = Opened::new(10 * IDLE);
        opened.ask().await;
        assert_eq!(opened.ends_after().await, 60, "from the end of the answer");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_head_has_ten_seconds_from_its_first_byte_and_the_first_one_from_the_beginning() {
    play(async {
        for said in [&b""[..], b"GET / HT"] {
            let mut opened = Opened::new(Duration::ZERO);
            opened.say(said).await;
            assert_eq!(opened.ends_after().await, 10, "{}", said.escape_ascii());
        }
        let mut opened = Opened::new(Duration::ZERO);
        opened.ask().await;
        sleep(IDLE / 2).await;
        for byte in b"GET /slow".chunks(1) {
            opened.say(byte).await;
            sleep(SECOND).await;
        }
        assert_eq!(opened.ends_after().await, 1, "one byte a second is not enough");
    })
    .await;
}
