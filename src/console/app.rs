//! The whole of the console's state: screens, overlays above them, notices; and how it is drawn.

use std::collections::VecDeque;

use crokey::KeyCombination;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::domain::clock::Timestamp;

use super::canvas::{Canvas, Look};
use super::effect::Progress;
use super::event::Event;
use super::keymap::{Found, Keymap};
use super::layer::{Action, Layer, Setting};
use super::layout::{self, Chrome, Facts};
use super::notice::Notices;
use super::screen::SCREENS;

pub struct App {
    pub setting: Setting,
    pub look: Look,
    pub keymap: Keymap,
    pub(super) screens: Vec<Box<dyn Layer>>,
    pub(super) current: usize,
    pub(super) ways: Ways,
    pub(super) overlays: Vec<Box<dyn Layer>>,
    pub(super) notices: Notices,
    /// Keys of a sequence that has begun.
    pub(super) pressed: Vec<KeyCombination>,
    /// Keys and pastes that wait for what they act on, which is still on its way.
    pub(super) typed: VecDeque<Event>,
    /// Until when the terminal's answer what its background is chooses the theme.
    pub background_until: Option<Timestamp>,
    pub(super) size: Rect,
    pub(super) now: Timestamp,
    pub(super) next_ticket: u64,
    /// The act that takes its time, and whether it was told to end.
    pub(super) under_way: Option<(Progress, bool)>,
    pub(super) mouse: bool,
    pub(super) stale: bool,
    /// The disk of the home is full.
    pub(super) full: bool,
    pub(super) dirty: bool,
}

/// How one came to the screen in view.
#[derive(Debug, Default)]
pub struct Ways {
    /// Where one was, and where one came back from: as in a browser.
    pub past: Vec<usize>,
    pub future: Vec<usize>,
    /// The screens from which one looked into something of another: what `esc` goes back to, and what ends with the next
    /// change of screen.
    pub looked_from: Vec<usize>,
}

impl App {
    /// Without any key bound yet.
    pub fn new(setting: Setting, look: Look, now: Timestamp) -> Self {
        Self {
            setting,
            look,
            keymap: Keymap::default(),
            screens: SCREENS.iter().map(|screen| (screen.make)()).collect(),
            current: 0,
            ways: Ways::default(),
            overlays: Vec::new(),
            notices: Notices::default(),
            pressed: Vec::new(),
            typed: VecDeque::new(),
            background_until: None,
            size: Rect::new(0, 0, 80, 24),
            now,
            next_ticket: 0,
            under_way: None,
            mouse: true,
            stale: false,
            full: false,
            dirty: true,
        }
    }

    /// Whether something changed since the last call: what is not dirty is not drawn.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    pub(super) fn chrome(&self) -> Chrome {
        layout::chrome(self.size)
    }

    /// The layer that keys go to first.
    pub(super) fn top(&self) -> Option<&dyn Layer> {
        match self.overlays.last() {
            Some(overlay) => Some(overlay.as_ref()),
            None => self.screens.get(self.current).map(|screen| screen.as_ref()),
        }
    }

    /// What can be done here, this layer's own first.
    pub(super) fn actions(&self) -> Vec<Action> {
        let Some(top) = self.top() else { return Vec::new() };
        let mut actions = top.actions(&self.setting);
        if self.overlays.is_empty() {
            for action in super::update::everywhere(&self.setting) {
                if !actions.iter().any(|own| own.name == action.name) {
                    actions.push(action);
                }
            }
        }
        actions
    }

    /// The moment at which something changes by itself: a notice goes, a panel closes, the
    /// minute in the header is over.
    pub fn deadline(&self) -> Timestamp {
        let minute = Timestamp::from_millis((self.now.millis().div_euclid(60_000) + 1) * 60_000);
        let layers = self.screens.iter().chain(&self.overlays).filter_map(|layer| layer.deadline());
        layers.chain(self.notices.deadline()).chain([minute]).min().unwrap_or(minute)
    }

    pub fn draw(&self, frame: &mut Frame<'_>) {
        let cursor = self.paint(frame.buffer_mut());
        if let Some(at) = cursor {
            frame.set_cursor_position(at);
        }
    }

    /// Paints everything, bottom layer first; returns where the cursor stands.
    pub fn paint(&self, buffer: &mut Buffer) -> Option<Position> {
        let mut canvas = Canvas::new(buffer, &self.look, &self.setting, self.now);
        self.paint_on(&mut canvas);
        canvas.cursor
    }

    pub(super) fn paint_on(&self, canvas: &mut Canvas<'_>) {
        let whole = canvas.area;
        canvas.fill(whole, self.look.theme.text);
        if layout::is_too_small(whole) {
            layout::draw_too_small(canvas, whole);
            return canvas.finish();
        }
        let chrome = layout::chrome(whole);
        let screen = self.screens.get(self.current);
        let mut crumbs = screen.map(|screen| screen.crumbs()).unwrap_or_default();
        for overlay in &self.overlays {
            let further = overlay.crumbs();
            // an overlay on an opened object begins with that object, which is named already
            let named = crumbs.len() > 1 && crumbs.last() == further.first();
            crumbs.extend(further.into_iter().skip(usize::from(named)));
        }
        let actions = self.actions();
        let names: Vec<&'static str> = actions.iter().map(|action| action.name).collect();
        let pending = match self.keymap.find(&self.pressed, &names) {
            Found::Prefix(further) if !self.pressed.is_empty() => further,
            _ => Vec::new(),
        };
        let facts = Facts {
            crumbs,
            screen: SCREENS.get(self.current).map_or("", |screen| screen.name()),
            paused: screen.and_then(|screen| screen.is_paused()),
            stale: self.stale,
            full: self.full,
            waiting: self.typed.len(),
            pending: &pending,
            under_way: self.under_way.as_ref().map(|(progress, is_cancelled)| match is_cancelled {
                true => "ending after this batch…".to_owned(),
                false => format!("{}; esc cancels", progress.told),
            }),
            actions: &actions,
            hints: self.overlays.last().map(|overlay| overlay.hints()).unwrap_or_default(),
        };
        layout::draw(canvas, chrome, &facts, &self.keymap);
        canvas.within(chrome.body, |canvas| {
            if let Some(screen) = screen {
                screen.draw(canvas, chrome.body);
            }
            for overlay in &self.overlays {
                canvas.cursor = None;
                overlay.draw(canvas, chrome.body);
            }
            self.notices.draw(canvas, chrome.body);
        });
        canvas.finish();
    }
}
