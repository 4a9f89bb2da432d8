//! A panel that asks: what its form chooses from comes, the fields are judged as they are typed, the deed is done, and what came
//! of it is taken.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::form::{Form, Panel, Said};
use crate::console::canvas::Canvas;
use crate::console::effect::{Deed, Effect, Question, Reply, Ticket};
use crate::console::held::Held;
use crate::console::layer::{Layer, Turn, Wish, is_for_all};

/// What such a panel is to ask.
pub trait Asks: 'static {
    /// What its fields choose from.
    type From: Send + 'static;
    type Deed: Deed;
    const TITLE: &'static str;
    /// Where one is, in the header.
    const CRUMB: &'static str;
    /// In cells, where there are so many.
    const WIDTH: u16 = 78;
    /// Whether it stands, and nothing in it changes, until its deed has ended: `esc` cancels that.
    const STANDS: bool = false;
    /// What is said above the form, in its state.
    fn about(&self, _form: Option<&Form>) -> Option<String> {
        None
    }
    fn form(&self, from: &Self::From) -> Form;
    /// Judges every field as it stands.
    fn check(&self, _form: &mut Form) {}
    /// What the form says; `None` where a field is wrong.
    fn deed(&self, form: &Form) -> Option<Self::Deed>;
    /// Why a deed is not done though no field is wrong.
    fn refuses(&self, _deed: &Self::Deed) -> Option<&'static str> {
        None
    }
    /// It is done, and the panel is closed.
    fn took(&self, answer: <Self::Deed as Deed>::Answer, turn: &mut Turn<'_>);
}

type Opening<T> = Box<dyn FnOnce(&mut Held<T>, &mut Turn<'_>)>;

pub struct FormPanel<A: Asks> {
    asks: A,
    /// Asks for what there is to choose from.
    opening: Option<Opening<A::From>>,
    from: Held<A::From>,
    form: Option<Form>,
    sent: Held<<A::Deed as Deed>::Answer>,
}

impl<A: Asks> FormPanel<A> {
    /// Whose fields choose from what answers `question`.
    pub fn choosing(asks: A, question: impl Question<Answer = A::From>) -> Self {
        let opening: Opening<A::From> = Box::new(|from, turn| from.ask(question, turn));
        Self { asks, opening: Some(opening), from: Held::default(), form: None, sent: Held::default() }
    }

    fn begin(&mut self, from: &A::From) {
        let mut form = self.asks.form(from);
        self.asks.check(&mut form);
        self.form = Some(form);
    }

    fn submit(&mut self, turn: &mut Turn<'_>) {
        let Some(form) = self.form.as_mut().filter(|_| !self.sent.is_waiting()) else { return };
        self.asks.check(form);
        let Some(deed) = self.asks.deed(form).filter(|_| form.is_right()) else { return form.show_faults() };
        form.fault = self.asks.refuses(&deed).map(str::to_owned);
        if form.fault.is_none() {
            form.busy = true;
            self.sent.act(deed, turn);
        }
    }
}

impl<A: Asks<From = ()>> FormPanel<A> {
    /// Whose fields choose from nothing that the store has.
    pub fn new(asks: A) -> Self {
        let mut panel =
            Self { asks, opening: None, from: Held::default(), form: None, sent: Held::default() };
        panel.begin(&());
        panel
    }
}

impl<A: Asks> Layer for FormPanel<A> {
    fn crumbs(&self) -> Vec<String> {
        vec![A::CRUMB.into()]
    }
    fn enter(&mut self, turn: &mut Turn<'_>) {
        if let Some(ask) = self.opening.take() {
            ask(&mut self.from, turn);
        }
    }
    fn input(&mut self, key: KeyEvent, turn: &mut Turn<'_>) -> bool {
        if is_for_all(key) {
            return false;
        }
        let Some(form) = &mut self.form else {
            if key.code == KeyCode::Esc {
                turn.close();
            }
            return true;
        };
        if let Some(act) = self.sent.waits_for().filter(|_| A::STANDS) {
            if key.code == KeyCode::Esc {
                turn.wishes.push(Wish::Do(Effect::Cancel(act)));
            }
            return true;
        }
        match form.key(key) {
            Said::Submit => self.submit(turn),
            Said::Cancel => turn.close(),
            Said::Changed => self.asks.check(form),
            Said::Taken | Said::Nothing => {}
        }
        true
    }
    fn waits(&self, _name: Option<&str>) -> bool {
        self.form.is_none() && self.from.is_waiting()
    }
    fn paste(&mut self, text: &str, _turn: &mut Turn<'_>) {
        let stands = A::STANDS && self.sent.is_waiting();
        if let Some(form) = self.form.as_mut().filter(|_| !stands) {
            form.paste(text);
            self.asks.check(form);
        }
    }
    fn awaits(&self, act: Ticket) -> bool {
        self.sent.awaits(act)
    }
    fn reply(&mut self, reply: &mut Reply, turn: &mut Turn<'_>) {
        if self.from.settle(reply)
            && let Some(from) = self.from.value.take()
        {
            self.begin(&from);
        }
        match self.sent.take(reply) {
            Some(Ok(answer)) => {
                turn.close();
                self.asks.took(answer, turn);
            }
            Some(Err(fault)) => {
                if let Some(form) = &mut self.form {
                    form.failed(Some(fault.message));
                }
            }
            None => {}
        }
    }
    fn hints(&self) -> Vec<(&'static str, &'static str)> {
        self.form.as_ref().map(Form::hints).unwrap_or_default()
    }
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let form = self.form.as_ref();
        let about = self.asks.about(form);
        let fault = self.from.fault.as_ref().map(|fault| fault.message.as_str());
        let style = canvas.theme().accent;
        let panel = Panel { title: A::TITLE, style, width: A::WIDTH, about: about.as_deref() };
        panel.draw(form, fault, canvas, area);
    }
}
