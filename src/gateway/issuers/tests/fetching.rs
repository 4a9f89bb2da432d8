//! What is fetched, and what is not.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use url::Url;

use super::server::{Server, jwk, key_set, names};
use crate::gateway::issuers::fetch::What;
use crate::gateway::issuers::{Answer, Fault, Fetcher, LookUpError, issuer_url, look_up};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
const SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

fn fetcher(server: &Server) -> Fetcher {
    let known = &[("idp.internal", HERE), ("keys.internal", HERE), ("cloud.internal", METADATA)];
    Fetcher::with(server.certificate.clone().into_iter().collect(), names(known)).unwrap()
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

async fn fault(fetcher: &Fetcher, text: &str, allowed: &[&str]) -> Fault {
    let allowed: Vec<_> = allowed.iter().map(|&host| host.to_owned()).collect();
    fetcher.get(&url(text), &allowed, What::Metadata).await.unwrap_err().fault
}

#[test]
fn keys_are_found_by_the_metadata_wherever_the_specifications_put_it() {
    let server = Server::plain();
    server.json("/keys", &key_set(&[jwk("a")]));
    let fetcher = fetcher(&server);
    let allowed = ["127.0.0.1".to_owned()];
    for (path, at, asked) in [
        ("", SERVER.to_owned(), 2),
        ("/a", format!("{SERVER}/a"), 2),
        ("/b", format!("{OPENID}/b"), 3),
        ("/c", format!("/c{OPENID}"), 4),
    ] {
        let iss = format!("{}{path}", server.origin);
        server.metadata(&at, &iss);
        let found = look_up(&fetcher, &url(&iss), &iss, &allowed).unwrap();
        assert_eq!((found.metadata.jwks_uri.path(), found.at.path()), ("/keys", &*at));
        assert!(found.published.text.contains("\"a\""));
        assert_eq!(server.asked().len(), asked, "{at}");
    }
    let iss = format!("{}/nowhere", server.origin);
    let error = look_up(&fetcher, &url(&iss), &iss, &allowed).unwrap_err();
    assert!(matches!(&error, LookUpError::Nowhere(tried) if tried.len() == 3), "{error}");
    assert!(error.to_string().contains("404") && !error.is_of_input(), "{error}");
}

#[test]
fn each_place_is_asked_until_one_has_what_fits() {
    let server = Server::plain();
    let fetcher = fetcher(&server);
    let allowed = ["127.0.0.1".to_owned()];
    server.json("/keys", &key_set(&[jwk("a")]));
    let json = "Content-Type: application/json";
    let wrong: [&dyn Fn(); 8] = [
        &|| server.metadata(SERVER, &format!("{}/", server.origin)),
        &|| server.page(SERVER, "302 Found", "Location: /login", ""),
        &|| server.page(SERVER, "500 Internal Server Error", json, "{}"),
        &|| server.page(SERVER, "200 OK", "Content-Type: text/html", "<p>"),
        &|| server.json(SERVER, "{}"),
        &|| server.json(SERVER, "[]"),
        &|| server.json(SERVER, &" ".repeat(256 * 1024 + 1)),
        &|| server.raw(SERVER, b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec()),
    ];
    for (number, make) in wrong.into_iter().enumerate() {
        make();
        server.metadata(OPENID, &server.origin);
        let found = look_up(&fetcher, &url(&server.origin), &server.origin, &allowed);
        let found = found.unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!((found.at.path(), server.asked().len()), (OPENID, 3), "{number}");
        server.page(OPENID, "404 Not Found", "X: y", "");
        let error = look_up(&fetcher, &url(&server.origin), &server.origin, &allowed).unwrap_err();
        let told = error.to_string();
        assert!(told.contains(SERVER) && told.contains(OPENID) && told.contains("404"), "{number}: {told}");
        assert_eq!(error.is_of_input(), number == 0, "another issuer is what was typed wrong: {told}");
        server.asked();
    }
    server.metadata(SERVER, &format!("{}/", server.origin));
    let named = format!("{}/", server.origin);
    look_up(&fetcher, &url(&server.origin), &named, &allowed).unwrap();
}

#[tokio::test]
async fn keys_are_taken_of_whatever_type_if_that_is_what_they_are() {
    let server = Server::plain();
    let fetcher = fetcher(&server);
    let get = |what: What<'static>| {
        let (fetcher, address) = (&fetcher, url(&format!("{}/keys", server.origin)));
        async move { fetcher.get(&address, &["127.0.0.1".into()], what).await }
    };
    let keys = What::Keys { etag: None };
    for kind in
        ["text/plain", "binary/octet-stream", "application/octet-stream", "text/html; charset=utf-8", "", "?"]
    {
        for body in ["{\"keys\":[]}", "\u{feff}{\"keys\":[]}"] {
            server.page("/keys", "200 OK", &format!("Content-Type: {kind}"), body);
            let Ok(Answer::Document(published)) = get(keys).await else { panic!("{kind}") };
            assert_eq!(published.text, "{\"keys\":[]}");
            let fault = get(What::Metadata).await.unwrap_err().fault;
            assert!(matches!(fault, Fault::Type(_)), "{kind}: {fault}");
        }
        server.page("/keys", "200 OK", &format!("Content-Type: {kind}"), "<p>");
        assert!(matches!(get(keys).await.unwrap_err().fault, Fault::Type(_)), "{kind}");
    }
    server.page("/keys", "200 OK", "X: y", "{}");
    assert!(get(keys).await.is_ok(), "without a type");
}

#[tokio::test]
async fn an_answer_that_is_not_one_small_json_document_is_refused() {
    let server = Server::plain();
    let fetcher = fetcher(&server);
    let json = "Content-Type: application/json";
    server.page("/moved", "302 Found", "Location: https://elsewhere.example.org/keys", "");
    server.page("/broken", "500 Internal Server Error", json, "{}");
    server.page("/html", "200 OK", "Content-Type: text/html", "<p>");
    server.page("/untyped", "200 OK", "X: y", "{}");
    server.page("/gzip", "200 OK", &format!("{json}\r\nContent-Encoding: gzip"), "{}");
    server.json("/long", &" ".repeat(256 * 1024 + 1));
    let chunk = format!("40001\r\n{}\r\n0\r\n\r\n", " ".repeat(0x40001));
    server.raw(
        "/chunks",
        format!("HTTP/1.1 200 OK\r\n{json}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}").into(),
    );
    server.raw(
        "/latin",
        [format!("HTTP/1.1 200 OK\r\n{json}\r\nContent-Length: 1\r\n\r\n").as_bytes(), b"\xff"].concat(),
    );
    server.raw("/noise", b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec());
    server.page("/unasked", "304 Not Modified", json, "");
    let answer = |path: &'static str| {
        let (fetcher, address) = (&fetcher, format!("{}{path}", server.origin));
        async move { fault(fetcher, &address, &["127.0.0.1"]).await }
    };
    assert!(matches!(answer("/moved").await, Fault::Redirect));
    assert!(matches!(answer("/broken").await, Fault::Status(500)));
    assert!(matches!(answer("/html").await, Fault::Type(found) if found == "text/html"));
    assert!(matches!(answer("/untyped").await, Fault::Type(_)));
    assert!(matches!(answer("/gzip").await, Fault::Coded));
    assert!(matches!(answer("/long").await, Fault::Long));
    assert!(matches!(answer("/chunks").await, Fault::Long));
    assert!(matches!(answer("/latin").await, Fault::Text));
    assert!(matches!(answer("/noise").await, Fault::Http(_)));
    assert!(matches!(answer("/unasked").await, Fault::Status(304)));
    // The near misses.
    server.json("/most", &" ".repeat(256 * 1024));
    server.page("/set", "200 OK", "Content-Type: application/jwk-set+json; charset=utf-8", "{}");
    for path in ["/most", "/set"] {
        fetcher
            .get(&url(&format!("{}{path}", server.origin)), &["127.0.0.1".into()], What::Keys { etag: None })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_is_known_is_not_sent_again_and_how_long_it_stays_is_read() {
    let server = Server::plain();
    let fetcher = fetcher(&server);
    let json = "Content-Type: application/json\r\nETag: \"7\"";
    let get = |path: &str, etag: Option<&'static str>| {
        let (fetcher, url) = (fetcher.clone(), url(&format!("{}{path}", server.origin)));
        async move { fetcher.get(&url, &["127.0.0.1".into()], What::Keys { etag }).await.unwrap() }
    };
    for (said, seconds) in [
        ("max-age=600", Some(600)),
        ("public, Max-Age=\"60\"", Some(60)),
        ("no-store", Some(0)),
        ("max-age=soon", None),
        ("private", None),
    ] {
        server.page("/keys", "200 OK", &format!("{json}\r\nCache-Control: {said}"), "{}");
        let Answer::Document(published) = get("/keys", None).await else { panic!("{said}") };
        assert_eq!(published.fresh_for, seconds.map(Duration::from_secs), "{said}");
        assert_eq!(published.etag.as_deref(), Some("\"7\""));
    }
    let answer = get("/keys", Some("\"7\"")).await;
    assert!(matches!(answer, Answer::Unchanged { fresh_for: Some(stays) } if stays.as_secs() == 7200));
    assert!(matches!(get("/keys", Some("\"6\"")).await, Answer::Document(_)));
}

/// Time stands still, and moves on only when nothing else is left to wait for.
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up() {
    let silent = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = Server::plain();
    let address = format!("http://127.0.0.1:{}/keys", silent.local_addr().unwrap().port());
    assert!(matches!(fault(&fetcher(&server), &address, &["127.0.0.1"]).await, Fault::Slow));
}

#[tokio::test]
async fn nothing_is_asked_at_a_private_address_that_was_not_allowed_by_name() {
    let server = Server::secure();
    let fetcher = fetcher(&server);
    server.json("/keys", "{}");
    let here = format!("https://idp.internal:{}/keys", server.port());
    assert!(
        matches!(fault(&fetcher, &here, &[]).await, Fault::Private { host, .. } if host == "idp.internal")
    );
    assert!(matches!(fault(&fetcher, &here, &["keys.internal"]).await, Fault::Private { .. }));
    assert!(matches!(fault(&fetcher, "https://cloud.internal/", &["cloud.internal"]).await, Fault::Never(_)));
    for (host, is_never) in [
        ("127.0.0.1", false),
        ("2130706433", false),
        ("0x7f.1", false),
        ("0177.0.0.1", false),
        ("10.0.0.1", false),
        ("[::1]", false),
        ("[::ffff:127.0.0.1]", false),
        ("[fd00::1]", false),
        ("169.254.169.254", true),
        ("[::ffff:169.254.169.254]", true),
        ("[fe80::1]", true),
        ("0", true),
        ("100.64.0.1", false),
    ] {
        match fault(&fetcher, &format!("https://{host}:{}/keys", server.port()), &[]).await {
            Fault::Private { .. } => assert!(!is_never, "{host}"),
            Fault::Never(_) => assert!(is_never, "{host}"),
            other => panic!("{host}: {other}"),
        }
    }
    assert_eq!(server.asked(), [""; 0], "nobody was asked");
    fetcher.get(&url(&here), &["idp.internal".into()], What::Keys { etag: None }).await.unwrap();
    assert_eq!(server.asked(), ["/keys"]);
}

#[tokio::test]
async fn plain_http_is_for_this_machine_alone_and_only_where_it_was_named() {
    let server = Server::plain();
    server.json("/keys", "{}");
    let fetcher = fetcher(&server);
    let here = format!("{}/keys", server.origin);
    fetcher.get(&url(&here), &["127.0.0.1".into()], What::Keys { etag: None }).await.unwrap();
    for allowed in [&[][..], &["idp.internal"], &["localhost"]] {
        let found = fault(&fetcher, &here, allowed).await;
        assert!(matches!(&found, Fault::Private { host, .. } if host == "127.0.0.1"), "{allowed:?}: {found}");
        assert!(found.is_of_input() && found.to_string().contains("--allow-private 127.0.0.1"), "{found}");
    }
    for (address, allowed) in [
        (&*format!("http://idp.internal:{}/keys", server.port()), &["idp.internal"][..]),
        ("http://example.org/keys", &[]),
        ("ftp://127.0.0.1/keys", &["127.0.0.1"]),
        ("file:///etc/passwd", &[]),
    ] {
        assert!(matches!(fault(&fetcher, address, allowed).await, Fault::Scheme), "{address}");
    }
    let elsewhere = Fetcher::with(Vec::new(), Arc::new(|_| Ok(vec!["10.0.0.5".parse().unwrap()]))).unwrap();
    for allowed in [&[][..], &["localhost"]] {
        let found = fault(&elsewhere, "http://localhost:1/keys", allowed).await;
        assert!(matches!(found, Fault::Elsewhere(_)) && found.is_of_input(), "{allowed:?}: {found}");
    }
    let with_user = here.replace("http://", "http://me:secret@");
    assert!(matches!(fault(&fetcher, &with_user, &["127.0.0.1"]).await, Fault::User));
    assert_eq!(server.asked(), ["/keys"]);
}

#[test]
fn metadata_cannot_send_us_to_this_machine() {
    let server = Server::secure();
    let fetcher = fetcher(&server);
    let iss = server.origin.clone();
    let allowed = ["idp.internal".to_owned()];
    for keys in [
        "http://127.0.0.1:1/keys",
        "https://127.0.0.1:1/keys",
        "https://keys.internal:1/",
        "file:///etc/passwd",
    ] {
        server.json(SERVER, &serde_json::json!({ "issuer": iss, "jwks_uri": keys }).to_string());
        let error = look_up(&fetcher, &url(&iss), &iss, &allowed).unwrap_err();
        assert!(
            matches!(&error, LookUpError::Fetch(error) if matches!(error.fault, Fault::Scheme | Fault::Private { .. })),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_a_connection_and_judged_anew_for_the_next() {
    let server = Server::secure();
    server.json("/keys", "{}");
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let resolve = Arc::new(move |_: &str| {
        let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(if is_first { vec![HERE] } else { vec![HERE, METADATA] })
    });
    let fetcher = Fetcher::with(server.certificate.clone().into_iter().collect(), resolve).unwrap();
    let here = url(&format!("{}/keys", server.origin));
    let allowed = ["idp.internal".to_owned()];
    fetcher.get(&here, &allowed, What::Keys { etag: None }).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let error = fetcher.get(&here, &allowed, What::Keys { etag: None }).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Never(address) if address == METADATA), "one bad address is enough");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (server, other) = (Server::secure(), Server::secure());
    server.json("/keys", "{}");
    let known = &[("idp.internal", HERE), ("other.internal", HERE)];
    let here = format!("{}/keys", server.origin);
    let roots = |server: &Server| server.certificate.clone().into_iter().collect::<Vec<_>>();
    let stranger = Fetcher::with(roots(&other), names(known)).unwrap();
    assert!(matches!(fault(&stranger, &here, &["idp.internal"]).await, Fault::Tls(_)));
    let misnamed = here.replace("idp.", "other.");
    let trusting = Fetcher::with(roots(&server), names(known)).unwrap();
    assert!(matches!(fault(&trusting, &misnamed, &["other.internal"]).await, Fault::Tls(_)));
    let rootless = Fetcher::with(Vec::new(), names(known)).unwrap();
    assert!(matches!(fault(&rootless, &here, &["idp.internal"]).await, Fault::NoRoots));
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn an_issuers_url_is_its_own_and_not_that_of_its_metadata() {
    for wrong in [
        "idp.example.org",
        "https://idp.example.org?x=1",
        "https://idp.example.org/#a",
        &format!("https://a.b{OPENID}"),
    ] {
        assert!(issuer_url(wrong).is_err_and(|error| error.is_of_input()), "{wrong}");
    }
    assert!(issuer_url("https://idp.example.org/realms/a").is_ok());
}
