//! Who is measured: how each is set up, on which processors, before the one upstream.

use std::{
    fmt, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use portcullis::{
    domain::policy::Policy,
    ops::{self, Ctx, api_key::NewKey},
};

use super::{
    load::{Body, CLIENTS},
    process::{Program, find},
    support,
};

const NGINX: &str = include_str!("nginx.conf");
const HAPROXY: &str = include_str!("haproxy.cfg");
/// Limits that every request is charged to and that none meets.
const POLICY: &str = r#"{"name": "bench", "rate_limits":
    {"requests_per_minute": 100000000, "requests_per_hour": 500000000, "requests_per_day": 1000000000}}"#;

/// Who runs on which processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The proxy alone on one core; the load and the upstream on the other.
    Pinned,
    /// All on two cores, with a worker a core.
    Free,
}

impl Layout {
    fn cores_of_proxy(self) -> &'static str {
        if self == Self::Pinned { "0" } else { "0,1" }
    }

    pub fn cores_of_load(self) -> &'static str {
        if self == Self::Pinned { "1" } else { "0,1" }
    }

    fn workers(self) -> &'static str {
        if self == Self::Pinned { "1" } else { "2" }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pinned => "pinned",
            Self::Free => "free",
        })
    }
}

/// One that is measured. `direct` has no program of its own.
pub struct Peer {
    name: &'static str,
    port: u16,
    program: Option<Program>,
}

impl Peer {
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn url(&self, body: Body) -> String {
        let path = if body == Body::Mcp { "mcp" } else { "data" };
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    pub fn spent(&self) -> Duration {
        self.program.as_ref().map_or(Duration::ZERO, Program::spent)
    }

    pub fn resident(&self) -> u64 {
        self.program.as_ref().map_or(0, Program::resident)
    }
}

/// All of them, up and before the same upstream.
pub struct Stage {
    pub layout: Layout,
    pub folder: PathBuf,
    /// A key for each client.
    pub keys: Vec<String>,
    pub peers: Vec<Peer>,
    _upstream: Program,
}

impl Stage {
    /// Starts everyone; returns when all take connections. `before`: another portcullis to measure beside this one.
    pub fn set(folder: &Path, layout: Layout, before: Option<&Path>) -> Self {
        let upstream = free_port();
        let answer = r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[{"type":"text","text":"Keys are rotated with key rotate."}]}}"#;
        let service = format!(
            "server {{ listen 127.0.0.1:{upstream}; location / {{ return 200 '{answer}'; }} location /verify {{ return 204; }} }}"
        );
        let upstream_program = nginx(folder, layout.cores_of_load(), "upstream", layout.workers(), &service);
        let ours = Path::new(env!("CARGO_BIN_EXE_portcullis"));
        let home = folder.join("home");
        let keys = make_keys(&home);
        let map: String =
            keys.iter().enumerate().map(|(index, key)| format!("{key} client-{index}\n")).collect();
        fs::write(folder.join("keys.map"), map).expect("the map is written");

        let mut peers = vec![
            Peer { name: "direct", port: upstream, program: None },
            proxy_pass(folder, layout, upstream),
            auth_request(folder, layout, upstream),
            haproxy(folder, layout, upstream),
            portcullis("portcullis", ours, &home, layout, upstream),
        ];
        peers.extend(before.map(|binary| portcullis("before", binary, &home, layout, upstream)));
        peers.iter().for_each(|peer| wait_for(peer.port));
        Self { layout, folder: folder.to_owned(), keys, peers, _upstream: upstream_program }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn wait_for(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "nobody listens on port {port}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn nginx(folder: &Path, cores: &str, role: &str, workers: &str, servers: &str) -> Program {
    let text = NGINX
        .replace("@ROLE@", role)
        .replace("@WORKERS@", workers)
        .replace("@FOLDER@", &folder.display().to_string())
        .replace("@SERVERS@", servers);
    let file = folder.join(format!("{role}.conf"));
    fs::write(&file, text).expect("the configuration is written");
    let program = find("nginx").expect("nginx was found");
    let (file, folder) = (file.display().to_string(), folder.display().to_string());
    Program::start(cores, &program, &["-p", &folder, "-c", &file])
}

const FORWARD: &str =
    "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Authorization '';
    proxy_pass http://behind;";

fn proxy_pass(folder: &Path, layout: Layout, upstream: u16) -> Peer {
    let port = free_port();
    let servers = format!(
        "upstream behind {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
         server {{ listen 127.0.0.1:{port}; location / {{ {FORWARD} }} }}"
    );
    let program = nginx(folder, layout.cores_of_proxy(), "nginx", layout.workers(), &servers);
    Peer { name: "nginx", port, program: Some(program) }
}

fn auth_request(folder: &Path, layout: Layout, upstream: u16) -> Peer {
    let port = free_port();
    let servers = format!(
        "upstream behind {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
         server {{ listen 127.0.0.1:{port};
             location / {{ auth_request /verify; {FORWARD} }}
             location = /verify {{ internal; proxy_pass_request_body off; proxy_set_header Content-Length '';
                 proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://behind; }} }}"
    );
    let program = nginx(folder, layout.cores_of_proxy(), "auth_request", layout.workers(), &servers);
    Peer { name: "auth_request", port, program: Some(program) }
}

fn haproxy(folder: &Path, layout: Layout, upstream: u16) -> Peer {
    let port = free_port();
    let text = HAPROXY
        .replace("@WORKERS@", layout.workers())
        .replace("@PORT@", &port.to_string())
        .replace("@UPSTREAM@", &upstream.to_string())
        .replace("@FOLDER@", &folder.display().to_string());
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text).expect("the configuration is written");
    let program = find("haproxy").expect("haproxy was found");
    let program = Program::start(layout.cores_of_proxy(), &program, &["-f", &file.display().to_string()]);
    Peer { name: "haproxy", port, program: Some(program) }
}

fn portcullis(name: &'static str, binary: &Path, home: &Path, layout: Layout, upstream: u16) -> Peer {
    let (home, upstream) = (home.display().to_string(), format!("http://127.0.0.1:{upstream}/mcp"));
    let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let arguments =
        [&["--home", &home, "serve", "--log", "error", "--upstream", &upstream][..], &listen].concat();
    let (program, line) = Program::start_and_read(layout.cores_of_proxy(), binary, &arguments);
    let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    Peer { name, port: port.expect("a `listening on …` line"), program: Some(program) }
}

/// A home with a key for each client, under a policy that limits; what the clients present.
fn make_keys(home: &Path) -> Vec<String> {
    let ctx = support::open(home);
    let policy = Policy::from_json(POLICY).expect("a policy");
    ops::policy::apply(&ctx, policy, "bench").expect("the policy is saved");
    (0..CLIENTS).map(|index| make_key(&ctx, index)).collect()
}

fn make_key(ctx: &Ctx, index: usize) -> String {
    let new = NewKey {
        subject: format!("client-{index}").parse().expect("a subject"),
        scopes: vec!["mcp:*".parse().expect("a scope")],
        policy: "bench".parse().expect("a name"),
        name: String::new(),
        environment: Default::default(),
        life: Some(ops::api_key::DEFAULT_LIFE),
    };
    ops::api_key::create(ctx, new).expect("a key").text.expose().to_owned()
}
