//! A filter as a condition in SQL. Values are bound, never written into the text.

use super::listed::{Field, Holds, Listed, Query, field};
use crate::{
    domain::{
        clock::Timestamp,
        filter::{Term, Test},
        name::ScopeName,
        text::visible,
    },
    store::{StoreError, value::Value},
};

/// A condition whose placeholders are all `?`, with their values in order.
#[derive(Clone)]
pub(super) struct Condition {
    pub sql: String,
    pub values: Vec<Value>,
}

/// All terms of the filter of `q` must hold. `by_index` puts another in the place of one that an index can answer, or says
/// that none is to: SQLite knows not how much it would find, and would look up every row of a table that is under one policy.
pub(super) fn compile<S: Listed>(
    q: &Query<S>,
    mut by_index: impl FnMut(&Condition) -> Result<Option<Condition>, StoreError>,
) -> Result<Condition, StoreError> {
    let mut fits = Condition { sql: "1".into(), values: Vec::new() };
    for Term { negated, test } in &q.filter.terms {
        let found = match !negated && is_indexed::<S>(test) {
            true => by_index(&Condition::of::<S>(test, q.now, "")?)?,
            false => None,
        };
        let term = match found {
            Some(term) => term,
            None => Condition::of::<S>(test, q.now, NO_INDEX)?,
        };
        fits.push(if *negated { " AND NOT " } else { " AND " }, []);
        fits.push(&term.sql, term.values);
    }
    Ok(fits)
}

/// Before a column: it says nothing, but that no index is to be used for it.
pub(super) const NO_INDEX: &str = "+";

fn is_indexed<S: Listed>(test: &Test) -> bool {
    match test {
        Test::Field { field, .. }
        | Test::Exact { field, .. }
        | Test::At { field, .. }
        | Test::Moment { field, .. } => {
            S::FIELDS.iter().any(|known| known.is_indexed && known.name == *field)
        }
        Test::Text(_) => false,
    }
}

impl Condition {
    /// One test, with `mark` before the columns.
    fn of<S: Listed>(test: &Test, now: Timestamp, mark: &str) -> Result<Self, StoreError> {
        let mut condition = Self { sql: String::new(), values: Vec::new() };
        condition.test::<S>(test, now, mark)?;
        Ok(condition)
    }

    fn test<S: Listed>(&mut self, test: &Test, now: Timestamp, mark: &str) -> Result<(), StoreError> {
        match test {
            Test::Text(text) => self.any_text::<S>(text, now),
            Test::Exact { field: "state", value } | Test::Field { field: "state", value } => {
                self.state::<S>("= ?", value.clone(), now);
            }
            Test::Exact { field: name, value } => match field::<S>(name)? {
                Field { column, holds: Holds::Text, .. } => {
                    self.push(&format!("{mark}{column} = ?"), [value.clone().into()]);
                }
                Field { column, holds: Holds::Texts, .. } => {
                    let sql = format!("EXISTS (SELECT 1 FROM json_each({column}) WHERE value = ?)");
                    self.push(&sql, [value.clone().into()]);
                }
                Field { column, holds: Holds::Scopes, .. } => self.scope(column, value),
                other => return Err(unfit(other)),
            },
            Test::Field { field: name, value } => match field::<S>(name)? {
                Field { column, holds: Holds::Text | Holds::Texts, .. } => self.like(column, value),
                Field { column, holds: Holds::Scopes, .. } => self.scope(column, value),
                other => return Err(unfit(other)),
            },
            Test::At { field: name, moment } => match field::<S>(name)? {
                // Never is no moment, and not unknown.
                Field { column, holds: Holds::Moment | Holds::MomentOrNever, .. } => {
                    self.push(&format!("{mark}{column} IS ?"), [moment.millis().into()]);
                }
                other => return Err(unfit(other)),
            },
            Test::Moment { field: name, before, moment } => {
                let sql = match (field::<S>(name)?, before) {
                    (Field { column, holds: Holds::Moment, .. }, true) => format!("{mark}{column} < ?"),
                    (Field { column, holds: Holds::Moment, .. }, false) => format!("{mark}{column} > ?"),
                    (Field { column, holds: Holds::MomentOrNever, .. }, true) => {
                        format!("({column} IS NOT NULL AND {mark}{column} < ?)")
                    }
                    (Field { column, holds: Holds::MomentOrNever, .. }, false) => {
                        format!("({mark}{column} IS NULL OR {mark}{column} > ?)")
                    }
                    (other, _) => return Err(unfit(other)),
                };
                self.push(&sql, [moment.millis().into()]);
            }
        }
        Ok(())
    }

    /// `text` stands somewhere in what the row says, its state included.
    fn any_text<S: Listed>(&mut self, text: &str, now: Timestamp) {
        self.sql.push('(');
        for Field { column, holds, .. } in S::FIELDS {
            let is_text = match holds {
                Holds::Text | Holds::Texts => true,
                // The names stand in a JSON array, whose own punctuation no name can hold.
                Holds::Scopes => text.parse::<ScopeName>().is_ok(),
                Holds::Moment | Holds::MomentOrNever => false,
            };
            if is_text {
                self.like(column, text);
                self.sql.push_str(" OR ");
            }
        }
        self.state::<S>(r"LIKE ? ESCAPE '\'", pattern(text), now);
        self.sql.push(')');
    }

    fn state<S: Listed>(&mut self, test: &str, value: String, now: Timestamp) {
        self.push(&format!("({}) {test}", S::STATE), nows(S::STATE, now));
        self.values.push(value.into());
    }

    /// `text` stands somewhere in `column`, ASCII case ignored.
    fn like(&mut self, column: &str, text: &str) {
        self.push(&format!(r"{column} LIKE ? ESCAPE '\'"), [pattern(text).into()]);
    }

    /// `name` is one of the JSON array of scopes in `column`.
    fn scope(&mut self, column: &str, name: &str) {
        match name.parse::<ScopeName>() {
            Ok(name) => self.push(&format!("instr({column}, ?) > 0"), [format!("\"{name}\"").into()]),
            Err(_) => self.sql.push('0'),
        }
    }

    pub fn push(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

/// The moment, as often as a state in SQL wants it.
pub fn nows(state: &'static str, now: Timestamp) -> impl Iterator<Item = Value> {
    state.matches('?').map(move |_| now.millis().into())
}

/// A field that cannot be asked so.
fn unfit(field: &Field) -> StoreError {
    StoreError::Filter(visible(field.name).into_owned())
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
