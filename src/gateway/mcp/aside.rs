//! Long bodies are read and long lists are edited beside the worker: whoever else it serves does not wait for them.

use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// What has up to so many bytes is read at once, in the time that a few calls take.
const SHORT: usize = 16 * 1024;

/// How many long ones are read at once: by half of the processors, so that calls keep the other half however many there are.
/// Who comes next waits its turn.
#[derive(Clone)]
pub struct Aside(Arc<Semaphore>);

impl Default for Aside {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((processors / 2).max(1))))
    }
}

impl Aside {
    /// Whether so many bytes are left to another thread.
    pub fn is_long(bytes: usize) -> bool {
        bytes > SHORT
    }

    /// Does `work` on so many bytes, here where they are few. `None` where it could not be done to its end.
    pub async fn run<T: Send + 'static>(
        self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if !Self::is_long(bytes) {
            return Some(work());
        }
        let turn = self.0.acquire_owned().await.ok()?;
        let done = spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::current;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_worker_goes_on_while_a_long_list_is_edited() {
        let (goes_on, hears) = channel();
        let edited = Aside::default().run(SHORT + 1, move || hears.recv_timeout(PATIENCE).is_ok());
        // The edit comes first and ends only by what the same thread does next.
        let (edited, sent) = tokio::join!(edited, async { goes_on.send(()) });
        assert_eq!((edited, sent), (Some(true), Ok(())));
    }

    #[tokio::test]
    async fn a_short_list_is_edited_at_once() {
        let here = current().id();
        let edited = Aside::default().run(SHORT, move || current().id() == here).now_or_never();
        assert_eq!(edited, Some(Some(true)));
    }

    #[tokio::test]
    async fn long_lists_take_turns() {
        let aside = Aside(Arc::new(Semaphore::new(1)));
        let (end, ends) = channel();
        let mut first = Box::pin(aside.clone().run(SHORT + 1, move || ends.recv_timeout(PATIENCE).is_ok()));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut second = Box::pin(aside.run(SHORT + 1, || ()));
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending(), "its turn has not come");
        end.send(()).unwrap();
        assert_eq!((first.await, second.await), (Some(true), Some(())));
    }
}
