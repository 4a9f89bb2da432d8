//! The list: its state, its bindings, and what each does.

use crossterm::event::KeyEvent;
use ratatui::layout::{Position, Rect};

use crate::console::canvas::Canvas;
use crate::console::effect::{Deed, Fault, Reply};
use crate::console::event::Moved;
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, Wish, carry_out, offer};
use crate::console::overlay::confirm::Confirm;
use crate::console::overlay::refusals::Refusals;
use crate::console::screen::long_list::{Clicked, Listed, LongList, Order, Words, areas, draw_damaged};
use crate::console::screen::{list_bindings, of_detail};
use crate::console::tally::Tally;
use crate::console::theme::token_glyph;
use crate::console::widget::fault::draw_fault;
use crate::console::widget::list::Step;
use crate::console::widget::page;
use crate::console::widget::table::{Column, TableCell, cell, styled};
use crate::console::widget::text::relative;
use crate::domain::filter::{Fields, TOKEN_FIELDS};
use crate::domain::token::{TokenId, TokenState};
use crate::ops::{self, Ctx};
use crate::store::token::{self as store, Query, Sort, Standing};
use crate::store::{Damaged, StoreError};

use super::detail::{ShowToken, TokenDetail};
use super::inspect::Inspect;
use super::issue::IssueToken;
use super::revoke::RevokeTokens;
use super::signing_keys::SigningKeys;
use super::{detail, short_id, short_kid};

/// Forgets all whose rows are damaged.
#[derive(Debug)]
pub struct PurgeDamaged;

impl Deed for PurgeDamaged {
    type Answer = Tally;
    const VERB: &'static str = "removing";
    fn carry_out(&self, ctx: &Ctx) -> Result<Tally, Fault> {
        Ok(Tally::at_pace(ops::token::purge_damaged(ctx)?, &ctx.pace))
    }
    fn unclaimed(tally: Tally, turn: &mut Turn<'_>) {
        tally.tell_left(turn);
    }
}

#[derive(Default)]
pub struct Tokens {
    pub(super) list: LongList<Standing>,
    detail: Held<TokenDetail>,
    /// Whether the detail has all the room.
    open: bool,
    detail_top: u16,
}

impl Listed for Standing {
    type Id = TokenId;
    type Sort = Sort;
    const FIELDS: Fields = TOKEN_FIELDS;
    const SORTS: &'static [Sort] = &Sort::ALL;
    const NEWEST: Sort = Sort::Issued;
    const MANY: &'static str = "tokens";
    const NONE: &'static str = "there is no token here";
    const DAMAGED: &'static str =
        "what is remembered of this token is damaged: all that can be done is to forget it: D";
    fn id(&self) -> TokenId {
        self.token.jti
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

const BINDINGS: &[Binding<Tokens>] = list_bindings![Tokens;
    Binding::new("filter", "filter", "Filter: text, field:value, :=exact, <30d, !not", Tokens::filter),
    Binding::new("token.issue", "new", "Issue a token", |_, t| t.push(IssueToken::panel())).writes(),
    Binding::new("token.revoke", "revoke…", "Revoke it, or all of its subject, of its key, or from before a moment", Tokens::revoke)
        .writes()
        .when(Tokens::some),
    Binding::new("token.inspect", "inspect", "Paste any token and have it judged", |_, t| t.push(Inspect::default())),
    Binding::new("signing-key.list", "signing keys", "Show the keys that sign: create, rotate, retire", |_, t| t.push(SigningKeys::default())),
    Binding::new("copy", "copy id", "Copy the token's id (jti) to the clipboard", |s: &mut Tokens, t| {
        let damaged = s.list.damaged().map(|damaged| damaged.id.clone());
        if let Some(jti) = s.list.selected().map(|row| row.token.jti.to_string()).or(damaged) {
            t.copy(&jti, &format!("the id of token {jti:.8}"));
        }
    })
    .when(|s: &Tokens| s.list.only_damaged().or_else(|_| s.one())),
    Binding::new("token.purge", "forget damaged", "Forget the tokens whose rows are damaged", |_: &mut Tokens, t| {
        let lines = vec![
            "Forget all tokens whose rows are damaged?".into(),
            "This is for good. What was revoked of them stays revoked.".into(),
        ];
        let done = "forgot the damaged tokens";
        t.push(Confirm::new("forget damaged tokens", lines, "forget", done, |_| PurgeDamaged));
    })
    .writes()
    .seldom()
    .when(|s: &Tokens| s.list.only_damaged()),
    Binding::new("mark", "mark", "Mark the token to revoke several", |s: &mut Tokens, t| {
        s.list.mark(t);
        s.follow(t);
    })
    .when(Tokens::one),
    Binding::new("mark.range", "", "Mark all from here to where it is pressed again", |s: &mut Tokens, t| s.list.mark_range(t)).when(Tokens::one),
    Binding::new("mark.all", "", "Mark all that the filter lets through", |s: &mut Tokens, t| s.list.mark_all(t)).when(Tokens::one),
    Binding::new("mark.clear", "", "Clear the marks", |s: &mut Tokens, _| s.list.clear_marks()),
    Binding::new("sort", "sort", "Sort by the next column", |s: &mut Tokens, t| s.list.next_sort(t)),
    Binding::new("sort.reverse", "", "Reverse the order", |s: &mut Tokens, t| s.list.reverse(t)),
    Binding::new("filter.clear", "", "Clear the filter", |s: &mut Tokens, t| s.list.set_filter("", t)),
    Binding::new("refusal.list", "refusals", "Show what was refused to the token: every check with why", |s: &mut Tokens, t| {
        if let Some(row) = s.list.selected() {
            let jti = row.token.jti.to_string();
            let named = format!("token {jti:.8} of {}", row.token.subject);
            t.push(Refusals::of(jti, named));
        }
    })
    .when(Tokens::one),
    Binding::new("token.policy", "policy", "Show the token's policy", |s: &mut Tokens, t| {
        if let Some(row) = s.list.selected() {
            t.wishes.push(Wish::GoWith("policies", row.token.policy.as_str().to_owned()));
        }
    })
    .when(Tokens::one),
    Binding::new("token.usage", "usage", "Show the token's usage over time", |s: &mut Tokens, t| {
        if let Some(row) = s.list.selected() {
            t.wishes.push(Wish::GoWith("usage", row.token.jti.to_string()));
        }
    })
    .when(Tokens::one),
];

const WORDS: Words = Words {
    empty: "No token is remembered. n issues one; i judges any that you paste.",
    none_fit: "No token fits the filter. esc clears it.",
    examples: "/ filter: text  subject:ana  state:live  expires<1h  kid:…  !not",
};

const COLUMNS: [Column; 8] = [
    Column::new("state", 10),
    Column::new("jti", 8),
    Column::new("subject", 12).share(3),
    Column::new("scopes", 10).share(2),
    Column::new("policy", 8).share(1).dispensable(1),
    Column::new("key", 13).dispensable(3),
    Column::new("expires", 9),
    Column::new("issued", 8).dispensable(2),
];

impl Tokens {
    /// Rows are filtered where they are seen.
    fn filter(&mut self, _turn: &mut Turn<'_>) {
        self.open = false;
        self.list.type_filter();
    }

    fn one(&self) -> Result<(), &'static str> {
        self.list.one().map(|_| ())
    }

    fn some(&self) -> Result<(), &'static str> {
        if self.list.marks.is_empty() { self.one() } else { Ok(()) }
    }

    fn revoke(&mut self, turn: &mut Turn<'_>) {
        if let Some(panel) = RevokeTokens::new(&self.list) {
            turn.push(panel);
        }
    }

    fn step(&mut self, step: Step, turn: &mut Turn<'_>) {
        if self.open {
            let rows = self
                .detail
                .value
                .as_ref()
                .map_or(0, |detail| page::height(&detail::lines(detail, turn.now), turn.body.width));
            self.detail_top = page::scrolled(self.detail_top, step, turn.body.height, rows);
            return;
        }
        self.list.step(step, turn);
        self.follow(turn);
    }

    /// Shows the token under the cursor where the detail is in view.
    fn follow(&mut self, turn: &mut Turn<'_>) {
        let (_, detail) = areas(turn.body, self.open);
        let Some(jti) = self.list.selected().map(|row| row.token.jti) else {
            self.detail.clear();
            return;
        };
        let shown = self.detail.value.as_ref().is_some_and(|detail| detail.standing.token.jti == jti);
        if detail.width > 0 && !shown {
            self.detail_top = 0;
            self.ask_detail(jti, turn);
        }
    }

    fn ask_detail(&mut self, jti: TokenId, turn: &mut Turn<'_>) {
        self.detail.ask(ShowToken { jti, now: turn.now }, turn);
    }

    fn open(&mut self, turn: &mut Turn<'_>) {
        if self.list.selected().is_some() || self.list.damaged().is_some() {
            self.open = true;
            self.follow(turn);
        }
    }

    fn back(&mut self, turn: &mut Turn<'_>) -> bool {
        std::mem::take(&mut self.open) || self.list.back(turn)
    }
}

impl Layer for Tokens {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["tokens".to_owned()];
        if let Some(row) = self.list.selected().filter(|_| self.open) {
            crumbs.push(short_id(row.token.jti));
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
                if let Some(jti) = self.detail.value.as_ref().map(|detail| detail.standing.token.jti) {
                    self.ask_detail(jti, turn);
                }
            }
            Moved::Usage => {
                // a new size may show more rows, or the detail beside the list
                self.list.settle(turn);
                self.follow(turn);
            }
        }
    }
    /// The minute has passed: tokens live an hour, and what is shown of them grows old.
    fn due(&mut self, turn: &mut Turn<'_>) {
        if turn.now.millis() % 60_000 < 1_000 {
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
            self.list.draw(canvas, list, &COLUMNS, WORDS, cells);
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
            return draw_damaged(damaged, "D forgets the tokens that are damaged", canvas, inside);
        }
        match (&self.detail.value, &self.detail.fault) {
            (_, Some(fault)) => draw_fault(canvas, inside, &fault.message),
            (Some(value), None) => {
                page::draw(&detail::lines(value, canvas.now), self.detail_top, canvas, inside);
            }
            (None, None) => {
                let dim = canvas.theme().dim;
                let word = if self.detail.is_waiting() { "loading…" } else { "" };
                canvas.put(inside.x, inside.y, inside.width, word, dim);
            }
        }
    }
}

fn cells<'a>(row: &'a Standing, canvas: &Canvas<'_>) -> Vec<TableCell<'a>> {
    let theme = canvas.theme();
    let token = &row.token;
    // what was live when it was asked for may have ended since
    let state = token.state(canvas.now, row.state == TokenState::Revoked);
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    let expires = relative(token.expires_at, canvas.now);
    vec![
        styled(format!("{} {}", token_glyph(state), state.as_str()), theme.token_state(state)),
        styled(short_id(token.jti), theme.dim),
        cell(token.subject.as_str()),
        cell(scopes.join(" ")),
        cell(token.policy.as_str()),
        styled(short_kid(&token.kid), theme.dim),
        if state == TokenState::Expiring { styled(expires, theme.warning) } else { cell(expires) },
        styled(relative(token.issued_at, canvas.now), theme.dim),
    ]
}
