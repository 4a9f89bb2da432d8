//! No file imports, by whatever way, a file that imports it: what lies in no circle can be read, tested and moved alone.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::Imports;
use super::sources;

/// Two files that are one thing, and why.
const PAIRS: &[(&str, &str, &str)] = &[
    (
        "gateway/wire/fields",
        "gateway/wire/outbox",
        "fields are written as they were read, and lines as fields",
    ),
    (
        "gateway/upstream/answer",
        "gateway/upstream/pool",
        "the pool lends a connection, and the answer brings it back",
    ),
    (
        "gateway/mcp/body",
        "gateway/mcp/body/acts_on",
        "what a message acts on stands in the body, with the faults of that",
    ),
    (
        "gateway/call/headers/names",
        "gateway/call/headers/names/pattern",
        "a pattern may cover none of these names",
    ),
];

/// Circles that are to be opened, a blank line between two: no file may join one, and who leaves is taken off.
const KNOWN: &str = include_str!("circles.txt");

/// Rooms of bytes, and what of the gateway each may import beside itself. None of them knows what is decided.
const BYTES: [(&str, &[&str]); 3] = [
    ("gateway/wire", &[]),
    ("gateway/upstream", &["gateway/wire", "gateway/config"]),
    ("gateway/connection", &["gateway/wire", "gateway/config", "gateway/stream"]),
];

/// What none of them may name.
const DECIDING: [&str; 2] = ["engine", "domain/decision"];

type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn files_import_each_other_in_pairs_at_most() {
    let faults = faults(&Imports::of(&sources()).all(), PAIRS, KNOWN);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn bytes_know_nothing_of_what_is_decided() {
    let graph = Imports::of(&sources()).all();
    assert!(BYTES.iter().all(|(room, _)| graph.keys().any(|file| is_in(file, room))), "a room is gone");
    let faults = decided_in_bytes(&graph);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn faults(graph: &Graph, pairs: &[(&str, &str, &str)], known: &str) -> Vec<String> {
    let known: Vec<Vec<&str>> = known
        .split("\n\n")
        .map(|circle| circle.lines().collect())
        .filter(|circle: &Vec<_>| !circle.is_empty())
        .collect();
    let circles = circles(graph);
    let is_pair = |circle: &BTreeSet<String>| {
        let is_all = |pair: [&str; 2]| circle.len() == 2 && pair.iter().all(|file| circle.contains(*file));
        pairs.iter().any(|(a, b, _)| is_all([a, b]))
    };
    let new = circles.iter().filter(|circle| !is_pair(circle)).filter_map(|circle| {
        let is_new = |known: &[&str]| circle.iter().filter(|file| !known.contains(&file.as_str())).collect();
        let files: Vec<&String> =
            known.iter().map(|known| is_new(known)).min_by_key(Vec::len).unwrap_or_default();
        match (files.len(), circle.len()) {
            (0, _) if !known.is_empty() => None,
            (new, all) if !known.is_empty() && new < all => Some(format!("{files:?} may not join a circle")),
            _ => Some(format!("these import each other: {circle:?}")),
        }
    });
    let stands = |file: &str, with: &dyn Fn(&str) -> bool| {
        let circle = circles.iter().find(|circle| circle.contains(file));
        circle.is_some_and(|circle| circle.iter().any(|other| other != file && with(other)))
    };
    let in_no_circle = known.iter().flat_map(|known| {
        let gone = known.iter().filter(|file| !stands(file, &|other| known.contains(&other)));
        gone.map(|file| format!("{file} is in no circle any more: take it off circles.txt"))
    });
    let no_pair = pairs.iter().filter(|(a, b, _)| !stands(a, &|other| other == *b));
    let no_pair = no_pair.map(|(a, b, _)| format!("{a} and {b} are no pair any more: take them off PAIRS"));
    new.chain(in_no_circle).chain(no_pair).collect()
}

/// Each largest set of files of which each imports every other, by whatever way.
fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reached: Graph = graph.keys().map(|file| (file.clone(), reached(graph, file))).collect();
    let mut circles: Vec<BTreeSet<String>> = Vec::new();
    for (file, there) in &reached {
        if there.contains(file) && !circles.iter().any(|circle| circle.contains(file)) {
            let back = |other: &&String| reached.get(*other).is_some_and(|its| its.contains(file));
            circles.push(there.iter().filter(back).cloned().collect());
        }
    }
    circles
}

/// What a file imports by whatever way; itself where it is in a circle.
fn reached(graph: &Graph, from: &str) -> BTreeSet<String> {
    let (mut reached, mut ahead) = (BTreeSet::new(), vec![from]);
    while let Some(file) = ahead.pop() {
        for next in graph.get(file).into_iter().flatten() {
            if reached.insert(next.clone()) {
                ahead.push(next);
            }
        }
    }
    reached
}

fn is_in(file: &str, room: &str) -> bool {
    file.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn decided_in_bytes(graph: &Graph) -> Vec<String> {
    let mut faults = Vec::new();
    for (room, lent) in BYTES {
        for (file, imported) in graph.iter().filter(|(file, _)| is_in(file, room)) {
            let is_lent = |other: &str| [room].iter().chain(lent).any(|lent| is_in(other, lent));
            let is_wrong = |other: &&String| match is_in(other, "gateway") {
                true => !is_lent(other),
                false => DECIDING.iter().any(|room| is_in(other, room)),
            };
            faults.extend(
                imported.iter().filter(is_wrong).map(|other| format!("{file} may not import {other}")),
            );
        }
    }
    faults
}

fn graph(edges: &[(&str, &[&str])]) -> Graph {
    edges
        .iter()
        .map(|(file, to)| ((*file).to_owned(), to.iter().map(|it| (*it).to_owned()).collect()))
        .collect()
}

#[test]
fn a_circle_is_a_fault_unless_it_is_a_pair_or_known() {
    let pair = graph(&[("a", &["b"]), ("b", &["a", "c"]), ("c", &[])]);
    let three = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["a", "d"]), ("d", &[])]);
    let line = graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    let pairs: &[(&str, &str, &str)] = &[("b", "a", "one thing")];
    assert_eq!(faults(&line, &[], ""), Vec::<String>::new());
    assert_eq!(faults(&pair, &[], ""), [r#"these import each other: {"a", "b"}"#]);
    assert_eq!(faults(&pair, pairs, ""), Vec::<String>::new());
    assert_eq!(faults(&line, pairs, ""), ["b and a are no pair any more: take them off PAIRS"]);
    assert_eq!(faults(&three, &[], ""), [r#"these import each other: {"a", "b", "c"}"#]);
    assert_eq!(faults(&three, pairs, "").len(), 1, "not two of three");
    assert_eq!(faults(&three, &[], "a\nb\nc\n"), Vec::<String>::new());
    assert_eq!(faults(&three, &[], "a\nb\n"), [r#"["c"] may not join a circle"#], "nobody joins");
    assert_eq!(faults(&pair, &[], "a\nb\nc\n"), ["c is in no circle any more: take it off circles.txt"]);
}

#[test]
fn a_room_of_bytes_that_asks_who_decides_is_found() {
    let asks = |file: &str, imported: &str| decided_in_bytes(&graph(&[(file, &[imported])]));
    assert_eq!(
        asks("gateway/wire/fields", "engine/seen"),
        ["gateway/wire/fields may not import engine/seen"]
    );
    for (file, imported) in [
        ("gateway/wire", "engine"),
        ("gateway/wire/tap", "gateway/upstream/pool"),
        ("gateway/upstream/head", "domain/decision"),
        ("gateway/upstream/head", "gateway/call/headers"),
        ("gateway/connection/tls", "gateway/worker"),
    ] {
        assert_eq!(asks(file, imported).len(), 1, "{file} {imported}");
    }
    for (file, imported) in [
        ("gateway/wire/tap", "domain/clock"),
        ("gateway/wire/tap", "gateway/wire/fields"),
        ("gateway/upstream/pool", "gateway/config/url"),
        ("gateway/connection/http_1/reply", "gateway/stream"),
        ("gateway/streams", "engine"),
        ("gateway/wired", "engine"),
    ] {
        assert_eq!(asks(file, imported), Vec::<String>::new(), "{file} {imported}");
    }
}
