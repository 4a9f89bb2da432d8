use super::*;
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
        let rest = Rest::new(timeouts, Waiter::begins());
        let begins = rest.clone();
        let service = service_fn(move |_| {
            Box::pin(begins.begin(Rc::default()).answering(async move {
                sleep(making).await;
                Ok(Response::new(Reply::default()))
            }))
        });
        let mut builder = http1::Builder::new();
        let connection = builder.header_read_timeout(None).serve_connection(TokioIo::new(server), service);
        let _ = serve(connection, &rest, &CancellationToken::new()).await;
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
