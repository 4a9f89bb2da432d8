//! Foreign JSON, read strictly: no key twice in an object, nothing too deep.
//!
//! Two parsers may read a key that is there twice differently, and what one judged is then not what the other
//! does. [`object`] builds a value so read; the rest reads for the form alone, without building anything.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

/// Deeper nesting is refused.
const DEPTH: u8 = 64;

/// A text that borrows where it can.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Up to here a walk is cheaper than a hash, and no object can be made quadratic.
const FEW: usize = 8;

/// An object of more members is refused: each costs much more than a byte of it does.
pub const MOST_MEMBERS: usize = 16 * 1024;

/// The keys of one object, to refuse a second of a name.
#[derive(Default)]
pub struct Keys<'a> {
    /// Filled from the left. Most objects have no more, and then nothing is allocated.
    few: [&'a str; FEW],
    count: usize,
    /// A bit for each length of a key, as far as there are bits: spares most comparisons.
    lengths: u64,
    /// The first key that there was no room for or that had to be unescaped, and all after it.
    many: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Keys<'a> {
    /// Takes a key; an error where the object has it already.
    pub fn add<E: Error>(&mut self, key: Cow<'a, str>) -> Result<(), E> {
        let twice = || Err(E::custom("an object has the same key twice"));
        let length = 1 << (key.len() % 64);
        let (known, free) = self.few.split_at_mut(self.count);
        if self.lengths & length != 0 && known.contains(&&*key) {
            return twice();
        }
        self.lengths |= length;
        match (key, free.first_mut(), &mut self.many) {
            (Cow::Borrowed(key), Some(free), None) => {
                *free = key;
                self.count += 1;
            }
            (key, _, many) => {
                let many = many.get_or_insert_default();
                if !many.insert(key) {
                    return twice();
                }
                if many.len() + FEW > MOST_MEMBERS {
                    return Err(E::custom(format_args!("an object has more than {MOST_MEMBERS} members")));
                }
            }
        }
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

/// Reads one JSON object and nothing behind it: UTF-8 without a byte-order mark, no key twice at any depth however it is
/// escaped, nothing nested deeper than 64, no number beyond what 64 bits hold.
///
/// # Errors
/// What `serde_json` says of the first fault, with its place. It quotes nothing of the text.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Unique { depth: 1 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(serde_json::Error::custom("it is not an object")),
    }
}

/// As [`object`], but what JSON allows and no value here can hold (a number beyond 64 bits, half of a surrogate pair) spoils
/// its own member alone: that is `true`, which is no text, no number, no list, and nothing that is ever looked for.
///
/// # Errors
/// As [`object`].
pub fn claims(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let members = deserializer.deserialize_map(Claims)?;
    deserializer.end()?;
    Ok(members)
}

struct Claims;

impl<'de> Visitor<'de> for Claims {
    type Value = Map<String, Value>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom("an object has the same key twice"));
            }
            let member = members.next_value::<&RawValue>()?;
            let value = match (Unique { depth: 2 })
                .deserialize(&mut serde_json::Deserializer::from_str(member.get()))
            {
                Ok(value) => value,
                // By the rules of this module, and not by what can be held.
                Err(error) if error.is_data() => return Err(A::Error::custom(error)),
                Err(_) => Value::Bool(true),
            };
            object.insert(key, value);
        }
        Ok(object)
    }
}

/// Any value, built strictly. `depth` as in [`Strict`].
struct Unique {
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = Strict { depth: self.depth }.inner()?.depth;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(Self { depth: inner })? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = Strict { depth: self.depth }.inner()?.depth;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom("an object has the same key twice"));
            }
            object.insert(key, members.next_value_seed(Self { depth: inner })?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_it_stands() {
        let read = object(br#" {"a": [1, -2, 1.5, "x", null, true], "b": {"a": 1}} "#).unwrap();
        assert_eq!(Value::Object(read).to_string(), r#"{"a":[1,-2,1.5,"x",null,true],"b":{"a":1}}"#);
    }

    #[test]
    fn what_cannot_be_held_spoils_its_own_claim_alone() {
        for spoilt in ["1e400", "-1e400", r#""\ud83d""#, r#"{"a":[1,"\udc00"]}"#, "[1e999]"] {
            let text = format!(r#"{{"sub":"ana","x":{spoilt},"\u0065xp":1}}"#);
            assert!(object(text.as_bytes()).is_err(), "{text}");
            let read = claims(text.as_bytes()).unwrap();
            assert_eq!(Value::Object(read).to_string(), r#"{"exp":1,"sub":"ana","x":true}"#, "{text}");
        }
        let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(claims(deep(63).as_bytes()).is_ok());
        for text in [
            deep(64).as_str(),
            deep(500).as_str(),
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":{"a":1,"a":1e400}}"#,
            r#"{"a":1} {}"#,
            r#"{"a":01}"#,
            r#"{"a":NaN}"#,
            r#"{"\ud800":1}"#,
            "{\"a\":\"\n\"}",
            "[]",
            "",
            "\u{feff}{}",
        ] {
            assert!(claims(text.as_bytes()).is_err(), "{text}");
        }
        assert!(claims(b"{\"a\":\"\xff\"}").is_err());
        let plain = r#"{"a":[1,-2,1.5,"x",null,true,{"b":{}}]}"#;
        assert_eq!(claims(plain.as_bytes()).unwrap(), object(plain.as_bytes()).unwrap());
    }

    #[test]
    fn a_key_is_found_again_wherever_it_stands_and_however_it_is_written() {
        let strict = |text: &str| {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            Strict { depth: 1 }.deserialize(&mut deserializer).and_then(|()| deserializer.end())
        };
        for count in 2..2 * FEW {
            for (first, second) in (0..count).flat_map(|first| (0..first).map(move |second| (first, second)))
            {
                for (plain, again) in
                    [("k1x", "k1x"), ("k1x", r"\u006b1x"), (r"\u006b1x", "k1x"), (r"k\u00311", "k11")]
                {
                    let keys = (0..count).map(|index| match index {
                        _ if index == second => format!(r#""{plain}":1"#),
                        _ if index == first => format!(r#""{again}":1"#),
                        _ => format!(r#""{index}":1"#),
                    });
                    let keys: Vec<_> = keys.collect();
                    let text = format!("{{{}}}", keys.join(","));
                    assert!(strict(&text).is_err(), "{text}");
                    let near = text.replacen(again, "near", 1);
                    assert!(strict(&near).is_ok(), "{near}");
                }
            }
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(object(deep(63).as_bytes()).is_ok());
        assert!(object(deep(64).as_bytes()).is_err());
        for text in [
            r#"{"exp":1,"exp":2}"#,
            r#"{"exp":1,"\u0065xp":2}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
            r#"{"a":1} {}"#,
            r#"{"a":1e400}"#,
            r#"{"a":01}"#,
            r#"{"a":NaN}"#,
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\n\"}",
            "\u{feff}{}",
            "[]",
            "null",
            "",
        ] {
            assert!(object(text.as_bytes()).is_err(), "{text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
    }
}
