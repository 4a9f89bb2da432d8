//! How the list of keys looks.

use ratatui::layout::Rect;

use crate::console::canvas::Canvas;
use crate::console::screen::long_list::{Words, areas, draw_damaged};
use crate::console::theme::state_glyph;
use crate::console::widget::fault::draw_fault;
use crate::console::widget::table::{Column, TableCell, cell, styled};
use crate::console::widget::text::relative;
use crate::domain::api_key::ApiKey;

use super::detail;
use super::list::Keys;

const COLUMNS: [Column; 7] = [
    Column::new("state", 10),
    Column::new("id", 8),
    Column::new("name", 10).share(2),
    Column::new("subject", 12).share(3),
    Column::new("policy", 10).share(1).dispensable(2),
    Column::new("expires", 9),
    Column::new("created", 9).dispensable(1),
];

const WORDS: Words = Words {
    empty: "There are no keys yet. n creates one.",
    none_fit: "No key fits the filter. esc clears it.",
    examples: "/ filter: text  subject:ana  state:active  expires<30d  !not",
};

pub(super) fn draw(keys: &Keys, canvas: &mut Canvas<'_>, body: Rect) {
    let (list, right) = areas(body, keys.open);
    if list.width > 0 {
        keys.list.draw(canvas, list, &COLUMNS, WORDS, cells);
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
    if let Some(damaged) = keys.list.damaged() {
        return draw_damaged(damaged, "D removes the keys that are damaged", canvas, inside);
    }
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

fn cells<'a>(key: &'a ApiKey, canvas: &Canvas<'_>) -> Vec<TableCell<'a>> {
    let theme = canvas.theme();
    let state = key.state(canvas.now);
    vec![
        styled(format!("{} {}", state_glyph(state), state.as_str()), theme.state(state)),
        styled(key.id.short(), theme.dim),
        cell(key.name.as_str()),
        cell(key.subject.as_str()),
        cell(key.policy.as_str()),
        expiry(key, canvas),
        styled(relative(key.created_at, canvas.now), theme.dim),
    ]
}

/// When it ends, louder the nearer it is.
fn expiry<'a>(key: &ApiKey, canvas: &Canvas<'_>) -> TableCell<'a> {
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
