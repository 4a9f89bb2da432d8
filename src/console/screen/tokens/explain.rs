//! What the members of a token mean, in a few words.

use serde_json::{Map, Value};

use crate::console::widget::page::Line;
use crate::console::widget::text::{moment, relative};
use crate::domain::clock::Timestamp;
use crate::domain::token::Inspection;

/// What a member of a header means (RFC 7515 §4.1); empty where it is not known.
fn of_header(name: &str) -> &'static str {
    match name {
        "alg" => "how it is signed",
        "kid" => "by which key",
        "typ" => "what it is for",
        "cty" => "what its content is",
        "crit" => "what must be understood",
        "jku" | "x5u" | "jwk" | "x5c" => "a key of its own: counts for nothing",
        _ => "",
    }
}

/// What a claim means (RFC 7519 §4.1, RFC 9068 §2.2, RFC 7800); empty where it is not known.
fn of_claims(name: &str) -> &'static str {
    match name {
        "iss" => "who issued it",
        "sub" | "user_id" => "for whom it speaks",
        "aud" => "whom it is for",
        "exp" => "when it ends",
        "nbf" => "from when on it is valid",
        "iat" => "when it was issued",
        "jti" => "its own id",
        "client_id" => "to whom it was given",
        "scope" | "scopes" => "what it may call",
        "policy_name" => "the policy that it is under",
        "policy" => "limits that it carries itself",
        "cnf" => "proof that the caller must bring beside it",
        "max_uses" => "how often it may be used",
        "azp" => "the client that it was issued to",
        "auth_time" => "when the user was asked who they are",
        "nonce" => "ties it to one login",
        _ => "",
    }
}

/// The members of a header.
pub fn header(members: &Map<String, Value>) -> Vec<Line> {
    members.iter().map(|(name, value)| Line::fact(name, said(value)).note(of_header(name))).collect()
}

/// The claims, times with how far they are.
pub fn claims(members: &Map<String, Value>, found: &Inspection, now: Timestamp) -> Vec<Line> {
    let told = |(name, value): (&String, &Value)| {
        let at = found.times.iter().find(|known| known.claim == name && value.is_number());
        let value = at.map_or_else(|| said(value), |known| time(known.at, now));
        Line::fact(name, value).note(of_claims(name))
    };
    members.iter().map(told).collect()
}

/// A claim whose value is known.
pub fn claim(name: &str, value: impl Into<String>) -> Line {
    Line::fact(name, value).note(of_claims(name))
}

/// A member of the header whose value is known.
pub fn header_member(name: &str, value: impl Into<String>) -> Line {
    Line::fact(name, value).note(of_header(name))
}

pub fn time(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", moment(at), relative(at, now))
}

fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
