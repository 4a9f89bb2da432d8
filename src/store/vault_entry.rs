//! The vault's entries in SQLite, its key file in the home, and how both come into being.
//!
//! Safe against two processes that start at once on an empty home and against a kill at any
//! moment: the key file appears whole or not at all and is never replaced, and the entries are
//! written in one transaction by whoever comes first.
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use zeroize::Zeroizing;

use super::{
    Mode, RowKey, Rows, Store, StoreError,
    change::{self, Change},
    error::{beside, io, shown},
    home::Home,
    modes, policy, scope,
    sealed_entry::{self, entries},
    setting,
};
use crate::{
    domain::{
        audit::ChainKey,
        clock::Timestamp,
        name::PolicyName,
        policy::{Policy, Revision},
        scope::Catalogue,
        secret::Secret,
        text::for_shell,
    },
    vault::{AuditSigner, KeyFile, MasterKey, Vault, VaultError},
};

/// No key file of ours is longer.
const LONGEST: u64 = 4096;

/// Opens the vault of a home that has one, and has the store seal and check its rows from then on.
pub fn open_vault(store: &Store, home: &Home) -> Result<Vault, StoreError> {
    let master = existing_key(home)?;
    let vault = store.read(|c| open(c, &master))?;
    store.set_row_key(RowKey::new(vault.row_key()));
    Ok(vault)
}

/// The public key of the chain as the vault has it, whatever the store says; `None` where the vault is not at hand: its key
/// is kept elsewhere, or locked with a passphrase that nobody gave.
pub fn audit_key(store: &Store, home: &Home) -> Result<Option<ChainKey>, StoreError> {
    let master = match existing_key(home) {
        Err(StoreError::Vault(VaultError::Key(_))) => return Ok(None),
        master => master?,
    };
    let signer =
        store.read(|c| Ok::<_, StoreError>(AuditSigner::open(&master, &store_id(c)?, &entries(c)?)?))?;
    Ok(Some(signer.key()?))
}

/// Opens the vault of `home`, and makes it first where the home is new. `created` runs in the
/// transaction that makes it, with the new vault: for the audit record of it.
pub fn open_or_create<E>(
    store: &Store,
    home: &Home,
    now: Timestamp,
    created: impl FnOnce(&Rows<'_>, &Vault) -> Result<(), E> + Send + 'static,
) -> Result<Vault, E>
where
    E: From<StoreError> + Send + 'static,
{
    let made = store.read(is_made)?;
    if made {
        return Ok(open_vault(store, home)?);
    }
    if store.mode() == Mode::ReadOnly {
        return Err(StoreError::OpenedReadOnly.into());
    }
    let master = existing_or_new_key(home)?;
    let vault = store.write(move |tx| {
        let made = create(tx, &master, now)?;
        let vault = open(tx, &master)?;
        if made {
            created(tx, &vault)?;
        }
        Ok::<_, E>(vault)
    })?;
    store.set_row_key(RowKey::new(vault.row_key()));
    Ok(vault)
}

/// Fills a new store: its id, the vault's entries, the built-in scopes, the policy `default`.
/// `false`, and nothing done, where another process was first.
fn create(c: &Rows<'_>, master: &MasterKey, now: Timestamp) -> Result<bool, StoreError> {
    if is_made(c)? {
        return Ok(false);
    }
    let store_id = uuid::Uuid::now_v7().to_string();
    let (vault, entries) = Vault::create(master, &store_id)?;
    let key = RowKey::new(vault.row_key());
    let tx = &c.sealing(&key);
    setting::set(tx, setting::STORE_ID, &store_id)?;
    setting::set(tx, setting::AUDIT_PUBLIC_KEY, &vault.audit_signer().public_key_pem()?)?;
    for entry in &entries {
        sealed_entry::insert(tx, entry, now)?;
    }
    for built_in in Catalogue::built_in() {
        scope::upsert(tx, &built_in)?;
    }
    let default = Revision {
        policy: Policy::new(PolicyName::default()),
        revision: policy::next_revision(tx, &PolicyName::default())?,
        author: "portcullis".into(),
        reason: "built in".into(),
        saved_at: now,
    };
    policy::insert(tx, &default)?;
    change::append(tx, &Change::All)?;
    Ok(true)
}

/// Whether the store has its vault. One that was used and has lost it is damaged, and never gets another: the old one
/// may still be had from a backup.
fn is_made(c: &Rows<'_>) -> Result<bool, StoreError> {
    let is_made = c.exists("SELECT 1 FROM vault_entry", ())?;
    let is_used =
        c.exists("SELECT 1 FROM setting UNION ALL SELECT 1 FROM api_key UNION ALL SELECT 1 FROM audit", ())?;
    if is_used && !is_made {
        return Err(StoreError::Corrupt {
            file: "the store".into(),
            detail: "the entries of its vault are gone".into(),
        });
    }
    Ok(is_made)
}

fn open(c: &Rows<'_>, master: &MasterKey) -> Result<Vault, StoreError> {
    let vault = Vault::open(master, &store_id(c)?, &entries(c)?)?;
    let published = setting::get(c, setting::AUDIT_PUBLIC_KEY)?;
    if published != Some(vault.audit_signer().public_key_pem()?) {
        return Err(VaultError::DoesNotFit("the store publishes another audit key".into()).into());
    }
    Ok(vault)
}

fn store_id(c: &Rows<'_>) -> Result<String, StoreError> {
    setting::get(c, setting::STORE_ID)?
        .ok_or_else(|| VaultError::DoesNotFit("the store has no id".into()).into())
}

fn existing_key(home: &Home) -> Result<MasterKey, StoreError> {
    if let Some(path) = home.master_key_file() {
        return named_key(home, path);
    }
    let path = home.key_file();
    match read_file(&path)? {
        Some(text) => unlock(home, &path, &text),
        None => Err(missing(&path)),
    }
}

/// What stands in the key file of a home.
pub(super) fn key_file(home: &Home) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let path = home.key_file();
    let text = read_file(&path)?.ok_or_else(|| missing(&path))?;
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

fn missing(path: &Path) -> StoreError {
    VaultError::Key(format!(
        "{} is missing: without it this store can be read, as an auditor's copy, and not changed; put it back from your \
         backup, or name its place in PORTCULLIS_MASTER_KEY_FILE",
        shown(path)
    ))
    .into()
}

fn existing_or_new_key(home: &Home) -> Result<MasterKey, StoreError> {
    if home.master_key_file().is_some() || modes::check(&home.key_file(), modes::Kind::File)? {
        return existing_key(home);
    }
    let file = match home.passphrase_file() {
        Some(_) => KeyFile::generate_for_passphrase()?,
        None => KeyFile::generate()?,
    };
    write_new(&home.key_file(), file.to_text().as_bytes())?;
    // Not `file`: another process may have been first, and then its key is the home's.
    existing_key(home)
}

fn named_key(home: &Home, path: &Path) -> Result<MasterKey, StoreError> {
    match read_file(path)? {
        Some(text) => unlock(home, path, &text),
        None => Err(VaultError::Key(format!(
            "there is no {}, which PORTCULLIS_MASTER_KEY_FILE names; for a new home make it with: \
             (umask 077; echo \"portcullis-vault-1 $(head -c 32 /dev/urandom | base64)\" > {})",
            shown(path),
            for_shell(path)
        ))
        .into()),
    }
}

fn unlock(home: &Home, path: &Path, text: &str) -> Result<MasterKey, StoreError> {
    let Some(file) = KeyFile::parse(text) else {
        return Err(VaultError::Key(format!(
            "{} is not a key file of portcullis, or is damaged; put it back from your backup",
            shown(path)
        ))
        .into());
    };
    let passphrase = match (&file, home.passphrase_file()) {
        (KeyFile::Passphrase { .. }, Some(path)) => Some(read_passphrase(path)?),
        _ => None,
    };
    Ok(file.master_key(passphrase.as_ref())?)
}

/// The first line of a file, which is its owner's alone.
fn read_passphrase(path: &Path) -> Result<Secret, StoreError> {
    let text = read_file(path)?;
    let line = text.as_ref().and_then(|text| text.lines().next()).unwrap_or_default();
    if line.is_empty() {
        return Err(VaultError::Key(format!(
            "{}, which PORTCULLIS_PASSPHRASE_FILE names, is missing or its first line is empty",
            shown(path)
        ))
        .into());
    }
    Ok(Secret::new(line.to_owned()))
}

/// The text of a small secret file; `None` where there is none. What is looked at is what is read.
fn read_file(path: &Path) -> Result<Option<Zeroizing<String>>, StoreError> {
    if !modes::check(path, modes::Kind::File)? {
        return Ok(None);
    }
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let failed = |error: std::io::Error| io("read", path, &error);
    let file =
        OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(failed)?;
    modes::check_metadata(path, modes::Kind::File, &file.metadata().map_err(failed)?)?;
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize + 1));
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(VaultError::Key(format!("{} is too long for a key file", shown(path))).into());
    }
    Ok(Some(text))
}

/// Makes `path` with `content`, on the disk before it returns; leaves one that is already there.
fn write_new(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let draft = beside(path, &format!(".{}", uuid::Uuid::now_v7().simple()));
    let written = write_draft(&draft, content).and_then(|()| rename_where_free(&draft, path));
    let removed = match fs::remove_file(&draft) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    };
    written
        .and(removed)
        .and_then(|()| path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()))
        .map_err(|error| io("make", path, &error))
}

/// Gives `draft` the name `path`, unless somebody has it. At no moment has the file two names, where the file system can
/// do that; else for a moment.
fn rename_where_free(draft: &Path, path: &Path) -> std::io::Result<()> {
    use rustix::{fs::RenameFlags, io::Errno};
    let done = match rustix::fs::renameat_with(
        rustix::fs::CWD,
        draft,
        rustix::fs::CWD,
        path,
        RenameFlags::NOREPLACE,
    ) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::hard_link(draft, path),
        done => done.map_err(Into::into),
    };
    match done {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

fn write_draft(draft: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(content)?;
    file.sync_all()
}
