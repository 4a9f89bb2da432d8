//! A list of the store that may be a million rows long: the cursor, the filter, the order and the marks in it, and the
//! rows about the view, which alone are held.
//!
//! Rows are shown before they are counted: no row waits for a number that looks at every one.

mod ask;
mod draw;
mod follow;
mod marks;

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use crate::console::effect::Reply;
use crate::console::held::Held;
use crate::console::layer::Turn;
use crate::console::widget::field::{Took, paste_into, type_into};
use crate::console::widget::list::{Cursor, Step};
use crate::console::widget::table;
use crate::domain::clock::Timestamp;
use crate::domain::filter::{Fields, Filter};
use crate::ops::Ctx;
use crate::store::{Damaged, StoreError};

pub use ask::{CountRows, FindRow, ListIds, ListRows, Order, Window};
pub use draw::{Words, draw_damaged};
use marks::{Marking, Start};

/// From this body width on the detail stands beside the list.
const BESIDE: u16 = 114;

/// What such a list is of: a row of it, and how the store is asked.
pub trait Listed: Sized + Debug + Send + 'static {
    type Id: Copy + Ord + Display + Debug + Send + 'static;
    type Sort: Copy + PartialEq + Debug + Send + 'static;
    const FIELDS: Fields;
    const SORTS: &'static [Self::Sort];
    /// By when they were made: the newest stand on top.
    const NEWEST: Self::Sort;
    /// Several of them, for people.
    const MANY: &'static str;
    /// Said of an act where there is no row.
    const NONE: &'static str;
    /// Said of an act where the row is damaged.
    const DAMAGED: &'static str;
    fn id(&self) -> Self::Id;
    /// The title of the column that it is sorted by.
    fn title(sort: Self::Sort) -> &'static str;
    /// So many rows from the offset on; `total`: how many there are, where that is known.
    fn window(
        ctx: &Ctx,
        order: &Order<Self::Sort>,
        offset: u64,
        limit: u32,
        total: Option<u64>,
    ) -> Result<Vec<Result<Self, Damaged>>, StoreError>;
    fn count(ctx: &Ctx, order: &Order<Self::Sort>) -> Result<u64, StoreError>;
    fn place(ctx: &Ctx, order: &Order<Self::Sort>, id: &str) -> Result<Option<u64>, StoreError>;
}

/// What a click met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clicked {
    Nothing,
    /// Another row, where the cursor is now.
    Row,
    /// The row under the cursor.
    Again,
}

pub struct LongList<L: Listed> {
    pub cursor: Cursor,
    /// How many rows there are, as far as is known.
    pub total: u64,
    /// Whether `total` is of the list as filtered now, and not just as many as were seen of it.
    counted: bool,
    count: Held<u64>,
    window: Held<Window<L>>,
    /// First row and number of rows asked for last.
    asked: (u64, u64),
    /// How many rows they were asked for among.
    asked_among: Option<u64>,
    filter: Input,
    /// The last filter that could be read: the rows shown are its rows, and marking all marks them.
    in_force: String,
    typing: bool,
    /// Whether the rows held are those of the filter and the order in force.
    is_of_now: bool,
    /// The id of the row under the cursor, of a damaged one what stands there for it. The cursor goes where it goes.
    on: Option<String>,
    /// It has left the rows that are held, and is looked for: nothing is under the cursor meanwhile.
    is_adrift: bool,
    place: Held<Option<u64>>,
    looks: u8,
    /// It is not in the list any more.
    is_lost: bool,
    filter_fault: Option<String>,
    sort: L::Sort,
    descending: bool,
    pub marks: BTreeSet<L::Id>,
    range_from: Option<Start<L::Id>>,
    marking: Marking<L::Id>,
    ids: Held<Vec<L::Id>>,
}

impl<L: Listed> Default for LongList<L> {
    fn default() -> Self {
        Self {
            cursor: Cursor::default(),
            total: 0,
            counted: false,
            count: Held::default(),
            window: Held::default(),
            asked: (0, 0),
            asked_among: None,
            filter: Input::default(),
            in_force: String::new(),
            typing: false,
            is_of_now: false,
            on: None,
            is_adrift: false,
            place: Held::default(),
            looks: 0,
            is_lost: false,
            filter_fault: None,
            sort: L::NEWEST,
            descending: true,
            marks: BTreeSet::new(),
            range_from: None,
            marking: Marking::All,
            ids: Held::default(),
        }
    }
}

/// List and detail on this body; an empty list area = the detail, which was opened, has it all.
pub fn areas(body: Rect, open: bool) -> (Rect, Rect) {
    let nothing = Rect { width: 0, height: 0, ..body };
    if body.width >= BESIDE && !open {
        let left = body.width * 3 / 5;
        let right = Rect { x: body.x + left + 1, width: body.width - left - 1, ..body };
        return (Rect { width: left, ..body }, right);
    }
    if open { (nothing, body) } else { (body, nothing) }
}

/// The part of the list area that is the table.
fn table_area(list: Rect) -> Rect {
    Rect { y: list.y + list.height.min(1), height: list.height.saturating_sub(1), ..list }
}

impl<L: Listed> LongList<L> {
    fn height(turn: &Turn<'_>) -> u64 {
        let (list, _) = areas(turn.body, false);
        u64::from(table::height(table_area(list))).max(1)
    }

    /// The rows that are held, but for damaged ones.
    pub fn held(&self) -> impl Iterator<Item = &L> {
        self.window.value.iter().flat_map(|window| window.rows.iter().flatten())
    }

    /// A row of the list, where it is held.
    fn row(&self, place: u64) -> Option<&Result<L, Damaged>> {
        let window = self.window.value.as_ref()?;
        window.rows.get(usize::try_from(place.checked_sub(window.offset)?).ok()?)
    }

    /// What is under the cursor; nothing while other rows are on their way that the filter or the order asks for.
    fn here(&self) -> Option<&Result<L, Damaged>> {
        self.row(self.cursor.selected).filter(|_| self.is_of_now && !self.is_adrift)
    }

    /// The row under the cursor, where it is not damaged.
    pub fn selected(&self) -> Option<&L> {
        self.here()?.as_ref().ok()
    }

    /// The row under the cursor, where it is damaged.
    pub fn damaged(&self) -> Option<&Damaged> {
        self.here()?.as_ref().err()
    }

    /// The row under the cursor, or why nothing can be done to one.
    pub fn one(&self) -> Result<&L, &'static str> {
        match self.here() {
            Some(Ok(row)) => Ok(row),
            Some(Err(_)) => Err(L::DAMAGED),
            None => Err(L::NONE),
        }
    }

    /// Whether only what is damaged is under the cursor: that can be removed.
    pub fn only_damaged(&self) -> Result<(), &'static str> {
        self.damaged().map(|_| ()).ok_or("the row under the cursor is not damaged")
    }

    pub fn is_typing(&self) -> bool {
        self.typing
    }

    /// Whether what is called `name` has to wait for rows: one moves among those that are there.
    pub fn waits(&self, name: Option<&str>) -> bool {
        let is_step = name.is_some_and(|name| name.starts_with("move."));
        let missing = if is_step { !self.is_of_now } else { self.here().is_none() };
        let waits = (self.window.is_waiting() && missing) || self.is_adrift;
        !self.typing && waits && name != Some("back")
    }

    /// What an act is about: the marked, else the one under the cursor.
    pub fn targets(&self) -> Vec<L::Id> {
        if self.marks.is_empty() {
            self.selected().map(L::id).into_iter().collect()
        } else {
            self.marks.iter().copied().collect()
        }
    }

    fn order(&mut self, now: Timestamp) -> Order<L::Sort> {
        self.filter_fault = None;
        let filter = match Filter::parse(self.filter.value(), L::FIELDS, now) {
            Ok(filter) => {
                self.in_force = self.filter.value().to_owned();
                filter
            }
            Err(fault) => {
                self.filter_fault = Some(fault.to_string());
                Filter::parse(&self.in_force, L::FIELDS, now).unwrap_or_default()
            }
        };
        Order { filter, sort: self.sort, descending: self.descending, now }
    }

    /// Asks for the rows around the view.
    fn ask(&mut self, turn: &mut Turn<'_>) {
        self.ask_among(self.counted.then_some(self.total), turn);
    }

    /// The same of a list that has so many rows, where that is known.
    fn ask_among(&mut self, total: Option<u64>, turn: &mut Turn<'_>) {
        let order = self.order(turn.now);
        let height = Self::height(turn);
        let offset = self.cursor.top.saturating_sub(height);
        let limit = u32::try_from(height * 3).unwrap_or(u32::MAX);
        (self.asked, self.asked_among) = ((offset, u64::from(limit)), total);
        self.window.ask(ListRows { order, offset, limit, total }, turn);
    }

    /// Asks again for what is shown, and apart from it for how many there are.
    pub fn reload(&mut self, turn: &mut Turn<'_>) {
        self.ask(turn);
        let order = self.order(turn.now);
        self.count.ask(CountRows::<L>(order), turn);
    }

    /// From the top of another list. A filter that cannot be read leaves the list as it is.
    fn refilter(&mut self, turn: &mut Turn<'_>) {
        self.order(turn.now);
        if self.filter_fault.is_none() {
            self.start_over(turn);
        }
    }

    fn start_over(&mut self, turn: &mut Turn<'_>) {
        self.cursor = Cursor::default();
        self.forget_row();
        (self.range_from, self.counted, self.is_of_now) = (None, false, false);
        self.ids.clear();
        self.reload(turn);
    }

    /// Keeps the cursor in the list, and asks for more rows before the view reaches the end of those held.
    pub fn settle(&mut self, turn: &mut Turn<'_>) {
        let height = Self::height(turn);
        self.cursor.keep_within(self.total, height);
        let margin = height / 2;
        let (first, rows) = self.asked;
        let low = self.cursor.top.saturating_sub(margin);
        let high = self.cursor.top + height + margin;
        let high = if self.counted { high.min(self.total) } else { high };
        if low < first || high > first + rows {
            self.ask(turn);
        }
    }

    pub fn step(&mut self, step: Step, turn: &mut Turn<'_>) {
        self.cursor.step(step, self.total, Self::height(turn));
        self.stand();
        self.settle(turn);
    }

    pub fn type_filter(&mut self) {
        self.typing = true;
    }

    pub fn set_filter(&mut self, text: &str, turn: &mut Turn<'_>) {
        self.filter = Input::new(text.to_owned());
        self.typing = false;
        self.refilter(turn);
    }

    /// Sorts by the next column: the newest first, all else from its beginning.
    pub fn next_sort(&mut self, turn: &mut Turn<'_>) {
        let here = L::SORTS.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        if let Some(next) = L::SORTS.iter().cycle().nth(here + 1) {
            self.sort = *next;
        }
        self.descending = self.sort == L::NEWEST;
        self.start_over(turn);
    }

    pub fn reverse(&mut self, turn: &mut Turn<'_>) {
        self.descending = !self.descending;
        self.start_over(turn);
    }

    /// One step out: of a range, of the marks, of the filter. False where there is nothing to leave.
    pub fn back(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.range_from.take().is_some() {
            return true;
        }
        if !self.marks.is_empty() {
            self.marks.clear();
            return true;
        }
        if !self.filter.value().is_empty() {
            self.set_filter("", turn);
            return true;
        }
        false
    }

    /// Keys while a filter is typed. True = taken.
    pub fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        if !self.typing {
            return false;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'z' | 'l' | 'p') if control => return false,
            KeyCode::Esc => {
                self.typing = false;
                if !self.filter.value().is_empty() {
                    self.set_filter("", turn);
                }
            }
            // Under one that cannot be read stand the rows of another: nothing is to be done to them.
            KeyCode::Enter => self.typing = self.filter_fault.is_some(),
            KeyCode::Down => self.step(Step::Down, turn),
            KeyCode::Up => self.step(Step::Up, turn),
            _ => {
                if type_into(&mut self.filter, key) == Took::Changed {
                    self.refilter(turn);
                }
            }
        }
        true
    }

    pub fn paste(&mut self, text: &str, turn: &mut Turn<'_>) {
        if self.typing {
            paste_into(&mut self.filter, text);
            self.refilter(turn);
        }
    }

    pub fn click(&mut self, at: Position, list: Rect) -> Clicked {
        // Under a filter that cannot be read nothing is to be done to the rows.
        let at = Some(at).filter(|_| self.filter_fault.is_none());
        let row = at.and_then(|at| table::row_at(table_area(list), at.x, at.y));
        let Some(row) = row else { return Clicked::Nothing };
        let place = self.cursor.top + row;
        if place >= self.total {
            return Clicked::Nothing;
        }
        if place == self.cursor.selected && !self.is_adrift {
            return Clicked::Again;
        }
        self.cursor.selected = place;
        self.stand();
        Clicked::Row
    }

    /// Takes what answers its questions; true where other rows may be in view.
    pub fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) -> bool {
        let mut moved = false;
        if self.window.settle(reply) {
            self.took_window();
            self.settle(turn);
            self.go_with_its_row(turn);
            moved = true;
        }
        if let Some(outcome) = self.place.take(reply) {
            self.took_place(outcome.ok().flatten(), turn);
            moved = true;
        }
        let count = self.count.take(reply);
        if let Some(Ok(total)) = count {
            self.total = total;
            self.counted = true;
            self.settle(turn);
            // The last rows are counted from the end: among so many as there are they may be others.
            if self.asked_among.is_some_and(|known| known != total) {
                self.ask(turn);
            }
            moved = true;
        }
        match self.ids.take(reply) {
            Some(Ok(ids)) => self.took_ids(ids, turn),
            Some(Err(fault)) => turn.fail(fault.message),
            None => {}
        }
        if let Some(Err(fault)) = count {
            turn.fail(fault.message);
        }
        moved
    }
}
