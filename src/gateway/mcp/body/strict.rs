//! JSON values read for their form: no key twice in an object, nothing too deep.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deeper nesting is refused.
const DEPTH: u8 = 64;

/// A text that borrows where it can.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// The keys of one object, to refuse a second of a name.
#[derive(Default)]
pub struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    /// Up to here a walk is cheaper than a hash, and no object can be made quadratic.
    const FEW: usize = 16;

    /// Takes a key; an error where the object has it already.
    pub fn add<E: Error>(&mut self, key: Cow<'a, str>) -> Result<(), E> {
        let known = if self.many.is_empty() { self.few.contains(&key) } else { self.many.contains(&key) };
        if known {
            return Err(E::custom("an object has the same key twice"));
        }
        if self.few.len() < Self::FEW {
            self.few.push(key);
            return Ok(());
        }
        if self.many.is_empty() {
            self.many.extend(self.few.iter().cloned());
        }
        self.many.insert(key);
        Ok(())
    }
}

/// Whether `key` is another spelling of `known`, which is ASCII, to a parser that folds case.
pub fn is_lookalike(key: &str, known: &str) -> bool {
    if key.is_ascii() {
        return key != known && key.eq_ignore_ascii_case(known);
    }
    // The Kelvin sign and the long s fold to ASCII letters.
    let folded = |text: &str| -> Vec<char> {
        text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
    };
    // A letter of three bytes at most folds to one of a single byte.
    key.len() <= 3 * known.len() && folded(key) == folded(known)
}

/// A value that counts only where it is a text.
pub enum Scalar<'a> {
    Text(Cow<'a, str>),
    Other,
}
impl<'a> Scalar<'a> {
    pub fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other => None,
        }
    }
}
/// Reads a [`Scalar`]. `depth` as in [`Strict`].
pub struct MaybeText {
    pub depth: u8,
}

impl<'de> DeserializeSeed<'de> for MaybeText {
    type Value = Scalar<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! scalars {
    ($value:expr; $($visit:ident: $type:ty),*) => {
        $(fn $visit<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok($value)
        })*
    };
}

impl<'de> Visitor<'de> for MaybeText {
    type Value = Scalar<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }
    scalars!(Scalar::Other; visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self::Value, A::Error> {
        Strict { depth: self.depth }.visit_seq(elements).map(|()| Scalar::Other)
    }
    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        Strict { depth: self.depth }.visit_map(members).map(|()| Scalar::Other)
    }
}

/// Any value, read for its form alone: no duplicate keys, not too deep. `depth` is its own, the message's being 1.
pub struct Strict {
    pub depth: u8,
}

impl Strict {
    fn inner<E: Error>(&self) -> Result<Self, E> {
        if self.depth > DEPTH {
            return Err(E::custom(format_args!("it is nested deeper than {DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    scalars!((); visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while elements.next_element_seed(Self { depth: inner.depth })?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut keys = Keys::default();
        while let Some(Text(key)) = members.next_key()? {
            keys.add(key)?;
            members.next_value_seed(Self { depth: inner.depth })?;
        }
        Ok(())
    }
}
