//! A running `portcullis serve`, and plain HTTP to it.

use serde_json::{Value, json};

use super::{home::Home, process::Process};

pub struct Gateway {
    process: Process,
    /// `http://127.0.0.1:PORT`
    pub origin: String,
    /// The same for the admin listener.
    pub admin: String,
    /// The MCP endpoint: the origin and the path of the upstream.
    pub endpoint: String,
}

impl Gateway {
    pub fn start(home: &Home, upstream: &str, more: &[&str]) -> Self {
        let mut command = home.command();
        command.args([
            "serve",
            "--upstream",
            upstream,
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ]);
        let mut process = Process::start(command.args(more));
        let origin = origin(&process.line());
        let admin = self::origin(&process.line());
        let path = upstream.splitn(4, '/').nth(3).unwrap_or_default();
        Self { endpoint: format!("{origin}/{path}"), origin, admin, process }
    }

    /// SIGTERM, which must drain, flush and exit 0.
    pub fn stop(mut self) {
        assert!(self.process.terminate().success());
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends one JSON-RPC message to the MCP endpoint with these headers beside the usual ones.
    pub fn post(&self, headers: &[(&str, &str)], message: &Value) -> Reply {
        let client = plain_client();
        let mut request = client
            .post(&self.endpoint)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .body(message.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::of(request.send().expect("the gateway answers"))
    }

    /// A stateless `tools/call` of the 2026-07-28 revision.
    pub fn call(&self, key: &str, tool: &str, arguments: Value) -> Reply {
        let credential = format!("Bearer {key}");
        let headers = [
            ("Authorization", credential.as_str()),
            ("MCP-Protocol-Version", REVISION),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", tool),
        ];
        self.post(&headers, &call_message(tool, arguments))
    }
}

pub const REVISION: &str = "2026-07-28";

pub fn call_message(tool: &str, arguments: Value) -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientInfo": {"name": "journeys", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
}

/// An HTTP client that no proxy setting of the environment leads astray.
pub fn plain_client() -> reqwest::blocking::Client {
    reqwest::blocking::Client::builder().no_proxy().timeout(super::PATIENCE).build().expect("a client")
}

/// An HTTP answer, read to its end.
pub struct Reply {
    pub status: u16,
    headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn of(response: reqwest::blocking::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().expect("the body") }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("visible ASCII"))
    }

    /// The JSON-RPC message in the body, or in the only event of a stream.
    pub fn message(&self) -> Value {
        let text = self.text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&self.text);
        serde_json::from_str(text)
            .unwrap_or_else(|error| panic!("{error} in {:?} (status {})", self.text, self.status))
    }
}

/// The origin that a `listening on …` line names.
pub fn origin(line: &str) -> String {
    let address = line
        .split_once("listening on ")
        .and_then(|(_, place)| place.split_whitespace().next())
        .unwrap_or_else(|| panic!("not a `listening on …` line: {line}"));
    let authority = address.trim_start_matches("http://").split('/').next().unwrap_or_default();
    format!("http://{authority}")
}
