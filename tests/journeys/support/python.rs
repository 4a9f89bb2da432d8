//! Where the Python peers live, and what happens where they do not.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Which SDK, hence which era of MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// SDK 2.x, MCP 2026-07-28.
    New,
    /// SDK 1.x, MCP 2025-11-25.
    Old,
}

impl Generation {
    pub const BOTH: [Self; 2] = [Self::New, Self::Old];

    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Old => "old",
        }
    }

    /// The file of this generation's client.
    pub fn client(self) -> &'static str {
        match self {
            Self::New => "new_era.py",
            Self::Old => "old_era.py",
        }
    }

    /// A script of `tests/clients` in this generation's environment.
    pub fn command(self, script: &str) -> Command {
        let mut command = Command::new(self.interpreter());
        // Output must come as it is written, and no cache may appear beside the scripts.
        command.arg("-uB").arg(root().join("tests/clients").join(script));
        command
    }

    fn interpreter(self) -> PathBuf {
        root().join("target/clients").join(self.name()).join("bin/python")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether the Python peers are installed. Where they are not the test says that it is skipped, except under
/// `PORTCULLIS_REQUIRE_PEERS` (set by `.ci/run`), where it fails.
pub fn peers_are_here() -> bool {
    let missing: Vec<_> = Generation::BOTH.into_iter().filter(|peer| !peer.interpreter().exists()).collect();
    if missing.is_empty() {
        return true;
    }
    // The harness names the thread of a test after it.
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let message = format!("{test}: the official SDK ({missing:?}) is not installed; `.ci/run` installs it");
    assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{message}");
    eprintln!("SKIPPED: {message}");
    false
}
