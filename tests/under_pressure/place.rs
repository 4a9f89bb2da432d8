//! A home, an upstream, a gateway under TLS between them, and ways to connect.

use std::{
    fs,
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
};

use http_body_util::BodyExt;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    support::{PATIENCE, home::Home, home::policy, process::Process},
    upstream::Upstream,
};

pub const REVISION: &str = "2026-07-28";

pub struct Place {
    pub upstream: Upstream,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub key: String,
    id: u32,
    /// Never touched; in a lock so that tasks may share the place.
    _process: Mutex<Process>,
    root: CertificateDer<'static>,
    _home: Home,
}

impl Place {
    pub async fn new(more: &[&str]) -> Self {
        Self::limited("unlimited", more).await
    }

    /// `limit`: what `ulimit` is told before, unless it is `unlimited`.
    pub async fn limited(limit: &str, more: &[&str]) -> Self {
        let home = Home::new();
        home.apply_policy(&policy("free", &json!({})));
        let key = home.issue("alice", "mcp:*", &["--policy", "free"]).key;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, secret) = (home.path().join("cert.pem"), home.path().join("key.pem"));
        fs::write(&certificate, made.cert.pem()).expect("a file");
        fs::write(&secret, made.signing_key.serialize_pem()).expect("a file");
        let upstream = Upstream::start().await;
        let mut command = match limit {
            "unlimited" => home.command(),
            limit => under(limit, &home.command()),
        };
        command.args(["serve", "--log", "error", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.arg("--tls-cert").arg(certificate).arg("--tls-key").arg(secret);
        let mut process = Process::start(command.args(["--upstream", &upstream.url]).args(more));
        let address = address(&process.line());
        let admin = self::address(&process.line());
        let (id, root) = (process.id(), made.cert.der().clone());
        Self { upstream, address, admin, key, id, _process: Mutex::new(process), root, _home: home }
    }

    /// A connection on which nothing was said.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// One that has shaken hands.
    pub async fn handshake(&self, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.root.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, self.connect().await).await
    }

    /// Calls a tool over a connection of its own and answers the status and the body, which has begun.
    pub async fn call(&self, tool: &str) -> (u16, Incoming) {
        let called = timeout(PATIENCE, async {
            let stream = self.handshake(b"http/1.1").await.expect("a handshake");
            let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
            tokio::spawn(driver);
            let request = http::Request::post("/mcp")
                .header("Host", "localhost")
                .header("Content-Type", "application/json")
                .header("Accept", "application/json, text/event-stream")
                .header("Authorization", format!("Bearer {}", self.key))
                .header("MCP-Protocol-Version", REVISION)
                .header("Mcp-Method", "tools/call")
                .header("Mcp-Name", tool)
                .body(message(tool))
                .expect("a request");
            let response = sender.send_request(request).await.expect("the gateway answers");
            (response.status().as_u16(), response.into_body())
        });
        called.await.expect("the gateway answers in time")
    }

    /// An honest call, read to its end.
    pub async fn ask(&self, tool: &str) -> String {
        let (status, body) = self.call(tool).await;
        let body = timeout(PATIENCE, body.collect()).await.expect("an end").expect("a whole body").to_bytes();
        let text = String::from_utf8(body.to_vec()).expect("UTF-8");
        assert_eq!(status, 200, "{text}");
        text
    }

    /// How many files the gateway may have open, as `/proc` has it: the soft limit and the hard one.
    pub fn files(&self) -> [String; 2] {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.id)).expect("a process");
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("its limit");
        let mut words = line.split_whitespace().map(str::to_owned);
        [words.next().expect("a number"), words.next().expect("another")]
    }

    /// The gateway's resident memory, in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

pub fn message(tool: &str) -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientInfo": {"name": "under-pressure", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": tool, "arguments": {}, "_meta": meta});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
}

/// The same command in a shell that limits it first.
fn under(limit: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

fn address(line: &str) -> SocketAddr {
    let place = line.split_once("://").and_then(|(_, place)| place.split_whitespace().next());
    place
        .and_then(|place| place.parse().ok())
        .unwrap_or_else(|| panic!("not a `listening on …` line: {line}"))
}
