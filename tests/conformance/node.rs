//! Node and what is installed for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

pub struct Node {
    /// Where `.ci/run` installed everything.
    folder: PathBuf,
    /// Our own scripts beside the installed packages: a script finds those in the folders above it.
    scripts: TempDir,
}

impl Node {
    /// `None` where it is not installed. The test then says that it is skipped, except under `PORTCULLIS_REQUIRE_PEERS`
    /// (set by `.ci/run`), where it fails.
    pub fn found() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("target/conformance");
        if !folder.join("installed").exists() {
            let message = "Node and the conformance suite are not installed; `.ci/run` installs them";
            assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{message}");
            eprintln!("SKIPPED: {message}");
            return None;
        }
        let scripts = TempDir::new_in(&folder).expect("a folder beside the packages");
        for source in ["server", "clients"] {
            for file in fs::read_dir(root.join("tests/conformance").join(source)).expect("our scripts") {
                let file = file.expect("a file");
                fs::copy(file.path(), scripts.path().join(file.file_name())).expect("room for a copy");
            }
        }
        Some(Self { folder, scripts })
    }

    /// One of our own scripts.
    pub fn script(&self, name: &str) -> Command {
        self.command(&self.scripts.path().join(name))
    }

    /// A script of an installed package.
    pub fn installed(&self, path: &str) -> Command {
        self.command(&self.folder.join("node_modules").join(path))
    }

    fn command(&self, script: &Path) -> Command {
        let mut command = Command::new(self.folder.join("node"));
        command.arg(script);
        // Loopback is reached directly.
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NODE_OPTIONS"] {
            command.env_remove(variable);
        }
        command
    }
}
