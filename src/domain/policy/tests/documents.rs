//! Reading, writing and comparing documents.

use proptest::prelude::*;

use super::*;

const DEFAULT: &str = r#"{
  "name": "readers",
  "description": "",
  "mode": "enforce",
  "scopes": [],
  "rate_limits": {
    "requests_per_minute": 100,
    "requests_per_hour": 1000,
    "requests_per_day": 10000,
    "algorithm": "sliding"
  },
  "ip_restrictions": {
    "whitelist": [],
    "blacklist": []
  },
  "time_restrictions": {
    "allowed_hours": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23],
    "timezone": "UTC"
  },
  "endpoint_restrictions": {
    "allowed_endpoints": [],
    "blocked_endpoints": []
  }
}"#;

fn faults(text: &str) -> Vec<(String, String)> {
    let bad = Policy::from_json(text).expect_err(text);
    assert!(!bad.faults.is_empty());
    bad.faults.into_iter().map(|fault| (fault.path, fault.message)).collect()
}

/// The one fault of a document with these fields beside the name.
fn fault(fields: &str) -> (String, String) {
    let mut faults = faults(&format!(r#"{{"name": "p", {fields}}}"#));
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

#[test]
fn the_default_document_is_that_of_the_design() {
    assert_eq!(named("readers").to_json(), DEFAULT);
    assert_eq!(Policy::from_json(DEFAULT), Ok(named("readers")));
    assert_eq!(Policy::from_json(r#"{"name": "readers"}"#), Ok(named("readers")));
    assert_eq!(Policy::from_json(r#"{"name": "readers", "rate_limits": {}}"#), Ok(named("readers")));
}

#[test]
fn every_field_is_read() {
    let policy = Policy::from_json(
        r#"{"name": "p", "description": "d", "mode": "shadow", "scopes": ["mcp:read"],
            "rate_limits": {"requests_per_minute": 0, "requests_per_hour": null,
                            "requests_per_day": 1000000000, "algorithm": "fixed"},
            "ip_restrictions": {"whitelist": ["::ffff:10.0.0.1", "2001:db8::/32"], "blacklist": ["::ffff:10.0.0.0/104"]},
            "time_restrictions": {"allowed_hours": [23, 0], "timezone": "Europe/Berlin"},
            "endpoint_restrictions": {"allowed_endpoints": ["tools/**"], "blocked_endpoints": ["/admin/**"]}}"#,
    )
    .unwrap();
    assert_eq!((policy.mode, policy.description.as_str(), policy.scopes.len()), (Mode::Shadow, "d", 1));
    let limits = RateLimits {
        requests_per_minute: Some(0),
        requests_per_hour: None,
        requests_per_day: Some(1_000_000_000),
        algorithm: Algorithm::Fixed,
    };
    assert_eq!(policy.rate_limits, limits);
    assert_eq!(field::write_networks_line(&policy.ip_restrictions.whitelist), "10.0.0.1, 2001:db8::/32");
    assert_eq!(field::write_networks_line(&policy.ip_restrictions.blacklist), "10.0.0.0/8");
    assert_eq!(policy.time_restrictions.allowed_hours.to_string(), "0,23");
    assert_eq!(policy.time_restrictions.timezone, Tz::Europe__Berlin);
    assert_eq!(policy.endpoint_restrictions.allowed_endpoints[0].as_str(), "tools/**");
    assert_eq!(policy.endpoint_restrictions.blocked_endpoints[0].as_str(), "/admin/**");
}

#[test]
fn each_fault_has_its_path_and_its_mend() {
    for (fields, path, mend) in [
        (r#""rate_limit": {}"#, "rate_limit", "did you mean rate_limits?"),
        (r#""zebra": 1"#, "zebra", "there are name, description"),
        (r#""mode": "enforce", "mode": "shadow""#, "mode", "twice"),
        (r#""mode": "off""#, "mode", "enforce or shadow"),
        (r#""description": null"#, "description", "a text, not null"),
        (r#""scopes": "mcp:*""#, "scopes", "a list"),
        (r#""scopes": ["a b"]"#, "scopes[0]", "cannot stand in a scope"),
        (r#""rate_limits": []"#, "rate_limits", "an object, not a list"),
        (r#""rate_limits": null"#, "rate_limits", "an object, not null"),
        (
            r#""rate_limits": {"requests_per_minit": 1}"#,
            "rate_limits.requests_per_minit",
            "requests_per_minute?",
        ),
        (r#""rate_limits": {"requests_per_day": -1}"#, "rate_limits.requests_per_day", "negative"),
        (r#""rate_limits": {"requests_per_day": 1.5}"#, "rate_limits.requests_per_day", "whole number"),
        (r#""rate_limits": {"requests_per_day": 1e3}"#, "rate_limits.requests_per_day", "whole number"),
        (r#""rate_limits": {"requests_per_day": 1000000001}"#, "rate_limits.requests_per_day", "the most"),
        (
            r#""rate_limits": {"requests_per_day": 99999999999999999999}"#,
            "rate_limits.requests_per_day",
            "whole number",
        ),
        (r#""rate_limits": {"requests_per_day": "9"}"#, "rate_limits.requests_per_day", "not a text"),
        (r#""rate_limits": {"requests_per_day": true}"#, "rate_limits.requests_per_day", "not true or false"),
        (r#""rate_limits": {"algorithm": "gcra"}"#, "rate_limits.algorithm", "sliding or fixed"),
        (
            r#""ip_restrictions": {"whitelist": ["::1", "10.0.0.1/8"]}"#,
            "ip_restrictions.whitelist[1]",
            "write 10.0.0.0/8",
        ),
        (
            r#""ip_restrictions": {"whitelist": ["::ffff:10.0.0.1/104"]}"#,
            "ip_restrictions.whitelist[0]",
            "write 10.0.0.0/8",
        ),
        (r#""ip_restrictions": {"blacklist": ["10.0.0.0/33"]}"#, "ip_restrictions.blacklist[0]", "0 to 32"),
        (r#""ip_restrictions": {"blacklist": ["10.0.0.0/+8"]}"#, "ip_restrictions.blacklist[0]", "0 to 32"),
        (r#""ip_restrictions": {"blacklist": ["10.0.0.0/08"]}"#, "ip_restrictions.blacklist[0]", "0 to 32"),
        (r#""ip_restrictions": {"blacklist": ["010.0.0.1"]}"#, "ip_restrictions.blacklist[0]", "neither"),
        (r#""ip_restrictions": {"blacklist": ["localhost"]}"#, "ip_restrictions.blacklist[0]", "neither"),
        (r#""ip_restrictions": {"blacklist": [" ::1"]}"#, "ip_restrictions.blacklist[0]", "neither"),
        (r#""time_restrictions": {"allowed_hours": [24]}"#, "time_restrictions.allowed_hours[0]", "0 to 23"),
        (
            r#""time_restrictions": {"allowed_hours": [1, -1]}"#,
            "time_restrictions.allowed_hours[1]",
            "0 to 23",
        ),
        (
            r#""time_restrictions": {"timezone": "Europe/Berln"}"#,
            "time_restrictions.timezone",
            "Europe/Berlin?",
        ),
        (
            r#""time_restrictions": {"timezone": "america/new york"}"#,
            "time_restrictions.timezone",
            "America/New_York?",
        ),
        (r#""time_restrictions": {"timezone": "Mars"}"#, "time_restrictions.timezone", "timezone"),
        (
            r#""endpoint_restrictions": {"blocked_endpoints": ["/a/../b"]}"#,
            "endpoint_restrictions.blocked_endpoints[0]",
            "`/b`",
        ),
        (
            r#""endpoint_restrictions": {"allowed_endpoints": [{}]}"#,
            "endpoint_restrictions.allowed_endpoints[0]",
            "not an object",
        ),
    ] {
        let (found, message) = fault(fields);
        assert_eq!(found, path, "{fields}");
        assert!(message.contains(mend), "{fields}: {message}");
    }
}

#[test]
fn an_entry_that_is_there_twice_is_taken_once() {
    let twice = r#"{"name": "p", "scopes": ["a", "b", "a"],
        "ip_restrictions": {"whitelist": ["1.2.3.4", "::ffff:1.2.3.4", "1.2.3.4/32"], "blacklist": ["::1", "0:0::1"]},
        "time_restrictions": {"allowed_hours": [7, 8, 7]},
        "endpoint_restrictions": {"allowed_endpoints": ["a", "a"], "blocked_endpoints": ["/b", "/b", "/c"]}}"#;
    let once = r#"{"name": "p", "scopes": ["a", "b"], "ip_restrictions": {"whitelist": ["1.2.3.4"], "blacklist": ["::1"]},
        "time_restrictions": {"allowed_hours": [7, 8]},
        "endpoint_restrictions": {"allowed_endpoints": ["a"], "blocked_endpoints": ["/b", "/c"]}}"#;
    assert_eq!(Policy::from_json(twice).unwrap(), Policy::from_json(once).unwrap());
}

#[test]
fn all_faults_are_told_at_once() {
    let found = faults(
        r#"{"mode": 1, "x": 2, "rate_limits": {"requests_per_day": -1, "y": 0}, "scopes": ["a b", 3]}"#,
    );
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let expected =
        ["name", "mode", "scopes[0]", "scopes[1]", "rate_limits.requests_per_day", "rate_limits.y", "x"];
    assert_eq!(paths, expected);
    let shown = Policy::from_json(r#"{"mode": 1}"#).unwrap_err().to_string();
    assert_eq!(shown, "name: a policy needs a name\nmode: this is a text, not a number");
}

#[test]
fn what_is_no_document_is_refused() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        "\"p\"",
        "{\"name\": \"p\"} x",
        "{'name': 'p'}",
        "\u{FEFF}{}",
        "{\"name\": 01}",
    ] {
        assert_eq!(faults(text)[0].0, "", "{text}");
    }
    assert!(faults(&format!("{}{}", "[".repeat(30_000), "]".repeat(30_000)))[0].1.contains("recursion"));
    let largest = format!("{{\"name\": \"p\"}}{}", " ".repeat(document::LARGEST - 13));
    assert!(Policy::from_json(&largest).is_ok());
    assert!(faults(&(largest + " "))[0].1.contains("at most 65536 bytes"));
}

#[test]
fn foreign_text_is_quoted_safely() {
    let bad = Policy::from_json(
        "{\"name\": \"a\u{202E}\", \"\u{1B}[31m\": 1}".replace('\u{1B}', "\\u001b").as_str(),
    );
    let shown = bad.unwrap_err().to_string();
    assert!(!shown.contains(['\u{202E}', '\u{1B}']), "{shown}");
}

#[test]
fn a_diff_names_each_field_that_differs() {
    let before = named("p");
    let mut after = before.clone();
    assert_eq!(before.diff(&after), []);
    after.rate_limits.requests_per_hour = None;
    after.ip_restrictions.blacklist = field::parse_networks_line("10.0.0.1").unwrap();
    after.time_restrictions.allowed_hours = [1].into_iter().collect();
    let changes: Vec<_> = before.diff(&after).into_iter().map(|change| (change.path, change.after)).collect();
    let expected = [
        ("rate_limits.requests_per_hour", "null"),
        ("ip_restrictions.blacklist", "[\"10.0.0.1\"]"),
        ("time_restrictions.allowed_hours", "[1]"),
    ];
    assert_eq!(changes, expected.map(|(path, after)| (path.to_owned(), after.to_owned())));
    assert_eq!(before.diff(&after)[0].before, "1000");
}

#[test]
fn warnings_name_what_is_hardly_meant() {
    assert_eq!(named("p").warnings(), []);
    for (fields, path) in [
        (r#""mode": "shadow""#, "mode"),
        (r#""rate_limits": {"requests_per_day": 999}"#, "rate_limits.requests_per_day"),
        (
            r#""rate_limits": {"requests_per_hour": null, "requests_per_day": 99}"#,
            "rate_limits.requests_per_day",
        ),
        (r#""rate_limits": {"requests_per_hour": 0}"#, "rate_limits.requests_per_hour"),
        (r#""time_restrictions": {"allowed_hours": []}"#, "time_restrictions.allowed_hours"),
        (
            r#""ip_restrictions": {"whitelist": ["10.1.0.0/16"], "blacklist": ["10.0.0.0/8"]}"#,
            "ip_restrictions.whitelist[0]",
        ),
        (
            r#""endpoint_restrictions": {"allowed_endpoints": ["a"], "blocked_endpoints": ["a"]}"#,
            "endpoint_restrictions.allowed_endpoints[0]",
        ),
        (
            r#""endpoint_restrictions": {"blocked_endpoints": ["/a", "tools/call/*"]}"#,
            "endpoint_restrictions.blocked_endpoints[1]",
        ),
        (
            r#""endpoint_restrictions": {"blocked_endpoints": ["delete_*"]}"#,
            "endpoint_restrictions.blocked_endpoints[0]",
        ),
        (
            r#""endpoint_restrictions": {"blocked_endpoints": ["**"]}"#,
            "endpoint_restrictions.blocked_endpoints",
        ),
    ] {
        let warnings = Policy::from_json(&format!(r#"{{"name": "p", {fields}}}"#)).unwrap().warnings();
        assert_eq!(
            warnings.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(),
            [path],
            "{warnings:?}"
        );
    }
    let narrower =
        r#"{"name": "p", "ip_restrictions": {"whitelist": ["10.0.0.0/8"], "blacklist": ["10.1.0.0/16"]}}"#;
    assert_eq!(Policy::from_json(narrower).unwrap().warnings(), []);
}

fn any_limit() -> impl Strategy<Value = Option<u32>> {
    prop::option::of(0..=field::MOST_REQUESTS)
}

fn any_networks() -> impl Strategy<Value = Vec<IpNet>> {
    let v4 = (any::<[u8; 4]>(), 0_u8..=32).prop_map(|(address, length)| IpNet::new(address.into(), length));
    let v6 = (any::<[u8; 16]>(), 0_u8..=128).prop_map(|(address, length)| IpNet::new(address.into(), length));
    let network = prop_oneof![v4, v6].prop_map(|network| network.unwrap().trunc());
    prop::collection::hash_set(network, 0..5).prop_map(|set| set.into_iter().collect())
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let patterns = || {
        prop::collection::hash_set("[a-z*]/[a-z?\"\\\\é]{1,5}", 0..4)
            .prop_map(|set| set.iter().map(|text| text.parse().unwrap()).collect::<Vec<EndpointPattern>>())
    };
    let limits = (any_limit(), any_limit(), any_limit(), any::<bool>());
    let rest = (any::<String>(), any::<bool>(), any::<u32>(), 0..chrono_tz::TZ_VARIANTS.len());
    (limits, any_networks(), any_networks(), patterns(), patterns(), rest).prop_map(
        |(
            (minute, hour, day, fixed),
            whitelist,
            blacklist,
            allowed,
            blocked,
            (text, shadow, hours, zone),
        )| Policy {
            name: "p".parse().unwrap(),
            description: text.chars().take(field::LONGEST_DESCRIPTION).collect(),
            mode: Mode::ALL[usize::from(shadow)],
            scopes: Vec::new(),
            rate_limits: RateLimits {
                requests_per_minute: minute,
                requests_per_hour: hour,
                requests_per_day: day,
                algorithm: Algorithm::ALL[usize::from(fixed)],
            },
            ip_restrictions: IpRestrictions { whitelist, blacklist },
            time_restrictions: TimeRestrictions {
                allowed_hours: (0..24).filter(|hour| hours & (1 << hour) != 0).collect(),
                timezone: chrono_tz::TZ_VARIANTS[zone],
            },
            endpoint_restrictions: EndpointRestrictions {
                allowed_endpoints: allowed,
                blocked_endpoints: blocked,
            },
        },
    )
}

proptest! {
    #[test]
    fn a_policy_reads_back_as_it_was_written(policy in any_policy()) {
        let text = policy.to_json();
        prop_assert_eq!(Policy::from_json(&text), Ok(policy.clone()));
        prop_assert_eq!(policy.diff(&policy), Vec::new());
        let compact = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(Policy::from_json(&compact), Ok(policy));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = Policy::from_json(&text);
        let _ = Policy::from_json(&format!("{{\"name\": {}}}", serde_json::to_string(&text).unwrap()));
    }
}
