//! The proxies that people already run.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    time::Instant,
};

use crate::support::PATIENCE;

#[derive(Clone, Copy, Debug)]
pub enum Program {
    Nginx,
    Caddy,
    Haproxy,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
        }
    }

    /// Where it is installed. Where it is not the test says that it is skipped, except under `PORTCULLIS_REQUIRE_PEERS`
    /// (set by `.ci/run`), where it fails.
    pub fn found(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
        let found = folders.map(|folder| folder.join(self.name())).find(|file| file.is_file());
        if found.is_none() {
            let message = format!("{} is not installed; `.ci/run` installs it", self.name());
            assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{message}");
            eprintln!("SKIPPED: {message}");
        }
        found
    }
}

/// An address of this machine at which nothing listens yet.
pub fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("an address")
}

pub fn wait_until_it_listens(at: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(at).is_err() {
        assert!(Instant::now() < deadline, "the proxy does not listen on {at}");
        std::thread::yield_now();
    }
}
