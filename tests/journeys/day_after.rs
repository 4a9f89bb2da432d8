//! The day after: a backup while calls come, another machine, an earlier release, a gateway that was killed.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::support::{
    PORTCULLIS,
    gateway::{Gateway, Reply},
    home::Home,
    terminal::{Size, Terminal},
    upstream::DemoServer,
};

const PASSPHRASE: &str = "correct horse battery staple";

/// A call of the demo server's harmless tool.
fn search(gateway: &Gateway, key: &str) -> Reply {
    let (tool, arguments) = DemoServer::harmless_call();
    gateway.call(key, tool, arguments.into())
}

/// A file beside the home, and its path.
fn file_beside(home: &Home, name: &str) -> String {
    home.path().with_file_name(name).to_str().expect("a UTF-8 path").to_owned()
}

fn secret(home: &Home) -> String {
    let path = file_beside(home, "secret");
    fs::write(&path, PASSPHRASE).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    path
}

/// Its chain is whole, and whatever `doctor` looks at is in order.
fn assert_sound(home: &Home) {
    assert_eq!(home.json(&["audit", "verify"])["valid"], true);
    let doctor = home.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{}", doctor.output);
}

fn gateways(home: &Home) -> Vec<(String, Option<bool>)> {
    let status = home.json(&["status"]);
    let all = status["gateways"].as_array().expect("a list");
    all.iter()
        .map(|one| (one["listen"].as_str().expect("a URL").to_owned(), one["alive"].as_bool()))
        .collect()
}

#[test]
fn backups_that_are_made_while_calls_and_changes_come_are_restored_elsewhere_and_serve() {
    const BACKUPS: usize = 3;
    let (server, home) = (DemoServer::start(), Arc::new(Home::new()));
    let kept = home.issue("alice", "mcp:*", &[]);
    home.json(&["key", "set", &kept.id, "--name", "changed the day after"]);
    let gateway = Gateway::start(&home, &server.url, &[]);
    let over = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicU32::new(0));
    let caller = {
        let (over, calls, key) = (over.clone(), calls.clone(), kept.key.clone());
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                assert_ne!(search(&gateway, &key).status, 503, "a backup holds up nobody");
                assert_eq!(search(&gateway, "pcl_live_nobody").status, 401);
                calls.fetch_add(2, Ordering::Relaxed);
            }
            gateway
        })
    };
    let clerk = {
        let (home, over) = (home.clone(), over.clone());
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let made = home.issue("carol", "mcp:read", &[]);
                home.json(&["key", "revoke", &made.id]);
            }
        })
    };
    let secret = secret(&home);
    let mut before = 0;
    for number in 0..BACKUPS {
        let file = file_beside(&home, &format!("backup-{number}"));
        // Something came since the last one.
        let seen = calls.load(Ordering::Relaxed);
        while calls.load(Ordering::Relaxed) < seen + 4 {
            thread::yield_now();
        }
        let made = home.json(&["backup", &file, "--passphrase-file", &secret]);
        let seq = made["seq"].as_i64().expect("a number");
        assert!(seq > before, "{seq} after {before}");
        before = seq;
    }
    over.store(true, Ordering::Relaxed);
    let gateway = caller.join().expect("the caller");
    clerk.join().expect("the clerk");
    assert_eq!(gateways(&home), [(gateway.origin.clone(), Some(true))]);
    gateway.stop();
    assert_sound(&home);

    for number in 0..BACKUPS {
        let other = Home::new();
        let file = file_beside(&home, &format!("backup-{number}"));
        other.json(&["restore", &file, "--passphrase-file", &secret]);
        assert_sound(&other);
        assert_eq!(other.json(&["key", "show", &kept.id])["name"], "changed the day after");
        let gateway = Gateway::start(&other, &server.url, &[]);
        assert_eq!(search(&gateway, &kept.key).status, 200);
        // What was done in it goes on: the same key is revoked here, and not where it came from.
        other.json(&["key", "revoke", &kept.id]);
        assert_eq!(search(&gateway, &kept.key).status, 401);
        gateway.stop();
        assert_sound(&other);
    }
    assert_eq!(home.json(&["key", "show", &kept.id])["state"], "active");
}

/// A home as an earlier release left it, by the name of its folder; with the keys by subject.
fn earlier(name: &str) -> (Home, Value) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journeys/homes").join(name);
    let home = Home::new();
    fs::create_dir(home.path()).expect("a folder");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
    for file in ["portcullis.db", "usage.db", "vault.key"] {
        let to = home.path().join(file);
        fs::copy(from.join(file), &to).expect("a copy");
        // A checkout keeps no such modes.
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    let keys = fs::read_to_string(from.join("keys.json")).expect("the keys");
    (home, serde_json::from_str(&keys).expect("JSON"))
}

/// Asserts that the home that was upgraded judges as it did: alice may call, who was stopped may not.
fn assert_serves_as_before(home: &Home, keys: &Value) {
    let server = DemoServer::start();
    let gateway = Gateway::start(home, &server.url, &[]);
    let status = |subject: &str| search(&gateway, keys[subject]["key"].as_str().expect("a key")).status;
    assert_eq!((status("alice"), status("mallory"), status("carol")), (200, 401, 401));
    home.json(&["key", "enable", keys["carol"]["id"].as_str().expect("an id")]);
    assert_eq!((status("carol"), status("mallory")), (200, 401));
    gateway.stop();
    assert_sound(home);
}

#[test]
fn a_home_of_an_earlier_release_is_upgraded_when_asked_and_serves_as_before() {
    let (home, keys) = earlier("version-4-1");
    let content = || fs::read(home.path().join("portcullis.db")).expect("the database");
    let before = content();
    // To look is not to upgrade.
    for (look, code) in [(&["key", "list"][..], 5), (&["doctor"], 0), (&["status"], 5)] {
        let ended = home.run(look);
        let told = ended.output + &ended.errors;
        assert_eq!(ended.code, code, "{look:?}: {told}");
        assert!(told.contains("version 4") && told.contains("portcullis store upgrade"), "{look:?}: {told}");
    }
    assert!(content() == before, "nothing was changed");
    let mut versions = home.json(&["store", "upgrade"]);
    assert!(versions["portcullis"].as_i64() > Some(4) && versions["usage"].as_i64() > Some(1), "{versions}");
    let upgraded = versions["upgraded"].take();
    assert_eq!(upgraded["from"], json!({"portcullis": 4, "usage": 1}));
    assert_eq!(home.json(&["store", "upgrade"]), versions, "once is enough");
    // It is kept as it was, and it stands in the log who did it.
    let kept = home.path().join("before-upgrade-4-1");
    assert_eq!(upgraded["copy"], kept.canonicalize().expect("it is there").to_str().expect("UTF-8"));
    let size: u64 =
        names(&kept).iter().map(|name| fs::metadata(kept.join(name)).expect("a file").len()).sum();
    assert_eq!(
        (names(&kept), upgraded["size"].as_u64()),
        (vec!["portcullis.db".into(), "usage.db".into()], Some(size))
    );
    for path in [kept.clone(), kept.join("portcullis.db"), kept.join("usage.db")] {
        assert_eq!(fs::metadata(&path).expect("it").permissions().mode() & 0o077, 0, "{path:?}");
    }
    let records = home.json(&["audit", "list", "--act", "store.upgrade"])["items"].take();
    assert_eq!(records.as_array().map(Vec::len), Some(1), "{records}");
    let record = &records[0];
    assert_eq!(
        (&record["detail"]["from"], &record["detail"]["to"]),
        (
            &upgraded["from"],
            &json!({
                "portcullis": versions["portcullis"], "usage": versions["usage"],
            })
        )
    );
    assert!(record["actor"].as_str().is_some_and(|actor| actor.starts_with("cli:")), "{record}");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.output.contains(&format!("rm -r {}", kept.display())), "{}", doctor.output);
    assert_serves_as_before(&home, &keys);

    // The copy is a home of the earlier release, where its vault's key is laid beside it: nothing of it was changed.
    let other = Home::new();
    fs::create_dir(other.path()).expect("a folder");
    fs::set_permissions(other.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
    for (from, name) in
        [(&kept, "portcullis.db"), (&kept, "usage.db"), (&home.path().to_owned(), "vault.key")]
    {
        fs::copy(from.join(name), other.path().join(name)).expect("a copy");
    }
    assert!(other.run(&["key", "list"]).errors.contains("is of version 4"), "nothing of it was changed");
    assert_serves_as_before(&other, &keys);
    fs::remove_dir_all(&kept).expect("it can be removed");
    assert_sound(&home);
    // A home that was never of an earlier release has none of it.
    let new = Home::new();
    new.issue("alice", "mcp:*", &[]);
    assert_eq!(new.json(&["store", "upgrade"])["upgraded"], Value::Null);
    assert_eq!(new.json(&["audit", "list", "--act", "store.upgrade"])["items"], json!([]));
    assert!(names(new.path()).iter().all(|name| !name.starts_with("before-upgrade")));
}

/// What lies in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn no_copy_is_kept_where_nobody_wants_one_and_two_at_once_keep_one() {
    let (home, keys) = earlier("version-4-1");
    let upgraded = home.json(&["store", "upgrade", "--without-copy"])["upgraded"].take();
    assert_eq!((&upgraded["from"]["portcullis"], &upgraded["copy"]), (&json!(4), &Value::Null));
    assert!(names(home.path()).iter().all(|name| !name.starts_with("before-upgrade")));
    assert_eq!(
        home.json(&["audit", "list", "--act", "store.upgrade"])["items"][0]["detail"]["copy"],
        Value::Null
    );
    assert_serves_as_before(&home, &keys);
    let (home, keys) = earlier("version-4-1");
    let mut both: Vec<_> = (0..4)
        .map(|_| home.command().args(["store", "upgrade"]).stdout(Stdio::null()).spawn().expect("it starts"))
        .collect();
    assert!(both.iter_mut().all(|one| one.wait().expect("it ends").success()));
    let kept: Vec<_> =
        names(home.path()).into_iter().filter(|name| name.starts_with("before-upgrade")).collect();
    assert_eq!(kept, ["before-upgrade-4-1"]);
    let records = home.json(&["audit", "list", "--act", "store.upgrade"])["items"].take();
    assert_eq!(records.as_array().map(Vec::len), Some(1), "{records}");
    assert_serves_as_before(&home, &keys);
}

#[test]
fn a_gateway_on_a_home_of_an_earlier_release_upgrades_it_by_itself_and_it_can_be_backed_up() {
    let (home, keys) = earlier("version-4-1");
    assert_serves_as_before(&home, &keys);
    let (secret, file, other) = (secret(&home), file_beside(&home, "backup"), Home::new());
    home.json(&["backup", &file, "--passphrase-file", &secret]);
    other.json(&["restore", &file, "--passphrase-file", &secret]);
    assert_sound(&other);
}

#[test]
fn the_status_tells_of_every_gateway_that_runs_and_of_none_that_was_killed() {
    let (server, home) = (DemoServer::start(), Home::new());
    assert!(gateways(&home).is_empty());
    let mut first = Gateway::start(&home, &server.url, &[]);
    let second = Gateway::start(&home, &server.url, &[]);
    let both = [(first.origin.clone(), Some(true)), (second.origin.clone(), Some(true))];
    assert_eq!(gateways(&home), both);
    first.kill();
    assert_eq!(gateways(&home), [(second.origin.clone(), Some(true)), (first.origin.clone(), Some(false))]);
    let told = home.run(&["status"]).output;
    assert!(told.contains(&format!("runs: {} for {}", second.origin, server.url)), "{told}");
    assert!(told.contains(&format!("ended without a word (killed, or crashed): {}", first.origin)), "{told}");
    second.stop();
    let told = home.run(&["status"]).output;
    assert!(told.contains("none runs; the last one stopped at"), "{told}");
    // The next one forgets the dead.
    let third = Gateway::start(&home, &server.url, &[]);
    assert_eq!(gateways(&home), [(third.origin.clone(), Some(true))]);
    third.stop();
    assert!(gateways(&home).is_empty());
}

fn at_terminal(home: &Home, arguments: &[&str]) -> Terminal {
    let arguments = [&["--home", home.path().to_str().expect("a UTF-8 path")], arguments].concat();
    Terminal::start(Size(120, 30), Path::new(PORTCULLIS), &arguments, &[])
}

#[test]
fn a_person_is_asked_for_the_passphrase_and_never_sees_it() {
    let (home, other) = (Home::new(), Home::new());
    let kept = home.issue("alice", "mcp:*", &[]);
    let file = file_beside(&home, "backup");
    let type_it = |terminal: &mut Terminal, prompt: &str, text: &str| {
        terminal.wait_for(prompt);
        terminal.type_text(text);
        terminal.type_text("\r");
    };

    // Two that differ, and one that is given up: nothing is made.
    let mut terminal = at_terminal(&home, &["backup", &file]);
    type_it(&mut terminal, "passphrase:", PASSPHRASE);
    type_it(&mut terminal, "the same again:", "correct horse battery stable");
    terminal.wait_for("the two are not the same");
    assert!(!terminal.wait_for_end().success());
    let mut terminal = at_terminal(&home, &["backup", &file]);
    terminal.wait_for("passphrase:");
    terminal.type_text("half\x03");
    assert!(!terminal.wait_for_end().success());
    terminal.assert_restored();
    assert!(!Path::new(&file).exists());

    let mut terminal = at_terminal(&home, &["backup", &file]);
    type_it(&mut terminal, "passphrase:", &format!("wrong\x15{PASSPHRASE}x\x7f"));
    type_it(&mut terminal, "the same again:", PASSPHRASE);
    terminal.wait_for("holds the key of the vault");
    assert!(!terminal.contents().contains("horse"), "{}", terminal.contents());
    assert!(terminal.wait_for_end().success());
    terminal.assert_restored();

    let mut terminal = at_terminal(&other, &["restore", &file]);
    type_it(&mut terminal, "passphrase:", PASSPHRASE);
    terminal.wait_for("use it in one place");
    assert!(!terminal.contents().contains("horse"), "{}", terminal.contents());
    assert!(terminal.wait_for_end().success());
    assert_sound(&other);
    assert_eq!(other.json(&["key", "show", &kept.id])["state"], "active");
}
