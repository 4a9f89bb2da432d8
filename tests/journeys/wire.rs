//! The gateway as a hostile or careless peer meets it, byte by byte: what no SDK would send.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
};

use serde_json::{Value, json};

use crate::support::{
    PATIENCE,
    gateway::{Gateway, REVISION, Reply, call_message, plain_client},
    home::{Home, Issued, policy},
    python::{Generation, peers_are_here},
    upstream::Upstream,
};

/// A gateway in front of the official server, with one key that may do everything.
struct Place {
    home: Home,
    upstream: Upstream,
    gateway: Gateway,
    issued: Issued,
}

impl Place {
    /// `None` where the peers are not installed.
    fn new() -> Option<Self> {
        if !peers_are_here() {
            return None;
        }
        let home = Home::new();
        let issued = home.issue("ada", "mcp:*", &[]);
        let upstream = Upstream::start(Generation::New);
        let gateway = Gateway::start(&home, &upstream.url, &[]);
        Some(Self { home, upstream, gateway, issued })
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.issued.key)
    }

    /// A good call of `add` with these headers beside those of the revision.
    fn add_with(&self, headers: &[(&str, &str)]) -> Reply {
        let usual = [("MCP-Protocol-Version", REVISION), ("Mcp-Method", "tools/call"), ("Mcp-Name", "add")];
        self.gateway.post(&[&usual, headers].concat(), &call_message("add", json!({"a": 2, "b": 40})))
    }

    /// How many requests for a principal reached the upstream since the last time.
    fn admitted(&mut self) -> usize {
        let received = self.upstream.received();
        received.iter().filter(|request| !request.all("x-portcullis-subject").is_empty()).count()
    }
}

#[test]
fn every_form_of_a_key_is_taken_and_never_passed_on() {
    let Some(mut place) = Place::new() else { return };
    let key = place.issued.key.clone();
    let bearer = place.bearer();
    let secret = split_secret(&key);
    let forms: [&[(&str, &str)]; 3] = [
        &[("Authorization", &bearer)],
        &[("X-API-Key", &key)],
        &[("X-API-Key-Id", &place.issued.id), ("X-API-Key-Secret", &secret)],
    ];
    for form in forms {
        let spoofed = [
            ("Cookie", "session=stolen"),
            ("X-Portcullis-Subject", "root"),
            ("X-PORTCULLIS-SCOPES", "mcp:*"),
            ("x-portcullis-invented", "1"),
            ("X-Kept", "kept"),
        ];
        let reply = place.add_with(&[form, &spoofed].concat());
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.message()["result"]["content"][0]["text"], "42");
        let received = place.upstream.received();
        let request = received.iter().find(|request| request.method == "POST").expect("one call");
        assert_eq!(request.all("x-portcullis-subject"), ["ada"]);
        assert_eq!(request.all("x-kept"), ["kept"]);
        assert_eq!(request.body, call_message("add", json!({"a": 2, "b": 40})).to_string(), "the very bytes");
        for gone in [
            "authorization",
            "cookie",
            "x-api-key",
            "x-api-key-id",
            "x-api-key-secret",
            "x-portcullis-invented",
        ] {
            assert!(request.all(gone).is_empty(), "{gone} reached the upstream");
        }
    }
}

/// The part of a key that is secret, as the split form of the headers carries it: what follows the id, without the
/// checksum.
fn split_secret(key: &str) -> String {
    let last = key.rsplit('_').next().unwrap_or_default();
    last[..43].to_owned()
}

#[test]
fn all_that_is_wrong_with_a_credential_looks_the_same() {
    let Some(mut place) = Place::new() else { return };
    let revoked = place.home.issue("eve", "mcp:*", &[]);
    place.home.json(&["key", "revoke", &revoked.id]);
    let disabled = place.home.issue("eve", "mcp:*", &[]);
    place.home.json(&["key", "disable", &disabled.id]);
    let rotated = place.home.issue("eve", "mcp:*", &[]);
    place.home.json(&["key", "rotate", &rotated.id]);
    let unknown = {
        let elsewhere = Home::new();
        elsewhere.issue("eve", "mcp:*", &[])
    };
    let bearer = |key: &str| format!("Bearer {key}");
    let replies: Vec<(&str, Reply)> = [
        ("revoked", bearer(&revoked.key)),
        ("disabled", bearer(&disabled.key)),
        ("the old secret", bearer(&rotated.key)),
        ("unknown", bearer(&unknown.key)),
        ("malformed", "Bearer pcl_live_nothing".to_owned()),
        ("no bearer at all", "Basic YTpi".to_owned()),
    ]
    .map(|(what, credential)| (what, place.add_with(&[("Authorization", &credential)])))
    .into();
    for (what, reply) in &replies {
        assert_eq!(reply.status, 401, "{what}");
        let error = &reply.message()["error"];
        assert_eq!(error["code"], 401, "{what}");
        assert_eq!(error["data"], json!({"reason": "unauthorized"}), "{what}");
        assert_eq!(reply.text, replies[0].1.text, "{what}: no oracle");
        assert!(reply.header("www-authenticate").is_some(), "{what}");
    }
    assert_eq!(place.add_with(&[]).status, 401, "nothing at all");
    let in_the_query = plain_client()
        .post(format!("{}?api_key={key}&access_token={key}", place.gateway.endpoint, key = place.issued.key))
        .header("Content-Type", "application/json")
        .body(call_message("add", json!({})).to_string())
        .send()
        .expect("an answer");
    assert!([400, 401].contains(&in_the_query.status().as_u16()), "never in a query string");
    for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
        let reply = plain_client().request(method, &place.gateway.endpoint).send().expect("an answer");
        assert_eq!(reply.status().as_u16(), 401, "every verb is judged");
    }
    assert_eq!(place.admitted(), 0);
    assert_eq!(place.add_with(&[("Authorization", &place.bearer())]).status, 200, "the near miss");
}

#[test]
fn the_body_decides_and_a_header_that_disagrees_is_refused() {
    let Some(mut place) = Place::new() else {
        return;
    };
    let bearer = place.bearer();
    let send = |place: &Place, method: &str, name: &str, body: &Value| {
        let headers = [
            ("Authorization", bearer.as_str()),
            ("MCP-Protocol-Version", REVISION),
            ("Mcp-Method", method),
            ("Mcp-Name", name),
        ];
        place.gateway.post(&headers, body)
    };
    let body = call_message("delete_everything", json!({}));
    for (method, name) in
        [("tools/call", "add"), ("tools/list", "delete_everything"), ("tools/call", "Delete_everything")]
    {
        let reply = send(&place, method, name, &body);
        assert_eq!(reply.status, 400, "{method} {name}");
        assert_eq!(reply.message()["error"]["code"], -32020, "{method} {name}");
        assert_eq!(reply.message()["id"], 7);
    }
    assert_eq!(place.admitted(), 0);
    assert_eq!(send(&place, "tools/call", "delete_everything", &body).status, 200, "the near miss");
    assert_eq!(place.admitted(), 1);

    let raw = |text: &str| {
        let request = plain_client().post(&place.gateway.endpoint).header("Content-Type", "application/json");
        let request =
            request.header("Accept", "application/json, text/event-stream").header("Authorization", &bearer);
        Reply::of(request.body(text.to_owned()).send().expect("an answer"))
    };
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"add"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","name":"delete_everything"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","\u006eame":"delete_everything"}}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"} trailing",
        "not JSON",
        "",
        &format!("{}1{}", "[".repeat(400), "]".repeat(400)),
    ] {
        let status = raw(text).status;
        assert_eq!(status, 400, "{text:.80}");
    }
    assert_eq!(place.admitted(), 0);
}

/// By its announced length, before a byte of it was sent.
#[test]
fn a_body_too_long_is_refused_before_it_is_read() {
    let Some(mut place) = Place::new() else { return };
    let answer = |length: usize| {
        let mut stream =
            TcpStream::connect(place.gateway.origin.trim_start_matches("http://")).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n",
            place.bearer()
        );
        stream.write_all(head.as_bytes()).expect("the head is taken");
        // Where the length is taken, the body ends early.
        if length <= 4 << 20 {
            stream.shutdown(Shutdown::Write).expect("half a connection");
        }
        let mut first = String::new();
        BufReader::new(stream).read_line(&mut first).expect("an answer");
        first
    };
    assert!(answer((4 << 20) + 1).starts_with("HTTP/1.1 413 "));
    assert!(!answer(4 << 20).starts_with("HTTP/1.1 413 "), "the near miss");
    assert_eq!(place.admitted(), 0);
}

/// The 1.x SDK reads the URI as WHATWG URL does: another spelling of a URI is the same resource to it, and must be to the
/// policy.
#[test]
fn another_spelling_of_a_resource_is_no_way_around_the_policy() {
    if !peers_are_here() {
        return;
    }
    let mut upstream = Upstream::start(Generation::Old);
    let home = Home::new();
    home.apply_policy(&policy(
        "public",
        &json!({"endpoint_restrictions": {
            "allowed_endpoints": ["resources/read/file:///public/**"], "blocked_endpoints": [],
        }}),
    ));
    home.apply_policy(&policy(
        "discreet",
        &json!({"endpoint_restrictions": {
            "allowed_endpoints": [], "blocked_endpoints": ["resources/read/file:///secret.md"],
        }}),
    ));
    let gateway = Gateway::start(&home, &upstream.url, &[]);
    for policy in ["public", "discreet"] {
        let issued = home.issue("ada", "mcp:*", &["--policy", policy]);
        let session = OldSession::open(&gateway, &issued.key);
        let allowed = session.read("file:///public/hours.md");
        assert!(allowed.text.contains("From nine to five."), "{}", allowed.text);
        for uri in [
            "file:///secret.md",
            "file:///public/../secret.md",
            "file:///public/%2e%2e/secret.md",
            "file:///public/.%2E/secret.md",
            "file:///public/..\\secret.md",
            "FILE:///secret.md",
            "file://localhost/secret.md",
            "file:/secret.md",
            "file:///sec\nret.md",
            " file:///secret.md",
        ] {
            let reply = session.read(uri);
            assert!(!reply.text.contains("Under the mat."), "{policy}: {uri:?} was read");
        }
    }
    assert!(upstream.received().iter().all(|request| !request.body.contains("secret.md")));
}

/// A session of 2025-11-25, spoken by hand.
struct OldSession<'a> {
    gateway: &'a Gateway,
    credential: String,
    id: String,
}

impl<'a> OldSession<'a> {
    fn open(gateway: &'a Gateway, key: &str) -> Self {
        let credential = format!("Bearer {key}");
        let client = json!({"name": "journeys", "version": "1"});
        let hello = json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client},
        });
        let reply = gateway.post(&[("Authorization", &credential)], &hello);
        assert_eq!(reply.status, 200, "{}", reply.text);
        let id = reply.header("mcp-session-id").expect("a session").to_owned();
        let session = Self { gateway, credential, id };
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(session.send(&ready).status, 202);
        session
    }

    fn send(&self, message: &Value) -> Reply {
        let headers = [
            ("Authorization", self.credential.as_str()),
            ("Mcp-Session-Id", self.id.as_str()),
            ("MCP-Protocol-Version", "2025-11-25"),
        ];
        self.gateway.post(&headers, message)
    }

    fn read(&self, uri: &str) -> Reply {
        self.send(&json!({"jsonrpc": "2.0", "id": 2, "method": "resources/read", "params": {"uri": uri}}))
    }
}

#[test]
fn a_session_belongs_to_the_key_that_opened_it() {
    let Some(place) = Place::new() else { return };
    let session = OldSession::open(&place.gateway, &place.issued.key);
    assert_eq!(session.read("notes://release").status, 200);
    let thief = place.home.issue("eve", "mcp:*", &[]);
    let stolen =
        OldSession { credential: format!("Bearer {}", thief.key), id: session.id.clone(), ..session };
    let reply = stolen.read("notes://release");
    assert_eq!(reply.status, 404, "{}", reply.text);
    assert_eq!(reply.message()["error"]["data"]["reason"], "session_mismatch");
}

#[test]
fn a_limit_is_never_exceeded_and_the_answer_says_when_to_come_back() {
    let Some(mut place) = Place::new() else {
        return;
    };
    place.home.apply_policy(&policy("three", &json!({"rate_limits": {
        "requests_per_minute": null, "requests_per_hour": null, "requests_per_day": 3, "algorithm": "sliding",
    }})));
    let key = place.home.issue("bob", "mcp:*", &["--policy", "three"]).key;
    let statuses: Vec<u16> =
        (0..5).map(|_| place.gateway.call(&key, "add", json!({"a": 1, "b": 1})).status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(place.admitted(), 3);
    let reply = place.gateway.call(&key, "add", json!({"a": 1, "b": 1}));
    let wait: u64 = reply.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    // A day, and the tenth of a day by which a sliding window counts longer.
    assert!((1..=95_040).contains(&wait), "{wait}");
    assert!(reply.header("ratelimit").is_some() && reply.header("ratelimit-policy").is_some());
    assert_eq!(reply.message()["error"]["code"], 429);
    assert_eq!(reply.message()["error"]["data"]["reason"], "rate_limited");
    assert_eq!(
        place.add_with(&[("Authorization", &place.bearer())]).status,
        200,
        "another key is not concerned"
    );
}

#[test]
fn a_stream_ends_when_its_key_is_revoked() {
    let Some(place) = Place::new() else { return };
    let mut message = call_message("count", json!({"run": "cut", "upto": 3}));
    message["params"]["_meta"]["progressToken"] = json!("here");
    let response = plain_client()
        .post(&place.gateway.endpoint)
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .header("Authorization", place.bearer())
        .header("MCP-Protocol-Version", REVISION)
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", "count")
        .body(message.to_string())
        .send()
        .expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
    let mut stream = BufReader::new(response);
    let mut line = String::new();
    while !line.contains("notifications/progress") {
        line.clear();
        assert_ne!(stream.read_line(&mut line).expect("the stream is open"), 0, "it ended before it began");
    }
    place.home.json(&["key", "revoke", &place.issued.id]);
    // The server waits for an acknowledgement that nobody sends: only the gateway can end this.
    let mut rest = String::new();
    let ended = stream.read_to_string(&mut rest);
    assert!(!rest.contains(r#""result""#) && !rest.contains(r#""error""#), "{ended:?}: {rest}");
}

#[test]
fn a_page_of_another_origin_and_a_rebound_host_are_refused() {
    let Some(mut place) = Place::new() else {
        return;
    };
    let bearer = place.bearer();
    for (name, value) in [("Origin", "https://evil.example"), ("Origin", "null"), ("Host", "evil.example")] {
        let reply = place.add_with(&[("Authorization", bearer.as_str()), (name, value)]);
        assert_eq!(reply.status, 403, "{name}: {value}");
    }
    assert_eq!(place.admitted(), 0);
}

#[test]
fn the_admin_listener_answers_and_counts() {
    let Some(place) = Place::new() else { return };
    assert_eq!(place.add_with(&[("Authorization", &place.bearer())]).status, 200);
    assert_eq!(place.add_with(&[]).status, 401);
    let get = |path: &str| {
        Reply::of(plain_client().get(format!("{}{path}", place.gateway.admin)).send().expect("an answer"))
    };
    assert_eq!(get("/health").status, 200);
    assert_eq!(get("/ready").status, 200);
    let metrics = get("/metrics").text;
    assert!(metrics.contains("allow") && metrics.contains("missing_credential"), "{metrics}");
    assert_eq!(
        plain_client().get(format!("{}/metrics", place.gateway.origin)).send().expect("an answer").status(),
        401
    );
}
