use super::names::{BadFieldPattern, FieldPattern};
use super::*;
use crate::domain::api_key::KeyId;
use crate::domain::credential::CredentialId;
use crate::gateway::call::introduction::{CREDENTIAL, Introductions, SCOPES, SUBJECT};
use crate::gateway::testing;
use crate::gateway::wire::{REQUEST_ID, RequestId};
use http::HeaderMap;

fn forwarded(fields: &[(&str, &str)], subject: &str) -> HeaderMap {
    let mut client = HeaderMap::new();
    for (name, value) in fields {
        client.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let principal = testing::principal(subject, CredentialId::ApiKey(KeyId::generate().unwrap()));
    let preface = Preface::new(&HeaderValue::from_static("inner:3000"));
    let mut head = testing::request_head();
    preface.write(&mut head, Some("198.51.100.7".parse().unwrap()), "https");
    head.add_id(&RequestId::from(uuid::Uuid::nil()));
    let client = Fields::from(&client);
    to_upstream(&mut head, &client, client.get(&header::HOST), |name| name == b"x-ends-here-as-well");
    Introductions::default().introduce(&principal, |introduction| head.add_lines(introduction.lines()));
    head.fields()
}

#[test]
fn no_client_credential_and_no_spoofed_identity_goes_through_in_any_spelling() {
    let mut spellings: Vec<String> = Vec::new();
    for name in [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "X-API-Key",
        "X-API-Key-Id",
        "X-API-Key-Secret",
        "X-Portcullis-Subject",
        "X-Portcullis-Credential",
        "X-Portcullis-Scopes",
        "X-Portcullis-Request-Id",
        "X-Portcullis-Anything",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "X-Forwarded-Client-Cert",
        "Forwarded",
        "X-Real-IP",
        "X-Client-Cert",
        "X-Client-Cert-Chain",
        "Client-Cert",
        "X-SSL-Client-Cert",
        "SSL-Client-Verify",
        "X-ARR-ClientCert",
        "X-Remote-User",
        "Remote-User",
        "X-Auth-Request-User",
        "X-Original-URL",
        "X-Original-URI",
        "X-Original-Method",
        "X-Forwarded",
        "X-Host",
        "X-Authenticated-Groups",
        "X-WebAuth-User",
        "X-Rewrite-URL",
        "X-HTTP-Method",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "DPoP",
        "Origin",
    ] {
        let under = name.replace('-', "_");
        let mixed = name.replacen('-', "_", 1);
        let dotted = name.replace('-', ".");
        for spelling in [name.to_owned(), name.to_uppercase(), name.to_lowercase(), under, mixed, dotted] {
            spellings.push(spelling);
        }
    }
    for spelling in &spellings {
        let sent = [(spelling.as_str(), "spoofed"), ("connection", spelling.as_str())];
        for sent in [&sent[..1], &sent] {
            for (name, value) in &forwarded(sent, "alice") {
                let is_spoofed = value.as_bytes().windows(7).any(|part| part == b"spoofed");
                assert!(!is_spoofed, "{spelling} became {name}");
            }
        }
    }
}

#[test]
fn what_is_not_ours_passes_untouched() {
    let fields = forwarded(
        &[
            ("content-type", "application/json"),
            ("mcp-param-region", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            ("accept", "text/event-stream"),
            ("accept", "application/json"),
            ("traceparent", "00-1"),
            ("x-user-agent", "1"),
            ("x-http-methods", "1"),
            ("x-client-version", "1"),
            ("x-hosts", "1"),
            ("x-ends-here-as-well", "1"),
        ],
        "alice",
    );
    assert_eq!(fields["content-type"], "application/json");
    assert_eq!(fields["mcp-param-region"], "=?base64?SGVsbG8sIOS4lueVjA==?=");
    assert_eq!(fields.get_all("accept").iter().count(), 2);
    assert_eq!(fields["traceparent"], "00-1");
    assert_eq!(fields["x-user-agent"], "1");
    assert_eq!(fields["x-http-methods"], "1");
    assert_eq!(fields["x-client-version"], "1");
    assert_eq!(fields["x-hosts"], "1");
    assert!(!fields.contains_key("x-ends-here-as-well"));
}

#[test]
fn the_upstream_learns_who_asks() {
    let fields = forwarded(&[("host", "mcp.example.com")], "alice");
    assert_eq!(fields[SUBJECT], "alice");
    assert_eq!(fields[SCOPES], "tools:list tools:call");
    assert_eq!(fields[&REQUEST_ID], "00000000-0000-0000-0000-000000000000");
    assert_eq!(fields[CREDENTIAL].len(), 22);
    assert_eq!(fields["host"], "inner:3000");
    assert_eq!(fields["x-forwarded-for"], "198.51.100.7");
    assert_eq!(fields["x-forwarded-proto"], "https");
    assert_eq!(fields["x-forwarded-host"], "mcp.example.com");
    assert_eq!(forwarded(&[], "Zoë 100%")[SUBJECT], "Zo%C3%AB%20100%25");
}

#[test]
fn each_address_is_told_as_itself() {
    let preface = Preface::new(&HeaderValue::from_static("inner:3000"));
    for (address, scheme) in [
        (Some("198.51.100.7"), "http"),
        (Some("198.51.100.7"), "http"),
        (Some("198.51.100.7"), "https"),
        (None, "https"),
        (None, "http"),
        (Some("198.51.100.8"), "http"),
        (Some("2001:db8::1"), "http"),
        (Some("198.51.100.7"), "http"),
    ] {
        let mut head = testing::request_head();
        preface.write(&mut head, address.map(|address| address.parse().unwrap()), scheme);
        let fields = head.fields();
        let told = fields.get(&FORWARDED_FOR).map(|value| value.to_str().unwrap());
        assert_eq!((told, &fields["host"]), (address, &HeaderValue::from_static("inner:3000")));
        assert_eq!(fields[&FORWARDED_PROTO], scheme);
    }
}

#[test]
fn fields_of_one_connection_stay_on_it() {
    let sent = [
        ("connection", "close, X-Secret-Hop"),
        ("connection", "x-other-hop"),
        ("x-secret-hop", "1"),
        ("x-other-hop", "1"),
        ("keep-alive", "5"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("upgrade", "websocket"),
        ("transfer-encoding", "chunked"),
        ("proxy-connection", "x"),
        ("x-kept", "1"),
    ];
    let forwarded = forwarded(&sent, "alice");
    for (name, _) in &sent[..10] {
        assert!(!forwarded.contains_key(*name), "{name}");
    }
    assert!(forwarded.contains_key("x-kept"));
}

#[test]
fn every_listed_name_is_found_whatever_its_length() {
    let found = |text: &str| ends_here(text.as_bytes());
    let listed = names::telling_by_name().chain(names::judged_here_by_name());
    for name in listed.chain(HOP_BY_HOP.iter().chain(&OF_A_REQUEST).map(|name| (*name).to_owned())) {
        assert!(found(&name), "{name}");
        // A field of the connection, or of this request, is framing in its true spelling alone; it ends here in all.
        assert!(found(&name.replace('-', "_")), "{name}");
    }
    for (beginning, known) in names::FAMILIES.iter().chain([&names::KEYS]) {
        assert!(!known.is_empty(), "{beginning}");
        for length in (0..80).chain([1000]) {
            assert!(found(&format!("{beginning}{}", "z".repeat(length))), "{beginning} and {length} more");
        }
        assert!(!found(&format!("z{beginning}")), "{beginning}");
    }
    for name in names::HARMLESS {
        assert!(!found(name), "{name}");
    }
}

/// What a CGI-like server calls a field (RFC 3875 §4.1.18), if it does not drop it: to the letter, slowly.
fn cgi(name: &str) -> String {
    let mark = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    format!("HTTP_{}", name.chars().map(mark).collect::<String>())
}

/// Which fields end here, said once more in the words of such a server.
fn must_end(name: &str) -> bool {
    let name = cgi(name);
    let of = |list: &[&str]| list.iter().any(|known| cgi(known) == name);
    let families = names::FAMILIES.iter().chain([&names::KEYS]);
    of(&HOP_BY_HOP)
        || of(&OF_A_REQUEST)
        || of(names::JUDGED_HERE)
        || of(names::TELLING)
        || (families.map(|(beginning, _)| cgi(beginning)).any(|beginning| name.starts_with(&beginning))
            && !of(names::HARMLESS))
}

/// Numbers that are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    fn of(&mut self, letters: &str) -> char {
        letters.as_bytes()[self.below(letters.len())].into()
    }

    /// A name made of another: its marks exchanged, its letters in any case, and sometimes one too many, too few or wrong.
    fn spelling(&mut self, name: &str) -> String {
        const MARKS: &str = "-_--__.!#$%&'*+^`|~";
        const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789-_";
        let marked = |dice: &mut Self, letter: char| match letter {
            '-' => dice.of(MARKS),
            _ if dice.below(2) == 0 => letter.to_ascii_uppercase(),
            _ => letter,
        };
        let mut spelling: Vec<char> = name.chars().map(|letter| marked(self, letter)).collect();
        let at = self.below(spelling.len());
        match self.below(8) {
            0 => spelling[at] = self.of(LETTERS),
            1 => spelling.insert(at, self.of(LETTERS)),
            2 if spelling.len() > 1 => _ = spelling.remove(at),
            3 => spelling.push(self.of(LETTERS)),
            _ => {}
        }
        spelling.into_iter().collect()
    }
}

#[test]
fn random_spellings_are_judged_as_a_slow_and_obvious_reader_does() {
    let listed = names::telling_by_name().chain(names::judged_here_by_name());
    let others =
        HOP_BY_HOP.iter().chain(&OF_A_REQUEST).chain(names::HARMLESS).chain(names::JUDGED_AND_PASSED);
    let honest =
        ["accept", "user-agent", "traceparent", "mcp-method", "mcp-name", "mcp-param-region", "x-odd"];
    let all: Vec<String> = listed.chain(others.chain(&honest).map(|name| (*name).to_owned())).collect();
    let (mut dice, mut ended, rounds) = (Dice(20_261_201), 0, 10_000);
    for _ in 0..rounds {
        let known = &all[dice.below(all.len())];
        let sent = dice.spelling(known);
        let name = HeaderName::from_bytes(sent.as_bytes()).unwrap();
        let fields = Fields::from(&HeaderMap::from_iter([(name, HeaderValue::from_static("1"))]));
        let field = fields.iter().next().unwrap();
        assert_eq!(ends_here(field.name()), must_end(&sent), "{sent}");
        ended += usize::from(must_end(&sent));
        let known = HeaderName::from_bytes(known.as_bytes()).unwrap();
        assert_eq!(fields.has(&known), cgi(&sent) == cgi(known.as_str()), "{sent} as {known}");
        let is_exact = sent.eq_ignore_ascii_case(known.as_str());
        assert_eq!(fields.all_to_the_letter(&known).count(), usize::from(is_exact), "{sent} as {known}");
        let named = HeaderMap::from_iter([(header::CONNECTION, HeaderValue::from_str(&sent).unwrap())]);
        let is_judged = names::JUDGED_AND_PASSED.iter().any(|judged| cgi(judged) == cgi(&sent))
            || cgi(&sent).starts_with(&cgi(names::JUDGED_FAMILY));
        assert_eq!(takes_away_what_is_judged(&Fields::from(&named)), is_judged, "Connection: {sent}");
    }
    assert!(ended > rounds / 2 && ended < rounds, "{ended} of {rounds} end here");
}

#[test]
fn an_operator_names_more_fields_but_none_that_is_needed() {
    let covers = |pattern: &str, name: &str| pattern.parse::<FieldPattern>().unwrap().covers(name.as_bytes());
    for (pattern, name) in
        [("X-Tenant", "x-tenant"), ("x_tenant", "x-tenant"), ("X-Tenant", "x_tenant"), ("acme-*", "acme_id")]
    {
        assert!(covers(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [("X-Tenant", "x-tenants"), ("X-Tenant", "x-tenan"), ("acme-*", "acme")] {
        assert!(!covers(pattern, name), "{pattern} {name}");
    }
    for text in ["", "*", "-x", "a b", "a:b", "a\"", "x-*-y", "ä", &"x".repeat(65)] {
        assert!(matches!(text.parse::<FieldPattern>(), Err(BadFieldPattern::Name(_))), "{text}");
    }
    for text in [
        "content-type",
        "Content_*",
        "c*",
        "Mcp-Method",
        "mcp-param-region",
        "m*",
        "mcp*",
        "accept",
        "a*",
        "host",
    ] {
        assert!(matches!(text.parse::<FieldPattern>(), Err(BadFieldPattern::Needed(_))), "{text}");
    }
}
