//! The list: its state, its bindings, and what each does.

use crossterm::event::KeyEvent;
use ratatui::layout::{Position, Rect};

use crate::console::canvas::Canvas;
use crate::console::effect::Reply;
use crate::console::event::Moved;
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, Wish, carry_out, offer};
use crate::console::overlay::refusals::Refusals;
use crate::console::screen::long_list::{Clicked, Listed, LongList, Order, areas};
use crate::console::screen::{list_bindings, of_detail};
use crate::console::widget::list::Step;
use crate::console::widget::page::scrolled;
use crate::domain::api_key::{ApiKey, KeyId};
use crate::domain::filter::{Fields, KEY_FIELDS};
use crate::ops::Ctx;
use crate::store::api_key::{self as store, Query, Sort};
use crate::store::{Damaged, StoreError};

use super::create::CreateKey;
use super::detail::{KeyDetail, ShowKey};

#[derive(Default)]
pub struct Keys {
    pub(super) list: LongList<ApiKey>,
    pub(super) detail: Held<KeyDetail>,
    /// Whether the detail has all the room.
    pub(super) open: bool,
    pub(super) detail_top: u16,
}

impl Listed for ApiKey {
    type Id = KeyId;
    type Sort = Sort;
    const FIELDS: Fields = KEY_FIELDS;
    const SORTS: &'static [Sort] = &Sort::ALL;
    const NEWEST: Sort = Sort::Created;
    const MANY: &'static str = "keys";
    const NONE: &'static str = "there is no key here";
    const DAMAGED: &'static str =
        "this key is damaged: no call is taken with it, and all that can be done is to remove it: D";
    fn id(&self) -> KeyId {
        self.id
    }
    fn title(sort: Sort) -> &'static str {
        sort.as_str()
    }
    fn window(
        ctx: &Ctx,
        order: &Order<Sort>,
        offset: u64,
        limit: u32,
        total: Option<u64>,
    ) -> Result<Vec<Result<Self, Damaged>>, StoreError> {
        ctx.store.read(|c| store::window(c, &query(order), offset, limit, total))
    }
    fn count(ctx: &Ctx, order: &Order<Sort>) -> Result<u64, StoreError> {
        ctx.store.read(|c| store::count(c, &query(order)))
    }
    fn place(ctx: &Ctx, order: &Order<Sort>, id: &str) -> Result<Option<u64>, StoreError> {
        ctx.store.read(|c| store::place(c, &query(order), id))
    }
}

fn query(order: &Order<Sort>) -> Query {
    let Order { filter, sort, descending, now } = order.clone();
    Query { filter, sort, descending, now }
}

const BINDINGS: &[Binding<Keys>] = list_bindings![Keys;
    Binding::new("filter", "filter", "Filter: text, field:value, :=exact, <30d, !not", Keys::filter),
    Binding::new("key.create", "new", "Create an API key", |_, t| t.push(CreateKey::panel())).writes(),
    Binding::new("key.set", "change", "Change policy, scopes, name or end of the key", Keys::change)
        .writes()
        .when(Keys::some_living),
    Binding::new("key.rotate", "rotate", "Give the key a new secret", Keys::rotate).writes().when(Keys::one_living),
    Binding::new("key.revoke", "revoke…", "End the key for good", Keys::revoke).writes().when(Keys::can_revoke),
    Binding::new("key.disable", "disable", "Refuse the key until it is enabled again", Keys::disable)
        .writes()
        .when(Keys::can_disable),
    Binding::new("key.enable", "enable", "Take the key again", Keys::enable).writes().when(Keys::can_enable),
    Binding::new("key.purge", "remove damaged", "Remove the keys whose rows are damaged", Keys::purge_damaged)
        .writes()
        .seldom()
        .when(|s: &Keys| s.list.only_damaged()),
    Binding::new("copy", "copy id", "Copy the key's id to the clipboard", Keys::copy)
        .when(|s: &Keys| s.list.only_damaged().or_else(|_| s.one())),
    Binding::new("mark", "mark", "Mark the key for acts on several", |s: &mut Keys, t| {
        s.list.mark(t);
        s.follow(t);
    }).when(Keys::one),
    Binding::new("mark.range", "", "Mark all from here to where it is pressed again", |s: &mut Keys, t| s.list.mark_range(t)).when(Keys::one),
    Binding::new("mark.all", "", "Mark all that the filter lets through", |s: &mut Keys, t| s.list.mark_all(t)).when(Keys::one),
    Binding::new("mark.clear", "", "Clear the marks", |s: &mut Keys, _| s.list.clear_marks()),
    Binding::new("sort", "sort", "Sort by the next column", |s: &mut Keys, t| s.list.next_sort(t)),
    Binding::new("sort.reverse", "", "Reverse the order", |s: &mut Keys, t| s.list.reverse(t)),
    Binding::new("filter.clear", "", "Clear the filter", |s: &mut Keys, t| s.list.set_filter("", t)),
    Binding::new("refusal.list", "refusals", "Show what was refused to the key: every check with why", |s: &mut Keys, t| {
        if let Some(key) = s.selected() {
            t.push(Refusals::of(key.id.to_string(), format!("key {} of {}", key.called(), key.subject)));
        }
    })
    .when(Keys::one),
    Binding::new("key.policy", "policy", "Show the key's policy", |s: &mut Keys, t| {
        if let Some(key) = s.selected() {
            t.wishes.push(Wish::GoWith("policies", key.policy.as_str().to_owned()));
        }
    })
    .when(Keys::one),
    Binding::new("key.usage", "usage", "Show the key's usage over time", |s: &mut Keys, t| {
        if let Some(key) = s.selected() {
            t.wishes.push(Wish::GoWith("usage", key.id.as_str().to_owned()));
        }
    })
    .when(Keys::one),
];

impl Keys {
    pub(super) fn selected(&self) -> Option<&ApiKey> {
        self.list.selected()
    }

    /// Rows are filtered where they are seen.
    fn filter(&mut self, _turn: &mut Turn<'_>) {
        self.open = false;
        self.list.type_filter();
    }

    fn one(&self) -> Result<(), &'static str> {
        self.list.one().map(|_| ())
    }

    fn one_living(&self) -> Result<(), &'static str> {
        match self.list.one()?.revoked_at {
            Some(_) => Err("a revoked key cannot be rotated; create a new one"),
            None => Ok(()),
        }
    }

    fn some_living(&self) -> Result<(), &'static str> {
        match self.selected() {
            Some(key) if self.list.marks.is_empty() && key.revoked_at.is_some() => {
                Err("nothing of a revoked key can be changed; create a new one")
            }
            _ => self.some(),
        }
    }

    fn some(&self) -> Result<(), &'static str> {
        if self.list.marks.is_empty() { self.one() } else { Ok(()) }
    }

    pub(super) fn step(&mut self, step: Step, turn: &mut Turn<'_>) {
        if self.open {
            let rows = self.detail.value.as_ref().map_or(0, super::detail::rows);
            self.detail_top = scrolled(self.detail_top, step, turn.body.height, rows);
            return;
        }
        self.list.step(step, turn);
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
        self.detail.ask(ShowKey { id, now: turn.now }, turn);
    }

    fn open(&mut self, turn: &mut Turn<'_>) {
        if self.selected().is_some() || self.list.damaged().is_some() {
            self.open = true;
            self.follow(turn);
        }
    }

    fn back(&mut self, turn: &mut Turn<'_>) -> bool {
        std::mem::take(&mut self.open) || self.list.back(turn)
    }
}

impl Layer for Keys {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["keys".to_owned()];
        if let Some(key) = self.selected().filter(|_| self.open) {
            crumbs.push(key.called().to_owned());
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
                if let Some(id) = self.detail.value.as_ref().map(|detail| detail.key.id) {
                    self.ask_detail(id, turn);
                }
            }
            Moved::Usage => {
                // a new size may show more rows, or the detail beside the list
                self.list.settle(turn);
                self.follow(turn);
            }
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
        super::draw::draw(self, canvas, area);
    }
}
