//! `portcullis issuer …`: an issuer of another kind is registered, and its tokens are taken until it is removed.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{Place, Service, code, err, fields, out};

pub const METADATA: &str = "/.well-known/openid-configuration";

/// An authorization server on loopback, with one key.
pub struct Server {
    pub origin: String,
    /// By path: status and content type, and the body.
    pages: Arc<Mutex<HashMap<String, (String, String)>>>,
    key: Ed25519KeyPair,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let pages = Arc::<Mutex<HashMap<String, (String, String)>>>::default();
        let of_thread = Arc::clone(&pages);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(&stream);
                let mut line = || {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    line.trim_end().to_ascii_lowercase()
                };
                let (first, mut length) = (line(), 0);
                loop {
                    let field = line();
                    if field.is_empty() {
                        break;
                    }
                    if let Some(value) = field.strip_prefix("content-length: ") {
                        length = value.parse().unwrap();
                    }
                }
                std::io::copy(&mut reader.take(length), &mut std::io::sink()).unwrap();
                let page = of_thread.lock().unwrap().get(first.split(' ').nth(1).unwrap()).cloned();
                let (head, body) = page.unwrap_or_else(|| ("404 Not Found".into(), String::new()));
                write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let server = Self { origin, pages, key };
        let metadata = json!({ "issuer": server.origin, "jwks_uri": format!("{}/keys", server.origin) });
        server.page(METADATA, &metadata);
        server.page("/keys", &json!({ "keys": [server.jwk("one")] }));
        server
    }

    /// What registers it under this name.
    pub fn add<'a>(&'a self, name: &'a str) -> [&'a str; 7] {
        ["issuer", "add", name, "--url", &self.origin, "--allow-private", "127.0.0.1"]
    }

    pub fn page(&self, path: &str, body: &Value) {
        self.answer(path, "200 OK\r\nContent-Type: application/json", &body.to_string());
    }

    fn answer(&self, path: &str, head: &str, body: &str) {
        self.pages.lock().unwrap().insert(path.into(), (head.into(), body.into()));
    }

    pub fn jwk(&self, kid: &str) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": x })
    }

    /// A token for `audience` under the key `kid`, with scopes as this server calls them.
    pub fn token(&self, kid: &str, audience: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid }));
        let payload = part(json!({
            "iss": self.origin, "sub": "7", "preferred_username": "alice", "aud": audience, "jti": "1",
            "client_id": "cli", "iat": now, "exp": now + 600, "scp": ["reader", "email"],
        }));
        let text = format!("{head}.{payload}");
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

pub fn verify(place: &Place, token: &str) -> (i32, Value) {
    let output = place.feed(&["token", "verify", "--json"], token);
    (code(&output), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn an_issuers_tokens_are_taken_from_when_it_is_added_until_it_is_removed() {
    let (place, server) = (Place::new(), Server::start());
    let token = server.token("one", "mcp-gateway");
    assert_eq!(verify(&place, &token).1["reason"], "wrong_issuer");
    let added = place.json(&[
        "issuer",
        "add",
        "corp",
        "--url",
        &server.origin,
        "--allow-private",
        "127.0.0.1",
        "--audience",
        "mcp-gateway",
        "--profile",
        "oidc",
        "--subject-claim",
        "preferred_username",
        "--scope-claim",
        "scp",
        "--scope-map",
        "reader=mcp:read",
    ]);
    assert_eq!(
        fields(&added),
        [
            "algorithms",
            "audience",
            "created_at",
            "fetched_at",
            "good_until",
            "iss",
            "keys",
            "last_error",
            "mapping",
            "name",
            "policy",
            "profile",
            "source",
            "state",
            "url",
        ]
    );
    assert_eq!((&added["state"], &added["algorithms"]), (&json!("current"), &json!(["EdDSA"])));
    let (code, answer) = verify(&place, &token);
    assert_eq!((code, &answer["claims"]["sub"]), (0, &json!("7")), "{answer}");
    assert_eq!(verify(&place, &server.token("one", "another")).1["reason"], "wrong_audience");
    let list = place.ok(&["issuer", "list", "--csv"]);
    assert!(list.starts_with("name,profile,issuer,alg,policy,state,fetched\r\ncorp,oidc,"), "{list}");
    let shown = place.ok(&["issuer", "show", "corp"]);
    assert!(shown.contains("reader=mcp:read") && shown.contains("current"), "{shown}");

    server.page("/keys", &json!({ "keys": [server.jwk("two")] }));
    assert_eq!(verify(&place, &server.token("two", "mcp-gateway")).1["reason"], "unknown_credential");
    assert_eq!(place.ok(&["issuer", "refresh", "corp"]).trim(), "corp");
    assert_eq!(verify(&place, &server.token("two", "mcp-gateway")).0, 0);
    assert_eq!(verify(&place, &token).1["reason"], "unknown_credential", "the issuer took its key back");

    place.ok(&["issuer", "remove", "corp", "--reason", "left"]);
    assert_eq!(verify(&place, &server.token("two", "mcp-gateway")).1["reason"], "wrong_issuer");
    place.fails(3, &["issuer", "show", "corp"]);
    place.fails(3, &["issuer", "remove", "corp"]);
    let audit = place.ok(&["audit", "export"]);
    for act in ["issuer.add", "issuer.refresh", "issuer.remove"] {
        assert!(audit.contains(act), "{act}");
    }
    assert_eq!(place.json(&["audit", "verify"])["valid"], true);
}

#[test]
fn an_issuer_is_checked_by_what_it_publishes_and_a_token_claim_by_claim() {
    let (place, server) = (Place::new(), Server::start());
    place.ok(&[
        "issuer",
        "add",
        "corp",
        "--url",
        &server.origin,
        "--allow-private",
        "127.0.0.1",
        "--audience",
        "mcp-gateway",
        "--scope-claim",
        "scp",
        "--scope-map",
        "reader=mcp:read",
    ]);
    let before = place.json(&["issuer", "show", "corp"]);
    let check = |token: &str| {
        let output = place.feed(&["issuer", "check", "corp", "--json"], token);
        (code(&output), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (exit, told) = check("");
    assert_eq!(exit, 0, "{told}");
    assert_eq!(fields(&told), ["good", "keys", "name", "published", "state"]);
    let published = &told["published"];
    assert_eq!(published["metadata"], format!("{}{METADATA}", server.origin));
    assert_eq!(published["keys"], json!([{"kid": "one", "algorithm": "EdDSA", "left_out": null}]));
    let (exit, told) = check(&server.token("one", "mcp-gateway"));
    assert_eq!((exit, &told["token"]["scopes"]), (0, &json!(["mcp:read"])), "{told}");
    let claims = told["token"]["claims"].as_array().unwrap();
    let names: Vec<_> = claims.iter().map(|claim| claim["claim"].as_str().unwrap()).collect();
    assert_eq!(names, ["iss", "sub", "aud", "exp", "iat", "jti", "scp"]);
    assert!(claims.iter().all(|claim| claim["passed"] == true), "{told}");
    let scopes = claims.last().unwrap()["detail"].as_str().unwrap();
    assert!(scopes.contains("here mcp:read") && scopes.contains("counts for nothing: email"), "{scopes}");

    let (exit, told) = check(&server.token("one", "another"));
    assert_eq!((exit, &told["token"]["reason"], &told["good"]), (1, &json!("wrong_audience"), &json!(false)));
    let aud = &told["token"]["claims"][2];
    assert!(aud["passed"] == false && aud["detail"].as_str().unwrap().contains("mcp-gateway"), "{aud}");
    let text = out(&place.feed(&["issuer", "check", "corp"], server.token("one", "another")));
    assert!(text.contains("NOT valid: wrong_audience") && text.contains("key one EdDSA: taken"), "{text}");

    // What it publishes has changed, and is not known here before somebody asks for it.
    let metadata = json!({"issuer": server.origin, "jwks_uri": format!("{}/keys", server.origin),
        "token_endpoint": "https://idp.example/token\u{1b}[2J"});
    server.page(METADATA, &metadata);
    server.page("/keys", &json!({ "keys": [server.jwk("two"), {"kty": "oct", "k": "AA", "kid": "shared"}] }));
    let text = out(&place.feed(&["issuer", "check", "corp"], ""));
    assert!(text.contains("key two EdDSA: not known here yet") && text.contains("key shared -: "), "{text}");
    assert!(text.contains("https://idp.example/token") && !text.contains('\u{1b}'), "{text}");
    assert_eq!(check(&server.token("two", "mcp-gateway")).1["token"]["reason"], "unknown_credential");

    for (page, told) in [(json!([]), "RFC 7517"), (json!({ "keys": [] }), "")] {
        server.page("/keys", &page);
        let (exit, answer) = check(&server.token("one", "mcp-gateway"));
        assert_eq!(
            (exit, &answer["token"]["valid"]),
            (1, &json!(true)),
            "the token by the keys that are known here"
        );
        let error = answer["published"]["error"].as_str().unwrap_or_default();
        assert!(told.is_empty() || error.contains("set"), "{answer}");
    }
    server.page(
        METADATA,
        &json!({"issuer": "https://other.example.org", "jwks_uri": "https://other.example.org/k"}),
    );
    let (exit, answer) = check("");
    let error = answer["published"]["error"].as_str().unwrap();
    assert!(
        exit == 1 && error.contains("letter by letter") && error.contains("404"),
        "each place is told: {error}"
    );
    assert_eq!(place.json(&["issuer", "show", "corp"]), before, "nothing was changed");
    place.fails(3, &["issuer", "check", "nobody"]);
}

/// The status of one call of `tools/list` at the gateway.
pub fn call(gateway: &str, token: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let address = gateway.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn the_gateway_takes_an_issuers_tokens_from_one_request_to_the_next() {
    let (place, server) = (Place::new(), Server::start());
    server.page("/mcp", &json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": [] } }));
    let upstream = format!("{}/mcp", server.origin);
    let mut gateway = Service::start(
        &place,
        &["serve", "--upstream", &upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
    );
    let at = gateway.listening();
    let token = server.token("one", "mcp-gateway");
    assert_eq!(call(&at, &token), "401");
    let add = ["--audience", "mcp-gateway", "--scope-claim", "scp", "--profile", "oidc"];
    let add = [&server.add("corp")[..], &["--scope-map", "reader=mcp:*"], &add].concat();
    place.ok(&add);
    assert_eq!(call(&at, &token), "200");
    assert_eq!(call(&at, &server.token("forged", "mcp-gateway")), "401");
    place.ok(&["issuer", "remove", "corp"]);
    assert_eq!(call(&at, &token), "401", "removed by another process");
    place.ok(&add);
    assert_eq!(call(&at, &token), "200");
    assert_eq!(gateway.terminate(), 0);
}

#[test]
fn a_failure_is_said_and_leaves_the_keys_that_there_are() {
    let (place, server) = (Place::new(), Server::start());
    place.ok(&server.add("corp"));
    server.page(
        METADATA,
        &json!({ "issuer": "https://other.example.org", "jwks_uri": "https://other.example.org/k" }),
    );
    let output = place.run(&["issuer", "refresh", "corp"]);
    assert_eq!(code(&output), 2, "{}", err(&output));
    assert!(err(&output).contains("letter by letter"), "{}", err(&output));
    let shown = place.json(&["issuer", "show", "corp"]);
    assert_eq!((&shown["state"], &shown["keys"]["keys"][0]["kid"]), (&json!("failing"), &json!("one")));
    assert!(shown["last_error"].as_str().unwrap().contains("other.example.org"), "{shown}");
    let doctor = place.run(&["doctor"]);
    assert!(
        code(&doctor) == 1 && out(&doctor).contains("portcullis issuer refresh corp"),
        "{}",
        out(&doctor)
    );
    server.page(METADATA, &json!({ "issuer": server.origin, "jwks_uri": format!("{}/keys", server.origin) }));
    place.ok(&["issuer", "refresh", "corp"]);
    assert!(place.ok(&["doctor"]).contains("issuers"));
}

#[test]
fn keys_are_taken_of_any_content_type_and_places_with_something_else_are_passed_over() {
    let (place, server) = (Place::new(), Server::start());
    let keys = json!({ "keys": [server.jwk("one")] }).to_string();
    let first = "/.well-known/oauth-authorization-server";
    let others = [
        ("302 Found\r\nLocation: /login", ""),
        ("500 Internal Server Error", "{}"),
        ("200 OK\r\nContent-Type: text/html", "<p>"),
        (
            "200 OK\r\nContent-Type: application/json",
            r#"{"issuer":"https://other.example.org","jwks_uri":"https://x.example"}"#,
        ),
    ];
    for (number, (kind, (head, body))) in
        ["text/plain", "binary/octet-stream", "application/octet-stream", "text/html"]
            .into_iter()
            .zip(others)
            .enumerate()
    {
        server.answer(first, head, body);
        server.answer("/keys", &format!("200 OK\r\nContent-Type: {kind}"), &keys);
        let name = format!("corp{number}");
        place.ok(&[&server.add(&name)[..], &["--audience", "a", "--profile", "oidc"]].concat());
        assert_eq!(verify(&place, &server.token("one", "a")).0, 0, "{kind}");
        place.ok(&["issuer", "refresh", &name]);
        place.ok(&["issuer", "remove", &name]);
    }
    server.answer("/keys", "200 OK\r\nContent-Type: text/html", "<p>Sign in</p>");
    let told = place.fails(5, &server.add("corp"));
    assert!(told.contains("text/html") && told.contains("/keys"), "{told}");
}

#[test]
fn what_cannot_be_added_is_refused_with_its_exit_code() {
    let (place, server) = (Place::new(), Server::start());
    let add = |expected: i32, arguments: &[&str]| {
        let told = place.fails(expected, &[&["issuer", "add", "corp"], arguments].concat());
        assert_eq!(place.json(&["issuer", "list"])["items"], json!([]), "{told}");
        told
    };
    add(2, &[]);
    add(2, &["--url", &server.origin, "--key-file", "x"]);
    assert!(add(2, &["--url", "http://idp.example.org"]).contains("https"));
    assert!(add(2, &["--url", "https://10.0.0.1"]).contains("--allow-private 10.0.0.1"));
    assert!(add(2, &["--url", "https://169.254.169.254"]).contains("no issuer"));
    let unnamed = add(2, &["--url", &server.origin]);
    assert!(
        unnamed.contains("127.0.0.1 is a private address") && unnamed.contains("--allow-private 127.0.0.1")
    );
    assert!(
        add(2, &["--url", &server.origin, "--allow-private", "localhost"])
            .contains("--allow-private 127.0.0.1")
    );
    let here = |more: &[&str]| add(2, &[&["--allow-private", "127.0.0.1"], more].concat());
    assert!(here(&["--url", &format!("{}{METADATA}", server.origin)]).contains("issuer's own"));
    assert!(here(&["--url", &format!("{}/", server.origin)]).contains("--issuer"));
    let elsewhere = format!("{}/elsewhere", server.origin);
    assert!(add(5, &["--url", &elsewhere, "--allow-private", "127.0.0.1"]).contains("404"));
    assert!(here(&["--url", &server.origin, "--scope-map", "reader"]).contains("mcp:read"));
    assert!(here(&["--url", &server.origin, "--policy", "defualt"]).contains("did you mean"));
    assert!(here(&["--url", &server.origin, "--alg", "none"]).contains("EdDSA"));
    assert!(here(&["--url", &server.origin, "--alg", "RS256"]).contains("not pinned"));
    let file = place.file("set.json", json!({ "keys": [server.jwk("one")] }).to_string());
    assert!(add(2, &["--jwks", &file]).contains("--issuer"));
    place.ok(&["issuer", "add", "corp", "--jwks", &file, "--issuer", &server.origin, "--audience", "a"]);
    place.fails(4, &["issuer", "add", "corp", "--jwks", &file, "--issuer", "https://two.example.org"]);
    place.fails(4, &["issuer", "add", "two", "--jwks", &file, "--issuer", &server.origin]);
    assert!(place.fails(4, &["issuer", "refresh", "corp"]).contains("by hand"));
    assert_eq!(verify(&place, &server.token("one", "a")).0, 0);
}

#[test]
fn tokens_of_the_source_document_are_taken_from_a_legacy_issuer_alone() {
    let place = Place::new();
    let secret = "the-secret-of-the-old-gateway-2025";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!(
        "{}.{}",
        part(json!({ "alg": "HS256", "typ": "JWT" })),
        part(
            json!({ "user_id": "alice", "scopes": ["mcp:read"], "iat": now - 0.5, "exp": now + 600.25, "jti": "x" })
        )
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, text.as_bytes())));
    assert_eq!(verify(&place, &token).1["reason"], "wrong_issuer");
    let file = place.file("secret.txt", format!("{secret}\n"));
    let short = place.file("short.txt", "too short");
    let legacy = ["issuer", "add", "old", "--profile", "legacy", "--alg", "HS256", "--key-file"];
    assert!(!place.fails(2, &[&legacy[..], &[&short]].concat()).contains("too short"));
    place.ok(&[&legacy[..], &[&file]].concat());
    let (code, answer) = verify(&place, &token);
    assert_eq!((code, &answer["claims"]["user_id"]), (0, &json!("alice")), "{answer}");
    let shown = place.ok(&["issuer", "show", "old", "--json"]);
    assert!(!shown.contains(secret), "{shown}");
    assert_eq!(out(&place.run(&["audit", "export"])).matches(secret).count(), 0);
    place.ok(&["issuer", "remove", "old"]);
    assert_eq!(verify(&place, &token).1["reason"], "wrong_issuer");
}
