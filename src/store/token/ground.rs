//! What issued tokens rest on, in SQLite, for the books alone: who judges a token reads it in the token itself.

use rusqlite::{Row, params, params_from_iter, types::Value};

use super::super::{Rows, StoreError, api_key, seal::Table};
use crate::domain::{
    api_key::{ApiKey, KeyId, SecretMark},
    clock::Timestamp,
    token::{Grounds, KeyGround, Parent, TokenId},
};

const COLUMNS: &str = "jti, kind, object, place, secret, kid, issued_at";

pub(in crate::store) static TABLE: Table = Table { name: "token_ground", columns: COLUMNS, width: 7, key: 3 };

/// The kinds of grounds.
const KEY: &str = "key";
const TOKEN: &str = "token";

/// Writes down what a token rests on.
pub(super) fn insert(c: &Rows<'_>, jti: TokenId, grounds: &Grounds) -> Result<(), StoreError> {
    let add = |kind: &str, object: String, rest: [Value; 4]| -> Result<(), StoreError> {
        let [place, secret, kid, issued_at] = rest;
        let values =
            [jti.to_string().into(), kind.to_owned().into(), object.into(), place, secret, kid, issued_at];
        c.prepare_cached(&format!(
            "INSERT INTO token_ground ({COLUMNS}, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        ))?
        .execute(params_from_iter(TABLE.seal(c, values)?))?;
        Ok(())
    };
    if let Some(KeyGround { id, secret }) = &grounds.key {
        let secret = secret.to_bytes().to_vec();
        add(KEY, id.to_string(), [0.into(), secret.into(), Value::Null, Value::Null])?;
    }
    for (place, Parent { jti, kid, issued_at }) in (1_i64..).zip(&grounds.parents) {
        let rest = [place.into(), Value::Null, kid.to_string().into(), issued_at.millis().into()];
        add(TOKEN, jti.to_string(), rest)?;
    }
    Ok(())
}

/// What a token rests on.
pub(super) fn of(c: &Rows<'_>, jti: TokenId) -> Result<Grounds, StoreError> {
    let mut select =
        c.prepare_cached(&format!("SELECT {COLUMNS}, mac FROM token_ground WHERE jti = ?1 ORDER BY place"))?;
    let mut rows = select.query([jti.to_string()])?;
    let mut grounds = Grounds::default();
    while let Some(row) = rows.next()? {
        TABLE.check(c, row, 0)?;
        read(row, &mut grounds)?;
    }
    Ok(grounds)
}

fn read(row: &Row<'_>, grounds: &mut Grounds) -> Result<(), StoreError> {
    let (jti, kind, object): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let bad =
        |why: &dyn std::fmt::Display| StoreError::row(TABLE.name, &[&*jti, &*kind, &*object].join(" "), why);
    match kind.as_str() {
        KEY => {
            let secret: [u8; 8] = row.get(4)?;
            let id = object.parse().map_err(|error| bad(&error))?;
            grounds.key = Some(KeyGround { id, secret: SecretMark::from_bytes(secret) });
        }
        TOKEN => grounds.parents.push(Parent {
            jti: object.parse().map_err(|error| bad(&error))?,
            kid: row.get::<_, String>(5)?.parse().map_err(|error| bad(&error))?,
            issued_at: Timestamp::from_millis(row.get(6)?),
        }),
        _ => return Err(bad(&"it is of a kind that this portcullis does not know")),
    }
    Ok(())
}

/// What grounds rest on last of all: a key, or the token from which all were narrowed.
fn root(grounds: &Grounds) -> Option<(&'static str, String)> {
    let of_key = grounds.key.as_ref().map(|key| (KEY, key.id.to_string()));
    of_key.or_else(|| Some((TOKEN, grounds.parents.last()?.jti.to_string())))
}

/// How many tokens live at `now` that rest, last of all, on what these grounds rest on. No seal is looked at, and those that
/// were revoked count: they are remembered all the same.
pub fn live_beside(c: &Rows<'_>, grounds: &Grounds, now: Timestamp) -> Result<u64, StoreError> {
    let Some((kind, object)) = root(grounds) else { return Ok(0) };
    let mut select = c.prepare_cached(
        "SELECT count(*) FROM token_ground g JOIN token t ON t.jti = g.jti
         WHERE g.kind = ?1 AND g.object = ?2 AND t.expires_at > ?3",
    )?;
    let count: i64 = select.query_row(params![kind, object, now.millis()], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Up to `most` of these that expired before `before`: id, subject and policy.
pub(super) fn expired_beside(
    c: &Rows<'_>,
    grounds: &Grounds,
    before: Timestamp,
    most: u32,
) -> Result<Vec<(String, String, String)>, StoreError> {
    let Some((kind, object)) = root(grounds) else { return Ok(Vec::new()) };
    let mut select = c.prepare_cached(
        "SELECT t.jti, t.subject, t.policy FROM token_ground g JOIN token t ON t.jti = g.jti
         WHERE g.kind = ?1 AND g.object = ?2 AND t.expires_at < ?3 LIMIT ?4",
    )?;
    let found = select.query_map(params![kind, object, before.millis(), most], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The key as it is now; `None` where there is none, or none whose row can be believed, which no gateway takes.
pub fn key(c: &Rows<'_>, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    StoreError::none_where_damaged(api_key::find(c, id))
}

/// Forgets what a token rested on that is forgotten itself.
pub(super) fn delete(c: &Rows<'_>, jti: &str) -> Result<(), StoreError> {
    c.prepare_cached("DELETE FROM token_ground WHERE jti = ?1")?.execute(params![jti])?;
    Ok(())
}
