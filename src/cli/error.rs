//! Why a command did not end with “done”, and the exit code that says so.
//!
//! The codes are contract (§7 of the design): scripts branch on them.

use std::{fmt, io};

use crate::{domain::text::visible, ops::OpsError, store::StoreError};

/// What a process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Yes, or done.
    Done = 0,
    /// The answer is no: denied, invalid, not verified.
    No = 1,
    /// Bad usage or bad input.
    Usage = 2,
    NotFound = 3,
    /// Refused: the role, or a conflict.
    Refused = 4,
    /// The store, the vault, or reading and writing.
    Broken = 5,
}

/// An error as people meet it: what and why in one line, then the step that mends it.
#[derive(Debug)]
pub struct CliError {
    pub code: Code,
    pub message: String,
    pub mend: Option<String>,
}

impl CliError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), mend: None }
    }
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }
    pub fn broken(message: impl Into<String>) -> Self {
        Self::new(Code::Broken, message)
    }
    /// The same, with the command or step that mends it.
    #[must_use]
    pub fn mend(mut self, step: impl Into<String>) -> Self {
        self.mend = Some(step.into());
        self
    }
    /// A reader that went away (`… | head`) is no error worth a word.
    pub fn is_closed_pipe(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::BrokenPipe
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.message.lines();
        write!(f, "error: {}", visible(lines.next().unwrap_or_default()))?;
        for line in lines {
            write!(f, "\n  {}", visible(line))?;
        }
        match &self.mend {
            Some(step) => write!(f, "\n  mend: {}", visible(step)),
            None => Ok(()),
        }
    }
}

impl From<OpsError> for CliError {
    fn from(error: OpsError) -> Self {
        let code = match &error {
            OpsError::Store(error) => return error.clone().into(),
            OpsError::ReadOnly { .. } | OpsError::Conflict(_) => Code::Refused,
            OpsError::NotFound(_) => Code::NotFound,
            OpsError::Invalid(_) => Code::Usage,
            OpsError::Cancelled(_) => Code::No,
            OpsError::Vault(_) => Code::Broken,
        };
        Self::new(code, error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Modes { path, found, mend } => {
                return Self::broken(format!("{path} is refused: {found}")).mend(mend.as_str());
            }
            StoreError::Lost { file, left } => {
                return Self::broken(format!(
                    "{file} is gone, and {left} is still there: the store of this home is lost; put it back from your \
                     backup"
                ))
                .mend(
                    "end every portcullis on this home; with a file of `portcullis backup`, move the home away, and then: portcullis \
                     restore FILE --anchor MOVED/anchor; to begin anew: portcullis store begin-anew",
                );
            }
            StoreError::Astray(why) => {
                return Self::broken(format!("{why}; put back the store that it had")).mend(
                    "to go on with this one: portcullis store accept; to begin anew: portcullis store begin-anew",
                );
            }
            StoreError::Partial(_) => {
                return Self::broken(error.to_string()).mend(
                    "copy all of portcullis.db, portcullis.db-wal, usage.db and anchor, and for an operator vault.key, while \
                     nothing runs on the home; where usage.db was lost, the next command that changes something makes an \
                     empty one",
                );
            }
            StoreError::TooOld { file, found, known } => {
                return Self::broken(format!(
                    "{file} is of version {found}, of an earlier release, and this portcullis wants {known}"
                ))
                .mend(
                    "portcullis store upgrade (the earlier release cannot read it afterwards; a copy of it as it is is kept \
                     beside it); serve and console do it too",
                );
            }
            StoreError::Cursor(_) | StoreError::Filter(_) => Code::Usage,
            StoreError::OpenedReadOnly | StoreError::NotEmpty { .. } => Code::Refused,
            _ => Code::Broken,
        };
        Self::new(code, error.to_string())
    }
}

/// Writing the answer failed. A closed pipe ends the command quietly: whoever read has enough.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if Self::is_closed_pipe(&error) {
            return Self::new(Code::Done, String::new());
        }
        Self::broken(format!("standard output cannot be written: {error}"))
    }
}
