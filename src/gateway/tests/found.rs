//! What the event of a refusal says: the check that failed, and what it compared with what; and that its client is told no
//! more than ever.

use super::harness::*;
use super::proofs::Bound;
use http::Method;
use serde_json::{Value, json};

use crate::domain::text::is_deceptive;
use crate::ops;
use crate::store::event::Query;

/// What a call led to: the status, the body without the request's id, and of its event all that stands behind that.
struct Outcome {
    status: u16,
    body: String,
    found: String,
}

/// Asks a gateway of its own, so that nothing is folded.
async fn outcome(house: &House, upstream: &Upstream, kind: &str, ask: Ask) -> Outcome {
    outcome_at(house, upstream, kind, ask, |_| {}).await
}

async fn outcome_at(
    house: &House,
    upstream: &Upstream,
    kind: &str,
    ask: Ask,
    change: impl FnOnce(&mut crate::gateway::Settings),
) -> Outcome {
    let gateway = house.gateway_with(upstream.address, change);
    let to = if ask.request.uri().path().starts_with("/verify") { gateway.admin } else { gateway.address };
    let answered = ask.send(to).await;
    gateway.engine.stop().unwrap();
    let query = Query { kind: Some(kind.into()), limit: 1, ..Query::default() };
    let event = ops::event::list(&house.ctx, &query).unwrap().pop();
    let event = event.unwrap_or_else(|| panic!("no event {kind}: {answered:?}"));
    assert!(event.detail.len() <= 384 && !event.detail.chars().any(is_deceptive), "{event:?}");
    if event.detail.contains("type: ") {
        assert_eq!(event.who(), "corp: ana", "the issuer vouches for whom it names");
    }
    let found = event.found().map(|(_, found)| found.to_owned()).unwrap_or_default();
    Outcome { status: answered.status, body: answered.body, found }
}

fn call() -> Ask {
    Ask::modern("tools/call", json!({"name": "echo"}))
}

/// A token of another issuer, with claims laid over those of a good one.
fn token(bound: &Bound, house: &House, header: Value, changes: Value) -> String {
    let now = house.ctx.now().seconds();
    let mut claims = json!({"iss": "https://idp.example", "aud": "api", "sub": "ana", "jti": "1", "iat": now,
        "exp": now + 600, "scope": "tools:call"});
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let mut whole = json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"});
    whole.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
    Bound::sign(&bound.issuer, &whole, &claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_refused_credential_it_names_the_check_and_both_sides() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    let (id, key) = house.key_of("bo", "free", &["mcp:*"]);
    house.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    assert_eq!(ops::api_key::purge(&house.ctx, house.ctx.now()).unwrap(), 1);
    let (id_of_key, key_of_now) = house.key_of("bo", "free", &["mcp:*"]);
    let bound = Bound::new(&house);
    let (now, none) = (house.ctx.now(), || json!({}));
    let ago = json!({"iat": now.seconds() - 900, "exp": now.seconds() - 300});
    let token = |header: Value, changes: Value| token(&bound, &house, header, changes);
    let other = house.key_of("di", "free", &["mcp:*"]).1;
    let mixed = [&key_of_now[..key_of_now.len() - 49], &other[other.len() - 49..]].concat();
    let split = |id: &str, text: &str| {
        let secret = &text[text.len() - 49..text.len() - 6];
        call().with("x-api-key-id", id).with("x-api-key-secret", secret)
    };
    let cases = [
        (
            "wrong_audience",
            token(none(), json!({"aud": "other"})),
            "audience: taken here: api; the token is for other".to_owned(),
        ),
        (
            "wrong_audience",
            token(none(), json!({"aud": ["a", "b", "c", "d", "e"]})),
            "audience: taken here: api; the token is for a, b, c, and 2 more".to_owned(),
        ),
        (
            "wrong_issuer",
            token(none(), json!({"iss": "https://evil.example"})),
            "issuer: the token claims to be of `https://evil.example`, and no such issuer is registered"
                .to_owned(),
        ),
        (
            "expired",
            token(none(), ago.clone()),
            format!(
                "end: expires at {}; it is {now}",
                crate::domain::clock::Timestamp::from_millis((now.seconds() - 300) * 1000)
            ),
        ),
        (
            "bad_signature",
            forged(&token(none(), none())),
            "signature: the signature does not fit; the token claims to be of corp, signed with its key `k`"
                .to_owned(),
        ),
        (
            "unknown_credential",
            token(json!({"kid": "nobody"}), none()),
            "key: the token claims to be of corp, which has no key `nobody` that is still good".to_owned(),
        ),
        (
            "malformed",
            token(json!({"typ": "other+jwt"}), none()),
            "type: `typ` other+jwt; the at-jwt profile".to_owned(),
        ),
        (
            "malformed",
            token(json!({"typ": "JWT"}), none()),
            "type: `typ` JWT; the at-jwt profile; `portcullis issuer set corp --profile oidc` takes it"
                .to_owned(),
        ),
        (
            "malformed",
            "nonsense".to_owned(),
            "credential: an API key has the form pcl_<env>_<id>_<secret>; this text has another shape"
                .to_owned(),
        ),
        (
            "malformed",
            mixed,
            format!(
                "credential: the checksum does not fit: the key was mistyped or cut short; copy it again; it claims to be \
                 {id_of_key}"
            ),
        ),
        (
            "malformed",
            "a.b.c".to_owned(),
            "form: the header is not base64url without padding, in the one way that its bytes are written"
                .to_owned(),
        ),
        ("unknown_credential", key.clone(), format!("known: there is no key {id}")),
    ];
    let mut told = None;
    for (kind, credential, found) in cases {
        let outcome = outcome(&house, &upstream, kind, call().key(&credential)).await;
        assert_eq!((outcome.status, &outcome.found), (401, &found), "{kind}");
        let body = told.get_or_insert_with(|| outcome.body.clone());
        assert_eq!(*body, outcome.body, "clients are told the same, whatever it is: {kind}");
    }
    let outcome = outcome(&house, &upstream, "bad_secret", split(id_of_key.as_str(), &other)).await;
    assert_eq!((outcome.status, outcome.found), (401, format!("secret: not one of key {id_of_key}")));
    assert_eq!(told, Some(outcome.body));
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_origin_a_header_or_a_body_it_says_what_stands_there() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let mismatch = |name: &str, value: &str| call().key(&key).instead(name, value);
    for (kind, ask, found) in [
        (
            "origin_denied",
            call().key(&key).with("origin", "https://evil.example"),
            "Origin is `https://evil.example`; taken here: any of loopback",
        ),
        (
            "origin_denied",
            call().key(&key).instead("host", "rebound.example"),
            "Host is `rebound.example`; taken here: any of loopback",
        ),
        (
            "bad_request",
            call().key(&key).with("host", "localhost"),
            "Host stands 2 times; exactly one valid Host is needed",
        ),
        (
            "header_mismatch",
            mismatch("mcp-method", "tools/list"),
            "mcp-method says `tools/list`, and the method of the body is `tools/call`",
        ),
        ("header_mismatch", mismatch("mcp-name", "rm"), "mcp-name says `rm`, and the body names `echo`"),
        (
            "header_mismatch",
            mismatch("mcp-protocol-version", "2025-11-25"),
            "mcp-protocol-version says `2025-11-25`, and the _meta of the body `2026-07-28`",
        ),
        (
            "bad_request",
            mismatch("mcp-protocol-version", "2030-01-01"),
            "mcp-protocol-version: `2030-01-01`; this version of MCP is not supported",
        ),
        ("bad_request", mismatch("content-type", "text/plain"), "the Content-Type is not application/json"),
        (
            "malformed",
            call().key(&key).with("x-api-key", "x"),
            "the request carries more than one credential, or the same one twice",
        ),
        ("missing_credential", call(), ""),
    ] {
        let outcome = outcome(&house, &upstream, kind, ask).await;
        assert_eq!(outcome.found, found, "{kind}: {}", outcome.body);
        assert!(!outcome.body.contains("evil") && !outcome.body.contains("says"), "{}", outcome.body);
    }
    let listed = outcome_at(&house, &upstream, "origin_denied", call().with("origin", "null"), |settings| {
        settings.public_url = Some("https://mcp.example/mcp".parse().unwrap());
        settings.allowed_origins = vec!["https://app.example".parse().unwrap()];
    });
    assert_eq!(
        listed.await.found,
        "Origin is `null`; taken here: https://mcp.example (--public-url), https://app.example (--allow-origin), \
         any of loopback"
    );
    let ask = Ask::new(Method::GET, "/verify/files").instead("host", "rebound.example");
    let denied = outcome(&house, &upstream, "origin_denied", ask).await;
    assert_eq!(denied.found, "Host is `rebound.example`; taken here: any of loopback");
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_address_or_an_hour_it_says_what_it_was_compared_with_and_by_which_policy() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("office", json!({"ip_restrictions": {"whitelist": ["10.0.0.0/8", "192.0.2.1"]}}));
    house.policy("banned", json!({"ip_restrictions": {"blacklist": ["127.0.0.0/8"]}}));
    house.policy(
        "day",
        json!({"time_restrictions": {"allowed_hours": [10, 11], "timezone": "Europe/Berlin"}}),
    );
    for (policy, kind, found) in [
        (
            "office",
            "ip_denied",
            "ip: address 127.0.0.1; not in the whitelist: 10.0.0.0/8, 192.0.2.1/32 (policy office)",
        ),
        ("banned", "ip_denied", "ip: address 127.0.0.1; in 127.0.0.0/8 of the blacklist (policy banned)"),
        ("day", "time_denied", "hours: 09:00 in Europe/Berlin; allowed hours: 10-11 (policy day)"),
    ] {
        let key = house.key_of("alice", policy, &["mcp:*"]).1;
        let outcome = outcome(&house, &upstream, kind, call().key(&key)).await;
        assert_eq!((outcome.status, &*outcome.found), (403, found));
        assert!(
            !outcome.body.contains(policy) && !outcome.body.contains("10"),
            "no more than ever: {}",
            outcome.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_stranger_writes_is_cut_made_harmless_and_kept_without_credentials() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let bound = Bound::new(&house);
    let key = house.key();
    let good = token(&bound, &house, json!({}), json!({}));
    for (kind, ask) in [
        ("origin_denied", call().with("origin", &format!("https://{key}.example"))),
        ("header_mismatch", call().key(&key).instead("mcp-name", &good)),
        ("wrong_issuer", call().key(&token(&bound, &house, json!({}), json!({"iss": key})))),
        ("wrong_audience", call().key(&token(&bound, &house, json!({}), json!({"aud": good})))),
        ("unknown_credential", call().key(&token(&bound, &house, json!({"kid": good}), json!({})))),
    ] {
        let found = outcome(&house, &upstream, kind, ask).await.found;
        assert!(found.contains("[redacted]"), "{kind}: {found}");
    }
    let odd = json!({"iss": format!("\u{1b}[2J\u{202e}{}", "é".repeat(500))});
    let found =
        outcome(&house, &upstream, "wrong_issuer", call().key(&token(&bound, &house, json!({}), odd)))
            .await
            .found;
    assert!(found.contains("`\\e[2J\\u{202e}éé") && found.contains('…'), "{found}");
    let written = house.written();
    let holds = |text: &str| written.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds(&key) && !holds(&good), "no credential is on the disk");
    assert!(!holds(&good[good.rfind('.').unwrap()..]), "nor the signature of one");
}
