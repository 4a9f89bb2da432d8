//! `portcullis issuer …`: the acts on issuers whose tokens are taken besides those of this home.

mod add;
mod check;
mod set;

use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use super::{
    error::{CliError, Code},
    output::{self, List},
    session::Session,
};
use crate::{
    domain::{
        clock::Timestamp,
        issuer::{Issuer, IssuerKeys, IssuerState, Preset, Source},
        name::IssuerName,
    },
    gateway::issuers::{self, Fetcher, Found, LookUpError},
    ops::{issuer as ops, without_repeats},
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Take the tokens of an issuer
    #[command(after_help = add::AFTER)]
    Add(Box<add::Options>),
    /// Change an issuer in place: what its tokens have to be and mean, and its keys
    #[command(after_help = set::AFTER)]
    Set(Box<set::Options>),
    /// List issuers, and how their keys stand
    List {
        /// Answer in CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Show an issuer
    Show {
        /// The issuer's name here
        #[arg(allow_hyphen_values = true)]
        name: IssuerName,
    },
    /// Look at what an issuer publishes, and judge a token of its from standard input claim by claim; changes nothing
    #[command(after_help = check::AFTER)]
    Check {
        /// The issuer's name here
        #[arg(allow_hyphen_values = true)]
        name: IssuerName,
    },
    /// Fetch the metadata and the keys of an issuer now
    Refresh {
        /// The issuer's name here
        #[arg(allow_hyphen_values = true)]
        name: IssuerName,
    },
    /// Take no token of an issuer any more
    Remove {
        /// The issuer's name here
        #[arg(allow_hyphen_values = true)]
        name: IssuerName,
        /// Why; it stands in the audit log
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
}

/// An issuer and what may be said of it now.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    issuer: &'a Issuer,
    state: IssuerState,
    /// From when on its tokens are refused unless its keys can be fetched.
    good_until: Option<Timestamp>,
    source: Option<&'a Source>,
    /// The preset that it was begun from, and what it was given otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<Begun>,
}

#[derive(Serialize)]
struct Begun {
    name: String,
    overridden: Vec<&'static str>,
}

impl Begun {
    fn of(issuer: &Issuer) -> Option<Self> {
        let name = issuer.mapping.like.clone()?;
        // One of a later release says nothing that can be compared.
        let overridden = Preset::named(&name).map(|preset| preset.overridden(issuer)).unwrap_or_default();
        Some(Self { name, overridden })
    }

    fn told(&self) -> String {
        if self.overridden.is_empty() {
            return self.name.clone();
        }
        format!("{}, but for: {}", self.name, self.overridden.join(", "))
    }
}

impl<'a> Shown<'a> {
    fn new(issuer: &'a Issuer, source: Option<&'a Source>, now: Timestamp) -> Self {
        let preset = Begun::of(issuer);
        Self { issuer, state: issuer.state(now), good_until: issuer.good_until(), source, preset }
    }
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::Add(new) => add::run(session, *new),
        Verb::Set(options) => set::run(session, *options),
        Verb::List { csv } => list(session, csv),
        Verb::Show { name } => show(session, &name),
        Verb::Check { name } => check::run(session, &name),
        Verb::Refresh { name } => refresh(session, &name),
        Verb::Remove { name, reason } => {
            ops::remove(&session.operator()?, &name, &reason)?;
            if session.json {
                output::json(&json!({ "removed": name }))?;
            } else {
                output::line(name.as_str())?;
                output::remark(&format!(
                    "issuer {name} is removed: its tokens are refused from the next request on"
                ));
            }
            Ok(Code::Done)
        }
    }
}

fn refresh(session: &Session, name: &IssuerName) -> Result<Code, CliError> {
    let ctx = session.operator()?;
    let (issuer, source) = ops::show(&ctx, name)?;
    let (Some(text), Some(source)) = (&issuer.url, source) else {
        return Err(CliError::new(
            Code::Refused,
            format!("the keys of issuer {name} were given by hand, and nothing is fetched"),
        )
        .mend(format!("to give others: portcullis issuer set {name} --jwks FILE")));
    };
    let looked_up = look_up(&issuer, text, &source);
    let asked = (issuer.clone(), source);
    let found = match looked_up {
        Ok(found) => found,
        Err(error) => {
            ops::failed(&ctx, &asked, &error.to_string())?;
            return Err(error.into());
        }
    };
    for told in IssuerKeys::nameless(&found.published.text, &issuer.algorithms) {
        output::remark(&told);
    }
    let issuer = ops::refresh(&ctx, &asked, found.metadata.jwks_uri.as_str(), &found.published)?;
    let told = format!("the keys of issuer {name} are fetched; it signs with {}", algorithms(&issuer));
    answer(session, name, &told)
}

/// What the issuer publishes now.
fn look_up(issuer: &Issuer, url: &str, source: &Source) -> Result<Found, LookUpError> {
    let iss = issuer.iss.as_deref().unwrap_or(url);
    issuers::look_up(&fetcher()?, &issuers::issuer_url(url)?, iss, &source.allow_private)
}

/// The issuer as JSON, or its name, with a remark for people.
fn answer(session: &Session, name: &IssuerName, told: &str) -> Result<Code, CliError> {
    if session.json {
        return show(session, name);
    }
    output::line(name.as_str())?;
    output::remark(told);
    Ok(Code::Done)
}

fn list(session: &Session, csv: bool) -> Result<Code, CliError> {
    let now = session.now();
    let (issuers, damaged) = ops::sound(&session.lister()?)?;
    let shown = issuers.iter().map(|(issuer, source)| Shown::new(issuer, source.as_ref(), now)).collect();
    output::list(
        session.format(csv),
        &["name", "profile", "issuer", "alg", "policy", "state", "fetched"],
        &List { items: shown, next: None },
        |shown| {
            let issuer = shown.issuer;
            vec![
                issuer.name.to_string(),
                issuer.profile.to_string(),
                issuer.iss.clone().unwrap_or_else(nothing),
                algorithms(issuer),
                issuer.policy.to_string(),
                shown.state.as_str().into(),
                moment(issuer.fetched_at),
            ]
        },
    )?;
    Ok(output::damaged(&damaged))
}

fn show(session: &Session, name: &IssuerName) -> Result<Code, CliError> {
    let (issuer, source) = ops::show(&session.lister()?, name)?;
    let shown = Shown::new(&issuer, source.as_ref(), session.now());
    if session.json {
        output::json(&shown)?;
        return Ok(Code::Done);
    }
    let kids = issuer.keys["keys"].as_array().into_iter().flatten();
    let kids = without_repeats(kids.filter_map(|key| key["kid"].as_str()).collect());
    let renamed = issuer.mapping.rename.iter().map(|(theirs, ours)| format!("{theirs}={ours}"));
    let renamed = renamed.collect::<Vec<_>>().join(" ");
    let or_nothing = |text: String| if text.is_empty() { nothing() } else { text };
    let audiences = match issuer.audiences.as_slice() {
        [] => "this home's own".into(),
        several => several.join(" "),
    };
    let mapping = &issuer.mapping;
    output::fields(&[
        ("name", issuer.name.to_string()),
        ("state", shown.state.as_str().into()),
        ("profile", issuer.profile.to_string()),
        ("issuer", issuer.iss.clone().unwrap_or_else(nothing)),
        ("like", shown.preset.as_ref().map_or_else(nothing, Begun::told)),
        ("audience", audiences),
        ("audience claim", mapping.audience.clone().unwrap_or_else(|| "aud".into())),
        ("algorithms", algorithms(&issuer)),
        ("policy", issuer.policy.to_string()),
        ("subject claim", mapping.subject.clone()),
        ("subject prefix", or_nothing(mapping.subject_prefix.clone())),
        ("scope claims", mapping.scopes.join(" ")),
        ("scope prefix", or_nothing(mapping.prefix.clone())),
        ("scope map", or_nothing(renamed)),
        ("other scopes", if mapping.only_mapped { "count for nothing" } else { "keep their names" }.into()),
        ("keys", or_nothing(kids.join(" "))),
        ("keys from", source.as_ref().map_or_else(nothing, |source| source.jwks_uri.clone())),
        ("fetched", moment(issuer.fetched_at)),
        ("good until", moment(shown.good_until)),
        ("last error", or_nothing(issuer.last_error.clone())),
    ])?;
    Ok(Code::Done)
}

fn fetcher() -> Result<Fetcher, LookUpError> {
    Fetcher::new().map_err(|error| LookUpError::Thread(std::io::Error::other(error)))
}

impl From<LookUpError> for CliError {
    fn from(error: LookUpError) -> Self {
        let code = if error.is_of_input() { Code::Usage } else { Code::Broken };
        Self::new(code, error.to_string())
    }
}

fn algorithms(issuer: &Issuer) -> String {
    issuer.algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(" ")
}

fn moment(at: Option<Timestamp>) -> String {
    at.map_or_else(nothing, |at| at.to_string())
}

fn nothing() -> String {
    "-".to_owned()
}
