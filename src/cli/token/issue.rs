//! `portcullis token issue`: the one answer that holds a token.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::{
    error::{CliError, Code},
    handing_out::{self, Out, Taker},
    input, output,
    session::Session,
};
use crate::{
    domain::{
        clock::{Timestamp, parse_life},
        jose::Algorithm,
        name::{Kid, PolicyName, ScopeName, Subject},
        token::TokenId,
    },
    ops::token::{self as ops, DEFAULT_LIFE, Issued, NewToken},
};

#[derive(Debug, Args)]
pub struct Options {
    /// Whom the token speaks for
    #[arg(long)]
    subject: Subject,
    /// What it may reach; once for each scope, or several after one another or between commas
    #[arg(long = "scope", required = true, num_args = 1.., value_delimiter = ',', value_parser = input::scope, value_name = "SCOPE")]
    scopes: Vec<ScopeName>,
    /// Whom it is for; may be named several times [default: this home's gateway]
    #[arg(long)]
    audience: Vec<String>,
    /// How long it lives, such as 5m or 8h, at most 30d [default: 1h]
    #[arg(long, value_parser = parse_life, value_name = "LIFE", allow_hyphen_values = true)]
    expires_in: Option<Duration>,
    /// What it is signed with: EdDSA, ES256, RS256, PS256 or HS256 [default: EdDSA]
    #[arg(long, value_parser = input::algorithm, value_name = "ALG")]
    alg: Option<Algorithm>,
    /// Which key signs it [default: the newest of the algorithm]
    #[arg(long, allow_hyphen_values = true)]
    kid: Option<Kid>,
    /// The policy it is under
    #[arg(long, default_value = "default")]
    policy: PolicyName,
    /// Write the policy as it is now into the token: it holds beside what becomes of it
    #[arg(long)]
    bind_policy: bool,
    /// To whom it is given [default: the subject]
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// It may be used once and never again
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    out: Out,
}

#[derive(Serialize)]
struct Answer<'a> {
    /// Not where it is handed out in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    jti: TokenId,
    kid: &'a Kid,
    alg: Algorithm,
    issuer: &'a str,
    subject: &'a Subject,
    client_id: &'a str,
    scopes: &'a [ScopeName],
    audience: &'a [String],
    policy: &'a PolicyName,
    bound: bool,
    max_uses: Option<u32>,
    issued_at: Timestamp,
    expires_at: Timestamp,
    /// The file that the token is handed out in.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

pub fn run(session: &Session, options: Options) -> Result<Code, CliError> {
    let taker = options.out.open(1, handing_out::OF_A_TOKEN)?;
    let issued = ops::issue(
        &session.operator()?,
        NewToken {
            subject: options.subject,
            client: options.client_id,
            scopes: options.scopes,
            audience: options.audience,
            policy: options.policy,
            bind_policy: options.bind_policy,
            life: options.expires_in.unwrap_or(DEFAULT_LIFE),
            algorithm: options.alg,
            kid: options.kid,
            once: options.once,
            rests_on: Default::default(),
        },
    )?;
    show_once(session, taker, &issued)
}

/// It alone on standard output, or in a file that is named there; the explanation on standard error.
fn show_once(session: &Session, mut taker: Taker, issued: &Issued) -> Result<Code, CliError> {
    let token = &issued.token;
    let file = taker.file();
    let answer = Answer {
        token: file.is_none().then(|| issued.text.expose()),
        jti: token.jti,
        kid: &token.kid,
        alg: token.algorithm,
        issuer: &issued.issuer,
        subject: &token.subject,
        client_id: &token.client,
        scopes: &token.scopes,
        audience: &token.audience,
        policy: &token.policy,
        bound: token.bound.is_some(),
        max_uses: token.max_uses,
        issued_at: token.issued_at,
        expires_at: token.expires_at,
        file,
    };
    let written = taker.take(|out| match (session.json, &answer.file) {
        (true, None) => handing_out::json(out, &answer),
        _ => writeln!(out, "{}", issued.text.expose()),
    });
    written.map_err(|_| {
        CliError::broken(format!("token {} was issued, but {} could not take it", token.jti, taker.name()))
            .mend(format!("portcullis token revoke {}", token.jti))
    })?;
    match &answer.file {
        Some(_) if session.json => output::json(&answer)?,
        Some(file) => output::line(&format!("token {} is in {file}", token.jti))?,
        None => {}
    }
    if !session.json {
        output::remark(&format!(
            "token {} issued for {} under policy {}, signed by {} ({}); it expires at {}.\n{}",
            token.jti,
            token.subject,
            token.policy,
            token.kid,
            token.algorithm,
            token.expires_at,
            handing_out::how_to_keep("token", answer.file.is_some())
        ));
    }
    Ok(Code::Done)
}
