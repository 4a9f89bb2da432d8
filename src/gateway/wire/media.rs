//! Media types as fields name them (RFC 9110 §8.3, §12.5.1): one in `Content-Type`, ranges with their weights in `Accept`.

use http::header;

use super::fields::Fields;

/// A media type, or a range of them, with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Media<'a> {
    essence: &'a [u8],
    parameters: &'a [u8],
}

impl<'a> Media<'a> {
    /// What a `Content-Type` names.
    pub fn of(value: &'a [u8]) -> Self {
        let (essence, parameters) = value.split_at(end(value, b';'));
        Self { essence: essence.trim_ascii(), parameters }
    }

    /// What the value of an `Accept` names, in its order.
    pub fn ranges(value: &'a [u8]) -> impl Iterator<Item = Self> {
        parts(value, b',').map(Self::of)
    }

    /// Its type and subtype, as they stand there.
    pub fn essence(self) -> &'a [u8] {
        self.essence
    }

    /// Whether it is this very one, whatever its parameters. Names are the same in any case.
    pub fn is(self, media_type: &str) -> bool {
        self.essence.eq_ignore_ascii_case(media_type.as_bytes())
    }

    /// Its parameters, as they stand there. Empty ones, which RFC 9110 §5.6.6 allows, are left out.
    pub fn parameters(self) -> impl Iterator<Item = &'a [u8]> {
        parts(self.parameters, b';').map(<[u8]>::trim_ascii).filter(|parameter| !parameter.is_empty())
    }

    /// How much it is wanted (`q`): from 0, which refuses it, to 1, where nothing is said. What is no weight refuses as well.
    pub fn weight(self) -> f32 {
        let mut weights = self.parameters().filter_map(|parameter| match parameter {
            [b'q' | b'Q', b'=', weight @ ..] => Some(weight),
            _ => None,
        });
        let Some(weight) = weights.next() else { return 1.0 };
        let weight = std::str::from_utf8(weight).ok().and_then(|weight| weight.parse().ok());
        weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0)
    }
}

/// Whether the media type is one of these, and which, whatever its parameters.
pub fn are_media<const N: usize>(fields: &Fields, media_types: [&str; N]) -> [bool; N] {
    let media = Media::of(fields.get(&header::CONTENT_TYPE).unwrap_or_default());
    media_types.map(|media_type| media.is(media_type))
}

/// The parts of a list. A separator within quotation marks (RFC 9110 §5.6.4) parts nothing.
fn parts(list: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest?;
        let (part, more) = list.split_at(end(list, separator));
        rest = more.get(1..);
        Some(part)
    })
}

/// Where the first part of a list ends.
fn end(list: &[u8], separator: u8) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let ends = |&byte: &u8| {
        let is_plain = !is_escaped;
        is_escaped = is_quoted && is_plain && byte == b'\\';
        is_quoted ^= is_plain && byte == b'"';
        !is_quoted && byte == separator
    };
    list.iter().position(ends).unwrap_or(list.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(accept: &str) -> Vec<(String, f32)> {
        let told = |media: Media<'_>| (String::from_utf8(media.essence().to_vec()).unwrap(), media.weight());
        Media::ranges(accept.as_bytes()).map(told).collect()
    }

    #[test]
    fn ranges_are_told_apart_with_their_weights() {
        for (accept, expected) in [
            ("text/html", &[("text/html", 1.0)][..]),
            (" a/b ;q=0.5 , c/d; v=1 ; Q=0.25,*/*;q=0", &[("a/b", 0.5), ("c/d", 0.25), ("*/*", 0.0)]),
            (r#"a/b;x=",;q=0";q=0.5,c/d"#, &[("a/b", 0.5), ("c/d", 1.0)]),
            (r#"a/b;x="\",";q=0.5,c/d"#, &[("a/b", 0.5), ("c/d", 1.0)]),
            (r#"a/b;x="\\",c/d"#, &[("a/b", 1.0), ("c/d", 1.0)]),
            (r#"a/b;x=",c/d;q=0.5"#, &[("a/b", 1.0)]),
            ("a/b;;", &[("a/b", 1.0)]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|&(essence, weight)| (essence.to_owned(), weight)).collect();
            assert_eq!(ranges(accept), expected, "{accept}");
        }
        for weight in ["0", "0.000", "x", "", "-1", "1.1", "2", "NaN", "inf"] {
            assert_eq!(ranges(&format!("a/b;q={weight}")), [("a/b".to_owned(), 0.0)], "{weight}");
        }
    }

    #[test]
    fn a_type_is_itself_in_any_case_and_with_any_parameters() {
        for value in ["application/json", "Application/JSON ; charset=utf-8", " application/json"] {
            assert!(Media::of(value.as_bytes()).is("application/json"), "{value}");
        }
        for value in ["", "application/json5", "application", "application/json,text/html", "*/*"] {
            assert!(!Media::of(value.as_bytes()).is("application/json"), "{value}");
        }
    }
}
