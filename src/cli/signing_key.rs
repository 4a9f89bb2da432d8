//! `portcullis signing-key …`: the acts on the keys that sign tokens.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
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
        jose::Algorithm,
        name::Kid,
        signing_key::{SigningKey, SigningKeyState},
    },
    ops::signing_key::{self as ops, NewSigningKey, Rotation},
    vault::RsaBits,
};

const AFTER_CREATE: &str = "\
Such as: portcullis signing-key create --alg ES256 --name 2026\n\
`portcullis token issue` makes the first key by itself. The private part never leaves the vault.";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a signing key, or import one
    #[command(after_help = AFTER_CREATE)]
    Create(Create),
    /// List signing keys, the newest first
    List {
        /// Answer in CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Put a new key in the place of one, which goes on verifying for a while
    Rotate {
        /// The key's id
        #[arg(allow_hyphen_values = true)]
        kid: Kid,
        /// For how long the old key still verifies [default: the longest life of what it signed]
        #[arg(long, value_parser = input::grace, value_name = "LIFE", allow_hyphen_values = true)]
        overlap: Option<Duration>,
        /// For how long the new key is published before it signs
        #[arg(long, default_value = "0", value_parser = input::grace, value_name = "LIFE", allow_hyphen_values = true)]
        publish_ahead: Duration,
    },
    /// End a key for good: at once, all that it signed is refused
    Retire {
        /// The key's id
        #[arg(allow_hyphen_values = true)]
        kid: Kid,
        /// Why; it stands in the audit log
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Print the public part of a key, or of all that verify
    Export {
        /// The key's id
        #[arg(required_unless_present = "jwks", allow_hyphen_values = true)]
        kid: Option<Kid>,
        /// In which form
        #[arg(long, value_enum, default_value = "jwk")]
        format: Form,
        /// All keys that verify, as a JWK set
        #[arg(long, conflicts_with_all = ["kid", "format"])]
        jwks: bool,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// What it signs with: EdDSA, ES256, RS256, PS256 or HS256
    #[arg(long, default_value = "EdDSA", value_parser = input::algorithm, value_name = "ALG")]
    alg: Algorithm,
    /// A label for people
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Under which id [default: the key's thumbprint]
    #[arg(long, allow_hyphen_values = true)]
    kid: Option<Kid>,
    /// How long an RSA key is: 2048, 3072 or 4096
    #[arg(long, default_value = "2048", value_parser = bits, conflicts_with = "import", value_name = "BITS")]
    rsa_bits: RsaBits,
    /// Import the private key in this file: PEM, a JWK, or for HS256 the secret itself; `-` is standard input
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A JSON Web Key (RFC 7517)
    Jwk,
    /// SubjectPublicKeyInfo in PEM
    Pem,
}

/// A key and what may be said of it now.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    key: &'a SigningKey,
    state: SigningKeyState,
}

impl<'a> Shown<'a> {
    fn new(key: &'a SigningKey, now: Timestamp) -> Self {
        Self { key, state: key.state(now) }
    }
}

fn bits(text: &str) -> Result<RsaBits, String> {
    let known = RsaBits::ALL.into_iter().find(|bits| bits.bits().to_string() == text);
    known.ok_or_else(|| "an RSA key has 2048, 3072 or 4096 bits".into())
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    match verb {
        Verb::Create(new) => create(session, new),
        Verb::List { csv } => list(session, csv),
        Verb::Rotate { kid, overlap, publish_ahead } => {
            rotate(session, &kid, Rotation { overlap, publish_ahead })
        }
        Verb::Retire { kid, reason } => {
            let key = ops::retire(&session.operator()?, &kid, &reason)?;
            let told = format!("signing key {kid} is retired: whatever it signed is refused from now on");
            answer(session, &key, &told)
        }
        Verb::Export { kid: Some(kid), format, .. } => export(session, &kid, format),
        Verb::Export { kid: None, .. } => {
            output::json(&ops::published(&session.reader()?)?)?;
            Ok(Code::Done)
        }
    }
}

fn create(session: &Session, new: Create) -> Result<Code, CliError> {
    let wanted = NewSigningKey { algorithm: new.alg, name: new.name, bits: new.rsa_bits, kid: new.kid };
    let key = match new.import {
        Some(path) => {
            let text = input::credential_of(&path)?;
            ops::import(&session.operator()?, wanted, &text)?
        }
        None => ops::create(&session.operator()?, wanted)?,
    };
    let told = format!("signing key {} signs with {} from now on", key.kid, key.algorithm);
    answer(session, &key, &told)
}

fn rotate(session: &Session, kid: &Kid, rotation: Rotation) -> Result<Code, CliError> {
    let rotated = ops::rotate(&session.operator()?, kid, rotation)?;
    let now = session.now();
    if session.json {
        output::json(&json!({ "old": Shown::new(&rotated.old, now), "new": Shown::new(&rotated.new, now) }))?;
        return Ok(Code::Done);
    }
    output::line(rotated.new.kid.as_str())?;
    output::remark(&format!(
        "signing key {} signs from {} on; {kid} verifies until {}",
        rotated.new.kid,
        rotated.new.signs_from,
        moment(rotated.old.verifies_until)
    ));
    Ok(Code::Done)
}

/// The key as JSON, or its id, with a remark for people.
fn answer(session: &Session, key: &SigningKey, told: &str) -> Result<Code, CliError> {
    if session.json {
        output::json(&Shown::new(key, session.now()))?;
    } else {
        output::line(key.kid.as_str())?;
        output::remark(told);
    }
    Ok(Code::Done)
}

fn list(session: &Session, csv: bool) -> Result<Code, CliError> {
    let now = session.now();
    let (keys, damaged) = ops::sound(&session.lister()?)?;
    let shown = keys.iter().map(|key| Shown::new(key, now)).collect();
    output::list(
        session.format(csv),
        &["kid", "alg", "name", "state", "signs from", "signs until", "verifies until"],
        &List { items: shown, next: None },
        |shown| {
            let key = shown.key;
            vec![
                key.kid.to_string(),
                key.algorithm.to_string(),
                key.name.clone(),
                shown.state.as_str().into(),
                key.signs_from.to_string(),
                moment(key.signs_until),
                moment(key.retired_at.or(key.verifies_until)),
            ]
        },
    )?;
    Ok(output::damaged(&damaged))
}

fn export(session: &Session, kid: &Kid, format: Form) -> Result<Code, CliError> {
    let key = ops::show(&session.reader()?, kid)?;
    let Some(public) = &key.public else {
        return Err(CliError::new(
            Code::Refused,
            format!(
                "signing key {kid} is for {}, which signs and verifies with one secret: it has no public part",
                key.algorithm
            ),
        )
        .mend("make a key that has one: portcullis signing-key create --alg EdDSA"));
    };
    match format {
        Form::Jwk => output::json(public)?,
        Form::Pem => {
            let broken = || CliError::broken(format!("the public part of signing key {kid} cannot be read"));
            output::raw(key.public_pem().ok_or_else(broken)?.as_bytes())?;
        }
    }
    Ok(Code::Done)
}

fn moment(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}
