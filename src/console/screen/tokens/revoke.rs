//! Which tokens are to be revoked: the one under the cursor, all of its subject, all of its key, all from before a moment.
//! Each says how many live ones it would end; then it is asked for good.

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use crate::console::canvas::Canvas;
use crate::console::effect::Reply;
use crate::console::event::Moved;
use crate::console::held::Held;
use crate::console::layer::{Layer, Turn, is_for_all};
use crate::console::overlay::confirm::Confirm;
use crate::console::screen::long_list::LongList;
use crate::console::widget::field::{Choice, Field, Kind};
use crate::console::widget::form::{Form, Panel, Said};
use crate::console::widget::text::moment;
use crate::domain::clock::{Timestamp, parse_life};
use crate::domain::name::{Kid, Subject};
use crate::domain::text::counted;
use crate::domain::token::TokenId;
use crate::store::token::Standing;

use super::reach::{CountReached, Reach, Reached, Revoke};
use super::{short_id, short_kid};

const THESE: &str = "selected";
const SUBJECT: &str = "subject";
const KEY: &str = "key";
const BEFORE: &str = "issued before";
/// The options in their order, and the reaches that are asked about.
const OPTIONS: [&str; 4] = [THESE, SUBJECT, KEY, BEFORE];

pub struct RevokeTokens {
    ids: Vec<TokenId>,
    subject: Subject,
    kid: Kid,
    form: Form,
    reached: Held<Vec<Reached>>,
}

impl RevokeTokens {
    /// `None` where there is nothing under the cursor.
    pub fn new(list: &LongList<Standing>) -> Option<Self> {
        let token = &list.selected()?.token;
        let options = OPTIONS.map(|value| Choice::new(value, "")).to_vec();
        let form = Form::new(
            "go on…",
            vec![
                Field::choice("what", "revoke", "← → choose; nothing is done yet", options, THESE),
                Field::text(
                    "before",
                    "before",
                    "a time such as 2026-07-28T14:00:00Z, `now`, or how long ago: 2h",
                    "now",
                ),
            ],
        );
        let (subject, kid) = (token.subject.clone(), token.kid.clone());
        let mut panel = Self { ids: list.targets(), subject, kid, form, reached: Held::default() };
        panel.check(Timestamp::default());
        Some(panel)
    }

    fn moment(&self, now: Timestamp) -> Result<Timestamp, String> {
        let wrong = || {
            "this is no moment: write `now`, how long ago such as 2h, a date, or a time in RFC 3339"
                .to_owned()
        };
        let at = match self.form.value("before").trim() {
            "now" => now,
            text => match parse_life(text) {
                Ok(ago) => now.minus(ago),
                Err(_) => Timestamp::typed(text).map_err(|_| wrong())?,
            },
        };
        if at > now { Err("this lies ahead: only what was issued can be revoked".into()) } else { Ok(at) }
    }

    fn check(&mut self, now: Timestamp) {
        let fault = self.moment(now).err();
        let is_before = self.form.value("what") == BEFORE;
        if let Some(field) = self.form.field_mut("before") {
            field.hidden = !is_before;
            field.error = fault;
            field.touched = true;
        }
    }

    fn reach(&self, option: &str, now: Timestamp) -> Option<Reach> {
        match option {
            SUBJECT => Some(Reach::Subject(self.subject.clone())),
            KEY => Some(Reach::Key(self.kid.clone())),
            BEFORE => self.moment(now).ok().map(Reach::IssuedBefore),
            _ => Some(Reach::Tokens(self.ids.clone())),
        }
    }

    fn ask(&mut self, turn: &mut Turn<'_>) {
        let reaches = OPTIONS.iter().filter_map(|option| self.reach(option, turn.now)).collect();
        self.reached.ask(CountReached { reaches, now: turn.now }, turn);
    }

    /// What one of the options means, for people.
    fn named(&self, option: &str, now: Timestamp) -> String {
        match (option, self.ids.as_slice()) {
            (SUBJECT, _) => format!("all tokens of {}", self.subject),
            (KEY, _) => format!("all that key {} signed", short_kid(&self.kid)),
            (BEFORE, _) => match self.moment(now) {
                Ok(at) => format!("all issued before {}", moment(at)),
                Err(_) => "all issued before a moment".into(),
            },
            (_, [id]) => format!("token {}", short_id(*id)),
            (_, ids) => counted(ids.len() as u64, "marked token"),
        }
    }

    fn say_reach(&mut self, now: Timestamp) {
        let abouts: Vec<String> = OPTIONS
            .iter()
            .enumerate()
            .map(|(place, option)| {
                let named = self.named(option, now);
                match self.reached.value.as_ref().and_then(|reached| reached.get(place)) {
                    Some(reached) => format!("ends {} live: {named}", reached.live),
                    None => named,
                }
            })
            .collect();
        if let Some(Field { kind: Kind::Choice { options, .. }, .. }) = self.form.field_mut("what") {
            for (option, about) in options.iter_mut().zip(abouts) {
                option.about = about;
            }
        }
    }

    fn submit(&mut self, turn: &mut Turn<'_>) {
        self.check(turn.now);
        let option = self.form.value("what").to_owned();
        let place = OPTIONS.iter().position(|known| *known == option).unwrap_or(0);
        let Some(reach) = self.reach(&option, turn.now).filter(|_| self.form.is_right()) else {
            return self.form.show_faults();
        };
        // what it would end is part of the question
        let Some(reached) = self.reached.value.as_ref().and_then(|reached| reached.get(place)).copied()
        else {
            self.form.fault = match self.reached.fault.take() {
                Some(fault) => Some(fault.message),
                None => Some("still counting what this would end; try again in a moment".into()),
            };
            return;
        };
        let confirm = question(&reach, &self.named(&option, turn.now), reached);
        turn.close();
        turn.push(confirm);
    }
}

fn question(reach: &Reach, named: &str, reached: Reached) -> Confirm {
    let is_one = matches!(reach, Reach::Tokens(ids) if ids.len() == 1);
    let lives = match reached.live {
        0 if is_one => "It is live no more.".to_owned(),
        0 => "No live token of this home is among them.".into(),
        live => format!("It ends {} of this home.", counted(live, "live token")),
    };
    let mut lines = vec![
        format!("Revoke {named}?"),
        format!("{lives} This is for good: the next call is refused, and open streams are closed."),
    ];
    match reach {
        Reach::Tokens(ids) => lines.extend(ids.first().filter(|_| ids.len() == 1).map(|id| format!("jti {id}"))),
        Reach::Subject(_) => lines.push(
            "It reaches what registered issuers issued to the subject as well. New tokens can be issued at once.".into(),
        ),
        Reach::Key(kid) => lines.push(format!("The key {kid} is retired with it, and its private part destroyed.")),
        Reach::IssuedBefore(_) => lines.push("Tokens of other issuers are not meant.".into()),
    }
    let word = match reach {
        Reach::Tokens(ids) if ids.len() > 1 => counted(ids.len() as u64, "token"),
        Reach::Tokens(ids) => ids.first().map(|id| short_id(*id)).unwrap_or_default(),
        Reach::Subject(subject) => typable(subject.as_str(), "subject"),
        Reach::Key(kid) => kid.as_str().chars().take(8).collect(),
        Reach::IssuedBefore(_) => "before".into(),
    };
    let reach = reach.clone();
    let deed = move |reason| Revoke { reach: reach.clone(), reason };
    Confirm::new("revoke tokens", lines, "revoke", format!("revoked {named}"), deed)
        .in_use(reached.calls, word)
        .asks_reason()
}

/// `text` where a keyboard types it as it is shown and it is not much to type.
fn typable(text: &str, otherwise: &str) -> String {
    const MOST: usize = 32;
    let is_plain = text.chars().all(|c| c.is_ascii_graphic());
    if is_plain && (1..=MOST).contains(&text.len()) { text.to_owned() } else { otherwise.to_owned() }
}

impl Layer for RevokeTokens {
    fn crumbs(&self) -> Vec<String> {
        vec!["revoke".into()]
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        self.check(turn.now);
        self.say_reach(turn.now);
        self.ask(turn);
    }
    fn moved(&mut self, what: Moved, turn: &mut Turn<'_>) {
        if what == Moved::Objects {
            self.ask(turn);
        }
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        if is_for_all(key) {
            return false;
        }
        let before = self.form.value("before").to_owned();
        match self.form.key(key) {
            Said::Submit => self.submit(turn),
            Said::Cancel => turn.close(),
            Said::Changed => {
                self.check(turn.now);
                if self.form.value("before") != before {
                    self.reached.clear();
                    self.ask(turn);
                }
                self.say_reach(turn.now);
            }
            Said::Taken | Said::Nothing => {}
        }
        true
    }
    fn paste(&mut self, text: &str, turn: &mut Turn<'_>) {
        self.form.paste(text);
        self.check(turn.now);
        self.reached.clear();
        self.say_reach(turn.now);
        self.ask(turn);
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        if self.reached.settle(reply) {
            self.form.fault = None;
            self.say_reach(turn.now);
        }
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        self.form.hints()
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let panel = Panel { title: "revoke tokens", style: canvas.theme().bad, width: 84, about: None };
        panel.draw(Some(&self.form), None, canvas, area);
    }
}
