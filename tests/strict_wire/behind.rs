//! The table of [`smuggling`](crate::smuggling) again, through a proxy that people already run, set to let through
//! whatever it can. The proxy marks each request that it found; a request that reaches the upstream without a mark of its
//! own is one that the gateway found in bytes in which the proxy saw none, and answers that are exchanged show on the
//! honest calls which go over the same connections all the while.

use std::{
    collections::HashSet,
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    place::Place,
    program::{self, CONFIGURATION, LOOPBACK, Program},
    recorder::{LAST, RESULT, Recorder, ok},
    smuggling::{Row, TABLES, filled},
    support::PATIENCE,
    wire,
};

/// The field that the proxy sets, whatever the client says.
const MARK: &str = "x-proxy-mark";
const LANES: usize = 8;

#[test]
fn nginx_and_the_gateway_find_the_same_requests() {
    agree(Program::Nginx, |listen, gateway| {
        program::nginx(&format!(
            "client_header_timeout 1s; client_body_timeout 1s; keepalive_timeout 1s; send_timeout 5s;\n\
             ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;\n\
             upstream gateway {{ server {gateway}; keepalive 2; }}\n\
             server {{ listen {listen}; location / {{ proxy_pass http://gateway; proxy_http_version 1.1;\n\
             proxy_request_buffering off; proxy_set_header Connection ''; proxy_set_header Host localhost;\n\
             proxy_set_header X-Proxy-Mark $request_id; }} }}"
        ))
    });
}

#[test]
fn haproxy_and_the_gateway_find_the_same_requests() {
    agree(Program::Haproxy, |listen, gateway| {
        format!(
            "global\n  log stderr local0 alert\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 1s\n  timeout server 10s\n  \
             timeout http-request 1s\n  timeout http-keep-alive 1s\n  option accept-invalid-http-request\n  \
             http-reuse always\n\
             frontend front\n  bind {listen}\n  http-request set-header X-Proxy-Mark %[uuid()]\n  \
             default_backend gateway\n\
             backend gateway\n  server one {gateway} pool-max-conn 2\n"
        )
    });
}

fn agree(proxy: Program, configuration: impl Fn(SocketAddr, SocketAddr) -> String) {
    let Some(found) = proxy.found() else { return };
    // An honest call is answered with its own target.
    let recorder = Recorder::with(
        |request| match request.first_line.split(' ').nth(1) {
            Some(target) if target.starts_with("/honest/") => ok("text/plain", target),
            _ => ok("application/json", RESULT),
        },
        true,
    );
    let place = Place::before(recorder, &["--trusted-proxy", "127.0.0.0/8"]);
    let started =
        proxy.start(&found, LOOPBACK, |listen| vec![(CONFIGURATION, configuration(listen, place.gateway))]);
    let listen = started.listen;
    let rows: Vec<&Row> = TABLES.into_iter().flatten().collect();
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let key = place.key.as_str();
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((_, what, text)) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // What of it was refused, and by whom, is of no matter here.
                    let _ = said(listen, &filled(key, text));
                    let target =
                        format!("/honest/{}", what.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
                    if let Err(fault) = honest(key, listen, &target) {
                        faults.lock().expect("the faults").push(format!("after {what}: {fault}"));
                    }
                }
            });
        }
    });
    let mut faults = faults.into_inner().expect("the faults");
    let arrived = place.recorder.take();
    let mut marks = HashSet::new();
    for request in &arrived {
        if !request.one(MARK).is_some_and(|mark| marks.insert(mark)) {
            faults.push(format!("{proxy:?} did not see {request:?}"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    eprintln!("{proxy:?}: {} connections, {} requests through", rows.len(), arrived.len() - rows.len());
    // Near misses are a part of the table: a proxy that let nothing through would have proved nothing.
    assert!(
        arrived.len() > rows.len() + 30,
        "{} of {} rows came through",
        arrived.len() - rows.len(),
        rows.len()
    );
}

#[test]
fn a_part_of_an_answer_does_not_pass_for_the_whole_where_nginx_asks_as_it_does_by_itself() {
    let proxy = Program::Nginx;
    let Some(found) = proxy.found() else { return };
    // Of HTTP/1.0, which nginx speaks unless told otherwise, nothing but the end of the connection ends such an answer.
    let recorder = Recorder::with(
        |request| {
            let body = "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
            match request.first_line.split(' ').nth(1) {
                Some("/whole") => [LAST, body.as_bytes(), b"0\r\n\r\n"].concat(),
                Some("/part") => [LAST, body.as_bytes()].concat(),
                _ => format!("HTTP/1.1 200 OK\r\n{body}").into_bytes(),
            }
        },
        true,
    );
    let place = Place::before(recorder, &[]);
    let gateway = place.gateway;
    let started = proxy.start(&found, LOOPBACK, |listen| {
        let configuration = program::nginx(&format!(
            "server {{ listen {listen}; location / {{ proxy_pass http://{gateway}; proxy_buffering off;\n\
             proxy_set_header Host localhost; }} }}"
        ));
        vec![(CONFIGURATION, configuration)]
    });
    let is_whole = |said: &str| {
        assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("Transfer-Encoding: chunked"), "{said}");
        said.ends_with("5\r\nhello\r\n0\r\n\r\n")
    };
    for (target, expected) in [("/whole", true), ("/part", false)] {
        let said = said(started.listen, &get(&place.key, target));
        assert_eq!(is_whole(&said), expected, "{target}: {said}");
    }
    let mut stream = wire::connect(started.listen);
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.write_all(&get(&place.key, "/held")).expect("a socket");
    let mut said = Vec::new();
    while !said.ends_with(b"hello\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("what the upstream has sent");
        said.extend(byte);
    }
    drop(place.process);
    let _ = stream.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    assert!(!is_whole(&said), "the gateway was killed: {said}");
    assert_eq!(place.recorder.take().len(), 3);
}

/// All that a proxy says to these bytes.
fn said(listen: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = wire::connect(listen);
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // A proxy that has refused already may have closed.
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    if let Err(error) = stream.read_to_end(&mut said) {
        let is_open = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!is_open, "neither refused nor closed: {:.2000}", bytes.escape_ascii());
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn get(key: &str, target: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

/// A call that nothing is wrong with.
fn honest(key: &str, listen: SocketAddr, target: &str) -> Result<(), String> {
    let said = said(listen, &get(key, target));
    match said.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") && body == target => Ok(()),
        _ => Err(format!("an honest call was answered {said:?}")),
    }
}
