//! How a form is drawn.

use std::collections::BTreeSet;

use ratatui::layout::{Position, Rect};

use super::Form;
use crate::console::canvas::{Canvas, Piece, piece};
use crate::console::widget::field::{Choice, Field, Kind, fitting};
use crate::console::widget::text::{skip_cells, width, wrap};

const LABEL: u16 = 16;
const OPTIONS_SHOWN: usize = 8;

struct Drawn<'a> {
    lines: Vec<Vec<Piece<'a>>>,
    cursor: Option<(usize, u16)>,
}

impl Form {
    /// How many rows it takes when `cells` wide, whichever field has the focus: so the panel
    /// around it stands still while one goes through it.
    pub fn rows(&self, canvas: &Canvas<'_>, cells: u16) -> u16 {
        let label = LABEL.min(cells / 3);
        let room = cells.saturating_sub(label + 1);
        let (mut rows, mut most_more) = (0, 0);
        for field in self.fields.iter().filter(|field| !field.hidden) {
            let plain = draw_field(canvas, field, false, label, room).lines.len();
            let focused = draw_field(canvas, field, true, label, room).lines.len();
            rows += plain;
            most_more = most_more.max(focused.saturating_sub(plain));
        }
        let fault = self
            .said()
            .map_or(0, |(said, _)| wrap(&canvas.shown(said), usize::from(cells.saturating_sub(2))).len());
        let buttons = if self.has_buttons { 2 } else { 0 };
        u16::try_from(rows + most_more + fault + buttons).unwrap_or(u16::MAX)
    }

    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        if area.width >= 8 && area.height > 0 {
            canvas.within(area, |canvas| self.draw_within(canvas, area));
        }
    }

    fn draw_within(&self, canvas: &mut Canvas<'_>, area: Rect) {
        // a fault stands at the lower edge, whatever is scrolled above it
        let fault = self.said().map(|(said, failed)| {
            let theme = canvas.theme();
            let (glyph, style) = if failed { ("✕", theme.bad) } else { ("○", theme.warning) };
            let lines = wrap(&canvas.shown(said), usize::from(area.width.saturating_sub(2)));
            lines.into_iter().map(|line| vec![piece(format!("{glyph} {line}"), style)]).collect::<Vec<_>>()
        });
        let fault = fault.unwrap_or_default();
        let rows = u16::try_from(fault.len()).unwrap_or(0).min(area.height / 2);
        let lowest = Rect { y: area.bottom() - rows, height: rows, ..area };
        canvas.lines(lowest, &fault);
        let area = Rect { height: area.height - rows, ..area };
        let label = LABEL.min(area.width / 3);
        let room = area.width - label - 1;
        let mut lines: Vec<Vec<Piece<'_>>> = Vec::new();
        let mut cursor = None;
        let mut focused = 0..0;
        for (place, field) in self.fields.iter().enumerate().filter(|(_, field)| !field.hidden) {
            let start = lines.len();
            let has_focus = place == self.focus;
            let drawn = draw_field(canvas, field, has_focus, label, room);
            if let Some((line, column)) = drawn.cursor {
                cursor = Some((start + line, column));
            }
            lines.extend(drawn.lines);
            if has_focus {
                focused = start..lines.len();
            }
        }
        if self.has_buttons {
            lines.push(Vec::new());
            if self.focus >= self.fields.len() {
                focused = lines.len()..lines.len() + 1;
            }
            lines.push(self.buttons(canvas, label));
        }
        let height = usize::from(area.height);
        let skip = focused.end.saturating_sub(height).min(focused.start).min(lines.len().saturating_sub(1));
        canvas.lines(area, &lines[skip..]);
        if let Some((line, column)) = cursor
            && line >= skip
            && line - skip < height
        {
            let y = area.y + u16::try_from(line - skip).unwrap_or(0);
            canvas.cursor = Some(Position::new((area.x + column).min(area.right() - 1), y));
        }
        if lines.len() > skip + height {
            let dim = canvas.theme().dim;
            canvas.put(area.right() - 1, area.bottom() - 1, 1, "↓", dim);
        }
        if skip > 0 {
            let dim = canvas.theme().dim;
            canvas.put(area.right() - 1, area.y, 1, "↑", dim);
        }
    }

    fn buttons<'a>(&self, canvas: &Canvas<'_>, label: u16) -> Vec<Piece<'a>> {
        let theme = canvas.theme();
        let style = |on: bool| if on { theme.selected } else { theme.text };
        let submit = if self.busy { "working…".to_owned() } else { self.submit.to_owned() };
        vec![
            piece(" ".repeat(usize::from(label) + 1), theme.text),
            piece(format!("[ {submit} ]"), style(self.on_submit())),
            piece("  ", theme.text),
            piece("[ cancel ]", style(self.on_cancel())),
        ]
    }
}

/// One field: its label, its value, and below them what helps with it while it has the focus.
fn draw_field<'a>(
    canvas: &Canvas<'_>,
    field: &'a Field,
    has_focus: bool,
    label: u16,
    room: u16,
) -> Drawn<'a> {
    let theme = canvas.theme();
    let wrong = field.touched && field.error.is_some();
    let pad = usize::from(label);
    let mark = if wrong {
        "✕"
    } else if has_focus {
        "▸"
    } else {
        " "
    };
    let name_style = if has_focus { theme.accent } else { theme.dim };
    let mut head = vec![
        piece(mark, if wrong { theme.bad } else { theme.accent }),
        piece(format!("{:<pad$}", field.label), name_style),
    ];
    let indent = || piece(" ".repeat(pad + 1), theme.text);
    let mut lines = Vec::new();
    let mut cursor = None;
    match &field.kind {
        Kind::Text { input, .. } => {
            let cells = usize::from(room).saturating_sub(1).max(1);
            let before: String = input.value().chars().take(input.cursor()).collect();
            let offset = width(&canvas.shown(&before));
            let shown = canvas.shown(input.value()).into_owned();
            let scroll = (offset + 1).saturating_sub(cells);
            let visible = skip_cells(&shown, scroll, cells);
            let gap = cells.saturating_sub(width(&visible));
            let style = if has_focus { theme.field } else { theme.text };
            if input.value().is_empty() {
                let gap = cells.saturating_sub(width(field.empty));
                head.push(piece(field.empty, style.patch(theme.dim)));
                head.push(piece(" ".repeat(gap), style));
            } else {
                head.push(piece(format!("{visible}{}", " ".repeat(gap)), style));
            }
            if has_focus {
                let column = usize::from(label) + 1 + offset - scroll;
                cursor = Some((0, u16::try_from(column).unwrap_or(0)));
            }
            lines.push(head);
            if has_focus {
                let suggestions = field.suggestions();
                if !suggestions.is_empty() {
                    lines.push(vec![
                        indent(),
                        piece(suggestions.iter().take(4).cloned().collect::<Vec<_>>().join(" · "), theme.dim),
                    ]);
                }
            }
        }
        Kind::Hidden(hidden) => {
            let cells = usize::from(room).saturating_sub(1).max(1);
            let typed = hidden.expose().chars().count().min(cells - 1);
            let shown = format!("{:<cells$}", "•".repeat(typed));
            head.push(piece(shown, if has_focus { theme.field } else { theme.text }));
            if has_focus {
                cursor = Some((0, label + 1 + u16::try_from(typed).unwrap_or(0)));
            }
            lines.push(head);
        }
        Kind::Choice { options, at, typed } => {
            let option = options.get(*at);
            let value = option.map_or("", |option| option.value.as_str());
            if has_focus {
                head.extend([
                    piece("← ", theme.key),
                    piece(format!(" {value} "), theme.selected),
                    piece(" →", theme.key),
                ]);
                if !typed.is_empty() {
                    head.push(piece(format!("  / {typed}"), theme.accent));
                }
                if fitting(options, typed).is_empty() {
                    head.push(piece(" fits none", theme.bad));
                }
            } else {
                head.push(piece(value, theme.text));
            }
            if let Some(option) = option.filter(|option| !option.about.is_empty()) {
                head.push(piece(format!("  {}", option.about), theme.dim));
            }
            lines.push(head);
        }
        Kind::Many { options, picked, at, typed } => {
            let names: Vec<&str> =
                picked.iter().filter_map(|place| options.get(*place)).map(|o| o.value.as_str()).collect();
            let empty = if field.empty.is_empty() { "none" } else { field.empty };
            let said = if names.is_empty() { empty.to_owned() } else { names.join(", ") };
            head.push(piece(said, if names.is_empty() { theme.dim } else { theme.text }));
            lines.push(head);
            if has_focus {
                cursor = Some((lines.len(), label + 3 + u16::try_from(width(typed)).unwrap_or(0)));
                lines.extend(draw_options(canvas, options, picked, *at, typed, &indent));
            }
        }
        Kind::Hours { allowed, at } => {
            for hour in 0..24 {
                let glyph = if allowed.contains(&hour) { "■" } else { "·" };
                let base = if allowed.contains(&hour) { theme.good } else { theme.dim };
                let style = if has_focus && hour == *at { theme.selected } else { base };
                head.push(piece(glyph, style));
                head.push(piece(if hour % 6 == 5 { "  " } else { " " }, theme.text));
            }
            let said = match allowed.len() {
                24 => "all".to_owned(),
                0 => "none".to_owned(),
                some => format!("{some} h"),
            };
            head.push(piece(said, theme.dim));
            lines.push(head);
            if has_focus {
                lines.push(vec![
                    indent(),
                    piece("0     5   6    11   12   17   18   23", theme.dim),
                    piece(format!("   {at:02}:00–{at:02}:59"), theme.accent),
                ]);
            }
        }
    }
    let note = match &field.error {
        Some(error) if field.touched => Some((error.as_str(), theme.bad)),
        _ if has_focus && !field.help.is_empty() => Some((field.help, theme.dim)),
        _ => None,
    };
    if let Some((text, style)) = note {
        let shown = canvas.shown(text).into_owned();
        for line in wrap(&shown, usize::from(room)).into_iter().take(3) {
            lines.push(vec![indent(), piece(line, style)]);
        }
    }
    Drawn { lines, cursor }
}

/// What can be picked of several: the line that narrows them, and as many as there is room for, with how many more there are.
fn draw_options<'a>(
    canvas: &Canvas<'_>,
    options: &'a [Choice],
    picked: &BTreeSet<usize>,
    at: usize,
    typed: &'a str,
    indent: &impl Fn() -> Piece<'a>,
) -> Vec<Vec<Piece<'a>>> {
    let theme = canvas.theme();
    let found = fitting(options, typed);
    let said = match found.len() {
        _ if typed.is_empty() => "type a few letters to narrow".to_owned(),
        0 => "  nothing fits".to_owned(),
        some => format!("  {some} of {}", options.len()),
    };
    let mut lines =
        vec![vec![indent(), piece("/ ", theme.accent), piece(typed, theme.text), piece(said, theme.dim)]];
    let first = (at + 1).saturating_sub(OPTIONS_SHOWN);
    let below = found.len().saturating_sub(first + OPTIONS_SHOWN);
    let widest = options.iter().map(|option| width(&option.value)).max().unwrap_or(0);
    for (row, place) in found.iter().enumerate().skip(first).take(OPTIONS_SHOWN) {
        let Some(option) = options.get(*place) else { continue };
        let mark = if picked.contains(place) { "✓" } else { " " };
        let style = if row == at { theme.selected } else { theme.text };
        lines.push(vec![
            indent(),
            piece(format!("[{mark}] {:<widest$} ", option.value), style),
            piece(format!(" {}", option.about), theme.dim),
        ]);
    }
    if first + below > 0 {
        let more = [("↑", first), ("↓", below)].into_iter().filter(|(_, number)| *number > 0);
        let said: Vec<String> = more.map(|(way, number)| format!("{way} {number} more")).collect();
        lines.push(vec![indent(), piece(said.join("  "), theme.dim)]);
    }
    // the panel stands still while they are narrowed
    let most = 1 + options.len().min(OPTIONS_SHOWN) + usize::from(options.len() > OPTIONS_SHOWN);
    lines.resize_with(most.max(lines.len()), Vec::new);
    lines
}
