//! `key scan`: finds API keys in files, folders and standard input, by their form and checksum.
//!
//! Streams, takes any bytes, and never shows a secret: only where it stands and whose id it carries.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    error::{CliError, Code},
    input::{self, LONGEST_KEY, key_form},
    output::{self, Format, List},
    session::Session,
};
use crate::{
    domain::api_key::{KeyId, KeyState, PresentedKey},
    ops::{Ctx, OpsError, api_key as ops},
    store::Mode,
};

const CHUNK: usize = 64 * 1024;

/// Where a key stands, and what is known of it here.
#[derive(Serialize)]
struct Found {
    path: String,
    line: u64,
    id: KeyId,
    /// `None`: this home does not know the key.
    state: Option<KeyState>,
}

pub fn run(session: &Session, paths: &[PathBuf], csv: bool) -> Result<Code, CliError> {
    // A path that is not there is a wrong argument, said before hours are spent on the others.
    for path in paths.iter().filter(|path| path.as_path() != Path::new("-")) {
        if let Err(error) = fs::metadata(path)
            && error.kind() == io::ErrorKind::NotFound
        {
            return Err(input::unreadable(path, &error).mend("name a file or a folder that is there, or `-`"));
        }
    }
    let ctx = if session.has_store()? { Some(session.open(Mode::ReadOnly)?) } else { None };
    let now = session.now();
    let mut found = Vec::new();
    let mut failed = false;
    for path in paths {
        let mut note = |place: &Path, line: u64, id: KeyId| -> Result<(), CliError> {
            let state = state_of(ctx.as_ref(), id)?.map(|key| key.state(now));
            found.push(Found { path: place.display().to_string(), line, id, state });
            Ok(())
        };
        failed |= !look(path, &mut note)?;
    }
    let code = match (found.is_empty(), failed) {
        (false, _) => Code::No,
        (true, true) => Code::Broken,
        (true, false) => Code::Done,
    };
    if code == Code::Done && !session.json {
        output::remark("no keys found");
        return Ok(code);
    }
    if session.json || !found.is_empty() {
        show(session.format(csv), found)?;
    }
    Ok(code)
}

fn show(format: Format, found: Vec<Found>) -> Result<(), CliError> {
    let list = List { items: found, next: None };
    output::list(format, &["place", "id", "state"], &list, |found| {
        let state = found.state.map_or("unknown here", KeyState::as_str);
        vec![format!("{}:{}", found.path, found.line), found.id.to_string(), state.into()]
    })
}

fn state_of(ctx: Option<&Ctx>, id: KeyId) -> Result<Option<crate::domain::api_key::ApiKey>, CliError> {
    let Some(ctx) = ctx else { return Ok(None) };
    match ops::show(ctx, id) {
        Ok(key) => Ok(Some(key)),
        Err(OpsError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

type Note<'a> = dyn FnMut(&Path, u64, KeyId) -> Result<(), CliError> + 'a;

/// Looks through one path; `false` where something could not be read (which was said).
fn look(path: &Path, note: &mut Note<'_>) -> Result<bool, CliError> {
    if path == Path::new("-") {
        input::say_that_it_waits("text");
        return stream(path, io::stdin().lock(), note);
    }
    match fs::metadata(path) {
        Ok(kind) if kind.is_dir() => folder(path, note),
        Ok(_) => match File::open(path) {
            Ok(file) => stream(path, file, note),
            Err(error) => Ok(unread(path, &error)),
        },
        Err(error) => Ok(unread(path, &error)),
    }
}

/// Every regular file below a folder, in the order of their names. Links are not followed.
fn folder(path: &Path, note: &mut Note<'_>) -> Result<bool, CliError> {
    let entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => return Ok(unread(path, &error)),
    };
    let mut paths = entries.into_iter().map(|entry| entry.path()).collect::<Vec<_>>();
    paths.sort();
    let mut all = true;
    for path in paths {
        match fs::symlink_metadata(&path) {
            Ok(kind) if kind.is_file() || kind.is_dir() => all &= look(&path, note)?,
            Ok(_) => {}
            Err(error) => all &= unread(&path, &error),
        }
    }
    Ok(all)
}

fn unread(path: &Path, error: &io::Error) -> bool {
    output::remark(&CliError::broken(format!("{} cannot be read: {error}", path.display())).to_string());
    false
}

fn stream(path: &Path, source: impl Read, note: &mut Note<'_>) -> Result<bool, CliError> {
    let mut noted = Ok(());
    let read = keys_in(source, |line, id| {
        if noted.is_ok() {
            noted = note(path, line, id);
        }
    });
    noted?;
    Ok(read.map_or_else(|error| unread(path, &error), |()| true))
}

/// Calls `found` with line and id of every key in `source`. Holds one chunk, and what of a key may
/// reach into the next.
fn keys_in(mut source: impl Read, mut found: impl FnMut(u64, KeyId)) -> io::Result<()> {
    let mut held = Vec::with_capacity(CHUNK + LONGEST_KEY);
    let mut line = 1;
    loop {
        let read = source.by_ref().take(CHUNK as u64).read_to_end(&mut held)?;
        let ends = read == 0;
        // A key that begins here stands whole in what is held.
        let safe = if ends { held.len() } else { held.len().saturating_sub(LONGEST_KEY) };
        let mut at = 0;
        while at < safe {
            match held.get(at) {
                Some(b'\n') => line += 1,
                Some(b'p') => {
                    if let Some(id) = held.get(at..).and_then(key_at) {
                        found(line, id);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        held.drain(..safe);
        if ends {
            return Ok(());
        }
    }
}

/// The id of the whole, well-formed key at the start of `bytes`.
fn key_at(bytes: &[u8]) -> Option<KeyId> {
    let text = bytes.get(..key_form(bytes)?)?;
    PresentedKey::parse(std::str::from_utf8(text).ok()?).ok().map(|key| key.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::{Environment, KeySecret};

    fn key() -> (KeyId, String) {
        let id = KeyId::generate().unwrap();
        let text = KeySecret::generate().unwrap().join(Environment::default(), id);
        (id, text.expose().to_owned())
    }

    fn found(bytes: &[u8]) -> Vec<(u64, KeyId)> {
        let mut all = Vec::new();
        keys_in(bytes, |line, id| all.push((line, id))).unwrap();
        all
    }

    #[test]
    fn a_key_is_found_among_any_bytes() {
        let (id, text) = key();
        let mut bytes = b"\xff\x00first\nkey=\"".to_vec();
        bytes.extend(text.as_bytes());
        bytes.extend(b"\"\n\xfe");
        assert_eq!(found(&bytes), [(2, id)]);
    }

    #[test]
    fn a_key_across_two_chunks_is_found_once() {
        let (id, text) = key();
        for before in [CHUNK - 90, CHUNK - 40, CHUNK - 1, CHUNK] {
            let mut bytes = vec![b'p'; before];
            bytes.extend(text.as_bytes());
            assert_eq!(found(&bytes), [(1, id)], "{before}");
        }
    }

    #[test]
    fn a_mistyped_key_is_no_key() {
        let (_, text) = key();
        let last = if text.ends_with('0') { '1' } else { '0' };
        let mistyped = format!("{}{last}", &text[..text.len() - 1]);
        assert_eq!(found(mistyped.as_bytes()), []);
    }
}
