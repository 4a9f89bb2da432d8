//! The whole of the console's state: screens, overlays above them, notices; and how it is drawn.

use crokey::KeyCombination;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::domain::clock::Timestamp;

use super::canvas::{Canvas, Look};
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
    /// The screens before this one.
    pub(super) trail: Vec<usize>,
    pub(super) overlays: Vec<Box<dyn Layer>>,
    pub(super) notices: Notices,
    /// Keys of a sequence that has begun.
    pub(super) pressed: Vec<KeyCombination>,
    pub(super) size: Rect,
    pub(super) now: Timestamp,
    pub(super) next_ticket: u64,
    pub(super) mouse: bool,
    pub(super) stale: bool,
    /// The disk of the home is full.
    pub(super) full: bool,
    pub(super) dirty: bool,
}

impl App {
    pub fn new(setting: Setting, look: Look, keymap: Keymap, now: Timestamp) -> Self {
        Self {
            setting,
            look,
            keymap,
            screens: SCREENS.iter().map(|screen| (screen.make)()).collect(),
            current: 0,
            trail: Vec::new(),
            overlays: Vec::new(),
            notices: Notices::default(),
            pressed: Vec::new(),
            size: Rect::new(0, 0, 80, 24),
            now,
            next_ticket: 0,
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
        let whole = *buffer.area();
        let mut canvas =
            Canvas { buffer, look: &self.look, setting: &self.setting, now: self.now, cursor: None };
        canvas.fill(whole, self.look.theme.text);
        if layout::is_too_small(whole) {
            layout::draw_too_small(&mut canvas, whole);
            canvas.finish();
            return None;
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
            screen: SCREENS.get(self.current).map_or("", |screen| screen.name),
            paused: screen.and_then(|screen| screen.is_paused()),
            stale: self.stale,
            full: self.full,
            pending: &pending,
            actions: &actions,
            hints: self.overlays.last().map(|overlay| overlay.hints()).unwrap_or_default(),
        };
        layout::draw(&mut canvas, chrome, &facts, &self.keymap);
        if let Some(screen) = screen {
            screen.draw(&mut canvas, chrome.body);
        }
        for overlay in &self.overlays {
            canvas.cursor = None;
            overlay.draw(&mut canvas, chrome.body);
        }
        self.notices.draw(&mut canvas, chrome.body);
        canvas.finish();
        canvas.cursor
    }
}
