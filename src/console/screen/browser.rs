//! A long list, and beside it all that is told of the row under the cursor; where there is no room for both, `enter` gives it to
//! the one, and `esc` to the other.

use crossterm::event::KeyEvent;
use ratatui::layout::{Position, Rect};

use crate::console::canvas::Canvas;
use crate::console::effect::{Question, Reply};
use crate::console::event::Moved;
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, Wish, carry_out, offer};
use crate::console::overlay::refusals::Refusals;
use crate::console::widget::fault::draw_fault;
use crate::console::widget::list::Step;
use crate::console::widget::page::{self, Line};
use crate::console::widget::table::{Column, TableCell};
use crate::domain::clock::Timestamp;
use crate::domain::name::PolicyName;

use super::long_list::{Clicked, Listed, LongList, Words, areas, draw_damaged};
use super::of_detail;

/// What such a browser is of.
pub trait Browsed: Listed {
    /// All that is told of one.
    type Detail: Send + 'static;
    type Show: Question<Answer = Self::Detail>;
    /// The first word of where one is, in the header.
    const CRUMB: &'static str;
    const BINDINGS: &'static [Binding<Browser<Self>>];
    const COLUMNS: &'static [Column];
    const WORDS: Words;
    /// What can be done here about rows that are damaged.
    const MENDS: &'static str;
    /// Whether rows grow old within minutes by themselves: they are asked for again with each.
    const AGES: bool = false;
    fn show(id: Self::Id, now: Timestamp) -> Self::Show;
    /// Which one a detail is of.
    fn shown(detail: &Self::Detail) -> Self::Id;
    /// What names it to people in few letters.
    fn called(&self) -> String;
    /// What it is, and whose.
    fn named(&self) -> String;
    fn policy(&self) -> &PolicyName;
    fn cells<'a>(&'a self, canvas: &Canvas<'_>) -> Vec<TableCell<'a>>;
    fn lines(detail: &Self::Detail, now: Timestamp) -> Vec<Line>;
}

pub struct Browser<L: Browsed> {
    pub list: LongList<L>,
    detail: Held<L::Detail>,
    /// Whether the detail has all the room.
    open: bool,
    top: u16,
}

impl<L: Browsed> Default for Browser<L> {
    fn default() -> Self {
        Self { list: LongList::default(), detail: Held::default(), open: false, top: 0 }
    }
}

/// The rows that every browser has: `before`, what is done to what is listed; `after`, where one goes from it.
macro_rules! browser_bindings {
    ($state:ty, mark: $mark:literal, refusals: $refusals:literal; [$($before:expr),* $(,)?] [$($after:expr),* $(,)?]) => {
        $crate::console::screen::list_bindings![$state;
            Binding::new("filter", &["/"], "filter", "Filter: text, field:value, :=exact, <30d, !not", <$state>::filter),
            $($before,)*
            Binding::new("mark", &["space"], "mark", $mark, <$state>::mark).when(<$state>::one),
            Binding::new("mark.range", &["V"], "", "Mark all from here to where it is pressed again", |s: &mut $state, t| s.list.mark_range(t))
                .when(<$state>::one),
            Binding::new("mark.all", &["ctrl-a"], "", "Mark all that the filter lets through", |s: &mut $state, t| s.list.mark_all(t))
                .when(<$state>::one),
            Binding::new("mark.clear", &["ctrl-\\"], "", "Clear the marks", |s: &mut $state, _| s.list.clear_marks()),
            Binding::new("sort", &["s"], "sort", "Sort by the next column", |s: &mut $state, t| s.list.next_sort(t)),
            Binding::new("sort.reverse", &["S"], "", "Reverse the order", |s: &mut $state, t| s.list.reverse(t)),
            Binding::new("filter.clear", &["ctrl-x"], "", "Clear the filter", |s: &mut $state, t| s.list.set_filter("", t)),
            Binding::new("refusal.list", &["f"], "refusals", $refusals, <$state>::show_refusals).when(<$state>::one),
            $($after,)*
        ]
    };
}
pub(crate) use browser_bindings;

impl<L: Browsed> Browser<L> {
    pub fn selected(&self) -> Option<&L> {
        self.list.selected()
    }

    /// Whether there is one under the cursor.
    pub fn one(&self) -> Result<(), &'static str> {
        self.list.one().map(|_| ())
    }

    /// Whether an act has anything to be about.
    pub fn some(&self) -> Result<(), &'static str> {
        if self.list.marks.is_empty() { self.one() } else { Ok(()) }
    }

    /// Rows are filtered where they are seen.
    pub fn filter(&mut self, _turn: &mut Turn<'_>) {
        self.open = false;
        self.list.type_filter();
    }

    pub fn mark(&mut self, turn: &mut Turn<'_>) {
        self.list.mark(turn);
        self.follow(turn);
    }

    pub fn step(&mut self, step: Step, turn: &mut Turn<'_>) {
        if self.open {
            let detail = self.detail.value.as_ref();
            let rows = detail.map_or(0, |detail| page::height(&L::lines(detail, turn.now), turn.body.width));
            self.top = page::scrolled(self.top, step, turn.body.height, rows);
            return;
        }
        self.list.step(step, turn);
        self.follow(turn);
    }

    /// Shows what is under the cursor where the detail is in view.
    fn follow(&mut self, turn: &mut Turn<'_>) {
        let (_, detail) = areas(turn.body, self.open);
        let Some(id) = self.selected().map(L::id) else {
            self.detail.clear();
            return;
        };
        let is_shown = self.detail.value.as_ref().is_some_and(|detail| L::shown(detail) == id);
        if detail.width > 0 && !is_shown {
            self.top = 0;
            self.detail.ask(L::show(id, turn.now), turn);
        }
    }

    pub fn open(&mut self, turn: &mut Turn<'_>) {
        if self.selected().is_some() || self.list.damaged().is_some() {
            self.open = true;
            self.follow(turn);
        }
    }

    /// One step out; false where there is nothing to leave.
    pub fn back(&mut self, turn: &mut Turn<'_>) -> bool {
        std::mem::take(&mut self.open) || self.list.back(turn)
    }

    pub fn show_refusals(&mut self, turn: &mut Turn<'_>) {
        if let Some(row) = self.selected() {
            turn.push(Refusals::of(row.id().to_string(), row.named()));
        }
    }

    pub fn show_policy(&mut self, turn: &mut Turn<'_>) {
        if let Some(row) = self.selected() {
            turn.wishes.push(Wish::GoWith("policies", row.policy().as_str().to_owned()));
        }
    }

    pub fn show_usage(&mut self, turn: &mut Turn<'_>) {
        if let Some(row) = self.selected() {
            turn.wishes.push(Wish::GoWith("usage", row.id().to_string()));
        }
    }
}

impl<L: Browsed> Layer for Browser<L> {
    fn crumbs(&self) -> Vec<String> {
        let opened = self.selected().filter(|_| self.open).map(L::called);
        [L::CRUMB.to_owned()].into_iter().chain(opened).collect()
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        let offered = offer(L::BINDINGS, self, setting);
        if self.open { of_detail(offered) } else { offered }
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(L::BINDINGS, self, name, turn);
    }
    fn is_paused(&self) -> Option<bool> {
        Some(false)
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        let taken = self.list.input(key, turn);
        if taken {
            self.follow(turn);
        }
        taken
    }
    fn waits(&self, name: Option<&str>) -> bool {
        self.list.waits(name)
    }
    fn takes_text(&self) -> bool {
        self.list.is_typing()
    }
    fn paste(&mut self, text: &str, turn: &mut Turn<'_>) {
        self.list.paste(text, turn);
    }
    fn click(&mut self, at: Position, turn: &mut Turn<'_>) {
        match self.list.click(at, areas(turn.body, self.open).0) {
            Clicked::Nothing => {}
            Clicked::Row => self.follow(turn),
            Clicked::Again => self.open(turn),
        }
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        self.list.reload(turn);
    }
    fn seed(&mut self, seed: &str, turn: &mut Turn<'_>) {
        self.open = false;
        self.list.set_filter(seed, turn);
    }
    fn moved(&mut self, what: Moved, turn: &mut Turn<'_>) {
        match what {
            Moved::Objects => {
                self.list.reload(turn);
                if let Some(id) = self.detail.value.as_ref().map(L::shown) {
                    self.detail.ask(L::show(id, turn.now), turn);
                }
            }
            Moved::Usage => {
                // a new size may show more rows, or the detail beside the list
                self.list.settle(turn);
                self.follow(turn);
            }
        }
    }
    /// The minute has passed.
    fn due(&mut self, turn: &mut Turn<'_>) {
        if L::AGES && turn.now.millis() % 60_000 < 1_000 {
            self.moved(Moved::Objects, turn);
        }
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        if self.list.reply(reply, turn) {
            self.open &= self.list.total > 0 && !self.list.has_lost_its_row();
            self.follow(turn);
        }
        self.detail.settle(reply);
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let (list, right) = areas(area, self.open);
        if list.width > 0 {
            self.list.draw(canvas, list, L::COLUMNS, L::WORDS, L::cells);
        }
        if right.width == 0 {
            return;
        }
        let mut inside = right;
        if list.width > 0 {
            let border = canvas.theme().border;
            for y in right.y..right.bottom() {
                canvas.put(right.x, y, 1, "│", border);
            }
            inside = Rect { x: right.x + 2, width: right.width.saturating_sub(2), ..right };
        }
        if let Some(damaged) = self.list.damaged() {
            return draw_damaged(damaged, L::MENDS, canvas, inside);
        }
        match (&self.detail.value, &self.detail.fault) {
            (_, Some(fault)) => draw_fault(canvas, inside, &fault.message),
            (Some(detail), None) => page::draw(&L::lines(detail, canvas.now), self.top, canvas, inside),
            (None, None) => {
                let dim = canvas.theme().dim;
                let word = if self.detail.is_waiting() { "loading…" } else { "" };
                canvas.put(inside.x, inside.y, inside.width, word, dim);
            }
        }
    }
}
