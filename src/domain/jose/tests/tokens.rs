//! Tokens of a wrong form.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn with_header(header: &str) -> Result<Compact, Fault> {
    Compact::parse(&format!("{}.e30.AA", base64::encode(header)))
}

#[test]
fn a_token_has_three_parts() {
    for (text, fault) in [
        ("", Fault::Parts),
        ("a", Fault::Parts),
        ("a.b", Fault::Parts),
        ("..", Fault::Json(Part::Header)),
        ("a.b.c.d", Fault::Parts),
        ("a.b.c.d.e", Fault::Encrypted),
        ("a.b.c.d.e.f", Fault::Parts),
    ] {
        assert_eq!(Compact::parse(text).unwrap_err(), fault, "{text}");
    }
    let long = |length: usize| {
        let header = base64::encode(r#"{"alg":"HS256"}"#);
        let rest = length - header.len() - 2;
        format!("{header}.{}.", "A".repeat(rest - rest % 4))
    };
    assert!(Compact::parse(&long(LONGEST)).is_ok());
    assert_eq!(Compact::parse(&"a".repeat(LONGEST + 1)).unwrap_err(), Fault::TooLong);
}

#[test]
fn only_what_is_read_one_way_is_read() {
    let header = base64::encode(r#"{"alg":"HS256"}"#);
    assert!(Compact::parse(&format!("{header}.e30.AA")).is_ok());
    for (token, part) in [
        (format!(" {header}.e30.AA"), Part::Header),
        (format!("{header}=.e30.AA"), Part::Header),
        (format!("{header}.e30=.AA"), Part::Payload),
        (format!("{header}.e31.AA"), Part::Payload),
        (format!("{header}.e30.AB"), Part::Signature),
        (format!("{header}.e30.AA=="), Part::Signature),
        (format!("{header}.e30.AA\n"), Part::Signature),
        (format!("{header}.e30.A+"), Part::Signature),
        (format!("{header}.e30.AA\u{a0}"), Part::Signature),
        (format!("{header}.\u{2003}e30.AA"), Part::Payload),
    ] {
        assert_eq!(Compact::parse(&token).unwrap_err(), Fault::Base64(part), "{token:?}");
    }
}

#[test]
fn a_header_that_demands_what_we_do_not_do_is_refused() {
    assert_eq!(with_header(r#"{"alg":"ES256","x":[1]}"#).unwrap().header().alg, Algorithm::Es256);
    for (header, fault) in [
        (r#"{}"#, Fault::NoAlgorithm),
        (r#"{"alg":null}"#, Fault::HeaderType("alg")),
        (r#"{"alg":["HS256"]}"#, Fault::HeaderType("alg")),
        (r#"{"alg":"hs256"}"#, Fault::UnknownAlgorithm),
        (r#"{"alg":""}"#, Fault::UnknownAlgorithm),
        (r#"{"alg":"HS256","kid":[1]}"#, Fault::HeaderType("kid")),
        (r#"{"alg":"HS256","typ":{}}"#, Fault::HeaderType("typ")),
        (r#"{"alg":"HS256","enc":null}"#, Fault::Encrypted),
        (r#"{"alg":"HS256","alg":"none"}"#, Fault::Json(Part::Header)),
        (r#"{"alg":"HS256","\u0061lg":"none"}"#, Fault::Json(Part::Header)),
        (r#"{"alg":"HS256"} "#, Fault::UnknownAlgorithm),
        (r#"["alg"]"#, Fault::Json(Part::Header)),
        (r#"{"alg":"HS256","crit":[]}"#, Fault::Critical),
        (r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, Fault::Critical),
        (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, Fault::Critical),
        (r#"{"alg":"HS256","crit":null}"#, Fault::Critical),
        (r#"{"alg":"HS256","b64":false}"#, Fault::Critical),
        (r#"{"alg":"HS256","b64":true}"#, Fault::Critical),
        (r#"{"alg":"HS256","enc":"A128GCM"}"#, Fault::Encrypted),
        (r#"{"alg":"HS256","cty":"JWT"}"#, Fault::Nested),
        (r#"{"alg":"HS256","cty":"application/jwt"}"#, Fault::Nested),
        (r#"{"alg":"HS256","cty":1}"#, Fault::HeaderType("cty")),
    ] {
        // White space behind the object is JSON's own.
        let expected = if header.ends_with(' ') { None } else { Some(fault) };
        assert_eq!(with_header(header).err(), expected, "{header}");
    }
}

#[test]
fn what_is_left_out_by_null_is_left_out() {
    let read = with_header(r#"{"alg":"HS256","typ":null,"kid":null,"cty":null,"x5t":null}"#).unwrap();
    assert_eq!(read.header(), &Header { alg: Algorithm::Hs256, typ: None, kid: None });
    assert_eq!(with_header(r#"{"alg":"HS256","kid":7}"#).unwrap().header().kid.as_deref(), Some("7"));
}

#[test]
fn a_type_is_known_in_full_and_in_short() {
    for (typ, is_known) in [
        ("at+jwt", true),
        ("AT+JWT", true),
        ("application/at+jwt", true),
        ("Application/AT+jwt", true),
        ("jwt", false),
        ("xat+jwt", false),
        ("text/at+jwt", false),
        ("application/application/at+jwt", false),
        ("", false),
    ] {
        let token = with_header(&json!({"alg": "HS256", "typ": typ}).to_string()).unwrap();
        assert_eq!(token.header().is_of_type("at+jwt"), is_known, "{typ}");
    }
    assert!(!with_header(r#"{"alg":"HS256"}"#).unwrap().header().is_of_type("at+jwt"));
}

#[test]
fn a_key_in_the_header_is_never_looked_at() {
    let header = json!({"alg": "HS256", "jku": "https://evil.example", "x5u": 7, "x5c": ["AA"], "jwk": {"kty": "oct", "k": "AA"}});
    let token = with_header(&header.to_string()).unwrap();
    assert_eq!(token.header(), &Header { alg: Algorithm::Hs256, typ: None, kid: None });
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[A-Za-z0-9_.=\\-]{0,120}", any in any::<String>()) {
        let _ = Compact::parse(&text);
        let _ = Compact::parse(&any);
        let _ = Compact::parse(&format!("{}.{}.{}", base64::encode(&any), base64::encode(&text), text));
        let _ = VerifyingKey::from_jwk(&any, None);
        let _ = VerifyingKey::from_pem(&any, None);
        let _ = KeySet::parse(&any, PrivatePart::Refuse, &[]);
    }
}
