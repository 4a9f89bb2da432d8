//! Values that decide nothing: they are read for their form alone, and pass as they are.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error};
use serde_json::value::RawValue;

use crate::domain::json::Strict;

/// How a value is read that decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As our own parser can hold it: no half of a surrogate pair, no number beyond a double's.
    Held,
    /// As JSON has it (RFC 8259 §7, §6): that takes twice as long.
    Formal,
}

/// Such a value. `depth` is its own, the message's being 1.
pub(super) struct Passing {
    pub reading: Reading,
    pub depth: u8,
}

impl<'de> DeserializeSeed<'de> for Passing {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.reading {
            Reading::Held => Strict { depth: self.depth }.deserialize(deserializer),
            Reading::Formal => self.check(<&RawValue>::deserialize(deserializer)?),
        }
    }
}

impl Passing {
    /// Reads a value that was found already.
    pub fn check<E: Error>(self, value: &RawValue) -> Result<(), E> {
        let text = match self.reading {
            Reading::Held => value.get().into(),
            Reading::Formal => holdable(value.get()),
        };
        let mut reader = serde_json::Deserializer::from_slice(&text);
        Strict { depth: self.depth }.deserialize(&mut reader).map_err(E::custom)
    }
}

/// The same value as our parser can hold it: U+FFFD for halves of surrogate pairs, as others read them too, so that keys
/// which some take for one are not told apart; and 0 for numbers that are too large. It is JSON already.
fn holdable(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        place = match byte {
            b'"' => end_of_text(&mut bytes, place + 1),
            b'-' | b'0'..=b'9' => end_of_number(&mut bytes, place),
            _ => place + 1,
        };
    }
    bytes
}

fn end_of_text(bytes: &mut [u8], mut place: usize) -> usize {
    while let Some(&byte) = bytes.get(place) {
        place += match (byte, bytes.get(place + 1)) {
            (b'"', _) => return place + 1,
            (b'\\', Some(b'u')) => match (escaped(bytes, place), escaped(bytes, place + 6)) {
                (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 12,
                (Some(0xD800..0xE000), _) => {
                    bytes[place + 2..place + 6].copy_from_slice(b"fffd");
                    6
                }
                _ => 6,
            },
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    place
}

/// What `\uXXXX` at this place stands for.
fn escaped(bytes: &[u8], place: usize) -> Option<u32> {
    let digits = bytes.get(place..place + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn end_of_number(bytes: &mut [u8], place: usize) -> usize {
    let is_of_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let length = bytes[place..].iter().take_while(|byte| is_of_number(byte)).count();
    let number = &mut bytes[place..place + length];
    let value = std::str::from_utf8(number).ok().and_then(|text| text.parse::<f64>().ok());
    if value.is_some_and(f64::is_infinite) {
        number.fill(b' ');
        number[0] = b'0';
    }
    place + length
}
