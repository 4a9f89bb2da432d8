//! What was kept elsewhere of the chain, where whoever alters it cannot reach.

use std::path::Path;

use clap::Args;

use crate::cli::{error::CliError, input};
use crate::{
    domain::{
        audit::{ChainKey, Hash},
        text::excerpt,
    },
    ops::audit::{Kept, KeptKey},
};

/// How a public key begins in PEM.
const PEM: &str = "-----BEGIN PUBLIC KEY-----";
/// Hex digits of a SHA-256.
const DIGITS: usize = 64;

#[derive(Debug, Args)]
pub struct Options {
    /// The public key that must have signed it, or its fingerprint, or a file with what `audit head` printed [default: the
    /// vault's]
    #[arg(long, value_name = "FILE|FINGERPRINT")]
    public_key: Option<String>,
    /// A head that must be in it: the hash, or a file with what `audit head` printed
    #[arg(long, value_name = "HASH|FILE")]
    head: Option<String>,
}

impl Options {
    pub fn read(&self) -> Result<Kept, CliError> {
        Ok(Kept {
            key: self.public_key.as_deref().map(key).transpose()?,
            head: self.head.as_deref().map(head).transpose()?,
        })
    }
}

fn key(text: &str) -> Result<KeptKey, CliError> {
    let fingerprint = |text: &str| digest(text).map(|hash| KeptKey::Fingerprint(hash.to_hex()));
    if let Some(known) = fingerprint(text) {
        return Ok(known);
    }
    let file = file("--public-key", "fingerprint", text)?;
    let pem = of_head(&file, "public_key").unwrap_or_else(|| file.clone());
    let pem = pem.find(PEM).and_then(|start| pem.get(start..)).unwrap_or(&pem);
    let key = ChainKey::parse(pem).map(KeptKey::Key);
    key.or_else(|| of_head(&file, "fingerprint").as_deref().and_then(fingerprint)).ok_or_else(|| {
        CliError::usage(format!(
            "--public-key: {text} holds no Ed25519 public key in PEM, as `audit head` prints it"
        ))
    })
}

fn head(text: &str) -> Result<Hash, CliError> {
    if let Some(hash) = digest(text) {
        return Ok(hash);
    }
    let file = file("--head", "hash", text)?;
    let kept = of_head(&file, "hash").unwrap_or_else(|| file.clone());
    digest(&kept).ok_or_else(|| {
        CliError::usage(format!(
            "--head: {text} holds neither a hash of {DIGITS} hex digits nor what `audit head` prints"
        ))
    })
}

/// A SHA-256 as tools write it: with and without colons, in either case.
fn digest(text: &str) -> Option<Hash> {
    Hash::from_hex(&text.trim().replace(':', ""))
}

/// What stands in the file `text`. Where there is none, and it was meant as a hash, what is wrong with that is said.
fn file(option: &str, what: &str, text: &str) -> Result<String, CliError> {
    let is_file = text == "-" || Path::new(text).exists();
    let digits = text.trim().replace(':', "");
    let wrong = digits.chars().find(|digit| !digit.is_ascii_hexdigit());
    let is_meant = digits.len() >= DIGITS / 2 && !digits.contains(['/', '.', ' ']);
    if is_file || !(is_meant || wrong.is_none()) {
        return input::document(Path::new(text));
    }
    let why = match wrong {
        Some(wrong) => format!("holds `{}`, which is no hex digit", excerpt(&wrong.to_string())),
        None => format!("has {} hex digits", digits.len()),
    };
    Err(CliError::usage(format!(
        "{option}: `{}` {why}; a {what} has {DIGITS} hex digits, and there is no file of that name",
        excerpt(text)
    ))
    .mend("take it from what was kept of: portcullis audit head"))
}

/// A field of what `audit head` printed, with or without --json.
fn of_head(text: &str, field: &str) -> Option<String> {
    if let Ok(head) = serde_json::from_str::<serde_json::Value>(text) {
        return head[field].as_str().map(str::to_owned);
    }
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(field)).then(|| words.next().map(str::to_owned))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_in_every_form_that_it_is_printed_in() {
        let hash = "a1".repeat(32);
        let text = format!(
            "seq          7\nhash         {hash}\nsignature    00\nfingerprint  {}\n",
            "b2".repeat(32)
        );
        assert_eq!(of_head(&text, "hash").as_deref(), Some(hash.as_str()));
        assert_eq!(of_head(&format!("{{\"hash\": \"{hash}\"}}"), "hash"), Some(hash.clone()));
        assert_eq!(digest(&hash.to_uppercase()), digest(&hash));
        assert_eq!(of_head("nothing", "hash"), None);
    }

    #[test]
    fn what_is_wrong_with_a_hash_is_said() {
        let short = head(&"a".repeat(63)).unwrap_err().to_string();
        assert!(short.contains("has 63 hex digits") && short.contains("64"), "{short}");
        let wrong = head(&"g".repeat(64)).unwrap_err().to_string();
        assert!(wrong.contains("`g`, which is no hex digit"), "{wrong}");
        let file = head("no/such/file").unwrap_err().to_string();
        assert!(file.contains("cannot be read"), "{file}");
    }
}
