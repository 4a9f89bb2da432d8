//! A filter as a condition in SQL. Values are bound, never written into the text.

use rusqlite::types::Value;

use super::super::StoreError;
use crate::domain::{
    clock::Timestamp,
    filter::{Filter, Term, Test},
    name::ScopeName,
    text::visible,
};

/// A condition whose placeholders are all `?`, with their values in order.
pub(super) struct Condition {
    pub sql: String,
    pub values: Vec<Value>,
}

/// The state as of the bound moment; the same as [`crate::domain::api_key::ApiKey::state`].
const STATE: &str = "CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
    WHEN expires_at IS NOT NULL AND expires_at <= ? THEN 'expired'
    WHEN disabled THEN 'disabled' ELSE 'active' END";

/// All terms must hold.
pub(super) fn compile(filter: &Filter, now: Timestamp) -> Result<Condition, StoreError> {
    let mut condition = Condition { sql: "1".into(), values: Vec::new() };
    for Term { negated, test } in &filter.terms {
        condition.sql.push_str(if *negated { " AND NOT " } else { " AND " });
        condition.term(test, now)?;
    }
    Ok(condition)
}

impl Condition {
    fn term(&mut self, test: &Test, now: Timestamp) -> Result<(), StoreError> {
        match test {
            Test::Text(text) => self.any_text(text, now),
            Test::Field { field, value } => match *field {
                "id" | "name" | "subject" | "policy" => self.like(field, value),
                "env" => self.like("environment", value),
                "scope" => self.scope(value),
                "state" => self.push(&format!("({STATE}) = ?"), [now.millis().into(), value.clone().into()]),
                other => return Err(StoreError::Filter(visible(other).into_owned())),
            },
            Test::Moment { field, before, moment } => {
                let moment = moment.millis().into();
                match (*field, before) {
                    ("created", true) => self.push("created_at < ?", [moment]),
                    ("created", false) => self.push("created_at > ?", [moment]),
                    ("expires", true) => self.push("(expires_at IS NOT NULL AND expires_at < ?)", [moment]),
                    // What never expires does so after every moment.
                    ("expires", false) => self.push("(expires_at IS NULL OR expires_at > ?)", [moment]),
                    (other, _) => return Err(StoreError::Filter(visible(other).into_owned())),
                }
            }
        }
        Ok(())
    }

    fn any_text(&mut self, text: &str, now: Timestamp) {
        self.sql.push('(');
        for column in ["id", "name", "subject", "policy", "environment"] {
            self.like(column, text);
            self.sql.push_str(" OR ");
        }
        // The names stand in a JSON array, whose own punctuation no name can hold.
        if text.parse::<ScopeName>().is_ok() {
            self.like("scopes", text);
            self.sql.push_str(" OR ");
        }
        self.push(&format!(r"({STATE}) LIKE ? ESCAPE '\'"), [now.millis().into(), pattern(text).into()]);
        self.sql.push(')');
    }

    fn like(&mut self, column: &str, text: &str) {
        self.push(&format!(r"{column} LIKE ? ESCAPE '\'"), [pattern(text).into()]);
    }

    fn scope(&mut self, name: &str) {
        match name.parse::<ScopeName>() {
            Ok(name) => self.push("instr(scopes, ?) > 0", [format!("\"{name}\"").into()]),
            Err(_) => self.sql.push('0'),
        }
    }

    fn push<const N: usize>(&mut self, sql: &str, values: [Value; N]) {
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

/// `text` as a substring for `LIKE … ESCAPE '\'`.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
