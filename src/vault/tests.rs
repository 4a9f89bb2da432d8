use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use super::*;
use crate::domain::secret::Secret;

fn key() -> MasterKey {
    KeyFile::generate().unwrap().master_key(None).unwrap()
}

#[test]
fn a_vault_opens_with_the_key_and_the_store_it_was_made_for() {
    let master = key();
    let (made, entries) = Vault::create(&master, "store-a").unwrap();
    let opened = Vault::open(&master, "store-a", &entries).unwrap();
    assert_eq!(made.session_key(), opened.session_key());
    assert_eq!(
        made.audit_signer().public_key_pem().unwrap(),
        opened.audit_signer().public_key_pem().unwrap()
    );
}

#[test]
fn another_key_or_another_store_does_not_fit() {
    let master = key();
    let (_, entries) = Vault::create(&master, "store-a").unwrap();
    assert!(matches!(Vault::open(&key(), "store-a", &entries), Err(VaultError::DoesNotFit(_))));
    assert!(matches!(Vault::open(&master, "store-b", &entries), Err(VaultError::DoesNotFit(_))));
}

#[test]
fn nobody_takes_back_that_there_is_an_anchor() {
    let master = key();
    let (vault, mut entries) = Vault::create(&master, "s").unwrap();
    assert!(!entries.iter().any(is_anchored));
    let known = vault.seal_anchored().unwrap();
    let place = entries.iter().position(|entry| entry.name == known.name).unwrap();
    entries[place] = known;
    assert!(entries.iter().any(is_anchored));
    assert_eq!(Vault::open(&master, "s", &entries).unwrap().row_key(), vault.row_key());
    entries[place].version = VERSION;
    assert!(matches!(Vault::open(&master, "s", &entries), Err(VaultError::DoesNotFit(_))));
    assert!(AuditSigner::open(&master, "s", &entries).is_ok(), "the chain can be judged still");
    entries.remove(place);
    assert!(matches!(Vault::open(&master, "s", &entries), Err(VaultError::DoesNotFit(_))));
}

#[test]
fn entries_that_were_swapped_changed_or_removed_do_not_fit() {
    let master = key();
    let (_, entries) = Vault::create(&master, "s").unwrap();
    let fails = |change: &dyn Fn(&mut Vec<SealedEntry>)| {
        let mut changed = entries.clone();
        change(&mut changed);
        assert!(matches!(Vault::open(&master, "s", &changed), Err(VaultError::DoesNotFit(_))));
    };
    fails(&|e| {
        let (a, b) = (e[0].name.clone(), e[1].name.clone());
        e[0].name = b;
        e[1].name = a;
    });
    fails(&|e| {
        let sealed = e[1].sealed.clone();
        e[1].sealed = std::mem::replace(&mut e[0].sealed, sealed);
    });
    fails(&|e| e[0].sealed = e[0].wrapped_key.clone());
    fails(&|e| e[2].version = 2);
    fails(&|e| drop(e.remove(0)));
    fails(&|e| e[0].wrapped_key.truncate(5));
    for byte in 0..entries[0].sealed.len() {
        fails(&|e| e[0].sealed[byte] ^= 1);
        fails(&|e| e[0].wrapped_key[byte] ^= 1);
    }
}

#[test]
fn the_audit_signature_verifies_with_the_published_key() {
    let (vault, _) = Vault::create(&key(), "s").unwrap();
    let pem = vault.audit_signer().public_key_pem().unwrap();
    let der = STANDARD.decode(pem.lines().nth(1).unwrap()).unwrap();
    let public = UnparsedPublicKey::new(&ED25519, &der[der.len() - 32..]);
    let signature = vault.audit_signer().sign(b"head");
    assert!(public.verify(b"head", &signature).is_ok());
    assert!(public.verify(b"heaD", &signature).is_err());
}

#[test]
fn a_key_file_says_again_what_was_written() {
    let file = KeyFile::generate().unwrap();
    let text = file.to_text();
    assert!(text.starts_with("portcullis-vault-1 ") && text.ends_with('\n'));
    let again = KeyFile::parse(&text).unwrap();
    assert_eq!(file.master_key(None).unwrap().bytes(), again.master_key(None).unwrap().bytes());
}

#[test]
fn a_passphrase_gives_the_same_key_each_time_and_another_gives_another() {
    let file = KeyFile::generate_for_passphrase().unwrap();
    let again = KeyFile::parse(&file.to_text()).unwrap();
    let right = Secret::new("correct horse".into());
    let wrong = Secret::new("correct horsf".into());
    let key = file.master_key(Some(&right)).unwrap();
    assert_eq!(key.bytes(), again.master_key(Some(&right)).unwrap().bytes());
    assert_ne!(key.bytes(), again.master_key(Some(&wrong)).unwrap().bytes());
    assert!(file.master_key(None).unwrap_err().to_string().contains("PORTCULLIS_PASSPHRASE_FILE"));
}

#[test]
fn what_is_no_key_file_is_refused() {
    let good = KeyFile::generate().unwrap().to_text();
    for bad in [
        "",
        "portcullis-vault-1",
        "portcullis-vault-2 AAAA",
        "portcullis-vault-1 AAAA",
        "portcullis-vault-1 !!!!",
        "portcullis-vault-1-argon2id 65536,3,1 AAAA",
        "portcullis-vault-1-argon2id 65536,3 AAAAAAAAAAAAAAAAAAAAAA==",
        "portcullis-vault-1-argon2id 4294967295,3,1 AAAAAAAAAAAAAAAAAAAAAA==",
        "portcullis-vault-1-argon2id 65536,3,1,1 AAAAAAAAAAAAAAAAAAAAAA==",
        &format!("{} more", good.trim()),
    ] {
        assert!(KeyFile::parse(bad).is_none(), "{bad}");
    }
    assert!(KeyFile::parse("portcullis-vault-1-argon2id 65536,3,1 AAAAAAAAAAAAAAAAAAAAAA==").is_some());
}

#[test]
fn nothing_of_a_key_shows_in_debug() {
    let file = KeyFile::generate().unwrap();
    let (vault, _) = Vault::create(&key(), "s").unwrap();
    let shown = format!("{file:?} {vault:?} {:?} {:?}", key(), vault.audit_signer());
    assert_eq!(shown, "KeyFile::Key(…) Vault(…) MasterKey(…) AuditSigner(…)");
}
