//! To have a copy of the home, and to put it back: on this machine or another.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use serde_json::json;

use super::{Ctx, OpsError, audit, rows, store::stop_again};
use crate::{
    domain::{act::Act, clock::Clock, pace::Pace, secret::Secret},
    store::{
        self, Mode, Store, StoreError,
        anchor::{self, Anchor},
        backup::{self, BackupError, Incoming, Manifest, Recipient, VaultKey},
        home::Home,
        staging::{self, Kind, Staging, State},
    },
};

/// Makes a backup while everything runs. `name` is what the audit log calls it; `folder` takes copies of the databases
/// meanwhile. That it was made stands in the chain first, and so in the backup itself: nothing leaves unrecorded.
pub fn back_up(
    ctx: &Ctx,
    home: &Home,
    recipient: &Recipient<'_>,
    name: &str,
    folder: &Path,
    out: impl Write,
) -> Result<Manifest, OpsError> {
    let vault = matches!(recipient, Recipient::Operator(_));
    let detail = json!({ "file": name, "for": if vault { "operator" } else { "auditor" } });
    ctx.perform(Act::StoreBackup, "", move |deed| deed.record("", detail))?;
    ctx.store.back_up(home, recipient, ctx.now(), folder, out, &ctx.pace).map_err(|error| match error {
        BackupError::Cancelled(_) => {
            OpsError::Cancelled("there is no backup; that one was begun stands in the audit log")
        }
        error => error.into(),
    })
}

/// Removes from a home what restores have left that were killed; returns where that lay. Refused where one is still at work.
pub fn clear_restores(home: &Home) -> Result<Vec<PathBuf>, OpsError> {
    let all = match staging::all(home.path(), Kind::Restore) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        all => all.map_err(|error| store::io_error("look into", home.path(), &error))?,
    };
    if !all.is_empty() {
        home.real_path()?;
    }
    let shown = |path: &Path| path.display().to_string();
    let mut cleared = Vec::new();
    for left in all {
        let path = left.path.clone();
        match left.state {
            State::AtWork => {
                return Err(OpsError::Conflict(format!(
                    "another restore is at work in {}; wait for it, or end it",
                    shown(home.path())
                )));
            }
            State::Unknown => {
                return Err(OpsError::Conflict(format!(
                    "{} is what a restore makes, and whether that is still at work cannot be told; if it is not: {}",
                    shown(&path),
                    staging::by_hand(&path)
                )));
            }
            State::Over(_) => {
                left.clear().map_err(|error| store::io_error("remove", &path, &error))?;
                cleared.push(path);
            }
        }
    }
    Ok(cleared)
}

/// A shorter passphrase, in characters, is soon guessed by whoever has the file.
pub const SHORT_PASSPHRASE: usize = 12;

/// A backup in a file of its own.
#[derive(Clone, Debug)]
pub struct BackedUp {
    pub file: PathBuf,
    /// In bytes.
    pub size: u64,
    pub manifest: Manifest,
    /// As of [`damaged`].
    pub damaged: Vec<String>,
}

impl BackedUp {
    /// Where it lies, in a line.
    pub fn said(&self) -> String {
        format!("{}: {} KiB", self.file.display(), self.size.div_ceil(1024))
    }
}

/// Refuses a file that is there already: nothing is written over.
pub fn require_new(file: &Path) -> Result<(), OpsError> {
    match file.symlink_metadata() {
        Ok(_) => {
            Err(OpsError::Conflict(format!("{} is there already, and is not overwritten", file.display())))
        }
        Err(_) => Ok(()),
    }
}

/// Removes what backups have left in a folder that were killed, as it takes room. `tell` is told of each, and whether it is
/// gone: one that is still at work, or of which that cannot be told, stays.
pub fn clear_backups(folder: &Path, mut tell: impl FnMut(&Path, io::Result<bool>)) {
    for left in staging::all(folder, Kind::Backup).unwrap_or_default() {
        let path = left.path.clone();
        tell(&path, left.clear());
    }
}

/// Makes a backup in `file`, which is there whole at the end, or not at all. `tell` as in [`clear_backups`], for its folder.
pub fn into_file(
    ctx: &Ctx,
    home: &Home,
    recipient: &Recipient<'_>,
    file: &Path,
    tell: impl FnMut(&Path, io::Result<bool>),
) -> Result<BackedUp, OpsError> {
    require_new(file)?;
    let name = file.display().to_string();
    let cannot =
        |error: &io::Error| OpsError::Store(StoreError::Home(format!("{name} cannot be written: {error}")));
    // Beside the file, so that what is whole takes its name at once. It goes however this ends, but for a kill.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    clear_backups(folder, tell);
    let scratch = Staging::make(folder, Kind::Backup).map_err(|error| {
        let message = format!("no copy can be made in the folder of {name}: {error}");
        match error.kind() {
            io::ErrorKind::NotFound => OpsError::Invalid(message),
            _ => OpsError::Store(StoreError::Home(message)),
        }
    })?;
    let mut draft = tempfile::NamedTempFile::new_in(scratch.path()).map_err(|error| cannot(&error))?;
    let out = BufWriter::new(draft.as_file_mut());
    let manifest = back_up(ctx, home, recipient, &name, scratch.path(), out)?;
    draft.as_file().sync_all().map_err(|error| cannot(&error))?;
    let written = draft.persist_noclobber(file).map_err(|error| cannot(&error.error))?;
    let size = written.metadata().map_err(|error| cannot(&error))?.len();
    // It is whole, and there: a folder that cannot be synced, as on some network file systems, does not undo that.
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::warn!(%error, "{name} is written; whether a power cut now could undo that is not known");
    }
    Ok(BackedUp { file: file.to_owned(), size, manifest, damaged: damaged(ctx, home) })
}

/// What is wrong with the rows of a home that was copied, each in a sentence: those that are damaged, and what the audit chain
/// says and they do not; or why that cannot be told. They are in the copy as they stand.
pub fn damaged(ctx: &Ctx, home: &Home) -> Vec<String> {
    let examined = rows::examine(ctx, home).and_then(|found| {
        let damaged = found.damaged.iter().map(ToString::to_string);
        Ok(damaged.chain(rows::contradictions(ctx)?).collect())
    });
    examined.unwrap_or_else(|error| vec![format!("whether rows are damaged cannot be told: {error}")])
}

/// What was put back, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    #[serde(flatten)]
    pub backup: Manifest,
    /// The last record that the anchor had seen that was given, where it is newer than the backup.
    pub seen: Option<i64>,
    /// What was stopped again, each in a few words.
    pub stopped: Vec<String>,
    /// What may be let in again that was stopped once, each a sentence.
    pub unknown: Vec<String>,
    /// What is wrong with the rows that were damaged when the backup was made, each a sentence. Seals cannot be checked in an
    /// auditor's copy: there it is empty.
    pub damaged: Vec<String>,
}

/// Puts a backup into the home, which must be empty: whole, or not at all. `anchor` is the file of the home that was lost,
/// where it is left: whoever was stopped since is stopped again. An auditor's copy stays as it was.
pub fn restore(
    home: &Home,
    face: &str,
    clock: Arc<dyn Clock>,
    incoming: Incoming<impl BufRead>,
    passphrase: Option<&Secret>,
    anchor: Option<&Path>,
    pace: &Pace,
) -> Result<Restored, OpsError> {
    let is_new = home.make_empty()?;
    let restored = put_back(home, face, clock, incoming, passphrase, anchor, pace);
    if restored.is_err() && is_new {
        // It is empty again; if not, it is somebody else's by now.
        let _ = fs::remove_dir(home.path());
    }
    restored
}

fn put_back(
    home: &Home,
    face: &str,
    clock: Arc<dyn Clock>,
    incoming: Incoming<impl BufRead>,
    passphrase: Option<&Secret>,
    anchor: Option<&Path>,
    pace: &Pace,
) -> Result<Restored, OpsError> {
    let folder = home.real_path()?;
    let unwritten = |error: io::Error| OpsError::Store(store::io_error("write", &folder, &error));
    // Within the home, which may be a disk of its own. Only what is whole and in order is moved out of it.
    let staging = Staging::make(&folder, Kind::Restore).map_err(unwritten)?;
    let staged = home.moved_to(staging.path());
    let check_key = |manifest: &Manifest| {
        if manifest.vault_key == VaultKey::Elsewhere && !home.has_master_key_file() {
            return Err(BackupError::NotOurs(
                "the key of its vault was kept in a file elsewhere and is not in it; name that file in \
                 PORTCULLIS_MASTER_KEY_FILE",
            ));
        }
        Ok(())
    };
    let manifest = incoming.unpack(passphrase, staging.path(), check_key, pace)?;
    let restored = match manifest.vault_key {
        VaultKey::LeftOut => leave_as_it_was(&staged, face, clock, manifest, pace)?,
        VaultKey::Included | VaultKey::Elsewhere => go_on(&staged, face, clock, manifest, anchor, pace)?,
    };
    pace.or_nothing()?;
    // The store's own file last: without it nobody opens the others.
    let [first, beside @ ..] = store::home::PARTS;
    let parts = beside.into_iter().chain([store::home::VAULT_KEY, backup::MARK, first]);
    staging.move_out(parts).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => OpsError::Conflict(format!(
            "while it was restored, somebody made a store in {}: that stays, and nothing was restored",
            folder.display()
        )),
        _ => unwritten(error),
    })?;
    Ok(restored)
}

/// An auditor's copy: brought up to the schema of this portcullis, and checked. Nobody can write its chain.
fn leave_as_it_was(
    staged: &Home,
    face: &str,
    clock: Arc<dyn Clock>,
    backup: Manifest,
    pace: &Pace,
) -> Result<Restored, OpsError> {
    drop(Store::open_without_copy(staged)?);
    backup::mark(staged.path(), &backup)?;
    let ctx = Ctx { pace: pace.clone(), ..Ctx::open(staged, Mode::ReadOnly, face, clock)? };
    refuse_damage(&ctx, &backup)?;
    Ok(Restored { backup, seen: None, stopped: Vec::new(), unknown: Vec::new(), damaged: Vec::new() })
}

/// An operator's: its chain goes on with the record of this.
fn go_on(
    staged: &Home,
    face: &str,
    clock: Arc<dyn Clock>,
    backup: Manifest,
    file: Option<&Path>,
    pace: &Pace,
) -> Result<Restored, OpsError> {
    let ctx = Ctx {
        pace: pace.clone(),
        ..Ctx::open_unanchored(Store::open_without_copy(staged)?, staged, face, clock)?
    };
    refuse_damage(&ctx, &backup)?;
    ctx.record_upgrade();
    let newer = file.map(|file| newer(&ctx, file, &backup)).transpose()?;
    let vault = ctx.vault(Act::StoreRestore)?;
    let (told, remembered) = (backup.clone(), newer.clone());
    let stopped = ctx.perform(Act::StoreRestore, "", move |deed| {
        let stopped =
            remembered.as_ref().map(|anchor| stop_again(deed, anchor)).transpose()?.unwrap_or_default();
        let remembered = remembered.map(|anchor| json!({ "seq": anchor.seq, "hash": anchor.hash }));
        let detail = json!({
            "taken_at": told.taken_at, "seq": told.seq, "head": told.head, "version": told.version,
            "remembered": remembered, "stopped": stopped,
        });
        deed.record("", detail)?;
        Ok(stopped)
    })?;
    ctx.store.anchor_anew(vault, ctx.now())?;
    let seen = newer.as_ref().map(|anchor| anchor.seq).filter(|seq| *seq > backup.seq);
    let unknown = unknown(&backup, newer.as_ref());
    let damaged = damaged(&ctx, staged);
    Ok(Restored { backup, seen, stopped, unknown, damaged })
}

fn refuse_damage(ctx: &Ctx, backup: &Manifest) -> Result<(), OpsError> {
    if !ctx.store.read(|c| Ok::<_, OpsError>(backup.fits(c)?))? {
        return Err(BackupError::Damaged("the store in it is not the one that it says".into()).into());
    }
    let faults = ctx.store.integrity()?;
    if let Some(fault) = faults.first() {
        return Err(BackupError::Damaged(fault.clone()).into());
    }
    let verdict = audit::verify(ctx)?;
    match verdict.verdict {
        audit::Standing::Altered => {
            let why = format!("its audit chain is not whole ({})", verdict.reason.unwrap_or_default());
            Err(BackupError::Damaged(why).into())
        }
        audit::Standing::Valid | audit::Standing::Unproven => Ok(()),
    }
}

/// What the anchor in `file` remembers, where it is of this store.
fn newer(ctx: &Ctx, file: &Path, backup: &Manifest) -> Result<Anchor, OpsError> {
    let refused = |why: &str| OpsError::Invalid(format!("{} {why}", file.display()));
    let found = anchor::read_file(file)?.ok_or_else(|| refused("is not there"))?;
    let anchor = found.open(ctx.chain_key()?.as_ref())?;
    if anchor.store_id == backup.store_id {
        Ok(anchor)
    } else {
        Err(refused("is the anchor of another store than this backup is of"))
    }
}

/// What nobody can know of the time between the backup and now.
fn unknown(backup: &Manifest, newer: Option<&Anchor>) -> Vec<String> {
    let (seq, at) = (backup.seq, backup.taken_at);
    let mut told = Vec::new();
    match newer {
        None => told.push(format!(
            "whatever was revoked or disabled after {at} (record {seq}) may be let in again; where the anchor of the home that \
             was lost is left, restore with --anchor FILE"
        )),
        Some(anchor) if anchor.stops_after > seq => told.push(format!(
            "what was revoked or disabled in records {} to {} may be let in again: the anchor remembers only what came after",
            seq + 1,
            anchor.stops_after
        )),
        Some(_) => {}
    }
    told.push(format!(
        "a token that may be used once and was used after {at} can be used again until it expires"
    ));
    told.push(format!(
        "keys, tokens, issuers, policies and scopes are as they were at {at}: what was made or changed since is gone"
    ));
    told
}

#[cfg(test)]
mod tests;
