//! Schemas and the steps between them. Each step is one transaction, so that a kill at any moment
//! leaves the version before it or the one after it.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::store::{StoreError, error::shown, home};

/// What a database file holds.
pub(in crate::store) struct Schema {
    pub file: &'static str,
    /// SQLite's `application_id`, so that no other database is taken for ours.
    application_id: i64,
    /// The last version that was never released: refused, since no step leads on from it.
    unreleased: i64,
    steps: &'static [&'static str],
    /// `PRAGMA synchronous`: 2 = FULL, 1 = NORMAL.
    pub synchronous: i64,
    /// Whether those who write wait for it in turn, as a request does for its quota; else its writer steps back.
    pub is_waited_for: bool,
}

pub(in crate::store) static PORTCULLIS: Schema = Schema {
    file: home::STORE,
    application_id: 0x5043_4c53,
    unreleased: 1,
    steps: &[
        include_str!("../../../assets/migrations/portcullis/0001_first.sql"),
        include_str!("../../../assets/migrations/portcullis/0002_tokens.sql"),
        include_str!("../../../assets/migrations/portcullis/0003_issuers.sql"),
        include_str!("../../../assets/migrations/portcullis/0004_token_ground.sql"),
        include_str!("../../../assets/migrations/portcullis/0005_issuer_forms.sql"),
    ],
    synchronous: 2,
    is_waited_for: true,
};

pub(in crate::store) static USAGE: Schema = Schema {
    file: home::USAGE,
    application_id: 0x5043_4c55,
    unreleased: 0,
    steps: &[
        include_str!("../../../assets/migrations/usage/0001_first.sql"),
        include_str!("../../../assets/migrations/usage/0002_issuers.sql"),
        include_str!("../../../assets/migrations/usage/0003_strangers.sql"),
        include_str!("../../../assets/migrations/usage/0004_event_moments.sql"),
    ],
    synchronous: 1,
    is_waited_for: false,
};

/// Where a file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Version {
    pub found: i64,
    pub known: i64,
}

impl Schema {
    /// Reads the header and the schema table; writes nothing. Refuses what is not ours and what a
    /// newer portcullis has written.
    pub fn inspect(&self, connection: &Connection, path: &Path) -> Result<Version, StoreError> {
        let (application_id, found, tables): (i64, i64, i64) = connection
            .query_row(
                "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
                 FROM pragma_application_id, pragma_user_version",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(|error| StoreError::at(error, path))?;
        let known = self.known();
        let empty = application_id == 0 && found == 0 && tables == 0;
        if !empty && application_id != self.application_id {
            let detail = "it is a database of another program".into();
            return Err(StoreError::Corrupt { file: shown(path), detail });
        }
        if found > known {
            return Err(StoreError::TooNew { file: shown(path), found, known });
        }
        if found > 0 && found <= self.unreleased {
            return Err(StoreError::Unreleased { file: shown(path) });
        }
        Ok(Version { found, known })
    }

    /// Brings the file up to date, step by step. Two processes may do so at once.
    pub fn migrate(&self, connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
        while self.inspect(connection, path)?.found < self.known() {
            self.step(connection, path)?;
        }
        Ok(())
    }

    fn step(&self, connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
        let at = |error| StoreError::at(error, path);
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(at)?;
        // Another process may have taken this step while we waited for the lock.
        let found = self.inspect(&step, path)?.found.max(self.unreleased);
        let Some(sql) = usize::try_from(found - self.unreleased).ok().and_then(|done| self.steps.get(done))
        else {
            return Ok(());
        };
        step.execute_batch(sql).map_err(at)?;
        step.pragma_update(None, "application_id", self.application_id).map_err(at)?;
        step.pragma_update(None, "user_version", found + 1).map_err(at)?;
        step.commit().map_err(at)
    }

    /// A database in memory that is up to date.
    #[cfg(test)]
    pub fn in_memory(&self) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        self.migrate(&mut connection, Path::new(self.file)).unwrap();
        connection
    }

    fn known(&self) -> i64 {
        i64::try_from(self.steps.len()).map_or(i64::MAX, |steps| self.unreleased + steps)
    }
}
