//! A client that calls one gateway over a connection of its own, and keeps count of what became of its calls.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpStream, runtime::Runtime, task::JoinHandle, time::timeout};

use super::{fleet::Door, support::PATIENCE};

const REVISION: &str = "2026-07-28";
/// Numbers are given once in this process, so that an arrival names its call.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

pub struct Caller {
    door: Door,
    key: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// A connection that broke: whether the call came through is unknown.
#[derive(Debug)]
pub struct Broken;

/// What became of calls.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub statuses: BTreeMap<u16, u64>,
    pub broken: u64,
}

impl Tally {
    pub fn of(&self, status: StatusCode) -> u64 {
        self.statuses.get(&status.as_u16()).copied().unwrap_or(0)
    }

    pub fn allowed(&self) -> u64 {
        self.of(StatusCode::OK)
    }

    pub fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    pub fn denied(&self) -> u64 {
        self.answered() - self.allowed()
    }

    fn add(&mut self, other: &Self) {
        self.broken += other.broken;
        for (&status, calls) in &other.statuses {
            *self.statuses.entry(status).or_default() += calls;
        }
    }
}

impl Caller {
    pub fn new(door: Door, key: &str) -> Self {
        Self { door, key: key.to_owned(), connection: None }
    }

    pub fn number() -> u64 {
        NUMBERS.fetch_add(1, Ordering::Relaxed)
    }

    /// Calls a tool of the upstream; answers the status, once the answer was read to its end.
    pub async fn call(&mut self, number: u64) -> Result<StatusCode, Broken> {
        let status = timeout(PATIENCE, async {
            let response = self.send("note", number).await?;
            let status = response.status();
            response.into_body().collect().await.map_err(|_| Broken)?;
            Ok(status)
        });
        let status = status.await.expect("the gateway answers");
        if status.is_err() {
            self.connection = None;
        }
        status
    }

    /// Calls a tool and answers the head of the response.
    pub async fn send(&mut self, tool: &str, number: u64) -> Result<Response<Incoming>, Broken> {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientInfo": {"name": "under-fire", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({"name": tool, "arguments": {}, "_meta": meta});
        let message = json!({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params});
        let request = Request::post("/mcp")
            .header("Host", "127.0.0.1")
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .header("Authorization", format!("Bearer {}", self.key))
            .header("MCP-Protocol-Version", REVISION)
            .header("Mcp-Method", "tools/call")
            .header("Mcp-Name", tool)
            .body(Full::from(message.to_string()))
            .expect("a request");
        let connection = self.connect().await?;
        connection.send_request(request).await.map_err(|_| Broken)
    }

    /// The connection; a new one, to wherever the gateway now is, where the last one has ended.
    async fn connect(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Broken> {
        let mut kept = self.connection.take();
        if let Some(connection) = &mut kept
            && connection.ready().await.is_err()
        {
            kept = None;
        }
        let connection = match kept {
            Some(connection) => connection,
            None => {
                let address = *self.door.wait_for(Option::is_some).await.map_err(|_| Broken)?;
                let stream = TcpStream::connect(address.ok_or(Broken)?).await.map_err(|_| Broken)?;
                stream.set_nodelay(true).map_err(|_| Broken)?;
                let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Broken)?;
                tokio::spawn(driver);
                sender
            }
        };
        Ok(self.connection.insert(connection))
    }
}

/// How much callers ask for.
#[derive(Clone, Copy)]
pub struct Demand {
    /// Callers at each door.
    pub tasks: usize,
    /// How often in a row each is to be refused before it ends.
    pub refusals: u64,
    /// A caller that alone was let through more often than this ends as well: then no limit holds.
    pub most: u64,
}

/// Callers that ask for more than they may have.
pub struct Overload {
    tasks: Vec<JoinHandle<Tally>>,
    settled: Arc<AtomicBool>,
}

impl Overload {
    /// Each caller goes on until things are [settled](Self::settle) and it was refused often enough after that.
    pub fn start(runtime: &Runtime, doors: impl Iterator<Item = Door>, key: &str, demand: Demand) -> Self {
        let settled = Arc::<AtomicBool>::default();
        let task = |door: Door| runtime.spawn(overload(Caller::new(door, key), Arc::clone(&settled), demand));
        let tasks = doors.flat_map(|door| vec![door; demand.tasks]).map(task).collect();
        Self { tasks, settled }
    }

    /// Ends all calls, wherever they are.
    pub fn abandon(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    /// From here on nothing is killed or stopped any more. Answers what became of all calls.
    pub fn settle(self, runtime: &Runtime) -> Tally {
        self.settled.store(true, Ordering::SeqCst);
        let mut total = Tally::default();
        for task in self.tasks {
            total.add(&runtime.block_on(task).expect("a caller"));
        }
        total
    }
}

async fn overload(mut caller: Caller, settled: Arc<AtomicBool>, demand: Demand) -> Tally {
    let mut tally = Tally::default();
    let mut in_a_row = 0;
    while in_a_row < demand.refusals && tally.allowed() <= demand.most {
        // Looked at before the call: what counts began afterwards.
        let is_settled = settled.load(Ordering::SeqCst);
        match caller.call(Caller::number()).await {
            Ok(status) => {
                *tally.statuses.entry(status.as_u16()).or_default() += 1;
                let is_refused = status == StatusCode::TOO_MANY_REQUESTS;
                in_a_row = if is_refused && is_settled { in_a_row + 1 } else { 0 };
            }
            Err(Broken) => tally.broken += 1,
        }
    }
    tally
}
