//! A form: fields under one another, and two buttons. Faults stand beside their fields, and
//! nothing that was typed is lost by a refusal.

mod draw;
mod panel;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::field::{Field, Kind, Took};

pub use panel::Panel;

#[derive(Debug)]
pub struct Form {
    pub fields: Vec<Field>,
    /// A field's place; then the submit button, then the cancel button.
    focus: usize,
    submit: &'static str,
    has_buttons: bool,
    /// Why the last attempt failed.
    pub fault: Option<String>,
    /// Why the last key did nothing.
    note: Option<String>,
    /// An attempt is under way: no second one is made.
    pub busy: bool,
    changed: bool,
    /// What is said to the first wish to leave it once it was changed; only the second in a row leaves.
    unsaved: Option<&'static str>,
    sure: bool,
}

/// What a key meant for the form as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Changed,
    Submit,
    Cancel,
    Taken,
    Nothing,
}

impl Form {
    pub fn new(submit: &'static str, fields: Vec<Field>) -> Self {
        let focus = fields.iter().position(|field| !field.hidden).unwrap_or(0);
        Self {
            fields,
            focus,
            submit,
            has_buttons: true,
            fault: None,
            note: None,
            busy: false,
            changed: false,
            unsaved: None,
            sure: false,
        }
    }

    /// A form that is not left with what was typed before `unsaved` has been said.
    pub fn holding(mut self, unsaved: &'static str) -> Self {
        self.unsaved = Some(unsaved);
        self
    }

    /// A form that is judged as it is typed and has nothing to submit.
    pub fn without_buttons(mut self) -> Self {
        self.has_buttons = false;
        self
    }

    /// The attempt failed, for the reason that is known: what was typed stays, and another may be made.
    pub fn failed(&mut self, fault: Option<String>) {
        (self.busy, self.fault) = (false, fault);
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub fn field_mut(&mut self, name: &str) -> Option<&mut Field> {
        self.fields.iter_mut().find(|field| field.name == name)
    }

    pub fn value(&self, name: &str) -> &str {
        self.field(name).map_or("", Field::value)
    }

    /// What was typed into a field that does not show it.
    pub fn exposed(&self, name: &str) -> &str {
        self.field(name).map_or("", Field::exposed)
    }

    /// What is wrong with these fields as they stand.
    pub fn judge<const N: usize>(&mut self, faults: [(&str, Option<String>); N]) {
        for (name, fault) in faults {
            if let Some(field) = self.field_mut(name) {
                field.error = fault;
            }
        }
    }

    /// Whether the field counts for nothing as the others stand, and is not shown.
    pub fn hide(&mut self, name: &str, hidden: bool) {
        if let Some(field) = self.field_mut(name) {
            field.hidden = hidden;
        }
    }

    /// Whether no field is wrong.
    pub fn is_right(&self) -> bool {
        self.fields.iter().all(|field| field.hidden || field.error.is_none())
    }

    /// Shows every fault and goes to the first: what an attempt to submit a wrong form does.
    pub fn show_faults(&mut self) {
        for field in &mut self.fields {
            field.touched = true;
        }
        if let Some(wrong) = self.fields.iter().position(|field| !field.hidden && field.error.is_some()) {
            self.focus = wrong;
        }
    }

    fn go(&mut self, forward: bool) {
        if let Some(field) = self.fields.get_mut(self.focus) {
            field.leave();
        }
        let places = self.fields.len() + if self.has_buttons { 2 } else { 0 };
        for _ in 0..places {
            self.focus = if forward { (self.focus + 1) % places } else { (self.focus + places - 1) % places };
            if self.fields.get(self.focus).is_none_or(|field| !field.hidden) {
                return;
            }
        }
    }

    fn on_submit(&self) -> bool {
        self.focus == self.fields.len()
    }

    fn on_cancel(&self) -> bool {
        self.focus == self.fields.len() + 1
    }

    pub fn paste(&mut self, text: &str) -> Said {
        let Some(field) = self.fields.get_mut(self.focus) else { return Said::Nothing };
        if let Err(why) = field.paste(text) {
            self.note = Some(why.into());
            return Said::Nothing;
        }
        self.changed = true;
        Said::Changed
    }

    pub fn key(&mut self, key: KeyEvent) -> Said {
        self.note = None;
        match (self.take(key), self.unsaved) {
            (Said::Cancel, Some(unsaved)) if self.changed && !self.sure => {
                self.sure = true;
                self.fault = Some(unsaved.into());
                Said::Taken
            }
            (said @ (Said::Submit | Said::Cancel), _) => said,
            (said, _) => {
                self.sure = false;
                if let (Said::Nothing, KeyCode::Char(c)) = (said, key.code) {
                    self.note = Some(self.unused(c));
                }
                said
            }
        }
    }

    /// Why a character was not taken: nothing that is typed goes without a word.
    fn unused(&self, c: char) -> String {
        match self.fields.get(self.focus).map(|field| &field.kind) {
            Some(Kind::Hours { .. }) => {
                format!("`{c}` is no hour: ← → go to one, space lets it in or not; a all, w 8–18, x none")
            }
            Some(_) => format!("`{c}` was not taken: the field holds no more"),
            None => format!("`{c}` goes nowhere: the focus is on a button, and ↑ leads back to the fields"),
        }
    }

    /// What is said at the lower edge, and whether an attempt failed.
    fn said(&self) -> Option<(&str, bool)> {
        let fault = self.fault.as_deref().map(|fault| (fault, true));
        self.note.as_deref().map(|note| (note, false)).or(fault)
    }

    /// Why nothing goes on from the field in focus: what was typed there has been taken for nothing.
    fn stuck(&self) -> Option<String> {
        let field = self.fields.get(self.focus)?;
        let typed = field.unfit()?;
        let other = if field.offers("other") { "; `other` takes any" } else { "" };
        Some(format!("`{typed}` fits none: take it back, or choose with ← →{other}"))
    }

    fn take(&mut self, key: KeyEvent) -> Said {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let goes_on = matches!(
            key.code,
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Enter | KeyCode::Up | KeyCode::Down
        ) || (key.code == KeyCode::Char('s') && control && self.has_buttons);
        if let Some(why) = self.stuck().filter(|_| goes_on) {
            self.note = Some(why);
            return Said::Taken;
        }
        match key.code {
            KeyCode::Char('s') if control && self.has_buttons => return Said::Submit,
            KeyCode::Esc => return Said::Cancel,
            KeyCode::Enter if self.on_submit() => return Said::Submit,
            KeyCode::Enter if self.on_cancel() => return Said::Cancel,
            _ => {}
        }
        let on_button = self.focus >= self.fields.len();
        if let Some(field) = self.fields.get_mut(self.focus) {
            let inside = match key.code {
                KeyCode::Down => field.keeps_arrows(true),
                KeyCode::Up => field.keeps_arrows(false),
                _ => true,
            };
            if inside {
                match field.key(key) {
                    Took::Changed => {
                        self.changed = true;
                        self.fault = None;
                        return Said::Changed;
                    }
                    Took::Moved => return Said::Taken,
                    Took::Nothing => {}
                }
            }
        }
        match key.code {
            KeyCode::Tab | KeyCode::Down | KeyCode::Enter => self.go(true),
            KeyCode::BackTab | KeyCode::Up => self.go(false),
            KeyCode::Right if on_button => self.go(true),
            KeyCode::Left if on_button => self.go(false),
            _ => return Said::Nothing,
        }
        Said::Taken
    }

    pub fn hints(&self) -> Vec<(&'static str, &'static str)> {
        let mut hints = vec![("⇥ ↓", "next")];
        match self.fields.get(self.focus).map(|field| &field.kind) {
            Some(Kind::Choice { .. }) => hints.extend([("← →", "choose"), ("type", "to find")]),
            Some(Kind::Many { .. }) => hints.extend([("space", "pick"), ("type", "to narrow")]),
            Some(Kind::Hours { .. }) => {
                hints.extend([("space", "toggle"), ("a", "all"), ("w", "8–18"), ("x", "none")]);
            }
            Some(Kind::Text { suggest: Some(_), .. }) => hints.push(("→", "take suggestion")),
            _ => {}
        }
        if self.has_buttons {
            hints.extend([("ctrl-s", self.submit), ("esc", "cancel")]);
        } else {
            hints.push(("esc", "close"));
        }
        hints
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::Choice;
    use super::*;

    fn press(form: &mut Form, code: KeyCode) -> Said {
        form.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn form() -> Form {
        let letters = || vec![Choice::new("a", ""), Choice::new("b", "")];
        Form::new(
            "save",
            vec![
                Field::text("name", "name", "", ""),
                Field::choice("one", "one", "", letters(), "b"),
                Field::many("some", "some", "", letters(), &[]),
                Field::hours("hours", "hours", "", 0..24),
            ],
        )
    }

    #[test]
    fn keys_go_to_the_focused_field() {
        let mut form = form();
        assert_eq!(press(&mut form, KeyCode::Char('q')), Said::Changed);
        press(&mut form, KeyCode::Tab);
        press(&mut form, KeyCode::Right);
        press(&mut form, KeyCode::Tab);
        press(&mut form, KeyCode::Down);
        press(&mut form, KeyCode::Char(' '));
        press(&mut form, KeyCode::Down);
        press(&mut form, KeyCode::Char(' '));
        assert_eq!(form.value("name"), "q");
        assert_eq!(form.value("one"), "a");
        assert_eq!(form.field("some").unwrap().values(), ["b"]);
        assert_eq!(form.field("hours").unwrap().hours_allowed(), (1..24).collect::<Vec<_>>());
    }

    #[test]
    fn enter_submits_only_on_the_button_and_escape_never_does() {
        let mut form = form();
        assert_eq!(press(&mut form, KeyCode::Enter), Said::Taken);
        assert_eq!(press(&mut form, KeyCode::Esc), Said::Cancel);
        for _ in 0..3 {
            press(&mut form, KeyCode::Tab);
        }
        assert_eq!(press(&mut form, KeyCode::Enter), Said::Submit);
        press(&mut form, KeyCode::Right);
        assert_eq!(press(&mut form, KeyCode::Enter), Said::Cancel);
        let save = KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL);
        assert_eq!(form.key(save), Said::Submit);
    }

    #[test]
    fn a_paste_goes_into_text_on_one_line_and_nowhere_else() {
        let mut form = form();
        assert_eq!(form.paste("10.0.0.0/8\n10.1.0.0/16\n"), Said::Changed);
        assert_eq!(form.value("name"), "10.0.0.0/8 10.1.0.0/16");
        press(&mut form, KeyCode::Tab);
        assert_eq!(form.paste("q"), Said::Nothing);
    }
}
