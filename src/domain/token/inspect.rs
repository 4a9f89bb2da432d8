//! What stands in a token, for people: without a key, and without believing a word of it.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{ClaimNames, Claims, Profile, judge::is_of_profile};
use crate::domain::clock::Timestamp;
use crate::domain::jose::{Algorithm, Compact, Fault, Header, Part, base64};
use crate::domain::json;
use crate::domain::text::excerpt;

/// A longer life than this is worth a word.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// A moment that a token names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    pub claim: &'static str,
    pub at: Timestamp,
    /// Seconds from now; negative where it is past.
    pub in_seconds: i64,
}

/// What was found in a token. All texts but the warnings are foreign.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// As it stands there; `None` where it cannot be read at all.
    pub header: Option<Map<String, Value>>,
    pub claims: Option<Map<String, Value>>,
    pub times: Vec<Moment>,
    /// Of which profiles it could be, if its issuer is registered with one.
    pub profiles: Vec<Profile>,
    /// For what it would be refused, and what is worth a look. Safe to show.
    pub warnings: Vec<String>,
}

/// Takes a token apart as far as that goes.
///
/// # Errors
/// Where nothing in it can be read.
pub fn inspect(text: &str, now: Timestamp) -> Result<Inspection, Fault> {
    let parsed = Compact::parse(text);
    let mut parts = text.split('.');
    // Read leniently: what is refused is to be seen as well.
    let mut object =
        || -> Option<Map<String, Value>> { serde_json::from_slice(&base64::decode(parts.next()?)?).ok() };
    let (header, claims) = (object(), object());
    if header.is_none() && claims.is_none() {
        return Err(parsed.err().unwrap_or(Fault::Json(Part::Header)));
    }
    let mut found =
        Inspection { header, claims, times: Vec::new(), profiles: Vec::new(), warnings: Vec::new() };
    for claim in ["iat", "nbf", "exp"] {
        let seconds = found.claims.as_ref().and_then(|claims| claims.get(claim)).and_then(Value::as_f64);
        if let Some(at) = seconds.and_then(Timestamp::from_numeric_date) {
            found.times.push(Moment { claim, at, in_seconds: (at.millis() - now.millis()).div_euclid(1000) });
        }
    }
    match parsed {
        Err(fault) => found.warn(format!("refused: {fault}")),
        Ok(token) => found.look_at(&token, now),
    }
    found.look_at_header();
    Ok(found)
}

impl Inspection {
    fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    fn look_at(&mut self, token: &Compact, now: Timestamp) {
        let Ok(payload) = json::claims(token.payload()) else {
            return self.warn(format!("refused: {}", Fault::Json(Part::Payload)));
        };
        let read = Profile::ALL.map(|profile| (profile, read_as(profile, token.header(), &payload)));
        self.profiles = read.iter().filter(|(_, read)| read.is_ok()).map(|(profile, _)| *profile).collect();
        if let Some(claims) = read.iter().find_map(|(_, read)| read.as_ref().ok()) {
            self.look_at_claims(claims, now);
        }
        let problems = read.iter().filter_map(|(profile, read)| Some((profile, read.as_ref().err()?)));
        let told: Vec<String> =
            problems.map(|(profile, problem)| format!("not of the {profile} profile: {problem}")).collect();
        self.warnings.extend(told);
        if token.header().alg.is_symmetric() {
            self.warn("signed with a shared secret: whoever can verify it can make others");
        }
    }

    fn look_at_claims(&mut self, claims: &Claims, now: Timestamp) {
        if now >= claims.expires_at {
            self.warn("refused: it has expired");
        }
        if claims.not_before.is_some_and(|begins| begins > now) || claims.issued_at > now {
            self.warn("refused: it is not valid yet");
        }
        if claims.expires_at.since(claims.issued_at) > LONG {
            self.warn("it lives for longer than a day: whoever steals it has that long");
        }
        if claims.audience.is_empty() {
            self.warn("it is for no audience in particular: every server may take it");
        }
    }

    fn look_at_header(&mut self) {
        let brings = |name: &&str| self.header.as_ref().is_some_and(|header| header.contains_key(*name));
        let brought: Vec<&str> = ["jku", "x5u", "jwk", "x5c"].into_iter().filter(brings).collect();
        if !brought.is_empty() {
            self.warn(format!(
                "it brings a key of its own ({}), which counts for nothing",
                brought.join(", ")
            ));
        }
    }
}

fn read_as(profile: Profile, header: &Header, payload: &Map<String, Value>) -> Result<Claims, String> {
    if !is_of_profile(header, profile) {
        let typ = header
            .typ
            .as_deref()
            .map_or("`typ` is missing".into(), |typ| format!("`typ` is `{}`", excerpt(typ)));
        return Err(typ);
    }
    Claims::read(payload, profile, &ClaimNames::default(), false).map_err(|bad| bad.to_string())
}

impl Moment {
    /// `in 59m`, `2h 5m ago`, to the two greatest units.
    pub fn distance(&self) -> String {
        let length =
            humantime::format_duration(Duration::from_secs(self.in_seconds.unsigned_abs())).to_string();
        let short = length.split(' ').take(2).collect::<Vec<_>>().join(" ");
        if self.in_seconds < 0 { format!("{short} ago") } else { format!("in {short}") }
    }
}

impl Inspection {
    /// The algorithm that it names, where that is one.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.header.as_ref()?.get("alg")?.as_str()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(header: &Value, payload: &Value) -> String {
        format!("{}.{}.AA", base64::encode(header.to_string()), base64::encode(payload.to_string()))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn times_are_told_with_what_is_left_of_them() {
        let payload =
            json!({"iss": "https://a", "sub": "ana", "aud": "b", "iat": 1000, "exp": 4660, "jti": "x"});
        let found = inspect(&token(&json!({"alg": "ES256", "typ": "at+jwt"}), &payload), at(1000)).unwrap();
        let told: Vec<_> = found.times.iter().map(|moment| (moment.claim, moment.distance())).collect();
        assert_eq!(told, [("iat", "in 0s".to_owned()), ("exp", "in 1h 1m".to_owned())]);
        assert_eq!(found.profiles, [Profile::AtJwt, Profile::Oidc]);
        assert_eq!(found.warnings, ["not of the legacy profile: `typ` is `at+jwt`"]);
        let later = inspect(&token(&json!({"alg": "ES256"}), &payload), at(4660 + 90)).unwrap();
        assert_eq!(later.times[1].distance(), "1m 30s ago");
        assert!(later.warnings.contains(&"refused: it has expired".to_owned()), "{later:?}");
    }

    #[test]
    fn what_is_refused_is_shown_with_why() {
        for (header, expected) in [
            (json!({"alg": "none"}), "not signed"),
            (json!({"alg": "RS256", "crit": ["x"]}), "crit"),
            (json!({"alg": "RS256", "jku": "https://evil.example"}), "key of its own (jku)"),
            (json!({"alg": "HS256"}), "shared secret"),
        ] {
            let found = inspect(&token(&header, &json!({"sub": "ana", "exp": 2e9})), at(0)).unwrap();
            assert!(
                found.warnings.iter().any(|warning| warning.contains(expected)),
                "{header}: {:?}",
                found.warnings
            );
            assert_eq!(found.claims.unwrap()["sub"], "ana");
        }
        let twice =
            format!("{}.{}.AA", base64::encode(r#"{"alg":"ES256"}"#), base64::encode(r#"{"exp":1,"exp":2}"#));
        assert!(inspect(&twice, at(0)).unwrap().warnings[0].contains("each name once"));
    }

    #[test]
    fn what_is_no_token_is_called_so() {
        for text in ["", "hello", "a.b.c", "pcl_live_x_y", "{}"] {
            assert!(inspect(text, at(0)).is_err(), "{text}");
        }
    }
}
