//! What the store does with homes as they are found in the field: real files, real processes' locks.
mod anchor;
mod bad_homes;
mod ballast;
mod feed;
mod probe;
mod vault;
mod writer;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Mode, RowKey, Rows, Store, StoreError, home::Home, setting};
use crate::domain::clock::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A folder of its own for each test, and the home in it.
struct Place {
    folder: TempDir,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        Self { folder, home }
    }

    /// A place whose store has been made and closed.
    fn used() -> Self {
        let place = Self::new();
        drop(place.open());
        place
    }

    fn open(&self) -> Store {
        Store::open(&self.home, Mode::ReadWrite).unwrap()
    }

    /// The same, as whoever has opened the vault: with the key to its rows.
    fn open_to_seal(&self) -> Store {
        let store = self.open();
        store.set_row_key(RowKey::new(&[7; 32]));
        store
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A connection as another program might make it.
    fn stranger(&self, file: &str) -> Connection {
        Connection::open(self.file(file)).unwrap()
    }
}

fn set(store: &Store, name: &'static str, value: &'static str) -> Result<(), StoreError> {
    store.write(move |tx| setting::set(tx, name, value))
}

fn get(store: &Store, name: &str) -> Option<String> {
    store.read(|c| setting::get(c, name)).unwrap()
}

fn chmod(path: impl AsRef<std::path::Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_first_use_makes_everything_for_its_owner_alone() {
    let place = Place::new();
    let store = place.open();
    set(&store, "a", "1").unwrap();
    store.write_usage(|_| Ok::<_, StoreError>(())).unwrap();
    let mode = |path: PathBuf| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(place.home.path().into()), 0o700);
    for file in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm", "usage.db", "usage.db-wal"] {
        assert_eq!(mode(place.file(file)), 0o600, "{file}");
    }
}

#[test]
fn what_was_written_is_there_after_closing() {
    let place = Place::new();
    set(&place.open(), "a", "1").unwrap();
    assert_eq!(get(&place.open(), "a").as_deref(), Some("1"));
}

#[test]
fn connections_have_the_settings_of_the_checklist() {
    let place = Place::new();
    let store = place.open();
    let read =
        |c: &Connection, pragma| c.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
    let (writer, usage) = {
        let synchronous = |c: &Connection| {
            let mode: String = c.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            assert_eq!(mode, "wal");
            Ok::<i64, StoreError>(c.pragma_query_value(None, "synchronous", |row| row.get(0))?)
        };
        (store.write(move |c| synchronous(c)).unwrap(), store.write_usage(move |c| synchronous(c)).unwrap())
    };
    assert_eq!((writer, usage), (2, 1), "FULL and NORMAL");
    store
        .read(|c| {
            assert_eq!(read(c, "foreign_keys"), 1);
            assert_eq!(read(c, "trusted_schema"), 0);
            assert_eq!(read(c, "secure_delete"), 1);
            assert_eq!(read(c, "query_only"), 1);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn neither_readers_nor_a_read_only_store_can_write() {
    let place = Place::used();
    let insert = |c: &Rows<'_>| {
        c.execute("INSERT INTO setting VALUES ('a', '1')", [])?;
        Ok::<_, StoreError>(())
    };
    assert_eq!(place.open().read(insert), Err(StoreError::ReadOnly));
    let store = Store::open(&place.home, Mode::ReadOnly).unwrap();
    assert_eq!(store.mode(), Mode::ReadOnly);
    assert_eq!(store.read(insert), Err(StoreError::ReadOnly));
    assert_eq!(set(&store, "a", "1"), Err(StoreError::OpenedReadOnly));
    assert_eq!(get(&store, "a"), None);
}

#[test]
fn a_read_only_store_sees_what_a_live_writer_commits() {
    let place = Place::new();
    let writer = place.open();
    let reader = Store::open(&place.home, Mode::ReadOnly).unwrap();
    set(&writer, "a", "1").unwrap();
    assert_eq!(get(&reader, "a").as_deref(), Some("1"));
}

#[test]
fn a_read_only_store_opens_with_no_writer_and_with_the_wal_gone() {
    let place = Place::new();
    set(&place.open(), "a", "1").unwrap();
    assert_eq!(get(&Store::open(&place.home, Mode::ReadOnly).unwrap(), "a").as_deref(), Some("1"));
    assert!(place.file("portcullis.db-wal").exists(), "kept for readers without the right to make it");
    for file in ["portcullis.db", "usage.db"] {
        fs::remove_file(place.file(&format!("{file}-wal"))).unwrap();
        fs::remove_file(place.file(&format!("{file}-shm"))).unwrap();
    }
    assert_eq!(get(&Store::open(&place.home, Mode::ReadOnly).unwrap(), "a").as_deref(), Some("1"));
}

#[test]
fn a_missing_store_is_not_made_by_reading() {
    let place = Place::new();
    let open = || Store::open(&place.home, Mode::ReadOnly).map(|_| ());
    assert!(matches!(open(), Err(StoreError::Missing(_))));
    assert!(!place.home.path().exists());
    fs::create_dir(place.home.path()).unwrap();
    chmod(place.home.path(), 0o700);
    assert!(matches!(open(), Err(StoreError::Missing(_))));
    assert_eq!(fs::read_dir(place.home.path()).unwrap().count(), 0);
}

#[test]
fn a_sound_store_has_no_faults() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    let place_of_foreign = place.stranger("portcullis.db");
    place_of_foreign
        .execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO policy VALUES ('ghost', 7, x'')")
        .unwrap();
    assert_eq!(store.integrity().unwrap(), ["portcullis.db: a row of policy names a row that is not there"]);
}

#[test]
fn an_option_beats_the_environment() {
    assert_eq!(Home::locate(Some("/x/y".into())).unwrap().path(), std::path::Path::new("/x/y"));
}

#[test]
fn processes_that_start_at_once_on_an_empty_home_share_one_store() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| set(&place.open(), "a", "1").unwrap());
        }
    });
    assert_eq!(get(&place.open(), "a").as_deref(), Some("1"));
    assert_eq!(place.open().integrity().unwrap(), Vec::<String>::new());
}

#[test]
fn a_busy_store_answers_after_the_time_given() {
    let place = Place::used();
    let holder = place.stranger("portcullis.db");
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = Store::open_with_timeout(&place.home, Mode::ReadWrite, Duration::from_millis(20)).unwrap();
    assert_eq!(set(&store, "a", "1"), Err(StoreError::Busy));
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(set(&store, "a", "1"), Ok(()));
}
