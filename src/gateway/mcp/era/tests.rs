use super::*;
use crate::gateway::mcp::body::{Body, parse};
use http::{HeaderMap, HeaderValue};

fn fields(pairs: &[(&str, &str)]) -> Fields {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers
            .append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Fields::from(&headers)
}

fn judge(pairs: &[(&str, &str)], body: &str) -> Result<(), Mismatch> {
    let headers = fields(pairs);
    let Body::One(message) = parse(body.as_bytes()).unwrap() else { panic!("a batch") };
    agree(of(&headers)?, &headers, &message)
}

fn call(name: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#,
        serde_json::to_string(name).unwrap()
    )
}

const NEW: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
const CALL: (&str, &str) = ("mcp-method", "tools/call");

#[test]
fn the_version_tells_the_era() {
    let era = |pairs: &[(&str, &str)]| of(&fields(pairs));
    assert_eq!(era(&[]), Ok(Era::Old { batches: true }));
    assert_eq!(era(&[("mcp-protocol-version", "2025-03-26")]), Ok(Era::Old { batches: true }));
    assert_eq!(era(&[("mcp-protocol-version", "2024-11-05")]), Ok(Era::Old { batches: false }));
    assert_eq!(era(&[("mcp-protocol-version", "2025-11-25")]), Ok(Era::Old { batches: false }));
    assert_eq!(era(&[NEW]), Ok(Era::New));
    for version in [
        "2027-01-01",
        "2026-07-29",
        "2025-01-01",
        "1",
        "",
        "2026-07-28 ",
        "latest",
        "2026-07-28,2025-03-26",
        "Ü",
    ] {
        // A header value loses the white space around it on the wire; here it does not.
        assert!(
            matches!(era(&[("mcp-protocol-version", version)]), Err(Mismatch::UnsupportedVersion(_))),
            "{version}"
        );
    }
    assert!(matches!(era(&[NEW, NEW]), Err(Mismatch::Header(_))));
}

#[test]
fn headers_that_mirror_the_body_pass() {
    for (value, name) in [
        ("echo", "echo"),
        ("=?base64?ZWNobw==?=", "echo"),
        ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
        ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
        ("=?BASE64?ZWNobw==?=", "=?BASE64?ZWNobw==?="),
    ] {
        assert_eq!(judge(&[NEW, CALL, ("mcp-name", value)], &call(name)), Ok(()), "{value}");
    }
    assert_eq!(judge(&[NEW, CALL, ("mcp-name", "echo"), ("mcp-param-region", "x")], &call("echo")), Ok(()));
}

#[test]
fn headers_that_disagree_are_named() {
    let name = ("mcp-name", "echo");
    for pairs in [
        &[NEW, name][..],
        &[NEW, ("mcp-method", "tools/list"), name],
        &[NEW, ("mcp-method", "Tools/Call"), name],
        &[NEW, CALL, CALL, name],
        &[NEW, CALL],
        &[NEW, CALL, ("mcp-name", "Echo")],
        &[NEW, CALL, ("mcp-name", "delete")],
        &[NEW, CALL, ("mcp-name", "")],
        &[NEW, CALL, name, name],
        &[NEW, CALL, ("mcp-name", "=?base64?ZWNobw?=")],
        &[NEW, CALL, ("mcp-name", "=?base64?/w==?=")],
        &[NEW, CALL, ("mcp-name", "=?base64?ZGVsZXRl?=")],
        // A version of the old era, or none, over a body of the new one.
        &[("mcp-protocol-version", "2025-11-25")],
        &[],
    ] {
        assert!(matches!(judge(pairs, &call("echo")), Err(Mismatch::Header(_))), "{pairs:?}");
    }
    assert!(matches!(
        judge(&[NEW, CALL, ("mcp-name", "=?base64?literal?=")], &call("=?base64?literal?=")),
        Err(Mismatch::Header(_))
    ));
}

#[test]
fn no_credential_is_quoted_in_whatever_form_it_came() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let key = crate::domain::api_key::KeySecret::generate()
        .unwrap()
        .join("live".parse().unwrap(), crate::domain::api_key::KeyId::generate().unwrap());
    let encoded = BASE64_STANDARD.encode(key.expose());
    for (name, value) in [
        ("mcp-name", key.expose().to_owned()),
        ("mcp-name", format!("=?base64?{encoded}?=")),
        ("mcp-name", format!("=?base64?{encoded}")),
        ("mcp-name", format!("=?base64?{}!?=", &encoded[..80])),
        ("mcp-method", format!("=?base64?{encoded}?=")),
    ] {
        let other = if name == "mcp-name" { CALL } else { ("mcp-name", "echo") };
        let Err(Mismatch::Header(odd)) = judge(&[NEW, other, (name, &value)], &call("echo")) else {
            panic!("{value}")
        };
        let compared = odd.compared.unwrap();
        assert!(compared.contains(" says `"), "{compared}");
        assert!(!compared.contains(&key.expose()[..40]) && !compared.contains(&encoded[..40]), "{compared}");
    }
    let Err(Mismatch::Header(odd)) = judge(&[NEW, CALL, ("mcp-name", "=?base64?ZGVsZXRl?=")], &call("echo"))
    else {
        panic!("it is another")
    };
    assert!(odd.compared.unwrap().contains("mcp-name says `delete`"));
}

#[test]
fn a_name_that_the_body_does_not_have_is_an_orphan() {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let request = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{meta}}}}}"#)
    };
    let list = request("tools/list", "");
    assert_eq!(judge(&[NEW, ("mcp-method", "tools/list")], &list), Ok(()));
    assert!(matches!(
        judge(&[NEW, ("mcp-method", "tools/list"), ("mcp-name", "echo")], &list),
        Err(Mismatch::Header(_))
    ));
    let task = request("tasks/get", r#""taskId":"t1","#);
    assert_eq!(judge(&[NEW, ("mcp-method", "tasks/get"), ("mcp-name", "t1")], &task), Ok(()));
    assert_eq!(judge(&[NEW, ("mcp-method", "tasks/get")], &task), Ok(()));
    assert!(matches!(
        judge(&[NEW, ("mcp-method", "tasks/get"), ("mcp-name", "t2")], &task),
        Err(Mismatch::Header(_))
    ));
}

#[test]
fn the_new_era_wants_its_version_in_meta() {
    let bare = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(judge(&[NEW, ("mcp-method", "tools/list")], bare), Err(Mismatch::MissingMeta));
    let wrong = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}}"#;
    assert_eq!(judge(&[NEW, ("mcp-method", "tools/list")], wrong), Err(Mismatch::MissingMeta));
    let other = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01"}}}"#;
    assert!(matches!(judge(&[NEW, ("mcp-method", "tools/list")], other), Err(Mismatch::Header(_))));
    assert_eq!(judge(&[("mcp-protocol-version", "2025-11-25")], bare), Ok(()));
    assert_eq!(judge(&[], bare), Ok(()));
}

#[test]
fn in_the_old_era_headers_may_be_absent_and_never_wrong() {
    let bare = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
    };
    let (echo, list) = (bare("tools/call", r#""name":"echo""#), bare("tools/list", ""));
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned();
    for version in [None, Some("2024-11-05"), Some("2025-03-26"), Some("2025-06-18"), Some("2025-11-25")] {
        let judged = |pairs: &[(&'static str, &'static str)], body: &str| {
            let version = version.map(|version| ("mcp-protocol-version", version));
            judge(&version.into_iter().chain(pairs.iter().copied()).collect::<Vec<_>>(), body)
        };
        for (pairs, body) in [
            (&[][..], &echo),
            (&[CALL], &echo),
            (&[("mcp_name", "echo")], &echo),
            (&[CALL, ("mcp-name", "=?base64?ZWNobw==?=")], &echo),
            (&[("mcp-method", "tools/list")], &list),
            (&[], &response),
        ] {
            assert_eq!(judged(pairs, body), Ok(()), "{version:?} {pairs:?}");
        }
        for (pairs, body) in [
            (&[("mcp-method", "tools/list")][..], &echo),
            (&[("mcp_method", "tools/list")], &echo),
            (&[("mcp.method", "tools/list"), CALL], &echo),
            (&[CALL, CALL], &echo),
            (&[CALL], &list),
            (&[CALL], &response),
            (&[("mcp-name", "delete")], &echo),
            (&[("Mcp_Name", "delete")], &echo),
            (&[CALL, ("mcp-name", "")], &echo),
            (&[("mcp-name", "echo")], &list),
            (&[("mcp-name", "echo")], &response),
        ] {
            assert!(matches!(judged(pairs, body), Err(Mismatch::Header(_))), "{version:?} {pairs:?}");
        }
    }
    assert_eq!(names_nothing(&fields(&[("mcp-session-id", "a")])), Ok(()));
    for pair in [CALL, ("mcp_method", ""), ("mcp-name", "echo")] {
        assert!(matches!(names_nothing(&fields(&[pair])), Err(Mismatch::Header(_))), "{pair:?}");
    }
}

#[test]
fn handshakes_and_notifications_need_no_headers_but_no_wrong_ones_either() {
    for body in [
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    ] {
        assert_eq!(judge(&[NEW], body), Ok(()));
        assert!(matches!(judge(&[NEW, ("mcp-method", "tools/call")], body), Err(Mismatch::Header(_))));
    }
}
