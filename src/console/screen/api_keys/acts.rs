//! What is done to keys: to the marked ones, else to the one under the cursor.

use crate::console::layer::Turn;
use crate::console::overlay::confirm::Confirm;
use crate::console::tally::PurgeDamaged;
use crate::domain::api_key::ApiKey;
use crate::domain::credential::Kind;
use crate::domain::text::counted;

use super::activity::{Activity, CountCalls};
use super::bulk::{Disable, Enable, Revoke};
use super::change::ChangeKeys;
use super::list::Keys;
use super::rotate::RotateKey;

/// What is typed to confirm an act on this key: its name, or the first eight of its id where
/// the name does not say on a keyboard what it shows on the screen, or is a lot to type.
fn typable_name(key: &ApiKey) -> String {
    const MOST: usize = 24;
    let name = key.name.trim();
    let is_plain = name.chars().all(|c| c.is_ascii_graphic() || c == ' ') && !name.contains("  ");
    if is_plain && (1..=MOST).contains(&name.len()) { name.to_owned() } else { key.id.short().to_owned() }
}

impl Keys {
    /// How a notice or a question names the targets.
    fn targets_named(&self) -> String {
        match (self.list.marks.len(), self.selected()) {
            (0, Some(key)) => format!("key {} of {}", key.called(), key.subject),
            (number, _) => counted(number as u64, "marked key"),
        }
    }

    pub(super) fn copy(&mut self, turn: &mut Turn<'_>) {
        if let Some(key) = self.selected() {
            turn.copy(key.id.as_str(), &format!("the id of {}", key.called()));
        } else if let Some(damaged) = self.list.damaged() {
            turn.copy(&damaged.id, "the id of the damaged key");
        }
    }

    pub(super) fn purge_damaged(&mut self, turn: &mut Turn<'_>) {
        let lines = vec![
            "Remove all keys whose rows are damaged?".into(),
            "This is for good. Gateways take none of them as it is; whoever had one needs a new key, unless you put back a \
             copy of the home from your backup."
                .into(),
        ];
        let done = "removed the damaged keys";
        turn.push(Confirm::new("remove damaged keys", lines, "remove", done, |_| PurgeDamaged(Kind::ApiKey)));
    }

    pub(super) fn rotate(&mut self, turn: &mut Turn<'_>) {
        if let Some(key) = self.selected() {
            turn.push(RotateKey::panel(key));
        }
    }

    pub(super) fn change(&mut self, turn: &mut Turn<'_>) {
        let ids = self.list.targets();
        let one = match ids.as_slice() {
            [id] => self.list.held().find(|key| key.id == *id),
            _ => None,
        };
        turn.push(ChangeKeys::panel(ids.clone(), one, self.targets_named()));
    }

    pub(super) fn disable(&mut self, turn: &mut Turn<'_>) {
        let named = self.targets_named();
        let lines = vec![
            format!("Disable {named}?"),
            "Calls are refused from the next one on. `e` enables again.".into(),
        ];
        let ids = self.list.targets();
        // it can be undone: they are named, and their names need not be typed
        let which = CountCalls { ids: ids.clone(), now: turn.now };
        let done = format!("disabled {named}");
        let confirm = Confirm::new("disable", lines, "disable", done, move |_| Disable(ids.clone()));
        turn.push(confirm.counting(which, Activity::which, String::new()));
    }

    pub(super) fn enable(&mut self, turn: &mut Turn<'_>) {
        let named = self.targets_named();
        let lines = vec![
            format!("Enable {named}?"),
            "Calls are taken again from the next one on, with tokens that were got before as well.".into(),
        ];
        let ids = self.list.targets();
        // it can be undone: they are named, and their names need not be typed
        let which = CountCalls { ids: ids.clone(), now: turn.now };
        let done = format!("enabled {named}");
        let confirm = Confirm::new("enable", lines, "enable", done, move |_| Enable(ids.clone()));
        turn.push(confirm.counting(which, Activity::which, String::new()));
    }

    /// Why disabling would do nothing.
    pub(super) fn can_disable(&self) -> Result<(), &'static str> {
        self.unless(|key| match (key.revoked_at, key.disabled) {
            (Some(_), _) => Some("it is revoked, and for good"),
            (None, true) => Some("it is disabled already"),
            (None, false) => None,
        })
    }

    /// Why enabling would do nothing.
    pub(super) fn can_enable(&self) -> Result<(), &'static str> {
        self.unless(|key| match (key.revoked_at, key.disabled) {
            (Some(_), _) => Some("it is revoked, and for good"),
            (None, false) => Some("it is not disabled"),
            (None, true) => None,
        })
    }

    pub(super) fn can_revoke(&self) -> Result<(), &'static str> {
        self.unless(|key| key.revoked_at.map(|_| "it is revoked already, and for good"))
    }

    /// An error where an act would do nothing to the key under the cursor, or to any of those that are marked. What is not
    /// in view may be otherwise.
    fn unless(&self, why: fn(&ApiKey) -> Option<&'static str>) -> Result<(), &'static str> {
        let marks = &self.list.marks;
        if marks.is_empty() {
            return why(self.list.one()?).map_or(Ok(()), Err);
        }
        let marked = self.list.held().filter(|key| marks.contains(&key.id)).map(why);
        match marked.collect::<Option<Vec<_>>>().as_deref() {
            Some([first, rest @ ..]) if rest.len() + 1 == marks.len() => Err(first),
            _ => Ok(()),
        }
    }

    /// Asks before revoking; what was in use wants its name typed.
    pub(super) fn revoke(&mut self, turn: &mut Turn<'_>) {
        let ids = self.list.targets();
        let single = match ids.as_slice() {
            [] => return,
            [id] => self.list.held().find(|key| key.id == *id),
            _ => None,
        };
        let (named, name) = match (single, ids.as_slice()) {
            (Some(key), _) => (format!("key {} of {}", key.called(), key.subject), typable_name(key)),
            (None, [id]) => (format!("key {}", id.short()), id.short().to_owned()),
            (None, ids) => (counted(ids.len() as u64, "key"), counted(ids.len() as u64, "key")),
        };
        let mut lines = vec![
            format!("Revoke {named}?"),
            "This is for good: the next call is refused, and open streams are closed.".into(),
            "Tokens that were got with a key fall with it.".into(),
        ];
        if let Some(key) = single {
            lines.push(format!("id {}", key.id));
        }
        let counting = CountCalls { ids: ids.clone(), now: turn.now };
        let deed = move |reason| Revoke { ids: ids.clone(), reason };
        let done = format!("revoked {named}");
        let confirm = Confirm::new("revoke", lines, "revoke", done, deed);
        turn.push(confirm.counting(counting, Activity::in_use, name).asks_reason());
    }
}
