//! The palette: everything that can be done here, found by a few letters.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Position, Rect};

use crate::console::canvas::{Canvas, piece};
use crate::console::keymap::Keymap;
use crate::console::layer::{Action, Layer, Turn, Wish};
use crate::console::widget::text::width;

use super::pick::{Picked, Picker, ROWS};

pub struct Palette {
    entries: Vec<(Action, String)>,
    picker: Picker,
}

impl Palette {
    pub fn new(actions: Vec<Action>, keymap: &Keymap) -> Self {
        let entries: Vec<_> = actions
            .into_iter()
            .filter(|action| action.name != "palette")
            .map(|action| {
                let keys = keymap.hint(action.name);
                (action, keys)
            })
            .collect();
        let picker = Picker::new(
            entries.iter().map(|(action, _)| format!("{} {}", action.about, action.name)).collect(),
        );
        Self { entries, picker }
    }
}

impl Layer for Palette {
    fn crumbs(&self) -> Vec<String> {
        vec!["palette".into()]
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        run_chosen(&mut self.picker, &self.entries, ROWS, key, turn)
    }
    fn paste(&mut self, text: &str, _turn: &mut Turn<'_>) {
        self.picker.paste(text);
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        vec![("⏎", "run"), ("↑ ↓", "choose"), ("esc", "close")]
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let rows = ROWS as u16;
        let width_wanted = 76.min(area.width);
        let area = Rect {
            x: area.x + (area.width - width_wanted) / 2,
            y: area.y + 1.min(area.height),
            width: width_wanted,
            height: (rows + 4).min(area.height.saturating_sub(1)),
        };
        canvas.blank(area);
        let accent = canvas.theme().accent;
        let inside = canvas.frame(area, "palette", accent);
        draw_prompt(canvas, inside, "›", &self.picker);
        let (text, dim, key, selected) =
            (canvas.theme().text, canvas.theme().dim, canvas.theme().key, canvas.theme().selected);
        let list = Rect { y: inside.y + 2, height: inside.height.saturating_sub(2), ..inside };
        let top = self.picker.cursor.top as usize;
        for (y, (place, found)) in (list.y..list.bottom()).zip(self.picker.found.iter().enumerate().skip(top))
        {
            let Some((action, keys)) = self.entries.get(*found) else { continue };
            let here = place == self.picker.cursor.index();
            let row = Rect { y, height: 1, ..list };
            if here {
                canvas.fill(row, selected);
            }
            let base = if here {
                selected
            } else if action.refused.is_some() {
                dim
            } else {
                text
            };
            let side = if here { selected } else { dim };
            canvas.put_pieces(
                row.x + 1,
                y,
                row.width.saturating_sub(14),
                &[
                    piece(action.about, base),
                    piece(format!("  {}", action.refused.as_deref().unwrap_or("")), side),
                ],
            );
            canvas.put_right(row.right() - 1, y, 12, keys, if here { selected } else { key });
        }
        if self.picker.found.is_empty() {
            canvas.put(list.x + 1, list.y, list.width, "nothing fits", dim);
        }
    }
}

/// What a key does where one of some actions is chosen: it searches, chooses, or closes. `false` for the keys that are the
/// console's own wherever one is.
pub fn run_chosen(
    picker: &mut Picker,
    entries: &[(Action, String)],
    rows: u64,
    key: KeyEvent,
    turn: &mut Turn<'_>,
) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && matches!(key.code, KeyCode::Char('c' | 'z' | 'l')) {
        return false;
    }
    match picker.key(key, rows) {
        Picked::This(place) => {
            turn.close();
            if let Some((action, _)) = entries.get(place) {
                turn.wishes.push(Wish::Perform(action.name.into()));
            }
        }
        Picked::Cancelled => turn.close(),
        Picked::Nothing => {}
    }
    true
}

/// The line one types into, with a rule below.
pub fn draw_prompt(canvas: &mut Canvas<'_>, inside: Rect, sign: &str, picker: &Picker) {
    let (accent, text, border) = (canvas.theme().accent, canvas.theme().text, canvas.theme().border);
    if inside.height == 0 {
        return;
    }
    let used = canvas.put(inside.x + 1, inside.y, 2, sign, accent) + 1;
    let x = inside.x + 1 + used;
    let room = inside.right().saturating_sub(x + 1);
    canvas.put(x, inside.y, room, picker.input.value(), text);
    let before: String = picker.input.value().chars().take(picker.input.cursor()).collect();
    let offset = u16::try_from(width(&canvas.shown(&before))).unwrap_or(0).min(room);
    canvas.cursor = Some(Position::new(x + offset, inside.y));
    if inside.height > 1 {
        for x in inside.x..inside.right() {
            canvas.put(x, inside.y + 1, 1, "─", border);
        }
    }
}
