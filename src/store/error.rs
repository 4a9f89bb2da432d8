//! What can go wrong with a store: what, why, and what mends it.

use std::path::{Path, PathBuf};

use crate::{
    domain::text::{excerpt, visible},
    vault::VaultError,
};

/// Why the store could not do it. Unless a variant says otherwise, nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The home's folder or its key file cannot be had; says why and what mends it.
    #[error("{0}")]
    Home(String),
    /// Others could read or replace what must be the owner's alone.
    #[error("{path} is refused: {found}; mend it with: {mend}")]
    Modes { path: String, found: String, mend: String },
    #[error(
        "{file} is gone, and {left} is still there: the store of this home is lost; put it back from your backup, or, to \
         begin anew, end every portcullis on this home and then: portcullis store begin-anew"
    )]
    Lost { file: String, left: String },
    /// It is not what the home's anchor remembers; says how.
    #[error(
        "{0}; put back the store that it had, or, to go on with this one: portcullis store accept, or, to begin anew: \
         portcullis store begin-anew"
    )]
    Astray(String),
    /// A restore is at work in the home, or ended in the midst of it.
    #[error(
        "a restore into {0} has not come to its end; where it is no longer at work, restore again, which clears what is left: \
         portcullis restore FILE (portcullis doctor says what is there)"
    )]
    Unfinished(String),
    /// It was to be filled.
    #[error(
        "{home} is not empty: {found} is in it; name another home with --home, or move this one away first"
    )]
    NotEmpty { home: String, found: String },
    #[error("there is no store in {0} yet; `portcullis console` makes one")]
    Missing(String),
    /// The store is there, and this file of it is not.
    #[error("{0} is not there, and the store beside it is: this is a part of a home")]
    Partial(String),
    #[error(
        "{file} is of version {found}, and this portcullis knows versions up to {known}; use the newer portcullis that \
         wrote it, or restore a backup from before the upgrade into another home: portcullis --home DIR restore FILE"
    )]
    TooNew { file: String, found: i64, known: i64 },
    #[error(
        "{file} is of version {found}, and this portcullis wants {known}; bring it up to date with: portcullis store upgrade"
    )]
    TooOld { file: String, found: i64, known: i64 },
    /// Where a copy of it as it is was to be kept; in MiB.
    #[error(
        "this store is of an earlier portcullis, and before it is brought up to date a copy is kept beside it, which the disk \
         of the home has no room for ({wanted} MiB, and {free} MiB are free); free some space there, or do without the copy: \
         portcullis store upgrade --without-copy"
    )]
    NoRoomToUpgrade { wanted: u64, free: u64 },
    #[error(
        "{file} was made by a portcullis from before the first release, which no release can read; move the home away \
         and make a new one"
    )]
    Unreleased { file: String },
    #[error("{file} is damaged or not a store of Portcullis: {detail}; put back a copy from your backup")]
    Corrupt { file: String, detail: String },
    /// Of this row alone: all others can be used.
    #[error("the row `{row}` of {table} is damaged: {why}; put back a copy of the home from your backup")]
    Row { table: &'static str, row: String, why: String },
    #[error(
        "the store is locked: another process has held it for too long; try again, or end the process that holds it"
    )]
    Busy,
    #[error("the disk of the home is full; free some space and try again")]
    Full,
    #[error(
        "the store cannot be written: its file system or a file of it is read-only; make it writable (remount it, or \
         `chmod u+w` all files of the home), or open it read-only"
    )]
    ReadOnly,
    #[error("this store was opened read-only; open it as an operator to change something")]
    OpenedReadOnly,
    #[error(
        "this store was opened without its vault, and its rows can be sealed only with it; open the vault first"
    )]
    Unsealed,
    #[error("{file} cannot be opened: {detail}; check that the home exists and belongs to you")]
    CannotOpen { file: String, detail: String },
    /// As a file system with quotas says it; nothing was kept.
    #[error(
        "the disk of the home did not take what was written ({0}); see whether a quota is used up (`quota`) or the disk \
         fails (`dmesg`), and try again"
    )]
    Unwritten(String),
    #[error("the disk of the home failed ({0}); whether the last change was kept is seen at the next read")]
    Disk(String),
    #[error("{file} was moved, replaced or deleted while it was open; restart this process")]
    Replaced { file: String },
    #[error("the change breaks a rule of the store ({0})")]
    Constraint(String),
    /// A change that shared its commit with one that broke the transaction.
    #[error("the change was undone together with another that the disk could not take; try again")]
    Undone,
    #[error(
        "the change was given up half-way by an internal error and undone; this is a fault of portcullis, report it"
    )]
    Panicked,
    #[error("the store's writer has ended; restart this process")]
    Closed,
    #[error("`{0}` is not a cursor of this list; leave it out to start from the beginning")]
    Cursor(String),
    #[error("the list cannot be filtered by `{0}`")]
    Filter(String),
    #[error(
        "the bundled SQLite is {0}, which can lose commits when two processes write; build with 3.51.3 or later"
    )]
    OldSqlite(String),
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What SQLite says where none of the above fits.
    #[error("SQLite: {0}")]
    Sqlite(String),
}

impl StoreError {
    /// A row that no code of ours has written; what it says of its own name may be of any length.
    pub(super) fn row(table: &'static str, row: &str, why: impl std::fmt::Display) -> Self {
        Self::Row { table, row: excerpt(row), why: visible(&why.to_string()).into_owned() }
    }

    /// Whether the fault is that of one row, which is known, and not of the store.
    pub fn is_of_one_row(&self) -> bool {
        matches!(self, Self::Row { .. })
    }

    /// What was found, and nothing where that is damaged: whatever rests on it is denied, and it is named elsewhere.
    pub fn none_where_damaged<T>(found: Result<Option<T>, Self>) -> Result<Option<T>, Self> {
        found.or_else(|error| if error.is_of_one_row() { Ok(None) } else { Err(error) })
    }

    /// Whether the home's own store is not there: it was lost, replaced, put back from an older copy, or destroyed.
    pub fn is_of_a_lost_store(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Astray(_) | Self::Corrupt { .. })
    }

    /// Whether it might not have been with more room on the disk.
    pub fn wants_room(&self) -> bool {
        matches!(self, Self::Full | Self::Unwritten(_))
    }
}

/// A path for a message.
pub(super) fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy()).into_owned()
}

/// An input or output error on a path that is not a database.
pub fn io(doing: &str, path: &Path, error: &std::io::Error) -> StoreError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
        _ => StoreError::Home(format!("cannot {doing} {}: {error}", shown(path))),
    }
}

/// The file of a store, or a folder, by its path.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
