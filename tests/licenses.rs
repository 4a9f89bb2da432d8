//! What is compiled in, and under which licences, is what `assets/licenses.txt` says; and each is one that is allowed.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

const TEXT: &str = include_str!("../assets/licenses.txt");
/// What may be compiled in. MPL-2.0 holds file by file, and `portcullis licenses` says where the files are.
const ALLOWED: [&str; 12] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The list before the texts: a licence by name and version.
fn listed() -> BTreeMap<(&'static str, &'static str), &'static str> {
    let lines = TEXT.lines().take_while(|line| !line.starts_with("===="));
    let crates = lines.filter(|line| line.contains(" | ")).map(|line| {
        let mut parts = line.split(" | ");
        let (name, version) = parts.next().and_then(|named| named.split_once(' ')).expect("name and version");
        ((name, version), parts.next().expect("a licence"))
    });
    crates.collect()
}

#[test]
fn what_is_compiled_in_is_listed_and_nothing_else_of_the_lock() {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--offline", "-e", "normal", "--prefix", "none", "--format", "{p}"]);
    let output = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let crates: BTreeSet<(&str, &str)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.trim_start_matches('v')))
        })
        .filter(|(name, _)| *name != "portcullis")
        .collect();
    assert!(crates.len() > 100, "only {} crates found", crates.len());
    let listed = listed();
    let missing: Vec<_> = crates.iter().filter(|found| !listed.contains_key(*found)).collect();
    let renew = "renew it: cargo fetch --locked && python3 assets/licenses.py";
    assert!(missing.is_empty(), "not in assets/licenses.txt: {missing:?}; {renew}");
    let lock = include_str!("../Cargo.lock");
    for (name, version) in listed.keys() {
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&entry), "{name} {version} is no longer in Cargo.lock; {renew}");
    }
}

#[test]
fn every_licence_is_allowed_and_its_text_is_there() {
    let (_, texts) = TEXT.split_once("\n====").expect("the texts");
    let owners: BTreeSet<&str> = texts
        .split(&format!("{}\n", "=".repeat(4)))
        .filter_map(|part| part.lines().next())
        .flat_map(|line| line.split(" · "))
        .collect();
    for ((name, version), license) in listed() {
        assert!(is_allowed(license), "{name} {version} is under {license}");
        assert!(owners.contains(format!("{name} {version}").as_str()), "no text of {name} {version}");
    }
    assert!(texts.contains("Mozilla Public License Version 2.0"));
}

#[test]
fn one_licence_of_a_choice_must_be_allowed_and_all_of_a_sum() {
    for good in [
        "MIT",
        "MIT OR GPL-3.0",
        "MIT/Apache-2.0",
        "GPL-2.0 / MIT",
        "(MIT OR GPL-3.0) AND ISC",
        "ISC AND MIT",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in [
        "GPL-3.0",
        "",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "MIT WITH Something",
        "AGPL-3.0 OR SSPL-1.0",
    ] {
        assert!(!is_allowed(bad), "{bad}");
    }
}

/// An SPDX expression, in the forms that crates have them.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    choice(&mut rest) && rest.is_empty()
}

/// `a OR b`, where AND binds closer.
fn choice(words: &mut &[&str]) -> bool {
    let mut allowed = sum(words);
    while take(words, "OR") {
        // Both are read, whatever the first says.
        allowed |= sum(words);
    }
    allowed
}

fn sum(words: &mut &[&str]) -> bool {
    let mut allowed = one(words);
    while take(words, "AND") {
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut &[&str]) -> bool {
    if take(words, "(") {
        let allowed = choice(words);
        return take(words, ")") && allowed;
    }
    let Some((first, rest)) = words.split_first() else { return false };
    let mut name = (*first).to_owned();
    *words = rest;
    if take(words, "WITH") {
        let Some((exception, rest)) = words.split_first() else { return false };
        name = format!("{name} WITH {exception}");
        *words = rest;
    }
    ALLOWED.contains(&name.as_str())
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let is_next = words.first() == Some(&word);
    if is_next {
        *words = &words[1..];
    }
    is_next
}
