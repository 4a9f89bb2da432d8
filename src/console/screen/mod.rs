//! The screens, one file each. A new one costs its file and its word in the row of [`SCREENS`].

pub mod api_keys;
pub mod browser;
pub mod long_list;
pub mod overview;
pub mod policies;
pub mod tokens;
pub mod told;
pub mod usage;

use super::layer::{Action, Layer};

/// What the row of tabs, the keys and the palette know of a screen.
pub trait Tab: Layer + Default + 'static {
    const KEY: &'static str;
    /// The name that its key is bound to: `go.`, and its own.
    const GO: &'static str;
    const TITLE: &'static str;
    const ABOUT: &'static str;
}

/// A screen as the tabs, the keys and the palette know it.
pub struct Screen {
    pub keys: &'static [&'static str],
    pub go: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub make: fn() -> Box<dyn Layer>,
}

impl Screen {
    const fn of<T: Tab>() -> Self {
        Self {
            keys: const { &[T::KEY] },
            go: T::GO,
            title: T::TITLE,
            about: T::ABOUT,
            make: || Box::new(T::default()),
        }
    }
    pub fn key(&self) -> &'static str {
        self.keys.first().copied().unwrap_or_default()
    }
    pub fn name(&self) -> &'static str {
        self.go.strip_prefix("go.").unwrap_or(self.go)
    }
}

macro_rules! screens {
    ($($module:ident),+ $(,)?) => {
        /// In the order of their keys. 4, 5, 8, 9 and 0 are kept for screens to come.
        pub const SCREENS: &[Screen] = &[$(Screen::of::<$module::Screen>()),+];
    };
}
screens![overview, api_keys, tokens, policies, usage];

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
            Binding::<$state>::new("open", &["enter", "l", "right"], "open", "Open what is under the cursor", <$state>::open),
            $($row,)*
            Binding::<$state>::new("move.down", &["j", "down"], "", "Down", |s, t| s.step(Step::Down, t)),
            Binding::<$state>::new("move.up", &["k", "up"], "", "Up", |s, t| s.step(Step::Up, t)),
            Binding::<$state>::new("move.page-down", &["ctrl-d", "pagedown"], "", "Half a page down", |s, t| s.step(Step::PageDown, t)),
            Binding::<$state>::new("move.page-up", &["ctrl-u", "pageup"], "", "Half a page up", |s, t| s.step(Step::PageUp, t)),
            Binding::<$state>::new("move.top", &["g", "home"], "", "To the top", |s, t| s.step(Step::Top, t)),
            Binding::<$state>::new("move.bottom", &["G", "end"], "", "To the bottom", |s, t| s.step(Step::Bottom, t)),
            Binding::<$state>::new("back", &["esc", "backspace", "h", "left"], "", "Back, one step out", |s, t| {
                if !s.back(t) {
                    t.wishes.push(Wish::Back);
                }
            }),
        ]
    };
}
pub(crate) use list_bindings;
