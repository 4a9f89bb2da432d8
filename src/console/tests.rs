//! What a person sees and does: the whole app under a drawn buffer, with answers from a small
//! store in memory and a clock that stands still.

use std::collections::HashMap;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use crate::domain::api_key::{ApiKey, Environment, KeyId, SecretDigest};
use crate::domain::audit::{Hash, Record};
use crate::domain::clock::Timestamp;
use crate::domain::decision::Reason;
use crate::domain::event::Event as Recorded;
use crate::domain::filter::{Filter, KEY_FIELDS};
use crate::domain::policy::{Policy, Revision};
use crate::domain::scope::Catalogue;
use crate::domain::secret::Secret;
use crate::domain::usage::Totals;
use crate::ops::api_key::IssuedKey;
use crate::store::audit::Entry;

use super::app::App;
use super::canvas::Look;
use super::effect::{
    Answer, Busy, Choices, Deed, Effect, Fault, KeyCounts, KeyDetail, KeyWindow, Query, Reply, Ticket, Topic,
    Traffic, UsageView,
};
use super::event::{Event, Moved};
use super::keymap::Keymap;
use super::layer::Setting;
use super::theme::Theme;
use super::update::{contexts, start, update};

const SECRET: &str = "pcl_live_0000000000000000000000_theSecretThatIsShownOnceAndNeverAgain00000abcdef";

/// 2026-07-28T14:02:11Z
fn noon() -> Timestamp {
    "2026-07-28T14:02:11Z".parse().unwrap()
}

fn id(number: usize) -> KeyId {
    format!("{number:022}").parse().unwrap()
}

fn key(number: usize) -> ApiKey {
    let day = Duration::from_secs(86_400);
    ApiKey {
        id: id(number),
        environment: Environment::default(),
        name: if number.is_multiple_of(3) { String::new() } else { format!("agent-{number}") },
        subject: format!("user{number}@example.com").parse().unwrap(),
        scopes: vec!["mcp:read".parse().unwrap()],
        policy: "default".parse().unwrap(),
        created_at: noon().minus(day * number as u32),
        expires_at: [Some(noon().plus(Duration::from_secs(7_200))), None, Some(noon().minus(day))]
            [number % 3],
        disabled: number % 5 == 4,
        revoked_at: (number % 7 == 6).then(|| noon().minus(day)),
        revoked_reason: if number % 7 == 6 { "laptop lost".into() } else { String::new() },
        rotated_at: None,
        previous_until: None,
        digest: SecretDigest::from_bytes([0; 32]),
        previous_digest: None,
    }
}

fn revision(name: &str, number: u32) -> Revision {
    let mut policy = Policy::new(name.parse().unwrap());
    policy.rate_limits.requests_per_minute = Some(10 * number);
    let (author, reason) = ("console:ana".to_owned(), format!("change {number}"));
    Revision { policy, revision: number, author, reason, saved_at: noon().minus(Duration::from_secs(3_600)) }
}

/// What the store would say.
#[derive(Clone)]
struct Shop {
    keys: usize,
    /// The label of every key, where it is not the usual one.
    label: Option<&'static str>,
    busy: u64,
    fault: Option<Fault>,
}

impl Shop {
    fn key(&self, number: usize) -> ApiKey {
        let usual = key(number);
        let name = self.label.map_or_else(|| usual.name.clone(), str::to_owned);
        ApiKey { name, ..usual }
    }
    fn totals(scale: u64) -> Totals {
        Totals { allowed: 90 * scale, denied: 7 * scale, failed: scale }
    }
    fn series(steps: usize) -> Vec<(Timestamp, Totals)> {
        (0..steps)
            .map(|step| {
                let at = noon().minus(Duration::from_secs(60 * (steps - step) as u64));
                (at, Self::totals((step % 8) as u64))
            })
            .collect()
    }
    fn busy(objects: &[&str]) -> Vec<Busy> {
        objects
            .iter()
            .enumerate()
            .map(|(place, object)| Busy {
                object: (*object).to_owned(),
                label: (*object).to_owned(),
                totals: Self::totals(20 / (place as u64 + 1)),
            })
            .collect()
    }
    fn refusal(kind: Reason, subject: &str) -> Recorded {
        Recorded {
            seq: 1,
            at: noon().minus(Duration::from_secs(42)),
            kind: kind.as_str().into(),
            credential: id(1).to_string(),
            subject: subject.into(),
            endpoint: "tools/call/delete_file".into(),
            address: "203.0.113.7".into(),
            count: 3,
            detail: String::new(),
        }
    }
    fn answer(&self, query: &Query) -> Result<Answer, Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        Ok(match query {
            Query::Traffic { .. } => Answer::Traffic(Box::new(Traffic {
                minute: Self::totals(1),
                hour: Self::totals(60),
                day: Self::totals(1_400),
                rate: 1.6,
                series: Self::series(60),
                credentials: Self::busy(&["ana@example.com · ci", "bo@example.com"]),
                endpoints: Self::busy(&["tools/call/search_docs", "tools/list", "/health"]),
                refusals: vec![
                    Self::refusal(Reason::IpDenied, "ana@example.com"),
                    Self::refusal(Reason::RateLimited, "evil\u{1b}[2J\u{202e}name"),
                ],
            })),
            Query::KeyCounts { .. } => {
                let active = self.keys as u64;
                let some = u64::from(active > 0);
                Answer::KeyCounts(KeyCounts {
                    active,
                    disabled: some,
                    expired: 2 * some,
                    revoked: some,
                    ending: some,
                })
            }
            Query::KeyTotal(_) => Answer::KeyTotal(self.keys as u64),
            Query::KeyWindow { offset, limit, .. } => {
                let first = (*offset as usize).min(self.keys);
                let last = (first + *limit as usize).min(self.keys);
                Answer::KeyWindow(KeyWindow {
                    offset: first as u64,
                    rows: (first..last).map(|number| self.key(number)).collect(),
                })
            }
            Query::KeyIds { offset, limit, .. } => {
                let first = *offset as usize;
                Answer::KeyIds((first..(first + *limit as usize).min(self.keys)).map(id).collect())
            }
            Query::KeyDetail { id, .. } => {
                let number: usize = id.as_str().parse().unwrap();
                let record = Record {
                    seq: 7,
                    at: noon().minus(Duration::from_secs(600)),
                    actor: "console:ana".into(),
                    act: "key.create".into(),
                    object: id.to_string(),
                    detail: serde_json::Value::Null,
                };
                Answer::KeyDetail(Box::new(KeyDetail {
                    key: key(number),
                    policy: Some(revision("default", 3)),
                    covers: [("mcp:read".to_owned(), vec!["tools/list".to_owned(), "resources/**".into()])]
                        .into(),
                    series: Self::series(48),
                    day: Self::totals(9),
                    events: vec![Self::refusal(Reason::IpDenied, "x")],
                    audit: vec![Entry { record, hash: Hash::GENESIS, signature: None }],
                }))
            }
            Query::KeyActivity { .. } => Answer::KeyActivity(self.busy),
            Query::Choices => Answer::Choices(Choices {
                catalogue: Catalogue::new(Catalogue::built_in()).unwrap(),
                policies: vec!["default".parse().unwrap(), "readers".parse().unwrap()],
            }),
            Query::Policies => {
                Answer::Policies(vec![(revision("default", 3), 12), (revision("readers", 1), 0)])
            }
            Query::History(name) => {
                Answer::History((1..=3).rev().map(|n| revision(name.as_str(), n)).collect())
            }
            Query::Usage { .. } => Answer::Usage(Box::new(UsageView {
                totals: Self::totals(200),
                series: Self::series(60),
                top: Self::busy(&["ana@example.com", "bo@example.com"]),
            })),
        })
    }
    fn act(&self, deed: &Deed) -> Result<Answer, Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let issued = || Answer::Issued(Box::new(IssuedKey { key: key(1), text: Secret::new(SECRET.into()) }));
        Ok(match deed {
            Deed::CreateKey(_) | Deed::RotateKey { .. } => issued(),
            Deed::DisableKeys(ids) | Deed::EnableKeys(ids) | Deed::RevokeKeys { ids, .. } => {
                Answer::Changed(ids.len() as u64)
            }
            Deed::CreatePolicy { policy, .. } | Deed::SavePolicy { policy, .. } => {
                Answer::Saved(Box::new(revision(policy.name.as_str(), 4)))
            }
            Deed::RollbackPolicy { name, .. } => Answer::Saved(Box::new(revision(name.as_str(), 4))),
            Deed::DeletePolicy(_) => Answer::Deleted,
        })
    }
}

/// Somebody at the console.
struct Person {
    app: App,
    shop: Shop,
    now: Timestamp,
    /// What was asked of the world, but for questions.
    deeds: Vec<Deed>,
    copied: Vec<String>,
    quit: bool,
}

impl Person {
    fn new(width: u16, height: u16) -> Self {
        Self::with(width, height, 40, None, "neutral", false)
    }
    fn with(width: u16, height: u16, keys: usize, read_only: Option<&str>, theme: &str, ascii: bool) -> Self {
        let setting = Setting { read_only: read_only.map(str::to_owned), banner: None };
        let look = Look { theme: Theme::load(theme).unwrap(), ascii };
        let mut app = App::new(setting, look, Keymap::defaults().unwrap(), noon());
        app.size = Rect::new(0, 0, width, height);
        let shop = Shop { keys, label: None, busy: 0, fault: None };
        let mut person = Self { app, shop, now: noon(), deeds: Vec::new(), copied: Vec::new(), quit: false };
        let effects = start(&mut person.app, person.now);
        person.settle(effects);
        person
    }
    fn settle(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let (ticket, outcome) = match effect {
                Effect::Load(ticket, query) => (ticket, self.shop.answer(&query)),
                Effect::Act(ticket, deed) => {
                    let outcome = self.shop.act(&deed);
                    self.deeds.push(deed);
                    (ticket, outcome)
                }
                Effect::Copy(text) => {
                    self.copied.push(text.expose().to_owned());
                    continue;
                }
                Effect::Quit => {
                    self.quit = true;
                    continue;
                }
                Effect::Mouse(_) | Effect::Redraw | Effect::Suspend => continue,
            };
            self.send(Event::Reply(Reply { ticket, outcome: Some(outcome) }));
        }
    }
    fn send(&mut self, event: Event) {
        let effects = update(&mut self.app, event, self.now);
        self.settle(effects);
    }
    fn press(&mut self, keys: &str) -> &mut Self {
        for word in keys.split_whitespace() {
            let (modifiers, name) = match word.strip_prefix("ctrl-") {
                Some(rest) => (KeyModifiers::CONTROL, rest),
                None => (KeyModifiers::NONE, word),
            };
            let code = match name {
                "enter" => KeyCode::Enter,
                "esc" => KeyCode::Esc,
                "tab" => KeyCode::Tab,
                "down" => KeyCode::Down,
                "up" => KeyCode::Up,
                "left" => KeyCode::Left,
                "right" => KeyCode::Right,
                "end" => KeyCode::End,
                "space" => KeyCode::Char(' '),
                "backspace" => KeyCode::Backspace,
                letter => KeyCode::Char(letter.chars().next().unwrap()),
            };
            self.send(Event::Key(KeyEvent::new(code, modifiers)));
        }
        self
    }
    fn type_text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.send(Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
        }
        self
    }
    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self.send(Event::Due);
        self
    }
    fn buffer(&self) -> Buffer {
        let mut buffer = Buffer::empty(self.app.size);
        self.app.paint(&mut buffer);
        buffer
    }
    fn screen(&self) -> String {
        let buffer = self.buffer();
        let width = usize::from(buffer.area.width.max(1));
        let rows = buffer.content.chunks(width).map(|row| {
            let line: String = row.iter().map(|cell| cell.symbol()).collect();
            line.trim_end().to_owned()
        });
        rows.collect::<Vec<_>>().join("\n")
    }
    fn sees(&self, text: &str) -> bool {
        self.screen().contains(text)
    }
}

#[test]
fn the_screens_at_80_by_24() {
    let mut person = Person::new(80, 24);
    insta::assert_snapshot!("overview_80", person.screen());
    insta::assert_snapshot!("keys_80", person.press("2").screen());
    insta::assert_snapshot!("key_detail_80", person.press("j enter").screen());
    insta::assert_snapshot!("policies_80", person.press("6").screen());
    insta::assert_snapshot!("policy_document_80", person.press("enter").screen());
    insta::assert_snapshot!("usage_80", person.press("7").screen());
}

#[test]
fn the_screens_at_120_by_40_and_160_by_45() {
    let mut person = Person::new(120, 40);
    insta::assert_snapshot!("overview_120", person.screen());
    insta::assert_snapshot!("keys_120", person.press("2 j").screen());
    let mut person = Person::new(160, 45);
    insta::assert_snapshot!("keys_160", person.press("2").screen());
    insta::assert_snapshot!("policies_160", person.press("6").screen());
    insta::assert_snapshot!("usage_160", person.press("7").screen());
}

#[test]
fn the_overlays() {
    let mut person = Person::new(80, 24);
    person.press("2");
    insta::assert_snapshot!("help", person.press("?").screen());
    insta::assert_snapshot!("palette", person.press("esc ctrl-p").type_text("rot").screen());
    insta::assert_snapshot!("command", person.press("esc :").type_text("us").screen());
    insta::assert_snapshot!("create_key", person.press("esc n").screen());
    insta::assert_snapshot!("confirm", person.press("esc d").screen());
    insta::assert_snapshot!("policy_editor", person.press("esc 6 e").screen());
    insta::assert_snapshot!("policy_tester", person.press("esc T").screen());
    insta::assert_snapshot!("policy_history", person.press("esc H").screen());
}

#[test]
fn an_empty_store_says_what_to_do_next() {
    let person = Person::with(80, 24, 0, None, "neutral", false);
    insta::assert_snapshot!("first_steps", person.screen());
}

#[test]
fn too_small_a_window_says_so_and_nothing_else() {
    let person = Person::new(59, 16);
    assert!(person.sees("too small") && person.sees("59×16") && !person.sees("portcullis ›"));
    let person = Person::new(60, 16);
    assert!(!person.sees("too small") && person.sees("portcullis"));
}

#[test]
fn the_selection_is_seen_without_colour() {
    let mut person = Person::with(80, 24, 40, None, "mono", false);
    person.press("2 j");
    let buffer = person.buffer();
    let reversed = |y: u16| buffer.cell((5, y)).unwrap().modifier.contains(Modifier::REVERSED);
    let rows: Vec<u16> = (3..23).filter(|y| reversed(*y)).collect();
    assert_eq!(rows, [6]);
    let coloured = buffer
        .content
        .iter()
        .any(|cell| cell.fg != ratatui::style::Color::Reset || cell.bg != ratatui::style::Color::Reset);
    assert!(!coloured, "mono uses no colour");
}

#[test]
fn ascii_leaves_no_other_character_on_any_screen() {
    let mut person = Person::with(120, 40, 40, None, "neutral", true);
    for keys in ["1", "2 space", "n", "esc 6", "e", "esc H", "esc 7", "?", "esc ctrl-p", "esc :"] {
        let screen = person.press(keys).screen();
        assert!(screen.is_ascii(), "{keys}: {screen}");
    }
}

#[test]
fn foreign_text_cannot_reach_the_terminal_raw() {
    let person = Person::new(120, 40);
    let screen = person.screen();
    assert!(!screen.contains('\u{1b}') && !screen.contains('\u{202e}'));
    assert!(screen.contains("evil\\e[2J"), "{screen}");
}

#[test]
fn no_key_does_two_things_and_every_binding_says_what_it_does() {
    let person = Person::new(80, 24);
    let contexts = contexts(&person.app);
    assert_eq!(person.app.keymap.conflicts(&contexts), Vec::<String>::new());
    for screen in ["1", "2", "6", "7"] {
        let mut person = Person::new(80, 24);
        person.press(screen);
        for action in person.app.actions() {
            assert!(!action.about.is_empty(), "{}", action.name);
            assert!(!person.app.keymap.all(action.name).is_empty(), "{} has no key", action.name);
        }
    }
}

#[test]
fn help_lists_every_binding_and_runs_the_chosen_one() {
    let mut person = Person::new(120, 60);
    person.press("2 ?");
    let screen = person.screen();
    for name in ["key.rotate", "key.revoke", "filter", "go.usage", "quit", "mark.range"] {
        assert!(screen.contains(name), "{name}");
    }
    person.type_text("key.create").press("enter");
    assert!(person.sees("new API key"));
}

#[test]
fn a_read_only_console_refuses_every_change_and_says_why() {
    let mut person = Person::with(80, 24, 40, Some("asked for"), "neutral", false);
    assert!(person.sees("READ-ONLY"));
    for (screen, keys) in [("1", "n"), ("2", "n r d e R"), ("6", "n e D"), ("6", "H j r")] {
        person.press(screen);
        for key in keys.split(' ') {
            person.press(key);
        }
        assert!(person.sees("read-only: asked for"), "{screen} {keys}");
        person.press("esc esc").wait(5);
    }
    assert!(person.deeds.is_empty());
    // every binding that bears the name of an act is refused, and looking is not
    for screen in ["1", "2", "6", "7"] {
        person.press(screen);
        for action in person.app.actions() {
            let is_act = crate::domain::act::Act::ALL.iter().any(|act| act.as_str() == action.name);
            let refused = action.refused.as_deref().is_some_and(|why| why.starts_with("read-only"));
            assert_eq!(is_act, refused, "{}", action.name);
        }
    }
}

#[test]
fn a_key_is_made_shown_once_copied_and_wiped() {
    let mut person = Person::new(120, 40);
    person.press("2 n ctrl-s");
    assert!(person.sees("a subject cannot be empty") && person.sees("pick at least one"));
    assert!(person.deeds.is_empty(), "a wrong form is not sent");
    person.type_text("zoe").press("tab tab down down space ctrl-s");
    let Some(Deed::CreateKey(new)) = person.deeds.first() else { panic!("nothing was made") };
    assert_eq!((new.subject.as_str(), new.life), ("zoe", Some(Duration::from_secs(86_400))));
    assert_eq!(new.scopes.len(), 1);

    assert!(person.sees(SECRET) && person.sees("cannot be shown again"));
    person.press("y");
    assert_eq!(person.copied, [SECRET]);
    person.press("esc");
    assert!(!person.sees("theSecret"));
}

#[test]
fn the_secret_closes_by_itself_after_a_minute() {
    let mut person = Person::new(120, 40);
    person.press("2 r ctrl-s");
    assert!(matches!(person.deeds[..], [Deed::RotateKey { .. }]));
    assert!(person.wait(59).sees("theSecret"));
    assert!(person.app.deadline() <= noon().plus(Duration::from_secs(60)));
    assert!(!person.wait(1).sees("theSecret"));
}

#[test]
fn a_refused_form_keeps_what_was_typed() {
    let mut person = Person::new(80, 24);
    person.press("2 n").type_text("zoe").press("tab tab space");
    person.shop.fault = Some(Fault { message: "the disk of the home is full".into(), conflict: false });
    person.press("ctrl-s");
    assert!(person.sees("the disk of the home is full") && person.sees("zoe"));
    person.shop.fault = None;
    person.press("ctrl-s");
    assert!(person.sees("pcl_live_"));
}

#[test]
fn escape_throws_typed_text_away_only_at_the_second_press() {
    let mut person = Person::new(80, 24);
    person.press("2 n").type_text("zoe").press("esc");
    assert!(person.sees("esc again") && person.sees("zoe"));
    person.press("esc");
    assert!(!person.sees("new API key"));
    person.press("n esc");
    assert!(!person.sees("new API key"), "an untouched form closes at once");
}

#[test]
fn enter_destroys_nothing_and_a_busy_key_wants_its_name() {
    let mut person = Person::new(80, 24);
    person.press("2 j R enter");
    assert!(person.deeds.is_empty(), "cancel is focused");

    person.press("R tab enter");
    assert!(matches!(&person.deeds[..], [Deed::RevokeKeys { ids, .. }] if ids == &[id(1)]));

    person.deeds.clear();
    person.shop.busy = 5;
    person.press("R tab enter");
    assert!(person.deeds.is_empty() && person.sees("not its name"));
    person.type_text("agent-1").press("tab").type_text("lost").press("tab tab enter");
    let Some(Deed::RevokeKeys { reason, .. }) = person.deeds.first() else { panic!("not revoked") };
    assert_eq!(reason, "lost");
}

#[test]
fn a_busy_key_with_an_odd_name_can_still_be_revoked_and_only_by_what_is_asked_for() {
    for (label, wrong, right) in [
        (" outer blanks ", "outer", "outer blanks"),
        ("résumé 🙂", "résumé 🙂", "00000000"),
        ("two  blanks", "two  blanks", "00000000"),
        ("a name so long that nobody would type it", "a name so long that nobody would type it", "00000000"),
    ] {
        let mut person = Person::new(80, 24);
        person.shop.busy = 5;
        person.shop.label = Some(label);
        person.press("2 j R");
        assert!(person.sees(&format!("type {right} to go on:")), "{}", person.screen());
        person.press("tab tab").type_text(wrong).press("tab tab tab enter");
        assert!(person.deeds.is_empty(), "{label}: {wrong}");
        person.press("ctrl-u").type_text(right).press("tab tab tab enter");
        assert!(matches!(&person.deeds[..], [Deed::RevokeKeys { ids, .. }] if ids == &[id(1)]), "{label}");
    }
}

#[test]
fn rows_do_not_wait_for_their_number() {
    let mut person = Person::with(80, 24, 1_000, None, "neutral", false);
    let press = Event::Key(KeyEvent::new(KeyCode::Char('2'), KeyModifiers::NONE));
    let (mut rows, mut total) = (Vec::new(), Vec::new());
    for effect in update(&mut person.app, press, noon()) {
        match &effect {
            Effect::Load(ticket, _) if ticket.topic == Topic::KeyTotal => total.push(effect),
            _ => rows.push(effect),
        }
    }
    person.settle(rows);
    let screen = person.screen();
    assert!(screen.contains("agent-1") && screen.contains("1/54+"), "as many as were seen: {screen}");
    person.press("ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d");
    assert!(person.sees("user90@"), "one goes on before they are counted: {}", person.screen());
    person.settle(total);
    assert!(person.sees("/1 000") && !person.sees("/1 000+"), "{}", person.screen());
}

#[test]
fn marking_all_marks_the_list_in_view_even_while_the_filter_cannot_be_read() {
    let mut person = Person::new(80, 24);
    person.press("2 /").type_text("agent expires<").press("enter");
    let ctrl_a = Event::Key(KeyEvent::new(KeyCode::Char('a'), KeyModifiers::CONTROL));
    let effects = update(&mut person.app, ctrl_a, noon());
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Load(_, Query::KeyIds { query, .. }) => Some(query.filter.clone()),
        _ => None,
    });
    let in_force = Filter::parse("agent expires", KEY_FIELDS, noon()).unwrap();
    assert_eq!(asked, Some(in_force), "never the keys that the filter had left out");
}

#[test]
fn crumbs_name_an_object_once() {
    let mut person = Person::new(80, 24);
    person.press("6 enter e");
    assert!(person.sees("policies › default › edit"), "{}", person.screen());
    person.press("esc esc e");
    assert!(person.sees("policies › default › edit"), "{}", person.screen());
}

#[test]
fn marked_keys_are_acted_on_together() {
    let mut person = Person::new(80, 24);
    person.press("2 space space j V j j V");
    assert!(person.sees("5 marked"), "{}", person.screen());
    person.press("d tab enter");
    assert!(matches!(&person.deeds[..], [Deed::DisableKeys(ids)] if ids.len() == 5));
    person.wait(5).press("esc");
    assert!(!person.sees("marked"));
    person.press("ctrl-a");
    assert!(person.sees("40 marked"));
}

#[test]
fn only_the_rows_in_view_are_asked_for_however_many_there_are() {
    let mut person = Person::with(80, 24, 1_000_000, None, "neutral", false);
    person.press("2 G");
    assert!(person.sees("1 000 000/1 000 000"));
    let effects =
        update(&mut person.app, Event::Key(KeyEvent::new(KeyCode::Char('g'), KeyModifiers::NONE)), noon());
    let asked: Vec<u32> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Load(_, Query::KeyTotal(_)) => panic!("a step does not count a million rows again"),
            Effect::Load(_, Query::KeyWindow { limit, .. }) => Some(*limit),
            _ => None,
        })
        .collect();
    assert_eq!(asked.len(), 1);
    assert!(asked[0] <= 72, "{asked:?}");
}

#[test]
fn a_filter_is_live_says_what_is_wrong_with_it_and_escape_clears_it() {
    let mut person = Person::new(80, 24);
    person.press("2 /").type_text("agent expires<");
    let wrong = person.screen();
    assert!(wrong.contains("agent-1"), "the rows of the last good filter stay: {wrong}");
    person.type_text("30d").press("enter j");
    assert!(person.sees("/ agent expires<30d") && person.sees("2/40"));
    person.press("esc");
    assert!(person.sees("/ filter:"));
}

#[test]
fn what_became_of_an_act_is_told_though_its_panel_was_closed() {
    let fault = || Fault { message: "the store is locked".into(), conflict: false };
    let outcomes: [(Result<Answer, Fault>, &str); 2] =
        [(Ok(Answer::Changed(1)), "is done"), (Err(fault()), "the store is locked")];
    for (outcome, told) in outcomes {
        let mut person = Person::new(120, 40);
        person.press("2 R tab");
        let enter = Event::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
        let effects = update(&mut person.app, enter, noon());
        let Some(Effect::Act(ticket, Deed::RevokeKeys { .. })) = effects.into_iter().next() else {
            panic!("{}", person.screen())
        };
        person.press("esc");
        assert!(!person.sees("Revoke key") && !person.sees("under way"), "{}", person.screen());
        person.send(Event::Reply(Reply { ticket, outcome: Some(outcome) }));
        assert!(person.sees("what you left under way") && person.sees(told), "{}", person.screen());
    }
}

#[test]
fn a_secret_is_shown_though_the_form_that_asked_for_it_was_closed() {
    let mut person = Person::new(120, 40);
    person.press("2 r");
    let save = Event::Key(KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL));
    let effects = update(&mut person.app, save, noon());
    let Some(Effect::Act(ticket, Deed::RotateKey { .. })) = effects.into_iter().next() else {
        panic!("{}", person.screen())
    };
    person.press("esc");
    assert!(!person.sees(SECRET));
    let issued = Answer::Issued(Box::new(IssuedKey { key: key(1), text: Secret::new(SECRET.into()) }));
    person.send(Event::Reply(Reply { ticket, outcome: Some(Ok(issued)) }));
    assert!(person.sees(SECRET), "{}", person.screen());
}

#[test]
fn a_full_disk_stands_in_the_header_until_there_is_room() {
    let mut person = Person::new(80, 24);
    person.send(Event::Full(true));
    assert!(person.sees("DISK FULL") && person.sees("can still be"), "{}", person.screen());
    person.press("esc");
    assert!(person.sees("DISK FULL") && !person.sees("can still be"), "the notice can be dismissed");
    person.send(Event::Full(false));
    assert!(!person.sees("DISK FULL") && person.sees("there is room"), "{}", person.screen());
}

#[test]
fn a_stale_answer_is_dropped() {
    let mut person = Person::new(80, 24);
    person.press("2");
    let asks = |effects: Vec<Effect>| -> Vec<(Ticket, Query)> {
        let load = |effect| match effect {
            Effect::Load(ticket, query) if ticket.topic == Topic::KeyWindow => Some((ticket, query)),
            _ => None,
        };
        effects.into_iter().filter_map(load).collect()
    };
    let first = asks(update(&mut person.app, Event::Moved(Moved::Objects), noon())).remove(0);
    let second = asks(update(&mut person.app, Event::Moved(Moved::Objects), noon())).remove(0);
    let reply = |ticket, keys: usize| {
        let window = KeyWindow { offset: 0, rows: (0..keys).map(key).collect() };
        Event::Reply(Reply { ticket, outcome: Some(Ok(Answer::KeyWindow(window))) })
    };
    person.send(reply(second.0, 7));
    person.send(reply(first.0, 3));
    assert!(person.sees("1/7"), "{}", person.screen());
}

#[test]
fn a_policy_is_edited_reviewed_and_saved_over_the_revision_it_began_from() {
    let mut person = Person::new(120, 40);
    person.press("6 e tab tab tab backspace backspace").type_text("many").press("ctrl-s");
    assert!(person.sees("many") && person.deeds.is_empty(), "{}", person.screen());
    person.press("backspace backspace backspace backspace").type_text("70").press("ctrl-s");
    assert!(person.sees("what would change") && person.sees("requests_per_minute") && person.sees("+ 70"));
    person.type_text("more room").press("ctrl-s");
    let Some(Deed::SavePolicy { policy, expected, reason }) = person.deeds.first() else {
        panic!("not saved")
    };
    assert_eq!(policy.rate_limits.requests_per_minute, Some(70));
    assert_eq!((*expected, reason.as_str()), (3, "more room"));
    assert!(person.sees("saved policy default as revision 4"));
}

#[test]
fn who_saved_meanwhile_is_seen_and_nothing_typed_is_lost() {
    let mut person = Person::new(120, 40);
    person.press("6 e tab tab tab backspace backspace").type_text("70").press("ctrl-s").type_text("why");
    person.shop.fault = Some(Fault { message: "revision 3 is not the newest".into(), conflict: true });
    // the save conflicts; the question for the newest revision is answered
    let save = KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL);
    for effect in update(&mut person.app, Event::Key(save), noon()) {
        let Effect::Act(ticket, deed) = effect else { continue };
        let outcome = person.shop.act(&deed);
        person.shop.fault = None;
        person.send(Event::Reply(Reply { ticket, outcome: Some(outcome) }));
    }
    assert!(person.sees("was saved by console:ana meanwhile") && person.sees("why"), "{}", person.screen());
    person.press("ctrl-s");
    assert!(matches!(&person.deeds[..], [Deed::SavePolicy { expected: 3, .. }]));
}

#[test]
fn failures_stay_until_dismissed_and_what_was_done_goes_by_itself() {
    let mut person = Person::new(80, 24);
    person.press("2 e");
    assert!(person.sees("enabled 1 key"));
    assert!(!person.wait(4).sees("enabled 1 key"));
    person.shop.fault = Some(Fault { message: "the store is locked".into(), conflict: false });
    person.press("e");
    person.shop.fault = None;
    assert!(person.wait(600).sees("the store is locked"));
    assert!(!person.press("esc").sees("the store is locked"));
    assert!(person.press("m").sees("the store is locked"), "the log keeps it");
}

#[test]
fn a_paused_picture_stands_still() {
    let mut person = Person::new(80, 24);
    person.press("7");
    assert!(person.sees("live"));
    person.press("p");
    assert!(person.sees("paused"));
    let effects = update(&mut person.app, Event::Moved(Moved::Usage), noon());
    assert!(effects.is_empty());
    person.press("p");
    assert_eq!(update(&mut person.app, Event::Moved(Moved::Usage), noon()).len(), 1);
}

#[test]
fn back_goes_out_step_by_step_and_quits_only_at_the_first_screen() {
    let mut person = Person::new(80, 24);
    person.press("2 enter q");
    assert!(person.sees("› keys ─") && !person.quit);
    person.press("q");
    assert!(person.sees("› overview") && !person.quit);
    person.press("esc");
    assert!(!person.quit, "escape never quits");
    person.press("q");
    assert!(person.quit);
}

#[test]
fn control_c_quits_from_any_depth() {
    for keys in
        ["ctrl-c", "2 n ctrl-c", "? ctrl-c", "2 / ctrl-c", "2 d ctrl-c", "6 e ctrl-c", "2 r ctrl-s ctrl-c"]
    {
        let mut person = Person::new(80, 24);
        assert!(person.press(keys).quit, "{keys}");
    }
}

#[test]
fn a_paste_goes_into_the_focused_field_and_nowhere_else() {
    let mut person = Person::new(80, 24);
    person.press("2");
    person.send(Event::Paste("q".into()));
    assert!(!person.quit && person.sees("› keys"));
    person.press("n");
    person.send(Event::Paste("zoe\n".into()));
    assert!(person.sees("zoe") && person.deeds.is_empty());
}

#[test]
fn clicks_choose_tabs_and_rows() {
    let mut person = Person::new(80, 24);
    let click = |column, row| {
        Event::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column,
            row,
            modifiers: KeyModifiers::NONE,
        })
    };
    person.send(click(18, 1));
    assert!(person.sees("› keys"), "{}", person.screen());
    person.send(click(10, 8));
    assert!(person.sees("4/40"), "{}", person.screen());
    person.send(click(10, 8));
    assert!(person.sees("Last 24 hours"));
}

fn storm() -> impl Strategy<Value = Event> {
    let keys = prop_oneof![
        8 => prop::sample::select("jkgGlhq126789nredRDHTKPuxyVsSbtpcm:/?+az ".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        2 => any::<char>().prop_map(KeyCode::Char),
        4 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up, KeyCode::Down,
            KeyCode::Left, KeyCode::Right, KeyCode::Backspace, KeyCode::Delete, KeyCode::Home, KeyCode::End,
            KeyCode::PageUp, KeyCode::PageDown, KeyCode::F(1),
        ]),
    ];
    let modifiers = prop_oneof![
        6 => Just(KeyModifiers::NONE),
        2 => Just(KeyModifiers::CONTROL),
        1 => Just(KeyModifiers::ALT),
    ];
    prop_oneof![
        40 => (keys, modifiers).prop_map(|(code, modifiers)| Event::Key(KeyEvent::new(code, modifiers))),
        2 => (1u16..300, 1u16..100).prop_map(|(width, height)| Event::Resize { width, height }),
        1 => "\\PC{0,40}".prop_map(Event::Paste),
        2 => (0u16..300, 0u16..100).prop_map(|(column, row)| Event::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left), column, row, modifiers: KeyModifiers::NONE,
        })),
        1 => Just(()).prop_map(|()| Event::Moved(Moved::Objects)),
        1 => Just(()).prop_map(|()| Event::Moved(Moved::Usage)),
        1 => Just(()).prop_map(|()| Event::Due),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_storm_of_events_breaks_it(events in prop::collection::vec(storm(), 1_000), ascii: bool) {
        let mut person = Person::with(80, 24, 200, None, "neutral", ascii);
        let mut seen: HashMap<usize, u32> = HashMap::new();
        for (place, event) in events.into_iter().enumerate() {
            person.now = person.now.plus(Duration::from_millis(700));
            person.send(event);
            *seen.entry(person.app.overlays.len()).or_default() += 1;
            // a frame is what costs: every eighth is drawn
            if place % 8 == 0 {
                person.buffer();
            }
        }
        prop_assert!(seen.len() < 20, "overlays pile up");
    }
}
