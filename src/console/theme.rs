//! Styles by what they mean. Themes are files; none says a state by colour alone.
//!
//! The default keeps the terminal's own background and the 16 base colours, so that it reads on
//! dark and on light. `mono` uses no colour at all: modifiers and glyphs only.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::domain::api_key::KeyState;
use crate::domain::signing_key::SigningKeyState;
use crate::domain::token::TokenState;

use super::ConsoleError;

const THEMES: [(&str, &str); 4] = [
    ("neutral", include_str!("../../assets/themes/neutral.toml")),
    ("dark", include_str!("../../assets/themes/dark.toml")),
    ("light", include_str!("../../assets/themes/light.toml")),
    ("mono", include_str!("../../assets/themes/mono.toml")),
];

/// The names that `--theme` takes.
pub fn names() -> impl Iterator<Item = &'static str> {
    THEMES.iter().map(|(name, _)| *name)
}

/// What the terminal's background is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shade {
    Dark,
    Light,
}

impl Shade {
    /// The theme that reads on it.
    pub fn theme(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }

    /// Of a colour as a terminal answers with it (OSC 11): `rgb:1e1e/1e1e/1e1e`, one to four digits each, or `#1e1e1e`.
    pub fn of_answer(colour: &str) -> Option<Self> {
        let part = |text: &str| -> Option<f64> {
            let most = match text.len() {
                1 => 0xf,
                2 => 0xff,
                3 => 0xfff,
                4 => 0xffff,
                _ => return None,
            };
            u16::from_str_radix(text, 16).ok().map(|value| f64::from(value) / f64::from(most))
        };
        let parts: Option<Vec<f64>> = match (colour.strip_prefix('#'), colour.split_once(':')) {
            (Some(digits), _) if digits.len() == 6 && digits.is_ascii() => {
                (0..3).map(|place| digits.get(place * 2..place * 2 + 2).and_then(part)).collect()
            }
            (None, Some(("rgb" | "rgba", parts))) => parts.split('/').map(part).collect(),
            _ => None,
        };
        let parts = parts?;
        let [red, green, blue, ..] = parts[..] else { return None };
        // how bright it is to an eye (ITU-R BT.601)
        let bright = 0.299 * red + 0.587 * green + 0.114 * blue;
        Some(if bright > 0.5 { Self::Light } else { Self::Dark })
    }

    /// Of the variable `COLORFGBG` that some terminals set: the number of the background's colour comes last.
    pub fn of_variable(text: &str) -> Option<Self> {
        match text.rsplit(';').next()?.parse::<u8>().ok()? {
            0..=6 | 8 => Some(Self::Dark),
            7 | 9..=15 => Some(Self::Light),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    with: Vec<Emphasis>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Emphasis {
    Bold,
    Dim,
    Italic,
    Underlined,
    Reversed,
}

macro_rules! styles { ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {
    /// One style a meaning.
    #[derive(Clone, Debug)]
    pub struct Theme { $($(#[$meta])* pub $name: Style),+ }

    impl Theme {
        fn from_entries(mut entries: BTreeMap<String, Entry>) -> Result<Self, String> {
            let theme = Self { $($name: style(&mut entries, stringify!($name))?),+ };
            match entries.keys().next() {
                Some(unknown) => Err(format!("`{unknown}` is no style of a theme")),
                None => Ok(theme),
            }
        }
    }
} }

styles! {
    text,
    /// What may be overlooked.
    dim,
    border,
    title,
    /// The place one is at: the active tab, the focused border.
    accent,
    /// A key in a hint.
    key,
    /// The row under the cursor.
    selected,
    marked,
    good,
    warning,
    bad,
    /// A field that can be typed into.
    field,
    /// The chart's lines.
    allowed,
    denied,
    failed,
    badge,
    secret,
}

fn style(entries: &mut BTreeMap<String, Entry>, name: &str) -> Result<Style, String> {
    let entry = entries.remove(name).ok_or_else(|| format!("the style `{name}` is missing"))?;
    let color = |text: Option<String>| {
        text.map(|text| text.parse::<Color>().map_err(|_| format!("`{text}` is no colour"))).transpose()
    };
    let mut style = Style::new();
    style.fg = color(entry.fg)?;
    style.bg = color(entry.bg)?;
    for emphasis in entry.with {
        style = style.add_modifier(match emphasis {
            Emphasis::Bold => Modifier::BOLD,
            Emphasis::Dim => Modifier::DIM,
            Emphasis::Italic => Modifier::ITALIC,
            Emphasis::Underlined => Modifier::UNDERLINED,
            Emphasis::Reversed => Modifier::REVERSED,
        });
    }
    Ok(style)
}

impl Theme {
    pub fn load(name: &str) -> Result<Self, ConsoleError> {
        let known = || names().collect::<Vec<_>>().join(", ");
        let (_, text) = THEMES.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            ConsoleError::Theme(format!("there is no theme `{name}`; there are {}", known()))
        })?;
        toml::from_str(text)
            .map_err(|error| error.to_string())
            .and_then(Self::from_entries)
            .map_err(|error| ConsoleError::Theme(format!("the theme `{name}` cannot be read: {error}")))
    }

    pub fn state(&self, state: KeyState) -> Style {
        match state {
            KeyState::Active => self.good,
            KeyState::Disabled => self.dim,
            KeyState::Expired => self.warning,
            KeyState::Revoked => self.bad,
        }
    }

    pub fn token_state(&self, state: TokenState) -> Style {
        match state {
            TokenState::Live => self.good,
            TokenState::Expiring => self.warning,
            TokenState::Expired => self.dim,
            TokenState::Revoked => self.bad,
        }
    }

    pub fn signing_key_state(&self, state: SigningKeyState) -> Style {
        match state {
            SigningKeyState::Next => self.accent,
            SigningKeyState::Active => self.good,
            SigningKeyState::Verifying => self.warning,
            SigningKeyState::Retired => self.dim,
        }
    }
}

/// A glyph a state, told apart without colour.
pub fn state_glyph(state: KeyState) -> &'static str {
    match state {
        KeyState::Active => "●",
        KeyState::Disabled => "○",
        KeyState::Expired => "◌",
        KeyState::Revoked => "✕",
    }
}

pub fn token_glyph(state: TokenState) -> &'static str {
    match state {
        TokenState::Live => "●",
        TokenState::Expiring => "○",
        TokenState::Expired => "◌",
        TokenState::Revoked => "✕",
    }
}

pub fn signing_key_glyph(state: SigningKeyState) -> &'static str {
    match state {
        SigningKeyState::Next => "›",
        SigningKeyState::Active => "●",
        SigningKeyState::Verifying => "○",
        SigningKeyState::Retired => "✕",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_reads_and_mono_has_no_colour() {
        for name in names() {
            assert!(Theme::load(name).is_ok(), "{name}");
        }
        let (_, mono) = THEMES.iter().find(|(name, _)| *name == "mono").unwrap();
        assert!(!mono.contains("fg") && !mono.contains("bg"));
    }

    #[test]
    fn an_unknown_theme_is_refused_with_the_known_ones() {
        let error = Theme::load("solarized").unwrap_err().to_string();
        assert!(error.contains("`solarized`") && error.contains("neutral, dark, light, mono"), "{error}");
    }

    #[test]
    fn a_theme_with_a_wrong_style_is_refused() {
        let read = |text: &str| Theme::from_entries(toml::from_str(text).unwrap());
        assert!(read("").unwrap_err().contains("missing"));
        let extra = format!("{}\n[glow]\n", THEMES[0].1);
        assert!(read(&extra).unwrap_err().contains("glow"));
    }
}
