//! What was refused of late, and of the one under the cursor every check with why; from there to the key and the policy.

mod explained;

use ratatui::layout::{Margin, Rect};

use crate::console::canvas::Canvas;
use crate::console::effect::Reply;
use crate::console::event::Moved;
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, Wish, carry_out, offer};
use crate::console::widget::fault::draw_fault;
use crate::console::widget::list::{Cursor, Step};
use crate::console::widget::page::{self, Ink, Line};
use crate::console::widget::table::{self, Column, Row, Table, cell, styled};
use crate::console::widget::text::{clock, count, moment, relative};
use crate::domain::clock::Timestamp;
use crate::domain::credential::CredentialId;
use crate::domain::event::Event;

pub use explained::{Explain, ListRefusals, Refused, is_refusal};

pub struct Refusals {
    /// Whose: of one credential, with its name, or of all.
    of: Option<(String, String)>,
    rows: Held<Vec<Event>>,
    cursor: Cursor,
    opened: Held<Refused>,
    /// Whether what is told of one has all the room, and is moved in.
    alone: bool,
    top: u16,
}

pub const BINDINGS: &[Binding<Refusals>] = &[
    Binding::new("close", &["esc", "backspace"], "close", "One step out", |s: &mut Refusals, t| {
        match s.alone {
            true => s.give_room(false, t),
            false => t.close(),
        }
    }),
    Binding::new(
        "open",
        &["enter", "l", "right"],
        "open",
        "Give it all the room, or the list beside it again",
        |s: &mut Refusals, t| s.give_room(!s.alone, t),
    )
    .when(Refusals::one),
    Binding::new(
        "refusal.key",
        &["K"],
        "its key",
        "Show the key or the token that was refused",
        Refusals::show_key,
    )
    .when(Refusals::known),
    Binding::new(
        "refusal.policy",
        &["P"],
        "its policy",
        "Show the policy that it is under",
        Refusals::show_policy,
    )
    .when(Refusals::under_policy),
    Binding::new("copy", &["y"], "copy", "Copy what is known of the refusal", Refusals::copy)
        .when(Refusals::one),
    Binding::new("move.down", &["j", "down"], "", "Down", |s, t| s.step(Step::Down, t)),
    Binding::new("move.up", &["k", "up"], "", "Up", |s, t| s.step(Step::Up, t)),
    Binding::new("move.page-down", &["ctrl-d", "pagedown"], "", "Half a page down", |s, t| {
        s.step(Step::PageDown, t)
    }),
    Binding::new("move.page-up", &["ctrl-u", "pageup"], "", "Half a page up", |s, t| s.step(Step::PageUp, t)),
    Binding::new("move.top", &["g", "home"], "", "To the newest", |s, t| s.step(Step::Top, t)),
    Binding::new("move.bottom", &["G", "end"], "", "To the oldest", |s, t| s.step(Step::Bottom, t)),
    Binding::new("help", &["?", "f1"], "help", "List what can be done here, search it, run it", |_, t| {
        t.wishes.push(Wish::Help)
    }),
    Binding::new("leave", &["q"], "", "Close", |_, t| t.close()),
];

/// What tells one event from another; its number is of the store.
fn mark(event: &Event) -> i64 {
    event.seq
}

fn inside(area: Rect) -> Rect {
    area.inner(Margin::new(2, 1))
}

/// The list above, what is told of one below it.
fn areas(inside: Rect, rows: usize, alone: bool) -> (Rect, Rect) {
    let rows = u16::try_from(rows.saturating_add(1)).unwrap_or(u16::MAX);
    let most = if alone { 2 } else { inside.height / 3 };
    let list = Rect { height: rows.min(most).max(2).min(inside.height), ..inside };
    let y = list.bottom().saturating_add(1).min(inside.bottom());
    (list, Rect { y, height: inside.bottom() - y, ..inside })
}

impl Refusals {
    pub fn all() -> Self {
        Self::new(None)
    }
    /// Of one credential, by its id and its name.
    pub fn of(credential: String, named: String) -> Self {
        Self::new(Some((credential, named)))
    }
    fn new(of: Option<(String, String)>) -> Self {
        Self {
            of,
            rows: Held::default(),
            cursor: Cursor::default(),
            opened: Held::default(),
            alone: false,
            top: 0,
        }
    }
    fn rows(&self) -> &[Event] {
        self.rows.value.as_deref().unwrap_or_default()
    }
    fn selected(&self) -> Option<&Event> {
        self.rows().get(self.cursor.index())
    }
    fn one(&self) -> Result<(), &'static str> {
        self.selected().map(|_| ()).ok_or("nothing was refused")
    }
    fn opened(&self) -> Option<&Refused> {
        let wanted = mark(self.selected()?);
        self.opened.value.as_ref().filter(|opened| mark(&opened.event) == wanted)
    }
    fn known(&self) -> Result<(), &'static str> {
        let credential = self.opened().and_then(|opened| opened.credential);
        credential.map(|_| ()).ok_or("it came with no credential that is there to be shown")
    }
    fn under_policy(&self) -> Result<(), &'static str> {
        let policy = self.opened().and_then(|opened| opened.policy.as_ref());
        policy.map(|_| ()).ok_or("no policy is known of it")
    }
    fn height(&self, turn: &Turn<'_>) -> u64 {
        let inside = inside(turn.body);
        u64::from(table::height(areas(inside, usize::MAX, self.alone).0)).max(1)
    }
    /// All the room for what is told of one, of whose row the list keeps sight; or the list above it again.
    fn give_room(&mut self, alone: bool, turn: &Turn<'_>) {
        (self.alone, self.top) = (alone, 0);
        self.cursor.keep_within(self.rows().len() as u64, self.height(turn));
    }
    fn step(&mut self, step: Step, turn: &mut Turn<'_>) {
        if self.alone {
            let (_, below) = areas(inside(turn.body), self.rows().len(), true);
            let rows = self.opened().map_or(0, |opened| page::height(&lines(opened, turn.now), below.width));
            self.top = page::scrolled(self.top, step, below.height, rows);
            return;
        }
        let (total, height) = (self.rows().len() as u64, self.height(turn));
        self.cursor.step(step, total, height);
        self.follow(turn);
    }
    /// Asks for what is known of the one under the cursor.
    fn follow(&mut self, turn: &mut Turn<'_>) {
        self.top = 0;
        if let Some(event) = self.selected().filter(|_| self.opened().is_none()).cloned() {
            self.opened.ask(Explain(event), turn);
        }
    }
    fn ask(&mut self, turn: &mut Turn<'_>) {
        let credential = self.of.as_ref().map(|(credential, _)| credential.clone());
        self.rows.ask(ListRefusals { credential }, turn);
    }
    fn show_key(&mut self, turn: &mut Turn<'_>) {
        let wish = match self.opened().and_then(|opened| opened.credential) {
            Some(CredentialId::ApiKey(id)) => Wish::GoWith("keys", format!("id:{id}")),
            Some(CredentialId::Token(jti)) => Wish::GoWith("tokens", format!("jti:{jti}")),
            None => return,
        };
        turn.close();
        turn.wishes.push(wish);
    }
    fn show_policy(&mut self, turn: &mut Turn<'_>) {
        if let Some(revision) = self.opened().and_then(|opened| opened.policy.as_ref()) {
            let wish = Wish::GoWith("policies", revision.policy.name.as_str().to_owned());
            turn.close();
            turn.wishes.push(wish);
        }
    }
    fn copy(&mut self, turn: &mut Turn<'_>) {
        if let Some(event) = self.selected() {
            let text = format!(
                "{} {} {} {} {} {}",
                event.at,
                event.kind,
                event.who(),
                event.credential,
                event.endpoint,
                event.address
            );
            turn.copy(&text, "the refusal");
        }
    }
}

impl Layer for Refusals {
    fn crumbs(&self) -> Vec<String> {
        vec!["refusals".into()]
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        offer(BINDINGS, self, setting)
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(BINDINGS, self, name, turn);
    }
    fn waits(&self, _name: Option<&str>) -> bool {
        (self.rows.value.is_none() && self.rows.is_waiting())
            || (self.opened().is_none() && self.opened.is_waiting())
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        self.ask(turn);
    }
    fn moved(&mut self, what: Moved, turn: &mut Turn<'_>) {
        if what == Moved::Usage {
            self.ask(turn);
        }
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        let before = self.selected().map(mark);
        if self.rows.settle(reply) {
            let place = before.and_then(|wanted| self.rows().iter().position(|event| mark(event) == wanted));
            let (total, height) = (self.rows().len() as u64, self.height(turn));
            self.cursor.stay_on(place, total, height);
            self.follow(turn);
        }
        self.opened.settle(reply);
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        canvas.blank(area);
        let (accent, dim) = (canvas.theme().accent, canvas.theme().dim);
        let title = match &self.of {
            Some((_, named)) => format!("what was refused to {named}"),
            None => "what was refused".to_owned(),
        };
        canvas.frame(area, &format!("{title} · repeats follow within a minute"), accent);
        let inside = inside(area);
        if let Some(fault) = &self.rows.fault {
            return draw_fault(canvas, inside, &fault.message);
        }
        if self.rows().is_empty() {
            let said = if self.rows.value.is_none() {
                "loading…"
            } else {
                "Nothing was refused that is on record."
            };
            canvas.put(inside.x, inside.y, inside.width, said, dim);
            return;
        }
        let (list, below) = areas(inside, self.rows().len(), self.alone);
        self.draw_list(canvas, list);
        match (self.opened(), &self.opened.fault) {
            (Some(opened), _) => page::draw(&lines(opened, canvas.now), self.top, canvas, below),
            (None, Some(fault)) => draw_fault(canvas, below, &fault.message),
            (None, None) => {
                canvas.put(below.x, below.y, below.width, "loading…", dim);
            }
        }
    }
}

impl Refusals {
    fn draw_list(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let columns = [
            Column::new("time", 11),
            Column::new("reason", 18),
            Column::new("subject", 10).share(1),
            Column::new("endpoint", 14).share(2),
            Column::new("address", 15).dispensable(1),
            Column::new("×", 4).right().dispensable(2),
        ];
        let (denied, dim, now) = (canvas.theme().denied, canvas.theme().dim, canvas.now);
        let rows = self
            .rows()
            .iter()
            .enumerate()
            .skip(usize::try_from(self.cursor.top).unwrap_or(0))
            .take(usize::from(table::height(area)))
            .map(|(place, event)| Row {
                cells: vec![
                    styled(clock(event.at, now), dim),
                    styled(event.kind.as_str(), denied),
                    cell(event.who()),
                    cell(event.endpoint.as_str()),
                    styled(event.address.as_str(), dim),
                    styled(if event.count > 1 { count(u64::from(event.count)) } else { String::new() }, dim),
                ],
                marked: false,
                selected: place == self.cursor.index(),
            })
            .collect();
        let total = self.rows().len() as u64;
        Table { columns: &columns, rows, sort: None, top: self.cursor.top, total }.draw(canvas, area);
    }
}

fn lines(refused: &Refused, now: Timestamp) -> Vec<Line> {
    let event = &refused.event;
    let mut lines = vec![Line::fact("reason", event.kind.as_str()).ink(Ink::Bad).note(refused.why.as_str())];
    match event.found() {
        Some((_, found)) => lines.push(Line::fact("found", found)),
        None if event.detail.is_empty() => {}
        None => lines.push(Line::fact("detail", event.detail.as_str())),
    }
    lines.push(Line::Heading("Every check of the call, by the policies and scopes of now"));
    if refused.checks.is_empty() {
        let said = match event.issuer.as_str() {
            "" => {
                "The call came with no credential that this home has: nothing can be judged again.".to_owned()
            }
            issuer => format!(
                "The token is of {issuer}, and this home has no copy of it: nothing can be judged again."
            ),
        };
        lines.push(Line::Text(said, Ink::Dim));
    }
    for check in &refused.checks {
        let (glyph, ink) = if check.passed { ("✓", Ink::Good) } else { ("✕", Ink::Bad) };
        lines.push(Line::fact(format!("{glyph} {}", check.check), check.detail.as_str()).ink(ink));
    }
    match &refused.policy {
        Some(revision) if revision.saved_at > event.at => {
            let said = format!(
                "The policy {} was changed after this call: r{} is judged by.",
                revision.policy.name, revision.revision
            );
            lines.push(Line::Text(said, Ink::Warning));
        }
        Some(revision) => {
            let said = format!("Judged by policy {} r{}.", revision.policy.name, revision.revision);
            lines.push(Line::Text(said, Ink::Dim));
        }
        None => {}
    }
    lines.extend([
        Line::Heading("The call"),
        Line::fact("at", moment(event.at)).note(relative(event.at, now)),
        Line::fact("subject", event.who()),
        Line::fact("credential", event.credential.as_str()),
        Line::fact("endpoint", event.endpoint.as_str()),
        Line::fact("address", event.address.as_str()),
    ]);
    if event.count > 1 {
        lines.push(Line::fact("times", event.count.to_string()));
    }
    if let Some((request, _)) = event.found() {
        lines.push(Line::fact("request", request));
    }
    lines
}
