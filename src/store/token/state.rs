//! How issued tokens stand, in SQL: live, expiring, expired or revoked.

use crate::{
    domain::clock::Timestamp,
    store::{Rows, StoreError, listing::nows, sqlite::bound, value::Value},
};

/// The state as of the moment that is bound to each placeholder; the same as
/// [`IssuedToken::state`](crate::domain::token::IssuedToken::state) with what [`super::standing`] finds.
pub(super) const STATE: &str = "CASE
    WHEN EXISTS (SELECT 1 FROM revocation r WHERE r.kind = 'token' AND r.issuer = '' AND r.object = token.jti)
      OR EXISTS (SELECT 1 FROM revocation r
                 WHERE r.kind = 'subject' AND r.issuer = '' AND r.object = token.subject AND token.issued_at <= r.cut)
      OR EXISTS (SELECT 1 FROM revocation r WHERE r.kind = 'key' AND r.issuer = '' AND r.object = token.kid)
      OR EXISTS (SELECT 1 FROM revocation r
                 WHERE r.kind = 'issued_before' AND r.issuer = '' AND r.object = '' AND token.issued_at < r.cut)
      OR EXISTS (SELECT 1 FROM signing_key k
                 WHERE k.kid = token.kid AND (k.retired_at IS NOT NULL OR k.verifies_until <= ?))
      OR EXISTS (SELECT 1 FROM token_ground g WHERE g.jti = token.jti AND CASE g.kind
                 WHEN 'key' THEN NOT EXISTS
                     (SELECT 1 FROM api_key k
                      WHERE k.id = g.object AND k.revoked_at IS NULL AND NOT k.disabled
                        AND (k.expires_at IS NULL OR k.expires_at > ?)
                        AND (substr(k.digest, 1, 8) = g.secret
                             OR (k.previous_until > ? AND substr(k.previous_digest, 1, 8) = g.secret)))
                 ELSE EXISTS (SELECT 1 FROM revocation r WHERE r.issuer = '' AND CASE r.kind
                              WHEN 'token' THEN r.object = g.object
                              WHEN 'subject' THEN r.object = token.subject AND g.issued_at <= r.cut
                              WHEN 'key' THEN r.object = g.kid
                              ELSE g.issued_at < r.cut END)
                   OR EXISTS (SELECT 1 FROM signing_key k
                              WHERE k.kid = g.kid AND (k.retired_at IS NOT NULL OR k.verifies_until <= ?))
                 END)
    THEN 'revoked'
    WHEN expires_at <= ? THEN 'expired'
    WHEN (expires_at - ?) * 10 < expires_at - issued_at THEN 'expiring'
    ELSE 'live' END";

/// How many of the issued tokens that have not ended by themselves are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub live: u64,
    pub expiring: u64,
    pub revoked: u64,
}

/// Counts the tokens whose end lies ahead, in one pass, which looks at no seal.
pub fn counts(c: &Rows<'_>, now: Timestamp) -> Result<Counts, StoreError> {
    // materialized, so that the state of each is found out once and not three times
    let sql = format!(
        "WITH standing (state) AS MATERIALIZED (SELECT {STATE} FROM token WHERE expires_at > ?)
         SELECT coalesce(sum(state = 'live'), 0), coalesce(sum(state = 'expiring'), 0),
                coalesce(sum(state = 'revoked'), 0)
         FROM standing"
    );
    let values = nows(STATE, now).chain([now.millis().into()]);
    let counted = c.one(&sql, bound(values), |row| {
        let number = |column: usize| row.get::<i64>(column).map(i64::unsigned_abs);
        Ok(Counts { live: number(0)?, expiring: number(1)?, revoked: number(2)? })
    })?;
    Ok(counted.unwrap_or_default())
}

/// How many of those that `condition` holds for are neither revoked nor expired at `now`.
pub(super) fn live(
    c: &Rows<'_>,
    condition: &str,
    values: Vec<Value>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let sql = format!("SELECT count(*) FROM token WHERE ({condition}) AND ({STATE}) IN ('live', 'expiring')");
    c.count(&sql, bound(values.into_iter().chain(nows(STATE, now))))
}
