//! Gives a key a new secret, after asking how long the old one is still taken.

use std::time::Duration;

use crate::console::effect::{Deed, Fault};
use crate::console::layer::Turn;
use crate::console::overlay::secret::SecretPanel;
use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::Form;
use crate::console::widget::panel::{Asks, FormPanel};
use crate::domain::api_key::{ApiKey, KeyId};
use crate::ops::{self, Ctx, api_key::IssuedKey};

const GRACES: [(&str, &str, u64); 3] = [
    ("none", "the old secret is refused at once", 0),
    ("1h", "time to put the new one in place", 3_600),
    ("24h", "", 86_400),
];

/// Gives a key a new secret.
#[derive(Debug)]
pub struct Rotate {
    pub id: KeyId,
    pub grace: Duration,
}

impl Deed for Rotate {
    type Answer = IssuedKey;
    fn carry_out(&self, ctx: &Ctx) -> Result<IssuedKey, Fault> {
        Ok(ops::api_key::rotate(ctx, self.id, self.grace)?)
    }
    fn unclaimed(issued: IssuedKey, turn: &mut Turn<'_>) {
        turn.push(SecretPanel::of_key(issued, turn.now));
    }
}

pub struct RotateKey {
    id: KeyId,
    named: String,
}

impl RotateKey {
    pub fn panel(key: &ApiKey) -> FormPanel<Self> {
        FormPanel::new(Self { id: key.id, named: format!("{} of {}", key.called(), key.subject) })
    }
}

impl Asks for RotateKey {
    type From = ();
    type Deed = Rotate;
    const TITLE: &'static str = "rotate";
    const CRUMB: &'static str = "rotate";
    const WIDTH: u16 = 70;
    fn about(&self, _form: Option<&Form>) -> Option<String> {
        Some(format!("A new secret for {}. The id stays.", self.named))
    }
    fn form(&self, (): &()) -> Form {
        let graces = GRACES.iter().map(|(value, about, _)| Choice::new(*value, *about)).collect();
        let help = "how long the old secret is taken beside the new one";
        Form::new("rotate", vec![Field::choice("grace", "grace", help, graces, "none")])
    }
    fn deed(&self, form: &Form) -> Option<Rotate> {
        let chosen = form.value("grace");
        let seconds = GRACES.iter().find(|(value, ..)| *value == chosen).map_or(0, |(.., seconds)| *seconds);
        Some(Rotate { id: self.id, grace: Duration::from_secs(seconds) })
    }
    fn took(&self, issued: IssuedKey, turn: &mut Turn<'_>) {
        turn.done(format!("rotated {}", self.named));
        turn.push(SecretPanel::of_key(issued, turn.now));
    }
}
