//! Once means once: within a process, and across processes on one home.

use std::{
    process::{Command, Stdio},
    sync::Barrier,
    thread,
};

use super::*;
use crate::{
    domain::clock::Timestamp,
    store::{Mode, RowKey, Store, home::Home},
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const EACH: usize = 32;
const HOME: &str = "PORTCULLIS_TEST_ONE_TIME_HOME";

fn open(home: &Home) -> Store {
    let store = Store::open(home, Mode::ReadWrite).unwrap();
    store.set_row_key(RowKey::new(&[7; 32]));
    store
}

/// How many of so many threads, all at once, are told to be the first.
fn winners(store: &Store, id: &'static str) -> usize {
    let start = Barrier::new(EACH);
    thread::scope(|scope| {
        let tries: Vec<_> = (0..EACH)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    store.write(move |c| use_up(c, TOKENS, id, NOW)).unwrap()
                })
            })
            .collect();
        tries.into_iter().map(|one| usize::from(one.join().unwrap())).sum()
    })
}

/// What the second process runs; alone it has nothing to do.
#[test]
fn the_other_process() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let won = winners(&open(&Home::at(home)), "shared");
    println!("won={won}");
}

#[test]
fn of_64_uses_in_two_processes_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("home"));
    let store = open(&home);
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::one_time::tests::the_other_process", "--nocapture"])
        .env(HOME, home.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let won = winners(&store, "shared");
    let output = other.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let theirs =
        told.lines().find_map(|line| line.split("won=").nth(1)).map(|won| won.trim().parse::<usize>());
    assert_eq!(theirs.map(|theirs| theirs.unwrap() + won), Some(1), "{told}");
}

#[test]
fn each_id_of_each_realm_is_used_once_and_forgotten_after_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&Home::at(folder.path().join("home")));
    let take =
        |realm: &'static str, id: &'static str| store.write(move |c| use_up(c, realm, id, NOW)).unwrap();
    assert_eq!([take(TOKENS, "a"), take(TOKENS, "a")], [true, false]);
    assert_eq!([take(TOKENS, "b"), take("dpop", "a")], [true, true], "another id, another realm");
    assert!(store.read(|c| is_used(c, TOKENS, "a")).unwrap());
    assert!(!store.read(|c| is_used(c, TOKENS, "c")).unwrap());
    let later = NOW.plus(std::time::Duration::from_millis(1));
    assert_eq!(store.write(move |c| purge(c, NOW, 10)), Ok::<_, StoreError>(0), "not at that very moment");
    assert_eq!(store.write(move |c| purge(c, later, 2)), Ok::<_, StoreError>(2), "no more than was said");
    assert_eq!(store.write(move |c| purge(c, later, 9)), Ok::<_, StoreError>(1));
    assert!(take(TOKENS, "a"));
}
