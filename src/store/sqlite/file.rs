//! A database file with those who use it: one writer, and readers that wait for the next who reads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    ballast::Ballast,
    connection::{Database, Reader},
    rows::Rows,
    writer::Writer,
};
use crate::store::{RowKey, StoreError, error::shown, home::Mode};

/// How many idle read connections each file keeps.
const READERS: usize = 4;

/// A database file with those who use it.
pub(in crate::store) struct File {
    pub database: Database,
    /// Dropped before the writer, so that the writer's connection closes last and checkpoints.
    readers: Mutex<Vec<Reader>>,
    pub writer: Option<Writer>,
}

impl File {
    pub fn open(database: Database, mode: Mode, ballast: &Arc<Ballast>) -> Result<Self, StoreError> {
        let (readers, writer) = match mode {
            Mode::ReadWrite => {
                (Vec::new(), Some(Writer::start(database.clone(), database.writer()?, Arc::clone(ballast))?))
            }
            Mode::ReadOnly => (vec![Reader::open(&database)?], None),
        };
        Ok(Self { database, readers: Mutex::new(readers), writer })
    }

    /// Runs `job` in the writer's transaction. Where there is a key, rows are sealed with it.
    pub fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        key: Option<RowKey>,
        job: impl FnOnce(&Rows<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        match &self.writer {
            Some(writer) => writer.run(move |transaction| job(&Rows::new(transaction, key.as_ref()))),
            None => Err(StoreError::OpenedReadOnly.into()),
        }
    }

    /// Runs `job` on one state of the file. Where there is a key, seals are checked.
    pub fn read<T, E: From<StoreError>>(
        &self,
        key: Option<&RowKey>,
        job: impl FnOnce(&Rows<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let reader = match self.idle_reader() {
            Some(reader) => reader,
            None => Reader::open(&self.database)?,
        };
        let result = reader.read(key, job)?;
        let mut readers = self.idle();
        if readers.len() < READERS {
            readers.push(reader);
        }
        Ok(result)
    }

    /// A reader that waits; those whose file is no longer the one at its path are given up.
    fn idle_reader(&self) -> Option<Reader> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find(|reader| reader.check_place().is_ok())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On a connection of its own, since this is long.
    pub fn check_pages(&self, stop: impl FnMut() -> bool + Send + 'static) -> Result<(), StoreError> {
        let found = Reader::open(&self.database)?.quick_check(stop)?;
        match found.as_str() {
            "ok" => Ok(()),
            fault => Err(StoreError::Corrupt { file: shown(&self.database.path), detail: fault.to_owned() }),
        }
    }

    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let name = self.database.schema.file;
        self.read(None, |c| {
            let mut faults = c.all("PRAGMA integrity_check", (), |row| Ok(row.get::<String>(0)?))?;
            faults.retain(|fault| fault != "ok");
            faults.extend(c.all("PRAGMA foreign_key_check", (), |row| {
                Ok(format!("a row of {} names a row that is not there", row.get::<String>(0)?))
            })?);
            Ok(faults.into_iter().map(|fault| format!("{name}: {fault}")).collect())
        })
    }

    /// How it keeps its journal, in SQLite's word.
    pub fn journal_mode(&self) -> Result<String, StoreError> {
        self.read(None, |c| c.get("PRAGMA journal_mode", ()))
    }

    /// What SQLite says of it: `ok`, or what is wrong with it first.
    pub fn quick_check(&self) -> Result<String, StoreError> {
        self.read(None, |c| c.get("PRAGMA quick_check", ()))
    }

    /// Of which version its schema is.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.read(None, |c| c.get("PRAGMA user_version", ()))
    }

    /// Writes it anew without the pages that it holds free. `try_hard` tries again where the disk is full.
    pub fn compact(
        &self,
        try_hard: impl FnOnce(&dyn Fn() -> Result<(), StoreError>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let connection = self.database.writer_again()?;
        let error = |error| self.database.error(error);
        try_hard(&|| connection.execute_batch("VACUUM").map_err(error))?;
        // Where somebody reads, the next checkpoint does it.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(error)
    }
}
