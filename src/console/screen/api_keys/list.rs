//! The list: its bindings and what each is about, and how a row and its detail look.

use crate::console::canvas::Canvas;
use crate::console::layer::{Binding, Wish};
use crate::console::screen::Tab;
use crate::console::screen::browser::{Browsed, Browser, browser_bindings};
use crate::console::screen::long_list::{Listed, Order, Words};
use crate::console::theme::state_glyph;
use crate::console::widget::list::Step;
use crate::console::widget::page::Line;
use crate::console::widget::table::{Column, TableCell, cell, styled};
use crate::console::widget::text::relative;
use crate::domain::api_key::{ApiKey, KeyId};
use crate::domain::clock::Timestamp;
use crate::domain::filter::{Fields, KEY_FIELDS};
use crate::domain::name::PolicyName;
use crate::ops::Ctx;
use crate::store::api_key::{self as store, Query, Sort};
use crate::store::{Damaged, StoreError};

use super::create::CreateKey;
use super::detail::{self, KeyDetail, ShowKey};

pub type Keys = Browser<ApiKey>;

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

impl Tab for Keys {
    const KEY: &'static str = "2";
    const GO: &'static str = "go.keys";
    const TITLE: &'static str = "Keys";
    const ABOUT: &'static str = "Show the API keys: create, rotate, disable, revoke";
}

const BINDINGS: &[Binding<Keys>] = browser_bindings![Keys,
    mark: "Mark the key for acts on several",
    refusals: "Show what was refused to the key: every check with why";
    [
    Binding::new("key.create", &["n"], "new", "Create an API key", |_, t| t.push(CreateKey::panel())).writes(),
    Binding::new("key.set", &["c"], "change", "Change policy, scopes, name or end of the key", Keys::change)
        .writes()
        .when(Keys::some_living),
    Binding::new("key.rotate", &["r"], "rotate", "Give the key a new secret", Keys::rotate).writes().when(Keys::one_living),
    Binding::new("key.revoke", &["R"], "revoke…", "End the key for good", Keys::revoke).writes().when(Keys::can_revoke),
    Binding::new("key.disable", &["d"], "disable", "Refuse the key until it is enabled again", Keys::disable)
        .writes()
        .when(Keys::can_disable),
    Binding::new("key.enable", &["e"], "enable", "Take the key again", Keys::enable).writes().when(Keys::can_enable),
    Binding::new("key.purge", &["D"], "remove damaged", "Remove the keys whose rows are damaged", Keys::purge_damaged)
        .writes()
        .seldom()
        .when(|s: &Keys| s.list.only_damaged()),
    Binding::new("copy", &["y"], "copy id", "Copy the key's id to the clipboard", Keys::copy)
        .when(|s: &Keys| s.list.only_damaged().or_else(|_| s.one())),
    ]
    [
    Binding::new("key.policy", &["P"], "policy", "Show the key's policy", Keys::show_policy).when(Keys::one),
    Binding::new("key.usage", &["u"], "usage", "Show the key's usage over time", Keys::show_usage).when(Keys::one),
    ]
];

impl Browsed for ApiKey {
    type Detail = KeyDetail;
    type Show = ShowKey;
    const CRUMB: &'static str = "keys";
    const BINDINGS: &'static [Binding<Keys>] = BINDINGS;
    const COLUMNS: &'static [Column] = &[
        Column::new("state", 10),
        Column::new("id", 8),
        Column::new("name", 10).share(2),
        Column::new("subject", 12).share(3),
        Column::new("policy", 10).share(1).dispensable(2),
        Column::new("expires", 9),
        Column::new("created", 9).dispensable(1),
    ];
    const WORDS: Words = Words {
        empty: "There are no keys yet. n creates one.",
        none_fit: "No key fits the filter. esc clears it.",
        examples: "/ filter: text  subject:ana  state:active  expires<30d  !not",
    };
    const MENDS: &'static str = "D removes the keys that are damaged";
    fn show(id: KeyId, now: Timestamp) -> ShowKey {
        ShowKey { id, now }
    }
    fn shown(detail: &KeyDetail) -> KeyId {
        detail.key.id
    }
    fn called(&self) -> String {
        ApiKey::called(self).to_owned()
    }
    fn named(&self) -> String {
        format!("key {} of {}", ApiKey::called(self), self.subject)
    }
    fn policy(&self) -> &PolicyName {
        &self.policy
    }
    fn cells<'a>(&'a self, canvas: &Canvas<'_>) -> Vec<TableCell<'a>> {
        let theme = canvas.theme();
        let state = self.state(canvas.now);
        vec![
            styled(format!("{} {}", state_glyph(state), state.as_str()), theme.state(state)),
            styled(self.id.short(), theme.dim),
            cell(self.name.as_str()),
            cell(self.subject.as_str()),
            cell(self.policy.as_str()),
            expiry(self, canvas),
            styled(relative(self.created_at, canvas.now), theme.dim),
        ]
    }
    fn lines(detail: &KeyDetail, now: Timestamp) -> Vec<Line> {
        detail::lines(detail, now)
    }
}

impl Keys {
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
}

/// When it ends, louder the nearer it is.
fn expiry<'a>(key: &ApiKey, canvas: &Canvas<'_>) -> TableCell<'a> {
    const SOON: std::time::Duration = std::time::Duration::from_secs(86_400);
    let theme = canvas.theme();
    match key.expires_at {
        None => styled("never", theme.dim),
        Some(at) if at > canvas.now && at.since(canvas.now) < SOON && key.revoked_at.is_none() => {
            styled(relative(at, canvas.now), theme.warning)
        }
        Some(at) => cell(relative(at, canvas.now)),
    }
}
