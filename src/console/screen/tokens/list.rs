//! The list: its bindings and what each is about, and how a row and its detail look.

use crate::console::canvas::Canvas;
use crate::console::layer::{Binding, Turn, Wish};
use crate::console::overlay::confirm::Confirm;
use crate::console::screen::Tab;
use crate::console::screen::browser::{Browsed, Browser, browser_bindings};
use crate::console::screen::long_list::{Listed, Order, Words};
use crate::console::tally::PurgeDamaged;
use crate::console::theme::token_glyph;
use crate::console::widget::list::Step;
use crate::console::widget::page::Line;
use crate::console::widget::table::{Column, TableCell, cell, styled};
use crate::console::widget::text::relative;
use crate::domain::clock::Timestamp;
use crate::domain::credential::Kind;
use crate::domain::filter::{Fields, TOKEN_FIELDS};
use crate::domain::name::PolicyName;
use crate::domain::token::{TokenId, TokenState};
use crate::ops::Ctx;
use crate::store::token::{self as store, Query, Sort, Standing};
use crate::store::{Damaged, StoreError};

use super::detail::{self, ShowToken, TokenDetail};
use super::inspect::Inspect;
use super::issue::IssueToken;
use super::revoke::RevokeTokens;
use super::signing_keys::SigningKeys;
use super::{short_id, short_kid};

pub type Tokens = Browser<Standing>;

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

impl Tab for Tokens {
    const KEY: &'static str = "3";
    const GO: &'static str = "go.tokens";
    const TITLE: &'static str = "Tokens";
    const ABOUT: &'static str = "Show the tokens: issue, revoke, inspect; and the keys that sign them";
}

const BINDINGS: &[Binding<Tokens>] = browser_bindings![Tokens,
    mark: "Mark the token to revoke several",
    refusals: "Show what was refused to the token: every check with why";
    [
    Binding::new("token.issue", &["n"], "new", "Issue a token", |_, t| t.push(IssueToken::panel())).writes(),
    Binding::new("token.revoke", &["R"], "revoke…", "Revoke it, or all of its subject, of its key, or from before a moment", Tokens::revoke)
        .writes()
        .when(Tokens::some),
    Binding::new("token.inspect", &["i"], "inspect", "Paste any token and have it judged", |_, t| t.push(Inspect::default())),
    Binding::new("signing-key.list", &["K"], "signing keys", "Show the keys that sign: create, rotate, retire", |_, t| t.push(SigningKeys::default())),
    Binding::new("copy", &["y"], "copy id", "Copy the token's id (jti) to the clipboard", |s: &mut Tokens, t| {
        let damaged = s.list.damaged().map(|damaged| damaged.id.clone());
        if let Some(jti) = s.list.selected().map(|row| row.token.jti.to_string()).or(damaged) {
            t.copy(&jti, &format!("the id of token {jti:.8}"));
        }
    })
    .when(|s: &Tokens| s.list.only_damaged().or_else(|_| s.one())),
    Binding::new("token.purge", &["D"], "forget damaged", "Forget the tokens whose rows are damaged", |_: &mut Tokens, t| {
        let lines = vec![
            "Forget all tokens whose rows are damaged?".into(),
            "This is for good. What was revoked of them stays revoked.".into(),
        ];
        let done = "forgot the damaged tokens";
        t.push(Confirm::new("forget damaged tokens", lines, "forget", done, |_| PurgeDamaged(Kind::Token)));
    })
    .writes()
    .seldom()
    .when(|s: &Tokens| s.list.only_damaged()),
    ]
    [
    Binding::new("token.policy", &["P"], "policy", "Show the token's policy", Tokens::show_policy).when(Tokens::one),
    Binding::new("token.usage", &["u"], "usage", "Show the token's usage over time", Tokens::show_usage).when(Tokens::one),
    ]
];

impl Browsed for Standing {
    type Detail = TokenDetail;
    type Show = ShowToken;
    const CRUMB: &'static str = "tokens";
    const BINDINGS: &'static [Binding<Tokens>] = BINDINGS;
    const COLUMNS: &'static [Column] = &[
        Column::new("state", 10),
        Column::new("jti", 8),
        Column::new("subject", 12).share(3),
        Column::new("scopes", 10).share(2),
        Column::new("policy", 8).share(1).dispensable(1),
        Column::new("key", 13).dispensable(3),
        Column::new("expires", 9),
        Column::new("issued", 8).dispensable(2),
    ];
    const WORDS: Words = Words {
        empty: "No token is remembered. n issues one; i judges any that you paste.",
        none_fit: "No token fits the filter. esc clears it.",
        examples: "/ filter: text  subject:ana  state:live  expires<1h  kid:…  !not",
    };
    const MENDS: &'static str = "D forgets the tokens that are damaged";
    /// Tokens live an hour.
    const AGES: bool = true;
    fn show(jti: TokenId, now: Timestamp) -> ShowToken {
        ShowToken { jti, now }
    }
    fn shown(detail: &TokenDetail) -> TokenId {
        detail.standing.token.jti
    }
    fn called(&self) -> String {
        short_id(self.token.jti)
    }
    fn named(&self) -> String {
        format!("token {} of {}", short_id(self.token.jti), self.token.subject)
    }
    fn policy(&self) -> &PolicyName {
        &self.token.policy
    }
    fn cells<'a>(&'a self, canvas: &Canvas<'_>) -> Vec<TableCell<'a>> {
        let theme = canvas.theme();
        let token = &self.token;
        // what was live when it was asked for may have ended since
        let state = token.state(canvas.now, self.state == TokenState::Revoked);
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
    fn lines(detail: &TokenDetail, now: Timestamp) -> Vec<Line> {
        detail::lines(detail, now)
    }
}

impl Tokens {
    fn revoke(&mut self, turn: &mut Turn<'_>) {
        if let Some(panel) = RevokeTokens::new(&self.list) {
            turn.push(panel);
        }
    }
}
