//! The panel that a form stands in.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Form;
use crate::console::canvas::{Canvas, centred};
use crate::console::widget::fault::draw_fault;
use crate::console::widget::text::wrap;

/// In the middle of what lies below it.
pub struct Panel<'a> {
    pub title: &'a str,
    /// Of its frame.
    pub style: Style,
    /// In cells, where there are so many.
    pub width: u16,
    /// What is said above the form.
    pub about: Option<&'a str>,
}

impl Panel<'_> {
    /// Draws it with the form, or as long as there is none with why, or that what it offers is still on its way.
    pub fn draw(&self, form: Option<&Form>, fault: Option<&str>, canvas: &mut Canvas<'_>, area: Rect) {
        let cells = self.width.min(area.width).saturating_sub(4);
        let rows = form.map_or(3, |form| form.rows(canvas, cells));
        let about = self.about.map(|about| wrap(&canvas.shown(about), usize::from(cells)));
        let about = about.unwrap_or_default();
        let above = if about.is_empty() { 1 } else { u16::try_from(about.len()).unwrap_or(1) + 2 };
        let panel = centred(area, self.width, rows + 2 + above);
        canvas.blank(panel);
        let dim = canvas.theme().dim;
        let frame = canvas.frame(panel, self.title, self.style);
        let (x, width) = (frame.x + 1, frame.width.saturating_sub(2));
        for (y, line) in (frame.y + 1..frame.bottom()).zip(&about) {
            canvas.put(x, y, width, line, dim);
        }
        let inside = Rect { x, y: frame.y + above, width, height: frame.height.saturating_sub(above) };
        match (form, fault) {
            (Some(form), _) => form.draw(canvas, inside),
            (None, Some(fault)) => draw_fault(canvas, inside, fault),
            (None, None) => _ = canvas.put(inside.x, inside.y, inside.width, "loading…", dim),
        }
    }
}
