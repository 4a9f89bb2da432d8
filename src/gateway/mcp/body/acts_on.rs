//! What a message acts on where its params say it in a form of their own: what is completed for, and what is listened to.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::BadBody;
use crate::domain::json::{Text, is_lookalike};

/// More URIs in one request are refused.
const MOST: usize = 256;

/// The members of `value`, where it is an object, of which `known` count; an error where another differs from these only by
/// case.
fn members<'a, const N: usize>(
    value: &'a RawValue,
    known: [&str; N],
) -> Result<Option<[Option<&'a RawValue>; N]>, BadBody> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Object<'a>(#[serde(borrow)] std::collections::HashMap<Cow<'a, str>, &'a RawValue>);
    if !value.get().starts_with('{') {
        return Ok(None);
    }
    let fault = |error: serde_json::Error| BadBody::Json(error.to_string());
    let Object(all) = serde_json::from_str(value.get()).map_err(fault)?;
    if all.keys().any(|key| known.iter().any(|known| is_lookalike(key, known))) {
        return Err(BadBody::Shape(
            "request: a key that says what it acts on has another that differs only by case",
        ));
    }
    Ok(Some(known.map(|known| all.get(known).copied())))
}

fn text(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    Some(serde_json::from_str::<Text<'_>>(value?.get()).ok()?.0).filter(|text| !text.is_empty())
}

/// The endpoint of what `completion/complete` completes for: a prompt, or a resource by its URI or template.
pub(super) fn reference(value: &RawValue) -> Result<String, BadBody> {
    let wrong =
        || BadBody::Shape("request: its ref is neither a prompt with its name nor a resource with its URI");
    let [kind, name, uri] = members(value, ["type", "name", "uri"])?.ok_or_else(wrong)?;
    match (text(kind).as_deref(), name, uri) {
        (Some("ref/prompt"), name, None) => Ok(format!("prompts/get/{}", text(name).ok_or_else(wrong)?)),
        (Some("ref/resource"), None, uri) => Ok(format!("resources/read/{}", text(uri).ok_or_else(wrong)?)),
        _ => Err(wrong()),
    }
}

/// The URIs that `subscriptions/listen` names.
pub(super) fn subscriptions(value: &RawValue) -> Result<Vec<Cow<'_, str>>, BadBody> {
    let wrong =
        || BadBody::Shape("request: it does not say in a list of at most 256 URIs what it listens to");
    let Some([uris]) = members(value, ["resourceSubscriptions"])? else { return Ok(Vec::new()) };
    let Some(uris) = uris.filter(|uris| uris.get() != "null") else { return Ok(Vec::new()) };
    let uris: Vec<&RawValue> = serde_json::from_str(uris.get()).map_err(|_| wrong())?;
    if uris.len() > MOST {
        return Err(wrong());
    }
    uris.into_iter().map(|uri| text(Some(uri)).ok_or_else(wrong)).collect()
}
