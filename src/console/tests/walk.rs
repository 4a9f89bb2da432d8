//! Anything at all, in any order, with answers that come late and in another order: nothing of it ends the console or is drawn
//! where it does not belong. The walk is the same each time.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::console::effect::{Effect, Fault};
use crate::console::event::{Event, Moved};
use crate::console::theme::Shade;
use crate::console::update::update;

use super::person::*;

const STEPS: usize = 20_000;

fn keys() -> impl Strategy<Value = Event> {
    let codes = prop_oneof![
        8 => prop::sample::select("jkgGlh1236789nreidIRDHTKPuxXyVsSbtpcfm:/?+az []".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        2 => any::<char>().prop_map(KeyCode::Char),
        4 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up, KeyCode::Down,
            KeyCode::Left, KeyCode::Right, KeyCode::Backspace, KeyCode::Delete, KeyCode::Home, KeyCode::End,
            KeyCode::PageUp, KeyCode::PageDown, KeyCode::F(1), KeyCode::F(255), KeyCode::Null, KeyCode::Insert,
        ]),
    ];
    let modifiers = prop_oneof![
        6 => Just(KeyModifiers::NONE),
        2 => Just(KeyModifiers::CONTROL),
        1 => Just(KeyModifiers::ALT),
        1 => any::<u8>().prop_map(KeyModifiers::from_bits_truncate),
    ];
    (codes, modifiers).prop_map(|(code, modifiers)| Event::Key(KeyEvent::new(code, modifiers)))
}

fn mouse() -> impl Strategy<Value = Event> {
    let kinds = prop::sample::select(vec![
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Down(MouseButton::Right),
        MouseEventKind::Up(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::Moved,
        MouseEventKind::ScrollDown,
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollLeft,
    ]);
    let place = || prop_oneof![3 => 0u16..200, 1 => any::<u16>()];
    (kinds, place(), place()).prop_map(|(kind, column, row)| {
        Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    })
}

fn anything() -> impl Strategy<Value = Event> {
    let sizes = prop_oneof![3 => (60u16..220, 16u16..80), 1 => (1u16..80, 1u16..30)];
    prop_oneof![
        40 => keys(),
        4 => mouse(),
        2 => sizes.prop_map(|(width, height)| Event::Resize { width, height }),
        1 => prop::collection::vec(any::<char>(), 0..40).prop_map(|text| Event::Paste(text.into_iter().collect())),
        1 => (1usize..40).prop_map(|times| Event::Paste("日本\u{202e}\u{1b}[2J\n".repeat(times * times))),
        1 => Just(()).prop_map(|()| Event::Moved(Moved::Objects)),
        1 => Just(()).prop_map(|()| Event::Moved(Moved::Usage)),
        1 => Just(()).prop_map(|()| Event::Due),
        1 => any::<bool>().prop_map(|dark| Event::Background(if dark { Shade::Dark } else { Shade::Light })),
        1 => any::<bool>().prop_map(Event::Full),
        1 => Just(()).prop_map(|()| Event::Unwatched("the disk is gone".into())),
    ]
}

#[test]
fn twenty_thousand_events_of_any_kind_break_nothing() {
    for ascii in [false, true] {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[if ascii { 9 } else { 4 }; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut person = Person::with(80, 24, 200, None, "neutral", ascii);
        let (events, chances) = (anything(), 0..100u32);
        let mut late: Vec<Effect> = Vec::new();
        let mut deepest = 0;
        for step in 0..STEPS / 2 {
            person.at(person.now.plus(Duration::from_millis(700)));
            let event = events.new_tree(&mut runner).unwrap().current();
            let said = format!("{event:?}");
            let mut effects = update(&mut person.app, event, person.now);
            match chances.new_tree(&mut runner).unwrap().current() {
                // answers that are late, and in another order
                0..=4 => late.append(&mut effects),
                5..=14 => {
                    effects.append(&mut late);
                    effects.reverse();
                }
                // a store that fails
                16..=17 => {
                    person.fault = Some(Fault {
                        message: "the store\nis locked \u{7}".repeat(9),
                        conflict: step % 2 == 0,
                    });
                }
                // what somebody means to do, in between
                19..=24 => {
                    let words = [
                        "esc esc esc",
                        "2 e",
                        "2 d tab enter",
                        "2 r ctrl-s",
                        "6 H j r tab enter",
                        "3 j R ctrl-s tab enter",
                    ];
                    person.press(words[step % words.len()]);
                }
                18 => person.house.make(1),
                _ => {}
            }
            person.settle(effects);
            person.fault = None;
            deepest = deepest.max(person.app.overlays.len());
            // a frame is what costs: every eighth is drawn
            if step % 8 == 0 {
                let buffer = person.buffer();
                assert!(!ascii || buffer.content.iter().all(|cell| cell.symbol().is_ascii()), "{said}");
            }
        }
        assert!((1..20).contains(&deepest), "overlays pile up: {deepest}");
        assert!(person.deeds.len() > 20 && person.app.notices.log().len() <= 200, "{}", person.deeds.len());
        // and after all of it, it does what it is told
        let further = person.answered(std::mem::take(&mut late));
        person.settle(further);
        person.send(Event::Resize { width: 80, height: 24 });
        for _ in 0..30 {
            person.press("esc");
        }
        assert!(person.press("7").sees("› usage") || person.sees("> usage"), "{}", person.screen());
        assert!(person.press("q").quit);
    }
}
