//! How the journeys start, drive and watch real processes.

pub mod auth_server;
pub mod client;
pub mod gateway;
pub mod home;
pub mod process;
pub mod python;
pub mod terminal;
pub mod upstream;

use std::time::Duration;

/// How long a wait may last before it counts as failed. Generous: it only ever runs out where something is broken.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The binary under test.
pub const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

/// Variables of the caller that would change what a child does.
pub const FOREIGN_VARIABLES: [&str; 5] =
    ["PORTCULLIS_HOME", "PORTCULLIS_MASTER_KEY_FILE", "PORTCULLIS_KEY", "NO_COLOR", "RUST_LOG"];
