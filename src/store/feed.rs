//! The change feed: what was committed since one last looked, by any process.
use std::ops::ControlFlow;

use super::{
    RowKey, Rows, Store, StoreError,
    sqlite::connection::{Database, Reader},
    table::Table,
};
use crate::domain::{
    api_key::KeyId,
    name::{PolicyName, ScopeName},
    token::TokenId,
};

/// How many changes are kept for those who look seldom.
const KEPT: i64 = 10_000;

pub(super) static TABLE: Table = Table::new("change", "seq, noun, object", 1);

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Key(KeyId),
    Policy(PolicyName),
    Scope(ScopeName),
    /// Any of the scopes: earlier versions did not say which.
    Scopes,
    /// One token was revoked.
    Revoked(TokenId),
    /// Tokens were revoked by subject, by key, or by when they were issued.
    Revocations,
    SigningKeys,
    Issuers,
    /// Anything: more than the feed remembers, or of a kind that this version does not know.
    /// Load everything anew.
    All,
}

impl Change {
    fn columns(&self) -> (&'static str, String) {
        match self {
            Self::Key(id) => ("key", id.to_string()),
            Self::Policy(name) => ("policy", name.to_string()),
            Self::Scope(name) => ("scopes", name.to_string()),
            Self::Scopes => ("scopes", String::new()),
            Self::Revoked(id) => ("revoked", id.to_string()),
            Self::Revocations => ("revocations", String::new()),
            Self::SigningKeys => ("signing_keys", String::new()),
            Self::Issuers => ("issuers", String::new()),
            Self::All => ("all", String::new()),
        }
    }

    fn from_columns(noun: &str, object: &str) -> Self {
        match noun {
            "key" => object.parse().map_or(Self::All, Self::Key),
            "policy" => object.parse().map_or(Self::All, Self::Policy),
            "scopes" => object.parse().map_or(Self::Scopes, Self::Scope),
            "revoked" => object.parse().map_or(Self::All, Self::Revoked),
            "revocations" => Self::Revocations,
            "signing_keys" => Self::SigningKeys,
            "issuers" => Self::Issuers,
            _ => Self::All,
        }
    }
}

/// Records a change, in the transaction that makes it. The nouns' own functions call this, so that
/// no change goes untold.
pub fn append(c: &Rows<'_>, change: &Change) -> Result<(), StoreError> {
    let (noun, object) = change.columns();
    let seq = position(c)?.saturating_add(1);
    TABLE.insert(c, [seq.into(), noun.into(), object.into()])?;
    c.run("DELETE FROM change WHERE seq <= ?1", [seq - KEPT]).map(|_| ())
}

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
        self.read(|c| changes(c, after))
    }

    /// Reads on the feed's own connection.
    pub fn read<T>(&self, job: impl FnOnce(&Rows<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.reader.read(self.key.as_ref(), job)
    }
}

/// The position of the newest change that there ever was, in the state that `c` reads. SQLite counts them apart from
/// the rows, so that a row that is gone from the end is missed.
pub fn position(c: &Rows<'_>) -> Result<i64, StoreError> {
    c.get(
        "SELECT max(coalesce((SELECT max(seq) FROM change), 0),
                    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0))",
        (),
    )
}

fn changes(c: &Rows<'_>, after: i64) -> Result<(Vec<Change>, i64), StoreError> {
    let newest = position(c)?;
    let (mut changes, mut last) = (Vec::new(), after);
    let gap = c.walk(&TABLE.select("WHERE seq > ?1 ORDER BY seq"), [after], |row| {
        if row.get(0).ok() != last.checked_add(1) || TABLE.check(c, row, 0).is_err() {
            return Ok(ControlFlow::Break(()));
        }
        last += 1;
        let text = |column| row.text(column).unwrap_or_default();
        changes.push(Change::from_columns(text(1), text(2)));
        Ok(ControlFlow::Continue(()))
    })?;
    // After a copy was put back, `after` may also lie beyond the newest.
    let is_whole = gap.is_none() && last == newest;
    Ok(if is_whole { (changes, newest) } else { (vec![Change::All], newest) })
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
