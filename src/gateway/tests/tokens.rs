//! Tokens at the door: what passes, what each client is told, what ends them, and what anybody may read.

use super::harness::*;
use super::proofs::Bound;
use http::Method;
use serde_json::json;
use std::sync::Mutex;

use crate::domain::jose::Algorithm;
use crate::ops::{self, Ctx, token::Issued};

pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

pub(super) fn ping(token: &str) -> Ask {
    Ask::modern("ping", json!({})).key(token)
}

/// The second challenge, of those whom a proof of possession could help.
pub(super) fn by_proof() -> String {
    format!(", DPoP algs=\"{}\"", Algorithm::public_names().collect::<Vec<_>>().join(" "))
}

pub(super) fn challenge(answered: &Answered) -> &str {
    answered.headers["www-authenticate"].to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_passes_on_every_verb_and_goes_no_further() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let token = house.token("free", |_| ()).text;
    let gateway = house.gateway(upstream.address);
    for ask in Ask::call_in_both_eras("echo")
        .into_iter()
        .chain([Ask::new(Method::GET, "/mcp"), Ask::new(Method::GET, "/files")])
    {
        let answered = ask.key(token.expose()).with("dpop", "stray").send(gateway.address).await;
        assert_eq!(answered.status, 200, "{answered:?}");
    }
    for received in upstream.received() {
        assert!(!received.headers.contains_key("authorization") && !received.headers.contains_key("dpop"));
        assert_eq!(received.headers["x-portcullis-subject"], "alice");
        assert_eq!(received.headers["x-portcullis-credential"].len(), 22);
    }
    let asked = Ask::new(Method::GET, "/verify/files").key(token.expose()).send(gateway.admin).await;
    assert_eq!((asked.status, &asked.headers["x-portcullis-subject"]), (200, &"alice".parse().unwrap()));
    let nobody = Ask::new(Method::GET, "/verify/files").send(gateway.admin).await;
    assert_eq!(challenge(&nobody), "Bearer realm=\"portcullis\"", "nobody is known to serve metadata there");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_is_told_what_it_can_act_on() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let (good, revoked) = (house.token("free", |_| ()).text, house.token("free", |_| ()));
    ops::token::revoke_all(&house.ctx, &[revoked.token.jti], "").unwrap();
    let (good, revoked) = (good.expose(), revoked.text.expose());
    let abroad = house.token("free", |new| new.audience = vec!["https://elsewhere.example".into()]).text;
    let narrow = house.token("free", |new| new.scopes = vec!["tools:list".parse().unwrap()]).text;
    let gateway = house.gateway(upstream.address);
    let at = ", resource_metadata=\"http://localhost/.well-known/oauth-protected-resource/mcp\"";
    let realm = "Bearer realm=\"portcullis\"";
    let proof = by_proof();
    let call = || Ask::modern("tools/call", json!({"name": "echo"}));
    let forged = forged(good);
    let mut bodies = Vec::new();
    for (ask, told) in [
        (call(), format!("{realm}, scope=\"tools:call\"{at}{proof}")),
        (call().key(revoked), format!("{realm}, error=\"invalid_token\"{at}{proof}")),
        (call().key(abroad.expose()), format!("{realm}, error=\"invalid_token\"{at}{proof}")),
        (call().key(&forged), format!("{realm}, error=\"invalid_token\"{at}{proof}")),
        (call().key("eyJh.e30.AA"), format!("{realm}, error=\"invalid_token\"{at}{proof}")),
        (call().key("pcl_live_nothing"), format!("{realm}, error=\"invalid_token\"")),
        (call().with("x-api-key", good), format!("{realm}, error=\"invalid_token\"")),
    ] {
        let answered = ask.send(gateway.address).await;
        assert_eq!((answered.status, challenge(&answered)), (401, told.as_str()));
        bodies.push(answered.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "all 401 say the same");
    let few = call().key(narrow.expose()).send(gateway.address).await;
    assert_eq!(few.status, 403);
    let told = format!("{realm}, error=\"insufficient_scope\", scope=\"tools:call\"{at}");
    assert_eq!(challenge(&few), told, "the narrowest, and not all that would do");
    assert_eq!(few.json()["error"]["data"]["scopes"], json!(["tools:call"]));
    let twice = call().key(good).with("authorization", &format!("Bearer {good}"));
    let mut in_query = call();
    *in_query.request.uri_mut() = format!("/mcp?access_token={good}").parse().unwrap();
    for ask in
        [twice, call().key(good).with("x-api-key", "x"), call().with("authorization", "Bearer "), in_query]
    {
        let answered = ask.send(gateway.address).await;
        assert_eq!((answered.status, answered.reason().as_str()), (400, "bad_request"));
        assert_eq!(challenge(&answered), format!("{realm}, error=\"invalid_request\""));
    }
    assert!(upstream.received().is_empty());
    for method in [Method::GET, Method::DELETE] {
        for ask in [Ask::new(method.clone(), "/mcp"), Ask::new(method.clone(), "/mcp").key(revoked)] {
            assert_eq!(ask.send(gateway.address).await.status, 401, "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token_whichever_way_it_is_taken_back() {
    type Way = fn(&Ctx, &Issued);
    let ways: [Way; 4] = [
        |ctx, issued| _ = ops::token::revoke_all(ctx, &[issued.token.jti], "").unwrap(),
        |ctx, issued| _ = ops::token::revoke_subject(ctx, &issued.token.subject, "").unwrap(),
        |ctx, issued| _ = ops::token::revoke_key(ctx, None, &issued.token.kid, "").unwrap(),
        |ctx, _| _ = ops::token::revoke_issued_before(ctx, None, ctx.now(), "").unwrap(),
    ];
    for (place, revoke) in ways.into_iter().enumerate() {
        let house = House::new();
        let issued = house.token("free", |_| ());
        house.clock.advance(std::time::Duration::from_secs(5));
        let (sender, response) = events();
        let response = Mutex::new(Some(response));
        let upstream = Upstream::answering(move |_| {
            let response = response.lock().unwrap().take();
            async move { response.unwrap_or_else(|| whole("application/json", "{}")) }
        })
        .await;
        let gateway = house.gateway(upstream.address);
        let listen = Ask::modern("subscriptions/listen", json!({})).key(issued.text.expose());
        let mut body = listen.begin(gateway.address).await.into_body();
        sender.send("data: 1\n\n").await.unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 1\n\n");
        revoke(&house.ctx, &issued);
        let end = tokio::time::timeout(std::time::Duration::from_secs(60), next(&mut body)).await;
        assert!(!matches!(end, Ok(Some(Ok(_))) | Err(_)), "{place}: {end:?}");
        assert_eq!(ping(issued.text.expose()).send(gateway.address).await.status, 401, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_uses_of_a_one_time_token_through_two_gateways_one_passes() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let token = house.token("free", |new| new.once = true).text;
    let gateways = [house.gateway(upstream.address), house.gateway(upstream.address)];
    let asks = (0..64).map(|place| {
        let (ask, address) = (ping(token.expose()), gateways[place % 2].address);
        tokio::spawn(async move { ask.send(address).await.status })
    });
    let mut statuses = Vec::new();
    for ask in asks.collect::<Vec<_>>() {
        statuses.push(ask.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|&&status| status == 401).count(), 63, "{statuses:?}");
    assert_eq!(upstream.received().len(), 1);
    assert_eq!(gateways.iter().map(|gateway| gateway.count("replayed")).sum::<u64>(), 63);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_uses_no_one_time_token_up() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let token = house.token("free", |new| {
        new.once = true;
        new.scopes = vec!["tools:list".parse().unwrap()];
    });
    let gateway = house.gateway(upstream.address);
    let list = || Ask::modern("tools/list", json!({})).key(token.text.expose());
    let call = Ask::modern("tools/call", json!({"name": "echo"})).key(token.text.expose());
    assert_eq!(call.send(gateway.address).await.status, 403);
    assert_eq!(list().send(gateway.address).await.status, 200);
    assert_eq!(list().send(gateway.address).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_rests_on_the_word_of_others_is_not_kept() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let cached = async |gateway: &Served, path: &str| {
        let host = format!("localhost:{}", gateway.address.port());
        let ask = Ask::new(Method::GET, path).instead("host", &host).with("if-none-match", "*");
        let answered = ask.send(gateway.address).await;
        let cached = answered.headers["cache-control"] == "public, max-age=300";
        assert_eq!(cached, answered.headers.contains_key("etag"), "{path}");
        assert_eq!(answered.status, if cached { 304 } else { 200 }, "{path}");
        cached
    };
    let proxied = house.gateway_with(upstream.address, |settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        settings.advertises_tokens = true;
    });
    let named = house.gateway_with(upstream.address, |settings| {
        settings.advertises_tokens = true;
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        settings.public_url = Some("https://mcp.example/mcp".parse().unwrap());
    });
    for path in [METADATA, "/.well-known/oauth-authorization-server"] {
        assert!(!cached(&proxied, path).await && cached(&named, path).await, "{path}");
    }
    assert!(cached(&proxied, "/.well-known/jwks.json").await, "the keys are whose they are");
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_may_read_where_tokens_come_from() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let silent = house.gateway(upstream.address);
    let unlisted = Ask::new(Method::GET, METADATA).send(silent.address).await;
    assert_eq!((unlisted.status, unlisted.json().get("authorization_servers")), (200, None));
    Bound::new(&house);
    let listed = Ask::new(Method::GET, METADATA).send(silent.address).await.json();
    assert_eq!(listed["authorization_servers"], json!(["https://idp.example"]), "and not itself");
    let server = Ask::new(Method::GET, "/.well-known/oauth-authorization-server");
    assert_eq!(server.send(silent.address).await.status, 404);
    assert_eq!(silent.count("bad_request"), 0, "clients look for it everywhere");
    let gateway = house.gateway_with(upstream.address, |settings| settings.advertises_tokens = true);
    for path in
        [METADATA, "/.well-known/oauth-protected-resource/mcp", "/.well-known//oauth-protected-resource/"]
    {
        let answered = Ask::new(Method::GET, path)
            .with("origin", "https://stranger.example")
            .send(gateway.address)
            .await;
        assert_eq!(answered.status, 200, "{path}: {answered:?}");
        assert_eq!(answered.headers["access-control-allow-origin"], "*");
        let metadata = answered.json();
        // Tokens are taken for that, and for none without the port.
        assert_eq!(metadata["resource"], format!("http://localhost:{}/mcp", gateway.address.port()));
        assert_eq!(metadata["authorization_servers"], json!(["https://idp.example", "http://localhost"]));
        assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
        let proving = metadata["dpop_signing_alg_values_supported"].as_array().unwrap();
        assert!(proving.contains(&json!("ES256")) && !proving.contains(&json!("HS256")), "{metadata}");
        let scopes = metadata["scopes_supported"].as_array().unwrap();
        assert!(scopes.contains(&json!("tools:call")));
        for never in ["offline_access", "mcp:*", "oauth:token"] {
            assert!(!scopes.contains(&json!(never)), "{never}");
        }
    }
    let preflight = Ask::new(Method::OPTIONS, METADATA)
        .with("origin", "https://stranger.example")
        .with("access-control-request-method", "GET")
        .with("access-control-request-headers", "mcp-protocol-version");
    let answered = preflight.send(gateway.address).await;
    assert_eq!(
        (answered.status, &answered.headers["access-control-allow-origin"]),
        (204, &"*".parse().unwrap())
    );
    assert_eq!(answered.headers["access-control-allow-headers"], "mcp-protocol-version");
    let rebound = Ask::new(Method::GET, METADATA).instead("host", "evil.example").send(gateway.address).await;
    assert_eq!(rebound.status, 403, "what it says of itself must not be a stranger's name");
    assert_eq!(Ask::new(Method::POST, METADATA).send(gateway.address).await.status, 405);
    let elsewhere =
        Ask::new(Method::GET, "/.well-known/oauth-protected-resource/other").send(gateway.address).await;
    assert_eq!(elsewhere.status, 401, "of no other resource");
    let server =
        Ask::new(Method::GET, "/.well-known/oauth-authorization-server").send(gateway.address).await.json();
    assert_eq!(server["issuer"], "http://localhost");
    assert_eq!(server["token_endpoint"], "http://localhost/oauth/token");
    assert!(server.get("authorization_endpoint").is_none());
    for (what, ways) in [
        ("token", json!(["client_secret_basic", "client_secret_post"])),
        ("introspection", json!(["client_secret_basic", "client_secret_post", "Bearer"])),
        ("revocation", json!(["client_secret_basic", "client_secret_post"])),
    ] {
        assert_eq!(server[format!("{what}_endpoint_auth_methods_supported")], ways, "{what}");
    }
    assert!(server["dpop_signing_alg_values_supported"].as_array().unwrap().contains(&json!("Ed25519")));
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_everything_has_its_public_name() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let trusting = house.gateway_with(upstream.address, |settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        settings.advertises_tokens = true;
    });
    let wary = house.gateway(upstream.address);
    let named = house.gateway_with(upstream.address, |settings| {
        settings.public_url = Some("https://mcp.example/mcp".parse().unwrap());
    });
    let says = |ask: Ask| ask.with("x-forwarded-host", "public.example").with("x-forwarded-proto", "https");
    let own = format!("http://localhost:{}", wary.address.port());
    for (gateway, resource, origin) in
        [(&wary, own.as_str(), "http://localhost"), (&named, "https://mcp.example", "https://mcp.example")]
    {
        let metadata = says(Ask::new(Method::GET, METADATA)).send(gateway.address).await.json();
        assert_eq!(metadata["resource"], format!("{resource}/mcp"));
        let refused = says(Ask::modern("ping", json!({}))).send(gateway.address).await;
        let at = format!("resource_metadata=\"{origin}/.well-known/oauth-protected-resource/mcp\"");
        let told = challenge(&refused);
        assert!(told.ends_with(&format!("{at}{}", by_proof())), "{told}");
    }
    let server = "/.well-known/oauth-authorization-server";
    let server = says(Ask::new(Method::GET, server)).send(trusting.address).await.json();
    assert_eq!(server["token_endpoint"], "https://public.example/oauth/token");
    let unnamed = says(Ask::new(Method::GET, METADATA)).send(trusting.address).await;
    assert_eq!(unnamed.status, 404, "it takes no tokens for what a proxy may have been told");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_are_published_ahead_of_their_use_and_fit_for_caching() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let gateway = house.gateway(upstream.address);
    let read = || Ask::new(Method::GET, "/.well-known/jwks.json");
    assert_eq!(read().send(gateway.address).await.json(), json!({"keys": []}));
    let first = house.token("free", |_| ()).token.kid;
    house.token("free", |new| new.algorithm = Some(Algorithm::Hs256));
    let published = read().send(gateway.address).await;
    assert_eq!(published.json()["keys"].as_array().unwrap().len(), 1, "a secret is never published");
    assert_eq!(published.json()["keys"][0]["kid"], first.as_str());
    assert!(!published.body.contains("\"d\"") && !published.body.contains("\"k\""), "{}", published.body);
    assert_eq!(published.headers["cache-control"], "public, max-age=300");
    let tag = published.headers["etag"].to_str().unwrap();
    let again = read().with("if-none-match", tag).send(gateway.address).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let rotation = ops::signing_key::Rotation {
        publish_ahead: std::time::Duration::from_secs(600),
        ..Default::default()
    };
    ops::signing_key::rotate(&house.ctx, &first, rotation).unwrap();
    let both = read().with("if-none-match", tag).send(gateway.address).await;
    assert_eq!(
        (both.status, both.json()["keys"].as_array().unwrap().len()),
        (200, 2),
        "the next one is there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_with_a_fresh_token_of_its_subject() {
    let upstream = Upstream::answering(|_| async {
        let mut response = whole("application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        response.headers_mut().insert("mcp-session-id", "s".parse().unwrap());
        response
    })
    .await;
    let house = House::new();
    let gateway = house.gateway(upstream.address);
    let token = |subject: &str| house.token("free", |new| new.subject = subject.parse().unwrap()).text;
    let hello =
        Ask::old("initialize", json!({"protocolVersion": "2025-11-25"})).without("mcp-protocol-version");
    let opened = hello.key(token("alice").expose()).send(gateway.address).await;
    let session = opened.headers["mcp-session-id"].to_str().unwrap();
    let ping = |token: &str| Ask::old("ping", json!({})).key(token).with("mcp-session-id", session);
    assert_eq!(ping(token("alice").expose()).send(gateway.address).await.status, 200);
    assert_eq!(ping(token("bob").expose()).send(gateway.address).await.status, 404);
    assert_eq!(
        ping(&house.key()).send(gateway.address).await.status,
        404,
        "a key of alice is not alice's tokens"
    );
}
