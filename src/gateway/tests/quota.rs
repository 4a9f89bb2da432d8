//! What is charged, whole or not at all: batches, what costs nothing, and what may be used once.

use super::harness::*;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

use crate::store::{Rows, StoreError};

/// A policy of so many requests a minute.
fn limit(house: &House, name: &str, per_minute: u32) {
    let limits = json!({"requests_per_minute": per_minute, "requests_per_hour": null, "requests_per_day": null,
        "algorithm": "fixed"});
    house.policy(name, json!({"rate_limits": limits}));
}

fn notification(method: &str) -> Ask {
    Ask::post(json!({"jsonrpc": "2.0", "method": method}).to_string())
        .with("mcp-protocol-version", "2025-11-25")
}

/// A batch of requests by their methods, with the ids 0, 1, …; a notification is none of them.
fn batch(methods: &[&str]) -> Ask {
    let message = |(id, method): (usize, &&str)| match method.starts_with("notifications/") {
        true => json!({"jsonrpc": "2.0", "method": method}),
        false => json!({"jsonrpc": "2.0", "id": id, "method": method}),
    };
    Ask::post(Value::from_iter(methods.iter().enumerate().map(message)).to_string())
        .with("mcp-protocol-version", "2025-03-26")
}

/// Sends it so often and says how often it passed.
async fn passed(ask: &Ask, times: usize, gateway: &Served) -> usize {
    let mut passed = 0;
    for _ in 0..times {
        let answered = ask.send(gateway.address).await;
        match (answered.status, answered.body.contains("rate_limited")) {
            (200, false) => passed += 1,
            (200 | 429, true) => {}
            _ => panic!("{answered:?}"),
        }
    }
    passed
}

fn rows_of_one_time_use(house: &House) -> i64 {
    let count = |c: &Rows<'_>| -> Result<i64, StoreError> {
        Ok(c.query_row("SELECT count(*) FROM one_time", [], |row| row.get(0))?)
    };
    house.ctx.store.read(count).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_nothing_stops_what_is_free_too() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    limit(&house, "limited", 5);
    let key = house.key_of("alice", "limited", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    let free = [
        notification("notifications/initialized").key(&key),
        notification("notifications/progress").key(&key),
        Ask::old("ping", json!({})).key(&key),
        Ask::modern("ping", json!({})).key(&key),
        Ask::new(Method::GET, "/mcp").key(&key),
        batch(&["ping", "notifications/initialized"]).key(&key),
    ];
    for ask in &free {
        assert_eq!(passed(ask, 1, &gateway).await, 1, "{ask:?}");
    }
    let before = upstream.received().len();
    limit(&house, "limited", 0);
    for ask in &free {
        assert_eq!(passed(ask, 1, &gateway).await, 0, "{ask:?}");
    }
    assert_eq!(upstream.received().len(), before);
    let end = Ask::new(Method::DELETE, "/mcp").key(&key);
    assert_eq!(passed(&end, 100, &gateway).await, 100, "ending a session always passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_free_has_a_bound_of_its_own() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    limit(&house, "two", 2);
    limit(&house, "ten", 10);
    let (two, ten) = (house.key_of("alice", "two", &["mcp:*"]).1, house.key_of("bob", "ten", &["mcp:*"]).1);
    let gateway = house.gateway(upstream.address);
    let note = notification("notifications/progress").key(&two);
    assert_eq!(passed(&note, 70, &gateway).await, 60);
    let refused = note.send(gateway.address).await;
    // Older clients would end their session at a 429, to a notification too.
    assert_eq!((refused.status, refused.code()), (200, 429));
    assert_eq!(refused.headers["retry-after"], "60");
    assert_eq!(refused.headers["ratelimit-policy"], "\"minute\";q=60;w=60");
    let list = Ask::modern("tools/list", json!({})).key(&two);
    assert_eq!(passed(&list, 3, &gateway).await, 2, "it is not that of what costs something");
    let other = Ask::modern("ping", json!({})).key(&ten);
    assert_eq!(passed(&other, 110, &gateway).await, 100, "and everybody has its own");
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(passed(&note, 70, &gateway).await, 60);
    let initialize = Ask::old("initialize", json!({"protocolVersion": "2025-11-25"})).key(&two);
    assert_eq!(passed(&initialize, 3, &gateway).await, 2, "a session is not opened for nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_charged_whole_or_not_at_all_and_each_of_its_requests_is_answered() {
    let (house, upstream) = (House::new(), Upstream::json(r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#).await);
    limit(&house, "five", 5);
    let key = house.key_of("alice", "five", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    let six = batch(&["tools/list"; 6]).key(&key);
    for _ in 0..3 {
        assert_eq!(passed(&six, 1, &gateway).await, 0);
    }
    let four = batch(&["tools/list", "notifications/x", "ping", "prompts/list", "tools/list", "tools/list"])
        .key(&key);
    assert_eq!(passed(&four, 1, &gateway).await, 1, "nothing was charged for those");
    let two = batch(&["tools/list", "notifications/x", "prompts/list"]).key(&key);
    let answered = two.send(gateway.address).await;
    assert_eq!((answered.status, &answered.headers["retry-after"]), (200, &"60".parse().unwrap()));
    let errors = answered.json();
    let told = |error: &Value| (error["id"].clone(), error["error"]["data"]["reason"].clone());
    let told: Vec<_> = errors.as_array().unwrap().iter().map(told).collect();
    assert_eq!(told, [(json!(0), json!("rate_limited")), (json!(2), json!("rate_limited"))]);
    assert_eq!(passed(&batch(&["tools/list"]).key(&key), 2, &gateway).await, 1, "the fifth is still there");
    assert_eq!((gateway.count("allowed"), gateway.count("rate_limited")), (6 + 1, 18 + 3 + 1));
    let stranger = two.key("pcl_live_no").send(gateway.address).await;
    assert!(stranger.status == 401 && stranger.json()["error"].is_object(), "{stranger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bound_of_what_is_free_is_charged_with_the_batch() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    limit(&house, "three", 3);
    let key = house.key_of("alice", "three", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    let of = |requests: usize, free: usize| {
        batch(&[vec!["tools/list"; requests], vec!["ping"; free]].concat()).key(&key)
    };
    assert_eq!(passed(&of(1, 61), 1, &gateway).await, 0, "too much that is free");
    assert_eq!(passed(&of(4, 60), 1, &gateway).await, 0, "too much that is not");
    assert_eq!(passed(&of(2, 30), 2, &gateway).await, 1);
    assert_eq!(passed(&of(1, 30), 1, &gateway).await, 1, "exactly what both have left");
    assert_eq!((passed(&of(1, 0), 1, &gateway).await, passed(&of(0, 1), 1, &gateway).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_asks_for_the_endpoints_of_get_and_delete() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for method in ["session/end", "stream"] {
        for ask in [
            Ask::old(method, json!({})),
            Ask::modern(method, json!({})),
            notification(method),
            batch(&[method]),
        ] {
            assert_eq!(ask.key(&key).send(gateway.address).await.status, 400, "{method}");
        }
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_quota_leaves_nothing_in_the_store() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let tokens: Vec<_> = (0..20).map(|_| house.token("limited", |new| new.once = true).text).collect();
    limit(&house, "limited", 2);
    let gateway = house.gateway(upstream.address);
    let list = |token: usize| Ask::modern("tools/list", json!({})).key(tokens[token].expose());
    for token in 0..tokens.len() {
        assert_eq!(passed(&list(token), 1, &gateway).await, usize::from(token < 2), "{token}");
    }
    assert_eq!((rows_of_one_time_use(&house), upstream.received().len()), (2, 2));
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(passed(&list(19), 1, &gateway).await, 1, "what was refused is not used up");
    assert_eq!(rows_of_one_time_use(&house), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_repeats_a_call_spends_nobodys_quota() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let tokens: Vec<_> = (0..3).map(|_| house.token("limited", |new| new.once = true).text).collect();
    limit(&house, "limited", 2);
    let gateway = house.gateway(upstream.address);
    let list = |token: usize| Ask::modern("tools/list", json!({})).key(tokens[token].expose());
    assert_eq!(passed(&list(0), 1, &gateway).await, 1);
    for _ in 0..10 {
        assert_eq!(list(0).send(gateway.address).await.status, 401);
    }
    assert_eq!(passed(&list(1), 1, &gateway).await, 1, "the second request of the subject");
    assert_eq!(passed(&list(2), 1, &gateway).await, 0);
    assert_eq!(gateway.count("replayed"), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_sessions_leaves_no_more_than_its_share_in_the_store() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let tokens: Vec<_> = (0..64).map(|_| house.token("limited", |new| new.once = true).text).collect();
    limit(&house, "limited", 0);
    let gateway = house.gateway(upstream.address);
    let mut ended = 0;
    for token in &tokens {
        ended += passed(&Ask::new(Method::DELETE, "/mcp").key(token.expose()), 1, &gateway).await;
    }
    assert_eq!((ended, rows_of_one_time_use(&house)), (60, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_what_was_got_with_it_share_one_account() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    limit(&house, "six", 6);
    let (id, key) = house.key_of("alice", "six", &["mcp:*"]);
    let other = house.key_of("alice", "six", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    let form = |fields: &[(&str, &str)]| {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Ask::new(Method::POST, "/oauth/token")
            .body(body)
            .with("content-type", "application/x-www-form-urlencoded")
    };
    let token =
        async |ask: Ask| ask.send(gateway.address).await.json()["access_token"].as_str().map(str::to_owned);
    let got = [("grant_type", "client_credentials"), ("scope", "mcp:*")];
    let first = token(form(&got).key(&key)).await.unwrap();
    let second = token(form(&got).key(&key)).await.unwrap();
    let narrowed = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &first),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("scope", "tools:list"),
    ];
    let third = token(form(&narrowed)).await.unwrap();
    let list = |credential: &str| Ask::modern("tools/list", json!({})).key(credential);
    for credential in [&first, &second, &third] {
        assert_eq!(passed(&list(credential), 1, &gateway).await, 1);
    }
    for credential in [&key, &first, &second, &third] {
        assert_eq!(passed(&list(credential), 1, &gateway).await, 0, "three grants and three calls");
    }
    assert_eq!(token(form(&got).key(&key)).await, None);
    assert_eq!(passed(&list(&other), 9, &gateway).await, 6, "another key of the same subject has its own");
    assert_eq!(gateway.count("rate_limited"), 4 + 1 + 3, "{id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_says_nothing_of_use_uses_nothing_up() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let once = house.token("limited", |new| new.once = true).text;
    let live = house.token("limited", |_| ()).text;
    limit(&house, "limited", 1);
    let gateway = house.gateway(upstream.address);
    let ask = |path: &str, body: &str| {
        let ask = Ask::new(Method::POST, path).body(body.to_owned()).key(once.expose());
        ask.with("content-type", "application/x-www-form-urlencoded")
    };
    for (path, body) in [
        ("/oauth/token", "grant_type=password"),
        ("/oauth/token", "grant_type=client_credentials"),
        ("/oauth/token", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"),
        ("/oauth/introspect", "token="),
        ("/oauth/revoke", ""),
    ] {
        assert_eq!(ask(path, body).send(gateway.address).await.status, 400, "{path} {body}");
    }
    assert_eq!(rows_of_one_time_use(&house), 0);
    let told = ask("/oauth/introspect", &format!("token={}", live.expose())).send(gateway.address).await;
    assert_eq!((told.status, rows_of_one_time_use(&house)), (200, 1));
    assert_eq!(told.json()["active"], true);
}
