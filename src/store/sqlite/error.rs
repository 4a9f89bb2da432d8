//! What SQLite's errors mean. The only place that reads its codes.

use std::path::Path;

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::{StoreError, error::shown};

impl StoreError {
    /// What `error` means, seen on `file`.
    pub(super) fn at(error: Error, file: &Path) -> Self {
        Self::of(error, &shown(file))
    }

    /// Whether the connection that met this must not be used again: what it holds in memory may
    /// differ from what is on the disk, and a failed `fsync` must never be tried twice.
    pub(super) fn spoils_connection(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Unwritten(_) | Self::Corrupt { .. } | Self::Undone)
    }

    fn of(error: Error, file: &str) -> Self {
        let (code, extended, detail) = match error {
            Error::SqliteFailure(failure, text) => {
                let text = text.unwrap_or_else(|| failure.to_string());
                (failure.code, failure.extended_code, text)
            }
            Error::SqlInputError { error, msg, .. } => (error.code, error.extended_code, msg),
            Error::InvalidColumnType(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..) => {
                return Self::Corrupt { file: file.into(), detail: error.to_string() };
            }
            other => return Self::Sqlite(other.to_string()),
        };
        let file = file.to_owned();
        match code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
                Self::Busy
            }
            ErrorCode::DiskFull => Self::Full,
            // The shared-memory file could not grow: what a full disk looks like to the WAL index.
            ErrorCode::SystemIoFailure if extended == ffi::SQLITE_IOERR_SHMSIZE => Self::Full,
            // Before anything is synchronized: the commit did not happen.
            ErrorCode::SystemIoFailure if extended == ffi::SQLITE_IOERR_WRITE => {
                Self::Unwritten(format!("{detail}, code {extended}"))
            }
            ErrorCode::SystemIoFailure => Self::Disk(format!("{detail}, code {extended}")),
            ErrorCode::ReadOnly if extended == ffi::SQLITE_READONLY_DBMOVED => Self::Replaced { file },
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt { file, detail },
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Self::CannotOpen { file, detail },
            ErrorCode::ConstraintViolation => Self::Constraint(detail),
            _ => Self::Sqlite(detail),
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::of(error, "the store")
    }
}
