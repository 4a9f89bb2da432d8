//! A list that is written as one text where it holds one, as `aud` of a token is: what was written before there could be
//! several is read as it stands, and who reads the one goes on to find it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Several {
    One(String),
    Many(Vec<String>),
}

/// `null` where there is none.
pub fn serialize<S: Serializer>(list: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match list {
        [] => serializer.serialize_none(),
        [one] => serializer.serialize_str(one),
        many => many.serialize(serializer),
    }
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Option::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Several::One(one)) => vec![one],
        Some(Several::Many(many)) => many,
    })
}
