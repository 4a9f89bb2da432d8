//! A page of facts to scroll through: what an object is, line by line.
//!
//! A line says what it means ([`Ink`]) and not how it looks, so that a page can be measured where there is no canvas.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::canvas::{Canvas, piece};
use crate::console::theme::Theme;
use crate::domain::text::visible;

use super::chart::sparkline;
use super::list::Step;
use super::text::{width, wrap};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Text,
    Dim,
    Title,
    Good,
    Warning,
    Bad,
}

impl Ink {
    fn style(self, theme: &Theme) -> Style {
        match self {
            Self::Text => theme.text,
            Self::Dim => theme.dim,
            Self::Title => theme.title,
            Self::Good => theme.good,
            Self::Warning => theme.warning,
            Self::Bad => theme.bad,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Line {
    Blank,
    Heading(&'static str),
    /// A name, what it is, and in fewer words what that means.
    Fact {
        label: String,
        value: String,
        ink: Ink,
        note: String,
    },
    /// A text of several lines where it is long.
    Text(String, Ink),
    /// One line, cut where it is long.
    Row(Vec<(String, Ink)>),
    /// Bars, the newest at the right.
    Chart(Vec<u64>),
}

impl Line {
    pub fn fact(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Fact { label: label.into(), value: value.into(), ink: Ink::Text, note: String::new() }
    }
    pub fn ink(mut self, new: Ink) -> Self {
        if let Self::Fact { ink, .. } | Self::Text(_, ink) = &mut self {
            *ink = new;
        }
        self
    }
    pub fn note(mut self, new: impl Into<String>) -> Self {
        if let Self::Fact { note, .. } = &mut self {
            *note = new.into();
        }
        self
    }
}

/// A line of the screen.
enum Drawn<'a> {
    Heading(&'static str),
    Pieces(Vec<(String, Ink)>),
    Chart(&'a [u64]),
}

/// Labels take so many cells at most; longer ones push their value to the right.
const MOST_LABEL: usize = 14;

fn lay_out(lines: &[Line], room: u16) -> Vec<Drawn<'_>> {
    let room = usize::from(room).max(8);
    let labels = lines.iter().filter_map(|line| match line {
        Line::Fact { label, .. } => Some(width(&visible(label))),
        _ => None,
    });
    let indent = labels.max().unwrap_or(0).min(MOST_LABEL).min(room / 2) + 2;
    let mut drawn = Vec::with_capacity(lines.len());
    for line in lines {
        match line {
            Line::Blank => drawn.push(Drawn::Pieces(Vec::new())),
            Line::Heading(text) => drawn.push(Drawn::Heading(text)),
            Line::Chart(values) => drawn.push(Drawn::Chart(values)),
            Line::Row(pieces) => drawn.push(Drawn::Pieces(pieces.clone())),
            Line::Text(text, ink) => {
                let wrapped = wrap(&visible(text), room);
                drawn.extend(wrapped.into_iter().map(|line| Drawn::Pieces(vec![(line, *ink)])));
            }
            Line::Fact { label, value, ink, note } => {
                let label = visible(label);
                let pad = indent.saturating_sub(width(&label)).max(1);
                let mut head = vec![(format!("{label}{}", " ".repeat(pad)), Ink::Dim)];
                let taken = width(&label) + pad;
                let mut values = wrap(&visible(value), room.saturating_sub(taken.max(indent))).into_iter();
                let first = values.next().unwrap_or_default();
                let mut last = (taken + width(&first)).max(indent);
                head.push((first, *ink));
                let mut rows = vec![head];
                for value in values {
                    last = indent + width(&value);
                    rows.push(vec![(" ".repeat(indent), Ink::Dim), (value, *ink)]);
                }
                let note = visible(note);
                if !note.is_empty() && last + 2 + width(&note) <= room {
                    if let Some(row) = rows.last_mut() {
                        row.push((format!("  {note}"), Ink::Dim));
                    }
                } else if !note.is_empty() {
                    for line in wrap(&note, room.saturating_sub(indent)) {
                        rows.push(vec![(format!("{}{line}", " ".repeat(indent)), Ink::Dim)]);
                    }
                }
                drawn.extend(rows.into_iter().map(Drawn::Pieces));
            }
        }
    }
    drawn
}

/// How many rows the page takes in `room` cells.
pub fn height(lines: &[Line], room: u16) -> u16 {
    u16::try_from(lay_out(lines, room).len()).unwrap_or(u16::MAX)
}

/// The first row in view after a step on a page of `rows`, of which `height` are seen.
pub fn scrolled(top: u16, step: Step, height: u16, rows: u16) -> u16 {
    let moved = match step {
        Step::Up => top.saturating_sub(1),
        Step::Down => top.saturating_add(1),
        Step::PageUp => top.saturating_sub(height / 2),
        Step::PageDown => top.saturating_add(height / 2),
        Step::Top => 0,
        Step::Bottom => u16::MAX,
    };
    moved.min(rows.saturating_sub(height))
}

/// Draws the page from row `top` on, and says where there is more of it.
pub fn draw(lines: &[Line], top: u16, canvas: &mut Canvas<'_>, area: Rect) {
    canvas.within(area, |canvas| draw_within(lines, top, canvas, area));
}

fn draw_within(lines: &[Line], top: u16, canvas: &mut Canvas<'_>, area: Rect) {
    let rows = lay_out(lines, area.width);
    let height = usize::from(area.height);
    let top = usize::from(top).min(rows.len().saturating_sub(height));
    for (y, row) in (area.y..area.bottom()).zip(&rows[top..]) {
        match row {
            Drawn::Heading(text) => canvas.heading(area, y, text),
            Drawn::Pieces(pieces) => {
                let theme = canvas.theme().clone();
                let pieces: Vec<_> =
                    pieces.iter().map(|(text, ink)| piece(text.as_str(), ink.style(&theme))).collect();
                canvas.put_pieces(area.x, y, area.width, &pieces);
            }
            Drawn::Chart(values) => {
                let accent = canvas.theme().accent;
                let cells = u16::try_from(values.len()).unwrap_or(48).min(area.width);
                sparkline(canvas, Rect { y, height: 1, width: cells, ..area }, values, accent);
            }
        }
    }
    let (dim, x) = (canvas.theme().dim, area.right().saturating_sub(1));
    if top > 0 {
        canvas.put(x, area.y, 1, "↑", dim);
    }
    if rows.len() > top + height {
        canvas.put(x, area.bottom().saturating_sub(1), 1, "↓", dim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[Line], room: u16) -> Vec<String> {
        let said = |row: Drawn<'_>| match row {
            Drawn::Pieces(pieces) => pieces.into_iter().map(|(text, _)| text).collect(),
            Drawn::Heading(text) => text.to_owned(),
            Drawn::Chart(_) => "chart".into(),
        };
        lay_out(lines, room).into_iter().map(said).collect()
    }

    #[test]
    fn what_is_long_goes_on_below_its_beginning() {
        let lines =
            [Line::fact("sub", "ana").note("for whom it speaks"), Line::fact("audience", "one two three")];
        assert_eq!(text(&lines, 40), ["sub       ana  for whom it speaks", "audience  one two three"]);
        assert_eq!(
            text(&lines, 18),
            [
                "sub       ana",
                "          for whom",
                "          it",
                "          speaks",
                "audience  one two",
                "          three"
            ]
        );
        assert_eq!(height(&lines, 18), 6);
    }

    #[test]
    fn scrolling_ends_where_the_page_does() {
        assert_eq!(scrolled(0, Step::Bottom, 10, 25), 15);
        assert_eq!(scrolled(15, Step::Down, 10, 25), 15);
        assert_eq!(scrolled(3, Step::PageUp, 10, 25), 0);
        assert_eq!(scrolled(0, Step::Down, 10, 5), 0);
    }
}
