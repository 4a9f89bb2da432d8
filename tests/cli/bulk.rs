//! Many at once: `key create --from`, `key list --all`, filters; and lists in which a row is damaged.

use std::{collections::HashSet, fmt::Write, fs};

use serde_json::{Value, json};

use crate::support::{Place, code, err, out};

fn lines(output: &std::process::Output) -> Vec<Value> {
    out(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn tamper(place: &Place, sql: &str) {
    let connection = rusqlite::Connection::open(place.home().join("portcullis.db")).unwrap();
    connection.execute(sql, []).unwrap();
}

#[test]
fn keys_are_made_from_a_table_each_shown_once() {
    let place = Place::new();
    let table = "subject,scopes,name,expires_in\nana,mcp:read tools:call,\"desk, left\",2h\nbo,,,never\n";
    let file = place.file("people.csv", table);
    let made = place.run(&["key", "create", "--from", &file, "--scope", "tools:list", "--env", "test"]);
    assert_eq!(code(&made), 0, "{}", err(&made));
    let made = lines(&made);
    assert_eq!(made.len(), 2);
    assert_eq!(
        (&made[0]["scopes"], &made[0]["name"]),
        (&json!(["mcp:read", "tools:call"]), &json!("desk, left"))
    );
    assert_eq!((&made[1]["scopes"], &made[1]["expires_at"]), (&json!(["tools:list"]), &Value::Null));
    for key in &made {
        let text = key["key"].as_str().unwrap();
        assert!(text.starts_with("pcl_test_"));
        assert_eq!(code(&place.feed(&["key", "verify"], text)), 0);
    }
    let from_input = "{\"subject\":\"ci\",\"scopes\":[\"mcp:read\"],\"policy\":\"default\"}\n";
    let made = place.feed(&["key", "create", "--from", "-"], from_input);
    assert_eq!(lines(&made)[0]["subject"], json!("ci"));
    assert_eq!(place.json(&["key", "list"])["items"].as_array().unwrap().len(), 3);
    assert_eq!(place.json(&["audit", "list", "--act", "key.create"])["items"].as_array().unwrap().len(), 3);
}

#[test]
fn where_one_line_is_wrong_no_key_is_made() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    for (text, said) in [
        ("subject,scopes\nana,mcp:read\nbo,mcp:raed\n", "key 2: "),
        ("subject,scopes\nana,mcp:read\n\u{1b},mcp:read\n", "line 3: subject"),
        ("subject,scopes\nana,mcp:read\nbo,\n", "line 3: it names no scope"),
        ("subject,scopes,polcy\nana,mcp:read,x\n", "no column `polcy`"),
        (
            "subject,scopes,policy\nana,mcp:read,\nbo,mcp:read,nowhere\n",
            "key 2: there is no policy `nowhere`",
        ),
        ("{\"subject\":\"ana\",\"scopes\":\"mcp:read\"}\n{\"subject\":7}\n", "line 2: "),
        ("subject,scopes\n", "lists no key"),
    ] {
        let file = place.file("people", text);
        let told = place.fails(2, &["key", "create", "--from", &file]);
        assert!(told.contains(said) && !told.contains('\u{1b}'), "{text}: {told}");
    }
    place.fails(2, &["key", "create", "--from", "people", "--subject", "x"]);
    place.fails(2, &["key", "create", "--from", "no-such-file"]);
}

#[test]
fn thousands_are_made_and_listed_without_pages() {
    const MANY: usize = 1_100;
    let place = Place::new();
    let table = (0..MANY).fold(String::from("subject\n"), |mut table, number| {
        writeln!(table, "user-{number}").unwrap();
        table
    });
    let file = place.file("people.csv", table);
    let made = place.run(&["key", "create", "--from", &file, "--scope", "mcp:read"]);
    let ids: HashSet<_> = lines(&made).iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), MANY);
    let listed = place.json(&["key", "list", "--all"]);
    let found: HashSet<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((found == ids, &listed["next"]), (true, &Value::Null));
    assert_eq!(place.ok(&["key", "list", "--all", "--csv"]).lines().count(), MANY + 1);
    place.fails(2, &["key", "list", "--all", "--limit", "5"]);
    // user-1 alone, and not the hundreds that contain it
    let count = |filter: &str| {
        place.json(&["key", "list", "--all", "--filter", filter])["items"].as_array().unwrap().len()
    };
    assert_eq!((count("subject:=user-1"), count("subject:user-1")), (1, 211));
    assert_eq!(count("!subject:=user-1"), MANY - 1);
    assert_eq!((count("subject:=USER-1"), count("name:="), count("scope:=mcp:read")), (0, MANY, MANY));
}

#[test]
fn a_damaged_row_is_named_and_hides_no_other() {
    let place = Place::new();
    let keys: Vec<_> = (0..5).map(|_| place.key(&["--subject", "alice", "--scope", "mcp:read"]).0).collect();
    tamper(&place, &format!("UPDATE api_key SET subject = 'root' WHERE id = '{}'", keys[1]));
    tamper(&place, &format!("UPDATE api_key SET scopes = 'none' WHERE id = '{}'", keys[3]));
    let list = place.run(&["key", "list", "--json"]);
    assert_eq!(code(&list), 1);
    let listed: Value = serde_json::from_slice(&list.stdout).unwrap();
    let ids: HashSet<_> =
        listed["items"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert_eq!(ids, HashSet::from([keys[0].as_str(), &keys[2], &keys[4]]));
    assert!(err(&list).contains(&keys[1]) && err(&list).contains(&keys[3]), "{}", err(&list));
    assert!(!err(&list).contains(&keys[0]));

    let mut after = None::<String>;
    let (mut seen, mut named) = (Vec::new(), String::new());
    loop {
        let mut arguments = vec!["key", "list", "--json", "--limit", "1"];
        arguments.extend(after.iter().flat_map(|after| ["--after", after]));
        let page = place.run(&arguments);
        named.push_str(&err(&page));
        let page: Value = serde_json::from_slice(&page.stdout).unwrap();
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        after = Some(next.to_owned());
    }
    assert_eq!(seen.len(), 3);
    assert_eq!((named.matches(&keys[1]).count(), named.matches(&keys[3]).count()), (1, 1), "{named}");

    place.ok(&["key", "purge", "--damaged"]);
    assert_eq!(place.json(&["key", "list"])["items"].as_array().unwrap().len(), 3);
}

#[test]
fn the_same_holds_for_every_list() {
    let place = Place::new();
    let token = place.json(&["token", "issue", "--subject", "alice", "--scope", "mcp:read"]);
    let kept = place.json(&["token", "issue", "--subject", "alice", "--scope", "mcp:read"]);
    let policy = place.file("p.json", r#"{"name": "night"}"#);
    place.ok(&["policy", "create", &policy]);
    for (noun, sql, gone) in [
        (
            "token",
            format!("UPDATE token SET subject = 'root' WHERE jti = '{}'", token["jti"].as_str().unwrap()),
            token["jti"].as_str().unwrap(),
        ),
        ("policy", "UPDATE policy_revision SET document = '{}' WHERE name = 'night'".into(), "night"),
        ("scope", "UPDATE scope SET endpoints = '[]' WHERE name = 'mcp:read'".into(), "mcp:read"),
    ] {
        let before = place.json(&[noun, "list"])["items"].as_array().unwrap().len();
        tamper(&place, &sql);
        let list = place.run(&[noun, "list", "--json"]);
        let listed: Value = serde_json::from_slice(&list.stdout).unwrap();
        assert_eq!((code(&list), listed["items"].as_array().unwrap().len()), (1, before - 1), "{noun}");
        assert!(err(&list).contains(gone), "{noun}: {}", err(&list));
    }
    assert_eq!(place.json(&["token", "purge", "--damaged"]), json!({"purged": 1}));
    assert_eq!(place.json(&["token", "list"])["items"][0]["jti"], kept["jti"]);
    let record = &place.json(&["audit", "list", "--act", "token.purge"])["items"][0];
    assert_eq!(record["detail"], json!({"damaged": true, "tokens": [token["jti"]]}));
    assert!(place.run(&["token", "purge", "--damaged", "--older-than", "9d"]).status.code() == Some(2));
}

#[test]
fn a_key_that_was_typed_in_a_wrong_place_is_refused_and_not_kept() {
    let place = Place::new();
    let (_, key) = place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    let refused = |arguments: &[&str]| {
        let told = place.run(arguments);
        assert_eq!(code(&told), 2, "{arguments:?}: {}", err(&told));
        assert!(err(&told).contains("cannot hold a whole API key"), "{arguments:?}: {}", err(&told));
        assert!(!err(&told).contains(&key), "{}", err(&told));
    };
    let subject = place.file("subject.csv", format!("subject,scopes\n{key},mcp:read\n"));
    refused(&["key", "create", "--from", &subject]);
    let description = json!({"name": "office", "description": format!("for {key}")});
    let description = place.file("description.json", description.to_string());
    refused(&["policy", "create", &description]);
    let secret = key.rsplit_once('_').unwrap().1.as_bytes();
    for name in ["portcullis.db", "portcullis.db-wal", "usage.db", "usage.db-wal", "anchor"] {
        let bytes = fs::read(place.home().join(name)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{name}");
    }
    // Its id opens nothing.
    let id = place.file("id.csv", format!("subject,scopes\n{},mcp:read\n", &key[..key.len() - 50]));
    place.ok(&["key", "create", "--from", &id]);
}
