use rusqlite::{Connection, params_from_iter};

use super::*;
use crate::store::RowKey;

/// An issuer as a release wrote it before issuers could have several audiences or claims of scopes: by hand, so that no
/// change of ours changes it too.
fn old_row(audience: Option<&str>, mapping: &str) -> [Value; 12] {
    [
        Value::Text("corp".into()),
        Value::Text("oidc".into()),
        Value::Text("https://idp.example.org".into()),
        Value::Null,
        audience.map(str::to_owned).into(),
        Value::Text(r#"["RS256"]"#.into()),
        Value::Text(mapping.into()),
        Value::Text("default".into()),
        Value::Text(r#"{"keys":[]}"#.into()),
        Value::Integer(1_800_000_000_000),
        Value::Null,
        Value::Text(String::new()),
    ]
}

/// A store of that release with one issuer.
fn old_store(row: [Value; 12]) -> (Connection, RowKey) {
    let (c, key) = (Connection::open_in_memory().unwrap(), RowKey::new(&[7; 32]));
    for step in [
        include_str!("../../../assets/migrations/portcullis/0001_first.sql"),
        include_str!("../../../assets/migrations/portcullis/0002_tokens.sql"),
        include_str!("../../../assets/migrations/portcullis/0003_issuers.sql"),
        include_str!("../../../assets/migrations/portcullis/0004_token_ground.sql"),
    ] {
        c.execute_batch(step).unwrap();
    }
    let rows = Rows::new(&c, Some(&key));
    let sealed = TABLE.seal(&rows, row).unwrap();
    let insert = format!(
        "INSERT INTO issuer ({COLUMNS}, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    );
    c.execute("PRAGMA foreign_keys = OFF", []).unwrap();
    c.execute(&insert, params_from_iter(sealed)).unwrap();
    (c, key)
}

const OLD: &str = r#"{"subject":"email","subject_prefix":"corp/","scopes":"scp","prefix":"gate/","rename":{"a":"mcp:read"}}"#;
/// The oldest, before there were prefixes of subjects.
const OLDEST: &str = r#"{"subject":"sub","scopes":"scope","prefix":"","rename":{}}"#;

#[test]
fn an_issuer_of_the_last_release_is_read_as_it_stands() {
    for (audience, mapping) in [(Some("mcp-gateway"), OLD), (None, OLDEST), (Some("[::1]:8080"), OLD)] {
        let (c, key) = old_store(old_row(audience, mapping));
        let rows = Rows::new(&c, Some(&key));
        let issuer = find(&rows, &"corp".parse().unwrap()).unwrap().unwrap();
        assert_eq!(issuer.audiences, audience.map(str::to_owned).into_iter().collect::<Vec<_>>());
        assert_eq!((issuer.mapping.scopes.len(), issuer.mapping.like.as_ref()), (1, None));
        assert_eq!((issuer.mapping.audience.as_ref(), issuer.mapping.only_mapped), (None, false));
        // What nobody changed is written as it stood, so that what others read of it stays.
        assert!(update(&rows, &issuer).unwrap());
        let kept: (Option<String>, String) = c
            .query_row("SELECT audience, mapping FROM issuer", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!((kept.0.as_deref(), kept.1.as_str()), (audience, mapping));
        assert_eq!(find(&rows, &issuer.name).unwrap(), Some(issuer));
    }
}

#[test]
fn what_is_new_of_an_issuer_is_found_again() {
    let (c, key) = old_store(old_row(Some("mcp-gateway"), OLD));
    let rows = Rows::new(&c, Some(&key));
    let mut issuer = find(&rows, &"corp".parse().unwrap()).unwrap().unwrap();
    issuer.mapping.scopes = vec!["scp".into(), "/realm_access/roles".into()];
    issuer.mapping.audience = Some("azp".into());
    issuer.mapping.like = Some("keycloak".into());
    issuer.mapping.only_mapped = true;
    for audiences in [&["a", "b"][..], &["a"], &[], &[r#"["a","b"]"#], &["[1]"], &["a", "[\"b\"]"]] {
        issuer.audiences = audiences.iter().map(|&one| one.to_owned()).collect();
        update(&rows, &issuer).unwrap();
        assert_eq!(find(&rows, &issuer.name).unwrap().as_ref(), Some(&issuer), "{audiences:?}");
    }
    let set = |sql: &str| c.execute(sql, []).unwrap();
    set(r#"UPDATE issuer SET audience = '["evil"]'"#);
    assert!(find(&rows, &issuer.name).is_err_and(|error| error.is_of_one_row()), "its seal does not fit");
}
