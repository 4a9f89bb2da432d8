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

use super::keymap::Bound;
use super::layer::bound;
use super::screen::policies::history;
use super::screen::tokens::signing_keys;

/// What is bound in each of them; they hold all keys, so that nothing else is.
pub fn contexts() -> Vec<Vec<Bound>> {
    vec![
        bound(history::BINDINGS),
        bound(signing_keys::BINDINGS),
        bound(refusals::BINDINGS),
        bound(messages::BINDINGS),
        bound(backup::BINDINGS),
        bound(confirm::BINDINGS),
        bound(secret::BINDINGS),
        bound(secret::NAMING),
    ]
}
