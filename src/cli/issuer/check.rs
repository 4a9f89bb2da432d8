//! `issuer check`: what an issuer publishes now, and what a token of its comes to here. Changes nothing.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Shown, look_up};
use crate::cli::{
    error::{CliError, Code},
    input, output,
    session::Session,
};
use crate::{
    domain::{
        decision::{Check, Reason},
        issuer::{Finding, Issuer, IssuerKeys, IssuerState, PublishedKey, Source},
        name::{IssuerName, ScopeName},
    },
    gateway::issuers::Found,
    ops::issuer::{self as ops, Review},
};

pub const AFTER: &str = "\
Such as: portcullis issuer check corp < token.txt\n\
Exit 0: its keys are good, and the token, where there is one on standard input, is valid and has a scope here; else 1.";

/// The answer.
#[derive(Serialize)]
struct Checked<'a> {
    name: &'a IssuerName,
    good: bool,
    state: IssuerState,
    /// What is published now; absent where keys were given by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<Published>,
    /// The keys that its tokens are judged by.
    keys: Vec<PublishedKey>,
    /// Absent where there is none on standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Judged<'a>>,
}

#[derive(Default, Serialize)]
struct Published {
    metadata: Option<String>,
    jwks_uri: Option<String>,
    endpoints: BTreeMap<String, String>,
    keys: Vec<PublishedKey>,
    /// Why nothing of it can be had, or used.
    error: Option<String>,
}

#[derive(Serialize)]
struct Judged<'a> {
    valid: bool,
    reason: Option<Reason>,
    checks: &'a [Check],
    claims: &'a [Finding],
    /// Those that it has here.
    scopes: &'a [ScopeName],
}

pub fn run(session: &Session, name: &IssuerName) -> Result<Code, CliError> {
    let ctx = session.operator()?;
    let (issuer, source) = ops::show(&ctx, name)?;
    let text = input::credential_if_any()?;
    let published = match (&issuer.url, &source) {
        (Some(url), Some(source)) => Some(published(&issuer, url, source)),
        _ => None,
    };
    let review = match &text {
        Some(text) => Some(ops::review(&ctx, name, input::bare_token(text), ctx.judge_by(session.now()))?),
        None => None,
    };
    let state = Shown::new(&issuer, source.as_ref(), session.now()).state;
    let keys = kept(&issuer);
    let is_published = published.as_ref().is_none_or(|published| {
        published.error.is_none() && published.keys.iter().any(|key| key.left_out.is_none())
    });
    let is_trusted = state != IssuerState::Stale && (published.is_none() || !keys.is_empty());
    let good = is_published && is_trusted && review.as_ref().is_none_or(Review::is_good);
    if session.json {
        let token = review.as_ref().map(|review| Judged {
            valid: review.verdict.is_valid(),
            reason: review.verdict.reason,
            checks: &review.verdict.checks,
            claims: &review.claims,
            scopes: &review.scopes,
        });
        output::json(&Checked { name, good, state, published, keys, token })?;
    } else {
        show(&issuer, state, published.as_ref(), &keys)?;
        match &review {
            Some(review) => show_token(review)?,
            None => output::remark(&format!(
                "no token on standard input; `portcullis issuer check {name} < TOKEN` judges one claim by claim"
            )),
        }
    }
    Ok(if good { Code::Done } else { Code::No })
}

fn published(issuer: &Issuer, url: &str, source: &Source) -> Published {
    let Found { at, metadata, published } = match look_up(issuer, url, source) {
        Ok(found) => found,
        Err(error) => return Published { error: Some(error.to_string()), ..Published::default() },
    };
    let (keys, error) = match IssuerKeys::described(&published.text, &issuer.algorithms) {
        Ok(keys) => (keys, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Published {
        metadata: Some(at.into()),
        jwks_uri: Some(metadata.jwks_uri.into()),
        endpoints: metadata.endpoints,
        keys,
        error,
    }
}

/// Those that are believed, but for a secret, which is nobody's to show.
fn kept(issuer: &Issuer) -> Vec<PublishedKey> {
    IssuerKeys::described(&issuer.keys.to_string(), &issuer.algorithms).unwrap_or_default()
}

fn show(
    issuer: &Issuer,
    state: IssuerState,
    published: Option<&Published>,
    kept: &[PublishedKey],
) -> Result<(), CliError> {
    let nothing = || "-".to_owned();
    let mut fields = vec![("issuer", issuer.name.to_string()), ("state", state.as_str().into())];
    if let Some(published) = published {
        fields.push(("metadata", published.metadata.clone().unwrap_or_else(nothing)));
        fields.push(("keys from", published.jwks_uri.clone().unwrap_or_else(nothing)));
        for (name, url) in &published.endpoints {
            fields.push((name.trim_end_matches("_endpoint"), url.clone()));
        }
    }
    output::fields(&fields)?;
    // Where nothing can be had, those that are believed for now.
    let had = published.filter(|published| published.error.is_none());
    let keys = had.map_or(kept, |published| published.keys.as_slice());
    for key in keys {
        let kid = key.kid.as_deref().unwrap_or("without a name");
        let told = match (&key.left_out, key.algorithm) {
            (None, _) if !is_kept(key, kept) => "not known here yet: portcullis issuer refresh",
            (None, _) => "taken",
            (Some(why), _) => why.as_str(),
        };
        let algorithm = key.algorithm.map_or("-", crate::domain::jose::Algorithm::as_str);
        output::line(&format!("key {} {algorithm}: {told}", crate::domain::text::excerpt(kid)))?;
    }
    if let Some(error) = published.and_then(|published| published.error.as_ref()) {
        output::line(&format!("NOT good: {error}"))?;
    }
    Ok(())
}

fn is_kept(key: &PublishedKey, kept: &[PublishedKey]) -> bool {
    kept.iter().any(|other| (&other.kid, other.algorithm) == (&key.kid, key.algorithm))
}

fn show_token(review: &Review) -> Result<(), CliError> {
    match review.verdict.reason {
        None if review.is_good() => output::line("the token is valid")?,
        None => output::line("the token is valid, and good for nothing here")?,
        Some(reason) => output::line(&format!("the token is NOT valid: {reason}: {}", reason.explanation()))?,
    }
    output::checks(&review.verdict.checks)?;
    for finding in &review.claims {
        let value = finding.value.as_ref().map_or_else(
            || "-".to_owned(),
            |value| match value.as_str() {
                Some(text) => text.to_owned(),
                None => value.to_string(),
            },
        );
        let passed = if finding.passed { " " } else { "!" };
        let value = crate::domain::text::excerpt(&value);
        output::line(&format!(
            "{passed} {}: {value}: {}",
            crate::domain::text::excerpt(&finding.claim),
            finding.detail
        ))?;
    }
    let scopes = output::scopes(&review.scopes);
    output::fields(&[("scopes here", if scopes.is_empty() { "-".to_owned() } else { scopes })])
}
