//! Screen 7: usage over time, live or paused, of all or of one credential or endpoint.

mod range;

use ratatui::layout::{Position, Rect};

use crate::console::ask::Busy;
use crate::console::canvas::{Canvas, piece};
use crate::console::effect::Reply;
use crate::console::event::Moved;
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, Wish, carry_out, offer};
use crate::console::screen::{Tab, list_bindings};
use crate::console::widget::chart::calls;
use crate::console::widget::fault::draw_fault;
use crate::console::widget::list::{Cursor, Step};
use crate::console::widget::table::{self, Column, Row, Table, cell, styled};
use crate::console::widget::text::{count, grouped};

use range::{By, Focus, Range, ShowUsage, UsageView};

const BESIDE: u16 = 114;

#[derive(Default)]
pub struct Usage {
    range: Range,
    focus: Focus,
    paused: bool,
    view: Held<UsageView>,
    cursor: Cursor,
    /// Whether the rows are those of the range and focus that were chosen last.
    is_of_now: bool,
}

pub type Screen = Usage;

impl Tab for Usage {
    const KEY: &'static str = "7";
    const GO: &'static str = "go.usage";
    const TITLE: &'static str = "Usage";
    const ABOUT: &'static str = "Show usage over time";
}

const BINDINGS: &[Binding<Usage>] = list_bindings![Usage;
    Binding::new("usage.range", &["t"], "range", "How far back: 1h, 24h, 7d, 30d", |s: &mut Usage, t| {
        s.range = s.range.next();
        s.begin_anew(t);
    }),
    Binding::new("usage.pause", &["p"], "pause", "Hold the picture still, or let it go on", |s: &mut Usage, t| {
        s.paused = !s.paused;
        if !s.paused {
            s.ask(t);
        }
    }),
    Binding::new("usage.by", &["b"], "by", "List credentials, endpoints or outcomes", |s: &mut Usage, t| {
        s.focus.by = s.focus.by.next();
        s.begin_anew(t);
    }),
    Binding::new("usage.clear", &["c"], "all", "Show all calls again", |s: &mut Usage, t| {
        s.unfocus(t);
    })
    .when(|s| if s.is_focused() { Ok(()) } else { Err("all calls are shown") }),
    Binding::new("copy", &["y"], "copy", "Copy what is under the cursor", |s: &mut Usage, t| {
        if let Some(object) = s.selected().map(|busy| busy.object.clone()) {
            t.copy(&object, "it");
        }
    })
    .when(|s| s.selected().map(|_| ()).ok_or("there is nothing here")),
];

/// Chart and table on this body.
fn areas(body: Rect) -> (Rect, Rect) {
    if body.width >= BESIDE {
        let left = body.width * 3 / 5;
        let chart = Rect { width: left, ..body };
        return (chart, Rect { x: body.x + left + 2, width: body.width - left - 2, ..body });
    }
    let top = (body.height * 3 / 5).max(8).min(body.height);
    let chart = Rect { height: top, ..body };
    (chart, Rect { y: body.y + top, height: body.height - top, ..body })
}

/// The part of the right side that is the table: below its heading.
fn table_area(area: Rect) -> Rect {
    Rect { y: area.y + area.height.min(1), height: area.height.saturating_sub(1), ..area }
}

impl Usage {
    fn rows(&self) -> &[Busy] {
        self.view.value.as_ref().map_or(&[], |view| view.top.as_slice())
    }
    fn selected(&self) -> Option<&Busy> {
        self.rows().get(self.cursor.index())
    }
    fn is_focused(&self) -> bool {
        self.focus.credential.is_some() || self.focus.endpoint.is_some()
    }
    fn ask(&mut self, turn: &mut Turn<'_>) {
        let question = ShowUsage { range: self.range, focus: self.focus.clone(), now: turn.now };
        self.view.ask(question, turn);
    }
    /// Other rows, from their top.
    fn begin_anew(&mut self, turn: &mut Turn<'_>) {
        self.cursor = Cursor::default();
        self.is_of_now = false;
        self.ask(turn);
    }
    fn step(&mut self, step: Step, turn: &mut Turn<'_>) {
        let height = u64::from(table::height(table_area(areas(turn.body).1))).max(1);
        let total = self.rows().len() as u64;
        self.cursor.step(step, total, height);
    }
    fn open(&mut self, turn: &mut Turn<'_>) {
        let Some(object) = self.selected().map(|busy| busy.object.clone()) else { return };
        match self.focus.by {
            By::Credential => {
                self.focus.credential = Some(object);
                self.focus.by = By::Endpoint;
            }
            By::Endpoint => {
                self.focus.endpoint = Some(object);
                self.focus.by = By::Credential;
            }
            By::Outcome => {
                return turn.refuse("an outcome cannot be looked into; `b` lists credentials or endpoints");
            }
        }
        self.begin_anew(turn);
    }
    fn unfocus(&mut self, turn: &mut Turn<'_>) -> bool {
        if !self.is_focused() {
            return false;
        }
        self.focus = Focus::default();
        self.begin_anew(turn);
        true
    }
    fn back(&mut self, turn: &mut Turn<'_>) -> bool {
        self.unfocus(turn)
    }
}

impl Layer for Usage {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["usage".to_owned()];
        crumbs.extend(self.focus.credential.iter().map(|id| id.chars().take(8).collect()));
        crumbs.extend(self.focus.endpoint.clone());
        crumbs
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        offer(BINDINGS, self, setting)
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(BINDINGS, self, name, turn);
    }
    fn is_paused(&self) -> Option<bool> {
        Some(self.paused)
    }
    fn waits(&self, name: Option<&str>) -> bool {
        !self.is_of_now
            && self.view.is_waiting()
            && !matches!(name, Some("usage.range" | "usage.by" | "usage.pause" | "back"))
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        if !self.paused || self.view.value.is_none() {
            self.ask(turn);
        }
    }
    fn seed(&mut self, seed: &str, turn: &mut Turn<'_>) {
        self.focus = Focus { by: By::Endpoint, credential: Some(seed.to_owned()), endpoint: None };
        self.paused = false;
        self.begin_anew(turn);
    }
    fn moved(&mut self, what: Moved, turn: &mut Turn<'_>) {
        if what == Moved::Usage && !self.paused {
            self.ask(turn);
        }
    }
    fn due(&mut self, turn: &mut Turn<'_>) {
        if !self.paused && turn.now.millis() % 60_000 < 1_000 {
            self.ask(turn);
        }
    }
    fn click(&mut self, at: Position, turn: &mut Turn<'_>) {
        let Some(row) = table::row_at(table_area(areas(turn.body).1), at.x, at.y) else { return };
        let place = self.cursor.top + row;
        if place >= self.rows().len() as u64 {
            return;
        }
        if place == self.cursor.selected {
            return self.open(turn);
        }
        self.cursor.selected = place;
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        let before = self.selected().map(|busy| busy.object.clone());
        if self.view.settle(reply) {
            let height = u64::from(table::height(table_area(areas(turn.body).1))).max(1);
            // they are sorted anew each time, and the cursor was on one of them
            let place = before.and_then(|object| self.rows().iter().position(|busy| busy.object == object));
            let place = place.filter(|_| std::mem::replace(&mut self.is_of_now, true));
            let total = self.rows().len() as u64;
            self.cursor.stay_on(place, total, height);
        }
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        if let Some(fault) = &self.view.fault {
            return draw_fault(canvas, area, &fault.message);
        }
        let Some(view) = &self.view.value else {
            let dim = canvas.theme().dim;
            canvas.put(area.x, area.y, area.width, "loading…", dim);
            return;
        };
        let (chart, list) = areas(area);
        self.draw_chart(canvas, chart, view);
        self.draw_list(canvas, list, view);
    }
}

impl Usage {
    fn draw_chart(&self, canvas: &mut Canvas<'_>, area: Rect, view: &UsageView) {
        let theme = canvas.theme().clone();
        let mut line = Vec::new();
        for range in Range::ALL {
            let style = if range == self.range { theme.selected } else { theme.dim };
            line.extend([piece(format!(" {} ", range.as_str()), style), piece(" ", theme.text)]);
        }
        line.push(piece(" ", theme.text));
        line.push(piece(format!("✓ {} allowed  ", grouped(view.totals.allowed)), theme.allowed));
        line.push(piece(format!("✕ {} denied  ", grouped(view.totals.denied)), theme.denied));
        line.push(piece(format!("○ {} failed", grouped(view.totals.failed)), theme.failed));
        canvas.put_pieces(area.x, area.y, area.width, &line);
        let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        if view.totals.calls() == 0 {
            canvas.put(below.x, below.y + 1, below.width, "no calls in this time", theme.dim);
            return;
        }
        let with_days = matches!(self.range, Range::Week | Range::Month);
        let step = match self.range {
            Range::Hour => "calls a minute",
            Range::Day => "calls in 15 minutes",
            Range::Week => "calls in 2 hours",
            Range::Month => "calls in 8 hours",
        };
        canvas.put(below.x, below.y, below.width, step, theme.dim);
        let plot = Rect { y: below.y + 1, height: below.height.saturating_sub(1), ..below };
        calls(canvas, plot, &view.series, with_days);
    }

    fn draw_list(&self, canvas: &mut Canvas<'_>, area: Rect, view: &UsageView) {
        canvas.heading(area, area.y, &format!("By {}", self.focus.by.as_str()));
        let below = table_area(area);
        let theme = canvas.theme().clone();
        if view.top.is_empty() {
            canvas.put(below.x, below.y, below.width, "no calls in this time", theme.dim);
            return;
        }
        let columns = [
            Column::new(self.focus.by.as_str(), 14).share(1),
            Column::new("calls", 7).right(),
            Column::new("denied", 7).right(),
            Column::new("share", 6).right(),
        ];
        let all = view.totals.calls().max(1);
        let rows = view
            .top
            .iter()
            .enumerate()
            .skip(usize::try_from(self.cursor.top).unwrap_or(0))
            .take(usize::from(table::height(below)))
            .map(|(place, busy)| {
                let share = u128::from(busy.totals.calls()) * 100 / u128::from(all);
                let denied = if busy.totals.denied > 0 { theme.denied } else { theme.dim };
                Row {
                    cells: vec![
                        cell(busy.label.as_str()),
                        cell(count(busy.totals.calls())),
                        styled(count(busy.totals.denied), denied),
                        styled(format!("{share} %"), theme.dim),
                    ],
                    marked: false,
                    selected: place == self.cursor.index(),
                }
            })
            .collect();
        let total = view.top.len() as u64;
        Table { columns: &columns, rows, sort: None, top: self.cursor.top, total }.draw(canvas, below);
    }
}
