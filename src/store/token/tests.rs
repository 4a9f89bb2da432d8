use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::Connection;

use super::*;
use crate::{
    domain::{
        filter::{Filter, TOKEN_FIELDS},
        jose::Algorithm,
        revocation::Revocation,
        signing_key::SigningKey,
        token::{Grounds, TokenState},
    },
    store::{RowKey, revocation, signing_key},
    vault::SealedEntry,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// A store in memory with two signing keys, `old` and `new`, and some tokens.
struct Books(Connection, RowKey);

impl Books {
    fn new() -> Self {
        let c = Connection::open_in_memory().unwrap();
        c.execute_batch(include_str!("../../../assets/migrations/portcullis/0001_first.sql")).unwrap();
        c.execute_batch(include_str!("../../../assets/migrations/portcullis/0002_tokens.sql")).unwrap();
        c.execute_batch(include_str!("../../../assets/migrations/portcullis/0004_token_ground.sql")).unwrap();
        let books = Self(c, RowKey::new(&[7; 32]));
        for kid in ["old", "new"] {
            let key = SigningKey {
                kid: kid.parse().unwrap(),
                algorithm: Algorithm::EdDsa,
                name: String::new(),
                created_at: NOW,
                signs_from: NOW,
                signs_until: None,
                verifies_until: None,
                retired_at: None,
                public: None,
            };
            let private = SealedEntry {
                name: crate::vault::signing_key_entry(&key.kid),
                version: 1,
                wrapped_key: vec![],
                sealed: vec![],
            };
            signing_key::insert(&books.rows(), &key, &private, NOW).unwrap();
        }
        books
    }

    fn rows(&self) -> Rows<'_> {
        Rows::new(&self.0, Some(&self.1))
    }

    /// Adds a token of `subject` that `kid` signed and that begins `number` minutes after now and lives an hour.
    fn token(&self, number: u8, subject: &str, kid: &str) -> IssuedToken {
        let issued_at = NOW.plus(Duration::from_secs(60) * number.into());
        let token = IssuedToken {
            jti: TokenId::from_bytes([number; 16]),
            subject: subject.parse().unwrap(),
            client: "ci_1".into(),
            scopes: vec!["mcp:read".parse().unwrap()],
            audience: vec!["https://a.example".into()],
            policy: "default".parse().unwrap(),
            bound: None,
            rests_on: Grounds::default(),
            max_uses: None,
            kid: kid.parse().unwrap(),
            algorithm: Algorithm::EdDsa,
            issued_at,
            expires_at: issued_at.plus(HOUR),
            issued_by: "cli:tester".into(),
        };
        insert(&self.rows(), &token).unwrap();
        token
    }

    fn revoke(&self, target: Target) {
        let revocation = Revocation { target, revoked_at: NOW, reason: "why".into(), ends_at: None };
        revocation::upsert(&self.rows(), &revocation).unwrap();
    }

    /// The first byte of the ids of those that `filter` finds at `now`; the states in which they are listed agree with
    /// what `standing` says.
    fn found(&self, filter: &str, now: Timestamp) -> Vec<u8> {
        let filter = Filter::parse(filter, TOKEN_FIELDS, now).unwrap();
        let q = Query { filter, sort: Sort::Issued, descending: false, now };
        let page = page(&self.rows(), &q, None, 1000).unwrap();
        assert_eq!(count(&self.rows(), &q).unwrap(), page.items.len() as u64);
        page.items.iter().map(|standing| standing.token.jti.to_bytes()[0]).collect()
    }
}

fn minutes(minutes: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(60) * minutes as u32)
}

#[test]
fn what_was_written_is_read() {
    let books = Books::new();
    let token = books.token(1, "alice", "old");
    assert_eq!(find(&books.rows(), token.jti), Ok(Some(token)));
    assert_eq!(find(&books.rows(), TokenId::from_bytes([9; 16])), Ok(None));
}

#[test]
fn each_kind_of_revocation_refuses_what_it_means_and_no_other() {
    let (alice, old) = ("alice".parse().unwrap(), "old".parse().unwrap());
    let elsewhere = Some("corp".parse().unwrap());
    for (target, revoked) in [
        (Target::Token { id: TokenId::from_bytes([2; 16]) }, vec![2]),
        (Target::Subject { subject: alice, cut: minutes(2) }, vec![1, 2]),
        (Target::Key { issuer: None, kid: old }, vec![1, 4]),
        (Target::IssuedBefore { issuer: None, moment: minutes(2) }, vec![1]),
        (Target::IssuedBefore { issuer: elsewhere.clone(), moment: minutes(9) }, vec![]),
        (Target::Key { issuer: elsewhere, kid: "old".parse().unwrap() }, vec![]),
    ] {
        let books = Books::new();
        for (number, subject, kid) in
            [(1, "alice", "old"), (2, "alice", "new"), (3, "alice", "new"), (4, "bob", "old")]
        {
            books.token(number, subject, kid);
        }
        let now = minutes(5);
        assert_eq!(live_of(&books.rows(), &target, now), Ok(revoked.len() as u64), "{target:?}");
        books.revoke(target.clone());
        assert_eq!(live_of(&books.rows(), &target, now), Ok(0), "{target:?}");
        assert_eq!(books.found("state:revoked", now), revoked, "{target:?}");
        let live: Vec<u8> = (1..5).filter(|number| !revoked.contains(number)).collect();
        assert_eq!(books.found("state:live", now), live, "{target:?}");
        let counted = Counts { live: live.len() as u64, expiring: 0, revoked: revoked.len() as u64 };
        assert_eq!(counts(&books.rows(), now), Ok(counted), "{target:?}");
        for number in 1..5 {
            let token = find(&books.rows(), TokenId::from_bytes([number; 16])).unwrap().unwrap();
            let standing = standing(&books.rows(), token, now).unwrap();
            assert_eq!(standing.state == TokenState::Revoked, revoked.contains(&number), "{target:?}");
            let is_told = matches!(&standing.refusal, Some(Refusal::Revoked(told)) if told.target.kind() == target.kind());
            assert_eq!(is_told, revoked.contains(&number), "{target:?}");
        }
    }
}

#[test]
fn what_a_retired_key_signed_is_revoked() {
    let books = Books::new();
    books.token(1, "alice", "old");
    books.token(2, "alice", "new");
    let kid = "old".parse().unwrap();
    assert_eq!(signing_key::set_ending(&books.rows(), &kid, minutes(3), minutes(10)), Ok(true));
    assert_eq!(books.found("state:revoked", minutes(9)), [0; 0]);
    assert_eq!(books.found("state:revoked", minutes(10)), [1], "the overlap is over");
    assert_eq!(signing_key::set_retired(&books.rows(), &kid, minutes(4)), Ok(true));
    assert_eq!(books.found("state:revoked", minutes(4)), [1]);
    assert_eq!(signing_key::private(&books.rows(), &kid), Ok(None), "its private part is destroyed");
    let token = find(&books.rows(), TokenId::from_bytes([1; 16])).unwrap().unwrap();
    let refusal = standing(&books.rows(), token, minutes(4)).unwrap().refusal;
    assert_eq!(refusal, Some(Refusal::KeyRetired { retired_key: kid }));
}

#[test]
fn the_states_of_the_filter_are_those_of_the_token() {
    let books = Books::new();
    let token = books.token(0, "alice", "new");
    for now in [0, 53, 54, 55, 59, 60, 61].map(minutes) {
        let standing = standing(&books.rows(), token.clone(), now).unwrap();
        let counted = counts(&books.rows(), now).unwrap();
        let is = |state| u64::from(standing.state == state);
        let (live, expiring) = (is(TokenState::Live), is(TokenState::Expiring));
        assert_eq!(counted, Counts { live, expiring, revoked: 0 }, "{now}");
        for state in TokenState::ALL {
            let found = books.found(&format!("state:{}", state.as_str()), now);
            assert_eq!(!found.is_empty(), state == standing.state, "{state:?} at {now}");
        }
        assert_eq!(books.found(standing.state.as_str(), now), [0], "as a text");
    }
}

#[test]
fn fields_find_what_they_name() {
    let books = Books::new();
    books.token(1, "alice", "old");
    books.token(2, "bob", "new");
    for (filter, found) in [
        ("subject:ALI", vec![1]),
        ("kid:new", vec![2]),
        ("alg:EdDSA", vec![1, 2]),
        ("scope:mcp:read !subject:bob", vec![1]),
        ("scope:mcp", vec![]),
        ("client:ci_1", vec![1, 2]),
        ("client:ciX1", vec![]),
        ("audience:a.example", vec![1, 2]),
        ("policy:default jti:", vec![]),
        ("bob", vec![2]),
        ("expires<62m", vec![1]),
        ("issued>2027-01-15T08:01:30Z", vec![2]),
    ] {
        if filter.ends_with("jti:") {
            assert!(Filter::parse(filter, TOKEN_FIELDS, NOW).is_err());
            continue;
        }
        assert_eq!(books.found(filter, NOW), found, "{filter}");
    }
}

#[test]
fn pages_follow_one_another_in_every_order() {
    let books = Books::new();
    for number in 1..8 {
        books.token(number, if number % 2 == 0 { "alice" } else { "bob" }, "new");
    }
    for sort in Sort::ALL {
        for descending in [false, true] {
            let q = Query { filter: Filter::default(), sort, descending, now: NOW };
            let all = page(&books.rows(), &q, None, 100).unwrap();
            assert_eq!((all.items.len(), all.next), (7, None));
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = page(&books.rows(), &q, after.as_deref(), 3).unwrap();
                seen.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, all.items, "{sort:?} {descending}");
            for (at, row) in all.items.iter().enumerate() {
                let found = place(&books.rows(), &q, &row.token.jti.to_string()).unwrap();
                assert_eq!(found, Some(at as u64), "{sort:?} {descending}");
            }
            for total in [None, Some(7)] {
                for offset in 0..8 {
                    let seen = window(&books.rows(), &q, offset, 3, total).unwrap();
                    let seen: Vec<_> = seen.into_iter().map(Result::unwrap).collect();
                    let there = all.items.iter().skip(offset as usize).take(3).cloned().collect::<Vec<_>>();
                    assert_eq!(seen, there, "{sort:?} {descending} {offset} {total:?}");
                }
            }
        }
    }
    let q = |sort| Query { filter: Filter::default(), sort, descending: false, now: NOW };
    let next = page(&books.rows(), &q(Sort::Subject), None, 2).unwrap().next.unwrap();
    // Scripts hold on to it from one release to the next.
    let form =
        format!(r#"{{"order":["subject",false],"value":"alice","jti":"{}"}}"#, TokenId::from_bytes([4; 16]));
    assert_eq!(next, URL_SAFE_NO_PAD.encode(form));
    for (sort, cursor) in [(Sort::Policy, next.as_str()), (Sort::Subject, "nonsense")] {
        let refused = page(&books.rows(), &q(sort), Some(cursor), 2).map(|_| ());
        assert!(matches!(refused, Err(StoreError::Cursor(_))), "{refused:?}");
    }
}

#[test]
fn what_is_forgotten_takes_its_quota_with_it_once_nobody_shares_it() {
    let books = Books::new();
    let first = books.token(1, "alice", "old");
    books.token(2, "alice", "old");
    let accounts =
        || -> i64 { books.0.query_row("SELECT count(*) FROM quota", [], |row| row.get(0)).unwrap() };
    assert_eq!(accounts(), 1);
    assert_eq!(purge(&books.rows(), first.expires_at, 10).unwrap().len(), 0, "not before it has ended");
    assert_eq!(
        purge(&books.rows(), first.expires_at.plus(HOUR / 3600), 10).unwrap(),
        [first.jti.to_string()]
    );
    assert_eq!(accounts(), 1);
    assert_eq!(purge(&books.rows(), minutes(1000), 10).unwrap().len(), 1);
    assert_eq!(accounts(), 0);
}

#[test]
fn a_damaged_row_is_named_and_its_neighbour_is_not() {
    let books = Books::new();
    let (one, two) = (books.token(1, "alice", "old"), books.token(2, "alice", "new"));
    books.0.execute("UPDATE token SET policy = 'other' WHERE jti = ?1", [one.jti.to_string()]).unwrap();
    let error = find(&books.rows(), one.jti).unwrap_err();
    assert!(error.is_of_one_row() && error.to_string().contains(&one.jti.to_string()), "{error}");
    assert!(find(&books.rows(), two.jti).is_ok());
    let q = Query { filter: Filter::default(), sort: Sort::Subject, descending: false, now: NOW };
    let rows = window(&books.rows(), &q, 0, 9, None).unwrap();
    assert!(
        matches!(&rows[..], [Err(damaged), Ok(row)] if damaged.id == one.jti.to_string() && row.token.jti == two.jti),
        "{rows:?}"
    );
    books
        .0
        .execute(
            "UPDATE signing_key SET verifies_until = NULL, retired_at = NULL, name = 'x' WHERE kid = 'old'",
            [],
        )
        .unwrap();
    let (keys, damaged) = signing_key::sound(&books.rows()).unwrap();
    assert_eq!((keys.len(), damaged.len()), (1, 1));
    assert!(
        signing_key::set_retired(&books.rows(), &"old".parse().unwrap(), NOW).unwrap_err().is_of_one_row()
    );
    // However long its name is, it does not drown what is said of it.
    books.0.pragma_update(None, "foreign_keys", false).unwrap();
    books.0.execute("UPDATE signing_key SET kid = hex(zeroblob(50000)) WHERE kid = 'old'", []).unwrap();
    let told = signing_key::sound(&books.rows()).unwrap().1[0].to_string();
    assert!(told.contains("`0000") && told.contains("0…`") && told.len() < 400, "{told}");
}
