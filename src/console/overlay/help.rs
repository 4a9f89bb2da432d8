//! Help: every key of this place with what it does, to be searched and run.

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, piece};
use crate::console::keymap::Keymap;
use crate::console::layer::{Action, Layer, Turn};

use super::palette::{draw_prompt, run_chosen};
use super::pick::Picker;

pub struct Help {
    entries: Vec<(Action, String)>,
    picker: Picker,
    rows: u64,
}

impl Help {
    pub fn new(actions: Vec<Action>, keymap: &Keymap) -> Self {
        let entries: Vec<_> = actions
            .into_iter()
            .map(|action| {
                let keys = keymap.all(action.name);
                (action, keys)
            })
            .collect();
        let texts =
            entries.iter().map(|(action, keys)| format!("{} {} {keys}", action.about, action.name)).collect();
        Self { entries, picker: Picker::new(texts), rows: 10 }
    }
}

impl Layer for Help {
    fn crumbs(&self) -> Vec<String> {
        vec!["help".into()]
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        self.rows = u64::from(turn.body.height.saturating_sub(4)).max(1);
        run_chosen(&mut self.picker, &self.entries, self.rows, key, turn)
    }
    fn paste(&mut self, text: &str, _turn: &mut Turn<'_>) {
        self.picker.paste(text);
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        vec![("type", "to search"), ("⏎", "run"), ("↑ ↓", "choose"), ("esc", "close")]
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let (text, dim, key, selected, accent) = (
            canvas.theme().text,
            canvas.theme().dim,
            canvas.theme().key,
            canvas.theme().selected,
            canvas.theme().accent,
        );
        canvas.blank(area);
        let inside = canvas.frame(area, "help", accent);
        draw_prompt(canvas, inside, "/", &self.picker);
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
            let pick = |style| if here { selected } else { style };
            canvas.put(row.x + 1, y, 16, keys, pick(key));
            let about = if action.refused.is_some() { dim } else { text };
            let mut pieces = vec![piece(action.about, pick(about))];
            if let Some(why) = &action.refused {
                pieces.push(piece(format!(" ({why})"), pick(dim)));
            }
            let named = canvas.put_right(row.right() - 1, y, 18, action.name, pick(dim));
            canvas.put_pieces(row.x + 18, y, row.width.saturating_sub(21 + named), &pieces);
        }
        if self.picker.found.is_empty() {
            canvas.put(list.x + 1, list.y, list.width, "nothing fits", dim);
        }
    }
}
