//! The README's tour works as it stands.

use std::process::Command;

use crate::support::{BINARY, Place};

/// The commands of the tour: what follows `$ ` in the block marked as tested.
fn tour() -> impl Iterator<Item = &'static str> {
    let readme = include_str!("../../README.md");
    let (_, block) = readme.split_once("<!-- tested -->\n```console\n").unwrap();
    let (block, _) = block.split_once("\n```").unwrap();
    block.lines().filter_map(|line| line.strip_prefix("$ "))
}

#[test]
fn the_tour_can_be_typed_as_it_stands() {
    let place = Place::new();
    let mut typed = 0;
    for line in tour() {
        let script = format!("portcullis() {{ {BINARY:?} \"$@\"; }}; {line}");
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("PORTCULLIS_HOME", place.home())
            .current_dir(place.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        typed += 1;
    }
    assert!(typed >= 10, "the tour was not found");
}

#[test]
fn every_command_of_the_overview_exists() {
    let readme = include_str!("../../README.md");
    let (_, overview) = readme.split_once("portcullis [--home DIR] [--json] [--config FILE]\n").unwrap();
    let (overview, _) = overview.split_once("```").unwrap();
    let place = Place::new();
    for noun in ["key", "token", "signing-key", "issuer", "policy", "scope", "audit", "store"] {
        let line = overview.lines().find(|line| line.trim_start().starts_with(noun)).unwrap();
        for verb in line.split_whitespace().skip(1) {
            place.ok(&[noun, verb, "--help"]);
        }
    }
}
