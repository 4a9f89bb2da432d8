//! Which gateways run on a home.
//!
//! Each has a file in the folder `gateways` of the home, and holds a lock on it for as long as it lives. The kernel drops the
//! lock with the process, however that ends, so no number of a process is believed that another may have by now.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{StoreError, error::io, modes};
use crate::domain::clock::Timestamp;

const FOLDER: &str = "gateways";
/// What a file ends with that tells of a gateway; until it is whole and locked it has another name.
const TOLD: &str = "json";
/// No file of ours is longer.
const LONGEST: u64 = 16 * 1024;

/// What a gateway says of itself when it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Where clients connect, as a URL.
    pub listen: String,
    pub admin_listen: String,
    /// The MCP server behind it.
    pub upstream: String,
    pub since: Timestamp,
    pub version: String,
    /// Its number on this machine or in its container, for people.
    pub process: u32,
}

/// A gateway of the home.
#[derive(Clone, Debug, Serialize)]
pub struct Gateway {
    #[serde(flatten)]
    pub presence: Presence,
    /// `false`: it ended without a word. `null` where the file system cannot tell.
    pub alive: Option<bool>,
}

/// Held by a gateway that runs; its file goes with it.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    _lock: File,
}

/// Tells that a gateway runs on `home`, for as long as the answer is held; and forgets those that ended without a word.
pub fn announce(home: &Path, presence: &Presence) -> Result<Held, StoreError> {
    let folder = home.join(FOLDER);
    let failed = |error: std::io::Error| io("write", &folder, &error);
    if !modes::check(&folder, modes::Kind::Folder)? {
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
    }
    forget_the_dead(&folder);
    let name = uuid::Uuid::now_v7().simple().to_string();
    let (draft, path) = (folder.join(&name), folder.join(name).with_extension(TOLD));
    let text = super::to_json(presence)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&draft).map_err(failed)?;
    // Where a file system knows no locks, nobody can tell whether this gateway still runs.
    let _ = file.lock();
    // Nobody finds it before it is locked.
    let told = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&draft, &path));
    if let Err(error) = told {
        let _ = fs::remove_file(&draft);
        return Err(failed(error));
    }
    Ok(Held { path, _lock: file })
}

impl Drop for Held {
    fn drop(&mut self) {
        // Left behind, it is one that ended without a word.
        let _ = fs::remove_file(&self.path);
    }
}

/// The gateways of `home`: those that run, then those that ended without a word, each in the order in which they began.
pub fn all(home: &Path) -> Result<Vec<Gateway>, StoreError> {
    let folder = home.join(FOLDER);
    if !modes::check(&folder, modes::Kind::Folder)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for path in files(&folder).map_err(|error| io("look into", &folder, &error))? {
        // One that ended meanwhile is gone.
        found.extend(look(&path));
    }
    found.sort_by_key(|gateway: &Gateway| (gateway.alive == Some(false), gateway.presence.since));
    Ok(found)
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == TOLD) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn open(path: &Path) -> Option<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).ok()
}

fn look(path: &Path) -> Option<Gateway> {
    let file = open(path)?;
    let mut text = String::new();
    (&file).take(LONGEST).read_to_string(&mut text).ok()?;
    let presence = serde_json::from_str(&text).ok()?;
    Some(Gateway { presence, alive: is_held(&file) })
}

/// Whether a gateway holds the lock; several may ask at once.
fn is_held(file: &File) -> Option<bool> {
    match file.try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

fn forget_the_dead(folder: &Path) {
    // Whoever cannot be forgotten now is forgotten by the next.
    for path in files(folder).unwrap_or_default() {
        if open(&path).and_then(|file| is_held(&file)) == Some(false) {
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(port: u16, since: i64) -> Presence {
        Presence {
            listen: format!("http://127.0.0.1:{port}"),
            admin_listen: "127.0.0.1:1".into(),
            upstream: "http://127.0.0.1:3000/mcp".into(),
            since: Timestamp::from_millis(since),
            version: "0".into(),
            process: 1,
        }
    }

    fn seen(home: &Path) -> Vec<(i64, Option<bool>)> {
        all(home).unwrap().iter().map(|found| (found.presence.since.millis(), found.alive)).collect()
    }

    #[test]
    fn each_is_seen_for_as_long_as_it_holds_its_lock() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(seen(home.path()), []);
        let second = announce(home.path(), &presence(2, 2)).unwrap();
        let first = announce(home.path(), &presence(1, 1)).unwrap();
        assert_eq!(seen(home.path()), [(1, Some(true)), (2, Some(true))]);
        drop(second);
        assert_eq!(seen(home.path()), [(1, Some(true))]);
        drop(first);
        assert_eq!(seen(home.path()), []);
    }

    #[test]
    fn who_ended_without_a_word_is_told_until_the_next_one_begins() {
        let home = tempfile::tempdir().unwrap();
        let killed = announce(home.path(), &presence(1, 1)).unwrap();
        let other = announce(home.path(), &presence(2, 2)).unwrap();
        // As the kernel does it: the lock goes, the file stays.
        killed._lock.unlock().unwrap();
        std::mem::forget(killed);
        assert_eq!(seen(home.path()), [(2, Some(true)), (1, Some(false))]);
        let third = announce(home.path(), &presence(3, 3)).unwrap();
        assert_eq!(seen(home.path()), [(2, Some(true)), (3, Some(true))]);
        drop((other, third));
    }

    #[test]
    fn what_is_no_word_of_a_gateway_is_passed_over() {
        let home = tempfile::tempdir().unwrap();
        drop(announce(home.path(), &presence(1, 1)).unwrap());
        let folder = home.path().join(FOLDER);
        fs::write(folder.join("x.json"), "not json").unwrap();
        fs::write(folder.join("draft"), "{}").unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.join("y.json")).unwrap();
        assert_eq!(seen(home.path()), []);
    }
}
