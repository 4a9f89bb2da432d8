//! Backups and restores that are killed in the midst of what they do on the disk.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    disk::Disk,
    strace::{self, killed_at},
    support::home::Home,
};

/// System calls by which a change becomes visible to others, by their names on every machine.
const CHANGES: [&str; 3] = ["?rename,?renameat,?renameat2", "?mkdir,?mkdirat", "?unlink,?unlinkat,?rmdir"];

/// Kills a command at each of these calls, as often as it makes them, and looks at what is left each time.
fn at_every_change(command: impl FnMut() -> Command, look: impl FnMut(&str)) -> u64 {
    at_each(&CHANGES, command, look)
}

fn at_each(all: &[&str], mut command: impl FnMut() -> Command, mut look: impl FnMut(&str)) -> u64 {
    let mut kills = 0;
    for calls in all {
        for call in 1.. {
            let is_killed = killed_at(&command(), calls, call);
            look(&format!("{calls} {call}"));
            if !is_killed {
                break;
            }
            kills += 1;
        }
    }
    kills
}

fn left(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect()
}

/// Lays a home of an earlier release, of its versions 4 and 1, at this place.
fn lay_earlier(home: &Home) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journeys/homes/version-4-1");
    fs::create_dir(home.path()).expect("a folder");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
    for name in ["portcullis.db", "usage.db", "vault.key"] {
        fs::copy(from.join(name), home.path().join(name)).expect("a copy");
        fs::set_permissions(home.path().join(name), fs::Permissions::from_mode(0o600)).expect("a mode");
    }
}

/// Of which version a database is that nobody uses.
fn version(file: &Path) -> i64 {
    let database = rusqlite::Connection::open(file).expect("a database");
    database.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version")
}

#[test]
fn an_upgrade_that_is_killed_goes_on_and_the_copy_is_of_before_it() {
    if !strace::is_here() {
        return;
    }
    let home = Home::new();
    let upgrade = || {
        let _ = fs::remove_dir_all(home.path());
        lay_earlier(&home);
        let mut command = home.command();
        command.args(["store", "upgrade"]);
        command
    };
    let writes = [&CHANGES[..], &["fsync,fdatasync", "pwrite64"]].concat();
    let kills = at_each(&writes, upgrade, |moment| {
        home.json(&["store", "upgrade"]);
        let kept = left(home.path(), "before-upgrade");
        assert_eq!(kept, [home.path().join("before-upgrade-4-1")], "{moment}");
        assert_eq!(version(&kept[0].join("portcullis.db")), 4, "{moment}");
        assert_eq!(version(&kept[0].join("usage.db")), 1, "{moment}");
        let records = home.json(&["audit", "list", "--act", "store.upgrade"])["items"].take();
        assert_eq!(records.as_array().map(Vec::len), Some(1), "{moment}: {records}");
        assert_eq!(records[0]["detail"]["from"]["portcullis"], 4, "{moment}");
    });
    assert!(kills >= 10, "{kills}");
    assert_eq!(home.json(&["audit", "verify"])["valid"], true);
}

#[test]
fn an_upgrade_for_whose_copy_there_is_no_room_changes_nothing_until_it_is_told_to_do_without() {
    let home = Home::new();
    let Some(disk) = Disk::under(&home, "2m") else { return };
    lay_earlier(&home);
    // What SQLite wants to look at it, and 100 KiB more.
    let room = vec![0; 100 * 1024];
    assert_eq!(home.run(&["key", "list"]).code, 5);
    let spare = home.path().with_file_name("spare");
    fs::write(&spare, room).expect("a file");
    disk.fill();
    fs::remove_file(&spare).expect("a file");
    for verb in [&["store", "upgrade"][..], &["key", "create", "--subject", "a", "--scope", "mcp:*"]] {
        let refused = home.run(verb);
        assert_eq!(refused.code, 5, "{}", refused.errors);
        assert!(refused.errors.contains("portcullis store upgrade --without-copy"), "{}", refused.errors);
        assert!(left(home.path(), "before-upgrade").is_empty());
        assert_eq!(version(&home.path().join("portcullis.db")), 4);
    }
    disk.clear();
    fs::write(&spare, vec![0; 1024 * 1024]).expect("a file");
    let upgraded = home.json(&["store", "upgrade", "--without-copy"])["upgraded"].take();
    assert_eq!(upgraded["from"]["portcullis"], 4, "{upgraded}");
    assert!(left(home.path(), "before-upgrade").is_empty());
}

struct Scene {
    home: Home,
    /// A key of it, and its backup.
    id: String,
    secret: String,
    file: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let home = Home::new();
        let id = home.issue("alice", "mcp:*", &[]).id;
        let beside = |name: &str| home.path().with_file_name(name);
        fs::write(beside("secret"), "correct horse battery staple\n").expect("a file");
        fs::set_permissions(beside("secret"), fs::Permissions::from_mode(0o600)).expect("a mode");
        let (secret, file) = (beside("secret").to_str().expect("UTF-8").to_owned(), beside("copy"));
        Self { home, id, secret, file }
    }

    fn back_up(&self) -> Command {
        let mut command = self.home.command();
        command.arg("backup").arg(&self.file).args(["--passphrase-file", &self.secret]);
        command
    }
}

#[test]
fn a_backup_that_is_killed_is_there_whole_or_not_at_all_and_leaves_nothing_that_stays() {
    if !strace::is_here() {
        return;
    }
    let scene = Scene::new();
    let folder = scene.file.parent().expect("a folder");
    let kills = at_every_change(
        || scene.back_up(),
        |moment| {
            if !scene.file.exists() {
                let made = scene.back_up().output().expect("it runs");
                let told = String::from_utf8_lossy(&made.stderr);
                assert_eq!(made.status.code(), Some(0), "{moment}: {told}");
            }
            let other = Home::new();
            let file = scene.file.to_str().expect("UTF-8");
            other.json(&["restore", file, "--passphrase-file", &scene.secret]);
            other.json(&["key", "show", &scene.id]);
            fs::remove_file(&scene.file).expect("it is there");
        },
    );
    assert!(kills >= 4, "{kills}");
    let made = scene.back_up().output().expect("it runs");
    assert!(made.status.success());
    assert!(left(folder, ".portcullis-backup-").is_empty());
    assert_eq!(scene.home.json(&["audit", "verify"])["valid"], true);
}

#[test]
fn a_restore_that_is_killed_is_done_whole_or_is_done_again() {
    if !strace::is_here() {
        return;
    }
    let scene = Scene::new();
    assert!(scene.back_up().status().expect("it runs").success());
    let new = Home::new();
    let file = scene.file.to_str().expect("UTF-8");
    let arguments = ["restore", file, "--passphrase-file", &scene.secret];
    let restore = || {
        let mut command = new.command();
        command.args(arguments);
        command
    };
    let (mut done, mut again) = (0, 0);
    let calls = [&CHANGES[..], &["fsync,fdatasync", "ftruncate"]].concat();
    let kills = at_each(&calls, restore, |moment| {
        let (store, aside) = (new.path().join("portcullis.db"), new.path().with_file_name("aside"));
        let is_whole = store.exists();
        if is_whole {
            // It is in use, and then its store is lost: the rest of it is nobody's to clear up.
            new.json(&["key", "list"]);
            fs::rename(&store, &aside).expect("it is there");
            let told = new.run(&arguments);
            assert_eq!(told.code, 4, "{moment}: {}", told.errors);
            assert!(new.path().join("vault.key").exists(), "{moment}");
            fs::rename(&aside, &store).expect("it is there");
        } else if new.path().exists() && !left(new.path(), ".restore-").is_empty() {
            let told = new.run(&["key", "list"]);
            assert_eq!(told.code, 5, "{moment}: {}", told.errors);
            assert!(told.errors.contains("restore again"), "{moment}: {}", told.errors);
        }
        let ended = new.run(&arguments);
        assert_eq!(ended.code, if is_whole { 4 } else { 0 }, "{moment}: {}", ended.errors);
        *(if is_whole { &mut done } else { &mut again }) += 1;
        assert!(left(new.path(), ".restore-").is_empty(), "{moment}");
        new.json(&["key", "show", &scene.id]);
        let doctor = new.run(&["doctor"]);
        assert_eq!(doctor.code, 0, "{moment}: {}", doctor.output);
        fs::remove_dir_all(new.path()).expect("a home");
    });
    assert!(kills >= 8 && done > 0 && again >= 5, "{kills} {done} {again}");
}

#[test]
fn a_store_that_is_made_while_a_restore_is_at_work_is_refused_and_none_is_replaced() {
    let scene = Scene::new();
    assert!(scene.back_up().status().expect("it runs").success());
    let file = scene.file.to_str().expect("UTF-8");
    for _ in 0..4 {
        let new = Home::new();
        let mut restore = new.command();
        restore
            .args(["restore", file, "--passphrase-file", &scene.secret])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut at_work = restore.spawn().expect("it runs");
        let made = loop {
            // As soon as there is a folder, whoever is first.
            if new.path().exists() {
                break new.run(&["key", "create", "--subject", "bob", "--scope", "mcp:*", "--json"]);
            }
            assert!(at_work.try_wait().expect("a status").is_none_or(|ended| ended.success()));
        };
        let is_restored = at_work.wait().expect("a status").success();
        match (is_restored, made.code) {
            // Refused while it was at work, or done after it.
            (true, 5) => {}
            (_, 0) => {
                let key: serde_json::Value = serde_json::from_str(&made.output).expect("a key");
                new.json(&["key", "show", key["id"].as_str().expect("an id")]);
            }
            other => panic!("{other:?}: {}", made.errors),
        }
        assert_eq!(new.run(&["key", "show", &scene.id]).code, if is_restored { 0 } else { 3 });
        assert_eq!(new.run(&["doctor"]).code, 0);
    }
}
