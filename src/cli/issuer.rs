//! `portcullis issuer …`: the acts on issuers whose tokens are taken besides those of this home.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::{
    error::{CliError, Code},
    input,
    output::{self, List},
    session::Session,
};
use crate::{
    domain::{
        clock::Timestamp,
        issuer::{Issuer, IssuerState, Mapping, Source},
        jose::Algorithm,
        name::{IssuerName, PolicyName, ScopeName},
        text::without_user_info,
        token::Profile,
    },
    gateway::issuers::{self, Fetcher, LookUpError},
    ops::issuer::{self as ops, NewIssuer, NewKeys},
};

const AFTER_ADD: &str = "\
Such as: portcullis issuer add corp --url https://login.example.com/realms/corp --audience mcp-gateway\n\
         portcullis issuer add old --profile legacy --alg HS256 --key-file secret.txt\n\
With --url its keys are fetched now and kept fresh by the gateway; with --jwks or --key-file nothing is ever fetched.";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Take the tokens of an issuer
    #[command(after_help = AFTER_ADD)]
    Add(Box<Add>),
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

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["url", "jwks", "key_file"]))]
pub struct Add {
    /// What it is called here
    #[arg(allow_hyphen_values = true)]
    name: IssuerName,
    /// The issuer's URL, by which its metadata is found (RFC 8414, OpenID Connect)
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Its keys, as a JWK set in this file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Its one key, in this file: a public key as PEM or JWK, or for HS256 the secret; `-` is standard input
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// What its tokens have in `iss`, letter by letter [default: the URL]
    #[arg(long, value_name = "ISS")]
    issuer: Option<String>,
    /// What is demanded of its tokens: at-jwt (RFC 9068), oidc, or legacy (user_id and scopes, perhaps no `iss`)
    #[arg(long, default_value = "at-jwt", value_name = "PROFILE")]
    profile: Profile,
    /// The audience that its tokens must be for [default: this home's own]
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    /// What it may sign with; once for each [default: what its public keys are for]
    #[arg(long, value_parser = input::algorithm, value_name = "ALG")]
    alg: Vec<Algorithm>,
    /// The policy that its tokens are under
    #[arg(long, default_value = "default")]
    policy: PolicyName,
    /// The claim that names the subject
    #[arg(long, default_value = "sub", value_name = "CLAIM")]
    subject_claim: String,
    /// What is put before each of its subjects here, such as corp/, for servers that look at X-Portcullis-Subject alone
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PREFIX")]
    subject_prefix: String,
    /// The claim that holds the scopes
    #[arg(long, default_value = "scope", value_name = "CLAIM")]
    scope_claim: String,
    /// What stands before each of our scopes in the issuer's; those without it count for nothing
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PREFIX")]
    scope_prefix: String,
    /// A scope of the issuer, and ours that it means; once for each. Scopes that cover everything (mcp:*) and those of this
    /// gateway's own endpoints (oauth:*) are given by this alone
    #[arg(long = "scope-map", value_parser = renaming, value_name = "THEIRS=OURS")]
    scope_map: Vec<(String, ScopeName)>,
    /// A host that may be at a private address (the issuer, or where its keys are); once for each
    #[arg(long, value_parser = issuers::host, requires = "url", value_name = "HOST")]
    allow_private: Vec<String>,
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
}

impl<'a> Shown<'a> {
    fn new(issuer: &'a Issuer, source: Option<&'a Source>, now: Timestamp) -> Self {
        Self { issuer, state: issuer.state(now), good_until: issuer.good_until(), source }
    }
}

fn renaming(text: &str) -> Result<(String, ScopeName), String> {
    let (theirs, ours) = text
        .rsplit_once('=')
        .ok_or("it takes the issuer's scope and ours with = between, such as reader=mcp:read")?;
    Ok((theirs.to_owned(), input::scope(ours)?))
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::Add(new) => add(session, *new),
        Verb::List { csv } => list(session, csv),
        Verb::Show { name } => show(session, &name),
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

fn add(session: &Session, new: Add) -> Result<Code, CliError> {
    // Before anything is fetched: whoever may not add an issuer has no need to.
    let ctx = session.operator()?;
    if new.issuer.as_deref().is_some_and(|iss| without_user_info(iss) != iss) {
        return Err(CliError::usage(
            "--issuer: it holds a user name or password; no issuer has these in its name",
        ));
    }
    let (mut iss, mut rename) = (new.issuer, std::collections::BTreeMap::new());
    for (theirs, ours) in new.scope_map {
        if rename.insert(theirs.clone(), ours).is_some() {
            return Err(CliError::usage(format!("--scope-map says twice what `{theirs}` means")));
        }
    }
    let keys = match (new.url, new.jwks, new.key_file) {
        (Some(text), ..) => {
            let url = issuers::issuer_url(&text)?;
            let allow_private = issuers::private_hosts(&url, &new.allow_private);
            let wanted = iss.get_or_insert(text.clone());
            let (jwks_uri, published) = issuers::look_up(&fetcher()?, &url, wanted, &allow_private)?;
            NewKeys::Published { url: text, jwks_uri: jwks_uri.into(), allow_private, published }
        }
        (_, Some(path), _) => NewKeys::Set(input::document(&path)?),
        (_, _, Some(path)) => NewKeys::One(input::credential_of(&path)?),
        _ => return Err(CliError::usage("an issuer needs --url, --jwks or --key-file")),
    };
    let mapping = Mapping {
        subject: new.subject_claim,
        subject_prefix: new.subject_prefix,
        scopes: new.scope_claim,
        prefix: new.scope_prefix,
        rename,
    };
    let issuer = ops::add(
        &ctx,
        NewIssuer {
            name: new.name,
            profile: new.profile,
            iss,
            audience: new.audience,
            algorithms: new.alg,
            mapping,
            policy: new.policy,
            keys,
        },
    )?;
    let told = format!(
        "tokens of issuer {} are taken from now on, signed with {}, under policy {}",
        issuer.name,
        algorithms(&issuer),
        issuer.policy
    );
    answer(session, &issuer.name, &told)
}

fn refresh(session: &Session, name: &IssuerName) -> Result<Code, CliError> {
    let ctx = session.operator()?;
    let (issuer, source) = ops::show(&ctx, name)?;
    let (Some(text), Some(source)) = (&issuer.url, source) else {
        return Err(CliError::new(
            Code::Refused,
            format!("the keys of issuer {name} were given by hand, and nothing is fetched"),
        )
        .mend(format!("to give others: portcullis issuer remove {name}, and add it again")));
    };
    let look = || {
        let iss = issuer.iss.as_deref().unwrap_or(text);
        issuers::look_up(&fetcher()?, &issuers::issuer_url(text)?, iss, &source.allow_private)
    };
    let (jwks_uri, published) = match look() {
        Ok(found) => found,
        Err(error) => {
            ops::failed(&ctx, name, &error.to_string())?;
            return Err(error.into());
        }
    };
    let issuer = ops::refresh(&ctx, name, jwks_uri.as_str(), &published)?;
    let told = format!("the keys of issuer {name} are fetched; it signs with {}", algorithms(&issuer));
    answer(session, name, &told)
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
    let issuers = ops::list(&session.reader()?)?;
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
    Ok(Code::Done)
}

fn show(session: &Session, name: &IssuerName) -> Result<Code, CliError> {
    let (issuer, source) = ops::show(&session.reader()?, name)?;
    let shown = Shown::new(&issuer, source.as_ref(), session.now());
    if session.json {
        output::json(&shown)?;
        return Ok(Code::Done);
    }
    let kids = issuer.keys["keys"].as_array().into_iter().flatten();
    let kids: Vec<_> = kids.filter_map(|key| key["kid"].as_str()).collect();
    let renamed = issuer.mapping.rename.iter().map(|(theirs, ours)| format!("{theirs}={ours}"));
    let renamed = renamed.collect::<Vec<_>>().join(" ");
    let or_nothing = |text: String| if text.is_empty() { nothing() } else { text };
    output::fields(&[
        ("name", issuer.name.to_string()),
        ("state", shown.state.as_str().into()),
        ("profile", issuer.profile.to_string()),
        ("issuer", issuer.iss.clone().unwrap_or_else(nothing)),
        ("audience", issuer.audience.clone().unwrap_or_else(|| "this home's own".into())),
        ("algorithms", algorithms(&issuer)),
        ("policy", issuer.policy.to_string()),
        ("subject claim", issuer.mapping.subject.clone()),
        ("scope claim", issuer.mapping.scopes.clone()),
        ("scope prefix", or_nothing(issuer.mapping.prefix.clone())),
        ("scope map", or_nothing(renamed)),
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
