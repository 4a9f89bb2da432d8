use super::super::tests::*;
use super::*;
use crate::domain::{decision::Reason, issuer::IssuerState};
use crate::ops::{api_key, audit, bench::Bench, policy, rows};
use crate::store::audit::Query;

const ISS: &str = "https://idp.example.org";
const EC: &str = r#"{"kty":"EC","crv":"P-256","kid":"ec","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

fn corp() -> IssuerName {
    "corp".parse().unwrap()
}

fn to_policy(name: &str) -> Changes {
    Changes { policy: Some(name.parse().unwrap()), ..Changes::default() }
}

fn make_policy(bench: &Bench, name: &str) {
    policy::create(&bench.ctx, crate::domain::policy::Policy::new(name.parse().unwrap()), "").unwrap();
}

fn renamed(theirs: &str, ours: &str) -> BTreeMap<String, ScopeName> {
    [(theirs.to_owned(), ours.parse().unwrap())].into()
}

#[test]
fn what_was_changed_is_recorded_with_what_it_was_before_and_what_falls_is_told() {
    let bench = Bench::new();
    make_policy(&bench, "guests");
    let added =
        add(&bench.ctx, NewIssuer { audiences: vec!["a".into(), "b".into()], ..new("corp", Some(ISS)) })
            .unwrap();
    let changes = Changes {
        audiences: Some(vec!["b".into(), "b".into()]),
        rename: Some(renamed("reader", "mcp:read")),
        ..to_policy("guests")
    };
    let changed = bench.one_record(Act::IssuerSet, "corp", |ctx| set(ctx, &corp(), changes).unwrap());
    assert!(changed.is_changed && changed.falls.len() == 2, "{:?}", changed.falls);
    assert!(changed.falls[0].contains("for `a` alone") && changed.falls[1].contains("policy guests"));
    let after = show(&bench.ctx, &corp()).unwrap().0;
    assert_eq!(after, changed.issuer);
    let mapping = Mapping { rename: renamed("reader", "mcp:read"), ..Mapping::default() };
    let policy = "guests".parse().unwrap();
    assert_eq!(after, Issuer { audiences: vec!["b".into()], mapping, policy, ..added.clone() });
    let query = Query { act: Some("issuer.set".into()), limit: 1, ..Query::default() };
    let record = audit::list(&bench.ctx, &query).unwrap().pop().unwrap().record;
    let told = |issuer: &Issuer| {
        json!({ "profile": "at-jwt", "url": null, "allow_private": [], "audience": issuer.audience(),
            "algorithms": ["EdDSA"], "policy": issuer.policy, "mapping": issuer.mapping, "keys": thumbprints(issuer) })
    };
    assert_eq!(record.detail, json!({ "before": told(&added), "after": told(&after) }));
    assert_eq!(record.detail["before"]["audience"], json!(["a", "b"]));
    bench.assert_valid();
}

#[test]
fn what_is_so_already_is_not_recorded_and_a_list_is_replaced_or_cleared() {
    let bench = Bench::new();
    let mapping =
        Mapping { rename: renamed("reader", "mcp:read"), prefix: "gate/".into(), ..Mapping::default() };
    let added = NewIssuer { audiences: vec!["a".into()], mapping, ..new("corp", Some(ISS)) };
    let before = add(&bench.ctx, added).unwrap();
    let same = Changes {
        audiences: Some(vec!["a".into()]),
        prefix: Some("gate/".into()),
        iss: Some(ISS.into()),
        keys: Some(NewKeys::Set(key_set(&[ED]))),
        ..to_policy("default")
    };
    let records = bench.records(0).len();
    let changed = set(&bench.ctx, &corp(), same).unwrap();
    assert!(!changed.is_changed && changed.issuer == before && bench.records(records).is_empty());
    let clear = Changes {
        audiences: Some(Vec::new()),
        rename: Some(BTreeMap::new()),
        prefix: Some(String::new()),
        ..Changes::default()
    };
    let changed = set(&bench.ctx, &corp(), clear).unwrap();
    assert_eq!(changed.issuer, Issuer { audiences: Vec::new(), mapping: Mapping::default(), ..before });
}

#[test]
fn a_preset_says_how_tokens_are_written_and_leaves_what_scopes_are_called() {
    let bench = Bench::new();
    let mapping = Mapping {
        rename: renamed("reader", "mcp:read"),
        subject_prefix: "corp/".into(),
        ..Mapping::default()
    };
    add(&bench.ctx, NewIssuer { mapping: mapping.clone(), ..new("corp", Some(ISS)) }).unwrap();
    let like = Preset::named("cognito").unwrap();
    let changes = Changes { like: Some(like), scopes: Some(vec!["own".into()]), ..Changes::default() };
    let issuer = set(&bench.ctx, &corp(), changes).unwrap().issuer;
    let Mapping { rename, subject_prefix, .. } = mapping;
    assert_eq!(issuer.profile, like.profile);
    assert_eq!(
        issuer.mapping,
        Mapping { rename, subject_prefix, scopes: vec!["own".into()], ..like.mapping() }
    );
}

#[test]
fn what_an_issuer_is_known_by_stays_and_what_cannot_be_is_refused() {
    let bench = Bench::new();
    add(&bench.ctx, new("corp", Some(ISS))).unwrap();
    add(&bench.ctx, legacy("old")).unwrap();
    let mapping = Mapping { subject_prefix: "two/".into(), ..Mapping::default() };
    add(&bench.ctx, NewIssuer { mapping, ..new("two", Some("https://two.example.org")) }).unwrap();
    let before = list(&bench.ctx).unwrap();
    let change = |change: &dyn Fn(&mut Changes)| {
        let mut changes = Changes::default();
        change(&mut changes);
        changes
    };
    let alg =
        |algorithms: &[Algorithm]| Changes { algorithms: Some(algorithms.to_vec()), ..Changes::default() };
    let prefix = |prefix: &str| Changes { subject_prefix: Some(prefix.into()), ..Changes::default() };
    let iss = |iss: &str| Changes { iss: Some(iss.into()), ..Changes::default() };
    for (name, changes, told) in [
        ("corp", Changes::default(), "nothing was given"),
        ("corp", iss("https://two.example.org"), "stays so"),
        ("corp", iss("https://idp.example.org/"), "stays so"),
        ("old", iss(ISS), "have none"),
        ("old", change(&|changes| changes.profile = Some(Profile::Oidc)), "carry no `iss`"),
        ("corp", to_policy("defualt"), "did you mean `default`"),
        (
            "corp",
            change(&|changes| changes.rename = Some(renamed("x", "mcp:raed"))),
            "did you mean `mcp:read`",
        ),
        ("corp", change(&|changes| changes.scopes = Some(Vec::new())), "between 1 and 16 claims"),
        ("corp", change(&|changes| changes.audiences = Some(vec![String::new()])), "between 1 and 512"),
        ("corp", change(&|changes| changes.subject = Some("\u{202e}".into())), "visible"),
        ("corp", prefix("two/"), "issuer two"),
        ("corp", prefix("tw"), "issuer two"),
        ("corp", alg(&[Algorithm::Es256]), "no key for ES256"),
        ("corp", alg(&[Algorithm::Hs256]), "shared secret"),
        ("old", alg(&[Algorithm::Hs512]), "shared secret"),
        ("corp", change(&|changes| changes.keys = Some(NewKeys::Set(key_set(&[EC])))), "not pinned"),
        ("corp", change(&|changes| changes.keys = Some(NewKeys::Set(key_set(&[])))), "empty"),
        ("old", change(&|changes| changes.keys = Some(NewKeys::Set(key_set(&[ED])))), "stands alone"),
    ] {
        let refused = bench.refused(name, |ctx| set(ctx, &name.parse().unwrap(), changes));
        assert!(refused.to_string().contains(told), "{told}: {refused}");
    }
    let nobody = "nobody".parse().unwrap();
    let refused = bench.refused("nobody", |ctx| set(ctx, &nobody, to_policy("default")));
    assert!(matches!(refused, OpsError::NotFound(_)), "{refused}");
    assert!(matches!(set(&bench.auditor(), &corp(), to_policy("default")), Err(OpsError::ReadOnly { .. })));
    assert_eq!(list(&bench.ctx).unwrap(), before, "nothing was changed");
    // Its own prefix stands in nobody's way, a subject of this home does.
    set(&bench.ctx, &"two".parse().unwrap(), prefix("two")).unwrap();
    let mut alice = crate::ops::bench::new_key();
    alice.subject = "corp/alice".parse().unwrap();
    api_key::create(&bench.ctx, alice).unwrap();
    assert!(
        bench.refused("corp", |ctx| set(ctx, &corp(), prefix("corp/"))).to_string().contains("corp/alice")
    );
}

#[test]
fn keys_are_replaced_pinned_more_narrowly_or_had_elsewhere() {
    let bench = Bench::new();
    let added =
        add(&bench.ctx, NewIssuer { keys: NewKeys::Set(key_set(&[ED, EC])), ..new("corp", Some(ISS)) })
            .unwrap();
    let narrow = Changes { algorithms: Some(vec![Algorithm::Es256]), ..Changes::default() };
    let changed = set(&bench.ctx, &corp(), narrow).unwrap();
    assert_eq!(
        (changed.issuer.algorithms.as_slice(), changed.issuer.keys["keys"][0]["kid"].as_str()),
        (&[Algorithm::Es256][..], Some("ec"))
    );
    assert_eq!(changed.falls, ["tokens signed with EdDSA are refused"]);

    let keys = Some(NewKeys::Set(key_set(&[ED])));
    let changed =
        set(&bench.ctx, &corp(), Changes { keys, algorithms: Some(Vec::new()), ..Changes::default() })
            .unwrap();
    assert_eq!(
        (changed.issuer.algorithms.as_slice(), thumbprints(&changed.issuer).len()),
        (&[Algorithm::EdDsa][..], 1)
    );
    let other = ED.replace(ED_X, OTHER_X);
    let keys = Some(NewKeys::Set(key_set(&[&other])));
    let changed = set(&bench.ctx, &corp(), Changes { keys, ..Changes::default() }).unwrap();
    assert_eq!(changed.falls, ["what its key `ed` signed is refused"]);
    assert_eq!(changed.issuer.created_at, added.created_at);

    // The same key under another name is another to whoever names it.
    let named = other.replace("\"ed\"", "\"two\"");
    let keys = Some(NewKeys::Set(key_set(&[&named])));
    let changed = set(&bench.ctx, &corp(), Changes { keys, ..Changes::default() }).unwrap();
    assert!(
        changed.is_changed && changed.falls == ["what its key `ed` signed is refused"],
        "{:?}",
        changed.falls
    );

    let NewIssuer { keys, .. } = fetched_one(&[&named]);
    let changed = set(&bench.ctx, &corp(), Changes { keys: Some(keys), ..Changes::default() }).unwrap();
    assert_eq!((changed.issuer.state(bench.now()), changed.falls.len()), (IssuerState::Current, 0));
    assert_eq!(agenda(&bench.ctx).unwrap().len(), 1);
    let keys = Some(NewKeys::One(Zeroizing::new(ED.into())));
    let changed = set(&bench.ctx, &corp(), Changes { keys, ..Changes::default() }).unwrap();
    assert_eq!((changed.issuer.state(bench.now()), changed.issuer.url), (IssuerState::Pinned, None));
    assert_eq!((changed.source, agenda(&bench.ctx).unwrap()), (None, Vec::new()));
    assert_eq!(show(&bench.ctx, &corp()).unwrap().1, None, "nothing is fetched any more");
    assert_eq!(rows::contradictions(&bench.ctx).unwrap(), Vec::<String>::new());
    bench.assert_valid();
}

#[test]
fn a_shared_secret_is_replaced_and_goes_where_a_key_comes() {
    let bench = Bench::new();
    add(&bench.ctx, legacy("old")).unwrap();
    let old: IssuerName = "old".parse().unwrap();
    assert_eq!(verify(&bench, LEGACY).reason, None);
    let secret =
        |text: &str| Changes { keys: Some(NewKeys::One(Zeroizing::new(text.into()))), ..Changes::default() };
    bench.refused("old", |ctx| set(ctx, &old, secret("too short")));
    let changed = bench.one_record(Act::IssuerSet, "old", |ctx| {
        set(ctx, &old, secret("another-secret-of-the-old-gateway")).unwrap()
    });
    assert_eq!(changed.falls, ["tokens signed with another secret are refused"]);
    assert_eq!(verify(&bench, LEGACY).reason, Some(Reason::BadSignature));
    set(&bench.ctx, &old, secret(SECRET)).unwrap();
    assert_eq!(verify(&bench, LEGACY).reason, None);
    let audience = Changes { audiences: Some(vec!["gate".into()]), ..Changes::default() };
    set(&bench.ctx, &old, audience).unwrap();
    assert_eq!(verify(&bench, LEGACY).reason, Some(Reason::WrongAudience));
    let keys = Changes {
        keys: Some(NewKeys::Set(key_set(&[ED]))),
        algorithms: Some(Vec::new()),
        ..Changes::default()
    };
    set(&bench.ctx, &old, keys).unwrap();
    assert_eq!(bench.ctx.store.read(|c| store::issuer::secret(c, &old)).unwrap(), None);
    assert_eq!(verify(&bench, LEGACY).reason, Some(Reason::BadSignature));
}

#[test]
fn what_was_changed_by_others_since_it_was_seen_is_a_conflict() {
    let bench = Bench::new();
    make_policy(&bench, "guests");
    let seen = Some(add(&bench.ctx, new("corp", Some(ISS))).unwrap().terms(None));
    set(&bench.ctx, &corp(), Changes { seen: seen.clone(), ..to_policy("guests") }).unwrap();
    let audiences = Some(vec!["late".into()]);
    let late = Changes { audiences, seen, ..Changes::default() };
    let refusal = bench.refused("corp", |ctx| set(ctx, &corp(), late));
    assert!(matches!(refusal, OpsError::Conflict(_)), "{refusal}");
}

#[test]
fn an_older_row_that_was_put_back_is_told_by_the_chain() {
    let bench = Bench::new();
    make_policy(&bench, "guests");
    let wide = add(&bench.ctx, fetched_one(&[ED])).unwrap();
    set(&bench.ctx, &corp(), to_policy("guests")).unwrap();
    refresh(&bench.ctx, &asked(&bench, &corp()), "https://idp.example.org/new", &published(&[ED])).unwrap();
    assert_eq!(rows::contradictions(&bench.ctx).unwrap(), Vec::<String>::new(), "keys come and go");
    let put_back = wide.clone();
    bench.ctx.store.write(move |c| store::issuer::update(c, &put_back)).unwrap();
    let told = rows::contradictions(&bench.ctx).unwrap();
    assert!(matches!(&told[..], [one] if one.contains("issuer corp is not as it was last set")), "{told:?}");
    // To set it right again is enough; so is to remove it, and to add it anew as it was.
    set(&bench.ctx, &corp(), to_policy("guests")).unwrap();
    assert_eq!(rows::contradictions(&bench.ctx).unwrap(), Vec::<String>::new());
    remove(&bench.ctx, &corp(), "").unwrap();
    add(&bench.ctx, fetched_one(&[ED])).unwrap();
    assert_eq!(rows::contradictions(&bench.ctx).unwrap(), Vec::<String>::new());
}
