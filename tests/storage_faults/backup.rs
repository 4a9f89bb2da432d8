//! Backups onto, and restores into, a disk that has no room for them.

use std::{fs, path::Path};

use super::{disk::Disk, support::home::Home};

/// A home with something in it, and a backup of it for whoever reads.
fn used() -> (Home, String) {
    let home = Home::new();
    home.issue("alice", "mcp:*", &[]);
    let file = home.path().with_file_name("copy").to_str().expect("UTF-8").to_owned();
    home.json(&["backup", &file, "--without-vault"]);
    (home, file)
}

fn names(folder: &Path) -> usize {
    fs::read_dir(folder).expect("a folder").count()
}

#[test]
fn a_backup_that_does_not_fit_leaves_nothing_and_the_next_one_is_made() {
    let (home, _) = used();
    let small = Home::new();
    let Some(disk) = Disk::under(&small, "1m") else { return };
    let folder = small.path().parent().expect("a folder").to_owned();
    let file = folder.join("copy").to_str().expect("UTF-8").to_owned();
    disk.fill();
    let before = names(&folder);
    let refused = home.run(&["backup", &file, "--without-vault"]);
    assert_eq!(refused.code, 5, "{}", refused.errors);
    assert!(refused.errors.contains("no room") || refused.errors.contains("No space"), "{}", refused.errors);
    assert_eq!(names(&folder), before, "nothing is left of it");
    disk.clear();
    home.json(&["backup", &file, "--without-vault"]);
    assert_eq!(home.json(&["audit", "verify"])["valid"], true);
}

#[test]
fn a_backup_to_a_pipe_that_is_closed_is_no_backup() {
    let (home, _) = used();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("the device");
    let mut command = home.command();
    let ended = command.args(["backup", "-", "--without-vault"]).stdout(full).output().expect("it runs");
    assert_eq!(ended.status.code(), Some(5), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn a_restore_that_does_not_fit_leaves_the_home_empty_and_works_where_there_is_room() {
    let (_home, file) = used();
    let small = Home::new();
    let Some(disk) = Disk::under(&small, "2m") else { return };
    disk.fill();
    let folder = small.path().parent().expect("a folder").to_owned();
    let before = names(&folder);
    let refused = small.run(&["restore", &file]);
    assert_eq!(refused.code, 5, "{}", refused.errors);
    assert!(refused.errors.contains("the disk of the home is full"), "{}", refused.errors);
    assert_eq!(names(&folder), before, "nothing is left of it");
    disk.clear();
    small.json(&["restore", &file]);
    assert_eq!(small.run(&["key", "list"]).code, 0);
}
