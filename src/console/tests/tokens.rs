//! Tokens and signing keys, as a person sees and handles them.

use std::time::Duration;

use crate::console::effect::Fault;
use crate::console::event::Event;
use crate::console::screen::long_list::{CountRows, ListRows};
use crate::console::screen::tokens::issue::Issue;
use crate::console::screen::tokens::key_forms::{Create, Import, Rotate};
use crate::console::screen::tokens::reach::{Reach, Revoke};
use crate::console::screen::tokens::signing_keys::Retire;
use crate::domain::jose::{Algorithm, LONGEST};
use crate::store::token::Standing;

use super::home::*;
use super::person::*;

#[test]
fn the_screen_at_three_sizes() {
    let mut person = Person::new(80, 24);
    insta::assert_snapshot!("tokens_80", person.press("3").picture());
    insta::assert_snapshot!("token_detail_80", person.press("enter").picture());
    let mut person = Person::new(120, 40);
    insta::assert_snapshot!("tokens_120", person.press("3 j j").picture());
    let mut person = Person::new(160, 45);
    insta::assert_snapshot!("tokens_160", person.press("3").picture());
}

#[test]
fn the_panels() {
    let mut person = Person::new(80, 24);
    insta::assert_snapshot!("issue_token", person.press("3 n").picture());
    insta::assert_snapshot!("revoke_tokens", person.press("esc R right").picture());
    insta::assert_snapshot!("revoke_tokens_confirm", person.press("ctrl-s").picture());
    insta::assert_snapshot!("inspect_empty", person.press("esc i").picture());
    person.send(Event::Paste(foreign()));
    insta::assert_snapshot!("inspect", person.picture());
    insta::assert_snapshot!("signing_keys", person.press("esc K j").picture());
    insta::assert_snapshot!("signing_key_rotate", person.press("r").picture());
}

#[test]
fn a_token_is_issued_shown_once_copied_and_wiped() {
    let mut person = Person::new(80, 24);
    person.press("3 n ctrl-s");
    assert!(person.sees("a subject cannot be empty") && person.sees("pick at least one"));
    assert!(person.deeds.is_empty(), "a wrong form is not sent");
    person.type_text("zoe").press("tab down space tab ctrl-s");
    let Issue(new) = person.only();
    assert_eq!((new.subject.as_str(), new.life, new.scopes.len()), ("zoe", Duration::from_secs(3_600), 1));
    assert_eq!(new.audience, ["https://mcp.example.com/mcp"]);
    assert_eq!(
        (new.algorithm, &new.kid, new.once, new.bind_policy),
        (Some(Algorithm::EdDsa), &None, false, false)
    );

    let text = person.secret();
    assert!(text.matches('.').count() == 2 && person.sees("it cannot be shown again"), "{text}");
    person.press("y");
    assert_eq!(person.copied, [text], "all of it is there: {}", person.screen());
    person.press("esc");
    assert!(!person.sees("eyJ0"));
}

#[test]
fn a_token_of_any_length_is_shown_whole_by_scrolling() {
    let mut person = Person::new(60, 16);
    person.press("3 n").type_text("zoe").press("tab down space ctrl-s");
    assert!(person.sees("↑ ↓ for the rest"), "{}", person.screen());
    person.press("y");
    let text = person.copied[0].clone();
    let end = &text[text.len() - 4..];
    assert!(!person.sees(end));
    for _ in 0..20 {
        person.press("down");
    }
    assert!(person.sees(end), "{}", person.screen());
    assert!(person.wait(60).sees("› tokens ─"), "it closes by itself");
}

#[test]
fn a_refused_token_keeps_what_was_typed_and_names_the_field() {
    let mut person = Person::new(120, 40);
    person
        .press("3 n")
        .type_text("zoe")
        .press("tab space tab tab right right right right right tab")
        .type_text("31d");
    assert!(person.sees("30 days at most") && person.sees("zoe"), "{}", person.screen());
    person.press("ctrl-s");
    assert!(person.deeds.is_empty());
    person.press("backspace backspace backspace").type_text("30d");
    person.fault = Some(Fault::new("the disk of the home is full"));
    person.press("ctrl-s");
    assert!(person.sees("the disk of the home is full") && person.sees("zoe"));
    person.press("esc");
    assert!(person.sees("esc again") && person.sees("zoe"));
}

#[test]
fn every_way_to_revoke_names_what_it_ends_and_enter_alone_destroys_nothing() {
    let selected = token(1);
    for (keys, said, reach) in [
        ("", "It ends 1 live token", Reach::Tokens(vec![selected.jti])),
        ("right", "It ends 3 live tokens", Reach::Subject(selected.subject.clone())),
        ("right right", "It ends 20 live tokens", Reach::Key(selected.kid.clone())),
        ("left", "It ends 20 live tokens", Reach::IssuedBefore(noon())),
    ] {
        let mut person = Person::new(80, 24);
        person.press("3 j R").press(keys).press("ctrl-s");
        assert!(person.sees(said), "{keys}: {}", person.screen());
        person.press("enter");
        assert!(person.deeds.is_empty() && !person.sees(said), "cancel is focused");
        person.press("R").press(keys).press("ctrl-s tab enter");
        assert_eq!(person.only::<Revoke>().reach, reach, "{keys}");
    }
}

#[test]
fn what_is_in_use_is_revoked_only_by_typing_its_name() {
    let mut person = Person::new(80, 24);
    person.house.call_with_token(1, 5);
    person.press("3 j R right ctrl-s");
    assert!(person.sees("5 calls in the last 24 hours"), "{}", person.screen());
    person.press("tab enter");
    assert!(person.deeds.is_empty() && person.sees("not its name"), "{}", person.screen());
    person.type_text("user1@example.com").press("tab").type_text("left").press("tab tab enter");
    assert_eq!(person.only::<Revoke>().reason, "left");
}

#[test]
fn only_a_moment_that_is_past_can_be_the_end_of_what_was_issued_before_it() {
    let mut person = Person::new(80, 24);
    person.press("3 R left tab ctrl-u").type_text("soon");
    assert!(person.sees("this is no moment"), "{}", person.screen());
    person.press("ctrl-s ctrl-u").type_text("2030-01-01T00:00:00Z");
    assert!(person.sees("this lies ahead"), "{}", person.screen());
    person.press("ctrl-s ctrl-u").type_text("2h").press("ctrl-s tab enter");
    let hours = Duration::from_secs(2 * 3_600);
    assert_eq!(person.only::<Revoke>().reach, Reach::IssuedBefore(noon().minus(hours)));
}

#[test]
fn the_question_waits_for_what_it_would_end() {
    let mut person = Person::new(80, 24);
    person.press("3");
    let asked = person.ask("R");
    person.press("ctrl-s");
    assert!(person.sees("still counting") && !person.sees("for good"), "{}", person.screen());
    person.settle(asked);
    person.press("ctrl-s");
    assert!(person.sees("It ends 1 live token"), "{}", person.screen());
}

#[test]
fn marked_tokens_are_revoked_together() {
    let mut person = Person::new(80, 24);
    person.press("3 space space V j j V R ctrl-s");
    assert!(person.sees("5 marked tokens"), "{}", person.screen());
    person.press("tab enter");
    let Revoke { reach, .. } = person.only();
    assert!(matches!(reach, Reach::Tokens(ids) if ids.len() == 5), "{reach:?}");
}

#[test]
fn a_pasted_token_is_judged_and_wiped_with_its_panel() {
    let mut person = Person::new(80, 24);
    person.press("3 i");
    let text = foreign();
    let (first, rest) = text.split_at(40);
    person.send(Event::Paste(format!("  Bearer {first}\r\n   {rest}\n\n")));
    assert!(person.sees("NOT valid: wrong_issuer") && person.sees("✕ issuer"), "{}", person.screen());
    person.press("down down down down down down down down down down down down");
    let screen = person.screen();
    assert!(screen.contains("for whom it speaks") && screen.contains("in 59m"), "{screen}");
    assert!(!screen.contains('\u{202e}') && screen.contains("evil"), "{screen}");
    person.press("esc i");
    assert!(person.sees("Paste a token here"), "nothing of it is left");
    assert!(person.deeds.is_empty());

    // typed by a terminal that knows no bracketed paste, and no token at all
    person.type_text("hello.you.x");
    assert!(person.sees("NOT valid"), "{}", person.screen());
    person.press("ctrl-u");
    assert!(person.sees("Paste a token here"));
    person.send(Event::Paste("a".repeat(LONGEST + 1)));
    assert!(person.sees("cut after 32768"), "{}", person.screen());
}

#[test]
fn the_newest_of_two_pasted_tokens_is_judged() {
    let mut person = Person::new(80, 24);
    person.press("3 i");
    let first = person.ask_about(Event::Paste("a.b.c".into()));
    person.send(Event::Paste(foreign()));
    let judged = person.screen();
    person.settle(first);
    assert_eq!(person.screen(), judged, "an answer about the one before is stale");
}

#[test]
fn a_damaged_signing_key_is_told_beside_the_sound_ones() {
    let mut person = Person::new(80, 24);
    let damage = |person: &Person, number: usize| {
        person.house.tamper(&format!("UPDATE signing_key SET name = 'x' WHERE kid = '{}'", kid(number)));
    };
    damage(&person, 2);
    person.press("3 K");
    assert!(person.sees("A signing key is damaged"), "{}", person.screen());
    assert!(person.sees("the row `t-verifying-2025`"), "{}", person.screen());
    person.press("j R");
    assert!(person.sees("It ends 20 live tokens"), "the others are handled as ever: {}", person.screen());
    person.press("esc esc");
    damage(&person, 3);
    person.press("K");
    assert!(person.sees("2 signing keys are damaged") && person.sees("● active"), "{}", person.screen());
}

#[test]
fn signing_keys_are_made_and_imported() {
    let mut person = Person::new(80, 24);
    person.press("3 K n right ctrl-s");
    assert_eq!(person.only::<Create>().0.algorithm, Algorithm::Es256);
    assert!(person.sees("signs with ES256"), "{}", person.screen());

    person.press("I ctrl-s");
    assert!(person.sees("say where the private key is"));
    let file = person.house.path("key");
    std::fs::write(&file, "0123456789abcdef0123456789abcdef").unwrap();
    person.type_text(&file).press("tab").type_text("HS").press("ctrl-s");
    let Import { new, file: from } = person.last();
    assert_eq!((new.algorithm, from.to_str()), (Algorithm::Hs256, Some(file.as_str())));
    assert!(person.sees("signs with HS256"), "{}", person.screen());
}

#[test]
fn a_signing_key_is_rotated_and_retired_and_what_cannot_be_done_says_why() {
    let mut person = Person::new(80, 24);
    person.press("3 K j r").type_text("1h").press("tab").type_text("soon").press("ctrl-s");
    assert!(person.sees("not a length of time"), "{}", person.screen());
    person.press("ctrl-u").type_text("2d").press("ctrl-s");
    let Rotate { kid: rotated, rotation } = person.only();
    assert_eq!(*rotated, kid(1));
    assert_eq!(rotation.overlap, Some(Duration::from_secs(2 * 86_400)));
    assert_eq!(rotation.publish_ahead, Duration::from_secs(3_600));

    let mut person = Person::new(80, 24);
    person.press("3 K j R");
    assert!(person.sees("It ends 20 live tokens") && person.sees("rotate it instead"), "{}", person.screen());
    person.press("enter");
    person.house.call_with_token(1, 1);
    person.press("R tab enter");
    assert!(person.deeds.is_empty() && person.sees("type t-active to go on"), "{}", person.screen());
    person.type_text("t-active").press("tab tab tab enter");
    assert_eq!(person.only::<Retire>().kid, kid(1));
    assert!(person.sees("retired signing key"), "{}", person.screen());

    // what cannot be done says why
    for (keys, why) in [
        ("j r", "rotated already"),
        ("j r", "it is retired"),
        ("R", "retired already"),
        ("x", "no public part"),
    ] {
        assert!(person.press(keys).sees(why), "{keys} {why}: {}", person.screen());
    }
    assert_eq!(person.deeds.len(), 1);
    person.press("k x");
    assert!(person.copied.last().unwrap().contains("t-verifying-2025"));
    person.press("t");
    assert!(person.sees("/ kid:t-verifying-2025"), "{}", person.screen());
}

#[test]
fn a_read_only_console_shows_tokens_and_changes_none() {
    let mut person = Person::with(80, 24, 40, Some("asked for"), "neutral", false);
    for keys in ["n", "R", "K n", "I", "r", "R"] {
        let key = person.press(if keys == "n" { "3" } else { "" }).press(keys);
        assert!(key.sees("read-only: asked for"), "{keys}: {}", key.screen());
        key.wait(5);
    }
    person.press("esc i");
    person.send(Event::Paste(foreign()));
    assert!(person.sees("NOT valid"), "looking is allowed");
    assert!(person.deeds.is_empty());
}

#[test]
fn only_the_tokens_in_view_are_asked_for_however_many_there_are() {
    let mut person = Person::with(80, 24, 2_000, None, "neutral", false);
    person.press("3 G");
    assert!(person.sees("2 000/2 000"), "{}", person.screen());
    let effects = person.ask("g");
    let counts = effects.iter().filter_map(asks::<CountRows<Standing>>).count();
    assert_eq!(counts, 0, "a step does not count all rows again");
    let asked: Vec<u32> =
        effects.iter().filter_map(asks::<ListRows<Standing>>).map(|rows| rows.limit).collect();
    assert_eq!(asked.len(), 1);
    assert!(asked[0] <= 72, "{asked:?}");
}

#[test]
fn the_list_grows_old_with_the_minute_and_is_asked_for_again() {
    let mut person = Person::new(80, 24);
    person.press("3");
    assert!(person.sees("● live"));
    person.at("2026-07-28T14:03:00Z".parse().unwrap());
    let asked = person.ask_about(Event::Due);
    assert!(asked.iter().any(|effect| asks::<ListRows<Standing>>(effect).is_some()));
}

#[test]
fn the_command_line_filters_the_list_that_it_lies_over() {
    let mut person = Person::new(80, 24);
    person.press("3 :").type_text("filter state:live").press("enter");
    assert!(person.sees("› tokens ─") && person.sees("/ state:live"), "{}", person.screen());
    person.press("1 :").type_text("filter state:active").press("enter");
    assert!(person.sees("› keys ─") && person.sees("/ state:active"), "{}", person.screen());
    person.press("3 :").type_text("token.issue").press("enter");
    assert!(person.sees("new token"), "{}", person.screen());
}

#[test]
fn a_token_is_shown_though_the_form_that_asked_for_it_was_closed() {
    let mut person = Person::new(120, 40);
    person.press("3 n").type_text("zoe").press("tab space");
    let ordered = person.order("ctrl-s");
    assert_eq!(ordered.of::<Issue>().0.subject.as_str(), "zoe");
    person.press("esc esc");
    assert!(!person.sees("new token"));
    person.carry_out(ordered);
    assert!(person.sees("the token, shown once"), "{}", person.screen());
}
