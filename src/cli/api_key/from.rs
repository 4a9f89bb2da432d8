//! Many new keys, as a file lists them: CSV with a line of names, or JSON lines.

use std::{path::Path, time::Duration};

use serde::Deserialize;

use crate::{
    cli::{error::CliError, input},
    domain::{
        api_key::Environment,
        clock::parse_life,
        name::{PolicyName, ScopeName},
        text::excerpt,
    },
    ops::api_key::NewKey,
};

/// What a line may say, and the columns of a CSV file.
const FIELDS: [&str; 6] = ["subject", "scopes", "policy", "name", "env", "expires_in"];
/// What stands for a key without an end.
const NEVER: &str = "never";

/// What a key has of which its line says nothing.
#[derive(Debug)]
pub struct Otherwise {
    pub scopes: Vec<ScopeName>,
    pub policy: PolicyName,
    pub environment: Environment,
    pub life: Option<Duration>,
}

/// What one line says; an empty text says nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    subject: String,
    #[serde(default)]
    scopes: Scopes,
    #[serde(default)]
    policy: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    env: String,
    #[serde(default)]
    expires_in: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(Vec<String>),
}

impl Default for Scopes {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Scopes {
    fn names(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => text.split([' ', ',']).filter(|name| !name.is_empty()).collect(),
            Self::List(names) => names.iter().map(String::as_str).collect(),
        }
    }
}

/// Reads the file, or standard input for `-`.
///
/// # Errors
/// The first line that is wrong, with its number and what is wrong with it.
pub fn read(file: &Path, otherwise: &Otherwise) -> Result<Vec<NewKey>, CliError> {
    let text = input::long_document(file)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let wrong = |line: u64, why: String| CliError::usage(format!("{} line {line}: {why}", file.display()));
    let lines = if text.trim_start().starts_with('{') { json(text) } else { csv(text) };
    let lines = lines.map_err(|(line, why)| wrong(line, why))?;
    if lines.is_empty() {
        return Err(CliError::usage(format!("{} lists no key", file.display())));
    }
    let key = |(number, line): (u64, Line)| new_key(&line, otherwise).map_err(|why| wrong(number, why));
    lines.into_iter().map(key).collect()
}

/// A line with its number, or the number of the first that is wrong, and why.
type Lines = Result<Vec<(u64, Line)>, (u64, String)>;

fn json(text: &str) -> Lines {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let read = |(number, line)| match serde_json::from_str(line) {
        Ok(line) => Ok((number, line)),
        Err(error) => Err((number, error.to_string())),
    };
    lines.map(read).collect()
}

fn csv(text: &str) -> Lines {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let fault = |error: csv::Error| {
        (error.position().map_or(1, csv::Position::line), format!("it cannot be read as CSV: {error}"))
    };
    let names = reader.headers().map_err(fault)?.clone();
    if let Some(unknown) = names.iter().find(|name| !FIELDS.contains(name)) {
        return Err((
            1,
            format!("there is no column `{}`; there are {}", excerpt(unknown), FIELDS.join(", ")),
        ));
    }
    let is_twice = |name: &&str| names.iter().filter(|other| other == name).count() > 1;
    if let Some(twice) = names.iter().find(is_twice) {
        return Err((1, format!("there is a column `{twice}` twice; which of them holds cannot be known")));
    }
    if !names.iter().any(|name| name == "subject") {
        return Err((
            1,
            format!("the first line names the columns, with `subject` among them: {}", FIELDS.join(",")),
        ));
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(fault)?;
        let mut line = Line::default();
        for (name, value) in names.iter().zip(&record) {
            let value = value.to_owned();
            match name {
                "subject" => line.subject = value,
                "scopes" => line.scopes = Scopes::Text(value),
                "policy" => line.policy = value,
                "name" => line.name = value,
                "env" => line.env = value,
                _ => line.expires_in = value,
            }
        }
        lines.push((record.position().map_or(0, csv::Position::line), line));
    }
    Ok(lines)
}

fn new_key(line: &Line, otherwise: &Otherwise) -> Result<NewKey, String> {
    let names = line.scopes.names();
    let scopes = names.into_iter().map(input::scope).collect::<Result<Vec<_>, _>>()?;
    let scopes = if scopes.is_empty() { otherwise.scopes.clone() } else { scopes };
    if scopes.is_empty() {
        return Err("it names no scope; give it one, or all of them: --scope".into());
    }
    let told = |name: &str, why: &dyn std::fmt::Display| format!("{name}: {why}");
    Ok(NewKey {
        subject: line.subject.parse().map_err(|error| told("subject", &error))?,
        scopes,
        policy: or(&line.policy, &otherwise.policy).map_err(|error| told("policy", &error))?,
        name: line.name.clone(),
        environment: or(&line.env, &otherwise.environment).map_err(|error| told("env", &error))?,
        life: match line.expires_in.as_str() {
            "" => otherwise.life,
            NEVER => None,
            text => Some(parse_life(text).map_err(|error| told("expires_in", &error))?),
        },
    })
}

fn or<T: Clone + std::str::FromStr>(text: &str, otherwise: &T) -> Result<T, T::Err> {
    if text.is_empty() { Ok(otherwise.clone()) } else { text.parse() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn otherwise() -> Otherwise {
        Otherwise {
            scopes: vec!["mcp:use".parse().unwrap()],
            policy: PolicyName::default(),
            environment: Environment::default(),
            life: Some(Duration::from_secs(60)),
        }
    }

    fn keys(lines: Lines) -> Vec<NewKey> {
        lines.unwrap().iter().map(|(_, line)| new_key(line, &otherwise()).unwrap()).collect()
    }

    #[test]
    fn both_forms_say_the_same() {
        let in_csv = csv(
            "subject,scopes,name,expires_in\nana,\"mcp:read tools:call\",\"a, b\",2h\nbo,,,never\nci,,,\n",
        );
        let in_json = json(
            "{\"subject\":\"ana\",\"scopes\":[\"mcp:read\",\"tools:call\"],\"name\":\"a, b\",\"expires_in\":\"2h\"}\n\n\
             {\"subject\":\"bo\",\"expires_in\":\"never\"}\n{\"subject\":\"ci\",\"scopes\":\"\"}",
        );
        for keys in [keys(in_csv), keys(in_json)] {
            let told: Vec<_> = keys
                .iter()
                .map(|key| {
                    (
                        key.subject.as_str(),
                        key.scopes.len(),
                        key.name.as_str(),
                        key.life.map(|life| life.as_secs()),
                    )
                })
                .collect();
            assert_eq!(told, [("ana", 2, "a, b", Some(7200)), ("bo", 1, "", None), ("ci", 1, "", Some(60))]);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, why) in [
            ("name,scopes\nx,y\n", 1, "with `subject` among them"),
            ("subject,scope\nx,y\n", 1, "no column `scope`"),
            ("subject,name\nana,x\nbo\n", 3, "CSV"),
            ("subject,name,subject\nana,x,bo\n", 1, "column `subject` twice"),
        ] {
            let (found, told) = csv(text).unwrap_err();
            assert!(found == line && told.contains(why), "{found}: {told}");
        }
        let (found, told) = json("{\"subject\":\"a\"}\n{\"subject\":\"b\",\"scope\":\"x\"}").unwrap_err();
        assert!(found == 2 && told.contains("unknown field `scope`"), "{told}");
        let none = Otherwise { scopes: Vec::new(), ..otherwise() };
        let line = Line { subject: "ana".into(), ..Line::default() };
        assert!(new_key(&line, &none).unwrap_err().contains("no scope"));
        let line = Line { subject: String::new(), ..Line::default() };
        assert!(new_key(&line, &otherwise()).unwrap_err().starts_with("subject: "));
    }
}
