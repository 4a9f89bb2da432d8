use std::sync::Arc;

use super::*;
use crate::domain::credential::CredentialId;
use crate::domain::identity::Identity;
use crate::domain::policy::Policy;
use crate::domain::quota::Window;
use crate::domain::scope::Catalogue;
use crate::domain::{name::ScopeName, token::Bound};

/// 2026-07-28T09:30:00Z
const NOW: Timestamp = Timestamp::from_millis(1_785_231_000_000);

fn principal(policy: &str, scopes: &[&str]) -> Principal {
    let scopes: Vec<ScopeName> = scopes.iter().map(|name| name.parse().unwrap()).collect();
    let catalogue = Catalogue::new(Catalogue::built_in()).unwrap();
    Principal {
        credential: CredentialId::ApiKey("0123456789ABCDEFGHIJKL".parse().unwrap()),
        identity: Identity::own("ana".parse().unwrap()),
        covered: Arc::new(catalogue.compile(&scopes)),
        scopes: scopes.into(),
        policy: CompiledPolicy::new(Policy::from_json(policy).unwrap(), 7).unwrap(),
        bound: None,
        account: Account::ApiKey("0123456789ABCDEFGHIJKL".parse().unwrap()),
        expires_at: None,
        proof: None,
    }
}

/// Allows tools/call/search from 10.0.0.0/8 between 9 and 10 only.
fn strict(mode: &str) -> Principal {
    let policy = format!(
        r#"{{"name": "strict", "mode": "{mode}",
             "ip_restrictions": {{"whitelist": ["10.0.0.0/8"]}},
             "time_restrictions": {{"allowed_hours": [9]}},
             "endpoint_restrictions": {{"allowed_endpoints": ["tools/call/search"],
                                       "blocked_endpoints": ["ping"]}}}}"#
    );
    principal(&policy, &["tools:call"])
}

fn request(endpoint: &str, address: &str, at: Timestamp) -> Request {
    Request { endpoint: endpoint.parse().unwrap(), address: address.parse().ok(), at }
}

fn good() -> Request {
    request("tools/call/search", "10.1.2.3", NOW)
}

fn spent() -> Charge {
    Charge::Refused { window: Window::Minute, limit: 5, retry_after: Duration::from_millis(1500) }
}

#[test]
fn codes_and_statuses_are_those_of_the_contract() {
    let of = |status| {
        Reason::all()
            .iter()
            .filter(|reason| reason.status() == status)
            .map(|reason| reason.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        of(401),
        "missing_credential unknown_credential malformed bad_secret bad_signature disabled not_yet_valid expired revoked replayed wrong_issuer wrong_audience untrusted_certificate locked_out"
    );
    assert_eq!(
        of(403),
        "ip_denied time_denied insufficient_scope endpoint_denied tool_unsigned tool_changed origin_denied"
    );
    assert_eq!(of(404), "session_mismatch");
    assert_eq!(
        (of(429), of(400), of(503)),
        ("rate_limited".into(), "header_mismatch bad_request".into(), "unavailable".into())
    );
    for &reason in Reason::all() {
        assert_eq!(reason.as_str().parse(), Ok(reason));
        assert_eq!(reason.is_unauthorized(), reason.status() == 401);
        assert!(reason.explanation().ends_with('.'));
    }
    assert!("IP_DENIED".parse::<Reason>().is_err());
}

#[test]
fn each_check_denies_its_near_miss() {
    let principal = strict("enforce");
    let hour_later = NOW.plus(Duration::from_secs(3600));
    for (request, reason) in [
        (good(), None),
        (request("tools/call/search", "::ffff:10.1.2.3", NOW), None),
        (request("tools/call/search", "11.0.0.1", NOW), Some(Reason::IpDenied)),
        (request("tools/call/search", "unknown", NOW), Some(Reason::IpDenied)),
        (request("tools/call/search", "10.1.2.3", hour_later), Some(Reason::TimeDenied)),
        (request("prompts/get/x", "10.1.2.3", NOW), Some(Reason::InsufficientScope)),
        (request("tools/call/search2", "10.1.2.3", NOW), Some(Reason::EndpointDenied)),
        (request("tools/list", "10.1.2.3", NOW), Some(Reason::EndpointDenied)),
    ] {
        assert_eq!(judge(&principal, &request), reason, "{request:?}");
    }
}

#[test]
fn the_first_failing_check_gives_the_reason() {
    let principal = strict("enforce");
    let late = NOW.plus(Duration::from_secs(3600));
    let all_wrong = request("/health", "11.0.0.1", late);
    assert_eq!(judge(&principal, &all_wrong), Some(Reason::IpDenied));
    let failing = failed(&principal.policy, Some(&principal.covered), &all_wrong, &spent());
    let order = [
        Reason::IpDenied,
        Reason::TimeDenied,
        Reason::InsufficientScope,
        Reason::EndpointDenied,
        Reason::RateLimited,
    ];
    assert_eq!(failing, order);
}

#[test]
fn scopes_left_out_are_not_judged() {
    let policy = principal(r#"{"name": "p"}"#, &[]).policy;
    let call = request("tools/call/x", "10.0.0.1", NOW);
    assert_eq!(judge_under(&policy, None, &call), None);
    assert_eq!(judge_under(&policy, Some(&EndpointSet::default()), &call), Some(Reason::InsufficientScope));
    assert!(failed(&policy, None, &call, &Charge::Granted).is_empty());
}

#[test]
fn protocol_endpoints_need_no_scope_and_no_place_but_the_rest_holds() {
    let principal = strict("enforce");
    for (request, reason) in [
        (request("initialize", "10.0.0.1", NOW), None),
        (request("notifications/cancelled", "10.0.0.1", NOW), None),
        (request("ping", "10.0.0.1", NOW), Some(Reason::EndpointDenied)),
        (request("initialize", "11.0.0.1", NOW), Some(Reason::IpDenied)),
        (request("initialize", "10.0.0.1", NOW.plus(Duration::from_secs(3600))), Some(Reason::TimeDenied)),
    ] {
        assert_eq!(judge(&principal, &request), reason, "{request:?}");
    }
}

#[test]
fn a_denied_call_uses_no_quota() {
    let denied = request("tools/call/other", "10.1.2.3", NOW);
    for mode in ["enforce", "shadow"] {
        decide(&strict(mode), &denied, || panic!("the quota was charged"));
    }
}

#[test]
fn what_a_call_costs_is_told() {
    let principal = principal(r#"{"name": "p"}"#, &["mcp:*"]);
    let spent = Charge::Refused { window: Window::Minute, limit: 0, retry_after: Duration::from_secs(60) };
    for (endpoint, charge, detail) in [
        ("tools/list", Charge::Granted, "one more call fits into every window"),
        (
            "notifications/cancelled",
            Charge::Granted,
            "it costs nothing; each gateway lets 1000 such calls a minute through",
        ),
        ("session/end", Charge::Granted, "ending a session always passes"),
        ("ping", spent, "the limit of the minute is 0: nothing passes"),
    ] {
        let checks = explain(&principal, &request(endpoint, "10.0.0.1", NOW), &charge);
        assert_eq!((checks[4].passed, &*checks[4].detail), (charge.is_granted(), detail), "{endpoint}");
    }
}

#[test]
fn a_spent_quota_denies_with_the_time_to_wait() {
    let decision = decide(&strict("enforce"), &good(), spent);
    let denial = Denial { reason: Reason::RateLimited, retry_after: Some(Duration::from_millis(1500)) };
    assert_eq!(
        decision,
        Decision { outcome: Outcome::Deny(denial), policy_revision: Some(7), shadowed: None }
    );
    assert!(decide(&strict("enforce"), &good(), || Charge::Granted).is_allowed());
}

#[test]
fn shadow_lets_through_and_says_what_it_would_have_denied() {
    let principal = strict("shadow");
    let elsewhere = request("tools/call/search", "11.0.0.1", NOW);
    for (request, charge, shadowed) in [
        (&good(), Charge::Granted, None),
        (&elsewhere, Charge::Granted, Some(Reason::IpDenied)),
        (&good(), spent(), Some(Reason::RateLimited)),
    ] {
        let decision = decide(&principal, request, || charge);
        assert!(decision.is_allowed());
        assert_eq!(decision.shadowed, shadowed);
    }
}

#[test]
fn shadow_never_widens_the_scopes() {
    let principal = strict("shadow");
    for address in ["10.0.0.1", "11.0.0.1"] {
        let uncovered = request("resources/read/file:///etc/passwd", address, NOW);
        let decision = decide(&principal, &uncovered, || panic!("the quota was charged"));
        let denial = Denial { reason: Reason::InsufficientScope, retry_after: None };
        assert_eq!(decision.outcome, Outcome::Deny(denial), "from {address}");
        assert_eq!(decision.shadowed, None);
    }
}

#[test]
fn every_check_is_explained() {
    let principal = strict("enforce");
    let names = |checks: &[Check]| checks.iter().map(|check| check.check).collect::<Vec<_>>();
    let fine = explain(&principal, &good(), &Charge::Granted);
    assert_eq!(names(&fine), ["ip", "hours", "scope", "endpoint", "rate_limit"]);
    assert!(fine.iter().all(|check| check.passed));
    let wrong = explain(
        &principal,
        &request("/\u{202E}x", "11.0.0.1", NOW.plus(Duration::from_secs(3600))),
        &spent(),
    );
    assert_eq!(names(&wrong), names(&fine));
    assert!(wrong.iter().all(|check| !check.passed));
    assert_eq!(wrong[1].detail, "10:30 in UTC; allowed hours: 9 (policy strict)");
    assert_eq!(wrong[4].detail, "all 5 calls of the minute are spent; one more fits in 1s 500ms");
    let foreign = request("tools/call/\u{1B}[31m", "10.0.0.1", NOW);
    let checks = explain(&principal, &foreign, &Charge::Granted);
    assert!(checks.iter().all(|check| !check.detail.contains('\u{1B}')));
}

#[test]
fn what_is_missing_or_blocked_is_named() {
    let policy = r#"{"name": "p", "endpoint_restrictions": {"blocked_endpoints": ["/admin/**"]}}"#;
    let all = principal(policy, &["mcp:*"]);
    let checks = explain(&all, &request("/admin%2Fkeys", "10.0.0.1", NOW), &Charge::Granted);
    assert_eq!(checks[3].detail, "`/admin%2Fkeys` is blocked (policy p)");
    let reader = principal(r#"{"name": "p"}"#, &["tools:call"]);
    let scope =
        |endpoint| explain(&reader, &request(endpoint, "10.0.0.1", NOW), &Charge::Granted)[2].detail.clone();
    assert_eq!(scope("tools/list"), "`tools/list`; effective scopes: tools:call");
    assert_eq!(scope("ping"), "`ping` is a protocol endpoint and needs no scope");
}

#[test]
fn what_has_no_agreed_reading_is_refused_unless_it_is_named() {
    let policy = r#"{"name": "public",
        "endpoint_restrictions": {"allowed_endpoints": ["resources/read/file:///public/**"]}}"#;
    let principal = principal(policy, &["resources:read"]);
    let inside = "resources/read/file:///public/x/../hours.md";
    for detour in ["resources/read/file:///public/../secret.md", inside] {
        let detour = request(detour, "10.1.2.3", NOW);
        assert_eq!(judge(&principal, &detour), Some(Reason::BadRequest));
        let checks = explain(&principal, &detour, &Charge::Granted);
        assert_eq!((checks[0].check, checks[0].passed), ("reading", false));
        assert!(checks[0].detail.contains("dot or empty segments"), "{}", checks[0].detail);
        assert!(failed(&principal.policy, None, &detour, &Charge::Granted).contains(&Reason::BadRequest));
    }
    let cut = request("resources/read/file:///public?/hours.md", "10.1.2.3", NOW);
    assert_eq!(judge(&principal, &cut), Some(Reason::EndpointDenied));
    // The operator may say that it is meant as it stands; where it leads may be blocked all the same.
    for (blocked, reason) in
        [("tools/list", None), ("resources/read/file:///public/hours.md", Some(Reason::EndpointDenied))]
    {
        let policy = policy.replace(
            r#"file:///public/**"]"#,
            &format!(r#"file:///public/**", "{inside}"], "blocked_endpoints": ["{blocked}"]"#),
        );
        let principal = self::principal(&policy, &["resources:read"]);
        assert_eq!(judge(&principal, &request(inside, "10.1.2.3", NOW)), reason, "{blocked}");
    }
}

#[test]
fn a_policy_that_only_watches_lets_nothing_through_that_cannot_be_judged() {
    let shadow = principal(r#"{"name": "shadow", "mode": "shadow"}"#, &["mcp:*"]);
    for endpoint in ["resources/read/file:///a//b", "/a%2F..%2Fb", "Tools/Call", "acme/run"] {
        let decision = decide(&shadow, &request(endpoint, "10.1.2.3", NOW), || Charge::Granted);
        assert_eq!(
            decision,
            Decision { policy_revision: Some(7), ..Decision::deny(Reason::BadRequest) },
            "{endpoint}"
        );
    }
    let fine = request("resources/read/file:///a/b", "10.1.2.3", NOW);
    assert!(decide(&shadow, &fine, || Charge::Granted).is_allowed());
}

/// A caller under `mode` whose token carries limits of its own.
fn bound(mode: &str, own: serde_json::Value) -> Principal {
    let bound = Bound::read(&own).unwrap();
    Principal { bound: Some(bound), ..strict(mode) }
}

#[test]
fn what_a_credential_carries_itself_can_only_narrow() {
    let everything =
        serde_json::json!({"allowed_endpoints": ["**"], "ip_restrictions": [], "rate_limits": {}});
    for (endpoint, address, reason) in [
        ("tools/call/search", "10.1.2.3", None),
        ("tools/call/delete", "10.1.2.3", Some(Reason::EndpointDenied)),
        ("tools/call/search", "11.1.2.3", Some(Reason::IpDenied)),
        ("ping", "10.1.2.3", Some(Reason::EndpointDenied)),
        ("prompts/list", "10.1.2.3", Some(Reason::InsufficientScope)),
    ] {
        let caller = bound("enforce", everything.clone());
        assert_eq!(judge(&caller, &request(endpoint, address, NOW)), reason, "{endpoint}");
    }
    for (own, reason) in [
        (serde_json::json!({"allowed_endpoints": ["tools/list"]}), Reason::EndpointDenied),
        (serde_json::json!({"blocked_endpoints": ["tools/call/search"]}), Reason::EndpointDenied),
        (serde_json::json!({"ip_restrictions": ["10.9.0.0/16"]}), Reason::IpDenied),
        (serde_json::json!({"time_restrictions": {"allowed_hours": []}}), Reason::TimeDenied),
    ] {
        for mode in ["enforce", "shadow"] {
            let caller = bound(mode, own.clone());
            let decision = decide(&caller, &good(), || panic!("a denied call is not charged"));
            assert_eq!(decision.outcome, Outcome::Deny(Denial { reason, retry_after: None }), "{own} {mode}");
            let explained = explain(&caller, &good(), &Charge::Granted);
            let failed: Vec<_> = explained.iter().filter(|check| !check.passed).collect();
            assert!(
                failed.len() == 1 && failed[0].detail.starts_with("by the credential's own limits"),
                "{failed:?}"
            );
        }
    }
}

#[test]
fn the_lower_rate_counts_and_shadow_does_not_widen_it() {
    let own = |minute: u32| serde_json::json!({"rate_limits": {"requests_per_minute": minute}});
    let minute = |caller: &Principal| caller.limits().requests_per_minute;
    assert_eq!(minute(&strict("enforce")), Some(100));
    assert_eq!(minute(&bound("enforce", own(5))), Some(5));
    assert_eq!(minute(&bound("enforce", own(500))), Some(100));
    assert_eq!(minute(&bound("shadow", own(500))), Some(500), "what the policy only watches does not count");
    assert_eq!(minute(&bound("shadow", serde_json::json!({}))), Some(100));

    let denied = |caller: &Principal| !decide(caller, &good(), spent).is_allowed();
    assert!(denied(&bound("enforce", own(5))) && denied(&bound("shadow", own(5))));
    assert!(denied(&strict("enforce")) && !denied(&strict("shadow")));
    assert!(!denied(&bound("shadow", serde_json::json!({}))), "nothing of its own is spent");
}

#[test]
fn a_denial_is_told_by_what_was_compared_with_what() {
    let of = |fields: serde_json::Value| {
        let mut policy = serde_json::json!({"name": "p"});
        for (field, value) in fields.as_object().unwrap() {
            policy[field] = value.clone();
        }
        principal(&policy.to_string(), &["tools:list"])
    };
    let request = |endpoint: &str| Request {
        endpoint: endpoint.parse().unwrap(),
        address: Some("10.1.2.3".parse().unwrap()),
        at: "2026-07-28T21:30:00Z".parse().unwrap(),
    };
    let networks = |white: &[&str], black: &[&str]| {
        of(serde_json::json!({"ip_restrictions": {"whitelist": white, "blacklist": black}}))
    };
    let many = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    for (principal, endpoint, reason, told) in [
        (
            networks(&[], &["10.0.0.0/8"]),
            "tools/list",
            Reason::IpDenied,
            "address 10.1.2.3; in 10.0.0.0/8 of the blacklist",
        ),
        (networks(&many, &[]), "tools/list", Reason::IpDenied, "192.0.2.3/32, and 1 more"),
        (
            of(serde_json::json!({"time_restrictions": {"allowed_hours": [8, 9], "timezone": "UTC"}})),
            "tools/list",
            Reason::TimeDenied,
            "hours: 21:30 in UTC; allowed hours: 8-9",
        ),
        (
            of(serde_json::json!({})),
            "tools/call/rm",
            Reason::InsufficientScope,
            "scope: `tools/call/rm`; effective scopes: tools:list",
        ),
        (
            of(
                serde_json::json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/list"]}}),
            ),
            "tools/list",
            Reason::EndpointDenied,
            "endpoint: `tools/list` is blocked",
        ),
    ] {
        let request = request(endpoint);
        assert_eq!(judge(&principal, &request), Some(reason), "{told}");
        let why = why(&principal, &request, reason, None).unwrap();
        assert!(why.contains(told), "{why}");
    }
    let principal = of(serde_json::json!({}));
    let spent = Charge::Refused { window: Window::Minute, limit: 5, retry_after: Duration::from_secs(7) };
    let why = |reason, charge| why(&principal, &request("tools/list"), reason, charge);
    assert_eq!(
        why(Reason::RateLimited, Some(&spent)).as_deref(),
        Some("rate_limit: all 5 calls of the minute are spent; one more fits in 7s")
    );
    assert_eq!((why(Reason::RateLimited, None), why(Reason::Revoked, None)), (None, None));
}
