//! The command line as such: help, usage errors, config, completions, the manual.

use std::{os::unix::fs::PermissionsExt as _, process::Stdio};

use portcullis::domain::credential::Kind;
use serde_json::json;

use crate::support::{Place, code, err, out};

#[test]
fn help_names_what_there_is_and_nothing_else() {
    let place = Place::new();
    let help = place.ok(&["--help"]);
    for there in [
        "console",
        "serve",
        "demo",
        "status",
        "doctor",
        "explain",
        "key",
        "token",
        "signing-key",
        "issuer",
        "policy",
        "scope",
        "usage",
        "event",
        "audit",
        "store",
        "backup",
        "restore",
        "snippet",
        "licenses",
    ] {
        assert!(help.contains(&format!("\n  {there} ")), "{there}");
    }
    for absent in ["cert", "tool", "anomaly", "strategy", "selftest"] {
        assert!(!help.contains(&format!("\n  {absent} ")), "{absent}");
        place.fails(2, &[absent]);
    }
    assert!(!place.ok(&["demo", "--help"]).contains("server-only"));
    assert_eq!(place.ok(&["--version"]).trim(), concat!("portcullis ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_kind_of_credential_is_listed_shown_and_purged_and_counted() {
    let place = Place::new();
    let status = place.json(&["status"]);
    for kind in Kind::ALL {
        for verb in ["list", "show", "purge"] {
            place.ok(&[kind.command(), verb, "--help"]);
        }
        let states = status[kind.plural()].as_object().unwrap_or_else(|| panic!("no {}", kind.plural()));
        assert!(states.values().all(|count| *count == 0) && states.len() > 2, "{states:?}");
        assert!(place.ok(&["status"]).contains(&format!("\n{} ", kind.plural())), "{kind:?}");
    }
}

#[test]
fn wrong_usage_is_exit_2() {
    let place = Place::new();
    place.fails(2, &["nonsense"]);
    place.fails(2, &["key"].iter().chain(&["nonsense"]).copied().collect::<Vec<_>>());
    place.fails(2, &["key", "show"]);
    place.fails(2, &["status", "--colour"]);
}

#[test]
fn alone_and_without_a_terminal_it_prints_the_status() {
    let place = Place::new();
    let status = place.ok(&[]);
    assert!(status.contains("0 active") && status.contains("portcullis serve"), "{status}");
    assert!(place.json(&[])["keys"].is_object());
    assert!(place.fails(2, &["console"]).contains("terminal"));
}

#[test]
fn the_option_beats_the_file_and_the_file_beats_the_environment() {
    let place = Place::new();
    let other = place.path().join("other");
    let config = place.file("config.toml", format!("home = {:?}\n", other));
    place.ok(&["--config", &config, "key", "create", "--subject", "a", "--scope", "mcp:read"]);
    assert!(other.join("portcullis.db").exists() && !place.home().exists());
    let third = place.path().join("third");
    place.ok(&["--config", &config, "--home", third.to_str().unwrap(), "key", "list"]);
    assert!(third.join("portcullis.db").exists());

    let bad = place.file("bad.toml", "home = \"/x\"\ncolour = 1\n");
    let told = place.fails(2, &["--config", &bad, "status"]);
    assert!(told.contains("colour") && told.contains("line 2"), "{told}");
    place.fails(2, &["--config", "/does/not/exist", "status"]);

    // Root's group is trusted, another is doubted.
    let _ = std::os::unix::fs::chown(&config, None, Some(1));
    for (mode, is_doubted) in [(0o644, false), (0o664, true)] {
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = place.run(&["--config", &config, "key", "list"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), told.contains("can write it")), (Some(0), is_doubted), "{told}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place.command(&["man"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), err(&output).as_str()), (0, ""));
}

#[test]
fn every_shell_gets_its_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(place.ok(&["completions", shell]).contains("portcullis"), "{shell}");
    }
    place.fails(2, &["completions", "cmd"]);
}

/// To renew it: `cargo run -- man > assets/portcullis.1`.
#[test]
fn the_manual_in_the_repository_is_the_one_that_is_printed() {
    let committed = include_str!("../../assets/portcullis.1");
    assert!(Place::new().ok(&["man"]) == committed, "renew it: cargo run -- man > assets/portcullis.1");
    for command in [
        "key create",
        "token issue",
        "signing-key rotate",
        "issuer add",
        "policy simulate",
        "audit verify",
        "backup",
        "restore",
        "serve",
    ] {
        assert!(committed.contains(&format!("portcullis {command}")), "{command}");
    }
}

#[test]
fn json_is_one_line_and_standard_error_is_silent() {
    let place = Place::new();
    let output = place.run(&["key", "create", "--subject", "a", "--scope", "mcp:read", "--json"]);
    assert_eq!((out(&output).lines().count(), err(&output).as_str()), (1, ""));
    assert_eq!(place.json(&["key", "list"])["items"].as_array().unwrap().len(), 1);
    assert_eq!(place.json(&["scope", "remove", "logging:set"]), json!({"removed": "logging:set"}));
}

#[test]
fn what_is_compiled_in_is_printed_with_its_licences() {
    let place = Place::new();
    let text = place.ok(&["licenses"]);
    for wanted in [
        "nucleo-matcher ",
        "Mozilla Public License Version 2.0",
        "https://crates.io/crates/NAME/VERSION",
        "SQLite",
    ] {
        assert!(text.contains(wanted), "{wanted}");
    }
    let listed = place.json(&["licenses"]);
    let items = listed["items"].as_array().unwrap();
    let rusqlite = items.iter().find(|item| item["name"] == "rusqlite").unwrap();
    assert_eq!((&rusqlite["license"], items.len() > 100), (&json!("MIT"), true));
}

#[test]
fn small_words_are_said_as_they_are_meant() {
    let place = Place::new();
    for (given, meant) in
        [("28080", "127.0.0.1:28080"), ("localhost:28090", "127.0.0.1:28090"), ("x", "127.0.0.1:8080")]
    {
        for option in ["--listen", "--admin-listen"] {
            let told = err(&place.run(&["serve", "--upstream", "http://127.0.0.1:1/mcp", option, given]));
            assert!(told.contains(&format!("address:port, such as {meant}")), "{told}");
        }
    }
    let policy = place
        .file("p.json", r#"{"name":"p","endpoint_restrictions":{"blocked_endpoints":["tools/cal/add"]}}"#);
    let told = place.ok(&["policy", "check", &policy]);
    assert!(told.contains("look again") && told.contains("did you mean tools/call/add?"), "{told}");
    let told = err(&place.run(&["scope", "set", "docs:x", "--endpoint", "tools/cal/search"]));
    assert!(told.contains("did you mean tools/call/search?"), "{told}");
    place.ok(&["policy", "create", &policy]);
    place.ok(&["policy", "delete", "p", "--reason", "no use"]);
    let records = |arguments: &[&str]| {
        let listed = place.json(&[&["audit", "list"], arguments].concat());
        listed["items"].as_array().unwrap().clone()
    };
    let deleted = records(&["--act", "policy.delete"]);
    assert_eq!(deleted[0]["detail"]["reason"], "no use");
    let actor = deleted[0]["actor"].as_str().unwrap();
    let face_and_user = actor.split(" (").next().unwrap();
    let user = face_and_user.strip_prefix("cli:").unwrap();
    let all = records(&["--actor", face_and_user]);
    assert!(!all.is_empty() && records(&["--actor", actor]) == all);
    if !user.is_empty() {
        assert_eq!(records(&["--actor", user]), all, "in every face");
        assert!(records(&["--actor", user.get(1..).unwrap()]).is_empty(), "a part of a name is none");
    }
    let shown = |by: &str| place.ok(&["usage", "top", "--by", by]).to_lowercase();
    assert!(shown("subject").starts_with("subject"), "{}", shown("subject"));
    assert!(place.ok(&["usage", "top", "--by", "subject", "--csv"]).starts_with("key,"));
}
