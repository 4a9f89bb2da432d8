//! The proxies that people already run.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use tempfile::TempDir;

use crate::support::{PATIENCE, process::Process};

/// Where nobody but this machine reaches it.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The file with the configuration of a proxy.
pub const CONFIGURATION: &str = "configuration";

#[derive(Clone, Copy, Debug)]
pub enum Program {
    Nginx,
    Caddy,
    Haproxy,
    Envoy,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    /// Where it is installed. Where it is not the test says that it is skipped, except under `PORTCULLIS_REQUIRE_PEERS`
    /// (set by `.ci/run`), where it fails.
    pub fn found(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Envoy comes from PyPI.
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/envoy/bin");
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into(), own]);
        let found = folders.map(|folder| folder.join(self.name())).find(|file| file.is_file());
        if found.is_none() {
            let message = format!("{} is not installed; `.ci/run` installs it", self.name());
            assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{message}");
            eprintln!("SKIPPED: {message}");
        }
        found
    }

    /// Starts the one that was found, in a folder with these files for its listener: [`CONFIGURATION`], and what that asks
    /// for. It listens on this address, which may stand for all there are.
    pub fn start(
        self,
        found: &Path,
        address: IpAddr,
        files: impl FnOnce(SocketAddr) -> Vec<(&'static str, String)>,
    ) -> Proxy {
        let listen = SocketAddr::new(address, free_address().port());
        let folder = TempDir::new().expect("a temporary folder");
        for (name, text) in files(listen) {
            fs::write(folder.path().join(name), text).expect("the folder is writable");
        }
        let mut command = Command::new(found);
        command.current_dir(&folder).env("HOME", folder.path());
        match self {
            Self::Nginx => {
                command.args(["-e", "stderr", "-p"]).arg(folder.path()).args(["-c", CONFIGURATION])
            }
            Self::Caddy => command
                .args(["run", "--config", CONFIGURATION, "--adapter", "caddyfile"])
                .env("XDG_CONFIG_HOME", folder.path())
                .env("XDG_DATA_HOME", folder.path()),
            Self::Haproxy => command.args(["-db", "-f", CONFIGURATION]),
            // It knows by the end of the name in which language a file is.
            Self::Envoy => {
                let yaml = "configuration.yaml";
                fs::rename(folder.path().join(CONFIGURATION), folder.path().join(yaml))
                    .expect("it was written");
                command.args([
                    "--disable-hot-restart",
                    "--concurrency",
                    "1",
                    "--log-level",
                    "error",
                    "-c",
                    yaml,
                ])
            }
        };
        let process = Process::start(&mut command);
        let reached_at = SocketAddr::from(([127, 0, 0, 1], listen.port()));
        wait_until_it_listens(reached_at);
        Proxy { listen: reached_at, _process: process, _folder: folder }
    }
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    pub listen: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

/// A configuration of nginx for one who runs it in a folder of its own, with this in its `http`.
pub fn nginx(http: &str) -> String {
    format!(
        "daemon off; master_process off; error_log stderr; pid nginx.pid; events {{}}\n\
         http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n{http}\n}}\n"
    )
}

/// An address of this machine at which nothing listens yet.
fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("an address")
}

fn wait_until_it_listens(at: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(at).is_err() {
        assert!(Instant::now() < deadline, "the proxy does not listen on {at}");
        std::thread::yield_now();
    }
}
