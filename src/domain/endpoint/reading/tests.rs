use super::*;

fn uri(text: &str) -> Readings {
    Form::Uri.readings(text)
}

#[test]
fn a_uri_in_its_standard_form_has_no_other() {
    for text in [
        "file:///a.md",
        "file:///caf%C3%A9/a%20b.md",
        "db://Tables/Users",
        "memo:insights",
        "no uri",
        "https://x/",
        "https://[::1]:8080/a",
        "file:///100%25/of.md",
    ] {
        let readings = uri(text);
        assert!(readings.all == [text] && readings.is_agreed && readings.is_complete, "{text}: {readings:?}");
    }
}

#[test]
fn what_is_cut_off_is_a_reading_that_servers_agree_on() {
    for (text, cut) in [
        ("db://tables/users?id=1", "db://tables/users"),
        ("https://x/a#b", "https://x/a"),
        ("file:///secret.md?.png", "file:///secret.md"),
        ("file:///secret.md%3F.png", "file:///secret.md"),
        ("file:///secret.md%23.png", "file:///secret.md"),
        ("https://x/a;v=1/b", "https://x/a/b"),
        ("ui://widget/?src=https%3A%2F%2Fy%2Fz", "ui://widget/"),
    ] {
        let readings = uri(text);
        assert!(readings.is_agreed && readings.is_complete, "{text}: {readings:?}");
        assert!(readings.all.iter().any(|reading| reading == cut), "{text}: {readings:?}");
    }
}

#[test]
fn detours_end_at_what_they_reach_and_nobody_agrees_on_them() {
    for text in [
        "file:///public/../secret.md",
        "file:///public//../../secret.md",
        "file:///public//..//secret.md",
        "file:///public/%2e%2e/secret.md",
        "file:///public/.%2E/secret.md",
        "file:///public/..%2fsecret.md",
        "file:///public%2f..%2fsecret.md",
        "file:///public%252f..%252fsecret.md",
        "file:///public/..\\secret.md",
        "file:///public/..%5Csecret.md",
        "file:////secret.md",
        "file:///./secret.md",
        "file:///sec\nret.md",
        "file:///secret.md\0.png",
        "file:///secret.md%00.png",
        "file:///secret.md%2500.png",
        "file:///public/..;x/secret.md",
        "file://localhost//secret.md",
    ] {
        let readings = uri(text);
        assert!(!readings.is_agreed && readings.is_complete, "{text:?}: {readings:?}");
        assert!(readings.all.iter().any(|reading| reading == "file:///secret.md"), "{text:?}: {readings:?}");
    }
}

#[test]
fn nobody_agrees_on_these_either() {
    for text in [
        "https://user@x/a",
        "https://user:pass@x/a",
        "https://x%40y/a",
        "https://x:y/a",
        "https://x:80.example.com/a",
        "file://\\x/secret.md",
        "file://../secret.md",
        "file://./secret.md",
        "file:../secret.md",
        "file://x?/../secret.md",
        "memo:a//b",
        "https://x/a//b",
        "https://x/;p/b",
        "file:///a%C0%AEb",
        "file:///a%E0%80%AFb",
        "file:///a\u{9b}b",
        "file:///a%C2%9Bb",
        "//x/y//z",
        "ftp://user@x/a",
        "wss://user@x/a",
        "file://user@x/a",
        "postgres://a@b@db/t",
        "postgres://@db/t",
        "postgres://me[x@db/t",
        "postgres://me\\@db/t",
        "postgres://me%40x@db/t",
        "postgres://me@db:x/t",
        "file:///a/.. /b",
        "file:///a/..%20/b",
        "file:///a/.%20./b",
        "file:///a/.../b",
    ] {
        assert!(!uri(text).is_agreed, "{text:?}: {:?}", uri(text));
    }
    for text in [
        "https://x:8080/a",
        "https://x./a",
        "HTTPS://X/a",
        "user@host",
        "mailto:a@b",
        "memo:a/b/",
        "/a/b",
        "postgres://me@db/t",
        "mysql://me:p%21w@db:3306/t",
        "redis://:x@[::1]:6379/0",
        "file:///a./b ",
        "file:///a/b%20",
    ] {
        assert!(uri(text).is_agreed, "{text:?}: {:?}", uri(text));
    }
}

#[test]
fn without_end_there_is_no_reading() {
    let readings = uri(&format!("file:///a%{}2f", "25".repeat(200)));
    assert!(!readings.is_complete && !readings.is_agreed);
    let long = format!("https://x/{}", "\u{e9}".repeat(600));
    assert!(!uri(&long).is_complete, "the standard form is longer than an endpoint");
}

#[test]
fn blocked_is_what_a_careless_reader_finds() {
    let finds = |form: Form, text: &str, wanted: &str| {
        form.readings(text).all.iter().any(|reading| form.any_folded(reading, &mut |folded| folded == wanted))
    };
    for text in [
        "https://admin.example/keys",
        "https://ADMIN.example/keys",
        "https://admin.example./keys",
        "https://admin.example:443/keys",
        "https://admin.example:8443/keys",
        "https://me@admin.example/keys",
        "https://me:x@Admin.example.:1/Keys",
        "https://admin.example/%6Beys",
        "https://admin.example/%256Beys",
        "https://admin.example/keys/",
        "https://admin.example/keys?x",
        "https://admin.example/\u{212A}eys",
        "https://admin.example/\u{FF4B}eys",
    ] {
        assert!(finds(Form::Uri, text, "https://admin.example/keys"), "{text}");
    }
    for text in ["file://elsewhere/keys", "file://KEYS", "FILE:/keys", "file:keys", " file:///keys"] {
        assert!(finds(Form::Uri, text, "file:///keys"), "{text}");
    }
    for text in
        ["/admin/", "/ADMIN", "/admin;x", "/admin%252f", "/%61dmin", "/admin%3Fx", "/admin%23", "/a%64min%2F"]
    {
        assert!(finds(Form::Path, text, "/admin/"), "{text}");
    }
    assert!(!finds(Form::Path, "/administration", "/admin/"));
    assert!(!finds(Form::Uri, "https://example/admin.example/keys", "https://admin.example/keys"));
}

#[test]
fn dots_and_blanks_at_the_end_of_a_name_are_left_out_by_some() {
    let has = |form: Form, text: &str, wanted: &str| {
        form.readings(text).all.iter().any(|reading| reading == wanted)
    };
    for text in [
        "/admin%20",
        "/admin.",
        "/admin%20.",
        "/admin..%20",
        "/admin%2520",
        "/admin%252E",
        "/admin.;x",
        "/admin.%3Fx",
    ] {
        assert!(has(Form::Path, text, "/admin"), "{text}: {:?}", Form::Path.readings(text));
    }
    for text in ["/admin./x", "/admin%20/x", "/admin/x."] {
        assert!(has(Form::Path, text, "/admin/x"), "{text}: {:?}", Form::Path.readings(text));
    }
    for text in ["file:///secret./a", "file:///secret/a ", "file:///secret%20/a.", "file:///secret/a.?x"] {
        assert!(has(Form::Uri, text, "file:///secret/a"), "{text}: {:?}", uri(text));
    }
    for text in ["/admin.x", "/.admin", "/%20admin", "/a%20b", "/a.b/c"] {
        let readings = Form::Path.readings(text);
        assert!(readings.all == [text] && readings.is_agreed, "{text}: {readings:?}");
    }
    // Blanks of other scripts.
    let finds = |text: &str| Form::Path.any_folded(text, &mut |folded| folded == "/admin");
    assert!(finds("/admin%C2%A0") && finds("/admin%E3%80%80.") && !finds("/admin%C2%A0x"));
}

#[test]
fn what_is_said_to_be_single_is() {
    for (form, text) in [
        (Form::Uri, "file:///a/b.md"),
        (Form::Uri, "file:///C:/a"),
        (Form::Uri, "https://x.example/a,b/(c)'d'"),
        (Form::Uri, "db://tables"),
        (Form::Uri, "a+b.c-d://x/y"),
        (Form::Path, "/a/b@c:d"),
    ] {
        assert!(form.is_single(text), "{text}");
        assert_eq!(form.readings(text).all, [text]);
    }
    for text in [
        "http://127.1/a",
        "http://0x7f.1/",
        "https://x",
        "https://x.y.2/",
        "file://x/a",
        "file:///.a/",
        "x:y",
        "https://xn--a/",
    ] {
        assert!(!Form::Uri.is_single(text), "{text}");
    }
}

#[test]
fn an_escape_that_is_hidden_in_others_is_found() {
    for text in [
        "file:///public/%25%32%65%25%32%65/secret.md",
        "file:///public/%2%65%2%65/secret.md",
        "file:///public/%25%32e%252%65/secret.md",
    ] {
        assert!(!uri(text).is_agreed, "{text}: {:?}", uri(text));
    }
    let readings = uri("file:///%25%37%33ecret.md");
    assert!(readings.all.iter().any(|reading| reading == "file:///%73ecret.md"), "{readings:?}");
}

#[test]
fn nobody_agrees_on_dots_and_slashes_of_other_forms() {
    for text in [
        "file:///pub/\u{FF0E}\u{FF0E}/etc/passwd",
        "file:///pub/\u{2025}/etc/passwd",
        "file:///pub/..\u{FF0F}etc/passwd",
        "file:///pub/.\u{200B}./etc/passwd",
        "file:///pub/.%E2%80%8B./etc/passwd",
        "file:///pub/%EF%BC%8E%EF%BC%8E/etc/passwd",
        "https://a\u{FF20}b.example/x",
    ] {
        assert!(!uri(text).is_agreed, "{text}: {:?}", uri(text));
    }
    for text in [
        "file:///pub/notes\u{2026}/a.md",
        "file:///pub/\u{FF21}.md",
        "file:///pub/世界/é.md",
        "file:///pub/e\u{301}.md",
    ] {
        assert!(uri(text).is_agreed, "{text}: {:?}", uri(text));
    }
    assert!(!Form::Path.readings("/pub/%EF%BC%8E%EF%BC%8E/x").is_agreed);
    assert!(Form::Path.readings("/pub/%E4%B8%96").is_agreed);
}

#[test]
fn nobody_agrees_on_what_climbs_out_of_the_query_of_a_scheme_that_is_made_up() {
    for text in ["docs://public/a?/../../secret/key", "docs://public?/../secret/key", "docs://public/a#/../b"]
    {
        assert!(!uri(text).is_agreed, "{text}");
    }
    for text in ["docs://public/a?b=c/d", "https://x/a?next=/../b", "docs://public/a?next=https://y/z"] {
        assert!(uri(text).is_agreed, "{text}");
    }
    for text in ["docs:///secret/key", "docs:secret/key", "docs:/secret/key"] {
        assert!(Form::Uri.any_folded(text, &mut |text| text == "docs://secret/key"), "{text}");
    }
}
