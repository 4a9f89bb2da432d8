use super::*;
use crate::domain::api_key::{Environment, KeyId, KeySecret};

struct Key {
    joined: String,
    id: KeyId,
    secret: String,
}

fn key() -> Key {
    let id = KeyId::generate().unwrap();
    let joined = KeySecret::generate().unwrap().join(Environment::default(), id).expose().to_owned();
    let secret = joined.rsplit('_').next().unwrap().to_owned();
    Key { joined, id, secret }
}

fn read_fields(fields: &[(&str, &str)], query: Option<&str>) -> Presented {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    presented(&headers, query)
}

#[test]
fn each_of_the_three_ways_is_read() {
    let Key { joined, id, secret } = key();
    let bearer = format!("Bearer {joined}");
    let lower = format!("bearer  {joined}");
    let shown = id.to_string();
    for fields in [
        &[("authorization", bearer.as_str())][..],
        &[("authorization", lower.as_str())],
        &[("x-api-key", joined.as_str())],
        &[("x-api-key-id", shown.as_str()), ("x-api-key-secret", secret.as_str())],
    ] {
        match read_fields(fields, None) {
            Presented::ApiKey(found) => assert_eq!(found.id, id, "{fields:?}"),
            other => panic!("{fields:?}: {other:?}"),
        }
    }
}

#[test]
fn nothing_presented_is_nothing() {
    assert!(matches!(read_fields(&[("cookie", "a=b")], Some("page=2&q=key")), Presented::Nothing));
}

#[test]
fn two_ways_at_once_and_anything_else_is_malformed() {
    let Key { joined, id, secret } = key();
    let bearer = format!("Bearer {joined}");
    let shown = id.to_string();
    let bare = joined.clone();
    for fields in [
        &[("authorization", bearer.as_str()), ("x-api-key", joined.as_str())][..],
        &[("authorization", bearer.as_str()), ("authorization", bearer.as_str())],
        &[("x-api-key", joined.as_str()), ("x-api-key", joined.as_str())],
        &[("x-api-key", joined.as_str()), ("x-api-key-id", shown.as_str())],
        &[("x-api-key-id", shown.as_str())],
        &[("x-api-key-secret", secret.as_str())],
        &[("authorization", "Basic dXNlcjpwYXNz")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")],
        &[("authorization", bare.as_str())],
    ] {
        assert!(matches!(read_fields(fields, None), Presented::Malformed(_)), "{fields:?}");
    }
}

#[test]
fn a_query_string_is_never_a_way() {
    let Key { joined, .. } = key();
    let bearer = format!("Bearer {joined}");
    for query in [
        format!("api_key={joined}"),
        "access_token=x".into(),
        "a=1&API-Key=x".into(),
        "%61pi_key=x".into(),
        format!("key={joined}"),
        format!("anything=%70cl_live_{joined}"),
    ] {
        assert!(matches!(read_fields(&[], Some(&query)), Presented::Malformed(_)), "{query}");
        let fields = [("authorization", bearer.as_str())];
        assert!(matches!(read_fields(&fields, Some(&query)), Presented::Malformed(_)), "{query}");
    }
}
