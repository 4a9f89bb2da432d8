use super::*;
use crate::gateway::tap::Tapped;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

const HEAD: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// A connection whose answers are empty and take so long to make; and its end.
fn opened(making: Duration) -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = duplex(1024);
    let timeouts = Timeouts { head: HEAD, idle: IDLE, ..Timeouts::default() };
    let ended = spawn_local(async move {
        let rest = Rest::new(timeouts);
        let begins = rest.clone();
        let service = service_fn(move |_| {
            Box::pin(begins.begin(Rc::default()).answering(async move {
                sleep(making).await;
                Ok(Response::new(Reply::default()))
            }))
        });
        let stream = Tapped::new(server, Heard(rest.clone()));
        let mut builder = http1::Builder::new();
        let connection = builder.header_read_timeout(None).serve_connection(TokioIo::new(stream), service);
        let _ = serve(connection, &rest, None, &CancellationToken::new()).await;
    });
    (client, ended)
}

async fn ask(client: &mut DuplexStream) {
    client.write_all(REQUEST).await.unwrap();
    let mut answered = Vec::new();
    while !answered.ends_with(b"\r\n\r\n") {
        answered.push(client.read_u8().await.unwrap());
    }
    assert!(answered.starts_with(b"HTTP/1.1 200 "), "{}", answered.escape_ascii());
}

/// Seconds until the gateway ends a connection at which nothing more is done.
async fn ends_after(mut client: DuplexStream, ended: JoinHandle<()>) -> u64 {
    let began = Instant::now();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "its end");
    ended.await.unwrap();
    began.elapsed().as_secs()
}

/// On a clock that goes on by itself to the next thing that anybody waits for.
async fn at_rest(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_for_nothing_more_is_kept_for_a_minute() {
    at_rest(async {
        let (mut client, ended) = opened(Duration::ZERO);
        for _ in 0..3 {
            ask(&mut client).await;
            // One second short of what it may.
            sleep(IDLE - Duration::from_secs(1)).await;
        }
        ask(&mut client).await;
        assert_eq!(ends_after(client, ended).await, 60);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_is_kept_for_as_long_as_it_takes() {
    at_rest(async {
        let (mut client, ended) = opened(10 * IDLE);
        ask(&mut client).await;
        assert_eq!(ends_after(client, ended).await, 60, "from the end of the answer");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_head_has_ten_seconds_from_its_first_byte_and_the_first_one_from_the_beginning() {
    at_rest(async {
        for said in [&b""[..], b"GET / HT"] {
            let (mut client, ended) = opened(Duration::ZERO);
            client.write_all(said).await.unwrap();
            // Its end, and a second to take leave where a head has begun.
            assert!((10..=11).contains(&ends_after(client, ended).await), "{}", said.escape_ascii());
        }
        let (mut client, ended) = opened(Duration::ZERO);
        ask(&mut client).await;
        sleep(IDLE / 2).await;
        for byte in &b"GET /slowly"[..9] {
            client.write_u8(*byte).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        assert!((1..=2).contains(&ends_after(client, ended).await), "one byte a second is not enough");
    })
    .await;
}
