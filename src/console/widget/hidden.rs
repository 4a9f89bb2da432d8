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

    /// Takes all of it but the end of its line, as the command line takes it from a file; or nothing, since nobody would see
    /// what is missing.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn paste(&mut self, text: &str) -> Result<(), &'static str> {
        let text = text.trim_end_matches(['\n', '\r']);
        if text.contains(char::is_control) {
            return Err("nothing was pasted: a passphrase is one line, without tabs");
        }
        if self.0.len() + text.len() > MOST {
            return Err("nothing was pasted: a passphrase has 4096 bytes at most");
        }
        self.0.push_str(text);
        Ok(())
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
        hidden.paste(&format!("a{}\r\n", "é".repeat(MOST / 2 - 1))).unwrap();
        assert_eq!((hidden.expose().len(), hidden.expose().as_ptr()), (MOST - 1, place));
        assert_eq!(hidden.key(KeyEvent::new(KeyCode::Char('é'), KeyModifiers::NONE)), Took::Nothing);
        assert_eq!(format!("{hidden:?}"), "Hidden(…)");
        assert_eq!(hidden.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)), Took::Changed);
        assert_eq!(hidden.expose(), "");
        hidden.paste("x").unwrap();
        assert_eq!(hidden.expose().as_ptr(), place);
    }

    #[test]
    fn what_is_pasted_is_taken_to_the_letter_or_not_at_all() {
        let mut hidden = Hidden::default();
        for refused in ["two\nlines", "a\ttab", "\u{1b}[31m", &"x".repeat(MOST + 1)] {
            assert!(hidden.paste(refused).is_err() && hidden.expose().is_empty());
        }
        hidden.paste("  with blanks  \n").unwrap();
        assert_eq!(hidden.expose(), "  with blanks  ");
    }
}
