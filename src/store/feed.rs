//! The change feed: what was committed since one last looked, by any process.

use super::{
    RowKey, Rows, Store, StoreError, change,
    sqlite::connection::{Database, Reader},
};

pub use super::change::{Change, append, position};

/// Watches the store from one thread, over a connection of its own.
pub struct Feed {
    reader: Reader,
    key: Option<RowKey>,
    moves: i64,
}

impl Feed {
    /// Starts at the newest commit.
    pub fn new(store: &Store) -> Result<Self, StoreError> {
        Self::watch(&store.0.portcullis.database, store.row_key().cloned())
    }

    fn watch(database: &Database, key: Option<RowKey>) -> Result<Self, StoreError> {
        let reader = Reader::open(database)?;
        let moves = reader.moves()?;
        Ok(Self { reader, key, moves })
    }

    /// Whether anything was committed to `portcullis.db` since the last call, by any connection. A few microseconds.
    ///
    /// An error where the file was deleted or replaced: then nothing that is in memory counts.
    pub fn moved(&mut self) -> Result<bool, StoreError> {
        let moves = self.reader.moves()?;
        let moved = moves != self.moves;
        self.moves = moves;
        Ok(moved)
    }

    /// The position of the newest change: what to hand to [`Feed::changes`] after loading everything
    /// in the same [`Feed::read`], or before it.
    pub fn position(&self) -> Result<i64, StoreError> {
        self.reader.glance(position)
    }

    /// The changes after position `after`, oldest first, and the position of the last.
    /// [`Change::All`] alone where they reach back further than the feed remembers, and where one of them is damaged or
    /// missing: whoever loads everything has missed nothing.
    pub fn changes(&mut self, after: i64) -> Result<(Vec<Change>, i64), StoreError> {
        self.read(|c| change::changes(c, after))
    }

    /// Reads on the feed's own connection.
    pub fn read<T>(&self, job: impl FnOnce(&Rows<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.reader.read(self.key.as_ref(), job)
    }
}

/// Watches `usage.db`.
pub struct UsageFeed(Feed);

impl UsageFeed {
    pub fn new(store: &Store) -> Result<Self, StoreError> {
        Feed::watch(&store.0.usage.database, None).map(Self)
    }

    pub fn moved(&mut self) -> Result<bool, StoreError> {
        self.0.moved()
    }
}
