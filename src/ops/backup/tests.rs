use std::{
    io::{self, BufReader, Read, Seek},
    path::PathBuf,
};

use tempfile::TempDir;

use super::*;
use crate::{domain::clock::ManualClock, ops::bench::new_key};

struct Place {
    folder: TempDir,
    home: Home,
    clock: Arc<ManualClock>,
}

impl Place {
    /// A home with a key in it.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let place =
            Self { folder, home, clock: Arc::new(ManualClock::new("2026-07-28T09:30:00Z".parse().unwrap())) };
        crate::ops::api_key::create(&place.ctx(), new_key()).unwrap();
        place
    }

    fn ctx(&self) -> Ctx {
        Ctx::open(&self.home, Mode::ReadWrite, "cli", self.clock.clone()).unwrap()
    }

    /// An auditor's copy: what is sealed takes its time.
    fn back_up(&self) -> Result<Vec<u8>, OpsError> {
        let (mut out, scratch) = (Vec::new(), tempfile::tempdir().unwrap());
        back_up(&self.ctx(), &self.home, &Recipient::Auditor, "x", scratch.path(), &mut out)?;
        Ok(out)
    }

    fn restore(&self, name: &str, bytes: impl BufRead, pace: &Pace) -> Result<Restored, OpsError> {
        let home = Home::at(self.beside(name));
        let incoming = Incoming::new(bytes).map_err(OpsError::from)?;
        restore(&home, "cli", self.clock.clone(), incoming, None, None, pace)
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Is cancelled when so many more bytes have passed.
struct Until {
    left: usize,
    pace: Pace,
}

impl Until {
    fn pass(&mut self, number: usize) {
        self.left = self.left.saturating_sub(number);
        if self.left == 0 {
            self.pace.cancel();
        }
    }
}

impl Write for Until {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pass(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Source<'a> {
    bytes: &'a [u8],
    until: Until,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.bytes.read(buffer)?;
        self.until.pass(taken);
        Ok(taken)
    }
}

#[test]
fn a_backup_is_cancelled_while_it_is_copied_and_while_it_is_written() {
    let place = Place::new();
    for (left, gone) in [(0, 0), (1, 1)] {
        let ctx = place.ctx();
        let mut out = Until { left, pace: ctx.pace.clone() };
        if left == 0 {
            ctx.pace.cancel();
        }
        let scratch = tempfile::tempdir().unwrap();
        let ended = back_up(&ctx, &place.home, &Recipient::Auditor, "x", scratch.path(), &mut out);
        assert!(matches!(ended, Err(OpsError::Cancelled(_))), "{left}: {ended:?}");
        assert_eq!(ctx.pace.progress().done > 0, gone > 0, "{left}");
    }
}

#[test]
fn a_restore_that_is_cancelled_leaves_no_home() {
    let place = Place::new();
    let bytes = place.back_up().unwrap();
    // Behind the first line, in a part, and when all of it has been read.
    for left in [1, bytes.len() / 2, bytes.len()] {
        let pace = Pace::default();
        let source = Source { bytes: &bytes, until: Until { left, pace: pace.clone() } };
        let ended = place.restore("new", BufReader::with_capacity(1000, source), &pace);
        assert!(matches!(ended, Err(OpsError::Cancelled(_))), "{left}: {ended:?}");
        assert!(!place.beside("new").exists(), "{left}");
    }
    let restored = place.restore("new", &bytes[..], &Pace::default()).unwrap();
    assert_eq!(restored.backup.vault_key, VaultKey::LeftOut);
}

#[test]
fn a_store_that_is_not_whole_is_not_copied() {
    let place = Place::new();
    let path = place.home.path().join("usage.db");
    let books = rusqlite::Connection::open(&path).unwrap();
    let page: u64 = books
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'event'", [], |row| row.get::<_, u32>(0))
        .unwrap()
        .into();
    drop(books);
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(io::SeekFrom::Start((page - 1) * 4096)).unwrap();
    file.write_all(&[0xff; 4096]).unwrap();
    drop(file);
    let refused = place.back_up().unwrap_err().to_string();
    assert!(refused.contains("is damaged"), "{refused}");
}

#[test]
fn a_backup_is_an_act_of_an_operator_and_recorded_before_anything_leaves() {
    let place = Place::new();
    let auditor = Ctx::open(&place.home, Mode::ReadOnly, "cli", place.clock.clone()).unwrap();
    let mut out = Vec::new();
    let refused = back_up(&auditor, &place.home, &Recipient::Auditor, "x", place.folder.path(), &mut out);
    assert!(matches!(refused, Err(OpsError::ReadOnly { act: Act::StoreBackup, .. })));
    assert!(out.is_empty());
    // Cancelled at the first step: it stands in the chain all the same.
    let ctx = place.ctx();
    ctx.pace.cancel();
    back_up(&ctx, &place.home, &Recipient::Auditor, "x", place.folder.path(), &mut out).unwrap_err();
    assert!(out.is_empty());
    let newest = audit::list(&place.ctx(), &store::audit::Query { limit: 1, ..Default::default() }).unwrap();
    let record = &newest[0].record;
    assert_eq!(
        (record.act.as_str(), &record.detail),
        ("store.backup", &json!({"file": "x", "for": "auditor"}))
    );
}
