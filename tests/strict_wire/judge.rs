//! What the upstream may be told of a client, and who may tell it: the gateway alone.

use std::net::IpAddr;

use crate::strict::Message;

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

/// Names by which servers learn who asks, from where, and for what: credentials, identities, forwarding, overrides.
/// Compared in lower case, with every mark between words taken for a dash.
pub const TELLING: [&str; 77] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "cookie2",
    "dpop",
    "x-api-key",
    "x-api-key-id",
    "x-api-key-secret",
    "x-portcullis-subject",
    "x-portcullis-credential",
    "x-portcullis-scopes",
    "x-portcullis-request-id",
    "x-portcullis-role",
    "x-portcullis",
    "forwarded",
    "via",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-by",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-forwarded-server",
    "x-forwarded-prefix",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-forwarded-method",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-forwarded-preferred-username",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-remote-ip",
    "x-remote-addr",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-original-forwarded-for",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-host",
    "x-http-host-override",
    "remote-user",
    "remote-addr",
    "x-remote-user",
    "x-user",
    "x-authenticated-user",
    "x-authenticated-userid",
    "x-webauth-user",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-access-token",
    "client-cert",
    "client-cert-chain",
    "x-client-cert",
    "x-client-dn",
    "x-client-verify",
    "x-ssl-client-cert",
    "ssl-client-verify",
    "x-arr-clientcert",
    "x-amzn-mtls-clientcert",
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
