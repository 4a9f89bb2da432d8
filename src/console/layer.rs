//! The parts of the face. Layers lie on one another: events go down from the top, drawing goes
//! up from the bottom, and a layer says what it wants in its [`Turn`].
//!
//! A layer's constant table of [`Binding`]s *is* its key handler: footer, help, palette and the
//! refusal of what a read-only console may not do are read from the same table.

use std::any::TypeId;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Position, Rect};

use crate::domain::{clock::Timestamp, secret::Secret};
use crate::store::home::Home;

use super::canvas::Canvas;
use super::effect::{Deed, Effect, Question, Reply, Ticket};
use super::event::Moved;
use super::keymap::Bound;

/// Whether a key is for the console as a whole, whatever is typed into: leave, suspend, draw anew, the mouse.
pub fn is_for_all(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'z' | 'l' | 'o'))
}

/// What every layer may know about the console it is in.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Why nothing can be changed, where that is so.
    pub read_only: Option<String>,
    /// A word for the header, such as `demo`.
    pub banner: Option<String>,
    /// By what name the audit log knows whoever sits here.
    pub actor: String,
    /// What backups are made of; none where the home is nobody's, as in the demo.
    pub home: Option<Home>,
    /// The home's folder as people write it; empty where it is nobody's.
    pub place: String,
}

impl Setting {
    /// Who one is and where, the longest first.
    pub fn who(&self) -> Vec<String> {
        let last = self.place.rsplit('/').next().unwrap_or_default();
        let homes = [self.place.as_str(), last].into_iter().filter(|home| !home.is_empty());
        let named = |home: &str| {
            if self.actor.is_empty() { home.to_owned() } else { format!("{} in {home}", self.actor) }
        };
        homes.map(named).chain([self.actor.clone()]).filter(|who| !who.is_empty()).collect()
    }
}

/// How long a notice stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Goes by itself.
    Done,
    /// Goes by itself.
    Refused,
    /// Stays until it is dismissed.
    Failed,
}

/// What a layer wants done.
pub enum Wish {
    Do(Effect),
    Push(Box<dyn Layer>),
    /// Takes the overlay at this depth away.
    Close(usize),
    /// Shows another screen.
    Go(&'static str),
    /// Shows another screen and tells it what to look at.
    GoWith(&'static str, String),
    /// So many screens further in the row.
    Turn(isize),
    /// To the screen from which one looked into this one, if one did.
    Back,
    /// To the screen where one was before.
    Past,
    /// To the screen that one came back from.
    Future,
    Perform(String),
    Notice(Tone, String),
    Help,
    Palette,
    CommandLine,
    /// The command line, where a filter is typed.
    FilterLine,
    Messages,
    /// The panel that backs the home up.
    BackUp,
    ToggleMouse,
}

/// One step of `update`: what time it is, and what a layer wants of it.
pub struct Turn<'a> {
    pub now: Timestamp,
    /// The area that the layer is drawn on.
    pub body: Rect,
    /// Where the layer lies among the overlays.
    depth: usize,
    next_ticket: &'a mut u64,
    pub wishes: Vec<Wish>,
}

impl<'a> Turn<'a> {
    pub fn new(now: Timestamp, body: Rect, next_ticket: &'a mut u64) -> Self {
        Self { now, body, depth: usize::MAX, next_ticket, wishes: Vec::new() }
    }
    pub fn at_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
    fn ticket(&mut self, topic: TypeId) -> Ticket {
        *self.next_ticket += 1;
        Ticket { topic, number: *self.next_ticket }
    }
    /// Asks the store; the answer bears the ticket.
    pub fn load<Q: Question>(&mut self, question: Q) -> Ticket {
        let ticket = self.ticket(TypeId::of::<Q>());
        self.wishes.push(Wish::Do(Effect::Load(ticket, Box::new(question))));
        ticket
    }
    /// Changes something; what came of it bears the ticket.
    pub fn act<D: Deed>(&mut self, deed: D) -> Ticket {
        let ticket = self.ticket(TypeId::of::<D>());
        self.wishes.push(Wish::Do(Effect::Act(ticket, Box::new(deed))));
        ticket
    }
    pub fn copy(&mut self, text: &str, what: &str) {
        self.wishes.push(Wish::Do(Effect::Copy(Secret::new(text.to_owned()))));
        // whether it took it, a terminal does not say
        self.done(format!("sent {what} to the terminal's clipboard"));
    }
    pub fn push(&mut self, layer: impl Layer + 'static) {
        self.wishes.push(Wish::Push(Box::new(layer)));
    }
    pub fn close(&mut self) {
        self.wishes.push(Wish::Close(self.depth));
    }
    pub fn done(&mut self, text: impl Into<String>) {
        self.wishes.push(Wish::Notice(Tone::Done, text.into()));
    }
    pub fn refuse(&mut self, text: impl Into<String>) {
        self.wishes.push(Wish::Notice(Tone::Refused, text.into()));
    }
    pub fn fail(&mut self, text: impl Into<String>) {
        self.wishes.push(Wish::Notice(Tone::Failed, text.into()));
    }
}

/// One row of a layer's table: a name that keys, palette and command line share, and what it does.
pub struct Binding<S: 'static> {
    pub name: &'static str,
    /// Its keys, unless the operator says otherwise; any of them.
    pub keys: &'static [&'static str],
    /// One or two words for the footer; empty where it is not shown there.
    pub hint: &'static str,
    pub about: &'static str,
    /// Whether it changes something, which a read-only console refuses.
    pub writes: bool,
    /// Whether its hint stands in the footer only while it can be done.
    seldom: bool,
    ready: fn(&S) -> Result<(), &'static str>,
    run: fn(&mut S, &mut Turn<'_>),
}

impl<S> Binding<S> {
    pub const fn new(
        name: &'static str,
        keys: &'static [&'static str],
        hint: &'static str,
        about: &'static str,
        run: fn(&mut S, &mut Turn<'_>),
    ) -> Self {
        Self { name, keys, hint, about, writes: false, seldom: false, ready: |_| Ok(()), run }
    }
    pub const fn writes(mut self) -> Self {
        self.writes = true;
        self
    }
    /// Can be done so seldom that a hint of it would only be in the way of others.
    pub const fn seldom(mut self) -> Self {
        self.seldom = true;
        self
    }
    /// When it can be done; the error says why it cannot.
    pub const fn when(mut self, ready: fn(&S) -> Result<(), &'static str>) -> Self {
        self.ready = ready;
        self
    }
}

/// A binding as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    pub name: &'static str,
    /// The keys that it has unless the operator says otherwise.
    pub keys: &'static [&'static str],
    pub hint: &'static str,
    pub about: &'static str,
    /// Why it cannot be done now.
    pub refused: Option<String>,
}

/// What a table offers in this state.
pub fn offer<S>(table: &'static [Binding<S>], state: &S, setting: &Setting) -> Vec<Action> {
    table
        .iter()
        .map(|row| {
            let refused = match &setting.read_only {
                Some(why) if row.writes => Some(format!("read-only: {why}")),
                _ => (row.ready)(state).err().map(str::to_owned),
            };
            let hint = if row.seldom && refused.is_some() { "" } else { row.hint };
            Action { name: row.name, keys: row.keys, hint, about: row.about, refused }
        })
        .collect()
}

/// What a table binds.
pub fn bound<S>(table: &'static [Binding<S>]) -> Vec<Bound> {
    table.iter().map(|row| Bound { name: row.name, keys: row.keys }).collect()
}

/// Does what the table has under `name`.
pub fn carry_out<S>(table: &'static [Binding<S>], state: &mut S, name: &str, turn: &mut Turn<'_>) {
    if let Some(row) = table.iter().find(|row| row.name == name) {
        (row.run)(state, turn);
    }
}

/// A screen or an overlay.
pub trait Layer {
    /// Where one is, as the header says it.
    fn crumbs(&self) -> Vec<String> {
        Vec::new()
    }
    fn actions(&self, _setting: &Setting) -> Vec<Action> {
        Vec::new()
    }
    fn perform(&mut self, _name: &str, _turn: &mut Turn<'_>) {}
    /// Keys that are no bindings: typing into a field, moving in a dialog. True = taken.
    fn input(&mut self, _key: KeyEvent, _turn: &mut Turn<'_>) -> bool {
        false
    }
    /// Whether a key has to wait for what is still on its way: rows, choices, counts. `name` is what the key is bound to;
    /// `None` where it is typed into a dialog. Keys wait in their order, and so does what follows them.
    fn waits(&self, _name: Option<&str>) -> bool {
        false
    }
    /// Whether a text is typed into this screen now.
    fn takes_text(&self) -> bool {
        false
    }
    /// Goes to the cursor of the field with the focus.
    fn paste(&mut self, _text: &str, _turn: &mut Turn<'_>) {}
    fn click(&mut self, _at: Position, _turn: &mut Turn<'_>) {}
    /// It has come into view: asks for what it shows.
    fn enter(&mut self, _turn: &mut Turn<'_>) {}
    /// What to look at, where another screen sent us here: a filter, a credential.
    fn seed(&mut self, _seed: &str, _turn: &mut Turn<'_>) {}
    fn moved(&mut self, _what: Moved, _turn: &mut Turn<'_>) {}
    fn reply(&mut self, _reply: &mut Reply, _turn: &mut Turn<'_>) {}
    /// Whether it is a dialog that stands until this act has ended.
    fn awaits(&self, _act: Ticket) -> bool {
        false
    }
    /// When it wants to be woken.
    fn deadline(&self) -> Option<Timestamp> {
        None
    }
    fn due(&mut self, _turn: &mut Turn<'_>) {}
    /// Hints of a dialog whose keys are no bindings.
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
    /// Live or paused, for the header; `None` where the words make no sense.
    fn is_paused(&self) -> Option<bool> {
        None
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect);
}
