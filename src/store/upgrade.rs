//! Before a store of an earlier release is brought up to date: a copy of it is kept beside it, and what was done is noted for
//! the audit log, which is written when the vault is open.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Rows, StoreError, anchor, ballast,
    error::io,
    home::ANCHOR,
    setting,
    sqlite::{
        connection::Database,
        copy::{CopyError, Source},
    },
    value::to_json,
};
use crate::domain::pace::Pace;

/// What the name of the folder begins with that a copy is kept in; the versions of both files follow.
const KEPT: &str = "before-upgrade-";
/// It is called so until it is whole.
const DRAFT: &str = "before-upgrade.new";
/// The setting that notes an upgrade until it stands in the audit log.
const NOTE: &str = "upgraded";

/// The versions of the schemas of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Versions {
    pub portcullis: i64,
    pub usage: i64,
}

/// Whether the store as it was is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyBefore {
    Keep,
    Omit,
}

/// An upgrade that was begun, or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgraded {
    pub from: Versions,
    pub to: Versions,
    /// The folder that holds the store as it was; `None` where nobody wanted it.
    pub copy: Option<PathBuf>,
    /// What that takes, in bytes.
    pub size: Option<u64>,
}

/// The upgrade that is not yet in the audit log.
pub fn noted(c: &Rows<'_>) -> Result<Option<Upgraded>, StoreError> {
    Ok(setting::get(c, NOTE)?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// It stands in the audit log.
pub fn forget(c: &Rows<'_>) -> Result<(), StoreError> {
    c.run("DELETE FROM setting WHERE name = ?1", [NOTE]).map(|_| ())
}

/// Keeps a copy of the store in `home` and notes what is to be done, where a file of it is of an earlier version. For who
/// holds the lock of the anchor, and brings the store up to date before letting go of it: who waited finds nothing to do.
pub(super) fn prepare(home: &Path, databases: [&Database; 2], copy: CopyBefore) -> Result<(), StoreError> {
    let [portcullis, usage] = databases;
    let found = [portcullis.version()?, usage.version()?];
    if !found.iter().any(|version| version.found > 0 && version.found < version.known) {
        return Ok(());
    }
    let from = Versions { portcullis: found[0].found, usage: found[1].found };
    let to = Versions { portcullis: found[0].known, usage: found[1].known };
    if from.portcullis == 0 {
        return Ok(());
    }
    let connection = portcullis.changer()?;
    let c = Rows::new(&connection, None);
    if !c.exists("SELECT 1 FROM vault_entry", ())? {
        // Another process is about to make it: what it has so far is nothing that a copy could be kept of.
        return Ok(());
    }
    // Of this upgrade, and not of one before it: each file is on its way from where that began.
    let is_this = |noted: &Upgraded| {
        noted.to == to
            && (noted.from.portcullis..=to.portcullis).contains(&from.portcullis)
            && (noted.from.usage..=to.usage).contains(&from.usage)
    };
    let is_whole = |noted: &Upgraded| {
        noted.from != from || noted.copy.as_ref().is_none_or(|copy| copy.symlink_metadata().is_ok())
    };
    if noted(&c)?.is_some_and(|noted| is_this(&noted) && is_whole(&noted)) {
        // One that was begun and not brought to its end: the copy is of before it.
        return Ok(());
    }
    let note = |copy: Option<&Path>, size| {
        let upgraded = Upgraded { from, to, copy: copy.map(Path::to_owned), size };
        setting::set(&c, NOTE, &to_json(&upgraded)?)
    };
    if copy == CopyBefore::Omit {
        return note(None, None);
    }
    let draft = home.join(DRAFT);
    let there = databases.into_iter().zip(found).filter(|(_, version)| version.found > 0);
    let size = keep(home, &draft, &there.map(|(database, _)| database).collect::<Vec<_>>())?;
    // Noted first: who finds the copy without the note would take it for that of another upgrade.
    let path = free_name(home, from);
    note(Some(&path), Some(size))?;
    fs::rename(&draft, &path)
        .and_then(|()| File::open(home)?.sync_all())
        .map_err(|error| io("make", &path, &error))
}

/// Makes the copy in `draft`; returns its size.
fn keep(home: &Path, draft: &Path, databases: &[&Database]) -> Result<u64, StoreError> {
    let sources =
        databases.iter().map(|database| Source::open_as_it_is(database)).collect::<Result<Vec<_>, _>>()?;
    let anchor = anchor::text(&anchor::file(home))?;
    let of_anchor = anchor.as_ref().map_or(0, |text| text.len() as u64);
    let size = sources.iter().map(Source::size).sum::<u64>() + of_anchor;
    let free = ballast::free(home).map_err(|error| io("look at", home, &error))?;
    let no_room = || StoreError::NoRoomToUpgrade { wanted: mib(size), free: mib(free) };
    if free < size {
        return Err(no_room());
    }
    let copied = fill(draft, databases.iter().copied().zip(&sources), anchor.as_deref());
    copied.map(|()| size).map_err(|error| {
        // What cannot be removed either is removed by the next one.
        let _ = fs::remove_dir_all(draft);
        if error == StoreError::Full { no_room() } else { error }
    })
}

fn fill<'a>(
    draft: &Path,
    databases: impl Iterator<Item = (&'a Database, &'a Source)>,
    anchor: Option<&str>,
) -> Result<(), StoreError> {
    if draft.symlink_metadata().is_ok() {
        // Of a process that was killed: no other works on it while we hold the lock.
        fs::remove_dir_all(draft).map_err(|error| io("remove", draft, &error))?;
    }
    DirBuilder::new().mode(0o700).create(draft).map_err(|error| io("make", draft, &error))?;
    for (database, source) in databases {
        let to = draft.join(database.schema.file);
        source.copy(&to, &Pace::default()).map_err(|error| match error {
            CopyError::NoRoom => StoreError::Full,
            CopyError::Store(error) => error,
            CopyError::Cancelled(cancelled) => StoreError::Home(cancelled.to_string()),
        })?;
        File::open(&to).and_then(|file| file.sync_all()).map_err(|error| io("write", &to, &error))?;
    }
    if let Some(text) = anchor {
        let to = draft.join(ANCHOR);
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(&to);
        made.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(|error| io("write", &to, &error))?;
    }
    // Their names too.
    File::open(draft).and_then(|folder| folder.sync_all()).map_err(|error| io("write", draft, &error))
}

/// A name that nothing has: a store that was put back from such a copy is upgraded again one day.
fn free_name(home: &Path, from: Versions) -> PathBuf {
    let first = format!("{KEPT}{}-{}", from.portcullis, from.usage);
    let others = (2..).map(|number: u64| format!("{first}-{number}"));
    let mut paths = [first.clone()].into_iter().chain(others).map(|name| home.join(name));
    paths.find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| home.join(&first))
}

/// The copies that are kept in a home.
pub fn kept(home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    let is_kept = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(KEPT)) && path.is_dir()
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(is_kept).collect();
    paths.sort();
    paths
}

/// In MiB, and never less than it is.
const fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}
