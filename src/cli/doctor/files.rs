//! What `doctor` finds of the files of a home, and of the disk that they are on.

use std::{os::unix::fs::PermissionsExt, path::Path};

use super::Found;
use crate::{
    domain::text::for_shell,
    ops::Ctx,
    store::{
        self, StoreError, ballast,
        home::Home,
        staging::{self, Kind, Left, State},
        upgrade,
    },
};

const MIB: u64 = 1024 * 1024;
/// Less free space than this is a fault: a store that cannot grow refuses every change.
const LEAST_FREE: u64 = 64 * MIB;

/// Whether the SQLite that is compiled in is one that loses nothing.
pub(super) fn sqlite() -> Found {
    let version = store::sqlite_version();
    version
        .map(str::to_owned)
        .map_err(|error| (error.to_string(), "build Portcullis with its bundled SQLite".into()))
}

/// Home 0700, files 0600: nobody else may read or write them.
pub(super) fn modes(home: &Home) -> Found {
    let doubt = home.doubt().map_err(|error| (error.to_string(), "do what the detail says".to_owned()))?;
    let home = home.path();
    let fault = |error: std::io::Error| {
        (format!("{} cannot be read: {error}", home.display()), "check who owns it".into())
    };
    let mut wide = Vec::new();
    for path in std::iter::once(Ok(home.to_owned()))
        .chain(std::fs::read_dir(home).map_err(fault)?.map(|entry| entry.map(|entry| entry.path())))
    {
        let path = path.map_err(fault)?;
        // Looked at, not opened: closing a file of the database drops SQLite's locks on it.
        let mode = std::fs::symlink_metadata(&path).map_err(fault)?.permissions().mode();
        if mode & 0o077 != 0 {
            wide.push(path);
        }
    }
    match wide.first() {
        None => Ok([format!("{} is its owner's alone", home.display())]
            .into_iter()
            .chain(doubt.map(|doubt| format!("but {doubt}")))
            .collect::<Vec<_>>()
            .join(", ")),
        Some(path) => Err((
            format!("others can reach {}", path.display()),
            format!("chmod -R go-rwx {}", for_shell(home)),
        )),
    }
}

/// What restores into the home have left; `None` where nothing is.
pub(super) fn restores(home: &Path) -> Option<Found> {
    let mut all = staging::all(home, Kind::Restore).unwrap_or_default();
    let dead = all.iter().position(|left| !matches!(left.state, State::AtWork));
    let Some(Left { path, state }) = dead.map(|at| all.swap_remove(at)) else {
        return (!all.is_empty()).then(|| Ok("one is at work in this home".into()));
    };
    let (by_hand, path) = (staging::by_hand(&path), path.display());
    Some(Err(match state {
        State::Over(_) => (
            format!("one that was killed left {path}, in which a copy of a store and of its key may lie"),
            format!("restore again, which clears up; or, where this home is to stay as it is: {by_hand}"),
        ),
        State::AtWork | State::Unknown => (
            format!("{path} is what one makes, and whether that is still at work cannot be told"),
            format!("where it is not: {by_hand}"),
        ),
    }))
}

/// Whether the store can grow.
pub(super) fn disk(home: &Path) -> Found {
    let free = ballast::free(home)
        .map_err(|error| (format!("free space cannot be told: {error}"), "check the file system".into()))?;
    let told = format!("{} MiB free", free / MIB);
    if free < LEAST_FREE {
        Err((told, "free some space on the file system of the home".into()))
    } else {
        Ok(told)
    }
}

/// What was kept when the store was brought up to date; `None` where nothing is.
pub(super) fn copies(home: &Path) -> Option<String> {
    let kept = upgrade::kept(home);
    let names: Vec<_> = kept.iter().map(|path| for_shell(path)).collect();
    (!names.is_empty()).then(|| {
        format!(
            "the store as it was before it was brought up to date; when all is well: rm -r {}",
            names.join(" ")
        )
    })
}

/// What is kept for acts that must be possible on a full disk.
pub(super) fn weight(home: &Path) -> Found {
    let weight = ballast::weight(home)
        .map_err(|error| (format!("it cannot be looked at: {error}"), "check who owns the home".into()))?;
    if weight >= ballast::WEIGHT {
        return Ok(format!("{} MiB of the disk, for revoking keys when it is full", weight / MIB));
    }
    Err((
        format!(
            "{} of {} KiB: on a full disk a key might not be revoked",
            weight / 1024,
            ballast::WEIGHT / 1024
        ),
        format!("free {} MiB on the file system of the home; then run this again", 2 * ballast::WEIGHT / MIB),
    ))
}

/// Whether both databases open, as they are meant to be used.
pub(super) fn pragmas(ctx: &Ctx) -> Found {
    let fault = |error: StoreError| (error.to_string(), "restore the home from a copy".to_owned());
    for mode in ctx.store.journal_modes().map_err(fault)? {
        if mode != "wal" {
            return Err((
                format!("journal mode is {mode}, not wal"),
                "stop every process on this home, then start one".into(),
            ));
        }
    }
    Ok("opens; journal mode wal".into())
}

/// Whether SQLite finds both databases whole.
pub(super) fn integrity(ctx: &Ctx) -> Found {
    for (file, found) in ctx.store.quick_check() {
        let found = found.unwrap_or_else(|error| error.to_string());
        if found != "ok" {
            return Err((format!("{file}: {found}"), "restore the home from a copy".into()));
        }
    }
    Ok("both databases are whole".into())
}
