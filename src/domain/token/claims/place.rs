//! Where a claim stands in a token: by its name, or by the way to it within another (RFC 6901).

use serde_json::{Map, Value};

/// The claim that is named: `scope`, or as a JSON pointer `/realm_access/roles`. Names such as `https://example.com/roles`
/// are names as they stand.
pub fn find<'a>(payload: &'a Map<String, Value>, claim: &str) -> Option<&'a Value> {
    let Some(way) = claim.strip_prefix('/') else { return payload.get(claim) };
    let (first, rest) = match way.find('/') {
        Some(end) => way.split_at(end),
        None => (way, ""),
    };
    payload.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
}

/// The way that is likely meant by a name with dots in it, as others write ways: `/realm_access/roles`.
pub fn meant_way(claim: &str) -> Option<String> {
    let is_way = claim.contains('.') && !claim.contains(['/', ':']);
    is_way.then(|| format!("/{}", claim.replace('.', "/")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_found_by_its_name_or_by_the_way_to_it() {
        let payload = json!({
            "scope": "a", "realm_access": {"roles": ["b"]}, "realm_access.roles": "c", "https://x.example/roles": "d",
            "resource_access": {"a/b": {"roles": "e"}, "list": ["f", "g"]}, "": "h", "~x": "i",
        });
        let payload = payload.as_object().unwrap();
        for (claim, found) in [
            ("scope", json!("a")),
            ("/scope", json!("a")),
            ("/realm_access/roles", json!(["b"])),
            ("realm_access.roles", json!("c")),
            ("https://x.example/roles", json!("d")),
            ("/https:~1~1x.example~1roles", json!("d")),
            ("/resource_access/a~1b/roles", json!("e")),
            ("/resource_access/list/1", json!("g")),
            ("/", json!("h")),
            ("/~0x", json!("i")),
        ] {
            assert_eq!(find(payload, claim), Some(&found), "{claim}");
        }
        for claim in [
            "Scope",
            "scope/",
            "/scope/",
            "/scope/x",
            "realm_access/roles",
            "/realm_access/Roles",
            "//realm_access",
            "/realm_access/roles/1",
            "/resource_access/a/b/roles",
            "/resource_access/list/01",
        ] {
            assert_eq!(find(payload, claim), None, "{claim}");
        }
    }
}
