//! What a person types ahead: keys and pastes wait, in their order, while what they act on is still on its way. So a key does
//! to a row or a dialog what it would have done had it been there, and none is lost in between.

use crossterm::event::KeyCode;

use crate::console::app::App;
use crate::console::effect::Effect;
use crate::console::event::Event;
use crate::console::keymap::{self, Found};
use crate::console::layer::{Tone, is_for_all};
use crate::domain::clock::Timestamp;

/// More than anybody types before a store answers.
const MOST_WAITING: usize = 500;

/// Takes a key or a paste: it acts now, or waits.
pub fn take(app: &mut App, event: Event, now: Timestamp, effects: &mut Vec<Effect>) {
    if let Event::Key(key) = event {
        // the ways out never wait
        if key.code == KeyCode::Esc {
            app.typed.clear();
            return super::press(app, key, now, effects);
        }
        if is_for_all(key) {
            return super::press(app, key, now, effects);
        }
    }
    if app.typed.is_empty() && !waits(app, &event) {
        return act(app, event, now, effects);
    }
    if app.typed.len() < MOST_WAITING {
        app.typed.push_back(event);
    } else {
        let said = "the store does not answer, and no more keys can wait for it; esc drops those that do";
        app.notices.add(Tone::Failed, said.into(), now);
    }
}

/// Lets what waited act, as far as what it acts on has come.
pub fn release(app: &mut App, now: Timestamp, effects: &mut Vec<Effect>) {
    while app.typed.front().is_some_and(|event| !waits(app, event)) {
        if let Some(event) = app.typed.pop_front() {
            act(app, event, now, effects);
        }
    }
}

fn act(app: &mut App, event: Event, now: Timestamp, effects: &mut Vec<Effect>) {
    match event {
        Event::Key(key) => super::press(app, key, now, effects),
        Event::Paste(text) => super::paste(app, &text, now, effects),
        _ => {}
    }
}

fn waits(app: &App, event: &Event) -> bool {
    let Some(top) = app.top() else { return false };
    let (Event::Key(key), true) = (event, app.overlays.is_empty()) else { return top.waits(None) };
    // of a screen only its own acts wait: one can always go elsewhere
    let own: Vec<&'static str> = top.actions(&app.setting).iter().map(|action| action.name).collect();
    let pressed: Vec<_> = app.pressed.iter().copied().chain([keymap::chord(*key)]).collect();
    match app.keymap.find(&pressed, &own) {
        Found::Name(name) => top.waits(Some(name)),
        Found::Prefix(_) | Found::Nothing => false,
    }
}
