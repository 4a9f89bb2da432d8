//! `portcullis demo` without a terminal.

use std::fs;

use serde_json::json;

use crate::support::{Place, code, err};

#[test]
fn a_few_seconds_of_real_traffic_show_both_answers_and_leave_nothing_behind() {
    let place = Place::new();
    let output =
        place.command(&["demo", "--for", "3s", "--json"]).env("TMPDIR", place.path()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    let summary = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    assert!(summary["totals"]["allowed"].as_u64().unwrap() > 5, "{summary}");
    assert_eq!(summary["totals"]["failed"], json!(0), "{summary}");
    let outcomes = summary["outcomes"].as_array().unwrap();
    let outcomes = outcomes.iter().map(|outcome| outcome["key"].as_str().unwrap()).collect::<Vec<_>>();
    for expected in ["allowed", "expired", "revoked", "endpoint_denied", "insufficient_scope"] {
        assert!(outcomes.contains(&expected), "{expected} is missing: {outcomes:?}");
    }
    assert!(!summary["refusals"].as_array().unwrap().is_empty());
    assert!(!place.home().exists(), "the demo touches no home but its own");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "its own home is gone");
}

#[test]
fn the_demo_s_options_are_judged() {
    let place = Place::new();
    place.fails(2, &["demo", "--for", "ever"]);
    place.fails(2, &["demo", "--listen", "127.0.0.1:0"]);
}
