use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;
use crate::{
    domain::{
        api_key::{KeySecret, KeyState, Pepper},
        filter::{Filter, KEY_FIELDS},
        policy::{Policy, Revision},
    },
    store::{Mode, RowKey, Store, home::Home, policy},
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn in_days(days: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + days * 86_400_000)
}

fn id(number: u32) -> KeyId {
    format!("{number:022}").parse().unwrap()
}

fn digest() -> SecretDigest {
    Pepper::new(&[7; 32]).digest(&KeySecret::generate().unwrap())
}

fn key(number: u32, subject: &str, expires_at: Option<Timestamp>) -> ApiKey {
    ApiKey {
        id: id(number),
        environment: "live".parse().unwrap(),
        name: format!("key {number}"),
        subject: subject.parse().unwrap(),
        scopes: vec!["mcp:read".parse().unwrap()],
        policy: "default".parse().unwrap(),
        created_at: in_days(-i64::from(number)),
        expires_at,
        disabled: false,
        revoked_at: None,
        revoked_reason: String::new(),
        rotated_at: None,
        previous_until: None,
        digest: digest(),
        previous_digest: None,
    }
}

struct Place {
    _folder: tempfile::TempDir,
    store: Store,
}

impl Place {
    /// A store with `keys`, under the policy `default`.
    fn with(keys: Vec<ApiKey>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Home::at(folder.path().join("home")), Mode::ReadWrite).unwrap();
        store.set_row_key(RowKey::new(&[7; 32]));
        store
            .write(move |tx| {
                policy::insert(tx, &revision(1))?;
                keys.iter().try_for_each(|key| insert(tx, key))
            })
            .unwrap();
        Self { _folder: folder, store }
    }

    fn read<T>(&self, job: impl FnOnce(&Rows<'_>) -> Result<T, StoreError>) -> T {
        self.store.read(job).unwrap()
    }

    fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Rows<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store.write(move |tx| job(tx)).unwrap()
    }

    fn key(&self, number: u32) -> ApiKey {
        self.read(|c| find(c, id(number))).unwrap()
    }

    /// The numbers of the keys that `text` lets through, oldest first.
    fn filtered(&self, text: &str) -> Vec<u32> {
        let q = query(text, Sort::Created, false);
        let found = self.read(|c| window(c, &q, 0, 100, None));
        assert_eq!(self.read(|c| count(c, &q)), found.len() as u64, "{text}");
        numbers(&found)
    }
}

/// The rows of a window none of which is damaged.
fn window(
    c: &Rows<'_>,
    q: &Query,
    offset: u64,
    limit: u32,
    total: Option<u64>,
) -> Result<Vec<ApiKey>, StoreError> {
    Ok(super::window(c, q, offset, limit, total)?.into_iter().map(Result::unwrap).collect())
}

fn revision(number: u32) -> Revision {
    Revision {
        policy: Policy::new("default".parse().unwrap()),
        revision: number,
        author: "alice".into(),
        reason: "because".into(),
        saved_at: NOW,
    }
}

fn query(filter: &str, sort: Sort, descending: bool) -> Query {
    Query { filter: Filter::parse(filter, KEY_FIELDS, NOW).unwrap(), sort, descending, now: NOW }
}

fn numbers(keys: &[ApiKey]) -> Vec<u32> {
    keys.iter().map(|key| key.id.as_str().parse().unwrap()).collect()
}

#[test]
fn a_key_is_read_as_it_was_written() {
    let full = ApiKey {
        environment: "test".parse().unwrap(),
        scopes: vec![],
        disabled: true,
        revoked_at: Some(in_days(-1)),
        revoked_reason: "lost".into(),
        rotated_at: Some(in_days(-2)),
        previous_until: Some(in_days(2)),
        previous_digest: Some(digest()),
        ..key(2, "bob", Some(in_days(3)))
    };
    let place = Place::with(vec![key(1, "alice", None), full.clone()]);
    assert_eq!(format!("{:?}", place.key(2)), format!("{full:?}"));
    assert!(place.key(2).digest.matches(&full.digest));
    assert!(place.key(2).previous_digest.unwrap().matches(&full.previous_digest.unwrap()));
    assert!(place.read(|c| find(c, id(3))).is_none());
    let mut all = Vec::new();
    place.read(|c| each(c, |key| all.push(key.unwrap())));
    assert_eq!(numbers(&all), [1, 2]);
}

#[test]
fn a_window_is_the_same_from_either_end() {
    // Two subjects and two ends, so that ties stand in every order.
    let keys = (1..=20).map(|number| {
        let subject = if number % 3 == 0 { "alice" } else { "bob" };
        key(number, subject, (number % 4 > 1).then(|| in_days(i64::from(number % 4))))
    });
    let place = Place::with(keys.collect());
    for filter in ["", "bob"] {
        for (sort, descending) in Sort::ALL.into_iter().flat_map(|sort| [(sort, false), (sort, true)]) {
            let q = query(filter, sort, descending);
            let total = place.read(|c| count(c, &q));
            for (offset, limit) in (0..=total + 2).flat_map(|offset| [(offset, 1), (offset, 3), (offset, 50)])
            {
                let from = |total| numbers(&place.read(|c| window(c, &q, offset, limit, total)));
                assert_eq!(from(Some(total)), from(None), "{q:?} {offset} {limit}");
            }
        }
    }
}

#[test]
fn a_row_is_where_its_window_has_it() {
    let keys = (1..=20).map(|number| {
        let subject = if number % 3 == 0 { "alice" } else { "bob" };
        key(number, subject, (number % 4 > 1).then(|| in_days(i64::from(number % 4))))
    });
    let there = Place::with(keys.collect());
    for filter in ["", "bob"] {
        for (sort, descending) in Sort::ALL.into_iter().flat_map(|sort| [(sort, false), (sort, true)]) {
            let q = query(filter, sort, descending);
            let rows = there.read(|c| window(c, &q, 0, 100, None));
            for number in 1..=20 {
                let wanted = rows.iter().position(|key| key.id == id(number)).map(|at| at as u64);
                let found = there.read(|c| place(c, &q, id(number).as_str()));
                assert_eq!(found, wanted, "{q:?} {number}");
            }
        }
    }
    assert_eq!(there.read(|c| place(c, &query("", Sort::Name, false), "nobody")), None);
}

#[test]
fn a_damaged_row_keeps_its_place_in_a_window() {
    let there = Place::with((1..=3).map(|number| key(number, "alice", None)).collect());
    there.write(|c| Ok(c.execute("UPDATE api_key SET name = 'other' WHERE id = ?1", [id(2).as_str()])?));
    let q = query("", Sort::Created, false);
    let rows = there.read(|c| super::window(c, &q, 0, 9, None));
    assert!(matches!(&rows[..], [Ok(_), Err(damaged), Ok(_)] if damaged.id == id(2).as_str()), "{rows:?}");
    assert_eq!(there.read(|c| count(c, &q)), 3);
    assert_eq!(there.read(|c| place(c, &q, id(1).as_str())), Some(2));
}

#[test]
fn states_are_counted_as_keys_say_them() {
    let mut keys = vec![
        key(1, "alice", None),
        key(2, "alice", Some(in_days(1))),
        key(3, "alice", Some(in_days(3))),
        key(4, "alice", Some(NOW)),
        ApiKey { disabled: true, ..key(5, "alice", None) },
        ApiKey { disabled: true, ..key(6, "alice", Some(in_days(1))) },
        ApiKey { disabled: true, ..key(7, "alice", Some(in_days(-1))) },
        ApiKey { disabled: true, revoked_at: Some(in_days(-2)), ..key(8, "alice", Some(in_days(-1))) },
        ApiKey { revoked_at: Some(NOW), ..key(9, "alice", None) },
    ];
    let of = |keys: &[ApiKey], state| keys.iter().filter(|key| key.state(NOW) == state).count() as u64;
    let expected = Counts {
        active: of(&keys, KeyState::Active),
        disabled: of(&keys, KeyState::Disabled),
        expired: of(&keys, KeyState::Expired),
        revoked: of(&keys, KeyState::Revoked),
        ending: 1,
    };
    let all = crate::store::credential::Counts::from(expected).all();
    assert_eq!((all, expected.active, expected.revoked), (9, 3, 2));
    let place = Place::with(std::mem::take(&mut keys));
    assert_eq!(place.read(|c| counts(c, NOW, in_days(2))), expected);
    assert_eq!(Place::with(vec![]).read(|c| counts(c, NOW, NOW)), Counts::default());
}

#[test]
fn a_key_cannot_be_under_a_policy_that_is_not_there() {
    let place = Place::with(vec![]);
    let orphan = ApiKey { policy: "none".parse().unwrap(), ..key(1, "alice", None) };
    let refused = place.store.write(move |tx| insert(tx, &orphan));
    assert!(matches!(refused, Err(StoreError::Constraint(_))), "{refused:?}");
}

#[test]
fn changes_are_kept_and_told() {
    use crate::store::feed::{Change, Feed};
    let place = Place::with(vec![key(1, "alice", None)]);
    let mut feed = Feed::new(&place.store).unwrap();
    let start = feed.position().unwrap();

    assert!(place.write(|c| set_disabled(c, id(1), true)));
    assert!(place.key(1).disabled);
    assert!(place.write(|c| set_revoked(c, id(1), NOW, "lost")));
    assert!(place.write(|c| set_revoked(c, id(1), in_days(1), "again")));
    assert_eq!((place.key(1).revoked_at, place.key(1).revoked_reason.as_str()), (Some(NOW), "lost"));
    assert!(place.write(|c| delete(c, id(1))));
    assert_eq!(feed.changes(start).unwrap().0, vec![Change::Key(id(1)); 4]);

    let nobody = place.write(|c| {
        Ok([
            set_disabled(c, id(1), true)?,
            set_revoked(c, id(1), NOW, "")?,
            set_rotated(c, id(1), &digest(), NOW, None)?,
            delete(c, id(1))?,
        ])
    });
    assert_eq!((nobody, feed.changes(start).unwrap().0.len()), ([false; 4], 4));
}

#[test]
fn a_rotation_keeps_the_old_secret_for_its_grace_only() {
    let place = Place::with(vec![key(1, "alice", None)]);
    let (first, second, third) = (place.key(1).digest, digest(), digest());
    place.write(move |c| set_rotated(c, id(1), &second, NOW, Some(in_days(1))));
    let rotated = place.key(1);
    assert!(rotated.digest.matches(&second) && rotated.previous_digest.unwrap().matches(&first));
    assert_eq!((rotated.rotated_at, rotated.previous_until), (Some(NOW), Some(in_days(1))));
    place.write(move |c| set_rotated(c, id(1), &third, in_days(1), None));
    let rotated = place.key(1);
    assert!(rotated.digest.matches(&third) && rotated.previous_digest.is_none());
    assert_eq!(rotated.previous_until, None);
}

fn mixed() -> Place {
    Place::with(vec![
        key(1, "alice", None),
        ApiKey { name: "100%_sure\\".into(), ..key(2, "Alice B", Some(in_days(1))) },
        ApiKey { disabled: true, environment: "test".parse().unwrap(), ..key(3, "bob", Some(in_days(40))) },
        ApiKey { revoked_at: Some(NOW), disabled: true, ..key(4, "carol", Some(in_days(-1))) },
        ApiKey {
            scopes: vec!["mcp:read:all".parse().unwrap(), "tools:x".parse().unwrap()],
            ..key(5, "bob", Some(NOW))
        },
    ])
}

#[test]
fn filters_find_what_they_say() {
    let place = mixed();
    for (text, found) in [
        ("", vec![5, 4, 3, 2, 1]),
        ("alice", vec![2, 1]),
        ("ALICE", vec![2, 1]),
        ("!alice", vec![5, 4, 3]),
        ("alice subject:b", vec![2]),
        ("subject:bob !env:test", vec![5]),
        ("env:test", vec![3]),
        ("name:%", vec![2]),
        ("name:_", vec![2]),
        ("name:\\", vec![2]),
        ("name:k_y", vec![]),
        ("id:00002", vec![2]),
        ("policy:default", vec![5, 4, 3, 2, 1]),
        ("scope:mcp:read", vec![4, 3, 2, 1]),
        ("scope:tools:x", vec![5]),
        ("scope:tools", vec![]),
        ("tools", vec![5]),
        ("revoked", vec![4]),
        ("expires<30d", vec![5, 4, 2]),
        ("expires>30d", vec![3, 1]),
        ("!expires<30d", vec![3, 1]),
        ("!expires>30d", vec![5, 4, 2]),
        ("name:' OR 1", vec![]),
    ] {
        assert_eq!(place.filtered(text), found, "{text}");
    }
}

#[test]
fn states_are_those_of_the_domain() {
    let place = mixed();
    let mut seen = 0;
    for state in KeyState::ALL {
        let text = format!("state:{}", state.as_str());
        let expected: Vec<_> =
            (1..=5).rev().filter(|&number| place.key(number).state(NOW) == state).collect();
        seen += expected.len();
        assert!(!expected.is_empty());
        assert_eq!(place.filtered(&text), expected, "{text}");
    }
    assert_eq!(seen, 5);
}

#[test]
fn every_order_is_the_same_by_pages_and_by_windows() {
    let keys = (1..=20).map(|number| {
        let expires = (number % 4 != 0).then(|| in_days(i64::from(number % 3)));
        key(number, ["alice", "bob", "carol"][number as usize % 3], expires)
    });
    let place = Place::with(keys.collect());
    for sort in Sort::ALL {
        for descending in [false, true] {
            let q = query("!carol", sort, descending);
            let all = numbers(&place.read(|c| window(c, &q, 0, 100, None)));
            assert_eq!(all.len(), 13);
            for size in [1, 3, 7, 13, 50] {
                let (mut paged, mut after) = (Vec::new(), None::<String>);
                loop {
                    let page = place.read(|c| page(c, &q, after.as_deref(), size));
                    paged.extend(numbers(&page.items));
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                    assert_eq!(page.items.len(), size as usize);
                }
                assert_eq!(paged, all, "{sort:?} {descending} by {size}");
            }
            let windows: Vec<_> =
                (0..5).flat_map(|part| numbers(&place.read(|c| window(c, &q, part * 3, 3, None)))).collect();
            assert_eq!(windows, all, "{sort:?} {descending}");
        }
    }
}

#[test]
fn what_never_expires_sorts_as_the_latest_and_ties_by_id() {
    let place = Place::with(vec![
        key(1, "a", None),
        key(2, "b", Some(in_days(2))),
        key(3, "c", Some(in_days(1))),
        key(4, "d", Some(in_days(2))),
    ]);
    let sorted =
        |descending| numbers(&place.read(|c| window(c, &query("", Sort::Expires, descending), 0, 9, None)));
    assert_eq!(sorted(false), [3, 2, 4, 1]);
    assert_eq!(sorted(true), [1, 4, 2, 3]);
}

#[test]
fn a_cursor_that_is_not_of_this_list_is_refused() {
    let place = mixed();
    let q = query("", Sort::Expires, false);
    let good = place.read(|c| page(c, &q, None, 2)).next.unwrap();
    let refused = |q: &Query, cursor: &str| {
        let error = place.store.read(|c| page(c, q, Some(cursor), 2)).map(|_| ());
        assert_eq!(error, Err(StoreError::Cursor(cursor.to_owned())));
    };
    refused(&q, "");
    refused(&q, "!");
    refused(&q, &good[1..]);
    refused(&query("", Sort::Expires, true), &good);
    refused(&query("", Sort::Name, false), &good);
}

/// Scripts hold on to cursors from one release to the next.
#[test]
fn a_cursor_has_the_form_that_it_always_had() {
    let place = Place::with((1..=4).map(|number| key(number, "alice", None)).collect());
    let form = |number| {
        let json = format!(r#"{{"order":["expires",false],"value":null,"id":"{}"}}"#, id(number));
        URL_SAFE_NO_PAD.encode(json)
    };
    let found = place.read(|c| page(c, &query("", Sort::Expires, false), Some(&form(1)), 2));
    assert_eq!((numbers(&found.items), found.next), (vec![2, 3], Some(form(3))));
    let found = place.read(|c| page(c, &query("", Sort::Created, true), None, 1)).next.unwrap();
    let json = format!(r#"{{"order":["created",true],"value":{},"id":"{}"}}"#, in_days(-1).millis(), id(1));
    assert_eq!(found, URL_SAFE_NO_PAD.encode(json));
}

#[test]
fn a_row_that_no_code_of_ours_wrote_is_named() {
    let place = mixed();
    place.write(|c| {
        c.execute("UPDATE api_key SET scopes = '[\"a b\"]' WHERE subject = 'carol'", [])?;
        Ok(())
    });
    // Found by its seal, and where there is no key to check that with, by what it says.
    let unchecked = place.store.read(|c| find(&Rows::new(c, None), id(4)));
    for found in [unchecked, place.store.read(|c| find(c, id(4)))] {
        let error = found.unwrap_err();
        let StoreError::Row { table: "api_key", row, .. } = &error else { panic!("{error}") };
        assert_eq!(row, id(4).as_str());
    }
    assert!(place.read(|c| find(c, id(3))).is_some(), "the others can be used");
}

#[test]
fn revisions_are_kept_beyond_their_policy() {
    let place = Place::with(vec![key(1, "alice", None)]);
    let name = "default".parse().unwrap();
    place.write(|c| policy::insert(c, &revision(2)));
    let (newest, keys) = place.read(|c| policy::list(c, NOW)).remove(0);
    assert_eq!((newest.revision, keys), (2, 1));
    assert_eq!(place.read(|c| policy::find(c, &name)).unwrap().revision, 2);
    assert_eq!(place.read(|c| policy::revision(c, &name, 1)).unwrap().author, "alice");
    assert!(place.read(|c| policy::revision(c, &name, 3)).is_none());

    let used = place.store.write(|tx| policy::delete(tx, &"default".parse().unwrap()));
    assert!(matches!(used, Err(StoreError::Constraint(_))), "{used:?}");
    place.write(|c| delete(c, id(1)));
    assert!(place.write(|c| policy::delete(c, &"default".parse().unwrap())));
    assert!(place.read(|c| policy::find(c, &name)).is_none());
    let history: Vec<_> = place.read(|c| policy::history(c, &name)).iter().map(|old| old.revision).collect();
    assert_eq!(history, [2, 1]);
    assert_eq!(place.read(|c| policy::next_revision(c, &name)), 3);
}

#[test]
fn saving_a_revision_twice_is_refused() {
    let place = Place::with(vec![]);
    let again = place.store.write(|tx| policy::insert(tx, &revision(1)));
    assert!(matches!(again, Err(StoreError::Constraint(_))), "{again:?}");
}
