//! A database copied through SQLite, while others use it.

use std::path::Path;

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{connection::Database, rows::Rows};
use crate::{
    domain::pace::{Cancelled, Pace},
    store::{StoreError, error::shown},
};

/// Pages that are copied between two looks at whether to go on.
const PAGES: i32 = 256;

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum CopyError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Where it is made.
    #[error("no room")]
    NoRoom,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A database that is copied.
pub(in crate::store) struct Source {
    connection: Connection,
    database: Database,
}

impl Source {
    /// One of the version that is known.
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { connection: database.reader()?, database: database.clone() })
    }

    /// One of whatever version.
    pub fn open_as_it_is(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { connection: database.looker()?, database: database.clone() })
    }

    /// Holds on to the state in which it is now.
    pub fn hold(&self) -> Result<(), StoreError> {
        self.connection.execute_batch("BEGIN")?;
        // The first read of a transaction is what settles its moment.
        self.rows().count("SELECT count(*) FROM sqlite_schema", ()).map(|_| ())
    }

    pub fn rows(&self) -> Rows<'_> {
        Rows::new(&self.connection, None)
    }

    /// What it takes, in bytes.
    pub fn size(&self) -> u64 {
        let number = |pragma| self.rows().get::<i64>(pragma, ()).unwrap_or(0);
        number("PRAGMA page_count").saturating_mul(number("PRAGMA page_size")).unsigned_abs()
    }

    /// Copies it, and refuses a copy that is not whole: a fault is to be known while older backups are still there.
    pub fn copy(&self, to: &Path, pace: &Pace) -> Result<(), CopyError> {
        let of_source = |error| CopyError::from(self.database.error(error));
        let of_copy = |error| match StoreError::at(error, to) {
            error if error.wants_room() => CopyError::NoRoom,
            error => error.into(),
        };
        let page: u32 = self.rows().get("PRAGMA page_size", ())?;
        let page = u64::from(page);
        let mut copy = Connection::open(to).map_err(of_copy)?;
        // It is thrown away if anything happens to it.
        copy.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF").map_err(of_copy)?;
        {
            let backup = Backup::new(&self.connection, &mut copy).map_err(of_source)?;
            let mut before = 0;
            loop {
                pace.or_nothing()?;
                // Of both: a source that is damaged says so when it is checked.
                let step = backup.step(PAGES).map_err(of_copy)?;
                let state = backup.progress();
                let pages = u64::try_from(state.pagecount - state.remaining).unwrap_or(0);
                pace.step(pages.saturating_sub(before).saturating_mul(page));
                before = pages;
                match step {
                    StepResult::Done => break,
                    StepResult::Busy | StepResult::Locked => return Err(StoreError::Busy.into()),
                    _ => {}
                }
            }
        }
        let found: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(of_copy)?;
        if found != "ok" {
            let file = shown(&self.database.path);
            return Err(StoreError::Corrupt { file, detail: found }.into());
        }
        copy.close().map_err(|(_, error)| of_copy(error))?;
        Ok(())
    }
}
