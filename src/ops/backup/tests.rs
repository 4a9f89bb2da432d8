use std::{
    io::{self, BufReader, Seek},
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
    fn back_up(&self, steps: u32) -> Result<Vec<u8>, OpsError> {
        let (mut out, scratch) = (Vec::new(), tempfile::tempdir().unwrap());
        let mut left = steps;
        let mut progress = |_, _| {
            left = left.saturating_sub(1);
            left > 0
        };
        let recipient = Recipient::Auditor;
        back_up(&self.ctx(), &self.home, &recipient, "x", scratch.path(), &mut out, &mut progress)?;
        Ok(out)
    }

    fn restore(&self, name: &str, bytes: &[u8], steps: u32) -> Result<Restored, OpsError> {
        let mut left = steps;
        let mut progress = |_, _| {
            left = left.saturating_sub(1);
            left > 0
        };
        let home = Home::at(self.beside(name));
        let incoming = Incoming::new(BufReader::new(bytes)).map_err(OpsError::from)?;
        restore(&home, "cli", self.clock.clone(), incoming, None, None, &mut progress)
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[test]
fn what_is_ended_on_its_way_leaves_nothing() {
    let place = Place::new();
    let ended =
        |found: Result<(), OpsError>| found.unwrap_err().to_string().contains("ended before it was done");
    assert!(ended(place.back_up(1).map(|_| ())));
    let bytes = place.back_up(u32::MAX).unwrap();
    for steps in [1, 2] {
        assert!(ended(place.restore("new", &bytes, steps).map(|_| ())), "{steps}");
        assert!(!place.beside("new").exists());
    }
    let restored = place.restore("new", &bytes, u32::MAX).unwrap();
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
    let refused = place.back_up(u32::MAX).unwrap_err().to_string();
    assert!(refused.contains("is damaged"), "{refused}");
}

#[test]
fn a_backup_is_an_act_of_an_operator_and_recorded_before_anything_leaves() {
    let place = Place::new();
    let auditor = Ctx::open(&place.home, Mode::ReadOnly, "cli", place.clock.clone()).unwrap();
    let (mut out, mut go_on) = (Vec::new(), |_, _| true);
    let refused =
        back_up(&auditor, &place.home, &Recipient::Auditor, "x", place.folder.path(), &mut out, &mut go_on);
    assert!(matches!(refused, Err(OpsError::ReadOnly { act: Act::StoreBackup, .. })));
    assert!(out.is_empty());
    // Given up at the first step: it stands in the chain all the same.
    place.back_up(1).unwrap_err();
    let newest = audit::list(&place.ctx(), &store::audit::Query { limit: 1, ..Default::default() }).unwrap();
    let record = &newest[0].record;
    assert_eq!(
        (record.act.as_str(), &record.detail),
        ("store.backup", &json!({"file": "x", "for": "auditor"}))
    );
}
