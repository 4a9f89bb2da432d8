//! Seals on tables as they are, with one row or two of each.

use rusqlite::Connection;

use super::*;
use crate::{
    domain::{
        api_key::{ApiKey, KeyId, Pepper, SecretMark},
        clock::Timestamp,
        issuer::{Issuer, Mapping, Source},
        jose::Algorithm,
        policy::{Policy, Revision},
        revocation::{Revocation, Target},
        scope::Scope,
        signing_key::SigningKey,
        token::{Grounds, IssuedToken, KeyGround, Profile, TokenId},
    },
    store::{RowKey, api_key as keys},
    vault::SealedEntry,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A store in memory with a scope, two policies and two keys.
struct Books(Connection, RowKey);

impl Books {
    fn new() -> Self {
        let c = Connection::open_in_memory().unwrap();
        c.execute_batch(include_str!("../../../assets/migrations/portcullis/0001_first.sql")).unwrap();
        c.execute_batch(include_str!("../../../assets/migrations/portcullis/0002_tokens.sql")).unwrap();
        c.execute_batch(include_str!("../../../assets/migrations/portcullis/0003_issuers.sql")).unwrap();
        c.execute_batch(include_str!("../../../assets/migrations/portcullis/0004_token_ground.sql")).unwrap();
        let books = Self(c, RowKey::new(&[7; 32]));
        let c = books.rows();
        let scope = Scope {
            name: "search".parse().unwrap(),
            description: "to search".into(),
            endpoints: vec!["tools/call/search".parse().unwrap()],
        };
        scope::upsert(&c, &scope).unwrap();
        for name in ["readers", "writers"] {
            let policy = Policy::new(name.parse().unwrap());
            let (author, reason) = ("alice".to_owned(), "because".to_owned());
            policy::insert(&c, &Revision { policy, revision: 1, author, reason, saved_at: NOW }).unwrap();
        }
        for number in 1..3 {
            keys::insert(&c, &key(number)).unwrap();
            quota::lease(&c, key(number).id.as_str(), &Default::default(), 1, NOW).unwrap();
        }
        tokens(&c);
        books
    }

    fn rows(&self) -> Rows<'_> {
        Rows::new(&self.0, Some(&self.1))
    }

    /// What is found after `change`, which is then taken back.
    fn after(&self, change: &str) -> Vec<StoreError> {
        self.0.execute_batch("SAVEPOINT before; PRAGMA defer_foreign_keys = ON").unwrap();
        self.0.execute_batch(change).unwrap_or_else(|error| panic!("{change}: {error}"));
        let found = examine(&self.rows()).unwrap().damaged;
        self.0.execute_batch("ROLLBACK TO before; RELEASE before").unwrap();
        found
    }
}

/// A row of every table that has to do with tokens.
fn tokens(c: &Rows<'_>) {
    let signing_key = SigningKey {
        kid: "2026".parse().unwrap(),
        algorithm: Algorithm::EdDsa,
        name: "first".into(),
        created_at: NOW,
        signs_from: NOW,
        signs_until: Some(NOW),
        verifies_until: Some(NOW),
        retired_at: Some(NOW),
        public: Some(serde_json::json!({ "kty": "OKP" })),
    };
    let private = SealedEntry {
        name: "signing-key/2026".into(),
        version: 1,
        wrapped_key: vec![1; 60],
        sealed: vec![2; 60],
    };
    signing_key::insert(c, &signing_key, &private, NOW).unwrap();
    let token = IssuedToken {
        jti: TokenId::from_bytes([1; 16]),
        subject: "alice".parse().unwrap(),
        client: "ci".into(),
        scopes: vec!["search".parse().unwrap()],
        audience: vec!["https://mcp.example.org".into()],
        policy: "readers".parse().unwrap(),
        bound: Some(serde_json::json!({ "rate_limits": {} })),
        rests_on: Grounds {
            key: Some(KeyGround { id: KeyId::generate().unwrap(), secret: SecretMark::from_bytes([7; 8]) }),
            parents: Vec::new(),
        },
        max_uses: Some(1),
        kid: signing_key.kid,
        algorithm: Algorithm::EdDsa,
        issued_at: NOW,
        expires_at: NOW,
        issued_by: "cli:alice".into(),
    };
    token::insert(c, &token).unwrap();
    let target = Target::Subject { subject: token.subject, cut: NOW };
    let revocation = Revocation { target, revoked_at: NOW, reason: "left".into(), ends_at: Some(NOW) };
    revocation::upsert(c, &revocation).unwrap();
    assert!(one_time::use_up(c, "token", "one", NOW).unwrap());
    let issuer = Issuer {
        name: "corp".parse().unwrap(),
        profile: Profile::Oidc,
        iss: Some("https://idp.example.org".into()),
        url: Some("https://idp.example.org".into()),
        audiences: vec!["mcp".into()],
        algorithms: vec![Algorithm::Es256],
        mapping: Mapping::default(),
        policy: "writers".parse().unwrap(),
        keys: serde_json::json!({ "keys": [] }),
        created_at: NOW,
        fetched_at: Some(NOW),
        last_error: "not reached".into(),
    };
    issuer::insert(c, &issuer, None).unwrap();
    let source = Source {
        jwks_uri: "https://idp.example.org/keys".into(),
        allow_private: vec!["idp.example.org".into()],
        etag: Some("\"1\"".into()),
        asked_at: NOW,
        next_at: NOW,
    };
    issuer_source::upsert(c, &issuer.name, &source).unwrap();
    sealed_setting::set(c, sealed_setting::RESOURCE, "https://mcp.example.org/mcp").unwrap();
}

fn key(number: u8) -> ApiKey {
    let digest =
        |seed| Pepper::new(&[seed; 32]).digest(&crate::domain::api_key::KeySecret::generate().unwrap());
    ApiKey {
        id: format!("{number:022}").parse().unwrap(),
        environment: "live".parse().unwrap(),
        name: "laptop".into(),
        subject: "alice".parse().unwrap(),
        scopes: vec!["search".parse().unwrap()],
        policy: "readers".parse().unwrap(),
        created_at: NOW,
        expires_at: Some(NOW),
        disabled: true,
        revoked_at: Some(NOW),
        revoked_reason: "lost".into(),
        rotated_at: Some(NOW),
        previous_until: Some(NOW),
        digest: digest(number),
        previous_digest: Some(digest(number)),
    }
}

/// Ways to change a value of each of SQLite's kinds that the schema might let pass.
const CHANGES: [&str; 6] = [
    "CASE typeof({}) WHEN 'integer' THEN {} + 1 WHEN 'text' THEN {} || 'x' ELSE CAST(x'01' || substr({}, 2) AS BLOB) END",
    "CASE typeof({}) WHEN 'integer' THEN {} - 1 WHEN 'text' THEN substr({}, 2) ELSE CAST(substr({}, 1, 31) || x'01' AS BLOB) END",
    "NULL",
    "''",
    "x''",
    "0",
];

#[test]
fn any_change_to_any_column_of_any_sealed_row_is_found_and_the_row_named() {
    let books = Books::new();
    assert_eq!(books.after(""), [], "as it was written");
    let mut tried = 0;
    for table in TABLES {
        for column in table.columns.split(", ").chain(["mac"]) {
            let mut changed = 0;
            for change in CHANGES.map(|change| change.replace("{}", column)) {
                books.0.execute_batch("SAVEPOINT attempt; PRAGMA defer_foreign_keys = ON").unwrap();
                let one = format!("(SELECT min(rowid) FROM {0})", table.name);
                // Tables without a rowid have their key for it.
                let key = table.columns.split(", ").next().unwrap();
                let one = if ["api_key", "change", "token"].contains(&table.name) {
                    format!("rowid = {one}")
                } else {
                    format!("{key} = (SELECT min({key}) FROM {})", table.name)
                };
                let sql = format!(
                    "UPDATE {0} SET {column} = {change} WHERE {one} AND {column} IS NOT {change}",
                    table.name
                );
                if books.0.execute(&sql, []).is_ok_and(|rows| rows == 1) {
                    let found = examine(&books.rows()).unwrap().damaged;
                    assert!(
                        found.iter().any(|error| matches!(error, StoreError::Row { table: found, .. } if *found == table.name)),
                        "{sql}: {found:?}"
                    );
                    changed += 1;
                }
                books.0.execute_batch("ROLLBACK TO attempt; RELEASE attempt").unwrap();
            }
            assert!(changed > 0, "{}.{column} could not be changed at all", table.name);
            tried += changed;
        }
    }
    assert!(tried > 60, "{tried}");
    assert_eq!(books.after(""), [], "all is as it was");
}

#[test]
fn what_belongs_to_one_row_fits_no_other() {
    let books = Books::new();
    let swap = "CREATE TEMP TABLE swap AS SELECT * FROM api_key;
        UPDATE api_key SET (digest, mac) = (SELECT digest, mac FROM swap WHERE swap.id <> api_key.id)";
    assert_eq!(books.after(swap).len(), 2);
    let moved = "UPDATE api_key SET id = '0000000000000000000003' WHERE id LIKE '%1'";
    let found = books.after(moved);
    assert_eq!(found.len(), 2, "the row, and its quota: {found:?}");
    assert!(found[0].to_string().contains("0000000000000000000003"), "{}", found[0]);
    let repointed = "INSERT INTO policy_revision SELECT name, 2, document, author, reason, saved_at, mac
            FROM policy_revision WHERE name = 'readers';
        UPDATE policy SET revision = 2 WHERE name = 'readers'";
    let names: Vec<_> = books.after(repointed).iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].contains("`readers` of policy") && names[1].contains("`readers 2`"), "{names:?}");
    // The quota of a key that is gone may stay; a key or a token without one may not.
    assert_eq!(books.after("DELETE FROM quota WHERE account LIKE '%2'").len(), 1);
    let found = books.after("DELETE FROM quota WHERE account = 'tokens:readers:alice'");
    assert!(found.len() == 1 && found[0].to_string().contains("tokens:readers:alice"), "{found:?}");
    assert_eq!(books.after("DELETE FROM token; DELETE FROM quota WHERE account LIKE 'tokens:%'"), []);
}

#[test]
fn without_the_key_nothing_is_written_and_nothing_is_said_to_be_sound() {
    let books = Books::new();
    let c = Rows::new(&books.0, None);
    assert_eq!(keys::insert(&c, &key(3)), Err(StoreError::Unsealed));
    assert_eq!(keys::set_disabled(&c, key(1).id, false), Err(StoreError::Unsealed));
    assert_eq!(change::append(&c, &change::Change::Scopes), Err(StoreError::Unsealed));
    assert_eq!(quota::open(&c, "x"), Err(StoreError::Unsealed));
    assert_eq!(examine(&c).map(|_| ()), Err(StoreError::Unsealed));
    assert_eq!(books.after(""), []);
    assert!(keys::find(&c, key(1).id).unwrap().is_some(), "reading needs no key");
}

#[test]
fn an_altered_row_is_never_sealed_anew() {
    let books = Books::new();
    let c = books.rows();
    c.execute("UPDATE api_key SET revoked_at = NULL WHERE id = ?1", [key(1).id.as_str()]).unwrap();
    for done in [
        keys::set_disabled(&c, key(1).id, false),
        keys::set_revoked(&c, key(1).id, NOW, "lost"),
        keys::set_rotated(&c, key(1).id, &key(1).digest, NOW, None),
    ] {
        assert!(done.unwrap_err().is_of_one_row());
    }
    assert_eq!(examine(&c).unwrap().damaged.len(), 1);
    assert_eq!(keys::set_disabled(&c, key(2).id, false), Ok(true), "its neighbour can be changed");
    assert_eq!(examine(&c).unwrap().damaged.len(), 1);
}

#[test]
fn what_an_act_changes_is_sealed_anew() {
    let books = Books::new();
    let c = books.rows();
    assert_eq!(keys::set_disabled(&c, key(1).id, false), Ok(true));
    assert_eq!(keys::set_rotated(&c, key(1).id, &key(3).digest, NOW, Some(NOW)), Ok(true));
    assert_eq!(keys::set_revoked(&c, key(2).id, NOW, "again"), Ok(true));
    assert_eq!(examine(&c).unwrap().damaged, []);
    assert!(!keys::find(&c, key(1).id).unwrap().unwrap().disabled);
    assert_eq!(keys::delete(&c, key(1).id), Ok(true));
    assert_eq!(examine(&c).unwrap().damaged, [], "and takes its quota with it");
}
