//! The gateways of this home, in a line.

use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, piece};
use crate::console::widget::text::clock;
use crate::domain::clock::Timestamp;
use crate::store::gateway::{Gateway, Presence};

/// Who serves this home now; one line, whatever their number.
pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, gateways: &[Gateway]) {
    let theme = canvas.theme().clone();
    let (runs, dead) = told(gateways, canvas.now);
    let style = if runs.starts_with('○') { theme.warning } else { theme.text };
    let line = [piece(format!("{:<8}", "gateway"), theme.title), piece(runs, style), piece(dead, theme.bad)];
    canvas.put_pieces(area.x, area.y, area.width, &line);
}

/// What runs, and what ended without a word.
fn told(gateways: &[Gateway], now: Timestamp) -> (String, String) {
    let alive: Vec<_> =
        gateways.iter().filter(|one| one.alive != Some(false)).map(|one| &one.presence).collect();
    let runs = match alive.as_slice() {
        [] => "○ none runs".into(),
        [Presence { listen, upstream, since, .. }] => {
            format!("● {listen} since {} for {upstream}", clock(*since, now))
        }
        several => {
            let places: Vec<_> = several.iter().map(|one| one.listen.as_str()).collect();
            format!("● {} run: {}", several.len(), places.join(" "))
        }
    };
    let dead = match gateways.len() - alive.len() {
        0 => String::new(),
        dead => format!("  ✕ {dead} ended without a word"),
    };
    (runs, dead)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(port: u16, alive: bool) -> Gateway {
        let presence = Presence {
            listen: format!("http://127.0.0.1:{port}"),
            admin_listen: String::new(),
            upstream: "http://127.0.0.1:3000/mcp".into(),
            since: "2026-07-28T09:30:00Z".parse().unwrap(),
            version: String::new(),
            process: 1,
        };
        Gateway { presence, alive: Some(alive) }
    }

    #[test]
    fn every_number_of_gateways_is_told_in_a_line() {
        let now = "2026-07-28T14:02:11Z".parse().unwrap();
        let told = |gateways: &[Gateway]| {
            let (runs, dead) = super::told(gateways, now);
            runs + &dead
        };
        assert_eq!(told(&[]), "○ none runs");
        let one = "● http://127.0.0.1:1 since 09:30:00 for http://127.0.0.1:3000/mcp";
        assert_eq!(told(&[gateway(1, true)]), one);
        assert_eq!(
            told(&[gateway(1, true), gateway(2, true), gateway(3, false)]),
            "● 2 run: http://127.0.0.1:1 http://127.0.0.1:2  ✕ 1 ended without a word"
        );
        assert_eq!(told(&[gateway(3, false)]), "○ none runs  ✕ 1 ended without a word");
    }
}
