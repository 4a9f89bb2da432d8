//! The ballast: made, kept its owner's, given up where a full disk leaves no other room, and made whole again.
use std::os::unix::fs::{MetadataExt, symlink};

use super::{bad_homes::Disk, *};
use crate::store::ballast::{WEIGHT, weight};

fn blob(store: &Store, name: &'static str, bytes: u32) -> Result<(), StoreError> {
    store.write(move |tx| put(tx, name, bytes))
}

fn put(tx: &rusqlite::Connection, name: &str, bytes: u32) -> Result<(), StoreError> {
    tx.execute("INSERT INTO setting SELECT ?1, hex(zeroblob(?2))", (name, bytes / 2))?;
    Ok(())
}

#[test]
fn it_is_made_with_the_home_of_real_blocks() {
    let place = Place::used();
    let found = fs::symlink_metadata(place.file("ballast")).unwrap();
    assert_eq!(found.permissions().mode() & 0o7777, 0o600);
    assert!(found.len() == WEIGHT && found.blocks() * 512 >= WEIGHT);
}

#[test]
fn one_with_holes_is_made_whole_and_one_that_is_gone_anew() {
    let place = Place::used();
    let path = place.file("ballast");
    fs::File::create(&path).unwrap().set_len(WEIGHT).unwrap();
    assert_eq!(weight(place.home.path()).unwrap(), 0);
    drop(place.open());
    assert_eq!(weight(place.home.path()).unwrap(), WEIGHT);
    fs::remove_file(&path).unwrap();
    drop(Store::open(&place.home, Mode::ReadOnly).unwrap());
    assert!(!path.exists(), "a reader makes nothing");
    drop(place.open());
    assert_eq!(weight(place.home.path()).unwrap(), WEIGHT);
}

#[test]
fn one_that_others_could_reach_is_refused() {
    let place = Place::used();
    let path = place.file("ballast");
    chmod(&path, 0o640);
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let refused = Store::open(&place.home, mode).map(|_| ());
        assert!(matches!(refused, Err(StoreError::Modes { .. })), "{refused:?}");
    }
    fs::remove_file(&path).unwrap();
    let elsewhere = place.folder.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(matches!(Store::open(&place.home, Mode::ReadWrite).map(|_| ()), Err(StoreError::Modes { .. })));
    assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");
}

#[test]
fn a_full_disk_takes_a_job_that_must_be_and_no_other_until_there_is_room() {
    let place = Place::new();
    let Some(disk) = Disk::mount(place.home.path(), "32m") else { return };
    let store = place.open();
    set(&store, "a", "1").unwrap();
    let filler = place.file("filler");
    fs::write(&filler, vec![0; 32 << 20]).unwrap_err();
    assert!(store.is_full());
    assert_eq!(blob(&store, "waits", 600_000), Err(StoreError::Full));
    assert_eq!(weight(place.home.path()).unwrap(), WEIGHT, "what can wait does not touch it");
    // More than a piece: some attempts fail first.
    store.write_though_full(|tx| put(tx, "urgent", 600_000)).unwrap();
    assert!(get(&store, "urgent").is_some() && get(&store, "waits").is_none());
    let left = weight(place.home.path()).unwrap();
    assert!(0 < left && left < WEIGHT, "{left}");
    // More than all of it.
    assert_eq!(store.write_though_full(|tx| put(tx, "huge", 10_000_000)), Err(StoreError::Full));
    assert_eq!((get(&store, "huge"), weight(place.home.path()).unwrap()), (None, 0));
    fs::remove_file(&filler).unwrap();
    assert!(!store.is_full());
    drop(store);
    let store = place.open();
    assert_eq!(weight(place.home.path()).unwrap(), WEIGHT);
    assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    drop((store, disk));
}

#[test]
fn a_job_that_fails_for_itself_costs_nothing_and_runs_once() {
    let place = Place::new();
    let store = place.open();
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&runs);
    let refused = store.write_though_full(move |_| {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Err::<(), _>(StoreError::Busy)
    });
    assert_eq!(refused, Err(StoreError::Busy));
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(weight(place.home.path()).unwrap(), WEIGHT);
}

#[test]
fn a_disk_too_small_for_it_holds_a_home_all_the_same() {
    let place = Place::new();
    let Some(disk) = Disk::mount(place.home.path(), "12m") else { return };
    let store = place.open();
    set(&store, "a", "1").unwrap();
    assert_eq!(weight(place.home.path()).unwrap(), 0);
    drop((store, disk));
}
