//! How a long list looks: its table, and the line above it.

use ratatui::layout::{Position, Rect};

use crate::console::canvas::Canvas;
use crate::console::widget::fault::draw_fault;
use crate::console::widget::page::{self, Ink, Line};
use crate::console::widget::table::{self, Column, Row, Table, TableCell, styled};
use crate::console::widget::text::{grouped, width, wrap};

use super::{Listed, LongList, table_area};
use crate::store::Damaged;

/// So much of an id is shown.
const SHORT: usize = 8;

/// What a list says where it has no rows, and beside its filter.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// There are none at all.
    pub empty: &'static str,
    /// The filter lets none through.
    pub none_fit: &'static str,
    /// Examples of filters.
    pub examples: &'static str,
}

/// What is known of a damaged row; `mends` says what can be done here.
pub fn draw_damaged(damaged: &Damaged, mends: &str, canvas: &mut Canvas<'_>, area: Rect) {
    let lines = [
        Line::fact("state", "✕ damaged").ink(Ink::Bad),
        Line::fact("id", damaged.id.as_str()),
        Line::fact("what", damaged.why.as_str()),
        Line::Blank,
        Line::Text(
            "Whatever rests on it is refused, and nothing else of it can be believed.".into(),
            Ink::Text,
        ),
        Line::Text(format!("Put back a copy of the home from your backup; {mends}."), Ink::Dim),
    ];
    page::draw(&lines, 0, canvas, area);
}

impl<L: Listed> LongList<L> {
    /// The table, with the line above it: the filter, how many there are, how many are marked.
    pub fn draw<'a>(
        &'a self,
        canvas: &mut Canvas<'_>,
        area: Rect,
        columns: &[Column],
        words: Words,
        cells: impl Fn(&'a L, &Canvas<'_>) -> Vec<TableCell<'a>>,
    ) {
        self.draw_status(canvas, Rect { height: 1, ..area }, words.examples);
        let below = self.draw_filter_fault(canvas, table_area(area));
        if let Some(fault) = &self.window.fault {
            return draw_fault(canvas, below, &fault.message);
        }
        if self.total == 0 {
            let dim = canvas.theme().dim;
            let text = if self.filter_fault.is_some() {
                // it is the last filter that could be read that lets none through
                ""
            } else if self.window.value.is_none() {
                "loading…"
            } else if self.filter.value().is_empty() {
                words.empty
            } else {
                words.none_fit
            };
            canvas.put(below.x, below.y + 1.min(below.height), below.width, text, dim);
            return;
        }
        let last = (self.cursor.top + u64::from(table::height(below))).min(self.total);
        let (dim, bad) = (canvas.theme().dim, canvas.theme().bad);
        let rows = (self.cursor.top..last)
            .map(|place| {
                let row = self.row(place);
                let mut cells = match row {
                    Some(Ok(row)) => cells(row, canvas),
                    Some(Err(damaged)) => {
                        let id: String = damaged.id.chars().take(SHORT).collect();
                        vec![styled("✕ damaged", bad), styled(id, dim), styled(damaged.why.as_str(), bad)]
                    }
                    None => vec![styled("…", dim)],
                };
                if !self.is_of_now {
                    // of another filter: to be seen until the new ones come, and nothing can be done to them
                    cells.iter_mut().for_each(|(_, style)| *style = Some(dim));
                }
                Row {
                    cells,
                    marked: self.is_in_range(place)
                        || matches!(row, Some(Ok(row)) if self.marks.contains(&row.id())),
                    selected: place == self.cursor.selected && self.is_of_now && !self.is_adrift,
                }
            })
            .collect();
        let sort = Some((L::title(self.sort), self.descending));
        Table { columns, rows, sort, top: self.cursor.top, total: self.total }.draw(canvas, below);
    }

    fn is_in_range(&self, place: u64) -> bool {
        let here = self.cursor.selected;
        self.range_from.is_some_and(|from| (from.place.min(here)..=from.place.max(here)).contains(&place))
    }

    /// What is wrong with the filter, in full, above the rows of the last one that could be read; returns the room for these.
    fn draw_filter_fault(&self, canvas: &mut Canvas<'_>, area: Rect) -> Rect {
        let Some(fault) = &self.filter_fault else { return area };
        let bad = canvas.theme().bad;
        let lines = wrap(&canvas.shown(fault), usize::from(area.width));
        let mut below = area;
        for line in lines.iter().take(usize::from(area.height / 2)) {
            canvas.put(below.x, below.y, below.width, line, bad);
            below = Rect { y: below.y + 1, height: below.height - 1, ..below };
        }
        below
    }

    fn draw_status(&self, canvas: &mut Canvas<'_>, area: Rect, examples: &str) {
        let theme = canvas.theme().clone();
        let mut right = String::new();
        if self.range_from.is_some() {
            right.push_str("range… V ends it · ");
        }
        if !self.marks.is_empty() {
            right.push_str(&format!("{} marked · ", self.marks.len()));
        }
        let here = if self.total == 0 { 0 } else { self.cursor.selected + 1 };
        let more = if self.counted { "" } else { "+" };
        right.push_str(&format!("{}/{}{more}", grouped(here), grouped(self.total)));
        let style = if self.marks.is_empty() && self.range_from.is_none() { theme.dim } else { theme.marked };
        let used = canvas.put_right(area.right() - 1, area.y, area.width / 2, &right, style);
        let room = area.width.saturating_sub(used + 3);

        if !self.typing && self.filter.value().is_empty() {
            canvas.put(area.x, area.y, room, examples, theme.dim);
            return;
        }
        let sign = canvas.put(area.x, area.y, room, "/ ", theme.accent);
        let text_style = if self.filter_fault.is_some() { theme.bad } else { theme.text };
        if self.filter.value().is_empty() {
            canvas.put(area.x + sign, area.y, room.saturating_sub(sign), &L::FIELDS.as_typed(), theme.dim);
        }
        canvas.put(area.x + sign, area.y, room.saturating_sub(sign), self.filter.value(), text_style);
        if self.typing {
            let before: String = self.filter.value().chars().take(self.filter.cursor()).collect();
            let offset = u16::try_from(width(&canvas.shown(&before))).unwrap_or(0);
            let x = (area.x + sign + offset).min(area.x + room);
            canvas.cursor = Some(Position::new(x, area.y));
        }
    }
}
