//! Strangers at full speed, five ways at once, on a small disk: nothing that they send fills it, hides whose key was refused,
//! or refuses a call of anybody else.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use http::StatusCode;
use portcullis::domain::api_key::{Environment, KeyId, KeySecret};
use serde_json::{Value, json};

use super::{
    books::Books,
    caller::Caller,
    disk::Disk,
    fleet::Fleet,
    support::{
        home::{Home, policy},
        limited_key, runtime, scaled,
    },
    upstream::Upstream,
};

/// The five ways.
const WAYS: u64 = 5;
/// Requests that are sent before their answers are read.
const AT_ONCE: u64 = 32;
/// How many each way sends in the short form.
const SHORT: u64 = 3_200;
const LONG: Duration = Duration::from_secs(600);
/// Refusals of somebody who is known, in the midst of it.
const REFUSALS: u64 = 20;
const MIB: u64 = 1024 * 1024;
/// A quarter of the disk; a gateway makes room after a flush.
const MOST_USAGE: u64 = 18 * MIB;
/// All files of the home together, the ballast and both write-ahead logs among them.
const MOST: u64 = 48 * MIB;
/// What a minute of strangers takes of `usage.db`, with what an empty one has.
const MOST_AT_FIRST: u64 = MIB;

/// One request of a stranger: `way` of five, with names that nobody has sent before.
fn request(way: u64, number: u64, known_id: &str) -> String {
    let unknown = |id: KeyId| {
        let environment: Environment = "live".parse().expect("an environment");
        KeySecret::generate().expect("randomness").join(environment, id).expose().to_owned()
    };
    let (path, credential, method) = match way {
        // A tool that there is not.
        0 => ("/mcp".to_owned(), String::new(), "tools/call".to_owned()),
        // A path.
        1 => (format!("/{number}/{}", "x".repeat(200)), String::new(), String::new()),
        // A key that there is not, for a method that there is not.
        2 => ("/mcp".to_owned(), unknown(KeyId::generate().expect("randomness")), format!("m{number}/list")),
        // An id that there is, and not its secret.
        3 => ("/mcp".to_owned(), unknown(known_id.parse().expect("an id")), "tools/call".to_owned()),
        // A token that nobody signed.
        _ => ("/mcp".to_owned(), format!("e30.e{number}.AAAA"), "resources/read".to_owned()),
    };
    let name = format!("{number}-{}", "y".repeat(100));
    let body = match method.as_str() {
        "" => String::new(),
        _ => json!({"jsonrpc": "2.0", "id": number, "method": method, "params": {"name": name, "uri": format!("file:///{name}")}})
            .to_string(),
    };
    let verb = if body.is_empty() { "GET" } else { "POST" };
    let credential =
        if credential.is_empty() { credential } else { format!("Authorization: Bearer {credential}\r\n") };
    format!(
        "{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{credential}Content-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends for as long as it is wanted. What becomes of a stranger's connection is nobody's concern.
fn make_noise(address: SocketAddr, way: u64, known_id: &str, sent: &AtomicU64, is_over: &AtomicBool) {
    let mut connection: Option<TcpStream> = None;
    let mut number = way;
    while !is_over.load(Ordering::SeqCst) && scaled(sent.load(Ordering::SeqCst) < SHORT, true) {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(address) {
                Ok(stream) => stream,
                Err(_) => continue,
            },
        };
        let requests: String = (0..AT_ONCE)
            .map(|_| {
                number += WAYS;
                request(way, number, known_id)
            })
            .collect();
        if stream.write_all(requests.as_bytes()).is_ok() && read_answers(&mut stream).is_some() {
            connection = Some(stream);
        }
        sent.fetch_add(AT_ONCE, Ordering::SeqCst);
    }
}

/// Reads as many answers as requests were sent; `None` where the connection ended before.
fn read_answers(stream: &mut TcpStream) -> Option<()> {
    const BEGINNING: &[u8] = b"HTTP/1.1 ";
    let (mut bytes, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let came = stream.read(&mut chunk).ok().filter(|&came| came > 0)?;
        bytes.extend_from_slice(&chunk[..came]);
        let answers = bytes.windows(BEGINNING.len()).filter(|window| *window == BEGINNING).count() as u64;
        if answers >= AT_ONCE {
            return Some(());
        }
    }
}

/// Bytes on the disk of every file of the home, and those of `usage.db` with its log.
fn sizes(home: &Home) -> (u64, u64) {
    let (mut all, mut usage) = (0, 0);
    for entry in fs::read_dir(home.path()).expect("a home") {
        let entry = entry.expect("an entry");
        // Looked at, not opened: SQLite's locks.
        let length = entry.metadata().map_or(0, |found| found.len());
        all += length;
        if entry.file_name() == "usage.db" {
            usage += length;
        }
    }
    (all, usage)
}

#[test]
fn strangers_at_full_speed_fill_no_disk_hide_nobody_and_refuse_nobody_else() {
    let home = Arc::new(Home::new());
    let disk = Disk::under(&home, "64m");
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    let honest = limited_key(&home, "honest", &[], "sliding");
    let known = home.issue("known", "mcp:*", &["--policy", "honest"]);
    let blocked =
        json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/call/note"]}});
    home.apply_policy(&policy("blocked", &blocked));
    let insider = home.issue("insider", "mcp:*", &["--policy", "blocked"]);
    let mut fleet = Fleet::start(&home, &upstream.url, 1);
    let door = fleet.doors().next().expect("a gateway");
    let address = door.borrow().expect("an address");
    let mut caller = Caller::new(door.clone(), &honest.key);
    let mut refused = Caller::new(door, &insider.key);

    let sent: [AtomicU64; WAYS as usize] = Default::default();
    let is_over = AtomicBool::new(false);
    let begun = Instant::now();
    let (mut calls, mut denials, mut most) = (0_u64, 0, (0, 0));
    thread::scope(|scope| {
        for (way, sent) in (0..WAYS).zip(&sent) {
            let (known, is_over) = (&known.id, &is_over);
            scope.spawn(move || make_noise(address, way, known, sent, is_over));
        }
        let goes_on = || {
            let is_sent = sent.iter().all(|sent| sent.load(Ordering::SeqCst) >= SHORT);
            scaled(!is_sent, begun.elapsed() < LONG)
        };
        while goes_on() || denials < REFUSALS {
            let status = runtime.block_on(caller.call(Caller::number())).expect("an answer");
            if status != StatusCode::OK {
                is_over.store(true, Ordering::SeqCst);
            }
            assert_eq!(status, StatusCode::OK, "after {calls} calls, {:?}", sizes(&home));
            calls += 1;
            if denials < REFUSALS && calls % 5 == 0 {
                let status = runtime.block_on(refused.call(Caller::number())).expect("an answer");
                assert_ne!(status, StatusCode::OK);
                denials += 1;
            }
            let (all, usage) = sizes(&home);
            most = (most.0.max(all), most.1.max(usage));
        }
        is_over.store(true, Ordering::SeqCst);
    });
    let strangers: u64 = sent.iter().map(|sent| sent.load(Ordering::SeqCst)).sum();
    let minutes = begun.elapsed().as_secs() / 60 + 1;
    fleet.stop_all();

    assert_eq!(upstream.count(&honest.id), calls);
    assert!(most.1 <= scaled(MOST_AT_FIRST, MOST_USAGE), "usage.db had {} bytes", most.1);
    assert!(disk.is_none() || most.0 <= MOST, "the home had {} bytes", most.0);
    let count = |events: &Value, kind: &str| -> u64 {
        let events = events["items"].as_array().expect("items").iter().filter(|event| event["kind"] == kind);
        events.map(|event| event["count"].as_u64().expect("a count")).sum()
    };
    let of_insider = home.json(&["event", "list", "--credential", &insider.id, "--limit", "1000"]);
    assert_eq!(count(&of_insider, "endpoint_denied"), REFUSALS, "{of_insider}");
    let of_known = home.json(&["event", "list", "--credential", &known.id, "--limit", "1000"]);
    assert_ne!(count(&of_known, "lockout_started"), 0, "{of_known}");
    let usage = home.json(&["usage", "summary", "--credential", "-"]);
    assert_ne!(usage["denied"], json!(0));
    let endpoints = home.json(&["usage", "top", "--by", "endpoint", "--limit", "1000"]);
    let endpoints = endpoints["items"].as_array().expect("items");
    assert!(endpoints.len() < 40, "{} endpoints", endpoints.len());
    assert!(
        !endpoints
            .iter()
            .any(|one| one["key"].as_str().is_some_and(|key| key.contains("yyy") || key.contains("xxx")))
    );
    let books = Books::open(&home);
    books.assert_whole();
    assert!(books.records("event.flush", "") as u64 <= minutes + 2, "records of events");
    eprintln!(
        "{strangers} requests of strangers in {:.0} s beside {calls} honest calls: usage.db {} KiB, the home {} KiB at most",
        begun.elapsed().as_secs_f64(),
        most.1 / 1024,
        most.0 / 1024,
    );
}
