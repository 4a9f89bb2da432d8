//! Whether the store can be written now, or others hold it.

use std::time::Duration;

use rusqlite::Connection;

use super::connection::{Database, data_version};
use crate::store::StoreError;

/// Asks whether `portcullis.db` can be written, on a connection of its own, and writes nothing.
pub struct Probe {
    database: Database,
    connection: Option<Connection>,
    /// How often in a row it had no turn.
    missed: u32,
}

/// Whoever has no turn more often than so has no bad luck: somebody takes the store again as soon as he has let go of it.
const MOST_MISSED: u32 = 2;

impl Probe {
    pub(in crate::store) fn new(database: Database) -> Self {
        Self { database, connection: None, missed: 0 }
    }

    /// Waits at most `patience` for whoever writes. [`StoreError::Busy`] where that is not enough and nobody has committed
    /// meanwhile either: SQLite's waiting is a lottery, and where many write one may lose all of it, while others revoke.
    /// [`StoreError::Busy`] as well at the third time in a row, whoever commits: who revokes has no better luck. And once it
    /// was held, only a turn of its own shows that it is not.
    pub fn try_write(&mut self, patience: Duration) -> Result<(), StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.writer_again()?,
        };
        self.database.check_place(&connection)?;
        let at = |error| self.database.error(error);
        connection.busy_timeout(patience).map_err(at)?;
        let before = data_version(&connection)?;
        let asked = connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").map_err(at);
        let others_wrote = asked == Err(StoreError::Busy) && data_version(&connection)? != before;
        self.connection = Some(connection);
        self.judge(asked, others_wrote)
    }

    pub(in crate::store) fn judge(
        &mut self,
        asked: Result<(), StoreError>,
        others_wrote: bool,
    ) -> Result<(), StoreError> {
        self.missed = match (&asked, others_wrote) {
            (Err(StoreError::Busy), true) => self.missed.saturating_add(1),
            (Err(StoreError::Busy), false) => u32::MAX,
            _ => 0,
        };
        if others_wrote && self.missed <= MOST_MISSED { Ok(()) } else { asked }
    }
}
