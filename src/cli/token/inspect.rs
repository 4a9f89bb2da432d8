//! `token inspect`: what stands in a token, explained.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use crate::{
    cli::{
        error::{CliError, Code},
        input, output,
        session::Session,
    },
    domain::{
        api_key::MARK,
        clock::Timestamp,
        text::visible,
        token::{self, Inspection},
    },
};

#[derive(Debug, Args)]
pub struct Options {
    /// The file that holds the token; `-` is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Explain it as of this moment: a date, or an RFC 3339 time [default: now]
    #[arg(long, value_name = "TIME", value_parser = Timestamp::typed)]
    at: Option<Timestamp>,
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let text = input::credential_of(&options.file)?;
    let text = input::bare_token(&text);
    if text.starts_with(MARK) {
        return Err(CliError::usage(token::NO_TOKEN));
    }
    let found = token::inspect(text, options.at.unwrap_or_else(|| session.now()))
        .map_err(|fault| CliError::usage(format!("this is not a token: {fault}")))?;
    if session.json {
        output::json(&found)?;
    } else {
        show(&found)?;
        output::remark("nothing of this is verified: anyone can write such a token");
    }
    Ok(Code::Done)
}

fn show(found: &Inspection) -> Result<(), CliError> {
    for (title, members) in [("header", &found.header), ("claims", &found.claims)] {
        output::line(title)?;
        match members {
            None => output::line("  cannot be read")?,
            Some(members) => show_members(members, found)?,
        }
    }
    for profile in &found.profiles {
        output::line(&format!("could be of the {profile} profile"))?;
    }
    for warning in &found.warnings {
        output::line(&format!("look again: {}", visible(warning)))?;
    }
    Ok(())
}

fn show_members(members: &Map<String, Value>, found: &Inspection) -> Result<(), CliError> {
    let width = members.keys().map(|name| visible(name).chars().count()).max().unwrap_or_default();
    for (name, value) in members {
        let told = match (value, found.times.iter().find(|moment| moment.claim == name)) {
            (Value::Number(_), Some(moment)) => format!("{} ({})", moment.at, moment.distance()),
            (Value::String(text), _) => text.clone(),
            (other, _) => other.to_string(),
        };
        output::line(&format!("  {:width$}  {}", visible(name), visible(&told)))?;
    }
    Ok(())
}
