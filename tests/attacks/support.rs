//! A home, a gateway on it, and what attackers send.

#[path = "../journeys/support/gateway.rs"]
#[allow(dead_code, reason = "shared with the journeys, which ask for more")]
pub mod gateway;
#[path = "../journeys/support/home.rs"]
#[allow(dead_code, reason = "shared with the journeys, which ask for more")]
pub mod home;
#[path = "../journeys/support/process.rs"]
#[allow(dead_code, reason = "shared with the journeys, which also write to their processes")]
pub mod process;

use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use self::{
    gateway::{Gateway, Reply, plain_client},
    home::{Home, policy},
};
use super::upstream::Upstream;

/// The binary under test.
pub const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");
/// How long a wait may last before it counts as failed. Generous: it only ever runs out where something is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Variables of the caller that would change what a child does.
pub const FOREIGN_VARIABLES: [&str; 5] =
    ["PORTCULLIS_HOME", "PORTCULLIS_MASTER_KEY_FILE", "PORTCULLIS_KEY", "NO_COLOR", "RUST_LOG"];

/// Where an attack takes place.
pub struct Scene {
    pub home: Home,
    pub upstream: Upstream,
    pub gateway: Gateway,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same with more options for `serve`.
    pub fn with(options: &[&str]) -> Self {
        let (home, upstream) = (Home::new(), Upstream::start());
        let gateway = Gateway::start(&home, &upstream.url, options);
        Self { home, upstream, gateway }
    }

    /// A policy of so many requests in any day, which no test sees the end of.
    pub fn limit(&self, name: &str, per_day: u32) {
        let limits = json!({
            "requests_per_minute": null, "requests_per_hour": null, "requests_per_day": per_day,
            "algorithm": "sliding",
        });
        self.home.apply_policy(&policy(name, &json!({ "rate_limits": limits })));
    }

    /// A key of `subject` for everything, under a policy of its own with that limit; its text.
    pub fn key(&self, subject: &str, per_day: u32) -> String {
        self.limit(subject, per_day);
        self.home.issue(subject, "mcp:*", &["--policy", subject]).key
    }

    /// A token of `subject` for everything, under the policy of its name.
    pub fn token(&self, subject: &str, more: &[&str]) -> String {
        let issue = ["token", "issue", "--subject", subject, "--scope", "mcp:*", "--policy", subject];
        let issued = self.home.json(&[&issue[..], more].concat());
        issued["token"].as_str().expect("the token").to_owned()
    }

    /// Sends a message of the older era, or a batch of them.
    pub fn send(&self, credential: &str, message: &Value) -> Reply {
        let version = if message.is_array() { "2025-03-26" } else { "2025-11-25" };
        let bearer = format!("Bearer {credential}");
        self.gateway.post(&[("Authorization", &bearer), ("MCP-Protocol-Version", version)], message)
    }

    /// Sends it so often, and says how often it passed.
    pub fn passed(&self, credential: &str, message: &Value, times: usize) -> usize {
        (0..times).filter(|_| has_passed(&self.send(credential, message))).count()
    }

    /// Posts a form to the authorization server.
    pub fn form(&self, path: &str, credential: &str, fields: &[(&str, &str)]) -> Reply {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = plain_client()
            .post(format!("{}{path}", self.gateway.origin))
            .bearer_auth(credential)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form);
        Reply::of(request.send().expect("the gateway answers"))
    }

    /// How many rows a table of the store has.
    pub fn rows(&self, table: &str) -> u64 {
        let path = self.home.path().join("portcullis.db");
        let store = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store");
        let count = store.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
        count.expect("a count").unsigned_abs()
    }
}

/// Whether a call passed: for older clients a refusal of a call is 200 with an error.
pub fn has_passed(reply: &Reply) -> bool {
    reply.status == 200 && !reply.text.contains("\"error\"")
}

pub fn request(id: u32, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method})
}

pub fn call() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {}}})
}

pub fn notification(method: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": method})
}
