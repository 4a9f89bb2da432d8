//! Which keys do what: names bound to chords and sequences of chords.
//!
//! The tables of bindings say the defaults, which `assets/keymap.toml` shows to people; `keymap.toml` in the home overrides them
//! name by name. A line that cannot be read or that would shadow another binding is left out and reported.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crokey::{KeyCombination, KeyCombinationFormat, OneToThree};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use toml::{Spanned, Value};

use crate::domain::text::nearest;

/// Chords pressed one after another: `g`, or `g k`.
pub type Sequence = Vec<KeyCombination>;

/// A name that is bound, and the keys that it has unless the operator says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    pub name: &'static str,
    pub keys: &'static [&'static str],
}

/// What the keys pressed so far mean.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Name(&'static str),
    /// More keys may follow: what each would do.
    Prefix(Vec<(String, &'static str)>),
    Nothing,
}

/// Two names that are live together, and whose keys clash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    one: (Sequence, &'static str),
    other: (Sequence, &'static str),
}

impl Conflict {
    /// The two, by the order of their names.
    fn names(&self) -> [&'static str; 2] {
        let mut names = [self.one.1, self.other.1];
        names.sort_unstable();
        names
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, other) = if self.one.0.len() <= self.other.0.len() {
            (&self.one, &self.other)
        } else {
            (&self.other, &self.one)
        };
        let ((keys, name), (longer, hidden)) = (one, other);
        if keys == longer {
            let [name, other] = self.names();
            return write!(f, "{} is the key of both `{name}` and `{other}`", say(keys));
        }
        write!(f, "{} of `{name}` would hide {} of `{hidden}`", say(keys), say(longer))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keymap {
    bound: HashMap<String, Vec<Sequence>>,
}

impl Keymap {
    /// The keys that the tables themselves say. `contexts` are the names that are live together.
    pub fn of(contexts: &[Vec<Bound>]) -> Result<Self, String> {
        let mut map = Self::default();
        for Bound { name, keys } in contexts.iter().flatten() {
            map.bound
                .insert((*name).to_owned(), keys.iter().map(|key| parse(key)).collect::<Result<_, _>>()?);
        }
        Ok(map)
    }

    /// Lays the operator's own lines over the defaults, all at once, so that keys can be exchanged. What is wrong with the
    /// lines comes back, one sentence each, with its line and what mends it.
    pub fn overlay(&mut self, text: &str, contexts: &[Vec<Bound>]) -> Vec<String> {
        let lines = match read(text) {
            Ok(lines) => lines,
            Err(error) => return vec![error],
        };
        let mut wrong = Vec::new();
        let mut before = BTreeMap::new();
        for (name, Line { number, sequences }) in lines {
            let mut known = contexts.iter().flatten().map(|bound| bound.name);
            if !known.any(|known| known == name) {
                let all = contexts.iter().flatten().map(|bound| bound.name);
                let mend = match nearest(all, &name) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => "remove the line; `?` lists the names".into(),
                };
                wrong.push(format!("keymap.toml, line {number}: there is nothing called `{name}`; {mend}"));
                continue;
            }
            match sequences {
                Ok(sequences) => {
                    let replaced = self.bound.insert(name.clone(), sequences);
                    before.insert(name, (number, replaced));
                }
                Err(error) => wrong.push(format!("keymap.toml, line {number}: `{name}`: {error}")),
            }
        }
        // Of two lines that clash the later one by name is left out; a default never is.
        while let Some((conflict, name)) = self.conflicts(contexts).into_iter().rev().find_map(|conflict| {
            let own = conflict.names().into_iter().rev().find(|name| before.contains_key(*name))?;
            Some((conflict, own))
        }) {
            let Some((number, replaced)) = before.remove(name) else { break };
            match replaced {
                Some(replaced) => self.bound.insert(name.to_owned(), replaced),
                None => self.bound.remove(name),
            };
            wrong.push(format!(
                "keymap.toml, line {number}: `{name}` is left as it was: {conflict}; give it another key"
            ));
        }
        wrong
    }

    /// Keys that would do two things, or that hide a longer sequence.
    pub fn conflicts(&self, contexts: &[Vec<Bound>]) -> Vec<Conflict> {
        let mut found = Vec::new();
        for context in contexts {
            let mut seen: Vec<(&Sequence, &'static str)> = Vec::new();
            for &Bound { name, .. } in context {
                for sequence in self.sequences(name) {
                    let clash = seen.iter().find(|(other, owner)| {
                        *owner != name && (other.starts_with(sequence) || sequence.starts_with(other))
                    });
                    if let Some((other, owner)) = clash {
                        found.push(Conflict {
                            one: ((*other).clone(), owner),
                            other: (sequence.clone(), name),
                        });
                    }
                    seen.push((sequence, name));
                }
            }
        }
        found
    }

    fn sequences(&self, name: &str) -> &[Sequence] {
        self.bound.get(name).map_or(&[], Vec::as_slice)
    }

    /// What `pressed` means among `names`, of which earlier ones go before later ones.
    pub fn find(&self, pressed: &[KeyCombination], names: &[&'static str]) -> Found {
        let mut further = Vec::new();
        for &name in names {
            for sequence in self.sequences(name) {
                if sequence == pressed {
                    return Found::Name(name);
                }
                if let Some(rest) = sequence.strip_prefix(pressed).filter(|rest| !rest.is_empty()) {
                    further.push((say(rest), name));
                }
            }
        }
        if further.is_empty() { Found::Nothing } else { Found::Prefix(further) }
    }

    /// The first key of `name` for a hint; empty where it has none.
    pub fn hint(&self, name: &str) -> String {
        self.sequences(name).first().map(|sequence| say(sequence)).unwrap_or_default()
    }

    /// All keys of `name`.
    pub fn all(&self, name: &str) -> String {
        self.sequences(name).iter().map(|sequence| say(sequence)).collect::<Vec<_>>().join(" ")
    }
}

/// A line of the operator's.
struct Line {
    number: usize,
    sequences: Result<Vec<Sequence>, String>,
}

fn read(text: &str) -> Result<BTreeMap<String, Line>, String> {
    let number = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let lines: BTreeMap<Spanned<String>, Value> = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let what = match (error.message(), text.get(span.clone())) {
            ("duplicate key", Some(name)) => format!("{name} stands there twice; keep one of the two lines"),
            (message, _) => format!("it cannot be read: {message}"),
        };
        format!("keymap.toml, line {}: {what}; until then the default keys hold", number(span.start))
    })?;
    let line = |(name, keys): (Spanned<String>, Value)| {
        let number = number(name.span().start);
        let sequences = match keys {
            Value::String(text) => parse(&text).map(|sequence| vec![sequence]),
            Value::Array(texts) => {
                texts.iter().map(|text| parse(text.as_str().ok_or_else(unquoted)?)).collect()
            }
            _ => Err(unquoted()),
        };
        (name.into_inner(), Line { number, sequences })
    };
    Ok(lines.into_iter().map(line).collect())
}

fn unquoted() -> String {
    "a key stands between quotes, and several between brackets: [\"j\", \"down\"]".to_owned()
}

fn parse(text: &str) -> Result<Sequence, String> {
    let sequence = text.split_whitespace().map(parse_chord).collect::<Result<Sequence, _>>()?;
    if sequence.is_empty() { Err("a key cannot be empty".into()) } else { Ok(sequence) }
}

fn parse_chord(text: &str) -> Result<KeyCombination, String> {
    let mut letters = text.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return Ok(normal(KeyCombination::one_key(KeyCode::Char(letter), KeyModifiers::NONE)));
    }
    crokey::parse(text)
        .map(normal)
        .map_err(|_| format!("`{text}` is no key; write it as `r`, `R`, `ctrl-p`, `f5`, `pagedown` or `g k`"))
}

/// The chord of a key event, in the form that bindings have.
pub fn chord(event: KeyEvent) -> KeyCombination {
    normal(KeyCombination::from(event))
}

/// Terminals differ in whether `?` and a tab backwards come with shift; a letter's case says it already.
fn normal(chord: KeyCombination) -> KeyCombination {
    let chord = chord.normalized();
    match chord.codes {
        OneToThree::One(code @ KeyCode::Char(letter)) if !letter.is_alphabetic() => {
            KeyCombination::one_key(code, chord.modifiers - KeyModifiers::SHIFT)
        }
        OneToThree::One(KeyCode::BackTab) => {
            KeyCombination::one_key(KeyCode::BackTab, chord.modifiers - KeyModifiers::SHIFT)
        }
        _ => chord,
    }
}

/// A sequence of keys as people write it.
pub fn say(sequence: &[KeyCombination]) -> String {
    let format = KeyCombinationFormat::default().with_lowercase_modifiers().with_implicit_shift();
    sequence
        .iter()
        .map(|chord| match chord.codes {
            OneToThree::One(KeyCode::Enter) if chord.modifiers.is_empty() => "⏎".into(),
            OneToThree::One(KeyCode::Tab) if chord.modifiers.is_empty() => "⇥".into(),
            OneToThree::One(KeyCode::Up) if chord.modifiers.is_empty() => "↑".into(),
            OneToThree::One(KeyCode::Down) if chord.modifiers.is_empty() => "↓".into(),
            OneToThree::One(KeyCode::Left) if chord.modifiers.is_empty() => "←".into(),
            OneToThree::One(KeyCode::Right) if chord.modifiers.is_empty() => "→".into(),
            OneToThree::One(KeyCode::Char(' ')) if chord.modifiers.is_empty() => "space".into(),
            OneToThree::One(KeyCode::Char(_)) => format.to_string(*chord),
            _ => format.to_string(*chord).to_lowercase(),
        })
        .collect::<Vec<String>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(text: &str) -> Sequence {
        parse(text).unwrap()
    }

    fn bound(names: &[&'static str]) -> Vec<Bound> {
        names.iter().map(|name| Bound { name, keys: &[] }).collect()
    }

    #[test]
    fn chords_are_read_and_said_alike() {
        for text in ["r", "R", "ctrl-p", "?", "space", "pagedown", "g k", "f5", "/"] {
            assert_eq!(say(&press(text)), text);
        }
        assert_eq!(say(&press("enter")), "⏎");
        assert!(parse("hyper-x").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn events_meet_their_bindings_whatever_the_terminal_says_of_shift() {
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            assert_eq!([chord(KeyEvent::new(KeyCode::Char('?'), modifiers))], press("?")[..]);
            assert_eq!([chord(KeyEvent::new(KeyCode::Char('R'), modifiers))], press("R")[..]);
            assert_eq!([chord(KeyEvent::new(KeyCode::BackTab, modifiers))], press("backtab")[..]);
        }
        assert_ne!([chord(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::NONE))], press("R")[..]);
    }

    #[test]
    fn a_sequence_waits_for_its_second_key() {
        let mut map = Keymap::default();
        map.bound.insert("go.keys".into(), vec![press("g k")]);
        map.bound.insert("quit".into(), vec![press("q")]);
        let names = ["go.keys", "quit"];
        assert_eq!(map.find(&press("g"), &names), Found::Prefix(vec![("k".into(), "go.keys")]));
        assert_eq!(map.find(&press("g k"), &names), Found::Name("go.keys"));
        assert_eq!(map.find(&press("g x"), &names), Found::Nothing);
    }

    #[test]
    fn own_keys_override_and_conflicts_are_reported_and_left_out() {
        let mut map = Keymap::default();
        map.bound.insert("key.rotate".into(), vec![press("r")]);
        map.bound.insert("key.revoke".into(), vec![press("R")]);
        let contexts = [bound(&["key.rotate", "key.revoke"])];

        assert!(map.overlay("\"key.rotate\" = [\"o\", \"f5\"]", &contexts).is_empty());
        assert_eq!(map.all("key.rotate"), "o f5");

        let wrong = map.overlay("\n\"key.revoke\" = \"o\"\n\"key.sing\" = \"x\"", &contexts);
        assert_eq!(
            wrong,
            [
                "keymap.toml, line 3: there is nothing called `key.sing`; remove the line; `?` lists the names",
                "keymap.toml, line 2: `key.revoke` is left as it was: o is the key of both `key.revoke` and \
                 `key.rotate`; give it another key",
            ]
        );
        assert_eq!(map.all("key.revoke"), "R");

        let one = |line: &str| match &Keymap::default().overlay(line, &contexts)[..] {
            [told] => told.clone(),
            other => panic!("{other:?}"),
        };
        assert!(one("\"key.revok\" = \"x\"").ends_with("did you mean `key.revoke`?"));
        assert!(one("\n\nnot toml").starts_with("keymap.toml, line 3: it cannot be read: "));
        let twice = "\"key.revoke\" = \"x\"\n\"key.revoke\" = \"y\"";
        assert_eq!(
            one(twice),
            "keymap.toml, line 2: \"key.revoke\" stands there twice; keep one of the two lines; until then the default \
             keys hold"
        );
        assert!(one("\"key.revoke\" = 7").contains("line 1: `key.revoke`: a key stands between quotes"));
        assert!(one("\"key.revoke\" = [7]").contains("between quotes"));
        assert!(one("\"key.revoke\" = \"hyper-x\"").contains("`hyper-x` is no key"));
    }

    #[test]
    fn keys_can_be_exchanged_and_what_clashes_is_named_from_both_sides() {
        let map = || {
            let mut map = Keymap::default();
            for (name, keys) in [("key.rotate", "r"), ("key.revoke", "R"), ("key.set", "c")] {
                map.bound.insert(name.into(), vec![press(keys)]);
            }
            map
        };
        let contexts = [bound(&["key.rotate", "key.revoke", "key.set"])];
        let mut exchanged = map();
        assert_eq!(exchanged.overlay("\"key.rotate\" = \"R\"\n\"key.revoke\" = \"r\"", &contexts), [""; 0]);
        assert_eq!((exchanged.all("key.rotate"), exchanged.all("key.revoke")), ("R".into(), "r".into()));

        // The one whose key was given away goes back to it, and so the other cannot have it either.
        let mut chained = map();
        let told = chained.overlay("\"key.rotate\" = \"R\"\n\"key.revoke\" = \"c\"", &contexts);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("c is the key of both `key.revoke` and `key.set`"), "{told:?}");
        assert!(told[1].contains("R is the key of both `key.revoke` and `key.rotate`"), "{told:?}");
        assert_eq!((chained.all("key.rotate"), chained.all("key.revoke")), ("r".into(), "R".into()));

        let mut hidden = map();
        let told = hidden.overlay("\"key.set\" = \"r x\"", &contexts);
        assert!(
            told[0].contains("`key.set` is left as it was: r of `key.rotate` would hide r x of `key.set`"),
            "{told:?}"
        );
        assert_eq!(hidden.all("key.set"), "c");
    }
}
