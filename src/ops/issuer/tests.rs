use super::*;
use crate::domain::{decision::Reason, issuer::IssuerState, token::Verdict};
use crate::ops::{
    api_key,
    bench::{Bench, DAY, new_key},
    identity, token,
};

pub(super) const KEYS: &str = "https://idp.example.org/keys";
pub(super) const SECRET: &str = "the-secret-of-the-old-gateway-2025";
/// Written by the source document's `generate_token`, with PyJWT's bytes: HS256, `user_id`, a list of scopes, times with
/// a fraction, no `iss`, no `aud`; issued a minute before the bench's clock, for an hour.
pub(super) const LEGACY: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjoiYWxpY2UiLCJzY29wZXMiOlsibWNwOnJlYWQiXSwiaWF0IjoxNzg1MjMwOTM5Ljc1LCJleHAiOjE3ODUyMzQ1NDAuNSwianRpIjoiM2YyYzFmMmUtOGE1NS00YTUzLTlkNDAtN2EwZjFmMGMxZDExIn0.ZUpX4Q8KFyHt78gg9mFixlKSuPILK_LmscrSUohn8c4";
pub(super) const ED: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
pub(super) const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
pub(super) const OTHER_X: &str = "1Czo2Myy7SSfwnPqSt1RZ2GQjP-4wTR1AadjC7Agdec";

pub(super) fn key_set(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

pub(super) fn published(keys: &[&str]) -> Published {
    Published { text: key_set(keys), etag: Some("\"1\"".into()), fresh_for: None }
}

pub(super) fn new(name: &str, iss: Option<&str>) -> NewIssuer {
    NewIssuer {
        name: name.parse().unwrap(),
        profile: Profile::AtJwt,
        iss: iss.map(Into::into),
        audiences: Vec::new(),
        algorithms: Vec::new(),
        mapping: Mapping::default(),
        policy: PolicyName::default(),
        keys: NewKeys::Set(key_set(&[ED])),
    }
}

pub(super) fn legacy(name: &str) -> NewIssuer {
    NewIssuer {
        profile: Profile::Legacy,
        algorithms: vec![Algorithm::Hs256],
        keys: NewKeys::One(Zeroizing::new(SECRET.into())),
        ..new(name, None)
    }
}

pub(super) fn fetched_one(keys: &[&str]) -> NewIssuer {
    let iss = "https://idp.example.org";
    let keys = NewKeys::Published {
        url: iss.into(),
        jwks_uri: KEYS.into(),
        allow_private: Vec::new(),
        published: published(keys),
    };
    NewIssuer { keys, ..new("corp", Some(iss)) }
}

/// The issuer as the gateway has it when it asks for its keys.
pub(super) fn asked(bench: &Bench, name: &IssuerName) -> Asked {
    let (issuer, source) = show(&bench.ctx, name).unwrap();
    (issuer, source.unwrap())
}

pub(super) fn verify(bench: &Bench, text: &str) -> Verdict {
    token::verify(&bench.ctx, text, &[], bench.now()).unwrap()
}

#[test]
fn an_issuer_is_added_with_its_record_shown_and_removed() {
    let bench = Bench::new();
    let issuer = bench
        .one_record(Act::IssuerAdd, "corp", |ctx| add(ctx, new("corp", Some("https://idp.example.org"))))
        .unwrap();
    assert_eq!(
        (&issuer.algorithms[..], issuer.state(bench.now())),
        (&[Algorithm::EdDsa][..], IssuerState::Pinned)
    );
    assert_eq!(list(&bench.auditor()).unwrap(), [(issuer.clone(), None)]);
    assert_eq!(show(&bench.auditor(), &issuer.name).unwrap(), (issuer.clone(), None));
    bench.one_record(Act::IssuerRemove, "corp", |ctx| remove(ctx, &issuer.name, "left")).unwrap();
    assert_eq!(list(&bench.ctx).unwrap(), []);
    let refused = bench.refused("corp", |ctx| remove(ctx, &issuer.name, ""));
    assert!(matches!(refused, OpsError::NotFound(_)), "{refused}");
    assert!(matches!(add(&bench.auditor(), new("a", Some("b"))), Err(OpsError::ReadOnly { .. })));
    bench.assert_valid();
}

#[test]
fn the_documents_own_tokens_are_taken_from_a_legacy_issuer_and_from_nobody_once_it_is_gone() {
    let bench = Bench::new();
    assert_eq!(verify(&bench, LEGACY).reason, Some(Reason::WrongIssuer), "before anybody is registered");
    add(&bench.ctx, legacy("old")).unwrap();
    let verdict = verify(&bench, LEGACY);
    assert_eq!(verdict.reason, None, "{:?}", verdict.checks);
    assert_eq!(verdict.claims.map(|claims| claims.subject.to_string()), Some("alice".into()));
    bench.clock.advance(Duration::from_secs(3700));
    assert_eq!(verify(&bench, LEGACY).reason, Some(Reason::Expired));
    bench.clock.set(bench.now().minus(Duration::from_secs(3700)));
    let (head, signature) = LEGACY.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    assert_ne!(verify(&bench, &forged).reason, None);
    let name = "old".parse().unwrap();
    remove(&bench.ctx, &name, "").unwrap();
    assert_eq!(verify(&bench, LEGACY).reason, Some(Reason::WrongIssuer));
    let entry = bench.ctx.store.read(|c| store::issuer::secret(c, &name)).unwrap();
    assert_eq!(entry, None, "its secret went with it");
}

#[test]
fn nothing_is_added_that_could_be_taken_for_another() {
    let bench = Bench::new();
    add(&bench.ctx, legacy("old")).unwrap();
    add(&bench.ctx, new("corp", Some("https://idp.example.org"))).unwrap();
    let own = identity::show(&bench.ctx).unwrap().issuer();
    for (wrong, told) in [
        (new("corp", Some("https://other.example.org")), "already"),
        (new("two", Some("https://idp.example.org")), "corp"),
        (new("me", Some(&own)), "own"),
        (legacy("older"), "old"),
    ] {
        let name = wrong.name.to_string();
        let refused = bench.refused(&name, |ctx| add(ctx, wrong));
        assert!(matches!(&refused, OpsError::Conflict(why) if why.contains(told)), "{refused}");
    }
    // Another slash is another issuer.
    add(&bench.ctx, new("slash", Some("https://idp.example.org/"))).unwrap();
    let url = "https://idp.example.org/mcp".parse().unwrap();
    let refused = bench.refused("https://idp.example.org/mcp", |ctx| identity::set_resource(ctx, &url));
    assert!(matches!(&refused, OpsError::Conflict(why) if why.contains("corp")), "{refused}");
}

#[test]
fn a_prefix_of_subjects_is_for_one_issuer_alone() {
    let bench = Bench::new();
    let with = |name: &str, prefix: &str| {
        let mapping = Mapping { subject_prefix: prefix.into(), ..Mapping::default() };
        NewIssuer { mapping, ..new(name, Some(&format!("https://{name}.example.org"))) }
    };
    let key = |subject: &str| api_key::NewKey { subject: subject.parse().unwrap(), ..new_key() };
    let token =
        |subject: &str| token::NewToken { subject: subject.parse().unwrap(), ..token::tests::new_token() };
    let told = |refused: OpsError, name: &str| assert!(refused.to_string().contains(name), "{refused}");

    let before = api_key::create(&bench.ctx, key("corp/alice")).unwrap().key.id;
    told(bench.refused("corp", |ctx| add(ctx, with("corp", "corp/"))), before.as_str());
    api_key::revoke(&bench.ctx, before, "").unwrap();
    let live = token::issue(&bench.ctx, token("corp/bo")).unwrap().token;
    told(bench.refused("corp", |ctx| add(ctx, with("corp", "corp/"))), "corp/bo");
    token::revoke_subject(&bench.ctx, &live.subject, "").unwrap();
    add(&bench.ctx, with("corp", "corp/")).unwrap();

    for prefix in ["corp/", "corp/sub/", "co"] {
        told(bench.refused("two", |ctx| add(ctx, with("two", prefix))), "issuer corp");
    }
    told(api_key::create(&bench.ctx, key("corp/alice")).unwrap_err(), "issuer corp");
    told(token::issue(&bench.ctx, token("corp/alice")).unwrap_err(), "issuer corp");
    for near in ["corp", "corporal", "Corp/alice", "alice/corp/"] {
        api_key::create(&bench.ctx, key(near)).unwrap();
        token::issue(&bench.ctx, token(near)).unwrap();
    }
    for (name, prefix) in [("corporal", "corporal/"), ("none", ""), ("other", "")] {
        add(&bench.ctx, with(name, prefix)).unwrap();
    }
}

#[test]
fn what_makes_no_issuer_is_refused_with_what_would() {
    let bench = Bench::new();
    let base = || new("corp", Some("https://idp.example.org"));
    let with = |keys| NewIssuer { keys, ..base() };
    let one = |text: &str| with(NewKeys::One(Zeroizing::new(text.into())));
    let hs = |keys| NewIssuer { algorithms: vec![Algorithm::Hs256], ..with(keys) };
    let mut renamed = base();
    renamed.mapping.rename.insert("reader".into(), "mcp:raed".parse().unwrap());
    let mut subjectless = base();
    subjectless.mapping.subject = String::new();
    let (nameless, other) = (|key: &str| key.replace(r#""kid":"ed","#, ""), ED.replace(ED_X, OTHER_X));
    let never = |theirs: &str| {
        let mut never = base();
        never.mapping.rename.insert(theirs.into(), "mcp:read".parse().unwrap());
        never
    };
    let mut scopeless = base();
    scopeless.mapping.scopes.clear();
    let mut prefixed = base();
    prefixed.mapping.prefix = "api gate/".into();
    let private = ED.replace("\"x\"", "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\",\"x\"");
    for (wrong, told) in [
        (new("corp", None), "--issuer"),
        (NewIssuer { policy: "defualt".parse().unwrap(), ..base() }, "did you mean `default`"),
        (renamed, "did you mean `mcp:read`"),
        (subjectless, "name of a claim"),
        (never("Domain Users"), "`Domain Users` never comes"),
        (never("Köln"), "never comes"),
        (never("a\"b"), "never comes"),
        (never(""), "between 1 and"),
        (scopeless, "between 1 and 16 claims"),
        (NewIssuer { audiences: vec!["a".into(); 17], ..base() }, "at most 16 audiences"),
        (prefixed, "never comes"),
        (NewIssuer { audiences: vec!["a\u{202e}b".into()], ..base() }, "visible"),
        (hs(NewKeys::Set(key_set(&[ED]))), "--key-file"),
        (hs(NewKeys::One(Zeroizing::new("too short".into()))), "secret"),
        (
            hs(NewKeys::One(Zeroizing::new(format!("-----BEGIN PUBLIC KEY-----\n{}", "A".repeat(40))))),
            "secret",
        ),
        (with(NewKeys::Set(key_set(&[]))), "empty"),
        (with(NewKeys::Set("{}".into())), "set"),
        (with(NewKeys::Set(key_set(&[&nameless(ED), &nameless(&other)]))), "no token can say which key"),
        (NewIssuer { algorithms: vec![Algorithm::Rs256], ..base() }, "not pinned"),
        (one(&private), "private"),
        (one("neither"), "PEM"),
    ] {
        let refused = bench.refused("corp", |ctx| add(ctx, wrong));
        assert!(matches!(&refused, OpsError::Invalid(why) if why.contains(told)), "{told}: {refused}");
        assert!(!refused.to_string().contains("too short"), "{refused}");
    }
    add(&bench.ctx, one(ED)).unwrap();
}

#[test]
fn keys_that_are_fetched_again_take_the_place_of_those_before() {
    let bench = Bench::new();
    let issuer = add(&bench.ctx, fetched_one(&[ED])).unwrap();
    let name = &issuer.name;
    assert_eq!(issuer.state(bench.now()), IssuerState::Current);
    assert!(ask(&bench.ctx, name, false).unwrap().is_none(), "they are fresh");
    bench.clock.advance(Duration::from_secs(3600));
    let records = bench.records(0).len();
    let (_, source) = ask(&bench.ctx, name, false).unwrap().unwrap();
    assert_eq!(source.etag.as_deref(), Some("\"1\""));
    assert!(ask(&bench.ctx, name, true).unwrap().is_none(), "somebody is asking already");
    unchanged(&bench.ctx, &asked(&bench, name), None).unwrap();
    assert!(!keep(&bench.ctx, &asked(&bench, name), KEYS, &published(&[ED])).unwrap().is_changed);
    assert_eq!(bench.records(records), [], "what has not changed is no act");
    assert_eq!(show(&bench.ctx, name).unwrap().0.fetched_at, Some(bench.now()));
    let before = asked(&bench, name);
    let kept = bench
        .one_record(Act::IssuerRefresh, "corp", |ctx| keep(ctx, &before, KEYS, &published(&[])).unwrap());
    assert!(kept.is_changed, "an issuer may take back all it has");
    bench.one_record(Act::IssuerRefresh, "corp", |ctx| {
        refresh(ctx, &before, "https://idp.example.org/new", &published(&[ED])).unwrap()
    });
    assert_eq!(asked(&bench, name).1.jwks_uri, "https://idp.example.org/new");
    // What was asked for before an operator said otherwise is left.
    let late = bench.refused("corp", |ctx| keep(ctx, &before, KEYS, &published(&[])));
    assert!(matches!(late, OpsError::Conflict(_)), "{late}");
    bench.refused("corp", |ctx| refresh(ctx, &before, KEYS, &published(&[])));
    bench.refused("corp", |ctx| unchanged(ctx, &before, None));
    bench.refused("corp", |ctx| failed(ctx, &before, "late"));
    let (issuer, source) = asked(&bench, name);
    assert_eq!((thumbprints(&issuer).len(), issuer.last_error.as_str()), (1, ""));
    assert_eq!(source.jwks_uri, "https://idp.example.org/new");
}

#[test]
fn the_last_good_keys_are_taken_for_a_day_and_no_longer() {
    let bench = Bench::new();
    let name = add(&bench.ctx, fetched_one(&[ED])).unwrap().name;
    let other = ED.replace(ED_X, OTHER_X);
    let bad = format!(r#"{{"keys":[{ED},{other}]}}"#);
    let bad = Published { text: bad, etag: None, fresh_for: None };
    assert!(matches!(keep(&bench.ctx, &asked(&bench, &name), KEYS, &bad), Err(OpsError::Invalid(_))));
    let issuer = show(&bench.ctx, &name).unwrap().0;
    assert!(issuer.last_error.contains("same `kid`"), "{}", issuer.last_error);
    let keys = || {
        let beliefs = bench.ctx.store.read(|c| store::trust::load(c, bench.ctx.vault.as_deref())).unwrap();
        beliefs.trust.issuers()[1]
            .keys
            .iter()
            .filter(|key| key.until.is_none_or(|end| bench.now() < end))
            .count()
    };
    bench.clock.advance(DAY - Duration::from_millis(1));
    assert_eq!((keys(), issuer.state(bench.now())), (1, IssuerState::Failing));
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!((keys(), issuer.state(bench.now())), (0, IssuerState::Stale));
    keep(&bench.ctx, &asked(&bench, &name), KEYS, &published(&[ED])).unwrap();
    let issuer = show(&bench.ctx, &name).unwrap().0;
    assert_eq!(
        (keys(), issuer.state(bench.now()), issuer.last_error.as_str()),
        (1, IssuerState::Current, "")
    );
}

#[test]
fn a_damaged_issuer_can_be_removed() {
    let bench = Bench::new();
    let name = add(&bench.ctx, fetched_one(&[ED])).unwrap().name;
    bench
        .ctx
        .store
        .write(|c| Ok::<_, crate::store::StoreError>(c.execute("UPDATE issuer SET iss = 'x'", [])?))
        .unwrap();
    assert!(matches!(show(&bench.ctx, &name), Err(OpsError::Store(error)) if error.is_of_one_row()));
    assert_eq!(agenda(&bench.ctx).unwrap(), []);
    remove(&bench.ctx, &name, "damaged").unwrap();
    assert_eq!(list(&bench.ctx).unwrap(), []);
}
