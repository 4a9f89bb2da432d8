//! Screen 6: the policies, each with its document; the editor, the history and the tester.

pub mod document;
pub mod editor;
pub mod fields;
pub mod history;
mod list;
pub mod tester;

pub use list::Policies as Screen;
