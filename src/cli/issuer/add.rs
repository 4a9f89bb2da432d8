//! `issuer add`: an issuer is registered, from what is said of it and what it publishes.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{ArgGroup, Args, ValueEnum};

use super::{algorithms, answer, fetcher};
use crate::cli::{
    error::{CliError, Code},
    input, output,
    session::Session,
};
use crate::{
    domain::{
        issuer::{Mapping, Preset},
        jose::Algorithm,
        name::{IssuerName, PolicyName, ScopeName},
        text::without_user_info,
        token::{Profile, meant_way},
    },
    gateway::issuers,
    ops::{
        issuer::{self as ops, NewIssuer, NewKeys},
        without_repeats,
    },
};

pub const AFTER: &str = "\
Such as: portcullis issuer add corp --like keycloak --url https://login.example.com/realms/corp --audience mcp-gateway\n\
         portcullis issuer add old --profile legacy --alg HS256 --key-file secret.txt\n\
With --url its keys are fetched now and kept fresh by the gateway; with --jwks or --key-file nothing is ever fetched.\n\
A CLAIM is a name, or with a slash before it the way to a member of an object (RFC 6901): /realm_access/roles";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["url", "jwks", "key_file"]))]
#[group(skip)]
pub struct Options {
    /// What it is called here
    #[arg(allow_hyphen_values = true)]
    name: IssuerName,
    /// How its tokens are written: as this provider's. Options that are given beat it
    #[arg(long, value_parser = preset, value_name = "PROVIDER")]
    like: Option<&'static Preset>,
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
    /// [default: at-jwt]
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// The audience that its tokens must be for; once for each, and one suffices [default: this home's own]
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// The claim that stands for the audience where the issuer writes none into aud, such as client_id or azp
    #[arg(long, value_name = "CLAIM")]
    audience_claim: Option<String>,
    /// What it may sign with; once for each [default: what its public keys are for]
    #[arg(long, value_parser = input::algorithm, value_name = "ALG")]
    alg: Vec<Algorithm>,
    /// The policy that its tokens are under
    #[arg(long, default_value = "default")]
    policy: PolicyName,
    /// The claim that names the subject [default: sub]
    #[arg(long, value_name = "CLAIM")]
    subject_claim: Option<String>,
    /// What is put before each of its subjects here, such as corp/, for servers that look at X-Portcullis-Subject alone
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PREFIX")]
    subject_prefix: String,
    /// The claim that holds the scopes, groups or roles; once for each, and all count [default: scope]
    #[arg(long, value_name = "CLAIM")]
    scope_claim: Vec<String>,
    /// What stands before each of our scopes in the issuer's; those without it count for nothing
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PREFIX")]
    scope_prefix: String,
    /// A scope of the issuer, and ours that it means; once for each. Scopes that cover everything (mcp:*) and those of this
    /// gateway's own endpoints (oauth:*) are given by this alone
    #[arg(long = "scope-map", value_parser = renaming, value_name = "THEIRS=OURS")]
    scope_map: Vec<(String, ScopeName)>,
    /// What becomes of the issuer's scopes that --scope-map does not name: they keep their names, or count for nothing
    /// [default: keep]
    #[arg(long, value_enum, value_name = "WHAT")]
    unmapped_scopes: Option<Unmapped>,
    /// A host that may be at a private address (the issuer, or where its keys are); once for each
    #[arg(long, value_parser = issuers::host, requires = "url", value_name = "HOST")]
    allow_private: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Unmapped {
    Keep,
    Drop,
}

pub(super) fn preset(name: &str) -> Result<&'static Preset, String> {
    Preset::named(name).map_err(|error| error.to_string())
}

pub(super) fn renaming(text: &str) -> Result<(String, ScopeName), String> {
    let (theirs, ours) = text
        .rsplit_once('=')
        .ok_or("it takes the issuer's scope and ours with = between, such as reader=mcp:read")?;
    Ok((theirs.to_owned(), input::scope(ours)?))
}

pub fn run(session: &Session, new: Options) -> Result<Code, CliError> {
    // Before anything is fetched: whoever may not add an issuer has no need to.
    let ctx = session.operator()?;
    require_no_user_info(new.issuer.as_deref())?;
    let mapping = mapping(&new)?;
    let mut iss = new.issuer;
    let keys = match (new.url, new.jwks, new.key_file) {
        (Some(text), ..) => {
            let url = issuers::issuer_url(&text)?;
            let mut allow_private = new.allow_private;
            allow_private.sort();
            allow_private.dedup();
            let wanted = iss.get_or_insert(text.clone());
            let found = issuers::look_up(&fetcher()?, &url, wanted, &allow_private)?;
            let (jwks_uri, published) = (found.metadata.jwks_uri.into(), found.published);
            NewKeys::Published { url: text, jwks_uri, allow_private, published }
        }
        (_, Some(path), _) => NewKeys::Set(input::document(&path)?),
        (_, _, Some(path)) => NewKeys::One(input::credential_of(&path)?),
        _ => return Err(CliError::usage("an issuer needs --url, --jwks or --key-file")),
    };
    let doubts: Vec<_> = doubts(&mapping).into_iter().chain(keys.doubts(&new.alg)).collect();
    let issuer = ops::add(
        &ctx,
        NewIssuer {
            name: new.name,
            profile: new.profile.or(new.like.map(|preset| preset.profile)).unwrap_or_default(),
            iss,
            audiences: without_repeats(new.audience),
            algorithms: new.alg,
            mapping,
            policy: new.policy,
            keys,
        },
    )?;
    for told in doubts.iter().map(String::as_str).chain(new.like.map(|preset| preset.hint.as_str())) {
        output::remark(told);
    }
    let told = format!(
        "tokens of issuer {} are taken from now on, signed with {}, under policy {}; `portcullis issuer check {0} < TOKEN` \
         judges one claim by claim",
        issuer.name,
        algorithms(&issuer),
        issuer.policy
    );
    answer(session, &issuer.name, &told)
}

/// What the claims mean: as the preset has it, and over it what was said.
fn mapping(new: &Options) -> Result<Mapping, CliError> {
    let mut mapping = new.like.map(Preset::mapping).unwrap_or_default();
    mapping.rename = renamings(&new.scope_map, mapping.rename)?;
    if let Some(claim) = &new.subject_claim {
        mapping.subject.clone_from(claim);
    }
    if !new.scope_claim.is_empty() {
        mapping.scopes = without_repeats(new.scope_claim.clone());
    }
    if let Some(claim) = &new.audience_claim {
        mapping.audience = Some(claim.clone()).filter(|claim| claim != "aud");
    }
    if let Some(unmapped) = new.unmapped_scopes {
        mapping.only_mapped = unmapped == Unmapped::Drop;
    }
    mapping.subject_prefix.clone_from(&new.subject_prefix);
    mapping.prefix.clone_from(&new.scope_prefix);
    Ok(mapping)
}

/// What the issuer's scopes mean, each once.
pub(super) fn renamings(
    given: &[(String, ScopeName)],
    mut rename: BTreeMap<String, ScopeName>,
) -> Result<BTreeMap<String, ScopeName>, CliError> {
    for (theirs, ours) in given {
        if rename.insert(theirs.clone(), ours.clone()).is_some() {
            return Err(CliError::usage(format!("--scope-map says twice what `{theirs}` means")));
        }
    }
    Ok(rename)
}

pub(super) fn require_no_user_info(iss: Option<&str>) -> Result<(), CliError> {
    if iss.is_some_and(|iss| without_user_info(iss) != iss) {
        return Err(CliError::usage(
            "--issuer: it holds a user name or password; no issuer has these in its name",
        ));
    }
    Ok(())
}

/// What will hardly be what was meant.
pub(super) fn doubts(mapping: &Mapping) -> Vec<String> {
    let dotted = mapping.scopes.iter().filter_map(|claim| {
        let way = meant_way(claim)?;
        Some(format!(
            "`{claim}` is taken for the name of one claim; a member of an object is named with slashes: {way}"
        ))
    });
    let is_idle = mapping.only_mapped && mapping.rename.is_empty();
    let idle =
        is_idle.then(|| "no scope of its tokens counts: --scope-map says which of them mean what".to_owned());
    dotted.chain(idle).collect()
}
