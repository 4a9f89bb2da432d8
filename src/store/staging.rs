//! Folders in which a backup or a restore is made ready, and those that a process which was killed has left.
//!
//! Beside each lies a file, `FOLDER.lock`, on which its process holds a lock for as long as it lives: it is there, and
//! locked, before the folder is. The kernel drops the lock with the process, however that ends. The folder itself is not
//! locked: during a restore it is a home, and whoever writes its anchor locks that.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Seek},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::error::beside;
use crate::domain::text::for_shell;

const LOCK: &str = ".lock";
/// No list of what is moved is longer.
const LONGEST: u64 = 16 * 1024;

/// What is made ready in a folder, beside the file that it is to be or within the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Backup,
    Restore,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Backup => ".portcullis-backup-",
            Self::Restore => ".restore-",
        }
    }
}

/// A folder to make something ready in; it goes however this ends, but for a kill.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    held: File,
}

/// One that was found.
#[derive(Debug)]
pub struct Left {
    pub path: PathBuf,
    pub state: State,
}

#[derive(Debug)]
pub enum State {
    /// Its process lives.
    AtWork,
    /// Its process has ended; the lock is held by who looks.
    Over(File),
    /// There is nothing to tell it by: an earlier portcullis made it, or the file system knows no locks.
    Unknown,
}

/// What a file is known by once it has been moved: its name, its number, and when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Moved {
    name: String,
    number: u64,
    written: (i64, i64),
}

impl Moved {
    fn is(&self, found: &Metadata) -> bool {
        (self.number, self.written) == (found.ino(), (found.mtime(), found.mtime_nsec()))
    }
}

impl Staging {
    /// Makes one in `parent`.
    pub fn make(parent: &Path, kind: Kind) -> io::Result<Self> {
        loop {
            let path = parent.join(format!("{}{}", kind.prefix(), uuid::Uuid::now_v7().simple()));
            let lock = beside(&path, LOCK);
            let mut options = OpenOptions::new();
            let held = options.read(true).write(true).create_new(true).mode(0o600).open(&lock)?;
            // Where a file system knows no locks, nobody takes it for one that was left.
            let _ = held.lock();
            if held.metadata()?.nlink() == 0 {
                // Who clears up was faster than the lock.
                continue;
            }
            let made = Self { path, held };
            DirBuilder::new().mode(0o700).create(&made.path)?;
            return Ok(made);
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves these files out of the folder, to where it lies, as far as they are there, and in this order: where that does not
    /// come to its end, those that were moved go with the folder. A file that stands there already is never replaced.
    pub fn move_out<'a>(mut self, names: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let mut moved = Vec::new();
        for name in names {
            match self.path.join(name).symlink_metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                found => {
                    let found = found?;
                    let written = (found.mtime(), found.mtime_nsec());
                    moved.push(Moved { name: name.to_owned(), number: found.ino(), written });
                }
            }
        }
        let parent = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        serde_json::to_writer(&mut self.held, &moved)?;
        // On the disk, name and all, before the first file is moved.
        self.held.sync_all()?;
        File::open(&parent)?.sync_all()?;
        for Moved { name, .. } in &moved {
            rename_to_new(&self.path.join(name), &parent.join(name))?;
        }
        // What stands there is in use from now on, whatever becomes of the list.
        let synced = File::open(&parent).and_then(|parent| parent.sync_all());
        if let Err(error) = synced.and_then(|()| self.held.set_len(0)).and_then(|()| self.held.sync_all()) {
            tracing::warn!(%error, "{} is restored; whether a power cut now could undo that is not known", parent.display());
        }
        Ok(())
    }
}

/// Renames in one step, and fails where `to` is there.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::{
        fs::{CWD, RenameFlags, renameat_with},
        io::Errno,
    };
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot look and rename in one step.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match to.symlink_metadata() {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(from, to),
        },
        renamed => Ok(renamed?),
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left after all is found by the next one.
        let _ = remove(&self.path, &mut self.held);
    }
}

/// Those of this user in `parent`, by their names. Nothing is changed.
pub fn all(parent: &Path, kind: Kind) -> io::Result<Vec<Left>> {
    let own = rustix::process::geteuid().as_raw();
    let is_own = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.uid() == own);
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().map(|name| name.strip_suffix(LOCK).unwrap_or(name)) else { continue };
        if name.strip_prefix(kind.prefix()).is_some_and(is_given) {
            names.insert(name.to_owned());
        }
    }
    let paths = names.into_iter().map(|name| parent.join(name));
    let paths = paths.filter(|path| is_own(path) || is_own(&beside(path, LOCK)));
    Ok(paths.map(|path| Left { state: look(&path), path }).collect())
}

/// Whether a name ends as ours do: of an earlier portcullis in six letters and digits.
fn is_given(end: &str) -> bool {
    matches!(end.len(), 6 | 32) && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn look(path: &Path) -> State {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).custom_flags(flags.bits().cast_signed());
    let Ok(lock) = options.open(beside(path, LOCK)) else { return State::Unknown };
    let own = rustix::process::geteuid().as_raw();
    if !lock.metadata().is_ok_and(|found| found.is_file() && found.uid() == own) {
        return State::Unknown;
    }
    match lock.try_lock() {
        Ok(()) => State::Over(lock),
        Err(TryLockError::WouldBlock) => State::AtWork,
        Err(TryLockError::Error(_)) => State::Unknown,
    }
}

impl Left {
    /// Removes it where its process has ended; says whether it did.
    pub fn clear(self) -> io::Result<bool> {
        match self.state {
            State::Over(mut lock) => remove(&self.path, &mut lock).map(|()| true),
            State::AtWork | State::Unknown => Ok(false),
        }
    }
}

/// What removes one by hand, with the file beside it.
pub fn by_hand(path: &Path) -> String {
    format!("rm -rf {} {}", for_shell(path), for_shell(&beside(path, LOCK)))
}

/// Removes a folder, what was moved out of it where that did not come to its end, and last the file beside it.
fn remove(path: &Path, held: &mut File) -> io::Result<()> {
    let absent_is_well = |done: io::Result<()>| match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    };
    let mut text = String::new();
    held.rewind()?;
    held.take(LONGEST).read_to_string(&mut text)?;
    let moved: Vec<Moved> = serde_json::from_str(&text).unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new("."));
    let stands = |one: &Moved, folder: &Path| {
        folder.join(&one.name).symlink_metadata().is_ok_and(|found| one.is(&found))
    };
    // Where the last one is in the folder no more, all of them have been moved: they are in use, whatever became of them.
    if moved.last().is_some_and(|last| stands(last, path)) {
        for one in moved.iter().filter(|one| stands(one, parent)) {
            absent_is_well(fs::remove_file(parent.join(&one.name)))?;
        }
    }
    absent_is_well(fs::remove_dir_all(path))?;
    absent_is_well(fs::remove_file(beside(path, LOCK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// As the kernel does it when a process is killed: the lock goes, and the files stay.
    fn killed(staging: Staging) {
        staging.held.unlock().unwrap();
        std::mem::forget(staging);
    }

    fn clear(folder: &Path, kind: Kind) -> Vec<bool> {
        all(folder, kind).unwrap().into_iter().map(|left| left.clear().unwrap()).collect()
    }

    #[test]
    fn one_is_cleared_when_its_process_has_ended_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let living = Staging::make(folder.path(), Kind::Backup).unwrap();
        let dead = Staging::make(folder.path(), Kind::Backup).unwrap();
        fs::write(dead.path().join("copy"), "copy").unwrap();
        let other = Staging::make(folder.path(), Kind::Restore).unwrap();
        killed(dead);
        // What an earlier release made, or somebody: nobody can tell whether it is of use.
        fs::create_dir(folder.path().join(".portcullis-backup-Xy12ab")).unwrap();
        let mut states = clear(folder.path(), Kind::Backup);
        states.sort();
        assert_eq!(states, [false, false, true]);
        assert!(living.path().is_dir() && other.path().is_dir());
        drop((living, other));
        assert_eq!(names(folder.path()), [".portcullis-backup-Xy12ab"]);
    }

    #[test]
    fn one_whose_folder_was_never_made_is_cleared_and_a_link_is_not_followed() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("kept"), "kept").unwrap();
        let first = Staging::make(folder.path(), Kind::Restore).unwrap();
        fs::remove_dir(first.path()).unwrap();
        let second = Staging::make(folder.path(), Kind::Restore).unwrap();
        fs::remove_dir(second.path()).unwrap();
        std::os::unix::fs::symlink(outside.path(), second.path()).unwrap();
        killed(first);
        killed(second);
        clear(folder.path(), Kind::Restore);
        assert_eq!((names(folder.path()), names(outside.path())), (vec![], vec!["kept".to_owned()]));
    }

    #[test]
    fn what_was_moved_by_half_goes_and_what_was_moved_whole_or_is_somebodys_stays() {
        for reached in 0..=3 {
            let folder = tempfile::tempdir().unwrap();
            let mut staging = Staging::make(folder.path(), Kind::Restore).unwrap();
            let parts = ["a", "b", "c"];
            for name in parts {
                fs::write(staging.path().join(name), name).unwrap();
            }
            let moved: Vec<Moved> = parts
                .iter()
                .map(|name| {
                    let found = staging.path().join(name).metadata().unwrap();
                    let written = (found.mtime(), found.mtime_nsec());
                    Moved { name: (*name).to_owned(), number: found.ino(), written }
                })
                .collect();
            serde_json::to_writer(&mut staging.held, &moved).unwrap();
            for name in &parts[..reached] {
                fs::rename(staging.path().join(name), folder.path().join(name)).unwrap();
            }
            if reached < 2 {
                fs::write(folder.path().join("b"), "of somebody").unwrap();
            }
            if reached == parts.len() {
                fs::remove_file(folder.path().join("c")).unwrap();
            }
            killed(staging);
            assert_eq!(clear(folder.path(), Kind::Restore), [true]);
            let expected: &[&str] = match reached {
                0 | 1 => &["b"],
                2 => &[],
                // Also where the last one was lost or moved since.
                _ => &["a", "b"],
            };
            assert_eq!(names(folder.path()), expected, "{reached}");
        }
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::make(folder.path(), Kind::Restore).unwrap();
        fs::write(staging.path().join("b"), "b").unwrap();
        staging.move_out(["a", "b"].into_iter()).unwrap();
        assert_eq!(names(folder.path()), ["b"]);
    }

    #[test]
    fn what_stands_there_is_never_replaced_and_what_was_moved_before_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::make(folder.path(), Kind::Restore).unwrap();
        for name in ["a", "b", "c"] {
            fs::write(staging.path().join(name), name).unwrap();
        }
        fs::write(folder.path().join("b"), "made meanwhile").unwrap();
        let error = staging.move_out(["a", "b", "c"].into_iter()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(names(folder.path()), ["b"]);
        assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"made meanwhile");
    }

    #[test]
    fn a_name_of_somebody_is_none_of_ours_and_a_command_can_be_pasted() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".restore-notes", ".restore-of monday", ".restore-", ".portcullis-backup-2026-12-01.tar"]
        {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        assert!(all(folder.path(), Kind::Restore).unwrap().is_empty());
        assert!(all(folder.path(), Kind::Backup).unwrap().is_empty());
        assert_eq!(
            by_hand(Path::new("/srv/My Data/.restore-aB12cd")),
            "rm -rf '/srv/My Data/.restore-aB12cd' '/srv/My Data/.restore-aB12cd.lock'"
        );
    }
}
