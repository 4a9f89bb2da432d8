//! What clients get with a credential: it stands only while that does, is narrowed from it, and is bounded in number.

use super::harness::*;
use super::oauth::{exchange, granted, post, refused, token};
use serde_json::json;

use crate::ops;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_got_with_a_key_falls_with_it_everywhere() {
    type Way = fn(&ops::Ctx, crate::domain::api_key::KeyId);
    let ways: [(&str, Way); 3] = [
        ("revoke", |ctx, id| _ = ops::api_key::revoke(ctx, id, "").unwrap()),
        ("disable", |ctx, id| _ = ops::api_key::disable(ctx, id).unwrap()),
        ("rotate", |ctx, id| _ = ops::api_key::rotate(ctx, id, std::time::Duration::ZERO).unwrap()),
    ];
    for (how, end) in ways {
        let (house, streaming) = (House::new(), events());
        let (sender, response) = streaming;
        let upstream = Upstream::streaming(response).await;
        house.policy("free", json!({}));
        let (id, key) = house.key_of("alice", "free", &["mcp:*"]);
        let asker = house.key_of("server", "free", &["oauth:introspect"]).1;
        let gateway = house.gateway(upstream.address);
        let wide = granted(token(&[("scope", "mcp:* oauth:token")]).key(&key), &gateway).await;
        let wide = wide["access_token"].as_str().unwrap().to_owned();
        let child = granted(exchange(&wide, &[("scope", "mcp:*")]), &gateway).await;
        let child = child["access_token"].as_str().unwrap().to_owned();
        let by_key = granted(exchange(&wide, &[("scope", "tools:list")]).key(&key), &gateway).await;
        let by_key = by_key["access_token"].as_str().unwrap().to_owned();
        let all = [&wide, &child, &by_key];
        let ping = |text: &str| Ask::modern("ping", json!({})).key(text);
        let introspect = |text: &str| post("/oauth/introspect", &[("token", text)]).key(&asker);
        for text in all {
            assert_eq!(ping(text).send(gateway.address).await.status, 200, "{how}");
            assert_eq!(granted(introspect(text), &gateway).await["active"], true, "{how}");
        }
        let listen = Ask::modern("subscriptions/listen", json!({})).key(&child);
        let mut body = listen.begin(gateway.address).await.into_body();
        sender.send("data: 1\n\n").await.unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 1\n\n");

        end(&house.ctx, id);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), next(&mut body)).await;
        assert!(!matches!(ended, Ok(Some(Ok(_))) | Err(_)), "{how}: {ended:?}");
        for text in all {
            assert_eq!(ping(text).send(gateway.address).await.status, 401, "{how}");
            assert_eq!(granted(introspect(text), &gateway).await, json!({"active": false}), "{how}");
            assert_eq!(refused(exchange(text, &[]), &gateway).await.0, 401, "{how}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_narrowed_by_itself_or_the_key_that_it_was_got_with() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    let (_, key) = house.key_of("alice", "free", &["mcp:*"]);
    let (_, other) = house.key_of("alice", "free", &["mcp:*"]);
    let gateway = house.gateway(upstream.address);
    let wide = granted(token(&[("scope", "mcp:* oauth:token")]).key(&key), &gateway).await;
    let mut text = wide["access_token"].as_str().unwrap().to_owned();
    let issued = house.token("free", |_| ()).text;
    for (ask, fits) in [
        (exchange(&text, &[]).key(&key), true),
        (exchange(&text, &[]).key(&text), true),
        (exchange(&text, &[]).key(&other), false),
        (exchange(&text, &[]).key(issued.expose()), false),
        (exchange(issued.expose(), &[]).key(&key), false),
        (exchange(issued.expose(), &[]), true),
    ] {
        match fits {
            true => _ = granted(ask, &gateway).await,
            false => assert_eq!(refused(ask, &gateway).await, (400, "invalid_grant".into())),
        }
    }
    // What carries all that it rests on must not grow without end.
    let again = [("scope", "mcp:* oauth:token")];
    for _ in 0..crate::domain::token::MOST_PARENTS {
        let next = granted(exchange(&text, &again), &gateway).await;
        text = next["access_token"].as_str().unwrap().to_owned();
    }
    assert_eq!(refused(exchange(&text, &again), &gateway).await, (400, "invalid_grant".into()));
}

/// Has the store hold so many tokens more like the newest one that rests on `ground`.
fn multiply(house: &House, ground: &str, times: i64) {
    let ground = ground.to_owned();
    let written = house.ctx.store.write(move |c| -> Result<(), crate::store::StoreError> {
        c.execute(
            "CREATE TEMP TABLE made AS WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number
               WHERE n < ?1) SELECT printf('%s-%d', substr(hex(randomblob(8)), 1, 8), n) AS id FROM number",
            [times],
        )?;
        let like = "(SELECT jti FROM token_ground WHERE object = ?1 LIMIT 1)";
        for (table, columns) in [
            ("token", "subject, client, scopes, audience, policy, bound, max_uses, kid, algorithm, issued_at, expires_at, issued_by, mac"),
            ("token_ground", "kind, object, place, secret, kid, issued_at, mac"),
        ] {
            let sql = format!("INSERT INTO {table} (jti, {columns}) SELECT id, {columns} FROM {table}, made WHERE jti = {like}");
            let sql = if table == "token" { sql } else { format!("{sql} AND object = ?1") };
            c.execute(&sql, [&ground])?;
        }
        c.execute_batch("DROP TABLE made")?;
        Ok(())
    });
    written.unwrap();
}

fn remembered(house: &House) -> i64 {
    let count = |c: &crate::store::Rows<'_>| -> Result<i64, crate::store::StoreError> {
        Ok(c.query_row("SELECT count(*) FROM token", [], |row| row.get(0))?)
    };
    house.ctx.store.read(count).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tokens_of_one_key_live_at_once_and_no_more() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    let (id, key) = house.key_of("alice", "free", &["mcp:*"]);
    let (_, other) = house.key_of("alice", "free", &["mcp:*"]);
    let gateway = house.gateway(upstream.address);
    let wide = granted(token(&[("scope", "mcp:* oauth:token")]).key(&key), &gateway).await;
    let wide = wide["access_token"].as_str().unwrap().to_owned();
    multiply(&house, &id.to_string(), 997);
    granted(token(&[]).key(&key), &gateway).await;
    granted(exchange(&wide, &[("scope", "tools:list")]), &gateway).await;
    for ask in [token(&[]).key(&key), exchange(&wide, &[]), exchange(&wide, &[]).key(&key)] {
        let answered = ask.send(gateway.address).await;
        assert_eq!((answered.status, answered.json()["error"].as_str()), (400, Some("invalid_grant")));
        let why = answered.json()["error_description"].as_str().unwrap().to_owned();
        assert!(why.contains("1000 tokens"), "{why}");
    }
    granted(token(&[]).key(&other), &gateway).await;
    assert_eq!(remembered(&house), 1001);
    // What has ended makes room, and is soon forgotten: a hundred with each that is issued.
    house.clock.advance(std::time::Duration::from_secs(2 * 3600));
    for _ in 0..11 {
        granted(token(&[]).key(&key), &gateway).await;
    }
    assert_eq!(remembered(&house), 12, "and the one of the other key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tokens_narrowed_from_one_live_at_once_and_no_more() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let issued = house
        .token("free", |new| new.scopes = vec!["mcp:*".parse().unwrap(), "oauth:token".parse().unwrap()]);
    let text = issued.text.expose().to_owned();
    let gateway = house.gateway(upstream.address);
    let child = granted(exchange(&text, &[("scope", "mcp:* oauth:token")]), &gateway).await;
    let child = child["access_token"].as_str().unwrap().to_owned();
    multiply(&house, &issued.token.jti.to_string(), 998);
    granted(exchange(&child, &[("scope", "tools:list")]), &gateway).await;
    for from in [&text, &child] {
        assert_eq!(refused(exchange(from, &[]), &gateway).await, (400, "invalid_grant".into()));
    }
    // Whoever issues by hand is not counted.
    house.token("free", |_| ());
}
