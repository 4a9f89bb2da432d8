//! The vault of a home: how it comes into being, and what it refuses.
use super::*;
use crate::{
    domain::name::PolicyName,
    store::{examine, feed::Feed, one_time, policy, scope, signing_key, vault_entry::*},
    vault::{Vault, VaultError},
};

fn make(place: &Place) -> Result<(Vault, bool), StoreError> {
    let (sender, created) = std::sync::mpsc::channel();
    let vault = open_or_create(&place.open(), &place.home, NOW, move |_, _| {
        sender.send(()).unwrap();
        Ok::<_, StoreError>(())
    })?;
    Ok((vault, created.try_recv().is_ok()))
}

fn refused(place: &Place) -> VaultError {
    let database = fs::read(place.file("portcullis.db")).unwrap();
    let Err(StoreError::Vault(error)) = make(place).map(|_| ()) else { panic!("the vault opened") };
    let Err(StoreError::Vault(again)) = open_vault(&place.open(), &place.home).map(|_| ()) else { panic!() };
    assert_eq!(error, again);
    assert_eq!(fs::read(place.file("portcullis.db")).unwrap(), database, "nothing was changed");
    error
}

#[test]
fn a_new_home_gets_its_vault_its_scopes_and_its_policy_once() {
    let place = Place::new();
    let (made, created) = make(&place).unwrap();
    assert!(created);
    let (opened, created) = make(&place).unwrap();
    assert!(!created);
    assert_eq!(made.session_key(), opened.session_key());

    let store = place.open();
    let default = store.read(|c| policy::find(c, &PolicyName::default())).unwrap().unwrap();
    assert_eq!((default.revision, default.author.as_str(), default.saved_at), (1, "portcullis", NOW));
    assert!(store.read(scope::catalogue).unwrap().iter().count() > 0);
    assert_eq!(get(&store, setting::AUDIT_PUBLIC_KEY), Some(made.audit_signer().public_key_pem().unwrap()));
    assert!(Feed::new(&store).unwrap().position().unwrap() > 0);
    let mode = fs::symlink_metadata(place.file("vault.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let left: Vec<_> = fs::read_dir(place.home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("vault.key.")), "{left:?}");
}

#[test]
fn processes_that_start_at_once_end_with_one_vault() {
    let place = Place::new();
    let made: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(|| make(&place).unwrap())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|(_, created)| *created).count(), 1);
    assert!(made.iter().all(|(vault, _)| vault.session_key() == made[0].0.session_key()));
}

#[test]
fn a_home_left_between_key_and_entries_is_finished_with_that_key() {
    let (place, other) = (Place::new(), Place::new());
    make(&other).unwrap();
    let key = fs::read(other.file("vault.key")).unwrap();
    drop(place.open());
    fs::write(place.file("vault.key"), &key).unwrap();
    chmod(place.file("vault.key"), 0o600);
    assert!(make(&place).unwrap().1);
    assert_eq!(fs::read(place.file("vault.key")).unwrap(), key);
}

#[test]
fn a_failed_record_of_the_creation_leaves_the_home_unmade() {
    let place = Place::new();
    let store = place.open();
    let failed = open_or_create(&store, &place.home, NOW, |_, _| Err(StoreError::Busy));
    assert_eq!(failed.map(|_| ()), Err(StoreError::Busy));
    assert_eq!(get(&store, setting::STORE_ID), None);
    assert!(make(&place).unwrap().1);
}

#[test]
fn a_missing_key_is_an_error_and_no_new_one_is_made() {
    let place = Place::new();
    make(&place).unwrap();
    fs::remove_file(place.file("vault.key")).unwrap();
    let error = refused(&place);
    assert!(matches!(error, VaultError::Key(_)) && error.to_string().contains("missing"), "{error}");
    assert!(!place.file("vault.key").exists());
}

#[test]
fn the_key_of_another_home_does_not_fit() {
    let (place, other) = (Place::new(), Place::new());
    make(&place).unwrap();
    make(&other).unwrap();
    fs::copy(other.file("vault.key"), place.file("vault.key")).unwrap();
    assert!(matches!(refused(&place), VaultError::DoesNotFit(_)));
}

#[test]
fn entries_of_another_home_or_another_name_do_not_fit() {
    for change in [
        "UPDATE setting SET value = 'another' WHERE name = 'store_id'",
        "UPDATE setting SET value = 'another' WHERE name = 'audit_public_key'",
        "DELETE FROM setting WHERE name = 'store_id'",
        "DELETE FROM vault_entry WHERE name = 'session'",
        "UPDATE vault_entry SET (wrapped_key, sealed) =
             (SELECT wrapped_key, sealed FROM vault_entry WHERE name = 'session') WHERE name = 'pepper'",
        "UPDATE vault_entry SET version = 2 WHERE name = 'audit'",
        "UPDATE vault_entry SET sealed = x'00' WHERE name = 'audit'",
    ] {
        let place = Place::new();
        make(&place).unwrap();
        assert_eq!(place.stranger("portcullis.db").execute(change, []).unwrap(), 1, "{change}");
        assert!(matches!(refused(&place), VaultError::DoesNotFit(_)), "{change}");
    }
}

#[test]
fn a_used_store_that_has_lost_its_vault_gets_no_other() {
    let place = Place::new();
    make(&place).unwrap();
    place.stranger("portcullis.db").execute("DELETE FROM vault_entry", []).unwrap();
    let error = make(&place).map(|_| ()).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { detail, .. } if detail.contains("vault")), "{error}");
    let left =
        place.stranger("portcullis.db").query_row("SELECT count(*) FROM vault_entry", [], |row| row.get(0));
    assert_eq!(left, Ok(0));
}

#[test]
fn a_damaged_key_file_is_named_and_never_quoted() {
    let place = Place::new();
    make(&place).unwrap();
    let text = fs::read_to_string(place.file("vault.key")).unwrap();
    for bad in ["", "portcullis-vault-1", &text.replace('1', "9"), &"x".repeat(5000)] {
        fs::write(place.file("vault.key"), bad).unwrap();
        let error = refused(&place).to_string();
        assert!(
            error.contains("vault.key") && !error.contains(text.split(' ').nth(1).unwrap().trim()),
            "{error}"
        );
    }
}

#[test]
fn a_key_file_elsewhere_is_used_and_the_home_holds_none() {
    let mut place = Place::new();
    let key = place.folder.path().join("master key");
    place.home = place.home.clone().with_master_key_file(&key);
    let StoreError::Vault(VaultError::Key(how)) = make(&place).map(|_| ()).unwrap_err() else { panic!() };
    // The message names the command that makes one.
    let command = how.split_once("make it with: ").unwrap().1;
    assert!(std::process::Command::new("sh").arg("-c").arg(command).status().unwrap().success(), "{how}");
    assert!(make(&place).unwrap().1);
    assert!(!place.file("vault.key").exists());
    chmod(&key, 0o644);
    assert!(matches!(make(&place), Err(StoreError::Modes { .. })));
}

#[test]
fn a_passphrase_opens_the_home_that_was_made_with_it() {
    let mut place = Place::new();
    let bare = place.home.clone();
    let file = place.folder.path().join("passphrase");
    fs::write(&file, "correct horse\n").unwrap();
    chmod(&file, 0o600);
    place.home = place.home.clone().with_passphrase_file(&file);
    let (made, created) = make(&place).unwrap();
    assert!(created);
    assert!(fs::read_to_string(place.file("vault.key")).unwrap().starts_with("portcullis-vault-1-argon2id "));
    assert_eq!(made.session_key(), make(&place).unwrap().0.session_key());

    fs::write(&file, "wrong horse\n").unwrap();
    assert!(matches!(refused(&place), VaultError::DoesNotFit(_)));
    fs::write(&file, "\n").unwrap();
    assert!(matches!(refused(&place), VaultError::Key(_)));
    place.home = bare;
    assert!(refused(&place).to_string().contains("PORTCULLIS_PASSPHRASE_FILE"));
}

#[test]
fn an_auditor_needs_no_vault_and_makes_none() {
    let place = Place::used();
    let store = Store::open(&place.home, Mode::ReadOnly).unwrap();
    let refused = open_or_create(&store, &place.home, NOW, |_, _| Ok::<_, StoreError>(()));
    assert_eq!(refused.map(|_| ()), Err(StoreError::OpenedReadOnly));
    assert!(!place.file("vault.key").exists());
}

#[test]
fn a_home_of_the_first_version_is_brought_up_to_date_and_keeps_what_it_holds() {
    let place = Place::new();
    make(&place).unwrap();
    place
        .stranger("portcullis.db")
        .execute_batch(
            "DROP TABLE token_ground; DROP TABLE token; DROP TABLE signing_key; DROP TABLE revocation; DROP TABLE one_time; DROP TABLE issuer_source;
             DROP TABLE issuer; DROP TABLE sealed_setting; PRAGMA user_version = 2",
        )
        .unwrap();
    let too_old = Store::open(&place.home, Mode::ReadOnly).map(|_| ()).unwrap_err();
    assert!(matches!(too_old, StoreError::TooOld { found: 2, known: 6, .. }), "{too_old}");
    let store = place.open();
    open_vault(&store, &place.home).unwrap();
    assert!(store.read(|c| policy::find(c, &PolicyName::default())).unwrap().is_some());
    assert_eq!(store.read(examine::examine).unwrap().damaged, []);
    let used = store.write(|c| one_time::use_up(c, one_time::TOKENS, "a", NOW)).unwrap();
    assert!(used && store.read(signing_key::list).unwrap().is_empty());
}
