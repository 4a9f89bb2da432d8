//! Several gateways on one home, each of which can be stopped, killed and started again while callers keep calling.

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::watch;

use super::support::{home::Home, process::Process};

/// Where a gateway is to be reached; nowhere while it is down.
pub type Door = watch::Receiver<Option<SocketAddr>>;

pub struct Fleet {
    home: Arc<Home>,
    upstream: String,
    members: Vec<Member>,
}

struct Member {
    process: Option<Process>,
    door: watch::Sender<Option<SocketAddr>>,
}

impl Fleet {
    pub fn start(home: &Arc<Home>, upstream: &str, size: usize) -> Self {
        let members = (0..size).map(|_| Member { process: None, door: watch::Sender::new(None) }).collect();
        let mut fleet = Self { home: Arc::clone(home), upstream: upstream.to_owned(), members };
        (0..size).for_each(|index| fleet.open(index));
        fleet
    }

    pub fn doors(&self) -> impl Iterator<Item = Door> {
        self.members.iter().map(|member| member.door.subscribe())
    }

    /// Starts this gateway (again).
    pub fn open(&mut self, index: usize) {
        let mut command = self.home.command();
        command.args(["serve", "--log", "error", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        let mut process = Process::start(command.args(["--upstream", &self.upstream]));
        let line = process.line();
        let address = line.strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("not a `listening on …` line: {line}"));
        let member = &mut self.members[index];
        member.process = Some(process);
        member.door.send_replace(Some(address));
    }

    /// SIGTERM, which must drain, flush and exit 0.
    pub fn stop(&mut self, index: usize) {
        let member = &mut self.members[index];
        member.door.send_replace(None);
        let status = member.process.take().map(|mut process| process.terminate());
        assert!(status.is_some_and(|status| status.success()), "a gateway did not stop well");
    }

    pub fn stop_all(&mut self) {
        (0..self.members.len()).for_each(|index| self.stop(index));
    }

    /// SIGKILL, at whatever it is doing.
    pub fn kill(&mut self, index: usize) {
        let member = &mut self.members[index];
        // Dropping a process kills it.
        member.process = None;
        member.door.send_replace(None);
    }
}
