//! What becomes of lists, acts and answers while somebody goes on pressing keys.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::console::effect::{Effect, Fault, Outcome, Reply, Ticket};
use crate::console::event::{Event, Moved};
use crate::console::screen::api_keys::{bulk::Revoke, rotate::Rotate};
use crate::console::screen::long_list::{CountRows, ListRows, Window};
use crate::console::screen::policies::editor::Save;
use crate::console::tally::Tally;
use crate::domain::api_key::ApiKey;

use super::home::*;
use super::person::*;

#[test]
fn only_the_rows_in_view_are_asked_for_however_many_there_are() {
    let mut person = Person::with(80, 24, 2_000, None, "neutral", false);
    person.press("2 G");
    assert!(person.sees("2 000/2 000"), "{}", person.screen());
    let effects = person.ask("g");
    let counts = effects.iter().filter_map(asks::<CountRows<ApiKey>>).count();
    assert_eq!(counts, 0, "a step does not count all rows again");
    let asked: Vec<u32> =
        effects.iter().filter_map(asks::<ListRows<ApiKey>>).map(|rows| rows.limit).collect();
    assert_eq!(asked.len(), 1);
    assert!(asked[0] <= 72, "{asked:?}");
}

#[test]
fn a_filter_is_live_says_what_is_wrong_with_it_and_escape_clears_it() {
    let mut person = Person::new(80, 24);
    person.press("2 /").type_text("agent ").send(Event::Paste("expires<".into()));
    let wrong = person.screen();
    assert!(wrong.contains("agent-1"), "the rows of the last good filter stay: {wrong}");
    person.type_text("30d").press("enter j");
    assert!(person.sees("/ agent expires<30d") && person.sees("2/13"), "{}", person.screen());
    person.press("esc");
    assert!(person.sees("/ filter:"));
}

#[test]
fn what_is_wrong_with_a_filter_is_told_in_full_and_the_fields_that_there_are() {
    let mut person = Person::with(80, 24, 0, None, "neutral", false);
    person.press("2 /");
    assert!(person.sees("/ id: name: subject:"), "{}", person.screen());
    person.type_text("subjct:x");
    assert!(person.sees("did you mean `subject`?") && person.sees("expires, created"), "{}", person.screen());
    assert!(person.sees("between quotes") && !person.sees("No key fits"), "{}", person.screen());
    person.press("ctrl-u").type_text("subject:x");
    assert!(person.sees("No key fits") && !person.sees("did you mean"), "{}", person.screen());
}

#[test]
fn what_became_of_an_act_is_told_though_its_panel_was_closed() {
    let outcomes: [(Outcome, &str); 2] =
        [(done(Tally::all(1)), "is done"), (Err(Fault::new("the store is locked")), "the store is locked")];
    for (outcome, told) in outcomes {
        let mut person = Person::new(120, 40);
        let ordered = person.press("2 R tab").order("enter");
        assert_eq!(ordered.of::<Revoke>().ids, [id(0)]);
        person.press("esc");
        assert!(!person.sees("Revoke key") && !person.sees("under way"), "{}", person.screen());
        person.end(ordered, outcome);
        assert!(person.sees("what you left under way") && person.sees(told), "{}", person.screen());
    }
}

#[test]
fn a_secret_is_shown_though_the_form_that_asked_for_it_was_closed() {
    let mut person = Person::new(120, 40);
    let ordered = person.press("2 r").order("ctrl-s");
    assert_eq!(ordered.of::<Rotate>().id, id(0));
    person.press("esc");
    assert!(!person.sees("shown once"));
    person.carry_out(ordered);
    assert!(person.sees("shown once") && person.sees("pcl_live_"), "{}", person.screen());
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
fn what_was_refused_does_not_lie_over_what_comes_next_and_what_failed_does() {
    let mut person = Person::new(80, 24);
    for next in ["?", ":", "7"] {
        person.press("1 :").type_text("foo").press("enter");
        assert!(person.sees("foo"), "{}", person.screen());
        person.wait(1);
        assert!(person.sees("foo"), "{}", person.screen());
        assert!(!person.press(next).sees("foo"), "{next}: {}", person.screen());
        person.press("esc");
    }
    person.send(Event::Full(true));
    person.wait(1);
    assert!(person.press("?").sees("can still be"), "{}", person.screen());
}

#[test]
fn a_stale_answer_is_dropped() {
    let mut person = Person::new(80, 24);
    person.press("2");
    let rows = |effect: &Effect| -> Option<Ticket> {
        asks::<ListRows<ApiKey>>(effect)?;
        let Effect::Load(ticket, _) = effect else { return None };
        Some(*ticket)
    };
    let mut ask = || person.ask_about(Event::Moved(Moved::Objects)).iter().find_map(rows).unwrap();
    let (first, second) = (ask(), ask());
    let reply = |ticket, keys: usize| {
        let window = Window { offset: 0, rows: (0..keys).map(|number| Ok(key(number))).collect() };
        Event::Reply(Reply { ticket, outcome: Some(done(window)), left: None })
    };
    person.send(reply(second, 7));
    person.send(reply(first, 3));
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
    let Save { policy, over, reason } = person.only();
    assert_eq!(policy.rate_limits.requests_per_minute, Some(70));
    assert_eq!((*over, reason.as_str()), (Some(3), "more room"));
    assert!(person.sees("saved policy default as revision 4"));
}

#[test]
fn who_saved_meanwhile_is_seen_and_nothing_typed_is_lost() {
    let mut person = Person::new(120, 40);
    person.press("6 e tab tab tab backspace backspace").type_text("70").press("ctrl-s").type_text("why");
    person.house.save_default(4);
    person.press("ctrl-s");
    assert!(person.sees("was saved by console:ana meanwhile") && person.sees("why"), "{}", person.screen());
    person.press("ctrl-s");
    assert_eq!(person.last::<Save>().over, Some(4));
    assert!(person.deeds.len() == 2 && person.sees("as revision 5"), "{}", person.screen());
}

#[test]
fn failures_stay_until_dismissed_and_what_was_done_goes_by_itself() {
    let mut person = Person::new(80, 24);
    person.press("2 j j j j e tab enter");
    assert!(person.sees("enabled key agent-4"), "{}", person.screen());
    assert!(!person.wait(4).sees("enabled key agent-4"));
    person.fault = Some(Fault::new("the store is locked"));
    person.press("ctrl-a");
    person.fault = None;
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
    assert!(person.ask_about(Event::Moved(Moved::Usage)).is_empty());
    person.press("p");
    assert_eq!(person.ask_about(Event::Moved(Moved::Usage)).len(), 1);
}

#[test]
fn q_leaves_at_once_and_what_is_open_first() {
    for keys in ["", "2", "2 enter", "2 / a enter", "2 space", "1 2 3 6 7 2", "6 K"] {
        let mut person = Person::new(80, 24);
        person.press(keys);
        assert!(!person.quit && person.press("q").quit, "{keys}");
    }
    // where something is open or typed, it is that one's key
    for keys in ["2 d", "6 H", "3 K", "m"] {
        let mut person = Person::new(80, 24);
        person.press(keys).press("q");
        assert!(!person.quit && person.app.overlays.is_empty() && person.press("q").quit, "{keys}");
    }
    for keys in ["2 n", "2 /", ":", "?"] {
        let mut person = Person::new(80, 24);
        assert!(!person.press(keys).press("q").quit && person.sees("q"), "{keys}");
    }
}

#[test]
fn escape_steps_out_of_what_one_looked_into_and_never_quits() {
    let mut person = Person::new(80, 24);
    person.press("1 2 3 7 esc esc");
    assert!(person.sees("› usage") && !person.quit, "digits heap up nothing");
    // from a policy to its keys, to the usage of one, and out again
    person.press("6 K");
    assert!(person.sees("› keys") && person.sees("/ policy:default"), "{}", person.screen());
    person.press("u esc esc");
    assert!(person.sees("› keys") && person.sees("/ policy:default"), "{}", person.screen());
    person.press("esc esc");
    assert!(person.sees("› policies") && !person.quit, "{}", person.screen());
    assert!(person.press("esc esc esc").sees("› policies"));
}

#[test]
fn the_brackets_go_back_and_forth() {
    let mut person = Person::new(80, 24);
    assert!(person.press("[").sees("no screen before this one"));
    person.press("2 3 7 [");
    assert!(person.sees("› tokens"));
    assert!(person.press("[").sees("› keys") && person.press("]").sees("› tokens"));
    assert!(person.press("]").sees("› usage"));
    assert!(person.press("]").sees("no screen after this one"));
    assert!(person.press("[ 6 [").sees("› tokens"), "who goes elsewhere goes on from there");
    assert!(person.press("]").sees("› policies"));
    for _ in 0..300 {
        person.press("1 2");
    }
    assert!(person.app.ways.past.len() <= 100);
}

#[test]
fn a_slash_is_never_followed_by_letters_that_run() {
    for screen in ["1", "6", "7"] {
        let mut person = Person::new(80, 24);
        person.press(screen).press("/");
        assert!(person.sees("filter the keys"), "{}", person.screen());
        person.type_text("quid Q").press("enter");
        assert!(!person.quit && person.sees("› keys") && person.sees("/ quid Q"), "{}", person.screen());
        person.press("esc esc");
        assert!(!person.quit && !person.sees("› keys"), "and back where one was");
    }
    for screen in ["2", "3"] {
        let mut person = Person::new(80, 24);
        person.press(screen).press("/").type_text("Q").press("enter");
        assert!(!person.quit && person.sees("/ Q"));
    }
}

#[test]
fn a_key_that_does_nothing_says_so() {
    let mut person = Person::new(80, 24);
    assert!(person.press("z").sees("z does nothing here; ? lists what does"), "{}", person.screen());
    assert!(person.press("6 H z").sees("z does nothing here; esc closes"), "{}", person.screen());
    person.press("esc 1").send(Event::Paste("quit".into()));
    assert!(person.sees("goes into a field") && !person.quit);
}

#[test]
fn control_c_quits_from_any_depth() {
    for keys in
        ["ctrl-c", "2 n ctrl-c", "? ctrl-c", "2 / ctrl-c", "2 d ctrl-c", "6 e ctrl-c", "2 r ctrl-s y ctrl-c"]
    {
        let mut person = Person::new(80, 24);
        assert!(person.press(keys).quit, "{keys}");
    }
}

#[test]
fn control_c_asks_once_before_the_only_copy_of_a_secret_goes() {
    let mut person = Person::new(80, 24);
    assert!(!person.press("2 r ctrl-s ctrl-c").quit);
    assert!(person.sees("neither copied nor written") && person.sees("shown once"), "{}", person.screen());
    assert!(person.press("ctrl-c").quit);
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
