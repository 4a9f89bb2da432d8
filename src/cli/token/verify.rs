//! `token verify`: judge a token against this home: its own keys, the registered issuers, what was revoked.

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::signature;
use crate::cli::{
    error::{CliError, Code},
    input, output,
    session::Session,
};
use crate::{
    domain::{
        clock::Timestamp,
        decision::{Check, Reason},
        token::Verdict,
    },
    ops::{Ctx, issuer, token as ops},
};

#[derive(Debug, Args)]
#[group(skip)]
pub struct Options {
    #[command(flatten)]
    signature: signature::Options,
    /// Whom it has to be for; may be named several times [default: this home's gateway]
    #[arg(long, conflicts_with = "signature_only")]
    audience: Vec<String>,
    /// As of when: a date, or an RFC 3339 time [default: now]
    #[arg(long, value_name = "TIME", value_parser = Timestamp::typed, conflicts_with = "signature_only")]
    at: Option<Timestamp>,
}

/// The answer. `reason` is null where the token is to be believed.
#[derive(Serialize)]
struct Answer<'a> {
    valid: bool,
    reason: Option<Reason>,
    /// As they stand in the token; null where its form cannot be read. Only those of a valid token say anything.
    claims: Option<&'a Map<String, Value>>,
    /// What its scopes are here; null where it is not valid.
    scopes: Option<&'a [String]>,
    checks: &'a [Check],
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    if options.signature.signature_only {
        return signature::run(session, &options.signature);
    }
    let text = input::credential()?;
    let text = input::bare_token(&text);
    let ctx = session.operator()?;
    let at = options.at.unwrap_or_else(|| ctx.judge_by(session.now()));
    let verdict = ops::verify(&ctx, text, &options.audience, at)?;
    let scopes = scopes(&ctx, &verdict)?;
    if session.json {
        output::json(&Answer {
            valid: verdict.is_valid(),
            reason: verdict.reason,
            claims: verdict.payload.as_ref(),
            scopes: scopes.as_deref(),
            checks: &verdict.checks,
        })?;
    } else {
        show(&verdict, scopes.as_deref())?;
    }
    Ok(if verdict.is_valid() { Code::Done } else { Code::No })
}

/// What the scopes of a valid token are here: its own, or those that the claims of a registered issuer come to.
fn scopes(ctx: &Ctx, verdict: &Verdict) -> Result<Option<Vec<String>>, CliError> {
    let Some(verified) = verdict.verified() else { return Ok(None) };
    let Some(name) = &verified.issuer else { return Ok(Some(verified.claims.scopes)) };
    let here = issuer::scopes_here(ctx, name, &verified.claims.scopes)?;
    Ok(Some(here.iter().map(ToString::to_string).collect()))
}

fn show(verdict: &Verdict, scopes: Option<&[String]>) -> Result<(), CliError> {
    match verdict.reason {
        None => output::line("valid")?,
        Some(reason) => output::line(&format!("NOT valid: {reason}: {}", reason.explanation()))?,
    }
    output::checks(&verdict.checks)?;
    if let (Some(scopes), Some(claims)) = (scopes, &verdict.claims) {
        output::fields(&[
            ("subject", claims.subject.to_string()),
            ("token", claims.id.to_string()),
            ("scopes", scopes.join(" ")),
            ("expires", claims.expires_at.to_string()),
        ])?;
    }
    Ok(())
}
