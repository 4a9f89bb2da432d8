//! Filters as people type them: `text`, `field:value`, `field:=exact`, `expires<30d`, `!not`, joined by spaces
//! (all must hold). Parsed here, carried out by the store, offered by the CLI (`--filter`) and
//! the console (`/`).

use super::api_key::KeyState;
use super::clock::{BadTimestamp, Timestamp, parse_life};
use super::text::{excerpt, nearest};
use super::token::TokenState;

/// A parsed filter; the default lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub negated: bool,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Substring of any text field, ASCII case ignored.
    Text(String),
    /// `field:value`: substring of that field, ASCII case ignored; `state:` and `scope:` are exact.
    Field { field: &'static str, value: String },
    /// `field:=value`: the field is that and nothing else, letter by letter. Of a field of several values one is.
    Exact { field: &'static str, value: String },
    /// The field's moment lies before (or after) `moment`. `expires<30d`: ends within 30 days;
    /// `created>7d`, `used<1h`: more than 7 days, less than 1 hour ago. A time in RFC 3339 means
    /// itself, and a date its beginning in UTC.
    Moment { field: &'static str, before: bool, moment: Timestamp },
    /// `created:=2026-07-28T09:30:00.123Z`: the field's moment is that and no other.
    At { field: &'static str, moment: Timestamp },
}

/// Why a text is not a filter; safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFilter(pub String);

/// What a list can be filtered by.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    pub texts: &'static [&'static str],
    pub moments: &'static [&'static str],
    /// What `state:` takes.
    pub states: &'static [&'static str],
}

impl Fields {
    /// Every field, as it begins a term: `subject: expires<`.
    pub fn as_typed(self) -> String {
        let texts = self.texts.iter().map(|field| format!("{field}:"));
        let moments = self.moments.iter().map(|field| format!("{field}<"));
        texts.chain(moments).collect::<Vec<_>>().join(" ")
    }
}

/// Fields of the key list. `state:` takes active, disabled, expired, revoked.
pub const KEY_FIELDS: Fields = Fields {
    texts: &["id", "name", "subject", "policy", "scope", "state", "env"],
    moments: &["expires", "created"],
    states: &[
        KeyState::Active.as_str(),
        KeyState::Disabled.as_str(),
        KeyState::Expired.as_str(),
        KeyState::Revoked.as_str(),
    ],
};

/// Fields of the list of issued tokens. `state:` takes live, expiring, expired, revoked.
pub const TOKEN_FIELDS: Fields = Fields {
    texts: &["jti", "subject", "client", "policy", "scope", "audience", "kid", "alg", "state"],
    moments: &["expires", "issued"],
    states: &[
        TokenState::Live.as_str(),
        TokenState::Expiring.as_str(),
        TokenState::Expired.as_str(),
        TokenState::Revoked.as_str(),
    ],
};

/// What a filter may have. More are a mistake, and more than the store can look for at once.
const MOST_TERMS: usize = 100;

/// The one field whose moments lie ahead: `expires<30d` counts forward, `created<30d` back.
const AHEAD: &str = "expires";

impl Filter {
    /// Spaces in a value, and a text with `:`, `<` or `>` in it, stand between double quotes:
    /// `name:"ci bot"`, `"mcp:read"`.
    pub fn parse(text: &str, fields: Fields, now: Timestamp) -> Result<Self, BadFilter> {
        let words = split(text)?;
        if words.len() > MOST_TERMS {
            return Err(BadFilter(format!(
                "a filter of more than {MOST_TERMS} terms is too long; all of them must hold, so fewer find as much or more"
            )));
        }
        Ok(Self { terms: words.into_iter().map(|word| term(word, fields, now)).collect::<Result<_, _>>()? })
    }
}

/// A term as typed, its quotes taken off.
struct Word {
    text: String,
    /// Where the first unquoted `:`, `<` or `>` stands.
    operator: Option<usize>,
    /// Whether an unquoted `=` stands behind it, which `text` is without.
    exact: bool,
    negated: bool,
}

impl Word {
    fn ends_with_operator(&self) -> bool {
        self.operator.is_some_and(|at| at + 1 == self.text.len())
    }
}

fn split(text: &str) -> Result<Vec<Word>, BadFilter> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let negated = rest.starts_with('!');
        let mut word = Word { text: String::new(), operator: None, exact: false, negated };
        let mut quoted = false;
        let start = usize::from(negated);
        let mut end = rest.len();
        for (at, c) in rest.char_indices().skip(start) {
            match c {
                '"' => quoted = !quoted,
                c if c.is_whitespace() && !quoted => {
                    end = at;
                    break;
                }
                ':' | '<' | '>' if !quoted && word.operator.is_none() => {
                    word.operator = Some(word.text.len());
                    word.text.push(c);
                }
                '=' if !quoted && !word.exact && word.text.ends_with(':') && word.ends_with_operator() => {
                    word.exact = true;
                }
                c => word.text.push(c),
            }
        }
        if quoted {
            return Err(BadFilter("a quotation mark is not closed".into()));
        }
        if word.text.is_empty() {
            return Err(BadFilter(
                "a term is empty; write what to look for after ! or between quotes".into(),
            ));
        }
        words.push(word);
        rest = rest[end..].trim_start();
    }
    Ok(words)
}

fn term(word: Word, fields: Fields, now: Timestamp) -> Result<Term, BadFilter> {
    let Word { text, operator, exact, negated } = word;
    let Some(at) = operator else {
        return Ok(Term { negated, test: Test::Text(text) });
    };
    let (name, value) = (&text[..at], &text[at + 1..]);
    let test = match &text[at..=at] {
        ":" => field_test(name, value, exact, fields)?,
        operator => moment_test(name, operator == "<", value, fields, now)?,
    };
    Ok(Term { negated, test })
}

fn field_test(name: &str, value: &str, exact: bool, fields: Fields) -> Result<Test, BadFilter> {
    if let Some(field) = find(fields.moments, name).filter(|_| exact) {
        let moment = value.parse().map_err(|error: BadTimestamp| BadFilter(error.to_string()))?;
        return Ok(Test::At { field, moment });
    }
    if let Some(field) = find(fields.moments, name) {
        return Err(BadFilter(format!(
            "`{field}` is a time: write {field}<7d, {field}>7d, or {field}:= and the time to the millisecond"
        )));
    }
    let Some(field) = find(fields.texts, name) else {
        let all: Vec<&str> = fields.texts.iter().chain(fields.moments).copied().collect();
        let there = match nearest(all.iter().copied(), name) {
            Some(near) => format!("did you mean `{near}`? There"),
            None => "there".to_owned(),
        };
        return Err(BadFilter(format!(
            "there is no field `{}:`; {there} are {}; put a text with a colon between quotes",
            excerpt(name),
            all.join(", ")
        )));
    };
    // `name:=` is what has no name.
    if value.is_empty() && !exact {
        return Err(BadFilter(format!("`{field}:` wants a value after the colon")));
    }
    if field == "state" && !fields.states.contains(&value) {
        let known = fields.states.join(", ");
        return Err(BadFilter(format!("there is no state `{}`; there are {known}", excerpt(value))));
    }
    let value = value.to_owned();
    Ok(if exact { Test::Exact { field, value } } else { Test::Field { field, value } })
}

fn moment_test(
    name: &str,
    less: bool,
    value: &str,
    fields: Fields,
    now: Timestamp,
) -> Result<Test, BadFilter> {
    let Some(field) = find(fields.moments, name) else {
        let known = fields.moments.join(", ");
        return Err(BadFilter(format!("`{}` is not a time; there are {known}", excerpt(name))));
    };
    if let Ok(moment) = Timestamp::typed(value) {
        return Ok(Test::Moment { field, before: less, moment });
    }
    let Ok(life) = parse_life(value) else {
        let value = excerpt(value);
        return Err(BadFilter(format!(
            "`{value}` is neither a length of time, such as 30d or 12h, nor a date or a time in RFC 3339"
        )));
    };
    // An age grows as the moment lies further back, hence the turn.
    Ok(match field {
        AHEAD => Test::Moment { field, before: less, moment: now.plus(life) },
        _ => Test::Moment { field, before: !less, moment: now.minus(life) },
    })
}

fn find(known: &'static [&'static str], name: &str) -> Option<&'static str> {
    known.iter().copied().find(|&field| field == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_785_000_000_000);
    const DAY: i64 = 86_400_000;

    fn parse(text: &str) -> Result<Vec<(bool, Test)>, BadFilter> {
        let filter = Filter::parse(text, KEY_FIELDS, NOW)?;
        Ok(filter.terms.into_iter().map(|term| (term.negated, term.test)).collect())
    }

    fn moment(field: &'static str, before: bool, millis: i64) -> Test {
        Test::Moment { field, before, moment: Timestamp::from_millis(millis) }
    }

    #[test]
    fn a_field_that_is_not_there_is_told_with_the_one_that_was_meant() {
        for (typed, told) in [
            ("subjct:x", "no field `subjct:`; did you mean `subject`? There are id, name, subject,"),
            ("creatd:x", "did you mean `created`?"),
            (
                "zzz:x",
                "no field `zzz:`; there are id, name, subject, policy, scope, state, env, expires, created;",
            ),
            ("created:x", "`created` is a time: write created<7d"),
        ] {
            let fault = parse(typed).unwrap_err().to_string();
            assert!(fault.contains(told), "{typed}: {fault}");
        }
    }

    #[test]
    fn terms_are_read_as_typed() {
        let text = |text: &str| Test::Text(text.into());
        let field = |field, value: &str| Test::Field { field, value: value.into() };
        let exact = |field, value: &str| Test::Exact { field, value: value.into() };
        for (typed, terms) in [
            ("", vec![]),
            ("  bot ", vec![(false, text("bot"))]),
            ("bot !old", vec![(false, text("bot")), (true, text("old"))]),
            (
                "subject:ana !state:revoked",
                vec![(false, field("subject", "ana")), (true, field("state", "revoked"))],
            ),
            ("scope:mcp:read", vec![(false, field("scope", "mcp:read"))]),
            ("name:\"ci bot\"", vec![(false, field("name", "ci bot"))]),
            ("subject:=user-1", vec![(false, exact("subject", "user-1"))]),
            ("!name:=\"ci bot\" name:=", vec![(true, exact("name", "ci bot")), (false, exact("name", ""))]),
            ("subject:==x", vec![(false, exact("subject", "=x"))]),
            (
                "subject:\"=x\" subject:a=b",
                vec![(false, field("subject", "=x")), (false, field("subject", "a=b"))],
            ),
            ("=x", vec![(false, text("=x"))]),
            ("\"mcp:read\"", vec![(false, text("mcp:read"))]),
            ("!\"a b\" é", vec![(true, text("a b")), (false, text("é"))]),
        ] {
            assert_eq!(parse(typed).unwrap(), terms, "{typed}");
        }
    }

    #[test]
    fn lengths_of_time_count_from_now() {
        for (typed, test) in [
            ("expires<30d", moment("expires", true, NOW.millis() + 30 * DAY)),
            ("expires>1h", moment("expires", false, NOW.millis() + DAY / 24)),
            ("created>7d", moment("created", true, NOW.millis() - 7 * DAY)),
            ("created<7d", moment("created", false, NOW.millis() - 7 * DAY)),
            ("expires<2026-01-01T00:00:00Z", moment("expires", true, 1_767_225_600_000)),
            ("created>2026-01-01T00:00:00Z", moment("created", false, 1_767_225_600_000)),
        ] {
            assert_eq!(parse(typed).unwrap(), [(false, test)], "{typed}");
        }
    }

    #[test]
    fn a_moment_may_be_meant_to_the_millisecond() {
        let at = |field, millis| Test::At { field, moment: Timestamp::from_millis(millis) };
        for (typed, negated, test) in [
            ("created:=2026-01-01T00:00:00.007Z", false, at("created", 1_767_225_600_007)),
            ("!expires:=2026-01-01T01:00:00+01:00", true, at("expires", 1_767_225_600_000)),
        ] {
            assert_eq!(parse(typed).unwrap(), [(negated, test)], "{typed}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_could() {
        for (typed, mend) in [
            ("owner:ana", "there are id, name"),
            ("mcp:read", "between quotes"),
            ("name:", "wants a value"),
            ("state:=gone", "active, disabled, expired, revoked"),
            ("owner:=ana", "there are id, name"),
            ("state:gone", "active, disabled, expired, revoked"),
            ("name<3d", "there are expires, created"),
            ("expires<soon", "30d"),
            ("created:=7d", "RFC 3339"),
            ("created:=", "RFC 3339"),
            ("created:2026-01-01T00:00:00Z", "`created` is a time"),
            ("!", "is empty"),
            ("\"\"", "is empty"),
            ("name:\"ci bot", "not closed"),
            (&"a ".repeat(101), "more than 100 terms"),
        ] {
            let message = parse(typed).unwrap_err().to_string();
            assert!(message.contains(mend), "{typed}: {message}");
        }
        assert_eq!(parse(&"a ".repeat(100)).unwrap().len(), 100);
    }
}
