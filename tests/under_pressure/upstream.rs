//! The MCP server behind the gateway: an answer at once, numbered events, or events without end.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

/// Its answer is a stream of so many numbered events.
pub const COUNT: &str = "count";
pub const EVENTS: usize = 200;
/// Its answer is a stream that never ends, and as large as anyone will read.
pub const FLOOD: &str = "flood";

type Body = UnsyncBoxBody<Bytes, Infallible>;

pub struct Upstream {
    pub url: String,
    /// Floods that somebody still reads, or could.
    pub floods: watch::Receiver<usize>,
}

/// Counts a flood for as long as its body lives.
struct Open(Arc<watch::Sender<usize>>);

impl Open {
    fn new(floods: &Arc<watch::Sender<usize>>) -> Self {
        floods.send_modify(|open| *open += 1);
        Self(Arc::clone(floods))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let (sender, floods) = watch::channel(0);
        let sender = Arc::new(sender);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let sender = Arc::clone(&sender);
                let service = service_fn(move |request| answer(Arc::clone(&sender), request));
                // A client that leaves breaks its connection off.
                tokio::spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { url, floods }
    }

    /// Waits until so many floods are open.
    pub async fn wait_for_floods(&self, many: usize) {
        let mut floods = self.floods.clone();
        let waited = tokio::time::timeout(super::support::PATIENCE, floods.wait_for(|open| *open == many));
        waited.await.unwrap_or_else(|_| panic!("{} floods, not {many}", *self.floods.borrow())).expect("it");
    }
}

async fn answer(
    floods: Arc<watch::Sender<usize>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let message: Value = serde_json::from_slice(&body).expect("a JSON-RPC message");
    let (media, body) = match message["params"]["name"].as_str() {
        Some(COUNT) => {
            let frames = stream::iter(0..EVENTS).then(|number| async move {
                // Each event by itself.
                tokio::task::yield_now().await;
                Ok(Frame::data(Bytes::from(format!("data: {number}\n\n"))))
            });
            ("text/event-stream", StreamBody::new(frames).boxed_unsync())
        }
        Some(FLOOD) => {
            let event = Bytes::from(format!("data: {}\n\n", "x".repeat(16 * 1024)));
            let open = Open::new(&floods);
            let frames = stream::repeat_with(move || {
                let _counted = &open;
                Ok(Frame::data(event.clone()))
            });
            ("text/event-stream", StreamBody::new(frames).boxed_unsync())
        }
        _ => {
            let result = json!({"resultType": "complete", "content": [{"type": "text", "text": "done"}]});
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            ("application/json", Full::from(answer.to_string()).boxed_unsync())
        }
    };
    Ok(Response::builder().header(header::CONTENT_TYPE, media).body(body).expect("a response"))
}
