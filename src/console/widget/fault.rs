//! What stands in the place of what the store did not give.

use ratatui::layout::Rect;

use super::text::wrap;
use crate::console::canvas::Canvas;

/// Why there is nothing to show.
pub fn draw_fault(canvas: &mut Canvas<'_>, area: Rect, message: &str) {
    let (bad, dim) = (canvas.theme().bad, canvas.theme().dim);
    canvas.put(area.x, area.y, area.width, "✕ The store did not answer.", bad);
    let shown = canvas.shown(message).into_owned();
    let lines = wrap(&shown, usize::from(area.width));
    for (y, line) in (area.y + 1..area.bottom()).zip(&lines) {
        canvas.put(area.x, y, area.width, line, dim);
    }
    let y = area.y + 2 + u16::try_from(lines.len()).unwrap_or(0);
    canvas.put(area.x, y, area.width, "ctrl-l asks again.", dim);
}
