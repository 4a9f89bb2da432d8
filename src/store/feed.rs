//! The change feed: what was committed since one last looked, by any process.
use rusqlite::Connection;

use super::{Store, StoreError, connection::Database};
use crate::domain::{api_key::KeyId, name::PolicyName};

/// How many changes are kept for those who look seldom.
const KEPT: i64 = 10_000;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Key(KeyId),
    Policy(PolicyName),
    Scopes,
    /// Anything: more than the feed remembers, or of a kind that this version does not know.
    /// Load everything anew.
    All,
}

impl Change {
    fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::Key(id) => ("key", id.as_str()),
            Self::Policy(name) => ("policy", name.as_str()),
            Self::Scopes => ("scopes", ""),
            Self::All => ("all", ""),
        }
    }

    fn from_columns(noun: &str, object: &str) -> Self {
        match noun {
            "key" => object.parse().map_or(Self::All, Self::Key),
            "policy" => object.parse().map_or(Self::All, Self::Policy),
            "scopes" => Self::Scopes,
            _ => Self::All,
        }
    }
}

/// Records a change, in the transaction that makes it. The nouns' own functions call this, so that
/// no change goes untold.
pub fn append(c: &Connection, change: &Change) -> Result<(), StoreError> {
    c.prepare_cached("INSERT INTO change (noun, object) VALUES (?1, ?2)")?.execute(change.columns())?;
    c.prepare_cached("DELETE FROM change WHERE seq <= ?1")?.execute([c.last_insert_rowid() - KEPT])?;
    Ok(())
}

/// Watches the store from one thread, over a connection of its own.
pub struct Feed {
    connection: Connection,
    database: Database,
    version: i64,
}

impl Feed {
    /// Starts at the newest commit.
    pub fn new(store: &Store) -> Result<Self, StoreError> {
        Self::watch(&store.0.portcullis.database)
    }

    fn watch(database: &Database) -> Result<Self, StoreError> {
        let connection = database.reader()?;
        let version = data_version(&connection)?;
        Ok(Self { connection, database: database.clone(), version })
    }

    /// Whether anything was committed to `portcullis.db` since the last call, by any connection (`PRAGMA data_version`). A few microseconds.
    ///
    /// An error where the file was deleted or replaced: then nothing that is in memory counts.
    pub fn moved(&mut self) -> Result<bool, StoreError> {
        self.database.check_place(&self.connection)?;
        let version = data_version(&self.connection)?;
        let moved = version != self.version;
        self.version = version;
        Ok(moved)
    }

    /// The position of the newest change: what to hand to [`Feed::changes`] after loading everything
    /// in the same [`Feed::read`], or before it.
    pub fn position(&self) -> Result<i64, StoreError> {
        position(&self.connection)
    }

    /// The changes after position `after`, oldest first, and the position of the last.
    /// [`Change::All`] alone where they reach back further than the feed remembers.
    pub fn changes(&mut self, after: i64) -> Result<(Vec<Change>, i64), StoreError> {
        self.read(|c| changes(c, after))
    }

    /// Reads on the feed's own connection.
    pub fn read<T>(
        &self,
        job: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        super::in_transaction(&self.connection, &self.database, job)
    }
}

/// The position of the newest change in the state that `c` reads.
pub fn position(c: &Connection) -> Result<i64, StoreError> {
    let mut select = c.prepare_cached("SELECT coalesce(max(seq), 0) FROM change")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

fn changes(c: &Connection, after: i64) -> Result<(Vec<Change>, i64), StoreError> {
    let newest = position(c)?;
    let oldest: i64 =
        c.prepare_cached("SELECT coalesce(min(seq), 1) FROM change")?.query_row([], |row| row.get(0))?;
    // After a copy was put back, `after` may also lie beyond the newest.
    if after < oldest - 1 || after > newest {
        return Ok((vec![Change::All], newest));
    }
    let mut select = c.prepare_cached("SELECT noun, object FROM change WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = select.query([after])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        changes.push(Change::from_columns(
            row.get_ref(0)?.as_str().unwrap_or_default(),
            row.get_ref(1)?.as_str().unwrap_or_default(),
        ));
    }
    Ok((changes, newest))
}

fn data_version(c: &Connection) -> Result<i64, StoreError> {
    Ok(c.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

/// Watches `usage.db`.
pub struct UsageFeed(Feed);

impl UsageFeed {
    pub fn new(store: &Store) -> Result<Self, StoreError> {
        Feed::watch(&store.0.usage.database).map(Self)
    }

    pub fn moved(&mut self) -> Result<bool, StoreError> {
        self.0.moved()
    }
}
