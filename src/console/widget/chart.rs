//! Sparklines and the chart of calls over time.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

use crate::console::canvas::Canvas;
use crate::domain::{clock::Timestamp, usage::Totals};

use super::text::count;

const LEVELS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// `values` as one row of bars, the newest at the right edge; neighbours are summed where there
/// are more values than cells.
pub fn sparkline(canvas: &mut Canvas<'_>, area: Rect, values: &[u64], style: Style) {
    let cells = usize::from(area.width);
    if cells == 0 || area.height == 0 || values.is_empty() {
        return;
    }
    let each = values.len().div_ceil(cells);
    let sums: Vec<u64> = values.rchunks(each).map(|chunk| chunk.iter().sum()).collect();
    let most = sums.iter().copied().max().unwrap_or(0);
    let dim = canvas.theme().dim;
    for (back, &sum) in sums.iter().enumerate() {
        let x = area.right() - 1 - u16::try_from(back).unwrap_or(u16::MAX);
        if sum == 0 {
            canvas.put(x, area.bottom() - 1, 1, "·", dim);
            continue;
        }
        let levels = u64::from(area.height) * 8;
        let level = (u128::from(sum) * u128::from(levels)).div_ceil(u128::from(most.max(1))) as u64;
        for row in 0..area.height {
            let filled = level.saturating_sub(u64::from(row) * 8).min(8);
            if filled > 0 {
                let glyph = LEVELS[(filled - 1) as usize % LEVELS.len()];
                canvas.put(x, area.bottom() - 1 - row, 1, glyph, style);
            }
        }
    }
}

/// Allowed, denied and failed calls over time.
pub fn calls(canvas: &mut Canvas<'_>, area: Rect, series: &[(Timestamp, Totals)], with_days: bool) {
    let area = area.intersection(*canvas.buffer.area());
    if area.width < 20 || area.height < 5 {
        return;
    }
    let points = |pick: fn(&Totals) -> u64| -> Vec<(f64, f64)> {
        series.iter().enumerate().map(|(x, (_, totals))| (x as f64, pick(totals) as f64)).collect()
    };
    let allowed = points(|totals| totals.allowed);
    // a mark says that there was something
    let marks = |pick| points(pick).into_iter().filter(|(_, y)| *y > 0.0).collect::<Vec<_>>();
    let (denied, failed) = (marks(|totals| totals.denied), marks(|totals| totals.failed));
    let most = series.iter().map(|(_, t)| t.allowed.max(t.denied).max(t.failed)).max().unwrap_or(0).max(1);
    let top = nice(most);
    let theme = canvas.theme();
    let marker = if canvas.look.ascii { Marker::Dot } else { Marker::Braille };
    // told apart by shape as well as by colour: a line, crosses, rings
    let set = |data, marker, kind, style| {
        Dataset::default().marker(marker).graph_type(kind).style(style).data(data)
    };
    let mut sets = vec![set(&allowed, marker, GraphType::Line, theme.allowed)];
    for (data, glyph, style) in [(&denied, '✕', theme.denied), (&failed, '○', theme.failed)] {
        if !data.is_empty() {
            sets.push(set(data, Marker::Custom(glyph), GraphType::Scatter, style));
        }
    }
    let label =
        |at: &Timestamp| at.to_utc().format(if with_days { "%m-%d %H:%M" } else { "%H:%M" }).to_string();
    let times: Vec<String> = match (series.first(), series.get(series.len() / 2), series.last()) {
        (Some((first, _)), Some((middle, _)), Some((last, _))) => {
            vec![label(first), label(middle), label(last)]
        }
        _ => Vec::new(),
    };
    let chart = Chart::new(sets)
        .style(theme.text)
        .legend_position(None)
        .x_axis(
            Axis::default().style(theme.dim).bounds([0.0, (series.len().max(2) - 1) as f64]).labels(times),
        )
        .y_axis(Axis::default().style(theme.dim).bounds([0.0, top as f64]).labels([
            "0".to_owned(),
            count(top / 2),
            count(top),
        ]));
    chart.render(area, canvas.buffer);
}

/// The next round number: 1, 2, 4, 6 or 8 times a power of ten.
fn nice(most: u64) -> u64 {
    let mut scale: u64 = 1;
    loop {
        for factor in [1, 2, 4, 6, 8] {
            let round = scale.saturating_mul(factor);
            if round >= most {
                return round.max(2);
            }
        }
        scale = scale.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::nice;

    #[test]
    fn axes_end_at_round_numbers() {
        for (most, top) in [(1, 2), (3, 4), (5, 6), (9, 10), (630, 800), (u64::MAX, u64::MAX)] {
            assert_eq!(nice(most), top);
        }
    }
}
