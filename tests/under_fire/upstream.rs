//! The MCP server behind the gateways: it answers everything and writes down what arrives.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Condvar, Mutex},
    time::Instant,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, header};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

use super::support::PATIENCE;

/// The tool whose answer is a stream of events that does not end by itself.
pub const WATCH: &str = "watch";

/// One call that came through.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The caller's own number for it: the JSON-RPC id.
    pub number: u64,
    /// When the gateway took it up, in milliseconds since the epoch: the time within its request id (a UUID v7).
    pub taken_up: u64,
}

#[derive(Default)]
struct Book {
    arrivals: Mutex<HashMap<String, Vec<Arrival>>>,
    written: Condvar,
}

/// Serves until its runtime ends.
pub struct Upstream {
    pub url: String,
    book: Arc<Book>,
}

impl Upstream {
    pub fn start(runtime: &Runtime) -> Self {
        let book = Arc::<Book>::default();
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = runtime.block_on(TcpListener::bind(here)).expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        runtime.spawn(accept(listener, Arc::clone(&book)));
        Self { url, book }
    }

    /// What came through with this credential until now.
    pub fn arrivals(&self, credential: &str) -> Vec<Arrival> {
        self.book.arrivals.lock().expect("the book").get(credential).cloned().unwrap_or_default()
    }

    /// How many calls came through with this credential until now.
    pub fn count(&self, credential: &str) -> u64 {
        self.arrivals(credential).len() as u64
    }

    /// Waits until so many calls have come through with this credential.
    pub fn wait_for(&self, credential: &str, calls: u64) {
        let deadline = Instant::now() + PATIENCE;
        let mut arrivals = self.book.arrivals.lock().expect("the book");
        loop {
            let came = arrivals.get(credential).map_or(0, Vec::len) as u64;
            let left = deadline.saturating_duration_since(Instant::now());
            if came >= calls {
                return;
            }
            assert!(!left.is_zero(), "{came} of {calls} calls came through");
            arrivals = self.book.written.wait_timeout(arrivals, left).expect("the book").0;
        }
    }
}

async fn accept(listener: TcpListener, book: Arc<Book>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let book = Arc::clone(&book);
        let service = service_fn(move |request| answer(Arc::clone(&book), request));
        // A gateway that is killed breaks its connections off.
        tokio::spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    book: Arc<Book>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let message: Value = serde_json::from_slice(&body).expect("a JSON-RPC message");
    let text = |name: &str| parts.headers[name].to_str().expect("visible ASCII").to_owned();
    let id = uuid::Uuid::parse_str(&text("x-portcullis-request-id")).expect("a request id");
    let (seconds, nanos) = id.get_timestamp().expect("a UUID v7").to_unix();
    let arrival = Arrival {
        number: message["id"].as_u64().expect("a number"),
        taken_up: seconds * 1000 + u64::from(nanos) / 1_000_000,
    };
    let credential = text("x-portcullis-credential");
    book.arrivals.lock().expect("the book").entry(credential).or_default().push(arrival);
    book.written.notify_all();
    Ok(if message["params"]["name"] == WATCH { events() } else { result(&message) })
}

fn result(message: &Value) -> Response<BoxBody<Bytes, Infallible>> {
    let result = json!({"resultType": "complete", "content": [{"type": "text", "text": "done"}]});
    let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(http_body_util::Full::from(answer.to_string()).boxed())
        .expect("a response")
}

/// One event, and then nothing more for as long as anyone listens.
fn events() -> Response<BoxBody<Bytes, Infallible>> {
    let event = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "on"}});
    let first = Ok(Frame::data(Bytes::from(format!("data: {event}\n\n"))));
    let frames: Pin<Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + Sync>> =
        Box::pin(stream::iter([first]).chain(stream::pending()));
    Response::builder()
        .header(header::CONTENT_TYPE, "text/event-stream")
        .body(BoxBody::new(StreamBody::new(frames)))
        .expect("a response")
}
