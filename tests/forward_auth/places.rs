//! Wherever a proxy listens and whatever name its clients use: what nobody judged is never 200, as a health check or a scanner
//! would take it for served.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use crate::{
    program::{LOOPBACK, Program},
    proxies::Place,
};

#[test]
fn nginx_serves_wherever_it_listens() {
    serves_wherever_it_listens(Program::Nginx);
}

#[test]
fn caddy_serves_wherever_it_listens() {
    serves_wherever_it_listens(Program::Caddy);
}

#[test]
fn haproxy_serves_wherever_it_listens() {
    serves_wherever_it_listens(Program::Haproxy);
}

#[test]
fn envoy_serves_wherever_it_listens() {
    serves_wherever_it_listens(Program::Envoy);
}

/// The head of an answer to a GET under this name.
fn get(at: SocketAddr, host: &str, path: &str, credential: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("the proxy listens");
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{credential}\r\n");
    stream.write_all(head.as_bytes()).expect("the proxy reads");
    let mut answer = Vec::new();
    // How the connection ends is not the matter here.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    answer.split("\r\n\r\n").next().unwrap_or_default().to_owned()
}

fn serves_wherever_it_listens(program: Program) {
    let all_of_v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    for address in [LOOPBACK, IpAddr::V4(Ipv4Addr::UNSPECIFIED), all_of_v6] {
        let Some(place) = Place::at(program, address, &[]) else { return };
        let key = format!("Authorization: Bearer {}\r\n", place.home.issue("ada", "mcp:*", &[]).key);
        let listen = place.listen();
        let own = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), listen.port());
        let reached = if address == all_of_v6 { vec![listen, own] } else { vec![listen] };
        for at in reached {
            let names = [
                at.to_string(),
                "localhost".into(),
                "mcp.example.com".into(),
                "other:1234".into(),
                "10.1.2.3".into(),
            ];
            for host in &names {
                let status = |path: &str, credential: &str| {
                    let head = get(at, host, path, credential);
                    head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).unwrap_or_default()
                };
                let what = format!("{program:?} on {address}, asked at {at} as {host}");
                // Envoy asks with the name that its client uses, and the gateway knows only its own.
                let is_known = !matches!(program, Program::Envoy)
                    || host.starts_with("localhost")
                    || *host == at.to_string();
                for path in ["/", "/health", "/healthz", "/mcp"] {
                    assert_eq!(status(path, ""), if is_known { 401 } else { 403 }, "{what}: {path}");
                }
                assert_eq!(status("/files/a", &key), if is_known { 200 } else { 403 }, "{what}");
                let came = place.received();
                assert_eq!(came.len(), usize::from(is_known), "{what}");
            }
        }
        let head = get(listen, "localhost", "/", "");
        assert!(!head.contains("nginx/") && !head.contains("caddy/"), "it tells its version: {head}");
        if address == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
            assert!(TcpStream::connect(own).is_err(), "{program:?}: all of IPv4 is not all of IPv6");
        }
    }
}
