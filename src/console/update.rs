//! `update(state, event, now) -> effects`: no clock, no input or output. All that changes what
//! is shown goes through here.

mod typed;
mod ways;

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::{Position, Rect};

use crate::domain::clock::Timestamp;

use super::app::App;
use super::effect::{Effect, Reply, Ticket};
use super::event::{Event, Moved};
use super::keymap::{self, Bound, Found, Keymap};
use super::layer::{Action, Binding, Layer, Setting, Tone, Turn, Wish, carry_out, offer};
use super::layout;
use super::overlay::{backup, command::CommandLine, help::Help, messages::Messages, palette::Palette};
use super::screen::SCREENS;
use super::theme::Theme;

const FULL: &str = "the disk of the home is full: calls are refused, and little can be changed; keys can still be \
                    revoked and disabled; free some space";
const ROOM_AGAIN: &str = "there is room on the disk of the home again";

/// What can be done on every screen.
const EVERYWHERE: &[Binding<()>] = &[
    Binding::new(
        "help",
        &["?", "f1"],
        "help",
        "List what can be done here, search it, run it",
        |(), turn| {
            turn.wishes.push(Wish::Help);
        },
    ),
    Binding::new("command", &[":"], "command", "Type a command", |(), turn| {
        turn.wishes.push(Wish::CommandLine)
    }),
    Binding::new("palette", &["ctrl-p"], "", "Find anything by a few letters", |(), turn| {
        turn.wishes.push(Wish::Palette)
    }),
    Binding::new("messages", &["m"], "", "Show what was said before", |(), turn| {
        turn.wishes.push(Wish::Messages)
    }),
    Binding::new("back", &["esc", "backspace", "h", "left"], "", "Back, one step out", |(), turn| {
        turn.wishes.push(Wish::Back)
    }),
    Binding::new("leave", &["q"], "", "Quit", |(), turn| turn.wishes.push(Wish::Do(Effect::Quit))),
    Binding::new("go.back", &["["], "", "To the screen where one was before", |(), turn| {
        turn.wishes.push(Wish::Past);
    }),
    Binding::new("go.forward", &["]"], "", "To the screen that one came back from", |(), turn| {
        turn.wishes.push(Wish::Future);
    }),
    Binding::new("filter", &["/"], "", "Filter the keys; this screen has no filter", |(), turn| {
        turn.wishes.push(Wish::FilterLine);
    }),
    Binding::new("go.next", &["tab"], "", "The next screen", |(), turn| turn.wishes.push(Wish::Turn(1))),
    Binding::new("go.previous", &["backtab"], "", "The screen before in the row", |(), turn| {
        turn.wishes.push(Wish::Turn(-1));
    }),
    Binding::new(
        "mouse",
        &["ctrl-o"],
        "",
        "Mouse on or off; off, it selects text in the terminal",
        |(), turn| {
            turn.wishes.push(Wish::ToggleMouse);
        },
    ),
    Binding::new("redraw", &["ctrl-l"], "", "Paint again and ask the store again", |(), turn| {
        turn.wishes.push(Wish::Do(Effect::Redraw));
    }),
    Binding::new("suspend", &["ctrl-z"], "", "Put the console to sleep; `fg` wakes it", |(), turn| {
        turn.wishes.push(Wish::Do(Effect::Suspend));
    }),
    Binding::new("store.backup", &["B"], "", "Make a backup of the home, while all goes on", |(), turn| {
        turn.wishes.push(Wish::BackUp);
    })
    .writes(),
    Binding::new("quit", &["Q", "ctrl-c"], "", "Quit", |(), turn| turn.wishes.push(Wish::Do(Effect::Quit))),
];

pub fn everywhere(setting: &Setting) -> Vec<Action> {
    let screens = SCREENS.iter().map(|screen| Action {
        name: screen.go,
        keys: screen.keys,
        hint: "",
        about: screen.about,
        refused: None,
    });
    offer(EVERYWHERE, &(), setting).into_iter().chain(screens).collect()
}

/// What is bound at once, in each place where one can be.
pub fn contexts(app: &App) -> Vec<Vec<Bound>> {
    let everywhere = everywhere(&app.setting);
    let bound = |action: &Action| Bound { name: action.name, keys: action.keys };
    let screens = app
        .screens
        .iter()
        .map(|screen| screen.actions(&app.setting).iter().chain(&everywhere).map(bound).collect());
    screens.chain(super::overlay::contexts()).collect()
}

/// Binds the keys: as the tables say, and over that as the operator's own lines do. What is wrong with these comes back, a
/// sentence each; fails where a table names a key that there is not.
pub fn bind(app: &mut App, own: Option<&str>) -> Result<Vec<String>, String> {
    let contexts = contexts(app);
    app.keymap = Keymap::of(&contexts)?;
    Ok(own.map(|own| app.keymap.overlay(own, &contexts)).unwrap_or_default())
}

/// What the console asks for when it starts.
pub fn start(app: &mut App, now: Timestamp) -> Vec<Effect> {
    app.now = now;
    let mut effects = Vec::new();
    at_screen(app, now, &mut effects, |screen, turn| screen.enter(turn));
    effects
}

pub fn update(app: &mut App, event: Event, now: Timestamp) -> Vec<Effect> {
    let mut effects = Vec::new();
    app.now = now;
    app.dirty = true;
    let (screen, overlays) = (app.current, app.overlays.len());
    // Who sees nothing but that the window is too small acts on nothing.
    let is_hidden = layout::is_too_small(app.size);
    match event {
        Event::Key(key) if key.kind == KeyEventKind::Release => app.dirty = false,
        Event::Key(key) if is_hidden => {
            app.pressed.clear();
            press_hidden(app, key, now, &mut effects);
        }
        Event::Mouse(_) | Event::Paste(_) if is_hidden => app.dirty = false,
        Event::Key(_) | Event::Paste(_) => typed::take(app, event, now, &mut effects),
        Event::Mouse(mouse) => mouse_moved(app, mouse, now, &mut effects),
        Event::Resize { width, height } => {
            app.size = Rect::new(0, 0, width, height);
            everyone(app, now, &mut effects, |layer, turn| layer.moved(Moved::Usage, turn));
        }
        Event::Reply(reply) => {
            app.under_way.take_if(|(progress, _)| progress.ticket == reply.ticket);
            answer(app, reply, now, &mut effects);
        }
        Event::Progress(progress) => {
            let known = app.under_way.take().filter(|(known, _)| known.ticket == progress.ticket);
            app.under_way = Some((progress, known.is_some_and(|(_, is_cancelled)| is_cancelled)));
        }
        Event::Moved(what) => {
            app.stale = false;
            everyone(app, now, &mut effects, |layer, turn| layer.moved(what, turn));
        }
        Event::Due => {
            app.notices.expire(now);
            everyone(app, now, &mut effects, |layer, turn| layer.due(turn));
        }
        Event::Background(shade) => {
            let counts = app.background_until.take().is_some_and(|until| now < until);
            match Theme::load(shade.theme()) {
                Ok(theme) if counts => app.look.theme = theme,
                _ => app.dirty = false,
            }
        }
        Event::InputEnded | Event::Fault => effects.push(Effect::Quit),
        Event::Unwatched(why) => {
            if !app.stale {
                app.stale = true;
                app.notices.add(Tone::Failed, why, now);
            }
        }
        Event::Full(full) => {
            app.full = full;
            let (tone, text) = if full { (Tone::Failed, FULL) } else { (Tone::Done, ROOM_AGAIN) };
            app.notices.add(tone, text.to_owned(), now);
        }
    }
    if !is_hidden {
        typed::release(app, now, &mut effects);
    }
    if app.current != screen || app.overlays.len() > overlays {
        app.notices.pass(now);
    }
    effects
}

/// What is done about the terminal itself, whatever is shown.
const ABOUT_THE_TERMINAL: [&str; 4] = ["quit", "suspend", "redraw", "mouse"];

/// A key that is pressed while nothing can be seen: of all keys, ctrl and a letter still reaches the terminal.
fn press_hidden(app: &mut App, key: KeyEvent, now: Timestamp, effects: &mut Vec<Effect>) {
    if key.modifiers.contains(KeyModifiers::CONTROL)
        && let Found::Name(name) = app.keymap.find(&[keymap::chord(key)], &ABOUT_THE_TERMINAL)
    {
        perform(app, name, now, effects);
    }
}

/// The act that `esc` cancels: not one that goes on behind a dialog, or beside a filter that is being typed.
fn meant_by_esc(app: &App) -> Option<Ticket> {
    let act = app.under_way.as_ref().filter(|(_, is_cancelled)| !is_cancelled)?.0.ticket;
    let is_meant = match app.overlays.last() {
        Some(dialog) => dialog.awaits(act),
        None => !app.top()?.takes_text(),
    };
    is_meant.then_some(act)
}

/// A key for what is on top.
fn press(app: &mut App, key: KeyEvent, now: Timestamp, effects: &mut Vec<Effect>) {
    if key.code == KeyCode::Esc
        && let Some(act) = meant_by_esc(app)
    {
        app.under_way.iter_mut().for_each(|(_, is_cancelled)| *is_cancelled = true);
        effects.push(Effect::Cancel(act));
        return;
    }
    if app.pressed.is_empty() {
        let mut taken = false;
        at_top(app, now, effects, |top, turn| taken = top.input(key, turn));
        if taken {
            return;
        }
    } else if key.code == KeyCode::Esc {
        app.pressed.clear();
        return;
    }
    if key.code == KeyCode::Esc && app.overlays.is_empty() && app.notices.dismiss() {
        return;
    }
    let mut names: Vec<&'static str> = app.actions().iter().map(|action| action.name).collect();
    if !app.overlays.is_empty() && key.modifiers.contains(KeyModifiers::CONTROL) {
        // an overlay holds the keys, but never the terminal
        names.extend(ABOUT_THE_TERMINAL);
    }
    app.pressed.push(keymap::chord(key));
    match app.keymap.find(&app.pressed, &names) {
        Found::Name(name) => {
            app.pressed.clear();
            perform(app, name, now, effects);
        }
        Found::Prefix(_) => {}
        Found::Nothing => {
            let said = keymap::say(&app.pressed);
            app.pressed.clear();
            let instead =
                if app.overlays.is_empty() { "? lists what does" } else { "esc closes what is open" };
            app.notices.add(Tone::Refused, format!("{said} does nothing here; {instead}"), now);
        }
    }
}

fn paste(app: &mut App, text: &str, now: Timestamp, effects: &mut Vec<Effect>) {
    if app.overlays.is_empty() && !app.top().is_some_and(|top| top.takes_text()) {
        let said = "what is pasted goes into a field, and none is open here";
        return app.notices.add(Tone::Refused, said.into(), now);
    }
    at_top(app, now, effects, |top, turn| top.paste(text, turn));
}

/// Does what is called `name`, or says why not.
fn perform(app: &mut App, name: &str, now: Timestamp, effects: &mut Vec<Effect>) {
    let own = app.top().map(|top| top.actions(&app.setting)).unwrap_or_default();
    let known = own.iter().find(|action| action.name == name).cloned();
    let is_own = known.is_some();
    let Some(action) =
        known.or_else(|| everywhere(&app.setting).into_iter().find(|action| action.name == name))
    else {
        app.notices.add(Tone::Refused, format!("`{name}` is not to be had here; ? lists what is"), now);
        return;
    };
    if let Some(why) = action.refused {
        app.notices.add(Tone::Refused, why, now);
        return;
    }
    if is_own {
        at_top(app, now, effects, |top, turn| top.perform(action.name, turn));
        return;
    }
    let screen = SCREENS.iter().find(|screen| screen.go == action.name);
    let body = app.chrome().body;
    let mut turn = Turn::new(now, body, &mut app.next_ticket);
    match screen {
        Some(screen) => turn.wishes.push(Wish::Go(screen.name())),
        None => carry_out(EVERYWHERE, &mut (), action.name, &mut turn),
    }
    let wishes = turn.wishes;
    grant(app, wishes, now, effects);
}

fn mouse_moved(app: &mut App, mouse: MouseEvent, now: Timestamp, effects: &mut Vec<Effect>) {
    let at = Position::new(mouse.column, mouse.row);
    match mouse.kind {
        MouseEventKind::ScrollDown => scroll(app, "move.down", now, effects),
        MouseEventKind::ScrollUp => scroll(app, "move.up", now, effects),
        MouseEventKind::Down(MouseButton::Left) => {
            let chrome = app.chrome();
            if chrome.tabs.contains(at) && app.overlays.is_empty() {
                if let Some(name) = layout::tab_at(chrome.tabs, at.x) {
                    grant(app, vec![Wish::Go(name)], now, effects);
                }
                return;
            }
            // what is under the pointer may be another in a moment
            if !app.top().is_some_and(|top| top.waits(Some("open"))) {
                at_top(app, now, effects, |top, turn| top.click(at, turn));
            }
        }
        _ => app.dirty = false,
    }
}

fn scroll(app: &mut App, name: &'static str, now: Timestamp, effects: &mut Vec<Effect>) {
    let can = app.top().is_some_and(|top| top.actions(&app.setting).iter().any(|own| own.name == name));
    for _ in 0..3 {
        if can {
            at_top(app, now, effects, |top, turn| top.perform(name, turn));
        }
    }
}

fn answer(app: &mut App, mut reply: Reply, now: Timestamp, effects: &mut Vec<Effect>) {
    let mut wishes = Vec::new();
    let body = app.chrome().body;
    // whoever holds the ticket takes it; an answer to a question that nobody takes is stale and goes
    let overlays = app.overlays.iter_mut().enumerate().rev();
    let screens = app.screens.iter_mut().map(|screen| (usize::MAX, screen));
    for (depth, layer) in overlays.chain(screens) {
        let mut turn = Turn::new(now, body, &mut app.next_ticket).at_depth(depth);
        layer.reply(&mut reply, &mut turn);
        wishes.append(&mut turn.wishes);
        if reply.outcome.is_none() {
            break;
        }
    }
    if let (Some(outcome), Some(tell)) = (reply.outcome, reply.left) {
        let mut turn = Turn::new(now, body, &mut app.next_ticket);
        tell(outcome, &mut turn);
        wishes.append(&mut turn.wishes);
    }
    grant(app, wishes, now, effects);
}

fn at_top(
    app: &mut App,
    now: Timestamp,
    effects: &mut Vec<Effect>,
    job: impl FnOnce(&mut dyn Layer, &mut Turn<'_>),
) {
    if app.overlays.is_empty() {
        return at_screen(app, now, effects, job);
    }
    let body = app.chrome().body;
    let depth = app.overlays.len() - 1;
    let mut turn = Turn::new(now, body, &mut app.next_ticket).at_depth(depth);
    if let Some(overlay) = app.overlays.last_mut() {
        job(overlay.as_mut(), &mut turn);
    }
    let wishes = turn.wishes;
    grant(app, wishes, now, effects);
}

fn at_screen(
    app: &mut App,
    now: Timestamp,
    effects: &mut Vec<Effect>,
    job: impl FnOnce(&mut dyn Layer, &mut Turn<'_>),
) {
    let body = app.chrome().body;
    let mut turn = Turn::new(now, body, &mut app.next_ticket);
    if let Some(screen) = app.screens.get_mut(app.current) {
        job(screen.as_mut(), &mut turn);
    }
    let wishes = turn.wishes;
    grant(app, wishes, now, effects);
}

/// The screen in view and every overlay. Screens out of view ask again when they are entered.
fn everyone(
    app: &mut App,
    now: Timestamp,
    effects: &mut Vec<Effect>,
    mut job: impl FnMut(&mut dyn Layer, &mut Turn<'_>),
) {
    let body = app.chrome().body;
    let mut wishes = Vec::new();
    let current = app.screens.get_mut(app.current).into_iter().map(|screen| (usize::MAX, screen));
    for (depth, layer) in current.chain(app.overlays.iter_mut().enumerate()) {
        let mut turn = Turn::new(now, body, &mut app.next_ticket).at_depth(depth);
        job(layer.as_mut(), &mut turn);
        wishes.append(&mut turn.wishes);
    }
    grant(app, wishes, now, effects);
}

fn grant(app: &mut App, wishes: Vec<Wish>, now: Timestamp, effects: &mut Vec<Effect>) {
    for wish in wishes {
        match wish {
            Wish::Do(Effect::Redraw) => {
                effects.push(Effect::Redraw);
                at_screen(app, now, effects, |screen, turn| screen.enter(turn));
            }
            Wish::Do(effect) => effects.push(effect),
            Wish::Push(layer) => {
                app.overlays.push(layer);
                at_top(app, now, effects, |top, turn| top.enter(turn));
            }
            Wish::Close(depth) => {
                if depth < app.overlays.len() {
                    app.overlays.remove(depth);
                }
            }
            Wish::Go(name) => ways::go(app, name, now, effects),
            Wish::GoWith(name, seed) => ways::look_into(app, name, &seed, now, effects),
            Wish::Turn(by) => {
                let count = SCREENS.len() as isize;
                let place = (app.current as isize + by).rem_euclid(count.max(1)) as usize;
                if let Some(screen) = SCREENS.get(place) {
                    ways::go(app, screen.name(), now, effects);
                }
            }
            Wish::Back => ways::back(app, now, effects),
            Wish::Past => ways::past(app, now, effects),
            Wish::Future => ways::future(app, now, effects),
            Wish::Perform(name) => perform(app, &name, now, effects),
            Wish::Notice(tone, text) => app.notices.add(tone, text, now),
            Wish::Help => {
                let help = Help::new(app.actions(), &app.keymap);
                app.overlays.push(Box::new(help));
            }
            Wish::Palette => {
                let palette = Palette::new(app.actions(), &app.keymap);
                app.overlays.push(Box::new(palette));
            }
            Wish::CommandLine => app.overlays.push(Box::new(command_line(app))),
            Wish::FilterLine => app.overlays.push(Box::new(command_line(app).filtering())),
            Wish::Messages => {
                let messages = Messages::new(app.notices.log());
                app.overlays.push(Box::new(messages));
            }
            Wish::BackUp => app.overlays.push(Box::new(backup::panel(app.setting.home.clone(), now))),
            Wish::ToggleMouse => {
                app.mouse = !app.mouse;
                effects.push(Effect::Mouse(app.mouse));
                let word = if app.mouse { "on" } else { "off: it selects text now" };
                app.notices.add(Tone::Done, format!("mouse {word}"), now);
            }
        }
    }
}

/// The command line; what it filters is the list in view, or that of the keys where there is none.
fn command_line(app: &App) -> CommandLine {
    let screen = app.screens.get(app.current).zip(SCREENS.get(app.current));
    let list = screen
        .filter(|(screen, _)| screen.actions(&app.setting).iter().any(|own| own.name == "filter"))
        .map_or("keys", |(_, named)| named.name());
    CommandLine::new(app.actions(), list)
}
