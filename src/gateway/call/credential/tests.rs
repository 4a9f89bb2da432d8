use super::*;
use crate::domain::api_key::{Environment, KeyId, KeySecret};
use http::HeaderMap;

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

fn aim() -> Aim {
    Aim { method: "POST".into(), urls: vec!["https://mcp.example/mcp".into()] }
}

fn read_all(fields: &[(&str, &str)], query: Option<&str>) -> Credential {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    read(&Fields::from(&headers), query, 100, || Some(aim()))
}

fn read_fields(fields: &[(&str, &str)], query: Option<&str>) -> Presented {
    read_all(fields, query).presented.unwrap_or_else(|wrong| panic!("{fields:?}: {wrong:?}"))
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
fn what_is_neither_a_key_nor_a_token_is_malformed() {
    let Key { joined, .. } = key();
    let cut = format!("Bearer {}", &joined[..joined.len() - 1]);
    let basic = ("authorization", "Basic dXNlcjpwYXNz");
    for fields in [
        &[basic][..],
        &[("authorization", joined.as_str())],
        &[("authorization", cut.as_str())],
        &[("authorization", "Bearer abc")],
        &[("authorization", "Bearer a.b")],
        &[("authorization", "Bearer a..c")],
        &[("authorization", "Bearer a.b.c.d.e")],
        &[("authorization", "Bearer a.b.c=")],
        &[("authorization", "Bearer a.b .c")],
        &[("x-api-key", "eyJh.e30.AA")],
    ] {
        assert!(matches!(read_fields(fields, None), Presented::Malformed(_)), "{fields:?}");
    }
}

#[test]
fn a_token_is_told_from_a_key_by_its_shape() {
    for (field, manner) in [("Bearer eyJh.e30.AA", Manner::Token), ("bearer  e-._.A", Manner::Token)] {
        let read = read_all(&[("authorization", field)], None);
        let Ok(Presented::Token(token)) = read.presented else { panic!("{field}: {read:?}") };
        assert_eq!((read.manner, token.possession), (manner, None));
        assert!(field.ends_with(token.text.expose()));
    }
    let marked = read_all(&[("authorization", "Bearer pcl_live.e30.AA")], None);
    assert_eq!(marked.manner, Manner::Key, "what has the mark of a key is never tried as a token");
    assert!(matches!(marked.presented, Ok(Presented::Malformed(_))));
}

#[test]
fn a_proof_belongs_to_its_scheme() {
    let bound = read_all(&[("authorization", "DPoP eyJh.e30.AA"), ("dpop", "good")], None);
    assert!(matches!(bound.presented, Ok(Presented::Token(_))), "{bound:?}");
    assert_eq!((bound.manner, bound.proof), (Manner::Bound, Some(Proof { text: "good".into(), aim: aim() })));
    let wrong = |fields: &[(&str, &str)]| read_all(fields, None).presented.unwrap_err();
    assert_eq!(wrong(&[("authorization", "DPoP eyJh.e30.AA")]), Wrong::Proof(Reason::Malformed));
    assert_eq!(wrong(&[("authorization", "DPoP pcl_x"), ("dpop", "good")]), Wrong::Proof(Reason::Malformed));
    let twice = [("authorization", "DPoP eyJh.e30.AA"), ("dpop", "good"), ("dpop", "good")];
    assert!(matches!(wrong(&twice), Wrong::Improper(_)));
    let stray = read_all(&[("authorization", "Bearer eyJh.e30.AA"), ("dpop", "good")], None);
    assert!(matches!(stray.presented, Ok(Presented::Token(_))), "{stray:?}");
    assert_eq!(stray.proof, None, "a bearer token has no proof, whatever stands beside it");
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "DPoP eyJh.e30.AA".parse().unwrap());
    headers.insert("dpop", "good".parse().unwrap());
    let nowhere = read(&Fields::from(&headers), None, 100, || None);
    assert_eq!(nowhere.presented.unwrap_err(), NOWHERE, "nobody knows what it would have to be for");
}

#[test]
fn two_ways_at_once_are_no_proper_request() {
    let Key { joined, id, secret } = key();
    let bearer = format!("Bearer {joined}");
    let shown = id.to_string();
    for fields in [
        &[("authorization", bearer.as_str()), ("x-api-key", joined.as_str())][..],
        &[("authorization", bearer.as_str()), ("authorization", bearer.as_str())],
        &[("x-api-key", joined.as_str()), ("x-api-key", joined.as_str())],
        &[("x-api-key", joined.as_str()), ("x-api-key-id", shown.as_str())],
        &[("x-api-key-id", shown.as_str())],
        &[("x-api-key-secret", secret.as_str())],
        &[("authorization", bearer.as_str()), ("x-api-key-id", shown.as_str())],
        &[("authorization", "Bearer eyJh.e30.AA"), ("x-api-key", joined.as_str())],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "DPoP")],
        &[("authorization", "")],
    ] {
        assert!(matches!(read_all(fields, None).presented, Err(Wrong::Improper(_))), "{fields:?}");
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
        assert_eq!(read_all(&[], Some(&query)).presented.unwrap_err(), IN_QUERY, "{query}");
        let fields = [("authorization", bearer.as_str())];
        assert_eq!(read_all(&fields, Some(&query)).presented.unwrap_err(), IN_QUERY, "{query}");
    }
}
