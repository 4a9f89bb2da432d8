//! What a terminal's sequences are to a person: keys, the mouse, a paste, the colour of the background.

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use vte::{Params, Perform};

use super::Input;
use crate::console::theme::Shade;

/// What belongs to the bytes after a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    #[default]
    Nothing,
    /// One letter of a function key (Linux console).
    Function,
    /// Three bytes of a report of the mouse.
    Mouse,
    Paste,
}

/// What was understood so far.
#[derive(Default)]
pub struct Heard {
    pub inputs: Vec<Input>,
    /// An escape came before the next character.
    pub alt: bool,
    pub next: Next,
}

impl Heard {
    pub fn push_key(&mut self, key: KeyEvent) {
        self.inputs.push(Input::Key(key));
    }

    pub fn key(&mut self, code: KeyCode) {
        self.with(code, KeyModifiers::NONE);
    }

    fn with(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        let alt = if std::mem::take(&mut self.alt) { KeyModifiers::ALT } else { KeyModifiers::NONE };
        self.push_key(KeyEvent::new(code, modifiers | alt));
    }

    pub fn paste(&mut self, text: &[u8]) {
        self.inputs.push(Input::Paste(String::from_utf8_lossy(text).into_owned()));
    }

    /// The key of a byte after `\x1bO`; false where there is none.
    pub fn keypad(&mut self, byte: u8) -> bool {
        let code = match byte {
            b'P'..=b'S' => KeyCode::F(1 + byte - b'P'),
            b'M' => KeyCode::Enter,
            b'j'..=b'y' => KeyCode::Char(char::from(byte - b'j' + b'*')),
            _ => match arrow(char::from(byte)) {
                Some(code) => code,
                None => return false,
            },
        };
        self.key(code);
        true
    }

    /// A report in the oldest form: every number with 32 added.
    pub fn old_mouse(&mut self, button: u8, column: u8, row: u8) {
        let number = |byte: u8| u16::from(byte.saturating_sub(32));
        self.mouse(number(button), number(column), number(row), false);
    }

    /// `column` and `row` begin at 1; a 0, which some terminals report at their edge, is taken for it.
    fn mouse(&mut self, button: u16, column: u16, row: u16, released: bool) {
        let Some(kind) = mouse_kind(button, released) else { return };
        let mut modifiers = KeyModifiers::NONE;
        for (bit, modifier) in [(4, KeyModifiers::SHIFT), (8, KeyModifiers::ALT), (16, KeyModifiers::CONTROL)]
        {
            modifiers.set(modifier, button & bit != 0);
        }
        let (column, row) = (column.saturating_sub(1), row.saturating_sub(1));
        self.inputs.push(Input::Mouse(MouseEvent { kind, column, row, modifiers }));
    }
}

fn mouse_kind(button: u16, released: bool) -> Option<MouseEventKind> {
    let number = (button & 0b11) | ((button & 0b1100_0000) >> 4);
    let moved = button & 0b10_0000 != 0;
    let which = match number {
        0 => MouseButton::Left,
        1 => MouseButton::Middle,
        _ => MouseButton::Right,
    };
    Some(match (number, moved) {
        (0..=2, false) if released => MouseEventKind::Up(which),
        (0..=2, false) => MouseEventKind::Down(which),
        (0..=2, true) => MouseEventKind::Drag(which),
        (3, false) => MouseEventKind::Up(MouseButton::Left),
        (3, true) => MouseEventKind::Moved,
        (4, false) => MouseEventKind::ScrollUp,
        (5, false) => MouseEventKind::ScrollDown,
        (6, false) => MouseEventKind::ScrollLeft,
        (7, false) => MouseEventKind::ScrollRight,
        _ => return None,
    })
}

fn arrow(letter: char) -> Option<KeyCode> {
    Some(match letter {
        'A' => KeyCode::Up,
        'B' => KeyCode::Down,
        'C' => KeyCode::Right,
        'D' => KeyCode::Left,
        'F' => KeyCode::End,
        'H' => KeyCode::Home,
        _ => return None,
    })
}

/// The key of a number before `~`.
fn numbered(number: u16) -> Option<KeyCode> {
    let function = |first: u16| u8::try_from(first).ok().map(KeyCode::F);
    match number {
        1 | 7 => Some(KeyCode::Home),
        2 => Some(KeyCode::Insert),
        3 => Some(KeyCode::Delete),
        4 | 8 => Some(KeyCode::End),
        5 => Some(KeyCode::PageUp),
        6 => Some(KeyCode::PageDown),
        11..=15 => function(number - 10),
        17..=21 => function(number - 11),
        23..=26 => function(number - 12),
        28 | 29 => function(number - 15),
        31..=34 => function(number - 17),
        _ => None,
    }
}

/// The key of a code point, as terminals with extended keys report it.
fn of_code_point(code: u16, modifiers: KeyModifiers) -> Option<KeyCode> {
    Some(match char::from_u32(u32::from(code))? {
        '\x1b' => KeyCode::Esc,
        '\r' => KeyCode::Enter,
        '\t' if modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
        '\t' => KeyCode::Tab,
        '\x7f' | '\x08' => KeyCode::Backspace,
        // keys for private use: modifiers alone, media
        '\0'..='\x1f' | '\u{e000}'..='\u{f8ff}' => return None,
        letter => KeyCode::Char(letter),
    })
}

/// What modifiers a parameter says: one more than the sum of their bits.
fn modifiers(parameter: u16) -> KeyModifiers {
    let bits = parameter.saturating_sub(1);
    let mut modifiers = KeyModifiers::NONE;
    for (bit, modifier) in [
        (1, KeyModifiers::SHIFT),
        (2, KeyModifiers::ALT),
        (4, KeyModifiers::CONTROL),
        (8, KeyModifiers::SUPER),
        (16, KeyModifiers::HYPER),
        (32, KeyModifiers::META),
    ] {
        modifiers.set(modifier, bits & bit != 0);
    }
    modifiers
}

impl Perform for Heard {
    fn print(&mut self, letter: char) {
        match letter {
            '\x7f' => self.key(KeyCode::Backspace),
            _ if letter.is_uppercase() => self.with(KeyCode::Char(letter), KeyModifiers::SHIFT),
            _ => self.key(KeyCode::Char(letter)),
        }
    }

    fn execute(&mut self, byte: u8) {
        let code = match byte {
            b'\r' => return self.key(KeyCode::Enter),
            b'\t' => return self.key(KeyCode::Tab),
            0 => ' ',
            1..=26 => char::from(byte - 1 + b'a'),
            // ctrl-\ ctrl-] ctrl-^ ctrl-_
            28..=31 => char::from(byte | 0x40),
            _ => return,
        };
        self.with(KeyCode::Char(code), KeyModifiers::CONTROL);
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, end: char) {
        let mut numbers = [0; 3];
        for (number, given) in numbers.iter_mut().zip(params.iter()) {
            *number = given.first().copied().unwrap_or(0);
        }
        let [first, second, third] = numbers;
        if intermediates == b"<" && matches!(end, 'M' | 'm') {
            return self.mouse(first, second, third, end == 'm');
        }
        // What is left are answers, to whoever asked.
        if ignore || !intermediates.is_empty() {
            return;
        }
        let (kind, held) = {
            let said = params.iter().nth(1).unwrap_or(&[1]);
            let kind = match said.get(1) {
                Some(2) => KeyEventKind::Repeat,
                Some(3) => KeyEventKind::Release,
                _ => KeyEventKind::Press,
            };
            (kind, modifiers(second))
        };
        let code = match end {
            'P' | 'Q' | 'S' => Some(KeyCode::F(1 + end as u8 - b'P')),
            // with a second number it is an answer where the cursor is
            'R' if params.len() < 2 => Some(KeyCode::F(3)),
            'Z' => return self.push_key(KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT)),
            '~' if first == 200 => {
                self.next = Next::Paste;
                None
            }
            // xterm's modifyOtherKeys: the code point comes third
            '~' if first == 27 => of_code_point(third, held),
            '~' => numbered(first),
            'u' => of_code_point(first, held),
            '[' => {
                self.next = Next::Function;
                None
            }
            'M' if params.len() == 1 && first == 0 => {
                self.next = Next::Mouse;
                None
            }
            'M' if params.len() == 3 => return self.mouse(first.saturating_sub(32), second, third, false),
            _ => arrow(end),
        };
        if let Some(code) = code {
            self.push_key(KeyEvent::new_with_kind(code, held, kind));
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell_terminated: bool) {
        if let [b"11", colour, ..] = params
            && let Some(shade) = std::str::from_utf8(colour).ok().and_then(Shade::of_answer)
        {
            self.inputs.push(Input::Background(shade));
        }
    }
}
