//! The one place where text becomes cells.
//!
//! Every text, ours or foreign, passes [`Canvas::put`], which makes deceptive characters visible
//! and, under `--ascii`, leaves none that is not ASCII. No screen writes to the buffer itself.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use crate::domain::clock::Timestamp;
use crate::domain::text::visible;

use super::layer::Setting;
use super::theme::Theme;
use super::widget::text::{ascii, ascii_glyph, fit, width};

/// How things look.
#[derive(Clone, Debug)]
pub struct Look {
    pub theme: Theme,
    pub ascii: bool,
}

/// Some text in one style. A line is a few of these.
pub type Piece<'a> = (Cow<'a, str>, Style);

pub fn piece<'a>(text: impl Into<Cow<'a, str>>, style: Style) -> Piece<'a> {
    (text.into(), style)
}

/// What is drawn on.
pub struct Canvas<'a> {
    pub buffer: &'a mut Buffer,
    pub look: &'a Look,
    pub setting: &'a Setting,
    pub now: Timestamp,
    /// Where the terminal's cursor is to stand.
    pub cursor: Option<Position>,
    /// What is drawn on now; nothing is drawn outside of it.
    pub area: Rect,
    /// How many cells of text did not fit on the area: a widget that thinks its place is larger than it is.
    pub cut: usize,
}

impl<'a> Canvas<'a> {
    pub fn new(buffer: &'a mut Buffer, look: &'a Look, setting: &'a Setting, now: Timestamp) -> Self {
        let area = *buffer.area();
        Self { buffer, look, setting, now, cursor: None, area, cut: 0 }
    }
}

impl Canvas<'_> {
    /// Draws on a part of the area and nowhere else.
    pub fn within(&mut self, area: Rect, draw: impl FnOnce(&mut Self)) {
        let before = self.area;
        self.area = area.intersection(before);
        draw(self);
        self.area = before;
    }

    pub fn theme(&self) -> &Theme {
        &self.look.theme
    }

    /// `text` as it will stand on the screen.
    pub fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let safe = visible(text);
        if self.look.ascii { Cow::Owned(ascii(&safe).into_owned()) } else { safe }
    }

    /// Writes `text` at (`x`, `y`) in at most `room` cells; returns how many it took.
    pub fn put(&mut self, x: u16, y: u16, room: u16, text: &str, style: Style) -> u16 {
        let area = self.area;
        let shown = self.shown(text);
        let wanted = width(&shown).min(usize::from(room));
        if y < area.y || y >= area.bottom() || x < area.x || x >= area.right() {
            self.cut += wanted;
            return 0;
        }
        let room = room.min(area.right() - x);
        self.cut += wanted.saturating_sub(usize::from(room));
        let cut = fit(&shown, usize::from(room));
        let (end, _) = self.buffer.set_stringn(x, y, &cut, usize::from(room), style);
        end - x
    }

    /// Writes pieces one after another; returns how many cells they took.
    pub fn put_pieces(&mut self, x: u16, y: u16, room: u16, pieces: &[Piece<'_>]) -> u16 {
        let mut used = 0;
        for (text, style) in pieces {
            if used >= room {
                break;
            }
            used += self.put(x + used, y, room - used, text, *style);
        }
        used
    }

    /// Writes `text` so that it ends before `right`.
    pub fn put_right(&mut self, right: u16, y: u16, room: u16, text: &str, style: Style) -> u16 {
        let cells = u16::try_from(width(&self.shown(text))).unwrap_or(u16::MAX).min(room);
        self.put(right.saturating_sub(cells), y, cells, text, style)
    }

    /// Writes lines from the top of `area`, as many as it holds.
    pub fn lines(&mut self, area: Rect, lines: &[Vec<Piece<'_>>]) {
        for (row, line) in (area.y..area.bottom()).zip(lines) {
            self.put_pieces(area.x, row, area.width, line);
        }
    }

    pub fn fill(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.area);
        self.buffer.set_style(area, style);
    }

    /// Empties an area for what lies above.
    pub fn blank(&mut self, area: Rect) {
        let area = area.intersection(self.area);
        for y in area.y..area.bottom() {
            for x in area.x..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
        self.buffer.set_style(area, self.look.theme.text);
    }

    /// A frame with a title; returns what it encloses.
    pub fn frame(&mut self, area: Rect, title: &str, style: Style) -> Rect {
        let area = area.intersection(self.area);
        if area.width < 2 || area.height < 2 {
            return Rect { width: 0, height: 0, ..area };
        }
        let (right, bottom) = (area.right() - 1, area.bottom() - 1);
        for x in area.x + 1..right {
            self.put(x, area.y, 1, "─", style);
            self.put(x, bottom, 1, "─", style);
        }
        for y in area.y + 1..bottom {
            self.put(area.x, y, 1, "│", style);
            self.put(right, y, 1, "│", style);
        }
        for (x, y, corner) in
            [(area.x, area.y, "┌"), (right, area.y, "┐"), (area.x, bottom, "└"), (right, bottom, "┘")]
        {
            self.put(x, y, 1, corner, style);
        }
        if !title.is_empty() && area.width > 6 {
            let title_style = self.theme().title;
            let room = area.width - 4;
            let used = self.put(area.x + 2, area.y, room, &format!(" {title}"), title_style);
            if used < room {
                self.put(area.x + 2 + used, area.y, 1, " ", title_style);
            }
        }
        inner(area)
    }

    /// A rule with a heading.
    pub fn heading(&mut self, area: Rect, y: u16, text: &str) {
        if y >= area.bottom() {
            return;
        }
        let (title, border) = (self.theme().title, self.theme().border);
        let used = self.put(area.x, y, area.width, text, title);
        for x in (area.x + used + 1).min(area.right())..area.right() {
            self.put(x, y, 1, "─", border);
        }
    }

    /// The last pass under `--ascii`: borders and chart dots that a widget drew.
    pub fn finish(&mut self) {
        if !self.look.ascii {
            return;
        }
        for cell in &mut self.buffer.content {
            if !cell.symbol().is_ascii() {
                let stand_in = ascii_glyph(cell.symbol()).filter(|text| text.len() == 1).unwrap_or("*");
                cell.set_symbol(stand_in);
            }
        }
    }
}

/// What a frame of one cell leaves.
pub fn inner(area: Rect) -> Rect {
    Rect {
        x: area.x.saturating_add(1).min(area.right()),
        y: area.y.saturating_add(1).min(area.bottom()),
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(2),
    }
}

/// A box of at most this size in the middle of `area`.
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}
