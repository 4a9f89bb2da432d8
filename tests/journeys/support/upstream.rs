//! An MCP server of the official SDK, and all that reached it.

use std::process::Command;

use serde_json::{Map, Value, json};

use super::{
    PORTCULLIS,
    gateway::{self, plain_client},
    process::Process,
    python::Generation,
};

pub struct Upstream {
    process: Process,
    /// Its MCP endpoint.
    pub url: String,
}

/// One HTTP request, as the server saw it.
#[derive(Debug)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Upstream {
    pub fn start(generation: Generation) -> Self {
        let mut process = Process::start(&mut generation.command("server.py"));
        let url = format!("{}/mcp", gateway::origin(&process.line()));
        Self { process, url }
    }

    /// Every request since the last time, up to now: the server tells them in their order, so one of our own marks the
    /// end.
    pub fn received(&mut self) -> Vec<Received> {
        let mark = "/end-of-the-requests";
        let reply = plain_client().get(self.url.replace("/mcp", mark)).send().expect("the server answers");
        assert_eq!(reply.status().as_u16(), 404);
        let mut all = Vec::new();
        loop {
            let received = Received::read(&self.process.line());
            if received.path == mark {
                return all;
            }
            all.push(received);
        }
    }
}

impl Received {
    fn read(line: &str) -> Self {
        let request: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        let text = |field: &str| request[field].as_str().unwrap_or_default().to_owned();
        let headers = request["headers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            method: text("method"),
            path: text("path"),
            headers: headers.iter().map(|pair| (word(&pair[0]), word(&pair[1]))).collect(),
            body: text("body"),
        }
    }

    /// Every value that this header came with; the name in lower case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// The demo's MCP server (the Rust SDK) by itself.
pub struct DemoServer {
    _process: Process,
    /// Its MCP endpoint.
    pub url: String,
}

impl DemoServer {
    pub fn start() -> Self {
        let mut command = Command::new(PORTCULLIS);
        let mut process = Process::start(command.args(["demo", "--server-only", "--listen", "127.0.0.1:0"]));
        let url = format!("{}/mcp", gateway::origin(&process.line()));
        Self { _process: process, url }
    }

    /// A tool of its that changes nothing, with arguments.
    pub fn harmless_call() -> (&'static str, Map<String, Value>) {
        ("search_docs", Map::from_iter([("query".to_owned(), json!("gate"))]))
    }
}
