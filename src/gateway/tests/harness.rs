//! A home with keys, an upstream that records, a gateway between them, and a client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::domain::api_key::KeyId;
use crate::domain::clock::{ManualClock, Timestamp};
use crate::domain::policy::Policy;
use crate::domain::scope::Scope;
use crate::domain::usage::Outcome;
use crate::engine::Engine;
use crate::gateway::{Gateway, Running, Settings};
use crate::ops::{
    self, Ctx,
    api_key::NewKey,
    bench::new_token,
    token::{Issued, NewToken},
};
use crate::store::{Mode, home::Home};

/// 2027-01-15T08:00:00Z: the start of a minute, an hour and a day's tenth.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A home in a folder of its own, with an operator who changes it as another process would.
pub struct House {
    folder: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    pub ctx: Ctx,
}

impl House {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let ctx = open(&folder, &clock);
        Self { folder, clock, ctx }
    }

    /// Saves a policy: the defaults without limits, with `fields` laid over.
    pub fn policy(&self, name: &str, fields: Value) {
        let mut document = json!({"name": name, "rate_limits": {"requests_per_minute": null,
            "requests_per_hour": null, "requests_per_day": null}});
        for (field, value) in fields.as_object().unwrap() {
            document[field] = value.clone();
        }
        let policy = Policy::from_json(&document.to_string()).unwrap();
        ops::policy::apply(&self.ctx, policy, "test").unwrap();
    }

    pub fn scope(&self, name: &str, patterns: &[String]) {
        let endpoints = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
        let scope = Scope { name: name.parse().unwrap(), description: String::new(), endpoints };
        ops::scope::set(&self.ctx, scope).unwrap();
    }

    pub fn key_of(&self, subject: &str, policy: &str, scopes: &[&str]) -> (KeyId, String) {
        let new = NewKey {
            subject: subject.parse().unwrap(),
            scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
            policy: policy.parse().unwrap(),
            name: String::new(),
            environment: "live".parse().unwrap(),
            life: Some(Duration::from_secs(24 * 3600)),
        };
        let issued = ops::api_key::create(&self.ctx, new).unwrap();
        (issued.key.id, issued.text.expose().to_owned())
    }

    /// A key that may do everything, under a policy without limits.
    pub fn key(&self) -> String {
        self.policy("free", json!({}));
        self.key_of("alice", "free", &["mcp:*"]).1
    }

    /// A token of `alice` that may do everything for an hour, under a policy without limits, with what `change` makes of it.
    pub fn token(&self, policy: &str, change: impl FnOnce(&mut NewToken)) -> Issued {
        self.policy(policy, json!({}));
        ops::token::issue(&self.ctx, new_token(policy, change)).unwrap()
    }

    /// Every byte of the home's databases.
    pub fn written(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path().join("home")).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap_or_default()).collect()
    }

    pub fn revoke(&self, id: KeyId) {
        ops::api_key::revoke(&self.ctx, id, "test").unwrap();
    }

    /// A gateway in front of `upstream`, with timeouts short enough to be waited for where a test wants them to pass.
    pub fn gateway(&self, upstream: SocketAddr) -> Served {
        self.gateway_with(upstream, |_| {})
    }

    pub fn gateway_with(&self, upstream: SocketAddr, change: impl FnOnce(&mut Settings)) -> Served {
        let mut settings = Settings::new(format!("http://{upstream}/mcp").parse().unwrap());
        settings.listen.set_port(0);
        settings.admin_listen.set_port(0);
        settings.timeouts.stream_check = Duration::from_millis(5);
        change(&mut settings);
        let ctx = open(&self.folder, &self.clock);
        let vault = ctx.vault.as_ref().unwrap();
        let engine = Engine::start(ctx.store.clone(), vault, self.clock.clone()).unwrap();
        let running = Gateway::start(settings, engine.clone(), ctx.clone()).unwrap();
        Served { address: running.listen, admin: running.admin_listen, engine, running }
    }
}

fn open(folder: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Ctx {
    let home = Home::locate(Some(folder.path().join("home"))).unwrap();
    Ctx::open(&home, Mode::ReadWrite, "test", clock.clone()).unwrap()
}

/// The same token with another signature.
pub fn forged(token: &str) -> String {
    let (head, last) = token.split_at(token.len() - 20);
    let other = if last.starts_with('A') { "B" } else { "A" };
    format!("{head}{other}{}", &last[1..])
}

/// A gateway that serves.
pub struct Served {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub engine: Arc<Engine>,
    pub running: Running,
}

impl Served {
    /// How many calls had this outcome, by its code.
    pub fn count(&self, code: &str) -> u64 {
        self.engine
            .totals()
            .into_iter()
            .filter(|(outcome, _): &(Outcome, u64)| outcome.code() == code)
            .map(|(_, n)| n)
            .sum()
    }
}

pub type UpstreamBody = BoxBody<Bytes, Infallible>;

/// What the upstream received.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An MCP server as far as the gateway can tell.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

type Answer = Arc<dyn Fn(Received) -> BoxFuture<'static, Response<UpstreamBody>> + Send + Sync>;

impl Upstream {
    /// Answers the first `subscriptions/listen` with `stream`, and all else with an empty object.
    pub async fn streaming(stream: Response<UpstreamBody>) -> Self {
        let stream = Mutex::new(Some(stream));
        Self::answering(move |received| {
            let is_stream = received.headers.get("mcp-method").is_some_and(|is| is == "subscriptions/listen");
            let stream = if is_stream { stream.lock().unwrap().take() } else { None };
            async move { stream.unwrap_or_else(|| whole("application/json", "{}")) }
        })
        .await
    }

    /// Answers each request with what `answer` makes of it.
    pub async fn answering<F>(answer: impl Fn(Received) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<UpstreamBody>> + Send + 'static,
    {
        let answer: Answer = Arc::new(move |received| Box::pin(answer(received)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self { address: listener.local_addr().unwrap(), received: Arc::default() };
        let received = upstream.received.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, received) = (answer.clone(), received.clone());
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let (answer, received) = (answer.clone(), received.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        let target = parts.uri.to_string();
                        let one = Received { method: parts.method, target, headers: parts.headers, body };
                        received.lock().unwrap().push(one.clone());
                        hyper::Result::Ok(answer(one).await)
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        upstream
    }

    /// Answers every request with one JSON text.
    pub async fn json(text: &str) -> Self {
        let text = Bytes::copy_from_slice(text.as_bytes());
        Self::answering(move |_| {
            let text = text.clone();
            async move { whole("application/json", text) }
        })
        .await
    }

    /// Answers every call with an empty result.
    pub async fn plain() -> Self {
        Self::json(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).await
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn only(&self) -> Received {
        let all = self.received();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.into_iter().next().unwrap()
    }
}

pub fn whole(media: &'static str, body: impl Into<Bytes>) -> Response<UpstreamBody> {
    let mut response = Response::new(Full::new(body.into()).boxed());
    response.headers_mut().insert("content-type", HeaderValue::from_static(media));
    response
}

/// A body of events that the test sends one by one; `closed` on the sender tells that nobody reads any more.
pub fn events() -> (mpsc::Sender<&'static str>, Response<UpstreamBody>) {
    let (sender, receiver) = mpsc::channel::<&'static str>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let text = receiver.recv().await?;
        Some((Ok(Frame::data(Bytes::from_static(text.as_bytes()))), receiver))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed());
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream"));
    (sender, response)
}

/// What a client asks.
#[derive(Clone, Debug)]
pub struct Ask {
    pub request: Request<Bytes>,
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answered {
    /// Reads all of an answer.
    pub async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Self { status: head.status.as_u16(), headers: head.headers, body }
    }
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
    /// `error.data.reason`.
    pub fn reason(&self) -> String {
        self.json()["error"]["data"]["reason"].as_str().unwrap_or_default().to_owned()
    }
    pub fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or_default()
    }
}

impl Ask {
    pub fn new(method: Method, path: &str) -> Self {
        let request =
            Request::builder().method(method).uri(path).header("host", "localhost").body(Bytes::new());
        Self { request: request.unwrap() }
    }

    /// A POST to the MCP endpoint.
    pub fn post(body: impl Into<String>) -> Self {
        let ask = Self::new(Method::POST, "/mcp").body(body.into());
        ask.with("content-type", "application/json").with("accept", "application/json, text/event-stream")
    }

    /// A request of the era of sessions.
    pub fn old(method: &str, params: Value) -> Self {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        Self::post(body.to_string()).with("mcp-protocol-version", "2025-11-25")
    }

    /// A request as 2026-07-28 has it.
    pub fn modern(method: &str, mut params: Value) -> Self {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}});
        let target = match method {
            "tools/call" | "prompts/get" => params["name"].as_str().map(str::to_owned),
            "resources/read" => params["uri"].as_str().map(str::to_owned),
            _ => None,
        };
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let ask = Self::post(body.to_string())
            .with("mcp-protocol-version", "2026-07-28")
            .with("mcp-method", method);
        match target {
            Some(target) => ask.with("mcp-name", &target),
            None => ask,
        }
    }

    /// A call of a tool, in both eras.
    pub fn call_in_both_eras(tool: &str) -> [Self; 2] {
        let params = json!({"name": tool, "arguments": {}});
        [Self::old("tools/call", params.clone()), Self::modern("tools/call", params)]
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Adds a field; one that may stand once is replaced by [`Ask::instead`].
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.request.headers_mut().append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    pub fn instead(mut self, name: &str, value: &str) -> Self {
        self.request.headers_mut().insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.request.headers_mut().remove(name);
        self
    }

    pub fn key(self, key: &str) -> Self {
        self.instead("authorization", &format!("Bearer {key}"))
    }

    /// Sends it and returns when the answer begins.
    pub async fn begin(&self, to: SocketAddr) -> Response<Incoming> {
        let stream = TcpStream::connect(to).await.unwrap();
        let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(driver);
        sender.send_request(self.request.clone().map(Full::new)).await.unwrap()
    }

    /// Sends it and reads the whole answer.
    pub async fn send(&self, to: SocketAddr) -> Answered {
        Answered::read(self.begin(to).await).await
    }
}

/// The next piece of a body as text; `None` at its end.
pub async fn next(body: &mut Incoming) -> Option<Result<String, hyper::Error>> {
    let frame = body.frame().await?;
    Some(frame.map(|frame| String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()))
}
