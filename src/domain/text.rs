//! Foreign text made safe to show.
//!
//! Subjects, tool names, URIs and headers come from strangers. Before any of it reaches a
//! terminal, a log or an export it goes through [`visible`], which spells out what a reader
//! could not see or would be misled by.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use unicode_normalization::char::is_combining_mark;

/// More combining marks than this on one letter are no script's; they are there to overprint.
const MOST_MARKS: usize = 4;

/// The most characters that [`excerpt`] shows.
const EXCERPT: usize = 80;

/// Whether `c` changes how its neighbours look, or looks like nothing: controls, bidirectional
/// overrides, zero-width and tag characters, line separators, private use.
pub fn is_deceptive(c: char) -> bool {
    match c {
        ' '..='~' => false,
        // Unicode TR 36 §2.10 and TR 39 §3.1: what has no glyph of its own, or moves others.
        '\u{AD}'                        // soft hyphen
        | '\u{34F}'                     // combining grapheme joiner
        | '\u{61C}'                     // Arabic letter mark
        | '\u{115F}'..='\u{1160}'       // Hangul fillers
        | '\u{17B4}'..='\u{17B5}'       // Khmer inherent vowels
        | '\u{180B}'..='\u{180F}'       // Mongolian selectors and vowel separator
        | '\u{200B}'..='\u{200F}'       // zero-width characters, direction marks
        | '\u{2028}'..='\u{202E}'       // line and paragraph separators, direction overrides
        | '\u{2060}'..='\u{206F}'       // word joiner, invisible operators, isolates
        | '\u{2800}'                    // blank Braille pattern
        | '\u{3164}'                    // Hangul filler
        | '\u{E000}'..='\u{F8FF}'       // private use
        | '\u{FDD0}'..='\u{FDEF}'       // noncharacters
        | '\u{FEFF}'                    // byte order mark
        | '\u{FFA0}'                    // halfwidth Hangul filler
        | '\u{FFF0}'..='\u{FFFB}'       // interlinear annotations
        | '\u{1D173}'..='\u{1D17A}'     // musical format controls
        | '\u{E0000}'..='\u{E0FFF}'     // tags, variation selectors supplement
        | '\u{F0000}'..='\u{10FFFF}'    // private use
        => true,
        _ => c.is_control() || u32::from(c) & 0xFFFE == 0xFFFE,
    }
}

/// `text` with every deceptive character written as `\u{…}` (or `\n`, `\t`, `\r`, `\e`), and
/// runs of more than four combining marks cut short in the same way. Borrowed when clean.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut shown: Option<String> = None;
    let mut marks = 0;
    for (at, c) in text.char_indices() {
        marks = if is_combining_mark(c) { marks + 1 } else { 0 };
        if is_deceptive(c) || marks > MOST_MARKS {
            spell(shown.get_or_insert_with(|| text[..at].to_owned()), c);
        } else if let Some(shown) = &mut shown {
            shown.push(c);
        }
    }
    shown.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The beginning of `text` as [`visible`] shows it, with `…` where it was cut: for quoting in a
/// message.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        None => visible(text).into_owned(),
        Some((end, _)) => visible(&text[..end]).into_owned() + "…",
    }
}

/// The first of several things, and how many more there are: for a message.
pub fn first_of<T>(several: &[T], said: impl Fn(&T) -> String) -> String {
    const SHOWN: usize = 3;
    let mut shown: Vec<_> = several.iter().take(SHOWN).map(said).collect();
    if several.len() > SHOWN {
        shown.push(format!("and {} more", several.len() - SHOWN));
    }
    shown.join(", ")
}

/// A number with the noun for what was counted, given in the singular: `1 key`, `2 keys`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {}", plural(count, noun))
}

/// All of so many, with the noun in the singular: `the 1 key`, `all 2 keys`.
pub fn all(count: u32, noun: &str) -> String {
    format!("{} {}", if count == 1 { "the" } else { "all" }, counted(count.into(), noun))
}

/// The noun for so many, given in the singular.
pub fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// A size as people write it: in the largest unit in which it is whole.
pub fn size(bytes: u64) -> String {
    let fits = |(unit, _): &(u64, &str)| bytes >= *unit && bytes.is_multiple_of(*unit);
    match [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")].into_iter().find(fits) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// A URL that a person gave, for quoting in a message: without user name and password, and without what stands behind
/// `?` or `#`, since any of these may be a secret. What is meant as one URL is one, whatever is wrong with it.
pub fn url_excerpt(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let rest = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, place)| format!("…@{place}"));
    let rest = match rest.find(['?', '#']) {
        Some(end) => format!("{}…", &rest[..=end]),
        None => rest,
    };
    excerpt(&(scheme + &rest))
}

/// `text` without the user names and passwords of the URLs in it. A password may hold whatever there is, a quotation mark,
/// `@` or `://` among it, so nobody can say where one ends: all from the first `://` to the last `@` is left out.
pub fn without_user_info(text: &str) -> Cow<'_, str> {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            Cow::Owned(format!("{}…{}", &text[..scheme + "://".len()], &text[at..]))
        }
        _ => Cow::Borrowed(text),
    }
}

/// A path for a command that can be pasted into a shell.
pub fn for_shell(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = visible(&text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn spell(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        '\u{1B}' => out.push_str("\\e"),
        // Writing to a `String` cannot fail.
        _ => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
    }
}

/// The one of `known` that was probably meant by `typed`.
pub fn nearest<'a>(known: impl Iterator<Item = &'a str>, typed: &str) -> Option<&'a str> {
    const NEAR: f64 = 0.75;
    known
        .map(|name| (strsim::jaro_winkler(name, typed), name))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_size_is_written_in_the_largest_unit_in_which_it_is_whole() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1000, "1000 bytes"),
            (1024, "1 KiB"),
            (1536, "1536 bytes"),
            (4 << 20, "4 MiB"),
            ((4 << 20) + 1024, "4097 KiB"),
            (2 << 30, "2 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn of_several_the_first_are_named_and_the_others_counted() {
        let said = |several: &[u32]| first_of(several, u32::to_string);
        assert_eq!((said(&[]), said(&[1, 2, 3])), (String::new(), "1, 2, 3".into()));
        assert_eq!(said(&[1, 2, 3, 4, 5]), "1, 2, 3, and 2 more");
    }

    #[test]
    fn one_is_counted_in_the_singular() {
        let said = [0, 1, 2].map(|count| counted(count, "key"));
        assert_eq!(said, ["0 keys", "1 key", "2 keys"]);
        assert_eq!([1, 2].map(|count| all(count, "key")), ["the 1 key", "all 2 keys"]);
    }

    #[test]
    fn clean_text_is_borrowed() {
        for clean in ["", "plain", "search_docs", "héllo wörld", "日本語", "שלום", "a\\b", "🦀", "❤\u{FE0F}"]
        {
            assert!(matches!(visible(clean), Cow::Borrowed(text) if text == clean), "{clean:?}");
        }
    }

    #[test]
    fn what_misleads_is_spelled_out() {
        for (foreign, shown) in [
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\u{1B}[31mred", "\\e[31mred"),
            ("\u{9B}31m", "\\u{9b}31m"),
            ("a\u{7F}", "a\\u{7f}"),
            ("user\u{202E}nimda", "user\\u{202e}nimda"),
            ("pay\u{200B}pal", "pay\\u{200b}pal"),
            ("\u{FEFF}x\u{AD}y", "\\u{feff}x\\u{ad}y"),
            ("\u{E0041}", "\\u{e0041}"),
            ("\u{E0100}", "\\u{e0100}"),
            ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
            ("\u{2066}x\u{2069}\u{61C}\u{200E}", "\\u{2066}x\\u{2069}\\u{61c}\\u{200e}"),
            ("\u{E000}\u{10FFFF}", "\\u{e000}\\u{10ffff}"),
        ] {
            assert_eq!(visible(foreign), shown);
        }
    }

    #[test]
    fn stacked_marks_are_cut_after_four() {
        let four = "e\u{301}\u{302}\u{303}\u{304}";
        assert_eq!(visible(four), four);
        assert_eq!(visible(&format!("{four}\u{305}x")), format!("{four}\\u{{305}}x"));
        assert_eq!(visible(&format!("{four}{four}")), format!("{four}{four}"));
    }

    #[test]
    fn an_excerpt_is_short_and_safe() {
        assert_eq!(excerpt("short\n"), "short\\n");
        assert_eq!(excerpt(&"é".repeat(81)), "é".repeat(80) + "…");
    }

    #[test]
    fn the_password_of_a_url_is_never_quoted() {
        for (given, shown) in [
            ("http://u:p4ss@h:1/mcp", "http://…@h:1/mcp"),
            ("http://u:p4 ss@h", "http://…@h"),
            ("http://u:p4/s?s#@h/x", "http://…@h/x"),
            ("u:p4ss@h/x", "…@h/x"),
            ("http://u:p4ss@", "http://…@"),
            ("http://h/mcp?key=p4ss", "http://h/mcp?…"),
            ("http://h/mcp#p4ss", "http://h/mcp#…"),
            ("http://h/mcp", "http://h/mcp"),
            ("nowhere\n", "nowhere\\n"),
        ] {
            assert_eq!(url_excerpt(given), shown);
        }
        for (given, shown) in [
            ("'http://u:p4ss@h' and `https://x:y@z/`", "'http://…@z/`"),
            ("'http://h/' is none", "'http://h/' is none"),
            ("write to me@example.com or http://h/", "write to me@example.com or http://h/"),
            ("a@b", "a@b"),
            ("'http://u:p4 ss@h' is none", "'http://…@h' is none"),
        ] {
            assert_eq!(without_user_info(given), shown);
        }
    }

    proptest! {
        #[test]
        fn the_output_never_deceives(text in any::<String>()) {
            let shown = visible(&text);
            prop_assert!(!shown.chars().any(is_deceptive));
            prop_assert_eq!(visible(&shown), shown.as_ref());
        }

        #[test]
        fn nothing_of_any_password_is_quoted(password in any::<String>(), user in any::<String>()) {
            let said = format!("'http://{user}:{password}@h/mcp' is no URL");
            prop_assert_eq!(without_user_info(&said), "'http://…@h/mcp' is no URL");
        }

        #[test]
        fn harmless_characters_are_kept(text in "[ -~àéîõü中文字שלום]*") {
            prop_assert_eq!(visible(&text), text.as_str());
        }
    }
}
