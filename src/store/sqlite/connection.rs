//! How a connection is opened: flags, settings (set *and* read back), limits on what SQL may do.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, FileControl, OpenFlags, config::DbConfig};

use super::rows::Rows;
use super::{
    migrate::{Schema, Version},
    patience,
};
use crate::store::{StoreError, error::shown, home::STORE, modes, seal::RowKey};

/// How long a connection waits for another process before it answers `Busy`.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// One database file: where it is, and what it must hold.
#[derive(Clone)]
pub(in crate::store) struct Database {
    pub path: PathBuf,
    pub schema: &'static Schema,
    pub busy_timeout: Duration,
    /// Whether one of an earlier version is brought up to date.
    pub upgrades: bool,
}

/// The version of the SQLite that is compiled in. Refuses one that can lose commits when two processes write and
/// checkpoint at once (3.7.0 to 3.51.2, the "WAL-reset" bug, <https://sqlite.org/releaselog/3_51_3.html>).
pub fn sqlite_version() -> Result<&'static str, StoreError> {
    if rusqlite::version_number() < 3_051_003 {
        return Err(StoreError::OldSqlite(rusqlite::version().into()));
    }
    Ok(rusqlite::version())
}

impl Database {
    /// A connection that may write; makes the file where there is none, and brings it up to date.
    pub fn writer(&self) -> Result<Connection, StoreError> {
        self.writer_with(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// A connection in place of one that failed. Makes no file: one that is gone stays gone.
    pub fn writer_again(&self) -> Result<Connection, StoreError> {
        self.writer_with(OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn writer_with(&self, flags: OpenFlags) -> Result<Connection, StoreError> {
        modes::check_database(&self.path)?;
        let mut connection = self.connect(flags)?;
        // SQLite opens a file that it may not write for reading, and says nothing.
        if connection.is_readonly(c"main").map_err(|error| self.error(error))? {
            return Err(StoreError::ReadOnly);
        }
        // Not a byte is written, at closing either, before the file is known to be ours.
        self.configure(&connection, DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let Version { found, known } = self.schema.inspect(&connection, &self.path)?;
        if found > 0 && found < known && !self.upgrades {
            return Err(StoreError::TooOld { file: shown(&self.path), found, known });
        }
        self.enter_wal(&connection)?;
        self.set(&connection, "synchronous", self.schema.synchronous)?;
        self.schema.migrate(&mut connection, &self.path)?;
        self.configure(&connection, DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        modes::check_database(&self.path)?;
        Ok(connection)
    }

    /// A connection that cannot write: neither its file handle nor its SQL.
    pub fn reader(&self) -> Result<Connection, StoreError> {
        if !modes::check_database(&self.path)? {
            let folder = self.path.parent().unwrap_or(&self.path);
            return Err(match folder.join(STORE).exists() {
                true => StoreError::Partial(shown(&self.path)),
                false => StoreError::Missing(shown(folder)),
            });
        }
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let Version { found, known } = self.schema.inspect(&connection, &self.path)?;
        if found < known {
            return Err(StoreError::TooOld { file: shown(&self.path), found, known });
        }
        self.set(&connection, "query_only", 1)?;
        Ok(connection)
    }

    /// Of which version it is; of none where it is not there.
    pub fn version(&self) -> Result<Version, StoreError> {
        match modes::check_database(&self.path)? {
            true => self.schema.inspect(&self.looker()?, &self.path),
            false => Ok(Version { found: 0, known: 0 }),
        }
    }

    /// A connection that cannot write, to a file of whatever version.
    pub fn looker(&self) -> Result<Connection, StoreError> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// A connection that writes to the file as it is, of whatever version.
    pub fn changer(&self) -> Result<Connection, StoreError> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, StoreError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection =
            Connection::open_with_flags(&self.path, flags).map_err(|error| self.error(error))?;
        patience::give(&mut connection, self.busy_timeout).map_err(|error| self.error(error))?;
        connection.set_prepared_statement_cache_capacity(64);
        for (setting, value) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        ] {
            self.configure(&connection, setting, value)?;
        }
        for (pragma, value) in [
            ("foreign_keys", 1),
            ("trusted_schema", 0),
            ("cell_size_check", 1),
            ("mmap_size", 0),
            ("temp_store", 2),
            ("secure_delete", 1),
            ("journal_size_limit", 64 * 1024 * 1024),
        ] {
            self.set(&connection, pragma, value)?;
        }
        self.keep_wal(&connection)?;
        Ok(connection)
    }

    /// Keeps `-wal` and `-shm` when the last connection closes, so that a reader without the right
    /// to make files can open the store while nobody else has it open.
    fn keep_wal(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut keep = 1;
        connection
            .file_control(Some(c"main"), FileControl::PersistWal(&mut keep))
            .map_err(|error| self.error(error))
    }

    /// Turns a new file to write-ahead logging. SQLite answers `Busy` at once while another process
    /// does the same, so the waiting is ours.
    fn enter_wal(&self, connection: &Connection) -> Result<(), StoreError> {
        let since = Instant::now();
        loop {
            let mode = connection
                .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))
                .map_err(|error| self.error(error));
            match mode {
                Ok(mode) if mode == "wal" => return Ok(()),
                Ok(mode) => return Err(self.refused("journal_mode", &mode)),
                Err(StoreError::Busy) if since.elapsed() < self.busy_timeout => {
                    thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn set(&self, connection: &Connection, pragma: &str, value: i64) -> Result<(), StoreError> {
        // Some of these answer with a row when they are set, some do not.
        connection
            .pragma_update_and_check(None, pragma, value, |_| Ok(()))
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(()),
                other => Err(other),
            })
            .map_err(|error| self.error(error))?;
        let read = connection
            .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            .map_err(|error| self.error(error))?;
        if read == value { Ok(()) } else { Err(self.refused(pragma, &read.to_string())) }
    }

    fn configure(&self, connection: &Connection, setting: DbConfig, value: bool) -> Result<(), StoreError> {
        let read = connection.set_db_config(setting, value).map_err(|error| self.error(error))?;
        if read == value { Ok(()) } else { Err(self.refused(&format!("{setting:?}"), &read.to_string())) }
    }

    fn refused(&self, setting: &str, value: &str) -> StoreError {
        StoreError::Sqlite(format!("{} keeps the setting {setting} at {value}", shown(&self.path)))
    }

    /// Refuses a connection whose file is no longer the one at its path: what it says is of no use
    /// to anybody else, and what it writes is lost.
    pub fn check_place(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut moved = 0;
        connection
            .file_control(Some(c"main"), FileControl::HasMoved(&mut moved))
            .map_err(|error| self.error(error))?;
        if moved != 0 {
            return Err(StoreError::Replaced { file: shown(&self.path) });
        }
        Ok(())
    }

    pub fn error(&self, error: rusqlite::Error) -> StoreError {
        StoreError::at(error, &self.path)
    }
}

/// The folder and the file name of a database.
pub(in crate::store) fn database(home: &Path, schema: &'static Schema, busy_timeout: Duration) -> Database {
    Database { path: home.join(schema.file), schema, busy_timeout, upgrades: false }
}

/// A connection that cannot write, for somebody of his own.
pub(in crate::store) struct Reader {
    connection: Connection,
    database: Database,
}

impl Reader {
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { connection: database.reader()?, database: database.clone() })
    }

    /// Runs `job` on one state of the file, however many statements it takes. Where there is a key, seals are checked.
    pub fn read<T, E: From<StoreError>>(
        &self,
        key: Option<&RowKey>,
        job: impl FnOnce(&Rows<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let error = |error| self.database.error(error);
        let transaction = self.connection.unchecked_transaction().map_err(error)?;
        let result = job(&Rows::new(&transaction, key))?;
        transaction.finish().map_err(error)?;
        Ok(result)
    }

    /// Runs `job` on as many states as it has statements.
    pub fn glance<T>(&self, job: impl FnOnce(&Rows<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        job(&Rows::new(&self.connection, None))
    }

    /// A number that changes with each commit of any other connection. A few microseconds.
    ///
    /// An error where the file was deleted or replaced: then nothing that was read of it counts.
    pub fn moves(&self) -> Result<i64, StoreError> {
        self.check_place()?;
        data_version(&self.connection)
    }

    /// Refuses one whose file is no longer the one at its path.
    pub fn check_place(&self) -> Result<(), StoreError> {
        self.database.check_place(&self.connection)
    }

    /// Whether SQLite finds the file whole, in its own words, looked at until `stop` says so.
    pub fn quick_check(&mut self, stop: impl FnMut() -> bool + Send + 'static) -> Result<String, StoreError> {
        const STEPS: i32 = 1000;
        self.connection.progress_handler(STEPS, Some(stop)).map_err(|error| self.database.error(error))?;
        let check = "PRAGMA quick_check(1)";
        self.connection.query_row(check, [], |row| row.get(0)).map_err(|error| self.database.error(error))
    }
}

pub(super) fn data_version(c: &Connection) -> Result<i64, StoreError> {
    Ok(c.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}
