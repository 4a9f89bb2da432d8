//! How it looks at every size, and what is to be read where.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::canvas::Canvas;
use crate::console::effect::Fault;
use crate::console::event::Event;
use crate::console::overlay::secret::WriteSecret;
use crate::console::screen::api_keys::create::Create;
use crate::console::theme::{Shade, Theme};

use super::home::noon;
use super::person::*;

/// Where one can be, by the keys that lead there.
const PLACES: &[&str] = &[
    "1",
    "1 f",
    "1 f j j",
    "2",
    "2 j enter",
    "2 space j V j",
    "2 n",
    "2 n tab tab",
    "2 n tab tab tab",
    "2 r",
    "2 d",
    "2 R",
    "2 f",
    "2 / a",
    "3",
    "3 enter",
    "3 n",
    "3 R",
    "3 R right",
    "3 i",
    "3 K",
    "3 K n",
    "3 K I",
    "3 K R",
    "6",
    "6 enter",
    "6 e",
    "6 n",
    "6 H",
    "6 H j",
    "6 T",
    "7",
    "7 b",
    "7 enter",
    "?",
    "2 ?",
    "ctrl-p",
    ":",
    "1 /",
    "m",
    "2 n ctrl-s",
    "2 n tab tab tab d e z",
    "2 n tab tab tab tab tab tab z",
    "B",
    "B tab x ctrl-s",
    "B tab x tab x ctrl-s",
];

#[test]
fn nothing_is_drawn_outside_of_its_place_at_any_width() {
    for keys in PLACES {
        let mut person = Person::new(80, 24);
        person.press(keys);
        for width in 60..=200 {
            for height in [16, 24, 45] {
                let effects = person.ask_about(Event::Resize { width, height });
                // what is asked anew says the same each time
                if width % 20 == 0 {
                    person.settle(effects);
                }
                let app = &person.app;
                let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
                let mut canvas = Canvas::new(&mut buffer, &app.look, &app.setting, person.now);
                app.paint_on(&mut canvas);
                let cut = canvas.cut;
                assert_eq!(cut, 0, "{keys} at {width}×{height}:\n{}", person.screen());
            }
        }
    }
}

#[test]
fn what_stands_beside_a_list_is_not_run_into() {
    for keys in ["2", "3", "6"] {
        let mut person = Person::new(80, 24);
        person.press(keys);
        for width in 118..=200 {
            person.send(Event::Resize { width, height: 24 });
            let screen = person.screen();
            let rows: Vec<Vec<char>> =
                screen.lines().skip(3).take(20).map(|row| row.chars().collect()).collect();
            let edge = (1..usize::from(width) - 1).find(|x| rows.iter().all(|row| row.get(*x) == Some(&'│')));
            let edge = edge.unwrap_or_else(|| panic!("no edge at {width}:\n{screen}"));
            assert!(
                rows.iter().all(|row| row[edge - 1] == ' ' || row[edge - 1] == '█'),
                "{width}:\n{screen}"
            );
        }
    }
}

#[test]
fn the_header_says_who_one_is_and_where_as_far_as_there_is_room() {
    let mut person = Person::new(120, 24);
    assert!(person.sees("ana in /srv/portcullis/prod"), "{}", person.screen());
    person.send(Event::Resize { width: 80, height: 24 });
    assert!(person.sees("ana in /srv/portcullis/prod") || person.sees("ana in prod"), "{}", person.screen());
    person.press("6 enter e");
    person.send(Event::Resize { width: 60, height: 24 });
    assert!(person.sees("policies › default › edit"), "where one is goes before: {}", person.screen());
}

#[test]
fn a_chart_marks_only_what_there_was() {
    let mut person = Person::new(160, 45);
    let before = person.press("7").screen();
    assert!(before.contains('✕'));
    // the lowest row of the plot is where zero is; every eighth minute has none
    let zero = before.lines().find(|row| row.contains("│0 ") || row.contains(" 0 "));
    let zero = zero.unwrap_or_else(|| panic!("no row of zero:\n{before}"));
    let marks = zero.matches(['✕', '○']).count();
    assert!(marks < 60, "{before}");
}

#[test]
fn the_scope_picker_narrows_and_says_that_it_goes_on() {
    let mut person = Person::new(80, 40);
    person.press("2 n").type_text("zoe").press("tab tab");
    assert!(person.sees("type a few letters to narrow") && person.sees("more"), "{}", person.screen());
    let height = |person: &Person| {
        person.screen().lines().filter(|row| row.contains("││") || row.contains("│ │")).count()
    };
    let before = height(&person);
    person.type_text("res");
    assert!(
        person.sees("/ res") && person.sees(" of ") && !person.sees("type a few letters"),
        "{}",
        person.screen()
    );
    assert!(person.sees("mcp:resources") || person.sees("resources"), "{}", person.screen());
    assert_eq!(height(&person), before, "the panel stands still");
    person.press("space");
    person.type_text("zzz");
    assert!(person.sees("nothing fits"), "{}", person.screen());
    person.press("space ctrl-u ctrl-s");
    let Create(new) = person.only();
    assert!(new.scopes.len() == 1 && new.scopes[0].as_str().contains("res"), "{:?}", new.scopes);
}

#[test]
fn a_refusal_is_opened_and_leads_to_its_key_and_its_policy() {
    let mut person = Person::new(100, 40);
    person.press("1 enter");
    assert!(person.sees("what was refused") && person.sees("✕ ip") && person.sees("not in the whitelist"));
    assert!(person.sees("✓ credential") && person.sees("Judged by policy default r3"), "{}", person.screen());
    // where there is little room, it gets all of it, to be moved in
    let mut small = Person::new(60, 16);
    small.press("1 enter");
    assert!(!small.sees("tools/call/delete_file"), "{}", small.screen());
    small.press("enter G");
    assert!(small.sees("tools/call/delete_file"), "{}", small.screen());
    assert!(small.press("esc").sees("what was refused") && !small.press("esc").sees("what was refused"));

    person.press("K");
    assert!(person.sees("› keys") && person.sees("/ id:"), "{}", person.screen());
    assert!(person.press("esc esc").sees("› overview"), "and back: {}", person.screen());
    person.press("f j P");
    assert!(person.sees("› policies › default"), "{}", person.screen());
    // where nothing is known of the caller, that is said
    person.press("1 f G");
    assert!(person.sees("no credential that this home has"), "{}", person.screen());
    assert!(person.sees("issuer: the token claims to be of"), "what was found: {}", person.screen());
    assert!(person.press("K").sees("no credential that is there"), "{}", person.screen());
    // and of another issuer's token, that it is one
    assert!(person.press("k").sees("The token is of corp"), "{}", person.screen());
    // of one key, from the list of keys
    person.press("esc 2 j f");
    assert!(person.sees("what was refused to key agent-1 of user1@example.com"), "{}", person.screen());
}

#[test]
fn the_row_of_the_refusal_that_has_all_the_room_stays_in_sight() {
    let mut person = Person::new(80, 24);
    person.press("1 f j j");
    assert!(person.sees("corp: dora") && person.sees("ip_denied"), "{}", person.screen());
    person.press("enter");
    assert!(person.sees("corp: dora") && !person.sees("ip_denied"), "{}", person.screen());
    person.press("esc k k enter");
    assert!(person.sees("ip_denied") && !person.sees("corp: dora"), "{}", person.screen());
    assert!(person.press("esc").sees("corp: dora"), "{}", person.screen());
}

#[test]
fn a_secret_says_how_long_it_stays_and_gives_time_to_name_a_file() {
    let mut person = Person::new(80, 24);
    person.press("2 r ctrl-s");
    assert!(person.sees("closes in 60 s"), "{}", person.screen());
    assert_eq!(person.app.deadline(), noon_and(1), "it counts");
    assert!(person.wait(13).sees("closes in 47 s"), "{}", person.screen());
    assert!(person.press("x").sees("closes in 60 s"), "any key holds it: {}", person.screen());
    person.press("w");
    assert!(person.sees("~/portcullis-00000000.key, unless you type another"), "{}", person.screen());
    assert!(person.wait(299).sees("closes in 1 s"), "{}", person.screen());
    let ordered = person.order("enter");
    let file = ordered.of::<WriteSecret>().file.clone();
    assert_eq!(file.to_str(), Some("~/portcullis-00000000.key"));
    person.end(ordered, done(file));
    assert!(person.wait(59).sees("✓ written to") && !person.wait(1).sees("✓ written to"));
    // nobody there: it is wiped all the same
    person.press("r ctrl-s w");
    assert!(person.wait(299).sees("a new file") && !person.wait(1).sees("pcl_live"), "{}", person.screen());
}

#[test]
fn a_secret_goes_into_a_file_and_what_is_not_known_is_not_said() {
    let mut person = Person::new(120, 40);
    person.press("2 r ctrl-s");
    let secret = person.secret();
    let row = |person: &Person| person.screen().lines().any(|row| row.contains(&secret));
    assert!(row(&person), "on one line: {}", person.screen());
    person.press("y");
    assert!(
        person.sees("whether it took it, it does not say") && !person.sees("copied"),
        "{}",
        person.screen()
    );
    person.press("w");
    for _ in 0..3 {
        person.wait(50).type_text("k");
    }
    assert!(row(&person), "it does not close under one's hands");
    person.fault = Some(Fault::new("kkk is there already; choose another name"));
    person.press("enter");
    person.fault = None;
    assert!(person.sees("is there already"), "{}", person.screen());
    let file = person.house.path("agent");
    person.press("ctrl-u").send(Event::Paste(format!("{file}\n")));
    person.press("enter");
    let written = person.last::<WriteSecret>();
    assert_eq!((written.file.to_str(), written.text.expose()), (Some(file.as_str()), secret.as_str()));
    assert!(person.sees("✓ written to ") && person.sees("agent, for you alone"), "{}", person.screen());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{secret}\n"));
    assert!(!person.wait(60).sees(&secret));
}

#[test]
fn an_answer_of_the_terminal_chooses_the_theme_and_comes_too_late_after_a_second() {
    let style = |person: &Person| person.app.look.theme.title;
    let theme = |name: &str| Theme::load(name).unwrap().title;
    let mut person = Person::new(80, 24);
    person.send(Event::Background(Shade::Light));
    assert_eq!(style(&person), theme("neutral"), "nobody asked");
    person.app.background_until = Some(noon_and(1));
    person.send(Event::Background(Shade::Light));
    assert_eq!(style(&person), theme("light"));
    person.send(Event::Background(Shade::Dark));
    assert_eq!(style(&person), theme("light"), "one answer, once");
    let mut person = Person::new(80, 24);
    person.app.background_until = Some(noon_and(1));
    person.wait(2).send(Event::Background(Shade::Dark));
    assert_eq!(style(&person), theme("neutral"), "too late");
}

fn noon_and(seconds: u64) -> crate::domain::clock::Timestamp {
    noon().plus(std::time::Duration::from_secs(seconds))
}
