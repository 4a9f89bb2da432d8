//! Sets of patterns: what they cover, and which is the narrower.

use super::*;

#[test]
fn sets_add_up() {
    let union = EndpointSet::union([&set(&["tools/list"]), &set(&["prompts/*"])]);
    for (endpoint, covered) in [("tools/list", true), ("prompts/list", true), ("resources/list", false)] {
        assert_eq!(union.contains(&endpoint.parse().unwrap()), covered);
    }
    assert!(EndpointSet::default().is_empty());
    assert!(!EndpointSet::default().contains(&"ping".parse().unwrap()));
    assert!(!set(&["**"]).is_empty());
    assert!(!EndpointSet::union([&set(&[]), &set(&["**"])]).is_empty());
}

#[test]
fn a_set_that_another_covers_whole_is_the_narrower() {
    let order: [&[&str]; 12] = [
        &["tools/call/search"],
        &["tools/call/search", "tools/list"],
        &["tools/call/search_docs*"],
        &["tools/call/search_docs*", "tools/call/search"],
        &["tools/call/search*"],
        &["tools/call/search*", "tools/list"],
        &["tools/call/search*", "tools/call/find*"],
        &["tools/call/*"],
        &["tools/*"],
        &["tools/call/search**"],
        &["tools/call/**"],
        &["tools/**"],
    ];
    for (place, narrow) in order.iter().enumerate() {
        for broad in &order[place + 1..] {
            assert!(set(narrow).breadth() < set(broad).breadth(), "{narrow:?} and {broad:?}");
        }
        assert!(set(narrow).breadth() < set(&["**"]).breadth() && !set(narrow).is_everything());
    }
    // What is said twice, or within another pattern, makes it no broader.
    assert_eq!(
        set(&["tools/**"]).breadth(),
        set(&["tools/list", "tools/**", "tools/call/*", "tools/**"]).breadth()
    );
}

#[test]
fn everything_is_known_however_it_is_said() {
    for patterns in [&["**"] as &[&str], &["**", "tools/list"], &["*", "*/**"], &["*/**", "x", "*", "/**"]] {
        assert!(set(patterns).is_everything(), "{patterns:?}");
    }
    for patterns in [&["*"] as &[&str], &["/**"], &["*/**"], &["*", "/**"], &["**/x"], &[]] {
        assert!(!set(patterns).is_everything(), "{patterns:?}");
    }
}

#[test]
fn patterns_that_are_too_long_together_are_refused() {
    let long = format!("tools/call/{}*", "x".repeat(2_000)).parse::<EndpointPattern>().unwrap();
    assert!(EndpointSet::new(std::iter::repeat_n(&long, 500)).is_ok());
    assert!(EndpointSet::new(std::iter::repeat_n(&long, 600)).is_err());
    // The same holds of what is blocked, though that is looked for in another form as well.
    let path = format!("/{}*", "X".repeat(2_000)).parse::<EndpointPattern>().unwrap();
    let blocked = EndpointSet::blocking(std::iter::repeat_n(&path, 500)).unwrap();
    assert!(blocked.hit(&format!("/{}", "x".repeat(2_001)).parse().unwrap()).is_some());
    assert!(EndpointSet::blocking(std::iter::repeat_n(&path, 600)).is_err());
}

/// The rules of patterns, as plainly as they can be said.
fn naive(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
        [b'*', rest @ ..] => {
            let segment = text.iter().take_while(|&&byte| byte != b'/').count();
            (0..=segment).any(|skipped| naive(rest, &text[skipped..]))
        }
        [byte, rest @ ..] => text.first() == Some(byte) && naive(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn patterns_cover_what_the_naive_reading_says(
        pattern in "[ab/?.*]{1,10}".prop_filter("is a pattern", |text| text.parse::<EndpointPattern>().is_ok()),
        texts in prop::collection::vec("[ab?.][ab/?.]{0,8}", 1..20),
    ) {
        let compiled = set(&[&pattern]);
        for text in texts {
            let endpoint = Endpoint::mcp(&text, None).unwrap();
            prop_assert_eq!(compiled.contains(&endpoint), naive(pattern.as_bytes(), text.as_bytes()), "{} and {}", pattern, text);
        }
    }

    #[test]
    fn a_set_covers_what_one_of_its_patterns_covers(
        patterns in prop::collection::vec("[ab*]([ab/*]|/\\*\\*){0,4}", 0..8),
        text in "[ab][ab/*]{0,6}",
    ) {
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).filter(|text| text.parse::<EndpointPattern>().is_ok()).collect();
        let endpoint: Endpoint = text.parse().unwrap();
        let one = patterns.iter().any(|pattern| naive(pattern.as_bytes(), text.as_bytes()));
        prop_assert_eq!(set(&patterns).contains(&endpoint), one);
        let (left, right) = patterns.split_at(patterns.len() / 2);
        prop_assert_eq!(EndpointSet::union([&set(left), &set(right)]).contains(&endpoint), one);
    }

    #[test]
    fn what_a_set_covers_whole_is_never_the_broader(
        pattern in "[ab*]([ab/*]){0,4}",
        more in prop::collection::vec("[ab*]([ab/*]){0,4}", 0..3),
        texts in prop::collection::vec("[ab][ab/]{0,5}", 20),
    ) {
        let is_pattern = |text: &&str| text.parse::<EndpointPattern>().is_ok();
        let few: Vec<&str> = Some(&*pattern).into_iter().filter(is_pattern).collect();
        let all: Vec<&str> = few.iter().copied().chain(more.iter().map(String::as_str)).filter(is_pattern).collect();
        let (few, all) = (set(&few), set(&all));
        prop_assert!(few.breadth() <= all.breadth());
        for text in texts {
            let endpoint = text.parse().unwrap();
            prop_assert!(all.contains(&endpoint) || !few.contains(&endpoint));
            prop_assert!(all.contains(&endpoint) || !all.is_everything());
        }
    }
}
