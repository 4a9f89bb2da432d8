//! A gateway in front of a recorder, and keys to it.

use std::net::SocketAddr;

use serde_json::json;

use crate::{
    recorder::Recorder,
    support::{
        home::{Home, Issued, policy},
        process::Process,
    },
    wire,
};

/// A call that every place answers.
pub const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

pub struct Place {
    pub home: Home,
    pub recorder: Recorder,
    pub gateway: SocketAddr,
    pub process: Process,
    /// The key of `subject-0`, who may do everything.
    pub key: String,
}

impl Place {
    pub fn new(more: &[&str]) -> Self {
        Self::before(Recorder::start(), more)
    }

    pub fn before(recorder: Recorder, more: &[&str]) -> Self {
        let home = Home::new();
        home.apply_policy(&policy("free", &json!({})));
        let key = issue(&home, 0).key;
        let mut command = home.command();
        command.args(["serve", "--log", "error", "--admin-listen", "127.0.0.1:0"]);
        if !more.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut process = Process::start(command.args(["--upstream", &recorder.url()]).args(more));
        let gateway = address(&process.line());
        Self { home, recorder, gateway, process, key }
    }

    /// A request that nothing is wrong with is answered, and reaches the upstream as it is.
    pub fn assert_serves(&self) {
        let heard = wire::speak(self.gateway, &self.post("Connection: close\r\n", PING));
        assert_eq!(heard.statuses(), [200], "an honest request");
        let arrived = self.recorder.take();
        let bodies: Vec<_> = arrived.iter().map(|request| request.body.as_slice()).collect();
        assert_eq!(bodies, [PING.as_bytes()], "an honest request at the upstream");
    }

    /// A POST to the MCP endpoint of the era of sessions, with these fields beside the usual ones.
    pub fn post(&self, fields: &str, body: &str) -> Vec<u8> {
        let (key, length) = (&self.key, body.len());
        format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// A key for everything. The recorder knows its subjects by their name.
pub fn issue(home: &Home, number: usize) -> Issued {
    home.issue(&format!("subject-{number}"), "mcp:*", &["--policy", "free", "--expires-in", "24h"])
}

fn address(line: &str) -> SocketAddr {
    let address = line.split_once("://").map(|(_, address)| address).and_then(|text| text.parse().ok());
    address.unwrap_or_else(|| panic!("not a `listening on …` line: {line}"))
}
