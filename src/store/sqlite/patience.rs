//! How long whoever acts waits for a store that others hold, and who is told that he waits.
//!
//! A gateway and a console have others waiting for them, and give up after a few seconds. A command has time, and says what
//! it waits for.

use std::{sync::OnceLock, thread, time::Duration};

use rusqlite::Connection;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);
/// After so long a word is said.
const SILENT: Duration = Duration::from_secs(1);

static OF_THIS_PROCESS: OnceLock<Patience> = OnceLock::new();

struct Patience {
    most: Duration,
    word: fn(),
}

/// Has each connection that this process opens from now on wait `most`, and `word` be said once that takes long. The first
/// call counts.
pub fn set(most: Duration, word: fn()) {
    OF_THIS_PROCESS.get_or_init(|| Patience { most, word });
}

/// Has `connection` wait as this process waits, else `otherwise`.
pub(in crate::store) fn give(connection: &mut Connection, otherwise: Duration) -> rusqlite::Result<()> {
    match OF_THIS_PROCESS.get() {
        Some(_) => connection.busy_handler(Some(wait)),
        None => connection.busy_timeout(otherwise),
    }
}

/// SQLite asks before its attempt number `attempt + 1` whether to make it.
fn wait(attempt: i32) -> bool {
    let Some(patience) = OF_THIS_PROCESS.get() else { return false };
    let waited = PAUSE.saturating_mul(attempt.unsigned_abs());
    if waited >= patience.most {
        return false;
    }
    if waited == SILENT {
        (patience.word)();
    }
    thread::sleep(PAUSE);
    true
}
