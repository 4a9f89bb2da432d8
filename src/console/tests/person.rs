//! Somebody at the console: what they press, and what they see.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::domain::clock::Timestamp;
use crate::domain::scope::Catalogue;

use crate::console::app::App;
use crate::console::canvas::Look;
use crate::console::effect::{Deed, Effect, Reply, Ticket};
use crate::console::event::Event;
use crate::console::keymap::Keymap;
use crate::console::layer::Setting;
use crate::console::theme::Theme;
use crate::console::update::{start, update};

use super::shop::*;

/// Somebody at the console.
pub struct Person {
    pub app: App,
    pub shop: Shop,
    pub now: Timestamp,
    /// What was asked of the world, but for questions.
    pub deeds: Vec<Deed>,
    pub copied: Vec<String>,
    pub cancelled: Vec<Ticket>,
    pub quit: bool,
}

impl Person {
    pub fn new(width: u16, height: u16) -> Self {
        Self::with(width, height, 40, None, "neutral", false)
    }
    pub fn with(
        width: u16,
        height: u16,
        keys: usize,
        read_only: Option<&str>,
        theme: &str,
        ascii: bool,
    ) -> Self {
        let setting = Setting {
            read_only: read_only.map(str::to_owned),
            banner: None,
            actor: "ana".into(),
            home: "/srv/portcullis/prod".into(),
        };
        let look = Look { theme: Theme::load(theme).unwrap(), ascii };
        let mut app = App::new(setting, look, Keymap::defaults().unwrap(), noon());
        app.size = Rect::new(0, 0, width, height);
        let shop = Shop {
            keys,
            label: None,
            busy: 0,
            fault: None,
            damaged_keys: Vec::new(),
            damaged_key: None,
            damaged_policies: Vec::new(),
            made: 0,
            gone: None,
        };
        let mut person = Self {
            app,
            shop,
            now: noon(),
            deeds: Vec::new(),
            copied: Vec::new(),
            cancelled: Vec::new(),
            quit: false,
        };
        let effects = start(&mut person.app, person.now);
        person.settle(effects);
        person
    }
    /// Answers what was asked; what that asks in turn is left.
    pub fn answered(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let questions = effects.into_iter().filter_map(|effect| match effect {
            Effect::Load(ticket, query) => Some((ticket, query)),
            _ => None,
        });
        let mut further = Vec::new();
        for (ticket, query) in questions {
            let outcome = Some(self.shop.answer(&query));
            further.extend(self.ask_about(Event::Reply(Reply { ticket, outcome })));
        }
        further
    }
    pub fn settle(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let (ticket, outcome) = match effect {
                Effect::Load(ticket, query) => (ticket, self.shop.answer(&query)),
                Effect::Act(ticket, deed) => {
                    let outcome = self.shop.act(&deed);
                    self.deeds.push(deed);
                    (ticket, outcome)
                }
                Effect::Copy(text) => {
                    self.copied.push(text.expose().to_owned());
                    continue;
                }
                Effect::Quit => {
                    self.quit = true;
                    continue;
                }
                Effect::Cancel(ticket) => {
                    self.cancelled.push(ticket);
                    continue;
                }
                Effect::Mouse(_) | Effect::Redraw | Effect::Suspend => continue,
            };
            self.send(Event::Reply(Reply { ticket, outcome: Some(outcome) }));
        }
    }
    /// Presses a key; what it asks of the world is answered by whoever gets it.
    pub fn ask(&mut self, key: &str) -> Vec<Effect> {
        update(&mut self.app, Event::Key(key_of(key)), self.now)
    }
    /// The same of anything that happens.
    pub fn ask_about(&mut self, event: Event) -> Vec<Effect> {
        update(&mut self.app, event, self.now)
    }
    pub fn send(&mut self, event: Event) {
        let effects = update(&mut self.app, event, self.now);
        self.settle(effects);
    }
    pub fn press(&mut self, keys: &str) -> &mut Self {
        for word in keys.split_whitespace() {
            self.send(Event::Key(key_of(word)));
        }
        self
    }
    pub fn type_text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.send(Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
        }
        self
    }
    /// The scopes in the order of a form.
    pub fn shop_scopes(&self) -> Vec<String> {
        let catalogue = Catalogue::new(Catalogue::built_in()).unwrap();
        catalogue.iter().map(|scope| scope.name.to_string()).collect()
    }
    pub fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self.send(Event::Due);
        self
    }
    pub fn buffer(&self) -> Buffer {
        let mut buffer = Buffer::empty(self.app.size);
        self.app.paint(&mut buffer);
        buffer
    }
    pub fn screen(&self) -> String {
        let buffer = self.buffer();
        let width = usize::from(buffer.area.width.max(1));
        let rows = buffer.content.chunks(width).map(|row| {
            let line: String = row.iter().map(|cell| cell.symbol()).collect();
            line.trim_end().to_owned()
        });
        rows.collect::<Vec<_>>().join("\n")
    }
    pub fn sees(&self, text: &str) -> bool {
        self.screen().contains(text)
    }
}

/// The key that is called so: `ctrl-s`, `enter`, `R`.
fn key_of(word: &str) -> KeyEvent {
    let (modifiers, name) = match word.strip_prefix("ctrl-") {
        Some(rest) => (KeyModifiers::CONTROL, rest),
        None => (KeyModifiers::NONE, word),
    };
    let code = match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "backtab" => KeyCode::BackTab,
        "down" => KeyCode::Down,
        "up" => KeyCode::Up,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "space" => KeyCode::Char(' '),
        "backspace" => KeyCode::Backspace,
        letter => KeyCode::Char(letter.chars().next().unwrap()),
    };
    KeyEvent::new(code, modifiers)
}
