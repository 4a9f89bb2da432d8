mod names;
mod sets;
mod spellings;

use proptest::prelude::*;

use super::*;

fn set(patterns: &[&str]) -> EndpointSet {
    let patterns: Vec<EndpointPattern> = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
    EndpointSet::new(&patterns).unwrap()
}

fn blocking(patterns: &[&str]) -> EndpointSet {
    let patterns: Vec<EndpointPattern> = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
    EndpointSet::blocking(&patterns).unwrap()
}

fn covers(pattern: &str, endpoint: &str) -> bool {
    set(&[pattern]).contains(&endpoint.parse().unwrap())
}

#[test]
fn the_target_is_part_of_what_acts_on_something() {
    let of = |method, target| Endpoint::mcp(method, target).unwrap().to_string();
    assert_eq!(of("tools/list", None), "tools/list");
    assert_eq!(of("tools/call", Some("search_docs")), "tools/call/search_docs");
    assert_eq!(of("resources/read", Some("file:///a.md")), "resources/read/file:///a.md");
    assert_eq!(of("prompts/get", Some("a/../b")), "prompts/get/a/../b");
    assert_eq!(of("tools/call", Some("a//b%2e")), "tools/call/a//b%2e");
    assert_eq!(of("resources/subscribe", Some("file:///a")), "resources/subscribe/file:///a");
    assert_eq!(of("completion/complete", Some("prompts/get/x")), "completion/complete/prompts/get/x");
    assert_eq!(of("resources/list", Some("file:///a")), "resources/list");
}

#[test]
fn a_method_cannot_pass_for_a_path() {
    assert!(matches!(Endpoint::mcp("/health", None), Err(BadEndpoint::NotAMethod(_))));
    assert_eq!(Endpoint::mcp("", Some("x")), Err(BadEndpoint::Empty));
    assert!(Endpoint::mcp("tools/call", Some(&"x".repeat(2037))).is_ok());
    assert_eq!(Endpoint::mcp("tools/call", Some(&"x".repeat(2038))), Err(BadEndpoint::TooLong));
}

#[test]
fn paths_have_one_form() {
    for (path, normal) in [
        ("/", "/"),
        ("/health", "/health"),
        ("/Health/", "/Health/"),
        ("/a//b///c", "/a/b/c"),
        ("//a", "/a"),
        ("/a/./b/../c", "/a/c"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/a//../b", "/b"),
        ("/%61dmin", "/admin"),
        ("/%7euser", "/~user"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/.%2E/b", "/b"),
        ("/a/%252e%252e/b", "/a/%252e%252e/b"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%2F..%2fb", "/a%2F..%2Fb"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a b{c}", "/a%20b%7Bc%7D"),
        ("/x?next=/admin", "/x"),
        ("/x#top", "/x"),
        ("/...", "/..."),
        ("/a;v=1/@me:(x)", "/a;v=1/@me:(x)"),
        ("/a%0A", "/a%0A"),
    ] {
        assert_eq!(Endpoint::http(path).unwrap().as_str(), normal, "{path}");
    }
}

#[test]
fn paths_that_servers_read_differently_are_refused() {
    for path in ["/a%", "/a%2", "/a%zz", "/%+1"] {
        assert!(matches!(Endpoint::http(path), Err(BadEndpoint::Escape(_))), "{path}");
    }
    for path in ["/a\\b", "/a%5cb", "/a%00", "/a\0", "/a\nb", "/a\u{7F}"] {
        assert!(matches!(Endpoint::http(path), Err(BadEndpoint::Character(_))), "{path}");
    }
    assert_eq!(Endpoint::http(""), Err(BadEndpoint::Empty));
    assert_eq!(Endpoint::http("?x"), Err(BadEndpoint::Empty));
    assert!(matches!(Endpoint::http("health"), Err(BadEndpoint::NotAPath(_))));
    assert_eq!(Endpoint::http(&format!("/{}", "x".repeat(2048))), Err(BadEndpoint::TooLong));
    assert_eq!(Endpoint::http(&format!("/{}", "é".repeat(1000))), Err(BadEndpoint::TooLong));
}

#[test]
fn people_write_both_kinds() {
    assert!(!"/a/../b".parse::<Endpoint>().unwrap().is_mcp());
    assert!("tools/call/a/../b".parse::<Endpoint>().unwrap().is_mcp());
    assert!("".parse::<Endpoint>().is_err());
}

#[test]
fn protocol_endpoints_are_few_and_exact() {
    for protocol in [
        "initialize",
        "ping",
        "server/discover",
        "logging/setLevel",
        "stream",
        "session/end",
        "notifications/cancelled",
    ] {
        assert!(protocol.parse::<Endpoint>().unwrap().is_protocol(), "{protocol}");
    }
    for other in
        ["initialize/x", "Ping", "notifications", "/initialize", "/ping", "tools/list", "session/ends"]
    {
        assert!(!other.parse::<Endpoint>().unwrap().is_protocol(), "{other}");
    }
}

#[test]
fn one_star_stays_in_a_segment_and_two_do_not() {
    for (pattern, endpoint, covered) in [
        ("tools/*", "tools/list", true),
        ("tools/*", "tools/call/x", false),
        ("tools/call/*", "tools/call/", true),
        ("tools/**", "tools/list", true),
        ("tools/**", "tools/call/x/y", true),
        ("tools/**", "tools", false),
        ("tools/**", "toolset/list", false),
        ("/api/**", "/api/", true),
        ("/api/**", "/api", false),
        ("/api/**", "/apix", false),
        ("/api*", "/apix", true),
        ("**", "/any/path", true),
        ("**", "tools/call/x", true),
        ("*", "initialize", true),
        ("*", "tools/list", false),
        ("*", "/", false),
        ("/**", "tools/list", false),
        ("**/admin", "/a/b/admin", true),
        ("**/admin", "/admin", true),
        ("**/admin", "/a/admins", false),
        ("resources/read/file:///docs/**", "resources/read/file:///docs/a/b.md", true),
        ("resources/read/file:///docs/**", "resources/read/file:///docs/", true),
        ("resources/read/file:///docs/**", "resources/read/file:///etc/passwd", false),
        ("resources/read/*://*", "resources/read/db://x", true),
        ("resources/read/**", "resources/read/https://x/?q=[1]", true),
        ("resources/read/a?b", "resources/read/a?b", true),
        ("resources/read/a?b*", "resources/read/a?bc", false),
        ("resources/read/a*", "resources/read/a?bc", true),
        ("resources/read/a?b*", "resources/read/axb", false),
        ("tools/call/[ab]*", "tools/call/a", false),
        ("tools/call/[ab]*", "tools/call/[ab]c", true),
        ("tools/call/{a,b}*", "tools/call/a", false),
        ("tools/call/get.*", "tools/call/getx", false),
        ("tools/call/\\*", "tools/call/*", false),
        ("tools/call/\\*", "tools/call/\\x", true),
        ("tools/call/é*", "tools/call/été", true),
        ("tools/call/*_docs", "tools/call/search_docs", true),
        ("tools/call/*_docs", "tools/call/search_docs2", false),
        ("tools/call", "tools/call/x", false),
    ] {
        assert_eq!(covers(pattern, endpoint), covered, "{pattern} and {endpoint}");
    }
}

#[test]
fn a_newline_in_a_name_does_not_end_the_match() {
    let endpoint = Endpoint::mcp("tools/call", Some("a\nb")).unwrap();
    assert!(set(&["tools/call/**"]).contains(&endpoint));
    assert!(set(&["tools/call/*"]).contains(&endpoint));
    assert!(!set(&["tools/call/a", "tools/call/*a"]).contains(&endpoint));
}

#[test]
fn patterns_that_could_never_match_are_refused_with_the_right_one() {
    for (pattern, mend) in [
        ("", "**"),
        ("a/***", "* for one segment"),
        (" tools/list", "space"),
        ("/a/../b", "`/b`"),
        ("/a//b/**", "`/a/b/**`"),
        ("/x?y", "`/x`"),
        ("/caf\u{e9}", "`/caf%C3%A9`"),
        ("/%61", "`/a`"),
        ("/a%", "hexadecimal"),
    ] {
        let message = pattern.parse::<EndpointPattern>().unwrap_err().to_string();
        assert!(message.contains(mend), "{pattern}: {message}");
    }
}

proptest! {
    #[test]
    fn the_normal_form_of_a_path_is_its_own(path in "/([a-z./]|%2e|%2F|%25|%41|é| ){0,20}") {
        let normal = Endpoint::http(&path).unwrap();
        prop_assert_eq!(Endpoint::http(normal.as_str()).unwrap(), normal.clone());
        let text = normal.as_str();
        prop_assert!(text.starts_with('/') && text.is_ascii() && !text.contains("//"));
        prop_assert!(!text.split('/').any(|segment| segment == "." || segment == ".."));
    }

    #[test]
    fn no_path_makes_the_normaliser_panic(path in any::<String>()) {
        let _ = Endpoint::http(&path);
        let _ = Endpoint::http(&format!("/{path}"));
        let _ = path.parse::<EndpointPattern>();
    }
}

#[test]
fn a_resource_is_covered_only_however_it_is_read() {
    let detours =
        ["file:///public/../secret.md", "file:///public/%2e%2e/secret.md", "file:///public/..%2fsecret.md"];
    let public = set(&["resources/read/file:///public/**"]);
    let secret = blocking(&["resources/read/file:///secret.md"]);
    for uri in detours {
        let asked = Endpoint::mcp("resources/read", Some(uri)).unwrap();
        assert_eq!(asked, format!("resources/read/{uri}").parse().unwrap(), "as people write it, too");
        assert_eq!(asked.as_str(), format!("resources/read/{uri}"));
        assert!(!public.contains(&asked), "{uri}");
        assert!(public.left_out(&asked).is_some(), "{uri}");
        assert!(!set(&["resources/read/file:///secret.md"]).contains(&asked), "{uri}");
        assert!(secret.hit(&asked).is_some(), "{uri}");
        assert_eq!(asked.objection(), Some(Objection::NoAgreedReading), "{uri}");
        // Who names it to the letter means it.
        assert!(set(&[asked.as_str()]).contains(&asked) && set(&[asked.as_str()]).names(&asked));
    }
    let plain: Endpoint = "resources/read/file:///public/hours.md".parse().unwrap();
    assert!(public.contains(&plain) && secret.hit(&plain).is_none() && plain.objection().is_none());
    // A name is no URI.
    let tool: Endpoint = "tools/call/file:///public/../x".parse().unwrap();
    assert!(tool.objection().is_none() && set(&["tools/call/file:///public/**"]).contains(&tool));
}

#[test]
fn a_path_is_covered_only_however_it_is_read() {
    let (public, admin) = (set(&["/pub/*"]), blocking(&["/admin/**"]));
    for path in ["/pub/a%2Fb", "/pub/a%252fb", "/pub%2Fa", "/pub/a;/b", "/PUB/a"] {
        assert!(!public.contains(&path.parse().unwrap()), "{path}");
    }
    for path in ["/pub/a", "/pub/a;v=1", "/pub/caf%C3%A9", "/pub/100%25", "/pub/a%20b", "/pub/A"] {
        let path: Endpoint = path.parse().unwrap();
        assert!(public.contains(&path) && path.objection().is_none(), "{path}");
    }
    for path in [
        "/admin",
        "/admin/",
        "/admin/keys",
        "/admin%2Fkeys",
        "/admin;x",
        "/admin;x/keys",
        "/%2Fadmin",
        "/%2Fadmin/keys",
        "/admin%252f",
        "/admin%252fkeys",
        "/ADMIN",
        "/Admin/Keys",
        "/x%2F..%2Fadmin",
        "/x/..;/admin/",
        "/admin%3Fkeys",
        "/%2561dmin/x",
    ] {
        assert!(admin.hit(&path.parse().unwrap()).is_some(), "{path}");
    }
    for path in ["/administration", "/x/admin", "/admin.json", "/adm%2Fin", "/pub/admin"] {
        assert_eq!(admin.hit(&path.parse().unwrap()), None, "{path}");
    }
    let upper = blocking(&["/Admin/**", "**/Secret*"]);
    for path in ["/admin/x", "/ADMIN", "/a/secrets", "tools/call/x/Secret"] {
        assert!(upper.hit(&path.parse().unwrap()).is_some(), "{path}");
    }
}

#[test]
fn what_acts_on_something_is_judged_by_that_too() {
    let read = set(&[
        "resources/subscribe",
        "completion/complete",
        "resources/read/file:///public/**",
        "prompts/get/open",
    ]);
    let blocked = blocking(&["resources/read/file:///secret/**", "prompts/get/secret"]);
    for (endpoint, covered, is_blocked) in [
        ("resources/subscribe/file:///public/a", true, false),
        ("resources/subscribe/file:///other/a", false, false),
        ("resources/subscribe/file:///secret/a", false, true),
        ("resources/subscribe/file:///SECRET/a", false, true),
        ("resources/unsubscribe/file:///public/a", false, false),
        ("resources/unsubscribe/file:///secret/a", false, true),
        ("subscriptions/listen/file:///secret/a", false, true),
        ("completion/complete/prompts/get/open", true, false),
        ("completion/complete/prompts/get/secret", false, true),
        ("completion/complete/resources/read/file:///public/{name}", true, false),
        ("completion/complete/resources/read/file:///secret/{name}", false, true),
        ("completion/complete", true, false),
        ("resources/subscribe", true, false),
    ] {
        let endpoint: Endpoint = endpoint.parse().unwrap();
        assert_eq!(read.contains(&endpoint), covered, "{endpoint}");
        assert_eq!(blocked.hit(&endpoint).is_some(), is_blocked, "{endpoint}");
        assert!(blocking(&["resources/*", "completion/*", "subscriptions/listen"]).hit(&endpoint).is_some());
    }
    let endpoint = "resources/subscribe/file:///a".parse().unwrap();
    for pattern in ["resources/subscribe/**", "resources/subscribe/file:///a", "resources/**"] {
        assert!(set(&[pattern]).contains(&endpoint), "{pattern}");
    }
    assert!(!set(&["resources/subscribe"]).contains(&endpoint), "the method alone");
    assert!(!set(&["resources/read/**"]).contains(&endpoint), "the target alone");
}

#[test]
fn only_what_mcp_knows_needs_no_name() {
    use Objection::{Disguised, UnknownMethod};
    for (text, objection) in [
        ("tools/list", None),
        ("tools/call/Anything At All", None),
        ("notifications/whatever", None),
        ("tasks/result", None),
        ("/any/path", None),
        ("Tools/Call", Some(Disguised)),
        (" tools/call", Some(Disguised)),
        ("tools/call ", Some(Disguised)),
        ("tools/list\n", Some(Disguised)),
        ("acme/run", Some(UnknownMethod)),
        ("acme", Some(UnknownMethod)),
    ] {
        assert_eq!(text.parse::<Endpoint>().unwrap().objection(), objection, "{text:?}");
    }
    // It would pass for a call of the tool `x`, whatever the body names.
    assert!(matches!(Endpoint::mcp("tools/call/x", Some("y")), Err(BadEndpoint::NamesATarget(_))));
}

#[test]
fn a_whole_credential_is_no_endpoint_and_a_token_in_a_uri_is_not_shown() {
    let token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PG";
    let key = format!("pcl_live_{}_{}", "A".repeat(22), "b".repeat(49));
    for secret in [token, &key] {
        for text in [
            format!("/a/{secret}"),
            format!("tools/call/{secret}"),
            format!("prompts/get/x-{secret}"),
            format!("completion/complete/prompts/get/{secret}"),
            secret.to_owned(),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(BadEndpoint::Credential), "{text}");
        }
    }
    for method in ["resources/read", "resources/subscribe"] {
        assert_eq!(format!("{method}/https://x/?k={key}").parse::<Endpoint>(), Err(BadEndpoint::Credential));
        let asked: Endpoint = format!("{method}/https://x/?t={token}").parse().unwrap();
        assert_eq!(asked.to_string(), format!("{method}/https://x/?t=[redacted]"));
        assert_eq!(serde_json::to_value(&asked).unwrap(), asked.to_string());
        assert!(!format!("{asked:?}").contains(token) && asked.as_str().contains(token));
        let bare: Endpoint = format!("{method}/https://x/{token}").parse().unwrap();
        assert!(!bare.shown().contains(token), "a token without any sign of a query");
    }
}

#[test]
fn patterns_that_look_as_if_something_else_were_meant_are_told() {
    for (pattern, doubt) in [
        ("tools/call/{delete,drop}_*", "`{}` means itself"),
        ("tools/call/[dx]*", "`[` means itself"),
        ("tools/call/?rop", "`?` means itself"),
        ("!tools/call/x", "`!` means itself"),
        ("resources/read/file:///{a,b}/**", "`{}` means itself"),
        ("delete_all", "tools/call/delete_all"),
        ("tools/call", "tools/call/**"),
        ("resources/read", "resources/read/**"),
        ("tools/call/", "tools/call/**"),
        ("tools/call/!delete", "`!` means itself"),
        ("tools/call/!(a|b)", "`|` means itself"),
        ("^tools/call/x$", "`^` means itself"),
        ("tools/call/.*", "`.` means itself"),
        ("tools/call/delete\\*", "`\\` means itself"),
        ("delete_*", "tools/call/delete_*"),
        ("*_docs", "tools/call/*_docs"),
        ("tools/list/*", "no method of MCP"),
        ("tools/calls/*", "no method of MCP"),
        ("Tools/call/*", "no method of MCP"),
        ("Tools/call/x", "as MCP does"),
        ("tool/*/x", "no method of MCP"),
        ("tools/cal/add", "did you mean tools/call/add?"),
        ("tool/call/add", "did you mean tools/call/add?"),
        ("tools/calls", "did you mean tools/call/**?"),
        ("resource/read/x", "did you mean resources/read/x?"),
    ] {
        let doubts = pattern.parse::<EndpointPattern>().unwrap().doubts();
        assert!(doubts.iter().any(|told| told.contains(doubt)), "{pattern}: {doubts:?}");
    }
    for pattern in [
        "**",
        "*",
        "tools/**",
        "tools/call/*",
        "tools/list",
        "ping",
        "notifications/**",
        "/health",
        "acme/run",
        "tasks/*",
        "*/list",
        "*/**",
        "**/call/x",
        "to*/call/x",
        "pin*",
        "resources/*",
        "subscriptions/listen",
        "notifications/*",
        "tools/call/acme.*",
        "tools/call/a!b",
        "resources/subscribe",
        "resources/read/file:///a/.*",
        "/admin/*",
        "resources/read/db://t?id=1",
        "resources/read/http://[::1]/**",
        "completion/complete/resources/read/file:///{path}",
    ] {
        assert_eq!(pattern.parse::<EndpointPattern>().unwrap().doubts(), [""; 0], "{pattern}");
    }
    let key = format!("tools/call/pcl_live_{}_{}", "A".repeat(22), "b".repeat(49));
    let refused = key.parse::<EndpointPattern>().unwrap_err().to_string();
    assert!(refused.contains("whole API key") && !refused.contains(&key[20..]), "{refused}");
}
