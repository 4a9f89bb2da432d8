//! The frame around every screen: where one is, what there is, which keys do what.

use ratatui::layout::Rect;

use super::canvas::{Canvas, Piece, inner, piece};
use super::keymap::Keymap;
use super::layer::Action;
use super::screen::SCREENS;
use super::widget::text::{minute, width};

pub const LEAST_WIDTH: u16 = 60;
pub const LEAST_HEIGHT: u16 = 16;

/// Where the parts of the frame lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chrome {
    pub whole: Rect,
    pub tabs: Rect,
    pub body: Rect,
}

pub fn is_too_small(area: Rect) -> bool {
    area.width < LEAST_WIDTH || area.height < LEAST_HEIGHT
}

pub fn chrome(whole: Rect) -> Chrome {
    let inside = inner(whole);
    let tabs = Rect { height: inside.height.min(1), ..inside };
    let body = Rect {
        x: (inside.x + 1).min(inside.right()),
        y: (inside.y + 2).min(inside.bottom()),
        width: inside.width.saturating_sub(2),
        height: inside.height.saturating_sub(2),
    };
    Chrome { whole, tabs, body }
}

/// Which screen's tab lies at `x` of the tab row.
pub fn tab_at(tabs: Rect, x: u16) -> Option<&'static str> {
    let mut left = tabs.x + 1;
    for screen in SCREENS {
        let cells = u16::try_from(tab_text(screen.key(), screen.title).len()).unwrap_or(0);
        if x >= left && x < left + cells {
            return Some(screen.name());
        }
        left += cells + 1;
    }
    None
}

fn tab_text(key: &str, title: &str) -> String {
    format!(" {key} {title} ")
}

/// What the frame says.
pub struct Facts<'a> {
    pub crumbs: Vec<String>,
    pub screen: &'a str,
    /// `Some(true)` = paused.
    pub paused: Option<bool>,
    /// The store could not be watched.
    pub stale: bool,
    /// The disk of the home is full.
    pub full: bool,
    /// How many keys wait for the store.
    pub waiting: usize,
    /// How far an act is that takes its time.
    pub under_way: Option<String>,
    /// A sequence of keys has begun: what may follow.
    pub pending: &'a [(String, &'static str)],
    pub actions: &'a [Action],
    pub hints: Vec<(&'static str, &'static str)>,
}

pub fn draw(canvas: &mut Canvas<'_>, chrome: Chrome, facts: &Facts<'_>, keymap: &Keymap) {
    let border = canvas.theme().border;
    canvas.frame(chrome.whole, "", border);
    draw_header(canvas, chrome.whole, facts);
    draw_tabs(canvas, chrome.tabs, facts.screen);
    draw_footer(canvas, chrome.whole, facts, keymap);
}

fn draw_header(canvas: &mut Canvas<'_>, whole: Rect, facts: &Facts<'_>) {
    let theme = canvas.theme().clone();
    let mut right: Vec<Piece<'_>> = Vec::new();
    if let Some(banner) = &canvas.setting.banner {
        right.extend([piece(format!(" {} ", banner.to_uppercase()), theme.badge), piece(" ", theme.text)]);
    }
    if canvas.setting.read_only.is_some() {
        right.extend([piece(" READ-ONLY ", theme.badge), piece(" ", theme.text)]);
    }
    if facts.full {
        right.extend([piece(" DISK FULL ", theme.badge), piece(" ", theme.text)]);
    }
    let (word, style) = match (facts.stale, facts.paused) {
        (true, _) => ("✕ stale", theme.bad),
        (_, Some(true)) => ("■ paused", theme.warning),
        _ => ("● live", theme.good),
    };
    right.extend([
        piece(format!(" {word} "), style),
        piece(" ", theme.text),
        piece(format!(" {} ", minute(canvas.now)), theme.text),
    ]);
    let mut left = vec![piece(" portcullis", theme.accent)];
    for (place, crumb) in facts.crumbs.iter().enumerate() {
        let last = place + 1 == facts.crumbs.len();
        left.push(piece(" › ", theme.dim));
        left.push(piece(crumb.as_str(), if last { theme.title } else { theme.text }));
    }
    left.push(piece(" ", theme.text));
    let taken =
        |pieces: &[Piece<'_>]| -> usize { pieces.iter().map(|(text, _)| width(&canvas.shown(text))).sum() };
    // who one is and where, as far as there is room for it
    let room = usize::from(whole.width).saturating_sub(taken(&left) + taken(&right) + 6);
    let who = canvas.setting.who().into_iter().find(|who| width(&canvas.shown(who)) + 2 <= room);
    if let Some(who) = who {
        right.insert(0, piece(format!(" {who} "), theme.dim));
    }
    let cells = u16::try_from(taken(&right)).unwrap_or(u16::MAX).min(whole.width);
    let start = whole.right().saturating_sub(cells + 2).max(whole.x);
    let room = start.saturating_sub(whole.x + 2);
    canvas.put_pieces(whole.x + 1, whole.y, room, &left);
    canvas.put_pieces(start, whole.y, cells, &right);
}

fn draw_tabs(canvas: &mut Canvas<'_>, tabs: Rect, active: &str) {
    if tabs.height == 0 {
        return;
    }
    let (accent, dim, key) = (canvas.theme().selected, canvas.theme().text, canvas.theme().key);
    let mut x = tabs.x + 1;
    for screen in SCREENS {
        let on = screen.name() == active;
        let room = tabs.right().saturating_sub(x);
        let mut used =
            canvas.put(x, tabs.y, room, &format!(" {}", screen.key()), if on { accent } else { key });
        used += canvas.put(
            x + used,
            tabs.y,
            room.saturating_sub(used),
            &format!(" {} ", screen.title),
            if on { accent } else { dim },
        );
        x += used + 1;
    }
}

fn draw_footer(canvas: &mut Canvas<'_>, whole: Rect, facts: &Facts<'_>, keymap: &Keymap) {
    let y = whole.bottom().saturating_sub(1);
    let (start, right) = (whole.x + 1, whole.right().saturating_sub(2));
    let waiting = (facts.waiting > 0)
        .then(|| format!("waiting for the store; esc drops the keys typed ahead ({})", facts.waiting));
    if let Some(said) = facts.under_way.clone().or(waiting) {
        let warning = canvas.theme().warning;
        let said = format!(" {said} ");
        canvas.put(start, y, right.saturating_sub(start), &said, warning);
        return;
    }
    if !facts.pending.is_empty() {
        let further = facts.pending.iter().map(|(key, name)| (key.clone(), *name, false)).collect();
        draw_hints(canvas, (start, y), right, further);
        return;
    }
    let mut hints: Vec<Hint<'_>> =
        facts.hints.iter().map(|(key, word)| ((*key).to_owned(), *word, false)).collect();
    let (mut help, mut command) = (Vec::new(), Vec::new());
    for action in facts.actions.iter().filter(|action| !action.hint.is_empty()) {
        let hint = (keymap.hint(action.name), action.hint, action.refused.is_some());
        match action.name {
            _ if hint.0.is_empty() => {}
            "help" => help.push(hint),
            "command" => command.push(hint),
            _ => hints.push(hint),
        }
    }
    let cells = |hints: &[Hint<'_>]| -> u16 { hints.iter().map(|hint| hint_cells(canvas, hint)).sum() };
    // help always has its place; of the others what is refused now goes first where there is no room, then what comes last
    let room = right.saturating_sub(start).saturating_sub(cells(&help));
    while cells(&hints) > room {
        let refused = hints.iter().rposition(|(_, _, refused)| *refused);
        hints.remove(refused.unwrap_or(hints.len() - 1));
    }
    hints.extend(help);
    hints.extend(command);
    draw_hints(canvas, (start, y), right, hints);
}

/// A key, what it does in a word, and whether it is refused now.
type Hint<'a> = (String, &'a str, bool);

fn hint_cells(canvas: &Canvas<'_>, (key, word, _): &Hint<'_>) -> u16 {
    u16::try_from(width(&canvas.shown(key)) + width(word) + 3).unwrap_or(u16::MAX)
}

/// Writes the hints that fit before `right`.
fn draw_hints(canvas: &mut Canvas<'_>, (mut x, y): (u16, u16), right: u16, hints: Vec<Hint<'_>>) {
    let (key_style, text, dim) = (canvas.theme().key, canvas.theme().text, canvas.theme().dim);
    for hint in hints {
        let cells = hint_cells(canvas, &hint);
        if x.saturating_add(cells) > right {
            break;
        }
        let (key, word, refused) = hint;
        let (key_style, word_style) = if refused { (dim, dim) } else { (key_style, text) };
        let pieces = [piece(format!(" {key}"), key_style), piece(format!(" {word} "), word_style)];
        x += canvas.put_pieces(x, y, cells, &pieces);
    }
}

/// What stands there when the window is too small for anything else.
pub fn draw_too_small(canvas: &mut Canvas<'_>, whole: Rect) {
    let text = canvas.theme().text;
    let lines = [
        "The window is too small.".to_owned(),
        format!("Portcullis needs {LEAST_WIDTH}×{LEAST_HEIGHT},"),
        format!("this is {}×{}.", whole.width, whole.height),
        "Until then no key does anything,".to_owned(),
        "but ctrl-c, which quits.".to_owned(),
    ];
    let top = whole.y + whole.height.saturating_sub(5) / 2;
    for (y, line) in (top..whole.bottom()).zip(&lines) {
        let cells = u16::try_from(width(line)).unwrap_or(0);
        let x = whole.x + whole.width.saturating_sub(cells) / 2;
        canvas.put(x, y, whole.width, line, text);
    }
}
