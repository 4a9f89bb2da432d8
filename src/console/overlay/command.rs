//! The command line: names typed out, with what could be meant above it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use crate::console::canvas::{Canvas, piece};
use crate::console::layer::{Action, Layer, Turn, Wish};
use crate::console::widget::field::{paste_into, type_into};
use crate::console::widget::fuzzy::fuzzy;
use crate::console::widget::text::width;

/// Short forms that people's fingers know.
const ALIASES: [(&str, &str); 4] = [("q", "quit"), ("q!", "quit"), ("wq", "quit"), ("h", "help")];
const SHOWN: usize = 6;
const FILTER: &str = "filter ";

pub struct CommandLine {
    actions: Vec<Action>,
    /// The list that `filter …` is about.
    list: &'static str,
    input: Input,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Name(&'static str),
    /// `filter …`: to the list below.
    Filter(&'a str),
    Nothing,
    Unknown(&'a str),
}

impl CommandLine {
    /// `filter …` is about the list of the screen `list`.
    pub fn new(actions: Vec<Action>, list: &'static str) -> Self {
        Self { actions, list, input: Input::default() }
    }

    /// With the filter begun, where the screen in view has none.
    pub fn filtering(mut self) -> Self {
        self.input = Input::new(FILTER.to_owned());
        self
    }

    fn fitting(&self) -> Vec<&Action> {
        let word = self.input.value().trim();
        fuzzy(word, self.actions.iter().map(|action| action.name))
            .into_iter()
            .filter_map(|place| self.actions.get(place))
            .collect()
    }

    fn read(&self) -> Said<'_> {
        let line = self.input.value().trim();
        if line.is_empty() {
            return Said::Nothing;
        }
        if let Some(filter) = self.input.value().trim_start().strip_prefix(FILTER) {
            return Said::Filter(filter.trim());
        }
        let meant = ALIASES.iter().find(|(short, _)| *short == line).map_or(line, |(_, name)| name);
        let exact = self
            .actions
            .iter()
            .find(|action| action.name == meant || action.name.strip_prefix("go.") == Some(meant));
        match exact.or_else(|| self.fitting().first().copied()) {
            Some(action) => Said::Name(action.name),
            None => Said::Unknown(line),
        }
    }
}

impl Layer for CommandLine {
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'z' | 'l') if control => return false,
            KeyCode::Esc => turn.close(),
            KeyCode::Backspace if self.input.value().is_empty() => turn.close(),
            KeyCode::Tab => {
                if let Some(first) = self.fitting().first() {
                    self.input = Input::new(first.name.to_owned());
                }
            }
            KeyCode::Enter => {
                turn.close();
                match self.read() {
                    Said::Name(name) => turn.wishes.push(Wish::Perform(name.into())),
                    Said::Filter(text) => turn.wishes.push(Wish::GoWith(self.list, text.to_owned())),
                    Said::Nothing => {}
                    Said::Unknown(word) => {
                        turn.refuse(format!("there is no command `{word}`; ? lists what there is"));
                    }
                }
            }
            _ => {
                type_into(&mut self.input, key);
            }
        }
        true
    }
    fn paste(&mut self, text: &str, _turn: &mut Turn<'_>) {
        paste_into(&mut self.input, text);
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        vec![("⏎", "run"), ("⇥", "complete"), ("esc", "close")]
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let (accent, text, dim) = (canvas.theme().accent, canvas.theme().text, canvas.theme().dim);
        let is_filter = self.input.value().starts_with(FILTER);
        let found = if is_filter { Vec::new() } else { self.fitting() };
        let shown = found.len().min(SHOWN);
        let rows = u16::try_from(shown).unwrap_or(0) + 3;
        if area.height < rows {
            return;
        }
        let area = Rect { y: area.bottom() - rows, height: rows, ..area };
        canvas.blank(area);
        let title = if is_filter { format!("filter the {}", self.list) } else { "command".to_owned() };
        let inside = canvas.frame(area, &title, accent);
        for (place, action) in found.iter().take(shown).enumerate() {
            let y = inside.y + u16::try_from(place).unwrap_or(0);
            canvas.put_pieces(
                inside.x + 1,
                y,
                inside.width.saturating_sub(2),
                &[
                    piece(format!("{:<18}", action.name), if place == 0 { accent } else { text }),
                    piece(action.about, dim),
                ],
            );
        }
        let y = inside.bottom().saturating_sub(1);
        canvas.put(inside.x, y, 1, ":", accent);
        let room = inside.width.saturating_sub(3);
        canvas.put(inside.x + 1, y, room, self.input.value(), text);
        let before: String = self.input.value().chars().take(self.input.cursor()).collect();
        let offset = u16::try_from(width(&canvas.shown(&before))).unwrap_or(0).min(room);
        canvas.cursor = Some(Position::new(inside.x + 1 + offset, y));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Option<&'static str> {
        let action = |name| Action { name, keys: &[], hint: "", about: "", refused: None };
        let mut command =
            CommandLine::new(vec![action("go.keys"), action("key.rotate"), action("quit")], "keys");
        command.input = Input::new(line.to_owned());
        match command.read() {
            Said::Name(name) => Some(name),
            _ => None,
        }
    }

    #[test]
    fn names_aliases_and_short_forms_are_understood() {
        assert_eq!(said("keys"), Some("go.keys"));
        assert_eq!(said("q"), Some("quit"));
        assert_eq!(said("key.rotate"), Some("key.rotate"));
        assert_eq!(said("rota"), Some("key.rotate"));
        assert_eq!(said("fly"), None);
        assert_eq!(said(""), None);
    }
}
