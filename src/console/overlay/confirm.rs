//! Asks before something is destroyed: names it, has Cancel focused, and where that is wanted
//! lets nothing happen before the name is typed.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use crate::console::canvas::{Canvas, centred, piece};
use crate::console::effect::{Answer, Deed, Held, Partly, Query, Reply, Ticket, Topic};
use crate::console::layer::{Layer, Turn, is_for_all};
use crate::console::widget::field::{paste_into, type_into};
use crate::console::widget::text::{width, wrap};
use crate::domain::text::counted;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Name,
    Reason,
    Cancel,
    Yes,
}

/// What is counted before the question can be answered.
pub struct Counting {
    pub topic: Topic,
    pub query: Query,
    /// What the answer says of it.
    pub read: fn(Answer) -> Option<Counted>,
    /// What is typed to go on where it is in use.
    pub name: String,
}

#[derive(Debug, Default)]
pub struct Counted {
    /// What is said of it beside the question.
    pub lines: Vec<String>,
    /// Calls in the last 24 hours.
    pub calls: u64,
}

pub struct Confirm {
    title: String,
    lines: Vec<String>,
    yes: &'static str,
    done: String,
    deed: Deed,
    /// What must be typed, and what was.
    must_type: Option<String>,
    typed: Input,
    reason: Option<Input>,
    /// Asked when it opens: what is typed meanwhile waits for the answer.
    counting: Option<Counting>,
    counted: Held<Counted>,
    place: Place,
    sent: Held<Option<Partly>>,
    fault: Option<String>,
}

impl Confirm {
    /// `yes` is the button's verb, `done` the notice afterwards.
    pub fn new(
        title: impl Into<String>,
        lines: Vec<String>,
        yes: &'static str,
        done: impl Into<String>,
        deed: Deed,
    ) -> Self {
        Self {
            title: title.into(),
            lines,
            yes,
            done: done.into(),
            deed,
            must_type: None,
            typed: Input::default(),
            reason: None,
            counting: None,
            counted: Held::default(),
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
    /// Counts first how much it is in use. What cannot be counted is taken to be.
    pub fn counting(mut self, counting: Counting) -> Self {
        self.counting = Some(counting);
        self
    }
    fn took_count(&mut self) {
        let name = self.counting.take().map(|counting| counting.name);
        match (self.counted.value.take(), self.counted.fault.take()) {
            (Some(Counted { lines, calls }), _) => {
                self.lines.extend(lines);
                if calls > 0 {
                    self.lines.push(format!("{} in the last 24 hours: in use.", counted(calls, "call")));
                    self.must_type = name;
                }
            }
            (None, fault) => {
                let why = fault.map(|fault| fault.message).unwrap_or_default();
                self.lines.push(format!("How much it is in use cannot be told: {why}"));
                self.must_type = name;
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
        let mut deed = self.deed.clone();
        if let Some(input) = &self.reason {
            deed.give_reason(input.value().trim());
        }
        self.fault = None;
        self.sent.wait_for(turn.act(deed));
    }
}

impl Layer for Confirm {
    fn enter(&mut self, turn: &mut Turn<'_>) {
        if let Some(Counting { topic, query, .. }) = &self.counting {
            let ticket = turn.load(*topic, query.clone());
            self.counted.wait_for(ticket);
        }
    }
    fn waits(&self, _name: Option<&str>) -> bool {
        self.counted.is_waiting()
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        match key.code {
            _ if is_for_all(key) => return false,
            KeyCode::Esc => turn.close(),
            KeyCode::Tab | KeyCode::Down => self.go(true),
            KeyCode::BackTab | KeyCode::Up => self.go(false),
            KeyCode::Enter => match self.place {
                Place::Cancel => turn.close(),
                Place::Yes => self.commit(turn),
                Place::Name | Place::Reason => self.go(true),
            },
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
        if let (true, Some(Counting { read, .. })) = (self.counted.owns(reply), &self.counting) {
            self.counted.settle(reply, *read);
            self.took_count();
        }
        if !self.sent.owns(reply) {
            return;
        }
        if self.sent.settle(reply, |answer| match answer {
            Answer::Changed(_) | Answer::Deleted | Answer::Saved(_) => Some(None),
            Answer::Partly(partly) => Some(Some(partly)),
            _ => None,
        }) {
            match self.sent.value.take().flatten() {
                None => turn.done(self.done.clone()),
                Some(partly) => turn.fail(partly.to_string()),
            }
            turn.close();
        } else {
            self.fault = self.sent.fault.take().map(|fault| fault.message);
        }
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        vec![("⇥", "next"), ("⏎", "press the button"), ("esc", "cancel")]
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
