use super::*;
use crate::domain::api_key::KeyId;
use crate::domain::decision::CredentialId;
use crate::gateway::introduction::{CREDENTIAL, Introductions, SCOPES, SUBJECT};
use crate::gateway::request_id::{REQUEST_ID, RequestId};
use crate::gateway::testing;
use http::HeaderMap;

fn forwarded(fields: &[(&str, &str)], subject: &str) -> HeaderMap {
    let mut client = HeaderMap::new();
    for (name, value) in fields {
        client.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let principal = testing::principal(subject, CredentialId::ApiKey(KeyId::generate().unwrap()));
    let preface = Preface::new(&HeaderValue::from_static("inner:3000"), "https");
    let mut head = testing::request_head();
    preface.write(&mut head, Some("198.51.100.7".parse().unwrap()));
    head.add_id(&RequestId::from(uuid::Uuid::nil()));
    to_upstream(&mut head, &Fields::from(&client), |name| name == b"x-ends-here-as-well");
    Introductions::default().introduce(&principal, |introduction| head.add_lines(introduction.lines()));
    head.fields()
}

#[test]
fn no_client_credential_and_no_spoofed_identity_goes_through_in_any_spelling() {
    let mut spellings: Vec<String> = Vec::new();
    for name in [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "X-API-Key",
        "X-API-Key-Id",
        "X-API-Key-Secret",
        "X-Portcullis-Subject",
        "X-Portcullis-Credential",
        "X-Portcullis-Scopes",
        "X-Portcullis-Request-Id",
        "X-Portcullis-Anything",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "X-Forwarded-Client-Cert",
        "Forwarded",
        "X-Real-IP",
        "X-Client-Cert",
        "X-Client-Cert-Chain",
        "Client-Cert",
        "X-SSL-Client-Cert",
        "SSL-Client-Verify",
        "X-ARR-ClientCert",
        "X-Remote-User",
        "Remote-User",
        "X-Auth-Request-User",
        "X-Original-URL",
        "X-Original-URI",
        "X-Original-Method",
        "X-Forwarded",
        "X-Host",
        "X-Authenticated-Groups",
        "X-WebAuth-User",
        "X-Rewrite-URL",
        "X-HTTP-Method",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "DPoP",
        "Origin",
    ] {
        let under = name.replace('-', "_");
        let mixed = name.replacen('-', "_", 1);
        let dotted = name.replace('-', ".");
        for spelling in [name.to_owned(), name.to_uppercase(), name.to_lowercase(), under, mixed, dotted] {
            spellings.push(spelling);
        }
    }
    for spelling in &spellings {
        let sent = [(spelling.as_str(), "spoofed"), ("connection", spelling.as_str())];
        for sent in [&sent[..1], &sent] {
            for (name, value) in &forwarded(sent, "alice") {
                let is_spoofed = value.as_bytes().windows(7).any(|part| part == b"spoofed");
                assert!(!is_spoofed, "{spelling} became {name}");
            }
        }
    }
}

#[test]
fn what_is_not_ours_passes_untouched() {
    let fields = forwarded(
        &[
            ("content-type", "application/json"),
            ("mcp-param-region", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            ("accept", "text/event-stream"),
            ("accept", "application/json"),
            ("traceparent", "00-1"),
            ("x-user-agent", "1"),
            ("x-http-methods", "1"),
            ("x-client-version", "1"),
            ("x-hosts", "1"),
            ("x-ends-here-as-well", "1"),
        ],
        "alice",
    );
    assert_eq!(fields["content-type"], "application/json");
    assert_eq!(fields["mcp-param-region"], "=?base64?SGVsbG8sIOS4lueVjA==?=");
    assert_eq!(fields.get_all("accept").iter().count(), 2);
    assert_eq!(fields["traceparent"], "00-1");
    assert_eq!(fields["x-user-agent"], "1");
    assert_eq!(fields["x-http-methods"], "1");
    assert_eq!(fields["x-client-version"], "1");
    assert_eq!(fields["x-hosts"], "1");
    assert!(!fields.contains_key("x-ends-here-as-well"));
}

#[test]
fn the_upstream_learns_who_asks() {
    let fields = forwarded(&[("host", "mcp.example.com")], "alice");
    assert_eq!(fields[SUBJECT], "alice");
    assert_eq!(fields[SCOPES], "tools:list tools:call");
    assert_eq!(fields[&REQUEST_ID], "00000000-0000-0000-0000-000000000000");
    assert_eq!(fields[CREDENTIAL].len(), 22);
    assert_eq!(fields["host"], "inner:3000");
    assert_eq!(fields["x-forwarded-for"], "198.51.100.7");
    assert_eq!(fields["x-forwarded-proto"], "https");
    assert_eq!(fields["x-forwarded-host"], "mcp.example.com");
    assert_eq!(forwarded(&[], "Zoë 100%")[SUBJECT], "Zo%C3%AB%20100%25");
}

#[test]
fn each_address_is_told_as_itself() {
    let preface = Preface::new(&HeaderValue::from_static("inner:3000"), "http");
    for address in [
        Some("198.51.100.7"),
        Some("198.51.100.7"),
        None,
        None,
        Some("198.51.100.8"),
        Some("2001:db8::1"),
        Some("198.51.100.7"),
    ] {
        let mut head = testing::request_head();
        preface.write(&mut head, address.map(|address| address.parse().unwrap()));
        let fields = head.fields();
        let told = fields.get(&FORWARDED_FOR).map(|value| value.to_str().unwrap());
        assert_eq!((told, &fields["host"]), (address, &HeaderValue::from_static("inner:3000")));
        assert_eq!(fields[&FORWARDED_PROTO], "http");
    }
}

#[test]
fn fields_of_one_connection_stay_on_it() {
    let sent = [
        ("connection", "close, X-Secret-Hop"),
        ("connection", "x-other-hop"),
        ("x-secret-hop", "1"),
        ("x-other-hop", "1"),
        ("keep-alive", "5"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("upgrade", "websocket"),
        ("transfer-encoding", "chunked"),
        ("proxy-connection", "x"),
        ("x-kept", "1"),
    ];
    let forwarded = forwarded(&sent, "alice");
    for (name, _) in &sent[..10] {
        assert!(!forwarded.contains_key(*name), "{name}");
    }
    assert!(forwarded.contains_key("x-kept"));
}

#[test]
fn every_listed_name_is_found_whatever_its_length() {
    let found = |text: &str| ends_here(text.as_bytes());
    for name in HOP_BY_HOP.iter().chain(&ENDS_HERE) {
        assert!(found(name), "{name}");
        assert!(found(&name.replace('-', "_")), "{name}");
    }
    for name in
        HOP_BY_HOP.iter().chain(&ENDS_HERE).filter(|name| !name.starts_with("x-") && **name != "cookie")
    {
        assert!(!found(&format!("{name}2")) && !found(&format!("{name}{}", "-".repeat(100))), "{name}");
    }
    for prefix in ENDS_HERE_PREFIXES {
        for length in (0..80).chain([1000]) {
            assert!(found(&format!("{prefix}{}", "z".repeat(length))), "{prefix} and {length} more");
        }
        assert!(!found(&format!("z{prefix}")), "{prefix}");
    }
}
