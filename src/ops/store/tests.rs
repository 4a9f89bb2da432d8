use std::{fs, path::PathBuf, time::Duration};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::{
    domain::{
        api_key::ApiKey, clock::ManualClock, issuer::Mapping, jose::Algorithm, name::PolicyName,
        policy::Policy, scope::Scope, token::Profile,
    },
    ops::{
        api_key,
        bench::new_key,
        issuer, policy, rows, scope,
        signing_key::{self, NewSigningKey},
        token,
    },
};

/// What stands in tables that say who may do what.
const TABLES: [&str; 7] =
    ["api_key", "revocation", "signing_key", "policy", "policy_revision", "scope", "issuer"];
const OLD_KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// RFC 7515 A.3.
const NEW_KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"ec","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

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
    let covers = |name: &str, endpoints: &[&str]| {
        let endpoints = endpoints.iter().map(|pattern| pattern.parse().unwrap()).collect();
        scope::set(&ctx, Scope { name: name.parse().unwrap(), description: String::new(), endpoints })
            .unwrap();
    };
    covers("narrowed", &["tools/list", "tools/call/*"]);
    covers("widened", &["tools/list"]);
    covers("removed", &["tools/list"]);
    let published =
        |key: &str| issuer::Published { text: format!(r#"{{"keys":[{key}]}}"#), etag: None, fresh_for: None };
    let keys = issuer::NewKeys::Published {
        url: "https://idp.example.org".into(),
        jwks_uri: "https://idp.example.org/keys".into(),
        allow_private: Vec::new(),
        published: published(OLD_KEY),
    };
    let new = issuer::NewIssuer {
        name: "corp".parse().unwrap(),
        profile: Profile::AtJwt,
        iss: Some("https://idp.example.org".into()),
        audiences: Vec::new(),
        algorithms: vec![Algorithm::EdDsa, Algorithm::Es256],
        mapping: Mapping::default(),
        policy: PolicyName::default(),
        keys,
    };
    let corp = issuer::add(&ctx, new).unwrap().name;
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
    covers("narrowed", &["tools/list"]);
    covers("widened", &["tools/list", "tools/call/*"]);
    scope::remove(&ctx, &"removed".parse().unwrap()).unwrap();
    let (before, source) = issuer::show(&ctx, &corp).unwrap();
    let asked = (before, source.unwrap());
    issuer::keep(&ctx, &asked, "https://idp.example.org/keys", &published(NEW_KEY)).unwrap();
    save("after");
    assert_eq!(rows::contradictions(&ctx).unwrap(), Vec::<String>::new(), "an honest store");
    for (table, told) in [
        ("api_key", &["was revoked", "was disabled", "was rotated"][..]),
        ("revocation", &["subject `alice` stands for was revoked"]),
        ("signing_key", &["was retired"]),
        ("policy", &["is at revision 2, and revision 1 is in force"]),
        ("scope", &["scope narrowed covered less", "scope removed was removed"]),
        ("issuer", &["issuer corp has a key that it had no longer"]),
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
    // What was done again stands in the chain as well, so that it is known later.
    let sql = "SELECT act, object FROM audit WHERE seq > 5 ORDER BY act";
    let books = place.books();
    let mut select = books.prepare(sql).unwrap();
    let done = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut disabled = [disabled.id.to_string(), rotated.id.to_string()];
    disabled.sort();
    let [one, two] = disabled;
    let mut done = done.collect::<Result<Vec<(String, String)>, _>>().unwrap();
    done.sort();
    let wanted = [
        ("key.disable", one.as_str()),
        ("key.disable", &two),
        ("key.revoke", revoked.id.as_str()),
        ("store.accept", ""),
        ("token.revoke", "alice"),
    ];
    assert_eq!(done, wanted.map(|(act, object)| (act.to_owned(), object.to_owned())));
    let found = anchor::read(place.home.path()).unwrap().unwrap().open(None).unwrap();
    assert_eq!((found.stops.len(), found.begun), (4, 10));
    books.execute_batch("DELETE FROM revocation").unwrap();
    let told = rows::contradictions(&ctx).unwrap();
    assert!(told.len() == 1 && told[0].contains("subject `alice`"), "{told:?}");
}

#[test]
fn a_clock_that_ran_ahead_is_forgotten_by_a_process_that_goes_on_as_well() {
    let place = Place::new();
    place.key();
    let now = place.clock.now();
    place.clock.set(now.plus(Duration::from_secs(90_000)));
    drop(place.open(Mode::ReadWrite).unwrap());
    place.clock.set(now);
    let gateway = place.open(Mode::ReadWrite).unwrap();
    let high_water = Arc::clone(gateway.store.high_water());
    assert!(high_water.is_past(now), "what was seen ahead is remembered");
    place.accept().unwrap();
    // Its keeper looks a last time.
    drop(gateway);
    let found = anchor::read(place.home.path()).unwrap().unwrap().open(None).unwrap();
    assert!(found.at <= place.clock.now(), "{}", found.at);
    assert!(!high_water.is_past(place.clock.now()));
    assert!(!place.ctx().store.high_water().is_past(place.clock.now()));
}

#[test]
fn an_older_anchor_that_is_put_back_has_no_moment_forgotten() {
    let place = Place::new();
    place.key();
    let older = fs::read(place.file("anchor")).unwrap();
    place.clock.advance(Duration::from_secs(7_200));
    place.key();
    let right = place.clock.now();
    place.clock.set(right.minus(Duration::from_secs(3_600)));
    for mode in [Mode::ReadOnly, Mode::ReadWrite, Mode::ReadOnly] {
        fs::write(place.file("anchor"), &older).unwrap();
        let ctx = place.open(mode).unwrap();
        assert!(ctx.store.high_water().is_past(place.clock.now()), "{mode:?}");
    }
    // A record that is written meanwhile does not hide what the ones before it tell.
    place.key();
    fs::write(place.file("anchor"), &older).unwrap();
    assert!(place.ctx().store.high_water().is_past(place.clock.now()));
    place.clock.set(right);
    assert!(!place.ctx().store.high_water().is_past(right));
}

#[test]
fn one_leap_of_the_clock_into_another_century_is_mended_by_one_act() {
    let place = Place::new();
    place.key();
    let now = place.clock.now();
    place.clock.set(now.plus(Duration::from_secs(72 * 366 * 86_400)));
    place.key();
    let leapt = fs::read(place.file("anchor")).unwrap();
    place.clock.set(now);
    assert!(place.ctx().store.high_water().is_past(now));
    place.accept().unwrap();
    for mode in [Mode::ReadOnly, Mode::ReadWrite] {
        assert!(!place.open(mode).unwrap().store.high_water().is_past(now), "{mode:?}");
    }
    place.key();
    assert!(!place.ctx().store.high_water().is_past(now), "what is recorded after it counts");
    fs::write(place.file("anchor"), leapt).unwrap();
    assert!(place.ctx().store.high_water().is_past(now), "and who puts back that moment lets nobody in");
}

#[test]
fn a_store_of_another_home_and_an_anchor_that_is_gone_or_altered_are_noticed() {
    let place = Place::new();
    place.key();
    place.copy(false);
    let anchor = fs::read(place.file("anchor")).unwrap();
    fs::remove_file(place.file("anchor")).unwrap();
    place.assert_refused("the anchor of this home is gone");
    // Only the vault says that there is one, and cannot be made to say otherwise.
    place.books().execute("UPDATE vault_entry SET version = 1 WHERE name = 'rows'", []).unwrap();
    let refused = place.open(Mode::ReadWrite).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("the vault does not fit this store"), "{refused}");
    place.copy(true);
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
    let made = store::Store::open(&place.home, Mode::ReadWrite).unwrap();
    store::vault_entry::open_or_create(&made, &place.home, place.clock.now(), |_, _| Ok::<_, StoreError>(()))
        .unwrap();
    drop(made);
    drop(place.open(Mode::ReadOnly).unwrap());
    assert!(!place.file("anchor").exists(), "an auditor writes nothing");
    let key = place.key();
    api_key::revoke(&place.ctx(), key.id, "").unwrap();
    let found = anchor::read(place.home.path()).unwrap().unwrap().open(None).unwrap();
    assert_eq!((found.seq, found.stops.len()), (2, 1));
    fs::remove_file(place.file("anchor")).unwrap();
    place.assert_refused("the anchor of this home is gone");
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
