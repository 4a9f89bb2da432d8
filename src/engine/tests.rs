//! What a caller of the engine sees, on a real store, with a clock that stands still.

mod clock;
mod derived;
mod following;
pub(super) mod house;
mod issuers;
mod judging;
mod limits;
mod recording;
mod states;
mod sweeping;
mod tampering;
mod tokens;
