//! The list: its state, its bindings, and what each does.

use std::collections::BTreeSet;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use crate::console::canvas::Canvas;
use crate::console::effect::{Answer, Held, KeyDetail, KeyWindow, Query, Reply, Topic};
use crate::console::event::Moved;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, Wish, carry_out, offer};
use crate::console::screen::list_bindings;
use crate::console::widget::field::{Took, type_into};
use crate::console::widget::list::{Cursor, Step};
use crate::console::widget::table;
use crate::domain::api_key::{ApiKey, KeyId};
use crate::store::api_key::Sort;

use super::create::CreateKey;

/// From this body width on the detail stands beside the list.
const BESIDE: u16 = 114;

pub struct Keys {
    pub(super) cursor: Cursor,
    /// How many rows there are, as far as is known: rows are shown before they are counted.
    pub(super) total: u64,
    /// Whether `total` is of the list as filtered now, and not just as many as were seen of it.
    pub(super) counted: bool,
    pub(super) count: Held<u64>,
    pub(super) window: Held<KeyWindow>,
    /// First row and number of rows asked for last.
    pub(super) asked: (u64, u64),
    pub(super) filter: Input,
    /// The last filter that could be read: the rows shown are its rows, and marking all marks them.
    pub(super) in_force: String,
    pub(super) typing: bool,
    pub(super) filter_fault: Option<String>,
    pub(super) sort: Sort,
    pub(super) descending: bool,
    pub(super) marks: BTreeSet<KeyId>,
    pub(super) range_from: Option<u64>,
    pub(super) ids: Held<Vec<KeyId>>,
    pub(super) detail: Held<KeyDetail>,
    /// Below the width where both fit: whether the detail has the body.
    pub(super) open: bool,
    pub(super) detail_top: u16,
    /// Revoking waits for how busy the keys were.
    pub(super) revoking: Vec<KeyId>,
    pub(super) activity: Held<u64>,
    pub(super) deed: Held<u64>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            cursor: Cursor::default(),
            total: 0,
            counted: false,
            count: Held::default(),
            window: Held::default(),
            asked: (0, 0),
            filter: Input::default(),
            in_force: String::new(),
            typing: false,
            filter_fault: None,
            sort: Sort::Created,
            descending: true,
            marks: BTreeSet::new(),
            range_from: None,
            ids: Held::default(),
            detail: Held::default(),
            open: false,
            detail_top: 0,
            revoking: Vec::new(),
            activity: Held::default(),
            deed: Held::default(),
        }
    }
}

const BINDINGS: &[Binding<Keys>] = list_bindings![Keys;
    Binding::new("filter", "filter", "Filter: text, field:value, expires<30d, !not", |s: &mut Keys, _| s.typing = true),
    Binding::new("key.create", "new", "Create an API key", |_, t| t.push(CreateKey::new())).writes(),
    Binding::new("key.rotate", "rotate", "Give the key a new secret", Keys::rotate).writes().when(Keys::one_living),
    Binding::new("key.revoke", "revoke…", "End the key for good", Keys::revoke).writes().when(Keys::some),
    Binding::new("key.disable", "disable", "Refuse the key until it is enabled again", Keys::disable)
        .writes()
        .when(Keys::some),
    Binding::new("key.enable", "enable", "Take the key again", Keys::enable).writes().when(Keys::some),
    Binding::new("copy", "copy id", "Copy the key's id to the clipboard", Keys::copy).when(Keys::one),
    Binding::new("sort", "sort", "Sort by the next column", Keys::next_sort),
    Binding::new("sort.reverse", "", "Reverse the order", |s: &mut Keys, t| {
        s.descending = !s.descending;
        s.reload(t);
    }),
    Binding::new("mark", "mark", "Mark the key for acts on several", Keys::mark).when(Keys::one),
    Binding::new("mark.range", "", "Mark all from here to where it is pressed again", Keys::mark_range).when(Keys::one),
    Binding::new("mark.all", "", "Mark all that the filter lets through", Keys::mark_all).when(Keys::one),
    Binding::new("mark.clear", "", "Clear the marks", |s: &mut Keys, _| {
        s.marks.clear();
        s.range_from = None;
    }),
    Binding::new("filter.clear", "", "Clear the filter", |s: &mut Keys, t| {
        s.filter.reset();
        s.refilter(t);
    }),
    Binding::new("key.policy", "", "Show the key's policy", |s: &mut Keys, t| {
        if let Some(key) = s.selected() {
            t.wishes.push(Wish::GoWith("policies", key.policy.as_str().to_owned()));
        }
    })
    .when(Keys::one),
    Binding::new("key.usage", "", "Show the key's usage over time", |s: &mut Keys, t| {
        if let Some(key) = s.selected() {
            t.wishes.push(Wish::GoWith("usage", key.id.as_str().to_owned()));
        }
    })
    .when(Keys::one),
];

/// What names a key to people: its label, else the first eight of its id.
pub fn short_name(key: &ApiKey) -> String {
    if key.name.is_empty() { short_id(&key.id).to_owned() } else { key.name.clone() }
}

pub fn short_id(id: &KeyId) -> &str {
    id.as_str().get(..8).unwrap_or_default()
}

/// List and detail on this body; an empty list area = the detail has it all.
pub(super) fn areas(body: Rect, open: bool) -> (Rect, Rect) {
    let nothing = Rect { width: 0, height: 0, ..body };
    if body.width >= BESIDE {
        let left = body.width * 3 / 5;
        let right = Rect { x: body.x + left + 1, width: body.width - left - 1, ..body };
        return (Rect { width: left, ..body }, right);
    }
    if open { (nothing, body) } else { (body, nothing) }
}

/// The part of the list area that is the table.
pub(super) fn table_area(list: Rect) -> Rect {
    Rect { y: list.y + list.height.min(1), height: list.height.saturating_sub(1), ..list }
}

impl Keys {
    pub(super) fn height(turn: &Turn<'_>) -> u64 {
        let (list, _) = areas(turn.body, false);
        u64::from(table::height(table_area(list))).max(1)
    }

    /// A row of the list, where it is held.
    pub(super) fn row(&self, place: u64) -> Option<&ApiKey> {
        let window = self.window.value.as_ref()?;
        window.rows.get(usize::try_from(place.checked_sub(window.offset)?).ok()?)
    }

    pub(super) fn selected(&self) -> Option<&ApiKey> {
        self.row(self.cursor.selected)
    }

    fn one(&self) -> Result<(), &'static str> {
        self.selected().map(|_| ()).ok_or("there is no key here")
    }

    fn one_living(&self) -> Result<(), &'static str> {
        match self.selected() {
            None => Err("there is no key here"),
            Some(key) if key.revoked_at.is_some() => Err("a revoked key cannot be rotated; create a new one"),
            Some(_) => Ok(()),
        }
    }

    fn some(&self) -> Result<(), &'static str> {
        if self.marks.is_empty() { self.one() } else { Ok(()) }
    }

    pub(super) fn step(&mut self, step: Step, turn: &mut Turn<'_>) {
        let (list, _) = areas(turn.body, self.open);
        if list.width == 0 {
            let page = turn.body.height / 2;
            self.detail_top = match step {
                Step::Up => self.detail_top.saturating_sub(1),
                Step::Down => self.detail_top.saturating_add(1),
                Step::PageUp => self.detail_top.saturating_sub(page),
                Step::PageDown => self.detail_top.saturating_add(page),
                Step::Top => 0,
                Step::Bottom => u16::MAX,
            };
            let rows = self.detail.value.as_ref().map_or(0, super::detail::rows);
            self.detail_top = self.detail_top.min(rows.saturating_sub(turn.body.height));
            return;
        }
        self.cursor.step(step, self.total, Self::height(turn));
        self.prefetch(turn);
        self.follow(turn);
    }

    /// Shows the key under the cursor where the detail is in view.
    pub(super) fn follow(&mut self, turn: &mut Turn<'_>) {
        let (_, detail) = areas(turn.body, self.open);
        let Some(id) = self.selected().map(|key| key.id) else {
            self.detail.clear();
            return;
        };
        let shown = self.detail.value.as_ref().is_some_and(|detail| detail.key.id == id);
        if detail.width > 0 && !shown {
            self.detail_top = 0;
            self.ask_detail(id, turn);
        }
    }

    fn ask_detail(&mut self, id: KeyId, turn: &mut Turn<'_>) {
        let ticket = turn.load(Topic::KeyDetail, Query::KeyDetail { id, now: turn.now });
        self.detail.wait_for(ticket);
    }

    fn open(&mut self, turn: &mut Turn<'_>) {
        if self.selected().is_some() {
            self.open = true;
            self.follow(turn);
        }
    }

    fn back(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.open && areas(turn.body, true).0.width == 0 {
            self.open = false;
            return true;
        }
        self.open = false;
        if self.range_from.take().is_some() {
            return true;
        }
        if !self.marks.is_empty() {
            self.marks.clear();
            return true;
        }
        if !self.filter.value().is_empty() {
            self.filter.reset();
            self.refilter(turn);
            return true;
        }
        false
    }

    fn next_sort(&mut self, turn: &mut Turn<'_>) {
        let here = Sort::ALL.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        if let Some(next) = Sort::ALL.iter().cycle().nth(here + 1) {
            self.sort = *next;
        }
        // the newest first, all else from its beginning
        self.descending = self.sort == Sort::Created;
        self.start_over(turn);
    }
}

impl Layer for Keys {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["keys".to_owned()];
        if let Some(key) = self.selected().filter(|_| self.open) {
            crumbs.push(short_name(key));
        }
        crumbs
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        offer(BINDINGS, self, setting)
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(BINDINGS, self, name, turn);
    }
    fn is_paused(&self) -> Option<bool> {
        Some(false)
    }

    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        if !self.typing {
            return false;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'z' | 'l' | 'p') if control => return false,
            KeyCode::Esc => {
                self.typing = false;
                if !self.filter.value().is_empty() {
                    self.filter.reset();
                    self.refilter(turn);
                }
            }
            KeyCode::Enter => self.typing = false,
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
    fn paste(&mut self, text: &str, turn: &mut Turn<'_>) {
        if self.typing {
            let line: String = text.trim().chars().filter(|c| !c.is_control()).take(500).collect();
            self.filter = Input::new(format!("{}{line}", self.filter.value()));
            self.refilter(turn);
        }
    }
    fn click(&mut self, at: Position, turn: &mut Turn<'_>) {
        let (list, _) = areas(turn.body, self.open);
        let Some(row) = table::row_at(table_area(list), at.x, at.y) else { return };
        let place = self.cursor.top + row;
        if place >= self.total {
            return;
        }
        if place == self.cursor.selected {
            return self.open(turn);
        }
        self.cursor.selected = place;
        self.follow(turn);
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        self.reload(turn);
    }
    fn seed(&mut self, seed: &str, turn: &mut Turn<'_>) {
        self.filter = Input::new(seed.to_owned());
        self.typing = false;
        self.open = false;
        self.refilter(turn);
    }
    fn moved(&mut self, what: Moved, turn: &mut Turn<'_>) {
        match what {
            Moved::Objects => {
                self.reload(turn);
                if let Some(id) = self.detail.value.as_ref().map(|detail| detail.key.id) {
                    self.ask_detail(id, turn);
                }
            }
            Moved::Usage => {
                // a new size may show more rows, or the detail beside the list
                self.cursor.keep_within(self.total, Self::height(turn));
                self.prefetch(turn);
                self.follow(turn);
            }
        }
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        let came = self.window.settle(reply, |answer| match answer {
            Answer::KeyWindow(window) => Some(window),
            _ => None,
        });
        if came {
            self.took_window(turn);
        }
        let came = self.count.settle(reply, |answer| match answer {
            Answer::KeyTotal(total) => Some(total),
            _ => None,
        });
        if came && let Some(total) = self.count.value.take() {
            self.total = total;
            self.counted = true;
            self.settle_view(turn);
        }
        if let Some(fault) = self.count.fault.take() {
            turn.fail(fault.message);
        }
        self.detail.settle(reply, |answer| match answer {
            Answer::KeyDetail(detail) => Some(*detail),
            _ => None,
        });
        let came = self.ids.settle(reply, |answer| match answer {
            Answer::KeyIds(ids) => Some(ids),
            _ => None,
        });
        if came && let Some(ids) = self.ids.value.take() {
            self.marks.extend(ids);
        }
        if let Some(fault) = self.ids.fault.take() {
            turn.fail(fault.message);
        }
        let came = self.activity.settle(reply, |answer| match answer {
            Answer::KeyActivity(calls) => Some(calls),
            _ => None,
        });
        if came && let Some(calls) = self.activity.value.take() {
            self.ask_revoke(calls, turn);
        }
        if let Some(fault) = self.activity.fault.take() {
            turn.fail(fault.message);
        }
        let came = self.deed.settle(reply, |answer| match answer {
            Answer::Changed(number) => Some(number),
            _ => None,
        });
        if came && let Some(number) = self.deed.value.take() {
            turn.done(format!("enabled {number} key{}", if number == 1 { "" } else { "s" }));
        }
        if let Some(fault) = self.deed.fault.take() {
            turn.fail(fault.message);
        }
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        super::draw::draw(self, canvas, area);
    }
}
