//! What lies over a screen: it holds the keys until it is closed.

pub mod backup;
pub mod command;
pub mod confirm;
pub mod help;
pub mod messages;
pub mod palette;
pub mod pick;
pub mod refusals;
pub mod secret;

/// The names that are live together in overlays with bindings of their own.
pub fn contexts() -> Vec<Vec<&'static str>> {
    vec![
        super::screen::policies::history::names(),
        super::screen::tokens::signing_keys::names(),
        refusals::names(),
    ]
}
