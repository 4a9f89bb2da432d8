//! Where a client is: the peer's address, or what a trusted proxy says of it, and nothing else.

use serde_json::json;

use crate::{
    place::{PING, Place},
    support::home::policy,
    wire,
};

/// The address that counts for a request with these fields: what the upstream is told, and what policies judge. `None`
/// where there is none.
fn address_of(place: &Place, fields: &str) -> Option<String> {
    let heard = wire::speak(place.gateway, &place.post(&format!("{fields}Connection: close\r\n"), PING));
    assert_eq!(heard.statuses(), [200], "{fields:?}");
    let arrived = place.recorder.take();
    arrived[0].one("x-forwarded-for").map(str::to_owned)
}

/// Whether a key under `policy` is admitted with these fields.
fn admits(place: &Place, key: &str, fields: &str) -> bool {
    let bytes = place.post(&format!("{fields}Connection: close\r\n"), PING);
    let own = String::from_utf8(bytes).expect("a text").replace(&place.key, key);
    let statuses = wire::speak(place.gateway, own.as_bytes()).statuses();
    assert!(matches!(statuses[..], [200] | [403]), "{statuses:?}");
    let arrived = place.recorder.take().len();
    assert_eq!(arrived, usize::from(statuses == [200]), "{fields:?}");
    statuses == [200]
}

/// Keys under policies of which one admits the office alone, the other everybody but the office.
fn keys(place: &Place) -> [String; 2] {
    let office = json!(["198.51.100.0/24"]);
    for (name, lists) in [
        ("office", json!({"whitelist": office, "blacklist": []})),
        ("elsewhere", json!({"whitelist": [], "blacklist": office})),
    ] {
        place.home.apply_policy(&policy(name, &json!({"ip_restrictions": lists})));
    }
    ["office", "elsewhere"].map(|policy| place.home.issue("subject-1", "mcp:*", &["--policy", policy]).key)
}

/// Every way to say where one is, all from the office.
const CLAIMS: [&str; 14] = [
    "X-Forwarded-For: 198.51.100.7\r\n",
    "x-forwarded-for:198.51.100.7\r\n",
    "X-FORWARDED-FOR: 198.51.100.7 \r\n",
    "X_Forwarded_For: 198.51.100.7\r\n",
    "X-Forwarded-For: 198.51.100.7, 198.51.100.8\r\n",
    "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: 198.51.100.8\r\n",
    "X-Forwarded-For: 198.51.100.7\r\nConnection: X-Forwarded-For\r\n",
    "Forwarded: for=198.51.100.7\r\n",
    "Forwarded: for=\"198.51.100.7:80\";proto=https;host=localhost\r\n",
    "X-Real-IP: 198.51.100.7\r\n",
    "X-Client-IP: 198.51.100.7\r\n",
    "True-Client-IP: 198.51.100.7\r\n",
    "CF-Connecting-IP: 198.51.100.7\r\n",
    "X-Forwarded: 198.51.100.7\r\n",
];

#[test]
fn a_stranger_is_where_its_connection_comes_from() {
    let place = Place::new(&["--refusals", "status", "--trusted-proxy", "10.0.0.0/8"]);
    let [office, elsewhere] = keys(&place);
    for claim in CLAIMS {
        assert_eq!(address_of(&place, claim).as_deref(), Some("127.0.0.1"), "{claim}");
        assert!(!admits(&place, &office, claim), "{claim}");
        assert!(admits(&place, &elsewhere, claim), "{claim}");
    }
}

#[test]
fn a_trusted_proxy_is_believed_from_the_right_and_in_one_field_alone() {
    let place = Place::new(&[
        "--refusals",
        "status",
        "--trusted-proxy",
        "127.0.0.0/8",
        "--trusted-proxy",
        "fd00::/8",
    ]);
    let [office, elsewhere] = keys(&place);
    for (fields, address) in [
        ("X-Forwarded-For: 198.51.100.7\r\n", Some("198.51.100.7")),
        ("x-forwarded-for:198.51.100.7 \r\n", Some("198.51.100.7")),
        ("X-Forwarded-For: 203.0.113.1, 198.51.100.7\r\n", Some("198.51.100.7")),
        ("X-Forwarded-For: 198.51.100.7, 203.0.113.1\r\n", Some("203.0.113.1")),
        ("X-Forwarded-For: 198.51.100.7, 127.0.0.9, fd00::1\r\n", Some("198.51.100.7")),
        ("X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 198.51.100.7\r\n", Some("198.51.100.7")),
        ("X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: 203.0.113.1\r\n", Some("203.0.113.1")),
        ("X-Forwarded-For: junk, 198.51.100.7\r\n", Some("198.51.100.7")),
        ("X-Forwarded-For: 198.51.100.7:4711\r\n", Some("198.51.100.7")),
        ("X-Forwarded-For: ::ffff:198.51.100.7\r\n", Some("198.51.100.7")),
        ("X-Forwarded-For: [2001:db8::1]:4711\r\n", Some("2001:db8::1")),
        ("X-Forwarded-For: 127.0.0.7\r\n", Some("127.0.0.7")),
        ("X-Forwarded-For: 198.51.100.7, junk\r\n", None),
        ("X-Forwarded-For: 198.51.100.7,\r\n", None),
        ("X-Forwarded-For:\r\n", None),
        ("X-Forwarded-For: 3325256711\r\n", None),
        ("X-Forwarded-For: 0xc6.0x33.0x64.0x7\r\n", None),
        ("X-Forwarded-For: 198.051.100.007\r\n", None),
        ("X-Forwarded-For: office.example\r\n", None),
        ("", Some("127.0.0.1")),
        ("X_Forwarded_For: 198.51.100.7\r\n", Some("127.0.0.1")),
        ("Forwarded: for=198.51.100.7\r\n", Some("127.0.0.1")),
        ("X-Real-IP: 198.51.100.7\r\n", Some("127.0.0.1")),
        ("X-Forwarded-For: 203.0.113.1\r\nX-Real-IP: 198.51.100.7\r\n", Some("203.0.113.1")),
        ("X-Forwarded-For: 203.0.113.1\r\nForwarded: for=198.51.100.7\r\n", Some("203.0.113.1")),
    ] {
        assert_eq!(address_of(&place, fields).as_deref(), address, "{fields:?}");
        let is_office = address == Some("198.51.100.7");
        assert_eq!(admits(&place, &office, fields), is_office, "{fields:?}");
        // Where nobody knows the address, a policy that asks for it admits nobody.
        assert_eq!(admits(&place, &elsewhere, fields), !is_office && address.is_some(), "{fields:?}");
    }
}
