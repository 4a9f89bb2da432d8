//! Opening the console, and what stands in its place where there is no terminal.

use std::{
    io::{IsTerminal, stdin, stdout},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;

use super::{
    error::{CliError, Code},
    session::Session,
    status,
};
use crate::{
    console::{self, ConsoleError},
    ops::Ctx,
    store::Mode,
};

#[derive(Debug, Args)]
pub struct Options {
    /// Look, but change nothing
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    look: Look,
}

/// How the console looks.
#[derive(Clone, Debug, Default, Args)]
pub struct Look {
    /// Draw with ASCII only
    #[arg(long)]
    ascii: bool,
    /// The theme: neutral, dark, light or mono
    #[arg(long, value_name = "NAME")]
    theme: Option<String>,
}

/// Whether a person sits at both ends.
pub fn has_terminal() -> bool {
    stdout().is_terminal() && stdin().is_terminal()
}

/// `portcullis` alone.
pub fn run_or_status(session: &Session) -> Result<Code, CliError> {
    if session.json || !has_terminal() {
        return status::run(session);
    }
    run(session, &Options { read_only: false, look: Look::default() })
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    if !has_terminal() {
        return Err(
            CliError::usage("the console needs a terminal, and this is none").mend("portcullis status")
        );
    }
    let (home, clock) = (session.home()?, Arc::clone(&session.clock));
    let (ctx, read_only_because) = if options.read_only {
        (Ctx::open(&home, Mode::ReadOnly, "console", clock)?, Some("opened with --read-only".to_owned()))
    } else {
        Ctx::open_or_read_only(&home, "console", clock)?
    };
    open(ctx, Some(home.path().to_owned()), read_only_because, &options.look, None)
}

/// Opens the console and returns when it is left.
pub fn open(
    ctx: Ctx,
    home: Option<PathBuf>,
    read_only_because: Option<String>,
    look: &Look,
    banner: Option<String>,
) -> Result<Code, CliError> {
    let (ascii, theme) = (look.ascii, look.theme.clone());
    console::run(console::Options { ctx, home, read_only_because, ascii, theme, banner }).map_err(
        |error| {
            let code = match error {
                ConsoleError::NotATerminal | ConsoleError::Theme(_) => Code::Usage,
                ConsoleError::Keymap(_) | ConsoleError::Terminal(_) => Code::Broken,
            };
            CliError::new(code, error.to_string())
        },
    )?;
    Ok(Code::Done)
}
