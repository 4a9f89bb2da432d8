//! `portcullis token list` and `token show`: what is remembered of issued tokens.

use clap::Args;

use crate::cli::{
    error::{CliError, Code},
    input,
    output::{self, List},
    session::Session,
};
use crate::{
    domain::filter::{Filter, TOKEN_FIELDS},
    ops::token as ops,
    store::token::{Query, Refusal, Sort, Standing},
};

#[derive(Debug, Args)]
pub struct Options {
    /// Which: text, field:value, field:=exact, expires<30m, !not; all must hold. Fields: jti
    /// subject client policy scope audience kid alg state expires issued
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    /// By which field
    #[arg(long, default_value = "issued", value_parser = Sort::ALL.map(Sort::as_str))]
    sort: String,
    /// Greatest first
    #[arg(long)]
    desc: bool,
    /// How many at most
    #[arg(long, default_value_t = 100, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on after this cursor (`next` of the page before)
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Answer in CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let now = session.now();
    let filter = Filter::parse(&options.filter, TOKEN_FIELDS, now)
        .map_err(|error| CliError::usage(error.to_string()))?;
    let sort = Sort::ALL.into_iter().find(|sort| sort.as_str() == options.sort).unwrap_or(Sort::Issued);
    let query = Query { filter, sort, descending: options.desc, now };
    let page = ops::list(&session.lister()?, &query, options.after.as_deref(), options.limit)?;
    output::list(
        session.format(options.csv),
        &["jti", "subject", "policy", "scopes", "state", "expires", "issued", "kid"],
        &List { items: page.items, next: page.next },
        |Standing { token, state, .. }| {
            vec![
                token.jti.to_string(),
                token.subject.to_string(),
                token.policy.to_string(),
                output::scopes(&token.scopes),
                state.as_str().into(),
                token.expires_at.to_string(),
                token.issued_at.to_string(),
                token.kid.to_string(),
            ]
        },
    )?;
    Ok(output::damaged(&page.damaged))
}

pub fn show(session: &Session, jti: &str) -> Result<Code, CliError> {
    let Standing { token, state, refusal } = ops::show(&session.lister()?, input::token_id(jti)?)?;
    if session.json {
        output::json(&Standing { token, state, refusal })?;
        return Ok(Code::Done);
    }
    let mut fields = vec![
        ("jti", token.jti.to_string()),
        ("subject", token.subject.to_string()),
        ("client", token.client.clone()),
        ("scopes", output::scopes(&token.scopes)),
        ("audience", token.audience.join(" ")),
        ("policy", token.policy.to_string()),
        ("state", state.as_str().into()),
        ("issued", format!("{} by {}", token.issued_at, token.issued_by)),
        ("expires", token.expires_at.to_string()),
        ("signed by", format!("{} ({})", token.kid, token.algorithm)),
    ];
    if let Some(key) = &token.rests_on.key {
        fields.push(("rests on", format!("key {}", key.id)));
    }
    for parent in &token.rests_on.parents {
        fields.push(("rests on", format!("token {}", parent.jti)));
    }
    if let Some(bound) = &token.bound {
        fields.push(("bound policy", bound.to_string()));
    }
    if let Some(uses) = token.max_uses {
        fields.push(("uses", format!("{uses} at most")));
    }
    match refusal {
        None => {}
        Some(Refusal::KeyRetired { retired_key }) => {
            fields.push(("refused", format!("its signing key {retired_key} is retired")));
        }
        Some(Refusal::Fallen { kind, fallen_with, why }) => {
            fields.push(("refused", format!("{kind} {fallen_with}, which it rests on, is {why}")));
        }
        Some(Refusal::Revoked(revocation)) => {
            let by = revocation.target.kind().replace('_', " ");
            fields.push(("revoked", format!("{} (by {by})", revocation.revoked_at)));
            fields.push(("reason", revocation.reason));
        }
    }
    output::fields(&fields)?;
    Ok(Code::Done)
}
