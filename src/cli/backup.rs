//! `portcullis backup` and `restore`: a copy of the home in one file, and back.

use std::{
    env,
    fs::{self, File},
    io::{self, BufReader, BufWriter, IsTerminal},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;

use super::{
    error::{CliError, Code},
    input::unreadable,
    output,
    passphrase::{self, Asked},
    session::Session,
    watched::Watched,
};
use crate::{
    domain::{
        pace::Pace,
        text::{for_shell, visible},
    },
    ops::{
        self, OpsError,
        backup::{Restored, SHORT_PASSPHRASE},
    },
    store::{
        backup::{Incoming, Manifest, Recipient, VaultKey},
        home::ANCHOR,
        staging::{Kind, Staging},
    },
};

#[derive(Debug, Args)]
pub struct Backup {
    /// Where to write it; a file that is there is not overwritten. `-` is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Leave the vault's key out, and seal nothing: a copy for an auditor, which can be read and not used
    #[arg(long, conflicts_with = "passphrase_file")]
    without_vault: bool,
    /// Take the passphrase from the first line of this file, and not from standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// The backup; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take the passphrase from the first line of this file, and not from standard input. What is not sealed is then refused
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The file `anchor` of the home that was lost: whoever was stopped after the backup is stopped again
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

pub fn back_up(session: &Session, options: &Backup) -> Result<Code, CliError> {
    let to_output = options.file == Path::new("-");
    if to_output && io::stdout().is_terminal() {
        return Err(CliError::usage("a backup is no text for a terminal")
            .mend("portcullis backup FILE, or: portcullis backup - | ssh HOST 'cat > FILE'"));
    }
    if !to_output {
        ops::backup::require_new(&options.file)
            .map_err(|error| CliError::from(error).mend("name another file, or remove this one"))?;
    }
    if !session.has_store()? {
        // A home is not made to be copied.
        session.witness()?;
        return Err(CliError::new(
            Code::NotFound,
            "there is no store in this home yet, and nothing to back up",
        ));
    }
    let ctx = session.operator()?;
    let home = session.home()?;
    let secret = match options.without_vault {
        true => None,
        false => Some(passphrase::read(options.passphrase_file.as_deref(), Asked::Twice)?),
    };
    if secret.as_ref().is_some_and(|secret| secret.expose().chars().count() < SHORT_PASSPHRASE) {
        output::remark(&format!(
            "a passphrase of fewer than {SHORT_PASSPHRASE} characters is soon guessed by whoever gets this file"
        ));
    }
    let recipient = secret.as_ref().map_or(Recipient::Auditor, Recipient::Operator);
    let watched = Watched::new(&ctx.pace, "copying");
    if to_output {
        let folder = env::temp_dir();
        ops::backup::clear_backups(&folder, tell_cleared);
        let scratch = Staging::make(&folder, Kind::Backup)
            .map_err(|error| CliError::broken(format!("no copy can be made: {error}")))?;
        let out = BufWriter::new(io::stdout().lock());
        let manifest = ops::backup::back_up(&ctx, &home, &recipient, "-", scratch.path(), out)?;
        drop(watched);
        manifest.told("standard output").iter().for_each(|told| output::remark(told));
        return Ok(tell_damaged(&ops::backup::damaged(&ctx, &home)));
    }
    let made = ops::backup::into_file(&ctx, &home, &recipient, &options.file, tell_cleared)?;
    drop(watched);
    let name = made.file.display().to_string();
    if session.json {
        let mut answer = serde_json::to_value(&made.manifest).unwrap_or_default();
        answer["file"] = name.into();
        answer["size"] = made.size.into();
        answer["damaged"] = made.damaged.clone().into();
        output::json(&answer)?;
    } else {
        output::line(&made.said())?;
        made.manifest.told(&name).iter().for_each(|told| output::remark(told));
    }
    Ok(tell_damaged(&made.damaged))
}

/// Names the damaged rows that are in the copy as they stand; the answer is no then, as for a list.
fn tell_damaged(damaged: &[String]) -> Code {
    for row in damaged {
        output::remark(&format!("copied as it stands: {}", visible(row)));
    }
    if damaged.is_empty() {
        return Code::Done;
    }
    output::remark("what rests on damaged rows is denied; portcullis doctor says what to do");
    Code::No
}

/// Tells of what a backup has left that was killed.
fn tell_cleared(path: &Path, cleared: io::Result<bool>) {
    let path = path.display();
    match cleared {
        Ok(true) => removed(&path.to_string()),
        Ok(false) => {}
        Err(error) => output::remark(&format!(
            "{path} was left by a backup that was killed, and cannot be removed: {error}"
        )),
    }
}

fn removed(path: &str) {
    output::remark(&format!("removed what was left by one that was killed: {path}"));
}

pub fn restore(session: &Session, options: &Restore) -> Result<Code, CliError> {
    let home = session.home()?;
    let from_input = options.file == Path::new("-");
    let source: Box<dyn io::Read> = if from_input {
        Box::new(io::stdin())
    } else {
        let found = fs::metadata(&options.file).and_then(|found| match found.is_dir() {
            true => Err(io::ErrorKind::IsADirectory.into()),
            false => File::open(&options.file),
        });
        Box::new(found.map_err(|error| unreadable(&options.file, &error))?)
    };
    for left in ops::backup::clear_restores(&home)? {
        removed(&left.display().to_string());
    }
    home.check_empty().map_err(|error| taken(error.into(), home.path(), &options.file))?;
    let incoming = Incoming::new(BufReader::with_capacity(64 * 1024, source)).map_err(OpsError::from)?;
    let file = options.passphrase_file.as_deref();
    let secret = match incoming.is_sealed() {
        // It is not asked for, but given it says that something sealed is expected.
        false if file.is_none() => None,
        _ if from_input => Some(passphrase::beside_input(file)?),
        _ => Some(passphrase::read(file, Asked::Once)?),
    };
    let pace = Pace::default();
    let watched = Watched::new(&pace, "restoring");
    let anchor = options.anchor.as_deref();
    let clock = Arc::clone(&session.clock);
    let restored = ops::backup::restore(&home, "cli", clock, incoming, secret.as_ref(), anchor, &pace);
    drop(watched);
    let restored = restored.map_err(|error| taken(error.into(), home.path(), &options.file))?;
    if session.json {
        let mut answer = serde_json::to_value(&restored).unwrap_or_default();
        answer["home"] = home.path().display().to_string().into();
        output::json(&answer)?;
    } else {
        tell(&restored, home.path())?;
    }
    Ok(tell_damaged(&restored.damaged))
}

fn tell(restored: &Restored, home: &Path) -> Result<(), CliError> {
    let Manifest { store_id, taken_at, seq, vault_key, .. } = &restored.backup;
    output::line(&format!(
        "restored into {}: store {store_id}, as it was at {taken_at}, up to audit record {seq}",
        home.display()
    ))?;
    if let Some(seen) = restored.seen {
        output::remark(&format!(
            "this backup is older than the home that was lost: audit records {} to {seen} of it are gone",
            seq + 1
        ));
    }
    for stopped in &restored.stopped {
        output::line(&format!("stopped again: {stopped}"))?;
    }
    for unknown in &restored.unknown {
        output::remark(&format!("mind: {unknown}"));
    }
    if *vault_key == VaultKey::LeftOut {
        output::remark(
            "this is an auditor's copy, without the key of the vault: it can be read (portcullis console --read-only, \
             portcullis audit verify --public-key FILE|FINGERPRINT), and nothing can be changed or served with it",
        );
    } else {
        output::remark("use it in one place: end whatever still runs on the home that it was made from");
    }
    Ok(())
}

/// What to do with a home that is not empty: what is in it may be of use.
fn taken(error: CliError, home: &Path, file: &Path) -> CliError {
    if error.code != Code::Refused || !home.join(ANCHOR).exists() {
        return error;
    }
    let (home, file) = (for_shell(home), for_shell(file));
    error.mend(format!(
        "where this home is lost or to be replaced, end every portcullis on it, and then: mv {home} {home}.old && portcullis \
         --home {home} restore {file} --anchor {home}.old/anchor"
    ))
}
