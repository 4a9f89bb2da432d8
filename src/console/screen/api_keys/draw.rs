//! How the list of keys looks.

use ratatui::layout::{Position, Rect};

use crate::console::canvas::{Canvas, piece};
use crate::console::screen::overview::draw_fault;
use crate::console::theme::state_glyph;
use crate::console::widget::table::{Column, Row, Table, cell, height, styled};
use crate::console::widget::text::{grouped, relative, width};
use crate::domain::api_key::ApiKey;

use super::detail;
use super::list::{Keys, areas, short_id, table_area};

const COLUMNS: [Column; 7] = [
    Column::new("state", 10),
    Column::new("id", 8),
    Column::new("name", 10).share(2),
    Column::new("subject", 12).share(3),
    Column::new("policy", 10).share(1).dispensable(2),
    Column::new("expires", 9),
    Column::new("created", 9).dispensable(1),
];

pub(super) fn draw(keys: &Keys, canvas: &mut Canvas<'_>, body: Rect) {
    let (list, right) = areas(body, keys.open);
    if list.width > 0 {
        draw_list(keys, canvas, list);
    }
    if right.width == 0 {
        return;
    }
    let beside = list.width > 0;
    if beside {
        let border = canvas.theme().border;
        for y in right.y..right.bottom() {
            canvas.put(right.x, y, 1, "│", border);
        }
    }
    let inside =
        if beside { Rect { x: right.x + 2, width: right.width.saturating_sub(2), ..right } } else { right };
    match (&keys.detail.value, &keys.detail.fault) {
        (_, Some(fault)) => draw_fault(canvas, inside, &fault.message),
        (Some(value), None) => detail::draw(value, keys.detail_top, canvas, inside),
        (None, None) => {
            let dim = canvas.theme().dim;
            let word = if keys.detail.is_waiting() { "loading…" } else { "" };
            canvas.put(inside.x, inside.y, inside.width, word, dim);
        }
    }
}

fn draw_list(keys: &Keys, canvas: &mut Canvas<'_>, area: Rect) {
    draw_status(keys, canvas, Rect { height: 1, ..area });
    let below = table_area(area);
    if let Some(fault) = &keys.window.fault {
        return draw_fault(canvas, below, &fault.message);
    }
    if keys.total == 0 {
        let dim = canvas.theme().dim;
        let text = if keys.window.value.is_none() {
            "loading…"
        } else if keys.filter.value().is_empty() {
            "There are no keys yet. n creates one."
        } else {
            "No key fits the filter. esc clears it."
        };
        canvas.put(below.x, below.y + 1.min(below.height), below.width, text, dim);
        return;
    }
    let last = (keys.cursor.top + u64::from(height(below))).min(keys.total);
    let rows = (keys.cursor.top..last).map(|place| row(keys, place, canvas)).collect();
    let table = Table {
        columns: &COLUMNS,
        rows,
        sort: Some((keys.sort.as_str(), keys.descending)),
        top: keys.cursor.top,
        total: keys.total,
    };
    table.draw(canvas, below);
}

fn row<'a>(keys: &'a Keys, place: u64, canvas: &Canvas<'_>) -> Row<'a> {
    let selected = place == keys.cursor.selected;
    let in_range = keys.range_from.is_some_and(|from| {
        (from.min(keys.cursor.selected)..=from.max(keys.cursor.selected)).contains(&place)
    });
    let Some(key) = keys.row(place) else {
        return Row { cells: vec![styled("…", canvas.theme().dim)], marked: in_range, selected };
    };
    let theme = canvas.theme();
    let state = key.state(canvas.now);
    let cells = vec![
        styled(format!("{} {}", state_glyph(state), state.as_str()), theme.state(state)),
        styled(short_id(&key.id), theme.dim),
        cell(key.name.as_str()),
        cell(key.subject.as_str()),
        cell(key.policy.as_str()),
        expiry(key, canvas),
        styled(relative(key.created_at, canvas.now), theme.dim),
    ];
    Row { cells, marked: in_range || keys.marks.contains(&key.id), selected }
}

/// When it ends, louder the nearer it is.
fn expiry<'a>(key: &ApiKey, canvas: &Canvas<'_>) -> crate::console::widget::table::TableCell<'a> {
    const SOON: std::time::Duration = std::time::Duration::from_secs(86_400);
    let theme = canvas.theme();
    match key.expires_at {
        None => styled("never", theme.dim),
        Some(at) if at > canvas.now && at.since(canvas.now) < SOON && key.revoked_at.is_none() => {
            styled(relative(at, canvas.now), theme.warning)
        }
        Some(at) => cell(relative(at, canvas.now)),
    }
}

/// The line above the table: the filter, how many there are, how many are marked.
fn draw_status(keys: &Keys, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme().clone();
    let mut right = String::new();
    if keys.range_from.is_some() {
        right.push_str("range… V ends it · ");
    }
    if !keys.marks.is_empty() {
        right.push_str(&format!("{} marked · ", keys.marks.len()));
    }
    let here = if keys.total == 0 { 0 } else { keys.cursor.selected + 1 };
    let more = if keys.counted { "" } else { "+" };
    right.push_str(&format!("{}/{}{more}", grouped(here), grouped(keys.total)));
    let style = if keys.marks.is_empty() && keys.range_from.is_none() { theme.dim } else { theme.marked };
    let used = canvas.put_right(area.right() - 1, area.y, area.width / 2, &right, style);
    let room = area.width.saturating_sub(used + 3);

    if !keys.typing && keys.filter.value().is_empty() {
        canvas.put(
            area.x,
            area.y,
            room,
            "/ filter: text  subject:ana  state:active  expires<30d  !not",
            theme.dim,
        );
        return;
    }
    let sign = canvas.put(area.x, area.y, room, "/ ", theme.accent);
    let text_style = if keys.filter_fault.is_some() { theme.bad } else { theme.text };
    let used = canvas.put(area.x + sign, area.y, room.saturating_sub(sign), keys.filter.value(), text_style);
    if let Some(fault) = &keys.filter_fault {
        canvas.put_pieces(
            area.x + sign + used + 2,
            area.y,
            room.saturating_sub(sign + used + 2),
            &[piece(fault.as_str(), theme.bad)],
        );
    }
    if keys.typing {
        let before: String = keys.filter.value().chars().take(keys.filter.cursor()).collect();
        let offset = u16::try_from(width(&canvas.shown(&before))).unwrap_or(0);
        let x = (area.x + sign + offset).min(area.x + room);
        canvas.cursor = Some(Position::new(x, area.y));
    }
}
