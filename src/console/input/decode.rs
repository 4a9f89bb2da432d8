//! Bytes of a terminal into what they mean, however reading has split them.
//!
//! The sequences are taken apart by `vte`; what they are to a person stands in [`super::keys`]. What begins as a sequence and
//! goes no further is what was typed: escape, or alt and a bracket. What a terminal answers and nobody can use is dropped
//! whole, and never read as keys.

use std::mem::take;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Input;
use super::keys::{self, Heard};

/// A pasted text is kept up to so many bytes: no field takes more.
pub const MOST_PASTED: usize = 64 * 1024;
/// A string that a terminal sends is longer in no case that is known.
const LONGEST_STRING: usize = 4 * 1024;
/// So long after its beginning a key has come whole, over slow lines too.
const OF_A_KEY: Duration = Duration::from_millis(50);
/// The same for what is longer.
const OF_A_TEXT: Duration = Duration::from_secs(1);

const ESCAPE: u8 = 0x1b;
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Plain,
    /// After escape, which may be a key by itself.
    Escape,
    /// After escape and a bracket.
    Sequence,
    /// A string of the terminal's, such as an answer: `\x1b]…` and its like.
    String,
    /// After `\x1bO`: one character, a key of the keypad.
    Keypad,
    /// After `\x1b[[`: one character, a function key of the Linux console.
    Function,
    /// The three bytes of a report of the mouse in its oldest form.
    Mouse,
    Paste,
}

#[derive(Default)]
pub struct Decoder {
    parser: vte::Parser,
    heard: Heard,
    place: Place,
    /// The bytes of what has begun, and of a paste those that are kept.
    begun: Vec<u8>,
    /// The last bytes of a paste, where its end is looked for.
    last: Vec<u8>,
}

impl Decoder {
    /// Takes bytes as they come; what is whole now is what they mean.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Input> {
        for byte in bytes {
            self.take(*byte);
        }
        take(&mut self.heard.inputs)
    }

    /// How long what has begun may wait for its end; `None` where nothing has.
    pub fn patience(&self) -> Option<Duration> {
        match self.place {
            Place::Plain if self.begun.is_empty() => None,
            Place::Paste => Some(OF_A_TEXT),
            Place::String if self.begun.len() > 2 => Some(OF_A_TEXT),
            _ => Some(OF_A_KEY),
        }
    }

    /// Nothing more has come: what has begun is what it is.
    pub fn give_up(&mut self) -> Vec<Input> {
        let (place, begun) = (take(&mut self.place), take(&mut self.begun));
        match place {
            Place::Escape => self.heard.key(KeyCode::Esc),
            Place::Sequence | Place::String | Place::Keypad => self.was_typed(&begun),
            Place::Paste => self.heard.paste(&begun),
            Place::Plain | Place::Function | Place::Mouse => {}
        }
        self.begin_anew();
        take(&mut self.heard.inputs)
    }

    fn begin_anew(&mut self) {
        self.parser = vte::Parser::new();
        self.heard.alt = false;
        self.place = Place::Plain;
        self.begun.clear();
        self.last.clear();
    }

    /// Two bytes that begin a sequence and have no more are alt and a key; longer ones nobody typed.
    fn was_typed(&mut self, begun: &[u8]) {
        if let [ESCAPE, byte] = begun {
            let code = KeyCode::Char(char::from(*byte));
            self.heard.push_key(KeyEvent::new(code, KeyModifiers::ALT));
        }
    }

    fn take(&mut self, byte: u8) {
        match self.place {
            Place::Plain => self.take_plain(byte),
            Place::Escape => self.take_after_escape(byte),
            Place::Sequence => self.take_of_sequence(byte),
            Place::String => self.take_of_string(byte),
            Place::Keypad => {
                self.place = Place::Plain;
                let begun = take(&mut self.begun);
                if !self.heard.keypad(byte) {
                    self.was_typed(&begun);
                    self.take(byte);
                }
            }
            Place::Function => {
                self.begin_anew();
                if let b'A'..=b'E' = byte {
                    self.heard.key(KeyCode::F(1 + byte - b'A'));
                }
            }
            Place::Mouse => {
                self.begun.push(byte);
                if let [button, column, row] = self.begun[..] {
                    self.heard.old_mouse(button, column, row);
                    self.begin_anew();
                }
            }
            Place::Paste => self.take_of_paste(byte),
        }
    }

    fn take_plain(&mut self, byte: u8) {
        if byte == ESCAPE {
            // A character that was cut off before it is none.
            self.begin_anew();
            self.place = Place::Escape;
            return;
        }
        let before = self.heard.inputs.len();
        self.parser.advance(&mut self.heard, &[byte]);
        // A character of several bytes has begun, or is whole.
        if self.heard.inputs.len() > before { self.begun.clear() } else { self.begun.push(byte) }
    }

    fn take_after_escape(&mut self, byte: u8) {
        match byte {
            // The first was a key.
            ESCAPE => self.heard.key(KeyCode::Esc),
            b'[' => self.begin(byte, Place::Sequence),
            b']' | b'P' | b'X' | b'^' | b'_' => self.begin(byte, Place::String),
            b'O' => {
                self.begun = vec![ESCAPE, byte];
                self.place = Place::Keypad;
            }
            _ => {
                self.place = Place::Plain;
                self.heard.alt = true;
                self.take_plain(byte);
            }
        }
    }

    fn begin(&mut self, byte: u8, place: Place) {
        self.begun = vec![ESCAPE, byte];
        self.parser.advance(&mut self.heard, &[ESCAPE, byte]);
        self.place = place;
    }

    /// Another escape while something has begun.
    fn escape_again(&mut self) {
        let begun = take(&mut self.begun);
        self.was_typed(&begun);
        self.begin_anew();
        self.place = Place::Escape;
    }

    fn take_of_sequence(&mut self, byte: u8) {
        if byte == ESCAPE {
            return self.escape_again();
        }
        self.begun.push(byte);
        self.parser.advance(&mut self.heard, &[byte]);
        // ECMA-48 §5.4: the final byte; cancel and substitute end it as well
        if !matches!(byte, 0x40..=0x7e | 0x18 | 0x1a) {
            return;
        }
        let next = match take(&mut self.heard.next) {
            keys::Next::Nothing => Place::Plain,
            keys::Next::Function => Place::Function,
            keys::Next::Mouse => Place::Mouse,
            keys::Next::Paste => Place::Paste,
        };
        self.begin_anew();
        self.place = next;
    }

    fn take_of_string(&mut self, byte: u8) {
        if self.begun.last() == Some(&ESCAPE) && self.begun.len() > 2 {
            // `\x1b\\` ends it; anything else after the escape is another sequence
            self.begin_anew();
            if byte != b'\\' {
                self.place = Place::Escape;
                self.take(byte);
            }
            return;
        }
        if byte == ESCAPE && self.begun.len() == 2 {
            return self.escape_again();
        }
        // cancel and substitute end it, and the bell what begins with `]`
        let ends = matches!(byte, 0x18 | 0x1a) || (byte == 0x07 && self.begun.get(1) == Some(&b']'));
        if ends || byte == ESCAPE || self.begun.len() < LONGEST_STRING {
            self.begun.push(byte);
            self.parser.advance(&mut self.heard, &[byte]);
        }
        if ends {
            self.begin_anew();
        }
    }

    fn take_of_paste(&mut self, byte: u8) {
        self.last.push(byte);
        if self.last.ends_with(PASTE_ENDS) {
            let text = take(&mut self.begun);
            self.begin_anew();
            return self.heard.paste(&text);
        }
        // What cannot be of the end any more is of the text.
        while !PASTE_ENDS.starts_with(&self.last) {
            let first = self.last.remove(0);
            if self.begun.len() < MOST_PASTED {
                self.begun.push(first);
            }
        }
    }
}
