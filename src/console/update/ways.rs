//! From screen to screen: by name, into something that another screen shows, back and forth.

use crate::console::app::App;
use crate::console::effect::Effect;
use crate::console::layer::Tone;
use crate::console::screen::SCREENS;
use crate::domain::clock::Timestamp;

use super::at_screen;

/// So many screens are remembered for the way back.
const MOST_REMEMBERED: usize = 100;

/// Shows the screen of this name.
pub fn go(app: &mut App, name: &str, now: Timestamp, effects: &mut Vec<Effect>) {
    if let Some(place) = SCREENS.iter().position(|screen| screen.name() == name) {
        visit(app, place, now, effects);
    }
}

/// Goes to a screen, and remembers the one before.
fn visit(app: &mut App, place: usize, now: Timestamp, effects: &mut Vec<Effect>) {
    if place != app.current {
        app.ways.past.push(app.current);
        let surplus = app.ways.past.len().saturating_sub(MOST_REMEMBERED);
        app.ways.past.drain(..surplus);
        app.ways.future.clear();
    }
    show(app, place, now, effects);
}

fn show(app: &mut App, place: usize, now: Timestamp, effects: &mut Vec<Effect>) {
    app.ways.looked_from.clear();
    app.current = place;
    at_screen(app, now, effects, |screen, turn| screen.enter(turn));
}

/// Shows another screen, which is told what to look at; `esc` goes back from there.
pub fn look_into(app: &mut App, name: &str, seed: &str, now: Timestamp, effects: &mut Vec<Effect>) {
    let (mut looked_from, before) = (std::mem::take(&mut app.ways.looked_from), app.current);
    go(app, name, now, effects);
    if app.current != before {
        looked_from.push(before);
    }
    app.ways.looked_from = looked_from;
    at_screen(app, now, effects, |screen, turn| screen.seed(seed, turn));
}

/// To the screen from which one looked into this one.
pub fn back(app: &mut App, now: Timestamp, effects: &mut Vec<Effect>) {
    if let Some(place) = app.ways.looked_from.pop() {
        let looked_from = std::mem::take(&mut app.ways.looked_from);
        visit(app, place, now, effects);
        app.ways.looked_from = looked_from;
    }
}

/// To the screen where one was before.
pub fn past(app: &mut App, now: Timestamp, effects: &mut Vec<Effect>) {
    match app.ways.past.pop() {
        Some(place) => {
            app.ways.future.push(app.current);
            show(app, place, now, effects);
        }
        None => app.notices.add(Tone::Refused, "there is no screen before this one".into(), now),
    }
}

/// To the screen that one came back from.
pub fn future(app: &mut App, now: Timestamp, effects: &mut Vec<Effect>) {
    match app.ways.future.pop() {
        Some(place) => {
            app.ways.past.push(app.current);
            show(app, place, now, effects);
        }
        None => app.notices.add(Tone::Refused, "there is no screen after this one".into(), now),
    }
}
