//! A policy's document as people read it.

use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, Piece, piece};
use crate::console::widget::text::{grouped, moment, relative, wrap};
use crate::domain::policy::field::write_networks_line;
use crate::domain::policy::{Mode, Revision};
use crate::domain::quota::Window;

const LABEL: usize = 13;

/// About how many lines there are, for scrolling.
pub fn rows(revision: &Revision) -> u16 {
    let lists = &revision.policy.endpoint_restrictions;
    let items = lists.allowed_endpoints.len() + lists.blocked_endpoints.len();
    u16::try_from(24 + items).unwrap_or(u16::MAX)
}

pub fn draw(revision: &Revision, keys: Option<u64>, top: u16, canvas: &mut Canvas<'_>, area: Rect) {
    let lines = lines(revision, keys, canvas, usize::from(area.width));
    let skip = usize::from(top).min(lines.len());
    for (y, line) in (area.y..area.bottom()).zip(&lines[skip..]) {
        match line {
            Line::Pieces(pieces) => {
                canvas.put_pieces(area.x, y, area.width, pieces);
            }
            Line::Heading(text) => canvas.heading(area, y, text),
        }
    }
    if lines.len() > skip + usize::from(area.height) {
        let dim = canvas.theme().dim;
        canvas.put(area.right().saturating_sub(1), area.bottom().saturating_sub(1), 1, "↓", dim);
    }
}

enum Line<'a> {
    Pieces(Vec<Piece<'a>>),
    Heading(&'static str),
}

fn lines<'a>(revision: &'a Revision, keys: Option<u64>, canvas: &Canvas<'_>, room: usize) -> Vec<Line<'a>> {
    let theme = canvas.theme();
    let policy = &revision.policy;
    let mut lines = Vec::new();
    let labelled = |label: &'static str, mut rest: Vec<Piece<'a>>| {
        rest.insert(0, piece(format!("{label:<LABEL$}"), theme.dim));
        Line::Pieces(rest)
    };
    lines.push(labelled(
        "name",
        vec![piece(policy.name.as_str(), theme.title), piece(format!("  r{}", revision.revision), theme.dim)],
    ));
    if !policy.description.is_empty() {
        lines.extend(long(canvas, "description", &policy.description, room));
    }
    lines.push(labelled(
        "mode",
        match policy.mode {
            Mode::Enforce => vec![piece("● enforce", theme.good)],
            Mode::Shadow => vec![
                piece("○ shadow", theme.warning),
                piece("  decides and records, lets through", theme.dim),
            ],
        },
    ));
    if let Some(keys) = keys {
        let said = match keys {
            1 => "1 key or token".to_owned(),
            keys => format!("{} keys and tokens", grouped(keys)),
        };
        lines.push(labelled("used by", vec![piece(said, theme.text)]));
    }
    let scopes: Vec<&str> = policy.scopes.iter().map(|scope| scope.as_str()).collect();
    let ceiling = if scopes.is_empty() { "no ceiling".to_owned() } else { scopes.join(", ") };
    lines.extend(long(canvas, "scopes", &ceiling, room));

    lines.extend([Line::Pieces(Vec::new()), Line::Heading("Rate limits")]);
    for window in Window::ALL {
        let said = match window.limit(&policy.rate_limits) {
            None => piece("no limit", theme.dim),
            Some(0) => piece("0: nothing passes", theme.bad),
            Some(limit) => piece(grouped(u64::from(limit)), theme.text),
        };
        lines.push(labelled(
            match window {
                Window::Minute => "a minute",
                Window::Hour => "an hour",
                Window::Day => "a day",
            },
            vec![said],
        ));
    }
    lines.push(labelled("algorithm", vec![piece(policy.rate_limits.algorithm.as_str(), theme.text)]));

    lines.extend([Line::Pieces(Vec::new()), Line::Heading("Addresses")]);
    let addresses = &policy.ip_restrictions;
    let or = |text: String, empty: &str| if text.is_empty() { empty.to_owned() } else { text };
    lines.extend(long(canvas, "whitelist", &or(write_networks_line(&addresses.whitelist), "any"), room));
    lines.extend(long(canvas, "blacklist", &or(write_networks_line(&addresses.blacklist), "none"), room));

    lines.extend([Line::Pieces(Vec::new()), Line::Heading("Hours")]);
    let time = &policy.time_restrictions;
    let mut strip = vec![piece(format!("{:<LABEL$}", "allowed"), theme.dim)];
    for hour in 0..24 {
        let on = time.allowed_hours.contains(hour);
        strip.push(piece(if on { "■" } else { "·" }, if on { theme.good } else { theme.dim }));
        if hour % 6 == 5 {
            strip.push(piece(" ", theme.text));
        }
    }
    strip.push(piece(time.allowed_hours.to_string(), theme.dim));
    lines.push(Line::Pieces(strip));
    lines.push(labelled("timezone", vec![piece(time.timezone.name(), theme.text)]));

    lines.extend([Line::Pieces(Vec::new()), Line::Heading("Endpoints")]);
    let endpoints = &policy.endpoint_restrictions;
    let joined = |patterns: &[crate::domain::endpoint::EndpointPattern]| {
        patterns.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>().join("  ")
    };
    let all = "all that the scopes cover";
    lines.extend(long(canvas, "allowed", &or(joined(&endpoints.allowed_endpoints), all), room));
    lines.extend(long(canvas, "blocked", &or(joined(&endpoints.blocked_endpoints), "none"), room));

    lines.extend([Line::Pieces(Vec::new()), Line::Heading("Saved")]);
    let when = format!("{} ({})", moment(revision.saved_at), relative(revision.saved_at, canvas.now));
    lines.push(labelled("at", vec![piece(when, theme.text)]));
    lines.push(labelled("by", vec![piece(revision.author.as_str(), theme.text)]));
    if !revision.reason.is_empty() {
        lines.extend(long(canvas, "reason", &revision.reason, room));
    }
    let warnings = policy.warnings();
    if !warnings.is_empty() {
        lines.extend([Line::Pieces(Vec::new()), Line::Heading("Worth a second look")]);
        for warning in warnings {
            let text = format!("{}: {}", warning.path, warning.message);
            let shown = canvas.shown(&text).into_owned();
            lines.extend(
                wrap(&shown, room).into_iter().map(|line| Line::Pieces(vec![piece(line, theme.warning)])),
            );
        }
    }
    lines
}

fn long<'a>(canvas: &Canvas<'_>, label: &'static str, text: &str, room: usize) -> Vec<Line<'a>> {
    let theme = canvas.theme();
    let shown = canvas.shown(text).into_owned();
    wrap(&shown, room.saturating_sub(LABEL))
        .into_iter()
        .enumerate()
        .map(|(place, line)| {
            let label = if place == 0 { label } else { "" };
            Line::Pieces(vec![piece(format!("{label:<LABEL$}"), theme.dim), piece(line, theme.text)])
        })
        .collect()
}
