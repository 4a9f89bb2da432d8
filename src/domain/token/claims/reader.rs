//! Reads claims of the payload of a token, each as its profile has it.
//!
//! Identity providers write what they like beside what the standards name, and leave out by `null` what they do not say.
//! What does not concern us makes no token malformed.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU32;

use serde_json::{Map, Value};

use super::names::ClaimNames;
use super::place::find as find_claim;
use crate::domain::clock::Timestamp;
use crate::domain::name::{BadName, Subject};
use crate::domain::text::excerpt;
use crate::domain::token::Profile;
use crate::domain::token::bad_claims::BadClaims;

/// Longer names of issuers, audiences, clients and tokens are refused, in bytes.
const LONGEST_NAME: usize = 1024;

pub(super) const MISSING: &str = "is missing";

pub(super) struct Reader<'a> {
    pub payload: &'a Map<String, Value>,
    pub profile: Profile,
    pub own: bool,
}

impl<'a> Reader<'a> {
    /// The claim of this name; one of others that is `null` is absent.
    pub fn get(&self, claim: &str) -> Option<&'a Value> {
        find_claim(self.payload, claim).filter(|value| self.own || !value.is_null())
    }

    /// Whether it is of somebody to whom what we write into claims of our own may mean anything.
    fn is_foreign(&self) -> bool {
        !self.own && self.profile != Profile::Legacy
    }

    fn text(&self, claim: &str) -> Result<Option<&'a str>, BadClaims> {
        match self.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(BadClaims::new(claim, format!("is {}, and has to be a text", kind(other)))),
        }
    }

    /// A text that names something: not empty, not endless.
    pub fn name(&self, claim: &str, required: bool) -> Result<Option<String>, BadClaims> {
        match self.text(claim)? {
            None if required => Err(BadClaims::new(claim, MISSING)),
            None => Ok(None),
            Some(name) => of_name(claim, name).map(Some),
        }
    }

    /// The same for what counts only where it is one.
    fn name_if_any(&self, claim: &str) -> Option<String> {
        self.get(claim)?.as_str().and_then(|name| of_name(claim, name).ok())
    }

    /// Who issued it, `iss`.
    pub fn issuer(&self) -> Result<Option<String>, BadClaims> {
        self.name("iss", self.profile != Profile::Legacy)
    }

    /// The token's own name, `jti`.
    pub fn id(&self) -> Result<Option<String>, BadClaims> {
        match self.profile {
            Profile::Oidc => Ok(self.name_if_any("jti")),
            Profile::AtJwt | Profile::Legacy => self.name("jti", true),
        }
    }

    pub fn client_id(&self) -> Result<Option<String>, BadClaims> {
        if self.is_foreign() { Ok(self.name_if_any("client_id")) } else { self.name("client_id", false) }
    }

    pub fn parsed<T: std::str::FromStr<Err: ToString>>(&self, claim: &str) -> Result<Option<T>, BadClaims> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|error: T::Err| BadClaims::new(claim, format!("cannot be: {}", error.to_string())))
        };
        self.text(claim)?.map(parse).transpose()
    }

    pub fn subject(&self, names: &ClaimNames) -> Result<Subject, BadClaims> {
        let named: Option<Subject> = self.parsed(&names.subject)?;
        let other: Option<Subject> = if self.is_foreign() { None } else { self.parsed("user_id")? };
        match (named, other) {
            (Some(named), Some(other)) if named != other => Err(BadClaims::new(
                "user_id",
                format!("says another subject than `{}`", excerpt(&names.subject)),
            )),
            (Some(named), _) => Ok(named),
            (None, Some(other)) if self.profile == Profile::Legacy => Ok(other),
            (None, _) => Err(BadClaims::new(&names.subject, MISSING)),
        }
    }

    pub fn audience(&self, names: &ClaimNames, required: bool) -> Result<Vec<String>, BadClaims> {
        let claim = names.audience.as_deref().unwrap_or("aud");
        match self.get(claim) {
            None if required && names.audience.is_some() => Err(BadClaims::new(
                claim,
                "is missing, which stands for the audience of this issuer's tokens",
            )),
            None if required => Err(BadClaims::new(claim, MISSING)),
            None => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![of_name(claim, one)?]),
            Some(Value::Array(several)) if !several.is_empty() => self.audiences(claim, several),
            Some(Value::Array(_)) => Err(BadClaims::new(claim, "is an empty list")),
            Some(other) => Err(BadClaims::new(
                claim,
                format!("is {}, and has to be a text or a list of texts", kind(other)),
            )),
        }
    }

    fn audiences(&self, claim: &str, several: &[Value]) -> Result<Vec<String>, BadClaims> {
        let named = several.iter().map(|one| match one {
            Value::String(one) => of_name(claim, one),
            other => Err(BadClaims::new(claim, format!("holds {}, and has to hold texts", kind(other)))),
        });
        if self.own {
            return named.collect();
        }
        // Whom else a token is for is no concern of ours.
        match named.clone().filter_map(Result::ok).collect::<Vec<_>>() {
            names if names.is_empty() => named.collect(),
            names => Ok(names),
        }
    }

    /// NumericDate (RFC 7519 §2): seconds since the Unix epoch up to the year 9999, as a JSON number; our own are whole.
    pub fn time(&self, claim: &str) -> Result<Option<Timestamp>, BadClaims> {
        let Some(value) = self.get(claim) else { return Ok(None) };
        let Value::Number(number) = value else {
            return Err(BadClaims::new(
                claim,
                format!("is {}, and has to be a number of seconds", kind(value)),
            ));
        };
        let is_whole = number.is_u64() || number.is_i64();
        if self.own && !is_whole {
            return Err(BadClaims::new(
                claim,
                "has to be a whole number of seconds, without fraction or exponent",
            ));
        }
        let beyond = || BadClaims::new(claim, "is no moment between 1970 and 9999, in seconds since 1970");
        number.as_f64().and_then(Timestamp::from_numeric_date).map(Some).ok_or_else(beyond)
    }

    /// `iat`, which RFC 7519 does not demand. Of an identity provider that leaves it out, the beginning counts: what was
    /// issued before a moment can be revoked, so some moment there must be.
    pub fn issued_at(&self) -> Result<Timestamp, BadClaims> {
        let missing = || BadClaims::new("iat", MISSING);
        match (self.time("iat")?, self.profile) {
            (Some(at), _) => Ok(at),
            (None, Profile::Oidc) => self.time("nbf")?.ok_or_else(missing),
            (None, _) => Err(missing()),
        }
    }

    /// What others mean by a claim `policy` is theirs alone, but that another home of ours writes an object.
    pub fn policy(&self) -> Option<&'a Value> {
        self.get("policy").filter(|value| match self.profile {
            Profile::Oidc => false,
            Profile::AtJwt => self.own || value.is_object(),
            Profile::Legacy => true,
        })
    }

    /// The scopes by their names, each once. In our own tokens `scope` is a text and `scopes` a list, and where both are
    /// there they say the same; so it is in those of the legacy profile. Others have any claims for them, of any form, and
    /// what stands there and is no scope counts for nothing.
    pub fn scopes(&self, names: &ClaimNames) -> Result<Vec<String>, BadClaims> {
        if self.is_foreign() {
            let mut named: Vec<_> = names.scopes.iter().filter_map(|claim| self.get(claim)).collect();
            if named.is_empty() && self.profile == Profile::AtJwt {
                named.extend(self.get("scopes"));
            }
            return Ok(distinct(named.into_iter().flat_map(names_in)));
        }
        let mut texts = names.scopes.iter().filter_map(|claim| Some((claim, self.text(claim).transpose()?)));
        let text = match texts.next() {
            Some((claim, text)) => Some((claim, self.scope_text(claim, text?)?)),
            None => None,
        };
        let list = self.get("scopes").map(|value| self.scope_list(value)).transpose()?;
        let set = |scopes: &[String]| scopes.iter().cloned().collect::<BTreeSet<_>>();
        match (text, list) {
            (Some((claim, text)), Some(list)) if set(&text) != set(&list) => {
                Err(BadClaims::new("scopes", format!("says others than `{}`", excerpt(claim))))
            }
            (text, list) => Ok(text.map(|(_, text)| text).or(list).unwrap_or_default()),
        }
    }

    /// RFC 6749 §3.3: scope tokens with one space between; a text without any is none.
    fn scope_text(&self, claim: &str, text: &str) -> Result<Vec<String>, BadClaims> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        self.listed(claim, text.split(' '))
    }

    fn scope_list(&self, value: &Value) -> Result<Vec<String>, BadClaims> {
        let wrong = || BadClaims::new("scopes", "has to be a list of texts");
        let texts = value.as_array().ok_or_else(wrong)?.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
        self.listed("scopes", texts.ok_or_else(wrong)?.into_iter())
    }

    fn listed<'b>(
        &self,
        claim: &str,
        names: impl Iterator<Item = &'b str> + Clone,
    ) -> Result<Vec<String>, BadClaims> {
        if self.own && !names.clone().all(is_scope) {
            return Err(BadClaims::new(claim, "holds something that is no scope (RFC 6749 §3.3)"));
        }
        Ok(distinct(names))
    }

    pub fn max_uses(&self) -> Result<Option<NonZeroU32>, BadClaims> {
        let is_ours = |value: &&Value| match self.profile {
            Profile::Oidc => false,
            Profile::AtJwt => self.own || value.is_number(),
            Profile::Legacy => true,
        };
        let Some(value) = self.get("max_uses").filter(is_ours) else { return Ok(None) };
        let uses = value.as_u64().and_then(|uses| u32::try_from(uses).ok()).and_then(NonZeroU32::new);
        uses.map(Some)
            .ok_or_else(|| BadClaims::new("max_uses", "has to be a whole number from 1 to 4294967295"))
    }
}

/// The subject as it is called here.
pub(super) fn prefixed(names: &ClaimNames, subject: Subject) -> Result<Subject, BadClaims> {
    if names.prefix.is_empty() {
        return Ok(subject);
    }
    let here = format!("{}{subject}", names.prefix).parse();
    here.map_err(|error: BadName| {
        BadClaims::new(&names.subject, format!("cannot be, with its prefix: {error}"))
    })
}

fn of_name(claim: &str, name: &str) -> Result<String, BadClaims> {
    match name.len() {
        0 => Err(BadClaims::new(claim, "is empty")),
        1..=LONGEST_NAME => Ok(name.to_owned()),
        _ => Err(BadClaims::new(claim, format!("is longer than {LONGEST_NAME} bytes"))),
    }
}

/// What a claim of scopes, groups or roles names: a text between spaces, a list, or an object by its names.
pub fn names_in(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        Value::Object(members) => members.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a text is a scope token (RFC 6749 §3.3).
pub fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}

/// Those that are scope tokens, each once.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.filter(|name| is_scope(name) && seen.insert(*name)).map(str::to_owned).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
