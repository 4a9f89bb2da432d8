//! Two stores on one home stand for two processes.
use rusqlite::Connection;

use super::*;
use crate::{
    domain::{name::PolicyName, scope::Scope},
    store::{
        feed::{self, Change, Feed, UsageFeed},
        scope,
    },
};

fn tell(store: &Store, changes: Vec<Change>) {
    store.write(move |tx| changes.iter().try_for_each(|change| feed::append(tx, change))).unwrap();
}

fn policy(name: &str) -> Change {
    Change::Policy(name.parse::<PolicyName>().unwrap())
}

#[test]
fn a_commit_of_another_process_moves_the_feed_once() {
    let place = Place::new();
    let (here, there) = (place.open_to_seal(), place.open_to_seal());
    let mut feed = Feed::new(&here).unwrap();
    assert!(!feed.moved().unwrap());
    tell(&there, vec![policy("p"), Change::Scopes]);
    assert!(feed.moved().unwrap());
    assert!(!feed.moved().unwrap());
    let (changes, position) = feed.changes(0).unwrap();
    assert_eq!(changes, [policy("p"), Change::Scopes]);
    tell(&here, vec![policy("q")]);
    assert!(feed.moved().unwrap());
    assert_eq!(feed.changes(position).unwrap(), (vec![policy("q")], position + 1));
    assert_eq!(feed.position().unwrap(), position + 1);
}

#[test]
fn what_was_rolled_back_or_only_read_does_not_move_the_feed() {
    let place = Place::new();
    let store = place.open_to_seal();
    let mut feed = Feed::new(&store).unwrap();
    let taken_back = store.write(|tx| {
        feed::append(tx, &Change::Scopes)?;
        Err::<(), _>(StoreError::Busy)
    });
    assert_eq!(taken_back, Err(StoreError::Busy));
    get(&store, "a");
    assert!(!feed.moved().unwrap());
}

#[test]
fn a_scope_tells_of_itself() {
    let place = Place::new();
    let store = place.open_to_seal();
    let mut feed = Feed::new(&store).unwrap();
    let new = Scope {
        name: "x:read".parse().unwrap(),
        description: "x".into(),
        endpoints: vec!["x/*".parse().unwrap()],
    };
    let copy = new.clone();
    store.write(move |tx| scope::upsert(tx, &copy)).unwrap();
    let read = store.read(scope::catalogue).unwrap();
    assert_eq!(read.get(&new.name), Some(&new));
    let name = new.name.clone();
    assert_eq!(
        store.write(move |tx| Ok::<_, StoreError>((scope::delete(tx, &name)?, scope::delete(tx, &name)?))),
        Ok((true, false))
    );
    assert_eq!(feed.changes(0).unwrap().0, vec![Change::Scope(new.name); 2]);
    // As earlier versions told it.
    tell(&store, vec![Change::Scopes]);
    assert_eq!(feed.changes(2).unwrap().0, [Change::Scopes]);
}

#[test]
fn who_looked_too_seldom_is_told_to_load_everything() {
    let place = Place::new();
    let store = place.open_to_seal();
    let mut feed = Feed::new(&store).unwrap();
    tell(&store, vec![Change::Scopes; 10_002]);
    assert_eq!(feed.changes(1).unwrap(), (vec![Change::All], 10_002));
    assert_eq!(feed.changes(2).unwrap().0.len(), 10_000);
    assert_eq!(feed.changes(10_002).unwrap(), (vec![], 10_002));
    assert_eq!(feed.changes(10_003).unwrap(), (vec![Change::All], 10_002), "the past came back");
}

#[test]
fn a_change_that_this_version_does_not_know_means_everything() {
    let place = Place::new();
    let store = place.open();
    store
        .write(|tx| {
            tx.execute(
                "INSERT INTO change (noun, object, mac) VALUES ('key', 'no id', x''), ('token', 'x', x'')",
                [],
            )?;
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(Feed::new(&store).unwrap().changes(0).unwrap().0, [Change::All, Change::All]);
}

#[test]
fn a_deleted_store_is_noticed_at_once() {
    let place = Place::new();
    let store = place.open();
    let mut feed = Feed::new(&store).unwrap();
    fs::remove_file(place.file("portcullis.db")).unwrap();
    assert!(matches!(feed.moved(), Err(StoreError::Replaced { .. })));
    for _ in 0..2 {
        let error = set(&store, "a", "1").unwrap_err();
        assert!(matches!(error, StoreError::Replaced { .. }), "{error}");
    }
    assert!(!place.file("portcullis.db").exists(), "no empty one is made in its place");
}

#[test]
fn usage_has_a_feed_of_its_own() {
    let place = Place::new();
    let store = place.open();
    let (mut usage, mut feed) = (UsageFeed::new(&store).unwrap(), Feed::new(&store).unwrap());
    let insert = |c: &Connection| {
        c.execute("INSERT INTO usage_minute VALUES (0, 'c', 's', 'e', 'allowed', 1, '')", [])
    };
    store.write_usage(move |tx| Ok::<_, StoreError>(insert(tx)?)).unwrap();
    assert!(usage.moved().unwrap());
    assert!(!usage.moved().unwrap());
    assert!(!feed.moved().unwrap());
}

#[test]
fn readers_read_the_file_that_is_at_its_path() {
    let place = Place::new();
    let store = place.open();
    set(&store, "a", "old").unwrap();
    assert_eq!(get(&store, "a").as_deref(), Some("old"));
    fs::remove_file(place.file("portcullis.db")).unwrap();
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let refused = Store::open(&place.home, mode).map(|_| ());
        assert!(matches!(refused, Err(StoreError::Lost { .. })), "{refused:?}");
    }
    assert!(matches!(store.read(|c| setting::get(c, "a")), Err(StoreError::Lost { .. })));
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(place.file(&format!("portcullis.db{suffix}"))).unwrap();
    }
    assert!(matches!(store.read(|c| setting::get(c, "a")), Err(StoreError::Missing(_))));
    set(&Store::make_anew(&place.home).unwrap(), "a", "new").unwrap();
    assert_eq!(get(&store, "a").as_deref(), Some("new"));
    assert!(
        matches!(set(&store, "a", "lost"), Err(StoreError::Replaced { .. })),
        "a writer must be started anew"
    );
    assert_eq!(get(&place.open(), "a").as_deref(), Some("new"));
}
