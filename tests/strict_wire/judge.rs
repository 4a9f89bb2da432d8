//! What the upstream may be told of a client, and who may tell it: the gateway alone.

use std::net::IpAddr;

use crate::{strict::Message, telling::TELLING};

/// What the gateway says itself; each once, in this spelling.
const OWN: [&str; 8] = [
    "host",
    "x-portcullis-subject",
    "x-portcullis-credential",
    "x-portcullis-scopes",
    "x-portcullis-request-id",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
];

/// Fields of one connection, which the gateway's own connections have no use for.
const OF_A_CONNECTION: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"];

fn spelled(name: &str) -> String {
    name.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '-' }).collect()
}

/// What is wrong with a request that reached the server at `authority`.
pub fn faults(request: &Message, authority: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut wrong = |fault: String| faults.push(fault);
    for (name, value) in &request.fields {
        let plain = spelled(name);
        let is_framing = ["content-length", "transfer-encoding"].contains(&plain.as_str());
        if OF_A_CONNECTION.contains(&plain.as_str()) || (is_framing && plain != *name) {
            wrong(format!("of a connection: {name}: {value}"));
        }
        if TELLING.contains(&plain.as_str()) && !OWN.contains(&name.as_str()) {
            wrong(format!("told by a client: {name}: {value}"));
        }
    }
    for name in OWN {
        let all = request.all(name);
        match (name, &all[..]) {
            ("host", [value]) if *value == authority => {}
            ("x-portcullis-credential", [value]) if value.len() == 22 => {}
            ("x-portcullis-request-id", [value]) if uuid::Uuid::parse_str(value).is_ok() => {}
            ("x-portcullis-subject", [value]) if value.starts_with("subject-") => {}
            ("x-portcullis-scopes", ["mcp:*"]) => {}
            ("x-forwarded-for", [value]) if value.parse::<IpAddr>().is_ok() => {}
            // An address that a trusted proxy did not make known.
            ("x-forwarded-for", []) => {}
            ("x-forwarded-proto", ["http" | "https"]) => {}
            ("x-forwarded-host", [_]) => {}
            _ => wrong(format!("{name} is {all:?}")),
        }
    }
    faults
}
