//! What is remembered of issued tokens, in SQLite. The tokens themselves are never kept.
mod ground;
mod list;
mod purge;
mod row;
mod standing;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use super::listing::{count, page, place, window};
use super::{Rows, StoreError, quota, table, value::Value};
use crate::domain::{
    api_key::KeyId,
    clock::Timestamp,
    name::Kid,
    revocation::Target,
    token::{Bound, IssuedToken, TokenId},
};
pub(super) use ground::TABLE as GROUNDS;
pub use ground::{key as ground_key, live_beside};
pub use list::{Query, Sort};
pub use purge::{damaged, delete_damaged, purge, purge_beside};
pub(super) use row::TABLE;
pub use standing::{Refusal, Standing, standing, standing_then};
use state::live;
pub use state::{Counts, counts};

pub fn find(c: &Rows<'_>, jti: TokenId) -> Result<Option<IssuedToken>, StoreError> {
    table::find(c, &jti.to_string())
}

/// How many tokens that the key signed have not ended by themselves, revoked ones among them.
pub fn unexpired_of(c: &Rows<'_>, kid: &Kid, now: Timestamp) -> Result<u64, StoreError> {
    c.count("SELECT count(*) FROM token WHERE kid = ?1 AND expires_at > ?2", (kid.as_str(), now.millis()))
}

/// How many tokens are live at `now` that a revocation of `target` would refuse, with what rests on them; of many no seal
/// is looked at.
pub fn live_of(c: &Rows<'_>, target: &Target, now: Timestamp) -> Result<u64, StoreError> {
    let (condition, values): (_, Vec<Value>) = match target {
        Target::Token { id } => {
            let id = id.to_string();
            (
                "jti = ? OR jti IN (SELECT jti FROM token_ground WHERE kind = 'token' AND object = ?)",
                vec![id.clone().into(), id.into()],
            )
        }
        Target::Subject { subject, cut } => {
            ("subject = ? AND issued_at <= ?", vec![subject.to_string().into(), cut.millis().into()])
        }
        Target::Key { issuer: None, kid } => (
            "kid = ? OR jti IN (SELECT jti FROM token_ground WHERE kid = ?)",
            vec![kid.to_string().into(), kid.to_string().into()],
        ),
        Target::IssuedBefore { issuer: None, moment } => (
            "issued_at < ? OR jti IN (SELECT jti FROM token_ground WHERE issued_at < ?)",
            vec![moment.millis().into(), moment.millis().into()],
        ),
        Target::Key { issuer: Some(_), .. } | Target::IssuedBefore { issuer: Some(_), .. } => return Ok(0),
    };
    live(c, condition, values, now)
}

/// How many tokens are live at `now` that rest on the key; no seal is looked at.
pub fn live_on(c: &Rows<'_>, key: KeyId, now: Timestamp) -> Result<u64, StoreError> {
    let condition = "jti IN (SELECT jti FROM token_ground WHERE kind = 'key' AND object = ?)";
    live(c, condition, vec![key.to_string().into()], now)
}

/// Adds a token, and the quota that it shares with all tokens of its subject under its policy.
pub fn insert(c: &Rows<'_>, token: &IssuedToken) -> Result<(), StoreError> {
    table::insert(c, token)?;
    ground::insert(c, token.jti, &token.rests_on)?;
    quota::open_shared(c, &quota::account_of_subject(&token.subject, &token.policy))
}

/// The limits that a token carries itself, ready to be judged by.
pub fn bound(token: &IssuedToken) -> Result<Option<Bound>, StoreError> {
    let read =
        |claim| Bound::read(claim).map_err(|bad| StoreError::row(TABLE.name, &token.jti.to_string(), bad));
    token.bound.as_ref().map(read).transpose()
}

/// The longest life of what the key `kid` signed and is remembered; zero where there is none.
pub fn longest_life(c: &Rows<'_>, kid: &Kid) -> Result<Duration, StoreError> {
    let sql = "SELECT coalesce(max(expires_at - issued_at), 0) FROM token WHERE kid = ?1";
    c.count(sql, [kid.as_str()]).map(Duration::from_millis)
}
