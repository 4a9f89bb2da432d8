//! A filter of the list of keys as a condition in SQL.

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

/// The state as of the bound moment; the same as [`crate::domain::api_key::ApiKey::state`].
const STATE: &str = "CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
    WHEN expires_at IS NOT NULL AND expires_at <= ? THEN 'expired'
    WHEN disabled THEN 'disabled' ELSE 'active' END";

/// All terms must hold.
pub(super) fn compile(filter: &Filter, now: Timestamp) -> Result<Condition, StoreError> {
    Condition::of(filter, |condition, test| term(condition, test, now))
}

fn term(condition: &mut Condition, test: &Test, now: Timestamp) -> Result<(), StoreError> {
    match test {
        Test::Text(text) => any_text(condition, text, now),
        Test::Exact { field, value } => match *field {
            "id" | "name" | "subject" | "policy" => condition.is(field, value),
            "env" => condition.is("environment", value),
            _ => field_test(condition, field, value, now)?,
        },
        Test::Field { field, value } => field_test(condition, field, value, now)?,
        Test::At { field, moment } => match *field {
            "created" => condition.push("created_at = ?", [moment.millis().into()]),
            // Of one that never expires it is NULL, which is no moment, and not unknown.
            "expires" => condition.push("expires_at IS ?", [moment.millis().into()]),
            other => return Err(StoreError::Filter(visible(other).into_owned())),
        },
        Test::Moment { field, before, moment } => {
            let moment = moment.millis().into();
            match (*field, before) {
                ("created", true) => condition.push("created_at < ?", [moment]),
                ("created", false) => condition.push("created_at > ?", [moment]),
                ("expires", true) => condition.push("(expires_at IS NOT NULL AND expires_at < ?)", [moment]),
                // What never expires does so after every moment.
                ("expires", false) => condition.push("(expires_at IS NULL OR expires_at > ?)", [moment]),
                (other, _) => return Err(StoreError::Filter(visible(other).into_owned())),
            }
        }
    }
    Ok(())
}

fn field_test(condition: &mut Condition, field: &str, value: &str, now: Timestamp) -> Result<(), StoreError> {
    match field {
        "id" | "name" | "subject" | "policy" => condition.like(field, value),
        "env" => condition.like("environment", value),
        "scope" => condition.scope("scopes", value),
        "state" => condition.push(&format!("({STATE}) = ?"), [now.millis().into(), value.to_owned().into()]),
        other => return Err(StoreError::Filter(visible(other).into_owned())),
    }
    Ok(())
}

fn any_text(condition: &mut Condition, text: &str, now: Timestamp) {
    condition.sql.push('(');
    for column in ["id", "name", "subject", "policy", "environment"] {
        condition.like(column, text);
        condition.sql.push_str(" OR ");
    }
    // The names stand in a JSON array, whose own punctuation no name can hold.
    if text.parse::<ScopeName>().is_ok() {
        condition.like("scopes", text);
        condition.sql.push_str(" OR ");
    }
    condition.push(&format!(r"({STATE}) LIKE ? ESCAPE '\'"), [now.millis().into(), pattern(text).into()]);
    condition.sql.push(')');
}
