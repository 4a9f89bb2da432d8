//! What screens are put together from. Widgets know nothing of the store.

pub mod chart;
pub mod fault;
pub mod field;
pub mod form;
pub mod fuzzy;
pub mod hidden;
pub mod list;
pub mod page;
pub mod panel;
pub mod table;
pub mod text;
