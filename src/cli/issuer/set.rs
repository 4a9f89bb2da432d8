//! `issuer set`: changes an issuer in place.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::add::{Unmapped, doubts, preset, renaming, renamings, require_no_user_info};
use super::{Shown, fetcher};
use crate::cli::{
    error::{CliError, Code},
    input, output,
    session::Session,
};
use crate::{
    domain::{
        issuer::{Issuer, Preset, Source},
        jose::Algorithm,
        name::{IssuerName, PolicyName, ScopeName},
        token::Profile,
    },
    gateway::issuers,
    ops::issuer::{self as ops, Changes, NewKeys},
};

pub const AFTER: &str = "\
Such as: portcullis issuer set corp --audience mcp-gateway --audience mcp-staging\n\
         portcullis issuer set corp --scope-map '' --policy readers\n\
What is not given stays as it is; a list stands in the place of the one that there is, and '' leaves none. It holds at the\n\
next request, for open sessions and streams too. The name and the `iss` stay: subjects, quota, usage and revocations go by\n\
them.";

#[derive(Debug, Args)]
pub struct Options {
    /// What it is called here
    #[arg(allow_hyphen_values = true)]
    name: IssuerName,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct What {
    /// Another name; none can be given
    #[arg(long = "name", hide = true, value_name = "NAME")]
    other_name: Option<String>,
    /// How its tokens are written: as this provider's. Options that are given beat it
    #[arg(long, value_parser = preset, value_name = "PROVIDER")]
    like: Option<&'static Preset>,
    /// Where its metadata is found from now on; it has to name the same issuer
    #[arg(long, conflicts_with_all = ["jwks", "key_file"], value_name = "URL")]
    url: Option<String>,
    /// Its keys, as a JWK set in this file, in the place of those it has; nothing is fetched any more. `-` is standard input
    #[arg(long, conflicts_with = "key_file", value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Its one key, in this file, in the place of those it has: a public key as PEM or JWK, or for HS256 the secret; `-` is
    /// standard input
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// What its tokens have in `iss`; it stays as it is, and another is refused
    #[arg(long, value_name = "ISS")]
    issuer: Option<String>,
    /// What is demanded of its tokens: at-jwt (RFC 9068), oidc, or legacy (user_id and scopes, perhaps no `iss`)
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// The audience that its tokens must be for; once for each, and one suffices; '' for this home's own
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<Vec<String>>,
    /// The claim that stands for the audience, such as client_id or azp; aud for none
    #[arg(long, value_name = "CLAIM")]
    audience_claim: Option<String>,
    /// What it may sign with; once for each; '' for what its public keys are for
    #[arg(long, value_parser = algorithm, value_name = "ALG")]
    alg: Option<Vec<Given<Algorithm>>>,
    /// The policy that its tokens are under
    #[arg(long)]
    policy: Option<PolicyName>,
    /// The claim that names the subject
    #[arg(long, value_name = "CLAIM")]
    subject_claim: Option<String>,
    /// What is put before each of its subjects here, such as corp/; '' for nothing
    #[arg(long, value_name = "PREFIX")]
    subject_prefix: Option<String>,
    /// The claim that holds the scopes, groups or roles; once for each, and all count
    #[arg(long, value_name = "CLAIM")]
    scope_claim: Option<Vec<String>>,
    /// What stands before each of our scopes in the issuer's; those without it count for nothing; '' for nothing
    #[arg(long, value_name = "PREFIX")]
    scope_prefix: Option<String>,
    /// A scope of the issuer, and ours that it means; once for each; '' for none
    #[arg(long = "scope-map", value_parser = mapped, value_name = "THEIRS=OURS")]
    scope_map: Option<Vec<Given<(String, ScopeName)>>>,
    /// What becomes of the issuer's scopes that are not mapped: they keep their names, or count for nothing
    #[arg(long, value_enum, value_name = "WHAT")]
    unmapped_scopes: Option<Unmapped>,
    /// A host that may be at a private address (the issuer, or where its keys are); once for each; '' for none
    #[arg(long, value_parser = host, conflicts_with_all = ["jwks", "key_file"], value_name = "HOST")]
    allow_private: Option<Vec<Given<String>>>,
}

/// One of a list; `None` leaves none.
#[derive(Clone, Debug)]
struct Given<T>(Option<T>);

fn given<T>(text: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Given<T>, String> {
    if text.is_empty() { Ok(Given(None)) } else { read(text).map(Some).map(Given) }
}

fn algorithm(text: &str) -> Result<Given<Algorithm>, String> {
    given(text, input::algorithm)
}

fn mapped(text: &str) -> Result<Given<(String, ScopeName)>, String> {
    given(text, renaming)
}

fn host(text: &str) -> Result<Given<String>, String> {
    given(text, issuers::host)
}

fn listed<T: Clone>(list: Option<&Vec<Given<T>>>) -> Option<Vec<T>> {
    list.map(|list| list.iter().filter_map(|Given(one)| one.clone()).collect())
}

/// The answer.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    falls: &'a [String],
}

pub fn run(session: &Session, options: Options) -> Result<Code, CliError> {
    // Before anything is fetched: whoever may not change an issuer has no need to.
    let ctx = session.operator()?;
    let Options { name, what } = options;
    let (issuer, source) = ops::show(&ctx, &name)?;
    if what.other_name.is_some() {
        return Err(CliError::new(
            Code::Refused,
            format!(
                "issuer {name} keeps its name: its subjects, their quota, usage and revocations go by it"
            ),
        )
        .mend(format!(
            "under another name it is another issuer: portcullis issuer remove {name}, and issuer add"
        )));
    }
    require_no_user_info(what.issuer.as_deref())?;
    let is_other = what.issuer.is_some() && what.issuer != issuer.iss;
    // One that is refused needs no keys.
    let keys = if is_other { None } else { keys(&what, &issuer, source.as_ref())? };
    let like = what.like;
    let seen = keys.is_some().then(|| issuer.terms(source.as_ref()));
    let changed = ops::set(&ctx, &name, Changes { keys: keys.clone(), seen, ..changes(what)? })?;
    let issuer = &changed.issuer;
    let nameless = keys.iter().flat_map(|keys| keys.doubts(&issuer.algorithms));
    for told in doubts(&issuer.mapping).into_iter().chain(nameless) {
        output::remark(&told);
    }
    if let Some(preset) = like {
        output::remark(&preset.hint);
    }
    if session.json {
        let shown = Shown::new(issuer, changed.source.as_ref(), session.now());
        output::json(&Answer { shown, falls: &changed.falls })?;
        return Ok(Code::Done);
    }
    output::line(name.as_str())?;
    if !changed.is_changed {
        output::remark(&format!("issuer {name} is so already; nothing was changed"));
        return Ok(Code::Done);
    }
    output::remark(&format!("issuer {name} is changed, from the next request on"));
    for fall in &changed.falls {
        output::remark(&format!("- {fall}"));
    }
    Ok(Code::Done)
}

fn changes(what: What) -> Result<Changes, CliError> {
    let rename = listed(what.scope_map.as_ref()).map(|list| renamings(&list, BTreeMap::new())).transpose()?;
    let texts = |list: Vec<String>| list.into_iter().filter(|text| !text.is_empty()).collect();
    Ok(Changes {
        like: what.like,
        profile: what.profile,
        audiences: what.audience.map(texts),
        algorithms: listed(what.alg.as_ref()),
        policy: what.policy,
        subject: what.subject_claim,
        subject_prefix: what.subject_prefix,
        scopes: what.scope_claim,
        audience_claim: what.audience_claim,
        prefix: what.scope_prefix,
        rename,
        only_mapped: what.unmapped_scopes.map(|unmapped| unmapped == Unmapped::Drop),
        keys: None,
        iss: what.issuer,
        seen: None,
    })
}

/// Its keys, where they are given or have to be had anew.
fn keys(what: &What, issuer: &Issuer, source: Option<&Source>) -> Result<Option<NewKeys>, CliError> {
    if let Some(path) = &what.jwks {
        return Ok(Some(NewKeys::Set(input::document(path)?)));
    }
    if let Some(path) = &what.key_file {
        return Ok(Some(NewKeys::One(input::credential_of(path)?)));
    }
    // What was not pinned was not kept.
    let is_new = |algorithm: &Algorithm| !issuer.algorithms.contains(algorithm);
    let is_wider = listed(what.alg.as_ref())
        .is_some_and(|algorithms| algorithms.is_empty() || algorithms.iter().any(is_new));
    let is_elsewhere = what.url.is_some() || what.allow_private.is_some();
    let is_to_be_had = is_elsewhere || (is_wider && source.is_some());
    if !is_to_be_had {
        return Ok(None);
    }
    let Some(text) = what.url.clone().or_else(|| issuer.url.clone()) else {
        return Err(CliError::new(
            Code::Refused,
            format!("the keys of issuer {} were given by hand, and nothing is fetched", issuer.name),
        )
        .mend("say where its keys are to be fetched from: --url URL"));
    };
    let Some(iss) = &issuer.iss else {
        return Err(CliError::new(
            Code::Refused,
            format!(
                "the tokens of issuer {} carry no `iss`, and nothing else says that metadata is its",
                issuer.name
            ),
        )
        .mend("give its keys by hand: --jwks FILE or --key-file FILE"));
    };
    let mut allow_private = match listed(what.allow_private.as_ref()) {
        Some(hosts) => hosts,
        None => source.map(|source| source.allow_private.clone()).unwrap_or_default(),
    };
    allow_private.sort();
    allow_private.dedup();
    let found = issuers::look_up(&fetcher()?, &issuers::issuer_url(&text)?, iss, &allow_private)?;
    let (jwks_uri, published) = (found.metadata.jwks_uri.into(), found.published);
    Ok(Some(NewKeys::Published { url: text, jwks_uri, allow_private, published }))
}
