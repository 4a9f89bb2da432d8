//! What is asked of credentials of every kind alike: how many there are in which state, how many are under a policy or have a
//! scope, and which rows are damaged. What a kind has of its own stands in one place, [`of`].

use serde::{Serialize, Serializer};

use super::{
    Rows, StoreError, api_key,
    listing::{self, Query},
    table::Table,
    token,
};
use crate::domain::{
    api_key::KeyState,
    clock::Timestamp,
    credential::{Kind, State},
    filter::Filter,
    name::PolicyName,
    token::TokenState,
};

/// How many credentials of a kind are in each state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub states: Vec<(State, u64)>,
    /// Those in use that end before the moment asked about, where that is counted.
    pub ending: u64,
}

impl Counts {
    pub fn all(&self) -> u64 {
        self.states.iter().map(|(_, count)| count).sum()
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.states.iter().map(|(state, count)| (state.as_str(), count)))
    }
}

impl From<api_key::Counts> for Counts {
    fn from(counts: api_key::Counts) -> Self {
        let api_key::Counts { active, disabled, expired, revoked, ending } = counts;
        let states = [
            (KeyState::Active, active),
            (KeyState::Disabled, disabled),
            (KeyState::Expired, expired),
            (KeyState::Revoked, revoked),
        ];
        Self { states: states.map(|(state, count)| (State::ApiKey(state), count)).into(), ending }
    }
}

impl From<token::Counts> for Counts {
    fn from(token::Counts { live, expiring, revoked }: token::Counts) -> Self {
        let states =
            [(TokenState::Live, live), (TokenState::Expiring, expiring), (TokenState::Revoked, revoked)];
        Self { states: states.map(|(state, count)| (State::Token(state), count)).into(), ending: 0 }
    }
}

/// What the store has of a kind.
struct Kept {
    table: &'static Table,
    /// Which rows keep their policy from being deleted, in SQL, as of the moment `?1`.
    holds_policy: &'static str,
    counts: fn(&Rows<'_>, Timestamp, Timestamp) -> Result<Counts, StoreError>,
    count: fn(&Rows<'_>, Filter, Timestamp) -> Result<u64, StoreError>,
    damaged: fn(&Rows<'_>) -> Result<Vec<String>, StoreError>,
    delete_damaged: fn(&Rows<'_>, &str) -> Result<bool, StoreError>,
}

fn of(kind: Kind) -> Kept {
    match kind {
        Kind::ApiKey => Kept {
            table: &api_key::TABLE,
            holds_policy: "TRUE",
            counts: |c, now, soon| Ok(api_key::counts(c, now, soon)?.into()),
            count: |c, filter, now| {
                listing::count(c, &Query { filter, sort: api_key::Sort::Created, descending: true, now })
            },
            damaged: api_key::damaged,
            delete_damaged: api_key::delete_damaged,
        },
        Kind::Token => Kept {
            table: &token::TABLE,
            holds_policy: "expires_at > ?1",
            counts: |c, now, _| Ok(token::counts(c, now)?.into()),
            count: |c, filter, now| {
                listing::count(c, &Query { filter, sort: token::Sort::Issued, descending: true, now })
            },
            damaged: token::damaged,
            delete_damaged: token::delete_damaged,
        },
    }
}

/// Counts those of each kind that are remembered, but for tokens that ended by themselves, in one pass a kind, which looks at no
/// seal; and those that end before `soon`.
pub fn counts(c: &Rows<'_>, now: Timestamp, soon: Timestamp) -> Result<Vec<(Kind, Counts)>, StoreError> {
    Kind::ALL.into_iter().map(|kind| Ok((kind, (of(kind).counts)(c, now, soon)?))).collect()
}

/// How many of a kind fit the filter.
pub fn count(c: &Rows<'_>, kind: Kind, filter: Filter, now: Timestamp) -> Result<u64, StoreError> {
    (of(kind).count)(c, filter, now)
}

/// How many of a kind keep the policy from being deleted: keys whatever their state, and tokens that have not expired, revoked
/// ones among them.
pub fn under(c: &Rows<'_>, kind: Kind, policy: &PolicyName, now: Timestamp) -> Result<u64, StoreError> {
    let Kept { table, holds_policy, .. } = of(kind);
    let sql = format!("SELECT count(*) FROM {} WHERE ({holds_policy}) AND policy = ?2", table.name);
    c.count(&sql, (now.millis(), policy.as_str()))
}

/// The same of all kinds together, in SQL; `policy` is the name's column, and the moment is bound to `?1`.
pub(super) fn all_under(policy: &str) -> String {
    let counts = Kind::ALL.map(|kind| {
        let Kept { table: Table { name, .. }, holds_policy, .. } = of(kind);
        format!("(SELECT count(*) FROM {name} WHERE {name}.policy = {policy} AND ({holds_policy}))")
    });
    counts.join(" + ")
}

/// The ids of rows that are damaged, or rest on one that is, as they stand there. Needs the vault.
pub fn damaged(c: &Rows<'_>, kind: Kind) -> Result<Vec<String>, StoreError> {
    (of(kind).damaged)(c)
}

/// Removes the row of this id if it is damaged still; `false` where it is not. Needs the vault.
pub fn delete_damaged(c: &Rows<'_>, kind: Kind, id: &str) -> Result<bool, StoreError> {
    (of(kind).delete_damaged)(c, id)
}
