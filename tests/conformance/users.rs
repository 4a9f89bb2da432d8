//! What each client shows to who uses it, with every kind of key: lists, calls and reads with what its scopes cover, and a
//! sentence that says why where they do not, or where the key is revoked, mistyped or absent.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    node::Node,
    server::Server,
    support::{
        client::{Answer, Client},
        gateway::Gateway,
        home::{Home, policy},
        process::Process,
        python::{Generation, peers_are_here},
    },
};

const TOOL: &str = "test_simple_text";
const RESOURCE: &str = "test://static-text";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Inspector,
    McpRemote,
    TypeScript(Generation),
    Python(Generation),
}

use Generation::{New, Old};
use User::{Inspector, McpRemote, Python, TypeScript};

const USERS: [User; 6] = [Inspector, McpRemote, TypeScript(New), TypeScript(Old), Python(New), Python(Old)];

// What a tool and a resource answer, and what is said of them that may not be called or read.
const LISTED: &str = TOOL;
const CALLED: &str = "This is a simple text response for testing.";
const READ: &str = "This is the content of the static text resource.";
const EMPTY: &str = "[]";
const NO_CALL: &str =
    "none of this credential's scopes covers tools/call/test_simple_text; the scope tools:call would";
const NO_READ: &str = "none of this credential's scopes covers resources/read/test://static-text; the scope resources:read would";
const BLOCKED: &str = "the policy does not admit tools/call/test_simple_text";

/// What is shown for list, call and read with a key of each scope, and with one whose policy blocks the tool.
const SHOWN: [(&str, [&str; 3]); 4] = [
    ("mcp:use", [LISTED, CALLED, READ]),
    ("mcp:read", [EMPTY, NO_CALL, READ]),
    ("tools:call", [LISTED, CALLED, NO_READ]),
    ("blocked", ["test_image_content", BLOCKED, READ]),
];
/// The Inspector looks for a tool in the list before it calls it.
const NOT_LISTED: &str = "Tool 'test_simple_text' not found on server";

const NEEDED: &str = "a valid API key or token is needed, and this request came with none, or with one that is mistyped, expired or \
                      withdrawn";
const NO_LOGIN: &str = "nobody can log in here: this gateway takes an API key or a token";

/// What is shown where the key is revoked, mistyped or absent: by itself, and by a host that would log in.
const REFUSED: [(User, bool, &str); 10] = [
    (Inspector, false, NEEDED),
    (McpRemote, true, NO_LOGIN),
    (TypeScript(Old), false, NEEDED),
    (TypeScript(Old), true, NO_LOGIN),
    // This SDK tells of the status alone, unless it may log in.
    (TypeScript(New), false, "the server requires authorization (HTTP 401)"),
    (TypeScript(New), true, NO_LOGIN),
    (Python(New), false, NEEDED),
    (Python(New), true, NO_LOGIN),
    // As does this one.
    (Python(Old), false, "Client error '401 Unauthorized'"),
    (Python(Old), true, NO_LOGIN),
];

struct Stage {
    node: Node,
    folder: TempDir,
    endpoint: String,
}

#[test]
fn every_client_shows_its_user_what_the_key_allows_and_why_not() {
    let Some(node) = Node::found().filter(|_| peers_are_here()) else { return };
    let (server, home) = (Server::start(&node), Home::new());
    home.apply_policy(&policy(
        "careful",
        &json!({"endpoint_restrictions": {
            "allowed_endpoints": [], "blocked_endpoints": [format!("tools/call/{TOOL}")],
        }}),
    ));
    let key = |scope: &str| match scope {
        "blocked" => home.issue("ada", "mcp:use", &["--policy", "careful"]),
        scope => home.issue("ada", scope, &[]),
    };
    let gateway = Gateway::start(&home, &server.url, &[]);
    let folder = TempDir::new().expect("a temporary folder");
    let stage = Stage { node, folder, endpoint: gateway.endpoint.clone() };
    for (scope, expected) in SHOWN {
        let key = key(scope).key;
        for user in USERS {
            let shown = stage.shown(user, &key);
            for ((act, shown), expected) in ["list", "call", "read"].iter().zip(&shown).zip(expected) {
                let is_unlisted = user == Inspector && [NO_CALL, BLOCKED].contains(&expected);
                let expected = if is_unlisted { NOT_LISTED } else { expected };
                assert!(shown.contains(expected), "{user:?} with {scope} shows for {act}: {shown}");
            }
            assert_eq!(shown[0].contains(TOOL), expected[0] == LISTED, "{user:?} with {scope}: {}", shown[0]);
        }
    }
    let revoked = home.issue("eve", "mcp:use", &[]);
    home.json(&["key", "revoke", &revoked.id]);
    let good = home.issue("ada", "mcp:use", &[]).key;
    let other = if good.ends_with('x') { 'y' } else { 'x' };
    let mistyped = format!("{}{other}", &good[..good.len() - 1]);
    for (what, key) in [("revoked", Some(&revoked.key)), ("mistyped", Some(&mistyped)), ("none", None)] {
        for (user, logs_in, expected) in REFUSED {
            let shown = stage.refused(user, key.map(String::as_str), logs_in);
            assert!(shown.contains(expected), "{user:?} ({logs_in}) with {what} shows: {shown}");
        }
    }
}

impl Stage {
    /// What is shown for list, call and read.
    fn shown(&self, user: User, key: &str) -> [String; 3] {
        match user {
            Inspector => [
                &["--method", "tools/list"][..],
                &["--method", "tools/call", "--tool-name", TOOL],
                &["--method", "resources/read", "--uri", RESOURCE],
            ]
            .map(|asked| self.inspect(Some(key), asked)),
            McpRemote => self.relay(key),
            TypeScript(_) | Python(_) => {
                let (mut client, connected) = Client::run(self.sdk(user), &self.endpoint, Some(key));
                assert!(connected.fields["connected"].is_object(), "{user:?}: {connected:?}");
                let shown = [
                    json!({"do": "tools"}),
                    json!({"do": "call", "tool": TOOL}),
                    json!({"do": "read", "uri": RESOURCE}),
                ]
                .map(|asked| said(&client.ask(&asked)));
                client.end();
                shown
            }
        }
    }

    /// What is shown where it cannot connect.
    fn refused(&self, user: User, key: Option<&str>, logs_in: bool) -> String {
        match user {
            Inspector => self.inspect(key, &["--method", "tools/list", "--stored-auth-only"]),
            McpRemote => Process::start(&mut self.remote(key)).errors(),
            TypeScript(_) | Python(_) => {
                let mut command = self.sdk(user);
                if logs_in {
                    command.env("PORTCULLIS_LOGIN", "1");
                }
                let (_, answer) = Client::run(command, &self.endpoint, key);
                answer.fields["ended"][0]
                    .as_str()
                    .unwrap_or_else(|| panic!("{user:?}: {answer:?}"))
                    .to_owned()
            }
        }
    }

    fn sdk(&self, user: User) -> Command {
        match user {
            Python(generation) => generation.command(generation.client()),
            _ => {
                let mut command = self.node.script("client.mjs");
                command.arg(if user == TypeScript(New) { "new" } else { "old" });
                command
            }
        }
    }

    /// An installed program, in a home of its own.
    fn program(&self, path: &str) -> Command {
        let mut command = self.node.installed(path);
        command.env("HOME", self.folder.path()).env("MCP_REMOTE_CONFIG_DIR", self.folder.path());
        command
    }

    /// One act by the Inspector's command line.
    fn inspect(&self, key: Option<&str>, asked: &[&str]) -> String {
        let mut command = self.program("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
        command.args(["--cli", &self.endpoint]).args(asked);
        if let Some(key) = key {
            command.args(["--header", &format!("Authorization: Bearer {key}")]);
        }
        let ended = command.output().expect("it runs");
        [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
    }

    fn remote(&self, key: Option<&str>) -> Command {
        let mut command = self.program("mcp-remote/dist/proxy.js");
        command.arg(&self.endpoint);
        if let Some(key) = key {
            command.args(["--header", &format!("Authorization: Bearer {key}")]);
        }
        command
    }

    /// A client on stdio, by way of `mcp-remote`.
    fn relay(&self, key: &str) -> [String; 3] {
        let mut process = Process::start(&mut self.remote(Some(key)));
        let mut ask = |id: u32, method: &str, params: Value| {
            let asked = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
            process.write_line(&asked.to_string());
            loop {
                let line = process.line();
                let message: Value =
                    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
                if message["id"] == id {
                    if id == 0 {
                        process.write_line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
                    }
                    return line;
                }
            }
        };
        let me = json!({"name": "journeys", "version": "1"});
        ask(0, "initialize", json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": me}));
        [
            ask(1, "tools/list", json!({})),
            ask(2, "tools/call", json!({"name": TOOL, "arguments": {}})),
            ask(3, "resources/read", json!({"uri": RESOURCE})),
        ]
    }
}

/// What an SDK handed to its caller.
fn said(answer: &Answer) -> String {
    match answer.fields.get("error") {
        Some(error) => error["message"].as_str().unwrap_or_default().to_owned(),
        None => answer.result().to_string(),
    }
}
