use super::*;
use crate::gateway::call::credential::Manner;

fn id(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

struct Shown {
    status: u16,
    headers: HeaderMap,
    body: String,
}

fn show(refusal: &Refusal, request_id: Option<&str>, in_session: bool) -> Shown {
    let raw = request_id.map(id);
    let response: Response<Bytes> = refusal.render(raw.as_deref(), in_session);
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    Shown { status: response.status().as_u16(), headers: response.headers().clone(), body }
}

fn denial(reason: Reason) -> Denial {
    Denial { reason, retry_after: None }
}

#[test]
fn every_401_is_the_same_bytes() {
    let all: Vec<Reason> = Reason::all().iter().copied().filter(|reason| reason.is_unauthorized()).collect();
    assert!(all.len() > 10);
    let first = show(&Refusal::because(Reason::MissingCredential), Some("7"), true);
    assert_eq!(first.status, 401);
    for reason in all {
        let late = Denial { reason, retry_after: Some(Duration::from_secs(9)) };
        for refusal in [Refusal::because(reason), Refusal::denied(&late, Some(3), None)] {
            let shown = show(&refusal, Some("7"), true);
            assert_eq!(
                (shown.status, &shown.headers, &shown.body),
                (401, &first.headers, &first.body),
                "{reason}"
            );
            assert_eq!(refusal.outcome(), usage::Outcome::Denied(reason));
        }
    }
    assert!(first.body.contains(r#""data":{"reason":"unauthorized"}"#), "{}", first.body);
}

#[test]
fn the_body_has_the_id_as_it_was_written() {
    let refusal = Refusal::denied(&denial(Reason::TimeDenied), Some(4), None);
    let body = show(&refusal, Some(r#""\u0061/b""#), false).body;
    assert!(
        body.starts_with(r#"{"jsonrpc":"2.0","id":"\u0061/b","error":{"code":403,"message":""#),
        "{body}"
    );
    assert!(body.ends_with(r#""data":{"reason":"time_denied","policyRevision":4}}}"#), "{body}");
    let plain = show(&refusal, None, false).body;
    assert!(plain.starts_with(r#"{"error":{"code":403,"#), "{plain}");
}

#[test]
fn a_spent_limit_says_when_to_come_back() {
    let charge =
        Charge::Refused { window: Window::Minute, limit: 100, retry_after: Duration::from_millis(2001) };
    let refusal = Refusal::denied(&denial(Reason::RateLimited), Some(2), Some(&charge));
    let shown = show(&refusal, Some("1"), false);
    assert_eq!(shown.status, 429);
    assert_eq!(shown.headers["retry-after"], "3");
    assert_eq!(shown.headers["ratelimit-policy"], "\"minute\";q=100;w=60");
    assert_eq!(shown.headers["ratelimit"], "\"minute\";r=0;t=3");
    assert_eq!(shown.headers["cache-control"], "no-store");
    assert!(
        shown.body.contains(r#""reason":"rate_limited","retryAfterMs":2001,"policyRevision":2"#),
        "{}",
        shown.body
    );
    let at_once = Charge::Refused { window: Window::Day, limit: 0, retry_after: Duration::ZERO };
    let shown = show(&Refusal::denied(&denial(Reason::RateLimited), None, Some(&at_once)), None, false);
    assert_eq!(shown.headers["retry-after"], "1");
}

#[test]
fn old_sessions_survive_the_refusal_of_a_single_call_and_nothing_else() {
    for (reason, status) in [
        (Reason::TimeDenied, 403),
        (Reason::IpDenied, 403),
        (Reason::EndpointDenied, 403),
        (Reason::ToolUnsigned, 403),
        (Reason::ToolChanged, 403),
        (Reason::RateLimited, 429),
    ] {
        let refusal = Refusal::denied(&denial(reason), Some(1), None);
        assert_eq!(show(&refusal, Some("1"), true).status, 200, "{reason}");
        assert_eq!(show(&refusal, Some("1"), false).status, status, "{reason}");
        assert_eq!(show(&refusal, None, true).status, 200, "a notification, {reason}");
        assert_eq!(show(&refusal, None, false).status, status, "{reason}");
        let body = show(&refusal, Some("1"), true).body;
        assert!(body.contains(&format!("\"code\":{status},")), "{body}");
    }
    for (reason, status) in [
        (Reason::Revoked, 401),
        (Reason::SessionMismatch, 404),
        (Reason::OriginDenied, 403),
        (Reason::Unavailable, 503),
    ] {
        let refusal = Refusal::denied(&denial(reason), Some(1), None);
        assert_eq!(show(&refusal, Some("1"), true).status, status, "{reason}");
        assert_eq!(show(&refusal, None, true).status, status, "{reason}");
    }
}

#[test]
fn a_missing_scope_ends_only_sessions_that_can_ask_for_it() {
    let missing = || {
        Refusal::denied(&denial(Reason::InsufficientScope), Some(1), None).wanting(Some("tools:call".into()))
    };
    let challenge = Challenge::insufficient(Manner::Token, Some("tools:call"), || None).unwrap();
    let of_token = show(&missing().challenged(challenge), Some("1"), true);
    let of_key = show(&missing(), Some("1"), true);
    assert_eq!((of_token.status, of_key.status), (403, 200));
    assert_eq!(of_token.body, of_key.body);
    assert!(of_key.body.contains(r#""policyRevision":1,"scopes":["tools:call"]}"#), "{}", of_key.body);
    assert_eq!(show(&missing(), Some("1"), false).status, 403, "by its status where that is asked for");
}

#[test]
fn codes_that_mcp_fixes_are_used() {
    let shown = show(&Refusal::mismatch(Mismatch::Header("Mcp-Name is missing".into())), Some("1"), false);
    assert_eq!((shown.status, shown.body.contains("\"code\":-32020")), (400, true));
    assert!(shown.body.contains("header_mismatch"));
    let shown = show(&Refusal::mismatch(Mismatch::UnsupportedVersion("2030-01-01".into())), Some("1"), false);
    assert_eq!((shown.status, shown.body.contains("\"code\":-32022")), (400, true));
    assert!(shown.body.contains(r#""supported":["2026-07-28"],"requested":"2030-01-01""#), "{}", shown.body);
    let shown = show(&Refusal::mismatch(Mismatch::MissingMeta), Some("1"), false);
    assert_eq!((shown.status, shown.body.contains("\"code\":-32602")), (400, true));
}

#[test]
fn what_is_unavailable_asks_to_come_back() {
    let shown = show(&Refusal::because(Reason::Unavailable), None, false);
    assert_eq!((shown.status, shown.headers["retry-after"].to_str().unwrap()), (503, "1"));
    for (fault, status) in
        [(UpstreamFault::Down, 502), (UpstreamFault::Garbled, 502), (UpstreamFault::Slow, 504)]
    {
        let refusal = Refusal::upstream(fault);
        assert_eq!(refusal.outcome(), usage::Outcome::Failed);
        assert_eq!(show(&refusal, Some("1"), true).status, status);
    }
}
