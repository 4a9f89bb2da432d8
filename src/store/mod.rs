//! The store: two SQLite files, one file of code a noun, and the change feed.
//!
//! `portcullis.db` (WAL, `synchronous=FULL`): what it acknowledges is on disk.
//! `usage.db` (WAL, `NORMAL`): counters and events; a crash may lose the last flush.
//!
//! Nothing here judges who may do what, and nothing writes an audit record: that is `ops`.

pub mod anchor;
pub mod api_key;
pub mod audit;
pub mod backup;
pub mod change;
pub mod credential;
mod error;
pub mod event;
pub mod examine;
pub mod feed;
pub mod gateway;
pub mod home;
pub mod issuer;
pub mod issuer_source;
mod listing;
mod modes;
mod newest;
pub mod one_time;
mod page;
pub mod policy;
pub mod quota;
pub mod revocation;
pub mod room;
pub mod scope;
mod seal;
mod sealed_entry;
pub mod sealed_setting;
pub mod setting;
pub mod signing_key;
mod sqlite;
pub mod staging;
pub mod stops;
mod table;
#[cfg(test)]
mod tests;
pub mod thread;
pub mod token;
pub mod trust;
pub mod upgrade;
pub mod usage;
pub mod user;
mod value;
pub mod vault_entry;
pub mod verdict;
pub mod writers;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

pub use error::{StoreError, io as io_error};
pub use home::Mode;
pub use page::{Damaged, Page, Sound};
pub use seal::RowKey;
pub use sqlite::{Probe, Rows, ballast, connection::sqlite_version, patience, writer::BeforeCommit};
pub use upgrade::Versions;

use crate::{
    domain::clock::{Clock, HighWater, Timestamp},
    vault::{AuditSigner, Vault},
};
use anchor::Keeper;
use ballast::{Ballast, Need};
use sqlite::{
    connection::{self, Database},
    file::File,
    migrate,
    writer::Writer,
};
use upgrade::CopyBefore;
use value::to_json;

/// An open store. Cheap to clone; all clones share one writer thread a file and a few readers.
/// The writers end, after what is queued, with the last clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    mode: Mode,
    home: PathBuf,
    ballast: Arc<Ballast>,
    row_key: OnceLock<RowKey>,
    high_water: Arc<HighWater>,
    /// [`anchor::Anchor::begun`] of the anchor that there was.
    begun: i64,
    /// Dropped before the files, so that a writer's connection closes last.
    keeper: OnceLock<Keeper>,
    portcullis: File,
    usage: File,
}

impl Store {
    /// Opens the store of `home`. Read-write: makes home and files on first use, and brings them up to date, of which a copy is
    /// kept. Read-only: file handle and `query_only`.
    ///
    /// Sets the process's umask to 077 where it may write.
    pub fn open(home: &home::Home, mode: Mode) -> Result<Self, StoreError> {
        Self::open_with_timeout(home, mode, connection::BUSY_TIMEOUT)
    }

    /// The same, waiting at most `busy` for other processes at each step.
    pub fn open_with_timeout(home: &home::Home, mode: Mode, busy: Duration) -> Result<Self, StoreError> {
        Self::open_in(home, mode, busy, CopyBefore::Keep, home::check_store)
    }

    /// The same read-write, of which no copy is kept where it is brought up to date.
    pub fn open_without_copy(home: &home::Home) -> Result<Self, StoreError> {
        Self::open_in(home, Mode::ReadWrite, connection::BUSY_TIMEOUT, CopyBefore::Omit, home::check_store)
    }

    /// Makes the store of a home that has lost its own, or whose own was moved aside.
    pub fn make_anew(home: &home::Home) -> Result<Self, StoreError> {
        Self::open_in(home, Mode::ReadWrite, connection::BUSY_TIMEOUT, CopyBefore::Keep, |_| Ok(()))
    }

    fn open_in(
        home: &home::Home,
        mode: Mode,
        busy: Duration,
        copy: CopyBefore,
        check_store: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        sqlite_version()?;
        let path = match mode {
            Mode::ReadWrite => home.make()?,
            Mode::ReadOnly => home.check()?,
        };
        modes::check(&home.key_file(), modes::Kind::File)?;
        check_store(&path)?;
        let high_water = Arc::<HighWater>::default();
        let anchor = anchor::read(&path)?.and_then(|found| found.open(None).ok());
        anchor.iter().for_each(|anchor| high_water.raise(anchor.at));
        let ballast = Arc::new(Ballast::of(&path));
        ballast.check()?;
        if mode == Mode::ReadWrite {
            ballast.take_in();
        }
        let file = |database: &Database| loop {
            match File::open(database.clone(), mode, &ballast) {
                Err(StoreError::Full) if mode == Mode::ReadWrite && ballast.give_up(Need::Opening, 1) => {}
                opened => return opened,
            }
        };
        let both = |[portcullis, usage]: &[Database; 2]| -> Result<_, StoreError> {
            Ok((file(portcullis)?, file(usage)?))
        };
        let databases =
            [&migrate::PORTCULLIS, &migrate::USAGE].map(|schema| connection::database(&path, schema, busy));
        let (portcullis, usage) = match both(&databases) {
            Err(StoreError::TooOld { .. }) if mode == Mode::ReadWrite => {
                // One process at a time, for as long as it takes.
                let _alone = anchor::lock(&path)?;
                let databases = databases.map(|database| Database { upgrades: true, ..database });
                upgrade::prepare(&path, databases.each_ref(), copy)?;
                both(&databases)?
            }
            opened => opened?,
        };
        Ok(Self(Arc::new(Inner {
            mode,
            home: path,
            ballast,
            row_key: OnceLock::new(),
            high_water,
            begun: anchor.map_or(0, |anchor| anchor.begun),
            keeper: OnceLock::new(),
            portcullis,
            usage,
        })))
    }

    /// Heeds what the audit chain says of the time, from where an operator last had the home remember its store: whoever puts
    /// back an older anchor must not have the home forget what moment was seen.
    pub fn heed_chain(&self) -> Result<(), StoreError> {
        let seen = self.read(|c| audit::latest_moment(c, self.0.begun))?;
        seen.into_iter().for_each(|at| self.0.high_water.raise(at));
        Ok(())
    }

    /// The folder that it is in.
    pub fn home(&self) -> &Path {
        &self.0.home
    }

    /// The latest moment that was seen on this home.
    pub fn high_water(&self) -> &Arc<HighWater> {
        &self.0.high_water
    }

    /// Has the home's [`anchor`] follow what is committed here. The second call changes nothing.
    pub fn keep_anchor(&self, signer: AuditSigner, clock: Arc<dyn Clock>) -> Result<(), StoreError> {
        let Some(writer) = &self.0.portcullis.writer else { return Err(StoreError::OpenedReadOnly) };
        let (database, high_water) = (self.0.portcullis.database.clone(), Arc::clone(&self.0.high_water));
        let keeper = Keeper::start(database, self.0.home.clone(), signer, clock, high_water, self.0.begun)?;
        writer.set_after_commit(Arc::new(keeper.bell()));
        // One that is not needed ends here.
        drop(self.0.keeper.set(keeper));
        Ok(())
    }

    /// Has the home remember this store as it stands at `at`, and nothing of what it remembered before.
    pub fn anchor_anew(&self, vault: &Vault, at: Timestamp) -> Result<(), StoreError> {
        let _alone = anchor::lock(&self.0.home)?;
        let anchor = self.read(|c| anchor::of(c, None, at))?;
        anchor::write(&self.0.home, &anchor, vault.audit_signer())?;
        self.set_anchored(vault, at)
    }

    /// Whether the vault knows that the home has an anchor.
    pub fn is_anchored(&self) -> Result<bool, StoreError> {
        self.read(sealed_entry::is_anchored)
    }

    /// Has the vault remember, for good, that the home has an anchor.
    pub fn set_anchored(&self, vault: &Vault, now: Timestamp) -> Result<(), StoreError> {
        let entry = vault.seal_anchored()?;
        self.write(move |c| sealed_entry::set_anchored(c, &entry, now))
    }

    pub fn mode(&self) -> Mode {
        self.0.mode
    }

    /// Has the rows of `portcullis.db` sealed and checked from now on, with the key of the vault that is open. The first
    /// key stays: a store has one vault.
    pub fn set_row_key(&self, key: RowKey) {
        self.0.row_key.get_or_init(|| key);
    }

    fn row_key(&self) -> Option<&RowKey> {
        self.0.row_key.get()
    }

    /// Runs `job` in the writer's transaction on `portcullis.db` and returns when it is committed.
    /// Jobs that wait together are committed together, each in a savepoint of its own. Blocks.
    ///
    /// A job must not write to the same store in another way: it would wait for itself.
    pub fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        job: impl FnOnce(&Rows<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let key = self.row_key().cloned();
        self.0.portcullis.write(key, job)
    }

    /// The same for a job that a full disk must not hinder: the ballast is given up, more at each attempt, until it fits.
    /// Each runs a clone of `job`, and what the attempts before it did is taken back.
    pub fn write_though_full<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        job: impl FnOnce(&Rows<'_>) -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<T, E> {
        let mut pieces = 1;
        loop {
            let (job, ballast) = (job.clone(), Arc::clone(&self.0.ballast));
            let attempt = self.write(move |c| {
                // A disk that is full makes SQLite end the transaction in the midst of the job.
                job(c).map_err(|error| Attempt { error, wants_room: c.is_undone() && ballast.is_wanted() })
            });
            match attempt {
                Err(failed) if failed.wants_room && self.0.ballast.give_up(Need::Act, pieces) => pieces *= 2,
                ended => return ended.map_err(|failed| failed.error),
            }
        }
    }

    /// Whether the disk of the home is full.
    pub fn is_full(&self) -> bool {
        self.0.ballast.is_wanted()
    }

    /// Runs `job` on a read connection of `portcullis.db`, in one transaction. Blocks; keep it short.
    pub fn read<T, E: From<StoreError>>(&self, job: impl FnOnce(&Rows<'_>) -> Result<T, E>) -> Result<T, E> {
        self.0.portcullis.read(self.row_key(), job)
    }

    /// The same for `usage.db`.
    pub fn write_usage<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        job: impl FnOnce(&Rows<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.0.usage.write(None, job)
    }

    /// The same for a job that makes room, which a full disk must not hinder: see [`Store::write_though_full`].
    pub fn write_usage_though_full<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Rows<'_>) -> Result<T, StoreError> + Clone + Send + 'static,
    ) -> Result<T, StoreError> {
        self.though_full(|| self.write_usage(job.clone()))
    }

    /// Tries again, with more and more of the ballast given up, while the disk is full.
    fn though_full<T>(&self, attempt: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut pieces = 1;
        loop {
            match attempt() {
                Err(error) if error.wants_room() && self.0.ballast.give_up(Need::Act, pieces) => pieces *= 2,
                ended => return ended,
            }
        }
    }

    /// The same for `usage.db`.
    pub fn read_usage<T, E: From<StoreError>>(
        &self,
        job: impl FnOnce(&Rows<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.usage.read(None, job)
    }

    /// Has `hook` run at the end of every commit to `portcullis.db` from now on, in its transaction:
    /// once for all the jobs that are committed together, and not where all of them failed. An
    /// error takes the whole commit back. May be set within a job, and then counts for its commit.
    pub fn set_before_commit(&self, hook: BeforeCommit) {
        if let Some(writer) = &self.0.portcullis.writer {
            writer.set_before_commit(hook);
        }
    }

    /// What tells whether others keep everybody from writing.
    pub fn probe(&self) -> Result<Probe, StoreError> {
        match self.mode() {
            Mode::ReadOnly => Err(StoreError::OpenedReadOnly),
            Mode::ReadWrite => Ok(Probe::new(self.0.portcullis.database.clone())),
        }
    }

    /// Of which version each file's schema is.
    pub fn versions(&self) -> Result<Versions, StoreError> {
        Ok(Versions { portcullis: self.0.portcullis.version()?, usage: self.0.usage.version()? })
    }

    /// How many changes to `portcullis.db` wait for the writer and are not begun.
    pub fn queued(&self) -> usize {
        self.0.portcullis.writer.as_ref().map_or(0, Writer::waiting)
    }

    /// Reads `portcullis.db` from end to end, and fails where it is not built as SQLite builds it (`PRAGMA quick_check`): as
    /// seals do not, this shows that rows were lost. Ends with an error soon after `stop` has said so. Blocks; takes
    /// seconds for a million keys.
    pub fn check_pages(&self, stop: impl FnMut() -> bool + Send + 'static) -> Result<(), StoreError> {
        self.0.portcullis.check_pages(stop)
    }

    /// How each file keeps its journal: `wal` where all is well.
    pub fn journal_modes(&self) -> Result<[String; 2], StoreError> {
        Ok([self.0.portcullis.journal_mode()?, self.0.usage.journal_mode()?])
    }

    /// What SQLite says of each file, by its name: `ok`, or what is wrong with it first. Takes seconds for a million rows.
    pub fn quick_check(&self) -> [(&'static str, Result<String, StoreError>); 2] {
        [&self.0.portcullis, &self.0.usage].map(|file| (file.database.schema.file, file.quick_check()))
    }

    /// Reads both files from end to end and says what is wrong with them; nothing where all is
    /// well. Takes seconds for a million rows.
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let mut faults = self.0.portcullis.integrity()?;
        faults.extend(self.0.usage.integrity()?);
        Ok(faults)
    }
}

/// Why an attempt to write did not succeed, and whether more room on the disk might help.
struct Attempt<E> {
    error: E,
    wants_room: bool,
}

impl<E: From<StoreError>> From<StoreError> for Attempt<E> {
    fn from(error: StoreError) -> Self {
        let wants_room = error.wants_room();
        Self { error: error.into(), wants_room }
    }
}
