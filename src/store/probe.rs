//! Whether the store can be written now, or others hold it.

use std::time::Duration;

use rusqlite::Connection;

use super::{StoreError, connection::Database, feed};

/// Asks whether `portcullis.db` can be written, on a connection of its own, and writes nothing.
pub struct Probe {
    database: Database,
    connection: Option<Connection>,
}

impl Probe {
    pub(super) fn new(database: Database) -> Self {
        Self { database, connection: None }
    }

    /// Waits at most `patience` for whoever writes. [`StoreError::Busy`] where that is not enough and nobody has committed
    /// meanwhile either: SQLite's waiting is a lottery, and where many write one may lose all of it, while others revoke.
    pub fn try_write(&mut self, patience: Duration) -> Result<(), StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.writer_again()?,
        };
        self.database.check_place(&connection)?;
        let at = |error| self.database.error(error);
        connection.busy_timeout(patience).map_err(at)?;
        let before = feed::data_version(&connection)?;
        let asked = match connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").map_err(at) {
            Err(StoreError::Busy) if feed::data_version(&connection)? != before => Ok(()),
            asked => asked,
        };
        self.connection = Some(connection);
        asked
    }
}
