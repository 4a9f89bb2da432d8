//! What a person sees and does: the whole app under a drawn buffer, on a home in a temporary folder, with a clock that stands
//! still.

mod ahead;
mod conversation;
mod daily;
mod faults;
mod home;
mod looks;
mod person;
mod tokens;
mod walk;

use std::time::Duration;

use ratatui::style::Modifier;

use super::effect::Fault;
use super::event::Event;
use super::keymap::Keymap;
use super::screen::SCREENS;
use super::screen::api_keys::bulk::{Disable, Enable, Revoke};
use super::screen::api_keys::{change::Change, create::Create, rotate::Rotate};
use super::screen::long_list::{CountRows, ListIds};
use super::update::contexts;
use crate::domain::api_key::ApiKey;

use home::*;
use person::*;

#[test]
fn the_screens_at_80_by_24() {
    let mut person = Person::new(80, 24);
    insta::assert_snapshot!("tabs", person.tabs());
    insta::assert_snapshot!("overview_80", person.picture());
    insta::assert_snapshot!("keys_80", person.press("2").picture());
    insta::assert_snapshot!("key_detail_80", person.press("j j j j j j j enter").picture());
    insta::assert_snapshot!("policies_80", person.press("6").picture());
    insta::assert_snapshot!("policy_document_80", person.press("enter").picture());
    insta::assert_snapshot!("usage_80", person.press("7").picture());
}

#[test]
fn the_screens_at_120_by_40_and_160_by_45() {
    let mut person = Person::new(120, 40);
    insta::assert_snapshot!("overview_120", person.picture());
    insta::assert_snapshot!("keys_120", person.press("2 j").picture());
    let mut person = Person::new(160, 45);
    insta::assert_snapshot!("keys_160", person.press("2").picture());
    insta::assert_snapshot!("policies_160", person.press("6").picture());
    insta::assert_snapshot!("usage_160", person.press("7").picture());
}

#[test]
fn the_overlays() {
    let mut person = Person::new(80, 24);
    person.press("2");
    insta::assert_snapshot!("help", person.press("?").picture());
    insta::assert_snapshot!("palette", person.press("esc ctrl-p").type_text("rot").picture());
    insta::assert_snapshot!("command", person.press("esc :").type_text("us").picture());
    insta::assert_snapshot!("create_key", person.press("esc n").picture());
    insta::assert_snapshot!("confirm", person.press("esc d").picture());
    insta::assert_snapshot!("policy_editor", person.press("esc 6 e").picture());
    insta::assert_snapshot!("policy_tester", person.press("esc T").picture());
    insta::assert_snapshot!("policy_history", person.press("esc H").picture());
}

#[test]
fn an_empty_store_says_what_to_do_next() {
    let person = Person::with(80, 24, 0, None, "neutral", false);
    insta::assert_snapshot!("first_steps", person.picture());
}

#[test]
fn too_small_a_window_says_so_and_nothing_else() {
    let person = Person::new(59, 16);
    assert!(person.sees("too small") && person.sees("59×16") && !person.sees("portcullis ›"));
    let person = Person::new(60, 16);
    assert!(!person.sees("too small") && person.sees("portcullis"));
}

#[test]
fn keys_are_not_acted_on_while_the_window_is_too_small_to_see_what_they_do() {
    let resize = |person: &mut Person, width, height| person.send(Event::Resize { width, height });
    let mut person = Person::new(80, 24);
    person.press("2");
    resize(&mut person, 59, 16);
    // By name: revoke, the dialog's own keys, a new key, another screen; and what a mouse and a paste would do.
    person.press("R tab tab enter n 7 :").type_text("quit");
    person.send(Event::Paste("q".into()));
    resize(&mut person, 80, 24);
    assert!(person.sees("› keys") && person.deeds.is_empty() && !person.quit);
    assert!(person.app.overlays.is_empty(), "nothing has opened unseen");

    // The first key after it has grown counts, in a form that was open before as well.
    person.press("7");
    assert!(person.sees("› usage"));
    person.press("2 n").type_text("ad");
    resize(&mut person, 80, 15);
    person.type_text("x");
    resize(&mut person, 80, 16);
    person.type_text("a");
    assert!(person.sees(" ada") && !person.sees("adx"), "{}", person.screen());

    // A sequence that was begun before is not ended by a key from after.
    resize(&mut person, 10, 3);
    assert!(!person.press("Q").quit && person.press("ctrl-c").quit);
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
    for keys in [
        "1",
        "2 space",
        "n",
        "esc 3",
        "enter",
        "n",
        "esc R",
        "esc i",
        "esc K",
        "esc 6",
        "e",
        "esc H",
        "esc 7",
        "?",
        "esc ctrl-p",
        "esc :",
    ] {
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
    assert_eq!(person.app.keymap.conflicts(&contexts), []);
    for screen in SCREENS {
        let mut person = Person::new(80, 24);
        person.press(screen.key());
        for action in person.app.actions() {
            assert!(!action.about.is_empty(), "{}", action.name);
            assert!(!person.app.keymap.all(action.name).is_empty(), "{} has no key", action.name);
        }
    }
}

#[test]
fn the_file_of_keys_is_what_the_tables_bind() {
    let person = Person::new(80, 24);
    let contexts = contexts(&person.app);
    let mut shown = Keymap::default();
    assert_eq!(shown.overlay(include_str!("../../assets/keymap.toml"), &contexts), [""; 0]);
    assert_eq!(shown, person.app.keymap);
    // and a name has the same keys wherever it is bound
    for bound in contexts.iter().flatten() {
        let alone = Keymap::of(&[vec![*bound]]).unwrap();
        assert_eq!(alone.all(bound.name), shown.all(bound.name));
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
    for screen in ["1", "2", "3", "6", "7"] {
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
    let Create(new) = person.only();
    assert_eq!((new.subject.as_str(), new.life), ("zoe", Some(Duration::from_secs(86_400))));
    assert_eq!(new.scopes.len(), 1);

    let secret = person.secret();
    assert!(secret.len() > 70 && person.sees("cannot be shown again"), "{secret}");
    person.press("y");
    assert_eq!(person.copied, [secret.as_str()]);
    person.press("esc");
    assert!(!person.sees(&secret) && person.sees("created a key for zoe"), "{}", person.screen());
}

#[test]
fn the_secret_closes_by_itself_after_a_minute() {
    let mut person = Person::new(120, 40);
    person.press("2 r ctrl-s");
    assert_eq!(person.only::<Rotate>().id, id(0));
    let secret = person.secret();
    assert!(person.wait(59).sees(&secret));
    assert!(person.app.deadline() <= noon().plus(Duration::from_secs(60)));
    assert!(!person.wait(1).sees(&secret));
}

#[test]
fn a_refused_form_keeps_what_was_typed() {
    let mut person = Person::new(80, 24);
    person.press("2 n").type_text("zoe").press("tab tab space");
    person.fault = Some(Fault::new("the disk of the home is full"));
    person.press("ctrl-s");
    assert!(person.sees("the disk of the home is full") && person.sees("zoe"));
    person.fault = None;
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
    assert_eq!(person.only::<Revoke>().ids, [id(1)]);
    assert!(person.sees("revoked key agent-1") && person.sees("✕ revoked"), "{}", person.screen());

    let mut person = Person::new(80, 24);
    person.house.call(1, 5);
    person.press("2 j R tab enter");
    assert!(person.deeds.is_empty() && person.sees("not its name"));
    person.type_text("agent-1").press("tab").type_text("lost").press("tab tab enter");
    assert_eq!(person.only::<Revoke>().reason, "lost");
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
        person.house.call(1, 5);
        person.house.name_key(1, label);
        person.press("2 j R");
        assert!(person.sees(&format!("type {right} to go on:")), "{}", person.screen());
        person.press("tab tab").type_text(wrong).press("tab tab tab enter");
        assert!(person.deeds.is_empty(), "{label}: {wrong}");
        person.press("ctrl-u").type_text(right).press("tab tab tab enter");
        assert_eq!(person.only::<Revoke>().ids, [id(1)], "{label}");
    }
}

#[test]
fn rows_do_not_wait_for_their_number() {
    let mut person = Person::with(80, 24, 1_000, None, "neutral", false);
    let asked = person.ask("2");
    let counts = |effect: &_| asks::<CountRows<ApiKey>>(effect).is_some();
    let (total, rows): (Vec<_>, Vec<_>) = asked.into_iter().partition(counts);
    person.settle(rows);
    let screen = person.screen();
    assert!(screen.contains("agent-1") && screen.contains("1/54+"), "as many as were seen: {screen}");
    person.press("ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d");
    assert!(person.sees("user90@"), "one goes on before they are counted: {}", person.screen());
    person.settle(total);
    assert!(person.sees("/1 000") && !person.sees("/1 000+"), "{}", person.screen());
}

#[test]
fn nothing_is_marked_while_the_filter_cannot_be_read() {
    let mut person = Person::new(80, 24);
    person.press("2 /").type_text("agent expires<").press("enter");
    let effects = person.ask("ctrl-a");
    assert!(effects.iter().all(|effect| asks::<ListIds<ApiKey>>(effect).is_none()));
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
fn a_key_is_changed_where_something_was_changed_in_its_form() {
    let mut person = Person::new(80, 30);
    person.press("2 c ctrl-s");
    assert!(person.sees("nothing is changed yet") && person.deeds.is_empty(), "{}", person.screen());
    assert!(person.sees("until 2026-07-28 16:02:11Z"), "its end as it is: {}", person.screen());
    person.type_text("!").press("ctrl-s");
    let Change { ids, changes } = person.only();
    assert_eq!(ids[..], [id(0)]);
    assert_eq!(changes.name.as_deref(), Some("!"));
    assert!(changes.scopes.is_none() && changes.policy.is_none() && changes.life.is_none());
    assert_eq!(changes.seen, Some(key(0).terms()));
    assert!(person.sees("changed key"), "{}", person.screen());
}

#[test]
fn a_key_is_left_a_scope_and_a_custom_life_is_judged() {
    let mut person = Person::new(80, 40);
    person.press("2 c tab");
    let place = person.scopes().iter().position(|name| name == "mcp:read").unwrap();
    for _ in 0..place {
        person.press("down");
    }
    person.press("space ctrl-s");
    assert!(person.sees("pick at least one") && person.deeds.is_empty(), "{}", person.screen());
    person
        .press("space")
        .press("tab tab right right right right right tab")
        .type_text("soon")
        .press("ctrl-s");
    assert!(person.deeds.is_empty(), "{}", person.screen());
    person.press("ctrl-u").type_text("12h").press("ctrl-s");
    let Change { changes, .. } = person.only();
    assert_eq!(changes.life, Some(Some(Duration::from_secs(12 * 3600))));
    assert!(changes.scopes.is_none());
}

#[test]
fn marked_keys_are_changed_together_and_keep_what_was_left_as_it_is() {
    let mut person = Person::new(80, 30);
    person.press("2 space space c");
    assert!(person.sees("2 marked keys") && person.sees("each keeps its own"), "{}", person.screen());
    person.press("tab right right ctrl-s");
    let Change { ids, changes } = person.only();
    assert_eq!(ids.len(), 2);
    assert_eq!(changes.policy.as_ref().map(|policy| policy.as_str()), Some("readers"));
    assert!(changes.name.is_none() && changes.scopes.is_none() && changes.seen.is_none());
}

#[test]
fn an_act_on_several_names_the_first_and_their_subjects() {
    let mut person = Person::new(100, 30);
    person.press("2 space space j space space e");
    assert!(person.sees("Enable 4 marked keys?"), "{}", person.screen());
    let screen = person.screen();
    assert!(
        screen.contains("agent-1 of user1@example.com") && screen.contains("and 1 more: of 4 subjects"),
        "{screen}"
    );
    person.press("esc");
    assert!(person.deeds.is_empty(), "enabling asks as well");
    person.press("e tab enter");
    assert_eq!(person.only::<Enable>().0.len(), 4);
}

#[test]
fn what_would_do_nothing_is_refused_with_the_reason() {
    let mut person = Person::new(100, 30);
    person.press("2 e");
    assert!(person.sees("it is not disabled") && person.deeds.is_empty(), "{}", person.screen());
    person.wait(9).press("j j j j d");
    assert!(person.sees("it is disabled already"), "{}", person.screen());
    person.wait(9).press("j j R");
    assert!(person.sees("it is revoked already, and for good"), "{}", person.screen());
    // Of marked keys it is enough that one can be.
    person.wait(9).press("space k k k k space d");
    assert!(person.sees("Disable 2 marked keys?"), "{}", person.screen());
}

#[test]
fn marked_keys_are_acted_on_together() {
    let mut person = Person::new(80, 24);
    person.press("2 space space j V j j V");
    assert!(person.sees("5 marked"), "{}", person.screen());
    person.press("d tab enter");
    assert_eq!(person.only::<Disable>().0.len(), 5);
    person.wait(5).press("esc");
    assert!(!person.sees("marked"));
    person.press("ctrl-a");
    assert!(person.sees("40 marked"));
}
