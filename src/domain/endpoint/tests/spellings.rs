//! Ten thousand spellings of paths and URIs, judged as the gateway judges them, and read as servers read them, each model
//! as short as the server's own rule. What is let through leads no server to what is blocked, or out of what is allowed.

use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::{Endpoint, blocking, set};

const SPELLINGS: usize = 10_000;

const PIECES: &[&str] = &[
    "secret",
    "secret",
    "SECRET",
    "public",
    "public",
    "key.md",
    "a",
    "b.c",
    "/",
    "/",
    "/",
    "//",
    "%2F",
    "%2f",
    "%252f",
    "%25252F",
    "\\",
    "%5C",
    "%255c",
    ";",
    ";v=1",
    "..",
    "..",
    ".",
    "%2e%2e",
    "%2E",
    "%252e",
    ".%2e",
    "%73ecret",
    "%2573ecret",
    "%53ECRET",
    "\0",
    "%00",
    "%2500",
    "?",
    "%3F",
    "#",
    "%23",
    "%0a",
    "%20",
    "%20",
    "secret.",
    "secret%20",
    "..%20",
    ".%20.",
    "é",
    "%C3%A9",
    "%25",
    "@",
    ":80",
    "localhost",
    "%C0%AE",
    "~",
];

/// The same ones in each run.
fn spellings(beginnings: &'static [&'static str]) -> impl Iterator<Item = String> {
    let config = Config { rng_seed: RngSeed::Fixed(14), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..9);
    let spelling = (prop::sample::select(beginnings), pieces)
        .prop_map(|(first, rest)| first.to_owned() + &rest.concat());
    (0..SPELLINGS).map(move |_| spelling.new_tree(&mut runner).unwrap().current())
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// As a file is opened: without empty segments, dots resolved, nothing behind NUL.
fn opened(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('\0').next().unwrap().split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

fn without_parameters(path: &str) -> String {
    path.split('/').map(|segment| segment.split(';').next().unwrap()).collect::<Vec<_>>().join("/")
}

/// As Windows takes the names of files.
fn trimmed(path: &str) -> String {
    let name = |segment: &'_ str| match segment.trim_end_matches(' ') {
        dots @ ("." | "..") => dots.to_owned(),
        name => name.trim_end_matches([' ', '.']).to_owned(),
    };
    path.split('/').map(name).collect::<Vec<_>>().join("/")
}

fn is_in(folder: &str, path: &str) -> bool {
    path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

type Server = (&'static str, fn(&str) -> String);

/// Of the path that the gateway sends on.
const SERVERS: [Server; 6] = [
    ("Starlette: decodes, and finds files", |path| opened(&decoded(path))),
    ("wsgiref: decodes, one slash first", |path| format!("/{}", decoded(path).trim_start_matches('/'))),
    ("like Express: no case, no slash at the end", |path| {
        let path = path.to_ascii_lowercase();
        path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&path).to_owned()
    }),
    ("like Tomcat: cuts parameters, decodes, backslashes", |path| {
        opened(&decoded(&without_parameters(path)).replace('\\', "/"))
    }),
    ("decodes twice", |path| opened(&decoded(&decoded(path)))),
    ("like Windows: no dots and blanks at the end of a name", |path| {
        opened(&trimmed(&decoded(path)).to_lowercase())
    }),
];

/// Of the URI that the client names.
const READERS: [Server; 9] = [
    ("cuts `file://` off", |uri| opened(&format!("/{}", uri.strip_prefix("file://").unwrap_or(uri)))),
    ("cuts it off and decodes", |uri| {
        opened(&format!("/{}", decoded(uri.strip_prefix("file://").unwrap_or(uri))))
    }),
    ("urllib: path, decoded", |uri| opened(&decoded(&path_of(uri)))),
    ("decoded before it is taken apart", |uri| opened(&path_of(&decoded(uri)))),
    ("decoded twice", |uri| opened(&decoded(&decoded(&path_of(uri))))),
    ("like Java: parameters cut", |uri| opened(&decoded(&without_parameters(&path_of(uri))))),
    ("like Windows: backslashes, no case", |uri| {
        opened(&decoded(&path_of(uri)).replace('\\', "/").to_lowercase())
    }),
    ("WHATWG", |uri| {
        let path = url::Url::parse(uri).map(|url| url.path().to_owned()).unwrap_or_default();
        opened(&decoded(&path))
    }),
    ("like Windows: no dots and blanks at the end of a name", |uri| {
        opened(&trimmed(&decoded(&path_of(uri)).replace('\\', "/")).to_lowercase())
    }),
];

/// Without scheme, authority, query and fragment (RFC 3986 appendix B).
fn path_of(uri: &str) -> String {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let rest = match rest.strip_prefix("//") {
        Some(rest) => &rest[rest.find(['/', '?', '#']).unwrap_or(rest.len())..],
        None => rest,
    };
    rest.split(['?', '#']).next().unwrap().to_owned()
}

#[test]
fn no_spelling_of_a_path_leads_a_server_to_what_is_blocked_or_out_of_what_is_allowed() {
    let (blocked, allowed) = (blocking(&["/secret/**"]), set(&["/public/*"]));
    let (mut passed, mut inside) = (0, 0);
    for spelling in spellings(&["/", "/", "/public/", "/secret", "/Secret"]) {
        let Ok(endpoint) = spelling.parse::<Endpoint>() else { continue };
        if endpoint.objection().is_some() {
            continue;
        }
        for (server, reads) in SERVERS {
            let found = reads(endpoint.as_str());
            if blocked.hit(&endpoint).is_none() {
                assert!(!is_in("/secret", &found), "{server}: {spelling:?} is {found}");
            }
            if allowed.contains(&endpoint) {
                assert!(
                    is_in("/public", &found) && found.matches('/').count() <= 2,
                    "{server}: {spelling:?} is {found}"
                );
            }
        }
        passed += usize::from(blocked.hit(&endpoint).is_none());
        inside += usize::from(allowed.contains(&endpoint));
    }
    assert!(passed > 500 && inside > 100, "{passed} {inside}");
}

#[test]
fn no_spelling_of_a_uri_leads_a_reader_to_what_is_blocked_or_out_of_what_is_allowed() {
    let blocked = blocking(&["resources/read/file:///secret/**"]);
    let allowed = set(&["resources/read/file:///public/**"]);
    let (mut passed, mut inside) = (0, 0);
    for spelling in spellings(&[
        "file:///",
        "file:///public/",
        "file:///secret",
        "file://",
        "FILE:///",
        "file:/",
        " file:///",
    ]) {
        let endpoint = Endpoint::mcp("resources/read", Some(&spelling)).unwrap();
        if endpoint.objection().is_some() {
            continue;
        }
        for (reader, reads) in READERS {
            let found = reads(&spelling);
            if blocked.hit(&endpoint).is_none() {
                assert!(!is_in("/secret", &found), "{reader}: {spelling:?} is {found}");
            }
            if allowed.contains(&endpoint) {
                assert!(is_in("/public", &found), "{reader}: {spelling:?} is {found}");
            }
        }
        passed += usize::from(blocked.hit(&endpoint).is_none());
        inside += usize::from(allowed.contains(&endpoint));
    }
    assert!(passed > 500 && inside > 100, "{passed} {inside}");
}

/// The short cut says what the long way finds.
#[test]
fn what_is_said_to_be_single_has_no_other_reading() {
    let uris: &[&str] = &["file:///", "http://x/", "https://a.b/", "db://", "memo:", "x+y://z/", "ws://h"];
    for (form, beginnings) in [(super::Form::Path, &["/"][..]), (super::Form::Uri, uris)] {
        for spelling in spellings(beginnings) {
            let text = match form {
                super::Form::Path => match Endpoint::http(&spelling) {
                    Ok(normal) => normal.as_str().to_owned(),
                    Err(_) => continue,
                },
                super::Form::Uri => spelling,
            };
            if form.is_single(&text) {
                let readings = form.readings(&text);
                assert!(readings.all == [text.as_str()] && readings.is_agreed, "{text:?}: {readings:?}");
            }
        }
    }
}
