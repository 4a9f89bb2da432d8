use super::*;
use crate::domain::{
    jose::{Compact, VerifyingKey, base64},
    revocation::Revocation,
    token::{ClaimNames, MOST_SKEW, Profile, TokenState},
};
use crate::ops::bench::{Bench, DAY, HOUR};
use crate::ops::identity;
use crate::store::token::{Refusal, Sort};

pub(in crate::ops) fn new_token() -> NewToken {
    NewToken {
        subject: "alice".parse().unwrap(),
        client: None,
        scopes: vec!["mcp:read".parse().unwrap()],
        audience: Vec::new(),
        policy: PolicyName::default(),
        bind_policy: false,
        life: DEFAULT_LIFE,
        algorithm: None,
        kid: None,
        once: false,
        rests_on: Default::default(),
    }
}

fn state(bench: &Bench, token: &IssuedToken) -> TokenState {
    show(&bench.ctx, token.jti).unwrap().state
}

#[test]
fn a_token_says_what_was_asked_for_and_verifies_with_the_published_key() {
    let bench = Bench::new();
    for algorithm in Algorithm::ISSUED.into_iter().filter(|algorithm| !algorithm.is_symmetric()) {
        let new = NewToken { algorithm: Some(algorithm), bind_policy: true, once: true, ..new_token() };
        let issued = issue(&bench.ctx, new).unwrap();
        let compact = Compact::parse(issued.text.expose()).unwrap();
        let (header, kid) = (compact.header(), issued.token.kid.as_str());
        assert_eq!((header.alg, header.kid.as_deref()), (algorithm, Some(kid)));
        assert!(header.is_of_type(ACCESS_TOKEN));
        let jwk = signing_key::show(&bench.ctx, &issued.token.kid).unwrap().public.unwrap();
        let key = VerifyingKey::from_jwk(&jwk.to_string(), Some(algorithm)).unwrap();
        assert_eq!(compact.verify(&key), Ok(()));
        let payload = crate::domain::json::object(compact.payload()).unwrap();
        let claims = Claims::read(&payload, Profile::AtJwt, &ClaimNames::default(), true).unwrap();
        let identity = identity::show(&bench.ctx).unwrap();
        assert_eq!(claims.id, issued.token.jti);
        assert_eq!((claims.issuer, claims.audience), (Some(identity.issuer()), vec![identity.audience()]));
        assert_eq!(claims.subject.as_str(), "alice");
        assert_eq!(claims.client_id.as_deref(), Some("alice"));
        assert_eq!((claims.issued_at, claims.expires_at), (bench.now(), bench.now().plus(HOUR)));
        assert_eq!(
            (claims.policy, claims.max_uses.map(NonZeroU32::get)),
            (Some(PolicyName::default()), Some(1))
        );
        assert!(claims.bound.is_some());
    }
}

#[test]
fn the_first_token_makes_the_first_key_as_an_act_of_its_own() {
    let bench = Bench::new();
    let issued = issue(&bench.ctx, new_token()).unwrap();
    let records = bench.records(1);
    let acts: Vec<_> = records.iter().map(|(act, _)| act.as_str()).collect();
    assert_eq!(acts, ["signing-key.create", "token.issue"]);
    assert_eq!(records[1].1, issued.token.jti.to_string());
    assert_eq!(issue(&bench.ctx, new_token()).unwrap().token.kid, issued.token.kid, "and the next takes it");
}

#[test]
fn no_secret_of_a_token_is_kept() {
    let bench = Bench::new();
    let issued = issue(&bench.ctx, new_token()).unwrap();
    let (_, signature) = issued.text.expose().rsplit_once('.').unwrap();
    let mut read = Vec::new();
    for file in std::fs::read_dir(bench.home.path()).unwrap() {
        let file = file.unwrap();
        // The anchor is written beside its place first: that file may be gone again.
        let Ok(bytes) = std::fs::read(file.path()) else { continue };
        let found = bytes.windows(signature.len()).any(|window| window == signature.as_bytes());
        assert!(!found, "the token stands in the home");
        read.push(file.file_name());
    }
    for name in ["portcullis.db", "portcullis.db-wal", "usage.db", "vault.key"] {
        assert!(read.iter().any(|file| file == name), "{name} was not looked at");
    }
    assert!(!format!("{issued:?}").contains(signature));
}

#[test]
fn what_a_token_cannot_be_is_refused_and_recorded() {
    let bench = Bench::new();
    issue(&bench.ctx, new_token()).unwrap();
    for new in [
        NewToken { life: Duration::from_millis(999), ..new_token() },
        NewToken { life: LONGEST_LIFE + Duration::from_millis(1), ..new_token() },
        NewToken { scopes: vec![], ..new_token() },
        NewToken { client: Some("a\u{202e}b".into()), ..new_token() },
        NewToken { audience: vec![String::new()], ..new_token() },
        NewToken { algorithm: Some(Algorithm::Es384), ..new_token() },
        NewToken { policy: "nowhere".parse().unwrap(), ..new_token() },
    ] {
        let refused = bench.refused("", |ctx| issue(ctx, new));
        assert!(matches!(refused, OpsError::Invalid(_)), "{refused}");
    }
    issue(&bench.ctx, NewToken { life: LONGEST_LIFE, ..new_token() }).unwrap();
    let unknown = NewToken { scopes: vec!["mcp:raed".parse().unwrap()], ..new_token() };
    let refused = issue(&bench.ctx, unknown).unwrap_err();
    assert!(refused.to_string().contains("did you mean `mcp:read`?"), "{refused}");
}

#[test]
fn a_token_is_revoked_once_and_for_good() {
    let bench = Bench::new();
    let token = issue(&bench.ctx, new_token()).unwrap().token;
    let object = token.jti.to_string();
    let revoked =
        bench.one_record(Act::TokenRevoke, &object, |ctx| revoke_all(ctx, &[token.jti], " lost ").unwrap());
    let Revocation { reason, ends_at, .. } = &revoked[0].revocation;
    assert_eq!(
        (reason.as_str(), *ends_at, revoked[0].ended),
        ("lost", Some(token.expires_at.plus(MOST_SKEW)), 1)
    );
    assert_eq!(state(&bench, &token), TokenState::Revoked);
    let refused = bench.refused(&object, |ctx| revoke_all(ctx, &[token.jti], ""));
    assert!(matches!(refused, OpsError::Conflict(_)), "{refused}");
    let unknown = TokenId::from_bytes([3; 16]);
    let refused = bench.refused(&unknown.to_string(), |ctx| revoke_all(ctx, &[unknown], ""));
    assert!(matches!(refused, OpsError::NotFound(_)), "{refused}");
    bench.assert_valid();
}

#[test]
fn of_several_all_are_revoked_or_none() {
    let bench = Bench::new();
    let token = issue(&bench.ctx, new_token()).unwrap().token;
    revoke_all(&bench.ctx, &[token.jti, TokenId::from_bytes([3; 16])], "").unwrap_err();
    assert_eq!(state(&bench, &token), TokenState::Live);
}

#[test]
fn a_revoked_subject_may_be_given_new_tokens_at_once() {
    let bench = Bench::new();
    let token = issue(&bench.ctx, new_token()).unwrap().token;
    let other = issue(&bench.ctx, NewToken { subject: "bob".parse().unwrap(), ..new_token() }).unwrap().token;
    let revoked = bench.one_record(Act::TokenRevoke, "alice", |ctx| {
        revoke_subject(ctx, &"alice".parse().unwrap(), "left").unwrap()
    });
    assert_eq!(revoked.ended, 1);
    assert_eq!((state(&bench, &token), state(&bench, &other)), (TokenState::Revoked, TokenState::Live));
    let again = issue(&bench.ctx, new_token()).unwrap().token;
    assert_eq!(state(&bench, &again), TokenState::Live, "within the same second");
    assert_eq!(again.issued_at, bench.now().plus(Duration::from_secs(1)));
}

#[test]
fn a_revoked_key_is_retired_and_signs_no_more() {
    let bench = Bench::new();
    let token = issue(&bench.ctx, new_token()).unwrap().token;
    let revoked = revoke_key(&bench.ctx, None, &token.kid, "leaked").unwrap();
    assert_eq!(revoked.ended, 1);
    let refusal = show(&bench.ctx, token.jti).unwrap().refusal;
    assert!(matches!(refusal, Some(Refusal::Revoked(told)) if told.reason == "leaked"));
    assert!(signing_key::show(&bench.ctx, &token.kid).unwrap().retired_at.is_some());
    assert_ne!(issue(&bench.ctx, new_token()).unwrap().token.kid, token.kid);
    let refused = bench.refused(token.kid.as_str(), |ctx| revoke_key(ctx, None, &token.kid, ""));
    assert!(matches!(refused, OpsError::Conflict(_)), "{refused}");
    let issuer = "corp".parse().unwrap();
    let refused = bench.refused(token.kid.as_str(), |ctx| revoke_key(ctx, Some(&issuer), &token.kid, ""));
    assert!(matches!(refused, OpsError::NotFound(_)), "{refused}");
}

#[test]
fn what_was_issued_before_a_moment_is_revoked_and_never_given_back() {
    let bench = Bench::new();
    let before = issue(&bench.ctx, new_token()).unwrap().token;
    bench.clock.advance(Duration::from_secs(60));
    let cut = bench.now();
    let after = issue(&bench.ctx, new_token()).unwrap().token;
    assert_eq!(revoke_issued_before(&bench.ctx, None, cut, "").unwrap().ended, 1);
    assert_eq!((state(&bench, &before), state(&bench, &after)), (TokenState::Revoked, TokenState::Live));
    for (moment, is_conflict) in [(cut, true), (cut.minus(HOUR), true), (cut.plus(HOUR), false)] {
        let object = format!("issued before {moment}");
        let refused = bench.refused(&object, |ctx| revoke_issued_before(ctx, None, moment, ""));
        assert_eq!(matches!(refused, OpsError::Conflict(_)), is_conflict, "{refused}");
    }
    assert_eq!(state(&bench, &before), TokenState::Revoked);
}

#[test]
fn a_token_is_revoked_by_its_text_and_only_one_of_a_known_issuer() {
    let bench = Bench::new();
    let issued = issue(&bench.ctx, new_token()).unwrap();
    let (rest, _) = issued.text.expose().rsplit_once('.').unwrap();
    // Who holds the right to revoke needs no good signature: one may want to stop what is forged too.
    let forged = format!("{rest}.{}", base64::encode([0; 64]));
    assert_eq!(revoke_text(&bench.ctx, &forged, "").unwrap().ended, 1);
    assert_eq!(state(&bench, &issued.token), TokenState::Revoked);
    let foreign = base64::encode(r#"{"alg":"EdDSA"}"#)
        + "."
        + &base64::encode(r#"{"iss":"https://x","jti":"1"}"#)
        + ".AA";
    for text in [foreign.as_str(), "nonsense", ""] {
        let refused = bench.refused("", |ctx| revoke_text(ctx, text, ""));
        assert!(matches!(refused, OpsError::Invalid(_)), "{refused}");
    }
}

#[test]
fn what_expired_long_ago_is_forgotten_with_its_revocation() {
    let bench = Bench::new();
    let token = issue(&bench.ctx, new_token()).unwrap().token;
    revoke_all(&bench.ctx, &[token.jti], "").unwrap();
    let refused = bench.refused("", |ctx| purge(ctx, ctx.now()));
    assert!(matches!(refused, OpsError::Invalid(_)), "{refused}");
    bench.clock.advance(HOUR + DAY + MOST_SKEW);
    assert_eq!(purge(&bench.ctx, token.expires_at).unwrap(), 0, "not at that very moment");
    bench.clock.advance(Duration::from_secs(1));
    let purged = bench.one_record(Act::TokenPurge, "", |ctx| purge(ctx, ctx.now().minus(DAY)).unwrap());
    assert_eq!(purged, 1);
    let rows = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        bench.ctx.store.read(|c| Ok::<_, OpsError>(c.query_row(&sql, [], |row| row.get(0)).unwrap())).unwrap()
    };
    assert_eq!((rows("token"), rows("revocation"), rows("quota")), (0, 0, 0));
    bench.assert_valid();
}

#[test]
fn each_token_that_is_issued_sweeps_what_ended_long_ago() {
    let bench = Bench::new();
    let old = issue(&bench.ctx, new_token()).unwrap().token;
    bench.clock.advance(HOUR + REMEMBERED);
    issue(&bench.ctx, new_token()).unwrap();
    show(&bench.ctx, old.jti).unwrap();
    bench.clock.advance(Duration::from_secs(1));
    issue(&bench.ctx, new_token()).unwrap();
    assert!(matches!(show(&bench.ctx, old.jti), Err(OpsError::NotFound(_))));
}

#[test]
fn a_revocation_that_was_swept_in_passing_is_missed_by_nobody() {
    let bench = Bench::new();
    let revoked = issue(&bench.ctx, new_token()).unwrap().token;
    revoke_all(&bench.ctx, &[revoked.jti], "").unwrap();
    let contradictions = || crate::ops::rows::contradictions(&bench.ctx).unwrap();
    let rows = |c: &Rows<'_>| -> i64 {
        c.query_row("SELECT count(*) FROM revocation", [], |row| row.get(0)).unwrap()
    };
    let left = || bench.ctx.store.read(|c| Ok::<_, OpsError>(rows(c))).unwrap();
    bench.clock.advance(HOUR + MOST_SKEW + REMEMBERED + Duration::from_secs(1));
    issue(&bench.ctx, new_token()).unwrap();
    assert_eq!((left(), contradictions()), (0, Vec::new()));
}

#[test]
fn revoking_a_subject_again_with_the_clock_set_back_takes_nothing_back() {
    let bench = Bench::new();
    let subject = "alice".parse().unwrap();
    let first = revoke_subject(&bench.ctx, &subject, "").unwrap().revocation.target.cut();
    bench.clock.set(bench.now().minus(HOUR));
    let second = revoke_subject(&bench.ctx, &subject, "").unwrap().revocation.target.cut();
    assert_eq!(first, second);
}

#[test]
fn many_tokens_of_a_subject_share_one_quota() {
    let bench = Bench::new();
    for _ in 0..3 {
        issue(&bench.ctx, new_token()).unwrap();
    }
    let count = |sql: &'static str| -> i64 {
        bench.ctx.store.read(|c| Ok::<_, OpsError>(c.query_row(sql, [], |row| row.get(0)).unwrap())).unwrap()
    };
    assert_eq!(count("SELECT count(*) FROM quota"), 1);
    let found = crate::ops::rows::examine(&bench.ctx, &bench.home).unwrap();
    assert_eq!(found.damaged, []);
}

#[test]
fn a_policy_and_a_scope_in_use_by_a_live_token_stay() {
    let bench = Bench::new();
    let readers = crate::domain::policy::Policy::new("readers".parse().unwrap());
    policy::create(&bench.ctx, readers, "").unwrap();
    let policy = "readers".parse::<PolicyName>().unwrap();
    issue(&bench.ctx, NewToken { policy: policy.clone(), ..new_token() }).unwrap();
    let refused = policy::delete(&bench.ctx, &policy, "").unwrap_err();
    assert!(refused.to_string().contains("1 token is under policy"), "{refused}");
    let scope = "mcp:read".parse().unwrap();
    let refused = crate::ops::scope::remove(&bench.ctx, &scope).unwrap_err();
    assert!(refused.to_string().contains("1 token"), "{refused}");
    bench.clock.advance(HOUR);
    crate::ops::scope::remove(&bench.ctx, &scope).unwrap();
    policy::delete(&bench.ctx, &policy, "").unwrap();
}

#[test]
fn an_auditor_lists_everything_without_the_vault_and_changes_nothing() {
    let bench = Bench::new();
    let token = issue(&bench.ctx, new_token()).unwrap().token;
    let auditor = bench.auditor();
    let q = Query {
        filter: crate::domain::filter::Filter::default(),
        sort: Sort::Issued,
        descending: false,
        now: bench.now(),
    };
    assert_eq!(list(&auditor, &q, None, 10).unwrap().items[0].token, token);
    show(&auditor, token.jti).unwrap();
    let subject = token.subject.clone();
    for refused in [
        issue(&auditor, new_token()).map(drop),
        revoke_all(&auditor, &[token.jti], "").map(drop),
        revoke_text(&auditor, "x", "").map(drop),
        revoke_subject(&auditor, &subject, "").map(drop),
        revoke_key(&auditor, None, &token.kid, "").map(drop),
        revoke_issued_before(&auditor, None, bench.now(), "").map(drop),
        purge(&auditor, bench.now()).map(drop),
        signing_key::retire(&auditor, &token.kid, "").map(drop),
        signing_key::rotate(&auditor, &token.kid, Default::default()).map(drop),
    ] {
        assert!(matches!(refused, Err(OpsError::ReadOnly { .. })), "{refused:?}");
    }
}
