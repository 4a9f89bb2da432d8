//! What is typed before the store has answered, and lists that move while somebody is in them: an act is done to what was
//! shown, and no key is lost.

use crate::console::effect::Fault;
use crate::console::event::{Event, Moved};
use crate::console::screen::api_keys::bulk::{Disable, Revoke};
use crate::console::screen::long_list::{CountRows, FindRow};
use crate::console::screen::policies::history::RollBack;
use crate::domain::api_key::ApiKey;

use super::home::*;
use super::person::*;

fn revoked(person: &Person) -> Vec<usize> {
    person.last::<Revoke>().ids.iter().map(|id| id.as_str().parse().unwrap()).collect()
}

#[test]
fn what_is_typed_while_the_calls_are_counted_goes_into_the_dialog_that_counts_them() {
    let mut person = Person::new(80, 24);
    person.house.call(1, 5);
    person.press("2 j");
    let counting = person.ask("R");
    assert!(person.sees("Revoke key agent-1") && person.sees("counting"), "{}", person.screen());
    person.press("backtab backtab").type_text("desktop").press("tab").type_text("lost");
    person.press("tab tab enter");
    assert!(person.sees("› keys") && person.deeds.is_empty() && !person.sees("desktop"));
    person.settle(counting);
    assert!(person.sees("that is not its name") && person.sees("desktop"), "{}", person.screen());
    assert!(person.deeds.is_empty());
    person.press("ctrl-u").type_text("agent-1").press("tab tab tab enter");
    assert_eq!(person.only::<Revoke>().reason, "lost");
}

#[test]
fn a_paste_and_an_answer_to_the_question_wait_as_well_and_escape_waits_for_nothing() {
    let mut person = Person::new(80, 24);
    person.house.call(1, 5);
    person.press("2 j");
    let counting = person.ask("R");
    person.send(Event::Paste("agent-1".into()));
    person.press("tab tab tab enter");
    person.settle(counting);
    assert_eq!(revoked(&person), [1]);

    let mut person = Person::new(80, 24);
    person.house.call(1, 5);
    person.press("2 j");
    let counting = person.ask("R");
    person.press("tab tab enter esc");
    assert!(!person.sees("Revoke key"), "{}", person.screen());
    person.settle(counting);
    assert!(person.deeds.is_empty() && !person.sees("Revoke key"), "what was typed went with the dialog");
}

#[test]
fn no_dialog_opens_over_a_form_that_is_typed_into() {
    let mut person = Person::new(80, 24);
    person.press("2 j");
    let counting = person.ask("R");
    person.press("esc n").type_text("zo");
    person.settle(counting);
    person.type_text("e");
    assert!(
        person.sees("new API key") && person.sees(" zoe") && !person.sees("Revoke"),
        "{}",
        person.screen()
    );
}

#[test]
fn what_cannot_be_counted_is_taken_to_be_in_use() {
    let mut person = Person::new(80, 24);
    person.press("2 j");
    let counting = person.ask("R");
    person.fault = Some(Fault::new("usage.db is damaged"));
    person.settle(counting);
    person.fault = None;
    assert!(person.sees("cannot be told: usage.db is damaged"), "{}", person.screen());
    person.press("tab enter");
    assert!(person.deeds.is_empty() && person.sees("not its name"));
    person.type_text("agent-1").press("tab tab tab enter");
    assert_eq!(revoked(&person), [1], "revoking is possible all the same");
}

#[test]
fn keys_for_rows_wait_for_the_rows_and_the_way_elsewhere_does_not() {
    let mut person = Person::new(80, 24);
    let rows = person.ask("2");
    person.press("j j R tab");
    assert!(person.app.overlays.is_empty());
    person.settle(rows);
    person.press("enter");
    assert_eq!(revoked(&person), [2], "{}", person.screen());

    let mut person = Person::new(80, 24);
    let rows = person.ask("2");
    assert!(person.press("7").sees("› usage"), "one need not wait to go elsewhere");
    person.settle(rows);
    let rows = person.ask("3");
    assert!(person.press("q").quit);
    drop(rows);
    let mut person = Person::new(80, 24);
    let rows = person.ask("2");
    assert!(person.press("j R ctrl-c").quit);
    drop(rows);
}

#[test]
fn letters_for_a_form_wait_for_what_it_chooses_from() {
    for (open, field) in [("2 n", "zoe"), ("3 n", "zoe"), ("6 n", "strict")] {
        let mut person = Person::new(120, 40);
        let (screen, key) = open.split_once(' ').unwrap();
        person.press(screen);
        let choices = person.ask(key);
        person.type_text(field);
        person.settle(choices);
        assert!(person.sees(field), "{open}: {}", person.screen());
    }
}

#[test]
fn under_a_new_filter_nothing_is_done_to_the_rows_of_the_old_one() {
    let mut person = Person::new(80, 24);
    person.press("2 j j /");
    let rows = person.ask("u");
    let before = person.screen();
    assert!(before.contains("agent-1"), "they are still to be seen");
    person.press("enter R tab enter");
    assert!(person.deeds.is_empty() && person.app.overlays.is_empty(), "{}", person.screen());
    person.settle(rows);
    assert_eq!(revoked(&person), [0], "the first of the new ones");

    // by name as well, and by a click
    let mut person = Person::new(80, 24);
    person.press("2 j j /");
    let rows = person.ask("u");
    person.press("enter :").type_text("key.revoke").press("enter");
    assert!(!person.sees("Revoke") && person.sees("there is no key here"), "{}", person.screen());
    drop(rows);
}

#[test]
fn under_a_filter_that_cannot_be_read_nothing_is_done_to_the_rows_of_the_last_one() {
    let mut person = Person::new(80, 24);
    person.press("2 /").type_text("agent foo:").press("enter").type_text("R").press("tab enter");
    assert!(person.deeds.is_empty() && person.app.overlays.is_empty(), "{}", person.screen());
    assert!(person.sees("foo:R"), "it is still typed: {}", person.screen());
    person.press("backspace backspace backspace backspace backspace backspace enter R");
    assert!(!person.app.overlays.is_empty(), "{}", person.screen());
}

#[test]
fn a_key_made_elsewhere_moves_no_other_one_under_the_cursor() {
    let mut person = Person::new(80, 24);
    person.press("2 j j");
    person.house.make(1);
    person.send(Event::Moved(Moved::Objects));
    assert!(person.sees("4/41"), "{}", person.screen());
    person.press("R tab enter");
    assert_eq!(revoked(&person), [2]);

    // far down the list, the view goes with it
    let mut person = Person::with(80, 24, 1_000, None, "neutral", false);
    person.press("2 G k k");
    person.house.make(7);
    person.send(Event::Moved(Moved::Objects));
    person.press("R tab enter");
    assert_eq!(revoked(&person), [997]);

    // so many that it is out of sight: it is looked for, and what is typed meanwhile waits for it
    let mut person = Person::new(80, 24);
    person.press("2 j j");
    person.house.make(500);
    let asked = person.ask_about(Event::Moved(Moved::Objects));
    let looks = person.answered(asked);
    assert!(asks::<FindRow<ApiKey>>(&looks[0]).is_some(), "{looks:?}");
    person.press("R tab enter");
    assert!(person.app.overlays.is_empty() && !person.sees("0/540"), "{}", person.screen());
    person.settle(looks);
    assert!(person.sees("503/540"), "{}", person.screen());
    assert_eq!(revoked(&person), [2]);

    // it is gone: the cursor is on what has come to its place
    let mut person = Person::new(80, 24);
    person.press("2 j j");
    person.house.remove(2);
    person.send(Event::Moved(Moved::Objects));
    assert!(person.sees("3/39"), "{}", person.screen());
    person.press("R tab enter");
    assert_eq!(revoked(&person), [3]);
    // and the detail of it does not become that of the other
    person.press("enter");
    assert!(person.sees("keys › 00000000") || person.sees("keys › agent"), "{}", person.screen());
    person.house.remove(3);
    person.send(Event::Moved(Moved::Objects));
    assert!(person.sees("3/38") && person.sees("agent-1"), "{}", person.screen());

    // a list that was empty meanwhile keeps nobody's place
    let mut person = Person::with(80, 24, 2, None, "neutral", false);
    person.press("2 j");
    person.house.remove(0);
    person.house.remove(1);
    person.send(Event::Moved(Moved::Objects));
    assert!(person.sees("0/0"), "{}", person.screen());
    person.house.write(|c| crate::store::api_key::insert(c, &key(0)));
    person.send(Event::Moved(Moved::Objects));
    assert!(person.sees("1/1"), "{}", person.screen());
    person.press("R tab enter");
    assert_eq!(revoked(&person), [0]);
}

#[test]
fn a_range_is_from_a_key_to_a_key_and_all_is_all_there_are() {
    let marked = |person: &mut Person| {
        person.press("R tab enter");
        revoked(person)
    };
    let mut person = Person::new(80, 24);
    person.press("2 j V");
    person.house.make(3);
    person.send(Event::Moved(Moved::Objects));
    person.press("j j V");
    assert_eq!(marked(&mut person), [1, 2, 3]);

    // one is made between the second V and the answer to it
    let mut person = Person::new(80, 24);
    person.press("2 j V j j");
    let ids = person.ask("V");
    person.house.make(1);
    person.settle(ids);
    assert_eq!(marked(&mut person), [1, 2, 3]);

    // so many that the range is not where it is looked for
    let mut person = Person::new(80, 24);
    person.press("2 j V j j");
    let ids = person.ask("V");
    person.house.make(900);
    person.settle(ids);
    assert!(person.sees("the list moved") && !person.sees("marked ·"), "{}", person.screen());

    // all: also those that were not counted yet
    let mut person = Person::with(80, 24, 1_000, None, "neutral", false);
    let asked = person.ask("2");
    let counts = |effect: &_| asks::<CountRows<ApiKey>>(effect).is_some();
    let (totals, rows): (Vec<_>, Vec<_>) = asked.into_iter().partition(counts);
    person.settle(rows);
    assert!(person.sees("1/54+"), "{}", person.screen());
    person.press("ctrl-a");
    assert!(person.sees("1000 marked"), "{}", person.screen());
    person.settle(totals);
    let mut person = Person::with(80, 24, 10_001, None, "neutral", false);
    assert!(person.press("2 ctrl-a").sees("at most 10000 keys"), "{}", person.screen());
}

#[test]
fn marks_of_another_filter_are_not_made_under_this_one() {
    let mut person = Person::new(80, 24);
    person.press("2");
    let ids = person.ask("ctrl-a");
    person.press("/").type_text("x").press("enter");
    person.settle(ids);
    assert!(!person.sees("marked"), "{}", person.screen());
}

#[test]
fn a_bulk_act_tells_what_of_it_could_not_be_done() {
    let mut person = Person::new(120, 30);
    let ordered = person.press("2 space space space d tab").order("enter");
    assert_eq!(ordered.of::<Disable>().0.len(), 3);
    person.house.remove(1);
    person.carry_out(ordered);
    assert!(person.sees("2 done, 1 not there any more"), "{}", person.screen());
    assert!(person.app.overlays.is_empty());
}

#[test]
fn a_roll_back_is_from_what_was_shown_to_what_was_chosen() {
    let mut person = Person::new(120, 30);
    person.press("6 H j");
    assert!(person.sees("r1 → r2"), "{}", person.screen());
    // one more revision is saved elsewhere: the cursor stays on the one that was chosen
    person.house.save_default(4);
    person.send(Event::Moved(Moved::Objects));
    person.press("r");
    assert!(person.sees("Save revision 2 of default again"), "{}", person.screen());
    person.press("tab enter");
    let RollBack { to, expected, .. } = person.only();
    assert_eq!((*to, *expected), (2, 4));
    assert!(person.sees("rolled back to revision 2"), "{}", person.screen());
}

/// Every field that can be pasted into, by the keys that lead there.
const FIELDS: &[&str] = &[
    "2 n",
    "2 n tab",
    "2 /",
    "3 /",
    ":",
    "?",
    "ctrl-p",
    "6 n",
    "6 e tab tab tab",
    "6 T",
    "3 n",
    "2 j R backtab",
];

#[test]
fn a_paste_goes_to_the_cursor_of_any_field() {
    for keys in FIELDS {
        let mut person = Person::new(120, 40);
        person.press(keys).press("ctrl-u").type_text("ad").press("left");
        person.send(Event::Paste("  bc\u{7}\n".into()));
        assert!(person.sees("abcd"), "{keys}: {}", person.screen());
        person.type_text("x");
        assert!(person.sees("abcxd"), "the cursor stands behind it: {keys}: {}", person.screen());
    }
}

#[test]
fn a_paste_where_no_field_has_the_focus_goes_nowhere() {
    let mut person = Person::new(80, 24);
    person.press("2 n tab tab");
    person.send(Event::Paste("mcp:*".into()));
    person.press("tab tab tab tab tab");
    person.send(Event::Paste("enter".into()));
    assert!(person.deeds.is_empty() && person.sees("new API key"));
}
