//! A filter of the list of issued tokens as a condition in SQL.

use rusqlite::types::Value;

use super::super::{
    StoreError,
    condition::{Condition, pattern},
};
use crate::domain::{
    clock::Timestamp,
    filter::{Filter, Test},
    name::ScopeName,
    text::visible,
};

/// The state as of the bound moment ([`NOWS`] times); the same as [`crate::domain::token::IssuedToken::state`] with
/// [`super::refusal`].
const STATE: &str = "CASE
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

/// How often the moment is bound in [`STATE`].
pub(super) const NOWS: usize = 6;

/// The moment, as often as [`STATE`] wants it.
pub(super) fn nows(now: Timestamp) -> [Value; NOWS] {
    std::array::from_fn(|_| now.millis().into())
}

/// Counts the tokens that end after the moment, which is bound once more than in [`STATE`]: live, expiring, revoked.
pub(super) fn states() -> String {
    // materialized, so that the state of each is found out once and not three times
    format!(
        "WITH standing (state) AS MATERIALIZED (SELECT {STATE} FROM token WHERE expires_at > ?)
         SELECT coalesce(sum(state = 'live'), 0), coalesce(sum(state = 'expiring'), 0),
                coalesce(sum(state = 'revoked'), 0)
         FROM standing"
    )
}

/// Counts those that `condition` holds for and that are neither revoked nor expired at the moment ([`nows`]), which comes
/// after the values of the condition.
pub(super) fn live(condition: &str) -> String {
    format!("SELECT count(*) FROM token WHERE ({condition}) AND ({STATE}) IN ('live', 'expiring')")
}

/// All terms must hold.
pub(super) fn compile(filter: &Filter, now: Timestamp) -> Result<Condition, StoreError> {
    Condition::of(filter, |condition, test| term(condition, test, now))
}

fn term(condition: &mut Condition, test: &Test, now: Timestamp) -> Result<(), StoreError> {
    match test {
        Test::Text(text) => any_text(condition, text, now),
        Test::Exact { field, value } => match *field {
            "jti" | "subject" | "client" | "policy" | "kid" => condition.is(field, value),
            "alg" => condition.is("algorithm", value),
            "audience" => condition.one_of(field, value),
            _ => field_test(condition, field, value, now)?,
        },
        Test::Field { field, value } => field_test(condition, field, value, now)?,
        Test::At { field, moment } => match *field {
            "issued" => condition.push("issued_at = ?", [moment.millis().into()]),
            "expires" => condition.push("expires_at = ?", [moment.millis().into()]),
            other => return Err(StoreError::Filter(visible(other).into_owned())),
        },
        Test::Moment { field, before, moment } => {
            let moment = moment.millis().into();
            match (*field, before) {
                ("issued", true) => condition.push("issued_at < ?", [moment]),
                ("issued", false) => condition.push("issued_at > ?", [moment]),
                ("expires", true) => condition.push("expires_at < ?", [moment]),
                ("expires", false) => condition.push("expires_at > ?", [moment]),
                (other, _) => return Err(StoreError::Filter(visible(other).into_owned())),
            }
        }
    }
    Ok(())
}

fn field_test(condition: &mut Condition, field: &str, value: &str, now: Timestamp) -> Result<(), StoreError> {
    match field {
        "jti" | "subject" | "client" | "policy" | "kid" | "audience" => condition.like(field, value),
        "alg" => condition.like("algorithm", value),
        "scope" => condition.scope("scopes", value),
        "state" => state(condition, "=", value.to_owned(), now),
        other => return Err(StoreError::Filter(visible(other).into_owned())),
    }
    Ok(())
}

fn any_text(condition: &mut Condition, text: &str, now: Timestamp) {
    condition.sql.push('(');
    for column in ["jti", "subject", "client", "policy", "kid", "algorithm", "audience"] {
        condition.like(column, text);
        condition.sql.push_str(" OR ");
    }
    // The names stand in a JSON array, whose own punctuation no name can hold.
    if text.parse::<ScopeName>().is_ok() {
        condition.like("scopes", text);
        condition.sql.push_str(" OR ");
    }
    state(condition, "LIKE", pattern(text), now);
    condition.sql.push(')');
}

fn state(condition: &mut Condition, operator: &str, value: String, now: Timestamp) {
    let n = || Value::from(now.millis());
    let escape = if operator == "LIKE" { r" ESCAPE '\'" } else { "" };
    condition.push(&format!("({STATE}) {operator} ?{escape}"), [n(), n(), n(), n(), n(), n(), value.into()]);
}
