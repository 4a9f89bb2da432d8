//! What has no readings: a name is taken as it is, and near misses of methods and authorities are what they are.

use super::*;

fn is_clear(endpoint: &str) -> bool {
    let endpoint: Endpoint = endpoint.parse().unwrap();
    endpoint.objection().is_none() && set(&["tools/call/**", "prompts/get/**"]).contains(&endpoint)
}

#[test]
fn a_name_is_no_uri_and_has_one_reading() {
    for name in [
        "tools/call/a/../b",
        "tools/call/a//b",
        "tools/call/a%2fb",
        "prompts/get/x?y#z",
        "tools/call/HTTP://a@b",
    ] {
        assert!(is_clear(name), "{name}");
    }
    let blocked = blocking(&["tools/call/a/b"]);
    for other in ["tools/call/a//b", "tools/call/a%2fb", "tools/call/A/b"] {
        assert!(blocked.hit(&other.parse().unwrap()).is_none(), "{other}");
    }
    assert!(blocked.hit(&"tools/call/a/b".parse().unwrap()).is_some());
}

#[test]
fn methods_that_name_their_target_are_these_alone() {
    for method in ["tools/call", "prompts/get", "resources/read"] {
        assert!(Endpoint::names_a_target(method), "{method}");
    }
    for method in ["tools/list", "resources/subscribe", "completion/complete", "tools/calls", "ping", ""] {
        assert!(!Endpoint::names_a_target(method), "{method}");
    }
}

#[test]
fn an_address_in_brackets_is_followed_by_a_port_or_nothing() {
    let clear =
        |uri: &str| format!("resources/read/{uri}").parse::<Endpoint>().unwrap().objection().is_none();
    for uri in ["https://[::1]/a", "https://[::1]:8080/a"] {
        assert!(clear(uri), "{uri}");
    }
    for uri in ["https://[::1]x/a", "https://[::1].evil.example/a", "https://[::1/a", "https://[::1]:x/a"] {
        assert!(!clear(uri), "{uri}");
    }
}

#[test]
fn the_longest_path_is_taken() {
    let path = |length: usize| format!("/{}", "x".repeat(length - 1));
    assert!(Endpoint::http(&path(2048)).is_ok());
    assert_eq!(Endpoint::http(&path(2049)), Err(BadEndpoint::TooLong));
    // One that is longest and has to be put right first.
    assert!(Endpoint::http(&format!("/{}%41", "x".repeat(2044))).is_ok());
}
