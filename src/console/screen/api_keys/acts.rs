//! What is done to keys: to the marked ones, else to the one under the cursor.

use crate::console::effect::{Answer, Deed, Query, Topic};
use crate::console::layer::Turn;
use crate::console::overlay::confirm::{Confirm, Counted, Counting};
use crate::domain::api_key::ApiKey;

use super::change::ChangeKeys;
use super::list::{Keys, short_id, short_name};
use super::rotate::RotateKey;

/// What is typed to confirm an act on this key: its name, or the first eight of its id where
/// the name does not say on a keyboard what it shows on the screen, or is a lot to type.
fn typable_name(key: &ApiKey) -> String {
    const MOST: usize = 24;
    let name = key.name.trim();
    let is_plain = name.chars().all(|c| c.is_ascii_graphic() || c == ' ') && !name.contains("  ");
    if is_plain && (1..=MOST).contains(&name.len()) { name.to_owned() } else { short_id(&key.id).to_owned() }
}

impl Keys {
    /// How a notice or a question names the targets.
    fn targets_named(&self) -> String {
        match (self.list.marks.len(), self.selected()) {
            (0, Some(key)) => format!("key {} of {}", short_name(key), key.subject),
            (1, _) => "1 marked key".into(),
            (number, _) => format!("{number} marked keys"),
        }
    }

    pub(super) fn copy(&mut self, turn: &mut Turn<'_>) {
        if let Some(key) = self.selected() {
            turn.copy(key.id.as_str(), &format!("the id of {}", short_name(key)));
        }
    }

    pub(super) fn rotate(&mut self, turn: &mut Turn<'_>) {
        if let Some(key) = self.selected() {
            turn.push(RotateKey::new(key));
        }
    }

    pub(super) fn change(&mut self, turn: &mut Turn<'_>) {
        let ids = self.list.targets();
        let one = match ids.as_slice() {
            [id] => self.list.held().iter().find(|key| key.id == *id),
            _ => None,
        };
        turn.push(ChangeKeys::new(ids.clone(), one, self.targets_named()));
    }

    pub(super) fn disable(&mut self, turn: &mut Turn<'_>) {
        let named = self.targets_named();
        let lines = vec![
            format!("Disable {named}?"),
            "Its calls are refused from the next one on. `e` enables it again.".into(),
        ];
        let deed = Deed::DisableKeys(self.list.targets());
        turn.push(Confirm::new("disable", lines, "disable", format!("disabled {named}"), deed));
    }

    pub(super) fn enable(&mut self, turn: &mut Turn<'_>) {
        let ticket = turn.act(Deed::EnableKeys(self.list.targets()));
        self.deed.wait_for(ticket);
    }

    /// Asks before revoking; what was in use wants its name typed.
    pub(super) fn revoke(&mut self, turn: &mut Turn<'_>) {
        let ids = self.list.targets();
        let single = match ids.as_slice() {
            [] => return,
            [id] => self.list.held().iter().find(|key| key.id == *id),
            _ => None,
        };
        let (named, name) = match (single, ids.as_slice()) {
            (Some(key), _) => (format!("key {} of {}", short_name(key), key.subject), typable_name(key)),
            (None, [id]) => (format!("key {}", short_id(id)), short_id(id).to_owned()),
            (None, ids) => (format!("{} keys", ids.len()), format!("{} keys", ids.len())),
        };
        let mut lines = vec![
            format!("Revoke {named}?"),
            "This is for good: the next call is refused, and open streams are closed.".into(),
            "Tokens that were got with it fall with it.".into(),
        ];
        if let Some(key) = single {
            lines.push(format!("id {}", key.id));
        }
        let counting = Counting {
            topic: Topic::KeyActivity,
            query: Query::KeyActivity { ids: ids.clone(), now: turn.now },
            read: |answer| match answer {
                Answer::KeyActivity(calls) => Some(Counted { calls, ..Counted::default() }),
                _ => None,
            },
            name,
        };
        let deed = Deed::RevokeKeys { ids, reason: String::new() };
        let done = format!("revoked {named}");
        turn.push(Confirm::new("revoke", lines, "revoke", done, deed).counting(counting).asks_reason());
    }
}
