//! Somebody at the console: what they press, and what they see.

use std::any::Any;
use std::path::Path;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use crate::domain::clock::Timestamp;
use crate::domain::pace::Pace;
use crate::domain::scope::Catalogue;
use crate::ops::Ctx;

use crate::console::app::App;
use crate::console::canvas::Look;
use crate::console::effect::{AnyDeed, AnyQuestion, Deed, Effect, Fault, Outcome, Question, Reply, Ticket};
use crate::console::event::Event;
use crate::console::layer::Setting;
use crate::console::overlay::{backup::BackUp, secret::WriteSecret};
use crate::console::theme::Theme;
use crate::console::update::{bind, start, update};

use super::home::*;

/// Somebody at the console.
pub struct Person {
    pub app: App,
    pub house: House,
    pub now: Timestamp,
    /// What every question and deed ends with, while the store fails.
    pub fault: Option<Fault>,
    /// What was asked of the world, but for questions.
    pub deeds: Vec<Box<dyn AnyDeed>>,
    pub copied: Vec<String>,
    pub cancelled: Vec<Ticket>,
    pub quit: bool,
}

/// A deed that was asked for, and is not done yet.
pub struct Ordered {
    pub ticket: Ticket,
    deed: Box<dyn AnyDeed>,
}

impl Ordered {
    pub fn of<D: Deed>(&self) -> &D {
        of(self.deed.as_ref())
    }
}

/// The deed, which is one of these.
fn of<'a, D: Deed>(deed: &'a (dyn AnyDeed + 'static)) -> &'a D {
    (deed as &dyn Any).downcast_ref().unwrap_or_else(|| panic!("{deed:?}"))
}

/// The question of this kind that an effect asks.
pub fn asks<Q: Question>(effect: &Effect) -> Option<&Q> {
    match effect {
        Effect::Load(_, question) => (question.as_ref() as &dyn Any).downcast_ref(),
        _ => None,
    }
}

/// A deed is done, or a question answered, with this.
pub fn done<T: Send + 'static>(answer: T) -> Outcome {
    Ok(Box::new(answer))
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
        let house = House::new(keys);
        let setting = Setting {
            read_only: read_only.map(str::to_owned),
            banner: None,
            actor: "ana".into(),
            home: Some(house.home.clone()),
            place: "/srv/portcullis/prod".into(),
        };
        let look = Look { theme: Theme::load(theme).unwrap(), ascii };
        let mut app = App::new(setting, look, noon());
        assert_eq!(bind(&mut app, None).unwrap(), [""; 0]);
        app.size = Rect::new(0, 0, width, height);
        let mut person = Self {
            app,
            house,
            now: noon(),
            fault: None,
            deeds: Vec::new(),
            copied: Vec::new(),
            cancelled: Vec::new(),
            quit: false,
        };
        let effects = start(&mut person.app, person.now);
        person.settle(effects);
        person
    }
    fn answer(&self, question: &dyn AnyQuestion) -> Outcome {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => question.ask(&self.house.ctx),
        }
    }
    /// Answers what was asked; what that asks in turn is left.
    pub fn answered(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut further = Vec::new();
        for effect in effects {
            if let Effect::Load(ticket, question) = effect {
                let outcome = Some(self.answer(question.as_ref()));
                further.extend(self.ask_about(Event::Reply(Reply { ticket, outcome, left: None })));
            }
        }
        further
    }
    pub fn settle(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Load(ticket, question) => {
                    let outcome = Some(self.answer(question.as_ref()));
                    self.send(Event::Reply(Reply { ticket, outcome, left: None }));
                }
                Effect::Act(ticket, deed) => self.carry_out(Ordered { ticket, deed }),
                Effect::Copy(text) => self.copied.push(text.expose().to_owned()),
                Effect::Quit => self.quit = true,
                Effect::Cancel(ticket) => self.cancelled.push(ticket),
                Effect::Mouse(_) | Effect::Redraw | Effect::Suspend => {}
            }
        }
    }
    /// Does what was ordered, and tells what came of it.
    pub fn carry_out(&mut self, ordered: Ordered) {
        let Ordered { ticket, deed } = ordered;
        let ctx = Ctx { pace: Pace::default(), ..self.house.ctx.clone() };
        let outcome = match &self.fault {
            Some(fault) => Err(fault.clone()),
            None if writes_elsewhere(deed.as_ref()) => Err(Fault::new("a test writes where it belongs")),
            None => deed.act(&ctx),
        };
        let left = Some(deed.left());
        self.deeds.push(deed);
        self.send(Event::Reply(Reply { ticket, outcome: Some(outcome), left }));
    }
    /// Presses a key that orders a deed, which is not done yet.
    pub fn order(&mut self, key: &str) -> Ordered {
        let mut effects = self.ask(key);
        match (effects.pop(), effects.as_slice()) {
            (Some(Effect::Act(ticket, deed)), []) => Ordered { ticket, deed },
            (last, before) => panic!("{before:?} {last:?}: {}", self.screen()),
        }
    }
    /// What was ordered ends so.
    pub fn end(&mut self, ordered: Ordered, outcome: Outcome) {
        let Ordered { ticket, deed } = ordered;
        self.send(Event::Reply(Reply { ticket, outcome: Some(outcome), left: Some(deed.left()) }));
    }
    /// The last deed.
    pub fn last<D: Deed>(&self) -> &D {
        of(self.deeds.last().unwrap_or_else(|| panic!("nothing was done: {}", self.screen())).as_ref())
    }
    /// The only deed.
    pub fn only<D: Deed>(&self) -> &D {
        assert_eq!(self.deeds.len(), 1, "{:?}: {}", self.deeds, self.screen());
        self.last()
    }
    /// Presses a key; what it asks of the world is answered by whoever gets it.
    pub fn ask(&mut self, key: &str) -> Vec<Effect> {
        self.ask_about(Event::Key(key_of(key)))
    }
    /// The same of anything that happens.
    pub fn ask_about(&mut self, event: Event) -> Vec<Effect> {
        let effects = update(&mut self.app, event, self.now);
        // an overlay that the check for keys of two meanings does not know has no keys
        for action in self.app.actions() {
            assert_ne!(self.app.keymap.all(action.name), "", "{}", action.name);
        }
        effects
    }
    pub fn send(&mut self, event: Event) {
        let effects = self.ask_about(event);
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
    pub fn scopes(&self) -> Vec<String> {
        let catalogue = Catalogue::new(Catalogue::built_in()).unwrap();
        catalogue.iter().map(|scope| scope.name.to_string()).collect()
    }
    /// It becomes so late.
    pub fn at(&mut self, now: Timestamp) {
        self.now = now;
        self.house.set(now);
    }
    pub fn wait(&mut self, seconds: u64) -> &mut Self {
        self.at(self.now.plus(Duration::from_secs(seconds)));
        self.send(Event::Due);
        self
    }
    pub fn buffer(&self) -> Buffer {
        let mut buffer = Buffer::empty(self.app.size);
        self.app.paint(&mut buffer);
        buffer
    }
    pub fn screen(&self) -> String {
        rows(&self.buffer(), |cell| cell.symbol().to_owned()).join("\n")
    }
    /// What is seen, without the row of tabs, which another screen changes: first the letters, then how they look, row by row
    /// (see [`look_of`]).
    pub fn picture(&self) -> String {
        let buffer = self.buffer();
        let without_tabs = |(y, _): &(usize, String)| *y != usize::from(self.app.chrome().tabs.y);
        let letters = rows(&buffer, |cell| cell.symbol().to_owned()).into_iter().enumerate();
        let letters = letters.filter(without_tabs).map(|(_, row)| row);
        let looks = rows(&buffer, |cell| look_of(cell).to_string()).into_iter().enumerate();
        let looks = looks.filter(without_tabs).filter(|(_, row)| !row.is_empty());
        let looks = looks.map(|(y, row)| format!("{y:>2} {row}"));
        letters.chain(["looks".to_owned()]).chain(looks).collect::<Vec<_>>().join("\n")
    }
    /// The row of tabs.
    pub fn tabs(&self) -> String {
        rows(&self.buffer(), |cell| cell.symbol().to_owned()).swap_remove(self.app.chrome().tabs.y.into())
    }
    pub fn sees(&self, text: &str) -> bool {
        self.screen().contains(text)
    }
    /// The key or the token that is shown, on however many rows.
    pub fn secret(&self) -> String {
        let is_of_it = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let screen = self.screen();
        let rows = screen.lines().map(|row| row.split('│').map(str::trim));
        let mut found = String::new();
        for mut row in rows {
            let begins =
                |word: &str| word.len() > 40 && (word.starts_with("pcl_") || word.starts_with("eyJ"));
            let word = row.find(|word| {
                !word.is_empty() && word.chars().all(is_of_it) && (!found.is_empty() || begins(word))
            });
            match word {
                Some(word) => found.push_str(word),
                None if found.is_empty() => {}
                None => return found,
            }
        }
        panic!("no secret is shown: {screen}")
    }
}

/// The rows of what is drawn, each without the blanks at its end.
fn rows(buffer: &Buffer, of: impl Fn(&Cell) -> String) -> Vec<String> {
    let width = usize::from(buffer.area.width.max(1));
    let row = |cells: &[Cell]| cells.iter().map(&of).collect::<String>().trim_end().to_owned();
    buffer.content.chunks(width).map(row).collect()
}

/// A letter for how a cell looks: of a colour its first, great where it is bold (`C` is bold cyan), `b` for bold alone, `.` for
/// dim, `_` for underlined, `#` for reversed (`@` where it has a colour); a blank for plain text, for blanks and for frames.
fn look_of(cell: &Cell) -> char {
    let has = |modifier| cell.modifier.contains(modifier);
    let colour = match cell.fg {
        Color::Reset => None,
        other => format!("{other:?}").to_lowercase().chars().next(),
    };
    let is_plain = cell.symbol().chars().all(|c| c == ' ' || ('\u{2500}'..='\u{257f}').contains(&c));
    match colour {
        colour if has(Modifier::REVERSED) => colour.map_or('#', |_| '@'),
        _ if has(Modifier::UNDERLINED) => '_',
        _ if is_plain => ' ',
        Some(letter) if has(Modifier::BOLD) => letter.to_ascii_uppercase(),
        Some(letter) => letter,
        None if has(Modifier::BOLD) => 'b',
        None if has(Modifier::DIM) => '.',
        None => ' ',
    }
}

/// Whether it writes into the folder of whoever runs the tests.
fn writes_elsewhere(deed: &(dyn AnyDeed + 'static)) -> bool {
    let deed = deed as &dyn Any;
    let written = deed.downcast_ref::<WriteSecret>().map(|deed| &deed.file);
    let file = written.or_else(|| deed.downcast_ref::<BackUp>().map(|deed| &deed.file));
    file.is_some_and(|file| !Path::starts_with(file, std::env::temp_dir()))
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
