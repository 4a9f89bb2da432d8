//! A text that is typed and not shown, such as a passphrase. It is wiped when it goes.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use zeroize::{Zeroize, Zeroizing};

use super::field::Took;

/// With room for all of it from the start: a text that grows leaves copies of itself behind.
const MOST: usize = 4_096;

pub struct Hidden(Zeroizing<String>);

impl Default for Hidden {
    fn default() -> Self {
        Self(Zeroizing::new(String::with_capacity(MOST)))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

impl Hidden {
    /// The text itself. Every call is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn paste(&mut self, text: &str) {
        for c in text.trim().chars().filter(|c| !c.is_control()) {
            self.push(c);
        }
    }

    /// Takes a key at the end of the text: there is nothing to be seen that one could move in.
    pub fn key(&mut self, key: KeyEvent) -> Took {
        let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match key.code {
            KeyCode::Char(c) if plain => self.push(c),
            KeyCode::Char('u') => {
                self.0.zeroize();
                Took::Changed
            }
            KeyCode::Backspace if self.0.pop().is_some() => Took::Changed,
            _ => Took::Nothing,
        }
    }

    fn push(&mut self, c: char) -> Took {
        if self.0.len() + c.len_utf8() > MOST {
            return Took::Nothing;
        }
        self.0.push(c);
        Took::Changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_grows_beyond_its_room_and_says_nothing_of_itself() {
        let mut hidden = Hidden::default();
        let place = hidden.expose().as_ptr();
        hidden.paste(&format!("  a\n{}", "é".repeat(MOST)));
        assert_eq!((hidden.expose().len(), hidden.expose().as_ptr()), (MOST - 1, place));
        assert_eq!(hidden.key(KeyEvent::new(KeyCode::Char('é'), KeyModifiers::NONE)), Took::Nothing);
        assert_eq!(format!("{hidden:?}"), "Hidden(…)");
        assert_eq!(hidden.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)), Took::Changed);
        assert_eq!(hidden.expose(), "");
        hidden.paste("x");
        assert_eq!(hidden.expose().as_ptr(), place);
    }
}
