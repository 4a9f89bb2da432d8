//! The house keeps its own rules: which room may import which, who may name which crate, and that files import each other
//! in no circle.
//!
//! The sources are read with the compiler's own lexer (`proc_macro2`), so that comments, strings and grouped imports are
//! what they are to the compiler. The rules are for what is shipped: a room's tests may set the scene with any room.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

mod circles;
mod imports;
mod kinds;

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// From left to right: a room may import itself and whatever stands in a group before its own.
const ROOMS: [&[&str]; 7] =
    [&["domain"], &["vault"], &["store"], &["ops", "engine"], &["gateway", "console"], &["demo"], &["cli"]];

/// What `domain` may not name: it is pure.
const IMPURE: [&str; 8] =
    ["tokio", "rusqlite", "hyper", "hyper_util", "http", "reqwest", "ratatui", "crossterm"];

/// Crates that some rooms, or folders of one, keep to themselves: who draws on the terminal, who speaks HTTP, and who knows
/// which database there is.
const KEPT: [(&str, &[&str]); 3] =
    [("ratatui", &["console"]), ("hyper", &["gateway", "demo"]), ("rusqlite", &["store/sqlite"])];

#[test]
fn every_import_goes_to_the_left() {
    let sources = sources();
    let for_tests: Vec<PathBuf> =
        sources.iter().flat_map(|(path, text)| modules_for_tests(path, text)).collect();
    let is_shipped =
        |path: &Path| !for_tests.iter().any(|module| path.with_extension("").starts_with(module));
    let faults: Vec<String> = sources
        .iter()
        .filter(|(path, _)| is_shipped(path))
        .flat_map(|(path, text)| {
            let named = faults(&Place::of(path), text).into_iter();
            named.map(move |(line, fault)| format!("src/{}:{line}: {fault}", path.display()))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .iter()
        // What these are for stands in their name, and in the module that they test.
        .filter(|(path, _)| !path.ends_with("tests.rs"))
        .filter(|(_, text)| !text.trim_start().starts_with("//!"))
        .map(|(path, _)| format!("src/{}:1: does not begin with //!", path.display()))
        .collect();
    assert!(silent.is_empty(), "\n{}\n", silent.join("\n"));
}

/// Every `.rs` file under `src`, its path relative to it, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source is UTF-8");
                found.push((path.strip_prefix(&root).expect("below src").to_owned(), text));
            }
        }
    }
    assert!(found.len() > 20, "only {} sources found: is this the right folder?", found.len());
    found.sort();
    found
}

/// Where a source stands.
struct Place {
    /// `None` for `lib.rs` and `main.rs`, which stand outside every room.
    room: Option<String>,
    /// Its path without an extension.
    path: PathBuf,
    /// How many `super::` lead from its top level to the root of the crate.
    depth: usize,
}

impl Place {
    fn of(path: &Path) -> Self {
        let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        let (room, depth) = match parts.as_slice() {
            ["lib.rs" | "main.rs"] | [] => (None, 0),
            [file] => (Some(file.trim_end_matches(".rs").to_owned()), 1),
            [room, .., "mod.rs"] => (Some((*room).to_owned()), parts.len() - 1),
            [room, ..] => (Some((*room).to_owned()), parts.len()),
        };
        Self { room, path: path.with_extension(""), depth }
    }
}

/// The faults of one source, with their lines.
fn faults(place: &Place, text: &str) -> Vec<(usize, String)> {
    let Some(room) = place.room.as_deref() else { return Vec::new() };
    let Some(own) = position(room) else {
        return vec![(1, format!("`{room}` has no place in the house (see ROOMS)"))];
    };
    let mut named = Vec::new();
    collect(&tokens(text), &mut named);
    named.into_iter().filter_map(|name| Some((name.line, name.fault(room, own, place)?))).collect()
}

fn position(room: &str) -> Option<usize> {
    ROOMS.iter().position(|group| group.contains(&room))
}

/// The first step of a path that leaves the module it stands in.
#[derive(Debug)]
struct Named {
    line: usize,
    origin: Origin,
    name: String,
}

#[derive(Clone, Copy, Debug)]
enum Origin {
    /// `crate::name`
    Root,
    /// `super::…::name`, with so many `super`s.
    Above(usize),
    /// `name::…`, a crate (or anything local, which no rule forbids).
    Elsewhere,
}

impl Named {
    fn fault(&self, room: &str, own: usize, place: &Place) -> Option<String> {
        let name = self.name.as_str();
        let inside = match self.origin {
            Origin::Root => true,
            Origin::Above(steps) => steps >= place.depth,
            Origin::Elsewhere => name == "portcullis",
        };
        if inside {
            let there = position(name)?;
            let allowed = name == room || there < own;
            return (!allowed).then(|| format!("`{room}` may not import `{name}`"));
        }
        if !matches!(self.origin, Origin::Elsewhere) {
            return None;
        }
        if room == "domain" && IMPURE.contains(&name) {
            return Some(format!("`domain` is pure and may not name `{name}`"));
        }
        let (_, keepers) = KEPT.iter().find(|(kept, _)| *kept == name)?;
        let is_kept = keepers.iter().any(|keeper| place.path.starts_with(keeper));
        (!is_kept).then(|| format!("only {} may name `{name}`", keepers.join(" and ")))
    }
}

fn tokens(text: &str) -> Vec<TokenTree> {
    let stream = TokenStream::from_str(text).unwrap_or_else(|error| panic!("not Rust: {error}"));
    stream.into_iter().collect()
}

/// The modules in files of their own that `text`, the source at `path`, declares under `#[cfg(test)]`: their paths
/// without an extension.
fn modules_for_tests(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder = match path.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().unwrap_or(path).to_owned(),
        _ => path.with_extension(""),
    };
    let tokens = tokens(text);
    let declared = (0..tokens.len()).filter(|at| is_for_tests(&tokens, *at)).filter_map(|at| {
        match tokens.get(at + 2..at + 5)? {
            [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(end)]
                if word == "mod" && end.as_char() == ';' =>
            {
                Some(folder.join(name.to_string()))
            }
            _ => None,
        }
    });
    declared.collect()
}

/// Whether `#[cfg(test)]` stands at `at`.
fn is_for_tests(tokens: &[TokenTree], at: usize) -> bool {
    punct(tokens, at) == Some('#')
        && matches!(tokens.get(at + 1), Some(TokenTree::Group(attribute)) if attribute.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// Where the item that begins at `at` ends: after its braces or its semicolon.
fn end_of_item(tokens: &[TokenTree], at: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    };
    tokens.iter().skip(at).position(ends).map_or(tokens.len(), |length| at + length + 1)
}

/// Walks the tokens and notes where each path begins, but for what is compiled for tests alone.
fn collect(tokens: &[TokenTree], named: &mut Vec<Named>) {
    let mut skipped = 0;
    for (at, token) in tokens.iter().enumerate() {
        if at < skipped {
            continue;
        }
        match token {
            TokenTree::Punct(_) if is_for_tests(tokens, at) => skipped = end_of_item(tokens, at + 2),
            // The branches of `a::{…}` were read with the path they belong to.
            TokenTree::Group(_) if at >= 2 && separated(tokens, at - 2) => {}
            TokenTree::Group(group) => collect(&group.stream().into_iter().collect::<Vec<_>>(), named),
            TokenTree::Ident(_) if !continues(tokens, at) => path(tokens, at, Origin::Elsewhere, named),
            _ => {}
        }
    }
}

/// Reads the path at `at`, which `origin` leads to, up to the first step that is a name; every branch where it forks.
fn path(tokens: &[TokenTree], mut at: usize, mut origin: Origin, named: &mut Vec<Named>) {
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        let follows = separated(tokens, at + 1);
        origin = match (word.to_string().as_str(), origin) {
            ("crate", _) if follows => Origin::Root,
            ("self", Origin::Elsewhere) if follows => Origin::Above(0),
            ("super", Origin::Above(steps)) if follows => Origin::Above(steps + 1),
            ("super", _) if follows => Origin::Above(1),
            (name, origin) => {
                let imported =
                    at > 0 && matches!(&tokens[at - 1], TokenTree::Ident(before) if before == "use");
                if follows || imported || !matches!(origin, Origin::Elsewhere) {
                    named.push(Named { line: word.span().start().line, origin, name: name.to_owned() });
                }
                return;
            }
        };
        at += 3;
    }
    if let Some(TokenTree::Group(group)) = tokens.get(at)
        && group.delimiter() == Delimiter::Brace
    {
        let branches: Vec<TokenTree> = group.stream().into_iter().collect();
        let begins = |index: &usize| *index == 0 || punct(&branches, index - 1) == Some(',');
        for index in (0..branches.len()).filter(begins) {
            path(&branches, index, origin, named);
        }
    }
}

/// Whether the word at `at` is a later step of a path (`a::HERE`) or a field or method (`a.HERE`).
fn continues(tokens: &[TokenTree], at: usize) -> bool {
    if at >= 1 && punct(tokens, at - 1) == Some('.') {
        return true;
    }
    if at < 3 || !separated(tokens, at - 2) {
        return false;
    }
    match &tokens[at - 3] {
        TokenTree::Ident(before) => {
            !["use", "return", "in", "dyn", "mut", "as", "impl", "for"].contains(&before.to_string().as_str())
        }
        TokenTree::Punct(before) => before.as_char() == '>',
        _ => false,
    }
}

fn separated(tokens: &[TokenTree], at: usize) -> bool {
    punct(tokens, at) == Some(':') && punct(tokens, at + 1) == Some(':')
}

fn punct(tokens: &[TokenTree], at: usize) -> Option<char> {
    match tokens.get(at)? {
        TokenTree::Punct(punct) => Some(punct.as_char()),
        _ => None,
    }
}

/// The faults found in `text`, were it the source at `path`.
fn judged(path: &str, text: &str) -> Vec<String> {
    faults(&Place::of(Path::new(path)), text)
        .into_iter()
        .map(|(line, fault)| format!("{line}: {fault}"))
        .collect()
}

#[test]
fn an_import_to_the_right_is_found_wherever_it_hides() {
    let fault = ["1: `store` may not import `ops`"];
    for text in [
        "use crate::ops::key;",
        "pub use crate::ops;",
        "use crate::{domain::name, ops::{self, key}};",
        "use {crate::domain, crate::ops as hidden};",
        "fn f() { crate::ops::key::create() }",
        "fn f(x: &dyn crate::ops::Act) {}",
        "fn f() { let x = [1].map(|_| crate::ops::one()); }",
        "impl crate::ops::Act for X {}",
        "macro_rules! m { () => { $crate::ops::one() } }",
        "use super::super::ops;",
        "use super::{super::ops};",
        "fn f() { portcullis_is_not_a_path(); super::super::ops::one() }",
        "#[cfg(test)] mod tests { use crate::ops; } use crate::ops;",
        "#[cfg(test)] use crate::ops; fn f() { crate::ops::one() }",
        "#[cfg(not(test))] mod shipped { use crate::ops; }",
        "vec![crate::ops::one()];",
    ] {
        assert_eq!(judged("store/audit.rs", text), fault, "{text}");
    }
    assert_eq!(judged("engine/mod.rs", "\nuse crate::ops;"), ["2: `engine` may not import `ops`"]);
    assert_eq!(judged("console/app.rs", "use crate::gateway;"), ["1: `console` may not import `gateway`"]);
    assert_eq!(judged("vault.rs", "use super::store;"), ["1: `vault` may not import `store`"]);
    assert_eq!(judged("novel/mod.rs", ""), ["1: `novel` has no place in the house (see ROOMS)"]);
}

#[test]
fn an_import_to_the_left_and_mere_talk_are_no_fault() {
    for text in [
        "use crate::{domain::{name::Subject, ops}, vault};",
        "use crate::store::feed; use super::feed; use self::ops::x;",
        "//! Never `crate::ops`.\n/// [`crate::ops`]\n// crate::ops\nconst S: &str = \"crate::ops::x\"; /* use crate::ops; */",
        "fn f(ops: Ops) { ops::local(); x.ops(); domain::ops::f(); <T as X>::ops::f() }",
        "mod ops; use super::ops::x;",
        "#[cfg(test)] #[allow(x)] mod tests { use crate::ops; } #[cfg(test)] use crate::ops::x; #[cfg(test)] mod far;",
    ] {
        assert_eq!(judged("store/audit.rs", text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(
        judged("cli/key.rs", "use crate::{demo, console, gateway, ops, engine};"),
        Vec::<String>::new()
    );
    assert_eq!(judged("main.rs", "use portcullis::cli;"), Vec::<String>::new());
}

#[test]
fn a_crate_out_of_its_room_is_found() {
    for text in [
        "use tokio::sync;",
        "use tokio;",
        "fn f() { tokio::spawn(x) }",
        "use ::tokio::time;",
        "fn f(a: ::tokio::T) {}",
    ] {
        assert_eq!(
            judged("domain/clock.rs", text),
            ["1: `domain` is pure and may not name `tokio`"],
            "{text}"
        );
    }
    assert_eq!(judged("ops/key.rs", "use hyper::Request;"), ["1: only gateway and demo may name `hyper`"]);
    assert_eq!(judged("cli/key.rs", "use ratatui::text;"), ["1: only console may name `ratatui`"]);
    assert_eq!(
        judged("domain/clock.rs", "use super::http::x; fn f() { self::tokio::x(); a::tokio::x() }"),
        Vec::<String>::new()
    );
    for path in ["store/mod.rs", "store/sqlite_more.rs", "cli/doctor.rs"] {
        assert_eq!(
            judged(path, "fn f(c: &rusqlite::Connection) {}"),
            ["1: only store/sqlite may name `rusqlite`"]
        );
    }
    for path in ["store/sqlite.rs", "store/sqlite/rows.rs"] {
        assert_eq!(judged(path, "use rusqlite::Row; use tokio::sync;"), Vec::<String>::new());
    }
}

#[test]
fn a_module_for_tests_is_known_by_its_declaration() {
    let text = "mod shipped; #[cfg(test)] mod tests; #[cfg(test)] mod inline {} #[cfg(unix)] mod other;";
    let found = |path: &str| modules_for_tests(Path::new(path), text);
    assert_eq!(found("engine/mod.rs"), [Path::new("engine/tests")]);
    assert_eq!(found("engine/lessor.rs"), [Path::new("engine/lessor/tests")]);
    assert!(Path::new("engine/tests/limits").starts_with("engine/tests"));
    assert!(!Path::new("engine/tests_of_steel").starts_with("engine/tests"));
}
