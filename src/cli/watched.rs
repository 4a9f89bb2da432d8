//! Long work: how far it has come, on standard error where that is a terminal; and ctrl-c, which ends it between two batches.

use std::{
    io::{self, IsTerminal, Write},
    process,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{error::Code, output};
use crate::ops::{Ctx, Pace};

/// What is done sooner is done without a word.
const QUIET: Duration = Duration::from_millis(500);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// What a shell makes of an end by ctrl-c.
const INTERRUPTED: i32 = 130;

/// Long work that is watched until this is dropped.
pub struct Watched {
    pace: Pace,
    over: Option<Sender<()>>,
    shown: Option<JoinHandle<()>>,
}

impl Watched {
    /// Watches what is done for `ctx`; `verb` says what that is. Where nothing can be watched it is done all the same.
    pub fn new(ctx: &Ctx, verb: &'static str) -> Self {
        let pace = ctx.pace.clone();
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

/// Has the first ctrl-c cancel, and the second end the process: nothing that is half done is kept.
fn listen(pace: Pace) {
    let listening = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if pace.is_cancelled() {
                    process::exit(INTERRUPTED);
                }
                pace.cancel();
            }
        });
    };
    // Without it ctrl-c ends the process, as ever.
    let _ = thread::Builder::new().name("ctrl-c".into()).spawn(listening);
}

fn show(pace: &Pace, verb: &str, ended: &mpsc::Receiver<()>) {
    let begun = Instant::now();
    let mut is_shown = false;
    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let (done, of) = pace.stands();
        if begun.elapsed() < QUIET || done == 0 {
            continue;
        }
        is_shown = true;
        let told = match pace.is_cancelled() {
            true => "ending after this batch; ctrl-c again ends at once".to_owned(),
            false => format!("{verb}: {}; ctrl-c cancels", standing(done, of, begun.elapsed())),
        };
        let _ = write!(io::stderr().lock(), "\r\u{1b}[K{told}");
    }
    if is_shown {
        let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
    }
}

/// `1200 of 10000, 4s left`; the time left as that which is done took.
fn standing(done: u64, of: Option<u64>, took: Duration) -> String {
    let Some(of) = of else { return done.to_string() };
    let done = done.min(of);
    let left = took.mul_f64(of.saturating_sub(done) as f64 / done.max(1) as f64);
    format!("{done} of {of}, {} left", humantime::format_duration(Duration::from_secs(left.as_secs() + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_from_what_is_done() {
        let took = Duration::from_secs(2);
        assert_eq!(standing(2_500, Some(10_000), took), "2500 of 10000, 7s left");
        assert_eq!(standing(10_000, Some(10_000), took), "10000 of 10000, 1s left");
        assert_eq!(standing(7, None, took), "7");
    }
}
