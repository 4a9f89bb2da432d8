//! The day's work: rows that are damaged, acts that take their time, a backup, what the footer says, what forms take.

use crate::console::effect::Progress;
use crate::console::event::{Event, Moved};
use crate::console::overlay::backup::BackUp;
use crate::console::screen::api_keys::bulk::Disable;
use crate::console::screen::api_keys::change::Change;
use crate::console::screen::tokens::reach::Revoke;
use crate::console::tally::PurgeDamaged;
use crate::console::tally::Tally;

use super::home::*;
use super::person::*;

/// Somebody alters the row of a key, beside the store.
fn damage(person: &Person, number: usize) {
    person.house.tamper(&format!("UPDATE api_key SET name = 'x' WHERE id = '{}'", id(number)));
}

#[test]
fn a_damaged_key_is_a_row_of_its_own_and_hides_no_other() {
    let mut person = Person::new(120, 30);
    damage(&person, 2);
    person.press("2");
    assert!(person.sees("1/40") && person.sees("agent-1") && person.sees("user3@"), "{}", person.screen());
    assert!(person.sees("✕ damaged   00000000  its seal does not fit"), "{}", person.screen());
    // only a damaged row can be removed
    person.press("j D");
    assert!(person.app.overlays.is_empty() && person.sees("is not damaged"), "{}", person.screen());

    person.wait(9).press("j");
    assert!(person.sees("3/40") && person.sees("Whatever rests on it is refused"), "{}", person.screen());
    for act in ["r", "R", "d", "e", "c", "space", "f", "u", "P"] {
        person.wait(9).press(act);
        assert!(person.app.overlays.is_empty() && person.sees("remove it: D"), "{act}");
    }
    assert!(!person.sees("marked"));
    // the cursor stays on it
    person.house.make(3);
    person.send(Event::Moved(Moved::Objects));
    assert!(person.sees("6/43") && person.sees("Whatever rests on it is refused"), "{}", person.screen());
    person.press("y D");
    assert_eq!(person.copied, [id(2).to_string()]);
    assert!(person.deeds.is_empty());
    person.press("tab enter");
    person.only::<PurgeDamaged>();
    assert!(person.sees("removed the damaged keys"), "{}", person.screen());
    person.send(Event::Moved(Moved::Objects));
    assert!(person.sees("6/42") && !person.sees("✕ damaged"), "{}", person.screen());

    // it takes the keys that go on to another one
    let mut person = Person::new(120, 30);
    damage(&person, 2);
    person.press("2 j j j j");
    assert!(person.sees("5/40") && person.sees("› keys"), "{}", person.screen());

    let mut person = Person::new(80, 24);
    damage(&person, 0);
    person.press("2 enter");
    assert!(person.sees("Whatever rests on it is refused") && !person.sees("agent-1"), "{}", person.screen());
    assert!(person.press("esc").sees("agent-1") && person.sees("D remove damaged"), "{}", person.screen());
    assert!(!person.press("j").sees("D remove"), "{}", person.screen());
}

#[test]
fn a_damaged_policy_stands_below_the_others() {
    let mut person = Person::new(120, 30);
    person.house.write(|c| crate::store::policy::insert(c, &revision("office", 1)));
    person.house.tamper("UPDATE policy_revision SET reason = 'x' WHERE name = 'office'");
    person.press("6 j j");
    assert!(person.sees("readers") && person.sees("✕ the row `office"), "{}", person.screen());
    assert!(person.sees("is damaged"), "{}", person.screen());
    assert!(person.sees("Whatever is under it"), "{}", person.screen());
    person.press("e");
    assert!(person.app.overlays.is_empty() && person.sees("this policy is damaged"), "{}", person.screen());
    assert!(person.press("k e").sees("readers") && !person.app.overlays.is_empty());
}

#[test]
fn an_act_that_takes_its_time_tells_how_far_it_is_and_is_cancelled() {
    let mut person = Person::new(80, 24);
    person.press("2 space space d tab");
    let ordered = person.order("enter");
    let ticket = ordered.ticket;
    assert_eq!(ordered.of::<Disable>().0.len(), 2);
    let progress = |told: &str| Event::Progress(Progress { ticket, told: told.into() });
    person.send(progress("disabling: 100 of 2000, 4s left"));
    assert!(person.sees("disabling: 100 of 2000, 4s left; esc cancels"), "{}", person.screen());
    person.press("esc");
    assert_eq!(person.cancelled, [ticket]);
    person.send(progress("disabling: 200 of 2000, 4s left"));
    assert!(person.sees("ending after this batch") && person.sees("Disable 2 marked"), "{}", person.screen());
    person.end(ordered, done(Tally { done: 200, left: 1_800, ..Tally::default() }));
    assert!(person.sees("200 done, 1800 left as they were: cancelled"), "{}", person.screen());
    assert!(person.app.overlays.is_empty() && !person.sees("ending after"));
    assert_eq!(person.press("esc").cancelled.len(), 1, "there is nothing to cancel any more");

    // what goes on behind something else is not what `esc` is meant for there
    let mut person = Person::new(80, 24);
    person.press("2 space space d tab");
    let ticket = person.order("enter").ticket;
    person.press("esc");
    person.send(Event::Progress(Progress { ticket, told: "disabling: 100 of 2000, 4s left".into() }));
    assert!(
        person.press("? esc").app.overlays.is_empty() && person.cancelled.is_empty(),
        "{}",
        person.screen()
    );
    person.press("/").type_text("agent");
    assert!(person.press("esc").cancelled.is_empty(), "{}", person.screen());
    assert_eq!(person.press("esc").cancelled, [ticket]);

    // what was left under way is told as well
    let mut person = Person::new(80, 24);
    person.press("3 ctrl-a R ctrl-s tab");
    let ordered = person.order("enter");
    let (ticket, Revoke { .. }) = (ordered.ticket, ordered.of());
    assert!(person.press("esc").app.overlays.is_empty() && person.cancelled.is_empty());
    person.send(Event::Progress(Progress { ticket, told: "revoking: 500 of 4000, 2s left".into() }));
    assert!(person.press("2").sees("revoking: 500") && person.sees("› keys"), "one can go on meanwhile");
    person.end(ordered, done(Tally { done: 500, left: 3_500, ..Tally::default() }));
    assert!(person.sees("of what you left under way: 500 done"), "{}", person.screen());
}

#[test]
fn a_backup_is_made_from_any_screen_and_what_was_typed_outlives_a_refusal() {
    let phrase = "correct horse battery";
    let mut person = Person::new(80, 24);
    person.press("B").type_text("x");
    assert!(person.sees("~/portcullis-2026-07-28.backupx"), "{}", person.screen());
    person.press("backspace tab").type_text("short");
    assert!(person.sees("soon guessed") && person.sees("•••••"), "{}", person.screen());
    person.press("ctrl-s");
    assert!(person.sees("the two are not the same") && person.deeds.is_empty(), "{}", person.screen());
    let file = person.house.path("x.backup");
    person.press("backtab backtab ctrl-u").type_text(&file);
    person.press("tab ctrl-u").type_text(phrase).press("tab").type_text(phrase);
    assert!(!person.sees("soon guessed") && !person.sees("horse"), "{}", person.screen());
    std::fs::write(&file, "").unwrap();
    person.press("ctrl-s");
    assert!(person.sees("is there already") && person.sees("•••"), "{}", person.screen());
    std::fs::remove_file(&file).unwrap();
    person.press("ctrl-s");
    let BackUp { file: into, passphrase, .. } = person.last();
    assert_eq!((into.to_str(), passphrase.expose()), (Some(file.as_str()), phrase));
    assert!(
        person.sees("x.backup: ") && person.sees(" KiB") && person.sees("restore"),
        "{}",
        person.screen()
    );
    assert!(person.press("esc").app.overlays.is_empty());

    let mut person = Person::with(80, 24, 40, Some("asked for"), "neutral", false);
    assert!(person.press("B").app.overlays.is_empty() && person.sees("read-only"));
}

#[test]
fn the_footer_says_first_what_matters_where_the_focus_is() {
    let footer = |person: &Person| person.screen().lines().last().unwrap_or_default().to_owned();
    let mut person = Person::new(80, 24);
    person.press("2 j");
    for hint in ["⏎ open", "/ filter", "n new", "c change", "r rotate", "R revoke…", "d disable", "? help"]
    {
        assert!(footer(&person).contains(hint), "{hint}: {}", footer(&person));
    }
    // what is refused makes room first: here the one that is disabled already
    person.press("j j j");
    assert!(footer(&person).contains("e enable") && !footer(&person).contains("d disable"));

    // the detail has a footer of its own, and nothing is done in it to rows that are not seen
    person.press("k k k enter");
    for hint in ["esc back", "j scroll", "c change", "R revoke…", "d disable", "? help"] {
        assert!(footer(&person).contains(hint), "{hint}: {}", footer(&person));
    }
    assert!(!footer(&person).contains("open") && !footer(&person).contains("filter"));
    person.press("space");
    assert!(person.sees("space does nothing here"), "{}", person.screen());
    person.press("/").type_text("agent");
    assert!(person.sees("/ agent") && person.sees("agent-2"), "{}", person.screen());
    // beside one another both are in view, and the list has the focus until the detail is opened
    let mut person = Person::new(120, 30);
    person.press("2 j");
    assert!(footer(&person).contains("⏎ open") && !footer(&person).contains("esc back"));
    person.press("enter");
    assert!(footer(&person).contains("esc back") && !person.sees("agent-2"), "{}", person.screen());
    assert!(person.press("esc").sees("agent-2"));
}

#[test]
fn a_choice_is_found_by_typing_and_nothing_typed_goes_without_a_word() {
    let mut person = Person::new(80, 24);
    person.press("2 j c tab tab").type_text("rea");
    assert!(person.sees("←  readers  →"), "{}", person.screen());
    assert!(person.sees("/ rea"), "{}", person.screen());
    person.type_text("q");
    assert!(person.sees("/ reaq fits none") && person.sees("readers"), "{}", person.screen());
    for on in ["tab", "ctrl-s", "up"] {
        person.press(on);
        assert!(person.sees("`reaq` fits none: take it back,"), "{on}: {}", person.screen());
    }
    person.press("backspace");
    assert!(!person.sees("fits none"));
    person.press("tab").type_text("36h").press("tab");
    assert!(person.sees("`other` takes any"), "no other life is granted than was typed: {}", person.screen());
    person.press("backspace backspace backspace").type_text("30");
    assert!(person.sees(" 30d ") && !person.sees("/ rea"), "{}", person.screen());
    person.press("tab").type_text("z");
    assert!(person.sees("`z` goes nowhere"), "{}", person.screen());
    person.press("up");
    assert!(!person.sees("goes nowhere"));
    person.send(Event::Paste("90d".into()));
    assert!(person.sees("what is pasted goes into a line of text"), "{}", person.screen());
    person.press("ctrl-s");
    let Change { changes, .. } = person.only();
    assert_eq!(changes.policy.as_ref().map(|policy| policy.as_str()), Some("readers"));
    assert_eq!(changes.life.flatten().map(|life| life.as_secs()), Some(30 * 86_400));
}
