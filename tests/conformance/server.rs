//! The server that the suite examines, and that the SDK's clients call.

use crate::{
    node::Node,
    support::{gateway::origin, process::Process},
};

pub struct Server {
    _process: Process,
    /// Its MCP endpoint.
    pub url: String,
}

impl Server {
    pub fn start(node: &Node) -> Self {
        let mut process = Process::start(&mut node.script("main.mjs"));
        let url = format!("{}/mcp", origin(&process.line()));
        Self { _process: process, url }
    }
}
