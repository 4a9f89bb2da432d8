//! Lists: filtered, sorted, counted, shown by windows and read by pages, once for every noun.
//!
//! A noun that is listed costs some eighty lines: its [`Table`](super::table::Table) and [`Noun`] (the columns, written and
//! read), and an enum of its orders with [`Listed`], whose [`Field`]s say by which words the list is filtered and sorted, and
//! in which columns those stand. Whoever has a [`Query`] of that enum has [`count`], [`window`], [`place`] and [`page`], with
//! cursors, with what never comes to its moment, and with damaged rows in their places; each order wants an index on its
//! column and the id. The tests beside this do so for parcels.

mod cursor;
mod filter;
mod listed;
#[cfg(test)]
mod tests;

pub(super) use filter::nows;
pub use listed::{Field, Holds, Listed, Query};

use super::{
    Rows, StoreError,
    page::{Damaged, Gathering, Page, in_its_place},
    sqlite::{Row, bound},
    table::{Noun, Table, checked},
    value::{Value, to_json},
};
use cursor::Place;
use filter::{Condition, NO_INDEX};

/// So many rows may be looked up one by one, in the order of an index.
///
/// To look up all of a large table so takes many times as long as to read it from its beginning to its end, and to sort what
/// fits. So a filter of which an index shows that it finds no more than these is left to that index; any other is tried on as
/// many rows in the order of the list, which is soon done where it finds much; and what is still lacking is then looked for in
/// the whole table.
const LOOKED_AT: u64 = 4096;

/// How many there are.
pub fn count<S: Listed>(c: &Rows<'_>, q: &Query<S>) -> Result<u64, StoreError> {
    let alone = q.filter.terms.len() == 1;
    let few = |term: &Condition| if alone { Ok(Some(term.clone())) } else { few::<S>(c, term) };
    let Condition { sql, values } = filter::compile(q, few)?;
    c.count(&format!("SELECT count(*) FROM {} WHERE {sql}", S::Noun::TABLE.name), bound(values))
}

/// Rows `offset..offset+limit` of the sorted list: what a table shows. Where it is known that there are `total` of them,
/// rows of the second half are looked for from the end, so that the last are found as soon as the first. Where the vault is
/// open, seals are checked.
pub fn window<S: Listed>(
    c: &Rows<'_>,
    q: &Query<S>,
    offset: u64,
    limit: u32,
    total: Option<u64>,
) -> Result<Vec<Result<S::Item, Damaged>>, StoreError> {
    let end = offset.saturating_add(limit.into());
    let backwards = total.filter(|total| (total / 2..*total).contains(&offset));
    let (skip, take) = match backwards {
        None => (offset, limit.into()),
        Some(total) => (total.saturating_sub(end), total.min(end) - offset),
    };
    let list = List::of(c, q)?;
    let mut found = Vec::new();
    list.read(c, &Part::Whole { backwards: backwards.is_some() }, take, skip, |row| {
        found.push(in_its_place(row, list.item(c, row))?);
        Ok(())
    })?;
    if backwards.is_some() {
        found.reverse();
    }
    Ok(found)
}

/// Where the row of this id stands in the sorted list; `None` where it is not in it.
pub fn place<S: Listed>(c: &Rows<'_>, q: &Query<S>, id: &str) -> Result<Option<u64>, StoreError> {
    let List { sort, filter: Condition { sql: fits, values }, .. } = List::of(c, q)?;
    let mark = if q.filter.terms.is_empty() { "" } else { NO_INDEX };
    let (name, key, column) = (S::Noun::TABLE.name, S::Noun::TABLE.id(), format!("{mark}{}", sort.column));
    let own = || std::iter::once(Value::from(id));
    let sql = format!("SELECT {column}, {key} FROM {name} WHERE {key} = ? AND {fits}");
    let found = c.one(&sql, bound(own().chain(values.clone())), |row| {
        Ok(Place::of(row.value(0), row.value(1)).value)
    })?;
    let (before, wanted) = match (found, q.descending) {
        (None, _) => return Ok(None),
        (Some(Value::Null), false) => (format!("({column} IS NOT NULL OR {key} < ?)"), None),
        (Some(Value::Null), true) => (format!("({column} IS NULL AND {key} > ?)"), None),
        (Some(value), false) => (format!("({column}, {key}) < (?, ?)"), Some(value)),
        (Some(value), true) => (format!("({column} IS NULL OR ({column}, {key}) > (?, ?))"), Some(value)),
    };
    let sql = format!("SELECT count(*) FROM {name} WHERE {fits} AND {before}");
    c.count(&sql, bound(values.into_iter().chain(wanted).chain(own()))).map(Some)
}

/// A page by keyset cursor: what the CLI lists. Where the vault is open, seals are checked.
pub fn page<S: Listed>(
    c: &Rows<'_>,
    q: &Query<S>,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<S::Item>, StoreError> {
    let list = List::of(c, q)?;
    let after = after.map(|text| cursor::parse(text, q)).transpose()?;
    let sorted_by = S::Noun::TABLE.columns().position(|column| column == list.sort.column).unwrap_or(0);
    let mut gathering = Gathering::new(limit);
    for part in list.parts(after) {
        let mut seen = 0;
        while gathering.wanted() > 0 {
            let (before, wanted) = (seen, gathering.wanted());
            list.read(c, &part, wanted, seen, |row| {
                seen += 1;
                gathering.take(list.item(c, row), || Place::of(row.value(sorted_by), row.value(0)))
            })?;
            // Where some were damaged, others have their places.
            if seen - before < wanted {
                break;
            }
        }
    }
    gathering.page(|last| cursor::after(q, last))
}

/// The rows that `term` asks for by their ids, where an index shows that they are no more than [`LOOKED_AT`].
fn few<S: Listed>(c: &Rows<'_>, term: &Condition) -> Result<Option<Condition>, StoreError> {
    let (name, id) = (S::Noun::TABLE.name, S::Noun::TABLE.id());
    let sql = format!("SELECT {id} FROM {name} WHERE {} LIMIT ?", term.sql);
    let values = term.values.iter().cloned().chain([number(LOOKED_AT + 1)]);
    let ids = c.all(&sql, bound(values), |row| Ok(row.text(0).ok().map(str::to_owned)))?;
    // One that is no text stands in no list of them.
    let ids: Option<Vec<String>> = ids.into_iter().collect();
    let Some(ids) = ids.filter(|ids| ids.len() as u64 <= LOOKED_AT) else { return Ok(None) };
    let sql = format!("{id} IN (SELECT value FROM json_each(?))");
    Ok(Some(Condition { sql, values: vec![to_json(&ids)?.into()] }))
}

fn number(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

/// A list that was asked for.
struct List<'q, S> {
    q: &'q Query<S>,
    sort: &'static Field,
    filter: Condition,
    /// Whether an index finds the few that may fit.
    is_short: bool,
}

/// A part of a list that one walk along an index gives in order.
enum Part {
    Whole {
        backwards: bool,
    },
    /// What has a value, and stands after this place where one is named.
    After(Option<Place>),
    /// What never comes to its moment, and stands after this id where one is named.
    Never(Option<String>),
}

impl<'q, S: Listed> List<'q, S> {
    fn of(c: &Rows<'_>, q: &'q Query<S>) -> Result<Self, StoreError> {
        let mut is_short = false;
        let filter = filter::compile(q, |term| {
            let few = few::<S>(c, term)?;
            is_short |= few.is_some();
            Ok(few)
        })?;
        Ok(Self { q, sort: listed::field::<S>(q.sort.as_str())?, filter, is_short })
    }

    fn item(&self, c: &Rows<'_>, row: &Row<'_>) -> Result<S::Item, StoreError> {
        S::item(c, checked(c, row)?, self.q.now)
    }

    /// The parts of the list after `place`, in order.
    fn parts(&self, place: Option<Place>) -> Vec<Part> {
        let descending = self.q.descending;
        match place {
            place if self.sort.holds != Holds::MomentOrNever => vec![Part::After(place)],
            None if descending => vec![Part::Never(None), Part::After(None)],
            Some(Place { value: Value::Null, id }) if descending => {
                vec![Part::Never(Some(id)), Part::After(None)]
            }
            Some(Place { value: Value::Null, id }) => vec![Part::Never(Some(id))],
            place if descending => vec![Part::After(place)],
            place => vec![Part::After(place), Part::Never(None)],
        }
    }

    /// The condition of a part, and its order, with `mark` before the columns.
    fn sql(&self, part: &Part, mark: &str) -> (Condition, String) {
        let (column, id) = (self.sort.column, S::Noun::TABLE.id());
        let (column, id) = (format!("{mark}{column}"), format!("{mark}{id}"));
        let (then, direction) = if self.q.descending { ("<", "DESC") } else { (">", "ASC") };
        let by_both = format!("{column} {direction}, {id} {direction}");
        let (sql, values, order) = match part {
            Part::Whole { backwards } if self.q.descending != *backwards => {
                ("1".into(), vec![], format!("{column} DESC NULLS FIRST, {id} DESC"))
            }
            Part::Whole { .. } => ("1".into(), vec![], format!("{column} ASC NULLS LAST, {id} ASC")),
            Part::After(None) => (format!("{column} IS NOT NULL"), vec![], by_both),
            Part::After(Some(Place { value, id: last })) => (
                format!("({column}, {id}) {then} (?, ?)"),
                vec![value.clone(), last.as_str().into()],
                by_both,
            ),
            Part::Never(None) => (format!("{column} IS NULL"), vec![], format!("{id} {direction}")),
            Part::Never(Some(last)) => (
                format!("{column} IS NULL AND {id} {then} ?"),
                vec![last.as_str().into()],
                format!("{id} {direction}"),
            ),
        };
        (Condition { sql, values }, order)
    }

    /// A window of a part of the whole list.
    fn walk(&self, part: &Part) -> Condition {
        let (Condition { sql, values }, order) = self.sql(part, "");
        let sql = S::Noun::TABLE.select(&format!("WHERE {sql} ORDER BY {order} LIMIT ? OFFSET ?"));
        Condition { sql, values }
    }

    /// The same of those among the first rows of a part that fit the filter.
    fn look(&self, part: &Part) -> Condition {
        let (Condition { sql, values }, order) = self.sql(part, "");
        let (Table { name, columns, .. }, fits) = (S::Noun::TABLE, &self.filter.sql);
        let first = format!("SELECT * FROM {name} WHERE {sql} ORDER BY {order} LIMIT {LOOKED_AT}");
        let sql = format!("SELECT {columns}, mac FROM ({first}) AS {name} WHERE {fits} LIMIT ? OFFSET ?");
        Condition { sql, values: [values, self.filter.values.clone()].concat() }
    }

    /// The same of all that fit, found in no order and then sorted.
    fn scan(&self, part: &Part) -> Condition {
        let (Condition { sql, values }, order) = self.sql(part, NO_INDEX);
        let (name, id, fits) = (S::Noun::TABLE.name, S::Noun::TABLE.id(), &self.filter.sql);
        let found =
            format!("SELECT {id} FROM {name} WHERE {sql} AND {fits} ORDER BY {order} LIMIT ? OFFSET ?");
        let sql = S::Noun::TABLE.select(&format!("WHERE {id} IN ({found}) ORDER BY {order}"));
        Condition { sql, values: [values, self.filter.values.clone()].concat() }
    }

    /// Calls `each` with up to `take` rows of `part`, after the `skip` first, in order.
    fn read(
        &self,
        c: &Rows<'_>,
        part: &Part,
        take: u64,
        skip: u64,
        mut each: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut found = 0;
        let mut rows = |Condition { sql, values }, found: &mut u64| {
            let window = [take - *found, skip + *found].map(number);
            c.each(&sql, bound(values.into_iter().chain(window)), |row| {
                *found += 1;
                each(row)
            })
        };
        if self.q.filter.terms.is_empty() {
            return rows(self.walk(part), &mut found);
        }
        if !self.is_short && skip.saturating_add(take) <= LOOKED_AT {
            rows(self.look(part), &mut found)?;
        }
        if found < take { rows(self.scan(part), &mut found) } else { Ok(()) }
    }
}
