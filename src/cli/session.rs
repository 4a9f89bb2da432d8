//! What every command needs: which home, which clock, which form of answer.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    config::Config,
    error::{CliError, Code},
    output::{self, Format},
    store,
};
use crate::{
    domain::clock::{Clock, SystemClock, Timestamp},
    ops::{self, Ctx, OpsError},
    store::{
        Mode, StoreError,
        home::{Home, STORE},
        user,
    },
};

pub struct Session {
    home: Option<PathBuf>,
    pub config: Config,
    pub json: bool,
    pub clock: Arc<dyn Clock>,
}

impl Session {
    pub fn new(home: Option<PathBuf>, json: bool, config: Option<&Path>) -> Result<Self, CliError> {
        let config = config.map(Config::read).transpose()?.unwrap_or_default();
        Ok(Self { home: home.or_else(|| config.home.clone()), config, json, clock: Arc::new(SystemClock) })
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn home(&self) -> Result<Home, CliError> {
        Ok(Home::locate(self.home.clone())?)
    }

    /// Whether a store stands in the home. Touches nothing.
    pub fn has_store(&self) -> Result<bool, CliError> {
        let home = self.home()?;
        home.path().join(STORE).try_exists().map_err(|error| {
            let unseen = format!("{} cannot be looked into: {error}", home.path().display());
            match user::keeper_of(home.path()) {
                Some((whose, mend)) => CliError::broken(format!("{unseen}; {whose}")).mend(mend),
                None => CliError::broken(unseen),
            }
        })
    }

    /// To change things, or to judge a credential: read-write, with the vault.
    pub fn operator(&self) -> Result<Ctx, CliError> {
        self.open(Mode::ReadWrite)
    }

    /// To read: an auditor needs no vault and no right to write. A home that is not there yet is made.
    pub fn reader(&self) -> Result<Ctx, CliError> {
        let mode = if self.has_store()? { Mode::ReadOnly } else { Mode::ReadWrite };
        self.open(mode)
    }

    /// To read what there must be: a home that is not there is a wrong argument, and is not made.
    pub fn existing(&self) -> Result<Ctx, CliError> {
        if !self.has_store()? {
            // What is left of a lost store says so itself.
            self.witness()?;
            let home = self.home()?;
            return Err(CliError::new(
                Code::NotFound,
                format!("there is no store in {}, and nothing to look at", home.path().display()),
            )
            .mend("name the right home: --home DIR, or PORTCULLIS_HOME"));
        }
        self.open(Mode::ReadOnly)
    }

    /// To list or show: as [`Self::reader`], with the seals of rows checked where the vault is at hand.
    pub fn lister(&self) -> Result<Ctx, CliError> {
        let ctx = self.reader()?;
        ops::rows::check_seals(&ctx, &self.home()?);
        Ok(ctx)
    }

    /// To judge what was asked, and leave no trace: `None` where no store stands in the home, which is not made.
    pub fn witness(&self) -> Result<Option<Ctx>, CliError> {
        let has_store = self.has_store()?;
        match Ctx::open(&self.home()?, Mode::ReadOnly, "cli", Arc::clone(&self.clock)) {
            Err(OpsError::Store(StoreError::Missing(_))) if !has_store => Ok(None),
            opened => Ok(Some(opened?)),
        }
    }

    pub fn open(&self, mode: Mode) -> Result<Ctx, CliError> {
        let is_new = mode == Mode::ReadWrite && !self.has_store()?;
        let ctx = Ctx::open(&self.home()?, mode, "cli", Arc::clone(&self.clock))?;
        // Scripts lean on a silent standard error; whoever sits at a terminal may have mistyped it.
        if is_new && io::stderr().is_terminal() {
            output::remark(&format!("made a new home at {}", ctx.store.home().display()));
        }
        if !self.json {
            store::tell_upgraded(&ctx);
        }
        Ok(ctx)
    }

    pub fn format(&self, csv: bool) -> Format {
        match (self.json, csv) {
            (true, _) => Format::Json,
            (false, true) => Format::Csv,
            (false, false) => Format::Table,
        }
    }
}
