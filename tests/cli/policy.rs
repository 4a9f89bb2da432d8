//! `portcullis policy …` and `scope …`

use serde_json::{Value, json};

use crate::support::{Place, code, err, fields, out};

fn readers() -> Value {
    json!({
        "name": "readers",
        "rate_limits": {"requests_per_minute": 2, "requests_per_hour": null, "requests_per_day": 100},
        "ip_restrictions": {"whitelist": ["10.0.0.0/8"], "blacklist": ["10.0.0.66"]},
        "time_restrictions": {"allowed_hours": [9, 10, 11], "timezone": "Europe/Berlin"},
        "endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/call/delete_*"]}
    })
}

#[test]
fn a_policy_is_saved_changed_compared_and_rolled_back() {
    let place = Place::new();
    let mut document = readers();
    let first = place.file("readers.json", document.to_string());
    let saved = place.json(&["policy", "create", &first, "--reason", "first"]);
    assert_eq!(
        (&saved["name"], &saved["revision"], &saved["reason"]),
        (&json!("readers"), &json!(1), &json!("first"))
    );
    assert_eq!(saved["ip_restrictions"]["blacklist"], json!(["10.0.0.66"]));
    place.fails(4, &["policy", "create", &first]);

    document["rate_limits"]["requests_per_minute"] = json!(5);
    let second = place.file("second.json", document.to_string());
    assert_eq!(place.json(&["policy", "apply", &second])["revision"], json!(2));
    assert_eq!(place.json(&["policy", "apply", &second])["revision"], json!(2), "nothing new, nothing saved");

    let diff = place.json(&["policy", "diff", "readers", "1"]);
    assert_eq!(
        diff,
        json!({"items": [{"path": "rate_limits.requests_per_minute", "before": "2", "after": "5"}], "next": null})
    );
    assert_eq!(
        place.json(&["policy", "rollback", "readers", "1", "--reason", "too much"])["revision"],
        json!(3)
    );
    let history = place.json(&["policy", "history", "readers"]);
    let revisions =
        history["items"].as_array().unwrap().iter().map(|item| &item["revision"]).collect::<Vec<_>>();
    assert_eq!(revisions, [&json!(3), &json!(2), &json!(1)]);
    assert_eq!(place.json(&["policy", "show", "readers"])["rate_limits"]["requests_per_minute"], json!(2));
    assert_eq!(
        place.json(&["policy", "show", "readers", "--revision", "2"])["rate_limits"]["requests_per_minute"],
        json!(5)
    );
    place.fails(3, &["policy", "rollback", "readers", "9"]);
    place.fails(3, &["policy", "diff", "readers", "9"]);
    place.fails(3, &["policy", "show", "nobody"]);
}

/// Patterns of other globs, and names that are no endpoints.
const LOOKALIKES: [&str; 8] = [
    "tools/call/{delete,drop}_*",
    "tools/call/[dx]*",
    "tools/call/?rop",
    "delete_all",
    "tools/call",
    "!tools/call/x",
    "delete_*",
    "Tools/call/*",
];

#[test]
fn what_can_never_match_is_said_when_it_is_given() {
    let place = Place::new();
    let document = |name: &str, blocked: &[&str]| {
        let document = json!({"name": name, "endpoint_restrictions": {"blocked_endpoints": blocked}});
        place.file(&format!("{name}.json"), document.to_string())
    };
    let (careful, sound) =
        (document("careful", &LOOKALIKES), document("sound", &["tools/call/delete_*", "/admin/**"]));
    let paths = |answer: &Value| -> Vec<String> {
        let warnings = answer["warnings"].as_array().unwrap();
        warnings.iter().map(|warning| warning["path"].as_str().unwrap().to_owned()).collect()
    };
    for verb in ["check", "create", "apply"] {
        let answer = place.run(&["policy", verb, &careful, "--json"]);
        assert_eq!(code(&answer), 0, "{verb}");
        let warned = paths(&serde_json::from_str(&out(&answer)).unwrap());
        for (position, pattern) in LOOKALIKES.iter().enumerate() {
            let path = format!("endpoint_restrictions.blocked_endpoints[{position}]");
            assert!(warned.contains(&path), "{verb}: {pattern}");
            assert_eq!(err(&answer).contains(&path), verb != "check", "{verb}: {pattern}: {}", err(&answer));
        }
    }
    for verb in ["check", "apply"] {
        let told = place.run(&["policy", verb, &careful]);
        assert!((out(&told) + &err(&told)).contains("look again: "), "{verb}");
    }
    for verb in ["check", "create", "apply"] {
        assert_eq!(paths(&place.json(&["policy", verb, &sound])), [""; 0], "{verb}");
    }
    let set = ["scope", "set", "a:b", "--endpoint", "tools/call/{x,y}", "tools/call/z", "tools/call/z"];
    let answer = place.run(&[&set[..], &["--json"]].concat());
    let set: Value = serde_json::from_str(&out(&answer)).unwrap();
    assert_eq!(set["endpoints"], json!(["tools/call/{x,y}", "tools/call/z"]), "an entry twice is one");
    assert_eq!(set["warnings"].as_array().map(Vec::len), Some(1));
    assert!(err(&answer).contains("look again: tools/call/{x,y}: `{}` means itself"), "{}", err(&answer));
}

#[test]
fn an_export_can_be_applied_again() {
    let place = Place::new();
    place.ok(&["policy", "create", &place.file("readers.json", readers().to_string())]);
    let exported = place.ok(&["policy", "export", "readers"]);
    let saved = place.json(&["policy", "apply", &place.file("again.json", exported)]);
    assert_eq!(saved["revision"], json!(1));
    let all = place.json(&["policy", "export", "--all"]);
    let names = all["items"].as_array().unwrap().iter().map(|policy| &policy["name"]).collect::<Vec<_>>();
    assert_eq!(names, [&json!("default"), &json!("readers")]);
    place.fails(2, &["policy", "export"]);
}

#[test]
fn a_wrong_document_is_refused_with_the_path_of_each_fault() {
    let place = Place::new();
    let with = |path: &str, value: Value| {
        let mut document = readers();
        *document.pointer_mut(path).unwrap() = value;
        document.to_string()
    };
    let unknown_field = readers().to_string().replacen('{', "{\"colour\": 1, ", 1);
    let duplicate = readers().to_string().replacen('{', "{\"name\": \"twice\", ", 1);
    for (text, named) in [
        (with("/time_restrictions/timezone", json!("Mars/Olympus")), "time_restrictions.timezone"),
        (with("/ip_restrictions/whitelist/0", json!("10.0.0.0/33")), "ip_restrictions.whitelist[0]"),
        (with("/rate_limits/requests_per_day", json!(-1)), "rate_limits.requests_per_day"),
        (with("/rate_limits/requests_per_day", json!(1e30)), "rate_limits.requests_per_day"),
        (with("/time_restrictions/allowed_hours/0", json!(24)), "time_restrictions.allowed_hours[0]"),
        (unknown_field, "colour"),
        (duplicate, "name"),
        ("{".into(), "line 1"),
    ] {
        let file = place.file("bad.json", &text);
        for verb in ["create", "apply"] {
            let told = place.fails(2, &["policy", verb, &file]);
            assert!(told.contains(named), "{verb} {named}: {told}");
        }
        let checked = place.run(&["policy", "check", &file, "--json"]);
        assert_eq!(code(&checked), 1, "{}", err(&checked));
        let answer = serde_json::from_slice::<Value>(&checked.stdout).unwrap();
        assert_eq!(fields(&answer), ["faults", "valid", "warnings"]);
        assert_eq!(answer["valid"], json!(false));
    }
    let unknown_scope = place.file("scope.json", r#"{"name": "x", "scopes": ["mcp:nothing"]}"#);
    assert!(place.fails(2, &["policy", "create", &unknown_scope]).contains("mcp:nothing"));
    assert_eq!(code(&place.run(&["policy", "check", &unknown_scope])), 1);
    place.fails(2, &["policy", "create", "/does/not/exist.json"]);
    assert_eq!(
        place.json(&["policy", "check", &place.file("good.json", readers().to_string())])["valid"],
        json!(true)
    );
}

#[test]
fn what_is_in_use_cannot_be_deleted() {
    let place = Place::new();
    place.ok(&["policy", "create", &place.file("readers.json", readers().to_string())]);
    let (id, _) = place.key(
        &["--subject", "a", "--scope", "docs:read", "--policy", "readers"]
            .map(|text| if text == "docs:read" { "mcp:read" } else { text }),
    );
    place.fails(4, &["policy", "delete", "readers"]);
    place.fails(4, &["policy", "delete", "default"]);
    place.fails(3, &["policy", "delete", "nobody"]);
    place.ok(&["key", "revoke", &id]);
    assert_eq!(place.json(&["policy", "list"])["items"][1]["credentials"], json!(1));
}

#[test]
fn the_editor_s_work_is_saved_or_kept() {
    let place = Place::new();
    place.ok(&["policy", "create", &place.file("readers.json", readers().to_string())]);
    let edit = |editor: &str| {
        let mut command = place.command(&["policy", "edit", "readers", "--reason", "by hand"]);
        command.env("EDITOR", editor).env("TMPDIR", place.path()).output().unwrap()
    };
    let saved = edit("sed -i s/Berlin/Paris/");
    assert_eq!(code(&saved), 0, "{}", err(&saved));
    assert!(out(&saved).contains("time_restrictions.timezone"), "{}", out(&saved));
    assert_eq!(place.json(&["policy", "show", "readers"])["revision"], json!(2));

    assert_eq!(code(&edit("true")), 0);
    let broken = edit("sed -i s/Paris/Nowhere/");
    assert_eq!(code(&broken), 2);
    assert!(err(&broken).contains("what you wrote is kept"), "{}", err(&broken));
    let drafts = || std::fs::read_dir(place.path()).unwrap().flatten().map(|entry| entry.file_name());
    let kept = drafts().filter(|name| name.to_string_lossy().starts_with("portcullis-readers")).count();
    assert_eq!(kept, 1, "the broken draft, and none of those that were saved");
    assert_eq!(code(&edit("false")), 5);
    assert_eq!(
        drafts().filter(|name| name.to_string_lossy().starts_with("portcullis-readers")).count(),
        kept,
        "nothing was written, nothing is left"
    );
    let failed = edit("sh -c 'echo more >> \"$0\"; exit 1'");
    assert_eq!(code(&failed), 5);
    assert!(err(&failed).contains("what you wrote is kept"), "{}", err(&failed));
    assert_eq!(code(&edit("")), 2, "without an editor and a terminal there is nothing to edit with");
    assert_eq!(code(&edit("sed -i s/readers/writers/")), 2);
    assert_eq!(place.json(&["policy", "show", "readers"])["revision"], json!(2));
}

#[test]
fn a_simulation_answers_line_by_line() {
    let place = Place::new();
    let policy = place.file("readers.json", readers().to_string());
    let requests = [
        json!({"at": "2026-07-28T08:00:00Z", "ip": "10.0.0.1", "endpoint": "tools/list"}),
        json!({"at": "2026-07-28T08:00:01Z", "ip": "10.0.0.66", "endpoint": "tools/call/delete_all"}),
        json!({"at": "2026-07-28T08:00:02Z", "ip": "10.0.0.1", "endpoint": "tools/list", "scopes": ["resources:read"]}),
        json!({"at": "2026-07-28T08:00:03Z", "ip": "::ffff:10.0.0.1", "endpoint": "tools/list"}),
        json!({"at": "2026-07-28T08:00:04Z", "ip": "10.0.0.1", "endpoint": "tools/list"}),
        json!({"at": "2026-07-28T12:00:00Z", "ip": "192.0.2.1", "endpoint": "tools/list"}),
    ];
    let lines = requests.map(|request| format!("{request}\n")).concat();
    let expected = [
        json!({"allowed": true, "reason": null, "failed": []}),
        json!({"allowed": false, "reason": "ip_denied", "failed": ["ip_denied", "endpoint_denied"]}),
        json!({"allowed": false, "reason": "insufficient_scope", "failed": ["insufficient_scope"]}),
        json!({"allowed": true, "reason": null, "failed": []}),
        json!({"allowed": false, "reason": "rate_limited", "failed": ["rate_limited"]}),
        json!({"allowed": false, "reason": "ip_denied", "failed": ["ip_denied", "time_denied"]}),
    ];
    let answers = |output: &str| {
        output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let file = place.file("requests.jsonl", &lines);
    let by_file = place.ok(&["policy", "simulate", "--policy", &policy, "--requests", &file, "--json"]);
    assert_eq!(answers(&by_file), expected);
    place.ok(&["policy", "create", &policy]);
    let by_name = place.feed(&["policy", "simulate", "--policy", "readers", "--json"], &lines);
    assert_eq!((code(&by_name), answers(&out(&by_name))), (0, expected.to_vec()));

    let bad =
        format!("{}\nnot json\n", json!({"at": "2026-07-28T08:00:00Z", "ip": "10.0.0.1", "endpoint": "x"}));
    for (lines, named) in [
        (bad.as_str(), "line 2"),
        ("\n\n[]", "line 3"),
        (
            concat!(
                r#"{"at": "2026-07-28T08:00:01Z", "ip": "10.0.0.1", "endpoint": "x"}"#,
                "\r\n\r\n",
                r#"{"at": "2026-07-28T08:00:00Z", "ip": "10.0.0.1", "endpoint": "x"}"#
            ),
            "line 3",
        ),
        (
            r#"{"at": "2026-07-28T08:00:00Z", "ip": "10.0.0.1", "ip": "10.0.0.1", "endpoint": "x"}"#,
            "duplicate",
        ),
        (r#"{"at": "soon", "ip": "10.0.0.1", "endpoint": "x"}"#, "line 1"),
        (r#"{"at": "2026-07-28T08:00:00Z", "ip": "10.0.0.1", "endpoint": "x", "colour": 1}"#, "line 1"),
    ] {
        let output = place.feed(&["policy", "simulate", "--policy", "readers", "--json"], lines);
        assert_eq!(code(&output), 2);
        assert!(err(&output).contains(named), "{}", err(&output));
        assert!(!err(&output).contains(" at line "), "one line number, ours: {}", err(&output));
    }
    let by_crlf = place.feed(
        &["policy", "simulate", "--policy", "readers", "--requests", "-", "--json"],
        format!("\r\n{}", lines.replace('\n', "\r\n\r\n")),
    );
    assert_eq!((code(&by_crlf), answers(&out(&by_crlf))), (0, expected.to_vec()), "{}", err(&by_crlf));
    place.fails(3, &["policy", "simulate", "--policy", "nobody"]);
    place.fails(2, &["policy", "simulate", "--policy", "./nobody.json"]);
    place.fails(2, &["policy", "simulate", "--policy", "-", "--requests", "-"]);
    assert_eq!(place.ok(&["policy", "simulate", "--policy", "readers", "--since", "24h", "--json"]), "");
}

#[test]
fn what_only_judges_makes_no_home() {
    let place = Place::new();
    let good = place.file("readers.json", readers().to_string());
    let bad = place.file("bad.json", r#"{"name": "x", "scopes": ["mpc:read"]}"#);
    let call = json!({"at": "2026-07-28T08:00:00Z", "ip": "10.0.0.1", "endpoint": "tools/list", "scopes": ["mcp:read"]});
    let calls = place.file("calls.jsonl", format!("{call}\n"));
    let told = |expected: i32, arguments: &[&str]| {
        let output = place.run(arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {}{}", out(&output), err(&output));
        assert!(!place.home().exists(), "{arguments:?} made a home");
        out(&output) + &err(&output)
    };
    assert!(told(0, &["policy", "check", &good]).starts_with("valid"));
    assert!(told(1, &["policy", "check", &bad]).contains("did you mean `mcp:read`?"));
    let simulate = ["policy", "simulate", "--policy"];
    let answered = told(0, &[&simulate[..], &[&good, "--requests", &calls, "--json"]].concat());
    assert_eq!(answered, "{\"allowed\":true,\"reason\":null,\"failed\":[]}\n");
    for (arguments, why) in [
        (&["readers", "--requests", &calls][..], "neither a file nor a saved policy `readers`"),
        (&[&good, "--since", "24h"], "nothing was recorded"),
    ] {
        let refused = told(3, &[&simulate, arguments].concat());
        assert!(refused.contains(why) && refused.contains("mend: "), "{refused}");
    }
    // With a home it is the home's word that counts.
    place.ok(&["scope", "set", "mpc:read", "--endpoint", "tools/list"]);
    place.ok(&["policy", "check", &bad]);
    place.ok(&["policy", "create", &good]);
    place.ok(&[&simulate[..], &["readers", "--requests", &calls]].concat());
}

#[test]
fn a_misspelt_name_is_answered_with_the_one_that_was_meant() {
    let place = Place::new();
    let document = place.file("readers.json", readers().to_string());
    place.ok(&["policy", "create", &document]);
    for (expected, arguments, meant) in [
        (3, &["policy", "show", "raeders"][..], "did you mean `readers`?"),
        (3, &["policy", "history", "raeders"], "did you mean `readers`?"),
        (3, &["policy", "delete", "reader"], "did you mean `readers`?"),
        (3, &["policy", "rollback", "readrs", "1"], "did you mean `readers`?"),
        (3, &["policy", "show", "zebra"], "`portcullis policy list` shows those there are"),
        (3, &["scope", "remove", "mcp:raed"], "did you mean `mcp:read`?"),
        (
            2,
            &["key", "create", "--subject", "a", "--scope", "mcp:read", "--policy", "raeders"],
            "did you mean `readers`?",
        ),
        (
            2,
            &["key", "create", "--subject", "a", "--scope", "mcp:read tools:call"],
            "commas: mcp:read,tools:call",
        ),
        (2, &["policy", "export"], "portcullis policy export --all"),
    ] {
        let told = place.fails(expected, arguments);
        assert!(told.contains(meant), "{arguments:?}: {told}");
    }
    place.key(&["--subject", "a", "--scope", "mcp:read,tools:call", "--policy", "readers"]);
    assert!(place.ok(&["key", "create", "--help"]).contains("portcullis scope list"));
}

#[test]
fn a_bracket_in_a_pattern_means_itself() {
    let place = Place::new();
    place.ok(&["scope", "set", "odd", "--endpoint", "tools/call/a[bc]", "tools/call/d?"]);
    let (_, key) = place.key(&["--subject", "a", "--scope", "odd"]);
    for (endpoint, expected) in [("a[bc]", 0), ("d?", 0), ("ab", 1), ("de", 1), ("a[bc", 1)]
        .map(|(tool, code)| (format!("tools/call/{tool}"), code))
    {
        let judged = place.feed(&["key", "verify", "--endpoint", &endpoint], &key);
        assert_eq!(code(&judged), expected, "{endpoint}: {}", out(&judged));
    }
    assert!(place.ok(&["scope", "set", "--help"]).contains("means itself"));
}

#[test]
fn the_catalogue_is_kept() {
    let place = Place::new();
    let set = place.json(&[
        "scope",
        "set",
        "docs:read",
        "--endpoint",
        "resources/read/**",
        "--description",
        "Docs",
    ]);
    assert_eq!(set, json!({"name": "docs:read", "description": "Docs", "endpoints": ["resources/read/**"]}));
    let names = |list: Value| {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|scope| scope["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(names(place.json(&["scope", "list"])).contains(&"docs:read".to_owned()));
    place.key(&["--subject", "a", "--scope", "docs:read"]);
    place.fails(4, &["scope", "remove", "docs:read"]);
    place.fails(4, &["scope", "remove", "mcp:*"]);
    place.fails(3, &["scope", "remove", "nothing"]);
    place.fails(2, &["scope", "set", "bad", "--endpoint", ""]);
    place.fails(2, &["scope", "set", "with space", "--endpoint", "x"]);
}
