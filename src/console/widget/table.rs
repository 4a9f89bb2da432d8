//! A table that is given only the rows in view.

use std::borrow::Cow;

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::canvas::Canvas;

/// How a column behaves.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    /// Cells it needs.
    pub least: u16,
    /// Its share of what is left over; 0 = never wider.
    pub share: u16,
    /// Columns of a higher number go first where there is no room; 0 = always there.
    pub dispensable: u8,
    pub right: bool,
}

impl Column {
    pub const fn new(title: &'static str, least: u16) -> Self {
        Self { title, least, share: 0, dispensable: 0, right: false }
    }
    pub const fn share(mut self, share: u16) -> Self {
        self.share = share;
        self
    }
    pub const fn dispensable(mut self, order: u8) -> Self {
        self.dispensable = order;
        self
    }
    pub const fn right(mut self) -> Self {
        self.right = true;
        self
    }
}

/// One cell: its text and, where it differs from the row's, its style.
pub type TableCell<'a> = (Cow<'a, str>, Option<Style>);

pub fn cell<'a>(text: impl Into<Cow<'a, str>>) -> TableCell<'a> {
    (text.into(), None)
}

pub fn styled<'a>(text: impl Into<Cow<'a, str>>, style: Style) -> TableCell<'a> {
    (text.into(), Some(style))
}

#[derive(Debug, Default)]
pub struct Row<'a> {
    /// Where there are fewer than columns, the last has the rest of the line.
    pub cells: Vec<TableCell<'a>>,
    pub marked: bool,
    pub selected: bool,
}

#[derive(Debug)]
pub struct Table<'a> {
    pub columns: &'a [Column],
    /// The rows in view and no others.
    pub rows: Vec<Row<'a>>,
    /// The column sorted by, and whether downwards.
    pub sort: Option<(&'a str, bool)>,
    /// First row in view and number of all rows, for the scroll bar.
    pub top: u64,
    pub total: u64,
}

/// How many rows a table in `area` shows below its header.
pub fn height(area: Rect) -> u16 {
    area.height.saturating_sub(1)
}

/// Which row in view lies under (`x`, `y`).
pub fn row_at(area: Rect, x: u16, y: u16) -> Option<u64> {
    let inside = x >= area.x && x < area.right() && y > area.y && y < area.bottom();
    inside.then(|| u64::from(y - area.y - 1))
}

const GAP: u16 = 2;

/// The width of each column in `room` cells; 0 = left out.
fn widths(columns: &[Column], room: u16) -> Vec<u16> {
    let mut shown: Vec<bool> = columns.iter().map(|_| true).collect();
    let need = |shown: &[bool]| -> u16 {
        columns.iter().zip(shown).filter(|(_, shown)| **shown).map(|(column, _)| column.least + GAP).sum()
    };
    while need(&shown) > room + GAP {
        let widest = columns
            .iter()
            .enumerate()
            .filter(|(place, column)| shown[*place] && column.dispensable > 0)
            .max_by_key(|(_, column)| column.dispensable);
        match widest {
            Some((place, _)) => shown[place] = false,
            None => break,
        }
    }
    if need(&shown) > room + GAP {
        return narrowed(columns, &shown, room);
    }
    let spare = (room + GAP).saturating_sub(need(&shown));
    let shares: u16 =
        columns.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(column, _)| column.share).sum();
    let mut given = 0;
    let mut seen = 0;
    columns
        .iter()
        .zip(&shown)
        .map(|(column, shown)| {
            if !shown {
                return 0;
            }
            seen += column.share;
            let upto = if shares == 0 { 0 } else { u32::from(spare) * u32::from(seen) / u32::from(shares) };
            let upto = u16::try_from(upto).unwrap_or(u16::MAX);
            let extra = upto - given;
            given = upto;
            column.least + extra
        })
        .collect()
}

/// The widths where there is room for less than the columns need: the widest give way.
fn narrowed(columns: &[Column], shown: &[bool], room: u16) -> Vec<u16> {
    let mut widths: Vec<u16> =
        columns.iter().zip(shown).map(|(column, shown)| if *shown { column.least } else { 0 }).collect();
    let taken =
        |widths: &[u16]| -> u16 { widths.iter().filter(|cells| **cells > 0).map(|cells| cells + GAP).sum() };
    while taken(&widths) > room + GAP {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 1 => *widest -= 1,
            _ => break,
        }
    }
    widths
}

impl Table<'_> {
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        if area.width >= 4 && area.height > 0 {
            canvas.within(area, |canvas| self.draw_within(canvas, area));
        }
    }

    fn draw_within(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let (text, dim, selected, marked) =
            (canvas.theme().text, canvas.theme().dim, canvas.theme().selected, canvas.theme().marked);
        // two cells before for the marks; behind, the scroll bar and, where there is one, a gap
        let room = area.width - if self.has_scroll_bar(area) { 4 } else { 3 };
        let widths = widths(self.columns, room);
        let mut x = area.x + 2;
        for (column, &cells) in self.columns.iter().zip(&widths).filter(|(_, cells)| **cells > 0) {
            let sorted = self.sort.filter(|(title, _)| *title == column.title);
            let title: Cow<'_, str> = match sorted {
                Some((title, down)) => format!("{title} {}", if down { "▼" } else { "▲" }).into(),
                None => column.title.into(),
            };
            let style = if sorted.is_some() { canvas.theme().accent } else { dim };
            if column.right {
                canvas.put_right(x + cells, area.y, cells, &title, style);
            } else {
                canvas.put(x, area.y, cells, &title, style);
            }
            x += cells + GAP;
        }
        for (y, row) in (area.y + 1..area.bottom()).zip(&self.rows) {
            let base = if row.selected { selected } else { text };
            let line = Rect { x: area.x, y, width: area.width - 1, height: 1 };
            if row.selected {
                canvas.fill(line, selected);
            }
            if row.marked {
                canvas.put(area.x, y, 1, "✓", base.patch(marked));
            } else if row.selected {
                canvas.put(area.x, y, 1, "▸", base);
            }
            let mut x = area.x + 2;
            for (place, ((column, &cells), (cell, own))) in
                self.columns.iter().zip(&widths).zip(&row.cells).enumerate()
            {
                if cells == 0 {
                    continue;
                }
                let takes_rest = place + 1 == row.cells.len() && place + 1 < self.columns.len();
                let cells = if takes_rest { (area.right() - 1).saturating_sub(x).max(cells) } else { cells };
                let style = match own {
                    Some(own) if !row.selected => *own,
                    _ => base,
                };
                if column.right {
                    canvas.put_right(x + cells, y, cells, cell, style);
                } else {
                    canvas.put(x, y, cells, cell, style);
                }
                x += cells + GAP;
            }
        }
        self.draw_scroll_bar(canvas, area);
    }

    fn has_scroll_bar(&self, area: Rect) -> bool {
        let shown = u64::from(height(area));
        shown > 0 && self.total > shown
    }

    fn draw_scroll_bar(&self, canvas: &mut Canvas<'_>, area: Rect) {
        if !self.has_scroll_bar(area) {
            return;
        }
        let shown = u64::from(height(area));
        let thumb = (shown * shown / self.total).max(1);
        let way = (shown - thumb).max(1);
        let hidden = self.total - shown;
        let start = (u128::from(self.top.min(hidden)) * u128::from(way) / u128::from(hidden)) as u64;
        let (bar, track) = (canvas.theme().accent, canvas.theme().border);
        for place in 0..shown {
            let y = area.y + 1 + place as u16;
            let inside = place >= start && place < start + thumb;
            let (glyph, style) = if inside { ("█", bar) } else { ("│", track) };
            canvas.put(area.right() - 1, y, 1, glyph, style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::new("id", 8),
        Column::new("subject", 10).share(1),
        Column::new("created", 10).dispensable(1),
    ];

    #[test]
    fn the_dispensable_go_first_and_the_rest_share_what_is_left() {
        assert_eq!(widths(&COLUMNS, 40), [8, 18, 10]);
        assert_eq!(widths(&COLUMNS, 32), [8, 10, 10]);
        assert_eq!(widths(&COLUMNS, 31), [8, 21, 0]);
        assert_eq!(widths(&COLUMNS, 15), [7, 6, 0], "and then the widest give way");
        assert_eq!(widths(&COLUMNS, 5), [2, 1, 0]);
    }
}
