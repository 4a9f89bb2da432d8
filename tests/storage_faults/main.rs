//! Durable acts while the storage fails beneath them: the real binary on disks that are full, failing, read-only, locked
//! or exchanged.
//!
//! | promise | here |
//! |---|---|
//! | whatever read, write or sync of an act fails: nothing is said to be done that is not, nothing is done by half | [`commands`] |
//! | a gateway refuses what it cannot record or know, and goes on by itself when it can | [`serving`] |
//! | on a full disk calls are refused at once, keys can still be revoked, and all goes on when there is room | [`full`] |
//! | strangers at full speed fill no disk, hide nobody and refuse nobody else | [`strangers`] |
//! | what may not be written, or others could reach, is refused untouched, with what mends it | [`readonly`] |
//! | while another process locks the store what is known is decided, the rest refused, and nobody hangs | [`locked`] |
//! | a deleted or exchanged database lets nobody in | [`replaced`] |
//! | a backup or a restore that does not fit leaves nothing half-written | [`backup`] |
//! | whenever a backup, a restore or an upgrade is killed: the next one clears up, and nothing is lost | [`killed`] |
//! | a gateway, two consoles and the command line share a home, and nobody is told that it is locked | [`together`] |
//! | a gateway ends in time with streams open, and does not wait for an upstream for ever | [`ending`] |
//!
//! `PORTCULLIS_FIRE=long` fails every call with every error, once and for good, and lets strangers call for ten minutes. `PORTCULLIS_FIRE_SEED` (a number) chooses
//! other calls for the short form. What was measured goes to standard error (`--nocapture`).

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

use support::{FOREIGN_VARIABLES, PATIENCE, process};

mod backup;
mod books;
#[path = "../under_fire/caller.rs"]
#[allow(dead_code, reason = "shared with the proofs under fire")]
mod caller;
#[path = "../under_fire/durability/clerk.rs"]
#[allow(dead_code, reason = "shared with the proofs under fire")]
mod clerk;
mod commands;
mod console;
mod disk;
mod ending;
#[path = "../under_fire/fleet.rs"]
#[allow(dead_code, reason = "shared with the proofs under fire")]
mod fleet;
mod full;
mod killed;
#[path = "../under_fire/durability/ledger.rs"]
mod ledger;
mod locked;
mod readonly;
mod replaced;
mod serving;
mod strace;
mod strangers;
#[path = "../under_fire/support.rs"]
#[allow(dead_code, reason = "shared with the proofs under fire")]
mod support;
#[path = "../journeys/support/terminal.rs"]
#[allow(dead_code, reason = "shared with the journeys")]
mod terminal;
mod together;
#[path = "../under_fire/upstream.rs"]
#[allow(dead_code, reason = "shared with the proofs under fire")]
mod upstream;
