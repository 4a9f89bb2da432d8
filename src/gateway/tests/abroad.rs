//! Tokens of other issuers: whose they are, what they may say of themselves, and whom they are for.

use super::harness::*;
use super::proofs::Bound;
use super::tokens::{METADATA, ping};
use http::Method;
use serde_json::json;

use crate::domain::issuer::Issuer;
use crate::domain::token::Profile;
use crate::ops;
use crate::ops::issuer::{Changes, NewKeys};
use crate::store;

/// A set of one key, under the name of the issuer's own.
const OTHER_KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn each_issuer_has_its_own_alice_and_the_server_is_told_whose_it_is() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let abroad = Bound::new(&house);
    let scope = crate::domain::scope::Scope {
        name: "files:read".parse().unwrap(),
        description: "files".into(),
        endpoints: vec!["/files".parse().unwrap()],
    };
    ops::scope::set(&house.ctx, scope).unwrap();
    let gateway = house.gateway(upstream.address);
    let (header, now) = (json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"}), house.ctx.now().seconds());
    let claims = json!({"iss": "https://idp.example", "aud": "api", "sub": "alice", "jti": "1", "iat": now,
        "exp": now + 600, "scope": "files:read tools:list mcp:* oauth:introspect oauth:token"});
    let foreign = Bound::sign(&abroad.issuer, &header, &claims);
    let (token, key) = (house.token("free", |_| ()).text, house.key());
    for (credential, issuer) in [(foreign.as_str(), Some("corp")), (token.expose(), None), (&key, None)] {
        let ask = Ask::modern("tools/list", json!({})).key(credential);
        let ask = ask.with("x-portcullis-issuer", "forged").with("x_portcullis_issuer", "forged");
        assert_eq!(ask.send(gateway.address).await.status, 200);
        let received = upstream.received().pop().unwrap();
        let told = |name: &str| received.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(told("x-portcullis-issuer").as_deref(), issuer);
        assert_eq!(told("x-portcullis-subject").as_deref(), Some("alice"));
        assert_eq!(told("x_portcullis_issuer"), None);
        let asked = Ask::new(Method::GET, "/verify/files").key(credential).send(gateway.admin).await;
        assert_eq!(asked.status, 200, "{asked:?}");
        let told = asked.headers.get("x-portcullis-issuer").map(|value| value.to_str().unwrap());
        assert_eq!(told, issuer, "and a proxy that asks");
    }
    // By its own word it has none of our own scopes.
    let call = Ask::modern("tools/call", json!({"name": "echo"})).key(&foreign);
    assert_eq!(call.send(gateway.address).await.status, 403);
    for path in ["/oauth/introspect", "/oauth/token"] {
        let form = "application/x-www-form-urlencoded";
        let ask = Ask::new(Method::POST, path).body("token=x").with("content-type", form).key(&foreign);
        assert!(matches!(ask.send(gateway.address).await.status, 400 | 403), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_issuer_is_obeyed_at_the_next_request_and_by_open_streams() {
    type Change = fn(&mut Changes);
    let changes: [(&str, Change, u16); 8] = [
        ("nothing falls", |changes| changes.audiences = Some(vec!["api".into(), "more".into()]), 200),
        ("audience", |changes| changes.audiences = Some(vec!["more".into()]), 401),
        ("profile", |changes| changes.profile = Some(Profile::Legacy), 401),
        ("subject", |changes| changes.subject = Some("email".into()), 401),
        ("keys", |changes| changes.keys = Some(NewKeys::Set(OTHER_KEYS.into())), 401),
        ("scope claims", |changes| changes.scopes = Some(vec!["roles".into()]), 403),
        ("scope map", |changes| changes.only_mapped = Some(true), 403),
        ("policy", |changes| changes.policy = Some("closed".parse().unwrap()), 403),
    ];
    for (what, change, status) in changes {
        let (house, (sender, response)) = (House::new(), events());
        let upstream = Upstream::streaming(response).await;
        let abroad = Bound::new(&house);
        house.policy("closed", json!({"endpoint_restrictions": {"blocked_endpoints": ["**"]}}));
        let gateway = house.gateway(upstream.address);
        let (header, now) = (json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"}), house.ctx.now().seconds());
        let claims = json!({"iss": "https://idp.example", "aud": "api", "sub": "alice", "jti": "1", "iat": now,
            "exp": now + 600, "scope": "mcp:use"});
        let token = Bound::sign(&abroad.issuer, &header, &claims);
        let list = Ask::modern("tools/list", json!({})).key(&token);
        assert_eq!(list.clone().send(gateway.address).await.status, 200, "{what}");
        let listen = Ask::modern("subscriptions/listen", json!({})).key(&token);
        let mut body = listen.begin(gateway.address).await.into_body();
        sender.send("data: 1\n\n").await.unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 1\n\n");

        let mut changes = Changes::default();
        change(&mut changes);
        ops::issuer::set(&house.ctx, &"corp".parse().unwrap(), changes).unwrap();
        assert_eq!(list.send(gateway.address).await.status, status, "{what}");
        if status == 200 {
            sender.send("data: 2\n\n").await.unwrap();
            assert_eq!(next(&mut body).await.unwrap().unwrap(), "data: 2\n\n", "{what}");
            continue;
        }
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), next(&mut body)).await;
        assert!(!matches!(ended, Ok(Some(Ok(_))) | Err(_)), "{what}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_what_the_metadata_names_is_taken_and_for_no_name_that_a_client_makes_up() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let abroad = Bound::new(&house);
    let name: crate::domain::name::IssuerName = "corp".parse().unwrap();
    let without_audience = move |c: &store::Rows<'_>| {
        let issuer = store::issuer::find(c, &name)?.unwrap();
        store::issuer::update(c, &Issuer { audiences: Vec::new(), ..issuer })
    };
    house.ctx.store.write(without_audience).unwrap();
    let gateway = house.gateway(upstream.address);
    let host = gateway.address.to_string();
    let metadata = Ask::new(Method::GET, METADATA).instead("host", &host).send(gateway.address).await.json();
    let resource = metadata["resource"].as_str().unwrap().to_owned();
    assert_eq!(resource, format!("http://{host}/mcp"));
    let port = gateway.address.port();
    for (aud, host, status) in [
        (resource.clone(), host.clone(), 200),
        (format!("{resource}/"), host.clone(), 200),
        (format!("http://LOCALHOST:{port}/mcp"), format!("localhost:{port}"), 200),
        (format!("{resource} "), host.clone(), 401),
        (format!("http://127.0.0.1:{port}/other"), host.clone(), 401),
        ("http://localhost/mcp".into(), "localhost".into(), 401),
        ("http://127.0.0.1:1/mcp".into(), "127.0.0.1:1".into(), 401),
    ] {
        let now = house.ctx.now().seconds();
        let claims = json!({"iss": "https://idp.example", "aud": aud, "sub": "ana", "jti": "1", "iat": now,
            "exp": now + 600, "scope": "tools:list"});
        let token =
            Bound::sign(&abroad.issuer, &json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"}), &claims);
        let answered = ping(&token).instead("host", &host).send(gateway.address).await;
        assert_eq!(answered.status, status, "{aud:?} at {host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_does_not_know_its_url_names_none_that_it_would_refuse() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let gateway = house.gateway_with(upstream.address, |settings| {
        settings.listen = "0.0.0.0:0".parse().unwrap();
        settings.allow_plain_http = true;
    });
    let (port, names) = (gateway.address.port(), gateway.engine.audiences());
    let to = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let other = format!("127.0.0.1:{}", port ^ 1);
    for (host, resource) in [
        ("mcp.example", None),
        ("localhost", None),
        (&*other, None),
        (&*format!("127.0.0.1:{port}"), Some(format!("http://127.0.0.1:{port}/mcp"))),
        (&*format!("localhost:{port}"), Some(format!("http://localhost:{port}/mcp"))),
    ] {
        let answered = Ask::new(Method::GET, METADATA).instead("host", host).send(to).await;
        let stranger = Ask::modern("ping", json!({})).instead("host", host).send(to).await;
        let challenge = stranger.headers["www-authenticate"].to_str().unwrap();
        assert_eq!(challenge.contains("resource_metadata"), resource.is_some(), "{host}: {challenge}");
        match resource {
            Some(resource) => {
                assert_eq!(answered.json()["resource"], resource);
                assert!(names.contains(&resource), "{host}");
            }
            None => {
                assert_eq!(answered.status, 404, "{host}");
                assert!(answered.body.contains("serve --public-url"), "{answered:?}");
                assert_eq!(answered.headers["access-control-allow-origin"], "*");
            }
        }
    }
}
