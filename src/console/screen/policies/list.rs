//! The list of policies beside the document of the one under the cursor.

use ratatui::layout::{Position, Rect};

use crate::console::canvas::Canvas;
use crate::console::effect::{Deed, Fault, Question, Reply};
use crate::console::event::Moved;
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, Wish, carry_out, offer};
use crate::console::overlay::confirm::Confirm;
use crate::console::screen::{Tab, list_bindings, of_detail};
use crate::console::tally::Tally;
use crate::console::widget::fault::draw_fault;
use crate::console::widget::list::{Cursor, Step};
use crate::console::widget::page::{self, Ink, Line, scrolled};
use crate::console::widget::table::{self, Column, Row, Table, cell, styled};
use crate::console::widget::text::{count, limits, relative};
use crate::domain::name::PolicyName;
use crate::domain::policy::{Mode, Revision};
use crate::ops::{self, Ctx, OpsError};
use crate::store::{Sound, StoreError};

use super::document;
use super::editor::Editor;
use super::history::History;
use super::tester::Tester;

const BESIDE: u16 = 114;

/// Each policy with how many are under it, and what is wrong with those that are damaged.
#[derive(Debug)]
pub struct ListPolicies;

impl Question for ListPolicies {
    type Answer = Sound<(Revision, u64)>;
    fn answer(&self, ctx: &Ctx) -> Result<Self::Answer, OpsError> {
        ops::policy::sound(ctx)
    }
}

#[derive(Debug)]
pub struct Delete(pub PolicyName);

impl Deed for Delete {
    type Answer = Tally;
    fn carry_out(&self, ctx: &Ctx) -> Result<Tally, Fault> {
        ops::policy::delete(ctx, &self.0, "")?;
        Ok(Tally::all(1))
    }
}

#[derive(Default)]
pub struct Policies {
    list: Held<Sound<(Revision, u64)>>,
    cursor: Cursor,
    open: bool,
    top: u16,
    /// The policy to go to once the list is there.
    wanted: Option<String>,
}

impl Tab for Policies {
    const KEY: &'static str = "6";
    const GO: &'static str = "go.policies";
    const TITLE: &'static str = "Policies";
    const ABOUT: &'static str = "Show the policies: edit, history, roll back, test a call";
}

const BINDINGS: &[Binding<Policies>] = list_bindings![Policies;
    Binding::new("policy.create", &["n"], "new", "Make a policy", |_, t| t.push(Editor::create())).writes(),
    Binding::new("policy.apply", &["e"], "edit", "Edit the policy: a new revision", |s: &mut Policies, t| {
        if let Some((revision, _)) = s.selected() {
            t.push(Editor::edit(revision.clone()));
        }
    })
    .writes()
    .when(Policies::one),
    Binding::new("policy.test", &["T"], "test", "Try a call against the policy", |s: &mut Policies, t| {
        if let Some((revision, _)) = s.selected() {
            t.push(Tester::new(revision.clone(), t.now));
        }
    })
    .when(Policies::one),
    Binding::new("policy.history", &["H"], "history", "Show, compare and roll back revisions", |s: &mut Policies, t| {
        if let Some((revision, _)) = s.selected() {
            t.push(History::new(revision.policy.name.clone()));
        }
    })
    .when(Policies::one),
    Binding::new("policy.delete", &["D"], "delete…", "Delete the policy", Policies::delete).writes().when(Policies::free),
    Binding::new("policy.export", &["x"], "export", "Copy the document as JSON", |s: &mut Policies, t| {
        if let Some((revision, _)) = s.selected() {
            t.copy(&revision.policy.to_json(), &format!("policy {} as JSON", revision.policy.name));
        }
    })
    .when(Policies::one),
    Binding::new("copy", &["y"], "", "Copy the policy's name to the clipboard", |s: &mut Policies, t| {
        if let Some((revision, _)) = s.selected() {
            t.copy(revision.policy.name.as_str(), "the name");
        }
    })
    .when(Policies::one),
    Binding::new("policy.keys", &["K"], "", "Show the keys under it", |s: &mut Policies, t| {
        if let Some((revision, _)) = s.selected() {
            t.wishes.push(Wish::GoWith("keys", format!("policy:{}", revision.policy.name)));
        }
    })
    .when(Policies::one),
];

fn areas(body: Rect, open: bool) -> (Rect, Rect) {
    let nothing = Rect { width: 0, height: 0, ..body };
    if body.width >= BESIDE && !open {
        let left = body.width / 2;
        let right = Rect { x: body.x + left + 2, width: body.width - left - 2, ..body };
        return (Rect { width: left, ..body }, right);
    }
    if open { (nothing, body) } else { (body, nothing) }
}

impl Policies {
    fn rows(&self) -> &[(Revision, u64)] {
        self.list.value.as_ref().map_or(&[], |(sound, _)| sound)
    }
    /// What is wrong with those that are damaged: they stand below the others.
    fn damaged(&self) -> &[StoreError] {
        self.list.value.as_ref().map_or(&[], |(_, damaged)| damaged)
    }
    fn total(&self) -> u64 {
        (self.rows().len() + self.damaged().len()) as u64
    }
    fn damaged_here(&self) -> Option<&StoreError> {
        self.damaged().get(self.cursor.index().checked_sub(self.rows().len())?)
    }
    fn selected(&self) -> Option<&(Revision, u64)> {
        self.rows().get(self.cursor.index())
    }
    fn one(&self) -> Result<(), &'static str> {
        match (self.selected(), self.damaged_here()) {
            (Some(_), _) => Ok(()),
            (None, Some(_)) => Err("this policy is damaged: `portcullis policy apply` saves it anew"),
            (None, None) => Err("there is no policy here"),
        }
    }
    fn free(&self) -> Result<(), &'static str> {
        self.one()?;
        match self.selected() {
            Some((revision, _)) if revision.policy.name.as_str() == "default" => {
                Err("`default` is what keys are under that were given no other; it cannot be deleted")
            }
            Some((_, under)) if *under > 0 => Err("keys (K shows them) or tokens are under it"),
            _ => Ok(()),
        }
    }
    fn height(turn: &Turn<'_>) -> u64 {
        u64::from(table::height(turn.body)).max(1)
    }
    fn ask(&mut self, turn: &mut Turn<'_>) {
        self.list.ask(ListPolicies, turn);
    }
    fn step(&mut self, step: Step, turn: &mut Turn<'_>) {
        if self.open {
            let rows = self.selected().map_or(0, |(revision, _)| document::rows(revision));
            self.top = scrolled(self.top, step, turn.body.height, rows);
            return;
        }
        let total = self.total();
        self.cursor.step(step, total, Self::height(turn));
        self.top = 0;
    }
    fn open(&mut self, _turn: &mut Turn<'_>) {
        self.open = self.total() > 0;
    }
    fn back(&mut self, _turn: &mut Turn<'_>) -> bool {
        self.top = 0;
        std::mem::take(&mut self.open)
    }
    fn delete(&mut self, turn: &mut Turn<'_>) {
        let Some((revision, _)) = self.selected() else { return };
        let name = revision.policy.name.clone();
        let lines = vec![
            format!("Delete the policy {name}?"),
            "No key and no token is under it. Its revisions stay in the history and in the audit log.".into(),
        ];
        let done = format!("deleted policy {name}");
        turn.push(Confirm::new("delete policy", lines, "delete", done, move |_| Delete(name.clone())));
    }
    fn go_to_wanted(&mut self, turn: &Turn<'_>) {
        let Some(wanted) = &self.wanted else { return };
        if let Some(place) = self.rows().iter().position(|(row, _)| row.policy.name.as_str() == wanted) {
            self.cursor.selected = place as u64;
            self.wanted = None;
        }
        let total = self.total();
        self.cursor.keep_within(total, Self::height(turn));
    }
}

impl Layer for Policies {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["policies".to_owned()];
        if let Some((revision, _)) = self.selected().filter(|_| self.open) {
            crumbs.push(revision.policy.name.as_str().to_owned());
        }
        crumbs
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        let offered = offer(BINDINGS, self, setting);
        if self.open { of_detail(offered) } else { offered }
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(BINDINGS, self, name, turn);
    }
    fn is_paused(&self) -> Option<bool> {
        Some(false)
    }
    fn waits(&self, _name: Option<&str>) -> bool {
        self.list.value.is_none() && self.list.is_waiting()
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        self.ask(turn);
    }
    fn seed(&mut self, seed: &str, turn: &mut Turn<'_>) {
        self.wanted = Some(seed.to_owned());
        self.open = true;
        self.go_to_wanted(turn);
    }
    fn moved(&mut self, what: Moved, turn: &mut Turn<'_>) {
        match what {
            Moved::Objects => self.ask(turn),
            Moved::Usage => {
                let total = self.total();
                self.cursor.keep_within(total, Self::height(turn));
            }
        }
    }
    fn click(&mut self, at: Position, turn: &mut Turn<'_>) {
        let (list, _) = areas(turn.body, self.open);
        let Some(row) = table::row_at(list, at.x, at.y) else { return };
        let place = self.cursor.top + row;
        if place >= self.total() {
            return;
        }
        if place == self.cursor.selected {
            self.open = true;
        }
        self.cursor.selected = place;
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        let before = self.selected().map(|(row, _)| row.policy.name.clone());
        if self.list.settle(reply) {
            let is_it = |(row, _): &(Revision, u64)| before.as_ref() == Some(&row.policy.name);
            let place = self.rows().iter().position(is_it);
            // what is shown of one that is gone is not to be taken for another
            self.open &= before.is_none() || place.is_some();
            let total = self.total();
            self.cursor.stay_on(place, total, Self::height(turn));
            self.go_to_wanted(turn);
        }
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let (list, right) = areas(area, self.open);
        if let Some(fault) = &self.list.fault {
            return draw_fault(canvas, area, &fault.message);
        }
        if self.list.value.is_none() {
            let dim = canvas.theme().dim;
            canvas.put(area.x, area.y, area.width, "loading…", dim);
            return;
        }
        if list.width > 0 {
            canvas.within(list, |canvas| self.draw_list(canvas, list));
        }
        if right.width > 0 {
            if list.width > 0 {
                let border = canvas.theme().border;
                for y in right.y..right.bottom() {
                    canvas.put(right.x - 1, y, 1, "│", border);
                }
            }
            let inside = Rect { x: right.x + 1, width: right.width.saturating_sub(1), ..right };
            if let Some((revision, keys)) = self.selected() {
                canvas
                    .within(inside, |canvas| document::draw(revision, Some(*keys), self.top, canvas, inside));
            } else if let Some(damaged) = self.damaged_here() {
                let mend = "Whatever is under it is refused. `portcullis policy apply FILE` saves it anew.";
                let lines = [
                    Line::Text(damaged.to_string(), Ink::Bad),
                    Line::Blank,
                    Line::Text(mend.into(), Ink::Text),
                ];
                page::draw(&lines, 0, canvas, inside);
            }
        }
    }
}

impl Policies {
    fn draw_list(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let columns = [
            Column::new("name", 12).share(2),
            Column::new("rev", 4).right(),
            Column::new("mode", 9),
            Column::new("limits", 15).share(1),
            Column::new("used", 6).right(),
            Column::new("saved", 8).dispensable(1),
        ];
        let theme = canvas.theme();
        let (dim, good, warning, bad) = (theme.dim, theme.good, theme.warning, theme.bad);
        let height = usize::from(table::height(area));
        let now = canvas.now;
        let sound = self.rows().iter().map(|(revision, keys)| {
            vec![
                cell(revision.policy.name.as_str()),
                styled(format!("r{}", revision.revision), dim),
                match revision.policy.mode {
                    Mode::Enforce => styled("● enforce", good),
                    Mode::Shadow => styled("○ shadow", warning),
                },
                cell(limits(revision)),
                cell(count(*keys)),
                styled(relative(revision.saved_at, now), dim),
            ]
        });
        let damaged = self.damaged().iter().map(|error| vec![styled(format!("✕ {error}"), bad)]);
        let rows = sound
            .chain(damaged)
            .enumerate()
            .skip(usize::try_from(self.cursor.top).unwrap_or(0))
            .take(height)
            .map(|(place, cells)| Row { cells, marked: false, selected: place == self.cursor.index() })
            .collect();
        let total = self.total();
        Table { columns: &columns, rows, sort: None, top: self.cursor.top, total }.draw(canvas, area);
    }
}
