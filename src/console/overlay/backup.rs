//! A backup of the home into a new file, sealed under a passphrase; and where it lies then.

use std::path::PathBuf;

use ratatui::layout::Rect;

use crate::console::canvas::{Canvas, centred};
use crate::console::effect::{Deed, Fault};
use crate::console::layer::{Action, Binding, Layer, Setting, Turn, carry_out, offer};
use crate::console::widget::field::Field;
use crate::console::widget::form::Form;
use crate::console::widget::page::{self, Ink, Line};
use crate::console::widget::panel::{Asks, FormPanel};
use crate::domain::clock::Timestamp;
use crate::domain::{
    secret::Secret,
    text::{for_shell, visible},
};
use crate::ops::{
    self, Ctx,
    backup::{BackedUp, SHORT_PASSPHRASE},
};
use crate::store::backup::Recipient;
use crate::store::home::Home;

use super::secret::below_home;

const TITLE: &str = "backup";
const WIDTH: u16 = 78;
/// So many damaged rows are named.
const MOST_NAMED: usize = 5;

/// Makes a backup of the home in a file that is not there yet.
#[derive(Debug)]
pub struct BackUp {
    /// None where it is nobody's.
    pub home: Option<Home>,
    pub file: PathBuf,
    pub passphrase: Secret,
}

impl Deed for BackUp {
    type Answer = BackedUp;
    const VERB: &'static str = "copying";
    fn carry_out(&self, ctx: &Ctx) -> Result<BackedUp, Fault> {
        let Some(home) = &self.home else {
            return Err(Fault::new("the home of a demo goes with it, and is not backed up"));
        };
        let file = below_home(&self.file);
        Ok(ops::backup::into_file(ctx, home, &Recipient::Operator(&self.passphrase), &file, |_, _| {})?)
    }
    fn unclaimed(made: BackedUp, turn: &mut Turn<'_>) {
        turn.done(made.said());
    }
}

pub struct AskBackUp {
    home: Option<Home>,
    /// The name of the file that is suggested.
    file: String,
}

/// The panel that asks for file and passphrase.
pub fn panel(home: Option<Home>, now: Timestamp) -> FormPanel<AskBackUp> {
    let file = format!("~/portcullis-{}.backup", now.to_utc().format("%Y-%m-%d"));
    FormPanel::new(AskBackUp { home, file })
}

impl Asks for AskBackUp {
    type From = ();
    type Deed = BackUp;
    const TITLE: &'static str = TITLE;
    const CRUMB: &'static str = TITLE;
    const WIDTH: u16 = WIDTH;
    const STANDS: bool = true;
    fn about(&self, form: Option<&Form>) -> Option<String> {
        let typed = form.map_or(0, |form| form.exposed("passphrase").chars().count());
        let said = if (1..SHORT_PASSPHRASE).contains(&typed) {
            "So short a passphrase is soon guessed by whoever gets the file."
        } else {
            "All of the home as it is now, sealed; everything goes on meanwhile."
        };
        Some(said.to_owned())
    }
    fn form(&self, (): &()) -> Form {
        let fields = vec![
            Field::text("file", "file", "a new one; keep it on another machine", &self.file),
            Field::hidden("passphrase", "passphrase", "not shown; without it nobody can restore the backup"),
            Field::hidden("again", "the same again", "a slip would show only when it is needed"),
        ];
        Form::new("back up", fields).holding("not made yet: esc again throws this away")
    }
    fn check(&self, form: &mut Form) {
        let (first, second) = (form.exposed("passphrase"), form.exposed("again"));
        let faults = [
            ("file", form.value("file").trim().is_empty().then_some("name a file")),
            ("passphrase", first.is_empty().then_some("an empty passphrase seals nothing")),
            ("again", (first != second).then_some("the two are not the same")),
        ];
        form.judge(faults.map(|(name, fault)| (name, fault.map(str::to_owned))));
    }
    fn deed(&self, form: &Form) -> Option<BackUp> {
        let file = PathBuf::from(form.value("file").trim());
        let passphrase = Secret::new(form.exposed("passphrase").to_owned());
        Some(BackUp { home: self.home.clone(), file, passphrase })
    }
    fn took(&self, made: BackedUp, turn: &mut Turn<'_>) {
        turn.push(Made(made));
    }
}

/// Where it lies, and how it is put back.
pub struct Made(BackedUp);

pub const BINDINGS: &[Binding<Made>] = &[
    Binding::new("open", &["enter", "l", "right"], "", "Close", |_, t| t.close()),
    Binding::new("leave", &["q"], "", "Close", |_, t| t.close()),
    Binding::new("close", &["esc", "backspace"], "close", "Close", |_, t| t.close()),
];

fn lines(made: &BackedUp) -> Vec<Line> {
    let file = made.file.display().to_string();
    let mut lines = vec![Line::Text(made.said(), Ink::Good), Line::Blank];
    let named = made.damaged.iter().take(MOST_NAMED);
    lines.extend(named.map(|row| Line::Text(format!("Copied as it stands: {}", visible(row)), Ink::Bad)));
    if made.damaged.len() > MOST_NAMED {
        lines.push(Line::Text(format!("And {} more.", made.damaged.len() - MOST_NAMED), Ink::Bad));
    }
    if !made.damaged.is_empty() {
        lines.push(Line::Text(
            "What rests on damaged rows is denied; portcullis doctor says what to do.".into(),
            Ink::Dim,
        ));
        lines.push(Line::Blank);
    }
    lines.extend(made.manifest.told(&file).map(|told| Line::Text(told, Ink::Text)));
    lines.extend([
        Line::Blank,
        Line::Text(
            format!("Put back with: portcullis --home DIR restore {}", for_shell(&made.file)),
            Ink::Dim,
        ),
        Line::Text("Keep the file on another machine, and the passphrase apart from it.".into(), Ink::Dim),
    ]);
    lines
}

impl Layer for Made {
    fn crumbs(&self) -> Vec<String> {
        vec![TITLE.into()]
    }
    fn actions(&self, setting: &Setting) -> Vec<Action> {
        offer(BINDINGS, self, setting)
    }
    fn perform(&mut self, name: &str, turn: &mut Turn<'_>) {
        carry_out(BINDINGS, self, name, turn);
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let good = canvas.theme().good;
        let lines = lines(&self.0);
        let rows = page::height(&lines, WIDTH.min(area.width).saturating_sub(4));
        let panel = centred(area, WIDTH, rows + 4);
        canvas.blank(panel);
        let frame = canvas.frame(panel, "backed up", good);
        let inside = Rect {
            x: frame.x + 1,
            y: frame.y + 1,
            width: frame.width.saturating_sub(2),
            height: frame.height.saturating_sub(2),
        };
        page::draw(&lines, 0, canvas, inside);
    }
}
