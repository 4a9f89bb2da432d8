//! Screen 3: the tokens that this home issued, in a list of which only the visible rows are fetched; any token pasted and
//! judged; the keys that sign.

mod detail;
mod explain;
mod inspect;
pub mod issue;
pub mod key_forms;
mod list;
mod private_key;
pub mod reach;
mod revoke;
pub mod signing_keys;
#[cfg(test)]
mod tests;

pub use list::Tokens as Screen;

use ratatui::layout::Margin;

use crate::domain::name::Kid;
use crate::domain::token::TokenId;

/// What stays free round the panels that lie over the whole screen.
const INSET: Margin = Margin::new(2, 1);

/// What names a token to people: the first eight of its id.
pub fn short_id(id: TokenId) -> String {
    format!("{:.8}", id.to_string())
}

/// A kid may be as long as a digest: the first twelve tell it from the few others.
pub fn short_kid(kid: &Kid) -> String {
    let kid = kid.as_str();
    match kid.char_indices().nth(12) {
        Some((end, _)) => format!("{}…", kid.get(..end).unwrap_or_default()),
        None => kid.to_owned(),
    }
}
