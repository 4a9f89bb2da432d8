//! `portcullis token revoke` and `token purge`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;

use crate::cli::{
    error::{CliError, Code},
    input,
    output::{self, List},
    session::Session,
    watched::Watched,
};
use crate::{
    domain::{
        credential::Kind,
        name::{IssuerName, Kid, Subject},
        text::counted,
    },
    ops::{
        credential,
        token::{self as ops, Revoked},
    },
};

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true)]
pub struct What {
    /// The tokens' ids
    #[arg(value_name = "JTI", conflicts_with_all = ["token", "subject", "kid", "issued_before"])]
    ids: Vec<String>,
    /// The token in this file, also of another issuer; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subject", "kid", "issued_before"])]
    token: Option<PathBuf>,
    /// Whatever speaks for this subject and was issued up to now
    #[arg(long, conflicts_with_all = ["kid", "issued_before"])]
    subject: Option<Subject>,
    /// Whatever this key signed; a signing key of this home is retired with it
    #[arg(long, conflicts_with = "issued_before", allow_hyphen_values = true)]
    kid: Option<Kid>,
    /// Whatever was issued before this moment (24h ago, a date, or RFC 3339)
    #[arg(long, value_name = "TIME")]
    issued_before: Option<String>,
}

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    what: What,
    /// With --kid and --issued-before: those of this registered issuer [default: this home]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["ids", "token", "subject"])]
    issuer: Option<IssuerName>,
    /// Why; it stands in the audit log
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let Options { what, issuer, reason } = options;
    let issuer = issuer.as_ref();
    let revoked = if let Some(path) = &what.token {
        let text = input::credential_of(path)?;
        vec![ops::revoke_text(&session.operator()?, text.trim(), reason)?]
    } else if let Some(subject) = &what.subject {
        vec![ops::revoke_subject(&session.operator()?, subject, reason)?]
    } else if let Some(kid) = &what.kid {
        vec![ops::revoke_key(&session.operator()?, issuer, kid, reason)?]
    } else if let Some(moment) = &what.issued_before {
        let moment = input::since(moment, session.now())?;
        vec![ops::revoke_issued_before(&session.operator()?, issuer, moment, reason)?]
    } else {
        let ids = what.ids.iter().map(|id| input::token_id(id)).collect::<Result<Vec<_>, _>>()?;
        ops::revoke_all(&session.operator()?, &ids, reason)?
    };
    output::list(
        session.format(false),
        &["kind", "what", "ended", "revoked"],
        &List { items: revoked, next: None },
        |Revoked { revocation, ended }| {
            let target = &revocation.target;
            let what = match (target.object(), target.cut()) {
                (object, None) => object,
                (object, Some(cut)) => format!("{object} issued before {cut}").trim_start().to_owned(),
            };
            vec![target.kind().replace('_', " "), what, ended.to_string(), revocation.revoked_at.to_string()]
        },
    )?;
    Ok(Code::Done)
}

/// Forgets what expired so long ago, or where that is `None` what is damaged.
pub fn purge(session: &Session, older_than: Option<Duration>) -> Result<Code, CliError> {
    let ctx = session.operator()?;
    let watched = Watched::new(&ctx.pace, "forgetting");
    let purged = match older_than {
        Some(older_than) => ops::purge(&ctx, session.now().minus(older_than))?,
        None => credential::purge_damaged(&ctx, Kind::Token)?,
    };
    if session.json {
        output::json(&json!({ "purged": purged }))?;
    } else {
        output::line(&format!("{} forgotten", counted(purged, "token")))?;
    }
    Ok(watched.code())
}
