//! Which rows of the list are held, and which are asked for.

use crate::console::effect::{Query, Topic};
use crate::console::layer::Turn;
use crate::console::widget::list::Cursor;
use crate::domain::clock::Timestamp;
use crate::domain::filter::{Filter, KEY_FIELDS};
use crate::store::api_key as store;

use super::list::Keys;

impl Keys {
    pub(super) fn query(&mut self, now: Timestamp) -> store::Query {
        self.filter_fault = None;
        let filter = Filter::parse(self.filter.value(), KEY_FIELDS, now);
        let filter = match filter.map_err(|error| error.to_string()) {
            Ok(filter) => {
                self.in_force = self.filter.value().to_owned();
                filter
            }
            Err(fault) => {
                self.filter_fault = Some(fault);
                Filter::parse(&self.in_force, KEY_FIELDS, now).unwrap_or_default()
            }
        };
        store::Query { filter, sort: self.sort, descending: self.descending, now }
    }

    /// Asks for the rows around the view.
    pub(super) fn ask(&mut self, turn: &mut Turn<'_>) {
        let query = self.query(turn.now);
        let height = Self::height(turn);
        let offset = self.cursor.top.saturating_sub(height);
        let limit = u32::try_from(height * 3).unwrap_or(u32::MAX);
        self.asked = (offset, u64::from(limit));
        let ticket = turn.load(
            Topic::KeyWindow,
            Query::KeyWindow { query, offset, limit, total: self.counted.then_some(self.total) },
        );
        self.window.wait_for(ticket);
    }

    /// Asks again for what is shown, and apart from it for how many there are: counting looks at
    /// every key, and no row waits for that.
    pub(super) fn reload(&mut self, turn: &mut Turn<'_>) {
        self.ask(turn);
        let query = self.query(turn.now);
        let ticket = turn.load(Topic::KeyTotal, Query::KeyTotal(query));
        self.count.wait_for(ticket);
    }

    /// From the top of another list. A filter that cannot be read leaves the list as it is.
    pub(super) fn refilter(&mut self, turn: &mut Turn<'_>) {
        self.query(turn.now);
        if self.filter_fault.is_none() {
            self.start_over(turn);
        }
    }

    pub(super) fn start_over(&mut self, turn: &mut Turn<'_>) {
        self.cursor = Cursor::default();
        self.counted = false;
        self.reload(turn);
    }

    /// Asks for more rows before the view reaches the end of those held.
    pub(super) fn prefetch(&mut self, turn: &mut Turn<'_>) {
        let height = Self::height(turn);
        let margin = height / 2;
        let (first, rows) = self.asked;
        let low = self.cursor.top.saturating_sub(margin);
        let high = self.cursor.top + height + margin;
        let high = if self.counted { high.min(self.total) } else { high };
        if low < first || high > first + rows {
            self.ask(turn);
        }
    }

    pub(super) fn took_window(&mut self, turn: &mut Turn<'_>) {
        if let Some(window) = &self.window.value {
            let held = window.rows.len() as u64;
            let seen = window.offset + held;
            let is_last = held < self.asked.1;
            self.total = if self.counted && !is_last { self.total.max(seen) } else { seen };
            self.counted |= is_last && (held > 0 || window.offset == 0);
        }
        self.settle_view(turn);
    }

    pub(super) fn settle_view(&mut self, turn: &mut Turn<'_>) {
        self.cursor.keep_within(self.total, Self::height(turn));
        self.prefetch(turn);
        self.follow(turn);
    }
}
