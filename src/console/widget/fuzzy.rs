//! Which texts a few letters fit.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// The places of the texts that `wanted` fits, best first; all, in order, where it is empty.
pub fn fuzzy<T: AsRef<str>>(wanted: &str, texts: impl IntoIterator<Item = T>) -> Vec<usize> {
    let pattern = Pattern::parse(wanted, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut found: Vec<(usize, u32)> = texts
        .into_iter()
        .enumerate()
        .filter_map(|(place, text)| {
            let score = pattern.score(Utf32Str::new(text.as_ref(), &mut buffer), &mut matcher)?;
            Some((place, score))
        })
        .collect();
    found.sort_by_key(|(place, score)| (std::cmp::Reverse(*score), *place));
    found.into_iter().map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_letters_find_what_was_meant() {
        let names = ["key.rotate", "key.revoke", "policy.rollback"];
        assert_eq!(fuzzy("rot", names)[0], 0);
        assert_eq!(fuzzy("prb", names), [2]);
        assert_eq!(fuzzy("", names), [0, 1, 2]);
        assert!(fuzzy("zzz", names).is_empty());
    }
}
