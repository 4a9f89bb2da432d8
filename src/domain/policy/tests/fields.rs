//! Fields as people type them.

use proptest::prelude::*;

use super::field::*;
use super::*;

#[test]
fn hours_are_typed_as_ranges() {
    for (typed, hours, shown) in [
        ("8-17,20", vec![8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20], "8-17,20"),
        ("22-2", vec![0, 1, 2, 22, 23], "0-2,22-23"),
        (" 7 , 3 ", vec![3, 7], "3,7"),
        ("8,8 8-10,9", vec![8, 9, 10], "8-10"),
        ("00-01", vec![0, 1], "0-1"),
        ("all", (0..24).collect(), "all"),
        ("0-23", (0..24).collect(), "all"),
        ("", vec![], "none"),
        ("none", vec![], "none"),
    ] {
        let parsed = parse_hours(typed).unwrap();
        assert_eq!(parsed.iter().collect::<Vec<u32>>(), hours, "{typed}");
        assert_eq!(parsed.to_string(), shown);
    }
    for typed in ["24", "-1", "8-", "-", "8-17-20", "x", "+8", "008", "1.5"] {
        assert!(parse_hours(typed).is_err(), "{typed}");
    }
}

#[test]
fn limits_are_numbers_or_none() {
    for (typed, limit) in [
        ("none", None),
        ("", None),
        ("0", Some(0)),
        (" 100 ", Some(100)),
        ("1000000000", Some(1_000_000_000)),
    ] {
        assert_eq!(parse_limit(typed), Ok(limit), "{typed}");
    }
    for typed in ["-1", "+1", "1.0", "1e3", "1000000001", "99999999999", "many", "1 000"] {
        assert!(parse_limit(typed).is_err(), "{typed}");
    }
    for limit in [None, Some(0), Some(7)] {
        assert_eq!(parse_limit(&write_limit(limit)), Ok(limit));
    }
}

#[test]
fn lines_are_lists_of_which_each_item_counts_once() {
    let line = parse_networks_line("10.0.0.0/8, ::1\t192.168.0.1").unwrap();
    assert_eq!(write_networks_line(&line), "10.0.0.0/8, ::1, 192.168.0.1");
    assert_eq!(parse_networks_line(" "), Ok(Vec::new()));
    assert_eq!(parse_networks_line("::1, ::1 0::1/128").unwrap().len(), 1);
    assert_eq!(write_line(&parse_scopes_line("a b,a").unwrap()), "a, b");
    assert!(parse_networks_line("10.0.0.1/8").unwrap_err().to_string().contains("10.0.0.0/8"));
    assert_eq!(write_line(&parse_scopes_line("mcp:read tools:call").unwrap()), "mcp:read, tools:call");
    assert_eq!(write_line(&parse_endpoints_line("tools/**,/api/*").unwrap()), "tools/**, /api/*");
    assert!(parse_endpoints_line("tools/**, /a//b").is_err());
}

#[test]
fn words_are_exact() {
    assert_eq!(parse_mode("shadow"), Ok(Mode::Shadow));
    assert_eq!(parse_algorithm("fixed"), Ok(Algorithm::Fixed));
    assert_eq!(parse_timezone("Australia/Lord_Howe"), Ok(Tz::Australia__Lord_Howe));
    assert!(parse_mode("Shadow").is_err() && parse_algorithm("").is_err() && parse_timezone("").is_err());
    assert!(parse_description(&"é".repeat(500)).is_ok());
    assert!(parse_description(&"é".repeat(501)).is_err());
    assert!(parse_name("default").is_ok() && parse_name("a b").is_err());
}

proptest! {
    #[test]
    fn hours_read_back_as_they_are_shown(bits in any::<u32>()) {
        let hours: Hours = (0..24).filter(|hour| bits & (1 << hour) != 0).collect();
        prop_assert_eq!(parse_hours(&hours.to_string()), Ok(hours));
    }
}
