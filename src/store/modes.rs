//! Whether home, database and key are their owner's alone.
//!
//! Looks with `lstat` only: opening and closing a database file outside SQLite would drop the
//! locks that this process holds on it (<https://sqlite.org/howtocorrupt.html> §2.2).

use std::{
    fs::Metadata,
    io::ErrorKind,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use super::{
    StoreError,
    error::{beside, io, shown},
    home, user,
};
use crate::domain::text::for_shell;

/// What a path must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
}

/// Refuses what is no `kind`, is a symbolic link, belongs to somebody else, gives its group
/// or others any right, or is a file with more names than this one. `Ok(false)` where there is nothing.
pub(super) fn check(path: &Path, kind: Kind) -> Result<bool, StoreError> {
    match path.symlink_metadata() {
        Ok(found) => check_metadata(path, kind, &found).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io("look at", path, &error)),
    }
}

/// The same for what has been looked at.
pub(super) fn check_metadata(path: &Path, kind: Kind, metadata: &Metadata) -> Result<(), StoreError> {
    let refused = |found: String, mend: String| Err(StoreError::Modes { path: shown(path), found, mend });
    let at = for_shell(path);
    if metadata.is_symlink() {
        return refused(
            "it is a symbolic link".into(),
            format!("rm {at}, and name the place it led to by its own path"),
        );
    }
    let fits = match kind {
        Kind::Folder => metadata.is_dir(),
        Kind::File => metadata.is_file(),
    };
    if !fits {
        let wanted = if kind == Kind::Folder { "a folder" } else { "a regular file" };
        // Never to be moved away on our word: a path that was mistyped leads to somebody else's.
        return refused(
            format!("it is not {wanted}"),
            format!("ls -l {at}, and name another home with --home"),
        );
    }
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let mode = metadata.permissions().mode() & 0o7777;
    if owner != own {
        if kind == Kind::Folder && is_for_others(path, mode) {
            return refused(
                format!("it belongs to {}, and is there for other things", user::named(owner)),
                "name a folder of its own with --home; it is made".into(),
            );
        }
        let home = if kind == Kind::Folder { path } else { path.parent().unwrap_or(path) };
        return refused(
            format!("it belongs to {}, and this process runs as {}", user::named(owner), user::named(own)),
            user::act_as(owner, home),
        );
    }
    if mode & 0o077 != 0 {
        if kind == Kind::Folder && is_for_others(path, mode) {
            return refused(
                format!("its mode is {mode:04o}, and it is there for other things"),
                "name a folder of its own with --home; it is made".into(),
            );
        }
        let right = if kind == Kind::Folder { 700 } else { 600 };
        return refused(
            format!("its mode is {mode:04o}, which lets other users at it"),
            format!("chmod {right} {at}"),
        );
    }
    if kind == Kind::File && metadata.nlink() > 1 {
        // Its contents are reached by a name that nobody here knows of, and SQLite keeps a log for each name.
        return refused(
            format!(
                "it has {} names (hard links), and who has another keeps what is in it",
                metadata.nlink()
            ),
            format!("cp -p {at} {at}.alone && mv {at}.alone {at}"),
        );
    }
    Ok(())
}

/// Folders of every system that may hold nothing yet (Filesystem Hierarchy Standard §3 and §4).
const OF_THE_SYSTEM: [&str; 6] = ["/home", "/media", "/mnt", "/opt", "/srv", "/var/local"];

/// Whether a folder was plainly not made to be a home, so that its modes are not ours to change.
fn is_for_others(folder: &Path, mode: u32) -> bool {
    const STICKY: u32 = 0o1000;
    let holds_other_things = || {
        let is_there = |name: &&str| folder.join(name).symlink_metadata().is_ok();
        let is_home = home::PARTS.iter().chain([&home::VAULT_KEY]).any(is_there);
        !is_home && folder.read_dir().is_ok_and(|mut entries| entries.next().is_some())
    };
    let real = folder.canonicalize().unwrap_or_else(|_| folder.into());
    mode & STICKY != 0 || OF_THE_SYSTEM.iter().any(|known| real == Path::new(known)) || holds_other_things()
}

/// Checks a database and the files that SQLite keeps beside it.
///
/// These are made after the database and kept for as long as it is there: without it they tell that it was deleted,
/// perhaps beneath a process that still has it open. A new one in its place would share them with that process, and what
/// it acknowledges could be lost (<https://sqlite.org/howtocorrupt.html> §2.4).
pub(super) fn check_database(path: &Path) -> Result<bool, StoreError> {
    let mut left = None;
    // Before the database: whoever makes one at this moment makes it before them.
    for suffix in ["-wal", "-shm"] {
        let beside = beside(path, suffix);
        if check(&beside, Kind::File)? {
            left = Some(shown(&beside));
        }
    }
    match (check(path, Kind::File)?, left) {
        (false, Some(left)) => Err(StoreError::Lost { file: shown(path), left }),
        (found, _) => Ok(found),
    }
}
