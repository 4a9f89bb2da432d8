//! Where a secret goes that is handed out once: to standard output, or to a new file that only its owner can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, ErrorKind, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{
    error::{CliError, Code},
    output,
};

/// So much room a key takes, with what is said about it.
pub const OF_A_KEY: usize = 4096;
/// The same of a token: `--max-token`, and the policy in it.
pub const OF_A_TOKEN: usize = 64 * 1024;

#[derive(Debug, Args)]
pub struct Out {
    /// Hand it out in this new file, which only its owner can read, and say on standard output where it is. A shell that
    /// redirects makes files that others can read
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What takes a secret. A file goes again where nothing came of it.
pub enum Taker {
    Output,
    File(NewFile),
}

pub struct NewFile {
    path: PathBuf,
    /// `None` once it is whole.
    draft: Option<File>,
}

impl Out {
    /// Asks before `secrets` of them are made whether they can be handed out, and makes the file that takes them, with so much
    /// room for each.
    ///
    /// # Errors
    /// Where it is there already, cannot be made, or finds no room: then nothing was done.
    pub fn open(self, secrets: usize, room: usize) -> Result<Taker, CliError> {
        let Some(path) = self.out.filter(|path| path != Path::new("-")) else {
            return output::require_reader().map(|()| Taker::Output);
        };
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let draft = made.map_err(|error| {
            let name = path.display();
            let nothing = "nothing was done";
            match error.kind() {
                io::ErrorKind::AlreadyExists => CliError::new(
                    Code::Refused,
                    format!("{name} is there already, and is not overwritten: {nothing}"),
                )
                .mend("name another file, or remove this one"),
                io::ErrorKind::NotFound => {
                    CliError::usage(format!("{name} cannot be made: {error}; {nothing}"))
                }
                _ => CliError::broken(format!("{name} cannot be made: {error}; {nothing}")),
            }
        })?;
        let file = NewFile { path, draft: Some(draft) };
        file.reserve(secrets * room).map_err(|error| {
            let name = file.path.display();
            CliError::broken(format!("{name} cannot be kept, with room for it: {error}; nothing was done"))
        })?;
        Ok(Taker::File(file))
    }
}

impl Taker {
    /// The file, where it is one.
    pub fn file(&self) -> Option<String> {
        match self {
            Self::Output => None,
            Self::File(file) => Some(file.path.display().to_string()),
        }
    }

    /// What it is called in a sentence.
    pub fn name(&self) -> String {
        self.file().unwrap_or_else(|| "standard output".into())
    }

    /// Hands out what `write` writes, whole and for good.
    pub fn take(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Output => {
                let mut out = BufWriter::new(io::stdout().lock());
                write(&mut out)?;
                out.flush()
            }
            Self::File(NewFile { draft, .. }) => {
                if let Some(mut file) = draft.as_ref() {
                    let mut out = BufWriter::new(file);
                    write(&mut out)?;
                    out.flush()?;
                    drop(out);
                    let length = file.stream_position()?;
                    file.set_len(length)?;
                    file.sync_all()?;
                }
                *draft = None;
                Ok(())
            }
        }
    }
}

impl NewFile {
    /// Takes the room before there is a secret: on a full disk an empty file can be made, and not written to. Its name is on the
    /// disk from then on as well, as far as the file system can say so.
    fn reserve(&self, room: usize) -> io::Result<()> {
        const PIECE: usize = 4096;
        let Some(mut file) = self.draft.as_ref() else { return Ok(()) };
        for _ in 0..room.div_ceil(PIECE) {
            file.write_all(&[b'\n'; PIECE])?;
        }
        file.sync_all()?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()) {
            // A folder that may be written to and not read, and file systems that sync no folders.
            Err(error) if !matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => {
                return Err(error);
            }
            _ => {}
        }
        file.rewind()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.draft.is_some() {
            // It holds nothing, or half of a secret that is of no use.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes one JSON value on one line.
pub fn json(mut out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")
}

/// What its owner is to do with it.
pub fn how_to_keep(what: &str, is_in_file: bool) -> String {
    if is_in_file {
        format!("The {what} is nowhere else: keep that file where only its user can read it.")
    } else {
        format!("This is the only time the {what} is shown: keep it where only its user can read it.")
    }
}
