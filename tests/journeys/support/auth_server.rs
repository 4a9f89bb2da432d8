//! An OAuth authorization server that is not ours, and what it did: see `tests/clients/auth_server.py`.

use serde_json::Value;

use super::{gateway::plain_client, process::Process, python::Generation};

pub struct AuthServer {
    process: Process,
    /// Its `iss`, which has a path.
    pub issuer: String,
}

impl AuthServer {
    /// With `first`, whoever asks for the first time is granted these scopes alone.
    pub fn start(first: &[&str]) -> Self {
        let mut command = Generation::New.command("auth_server.py");
        let mut process = Process::start(command.args(first));
        let line = process.line();
        let issuer = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { process, issuer }
    }

    /// What it did since the last time, up to now: one request of our own marks the end.
    pub fn did(&mut self) -> Vec<Value> {
        let mark = "/end-of-the-requests";
        let (origin, _) = self.issuer.split_once("/tenants").expect("a path");
        plain_client().get(format!("{origin}{mark}")).send().expect("it answers");
        let mut all = Vec::new();
        loop {
            let line = self.process.line();
            let did: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
            if did["asked"] == mark {
                return all;
            }
            all.push(did);
        }
    }
}
