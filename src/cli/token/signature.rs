//! `token verify --signature-only`: any signed token against a given key, and nothing else. Needs no home.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    cli::{
        error::{CliError, Code},
        input, output,
        session::Session,
    },
    domain::{
        api_key::MARK,
        decision::Reason,
        jose::{Algorithm, Compact, Fault, Header, KeySet, PrivatePart, VerifyingKey},
        json,
        token::NO_TOKEN,
    },
};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("key"))]
pub struct Options {
    /// The key as JSON: one (JWK), or several (JWK set) of which the token names one
    #[arg(long, value_name = "FILE", group = "key", requires = "signature_only")]
    jwk: Option<PathBuf>,
    /// The public key in PEM; for HS256, HS384 and HS512 the secret itself, without the newline at its end
    #[arg(long, value_name = "FILE", group = "key", requires = "signature_only")]
    key_file: Option<PathBuf>,
    /// The algorithm that the key is for, such as RS256, where the key does not say it
    #[arg(long, requires = "signature_only")]
    alg: Option<Algorithm>,
    /// Verify the signature and nothing else: not who issued it, for whom, nor for how long
    #[arg(long, requires = "key")]
    pub signature_only: bool,
}

/// The answer. `reason` is one of the reasons that calls are denied for, `fault` names it more closely.
#[derive(Serialize)]
struct Verdict {
    valid: bool,
    reason: Option<Reason>,
    fault: Option<&'static str>,
    detail: String,
    /// What was signed, where it is a JSON object and the signature fits.
    claims: Option<Map<String, Value>>,
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let keys = Keys::read(options)?;
    let text = input::credential()?;
    let verdict = match verify(&text, &keys) {
        Ok(token) => Verdict {
            valid: true,
            reason: None,
            fault: None,
            detail: format!("the signature fits ({})", token.header().alg),
            claims: json::claims(token.payload()).ok(),
        },
        Err(fault) => Verdict {
            valid: false,
            reason: Some(reason(fault)),
            fault: Some(fault.code()),
            detail: if text.starts_with(MARK) { NO_TOKEN.into() } else { fault.to_string() },
            claims: None,
        },
    };
    if session.json {
        output::json(&verdict)?;
    } else {
        output::line(&format!("{}: {}", if verdict.valid { "valid" } else { "NOT valid" }, verdict.detail))?;
    }
    Ok(if verdict.valid { Code::Done } else { Code::No })
}

fn verify(text: &str, keys: &Keys) -> Result<Compact, Fault> {
    let token = Compact::parse(text)?;
    token.verify(&keys.key_for(token.header())?)?;
    Ok(token)
}

/// What the key file holds.
enum Keys {
    One(Result<VerifyingKey, Fault>),
    Set(Result<KeySet, Fault>, Option<Algorithm>),
}

impl Keys {
    fn read(options: &Options) -> Result<Self, CliError> {
        let keys = match (&options.jwk, &options.key_file, options.alg) {
            (Some(file), ..) => Self::of_json(&document(file)?, options.alg),
            (None, Some(file), Some(alg)) if alg.is_symmetric() => {
                let secret = document(file)?;
                Self::One(VerifyingKey::hmac(secret.trim_end_matches(['\n', '\r']).as_bytes(), alg))
            }
            (None, Some(file), alg) => Self::One(VerifyingKey::from_pem(&document(file)?, alg)),
            (None, None, _) => return Err(CliError::usage("name the key: --jwk FILE or --key-file FILE")),
        };
        match keys.fault() {
            // What is no key at all, or is for an unknown algorithm, is bad input; a bad key is an answer.
            Some(fault @ (Fault::KeyJson | Fault::Pem | Fault::SetShape)) => {
                Err(CliError::usage(fault.to_string()))
            }
            Some(fault @ Fault::AlgorithmNeeded) => {
                Err(CliError::usage(fault.to_string()).mend("--alg RS256"))
            }
            _ => Ok(keys),
        }
    }

    /// A person's own file may hold the private part as well; it is left aside.
    fn of_json(text: &str, alg: Option<Algorithm>) -> Self {
        if json::object(text.as_bytes()).is_ok_and(|members| members.contains_key("keys")) {
            return Self::Set(KeySet::parse(text, PrivatePart::Drop, alg.as_slice()), alg);
        }
        Self::One(VerifyingKey::from_private_jwk(text, alg))
    }

    fn fault(&self) -> Option<Fault> {
        match self {
            Self::One(key) => key.as_ref().err().copied(),
            Self::Set(set, _) => set.as_ref().err().copied(),
        }
    }

    fn key_for(&self, header: &Header) -> Result<VerifyingKey, Fault> {
        match self {
            Self::One(key) => key.clone(),
            Self::Set(Err(fault), _) => Err(*fault),
            Self::Set(Ok(set), alg) => match set.key_for(header) {
                Ok(key) if alg.is_some_and(|alg| alg != key.algorithm()) => {
                    Err(Fault::KeyMismatch(key.algorithm()))
                }
                Ok(key) => Ok(key.clone()),
                // The only key there is tells more than that there is none.
                Err(_) if set.keys.is_empty() && set.skipped.len() == 1 => Err(set.skipped[0].1),
                Err(fault) => Err(fault),
            },
        }
    }
}

/// The token is what standard input holds.
fn document(file: &Path) -> Result<String, CliError> {
    if file == Path::new("-") {
        return Err(CliError::usage("the token is read from standard input; the key has to be in a file"));
    }
    input::document(file)
}

fn reason(fault: Fault) -> Reason {
    match fault {
        Fault::SetNoKey => Reason::UnknownCredential,
        Fault::TooLong
        | Fault::Parts
        | Fault::Encrypted
        | Fault::Base64(_)
        | Fault::Json(_)
        | Fault::HeaderType(_)
        | Fault::NoAlgorithm
        | Fault::Unsigned
        | Fault::UnknownAlgorithm
        | Fault::Critical
        | Fault::Nested => Reason::Malformed,
        // A key that proves nothing makes no signature fit.
        _ => Reason::BadSignature,
    }
}
