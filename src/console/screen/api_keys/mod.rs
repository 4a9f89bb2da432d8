//! Screen 2: the API keys. A list of which only the visible rows are fetched, beside or above
//! the whole of what is known about one key.

mod acts;
mod change;
pub mod create;
pub mod detail;
pub mod draw;
mod list;
pub mod rotate;

pub use list::Keys;
