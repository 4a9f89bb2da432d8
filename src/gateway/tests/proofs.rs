//! Proofs of possession: a token that is bound to a key passes with one, and with nothing else.

use super::harness::*;
use super::tokens::challenge;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::issuer::{Issuer, Mapping};
use crate::domain::jose::{Algorithm, base64};
use crate::domain::token::Profile;
use crate::store;
use crate::vault::{RsaBits, SigningPair};

/// Somebody whose tokens are bound to a key, and the holder of that key.
pub(super) struct Bound {
    pub issuer: SigningPair,
    holder: SigningPair,
}

impl Bound {
    pub fn new(house: &House) -> Self {
        let issuer = SigningPair::generate(Algorithm::EdDsa, RsaBits::default()).unwrap();
        let jwk = issuer.verifying_key().unwrap().with_kid("k").to_jwk().unwrap();
        let registered = Issuer {
            name: "corp".parse().unwrap(),
            profile: Profile::AtJwt,
            iss: Some("https://idp.example".into()),
            url: Some("https://idp.example".into()),
            audiences: vec!["api".into()],
            algorithms: vec![Algorithm::EdDsa],
            mapping: Mapping::default(),
            policy: "free".parse().unwrap(),
            keys: json!({ "keys": [jwk] }),
            created_at: house.ctx.now(),
            fetched_at: Some(house.ctx.now()),
            last_error: String::new(),
        };
        house.policy("free", json!({}));
        house.ctx.store.write(move |c| store::issuer::insert(c, &registered, None)).unwrap();
        Self { issuer, holder: SigningPair::generate(Algorithm::Es256, RsaBits::default()).unwrap() }
    }

    pub fn sign(pair: &SigningPair, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", base64::encode(header.to_string()), base64::encode(claims.to_string()));
        format!("{input}.{}", base64::encode(pair.sign(input.as_bytes()).unwrap()))
    }

    fn token(&self, house: &House, confirmation: Value) -> String {
        let now = house.ctx.now().seconds();
        let claims = json!({"iss": "https://idp.example", "aud": "api", "sub": "ana", "jti": "1", "iat": now,
            "exp": now + 600, "scope": "mcp:*", "cnf": confirmation});
        Self::sign(&self.issuer, &json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"}), &claims)
    }

    fn bound_token(&self, house: &House) -> String {
        let key = self.holder.verifying_key().unwrap();
        self.token(house, json!({"jkt": key.thumbprint()}))
    }

    fn proof(&self, house: &House, token: &str, changes: Value) -> String {
        let mut claims = json!({"jti": "p", "htm": "POST", "htu": "https://mcp.example/mcp",
            "iat": house.ctx.now().seconds(), "ath": base64::encode(Sha256::digest(token))});
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let jwk = self.holder.verifying_key().unwrap().to_jwk().unwrap();
        Self::sign(&self.holder, &json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk}), &claims)
    }
}

pub(super) fn with_proof(token: &str, proof: &str) -> Ask {
    let ask = Ask::modern("ping", json!({})).instead("host", "mcp.example");
    ask.with("authorization", &format!("DPoP {token}")).with("dpop", proof)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_passes_with_its_proof_and_each_proof_once() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let bound = Bound::new(&house);
    let public = |settings: &mut crate::gateway::Settings| {
        settings.public_url = Some("https://mcp.example/mcp".parse().unwrap());
    };
    let gateways =
        [house.gateway_with(upstream.address, public), house.gateway_with(upstream.address, public)];
    let token = bound.bound_token(&house);
    let proof = bound.proof(&house, &token, json!({}));
    let status = async |ask: Ask, gateway: &Served| ask.send(gateway.address).await.status;
    assert_eq!(status(with_proof(&token, &proof), &gateways[0]).await, 200);
    for gateway in &gateways {
        let answered = with_proof(&token, &proof).send(gateway.address).await;
        assert_eq!(answered.status, 401, "each proof once, whoever is asked");
        assert!(challenge(&answered).contains("error=\"invalid_dpop_proof\""), "{answered:?}");
        assert_eq!(answered.reason(), "unauthorized");
    }
    let fresh = |jti: &str, changes: Value| {
        let mut all = json!({ "jti": jti });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        bound.proof(&house, &token, all)
    };
    assert_eq!(status(with_proof(&token, &fresh("p2", json!({}))), &gateways[1]).await, 200);
    for changes in [
        json!({"htm": "GET"}),
        json!({"htu": "https://mcp.example/other"}),
        json!({"htu": "http://mcp.example/mcp"}),
        json!({"iat": house.ctx.now().seconds() - 301}),
        json!({"ath": base64::encode(Sha256::digest("x"))}),
    ] {
        let answered = with_proof(&token, &fresh("p3", changes.clone())).send(gateways[0].address).await;
        assert_eq!(answered.status, 401, "{changes}");
        let told = challenge(&answered);
        assert!(
            told.starts_with("DPoP realm=\"portcullis\", error=\"invalid_dpop_proof\", algs=\""),
            "{told}"
        );
    }
    // Without a proof, or with one that is none; and where the token itself would not do, whatever the proof.
    let bare = |token: &str| {
        let ask = Ask::modern("ping", json!({})).instead("host", "mcp.example");
        ask.with("authorization", &format!("DPoP {token}"))
    };
    let other = forged(&token);
    for (ask, error) in [
        (bare(&token), "invalid_dpop_proof"),
        (bare(&token).with("dpop", "none"), "invalid_dpop_proof"),
        (bare(&other).with("dpop", &fresh("p6", json!({}))), "invalid_token"),
        (bare(&other).with("dpop", "none"), "invalid_token"),
    ] {
        let answered = ask.send(gateways[0].address).await;
        assert_eq!(answered.status, 401);
        assert!(
            challenge(&answered).contains(&format!("DPoP realm=\"portcullis\", error=\"{error}\"")),
            "{answered:?}"
        );
    }
    let plain = Ask::modern("ping", json!({})).instead("host", "mcp.example").key(&token);
    assert_eq!(status(plain.clone(), &gateways[0]).await, 401, "never as a plain bearer");
    assert_eq!(
        status(plain.with("dpop", &fresh("p4", json!({}))), &gateways[0]).await,
        401,
        "nor beside a proof"
    );
    let certified = bound.token(&house, json!({"x5t#S256": base64::encode([1; 32])}));
    let ask = Ask::modern("ping", json!({})).instead("host", "mcp.example").key(&certified);
    assert_eq!(status(ask, &gateways[0]).await, 401);
    assert_eq!(gateways[0].count("untrusted_certificate"), 1);
    let unbound = house.token("free", |_| ()).text;
    let proof = bound.proof(&house, unbound.expose(), json!({"jti": "p5"}));
    assert_eq!(
        status(with_proof(unbound.expose(), &proof), &gateways[0]).await,
        401,
        "it is bound to no key"
    );
    assert_eq!(upstream.received().len(), 2);
}

/// Without a public URL a client, or a proxy that passes its word on, would say for which URL a proof has to be.
#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_taken_only_where_it_is_certain_for_which_url_its_proof_is() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let bound = Bound::new(&house);
    let behind = |settings: &mut crate::gateway::Settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    };
    let proxied = house.gateway_with(upstream.address, behind);
    let named = house.gateway_with(upstream.address, |settings| {
        behind(settings);
        settings.public_url = Some("https://mcp.example/mcp".parse().unwrap());
    });
    let direct = house.gateway(upstream.address);
    let token = bound.bound_token(&house);
    for (gateway, host, jti, status) in [
        (&proxied, "evil.example", "1", 400),
        (&named, "evil.example", "2", 401),
        (&named, "mcp.example", "3", 200),
        (&direct, "evil.example", "4", 401),
    ] {
        let proof = bound.proof(&house, &token, json!({"jti": jti, "htu": format!("https://{host}/mcp")}));
        let ask = with_proof(&token, &proof).instead("host", "localhost");
        let ask = ask.with("x-forwarded-host", "evil.example").with("x-forwarded-proto", "https");
        let answered = ask.send(gateway.address).await;
        assert_eq!(answered.status, status, "{host}: {answered:?}");
        assert_eq!(answered.body.contains("--public-url"), status == 400, "{answered:?}");
    }
    let proof = bound.proof(&house, &token, json!({"jti": "5", "htu": "http://localhost/mcp"}));
    let ask = with_proof(&token, &proof).instead("host", "localhost");
    assert_eq!(ask.send(direct.address).await.status, 200, "on loopback there is nobody else");
    let mut asked = ask.with("x-original-uri", "/mcp").with("x-original-method", "POST");
    *asked.request.uri_mut() = "/verify".parse().unwrap();
    let answered = asked.send(proxied.admin).await;
    assert_eq!((answered.status, &answered.headers["x-authz-status"]), (403, &"400".parse().unwrap()));
    assert_eq!(upstream.received().len(), 2);
}
