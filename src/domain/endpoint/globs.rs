//! Globs in the order of what stands before their first star, so that a look meets those alone that it could be about,
//! however many there are.

use std::sync::Arc;

#[derive(Clone, Debug)]
struct Glob {
    text: Arc<str>,
    /// How long its head is: what stands before the first star.
    head: usize,
    /// The nearest glob before this one whose head begins this one's head, or is the same.
    outer: Option<usize>,
}

impl Glob {
    fn head(&self) -> &[u8] {
        &self.text.as_bytes()[..self.head]
    }

    /// From the first star on.
    fn tail(&self) -> &[u8] {
        &self.text.as_bytes()[self.head..]
    }
}

/// The default covers nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Globs(Vec<Glob>);

impl Globs {
    /// Each text holds a star.
    pub(super) fn new(texts: impl IntoIterator<Item = Arc<str>>) -> Self {
        let of = |text: Arc<str>| Glob { head: text.find('*').unwrap_or(text.len()), text, outer: None };
        let mut globs: Vec<Glob> = texts.into_iter().map(of).collect();
        globs.sort_unstable_by(|one, other| (one.head(), &one.text).cmp(&(other.head(), &other.text)));
        globs.dedup_by(|one, other| one.text == other.text);
        let mut around: Vec<usize> = Vec::new();
        for place in 0..globs.len() {
            while around.last().is_some_and(|&outer| !globs[place].head().starts_with(globs[outer].head())) {
                around.pop();
            }
            globs[place].outer = around.last().copied();
            around.push(place);
        }
        Self(globs)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|glob| &glob.text)
    }

    /// Those whose head begins `text`, with what of `text` is left for their tail. Whatever lies between such a head and
    /// `text` in the order begins with that head as well, so that each is found from the next.
    fn about<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (&'a Glob, &'a [u8])> {
        let nearest = self.0.partition_point(|glob| glob.head() <= text).checked_sub(1);
        let chain = std::iter::successors(nearest, |&place| self.0[place].outer);
        chain.filter_map(move |place| Some((&self.0[place], text.strip_prefix(self.0[place].head())?)))
    }

    /// Whether one of them covers `text`.
    pub(super) fn cover(&self, text: &str) -> bool {
        self.about(text.as_bytes()).any(|(glob, rest)| covers(glob.tail(), rest))
    }

    /// Whether one of them covers a text that begins with `beginning`.
    pub(super) fn cover_beginning(&self, beginning: &str) -> bool {
        let beginning = beginning.as_bytes();
        self.0.iter().any(|glob| glob.head().starts_with(beginning))
            || self.about(beginning).any(|(glob, rest)| covers_in_rows(glob.tail(), rest, true))
    }

    /// Whether one of them, other than itself, covers all that `pattern` covers, as far as a look tells: of globs with
    /// more than one star it does not.
    pub(super) fn hold(&self, pattern: &str) -> bool {
        self.about(pattern.as_bytes()).any(|(glob, rest)| *glob.text != *pattern && holds(glob.tail(), rest))
    }
}

/// The star that `tail` begins with, whether it crosses segments, and what stands behind it.
fn star(tail: &[u8]) -> (bool, &[u8]) {
    match tail {
        [b'*', b'*', after @ ..] => (true, after),
        [_, after @ ..] => (false, after),
        [] => (false, tail),
    }
}

fn covers(tail: &[u8], text: &[u8]) -> bool {
    let (crosses, after) = star(tail);
    if after.contains(&b'*') {
        return text.ends_with(ending(after)) && covers_in_rows(tail, text, false);
    }
    text.strip_suffix(after).is_some_and(|skipped| crosses || !skipped.contains(&b'/'))
}

/// What stands behind the last star.
fn ending(glob: &[u8]) -> &[u8] {
    glob.rsplit(|&byte| byte == b'*').next().unwrap_or_default()
}

/// Notes after each part of the glob up to where the text can have been matched. That takes as long as the one is times
/// the other, whatever they hold. `is_beginning`: whether the text may go on, so that a beginning of the glob is enough.
fn covers_in_rows(mut glob: &[u8], text: &[u8], is_beginning: bool) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    while let [byte, after @ ..] = glob {
        if *byte == b'*' {
            let (crosses, behind) = star(glob);
            for at in 0..text.len() {
                reached[at + 1] |= reached[at] && (crosses || text[at] != b'/');
            }
            glob = behind;
        } else {
            for at in (0..text.len()).rev() {
                reached[at + 1] = reached[at] && text[at] == *byte;
            }
            reached[0] = false;
            glob = after;
        }
        if is_beginning && reached.ends_with(&[true]) {
            return true;
        }
    }
    reached.ends_with(&[true])
}

/// Whether `tail` covers all that the rest of a pattern covers.
fn holds(tail: &[u8], pattern: &[u8]) -> bool {
    let (crosses, after) = star(tail);
    let is_inside = |skipped: &[u8]| !skipped.contains(&b'/') && !skipped.windows(2).any(|two| two == b"**");
    !after.contains(&b'*') && pattern.strip_suffix(after).is_some_and(|skipped| crosses || is_inside(skipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(texts: &[&str]) -> Globs {
        Globs::new(texts.iter().map(|text| Arc::from(*text)))
    }

    #[test]
    fn heads_within_heads_are_all_looked_at() {
        let texts = ["*z", "a*z", "a/b*", "a/b/**", "a/b/c*q", "a/bb*x", "b**", "a/b/**"];
        let globs = globs(&texts);
        assert_eq!(globs.texts().count(), 7, "what is there twice counts once");
        for (text, covered) in [
            ("z", true),
            ("az", true),
            ("a/z", false),
            ("a/bz", true),
            ("a/b/c/d", true),
            ("a/bb", true),
            ("a/bb/x", false),
            ("a/bc/x", false),
            ("b/x/y", true),
            ("c", false),
        ] {
            assert_eq!(globs.cover(text), covered, "{text}");
        }
    }

    #[test]
    fn a_beginning_is_covered_where_it_can_go_on_to_what_is() {
        let globs = globs(&["a/b/*/c/*", "x/**z", "q/r*"]);
        for (beginning, covered) in [
            ("", true),
            ("a", true),
            ("a/b/", true),
            ("a/b/x", true),
            ("a/b/x/c", true),
            ("a/b/x/c/y", true),
            ("a/b/x/d", false),
            ("a/b/x/c/y/", false),
            ("a/c", false),
            ("x/y/y", true),
            ("q/s", false),
            ("q/r/", false),
            ("z", false),
        ] {
            assert_eq!(globs.cover_beginning(beginning), covered, "{beginning}");
        }
    }

    #[test]
    fn a_look_meets_only_the_globs_that_it_could_be_about() {
        let texts: Vec<String> = (0..5_000).map(|number| format!("tools/call/t{number:04}_*")).collect();
        let globs = Globs::new(texts.iter().map(|text| Arc::from(text.as_str())));
        assert_eq!(globs.about(b"tools/call/t4711_x").count(), 1);
        assert!(globs.cover("tools/call/t4711_x") && !globs.cover("tools/call/t4711x"));
    }

    #[test]
    fn a_glob_holds_what_it_covers_whole() {
        for (outer, inner, is_held) in [
            ("a/**", "a/*", true),
            ("a/**", "a/b", true),
            ("a/**", "a/b/**", true),
            ("a/*", "a/**", false),
            ("a/*", "a/b*", true),
            ("a/*", "a/b/c", false),
            ("a/*_x", "a/b*_x", true),
            ("a/*_x", "a/b*_y", false),
            ("a/b*", "a/*", false),
            ("a/**", "a/**", false),
            ("**", "*/x", true),
        ] {
            assert_eq!(globs(&[outer]).hold(inner), is_held, "{outer} and {inner}");
        }
    }
}
