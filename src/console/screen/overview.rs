//! Screen 1: what is happening, at a glance. On an empty store: what to do next.

mod gateways;
mod traffic;

use ratatui::layout::Rect;

use crate::console::ask::{Busy, DAY};
use crate::console::canvas::{Canvas, Piece, piece};
use crate::console::effect::{Question, Reply};
use crate::console::event::Moved;
use crate::console::held::Held;
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, Wish, carry_out, offer};
use crate::console::overlay::refusals::Refusals;
use crate::console::screen::Tab;
use crate::console::theme::{state_glyph, token_glyph};
use crate::console::widget::chart::sparkline;
use crate::console::widget::fault::draw_fault;
use crate::console::widget::table::{Column, Row, Table, cell, styled};
use crate::console::widget::text::{clock, count, grouped};
use crate::domain::clock::Timestamp;
use crate::domain::credential::{Kind, State};
use crate::domain::usage::Totals;
use crate::ops::{Ctx, OpsError};
use crate::store::{self, credential::Counts};

use traffic::{ShowTraffic, Traffic};

/// How many credentials of each kind are in each state.
#[derive(Debug)]
pub struct CountCredentials {
    pub now: Timestamp,
}

impl Question for CountCredentials {
    type Answer = Vec<(Kind, Counts)>;
    const SLOW: bool = true;
    fn answer(&self, ctx: &Ctx) -> Result<Self::Answer, OpsError> {
        let soon = self.now.plus(DAY);
        Ok(ctx.store.read(|c| store::credential::counts(c, self.now, soon))?)
    }
}

#[derive(Default)]
pub struct Overview {
    traffic: Held<Traffic>,
    counts: Held<Vec<(Kind, Counts)>>,
}

pub type Screen = Overview;

impl Tab for Overview {
    const KEY: &'static str = "1";
    const GO: &'static str = "go.overview";
    const TITLE: &'static str = "Overview";
    const ABOUT: &'static str = "Show what is happening";
}

const BINDINGS: &[Binding<Overview>] = &[
    Binding::new(
        "open",
        &["enter", "l", "right"],
        "refusals",
        "Show what was refused: every check with why",
        |_, turn| {
            turn.push(Refusals::all());
        },
    ),
    Binding::new("refusal.list", &["f"], "", "Show what was refused: every check with why", |_, turn| {
        turn.push(Refusals::all());
    }),
    Binding::new("go.usage", &["7"], "usage", "Show usage over time", |_, turn| {
        turn.wishes.push(Wish::Go("usage"))
    }),
    Binding::new("key.create", &["n"], "new key", "Create an API key", |_, turn| {
        turn.wishes.extend([Wish::Go("keys"), Wish::Perform("key.create".into())]);
    })
    .writes(),
    Binding::new(
        "go.keys",
        &["2"],
        "keys",
        "Show the API keys: create, rotate, disable, revoke",
        |_, turn| turn.wishes.push(Wish::Go("keys")),
    ),
    Binding::new(
        "go.tokens",
        &["3"],
        "tokens",
        "Show the tokens: issue, revoke, inspect; and the keys that sign them",
        |_, turn| turn.wishes.push(Wish::Go("tokens")),
    ),
    Binding::new(
        "go.policies",
        &["6"],
        "policies",
        "Show the policies: edit, history, roll back, test a call",
        |_, turn| {
            turn.wishes.push(Wish::Go("policies"));
        },
    ),
];

impl Overview {
    fn ask_traffic(&mut self, turn: &mut Turn<'_>) {
        self.traffic.ask(ShowTraffic { now: turn.now }, turn);
    }
    fn ask_counts(&mut self, turn: &mut Turn<'_>) {
        self.counts.ask(CountCredentials { now: turn.now }, turn);
    }
}

impl Layer for Overview {
    fn crumbs(&self) -> Vec<String> {
        vec!["overview".into()]
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        offer(BINDINGS, self, setting)
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(BINDINGS, self, name, turn);
    }
    fn is_paused(&self) -> Option<bool> {
        Some(false)
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        self.ask_traffic(turn);
        self.ask_counts(turn);
    }
    fn moved(&mut self, what: Moved, turn: &mut Turn<'_>) {
        match what {
            Moved::Usage => self.ask_traffic(turn),
            Moved::Objects => self.ask_counts(turn),
        }
    }
    /// The minute has passed: the windows move on even where nothing happens.
    fn due(&mut self, turn: &mut Turn<'_>) {
        if turn.now.millis() % 60_000 < 1_000 {
            self.enter(turn);
        }
    }
    fn reply(&mut self, reply: &mut Reply, _turn: &mut Turn<'_>) {
        self.traffic.settle(reply);
        self.counts.settle(reply);
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        if let Some(fault) = self.traffic.fault.as_ref().or(self.counts.fault.as_ref()) {
            return draw_fault(canvas, area, &fault.message);
        }
        let (Some(traffic), Some(counts)) = (&self.traffic.value, &self.counts.value) else {
            let dim = canvas.theme().dim;
            canvas.put(area.x, area.y, area.width, "loading…", dim);
            return;
        };
        if counts.iter().all(|(_, counts)| counts.all() == 0) {
            return draw_first_steps(canvas, area);
        }
        let gap = u16::from(area.height >= 20);
        let top = Rect { height: 5, ..area };
        draw_calls(canvas, top, traffic);
        let mut last = Rect { y: area.y + 5 + gap, height: 1, ..area };
        for (kind, counts) in counts {
            // Those who have no tokens need not hear of them; of keys all do.
            if *kind == Kind::ApiKey || counts.all() > 0 {
                draw_counts(canvas, last, *kind, counts);
                last.y += 1;
            }
        }
        gateways::draw(canvas, last, &traffic.gateways);

        let rest = area.bottom().saturating_sub(last.y + 1 + gap);
        // as high as the longer list needs, and never more than half
        let longest = traffic.credentials.len().max(traffic.endpoints.len()).max(3);
        let wanted = u16::try_from(longest + 2).unwrap_or(u16::MAX);
        let tables = wanted.min(rest / 2).max(4).min(rest);
        let left = area.width.saturating_sub(2) / 2;
        let y = last.y + 1 + gap;
        let credentials = Rect { x: area.x, y, width: left, height: tables };
        let endpoints = Rect { x: area.x + left + 2, y, width: area.width - left - 2, height: tables };
        draw_busy(canvas, credentials, "Busiest credentials, last hour", "credential", &traffic.credentials);
        draw_busy(canvas, endpoints, "Busiest endpoints, last hour", "endpoint", &traffic.endpoints);

        let y = y + tables + gap.min(rest.saturating_sub(tables));
        draw_refusals(canvas, Rect { y, height: area.bottom().saturating_sub(y), ..area }, traffic);
    }
}

fn draw_first_steps(canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme().clone();
    let step = |number: &'static str, what: &'static str| {
        vec![piece(format!("  {number}  "), theme.accent), piece(what, theme.title)]
    };
    let how = |text: &'static str| vec![piece(format!("     {text}"), theme.dim)];
    let lines: Vec<Vec<Piece<'_>>> = vec![
        vec![piece("Nothing may call your MCP server yet. Three steps:", theme.text)],
        vec![],
        step("1", "Look at the policy that every key is under"),
        how("6 shows the policies; e edits one, n makes another."),
        vec![],
        step("2", "Create a key"),
        how("n here. It is shown once; give it to the client."),
        vec![],
        step("3", "Put the gateway in front of your server"),
        how("in another terminal:"),
        how("  portcullis serve --upstream http://127.0.0.1:3000/mcp"),
        vec![],
        vec![piece("Calls appear here as they come. ? lists every key of this console.", theme.dim)],
    ];
    canvas.lines(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }, &lines);
}

fn draw_calls(canvas: &mut Canvas<'_>, area: Rect, traffic: &Traffic) {
    let theme = canvas.theme().clone();
    let columns: [u16; 4] = [10, 9, 9, 9];
    let heads = ["calls", "minute", "hour", "24 h"];
    let mut x = area.x;
    for (place, (head, cells)) in heads.iter().zip(columns).enumerate() {
        if place == 0 {
            canvas.put(x, area.y, cells, head, theme.title);
        } else {
            canvas.put_right(x + cells, area.y, cells, head, theme.dim);
        }
        x += cells;
    }
    type Pick = fn(Totals) -> u64;
    let picks: [Pick; 3] = [|totals| totals.allowed, |totals| totals.denied, |totals| totals.failed];
    let rows =
        [("✓", "allowed", theme.allowed), ("✕", "denied", theme.denied), ("○", "failed", theme.failed)];
    for (y, ((glyph, word, style), pick)) in (area.y + 1..area.bottom()).zip(rows.into_iter().zip(picks)) {
        canvas.put_pieces(
            area.x,
            y,
            columns[0],
            &[piece(format!("{glyph} "), style), piece(word, theme.text)],
        );
        let mut x = area.x + columns[0];
        for totals in [traffic.minute, traffic.hour, traffic.day] {
            let number = pick(totals);
            let style = if number == 0 { theme.dim } else { theme.text };
            canvas.put_right(x + 9, y, 9, &count(number), style);
            x += 9;
        }
    }
    let rate = format!("{:.1} calls/s", traffic.rate);
    canvas.put(area.x, area.y + 4, 36, &rate, theme.accent);

    let left = area.x + 41;
    if area.right() < left + 12 {
        return;
    }
    let room = area.right() - left;
    let values: Vec<u64> = traffic.series.iter().map(|(_, totals)| totals.calls()).collect();
    let minutes = u16::try_from(values.len()).unwrap_or(60).max(1);
    // whole minutes a bar, or whole bars a minute: a chart narrower than its place stays true
    let stretch = (room / minutes).max(1);
    let wide: Vec<u64> =
        values.iter().flat_map(|value| std::iter::repeat_n(*value, usize::from(stretch))).collect();
    let cells = u16::try_from(wide.len()).unwrap_or(u16::MAX);
    let width = cells.div_ceil(cells.div_ceil(room).max(1)).min(room);
    let bars = Rect { x: left, y: area.y + 1, width, height: 3 };
    sparkline(canvas, bars, &wide, theme.accent);
    let most = values.iter().copied().max().unwrap_or(0);
    let most = format!("max {}", count(most));
    let used = canvas.put_right(bars.right(), area.y, 10, &most, theme.dim);
    canvas.put(left, area.y, bars.width.saturating_sub(used + 1), "calls a minute", theme.dim);
    canvas.put(left, area.y + 4, 10, "-60 min", theme.dim);
    canvas.put_right(bars.right(), area.y + 4, 4, "now", theme.dim);
}

fn draw_counts(canvas: &mut Canvas<'_>, area: Rect, kind: Kind, counts: &Counts) {
    let theme = canvas.theme().clone();
    let mut line = vec![piece(format!("{:<8}", kind.plural()), theme.title)];
    for &(state, number) in &counts.states {
        let (glyph, style) = match state {
            State::ApiKey(state) => (state_glyph(state), theme.state(state)),
            State::Token(state) => (token_glyph(state), theme.token_state(state)),
        };
        line.push(piece(format!("{glyph} "), style));
        line.push(piece(format!("{} {}  ", grouped(number), state.as_str()), theme.text));
    }
    if counts.ending > 0 {
        line.push(piece(format!("{} end in 24 h", grouped(counts.ending)), theme.warning));
    }
    canvas.put_pieces(area.x, area.y, area.width, &line);
}

fn draw_busy(canvas: &mut Canvas<'_>, area: Rect, title: &str, noun: &'static str, busy: &[Busy]) {
    if area.height < 2 {
        return;
    }
    canvas.heading(area, area.y, title);
    let columns =
        [Column::new(noun, 12).share(1), Column::new("calls", 6).right(), Column::new("denied", 6).right()];
    let (denied, dim) = (canvas.theme().denied, canvas.theme().dim);
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if busy.is_empty() {
        canvas.put(below.x, below.y, below.width, "no calls", dim);
        return;
    }
    let rows = busy
        .iter()
        .take(usize::from(below.height.saturating_sub(1)))
        .map(|one| Row {
            cells: vec![
                cell(one.label.as_str()),
                cell(count(one.totals.calls())),
                styled(count(one.totals.denied), if one.totals.denied > 0 { denied } else { dim }),
            ],
            ..Row::default()
        })
        .collect();
    Table { columns: &columns, rows, sort: None, top: 0, total: 0 }.draw(canvas, below);
}

fn draw_refusals(canvas: &mut Canvas<'_>, area: Rect, traffic: &Traffic) {
    if area.height < 2 {
        return;
    }
    canvas.heading(area, area.y, "Recent refusals · repeats follow within a minute");
    let (denied, dim) = (canvas.theme().denied, canvas.theme().dim);
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if traffic.refusals.is_empty() {
        canvas.put(below.x, below.y, below.width, "none recorded", dim);
        return;
    }
    let columns = [
        Column::new("time", 11),
        Column::new("reason", 18),
        Column::new("subject", 10).share(1),
        Column::new("endpoint", 14).share(2),
        Column::new("address", 15).dispensable(1),
        Column::new("×", 4).right().dispensable(2),
    ];
    let now = canvas.now;
    let rows = traffic
        .refusals
        .iter()
        .take(usize::from(below.height.saturating_sub(1)))
        .map(|event| Row {
            cells: vec![
                styled(clock(event.at, now), dim),
                styled(event.kind.as_str(), denied),
                cell(event.who()),
                cell(event.endpoint.as_str()),
                styled(event.address.as_str(), dim),
                styled(if event.count > 1 { count(u64::from(event.count)) } else { String::new() }, dim),
            ],
            ..Row::default()
        })
        .collect();
    Table { columns: &columns, rows, sort: None, top: 0, total: 0 }.draw(canvas, below);
}
