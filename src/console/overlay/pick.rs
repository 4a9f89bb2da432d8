//! Finding one of many by a few letters: what help, palette and command line share.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;

use crate::console::widget::field::{Took, paste_into, type_into};
use crate::console::widget::fuzzy::fuzzy;
use crate::console::widget::list::{Cursor, Step};

/// A line of text and what fits it.
#[derive(Debug, Default)]
pub struct Picker {
    pub input: Input,
    texts: Vec<String>,
    pub found: Vec<usize>,
    pub cursor: Cursor,
}

/// What a key meant for the picker.
#[derive(Debug, PartialEq, Eq)]
pub enum Picked {
    This(usize),
    Cancelled,
    Nothing,
}

/// Rows that a picker's box shows at most.
pub const ROWS: u64 = 12;

impl Picker {
    pub fn new(texts: Vec<String>) -> Self {
        let found = (0..texts.len()).collect();
        Self { input: Input::default(), texts, found, cursor: Cursor::default() }
    }

    pub fn selected(&self) -> Option<usize> {
        self.found.get(self.cursor.index()).copied()
    }

    pub fn key(&mut self, key: KeyEvent, rows: u64) -> Picked {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let step = match key.code {
            KeyCode::Esc => return Picked::Cancelled,
            KeyCode::Enter => return self.selected().map_or(Picked::Nothing, Picked::This),
            KeyCode::Down => Step::Down,
            KeyCode::Up => Step::Up,
            KeyCode::Char('n' | 'j') if control => Step::Down,
            KeyCode::Char('p' | 'k') if control => Step::Up,
            KeyCode::PageDown => Step::PageDown,
            KeyCode::PageUp => Step::PageUp,
            _ => {
                if type_into(&mut self.input, key) == Took::Changed {
                    self.search();
                }
                return Picked::Nothing;
            }
        };
        self.cursor.step(step, self.found.len() as u64, rows);
        Picked::Nothing
    }

    pub fn paste(&mut self, text: &str) {
        paste_into(&mut self.input, text);
        self.search();
    }

    fn search(&mut self) {
        self.found = fuzzy(self.input.value(), &self.texts);
        self.cursor = Cursor::default();
    }
}
