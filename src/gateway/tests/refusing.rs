//! Each refusal, and its near miss that passes.

use super::harness::*;
use http::Method;
use serde_json::json;

use crate::domain::api_key::{KeyId, KeySecret, PresentedKey};
use crate::gateway::Refusals;
use crate::ops;

fn with_wrong_secret(key: &str) -> String {
    let key = PresentedKey::parse(key).unwrap();
    KeySecret::generate().unwrap().join(key.environment.unwrap(), key.id).expose().to_owned()
}

fn with_unknown_id(key: &str) -> String {
    let key = PresentedKey::parse(key).unwrap();
    key.secret.join(key.environment.unwrap(), KeyId::generate().unwrap()).expose().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refused_credential_gets_the_same_answer() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let good = house.key();
    let (revoked, revoked_key) = house.key_of("bob", "free", &["mcp:*"]);
    house.revoke(revoked);
    let (disabled, disabled_key) = house.key_of("bob", "free", &["mcp:*"]);
    ops::api_key::disable(&house.ctx, disabled).unwrap();
    let gateway = house.gateway(upstream.address);
    for ask in Ask::call_in_both_eras("echo") {
        assert_eq!(ask.clone().key(&good).send(gateway.address).await.status, 200);
        let mut first: Option<Answered> = None;
        for (what, ask) in [
            ("none", ask.clone()),
            ("revoked", ask.clone().key(&revoked_key)),
            ("disabled", ask.clone().key(&disabled_key)),
            ("wrong secret", ask.clone().key(&with_wrong_secret(&good))),
            ("unknown id", ask.clone().key(&with_unknown_id(&good))),
            ("mistyped", ask.clone().key(&good[..good.len() - 1])),
            ("another scheme", ask.clone().with("authorization", "Basic YTpi")),
        ] {
            let mut answered = ask.send(gateway.address).await;
            for own in ["x-portcullis-request-id", "date"] {
                answered.headers.remove(own);
            }
            assert_eq!(answered.status, 401, "{what}");
            assert_eq!(answered.json()["id"], 1, "{what}");
            // What it says depends on what was presented, never on what is known of it.
            let challenge = answered.headers.remove("www-authenticate").unwrap();
            let expected = match what {
                "none" | "another scheme" => format!(
                    "Bearer realm=\"portcullis\"{}, resource_metadata=\"http://localhost/.well-known/oauth-protected-resource/mcp\"{}",
                    ", scope=\"tools:call\"",
                    super::tokens::by_proof()
                ),
                _ => "Bearer realm=\"portcullis\", error=\"invalid_token\"".into(),
            };
            assert_eq!(challenge, expected, "{what}");
            assert_eq!(&answered, first.get_or_insert_with(|| answered.clone()), "{what}");
        }
    }
    assert_eq!(upstream.received().len(), 2);
    assert_eq!(
        (gateway.count("missing_credential"), gateway.count("revoked"), gateway.count("malformed")),
        (2, 2, 4)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_names_the_check_that_failed_and_what_it_compared() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("few", json!({"rate_limits": {"requests_per_minute": 1}}));
    house.policy(
        "watched",
        json!({"mode": "shadow", "endpoint_restrictions": {"blocked_endpoints": ["tools/call/rm"]}}),
    );
    house.policy("free", json!({}));
    let (_, narrow) = house.key_of("narrow", "free", &["tools:list"]);
    let (_, few) = house.key_of("few", "few", &["mcp:*"]);
    let (_, watched) = house.key_of("watched", "watched", &["mcp:*"]);
    let gateway = house.gateway(upstream.address);
    let call = |key: &str| Ask::modern("tools/call", json!({"name": "rm"})).key(key);
    for key in [&narrow, &few, &few, &watched] {
        call(key).send(gateway.address).await;
    }
    Ask::modern("tools/call", json!({"name": "rm"})).send(gateway.address).await;
    gateway.engine.stop().unwrap();
    let query = crate::store::event::Query { limit: 9, ..Default::default() };
    let events = ops::event::list(&house.ctx, &query).unwrap();
    let told = |kind: &str| {
        let event = events.iter().find(|event| event.kind == kind).unwrap();
        event.detail.split_once("; ").map(|(_, why)| why.to_owned())
    };
    assert_eq!(
        told("insufficient_scope").as_deref(),
        Some("scope: `tools/call/rm`; effective scopes: tools:list")
    );
    assert!(told("rate_limited").unwrap().starts_with("rate_limit: the 1 call of the minute is spent"));
    assert_eq!(
        told("shadow_denied").as_deref(),
        Some("endpoint: `tools/call/rm` is blocked (policy watched)")
    );
    assert_eq!(told("missing_credential"), None, "of a stranger nothing is kept but that");
    let all = events.iter().map(|event| event.detail.as_str()).collect::<String>();
    assert!([&narrow, &few, &watched].iter().all(|key| !all.contains(key.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_string_carries_no_credential() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for target in [
        format!("/mcp?api_key={key}"),
        "/mcp?access_token=x".into(),
        format!("/tool?key={key}"),
        format!("/mcp?x={key}"),
    ] {
        let mut ask = Ask::modern("ping", json!({})).key(&key);
        *ask.request.uri_mut() = target.parse().unwrap();
        let answered = ask.send(gateway.address).await;
        assert_eq!(answered.status, 400, "{target}");
        assert!(answered.headers["www-authenticate"].to_str().unwrap().contains("invalid_request"));
    }
    assert!(upstream.received().is_empty());
    let mut ask = Ask::modern("ping", json!({})).key(&key);
    *ask.request.uri_mut() = "/mcp?tenant=a".parse().unwrap();
    assert_eq!(ask.send(gateway.address).await.status, 200);
    assert_eq!(upstream.only().target, "/mcp?tenant=a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_by_another_process_holds_from_the_next_request_on() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    let gateway = house.gateway(upstream.address);
    for _ in 0..5 {
        let (id, key) = house.key_of("alice", "free", &["mcp:*"]);
        let ping = Ask::modern("ping", json!({})).key(&key);
        assert_eq!(ping.send(gateway.address).await.status, 200);
        house.revoke(id);
        assert_eq!(ping.send(gateway.address).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_named_to_a_key_and_challenges_nobody() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    let key = house.key_of("alice", "free", &["tools:list"]).1;
    let gateway = house.gateway(upstream.address);
    // A client of the older era would end its session at a 403.
    for (ask, status) in Ask::call_in_both_eras("echo").into_iter().zip([200, 403]) {
        let answered = ask.key(&key).send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (status, "insufficient_scope"));
        assert!(!answered.headers.contains_key("www-authenticate"), "a key has nobody to ask");
        let error = &answered.json()["error"];
        assert_eq!((&answered.json()["id"], &error["code"]), (&json!(1), &json!(403)));
        assert_eq!(error["data"]["scopes"], json!(["tools:call"]), "and none that covers everything");
        assert!(error["data"]["policyRevision"].is_u64());
    }
    // Where nothing narrower would do, nothing is named.
    let plain = Ask::new(Method::GET, "/files/a").key(&key).send(gateway.address).await;
    assert_eq!((plain.status, plain.json()["error"]["data"].get("scopes")), (403, None));
    assert_eq!(Ask::modern("tools/list", json!({})).key(&key).send(gateway.address).await.status, 200);
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_refuses_single_calls_without_ending_old_sessions() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("no-delete", json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/call/delete"]}}));
    house.policy("never", json!({"time_restrictions": {"allowed_hours": [], "timezone": "UTC"}}));
    house
        .policy("elsewhere", json!({"ip_restrictions": {"whitelist": ["198.51.100.0/24"], "blacklist": []}}));
    house.policy("nothing", json!({"rate_limits": {"requests_per_minute": 0, "requests_per_hour": null, "requests_per_day": null}}));
    let auto = house.gateway(upstream.address);
    let strict = house.gateway_with(upstream.address, |settings| settings.refusals = Refusals::Status);
    for (policy, reason, status) in [
        ("no-delete", "endpoint_denied", 403),
        ("never", "time_denied", 403),
        ("elsewhere", "ip_denied", 403),
        ("nothing", "rate_limited", 429),
    ] {
        let key = house.key_of("alice", policy, &["mcp:*"]).1;
        let [old, new] = Ask::call_in_both_eras("delete").map(|ask| ask.key(&key));
        for (gateway, ask, expected) in
            [(&auto, &old, 200), (&auto, &new, status), (&strict, &old, status), (&strict, &new, status)]
        {
            let answered = ask.send(gateway.address).await;
            assert_eq!((answered.status, answered.reason().as_str()), (expected, reason), "{policy}");
            assert_eq!((answered.code(), &answered.json()["id"]), (i64::from(status), &json!(1)));
            assert_eq!(answered.headers["cache-control"], "no-store");
            assert_eq!(answered.headers.contains_key("retry-after"), status == 429);
        }
        // The handshake is no single call.
        if policy != "no-delete" {
            let hello = Ask::old("initialize", json!({"protocolVersion": "2025-11-25"}))
                .without("mcp-protocol-version");
            assert_eq!(hello.key(&key).send(auto.address).await.status, status, "{policy}");
        }
    }
    assert!(upstream.received().is_empty());
    let key = house.key_of("alice", "no-delete", &["mcp:*"]).1;
    for ask in Ask::call_in_both_eras("deleted") {
        assert_eq!(ask.key(&key).send(auto.address).await.status, 200);
    }
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_limit_says_when_to_come_back_and_does() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("two", json!({"rate_limits": {"requests_per_minute": 2, "requests_per_hour": null, "requests_per_day": null, "algorithm": "fixed"}}));
    let key = house.key_of("alice", "two", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    let list = Ask::modern("prompts/list", json!({})).key(&key);
    for status in [200, 200, 429] {
        assert_eq!(list.send(gateway.address).await.status, status);
    }
    for (ask, status) in [(list.clone(), 429), (Ask::old("prompts/list", json!({})).key(&key), 200)] {
        let answered = ask.send(gateway.address).await;
        assert_eq!((answered.status, answered.code()), (status, 429));
        assert_eq!(answered.headers["retry-after"], "60");
        assert_eq!(answered.headers["ratelimit-policy"], "\"minute\";q=2;w=60");
        assert_eq!(answered.headers["ratelimit"], "\"minute\";r=0;t=60");
        assert_eq!(answered.json()["error"]["data"]["retryAfterMs"], 60_000);
    }
    house.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(list.send(gateway.address).await.status, 200);
    assert_eq!(upstream.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_shadow_mode_lets_through_and_records() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("shadow", json!({"mode": "shadow", "endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["**"]}}));
    let key = house.key_of("alice", "shadow", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    assert_eq!(
        Ask::modern("tools/call", json!({"name": "x"})).key(&key).send(gateway.address).await.status,
        200
    );
    assert_eq!((gateway.count("shadow:endpoint_denied"), gateway.count("allowed")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_names_of_strangers_are_turned_away_before_anything_else() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway_with(upstream.address, |settings| {
        settings.allowed_origins = vec!["https://app.example.com".parse().unwrap()];
    });
    let ping = Ask::modern("ping", json!({})).key(&key);
    for ask in [
        ping.clone().with("origin", "https://evil.example"),
        ping.clone().with("origin", "null"),
        ping.clone().with("origin", "https://app.example.com").with("origin", "https://app.example.com"),
        ping.clone().instead("host", "evil.example"),
        ping.clone().instead("host", "localhost.evil.example"),
    ] {
        let answered = ask.send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (403, "origin_denied"));
        assert!(!answered.headers.contains_key("access-control-allow-origin"));
    }
    assert_eq!(ping.clone().with("host", "localhost").send(gateway.address).await.status, 400);
    assert!(upstream.received().is_empty());
    let answered = ping.with("origin", "https://app.example.com").send(gateway.address).await;
    assert_eq!(
        (answered.status, &answered.headers["access-control-allow-origin"]),
        (200, &"https://app.example.com".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_page_may_ask_before_it_asks() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let gateway = house.gateway_with(upstream.address, |settings| {
        settings.allowed_origins = vec!["https://app.example.com".parse().unwrap()];
    });
    let preflight = Ask::new(Method::OPTIONS, "/mcp")
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "authorization, mcp-name");
    let answered = preflight.clone().with("origin", "https://app.example.com").send(gateway.address).await;
    assert_eq!(answered.status, 204);
    assert_eq!(answered.headers["access-control-allow-headers"], "authorization, mcp-name");
    assert_eq!(answered.headers["access-control-allow-origin"], "https://app.example.com");
    let answered = preflight.with("origin", "https://evil.example").send(gateway.address).await;
    assert!(!answered.headers.contains_key("access-control-allow-origin"));
    assert!(upstream.received().is_empty());
}
