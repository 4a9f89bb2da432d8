//! Keys that are kept fresh, with a clock that stands still.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::server::{Server, jwk, key_set, names};
use crate::domain::clock::ManualClock;
use crate::domain::issuer::{Issuer, IssuerState, Mapping, Source};
use crate::domain::name::{IssuerName, PolicyName};
use crate::domain::token::Profile;
use crate::engine::MissedKeys;
use crate::gateway::issuers::keeper::round;
use crate::gateway::issuers::{Fetcher, issuer_url, look_up};
use crate::ops::Ctx;
use crate::ops::issuer::{self, NewIssuer, NewKeys};
use crate::store::{Mode, home::Home};

const SERVER: &str = "/.well-known/oauth-authorization-server";

/// A home that believes the issuer `corp`, and the issuer.
struct Place {
    server: Server,
    clock: Arc<ManualClock>,
    ctx: Ctx,
    fetcher: Fetcher,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new(keys: &[String]) -> Self {
        let server = Server::plain();
        server.metadata(SERVER, &server.origin);
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new("2026-07-28T09:30:00Z".parse().unwrap()));
        let home = Home::at(folder.path().join("home"));
        let ctx = Ctx::open(&home, Mode::ReadWrite, "cli", clock.clone()).unwrap();
        let fetcher = Fetcher::with(Vec::new(), names(&[])).unwrap();
        let place = Self { server, clock, ctx, fetcher, _folder: folder };
        place.publish(keys);
        let url = issuer_url(&place.server.origin).unwrap();
        let allow_private = vec!["127.0.0.1".to_owned()];
        let found = look_up(&place.fetcher, &url, &place.server.origin, &allow_private).unwrap();
        let (jwks_uri, published) = (found.metadata.jwks_uri, found.published);
        let origin = place.server.origin.clone();
        let keys =
            NewKeys::Published { url: origin.clone(), jwks_uri: jwks_uri.into(), allow_private, published };
        let new = NewIssuer {
            name: corp(),
            profile: Profile::AtJwt,
            iss: Some(origin),
            audiences: Vec::new(),
            algorithms: Vec::new(),
            mapping: Mapping::default(),
            policy: PolicyName::default(),
            keys,
        };
        issuer::add(&place.ctx, new).unwrap();
        place.server.asked();
        place
    }

    fn publish(&self, keys: &[String]) {
        let set = key_set(keys);
        let tag = crc32fast::hash(set.as_bytes());
        let fields = format!("Content-Type: application/json\r\nETag: \"{tag}\"");
        self.server.page("/keys", "200 OK", &fields, &set);
    }

    /// One round of the keeper, in which `wanted` is missed; what still is afterwards.
    fn round(&self, wanted: &[IssuerName]) -> BTreeSet<IssuerName> {
        let mut wanted: BTreeSet<_> = wanted.iter().cloned().collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(round(&self.ctx, &self.fetcher, &mut wanted));
        wanted
    }

    fn issuer(&self) -> (Issuer, Source) {
        let (issuer, source) = issuer::show(&self.ctx, &corp()).unwrap();
        (issuer, source.unwrap())
    }

    fn kids(&self) -> Vec<String> {
        let keys = self.issuer().0.keys;
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn corp() -> IssuerName {
    "corp".parse().unwrap()
}

#[test]
fn a_key_that_is_missed_is_fetched_at_once_but_not_within_the_minute() {
    let first = jwk("one");
    let place = Place::new(std::slice::from_ref(&first));
    place.publish(&[first, jwk("second")]);
    place.wait(59);
    assert_eq!(place.round(&[corp()]), BTreeSet::from([corp()]), "it stays wanted");
    assert_eq!(place.server.asked(), [""; 0]);
    place.wait(1);
    assert_eq!(place.round(&[corp()]), BTreeSet::new());
    assert_eq!(
        (place.server.asked(), place.kids()),
        (vec!["/keys".to_owned()], vec!["one".into(), "second".into()])
    );
    assert_eq!(
        place.round(&["gone".parse().unwrap()]),
        BTreeSet::new(),
        "who is not registered is not asked"
    );
}

#[test]
fn a_storm_of_forged_tokens_is_one_question_a_minute() {
    let place = Place::new(&[jwk("one")]);
    let missed = MissedKeys::default();
    place.wait(60);
    for number in 0..5_000 {
        missed.miss(&corp(), &format!("forged-{number}"), place.ctx.now());
        if number % 500 == 0 {
            let wanted: Vec<_> = missed.take().into_iter().collect();
            place.round(&wanted);
        }
    }
    assert_eq!(place.server.asked(), ["/keys"]);
}

#[test]
fn keys_are_fetched_when_they_are_due_and_what_has_not_changed_is_not_sent() {
    let place = Place::new(&[jwk("one")]);
    place.wait(3599);
    place.round(&[]);
    assert_eq!(place.server.asked(), [""; 0], "they are fresh for an hour");
    place.wait(1);
    place.round(&[]);
    let asked = place.server.asked_with_tags();
    assert!(matches!(&asked[..], [(path, Some(_))] if path == "/keys"), "{asked:?}");
    let (issuer, source) = place.issuer();
    assert_eq!(issuer.fetched_at, Some(place.ctx.now()));
    assert_eq!(source.next_at, place.ctx.now().plus(Duration::from_secs(7200)), "as the answer said");
}

#[test]
fn an_issuer_that_cannot_be_had_is_tried_again_and_its_keys_end_after_a_day() {
    let place = Place::new(&[jwk("one")]);
    place.server.page("/keys", "500 Internal Server Error", "X: y", "");
    place.wait(3600);
    place.round(&[]);
    let (issuer, _) = place.issuer();
    assert!(issuer.last_error.contains("status 500"), "{}", issuer.last_error);
    assert_eq!(issuer.state(place.ctx.now()), IssuerState::Failing);
    place.wait(299);
    place.round(&[]);
    assert_eq!(place.server.asked().len(), 1, "not before five minutes");
    place.wait(1);
    place.round(&[]);
    assert_eq!(place.server.asked().len(), 1);
    place.wait(86_400);
    place.round(&[]);
    assert_eq!(place.issuer().0.state(place.ctx.now()), IssuerState::Stale);
    place.publish(&[jwk("two")]);
    place.wait(60);
    place.round(&[corp()]);
    assert_eq!(
        (place.kids(), place.issuer().0.state(place.ctx.now())),
        (vec!["two".into()], IssuerState::Current)
    );
}

#[test]
fn keys_that_have_moved_are_found_by_the_metadata_again() {
    let place = Place::new(&[jwk("one")]);
    place.server.page("/keys", "404 Not Found", "X: y", "");
    place.wait(3600);
    place.round(&[]);
    assert_eq!(place.server.asked(), ["/keys", SERVER]);
    assert!(place.issuer().0.last_error.contains("404"), "they have not moved, they are gone");
    let moved = format!("{}/new", place.server.origin);
    let metadata = serde_json::json!({ "issuer": place.server.origin, "jwks_uri": moved });
    place.server.json(SERVER, &metadata.to_string());
    place.server.json("/new", &key_set(&[jwk("two")]));
    place.wait(300);
    place.round(&[]);
    let (issuer, source) = place.issuer();
    assert_eq!((source.jwks_uri, issuer.last_error.as_str()), (moved, ""));
    assert_eq!(place.kids(), ["two"]);
}

#[test]
fn a_set_in_which_a_name_stands_twice_changes_nothing() {
    let place = Place::new(&[jwk("one")]);
    place.publish(&[jwk("two"), jwk("two")]);
    place.wait(60);
    place.round(&[corp()]);
    assert_eq!(place.kids(), ["one"]);
    assert!(place.issuer().0.last_error.contains("same `kid`"));
}
