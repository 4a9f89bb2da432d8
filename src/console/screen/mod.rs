//! The screens, one file each. A new one costs its file and one entry here.

pub mod api_keys;
pub mod browser;
pub mod long_list;
pub mod overview;
pub mod policies;
pub mod tokens;
pub mod told;
pub mod usage;

use super::layer::{Action, Layer};

/// A screen as the tabs, the keys and the palette know it.
pub struct Screen {
    pub key: char,
    pub name: &'static str,
    /// The name that its key is bound to.
    pub go: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub make: fn() -> Box<dyn Layer>,
}

/// In the order of their keys. 4, 5, 8, 9 and 0 are kept for screens to come.
pub const SCREENS: &[Screen] = &[
    Screen {
        key: '1',
        name: "overview",
        go: "go.overview",
        title: "Overview",
        about: "Show what is happening",
        make: || Box::new(overview::Overview::default()),
    },
    Screen {
        key: '2',
        name: "keys",
        go: "go.keys",
        title: "Keys",
        about: "Show the API keys: create, rotate, disable, revoke",
        make: || Box::new(api_keys::Keys::default()),
    },
    Screen {
        key: '3',
        name: "tokens",
        go: "go.tokens",
        title: "Tokens",
        about: "Show the tokens: issue, revoke, inspect; and the keys that sign them",
        make: || Box::new(tokens::Tokens::default()),
    },
    Screen {
        key: '6',
        name: "policies",
        go: "go.policies",
        title: "Policies",
        about: "Show the policies: edit, history, roll back, test a call",
        make: || Box::new(policies::Policies::default()),
    },
    Screen {
        key: '7',
        name: "usage",
        go: "go.usage",
        title: "Usage",
        about: "Show usage over time",
        make: || Box::new(usage::Usage::default()),
    },
];

/// What is of a list alone, and not of one of its rows.
const OF_LISTS: [&str; 8] =
    ["open", "filter.clear", "sort", "sort.reverse", "mark", "mark.range", "mark.all", "mark.clear"];

/// What a list offers while all the room is its detail's: the way back first, and nothing that would be done to rows which
/// are not seen. A filter leads back to them.
pub fn of_detail(actions: Vec<Action>) -> Vec<Action> {
    let of_one = actions.into_iter().filter(|action| !OF_LISTS.contains(&action.name));
    let mut actions: Vec<Action> = of_one
        .map(|action| match action.name {
            "back" => Action { hint: "back", ..action },
            "move.down" => Action { hint: "scroll", ..action },
            "filter" => Action { hint: "", ..action },
            _ => action,
        })
        .collect();
    actions.sort_by_key(|action| match action.name {
        "back" => 0,
        "move.down" => 1,
        _ => 2,
    });
    actions
}

/// The rows that every list has, before its own. The state has `step`, `open` and `back`, where
/// `back` says whether there was something to step out of.
macro_rules! list_bindings {
    ($state:ty; $($row:expr),* $(,)?) => {
        &[
            Binding::<$state>::new("open", "open", "Open what is under the cursor", <$state>::open),
            $($row,)*
            Binding::<$state>::new("move.down", "", "Down", |s, t| s.step(Step::Down, t)),
            Binding::<$state>::new("move.up", "", "Up", |s, t| s.step(Step::Up, t)),
            Binding::<$state>::new("move.page-down", "", "Half a page down", |s, t| s.step(Step::PageDown, t)),
            Binding::<$state>::new("move.page-up", "", "Half a page up", |s, t| s.step(Step::PageUp, t)),
            Binding::<$state>::new("move.top", "", "To the top", |s, t| s.step(Step::Top, t)),
            Binding::<$state>::new("move.bottom", "", "To the bottom", |s, t| s.step(Step::Bottom, t)),
            Binding::<$state>::new("back", "", "Back, one step out", |s, t| {
                if !s.back(t) {
                    t.wishes.push(Wish::Back);
                }
            }),
        ]
    };
}
pub(crate) use list_bindings;
