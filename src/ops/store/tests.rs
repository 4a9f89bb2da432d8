use std::{fs, path::PathBuf, time::Duration};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::{
    domain::{api_key::ApiKey, clock::ManualClock, jose::Algorithm, policy::Policy},
    ops::{
        api_key,
        bench::new_key,
        policy, rows,
        signing_key::{self, NewSigningKey},
        token,
    },
};

/// What stands in tables that say who may do what.
const TABLES: [&str; 5] = ["api_key", "revocation", "signing_key", "policy", "policy_revision"];

struct Place {
    folder: TempDir,
    home: Home,
    clock: Arc<ManualClock>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        Self { folder, home, clock: Arc::new(ManualClock::new("2026-07-28T09:30:00Z".parse().unwrap())) }
    }

    fn open(&self, mode: Mode) -> Result<Ctx, OpsError> {
        Ctx::open(&self.home, mode, "cli", self.clock.clone())
    }

    /// As an operator, a second later.
    fn ctx(&self) -> Ctx {
        self.clock.advance(Duration::from_secs(1));
        self.open(Mode::ReadWrite).unwrap()
    }

    fn key(&self) -> ApiKey {
        api_key::create(&self.ctx(), new_key()).unwrap().key
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn books(&self) -> Connection {
        Connection::open(self.file("portcullis.db")).unwrap()
    }

    /// Copies the store, which nobody has open, out of the home or back into it.
    fn copy(&self, back: bool) {
        let copies = self.folder.path().join("copies");
        fs::create_dir_all(&copies).unwrap();
        for name in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"] {
            let (from, to) = (self.file(name), copies.join(name));
            let (from, to) = if back { (to, from) } else { (from, to) };
            fs::remove_file(&to).ok();
            fs::copy(from, to).unwrap();
        }
    }

    fn accept(&self) -> Result<Accepted, OpsError> {
        self.clock.advance(Duration::from_secs(1));
        accept(&self.home, "cli", self.clock.clone(), "restored")
    }

    fn begin_anew(&self) -> Result<Begun, OpsError> {
        begin_anew(&self.home, "cli", self.clock.clone(), "lost")
    }

    /// That nobody, operator or auditor, is let into the home.
    #[track_caller]
    fn assert_refused(&self, what: &str) {
        for mode in [Mode::ReadOnly, Mode::ReadWrite] {
            match self.open(mode).map(|_| ()) {
                Err(OpsError::Store(error)) if error.is_of_a_lost_store() => {
                    assert!(error.to_string().contains(what), "{error}");
                }
                other => panic!("{mode:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn an_older_row_and_a_row_that_is_gone_are_told_by_the_chain() {
    let place = Place::new();
    let (revoked, disabled, rotated) = (place.key(), place.key(), place.key());
    let ctx = place.ctx();
    let new = NewSigningKey {
        algorithm: Algorithm::EdDsa,
        name: String::new(),
        bits: crate::vault::RsaBits::default(),
        kid: None,
    };
    let signing = signing_key::create(&ctx, new).unwrap();
    let strict = policy::create(&ctx, Policy::new("strict".parse().unwrap()), "").unwrap();
    let books = place.books();
    let save = |when: &str| {
        for table in TABLES {
            books
                .execute_batch(&format!("CREATE TEMP TABLE {when}_{table} AS SELECT * FROM {table}"))
                .unwrap();
        }
    };
    let put_back = |when: &str, table: &str| {
        let sql = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {when}_{table}");
        books.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
    };
    save("before");
    place.clock.advance(Duration::from_secs(1));
    api_key::revoke(&ctx, revoked.id, "").unwrap();
    api_key::disable(&ctx, disabled.id).unwrap();
    api_key::rotate(&ctx, rotated.id, Duration::ZERO).unwrap();
    token::revoke_subject(&ctx, &revoked.subject, "").unwrap();
    signing_key::retire(&ctx, &signing.kid, "").unwrap();
    let mut stricter = strict.policy;
    stricter.description = "stricter".into();
    policy::apply(&ctx, stricter, "").unwrap();
    save("after");
    assert_eq!(rows::contradictions(&ctx).unwrap(), Vec::<String>::new(), "an honest store");
    for (table, told) in [
        ("api_key", &["was revoked", "was disabled", "was rotated"][..]),
        ("revocation", &["subject `alice` stands for was revoked"]),
        ("signing_key", &["was retired"]),
        ("policy", &["is at revision 2, and revision 1 is in force"]),
    ] {
        put_back("before", table);
        let found = rows::contradictions(&place.open(Mode::ReadOnly).unwrap()).unwrap();
        assert_eq!(found.len(), told.len(), "{table}: {found:?}");
        for told in told {
            assert!(found.iter().any(|found| found.contains(told)), "{table}: {found:?}");
        }
        put_back("after", table);
    }
    // What was set free again, or is gone for good, contradicts nothing.
    api_key::enable(&ctx, disabled.id).unwrap();
    place.clock.advance(Duration::from_secs(1));
    assert_eq!(api_key::purge(&ctx, ctx.now()).unwrap(), 1);
    assert_eq!(rows::contradictions(&ctx).unwrap(), Vec::<String>::new());
}

#[test]
fn tables_that_are_newer_than_the_chain_are_a_fault() {
    let place = Place::new();
    place.key();
    let ctx = place.ctx();
    place.clock.advance(Duration::from_secs(3600));
    let late = api_key::create(&ctx, new_key()).unwrap().key;
    let books = place.books();
    books.execute("DELETE FROM audit WHERE object = ?1", [late.id.as_str()]).unwrap();
    let found = rows::contradictions(&ctx).unwrap();
    assert!(found.len() == 1 && found[0].contains("the tables are newer than the chain"), "{found:?}");
}

#[test]
fn an_older_store_put_back_is_noticed_and_accepting_it_stops_again_who_was_stopped() {
    let place = Place::new();
    let (revoked, disabled, rotated, kept) = (place.key(), place.key(), place.key(), place.key());
    place.copy(false);
    {
        let ctx = place.ctx();
        api_key::revoke(&ctx, revoked.id, "").unwrap();
        api_key::disable(&ctx, disabled.id).unwrap();
        api_key::rotate(&ctx, rotated.id, Duration::ZERO).unwrap();
        token::revoke_subject(&ctx, &revoked.subject, "").unwrap();
        api_key::disable(&ctx, kept.id).unwrap();
        api_key::enable(&ctx, kept.id).unwrap();
    }
    place.copy(true);
    place.assert_refused("is an older copy");
    let accepted = place.accept().unwrap();
    assert_eq!((accepted.seq, accepted.stopped.len()), (5, 4), "{accepted:?}");
    let ctx = place.ctx();
    let state = |key: &ApiKey| api_key::show(&ctx, key.id).unwrap().state(ctx.now()).as_str();
    assert_eq!(
        [&revoked, &disabled, &rotated, &kept].map(state),
        ["revoked", "disabled", "disabled", "active"]
    );
    let record =
        audit::list(&ctx, &store::audit::Query { limit: 1, ..Default::default() }).unwrap().remove(0).record;
    assert_eq!((record.act.as_str(), &record.detail["reason"]), ("store.accept", &json!("restored")));
    assert!(audit::verify(&ctx).unwrap().valid);
    assert_eq!(rows::contradictions(&ctx).unwrap(), Vec::<String>::new());
}

#[test]
fn a_store_of_another_home_and_an_anchor_that_is_gone_or_altered_are_noticed() {
    let place = Place::new();
    place.key();
    place.copy(false);
    let anchor = fs::read(place.file("anchor")).unwrap();
    fs::remove_file(place.file("anchor")).unwrap();
    place.assert_refused("the anchor of this home is gone");
    let mut altered = anchor.clone();
    let end = altered.len() - 3;
    altered[end] ^= 1;
    fs::write(place.file("anchor"), altered).unwrap();
    place.assert_refused("was not written by this home's vault");
    fs::write(place.file("anchor"), &anchor).unwrap();
    drop(place.ctx());
    // Another store beside the same vault, as one is made where nobody looks.
    let other = Place::new();
    fs::create_dir(other.home.path()).unwrap();
    fs::copy(place.file("vault.key"), other.folder.path().join("key")).unwrap();
    let with_key = Home::at(other.home.path()).with_master_key_file(other.folder.path().join("key"));
    fs::set_permissions(other.home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    drop(Ctx::open(&with_key, Mode::ReadWrite, "cli", other.clock.clone()).unwrap());
    for name in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"] {
        fs::copy(other.file(name), place.file(name)).unwrap();
    }
    for mode in [Mode::ReadOnly, Mode::ReadWrite] {
        assert!(matches!(place.open(mode), Err(OpsError::Store(StoreError::Astray(_)))), "{mode:?}");
    }
    // The right one back in its place is what it was.
    place.copy(true);
    drop(place.ctx());
}

#[test]
fn a_home_from_before_there_were_anchors_goes_on_and_has_one_from_then_on() {
    let place = Place::new();
    let key = place.key();
    fs::remove_file(place.file("anchor")).unwrap();
    place.books().execute("DELETE FROM sealed_setting WHERE name = 'anchored'", []).unwrap();
    drop(place.open(Mode::ReadOnly).unwrap());
    assert!(!place.file("anchor").exists(), "an auditor writes nothing");
    api_key::revoke(&place.ctx(), key.id, "").unwrap();
    let found = anchor::read(place.home.path()).unwrap().unwrap().open(None).unwrap();
    assert_eq!((found.seq, found.stops.len()), (3, 1));
}

#[test]
fn a_lost_store_is_never_replaced_in_silence_and_beginning_anew_is_the_first_record() {
    let place = Place::new();
    let key = place.key();
    assert!(matches!(place.begin_anew(), Err(OpsError::Conflict(_))), "it has its store");
    for name in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"] {
        fs::remove_file(place.file(name)).ok();
    }
    place.assert_refused("is lost");
    assert!(!place.file("portcullis.db").exists());
    let begun = place.begin_anew().unwrap();
    let aside = place.file(&begun.aside.unwrap());
    assert!(aside.join("usage.db").exists() && aside.join("anchor").exists());
    let ctx = place.ctx();
    assert!(api_key::show(&ctx, key.id).is_err());
    let first = audit::list(&ctx, &store::audit::Query { limit: 9, ..Default::default() })
        .unwrap()
        .pop()
        .unwrap()
        .record;
    assert_eq!((first.seq, first.act.as_str()), (1, "store.begin-anew"));
    assert_eq!(first.detail["remembered"]["seq"], 2);
    assert!(audit::verify(&ctx).unwrap().valid);
    // A file of nothing in its place is no store of this home either.
    drop(ctx);
    for name in ["portcullis.db-wal", "portcullis.db-shm"] {
        fs::remove_file(place.file(name)).ok();
    }
    fs::write(place.file("portcullis.db"), "").unwrap();
    assert!(place.open(Mode::ReadWrite).is_err());
    assert!(place.begin_anew().is_ok());
}
