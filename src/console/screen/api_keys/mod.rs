//! Screen 2: the API keys. A list of which only the visible rows are fetched, beside or above
//! the whole of what is known about one key.

mod activity;
mod acts;
pub mod bulk;
pub mod change;
pub mod create;
mod detail;
mod list;
pub mod rotate;

pub use list::Keys as Screen;
