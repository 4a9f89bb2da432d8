//! The home: the folder that holds store and vault.

use std::{
    env,
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;

use super::{
    StoreError,
    error::{io, shown},
    modes,
    staging::{self, Kind, Left, State},
    writers,
};

/// How a store may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    ReadWrite,
    ReadOnly,
}

/// The store's own file, which is made before all others.
pub const STORE: &str = "portcullis.db";
/// Counters and events.
pub const USAGE: &str = "usage.db";
/// What the home remembers of its store.
pub const ANCHOR: &str = "anchor";
/// The master key.
pub const VAULT_KEY: &str = "vault.key";
/// What is made after the store, and stays.
const LATER: [&str; 3] = [VAULT_KEY, USAGE, ANCHOR];
/// All that belongs to one store, and not to the next one in the same home.
pub const PARTS: [&str; 7] =
    [STORE, "portcullis.db-wal", "portcullis.db-shm", USAGE, "usage.db-wal", "usage.db-shm", ANCHOR];

/// Refuses a home that has had a store and has it no longer.
pub(super) fn check_store(home: &Path) -> Result<(), StoreError> {
    let is_there_in = |folder: &Path, name: &str| folder.join(name).symlink_metadata().is_ok();
    let is_there = |name: &&str| is_there_in(home, name);
    // Before the store: whoever makes one at this moment makes it before them.
    let later = LATER.iter().find(|name| is_there(name));
    if is_there(&STORE) {
        return Ok(());
    }
    // One at work would find in its way what is made now, and of one that ended who asked for it is to hear. Where all was
    // moved out, and the store was lost since, it has nothing to do with it.
    let is_in_the_way = |left: &Left| match left.state {
        State::Over(_) => later.is_none() || is_there_in(&left.path, STORE),
        State::AtWork | State::Unknown => true,
    };
    if staging::all(home, Kind::Restore).is_ok_and(|all| all.iter().any(is_in_the_way)) {
        return Err(StoreError::Unfinished(shown(home)));
    }
    match later {
        Some(left) => Err(StoreError::Lost { file: shown(&home.join(STORE)), left: (*left).to_owned() }),
        None => Ok(()),
    }
}

/// A home folder, and where the key to its vault comes from. Finding it touches nothing; opening
/// the store makes it.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
    master_key_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
}

impl Home {
    /// `--home`, else `$PORTCULLIS_HOME`, else the platform's data folder + `/portcullis`. The
    /// vault's key is that of `$PORTCULLIS_MASTER_KEY_FILE`, else `vault.key` in the home, with the
    /// passphrase in `$PORTCULLIS_PASSPHRASE_FILE` where it was made with one.
    pub fn locate(option: Option<PathBuf>) -> Result<Self, StoreError> {
        let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let path = match option.or_else(|| named("PORTCULLIS_HOME")) {
            Some(path) => path,
            None => etcetera::choose_base_strategy()
                .map_err(|_| {
                    StoreError::Home(
                        "this user has no home folder; name one with --home or PORTCULLIS_HOME".into(),
                    )
                })?
                .data_dir()
                .join("portcullis"),
        };
        Ok(Self {
            path,
            master_key_file: named("PORTCULLIS_MASTER_KEY_FILE"),
            passphrase_file: named("PORTCULLIS_PASSPHRASE_FILE"),
        })
    }

    /// The home at `path`, with its own `vault.key`; the environment is not asked.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), master_key_file: None, passphrase_file: None }
    }

    /// Takes the master key from `file` and not from `vault.key`.
    pub fn with_master_key_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.master_key_file = Some(file.into());
        self
    }

    /// Takes the passphrase of `vault.key` from `file`.
    pub fn with_passphrase_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.passphrase_file = Some(file.into());
        self
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same in another folder: its vault's key comes from where that of this home comes from.
    pub fn moved_to(&self, path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..self.clone() }
    }

    /// An error where anything lies in the folder, but for what a disk of its own begins with. It need not be there.
    pub fn check_empty(&self) -> Result<(), StoreError> {
        let failed = |error| io("look into", &self.path, &error);
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            if name != "lost+found" {
                let found = shown(Path::new(&name));
                return Err(StoreError::NotEmpty { home: shown(&self.path), found });
            }
        }
        Ok(())
    }

    /// Makes the folder of a home that is to be filled; says whether there was none. An error where it is not empty.
    pub fn make_empty(&self) -> Result<bool, StoreError> {
        let was_there = self.path.symlink_metadata().is_ok();
        self.make()?;
        self.check_empty()?;
        Ok(!was_there)
    }

    /// Whether the key of its vault lies in a file elsewhere.
    pub fn has_master_key_file(&self) -> bool {
        self.master_key_file.is_some()
    }

    pub(super) fn master_key_file(&self) -> Option<&Path> {
        self.master_key_file.as_deref()
    }

    pub(super) fn passphrase_file(&self) -> Option<&Path> {
        self.passphrase_file.as_deref()
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.path.join(VAULT_KEY)
    }

    /// Where it really is; an error where it is not there, or is not its owner's alone.
    pub fn real_path(&self) -> Result<PathBuf, StoreError> {
        self.check()
    }

    /// Who besides its owner can put another in its place, which may be as it is meant; in a sentence.
    pub fn doubt(&self) -> Result<Option<String>, StoreError> {
        writers::check_home(&self.path)
    }

    /// The home as it is, by its real path; refused where it is not its owner's alone, or where others can put another in
    /// its place.
    pub(super) fn check(&self) -> Result<PathBuf, StoreError> {
        if let Some(doubt) = writers::check_home(&self.path)? {
            tracing::warn!("{doubt}");
        }
        if !modes::check(&self.path, modes::Kind::Folder)? {
            return Err(StoreError::Missing(shown(&self.path)));
        }
        self.path.canonicalize().map_err(|error| io("find", &self.path, &error))
    }

    /// The same, made where there is none.
    pub(super) fn make(&self) -> Result<PathBuf, StoreError> {
        // Whatever this process makes is its owner's alone. SQLite creates its files itself, and
        // they must never be opened outside it, so no narrower place can set their modes.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        writers::check_home(&self.path)?;
        if !modes::check(&self.path, modes::Kind::Folder)? {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.path)
                .map_err(|error| io("make the home", &self.path, &error))?;
        }
        self.check()
    }
}
