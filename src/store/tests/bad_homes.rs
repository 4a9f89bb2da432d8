//! Homes that must be refused, each with what mends it and with nothing changed.
use std::{os::unix::fs::symlink, process::Command};

use super::*;

fn refused(place: &Place) -> StoreError {
    let error = |mode| Store::open(&place.home, mode).map(|_| ()).unwrap_err();
    assert_eq!(error(Mode::ReadOnly), error(Mode::ReadWrite));
    error(Mode::ReadWrite)
}

#[test]
fn wide_modes_are_refused_and_the_named_command_mends_them() {
    for (file, wide, mend) in [
        ("", 0o750, "chmod 700"),
        ("", 0o701, "chmod 700"),
        ("portcullis.db", 0o640, "chmod 600"),
        ("portcullis.db-wal", 0o604, "chmod 600"),
        ("portcullis.db-shm", 0o620, "chmod 600"),
        ("usage.db", 0o644, "chmod 600"),
        ("vault.key", 0o640, "chmod 600"),
    ] {
        let place = Place::used();
        fs::write(place.file("vault.key"), "").unwrap();
        let path = if file.is_empty() { place.home.path().to_owned() } else { place.file(file) };
        chmod(place.file("vault.key"), 0o600);
        chmod(&path, wide);
        let StoreError::Modes { mend: command, .. } = refused(&place) else { panic!("{file} {wide:o}") };
        assert!(command.starts_with(mend), "{command}");
        assert!(Command::new("sh").arg("-c").arg(&command).status().unwrap().success());
        assert!(Store::open(&place.home, Mode::ReadWrite).is_ok(), "{file} after {command}");
    }
}

#[test]
fn nobody_is_told_to_close_a_folder_that_is_there_for_other_things() {
    let folder = tempfile::tempdir().unwrap();
    let mend_of = |mode: u32| {
        chmod(folder.path(), mode);
        let Err(StoreError::Modes { mend, .. }) = Store::open(&Home::at(folder.path()), Mode::ReadWrite)
        else {
            panic!("{mode:o}")
        };
        mend
    };
    assert!(mend_of(0o1777).contains("--home"), "as /tmp");
    assert!(mend_of(0o755).starts_with("chmod 700"), "an empty one may be meant");
    fs::write(folder.path().join("letter"), "").unwrap();
    assert!(mend_of(0o755).contains("--home"));
    assert_eq!(
        fs::metadata(folder.path()).unwrap().permissions().mode() & 0o7777,
        0o755,
        "it is left as it is"
    );
}

#[test]
fn the_command_that_mends_can_be_pasted_whatever_the_folder_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("it's my $HOME; ls"));
    drop(Store::open(&home, Mode::ReadWrite).unwrap());
    chmod(home.path(), 0o755);
    let Err(StoreError::Modes { mend, .. }) = Store::open(&home, Mode::ReadWrite) else { panic!() };
    assert!(Command::new("sh").arg("-c").arg(&mend).status().unwrap().success(), "{mend}");
    assert!(Store::open(&home, Mode::ReadWrite).is_ok());
}

#[test]
fn a_symbolic_link_in_the_place_of_home_or_file_is_refused() {
    let place = Place::used();
    let link = Home::at(place.folder.path().join("link"));
    symlink(place.home.path(), link.path()).unwrap();
    assert!(matches!(Store::open(&link, Mode::ReadWrite), Err(StoreError::Modes { .. })));
    fs::rename(place.file("usage.db"), place.file("elsewhere.db")).unwrap();
    symlink("elsewhere.db", place.file("usage.db")).unwrap();
    assert!(matches!(refused(&place), StoreError::Modes { .. }));
}

#[test]
fn a_home_reached_through_a_linked_parent_is_fine() {
    let place = Place::used();
    let link = place.folder.path().join("link");
    symlink(place.folder.path(), &link).unwrap();
    assert!(Store::open(&Home::at(link.join("home")), Mode::ReadWrite).is_ok());
}

#[test]
fn a_foreign_owner_is_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let place = Place::used();
    std::os::unix::fs::chown(place.file("portcullis.db"), Some(12345), None).unwrap();
    let StoreError::Modes { found, mend, .. } = refused(&place) else { panic!() };
    assert!(
        found.contains("uid 12345") && mend.contains("sudo -u '#12345' portcullis --home "),
        "{found} {mend}"
    );
    assert!(!mend.contains("chown"), "{mend}");
}

#[test]
fn a_file_in_the_place_of_the_home_is_refused() {
    let place = Place::new();
    fs::write(place.home.path(), "").unwrap();
    assert!(matches!(refused(&place), StoreError::Modes { .. }));
}

#[test]
fn a_store_newer_than_the_binary_is_refused_and_left_byte_identical() {
    for (file, newest) in [("portcullis.db", 6), ("usage.db", 4)] {
        let place = Place::used();
        let newer = place.stranger(file);
        newer.execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(newer);
        let before = fs::read(place.file(file)).unwrap();
        let error = refused(&place);
        assert!(matches!(error, StoreError::TooNew { found: 99, known, .. } if known == newest), "{error}");
        assert_eq!(fs::read(place.file(file)).unwrap(), before);
    }
}

#[test]
fn what_waits_in_the_wal_of_a_newer_store_stays_there() {
    let place = Place::used();
    let newer = place.stranger("portcullis.db");
    newer.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 99").unwrap();
    let (database, wal) = (place.file("portcullis.db"), place.file("portcullis.db-wal"));
    let copy = Place::new();
    fs::create_dir(copy.home.path()).unwrap();
    chmod(copy.home.path(), 0o700);
    for (from, to) in [(&database, "portcullis.db"), (&wal, "portcullis.db-wal")] {
        fs::copy(from, copy.file(to)).unwrap();
    }
    let before = (fs::read(&database).unwrap(), fs::read(&wal).unwrap());
    assert!(matches!(refused(&copy), StoreError::TooNew { found: 99, .. }));
    assert!(
        before
            == (
                fs::read(copy.file("portcullis.db")).unwrap(),
                fs::read(copy.file("portcullis.db-wal")).unwrap()
            )
    );
}

#[test]
fn a_store_from_before_the_first_release_is_refused_and_left_byte_identical() {
    let place = Place::used();
    let early = place.stranger("portcullis.db");
    early.execute_batch("PRAGMA user_version = 1; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(early);
    let before = fs::read(place.file("portcullis.db")).unwrap();
    let error = refused(&place);
    assert!(matches!(error, StoreError::Unreleased { .. }), "{error}");
    assert_eq!(fs::read(place.file("portcullis.db")).unwrap(), before);
}

#[test]
fn an_older_store_wants_an_operator_first() {
    let place = Place::used();
    place.stranger("portcullis.db").execute_batch("PRAGMA user_version = 0").unwrap();
    let error = Store::open(&place.home, Mode::ReadOnly).map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::TooOld { found: 0, known: 6, .. }), "{error}");
}

#[test]
fn what_is_not_a_database_is_corrupt_and_left_alone() {
    for content in [
        &b"this is not a database, but it is longer than the header of one, which has a hundred bytes ......"
            [..],
        b"short",
    ] {
        let place = Place::used();
        fs::write(place.file("portcullis.db"), content).unwrap();
        let StoreError::Corrupt { file, .. } = refused(&place) else { panic!() };
        assert!(file.ends_with("portcullis.db"), "{file}");
        assert_eq!(fs::read(place.file("portcullis.db")).unwrap(), content);
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    let place = Place::used();
    fs::remove_file(place.file("usage.db")).unwrap();
    place.stranger("usage.db").execute_batch("CREATE TABLE cookies (a)").unwrap();
    chmod(place.file("usage.db"), 0o600);
    assert!(matches!(refused(&place), StoreError::Corrupt { .. }));
    // Nor is one of ours taken for the other.
    fs::copy(place.file("portcullis.db"), place.file("usage.db")).unwrap();
    assert!(matches!(refused(&place), StoreError::Corrupt { .. }));
}

#[test]
fn a_damaged_schema_is_seen_at_the_opening_and_damaged_pages_by_the_integrity_check() {
    let place = Place::used();
    let path = place.file("portcullis.db");
    let sound = fs::read(&path).unwrap();

    let mut damaged = sound.clone();
    damaged[100..200].fill(0xa5);
    fs::write(&path, &damaged).unwrap();
    assert!(matches!(refused(&place), StoreError::Corrupt { .. }));

    let mut damaged = sound.clone();
    damaged[4096 * 3..4096 * 4].fill(0xa5);
    fs::write(&path, &damaged).unwrap();
    let found = Store::open(&place.home, Mode::ReadOnly).unwrap().integrity();
    assert!(
        found.map_or_else(|error| matches!(error, StoreError::Corrupt { .. }), |faults| !faults.is_empty())
    );

    fs::write(&path, &sound[..4096 * 2]).unwrap();
    assert!(matches!(refused(&place), StoreError::Corrupt { .. }));
}

#[test]
fn a_locked_store_is_busy() {
    let place = Place::used();
    // Leaves write-ahead logging, where readers would not wait for anybody.
    let holder = place.stranger("portcullis.db");
    holder
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE setting SET value = ''")
        .unwrap();
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let error = Store::open_with_timeout(&place.home, mode, Duration::from_millis(20)).map(|_| ());
        assert_eq!(error, Err(StoreError::Busy));
    }
    drop(holder);
    assert!(Store::open(&place.home, Mode::ReadWrite).is_ok());
}

/// A file system of its own, unmounted at the end.
pub(super) struct Disk<'a>(&'a std::path::Path);

impl<'a> Disk<'a> {
    pub(super) fn mount(at: &'a std::path::Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        eprintln!("skipped: no right to mount a file system here");
        None
    }

    fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]).arg(self.0);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_loses_nothing_and_work_goes_on_when_there_is_room() {
    let place = Place::new();
    let Some(disk) = Disk::mount(place.home.path(), "1m") else { return };
    let store = place.open();
    set(&store, "a", "1").unwrap();
    let filler = place.file("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap_err();
    let big = || {
        store.write(|tx| {
            tx.execute("INSERT INTO setting SELECT 'big', hex(zeroblob(400000))", [])?;
            Ok::<_, StoreError>(())
        })
    };
    assert_eq!(big(), Err(StoreError::Full));
    assert_eq!(get(&store, "a").as_deref(), Some("1"));
    assert_eq!(get(&store, "big"), None);
    fs::remove_file(&filler).unwrap();
    assert_eq!(set(&store, "b", "2"), Ok(()));
    drop(store);
    assert_eq!(place.open().integrity().unwrap(), Vec::<String>::new());
    drop(disk);
}

#[test]
fn a_full_disk_is_said_at_the_first_use() {
    let place = Place::new();
    let Some(disk) = Disk::mount(place.home.path(), "16k") else { return };
    assert_eq!(Store::open(&place.home, Mode::ReadWrite).map(|_| ()), Err(StoreError::Full));
    drop(disk);
}

#[test]
fn a_read_only_file_system_can_be_read_and_not_written() {
    let place = Place::new();
    let Some(disk) = Disk::mount(place.home.path(), "8m") else { return };
    set(&place.open(), "a", "1").unwrap();
    disk.remount("ro");
    assert_eq!(get(&Store::open(&place.home, Mode::ReadOnly).unwrap(), "a").as_deref(), Some("1"));
    let error = Store::open(&place.home, Mode::ReadWrite).map(|_| ());
    assert_eq!(error, Err(StoreError::ReadOnly));
    disk.remount("rw");
    drop(disk);
}
