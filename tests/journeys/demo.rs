//! `portcullis demo`: what someone sees who has just downloaded the binary.

use std::{path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    PORTCULLIS,
    terminal::{Size, Terminal},
};

/// A folder for temporary files, so that what the demo leaves behind is seen.
fn scratch() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

fn assert_empty(folder: &TempDir) {
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    assert!(left.is_empty(), "the demo left {left:?} behind");
}

#[test]
fn without_a_terminal_the_demo_counts_for_a_while_and_leaves_nothing_behind() {
    let scratch = scratch();
    let demo = |arguments: &[&str]| {
        let output = Command::new(PORTCULLIS)
            .args(arguments)
            .env("TMPDIR", scratch.path())
            .env_remove("PORTCULLIS_HOME")
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_empty(&scratch);
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let text = demo(&["demo", "--for", "4s"]);
    assert!(text.contains("calls allowed"), "{text}");

    let summary: Value = serde_json::from_str(&demo(&["demo", "--for", "4s", "--json"])).expect("JSON");
    let count = |pointer: &str| summary.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    assert!(count("/totals/allowed") > 0, "{summary}");
    assert!(count("/totals/denied") > 0, "{summary}");
    let reasons: Vec<&str> = summary["refusals"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    for reason in ["endpoint_denied", "rate_limited"] {
        assert!(reasons.contains(&reason), "{reason} is shown: {reasons:?}");
    }
}

#[test]
fn in_a_terminal_the_demo_is_the_console_and_lives() {
    let scratch = scratch();
    let folder = scratch.path().to_str().expect("a UTF-8 path").to_owned();
    for size in [Size(80, 24), Size(160, 45)] {
        let mut terminal = Terminal::start(size, Path::new(PORTCULLIS), &["demo"], &[("TMPDIR", &folder)]);
        terminal.wait_for("DEMO");
        terminal.wait_for("live");
        let first = digits(&terminal.contents());
        terminal.wait_until("other counts than at first", |screen| {
            let now = digits(&screen.contents());
            now.len() >= first.len() && now != first
        });
        terminal.wait_for("rate_limited");
        terminal.press("Q");
        assert!(terminal.wait_for_end().success());
        terminal.assert_restored();
        assert_empty(&scratch);
    }
}

/// The counts on a screen, without its first row, which holds the time.
fn digits(contents: &str) -> Vec<String> {
    let body: Vec<&str> = contents.lines().skip(1).collect();
    body.join(" ")
        .split(|c: char| !c.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .map(str::to_owned)
        .collect()
}
