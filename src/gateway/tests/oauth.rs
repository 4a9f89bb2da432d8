//! The authorization server: short tokens for keys, narrower ones for tokens, questions about them, and giving them up.

use super::harness::*;
use ::base64::{Engine as _, prelude::BASE64_STANDARD};
use http::Method;
use serde_json::{Value, json};

use crate::ops;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

pub(super) fn post(path: &str, fields: &[(&str, &str)]) -> Ask {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Ask::new(Method::POST, path).body(form).with("content-type", "application/x-www-form-urlencoded")
}

pub(super) fn token(fields: &[(&str, &str)]) -> Ask {
    post("/oauth/token", &[&[("grant_type", "client_credentials")], fields].concat())
}

pub(super) fn exchange(subject: &str, fields: &[(&str, &str)]) -> Ask {
    let own = [("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
    post("/oauth/token", &[&own, fields].concat())
}

pub(super) async fn granted(ask: Ask, gateway: &Served) -> Value {
    let answered = ask.send(gateway.address).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(answered.headers["cache-control"], "no-store");
    answered.json()
}

pub(super) async fn refused(ask: Ask, gateway: &Served) -> (u16, String) {
    let answered = ask.send(gateway.address).await;
    assert_eq!(answered.headers["cache-control"], "no-store");
    (answered.status, answered.json()["error"].as_str().unwrap().to_owned())
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_exchanged_for_a_short_token_in_each_way() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    let (id, key) = house.key_of("alice", "free", &["tools:list", "tools:call", "oauth:token"]);
    let secret = key.rsplit('_').next().unwrap();
    let gateway = house.gateway(upstream.address);
    for ask in [
        token(&[]).key(&key),
        token(&[]).with("x-api-key", &key),
        token(&[]).with("authorization", &basic(id.as_str(), secret)),
        token(&[]).with("authorization", &basic(id.as_str(), &key)),
        token(&[("client_id", id.as_str()), ("client_secret", secret)]),
    ] {
        let answer = granted(ask, &gateway).await;
        assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(300)));
        assert_eq!(answer["scope"], "tools:list tools:call", "not those of the authorization server itself");
        let text = answer["access_token"].as_str().unwrap();
        let call = Ask::modern("tools/call", json!({"name": "echo"})).key(text);
        assert_eq!(call.send(gateway.address).await.status, 200);
        assert_eq!(upstream.received().last().unwrap().headers["x-portcullis-subject"], "alice");
    }
    let narrow =
        granted(token(&[("scope", "tools:list"), ("resource", "http://localhost/mcp")]).key(&key), &gateway)
            .await;
    assert_eq!(narrow["scope"], "tools:list");
    let call =
        Ask::modern("tools/call", json!({"name": "echo"})).key(narrow["access_token"].as_str().unwrap());
    assert_eq!(call.send(gateway.address).await.status, 403);
    // What was issued is remembered, with who had it.
    let query = crate::store::token::Query {
        filter: Default::default(),
        sort: crate::store::token::Sort::Issued,
        descending: true,
        now: house.ctx.now(),
    };
    let issued = ops::token::list(&house.ctx, &query, None, 50).unwrap().items;
    assert_eq!(issued.len(), 6);
    assert!(
        issued
            .iter()
            .all(|one| one.token.issued_by == format!("oauth:{id}") && one.token.client == id.to_string())
    );
    assert_eq!(gateway.count("allowed"), 6 + 5, "each grant is a call as any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_near_miss_of_a_grant_has_its_error() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    house.policy("two", json!({"rate_limits": {"requests_per_minute": 2}}));
    let (id, key) = house.key_of("alice", "free", &["tools:list", "oauth:token"]);
    let everything = house.key();
    let without = house.key_of("bob", "free", &["tools:list"]).1;
    let limited = house.key_of("carol", "two", &["mcp:*"]).1;
    let own = house.token("free", |_| ()).text;
    let gateway = house.gateway(upstream.address);
    let form = "application/x-www-form-urlencoded";
    let mut in_query = token(&[]).key(&key);
    *in_query.request.uri_mut() = "/oauth/token?grant_type=client_credentials".parse().unwrap();
    let wrong = basic(id.as_str(), &"A".repeat(43));
    for (ask, status, error) in [
        (token(&[]), 401, "invalid_client"),
        (token(&[("client_id", id.as_str())]), 401, "invalid_client"),
        (token(&[]).with("authorization", &wrong), 401, "invalid_client"),
        (token(&[]).with("authorization", "Basic ?"), 401, "invalid_client"),
        (token(&[("client_secret", "x"), ("client_id", "y")]), 401, "invalid_client"),
        (token(&[("client_secret", "x"), ("client_id", "y")]).key(&key), 400, "invalid_request"),
        (token(&[("client_secret", "x")]), 400, "invalid_request"),
        (token(&[]).with("authorization", &wrong).with("x-api-key", &key), 400, "invalid_request"),
        (token(&[]).key(&without), 400, "unauthorized_client"),
        (token(&[]).key(own.expose()), 400, "unauthorized_client"),
        (token(&[("scope", "tools:call")]).key(&key), 400, "invalid_scope"),
        (token(&[("scope", "mcp:*")]).key(&key), 400, "invalid_scope"),
        (token(&[("scope", "tools:list  tools:list")]).key(&key), 400, "invalid_scope"),
        (token(&[("scope", "no:such")]).key(&everything), 400, "invalid_request"),
        (token(&[("resource", "https://elsewhere.example")]).key(&key), 400, "invalid_target"),
        (post("/oauth/token", &[]).key(&key), 400, "invalid_request"),
        (post("/oauth/token", &[("grant_type", "password")]).key(&key), 400, "unsupported_grant_type"),
        (post("/oauth/token", &[("grant_type", "a"), ("grant_type", "b")]).key(&key), 400, "invalid_request"),
        (token(&[]).key(&key).instead("content-type", "application/json"), 400, "invalid_request"),
        (token(&[]).key(&key).body("x".repeat(70_000)), 413, "invalid_request"),
        (Ask::new(Method::GET, "/oauth/token").key(&key), 405, "invalid_request"),
        (in_query, 400, "invalid_request"),
        (
            token(&[]).key(&key).with("content-type", form).with("origin", "https://stranger.example"),
            400,
            "unauthorized_client",
        ),
    ] {
        let shown = format!("{:?} {:?}", ask.request.headers(), ask.request.body());
        assert_eq!(refused(ask, &gateway).await, (status, error.to_owned()), "{shown}");
    }
    let preflight = Ask::new(Method::OPTIONS, "/oauth/token")
        .with("origin", "http://localhost:6274")
        .with("access-control-request-method", "POST");
    let answered = preflight.send(gateway.address).await;
    assert_eq!(
        (answered.status, &answered.headers["access-control-allow-origin"]),
        (204, &"http://localhost:6274".parse().unwrap())
    );
    let challenged = token(&[]).send(gateway.address).await;
    assert!(challenged.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    let narrowed = granted(token(&[("scope", "tools:call")]).key(&everything), &gateway).await;
    assert_eq!(narrowed["scope"], "tools:call", "whoever holds everything may ask for anything");
    for _ in 0..2 {
        granted(token(&[]).key(&limited), &gateway).await;
    }
    let spent = token(&[]).key(&limited).send(gateway.address).await;
    assert_eq!(spent.status, 429);
    assert!(spent.headers.contains_key("retry-after"));
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_exchanged_for_a_narrower_one_of_its_subject_that_does_not_outlive_it() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let scopes = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
    let wide = house.token("free", |new| {
        new.scopes = scopes(&["tools:list", "tools:call", "oauth:token"]);
        new.life = std::time::Duration::from_secs(100);
    });
    let wide = wide.text.expose();
    let gateway = house.gateway(upstream.address);
    let answer = granted(exchange(wide, &[("scope", "tools:list")]), &gateway).await;
    assert_eq!((&answer["scope"], &answer["expires_in"]), (&json!("tools:list"), &json!(100)));
    assert_eq!(answer["issued_token_type"], ACCESS_TOKEN);
    let narrow = answer["access_token"].as_str().unwrap().to_owned();
    assert_eq!(Ask::modern("tools/list", json!({})).key(&narrow).send(gateway.address).await.status, 200);
    let once = house.token("free", |new| new.once = true).text;
    let bound = house.token("free", |new| new.bind_policy = true).text;
    let bob = house.token("free", |new| new.subject = "bob".parse().unwrap()).text;
    let key = house.key();
    for (ask, error) in [
        (exchange(wide, &[("scope", "mcp:*")]), "invalid_scope"),
        (exchange(&narrow, &[]), "unauthorized_client"),
        (exchange(once.expose(), &[]).key(&key), "invalid_grant"),
        (exchange(bound.expose(), &[]).key(&key), "invalid_grant"),
        (exchange(bob.expose(), &[]).key(&key), "invalid_grant"),
        (exchange("eyJh.e30.AA", &[]).key(&key), "invalid_grant"),
        (exchange(wide, &[("actor_token", "x")]), "invalid_request"),
        (exchange(wide, &[("actor_token_type", ACCESS_TOKEN)]), "invalid_request"),
        (exchange(wide, &[("actor_token", "x"), ("actor_token_type", ACCESS_TOKEN)]), "invalid_request"),
        (
            exchange(wide, &[("requested_token_type", "urn:ietf:params:oauth:token-type:saml2")]),
            "invalid_request",
        ),
        (post("/oauth/token", &[("grant_type", EXCHANGE), ("subject_token", wide)]), "invalid_request"),
    ] {
        assert_eq!(refused(ask, &gateway).await, (400, error.to_owned()));
    }
    assert_eq!(refused(post("/oauth/token", &[("grant_type", EXCHANGE)]), &gateway).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_described_to_those_who_may_ask_and_only_while_it_is_valid() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let (live, gone) = (house.token("free", |_| ()), house.token("free", |_| ()));
    ops::token::revoke_all(&house.ctx, &[gone.token.jti], "").unwrap();
    let once = house.token("free", |new| new.once = true).text;
    let asker = house.key_of("server", "free", &["oauth:introspect"]).1;
    let nobody = house.key_of("server", "free", &["tools:list"]).1;
    let gateway = house.gateway(upstream.address);
    let ask = |token: &str| post("/oauth/introspect", &[("token", token)]).key(&asker);
    let found = granted(ask(live.text.expose()), &gateway).await;
    assert_eq!(
        (&found["active"], &found["sub"], &found["token_type"]),
        (&json!(true), &json!("alice"), &json!("Bearer"))
    );
    assert_eq!((&found["jti"], &found["scope"]), (&json!(live.token.jti), &json!("mcp:*")));
    assert_eq!(found["exp"], json!(live.token.expires_at.seconds()));
    assert_eq!(granted(ask(once.expose()), &gateway).await["active"], true);
    assert_eq!(Ask::modern("ping", json!({})).key(once.expose()).send(gateway.address).await.status, 200);
    for token in [gone.text.expose(), once.expose(), "eyJh.e30.AA", "nothing", asker.as_str()] {
        assert_eq!(granted(ask(token), &gateway).await, json!({"active": false}));
    }
    let introspect = |fields: &[(&str, &str)]| post("/oauth/introspect", fields);
    let text = live.text.expose();
    assert_eq!(
        refused(introspect(&[("token", text)]).key(&nobody), &gateway).await,
        (403, "insufficient_scope".into())
    );
    assert_eq!(refused(introspect(&[("token", text)]), &gateway).await.0, 401);
    assert_eq!(refused(introspect(&[]).key(&asker), &gateway).await, (400, "invalid_request".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_given_up_by_whose_it_is_or_who_may_take_back_those_of_others() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    house.policy("free", json!({}));
    let own = house.key_of("alice", "free", &["oauth:revoke"]).1;
    let anybodys = house.key_of("server", "free", &["oauth:revoke-others"]).1;
    let strangers = house.key_of("server", "free", &["oauth:revoke"]).1;
    let nobody = house.key_of("alice", "free", &["tools:list"]).1;
    let everything = house.key_of("server", "free", &["mcp:*"]).1;
    let gateway = house.gateway(upstream.address);
    let revoke = |token: &str, key: &str| post("/oauth/revoke", &[("token", token)]).key(key);
    let ping = |text: &str| Ask::modern("ping", json!({})).key(text);
    let narrow = house.token("free", |new| new.scopes = vec!["oauth:revoke".parse().unwrap()]).text;
    for (revoker, may) in [
        (own.as_str(), true),
        (&anybodys, true),
        (&everything, true),
        (narrow.expose(), true),
        (&strangers, false),
        (&nobody, false),
    ] {
        let live = house.token("free", |_| ());
        let text = live.text.expose();
        // Whoever only knows its name has nothing to give up, and is told nothing.
        let forged = forged(text);
        for unknown in [forged.as_str(), "nothing"] {
            let status = revoke(unknown, revoker).send(gateway.address).await.status;
            assert_eq!(status, if revoker == nobody { 403 } else { 200 });
        }
        assert_eq!(ping(text).send(gateway.address).await.status, 200);
        if !may {
            assert_eq!(refused(revoke(text, revoker), &gateway).await, (403, "insufficient_scope".into()));
            assert_eq!(ping(text).send(gateway.address).await.status, 200, "it stands");
            continue;
        }
        for _ in 0..2 {
            let answered = revoke(text, revoker).send(gateway.address).await;
            assert_eq!((answered.status, answered.body.as_str()), (200, ""));
            assert_eq!(ping(text).send(gateway.address).await.status, 401);
        }
        assert!(ops::token::show(&house.ctx, live.token.jti).unwrap().refusal.is_some());
    }
    // Itself.
    assert_eq!(revoke(narrow.expose(), narrow.expose()).send(gateway.address).await.status, 200);
    assert_eq!(revoke(narrow.expose(), narrow.expose()).send(gateway.address).await.status, 401);
    // An issuer that has an alice as well has another one.
    let abroad = super::proofs::Bound::new(&house);
    let now = house.ctx.now().seconds();
    let claims = json!({"iss": "https://idp.example", "aud": "api", "sub": "alice", "jti": "1", "iat": now, "exp": now + 600,
        "scope": "tools:list"});
    let header = json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"});
    let foreign = super::proofs::Bound::sign(&abroad.issuer, &header, &claims);
    assert_eq!(refused(revoke(&foreign, &own), &gateway).await.0, 403);
    assert_eq!(revoke(&foreign, &anybodys).send(gateway.address).await.status, 200);
    assert_eq!(ping(&foreign).send(gateway.address).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_as_long_as_the_gateway_takes_and_what_is_longer_is_told_so() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let abroad = super::proofs::Bound::new(&house);
    let now = house.ctx.now().seconds();
    let long = |groups: usize| {
        let groups: Vec<_> =
            (0..groups).map(|number| format!("{number:08}-aaaa-bbbb-cccc-000000000000")).collect();
        let claims = json!({"iss": "https://idp.example", "aud": "api", "sub": "ana", "jti": "1", "iat": now, "exp": now + 600,
            "scope": "tools:list", "groups": groups});
        super::proofs::Bound::sign(
            &abroad.issuer,
            &json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"}),
            &claims,
        )
    };
    let usual = house.gateway(upstream.address);
    let raised = house.gateway_with(upstream.address, |settings| settings.max_token = 24 * 1024);
    let (entra, longer) = (long(200), long(350));
    assert!((10_000..16_384).contains(&entra.len()), "{}", entra.len());
    assert!((16_385..24_576).contains(&longer.len()), "{}", longer.len());
    let list = |token: &str| Ask::modern("tools/list", json!({})).key(token);
    for (gateway, token, status) in
        [(&usual, &entra, 200), (&usual, &longer, 431), (&raised, &longer, 200), (&raised, &entra, 200)]
    {
        let answered = list(token).send(gateway.address).await;
        assert_eq!(answered.status, status, "{answered:?}");
        if status == 431 {
            assert!(answered.body.contains("--max-token") && answered.json()["id"] == 1, "{answered:?}");
        }
    }
    // A proxy that asks is told the same; its nginx is told as nginx has it.
    let verify = |token: &str| Ask::new(Method::GET, "/verify/files").key(token);
    assert_eq!(verify(&longer).send(usual.admin).await.status, 431);
    let nginx = Ask::new(Method::GET, "/verify")
        .with("x-original-uri", "/files")
        .with("x-original-method", "GET")
        .key(&longer);
    let answered = nginx.send(usual.admin).await;
    assert_eq!((answered.status, &answered.headers["x-authz-status"]), (403, &"431".parse().unwrap()));
}
