use serde_json::json;

use super::*;
use crate::domain::policy::RateLimits;

fn limits(minute: Option<u32>, hour: Option<u32>, algorithm: Algorithm) -> RateLimits {
    RateLimits { requests_per_minute: minute, requests_per_hour: hour, requests_per_day: None, algorithm }
}

#[test]
fn the_shape_of_the_document_is_read() {
    let bound = Bound::read(&json!({
        "allowed_endpoints": ["tools/list", "tools/call/search_*"],
        "rate_limits": {"requests_per_minute": 5},
        "ip_restrictions": ["10.0.0.0/8"],
    }))
    .unwrap();
    let policy = bound.policy();
    assert!(policy.allows_endpoint(&"tools/call/search_docs".parse().unwrap()));
    assert!(!policy.allows_endpoint(&"tools/call/delete".parse().unwrap()));
    assert!(policy.allows_address(Some([10, 1, 2, 3].into())));
    assert!(!policy.allows_address(Some([11, 1, 2, 3].into())) && !policy.allows_address(None));
    assert_eq!(policy.policy.rate_limits, limits(Some(5), None, Algorithm::Sliding));
}

#[test]
fn addresses_may_be_an_object() {
    let bound =
        Bound::read(&json!({"ip_restrictions": {"whitelist": [], "blacklist": ["10.0.0.1"]}})).unwrap();
    assert!(bound.policy().allows_address(Some([10, 0, 0, 2].into())));
    assert!(!bound.policy().allows_address(Some([10, 0, 0, 1].into())));
}

#[test]
fn what_is_left_out_limits_nothing() {
    let bound = Bound::read(&json!({})).unwrap();
    let live = limits(Some(7), None, Algorithm::Fixed);
    assert_eq!(bound.narrow(&live), live);
    assert!(
        bound.policy().allows_endpoint(&"tools/call/x".parse().unwrap())
            && bound.policy().allows_address(None)
    );
}

#[test]
fn what_is_not_known_might_limit_and_is_refused() {
    for claim in [
        json!(null),
        json!([]),
        json!("readers"),
        json!({"allowed_endpoint": []}),
        json!({"allowed_endpoints": "tools/list"}),
        json!({"allowed_endpoints": [], "endpoint_restrictions": {"allowed_endpoints": []}}),
        json!({"endpoint_restrictions": [], "allowed_endpoints": []}),
        json!({"rate_limits": {"requests_per_second": 1}}),
        json!({"rate_limits": {"requests_per_minute": -1}}),
        json!({"rate_limits": 5}),
        json!({"rate_limits": null}),
        json!({"ip_restrictions": ["10.0.0.0/33"]}),
        json!({"ip_restrictions": "10.0.0.1"}),
        json!({"mode": "shadow"}),
    ] {
        let refused = Bound::read(&claim).unwrap_err();
        assert_eq!(refused.claim, "policy", "{claim}");
    }
}

#[test]
fn a_live_policy_comes_back_as_it_was_bound() {
    let mut policy = Policy::new("readers".parse().unwrap());
    policy.description = "not for the token".into();
    policy.scopes = vec!["mcp:read".parse().unwrap()];
    policy.rate_limits = limits(Some(5), Some(50), Algorithm::Fixed);
    policy.ip_restrictions.blacklist = vec!["10.0.0.0/8".parse().unwrap()];
    policy.time_restrictions.allowed_hours = [9, 10].into_iter().collect();
    policy.endpoint_restrictions.blocked_endpoints = vec!["tools/call/delete_*".parse().unwrap()];
    let bound = Bound::new(policy).unwrap();
    assert_eq!(Bound::read(&bound.to_json()), Ok(bound.clone()));
    assert!(!bound.to_json().to_string().contains("readers"));
    assert_eq!(
        Bound::read(&json!({"endpoint_restrictions": {"blocked_endpoints": ["x"]}})).unwrap().to_json()["blocked_endpoints"],
        json!(["x"])
    );
}

#[test]
fn a_policy_that_limits_nothing_cannot_be_bound() {
    let mut policy = Policy::new("trial".parse().unwrap());
    policy.mode = Mode::Shadow;
    assert!(Bound::new(policy).unwrap_err().to_string().contains("shadow"));
}

#[test]
fn of_two_limits_the_lower_one_counts() {
    let bound = Bound::read(
        &json!({"rate_limits": {"requests_per_minute": 5, "requests_per_hour": 500, "algorithm": "fixed"}}),
    );
    let bound = bound.unwrap();
    assert_eq!(
        bound.narrow(&limits(Some(10), Some(100), Algorithm::Fixed)),
        limits(Some(5), Some(100), Algorithm::Fixed)
    );
    assert_eq!(
        bound.narrow(&limits(None, None, Algorithm::Sliding)),
        limits(Some(5), Some(500), Algorithm::Sliding)
    );
}
