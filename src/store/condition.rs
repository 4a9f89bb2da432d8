//! A filter as a condition in SQL. Values are bound, never written into the text.

use rusqlite::types::Value;

use super::StoreError;
use crate::domain::{
    filter::{Filter, Term, Test},
    name::ScopeName,
};

/// A condition whose placeholders are all `?`, with their values in order.
pub(super) struct Condition {
    pub sql: String,
    pub values: Vec<Value>,
}

impl Condition {
    /// All terms of `filter` must hold; `term` writes one of them.
    pub fn of(
        filter: &Filter,
        mut term: impl FnMut(&mut Self, &Test) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let mut condition = Self { sql: "1".into(), values: Vec::new() };
        for Term { negated, test } in &filter.terms {
            condition.sql.push_str(if *negated { " AND NOT " } else { " AND " });
            term(&mut condition, test)?;
        }
        Ok(condition)
    }

    /// `text` stands somewhere in `column`, ASCII case ignored.
    pub fn like(&mut self, column: &str, text: &str) {
        self.push(&format!(r"{column} LIKE ? ESCAPE '\'"), [pattern(text).into()]);
    }

    /// `text` is what stands in `column`.
    pub fn is(&mut self, column: &str, text: &str) {
        self.push(&format!("{column} = ?"), [text.to_owned().into()]);
    }

    /// `text` is one of the JSON array in `column`.
    pub fn one_of(&mut self, column: &str, text: &str) {
        self.push(
            &format!("EXISTS (SELECT 1 FROM json_each({column}) WHERE value = ?)"),
            [text.to_owned().into()],
        );
    }

    /// `name` is one of the JSON array of scopes in `column`.
    pub fn scope(&mut self, column: &str, name: &str) {
        match name.parse::<ScopeName>() {
            Ok(name) => self.push(&format!("instr({column}, ?) > 0"), [format!("\"{name}\"").into()]),
            Err(_) => self.sql.push('0'),
        }
    }

    pub fn push<const N: usize>(&mut self, sql: &str, values: [Value; N]) {
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

/// `text` as a substring for `LIKE … ESCAPE '\'`.
pub(super) fn pattern(text: &str) -> String {
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
