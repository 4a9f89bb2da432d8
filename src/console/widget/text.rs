//! Text on cells: widths, cutting, wrapping, the ASCII form, and how numbers and times are said.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::domain::clock::Timestamp;
use crate::domain::policy::Revision;
use crate::domain::quota::Window;

pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` cut to `room` cells; an ellipsis stands for what was cut.
pub fn fit(text: &str, room: usize) -> Cow<'_, str> {
    if width(text) <= room {
        return Cow::Borrowed(text);
    }
    if room == 0 {
        return Cow::Borrowed("");
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let cells = c.width().unwrap_or(0);
        if used + cells > room - 1 {
            break;
        }
        used += cells;
        kept.push(c);
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// The part of `text` from cell `skip` on, at most `room` cells of it.
pub fn skip_cells(text: &str, skip: usize, room: usize) -> String {
    let mut place = 0;
    let mut out = String::new();
    let mut buffer = [0; 4];
    for c in text.chars() {
        let cells = width(c.encode_utf8(&mut buffer));
        if place >= skip && place + cells <= skip + room {
            out.push(c);
        }
        place += cells;
    }
    out
}

/// `text` broken at spaces into lines of at most `room` cells; longer words are cut.
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let gap = usize::from(!line.is_empty());
            if width(&line) + gap + width(word) <= room {
                if gap == 1 {
                    line.push(' ');
                }
                line.push_str(word);
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for c in word.chars() {
                if width(&line) + c.width().unwrap_or(0) > room && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(c);
            }
        }
        lines.push(line);
    }
    lines
}

/// The ASCII stand-in of one of our own glyphs.
pub fn ascii_glyph(glyph: &str) -> Option<&'static str> {
    Some(match glyph {
        "─" | "━" | "╌" | "┄" => "-",
        "│" | "┃" | "┊" => "|",
        "┌" | "┐" | "└" | "┘" | "├" | "┤" | "┬" | "┴" | "┼" | "╭" | "╮" | "╰" | "╯" => {
            "+"
        }
        "▁" | "▂" => "_",
        "▃" | "▄" => "-",
        "▅" | "▆" => "=",
        "▇" | "█" | "■" => "#",
        "░" => ".",
        "…" => "~",
        "›" | "▸" | "→" => ">",
        "←" => "<",
        "↑" | "▲" => "^",
        "↓" | "▼" => "v",
        "·" | "◌" | "□" => ".",
        "●" | "•" => "*",
        "○" => "o",
        "✕" | "×" => "x",
        "✓" => "+",
        "⏎" => "enter",
        "⇥" => "tab",
        _ => return None,
    })
}

/// `text` in ASCII: our glyphs by their stand-ins, all else spelt out.
pub fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut spelt = String::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        if c.is_ascii() {
            spelt.push(c);
        } else if let Some(known) = ascii_glyph(c.encode_utf8(&mut buffer)) {
            spelt.push_str(known);
        } else {
            spelt.extend(c.escape_unicode());
        }
    }
    Cow::Owned(spelt)
}

/// A count in at most five cells: `999`, `12.3k`, `4.5M`.
pub fn count(number: u64) -> String {
    const STEPS: [(u64, &str); 3] = [(1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")];
    for (least, unit) in STEPS {
        if number < least {
            continue;
        }
        let scale = if unit == "k" { 1_000 } else { least };
        let tenths = number / (scale / 10);
        return if tenths >= 1_000 || tenths.is_multiple_of(10) {
            format!("{}{unit}", tenths / 10)
        } else {
            format!("{}.{}{unit}", tenths / 10, tenths % 10)
        };
    }
    number.to_string()
}

/// A count in full with thin groups: `1 234 567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A length of time in its largest unit: `45s`, `3h`, `12d`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        172_800..63_072_000 => format!("{}d", seconds / 86_400),
        _ => format!("{}y", seconds / 31_536_000),
    }
}

/// How far `at` is from `now`: `in 3h`, `5m ago`, `now`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        let ahead = at.since(now).as_secs();
        return if ahead < 1 { "now".into() } else { format!("in {}", span(ahead)) };
    }
    let gone = now.since(at).as_secs();
    if gone < 1 { "now".into() } else { format!("{} ago", span(gone)) }
}

/// `2026-07-28 09:30:11Z`
pub fn moment(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `09:30Z`
pub fn minute(at: Timestamp) -> String {
    at.to_utc().format("%H:%MZ").to_string()
}

/// `09:30:11` today, `07-28 09:30` on other days.
pub fn clock(at: Timestamp, now: Timestamp) -> String {
    let same_day = at.to_utc().date_naive() == now.to_utc().date_naive();
    at.to_utc().format(if same_day { "%H:%M:%S" } else { "%m-%d %H:%M" }).to_string()
}

/// `100/min 1000/h 10000/d`, or what there is of it.
pub fn limits(revision: &Revision) -> String {
    let limits = &revision.policy.rate_limits;
    let said: Vec<String> = Window::ALL
        .iter()
        .filter_map(|window| {
            let unit = match window {
                Window::Minute => "min",
                Window::Hour => "h",
                Window::Day => "d",
            };
            window.limit(limits).map(|limit| format!("{}/{unit}", count(u64::from(limit))))
        })
        .collect();
    if said.is_empty() { "no limits".into() } else { said.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_counts_cells_not_bytes() {
        assert_eq!(fit("naïve", 5), "naïve");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit("abc", 1), "…");
    }

    #[test]
    fn wrapping_breaks_at_spaces_and_cuts_what_is_longer_than_a_line() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\nb", 10), ["a", "b"]);
    }

    #[test]
    fn counts_keep_to_five_cells() {
        for (number, said) in [
            (0, "0"),
            (9_999, "9999"),
            (12_345, "12.3k"),
            (123_456, "123k"),
            (1_000_000, "1M"),
            (1_100_000, "1.1M"),
            (u64::MAX, "18446744073G"),
        ] {
            assert_eq!(count(number), said);
        }
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(123), "123");
    }

    #[test]
    fn times_are_said_from_now() {
        let now = Timestamp::from_millis(1_000_000_000);
        assert_eq!(relative(now, now), "now");
        assert_eq!(relative(now.plus(std::time::Duration::from_secs(3 * 3600)), now), "in 3h");
        assert_eq!(relative(now.minus(std::time::Duration::from_secs(300)), now), "5m ago");
    }

    #[test]
    fn ascii_leaves_no_other_character() {
        assert_eq!(ascii("keys › a…"), "keys > a~");
        assert_eq!(ascii("é"), "\\u{e9}");
    }
}
