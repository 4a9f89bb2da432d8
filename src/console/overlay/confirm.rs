//! Asks before something is destroyed: names it, has Cancel focused, and where that is wanted
//! lets nothing happen before the name is typed.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use crate::console::canvas::{Canvas, centred, piece};
use crate::console::effect::{Deed, Fault, Question, Reply, Ticket};
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, carry_out, is_for_all, offer};
use crate::console::tally::Tally;
use crate::console::widget::field::{paste_into, type_into};
use crate::console::widget::text::{width, wrap};
use crate::domain::text::counted;
use crate::ops::{Ctx, OpsError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Name,
    Reason,
    Cancel,
    Yes,
}

#[derive(Debug, Default)]
pub struct Counted {
    /// What is said of it beside the question.
    pub lines: Vec<String>,
    /// Calls in the last 24 hours.
    pub calls: u64,
}

/// A question, and what its answer says beside the other.
struct Counting<Q: Question> {
    question: Q,
    read: fn(Q::Answer) -> Counted,
}

impl<Q: Question> fmt::Debug for Counting<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.question.fmt(f)
    }
}

impl<Q: Question> Question for Counting<Q> {
    type Answer = Counted;
    const SLOW: bool = Q::SLOW;
    fn answer(&self, ctx: &Ctx) -> Result<Counted, OpsError> {
        self.question.answer(ctx).map(self.read)
    }
}

/// Asks what there is to count.
type Count = Box<dyn FnOnce(&mut Held<Counted>, &mut Turn<'_>)>;
/// Does it, for the reason that was given.
type Act = Box<dyn Fn(String, &mut Held<Tally>, &mut Turn<'_>)>;

pub struct Confirm {
    title: String,
    lines: Vec<String>,
    yes: &'static str,
    done: String,
    act: Act,
    /// What must be typed, and what was.
    must_type: Option<String>,
    typed: Input,
    reason: Option<Input>,
    /// Asked when it opens: what is typed meanwhile waits for the answer.
    count: Option<Count>,
    counted: Held<Counted>,
    /// What is typed to go on where it is in use.
    name: String,
    place: Place,
    sent: Held<Tally>,
    fault: Option<String>,
}

impl Confirm {
    /// `yes` is the button's verb, `done` the notice afterwards; `deed` makes of the reason what is done.
    pub fn new<D: Deed<Answer = Tally>>(
        title: impl Into<String>,
        lines: Vec<String>,
        yes: &'static str,
        done: impl Into<String>,
        deed: impl Fn(String) -> D + 'static,
    ) -> Self {
        Self {
            title: title.into(),
            lines,
            yes,
            done: done.into(),
            act: Box::new(move |why, sent, turn| sent.act(deed(why), turn)),
            must_type: None,
            typed: Input::default(),
            reason: None,
            count: None,
            counted: Held::default(),
            name: String::new(),
            place: Place::Cancel,
            sent: Held::default(),
            fault: None,
        }
    }
    /// Says how many calls it made in the last 24 hours. What is in use wants `name` typed.
    pub fn in_use(mut self, calls: u64, name: String) -> Self {
        if calls > 0 {
            self.lines.push(format!("{} in the last 24 hours: in use.", counted(calls, "call")));
            self.must_type = Some(name);
        }
        self
    }
    /// Counts first how much it is in use, and then wants `name` typed. What cannot be counted is taken to be in use.
    pub fn counting<Q: Question>(
        mut self,
        question: Q,
        read: fn(Q::Answer) -> Counted,
        name: String,
    ) -> Self {
        self.count = Some(Box::new(move |counted, turn| counted.ask(Counting { question, read }, turn)));
        self.name = name;
        self
    }
    fn took_count(&mut self, outcome: Result<Counted, Fault>) {
        let name = std::mem::take(&mut self.name);
        match outcome {
            Ok(Counted { lines, calls }) => {
                self.lines.extend(lines);
                if calls > 0 {
                    self.lines.push(format!("{} in the last 24 hours: in use.", counted(calls, "call")));
                    self.must_type = Some(name);
                }
            }
            Err(fault) => {
                self.lines.push(format!("How much it is in use cannot be told: {}", fault.message));
                self.must_type = Some(name);
            }
        }
    }
    pub fn asks_reason(mut self) -> Self {
        self.reason = Some(Input::default());
        self
    }

    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        if self.must_type.is_some() {
            places.push(Place::Name);
        }
        if self.reason.is_some() {
            places.push(Place::Reason);
        }
        places.extend([Place::Cancel, Place::Yes]);
        places
    }

    fn go(&mut self, forward: bool) {
        let places = self.places();
        let here = places.iter().position(|place| *place == self.place).unwrap_or(0);
        let next = if forward { here + 1 } else { here + places.len() - 1 } % places.len();
        if let Some(place) = places.get(next) {
            self.place = *place;
        }
    }

    fn is_named(&self) -> bool {
        self.must_type.as_ref().is_none_or(|wanted| self.typed.value().trim() == wanted.trim())
    }

    fn commit(&mut self, turn: &mut Turn<'_>) {
        if self.sent.is_waiting() {
            return;
        }
        if !self.is_named() {
            self.fault = Some("that is not its name; nothing was done".into());
            self.place = Place::Name;
            return;
        }
        let why = self.reason.as_ref().map_or("", |reason| reason.value().trim()).to_owned();
        self.fault = None;
        (self.act)(why, &mut self.sent, turn);
    }
}

pub const BINDINGS: &[Binding<Confirm>] = &[
    Binding::new("confirm.next", &["tab", "down"], "next", "To the next field or button", |s, _| s.go(true)),
    Binding::new("confirm.previous", &["backtab", "up"], "", "To the one before", |s, _| s.go(false)),
    Binding::new(
        "confirm.press",
        &["enter"],
        "press the button",
        "Press the button, or go on",
        |s, t| match s.place {
            Place::Cancel => t.close(),
            Place::Yes => s.commit(t),
            Place::Name | Place::Reason => s.go(true),
        },
    ),
    Binding::new("confirm.cancel", &["esc"], "cancel", "Leave all as it is", |_, t| t.close()),
];

impl Layer for Confirm {
    fn enter(&mut self, turn: &mut Turn<'_>) {
        if let Some(count) = self.count.take() {
            count(&mut self.counted, turn);
        }
    }
    fn waits(&self, _name: Option<&str>) -> bool {
        self.counted.is_waiting()
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        offer(BINDINGS, self, setting)
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(BINDINGS, self, name, turn);
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        match key.code {
            _ if is_for_all(key) => return false,
            KeyCode::Esc | KeyCode::Tab | KeyCode::BackTab | KeyCode::Down | KeyCode::Up | KeyCode::Enter => {
                return false;
            }
            _ => match (self.place, &mut self.reason) {
                (Place::Name, _) => {
                    type_into(&mut self.typed, key);
                    self.fault = None;
                }
                (Place::Reason, Some(reason)) => {
                    type_into(reason, key);
                }
                (Place::Cancel | Place::Yes, _) => match key.code {
                    // Who begins to type the name types the name: `n` and `q` are letters then.
                    KeyCode::Char(_) if self.must_type.is_some() => {
                        self.place = Place::Name;
                        type_into(&mut self.typed, key);
                        self.fault = None;
                    }
                    KeyCode::Left | KeyCode::Right | KeyCode::Char('h' | 'l') => {
                        self.place = if self.place == Place::Yes { Place::Cancel } else { Place::Yes };
                    }
                    KeyCode::Char('n' | 'q') => turn.close(),
                    _ => {}
                },
                _ => {}
            },
        }
        true
    }
    fn paste(&mut self, text: &str, _turn: &mut Turn<'_>) {
        match (self.place, &mut self.reason) {
            (Place::Reason, Some(reason)) => paste_into(reason, text),
            // as letters do that are typed there
            _ if self.must_type.is_some() => {
                self.place = Place::Name;
                paste_into(&mut self.typed, text);
                self.fault = None;
            }
            _ => {}
        }
    }
    fn awaits(&self, act: Ticket) -> bool {
        self.sent.awaits(act)
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        if let Some(outcome) = self.counted.take(reply) {
            self.took_count(outcome);
        }
        match self.sent.take(reply) {
            Some(Ok(tally)) => {
                if tally.is_of_all() {
                    turn.done(self.done.clone());
                } else {
                    turn.fail(tally.to_string());
                }
                turn.close();
            }
            Some(Err(fault)) => self.fault = Some(fault.message),
            None => {}
        }
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let theme = canvas.theme().clone();
        let width_wanted = 66.min(area.width);
        let room = usize::from(width_wanted.saturating_sub(6)).max(8);
        let mut lines: Vec<Vec<_>> = vec![Vec::new()];
        for line in &self.lines {
            let shown = canvas.shown(line).into_owned();
            lines.extend(wrap(&shown, room).into_iter().map(|line| vec![piece(line, theme.text)]));
        }
        if self.counted.is_waiting() {
            lines.push(vec![piece("counting how much it is in use…", theme.dim)]);
        }
        lines.push(Vec::new());
        let mut cursor = None;
        let mut prompt = |lines: &mut Vec<Vec<_>>, label: String, input: &Input, on: bool| {
            let before: String = input.value().chars().take(input.cursor()).collect();
            let column = width(&label) + 1 + width(&before);
            if on {
                cursor = Some((lines.len(), column));
            }
            let gap = room.saturating_sub(width(&label) + 1 + width(input.value()));
            lines.push(vec![
                piece(label, if on { theme.accent } else { theme.dim }),
                piece(" ", theme.text),
                piece(
                    format!("{}{}", input.value(), " ".repeat(gap)),
                    if on { theme.field } else { theme.text },
                ),
            ]);
        };
        if let Some(wanted) = &self.must_type {
            prompt(&mut lines, format!("type {wanted} to go on:"), &self.typed, self.place == Place::Name);
        }
        if let Some(reason) = &self.reason {
            prompt(&mut lines, "reason (recorded):".to_owned(), reason, self.place == Place::Reason);
        }
        if self.must_type.is_some() || self.reason.is_some() {
            lines.push(Vec::new());
        }
        let button = |place: Place| if self.place == place { theme.selected } else { theme.text };
        let yes = if self.sent.is_waiting() { "working…" } else { self.yes };
        let yes_style = if self.place == Place::Yes {
            theme.selected
        } else if self.is_named() {
            theme.bad
        } else {
            theme.dim
        };
        lines.push(vec![
            piece("[ cancel ]", button(Place::Cancel)),
            piece("   ", theme.text),
            piece(format!("[ {yes} ]"), yes_style),
        ]);
        if let Some(fault) = &self.fault {
            lines.push(Vec::new());
            let shown = canvas.shown(fault).into_owned();
            lines.extend(wrap(&shown, room).into_iter().map(|line| vec![piece(line, theme.bad)]));
        }
        let rows = u16::try_from(lines.len() + 3).unwrap_or(area.height);
        let panel = centred(area, width_wanted, rows);
        canvas.blank(panel);
        let inside = canvas.frame(panel, &self.title, theme.bad);
        let text_area = Rect { x: inside.x + 2, width: inside.width.saturating_sub(4), ..inside };
        canvas.lines(text_area, &lines);
        if let Some((line, column)) = cursor {
            let y = text_area.y + u16::try_from(line).unwrap_or(0);
            let x = text_area.x + u16::try_from(column).unwrap_or(0);
            if y < text_area.bottom() {
                canvas.cursor = Some(Position::new(x.min(text_area.right()), y));
            }
        }
    }
}
