//! What a backup or a restore leaves that is killed, and that nobody touches what a living one works on.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use crate::support::{Place, code, err, out};

const KEY: &[&str] = &["--subject", "alice", "--scope", "mcp:*"];

/// A place with a home, a key in it, and a file with a passphrase.
fn place() -> (Place, String, String) {
    let place = Place::new();
    let (_, key) = place.key(KEY);
    let secret = place.file("secret", "correct horse battery staple\n");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    (place, key, secret)
}

/// What lies in `folder` and is one of ours that should not stay.
fn left(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        [".restore-", ".portcullis-backup-"].iter().any(|prefix| name.starts_with(prefix))
    };
    let mut found: Vec<_> = entries.filter(is_ours).collect();
    found.sort();
    found
}

/// Waits until a folder of ours in `folder` that was not there `before` holds `name`, or is there.
fn wait_for(folder: &Path, name: &str, before: &[PathBuf], child: &mut Child) -> PathBuf {
    loop {
        let mut new = left(folder).into_iter().filter(|path| !before.contains(path));
        if let Some(found) = new.find(|path| path.is_dir() && path.join(name).exists()) {
            return found;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it was killed");
}

/// A backup to a pipe that nobody reads: it waits when its copies are made. `scratch` is where it makes them.
fn waiting_backup(place: &Place, secret: &str, scratch: &Path) -> Child {
    let mut command = place.command(&["backup", "-", "--passphrase-file", secret]);
    command.env("TMPDIR", scratch).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn what_a_killed_backup_has_left_goes_with_the_next_and_a_living_one_is_not_touched() {
    let (place, key, secret) = place();
    let scratch = place.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    for moment in ["", "portcullis.db", "usage.db"] {
        let before = left(&scratch);
        let mut killed = waiting_backup(&place, &secret, &scratch);
        let folder = wait_for(&scratch, moment, &before, &mut killed);
        kill(killed);
        assert!(folder.is_dir(), "a kill clears nothing up");
    }
    assert_eq!(
        left(&scratch).len(),
        2,
        "one folder and the file beside it: each clears up after the one before"
    );
    let before = left(&scratch);
    let mut living = waiting_backup(&place, &secret, &scratch);
    let its = wait_for(&scratch, "usage.db", &before, &mut living);
    let mut other = place.command(&["backup", "-", "--passphrase-file", &secret]);
    let other = other.env("TMPDIR", &scratch).output().unwrap();
    assert_eq!(code(&other), 0, "{}", err(&other));
    assert_eq!(left(&scratch).len(), 2, "the other has gone with its folder");
    assert!(its.join("usage.db").exists());
    let mut bytes = Vec::new();
    living.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    assert!(living.wait().unwrap().success());
    assert_eq!(left(&scratch), [] as [PathBuf; 0]);
    // Each is whole.
    for (name, bytes) in [("one", bytes), ("two", other.stdout)] {
        let (file, home) = (place.file(name, bytes), place.path().join(format!("home-{name}")));
        let home = home.to_str().unwrap();
        place.ok(&["--home", home, "restore", &file, "--passphrase-file", &secret]);
        assert_eq!(code(&place.feed(&["--home", home, "key", "verify"], &key)), 0);
    }
}

#[test]
fn what_a_killed_backup_has_left_beside_its_file_goes_with_the_next_one_there() {
    let (place, _, secret) = place();
    let mut killed = waiting_backup(&place, &secret, place.path());
    let folder = wait_for(place.path(), "usage.db", &[], &mut killed);
    kill(killed);
    // What one of an earlier release has left, or somebody has made, has nothing to tell by whether it is of use.
    let unknown = place.path().join(".portcullis-backup-AbC123");
    fs::create_dir(&unknown).unwrap();
    let made = place.run(&["backup", "copy", "--passphrase-file", &secret]);
    assert_eq!(code(&made), 0, "{}", err(&made));
    let told =
        format!("removed what was left by one that was killed: ./{}", folder.file_name().unwrap().display());
    assert!(err(&made).contains(&told), "{}", err(&made));
    assert_eq!(left(place.path()), [unknown]);
}

#[test]
fn a_home_that_a_restore_was_killed_in_is_told_of_and_filled_by_the_next() {
    let (place, key, secret) = place();
    place.ok(&["backup", "copy", "--passphrase-file", &secret]);
    let bytes = fs::read(place.path().join("copy")).unwrap();
    let home = place.path().join("new");
    let at = home.to_str().unwrap();
    let begin = |bytes: &[u8]| {
        let mut command = place.command(&["--home", at, "restore", "-", "--passphrase-file", &secret]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
        child
    };
    let restore = || place.run(&["--home", at, "restore", "copy", "--passphrase-file", &secret]);
    let (most, last) = bytes.split_at(bytes.len() - 1);
    for (read, moment) in [(bytes.len() / 2, ""), (most.len(), "portcullis.db"), (most.len(), "usage.db")] {
        let before = left(&home);
        let mut killed = begin(&bytes[..read]);
        let folder = wait_for(&home, moment, &before, &mut killed);
        kill(killed);
        let doctor = place.run(&["--home", at, "doctor"]);
        assert_eq!(code(&doctor), 1, "{}", out(&doctor));
        assert!(out(&doctor).contains(&format!("rm -rf {0} {0}.lock", folder.display())), "{}", out(&doctor));
        assert!(folder.is_dir(), "to look changes nothing");
        let list = place.run(&["--home", at, "key", "list"]);
        assert!(
            code(&list) == 5 && err(&list).contains("restore again"),
            "no other home is made: {}",
            err(&list)
        );
    }
    let put_back = restore();
    assert_eq!(code(&put_back), 0, "{}", err(&put_back));
    assert!(err(&put_back).contains("removed what was left by one that was killed"), "{}", err(&put_back));
    assert_eq!(left(&home), [] as [PathBuf; 0]);
    assert_eq!(code(&place.feed(&["--home", at, "key", "verify"], &key)), 0);
    assert_eq!(code(&place.run(&["--home", at, "doctor"])), 0);
    fs::remove_dir_all(&home).unwrap();

    // One that lives is not touched, and comes to its end.
    let mut living = begin(most);
    let folder = wait_for(&home, "usage.db", &[], &mut living);
    let refused = restore();
    assert_eq!(code(&refused), 4, "{}", err(&refused));
    assert!(err(&refused).contains("another restore is at work in"), "{}", err(&refused));
    let doctor = place.run(&["--home", at, "doctor"]);
    assert!(code(&doctor) == 0 && out(&doctor).contains("one is at work in this home"), "{}", out(&doctor));
    assert!(folder.join("usage.db").exists());
    living.stdin.take().unwrap().write_all(last).unwrap();
    assert!(living.wait().unwrap().success());
    assert_eq!(left(&home), [] as [PathBuf; 0]);
    assert_eq!(code(&place.feed(&["--home", at, "key", "verify"], &key)), 0);
    // Of one of an earlier release nobody knows: it is named, with what removes it.
    fs::remove_dir_all(&home).unwrap();
    fs::create_dir_all(home.join(".restore-AbC123")).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    let refused = restore();
    assert_eq!(code(&refused), 4, "{}", err(&refused));
    assert!(
        err(&refused).contains(&format!("rm -rf {at}/.restore-AbC123 {at}/.restore-AbC123.lock")),
        "{}",
        err(&refused)
    );
}
