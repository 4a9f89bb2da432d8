//! The load: `wrk`, one thread, 64 connections, each request with the key of the next client in turn.

use std::{fmt, fs, path::Path, process::Command, time::Duration};

use super::peer::Layout;

/// Connections, and clients with a key each.
pub const CLIENTS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `GET /data`.
    Plain,
    /// `POST /mcp`, `tools/call` of revision 2026-07-28.
    Mcp,
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain HTTP",
            Self::Mcp => "MCP tools/call",
        })
    }
}

/// One run against one peer.
pub struct Load<'a> {
    pub url: String,
    pub body: Body,
    pub keys: &'a [String],
    pub seconds: usize,
}

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub requests: u64,
    pub over: Duration,
    pub median: Duration,
    /// The 99th percentile.
    pub slow: Duration,
}

impl Load<'_> {
    /// Runs it. Ends the bench where not every answer was a good one: nothing is measured by refusals.
    pub fn run(&self, folder: &Path, layout: Layout) -> Answered {
        let script = folder.join("load.lua");
        fs::write(&script, self.script()).expect("the script is written");
        let seconds = format!("{}s", self.seconds);
        let connections = CLIENTS.to_string();
        let output = Command::new("taskset")
            .args(["-c", layout.cores_of_load(), "wrk", "-t", "1", "-c", &connections, "-d", &seconds])
            .args(["--timeout", "30s", "-s"])
            .arg(&script)
            .arg(&self.url)
            .output()
            .expect("wrk runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let found = text.lines().find_map(|line| line.strip_prefix("measured ")).and_then(read);
        found.unwrap_or_else(|| {
            eprintln!("{} did not answer every request well:\n{text}", self.url);
            std::process::exit(1)
        })
    }

    /// A request for each key, made once; then they are only handed out.
    fn script(&self) -> String {
        let keys: Vec<_> = self.keys.iter().map(|key| format!("\"{key}\"")).collect();
        let (method, headers, body) = match self.body {
            Body::Plain => ("GET", "", "nil".to_owned()),
            Body::Mcp => ("POST", MCP_HEADERS, format!("'{MCP_BODY}'")),
        };
        format!(
            r#"local keys = {{{keys}}}
local requests, next = {{}}, 0
function init()
  for index, key in ipairs(keys) do
    local headers = {{["Authorization"] = "Bearer " .. key{headers}}}
    requests[index] = wrk.format("{method}", wrk.path, headers, {body})
  end
end
function request()
  next = next % #requests + 1
  return requests[next]
end
function done(summary, latency)
  local errors = summary.errors
  local bad = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format("%s %d %d %d %d", bad == 0 and "measured" or "failed " .. bad, summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99)))
end
"#,
            keys = keys.join(", "),
        )
    }
}

const MCP_HEADERS: &str = r#", ["Content-Type"] = "application/json", ["Accept"] = "application/json, text/event-stream", ["MCP-Protocol-Version"] = "2026-07-28", ["Mcp-Method"] = "tools/call", ["Mcp-Name"] = "search_docs""#;
const MCP_BODY: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"search_docs","arguments":{"query":"how are keys rotated","limit":10},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// Requests, and microseconds: of the whole run, at the median, at the 99th percentile.
fn read(line: &str) -> Option<Answered> {
    let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().ok());
    let requests = numbers.next()??;
    let mut time = || Some(Duration::from_micros(numbers.next()??));
    Some(Answered { requests, over: time()?, median: time()?, slow: time()? })
}
