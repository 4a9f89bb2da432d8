//! Long bodies are read and long lists are edited beside the worker: whoever else it serves does not wait for them. Nor does
//! who has a long one wait for more than one of each other caller's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::domain::decision::Account;

/// What has up to so many bytes is read at once, in the time that a few calls take.
const SHORT: usize = 16 * 1024;

/// How many long ones are read at once: by half of the processors, so that calls keep the other half however many there are.
/// Who comes next waits its turn, each account with one at a time.
#[derive(Clone)]
pub struct Aside {
    turns: Arc<Semaphore>,
    queues: Arc<Queues>,
}

/// Of the accounts that have long ones now, and of no other.
#[derive(Default)]
struct Queues(Mutex<HashMap<Account, Queue>>);

struct Queue {
    /// With its head.
    length: usize,
    head: Arc<Semaphore>,
}

/// A place in the queue of an account, for as long as it lives.
struct Queued {
    queues: Arc<Queues>,
    account: Account,
}

impl Default for Aside {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::of((processors / 2).max(1))
    }
}

impl Queues {
    /// A place in the queue of an account, and what its head holds.
    fn enter(self: &Arc<Self>, account: Account) -> (Queued, Arc<Semaphore>) {
        let mut all = self.all();
        let queue = all
            .entry(account.clone())
            .or_insert_with(|| Queue { length: 0, head: Arc::new(Semaphore::new(1)) });
        queue.length += 1;
        let head = queue.head.clone();
        drop(all);
        (Queued { queues: self.clone(), account }, head)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Account, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut all = self.queues.all();
        let Some(queue) = all.get_mut(&self.account) else { return };
        queue.length -= 1;
        if queue.length == 0 {
            all.remove(&self.account);
        }
    }
}

impl Aside {
    fn of(turns: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(turns)), queues: Arc::default() }
    }

    /// Whether so many bytes are left to another thread.
    pub fn is_long(bytes: usize) -> bool {
        bytes > SHORT
    }

    /// Does `work` on so many bytes of a caller's, here where they are few. `None` where it could not be done to its end.
    pub async fn run<T: Send + 'static>(
        self,
        account: Account,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if !Self::is_long(bytes) {
            return Some(work());
        }
        let (queued, head) = self.queues.enter(account);
        let head = head.acquire_owned().await.ok()?;
        let turn = self.turns.acquire_owned().await.ok()?;
        let done = spawn_blocking(move || {
            let done = work();
            drop((turn, head, queued));
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

    use futures_util::{FutureExt, future::join_all};

    use super::*;
    use crate::domain::api_key::KeyId;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn account() -> Account {
        Account::ApiKey(KeyId::generate().unwrap())
    }

    #[tokio::test]
    async fn a_worker_goes_on_while_a_long_list_is_edited() {
        let (goes_on, hears) = channel();
        let edited = Aside::default().run(account(), SHORT + 1, move || hears.recv_timeout(PATIENCE).is_ok());
        // The edit comes first and ends only by what the same thread does next.
        let (edited, sent) = tokio::join!(edited, async { goes_on.send(()) });
        assert_eq!((edited, sent), (Some(true), Ok(())));
    }

    #[tokio::test]
    async fn a_short_list_is_edited_at_once() {
        let here = current().id();
        let edited = Aside::default().run(account(), SHORT, move || current().id() == here).now_or_never();
        assert_eq!(edited, Some(Some(true)));
    }

    #[tokio::test]
    async fn long_lists_take_turns() {
        let aside = Aside::of(1);
        let (end, ends) = channel();
        let mut first =
            Box::pin(aside.clone().run(account(), SHORT + 1, move || ends.recv_timeout(PATIENCE).is_ok()));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut second = Box::pin(aside.run(account(), SHORT + 1, || ()));
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending(), "its turn has not come");
        end.send(()).unwrap();
        assert_eq!((first.await, second.await), (Some(true), Some(())));
    }

    #[tokio::test]
    async fn whoever_has_many_long_ones_waits_with_all_but_one() {
        let aside = Aside::of(1);
        let (heavy, other) = (account(), account());
        let (end, ends) = channel();
        let (told, tells) = channel();
        let first = move || ends.recv_timeout(PATIENCE).is_ok();
        let mut first = Box::pin(aside.clone().run(heavy.clone(), SHORT + 1, first));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut rest: Vec<_> = [(&heavy, "heavy"), (&heavy, "heavy"), (&heavy, "gone"), (&other, "other")]
            .into_iter()
            .map(|(account, name)| {
                let told = told.clone();
                Box::pin(aside.clone().run(account.clone(), SHORT + 1, move || told.send(name).is_ok()))
            })
            .collect();
        for waiting in &mut rest {
            assert!(futures_util::poll!(waiting).is_pending());
        }
        // Whose client goes away leaves the queue.
        drop(rest.remove(2));
        end.send(()).unwrap();
        assert_eq!(first.await, Some(true));
        assert_eq!(join_all(rest).await, [Some(true); 3]);
        drop(told);
        assert_eq!(tells.iter().collect::<Vec<_>>(), ["other", "heavy", "heavy"]);
        assert!(aside.queues.all().is_empty(), "nobody is remembered");
    }
}
