//! The fields of a form: a line of text, one choice, several choices, the hours of a day.
//!
//! A field keeps what was typed, right or wrong; what is wrong with it stands beside it.

use std::collections::BTreeSet;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};

use super::fuzzy::fuzzy;
use super::hidden::Hidden;

/// Most bytes a field takes, so that a pasted file does not fill the screen.
const MOST: usize = 4_096;
/// Most bytes that a choice of several is narrowed by.
const MOST_TYPED: usize = 64;

#[derive(Debug)]
pub enum Kind {
    Text {
        input: Input,
        /// What could be meant by the text so far, best first.
        suggest: Option<fn(&str) -> Vec<String>>,
    },
    /// Typed and not shown.
    Hidden(Hidden),
    Choice {
        options: Vec<Choice>,
        at: usize,
        /// What was typed to find one.
        typed: String,
    },
    Many {
        options: Vec<Choice>,
        picked: BTreeSet<usize>,
        /// The place among those that fit what is typed.
        at: usize,
        typed: String,
    },
    /// Hours of the day that are allowed, a bit an hour.
    Hours { allowed: BTreeSet<u32>, at: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub about: String,
}

impl Choice {
    pub fn new(value: impl Into<String>, about: impl Into<String>) -> Self {
        Self { value: value.into(), about: about.into() }
    }
}

#[derive(Debug)]
pub struct Field {
    /// Where faults of this field are found: a JSON path or a plain name.
    pub name: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    /// What it means to leave it empty.
    pub empty: &'static str,
    pub kind: Kind,
    pub error: Option<String>,
    /// Whether it was typed into: before that, an empty field is not called wrong.
    pub touched: bool,
    /// Left out of the form for now.
    pub hidden: bool,
}

/// What a key did to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    Changed,
    Moved,
    /// Not a key of this field.
    Nothing,
}

impl Field {
    fn new(name: &'static str, label: &'static str, help: &'static str, kind: Kind) -> Self {
        Self { name, label, help, empty: "", kind, error: None, touched: false, hidden: false }
    }
    pub fn text(name: &'static str, label: &'static str, help: &'static str, value: &str) -> Self {
        Self::new(name, label, help, Kind::Text { input: Input::new(value.to_owned()), suggest: None })
    }
    pub fn suggesting(mut self, with: fn(&str) -> Vec<String>) -> Self {
        if let Kind::Text { suggest, .. } = &mut self.kind {
            *suggest = Some(with);
        }
        self
    }
    pub fn empty_means(mut self, said: &'static str) -> Self {
        self.empty = said;
        self
    }
    pub fn hidden(name: &'static str, label: &'static str, help: &'static str) -> Self {
        Self::new(name, label, help, Kind::Hidden(Hidden::default()))
    }
    pub fn choice(
        name: &'static str,
        label: &'static str,
        help: &'static str,
        options: Vec<Choice>,
        value: &str,
    ) -> Self {
        let at = options.iter().position(|option| option.value == value).unwrap_or(0);
        Self::new(name, label, help, Kind::Choice { options, at, typed: String::new() })
    }
    pub fn many(
        name: &'static str,
        label: &'static str,
        help: &'static str,
        options: Vec<Choice>,
        values: &[String],
    ) -> Self {
        let picked = options
            .iter()
            .enumerate()
            .filter(|(_, option)| values.contains(&option.value))
            .map(|(place, _)| place)
            .collect();
        Self::new(name, label, help, Kind::Many { options, picked, at: 0, typed: String::new() })
    }
    pub fn hours(
        name: &'static str,
        label: &'static str,
        help: &'static str,
        allowed: impl Iterator<Item = u32>,
    ) -> Self {
        Self::new(name, label, help, Kind::Hours { allowed: allowed.collect(), at: 0 })
    }

    /// What was typed and not shown.
    pub fn exposed(&self) -> &str {
        match &self.kind {
            Kind::Hidden(hidden) => hidden.expose(),
            _ => "",
        }
    }

    /// The text, or the value chosen; empty for fields of several values, and of what is not shown.
    pub fn value(&self) -> &str {
        match &self.kind {
            Kind::Text { input, .. } => input.value(),
            Kind::Choice { options, at, .. } => options.get(*at).map_or("", |option| option.value.as_str()),
            Kind::Hidden(_) | Kind::Many { .. } | Kind::Hours { .. } => "",
        }
    }

    /// What was typed to find a choice, and fits none: whoever typed it means something else than what is chosen.
    pub fn unfit(&self) -> Option<&str> {
        match &self.kind {
            Kind::Choice { options, typed, .. }
                if !typed.is_empty() && fitting(options, typed).is_empty() =>
            {
                Some(typed)
            }
            _ => None,
        }
    }

    /// Whether `value` is among its choices.
    pub fn offers(&self, value: &str) -> bool {
        matches!(&self.kind, Kind::Choice { options, .. } if options.iter().any(|option| option.value == value))
    }

    /// The focus goes elsewhere: what was typed to find a choice has done its work.
    pub fn leave(&mut self) {
        if let Kind::Choice { typed, .. } = &mut self.kind {
            typed.clear();
        }
    }

    /// The values picked of several.
    pub fn values(&self) -> Vec<&str> {
        match &self.kind {
            Kind::Many { options, picked, .. } => {
                picked.iter().filter_map(|place| options.get(*place)).map(|o| o.value.as_str()).collect()
            }
            _ => Vec::new(),
        }
    }

    pub fn hours_allowed(&self) -> Vec<u32> {
        match &self.kind {
            Kind::Hours { allowed, .. } => allowed.iter().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether ↑ and ↓ move inside it rather than to the next field.
    pub fn keeps_arrows(&self, down: bool) -> bool {
        match &self.kind {
            Kind::Many { options, at, typed, .. } => {
                if down {
                    *at + 1 < fitting(options, typed).len()
                } else {
                    *at > 0
                }
            }
            _ => false,
        }
    }

    pub fn suggestions(&self) -> Vec<String> {
        match &self.kind {
            Kind::Text { input, suggest: Some(suggest) } => {
                let found = suggest(input.value());
                if found.iter().any(|known| known == input.value()) { Vec::new() } else { found }
            }
            _ => Vec::new(),
        }
    }

    /// # Errors
    /// Why it is not taken.
    pub fn paste(&mut self, text: &str) -> Result<(), &'static str> {
        match &mut self.kind {
            Kind::Text { input, .. } => paste_into(input, text),
            Kind::Hidden(hidden) => hidden.paste(text)?,
            _ => return Err("what is pasted goes into a line of text, and this is none"),
        }
        self.touched = true;
        Ok(())
    }

    pub fn key(&mut self, key: KeyEvent) -> Took {
        let first_suggestion = match key.code {
            KeyCode::Right => self.suggestions().into_iter().next(),
            _ => None,
        };
        let took = match &mut self.kind {
            Kind::Text { input, .. } => match first_suggestion {
                Some(whole) if input.cursor() == input.value().chars().count() => {
                    *input = Input::new(whole);
                    Took::Changed
                }
                _ => type_into(input, key),
            },
            Kind::Hidden(hidden) => hidden.key(key),
            Kind::Choice { options, at, typed } => choose(options, at, typed, key),
            Kind::Many { options, picked, at, typed } => pick(options, picked, at, typed, key),
            Kind::Hours { allowed, at } => toggle_hours(allowed, at, key),
        };
        self.touched |= took == Took::Changed;
        took
    }
}

/// Puts a pasted text where the cursor is, on one line: breaks in it separate, they do not submit. What is longer than a
/// field takes is cut off.
pub fn paste_into(input: &mut Input, text: &str) {
    let mut pasted = String::new();
    for c in text.trim().chars() {
        let c = if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
        if input.value().len() + pasted.len() + c.len_utf8() > MOST {
            break;
        }
        if !c.is_control() {
            pasted.push(c);
        }
    }
    let cursor = input.cursor();
    let at = input.value().char_indices().nth(cursor).map_or(input.value().len(), |(at, _)| at);
    let (before, after) = input.value().split_at(at);
    *input = Input::new(format!("{before}{pasted}{after}")).with_cursor(cursor + pasted.chars().count());
}

/// Edits a line of text as a shell would.
pub fn type_into(input: &mut Input, key: KeyEvent) -> Took {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    let request = match key.code {
        KeyCode::Char('a') if control => InputRequest::GoToStart,
        KeyCode::Char('e') if control => InputRequest::GoToEnd,
        KeyCode::Char('u') if control => InputRequest::DeleteFromStart,
        KeyCode::Char('k') if control => InputRequest::DeleteTillEnd,
        KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
        KeyCode::Char('y') if control => InputRequest::Yank,
        KeyCode::Char('b') if alt => InputRequest::GoToPrevWord,
        KeyCode::Char('f') if alt => InputRequest::GoToNextWord,
        KeyCode::Char(c) if !control && !alt && input.value().len() < MOST => InputRequest::InsertChar(c),
        KeyCode::Backspace if control || alt => InputRequest::DeletePrevWord,
        KeyCode::Backspace => InputRequest::DeletePrevChar,
        KeyCode::Delete => InputRequest::DeleteNextChar,
        KeyCode::Left if control => InputRequest::GoToPrevWord,
        KeyCode::Right if control => InputRequest::GoToNextWord,
        KeyCode::Left => InputRequest::GoToPrevChar,
        KeyCode::Right => InputRequest::GoToNextChar,
        KeyCode::Home => InputRequest::GoToStart,
        KeyCode::End => InputRequest::GoToEnd,
        _ => return Took::Nothing,
    };
    match input.handle(request) {
        Some(change) if change.value => Took::Changed,
        _ => Took::Moved,
    }
}

/// Goes through the options one by one, or to the one that fits best what is typed.
fn choose(options: &[Choice], at: &mut usize, typed: &mut String, key: KeyEvent) -> Took {
    let Some(last) = options.len().checked_sub(1) else { return Took::Nothing };
    let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    let before = *at;
    *at = match key.code {
        KeyCode::Char(c) if plain && c != ' ' && typed.len() < MOST_TYPED => {
            typed.push(c);
            fitting(options, typed).first().copied().unwrap_or(before)
        }
        KeyCode::Backspace if !typed.is_empty() => {
            typed.pop();
            fitting(options, typed).first().copied().filter(|_| !typed.is_empty()).unwrap_or(before)
        }
        KeyCode::Right | KeyCode::Char(' ') => {
            typed.clear();
            (before + 1) % options.len()
        }
        KeyCode::Left => {
            typed.clear();
            (before + last) % options.len()
        }
        KeyCode::Home => 0,
        KeyCode::End => last,
        _ => return Took::Nothing,
    };
    if *at == before { Took::Moved } else { Took::Changed }
}

/// The places of the options that fit what is typed, best first; all, in their order, where nothing is.
pub fn fitting(options: &[Choice], typed: &str) -> Vec<usize> {
    fuzzy(typed, options.iter().map(|option| option.value.as_str()))
}

fn pick(
    options: &[Choice],
    picked: &mut BTreeSet<usize>,
    at: &mut usize,
    typed: &mut String,
    key: KeyEvent,
) -> Took {
    let found = fitting(options, typed);
    let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    match key.code {
        KeyCode::Down if *at + 1 < found.len() => *at += 1,
        KeyCode::Up if *at > 0 => *at -= 1,
        KeyCode::Home => *at = 0,
        KeyCode::End => *at = found.len().saturating_sub(1),
        KeyCode::Char(' ') => {
            let Some(place) = found.get(*at) else { return Took::Moved };
            if !picked.remove(place) {
                picked.insert(*place);
            }
            return Took::Changed;
        }
        KeyCode::Char('u') if !plain => (*at, *typed) = (0, String::new()),
        KeyCode::Char(c) if plain && typed.len() < MOST_TYPED => {
            typed.push(c);
            *at = 0;
        }
        KeyCode::Backspace if !typed.is_empty() => {
            typed.pop();
            *at = 0;
        }
        _ => return Took::Nothing,
    }
    Took::Moved
}

fn toggle_hours(allowed: &mut BTreeSet<u32>, at: &mut u32, key: KeyEvent) -> Took {
    match key.code {
        KeyCode::Left | KeyCode::Char('h') => *at = (*at + 23) % 24,
        KeyCode::Right | KeyCode::Char('l') => *at = (*at + 1) % 24,
        KeyCode::Home => *at = 0,
        KeyCode::End => *at = 23,
        KeyCode::Char(' ') => {
            if !allowed.remove(at) {
                allowed.insert(*at);
            }
            *at = (*at + 1) % 24;
            return Took::Changed;
        }
        KeyCode::Char('a') => {
            *allowed = (0..24).collect();
            return Took::Changed;
        }
        KeyCode::Char('x') => {
            allowed.clear();
            return Took::Changed;
        }
        KeyCode::Char('w') => {
            *allowed = (8..18).collect();
            return Took::Changed;
        }
        _ => return Took::Nothing,
    }
    Took::Moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_goes_to_the_cursor_on_one_line_and_is_bounded() {
        let mut input = Input::new("aéd".into()).with_cursor(2);
        paste_into(&mut input, " b\u{1b}\r\nc\n");
        assert_eq!((input.value(), input.cursor()), ("aéb  cd", 6));
        for _ in 0..3 {
            paste_into(&mut input, &"日".repeat(100_000));
        }
        assert!((MOST - 3..=MOST).contains(&input.value().len()) && input.value().ends_with("日d"));
        let full = input.value().len();
        type_into(&mut input, KeyEvent::new(KeyCode::Char('日'), KeyModifiers::NONE));
        assert!(input.value().len() <= full + 3);
    }
}
