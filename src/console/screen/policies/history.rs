//! The revisions of a policy, what each changed, and the way back to one.

use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, piece};
use crate::console::effect::{Deed, Fault, Question, Reply};
use crate::console::event::Moved;
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, carry_out, offer};
use crate::console::overlay::confirm::Confirm;
use crate::console::tally::Tally;
use crate::console::widget::fault::draw_fault;
use crate::console::widget::list::{Cursor, Step};
use crate::console::widget::table::{self, Column, Row, Table, cell, styled};
use crate::console::widget::text::moment;
use crate::domain::name::PolicyName;
use crate::domain::policy::Revision;
use crate::ops::{self, Ctx, OpsError};

use super::editor::change_lines;

/// The revisions of a policy, the newest first.
#[derive(Debug)]
pub struct ListRevisions(pub PolicyName);

impl Question for ListRevisions {
    type Answer = Vec<Revision>;
    fn answer(&self, ctx: &Ctx) -> Result<Vec<Revision>, OpsError> {
        ops::policy::history(ctx, &self.0)
    }
}

/// Saves a revision again as the newest, where `expected` is the newest.
#[derive(Debug)]
pub struct RollBack {
    pub name: PolicyName,
    pub to: u32,
    pub expected: u32,
}

impl Deed for RollBack {
    type Answer = Tally;
    fn carry_out(&self, ctx: &Ctx) -> Result<Tally, Fault> {
        let why = format!("back to revision {}", self.to);
        ops::policy::rollback_over(ctx, &self.name, self.to, self.expected, &why)?;
        Ok(Tally::all(1))
    }
}

pub struct History {
    name: PolicyName,
    revisions: Held<Vec<Revision>>,
    cursor: Cursor,
}

pub const BINDINGS: &[Binding<History>] = &[
    Binding::new("close", &["esc", "backspace"], "close", "Close", |_, t| t.close()),
    Binding::new(
        "policy.rollback",
        &["r"],
        "roll back to it",
        "Save the revision again as the newest",
        History::roll_back,
    )
    .writes()
    .when(History::older),
    Binding::new("move.down", &["j", "down"], "", "Down", |s, t| s.step(Step::Down, t)),
    Binding::new("move.up", &["k", "up"], "", "Up", |s, t| s.step(Step::Up, t)),
    Binding::new("move.page-down", &["ctrl-d", "pagedown"], "", "Half a page down", |s, t| {
        s.step(Step::PageDown, t)
    }),
    Binding::new("move.page-up", &["ctrl-u", "pageup"], "", "Half a page up", |s, t| s.step(Step::PageUp, t)),
    Binding::new("move.top", &["g", "home"], "", "To the newest", |s, t| s.step(Step::Top, t)),
    Binding::new("move.bottom", &["G", "end"], "", "To the oldest", |s, t| s.step(Step::Bottom, t)),
    Binding::new("copy", &["y"], "copy JSON", "Copy the revision as JSON", |s, t| {
        if let Some(revision) = s.selected() {
            t.copy(&revision.policy.to_json(), &format!("revision {} as JSON", revision.revision));
        }
    }),
    Binding::new("leave", &["q"], "", "Close", |_, t| t.close()),
];

impl History {
    pub fn new(name: PolicyName) -> Self {
        Self { name, revisions: Held::default(), cursor: Cursor::default() }
    }
    fn rows(&self) -> &[Revision] {
        self.revisions.value.as_deref().unwrap_or_default()
    }
    fn selected(&self) -> Option<&Revision> {
        self.rows().get(self.cursor.index())
    }
    fn older(&self) -> Result<(), &'static str> {
        match (self.selected(), self.cursor.selected) {
            (None, _) => Err("there is no revision here"),
            (Some(_), 0) => Err("this is the newest revision; choose an older one"),
            (Some(_), _) => Ok(()),
        }
    }
    fn ask(&mut self, turn: &mut Turn<'_>) {
        self.revisions.ask(ListRevisions(self.name.clone()), turn);
    }
    fn step(&mut self, step: Step, turn: &mut Turn<'_>) {
        let total = self.rows().len() as u64;
        self.cursor.step(step, total, Self::height(turn));
    }
    /// Rows in view: below the frame and the header, above what changed.
    fn height(turn: &Turn<'_>) -> u64 {
        u64::from((turn.body.height.saturating_sub(2) / 2).saturating_sub(1)).max(1)
    }
    fn roll_back(&mut self, turn: &mut Turn<'_>) {
        let Some(revision) = self.selected() else { return };
        let (name, to) = (self.name.clone(), revision.revision);
        let mut lines = vec![format!("Save revision {to} of {name} again as the newest?")];
        if let Some(newest) = self.rows().first() {
            let fields: Vec<String> =
                newest.policy.diff(&revision.policy).into_iter().map(|change| change.path).collect();
            lines.push(format!("It changes: {}.", fields.join(", ")));
        }
        lines.push("Keys under the policy are judged by it from their next call on.".into());
        // the difference that was shown is from this one
        let expected = self.rows().first().map_or(to, |newest| newest.revision);
        let done = format!("rolled back to revision {to}");
        let deed = move |_| RollBack { name: name.clone(), to, expected };
        turn.push(Confirm::new("roll back", lines, "roll back", done, deed));
    }
}

impl Layer for History {
    fn crumbs(&self) -> Vec<String> {
        vec![self.name.as_str().to_owned(), "history".into()]
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        offer(BINDINGS, self, setting)
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(BINDINGS, self, name, turn);
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        self.ask(turn);
    }
    fn moved(&mut self, what: Moved, turn: &mut Turn<'_>) {
        if what == Moved::Objects {
            self.ask(turn);
        }
    }
    fn waits(&self, _name: Option<&str>) -> bool {
        self.revisions.value.is_none() && self.revisions.is_waiting()
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        let before = self.selected().map(|revision| revision.revision);
        if self.revisions.settle(reply) {
            let place = before.and_then(|number| self.rows().iter().position(|row| row.revision == number));
            let total = self.rows().len() as u64;
            self.cursor.stay_on(place, total, Self::height(turn));
        }
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        canvas.blank(area);
        let accent = canvas.theme().accent;
        let inside = canvas.frame(area, &format!("revisions of {}", self.name), accent);
        let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
        if let Some(fault) = &self.revisions.fault {
            return draw_fault(canvas, inside, &fault.message);
        }
        let rows = u16::try_from(self.rows().len() + 1).unwrap_or(u16::MAX);
        let list = Rect { height: rows.min(inside.height / 2), ..inside };
        self.draw_list(canvas, list);
        let below = Rect {
            y: list.bottom() + 1,
            height: inside.bottom().saturating_sub(list.bottom() + 1),
            ..inside
        };
        self.draw_changes(canvas, below);
    }
}

impl History {
    fn draw_list(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let columns = [
            Column::new("rev", 5),
            Column::new("saved", 20),
            Column::new("by", 14).share(1),
            Column::new("reason", 16).share(2),
        ];
        let dim = canvas.theme().dim;
        let rows = self
            .rows()
            .iter()
            .enumerate()
            .skip(usize::try_from(self.cursor.top).unwrap_or(0))
            .take(usize::from(table::height(area)))
            .map(|(place, revision)| Row {
                cells: vec![
                    cell(format!("r{}", revision.revision)),
                    styled(moment(revision.saved_at), dim),
                    cell(revision.author.as_str()),
                    cell(revision.reason.as_str()),
                ],
                marked: false,
                selected: place == self.cursor.index(),
            })
            .collect();
        let total = self.rows().len() as u64;
        Table { columns: &columns, rows, sort: None, top: self.cursor.top, total }.draw(canvas, area);
    }

    fn draw_changes(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let Some(revision) = self.selected() else { return };
        let before = self.rows().get(self.cursor.index() + 1);
        let heading = match before {
            Some(before) => format!("r{} → r{}", before.revision, revision.revision),
            None => format!("r{}, the first", revision.revision),
        };
        if area.height == 0 {
            return;
        }
        canvas.heading(area, area.y, &heading);
        let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let lines = match before {
            Some(before) => {
                change_lines(canvas, &before.policy.diff(&revision.policy), usize::from(area.width))
            }
            None => {
                let text = canvas.theme().text;
                let document = revision.policy.to_json();
                document.lines().map(|line| vec![piece(line.to_owned(), text)]).collect()
            }
        };
        canvas.lines(below, &lines);
    }
}
