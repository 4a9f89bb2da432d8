//! A copy of the home in one file, and back: whole, or not at all.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Place, code, err, fields, out};

const KEY: &[&str] = &["--subject", "alice", "--scope", "mcp:*"];
const PASSPHRASE: &str = "correct horse battery staple\n";

/// Another folder beside the home.
fn beside(place: &Place, name: &str) -> String {
    place.path().join(name).to_str().unwrap().to_owned()
}

/// Makes a backup under [`PASSPHRASE`]; returns its file.
#[track_caller]
fn back_up(place: &Place, name: &str) -> String {
    let file = beside(place, name);
    let made = place.feed(&["backup", &file], PASSPHRASE);
    assert_eq!(code(&made), 0, "{}", err(&made));
    file
}

fn restore(place: &Place, home: &str, file: &str, more: &[&str]) -> Output {
    place.feed(&[&["--home", home, "restore", file], more].concat(), PASSPHRASE)
}

#[track_caller]
fn json(output: &Output) -> Value {
    assert_eq!(code(output), 0, "{}", err(output));
    serde_json::from_str(&out(output)).unwrap()
}

fn verifies(place: &Place, home: &str, key: &str) -> bool {
    code(&place.feed(&["--home", home, "key", "verify"], key)) == 0
}

/// All that lies in the folder of the test, but for what is in homes.
fn names(place: &Place) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

#[test]
fn a_restored_home_is_the_one_that_was_and_says_that_it_was_restored() {
    let place = Place::new();
    let (_, key) = place.key(KEY);
    let (gone, revoked) = place.key(KEY);
    place.ok(&["key", "revoke", &gone]);
    let file = beside(&place, "b");
    let made = json(&place.feed(&["backup", &file, "--json"], PASSPHRASE));
    let expected =
        ["damaged", "file", "head", "parts", "seq", "size", "store_id", "taken_at", "vault_key", "version"];
    assert_eq!(fields(&made), expected);
    assert_eq!(made["vault_key"], "included");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(names(&place), [PathBuf::from(&file), place.home()], "nothing else is left");
    let bytes = fs::read(&file).unwrap();
    for secret in [fs::read(place.home().join("vault.key")).unwrap(), b"alice".to_vec(), b"SQLite".to_vec()] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "it is sealed");
    }

    let home = beside(&place, "new");
    let put_back = json(&restore(&place, &home, &file, &["--json"]));
    assert_eq!(put_back["store_id"], made["store_id"]);
    assert!(verifies(&place, &home, &key) && !verifies(&place, &home, &revoked));
    assert_eq!(place.json(&["--home", &home, "audit", "verify"])["valid"], true);
    let doctor = place.run(&["--home", &home, "doctor"]);
    assert_eq!(code(&doctor), 0, "{}", out(&doctor));
    let chain = place.json(&["--home", &home, "audit", "list"]);
    let newest = &chain["items"][0];
    assert_eq!((&newest["act"], &newest["detail"]["seq"]), (&"store.restore".into(), &made["seq"]));
    assert_eq!(newest["detail"]["head"], made["head"]);
    let before = &chain["items"][1];
    assert_eq!(
        (&before["act"], &before["seq"], &before["hash"]),
        (&"store.backup".into(), &made["seq"], &made["head"])
    );
    // It goes on by itself.
    place.ok(&["--home", &home, "key", "create", "--subject", "bob", "--scope", "mcp:read"]);
    assert!(
        place.json(&["--home", &home, "audit", "verify", "--head", made["head"].as_str().unwrap()])["valid"]
            == true
    );
}

#[test]
fn it_goes_through_a_pipe_both_ways_and_the_passphrase_comes_from_a_file() {
    let place = Place::new();
    let (_, key) = place.key(KEY);
    let secret = place.file("secret", PASSPHRASE);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let made = place.run(&["backup", "-", "--passphrase-file", &secret]);
    assert_eq!(code(&made), 0, "{}", err(&made));
    assert!(!err(&made).contains("chmod"), "{}", err(&made));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let told = err(&place.run(&["backup", "-", "--passphrase-file", &secret]));
    assert!(told.contains("can read the passphrase in") && told.contains("chmod o-r"), "{told}");
    let home = beside(&place, "new");
    // Standard input is the backup, and cannot be the passphrase too.
    let refused = place.feed(&["--home", &home, "restore", "-"], &made.stdout);
    assert_eq!(code(&refused), 2);
    assert!(err(&refused).contains("--passphrase-file"), "{}", err(&refused));
    let back = place.feed(&["--home", &home, "restore", "-", "--passphrase-file", &secret], &made.stdout);
    assert_eq!(code(&back), 0, "{}", err(&back));
    assert!(verifies(&place, &home, &key));
}

#[test]
fn a_wrong_or_empty_passphrase_makes_nothing() {
    let place = Place::new();
    place.key(KEY);
    assert_eq!(code(&place.feed(&["backup", &beside(&place, "x")], "")), 2);
    assert_eq!(names(&place), [place.home()]);
    let file = back_up(&place, "b");
    let home = beside(&place, "new");
    for wrong in ["correct horse battery stapl\n", "", "Correct horse battery staple\n"] {
        let refused = place.feed(&["--home", &home, "restore", &file], wrong);
        assert_eq!(code(&refused), 2, "{wrong:?}: {}", err(&refused));
        assert!(err(&refused).contains("passphrase"), "{}", err(&refused));
        assert!(!Path::new(&home).exists(), "{wrong:?}");
    }
}

#[test]
fn what_is_damaged_or_no_backup_is_refused_and_nothing_is_left() {
    let place = Place::new();
    place.key(KEY);
    let whole = fs::read(back_up(&place, "b")).unwrap();
    place.ok(&["backup", "open", "--without-vault"]);
    let open = fs::read(beside(&place, "open")).unwrap();
    let altered = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let newer = String::from("portcullis-backup-2 open\n");
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("a text".into(), b"hello\n".repeat(10_000)),
        ("no line".into(), vec![b'x'; 1 << 20]),
        ("a database".into(), fs::read(place.home().join("portcullis.db")).unwrap()),
        ("of a newer portcullis".into(), newer.into_bytes()),
        ("a longer one".into(), [&whole[..], b"x"].concat()),
        ("a longer open one".into(), [&open[..], b"x"].concat()),
    ];
    for (kind, bytes) in [("sealed", &whole), ("open", &open)] {
        for at in [5, 25, 60, 120, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            cases.push((format!("{kind}, altered at {at}"), altered(bytes, at)));
            cases.push((format!("{kind}, cut off at {at}"), bytes[..at].to_vec()));
        }
    }
    let home = beside(&place, "new");
    for (what, bytes) in cases {
        let file = place.file("bad", bytes);
        let refused = restore(&place, &home, &file, &[]);
        assert_eq!(code(&refused), 2, "{what}: {}", err(&refused));
        assert!(err(&refused).starts_with("error: "), "{what}: {}", err(&refused));
        assert!(!Path::new(&home).exists(), "{what}");
    }
    let missing = restore(&place, &home, "nowhere", &[]);
    assert_eq!((code(&missing), Path::new(&home).exists()), (2, false));
    for (file, whole) in [("b", &whole), ("open", &open)] {
        assert_eq!(&fs::read(beside(&place, file)).unwrap(), whole, "left as it was");
        assert_eq!(code(&restore(&place, &beside(&place, &format!("{file}-home")), file, &[])), 0, "{file}");
    }
}

#[test]
fn no_file_is_overwritten_and_no_home_filled_twice() {
    let place = Place::new();
    let before = place.run(&["backup", "b", "--without-vault"]);
    assert_eq!(code(&before), 3, "no home is made to be copied: {}", err(&before));
    assert!(names(&place).is_empty());
    place.key(KEY);
    let file = back_up(&place, "b");
    let first = fs::read(&file).unwrap();
    let again = place.feed(&["backup", &file], PASSPHRASE);
    assert_eq!((code(&again), fs::read(&file).unwrap() == first), (4, true), "{}", err(&again));
    // The home that there is.
    let refused = restore(&place, place.home().to_str().unwrap(), &file, &[]);
    assert_eq!(code(&refused), 4, "{}", err(&refused));
    assert!(
        err(&refused).contains("is not empty") && err(&refused).contains("--anchor"),
        "{}",
        err(&refused)
    );
    // A folder of something else, and one that is empty.
    let other = beside(&place, "other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(format!("{other}/note"), "mine").unwrap();
    assert_eq!(code(&restore(&place, &other, &file, &[])), 4);
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
    fs::remove_file(format!("{other}/note")).unwrap();
    let bad = place.file("bad", &first[..first.len() - 9]);
    assert_eq!(code(&restore(&place, &other, &bad, &[])), 2);
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0, "it was there, and stays");
    assert_eq!(code(&restore(&place, &other, &file, &[])), 0);
}

#[test]
fn an_older_backup_says_what_is_gone_and_the_anchor_stops_again_who_was_stopped() {
    let place = Place::new();
    let (stolen, stolen_key) = place.key(KEY);
    let (_, key) = place.key(KEY);
    let file = back_up(&place, "b");
    place.ok(&["key", "revoke", &stolen]);
    let anchor = place.home().join("anchor");
    let anchor = anchor.to_str().unwrap();

    let open = beside(&place, "open");
    let restored = restore(&place, &open, &file, &[]);
    assert_eq!(code(&restored), 0, "{}", err(&restored));
    assert!(
        err(&restored).contains("may be let in again") && err(&restored).contains("--anchor"),
        "{}",
        err(&restored)
    );
    assert!(verifies(&place, &open, &stolen_key), "nobody can know");

    let safe = beside(&place, "safe");
    let restored = restore(&place, &safe, &file, &["--anchor", anchor]);
    assert_eq!(code(&restored), 0, "{}", err(&restored));
    assert!(err(&restored).contains("this backup is older"), "{}", err(&restored));
    assert!(out(&restored).contains(&format!("key {stolen} is revoked")), "{}", out(&restored));
    assert!(!verifies(&place, &safe, &stolen_key) && verifies(&place, &safe, &key));
    assert_eq!(place.json(&["--home", &safe, "audit", "verify"])["valid"], true);
    assert_eq!(code(&place.run(&["--home", &safe, "doctor"])), 0);

    let other = Place::new();
    other.key(KEY);
    let foreign = other.home().join("anchor");
    let nowhere = beside(&place, "nowhere");
    for wrong in [foreign.to_str().unwrap(), &nowhere] {
        let refused = restore(&place, &nowhere, &file, &["--anchor", wrong]);
        assert!(matches!(code(&refused), 2 | 5), "{}", err(&refused));
        assert!(!Path::new(&nowhere).exists());
    }
}

#[test]
fn an_auditors_copy_is_read_and_nothing_else() {
    let place = Place::new();
    let (_, key) = place.key(KEY);
    let head = place.json(&["audit", "head"]);
    let fingerprint = head["fingerprint"].as_str().unwrap();
    place.ok(&["backup", "copy", "--without-vault"]);
    let vault_key = fs::read(place.home().join("vault.key")).unwrap();
    let bytes = fs::read(beside(&place, "copy")).unwrap();
    assert!(!bytes.windows(vault_key.len()).any(|window| window == vault_key));
    let home = beside(&place, "audit");
    let restored = place.run(&["--home", &home, "restore", "copy"]);
    assert_eq!(code(&restored), 0, "{}", err(&restored));
    assert!(err(&restored).contains("auditor's copy"), "{}", err(&restored));
    assert!(!Path::new(&home).join("vault.key").exists());

    let on = |arguments: &[&str]| place.run(&[&["--home", &home], arguments].concat());
    for readable in
        [&["status"][..], &["key", "list"], &["audit", "list"], &["policy", "list"], &["usage", "summary"]]
    {
        assert_eq!(code(&on(readable)), 0, "{readable:?}: {}", err(&on(readable)));
    }
    assert_eq!(code(&on(&["audit", "verify"])), 1, "the key beside the chain proves nothing");
    assert_eq!(code(&on(&["audit", "verify", "--public-key", fingerprint])), 0);
    let doctor = on(&["doctor"]);
    assert_eq!(code(&doctor), 0, "{}", out(&doctor));
    assert!(out(&doctor).contains("an auditor's copy of store"), "{}", out(&doctor));
    assert!(out(&on(&["status"])).contains("an auditor's copy"), "{}", out(&on(&["status"])));
    for change in [
        &["key", "create", "--subject", "a", "--scope", "mcp:*"][..],
        &["serve", "--upstream", "http://127.0.0.1:9/mcp"],
    ] {
        let refused = on(change);
        assert_eq!(code(&refused), 5, "{change:?}");
        assert!(err(&refused).contains("auditor's copy"), "{}", err(&refused));
    }
    let judged = place.feed(&["--home", &home, "key", "verify"], &key);
    assert_ne!(code(&judged), 0, "{}", out(&judged));
    // A copy of the folder without the key is one too, and says so; it may as well have lost its key.
    fs::remove_file(place.home().join("vault.key")).unwrap();
    assert_eq!(code(&place.run(&["key", "list"])), 0);
    let doctor = place.run(&["doctor"]);
    assert_eq!(code(&doctor), 1);
    assert!(out(&doctor).contains("auditor's copy"), "{}", out(&doctor));
}

#[test]
fn a_vault_whose_key_is_elsewhere_stays_there() {
    let place = Place::new();
    let kept = place.file("master", format!("portcullis-vault-1 {}=\n", "A".repeat(43)));
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("PORTCULLIS_MASTER_KEY_FILE", &kept).output().unwrap()
    };
    json(&run(&["key", "create", "--subject", "a", "--scope", "mcp:*", "--json"]));
    let secret = place.file("secret", PASSPHRASE);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let made = json(&run(&["backup", "b", "--passphrase-file", &secret, "--json"]));
    assert_eq!(made["vault_key"], "elsewhere");
    let home = beside(&place, "new");
    let without = restore(&place, &home, "b", &[]);
    assert_eq!(code(&without), 2);
    assert!(
        err(&without).contains("PORTCULLIS_MASTER_KEY_FILE") && !Path::new(&home).exists(),
        "{}",
        err(&without)
    );
    let with = run(&["--home", &home, "restore", "b", "--passphrase-file", &secret]);
    assert_eq!(code(&with), 0, "{}", err(&with));
    assert!(!Path::new(&home).join("vault.key").exists());
}

/// An unsealed backup whose manifest says something else, with `more` behind its parts.
fn forged(open: &[u8], says: impl FnOnce(&mut Value), more: &[u8]) -> Vec<u8> {
    let mut lines = open.splitn(3, |byte| *byte == b'\n');
    let mut text = || String::from_utf8(lines.next().unwrap().to_vec()).unwrap();
    let (form, told) = (text(), text());
    let mut manifest: Value = serde_json::from_str(told.split_once(' ').unwrap().1).unwrap();
    says(&mut manifest);
    let manifest = manifest.to_string();
    let head = format!("{form}\n{} {manifest}\n", hex::encode(Sha256::digest(manifest.as_bytes())));
    [head.as_bytes(), lines.next().unwrap(), more].concat()
}

#[test]
fn what_is_not_sealed_is_an_auditors_copy_or_refused() {
    let place = Place::new();
    place.key(KEY);
    place.ok(&["backup", "open", "--without-vault"]);
    let open = fs::read(beside(&place, "open")).unwrap();
    let vault_key = fs::read(place.home().join("vault.key")).unwrap();
    let with_key = |manifest: &mut Value| {
        manifest["vault_key"] = "included".into();
        let digest = hex::encode(Sha256::digest(&vault_key));
        let part = serde_json::json!({ "name": "vault.key", "size": vault_key.len(), "digest": digest });
        manifest["parts"].as_array_mut().unwrap().push(part);
    };
    let elsewhere = |manifest: &mut Value| manifest["vault_key"] = "elsewhere".into();
    place.file("included", forged(&open, with_key, &vault_key));
    place.file("elsewhere", forged(&open, elsewhere, b""));
    let master = place.file("master", &vault_key);
    let secret = place.file("secret", PASSPHRASE);
    for file in [&master, &secret] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let home = beside(&place, "new");
    let restored = |arguments: &[&str]| {
        let mut command = place.command(&[&["--home", &home, "restore"], arguments].concat());
        if arguments[0] == "elsewhere" {
            command.env("PORTCULLIS_MASTER_KEY_FILE", &master);
        }
        command.output().unwrap()
    };
    let under_passphrase = ["--passphrase-file", &secret];
    for file in ["included", "elsewhere"] {
        for more in [&[][..], &under_passphrase] {
            let refused = restored(&[&[file], more].concat());
            assert_eq!(code(&refused), 2, "{file} {more:?}: {}", err(&refused));
            assert!(err(&refused).contains("not sealed"), "{}", err(&refused));
            assert!(!Path::new(&home).exists());
        }
    }
    let refused = restored(&["open", "--passphrase-file", &secret]);
    assert_eq!(code(&refused), 2, "{}", err(&refused));
    assert!(err(&refused).contains("anybody could have written it"), "{}", err(&refused));
    assert!(!Path::new(&home).exists());
    let copy = restored(&["open"]);
    assert_eq!(code(&copy), 0, "{}", err(&copy));
}

#[test]
fn a_signal_cancels_in_order_and_leaves_nothing() {
    let place = Place::new();
    place.key(KEY);
    place.ok(&["backup", "open", "--without-vault"]);
    let open = fs::read(beside(&place, "open")).unwrap();
    // Its first part has no end, so to speak.
    let endless = forged(&open, |manifest| manifest["parts"][0]["size"] = (1_u64 << 60).into(), b"");
    let home = beside(&place, "new");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut command = place.command(&["--home", &home, "restore", "-"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&endless).unwrap();
        // More than a pipe holds: it is being read, and the signals are heard by then.
        input.write_all(&[0; 1 << 20]).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        while input.write_all(&[0; 1024]).is_ok() {}
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{signal:?}: {}", err(&ended));
        assert_eq!(err(&ended), "error: cancelled: nothing was done\n");
        assert!(!Path::new(&home).exists());
    }
}
