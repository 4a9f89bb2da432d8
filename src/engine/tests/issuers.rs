//! Tokens of registered issuers: whose they are taken to be, and what follows when their issuer changes.

use super::{
    house::{House, request},
    tokens::forged,
};
use crate::domain::{
    credential::CredentialId,
    decision::{Account, Reason},
    issuer::{Issuer, Mapping},
    jose::{Algorithm, base64},
    name::PolicyName,
    token::{Profile, TokenId},
};
use crate::ops;
use crate::store::{self, StoreError};
use crate::vault::{RsaBits, SigningPair};
use serde_json::{Value, json};

/// Somebody else's tokens.
struct Abroad {
    pair: SigningPair,
    issuer: Issuer,
}

impl Abroad {
    fn new(house: &House, policy: &str) -> Self {
        let pair = SigningPair::generate(Algorithm::Es256, RsaBits::default()).unwrap();
        let jwk = pair.verifying_key().unwrap().with_kid("k1").to_jwk().unwrap();
        let issuer = Issuer {
            name: "corp".parse().unwrap(),
            profile: Profile::Oidc,
            iss: Some("https://idp.example".into()),
            url: None,
            audiences: vec!["api".into()],
            algorithms: vec![Algorithm::Es256],
            mapping: Mapping { prefix: "gate/".into(), ..Mapping::default() },
            policy: policy.parse().unwrap(),
            keys: json!({ "keys": [jwk] }),
            created_at: house.now(),
            fetched_at: None,
            last_error: String::new(),
        };
        let abroad = Self { pair, issuer };
        abroad.write(house, |c, issuer| store::issuer::insert(c, issuer, None));
        abroad
    }

    fn write<T: Send + 'static>(
        &self,
        house: &House,
        job: impl FnOnce(&store::Rows<'_>, &Issuer) -> Result<T, StoreError> + Clone + Send + 'static,
    ) -> T {
        let issuer = self.issuer.clone();
        house.neighbour().store.write(move |c| job(c, &issuer)).unwrap()
    }

    fn token(&self, house: &House, changes: Value) -> String {
        let mut claims = json!({"iss": "https://idp.example", "aud": "api", "sub": "alice", "jti": "1",
            "iat": house.now().seconds(), "exp": house.now().seconds() + 600, "scope": "gate/tools:list tools:call"});
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.signed(&claims.to_string())
    }

    /// A token of these claims, which need not be JSON.
    fn signed(&self, claims: &str) -> String {
        let header = json!({"alg": "ES256", "kid": "k1"});
        let input = format!("{}.{}", base64::encode(header.to_string()), base64::encode(claims));
        format!("{input}.{}", base64::encode(self.pair.sign(input.as_bytes()).unwrap()))
    }
}

#[tokio::test]
async fn a_registered_issuers_tokens_are_taken_until_it_is_removed() {
    let house = House::new();
    house.limit("guests", 2, "fixed");
    let mut gate = house.gate();
    let abroad = Abroad::new(&house, "guests");
    let good = abroad.token(&house, json!({}));
    let principal = gate.authenticate(&good).unwrap();
    assert_eq!(principal.credential, CredentialId::Token(TokenId::of("https://idp.example", "1")));
    assert_eq!(principal.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(), ["tools:list"]);
    assert_eq!(principal.policy.policy.name, "guests".parse::<PolicyName>().unwrap());
    for (changes, reason) in [
        (json!({"iss": "https://idp.example/"}), Reason::WrongIssuer),
        (json!({"aud": "other"}), Reason::WrongAudience),
        (json!({"policy_name": "default", "exp": house.now().seconds() - 31}), Reason::Expired),
    ] {
        assert_eq!(
            gate.authenticate(&abroad.token(&house, changes.clone())).unwrap_err(),
            reason,
            "{changes}"
        );
    }
    // Two calls a minute, whichever token of this subject asks, and none of them is our own alice's.
    assert_eq!(gate.call(&good, "tools/list").await, Ok(()));
    assert_eq!(gate.call(&abroad.token(&house, json!({"jti": "2"})), "tools/list").await, Ok(()));
    assert_eq!(gate.call(&good, "tools/list").await, Err(Reason::RateLimited));
    let own = house.token("guests", |_| ());
    assert_eq!(gate.call(own.text.expose(), "tools/list").await, Ok(()));
    assert!(matches!(principal.account, Account::Foreign(_)));

    assert!(gate.engine.still_valid(&principal, &[], house.now()));
    abroad.write(&house, |c, issuer| store::issuer::delete(c, &issuer.name));
    assert_eq!(gate.authenticate(&good).unwrap_err(), Reason::WrongIssuer);
    assert!(!gate.engine.still_valid(&principal, &[], house.now()));
}

#[tokio::test]
async fn an_issuer_that_names_another_subject_claim_is_read_anew() {
    let house = House::new();
    let abroad = Abroad::new(&house, "default");
    let mut gate = house.gate();
    let token = abroad.token(&house, json!({"email": "ana@example.org"}));
    assert_eq!(gate.authenticate(&token).unwrap().identity.subject.as_str(), "alice");
    abroad.write(&house, |c, issuer| {
        let mapping = Mapping { subject: "email".into(), ..issuer.mapping.clone() };
        store::issuer::update(c, &Issuer { mapping, ..issuer.clone() })
    });
    assert_eq!(gate.authenticate(&token).unwrap().identity.subject.as_str(), "ana@example.org");
}

#[test]
fn an_issuer_that_moves_to_another_policy_takes_its_tokens_with_it() {
    let house = House::new();
    house.policy("strict", json!({"scopes": ["prompts:get"]}));
    let abroad = Abroad::new(&house, "default");
    let mut gate = house.gate();
    let token = abroad.token(&house, json!({}));
    let before = gate.authenticate(&token).unwrap();
    assert_eq!(before.policy.policy.name, "default".parse::<PolicyName>().unwrap());
    assert!(gate.engine.still_valid(&before, &[request("tools/list", house.now())], house.now()));
    abroad.write(&house, |c, issuer| {
        let policy = "strict".parse().unwrap();
        store::issuer::update(c, &Issuer { policy, ..issuer.clone() })
    });
    let after = gate.authenticate(&token).unwrap();
    assert_eq!(after.policy.policy.name, "strict".parse::<PolicyName>().unwrap());
    assert!(after.scopes.is_empty(), "{:?}", after.scopes);
    assert_ne!(after.account, before.account);
    assert!(!gate.engine.still_valid(&before, &[request("tools/list", house.now())], house.now()));
}

#[test]
fn a_key_that_is_not_known_is_missed_where_keys_are_fetched_and_nowhere_else() {
    let house = House::new();
    let abroad = Abroad::new(&house, "default");
    let mut gate = house.gate();
    let token = abroad.token(&house, json!({}));
    gate.authenticate(&token).unwrap();
    let none = json!({ "keys": [] });
    let without_keys = |url: Option<&str>| {
        let (keys, url) = (none.clone(), url.map(str::to_owned));
        abroad.write(&house, move |c, issuer| {
            store::issuer::update(c, &Issuer { keys: keys.clone(), url: url.clone(), ..issuer.clone() })
        });
    };
    without_keys(None);
    assert_eq!(gate.authenticate(&token).unwrap_err(), Reason::UnknownCredential);
    assert!(gate.engine.missed_keys().take().is_empty(), "its keys are pinned");
    without_keys(Some("https://idp.example"));
    assert_eq!(gate.authenticate(&token).unwrap_err(), Reason::UnknownCredential);
    assert_eq!(gate.engine.missed_keys().take(), ["corp".parse().unwrap()].into());
    assert_eq!(gate.authenticate(&token).unwrap_err(), Reason::UnknownCredential);
    let own = house.token("default", |_| ());
    for other in [abroad.token(&house, json!({"iss": "https://other.example"})), forged(own.text.expose())] {
        gate.authenticate(&other).unwrap_err();
    }
    assert!(gate.engine.missed_keys().take().is_empty(), "asked for already, or nobody's to fetch");
}

#[tokio::test]
async fn an_issuer_speaks_for_its_own_subjects_and_gives_none_of_our_own_scopes() {
    let house = House::new();
    house.policy("guests", json!({}));
    let mut gate = house.gate();
    let abroad = Abroad::new(&house, "guests");
    let asking = |scope: &str| abroad.token(&house, json!({"scope": scope, "jti": scope}));
    let held = |principal: &crate::domain::decision::Principal| {
        principal.scopes.iter().map(|scope| scope.to_string()).collect::<Vec<_>>().join(" ")
    };
    let greedy = asking("gate/mcp:* gate/oauth:introspect gate/oauth:token gate/tools:list");
    let principal = gate.authenticate(&greedy).unwrap();
    assert_eq!(held(&principal), "tools:list");
    assert_eq!(principal.identity.issuer_name(), "corp");
    let key = house.key("guests").1;
    let own = gate.authenticate(&key).unwrap();
    assert_ne!(own.identity, principal.identity, "two of one name");
    assert_eq!((own.identity.issuer_name(), own.identity.subject.as_str()), ("", "alice"));

    // By what it covers, whatever it is called; at once where it comes to cover that.
    let hidden = asking("gate/helper:all");
    let scope = |endpoints: &[&str]| crate::domain::scope::Scope {
        name: "helper:all".parse().unwrap(),
        description: "x".into(),
        endpoints: endpoints.iter().map(|endpoint| endpoint.parse().unwrap()).collect(),
    };
    for (endpoints, expected) in
        [(&["tools/list"][..], "helper:all"), (&["tools/list", "oauth/*"], ""), (&["**"], "")]
    {
        ops::scope::set(&house.ctx, scope(endpoints)).unwrap();
        assert_eq!(held(&gate.authenticate(&hidden).unwrap()), expected, "{endpoints:?}");
    }

    // An operator may say so, and have its subjects be told apart by name.
    abroad.write(&house, |c, issuer| {
        let rename = [("boss", "mcp:*"), ("asker", "oauth:introspect")];
        let rename = rename.map(|(theirs, ours)| (theirs.to_owned(), ours.parse().unwrap())).into();
        let mapping = Mapping { rename, subject_prefix: "corp/".into(), ..issuer.mapping.clone() };
        store::issuer::update(c, &Issuer { mapping, ..issuer.clone() })
    });
    let named = gate.authenticate(&asking("boss asker gate/oauth:token")).unwrap();
    assert_eq!(held(&named), "mcp:* oauth:introspect");
    assert_eq!(named.identity.subject.as_str(), "corp/alice");
}

#[test]
fn whatever_token_is_taken_can_be_revoked_by_itself_and_alone() {
    let house = House::new();
    let abroad = Abroad::new(&house, "default");
    let mut gate = house.gate();
    let now = house.now().seconds();
    let long = format!(r#""jti":"{}""#, "x".repeat(1025));
    for odd in [
        r#""jti":"1","name":1e400"#,
        r#""jti":"2","name":"Ana \ud83d""#,
        r#""jti":"""#,
        r#""jti":"\ud83d""#,
        r#""jti":7"#,
        long.as_str(),
        r#""name":"without a jti""#,
    ] {
        let token = |more: u32| {
            let times = format!(r#""iat":{now},"exp":{}"#, now + 600);
            abroad.signed(&format!(
                r#"{{"iss":"https://idp.example","aud":"api","sub":"alice","more":{more},{times},{odd}}}"#
            ))
        };
        let (taken, other) = (token(1), token(2));
        gate.authenticate(&taken).unwrap_or_else(|reason| panic!("{odd}: {reason:?}"));
        ops::token::revoke_text(&house.neighbour(), &taken, "").unwrap();
        assert_eq!(gate.authenticate(&taken).unwrap_err(), Reason::Revoked, "{odd}");
        // What has a name is that token, whatever else it says; what has none is all that it says.
        let has_name = odd.starts_with(r#""jti":"1""#) || odd.starts_with(r#""jti":"2""#);
        assert_eq!(gate.authenticate(&other).is_err(), has_name, "{odd}");
    }
}
