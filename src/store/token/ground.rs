//! What issued tokens rest on, in SQLite, for the books alone: who judges a token reads it in the token itself.

use crate::domain::{
    api_key::{ApiKey, KeyId, SecretMark},
    clock::Timestamp,
    token::{Grounds, KeyGround, Parent, TokenId},
};
use crate::store::{
    Rows, StoreError, api_key,
    sqlite::Row,
    table::{Columns, Table},
    value::Value,
};

pub(in crate::store) static TABLE: Table =
    Table::new("token_ground", "jti, kind, object, place, secret, kid, issued_at", 3);

/// The kinds of grounds.
const KEY: &str = "key";
const TOKEN: &str = "token";

/// Writes down what a token rests on.
pub(super) fn insert(c: &Rows<'_>, jti: TokenId, grounds: &Grounds) -> Result<(), StoreError> {
    let add = |kind: &str, object: String, rest: [Value; 4]| {
        let [place, secret, kid, issued_at] = rest;
        TABLE.insert(c, [jti.to_string().into(), kind.into(), object.into(), place, secret, kid, issued_at])
    };
    if let Some(KeyGround { id, secret }) = &grounds.key {
        let secret = secret.to_bytes().to_vec();
        add(KEY, id.to_string(), [Value::Integer(0), secret.into(), Value::Null, Value::Null])?;
    }
    for (place, Parent { jti, kid, issued_at }) in (1_i64..).zip(&grounds.parents) {
        let rest = [place.into(), Value::Null, kid.as_str().into(), issued_at.millis().into()];
        add(TOKEN, jti.to_string(), rest)?;
    }
    Ok(())
}

/// What a token rests on.
pub(super) fn of(c: &Rows<'_>, jti: TokenId) -> Result<Grounds, StoreError> {
    let mut grounds = Grounds::default();
    c.each(&TABLE.select("WHERE jti = ?1 ORDER BY place"), [jti.to_string()], |row| {
        read(&TABLE.open(c, row)?, &mut grounds)
    })?;
    Ok(grounds)
}

fn read(row: &Columns<'_>, grounds: &mut Grounds) -> Result<(), StoreError> {
    match row.text(1)? {
        KEY => {
            let secret = SecretMark::from_bytes(row.get(4)?);
            grounds.key = Some(KeyGround { id: row.parse(2)?, secret });
        }
        TOKEN => {
            grounds.parents.push(Parent { jti: row.parse(2)?, kid: row.parse(5)?, issued_at: row.moment(6)? })
        }
        _ => return Err(row.bad("it is of a kind that this portcullis does not know")),
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
    c.count(
        "SELECT count(*) FROM token_ground g JOIN token t ON t.jti = g.jti
         WHERE g.kind = ?1 AND g.object = ?2 AND t.expires_at > ?3",
        (kind, object, now.millis()),
    )
}

/// Id, subject and policy of a token.
pub(super) type Expired = (String, String, String);

pub(super) fn expired(row: &Row<'_>) -> Result<Expired, StoreError> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// Up to `most` of these that expired before `before`.
pub(super) fn expired_beside(
    c: &Rows<'_>,
    grounds: &Grounds,
    before: Timestamp,
    most: u32,
) -> Result<Vec<Expired>, StoreError> {
    let Some((kind, object)) = root(grounds) else { return Ok(Vec::new()) };
    c.all(
        "SELECT t.jti, t.subject, t.policy FROM token_ground g JOIN token t ON t.jti = g.jti
         WHERE g.kind = ?1 AND g.object = ?2 AND t.expires_at < ?3 LIMIT ?4",
        (kind, object, before.millis(), most),
        expired,
    )
}

/// The key as it is now; `None` where there is none, or none whose row can be believed, which no gateway takes.
pub fn key(c: &Rows<'_>, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    StoreError::none_where_damaged(api_key::find(c, id))
}

/// Forgets what a token rested on that is forgotten itself.
pub(super) fn delete(c: &Rows<'_>, jti: &str) -> Result<(), StoreError> {
    TABLE.delete(c, jti).map(|_| ())
}
