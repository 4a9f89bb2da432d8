//! Which file imports which: by what `use` brings in, and by the paths that stand in the text.
//!
//! A name that a file passes on is followed to where it is made, so that what a room re-exports for others, or its parts
//! find in their parent, is no import of the file that passes it on. To pass it on is none either.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenTree};

use super::{continues, end_of_item, is_for_tests, modules_for_tests, separated, tokens};

/// The steps of a path, from where it stands or from the root of the crate.
type Steps = Vec<String>;

/// What one file says.
#[derive(Default)]
struct Source {
    /// What its names stand for that were brought in.
    brought: BTreeMap<String, Steps>,
    named: Vec<Steps>,
}

/// The files of the crate by their modules, without those for tests.
pub struct Imports(BTreeMap<Steps, Source>);

impl Imports {
    pub fn of(sources: &[(PathBuf, String)]) -> Self {
        let for_tests: Vec<PathBuf> =
            sources.iter().flat_map(|(path, text)| modules_for_tests(path, text)).collect();
        let is_shipped =
            |path: &Path| !for_tests.iter().any(|module| path.with_extension("").starts_with(module));
        let shipped = sources.iter().filter(|(path, _)| is_shipped(path));
        Self(shipped.map(|(path, text)| (module(path), Source::read(text))).collect())
    }

    /// For each file, named by its module (`gateway/call`), those that it imports.
    pub fn all(&self) -> BTreeMap<String, BTreeSet<String>> {
        let imported = |(module, source): (&Steps, &Source)| {
            let files = source.named.iter().filter_map(|path| self.file(self.absolute(module, path)?, 0));
            let others = files.filter(|file| file != module && !file.is_empty());
            (module.join("/"), others.map(|file| file.join("/")).collect())
        };
        self.0.iter().map(imported).collect()
    }

    /// The path from the root; `None` where it leads to another crate, or to what the file has itself.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Steps> {
        let (first, rest) = path.split_first()?;
        let joined = |base: &[String]| [base, rest].concat();
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some(joined(module)),
            "super" => {
                let above = path.iter().take_while(|step| *step == "super").count();
                Some([&module[..module.len().checked_sub(above)?], &path[above..]].concat())
            }
            name => match self.0.get(module)?.brought.get(name) {
                Some(whole) if whole.first() != Some(first) => {
                    Some([self.absolute(module, whole)?, rest.to_vec()].concat())
                }
                _ => {
                    let child = [module, std::slice::from_ref(first)].concat();
                    self.0.contains_key(&child).then(|| joined(&child))
                }
            },
        }
    }

    /// In which file that is made to which a path from the root leads.
    fn file(&self, path: Steps, passed_on: usize) -> Option<Steps> {
        let length = (0..=path.len()).rev().find(|length| self.0.contains_key(&path[..*length]))?;
        let (file, rest) = path.split_at(length);
        let whole = rest.first().and_then(|name| self.0.get(file)?.brought.get(name));
        let whole = whole.filter(|_| passed_on < 8).and_then(|whole| self.absolute(file, whole));
        match whole {
            Some(whole) => self.file([whole, rest[1..].to_vec()].concat(), passed_on + 1),
            None => Some(file.to_vec()),
        }
    }
}

/// `gateway/call/mod.rs` and `gateway/call.rs` are the module `gateway/call`.
fn module(path: &Path) -> Steps {
    let path = path.with_extension("");
    let steps: Steps = path.iter().map(|step| step.to_string_lossy().into_owned()).collect();
    match steps.split_last() {
        Some((last, folder)) if ["mod", "lib"].contains(&last.as_str()) => folder.to_vec(),
        _ => steps,
    }
}

impl Source {
    fn read(text: &str) -> Self {
        let mut source = Self::default();
        source.walk(&tokens(text));
        source
    }

    fn walk(&mut self, tokens: &[TokenTree]) {
        let mut skipped = 0;
        for (at, token) in tokens.iter().enumerate() {
            if at < skipped {
                continue;
            }
            match token {
                TokenTree::Punct(_) if is_for_tests(tokens, at) => skipped = end_of_item(tokens, at + 2),
                // `pub(in …)` says who may import, not who is.
                TokenTree::Group(_) if is_passed_on(&tokens[..=at]) => {}
                TokenTree::Group(group) => self.walk(&group.stream().into_iter().collect::<Vec<_>>()),
                TokenTree::Ident(word) if word == "use" => {
                    skipped = at + tokens[at..].iter().position(is_semicolon).unwrap_or(tokens.len() - at);
                    self.brings(&tokens[at + 1..skipped], &[], is_passed_on(&tokens[..at]));
                }
                TokenTree::Ident(_) if separated(tokens, at + 1) && !continues(tokens, at) => {
                    self.named.push(steps(&tokens[at..]).0);
                }
                _ => {}
            }
        }
    }

    /// Reads what stands behind `use`, or one branch of it.
    fn brings(&mut self, tokens: &[TokenTree], before: &[String], is_passed_on: bool) {
        let (own, length) = steps(tokens);
        let whole = [before, &own].concat();
        match tokens.get(length) {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                let is_comma =
                    |token: &TokenTree| matches!(token, TokenTree::Punct(it) if it.as_char() == ',');
                for branch in branches.split(is_comma).filter(|branch| !branch.is_empty()) {
                    self.brings(branch, &whole, is_passed_on);
                }
                return;
            }
            _ => {}
        }
        let is_self = whole.len() > 1 && whole.last().is_some_and(|last| last == "self");
        let whole = if is_self { whole[..whole.len() - 1].to_vec() } else { whole };
        let name = match (tokens.get(length), tokens.get(length + 1)) {
            (Some(TokenTree::Ident(word)), Some(TokenTree::Ident(name))) if word == "as" => name.to_string(),
            _ => whole.last().cloned().unwrap_or_default(),
        };
        if !is_passed_on {
            self.named.push(whole.clone());
        }
        self.brought.insert(name, whole);
    }
}

/// The steps of the path that begins here, and how many tokens they are.
fn steps(tokens: &[TokenTree]) -> (Steps, usize) {
    let (mut steps, mut at) = (Steps::new(), if separated(tokens, 0) { 2 } else { 0 });
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        steps.push(word.to_string());
        at += 1;
        if !separated(tokens, at) {
            break;
        }
        at += 2;
    }
    (steps, at)
}

fn is_semicolon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';')
}

/// Whether what ends here is `pub`, or `pub(…)`.
fn is_passed_on(before: &[TokenTree]) -> bool {
    let is_pub = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == "pub");
    match before {
        [.., word, TokenTree::Group(_)] => is_pub(word),
        [.., word] => is_pub(word),
        [] => false,
    }
}

/// What the file at `of` imports, of a crate of these files.
fn imported(of: &str, files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<_> =
        files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
    Imports::of(&sources).all().remove(of).into_iter().flatten().collect()
}

#[test]
fn an_import_is_found_in_every_form() {
    for text in [
        "use crate::b::X;",
        "use super::b;",
        "use super::{c as other, b::X as Y};",
        "use super::{b::{self}};",
        "fn f() -> super::b::X { todo() }",
        "fn f(x: &dyn crate::b::T) {}",
        "use super as room; fn f() { room::b::g() }",
        "use crate::r as room; fn f() { g::<room::b::X>() }",
        "use super::passing::X;",
        "use super::X;",
        "use super::passing; fn f() { passing::X::new() }",
        "mod inner { fn f() { crate::b::g() } }",
    ] {
        let text = text.replace("crate::b", "crate::r::b");
        let files = [
            ("r/mod.rs", "mod a; mod b; mod passing; use b::X;"),
            ("r/a.rs", text.as_str()),
            ("r/b.rs", ""),
            ("r/c.rs", ""),
            ("r/passing.rs", "pub(super) use super::b::X;"),
        ];
        assert!(imported("r/a", &files).contains(&"r/b".to_owned()), "{text}");
    }
}

#[test]
fn what_only_looks_like_an_import_is_none() {
    for text in [
        "//! [`x`](super::b)\n/// super::b\nconst S: &str = \"super::b::X\";",
        "pub use super::b::X;",
        "pub(crate) use super::b;",
        "pub(in super::b) fn f() {} struct S { pub(in crate::r::b) x: u8 }",
        "#[cfg(test)] mod tests { use crate::r::b; } #[cfg(test)] use super::b;",
        "use std::b; use other::r::b::X; fn f() { b::g(); x.b::<u8>() }",
        "use self::own::X; use X::Y;",
    ] {
        let files = [("r/mod.rs", "mod a; mod b;"), ("r/a.rs", text), ("r/b.rs", "")];
        assert_eq!(imported("r/a", &files), Vec::<String>::new(), "{text}");
    }
    let files = [
        ("r/mod.rs", "pub use a::X; mod a; mod c;"),
        ("r/a.rs", "use self::b::Y; pub struct X;"),
        ("r/a/b.rs", ""),
        ("r/c.rs", "use super::X;"),
    ];
    assert_eq!(imported("r", &files), Vec::<String>::new());
    assert_eq!(imported("r/a", &files), ["r/a/b"]);
    assert_eq!(imported("r/c", &files), ["r/a"], "not from where it is passed on");
}
