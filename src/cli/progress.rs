//! How far something is that takes its time, told at a terminal; and its end by a signal.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{error::CliError, signals::StopSignals};

/// Nothing is said before.
const SILENT: Duration = Duration::from_millis(500);
/// Between two words.
const GAP: Duration = Duration::from_millis(200);
const MIB: u64 = 1024 * 1024;

/// One that is under way.
pub struct Progress {
    verb: &'static str,
    began: Instant,
    said: Option<Instant>,
    ended: Arc<AtomicBool>,
}

impl Progress {
    /// From here on a signal that ends a process is an answer of [`Progress::step`], so that what was begun is cleared away.
    pub fn start(verb: &'static str) -> Result<Self, CliError> {
        let ended = Arc::<AtomicBool>::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::broken(format!("threads cannot be started: {error}")))?;
        let signals = runtime.block_on(async { StopSignals::catch() })?;
        let heard = Arc::clone(&ended);
        // It ends with the process.
        std::thread::spawn(move || {
            runtime.block_on(signals.wait());
            heard.store(true, Ordering::Relaxed);
        });
        Ok(Self { verb, began: Instant::now(), said: None, ended })
    }

    /// Tells how far it is, in bytes; `false` where it is to end.
    pub fn step(&mut self, done: u64, all: u64) -> bool {
        let is_time = match self.said {
            None => self.began.elapsed() >= SILENT,
            Some(said) => said.elapsed() >= GAP,
        };
        if is_time && io::stderr().is_terminal() {
            let text = told(self.verb, done, all, self.began.elapsed());
            // Whoever cannot be told waits as well.
            let _ = write!(io::stderr(), "\r{text}\x1b[K");
            self.said = Some(Instant::now());
        }
        !self.ended.load(Ordering::Relaxed)
    }

    /// Takes the word away.
    pub fn end(&self) {
        if self.said.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn told(verb: &str, done: u64, all: u64, took: Duration) -> String {
    let (done, all) = (done.min(all).max(1), all.max(1));
    let left = took.mul_f64((all - done.min(all)) as f64 / done as f64).as_secs();
    format!("{} of {} MiB {verb}, {left} s left; ctrl-c ends it", done / MIB, all.div_ceil(MIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_much_and_how_long_still() {
        let told = |done, all| told("copied", done, all, Duration::from_secs(2));
        assert_eq!(told(25 * MIB, 100 * MIB), "25 of 100 MiB copied, 6 s left; ctrl-c ends it");
        assert_eq!(told(0, 0), "0 of 1 MiB copied, 0 s left; ctrl-c ends it");
    }
}
