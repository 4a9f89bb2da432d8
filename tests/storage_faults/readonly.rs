//! Homes that may not be written, or that are not their owner's alone: what would write refuses, with what mends it, and
//! leaves every byte as it was; what reads still reads where that is safe.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
    process::Command,
};

use super::{
    console,
    disk::{Disk, contents},
    support::home::{Ended, Home, Issued},
};

const READ: [&[&str]; 5] =
    [&["key", "list"], &["policy", "list"], &["audit", "verify"], &["status"], &["usage", "summary"]];

fn used() -> (Home, Issued) {
    let home = Home::new();
    let key = home.issue("alice", "mcp:*", &[]);
    (home, key)
}

/// One of each kind that writes: an act, one that may use the ballast, and the gateway.
fn writers(id: &str) -> [Vec<&str>; 3] {
    [
        vec!["key", "create", "--subject", "bob", "--scope", "mcp:*"],
        vec!["key", "revoke", id],
        vec![
            "serve",
            "--upstream",
            "http://127.0.0.1:9/mcp",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ],
    ]
}

/// Exit 5, one line that says why and perhaps one that mends it.
fn assert_refused(ended: &Ended, what: &str) {
    assert_eq!(ended.code, 5, "{what}: {}", ended.errors);
    let lines: Vec<_> = ended.errors.lines().collect();
    assert!(lines[0].starts_with("error: "), "{what}: {}", ended.errors);
    assert!(
        lines.len() == 1 || lines.len() == 2 && lines[1].starts_with("  mend: "),
        "{what}: {}",
        ended.errors
    );
    assert_eq!(ended.output, "", "{what}");
}

fn assert_untouched(home: &Home, before: &[(std::path::PathBuf, Vec<u8>)], what: &str) {
    let names = |files: &[(std::path::PathBuf, Vec<u8>)]| -> Vec<_> {
        files.iter().map(|(path, _)| path.clone()).collect()
    };
    let after = contents(home.path());
    assert_eq!(names(before), names(&after), "{what}");
    for ((path, before), (_, after)) in before.iter().zip(&after) {
        // SQLite's index of the log is built anew by whoever opens the store first.
        assert!(before == after || path.to_string_lossy().ends_with("-shm"), "{what}: {}", path.display());
    }
}

/// Without what lets root write a file of mode 0400.
fn as_mere_owner(home: &Home, arguments: &[&str]) -> Option<Ended> {
    let plain = home.command();
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        let without = "-dac_override,-dac_read_search";
        command.arg(format!("--inh-caps={without}")).arg(format!("--bounding-set={without}"));
    }
    command.arg(plain.get_program()).args(plain.get_args()).args(arguments);
    let Ok(output) = command.output() else {
        eprintln!("SKIPPED: setpriv (of util-linux) is not installed");
        return None;
    };
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("no signal ended it");
    Some(Ended { code, output: text(output.stdout), errors: text(output.stderr) })
}

#[test]
fn a_read_only_file_system_is_read_and_never_written() {
    let home = Home::new();
    let Some(disk) = Disk::under(&home, "32m") else { return };
    let key = home.issue("alice", "mcp:*", &[]);
    disk.remount("ro");
    let before = contents(home.path());
    for arguments in writers(&key.id) {
        let ended = home.run(&arguments);
        assert_refused(&ended, arguments[0]);
        assert!(ended.errors.contains("read-only"), "{}", ended.errors);
    }
    for arguments in READ {
        let ended = home.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.errors);
    }
    let shown = home.run(&["key", "list"]);
    assert!(shown.output.contains(&key.id));
    for more in [&[][..], &["--read-only"]] {
        let mut terminal = console::open(&home, more);
        terminal.wait_for("READ-ONLY");
        terminal.press("2");
        terminal.wait_for("alice");
        terminal.press("R");
        terminal.wait_for("read-only");
        console::leave(terminal);
    }
    assert_eq!(before, contents(home.path()));
    disk.remount("rw");
    home.json(&["key", "revoke", &key.id]);
}

#[test]
fn files_that_may_not_be_written_are_said_to_be_so_and_still_read() {
    for file in ["portcullis.db", "usage.db"] {
        let (home, key) = used();
        fs::set_permissions(home.path().join(file), fs::Permissions::from_mode(0o400)).expect("a mode");
        let before = contents(home.path());
        for arguments in writers(&key.id) {
            let Some(ended) = as_mere_owner(&home, &arguments) else { return };
            assert_refused(&ended, file);
            assert!(ended.errors.contains("read-only"), "{file}: {}", ended.errors);
        }
        for arguments in READ {
            let ended = as_mere_owner(&home, arguments).expect("setpriv");
            assert_eq!(ended.code, 0, "{file}: {arguments:?}: {}", ended.errors);
        }
        assert_untouched(&home, &before, file);
        // All files, as the message says: SQLite has given the mode of a database to the empty log beside it.
        for (path, _) in before {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        assert_eq!(as_mere_owner(&home, &["key", "revoke", &key.id]).expect("setpriv").code, 0);
    }
}

#[test]
fn a_folder_in_which_nothing_can_be_made_still_takes_acts() {
    let (home, key) = used();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o500)).expect("a mode");
    let ended = as_mere_owner(&home, &["key", "revoke", &key.id]);
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
    let Some(ended) = ended else { return };
    assert_eq!(ended.code, 0, "{}", ended.errors);
    assert_eq!(home.json(&["key", "show", &key.id])["state"], "revoked");
}

#[test]
fn what_others_could_reach_is_refused_untouched_and_the_command_that_is_named_mends_it() {
    type Harm = fn(&Path);
    let break_it: [(&str, &str, Harm); 6] = [
        ("a wide home", "", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode")
        }),
        ("a wide database", "portcullis.db", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("a mode");
        }),
        ("a wide log", "portcullis.db-wal", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o620)).expect("a mode");
        }),
        ("a wide key", "vault.key", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("a mode");
        }),
        ("a wide ballast", "ballast", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o606)).expect("a mode");
        }),
        ("another owner", "usage.db", |path| {
            if chown(path, Some(12345), None).is_err() {
                eprintln!("SKIPPED: only root can give files away");
            }
        }),
    ];
    for (what, file, break_it) in break_it {
        let (home, key) = used();
        let before = contents(home.path());
        break_it(&home.path().join(file));
        if home.run(&["status"]).code == 0 {
            continue;
        }
        for arguments in writers(&key.id).iter().map(Vec::as_slice).chain([&["key", "list"][..]]) {
            let ended = home.run(arguments);
            assert_refused(&ended, what);
            assert_untouched(&home, &before, what);
        }
        let said = home.run(&["key", "list"]).errors;
        let (_, mend) = said.split_once("mend: ").unwrap_or_else(|| panic!("{what}: {said}"));
        if what == "another owner" {
            // Nobody takes from another what is his: it is looked at through a copy that he makes.
            assert!(mend.contains("sudo -u '#12345'") && !mend.contains("chown"), "{mend}");
            chown(home.path().join(file), Some(rustix::process::geteuid().as_raw()), None)
                .expect("ours again");
            home.json(&["key", "revoke", &key.id]);
            continue;
        }
        let mend = mend.trim().trim_start_matches("sudo ");
        assert!(Command::new("sh").args(["-c", mend]).status().expect("sh").success(), "{what}: {mend}");
        home.json(&["key", "revoke", &key.id]);
    }
}

#[test]
fn a_home_reached_through_a_link_of_its_own_name_is_refused() {
    let (home, _) = used();
    let moved = home.path().with_extension("moved");
    fs::rename(home.path(), &moved).expect("the folder is writable");
    symlink(&moved, home.path()).expect("a link");
    let before = contents(&moved);
    assert_refused(&home.run(&["key", "create", "--subject", "bob", "--scope", "mcp:*"]), "a link");
    assert_eq!(before, contents(&moved));
    fs::remove_file(home.path()).expect("the link");
    fs::rename(&moved, home.path()).expect("the folder is writable");
    home.issue("bob", "mcp:*", &[]);
}
