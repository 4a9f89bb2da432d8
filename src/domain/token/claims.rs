//! What a token says of whom it speaks for, for how long, and what for.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use serde_json::{Map, Value, json};

use super::{Bound, Grounds, Profile, TokenId, grounds};
use crate::domain::clock::Timestamp;
use crate::domain::jose::base64;
use crate::domain::name::{BadName, PolicyName, ScopeName, Subject};
use crate::domain::text::excerpt;

/// The last second that RFC 3339 can express: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;
/// Longer names of issuers, audiences, clients and tokens are refused, in bytes.
const LONGEST_NAME: usize = 1024;

/// A claim that is missing, of another type, or of a value that cannot be. Safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{claim}` {problem}")]
pub struct BadClaims {
    pub claim: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl BadClaims {
    pub(super) fn new(claim: &str, problem: impl Into<String>) -> Self {
        Self { claim: excerpt(claim), problem: problem.into() }
    }
}

/// Which claims hold the subject and the scopes; issuers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    pub subject: String,
    /// A text of scopes between spaces, or a list of them.
    pub scopes: String,
    /// What is put before each subject here; empty = nothing.
    pub prefix: String,
}

impl ClaimNames {
    /// Whether a subject of this name can only be the issuer's.
    pub fn is_for_it_alone(&self, subject: &Subject) -> bool {
        !self.prefix.is_empty() && subject.as_str().starts_with(&self.prefix)
    }

    /// What the issuer itself calls a subject, where that is not what it is called here.
    pub fn bare<'a>(&self, subject: &'a Subject) -> Option<&'a str> {
        subject.as_str().strip_prefix(&self.prefix).filter(|_| !self.prefix.is_empty())
    }
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { subject: "sub".into(), scopes: "scope".into(), prefix: String::new() }
    }
}

/// What a token says, in types that cannot hold a wrong value. Nobody vouches for it until its signature is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub id: TokenId,
    /// `iss`; `None` only in the legacy profile.
    pub issuer: Option<String>,
    pub subject: Subject,
    /// `aud`; empty only in the legacy profile.
    pub audience: Vec<String>,
    /// The first moment at which it is no longer valid.
    pub expires_at: Timestamp,
    pub not_before: Option<Timestamp>,
    pub issued_at: Timestamp,
    pub client_id: Option<String>,
    /// As the issuer calls them, each once: RFC 6749 §3.3 scope tokens, which need not be names here.
    pub scopes: Vec<String>,
    /// The policy that the token is under, by name: tokens of this home only.
    pub policy: Option<PolicyName>,
    /// Limits that the token carries itself.
    pub bound: Option<Bound>,
    /// What the caller has to prove beside the token (RFC 7800).
    pub confirmation: Option<Confirmation>,
    /// How often the token may be used.
    pub max_uses: Option<NonZeroU32>,
    /// What it was got for: tokens of this home only.
    pub grounds: Grounds,
}

/// `cnf`: the token is for the holder of a key, and a thief of the token alone has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The thumbprint of the key of DPoP proofs (RFC 9449 §6.1).
    pub jkt: Option<[u8; 32]>,
    /// SHA-256 of the client certificate (RFC 8705 §3.1).
    pub certificate: Option<[u8; 32]>,
}

impl Claims {
    /// Reads the claims of a token as `profile` demands. A claim of a wrong type is refused, never taken as absent.
    /// `own`: it says that it comes from this home, whose tokens are known by their `jti` itself.
    ///
    /// # Errors
    /// The first claim that cannot be.
    pub fn read(
        payload: &Map<String, Value>,
        profile: Profile,
        names: &ClaimNames,
        own: bool,
    ) -> Result<Self, BadClaims> {
        let reader = Reader { payload, profile };
        let is_strict = profile != Profile::Legacy;
        let issuer = reader.name("iss", is_strict)?;
        let jti = reader.name("jti", profile != Profile::Oidc)?;
        let id = match &jti {
            Some(jti) if own => {
                jti.parse().map_err(|error: super::BadTokenId| BadClaims::new("jti", error.to_string()))?
            }
            Some(jti) => TokenId::of(issuer.as_deref().unwrap_or_default(), jti),
            // Without a name of its own, what it says is its name. No `jti` is empty.
            None => TokenId::of(&Value::Object(payload.clone()).to_string(), ""),
        };
        // What identity providers mean by claims of these names is theirs alone.
        let is_foreign = profile == Profile::Oidc;
        Ok(Self {
            id,
            issuer,
            subject: prefixed(names, reader.subject(names)?)?,
            audience: reader.audience(is_strict)?,
            expires_at: reader.time("exp")?.ok_or_else(|| BadClaims::new("exp", MISSING))?,
            not_before: reader.time("nbf")?,
            issued_at: reader.time("iat")?.ok_or_else(|| BadClaims::new("iat", MISSING))?,
            client_id: reader.name("client_id", false)?,
            scopes: reader.scopes(names)?,
            policy: if own { reader.parsed("policy_name")? } else { None },
            bound: payload.get("policy").filter(|_| !is_foreign).map(Bound::read).transpose()?,
            confirmation: payload.get("cnf").map(confirmation).transpose()?,
            max_uses: if is_foreign { None } else { reader.max_uses()? },
            grounds: match payload.get(grounds::CLAIM).filter(|_| own) {
                Some(claim) => Grounds::read(claim)?,
                None => Grounds::default(),
            },
        })
    }

    /// The payload of a token of this home with these claims (RFC 9068 §2.2, and the source document's `user_id` and
    /// `scopes`). Times are whole seconds, rounded down.
    pub fn to_json(&self) -> Value {
        let mut payload = json!({
            "sub": self.subject,
            "user_id": self.subject,
            "exp": self.expires_at.seconds(),
            "iat": self.issued_at.seconds(),
            "jti": self.id,
            "scope": self.scopes.join(" "),
            "scopes": self.scopes,
        });
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                payload[name] = value;
            }
        };
        add("iss", self.issuer.as_deref().map(Value::from));
        add(
            "aud",
            match self.audience.as_slice() {
                [] => None,
                [one] => Some(one.as_str().into()),
                several => Some(several.into()),
            },
        );
        add("nbf", self.not_before.map(|time| time.seconds().into()));
        add("client_id", self.client_id.as_deref().map(Value::from));
        add("policy_name", self.policy.as_ref().map(|policy| policy.as_str().into()));
        add("policy", self.bound.as_ref().map(Bound::to_json));
        add("cnf", self.confirmation.map(Confirmation::to_json));
        add("max_uses", self.max_uses.map(|uses| uses.get().into()));
        add(grounds::CLAIM, self.grounds.to_json());
        payload
    }

    /// Those of its scopes that can be names of scopes here.
    pub fn scope_names(&self) -> Vec<ScopeName> {
        self.scopes.iter().filter_map(|scope| scope.parse().ok()).collect()
    }
}

impl Confirmation {
    fn to_json(self) -> Value {
        let mut members = Map::new();
        for (name, digest) in [("jkt", self.jkt), ("x5t#S256", self.certificate)] {
            if let Some(digest) = digest {
                members.insert(name.into(), base64::encode(digest).into());
            }
        }
        members.into()
    }
}

const MISSING: &str = "is missing";

struct Reader<'a> {
    payload: &'a Map<String, Value>,
    profile: Profile,
}

impl Reader<'_> {
    fn text(&self, claim: &str) -> Result<Option<&str>, BadClaims> {
        match self.payload.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(BadClaims::new(claim, format!("is {}, and has to be a text", kind(other)))),
        }
    }

    /// A text that names something: not empty, not endless.
    fn name(&self, claim: &str, required: bool) -> Result<Option<String>, BadClaims> {
        match self.text(claim)? {
            None if required => Err(BadClaims::new(claim, MISSING)),
            None => Ok(None),
            Some(name) => of_name(claim, name).map(Some),
        }
    }

    fn parsed<T: std::str::FromStr<Err: ToString>>(&self, claim: &str) -> Result<Option<T>, BadClaims> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|error: T::Err| BadClaims::new(claim, format!("cannot be: {}", error.to_string())))
        };
        self.text(claim)?.map(parse).transpose()
    }

    fn subject(&self, names: &ClaimNames) -> Result<Subject, BadClaims> {
        let named: Option<Subject> = self.parsed(&names.subject)?;
        if self.profile == Profile::Oidc {
            self.name("sub", true)?;
            return named.ok_or_else(|| BadClaims::new(&names.subject, MISSING));
        }
        let other: Option<Subject> = self.parsed("user_id")?;
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

    fn audience(&self, required: bool) -> Result<Vec<String>, BadClaims> {
        match self.payload.get("aud") {
            None if required => Err(BadClaims::new("aud", MISSING)),
            None => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![of_name("aud", one)?]),
            Some(Value::Array(several)) if !several.is_empty() => several
                .iter()
                .map(|one| match one {
                    Value::String(one) => of_name("aud", one),
                    other => {
                        Err(BadClaims::new("aud", format!("holds {}, and has to hold texts", kind(other))))
                    }
                })
                .collect(),
            Some(Value::Array(_)) => Err(BadClaims::new("aud", "is an empty list")),
            Some(other) => Err(BadClaims::new(
                "aud",
                format!("is {}, and has to be a text or a list of texts", kind(other)),
            )),
        }
    }

    /// NumericDate (RFC 7519 §2): whole seconds since the Unix epoch up to the year 9999; with a fraction only in the
    /// legacy profile.
    fn time(&self, claim: &str) -> Result<Option<Timestamp>, BadClaims> {
        let Some(value) = self.payload.get(claim) else { return Ok(None) };
        let Value::Number(number) = value else {
            return Err(BadClaims::new(
                claim,
                format!("is {}, and has to be a number of seconds", kind(value)),
            ));
        };
        let beyond = || BadClaims::new(claim, "is no moment between 1970 and 9999, in seconds since 1970");
        if let Some(seconds) = number.as_u64() {
            let millis =
                Some(seconds).filter(|&seconds| seconds <= LAST_SECOND).map(|seconds| seconds * 1000);
            return millis
                .and_then(|millis| i64::try_from(millis).ok())
                .map(Timestamp::from_millis)
                .map(Some)
                .ok_or_else(beyond);
        }
        match number.as_f64() {
            _ if number.is_i64() => Err(beyond()),
            Some(seconds) if self.profile == Profile::Legacy => {
                if !(0.0..=LAST_SECOND as f64).contains(&seconds) {
                    return Err(beyond());
                }
                Ok(Some(Timestamp::from_millis((seconds * 1000.0).floor() as i64)))
            }
            _ => Err(BadClaims::new(
                claim,
                "has to be a whole number of seconds, without fraction or exponent",
            )),
        }
    }

    /// `scope` is a text and `scopes` a list; where both are there they say the same. An identity provider has one claim
    /// for them, of either form.
    fn scopes(&self, names: &ClaimNames) -> Result<Vec<String>, BadClaims> {
        let listed = |claim: &str| self.payload.get(claim).map(|value| scope_list(claim, value)).transpose();
        if self.profile == Profile::Oidc {
            return match self.payload.get(&names.scopes) {
                Some(Value::String(text)) => scope_text(&names.scopes, text),
                _ => Ok(listed(&names.scopes)?.unwrap_or_default()),
            };
        }
        let text = self.text(&names.scopes)?.map(|text| scope_text(&names.scopes, text)).transpose()?;
        let list = listed("scopes")?;
        let set = |scopes: &[String]| scopes.iter().cloned().collect::<BTreeSet<_>>();
        match (text, list) {
            (Some(text), Some(list)) if set(&text) != set(&list) => {
                Err(BadClaims::new("scopes", format!("says others than `{}`", excerpt(&names.scopes))))
            }
            (text, list) => Ok(text.or(list).unwrap_or_default()),
        }
    }

    fn max_uses(&self) -> Result<Option<NonZeroU32>, BadClaims> {
        let Some(value) = self.payload.get("max_uses") else { return Ok(None) };
        let uses = value.as_u64().and_then(|uses| u32::try_from(uses).ok()).and_then(NonZeroU32::new);
        uses.map(Some)
            .ok_or_else(|| BadClaims::new("max_uses", "has to be a whole number from 1 to 4294967295"))
    }
}

/// The subject as it is called here.
fn prefixed(names: &ClaimNames, subject: Subject) -> Result<Subject, BadClaims> {
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

/// RFC 6749 §3.3: scope tokens with one space between; a text without any is none.
fn scope_text(claim: &str, text: &str) -> Result<Vec<String>, BadClaims> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    distinct(claim, text.split(' '))
}

fn scope_list(claim: &str, value: &Value) -> Result<Vec<String>, BadClaims> {
    let wrong = || BadClaims::new(claim, "has to be a list of texts");
    let texts = value.as_array().ok_or_else(wrong)?.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
    distinct(claim, texts.ok_or_else(wrong)?.into_iter())
}

fn distinct<'a>(claim: &str, scopes: impl Iterator<Item = &'a str>) -> Result<Vec<String>, BadClaims> {
    let mut seen = Vec::new();
    for scope in scopes {
        let fits = |byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
        if scope.is_empty() || !scope.bytes().all(fits) {
            return Err(BadClaims::new(claim, "holds something that is no scope (RFC 6749 §3.3)"));
        }
        if !seen.iter().any(|other| other == scope) {
            seen.push(scope.to_owned());
        }
    }
    Ok(seen)
}

/// A way of confirmation that is not understood cannot be checked, so the token is refused.
fn confirmation(value: &Value) -> Result<Confirmation, BadClaims> {
    let wrong = |problem: &str| BadClaims::new("cnf", problem);
    let members = value
        .as_object()
        .filter(|members| !members.is_empty())
        .ok_or_else(|| wrong("has to be an object that is not empty"))?;
    if members.keys().any(|name| !matches!(name.as_str(), "jkt" | "x5t#S256")) {
        return Err(wrong("demands a proof that is not understood here; jkt and x5t#S256 are"));
    }
    let digest = |name: &str| {
        let read =
            |value: &Value| value.as_str().and_then(base64::decode).and_then(|bytes| bytes.try_into().ok());
        members
            .get(name)
            .map(|value| read(value).ok_or_else(|| wrong("holds something that is no SHA-256 in base64url")))
            .transpose()
    };
    Ok(Confirmation { jkt: digest("jkt")?, certificate: digest("x5t#S256")? })
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

#[cfg(test)]
mod tests;
