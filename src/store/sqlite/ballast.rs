//! The ballast: a file of the home that holds nothing but its place on the disk.
//!
//! Where the disk is full, an operator must still be able to stop somebody. What such an act needs is found here: the
//! ballast is given up a piece at a time until the act fits, and made whole again by the first commit that finds room.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::fs::{FallocateFlags, OFlags};

use crate::store::{StoreError, modes};

/// What a whole one takes of the disk. A write-ahead log takes 4 MiB before it is begun anew; as much again holds some
/// thousand more acts with their audit records.
pub const WEIGHT: u64 = 8 * 1024 * 1024;
/// Given up at a time, more where that was too little: twice what an act on one key writes. So little is lost to
/// whoever else fills the disk.
const PIECE: u64 = 256 * 1024;
/// What opening a store may not use: whoever starts programs again and again leaves this for the acts.
const KEPT_AT_OPENING: u64 = WEIGHT / 2;
/// A disk with less free space than this is full.
const FULL: u64 = 1024 * 1024;
/// How often at most a commit looks whether the ballast is whole.
const LOOK: Duration = Duration::from_secs(1);

/// What the room is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Need {
    /// The files that SQLite makes or extends when a database is opened.
    Opening,
    /// An act that stops somebody.
    Act,
}

pub(in crate::store) struct Ballast {
    path: PathBuf,
    looked: Mutex<Option<Instant>>,
}

impl Ballast {
    pub fn of(home: &Path) -> Self {
        Self { path: path(home), looked: Mutex::default() }
    }

    /// Refuses one that is not a file of the owner's alone.
    pub fn check(&self) -> Result<bool, StoreError> {
        modes::check(&self.path, modes::Kind::File)
    }

    /// Makes it whole where the disk has room for twice of it. A home works without: what cannot be had is no error.
    pub fn take_in(&self) {
        if let Err(error) = self.try_take_in() {
            tracing::debug!(%error, "the ballast cannot be made");
        }
    }

    /// The same, at most once a second.
    pub fn tend(&self) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_none_or(|at| at.elapsed() >= LOOK) {
            self.take_in();
            *looked = Some(Instant::now());
        }
    }

    fn try_take_in(&self) -> io::Result<()> {
        if self.weight()? >= WEIGHT || free(self.home())? < 2 * WEIGHT {
            return Ok(());
        }
        let mut file = self.open(true)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, WEIGHT) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
                fill(&mut file)
            }
            other => Ok(other?),
        }
    }

    /// Frees some pieces; `false` where none is left for this need.
    pub fn give_up(&self, need: Need, pieces: u64) -> bool {
        let kept = if need == Need::Opening { KEPT_AT_OPENING } else { 0 };
        self.try_give_up(kept, pieces).unwrap_or_else(|error| {
            tracing::warn!(%error, "the ballast cannot be given up");
            false
        })
    }

    fn try_give_up(&self, kept: u64, pieces: u64) -> io::Result<bool> {
        let weight = self.weight()?;
        if weight <= kept {
            return Ok(false);
        }
        self.open(false)?.set_len(weight.saturating_sub(pieces * PIECE).max(kept))?;
        Ok(true)
    }

    /// Whether the disk is full.
    pub fn is_wanted(&self) -> bool {
        free(self.home()).is_ok_and(|free| free < FULL)
    }

    /// What it takes of the disk: a file with holes holds less than its length.
    fn weight(&self) -> io::Result<u64> {
        weight(self.home())
    }

    pub fn home(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    fn open(&self, create: bool) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        OpenOptions::new()
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed())
            .open(&self.path)
    }
}

/// What the ballast of `home` takes of the disk, in bytes.
pub fn weight(home: &Path) -> io::Result<u64> {
    match path(home).symlink_metadata() {
        Ok(found) => Ok(found.len().min(found.blocks() * 512)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// How many bytes of the disk are free for this user.
pub fn free(home: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(home)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// How many bytes the whole disk has.
pub fn size(home: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(home)?;
    Ok(space.f_blocks.saturating_mul(space.f_frsize))
}

fn path(home: &Path) -> PathBuf {
    home.join("ballast")
}

/// For file systems that reserve nothing on request. Random, so that none can compress it away.
fn fill(file: &mut File) -> io::Result<()> {
    let mut noise = vec![0; 64 * 1024];
    let mut left = WEIGHT;
    while left > 0 {
        getrandom::fill(&mut noise).map_err(io::Error::other)?;
        file.write_all(&noise)?;
        left = left.saturating_sub(noise.len() as u64);
    }
    Ok(())
}
