//! Long work: how far it has come, on standard error where that is a terminal; and ctrl-c or another signal to end, which
//! cancels it between two batches.

use std::{
    io::{self, IsTerminal, Write},
    process,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{error::Code, output, signals::StopSignals};
use crate::domain::pace::{Pace, QUIET};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// A shell adds this to the number of the signal that ended a process.
const BY_SIGNAL: i32 = 128;

/// Long work that is watched until this is dropped.
pub struct Watched {
    pace: Pace,
    over: Option<Sender<()>>,
    shown: Option<JoinHandle<()>>,
}

impl Watched {
    /// Watches what is done at `pace`; `verb` says what that is. Where nothing can be watched it is done all the same.
    pub fn new(pace: &Pace, verb: &'static str) -> Self {
        let pace = pace.clone();
        listen(pace.clone());
        let (over, ended) = mpsc::channel();
        let own = pace.clone();
        let show = move || show(&own, verb, &ended);
        let shown = io::stderr()
            .is_terminal()
            .then(|| thread::Builder::new().name("progress".into()).spawn(show).ok())
            .flatten();
        Self { pace, over: Some(over), shown }
    }

    /// What the command ends with: where it was cancelled, that is said.
    pub fn code(self) -> Code {
        let is_cancelled = self.pace.is_cancelled();
        drop(self);
        if is_cancelled {
            output::remark("cancelled: what is told above was done, and nothing more");
            return Code::No;
        }
        Code::Done
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.over = None;
        // It ends by itself; what it showed is wiped by then.
        let _ = self.shown.take().map(JoinHandle::join);
    }
}

/// Has the first signal to end cancel, and the second end the process: nothing that is half done is kept.
fn listen(pace: Pace) {
    // Without it a signal ends the process, as ever.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    let Ok(mut signals) = runtime.block_on(async { StopSignals::catch() }) else { return };
    let listening = move || {
        runtime.block_on(async {
            loop {
                let signal = signals.wait().await;
                if pace.is_cancelled() {
                    process::exit(BY_SIGNAL + signal);
                }
                pace.cancel();
            }
        });
    };
    let _ = thread::Builder::new().name("signals".into()).spawn(listening);
}

fn show(pace: &Pace, verb: &str, ended: &mpsc::Receiver<()>) {
    let begun = Instant::now();
    let mut is_shown = false;
    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let progress = pace.progress();
        if begun.elapsed() < QUIET || progress.done == 0 {
            continue;
        }
        is_shown = true;
        let told = match pace.is_cancelled() {
            true => "ending after this batch; ctrl-c again ends at once".to_owned(),
            false => format!("{verb}: {}; ctrl-c cancels", progress.told(begun.elapsed())),
        };
        let _ = write!(io::stderr().lock(), "\r\u{1b}[K{told}");
    }
    if is_shown {
        let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
    }
}
