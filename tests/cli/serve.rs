//! `portcullis serve`: a real gateway process before a real MCP server process, and other processes
//! that change the store meanwhile.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::support::{Place, SERVE, Service, code, err, out};

/// An answer: its status, its head in lower case, and its body.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

pub fn exchange(address: &str, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

pub fn get(address: &str, path: &str) -> Answer {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

/// One call in the stateless era.
pub fn call(address: &str, key: Option<&str>, tool: &str) -> Answer {
    let body = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {
            "name": tool, "arguments": {"query": "release"},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {}
            }
        }
    })
    .to_string();
    let authorization = key.map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
    exchange(
        address,
        &format!(
            "POST /mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\n{authorization}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

/// A gateway before the demo's MCP server.
pub struct Stage {
    pub place: Place,
    _server: Service,
    upstream: String,
    pub gateway: Service,
    pub listen: String,
    admin: String,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With more options of `serve`.
    pub fn with(options: &[&str]) -> Self {
        let place = Place::new();
        let mut server = Service::start(&place, &["demo", "--server-only"]);
        let upstream = server.listening();
        let mut gateway = Service::start(
            &place,
            &[
                &[
                    "serve",
                    "--upstream",
                    &upstream,
                    "--listen",
                    "127.0.0.1:0",
                    "--admin-listen",
                    "127.0.0.1:0",
                ],
                options,
            ]
            .concat(),
        );
        let listen = gateway.listening().strip_prefix("http://").unwrap().to_owned();
        let admin = gateway.listening();
        let admin = admin.strip_prefix("http://").unwrap().strip_suffix(" (admin)").unwrap().to_owned();
        Self { place, _server: server, upstream, gateway, listen, admin }
    }
}

#[test]
fn a_call_passes_until_another_process_revokes_its_key() {
    let mut stage = Stage::new();
    let (id, key) = stage.place.key(&["--subject", "alice", "--scope", "tools:call"]);
    let answer = call(&stage.listen, Some(&key), "search_docs");
    assert_eq!(answer.status, 200, "{}{}", answer.head, answer.body);
    assert!(answer.body.contains("Releases"), "{}", answer.body);

    stage.place.ok(&["key", "revoke", &id]);
    let answer = call(&stage.listen, Some(&key), "search_docs");
    assert_eq!(answer.status, 401, "the very next request is refused");
    assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    assert!(!answer.body.contains("revoked"), "no oracle: {}", answer.body);

    assert_eq!(stage.gateway.terminate(), 0);
    let summary = stage.place.json(&["usage", "summary"]);
    assert_eq!((&summary["allowed"], &summary["denied"]), (&json!(1), &json!(1)), "{summary}");
    let events = stage.place.json(&["event", "list", "--kind", "revoked"]);
    assert_eq!(events["items"][0]["credential"], json!(id), "{events}");
    let acts =
        |act: &str| stage.place.json(&["audit", "list", "--act", act])["items"].as_array().unwrap().len();
    assert_eq!((acts("gateway.start"), acts("gateway.stop")), (1, 1));
    assert_eq!(stage.place.json(&["status"])["gateway"]["last"], json!("stopped"));
    assert_eq!(stage.place.json(&["audit", "verify"])["valid"], json!(true));
}

#[test]
fn what_verify_says_is_what_the_gateway_does() {
    let stage = Stage::new();
    let policy =
        json!({"name": "narrow", "endpoint_restrictions": {"blocked_endpoints": ["tools/call/send_email"]}});
    stage.place.ok(&["policy", "create", &stage.place.file("narrow.json", policy.to_string())]);
    let (_, reader) = stage.place.key(&["--subject", "reader", "--scope", "mcp:read"]);
    let (_, caller) =
        stage.place.key(&["--subject", "caller", "--scope", "tools:call", "--policy", "narrow"]);
    for (key, tool, status, reason) in [
        (Some(&reader), "search_docs", 403, "insufficient_scope"),
        (Some(&caller), "send_email", 403, "endpoint_denied"),
        (Some(&caller), "search_docs", 200, ""),
        (None, "search_docs", 401, "missing_credential"),
    ] {
        let answer = call(&stage.listen, key.map(String::as_str), tool);
        assert_eq!(answer.status, status, "{tool}: {}", answer.body);
        let endpoint = format!("tools/call/{tool}");
        let told = stage.place.feed(
            &["key", "verify", "--endpoint", &endpoint, "--ip", "127.0.0.1", "--json"],
            key.map_or("", String::as_str),
        );
        let told = serde_json::from_str::<Value>(&out(&told)).unwrap();
        assert_eq!(told["reason"].as_str().unwrap_or_default(), reason);
    }
}

#[test]
fn a_limit_set_while_it_runs_holds_at_once() {
    let stage = Stage::new();
    let (_, key) = stage.place.key(&["--subject", "alice", "--scope", "tools:call"]);
    assert_eq!(call(&stage.listen, Some(&key), "search_docs").status, 200);
    let none = json!({"name": "default", "rate_limits": {"requests_per_minute": 0}});
    stage.place.ok(&["policy", "apply", &stage.place.file("none.json", none.to_string())]);
    let answer = call(&stage.listen, Some(&key), "search_docs");
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert_eq!(
        serde_json::from_str::<Value>(&answer.body).unwrap()["error"]["data"]["reason"],
        json!("rate_limited")
    );
}

#[test]
fn the_admin_listener_answers() {
    let stage = Stage::new();
    assert_eq!(get(&stage.admin, "/health").status, 200);
    assert_eq!(get(&stage.admin, "/ready").status, 200);
    assert_eq!(get(&stage.admin, "/metrics").status, 200);
}

#[test]
fn what_cannot_be_served_is_said() {
    let place = Place::new();
    place.fails(2, &["serve"]);
    place.fails(2, &["serve", "--upstream", "nowhere"]);
    place.fails(2, &["serve", "--upstream", "http://127.0.0.1:1/mcp", "--listen", "here"]);
    place.fails(2, &["serve", "--upstream", "http://127.0.0.1:1/mcp", "--trusted-proxy", "10.0.0.0/40"]);
    place.fails(2, &["serve", "--upstream", "http://127.0.0.1:1/mcp", "--refusals", "maybe"]);
    place.fails(2, &["serve", "--upstream", "http://127.0.0.1:1/mcp", "--log", "portcullis=loudest"]);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = place.run(&[
        "serve",
        "--upstream",
        "http://127.0.0.1:1/mcp",
        "--listen",
        &address,
        "--admin-listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(code(&output), 5, "{}", err(&output));
    assert!(err(&output).contains(&address), "{}", err(&output));
    assert_eq!(out(&output), "", "nobody is told that it is ready");
}

#[test]
fn two_listeners_need_two_addresses() {
    let place = Place::new();
    let same = "127.0.0.1:9";
    let told = place.fails(
        2,
        &["serve", "--upstream", "http://127.0.0.1:1/mcp", "--listen", same, "--admin-listen", same],
    );
    assert!(told.contains("--listen and --admin-listen"), "{told}");
}

#[test]
fn a_key_is_taken_in_all_its_forms_from_what_create_printed() {
    let stage = Stage::new();
    let made = stage.place.json(&["key", "create", "--subject", "alice", "--scope", "tools:call"]);
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    let (id, key, secret) = (text("id"), text("key"), text("secret"));
    let ask = |headers: &str| {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            stage.listen,
            body.len()
        );
        exchange(&stage.listen, &request).status
    };
    assert_ne!(ask(&format!("Authorization: Bearer {key}\r\n")), 401);
    assert_ne!(ask(&format!("X-API-Key: {key}\r\n")), 401);
    assert_ne!(ask(&format!("X-API-Key-Id: {id}\r\nX-API-Key-Secret: {secret}\r\n")), 401);
    let wrong = format!("{}0", &secret[..secret.len() - 1]);
    let wrong = if wrong == secret { format!("{}1", &secret[..secret.len() - 1]) } else { wrong };
    assert_eq!(ask(&format!("X-API-Key-Id: {id}\r\nX-API-Key-Secret: {wrong}\r\n")), 401);
}

#[test]
fn a_gateway_that_was_killed_starts_again_on_a_whole_home() {
    let mut stage = Stage::new();
    let (_, key) = stage.place.key(&["--subject", "alice", "--scope", "tools:call"]);
    assert_eq!(call(&stage.listen, Some(&key), "search_docs").status, 200);
    stage.gateway.kill();
    assert_eq!(stage.place.json(&["audit", "verify"])["valid"], json!(true));

    let upstream = stage.upstream.clone();
    let again =
        ["serve", "--upstream", &upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut first = Service::start(&stage.place, &again);
    let mut second = Service::start(&stage.place, &again);
    for gateway in [&mut first, &mut second] {
        let listen = gateway.listening().strip_prefix("http://").unwrap().to_owned();
        assert_eq!(call(&listen, Some(&key), "search_docs").status, 200);
    }
    assert_eq!((first.terminate(), second.terminate()), (0, 0));
    assert_eq!(stage.place.json(&["audit", "verify"])["valid"], json!(true));
}

#[test]
fn an_upstream_that_cannot_be_used_is_told_by_its_fault() {
    let garbled = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = garbled.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in garbled.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"this is no HTTP\r\n\r\n");
        }
    });
    // Nothing listens on the port of discard on a machine that runs tests.
    let closed = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    for (upstream, reason) in [(address, "upstream_garbled"), (closed, "upstream_down")] {
        let place = Place::new();
        let (_, key) = place.key(&["--subject", "alice", "--scope", "tools:call"]);
        let upstream = format!("http://{upstream}/mcp");
        let mut gateway = Service::start(
            &place,
            &["serve", "--upstream", &upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
        );
        let listen = gateway.listening().strip_prefix("http://").unwrap().to_owned();
        let answer = call(&listen, Some(&key), "search_docs");
        assert_eq!(answer.status, 502, "{}", answer.body);
        assert!(answer.body.contains(reason), "{}", answer.body);
        gateway.listening();
        assert_eq!(gateway.terminate(), 0);
    }
}

#[test]
fn a_server_that_redirects_is_told_with_what_mends_it() {
    let redirecting = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = redirecting.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in redirecting.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let answer = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /mcp/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let place = Place::new();
    let (_, key) = place.key(&["--subject", "alice", "--scope", "mcp:use"]);
    let upstream = format!("http://{address}/mcp");
    let serve =
        ["serve", "--upstream", &upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut older = Service::start(&place, &serve);
    older.listening();
    older.listening();
    let mut gateway = Service::start(&place, &serve);
    let listen = gateway.listening().strip_prefix("http://").unwrap().to_owned();
    gateway.listening();
    let upstream_of = |doctor: &Value| {
        let checks = doctor["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == "upstream").unwrap().clone()
    };
    assert_eq!(upstream_of(&place.json(&["doctor"]))["passed"], true);
    for _ in 0..2 {
        let answer = call(&listen, Some(&key), "search_docs");
        assert_eq!(answer.status, 502, "{}", answer.body);
        assert!(
            answer.body.contains("upstream_garbled") && !answer.head.contains("location"),
            "{}",
            answer.head
        );
    }
    assert_eq!(gateway.terminate(), 0);
    let mend = format!("it redirects to /mcp/: give --upstream http://{address}/mcp/");
    let events = place.json(&["event", "list", "--kind", "upstream_unfit"]);
    assert_eq!(events["items"][0]["detail"], mend.as_str(), "{events}");
    let faulty = || {
        let doctor = place.run(&["doctor", "--json"]);
        assert_eq!(code(&doctor), 1);
        let found = upstream_of(&serde_json::from_str(&out(&doctor)).unwrap());
        assert!(found["detail"].as_str().unwrap().ends_with(&mend), "{found}");
    };
    faulty();
    // One that begins says nothing of what was found before, while another runs that was there then.
    let again = format!("http://{address}/mcp/");
    let serve = ["serve", "--upstream", &again, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut gateway = Service::start(&place, &serve);
    gateway.listening();
    gateway.listening();
    faulty();
    // Once all began anew there is nothing wrong any more.
    assert_eq!(older.terminate(), 0);
    let found = upstream_of(&place.json(&["doctor"]));
    assert!(found["passed"] == true && found["detail"].as_str().unwrap().contains("--since"), "{found}");
    // Who asks since when is told of what was before that as well.
    let doctor = place.run(&["doctor", "--since", "1h"]);
    assert!(code(&doctor) == 1 && out(&doctor).contains(&mend), "{}", out(&doctor));
    let later = place.run(&["doctor", "--since", "2999-01-01T00:00:00Z"]);
    assert_eq!(code(&later), 0, "{}", out(&later));
    assert_eq!(code(&place.run(&["doctor", "--since", "lately"])), 2);
    assert_eq!(gateway.terminate(), 0);
}

#[test]
fn doctor_says_that_the_server_takes_no_connection_while_a_gateway_runs() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = format!("http://{}/mcp", server.local_addr().unwrap());
    let place = Place::new();
    let serve =
        ["serve", "--upstream", &upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut gateway = Service::start(&place, &serve);
    gateway.listening();
    gateway.listening();
    assert_eq!(code(&place.run(&["doctor"])), 0);
    drop(server);
    let doctor = place.run(&["doctor"]);
    assert_eq!(code(&doctor), 1);
    assert!(out(&doctor).contains(&format!("{upstream} takes no connection")), "{}", out(&doctor));
    assert_eq!(gateway.terminate(), 0);
}

#[test]
fn what_could_never_be_is_refused_when_it_is_given() {
    let place = Place::new();
    for (option, value) in [
        ("--allow-origin", "http://localhost:*"),
        ("--allow-origin", "https://*.example.com"),
        ("--allow-origin", "https://app.example.com:https"),
        ("--public-url", "https://*.example.com/mcp"),
        ("--trusted-proxy", "10.0.0.5/8"),
        ("--max-body", "10"),
        ("--max-body", "2GiB"),
    ] {
        let told = place.fails(2, &["serve", "--upstream", "http://127.0.0.1:1/mcp", option, value]);
        assert!(told.contains(option), "{told}");
    }
    place.fails(2, &["serve", "--upstream", "http://*.example.com/mcp"]);
}

#[test]
fn the_config_file_serves_too() {
    let place = Place::new();
    let config = place.file(
        "config.toml",
        "[serve]\nupstream = \"http://127.0.0.1:1/mcp\"\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n",
    );
    let mut gateway = Service::start(&place, &["--config", &config, "serve"]);
    assert!(gateway.listening().starts_with("http://127.0.0.1:"));
    assert!(gateway.listening().ends_with(" (admin)"));
    assert_eq!(gateway.terminate(), 0);
}

#[test]
fn an_admin_listener_for_everybody_is_told_of_when_it_begins() {
    let place = Place::new();
    let said = |admin: &str| {
        let arguments = [&SERVE[..SERVE.len() - 1], &[admin]].concat();
        let mut child =
            place.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Both listeners are there, so whatever is said of them was said.
        lines.nth(1).unwrap().unwrap();
        child.kill().unwrap();
        err(&child.wait_with_output().unwrap())
    };
    let told = said("0.0.0.0:0");
    assert!(told.contains("is not on loopback") && told.contains("/metrics"), "{told}");
    let quiet = said("127.0.0.1:0");
    assert!(!quiet.contains("loopback"), "{quiet}");
}
