//! A database file with those who use it: one writer, and readers that wait for the next who reads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction};

use super::{
    ballast::Ballast,
    connection::{Database, in_transaction},
    writer::Writer,
};
use crate::store::{Mode, StoreError, error::shown};

/// How many idle read connections each file keeps.
const READERS: usize = 4;

/// A database file with those who use it.
pub(in crate::store) struct File {
    pub database: Database,
    /// Dropped before the writer, so that the writer's connection closes last and checkpoints.
    readers: Mutex<Vec<Connection>>,
    pub writer: Option<Writer>,
}

impl File {
    pub fn open(database: Database, mode: Mode, ballast: &Arc<Ballast>) -> Result<Self, StoreError> {
        let (readers, writer) = match mode {
            Mode::ReadWrite => {
                (Vec::new(), Some(Writer::start(database.clone(), database.writer()?, Arc::clone(ballast))?))
            }
            Mode::ReadOnly => (vec![database.reader()?], None),
        };
        Ok(Self { database, readers: Mutex::new(readers), writer })
    }

    pub fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        match &self.writer {
            Some(writer) => writer.run(job),
            None => Err(StoreError::OpenedReadOnly.into()),
        }
    }

    pub fn read<T, E: From<StoreError>>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = match self.idle_reader() {
            Some(connection) => connection,
            None => self.database.reader()?,
        };
        let result = in_transaction(&connection, &self.database, job)?;
        let mut readers = self.idle();
        if readers.len() < READERS {
            readers.push(connection);
        }
        Ok(result)
    }

    /// A reader that waits; those whose file is no longer the one at its path are given up.
    fn idle_reader(&self) -> Option<Connection> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find(|connection| self.database.check_place(connection).is_ok())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On a connection of its own, since this is long.
    pub fn check_pages(&self, stop: impl FnMut() -> bool + Send + 'static) -> Result<(), StoreError> {
        const STEPS: i32 = 1000;
        let at = |error| self.database.error(error);
        let mut connection = self.database.reader()?;
        connection.progress_handler(STEPS, Some(stop)).map_err(at)?;
        let found =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).map_err(at)?;
        match found.as_str() {
            "ok" => Ok(()),
            fault => Err(StoreError::Corrupt { file: shown(&self.database.path), detail: fault.to_owned() }),
        }
    }

    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let name = self.database.schema.file;
        self.read(|connection| {
            let mut faults = Vec::new();
            let mut check = connection.prepare("PRAGMA integrity_check")?;
            for fault in check.query_map([], |row| row.get::<_, String>(0))? {
                faults.extend(Some(fault?).filter(|fault| fault != "ok"));
            }
            let mut check = connection.prepare("PRAGMA foreign_key_check")?;
            for table in check.query_map([], |row| row.get::<_, String>(0))? {
                faults.push(format!("a row of {} names a row that is not there", table?));
            }
            Ok(faults.into_iter().map(|fault| format!("{name}: {fault}")).collect())
        })
    }
}
