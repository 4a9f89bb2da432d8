//! What the console asks and does about tokens, on a real home.

use std::sync::Arc;
use std::time::Duration;

use super::detail::ShowToken;
use super::inspect::Judge;
use super::issue::Issue;
use super::key_forms::Import;
use super::private_key;
use super::reach::{CountReached, Reach, Reached, Revoke};
use super::signing_keys::{KeysInUse, ListSigningKeys};
use crate::console::effect::{Deed, Fault, Question};
use crate::console::tally::Tally;
use crate::domain::clock::ManualClock;
use crate::domain::name::Subject;
use crate::domain::secret::Secret;
use crate::domain::signing_key::SigningKey;
use crate::domain::token::{IssuedToken, TokenState};
use crate::domain::usage::{Count, Outcome};
use crate::ops::token::{Issued, NewToken};
use crate::ops::{self, Ctx};
use crate::store::home::Home;
use crate::store::{self, Mode};

struct Desk {
    ctx: Ctx,
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let clock = Arc::new(ManualClock::new("2026-07-28T09:30:00Z".parse().unwrap()));
        Self { ctx: Ctx::open(&home, Mode::ReadWrite, "console", clock).unwrap(), folder }
    }
    fn issue(&self, subject: &str) -> Issued {
        let new = NewToken {
            subject: subject.parse().unwrap(),
            client: None,
            scopes: vec!["mcp:read".parse().unwrap()],
            audience: Vec::new(),
            policy: "default".parse().unwrap(),
            bind_policy: false,
            life: Duration::from_secs(3_600),
            algorithm: None,
            kid: None,
            once: false,
            rests_on: Default::default(),
        };
        Issue(new).carry_out(&self.ctx).unwrap()
    }
    /// Takes a secret out of a file of a name, with a text in it or absent.
    fn import(&self, name: &str, text: Option<&str>) -> Result<SigningKey, Fault> {
        let file = self.folder.path().join(name);
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let new = ops::signing_key::NewSigningKey {
            algorithm: crate::domain::jose::Algorithm::Hs256,
            name: String::new(),
            bits: Default::default(),
            kid: None,
        };
        Import { new, file }.carry_out(&self.ctx)
    }
    fn reached(&self, reach: &Reach) -> Reached {
        CountReached { reaches: vec![reach.clone()], now: self.ctx.now() }.answer(&self.ctx).unwrap()[0]
    }
    fn revoke(&self, reach: Reach) -> Result<Tally, Fault> {
        Revoke { reach, reason: "lost".into() }.carry_out(&self.ctx)
    }
    fn judged(&self, text: &str) -> Option<crate::domain::decision::Reason> {
        let judge = Judge { text: Secret::new(text.to_owned()), now: self.ctx.now() };
        judge.answer(&self.ctx).unwrap().verdict.reason
    }
    fn signing_keys(&self) -> KeysInUse {
        ListSigningKeys { now: self.ctx.now() }.answer(&self.ctx).unwrap()
    }
}

#[test]
fn what_would_end_is_told_before_and_is_what_ends() {
    let ana: Subject = "ana".parse().unwrap();
    for pick in [
        (|tokens: &[Issued]| Reach::Tokens(vec![tokens[0].token.jti])) as fn(&[Issued]) -> Reach,
        |tokens| Reach::Tokens(tokens.iter().map(|issued| issued.token.jti).collect()),
        |tokens| Reach::Subject(tokens[0].token.subject.clone()),
        |tokens| Reach::Key(tokens[0].token.kid.clone()),
        |tokens| Reach::IssuedBefore(tokens[0].token.issued_at),
    ] {
        let desk = Desk::new();
        let tokens = [desk.issue("ana"), desk.issue("ana"), desk.issue("bo")];
        let reach = pick(&tokens);
        let live = match &reach {
            Reach::Tokens(ids) => ids.len() as u64,
            Reach::Subject(subject) => u64::from(*subject == ana) * 2,
            Reach::Key(_) => 3,
            Reach::IssuedBefore(_) => 0,
        };
        assert_eq!(desk.reached(&reach), Reached { live, calls: 0 }, "{reach:?}");
        assert_eq!(desk.revoke(reach.clone()), Ok(Tally::all(live)), "{reach:?}");
        assert_eq!(desk.reached(&reach).live, 0, "{reach:?}");
        let refused = tokens.iter().filter(|issued| desk.judged(issued.text.expose()).is_some()).count();
        assert_eq!(refused as u64, live, "{reach:?}");
    }
}

#[test]
fn of_several_those_revoked_already_do_not_stop_the_others() {
    let desk = Desk::new();
    let ids: Vec<_> = (0..3).map(|_| desk.issue("ana").token.jti).collect();
    assert_eq!(desk.revoke(Reach::Tokens(vec![ids[1]])), Ok(Tally::all(1)));
    assert_eq!(desk.revoke(Reach::Tokens(ids.clone())), Ok(Tally::all(2)));
    let again = desk.revoke(Reach::Tokens(vec![ids[1]])).unwrap_err();
    assert!(again.conflict && again.message.contains("already"), "{again:?}");
}

#[test]
fn calls_of_what_is_meant_are_counted_and_no_others() {
    let desk = Desk::new();
    let (ana, bo) = (desk.issue("ana").token, desk.issue("bo").token);
    let count = |token: &IssuedToken, calls| Count {
        minute: desk.ctx.now(),
        credential: token.jti.to_string(),
        issuer: String::new(),
        subject: token.subject.to_string(),
        endpoint: "tools/list".into(),
        outcome: Outcome::Allowed,
        calls,
    };
    let counts = [count(&ana, 3), count(&bo, 4)];
    desk.ctx.store.write_usage(move |c| store::usage::add(c, &counts)).unwrap();
    assert_eq!(desk.reached(&Reach::Tokens(vec![ana.jti])).calls, 3);
    assert_eq!(desk.reached(&Reach::Subject(bo.subject.clone())).calls, 4);
    assert_eq!(desk.reached(&Reach::Key(bo.kid.clone())).calls, 7);
    let detail = ShowToken { jti: ana.jti, now: desk.ctx.now() }.answer(&desk.ctx).unwrap();
    assert_eq!((detail.told.day.allowed, detail.standing.state), (3, TokenState::Live));
    assert!(detail.told.covers.contains_key("mcp:read") && detail.told.audit.len() == 1);
}

#[test]
fn a_private_key_is_taken_from_a_file_that_can_be_read_and_is_one() {
    let desk = Desk::new();
    let import = |name: &str, text: Option<&str>| desk.import(name, text);
    assert!(import("absent", None).unwrap_err().message.contains("absent cannot be read"));
    let long = "x".repeat(private_key::LONGEST as usize + 1);
    assert!(import("long", Some(&long)).unwrap_err().message.contains("longer than"));
    assert!(import("short", Some("too short")).is_err());
    let made = import("secret", Some("0123456789abcdef0123456789abcdef"));
    assert!(made.is_ok(), "{made:?}");
    let keys = desk.signing_keys();
    assert_eq!((keys.sound.len(), keys.sound[0].tokens, keys.damaged.len()), (1, 0, 0));
}

#[test]
fn a_damaged_signing_key_is_named_and_the_others_are_listed() {
    let desk = Desk::new();
    let kid = desk.issue("ana").token.kid;
    desk.import("secret", Some("0123456789abcdef0123456789abcdef")).unwrap();
    let database = rusqlite::Connection::open(desk.folder.path().join("home/portcullis.db")).unwrap();
    database.execute("UPDATE signing_key SET name = 'x' WHERE kid = ?1", [kid.as_str()]).unwrap();
    let keys = desk.signing_keys();
    assert_eq!(keys.sound.len(), 1);
    assert_ne!(keys.sound[0].key.kid, kid);
    let [damaged] = &keys.damaged[..] else { panic!("{keys:?}") };
    assert!(damaged.contains(kid.as_str()) && damaged.contains("signing_key"), "{damaged}");
}

#[test]
fn what_is_no_token_is_judged_as_none() {
    let desk = Desk::new();
    let issued = desk.issue("ana");
    assert_eq!(desk.judged(issued.text.expose()), None);
    let mut forged = issued.text.expose().to_owned();
    forged.pop();
    for text in [forged.as_str(), "hello", ""] {
        assert!(desk.judged(text).is_some(), "{text}");
    }
}
