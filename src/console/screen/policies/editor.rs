//! The editor of a policy: the form, then what would change and why, then the save. Who saved
//! meanwhile is seen, and what was typed is kept.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use crate::console::ask::{Choices, ListChoices};
use crate::console::canvas::{Canvas, Piece, centred, piece};
use crate::console::effect::{Deed, Fault, Reply};
use crate::console::held::Held;
use crate::console::layer::{Layer, Turn, is_for_all};
use crate::console::widget::fault::draw_fault;
use crate::console::widget::field::{paste_into, type_into};
use crate::console::widget::form::{Form, Said};
use crate::console::widget::text::{width, wrap};
use crate::domain::name::PolicyName;
use crate::domain::policy::{Change, Policy, Revision};
use crate::ops::{self, Ctx};

use super::fields;
use super::history::ListRevisions;

/// Saves a policy: a new one, or over the revision that is the newest.
#[derive(Debug)]
pub struct Save {
    pub policy: Policy,
    /// The newest; none where the policy is new.
    pub over: Option<u32>,
    pub reason: String,
}

impl Deed for Save {
    type Answer = Revision;
    fn carry_out(&self, ctx: &Ctx) -> Result<Revision, Fault> {
        let policy = self.policy.clone();
        Ok(match self.over {
            Some(expected) => ops::policy::apply_over(ctx, policy, expected, &self.reason)?,
            None => ops::policy::create(ctx, policy, &self.reason)?,
        })
    }
}

pub struct Editor {
    /// What the edit began from; a new policy begins from the defaults.
    base: Option<Revision>,
    choices: Held<Choices>,
    form: Option<Form>,
    review: Option<Review>,
    newest: Held<Vec<Revision>>,
    sent: Held<Revision>,
}

/// The step before the save.
struct Review {
    policy: Policy,
    changes: Vec<Change>,
    reason: Input,
    fault: Option<String>,
}

impl Editor {
    pub fn create() -> Self {
        Self::of(None)
    }
    pub fn edit(base: Revision) -> Self {
        Self::of(Some(base))
    }
    fn of(base: Option<Revision>) -> Self {
        Self {
            base,
            choices: Held::default(),
            form: None,
            review: None,
            newest: Held::default(),
            sent: Held::default(),
        }
    }

    fn before(&self, name: &PolicyName) -> Policy {
        self.base.as_ref().map_or_else(|| Policy::new(name.clone()), |base| base.policy.clone())
    }

    fn took_choices(&mut self) {
        let Some(choices) = self.choices.value.as_ref().filter(|_| self.form.is_none()) else { return };
        let policy = match &self.base {
            Some(base) => base.policy.clone(),
            None => Policy::new(PolicyName::default()),
        };
        let mut form = fields::form(&policy, &choices.catalogue, self.base.is_some())
            .holding("not saved: esc again throws the changes away");
        if self.base.is_none()
            && let Some(name) = form.field_mut("name")
        {
            name.kind = crate::console::widget::field::Field::text("", "", "", "").kind;
        }
        fields::check(&mut form);
        self.form = Some(form);
    }

    fn show_review(&mut self) {
        let Some(form) = &mut self.form else { return };
        fields::check(form);
        let Some(policy) = fields::read(form).filter(|_| form.is_right()) else {
            form.show_faults();
            return;
        };
        let changes = self.before(&policy.name).diff(&policy);
        let Some(form) = &mut self.form else { return };
        if changes.is_empty() && self.base.is_some() {
            form.fault = Some("nothing is different from the saved revision".into());
            return;
        }
        form.fault = None;
        let reason = self.review.take().map(|review| review.reason).unwrap_or_default();
        self.review = Some(Review { policy, changes, reason, fault: None });
    }

    fn save(&mut self, turn: &mut Turn<'_>) {
        if self.sent.is_waiting() || self.newest.is_waiting() {
            return;
        }
        let Some(review) = &mut self.review else { return };
        review.fault = None;
        let save = Save {
            policy: review.policy.clone(),
            over: self.base.as_ref().map(|base| base.revision),
            reason: review.reason.value().trim().to_owned(),
        };
        self.sent.act(save, turn);
    }

    fn review_key(&mut self, key: KeyEvent, turn: &mut Turn<'_>) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('s') if control => self.save(turn),
            KeyCode::Esc => {
                // back to the form, with the reason kept for the next try
                self.show_form();
            }
            _ => {
                if let Some(review) = &mut self.review {
                    type_into(&mut review.reason, key);
                }
            }
        }
    }

    fn show_form(&mut self) {
        if let (Some(review), Some(form)) = (self.review.take(), &mut self.form) {
            form.fault = review.fault;
        }
    }

    /// Somebody saved meanwhile: the difference is shown against their revision, and only a
    /// second save goes over it.
    fn took_newest(&mut self, history: Vec<Revision>) {
        let Some(newest) = history.into_iter().next() else { return };
        if let Some(review) = &mut self.review {
            review.fault = Some(format!(
                "revision {} was saved by {} meanwhile; nothing was saved. Below is what differs from it now: \
                 save again to go over it, or esc to change the form",
                newest.revision, newest.author
            ));
            review.changes = newest.policy.diff(&review.policy);
        }
        self.base = Some(newest);
    }
}

impl Layer for Editor {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = match &self.base {
            Some(base) => vec![base.policy.name.as_str().to_owned(), "edit".into()],
            None => vec!["new".into()],
        };
        if self.review.is_some() {
            crumbs.push("review".into());
        }
        crumbs
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        self.choices.ask(ListChoices, turn);
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        if is_for_all(key) {
            return false;
        }
        if self.review.is_some() {
            self.review_key(key, turn);
            return true;
        }
        let Some(form) = &mut self.form else {
            if key.code == KeyCode::Esc {
                turn.close();
            }
            return true;
        };
        match form.key(key) {
            Said::Submit => self.show_review(),
            Said::Cancel => turn.close(),
            Said::Changed => fields::check(form),
            Said::Taken | Said::Nothing => {}
        }
        true
    }
    fn waits(&self, _name: Option<&str>) -> bool {
        self.form.is_none() && self.choices.is_waiting()
    }
    fn paste(&mut self, text: &str, _turn: &mut Turn<'_>) {
        if let Some(review) = &mut self.review {
            paste_into(&mut review.reason, text);
        } else if let Some(form) = &mut self.form {
            form.paste(text);
            fields::check(form);
        }
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        if self.choices.settle(reply) {
            self.took_choices();
        }
        if let Some(Ok(history)) = self.newest.take(reply) {
            self.took_newest(history);
        }
        match self.sent.take(reply) {
            Some(Ok(saved)) => {
                turn.done(format!("saved policy {} as revision {}", saved.policy.name, saved.revision));
                turn.close();
            }
            Some(Err(fault)) => {
                let Some(review) = &mut self.review else { return };
                review.fault = Some(fault.message);
                if fault.conflict && self.base.is_some() {
                    self.newest.ask(ListRevisions(review.policy.name.clone()), turn);
                }
            }
            None => {}
        }
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        match (&self.review, &self.form) {
            (Some(_), _) => vec![("ctrl-s", "save"), ("esc", "back to the form")],
            (None, Some(form)) => form.hints(),
            (None, None) => Vec::new(),
        }
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        const WIDTH: u16 = 104;
        let cells = WIDTH.min(area.width).saturating_sub(4);
        let rows = match (&self.review, &self.form) {
            (Some(review), _) => review.lines(canvas, cells, false).0.len(),
            (None, Some(form)) => usize::from(form.rows(canvas, cells)),
            (None, None) => 1,
        };
        let area = centred(area, WIDTH, u16::try_from(rows + 2).unwrap_or(u16::MAX));
        canvas.blank(area);
        let accent = canvas.theme().accent;
        let title = match (&self.review, &self.base) {
            (Some(_), _) => "what would change".to_owned(),
            (None, Some(base)) => format!("policy {} r{}", base.policy.name, base.revision),
            (None, None) => "new policy".to_owned(),
        };
        let inside = canvas.frame(area, &title, accent);
        let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
        match (&self.review, &self.form, &self.choices.fault) {
            (Some(review), ..) => review.draw(canvas, inside, self.sent.is_waiting()),
            (None, Some(form), _) => form.draw(canvas, inside),
            (None, None, Some(fault)) => draw_fault(canvas, inside, &fault.message),
            (None, None, None) => {
                let dim = canvas.theme().dim;
                canvas.put(inside.x, inside.y, inside.width, "loading…", dim);
            }
        }
    }
}

impl Review {
    /// What it says in lines of `cells`, and where in them the reason's cursor stands.
    fn lines<'a>(
        &self,
        canvas: &Canvas<'_>,
        cells: u16,
        busy: bool,
    ) -> (Vec<Vec<Piece<'a>>>, (usize, usize)) {
        let theme = canvas.theme();
        let room = usize::from(cells);
        let mut lines = vec![Vec::new()];
        if let Some(fault) = &self.fault {
            let shown = canvas.shown(fault).into_owned();
            lines.extend(wrap(&shown, room).into_iter().map(|line| vec![piece(line, theme.bad)]));
            lines.push(Vec::new());
        }
        let label = "reason (recorded): ";
        let before: String = self.reason.value().chars().take(self.reason.cursor()).collect();
        let column = width(label) + width(&canvas.shown(&before));
        let reason_line = lines.len();
        let gap = room.saturating_sub(width(label) + width(self.reason.value()));
        lines.push(vec![
            piece(label, theme.accent),
            piece(format!("{}{}", self.reason.value(), " ".repeat(gap)), theme.field),
        ]);
        let hint = if busy { "saving…" } else { "ctrl-s saves, esc goes back to the form" };
        lines.extend([vec![piece(hint, theme.dim)], Vec::new()]);
        lines.extend(change_lines(canvas, &self.changes, room));
        (lines, (reason_line, column))
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, busy: bool) {
        let (lines, (line, column)) = self.lines(canvas, area.width, busy);
        canvas.lines(area, &lines);
        let y = area.y + u16::try_from(line).unwrap_or(0);
        if y < area.bottom() {
            let x = area.x + u16::try_from(column).unwrap_or(0);
            canvas.cursor = Some(Position::new(x.min(area.right().saturating_sub(1)), y));
        }
    }
}

/// Each field that differs, with what it was and what it is.
pub fn change_lines<'a>(canvas: &Canvas<'_>, changes: &[Change], room: usize) -> Vec<Vec<Piece<'a>>> {
    let theme = canvas.theme();
    let mut lines = Vec::new();
    if changes.is_empty() {
        lines.push(vec![piece("no field differs", theme.dim)]);
    }
    for change in changes {
        lines.push(vec![piece(change.path.clone(), theme.title)]);
        for (sign, value, style) in
            [("- ", &change.before, theme.denied), ("+ ", &change.after, theme.allowed)]
        {
            let shown = canvas.shown(value).into_owned();
            for line in wrap(&shown, room.saturating_sub(4)).into_iter().take(4) {
                lines.push(vec![piece(format!("  {sign}{line}"), style)]);
            }
        }
    }
    lines
}
