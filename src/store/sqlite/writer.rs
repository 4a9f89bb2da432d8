//! The writer: one thread, one connection, and a queue for each file.
//!
//! What waits is committed together (an `fsync` costs the same for one change as for a hundred),
//! each job in a savepoint of its own, so that a failing job takes nothing but itself back.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicIsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{ballast::Ballast, connection::Database, rows::Rows};
use crate::store::{StoreError, thread as store_thread};

/// How many jobs share a commit at most.
const GROUP: usize = 128;

/// Runs in each commit's transaction after its jobs; an error takes the whole group back.
pub type BeforeCommit = Arc<dyn Fn(&Rows<'_>) -> Result<(), StoreError> + Send + Sync>;

/// Runs after each commit.
pub type AfterCommit = Arc<dyn Fn() + Send + Sync>;

/// Tells the one who waits what became of his job.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A job: given the transaction, does its work and says whether to keep it; given an error, was
/// not even begun.
type Job = Box<dyn FnOnce(Result<&Transaction<'_>, StoreError>) -> (Outcome, Answer) + Send>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Keep,
    TakeBack,
}

/// The handle of a writer thread, which ends when this is dropped and the queue is empty.
pub(in crate::store) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    waiting: Arc<AtomicIsize>,
    before_commit: Arc<Mutex<Option<BeforeCommit>>>,
    after_commit: Arc<OnceLock<AfterCommit>>,
}

impl Writer {
    /// Starts the thread on `connection`, a writer of `database`.
    pub fn start(
        database: Database,
        connection: Connection,
        ballast: Arc<Ballast>,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel();
        let (waiting, before_commit) = (Arc::default(), Arc::default());
        let after_commit = Arc::<OnceLock<AfterCommit>>::default();
        let mut desk = Desk {
            database,
            connection: Some(connection),
            ballast,
            waiting: Arc::clone(&waiting),
            before_commit: Arc::clone(&before_commit),
            after_commit: Arc::clone(&after_commit),
        };
        let thread = thread::Builder::new()
            .name(format!("store {}", desk.database.schema.file))
            .spawn(move || desk.serve(&jobs))
            .map_err(|error| StoreError::Home(format!("cannot start the store's writer: {error}")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), waiting, before_commit, after_commit })
    }

    pub fn set_before_commit(&self, hook: BeforeCommit) {
        *self.before_commit.lock().unwrap_or_else(PoisonError::into_inner) = Some(hook);
    }

    /// The first that is set stays.
    pub fn set_after_commit(&self, hook: AfterCommit) {
        drop(self.after_commit.set(hook));
    }

    /// How many jobs are queued and not begun.
    pub fn waiting(&self) -> usize {
        usize::try_from(self.waiting.load(Ordering::SeqCst)).unwrap_or(0)
    }

    /// Queues `job`, and waits until it is committed or taken back.
    pub fn run<T, E>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, answer) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |transaction| {
            let result = transaction.map_err(E::from).and_then(job);
            let outcome = if result.is_ok() { Outcome::Keep } else { Outcome::TakeBack };
            let answer: Answer = Box::new(move |committed| {
                // The one who asked may be gone; then nobody wants the answer.
                let _ = sender.send(result.and_then(|value| committed.map(|()| value).map_err(E::from)));
            });
            (outcome, answer)
        });
        let Some(queue) = &self.queue else { return Err(StoreError::Closed.into()) };
        queue.send(job).map_err(|_| StoreError::Closed)?;
        // After the sending, so that what is counted is queued; the desk may have been faster.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // A job that panics drops its answer.
        answer.recv().unwrap_or_else(|_| Err(StoreError::Panicked.into()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
        {
            // A panic of the thread has been answered to those who waited.
            let _ = thread.join();
        }
    }
}

/// What the thread holds.
struct Desk {
    database: Database,
    /// Absent after a failure of the disk: the next group opens the file anew.
    connection: Option<Connection>,
    ballast: Arc<Ballast>,
    waiting: Arc<AtomicIsize>,
    before_commit: Arc<Mutex<Option<BeforeCommit>>>,
    after_commit: Arc<OnceLock<AfterCommit>>,
}

impl Desk {
    fn serve(&mut self, jobs: &mpsc::Receiver<Job>) {
        if !self.database.schema.is_waited_for {
            store_thread::step_back();
        }
        while let Ok(first) = jobs.recv() {
            let mut group = VecDeque::from([first]);
            group.extend(jobs.try_iter().take(GROUP - 1));
            self.waiting.fetch_sub(isize::try_from(group.len()).unwrap_or(0), Ordering::SeqCst);
            while !group.is_empty() {
                self.commit(&mut group);
            }
            self.ballast.tend();
        }
    }

    /// Takes jobs from `group`, commits them together, answers them. Leaves those that the
    /// transaction could not hold any more.
    fn commit(&mut self, group: &mut VecDeque<Job>) {
        let mut answers = Vec::with_capacity(group.len());
        let result = self.try_commit(group, &mut answers);
        if let Err(error) = &result {
            if error.spoils_connection() || self.connection.as_ref().is_some_and(|c| !c.is_autocommit()) {
                self.connection = None;
            }
            if answers.is_empty() {
                answers.extend(group.drain(..).filter_map(|job| refuse(job, error.clone())));
            }
        }
        for answer in answers {
            answer(result.clone());
        }
    }

    fn try_commit(&mut self, group: &mut VecDeque<Job>, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
        let at = |error| self.database.error(error);
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.database.writer_again()?),
        };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(at)?;
        self.database.check_place(&transaction)?;
        let mut kept = false;
        while !group.is_empty() {
            transaction.execute_batch("SAVEPOINT job").map_err(at)?;
            let Some(job) = group.pop_front() else { break };
            let outcome = match catch_unwind(AssertUnwindSafe(|| job(Ok(&transaction)))) {
                Ok((outcome, answer)) => {
                    answers.push(answer);
                    outcome
                }
                Err(_) => Outcome::TakeBack,
            };
            // A disk that is full or fails makes SQLite roll back the whole transaction.
            if transaction.is_autocommit() {
                return Err(StoreError::Undone);
            }
            kept |= outcome == Outcome::Keep;
            transaction
                .execute_batch(match outcome {
                    Outcome::Keep => "RELEASE job",
                    Outcome::TakeBack => "ROLLBACK TO job; RELEASE job",
                })
                .map_err(at)?;
        }
        if !kept {
            return transaction.rollback().map_err(at);
        }
        let hook = self.before_commit.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            catch_unwind(AssertUnwindSafe(|| hook(&Rows::new(&transaction, None))))
                .unwrap_or(Err(StoreError::Panicked))?;
        }
        transaction.commit().map_err(at)?;
        if let Some(hook) = self.after_commit.get() {
            hook();
        }
        Ok(())
    }
}

/// Tells a job that it was not begun.
fn refuse(job: Job, error: StoreError) -> Option<Answer> {
    catch_unwind(AssertUnwindSafe(|| job(Err(error)).1)).ok()
}
