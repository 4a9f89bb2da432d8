//! Issuers of tokens besides this home: what they publish is fetched here, at their registration and ever again.
//!
//! What is fetched is foreign twice over: an address that somebody chose, and an answer that somebody wrote. See
//! [`Fetcher`] for what is never asked, and [`look_up`] for whose word is taken.

mod address;
mod fetch;
mod keeper;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;

use url::{Host, Url};

use crate::domain::issuer::{BadMetadata, Metadata, locations};
use crate::domain::text::{excerpt, url_excerpt, without_user_info};
use crate::ops::issuer::Published;
pub use fetch::{Answer, Fault, FetchError, Fetcher};
pub use keeper::Keeper;

/// Why the keys of an issuer could not be had. Safe to show.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    #[error("`{0}` is no URL of an issuer: {1}")]
    Url(String, &'static str),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the metadata at {url} is refused: {error}")]
    Metadata { url: String, error: BadMetadata },
    #[error("no metadata is found where the specifications put it; {}", .0.join("; "))]
    Nowhere(Vec<String>),
    #[error("threads cannot be started: {0}")]
    Thread(#[from] io::Error),
}

impl LookUpError {
    /// Whether what was asked for is wrong, and not what came of it.
    pub fn is_of_input(&self) -> bool {
        match self {
            Self::Url(..) | Self::Metadata { error: BadMetadata::Issuer { .. }, .. } => true,
            Self::Fetch(error) => error.fault.is_of_input(),
            _ => false,
        }
    }
}

/// The URL of an issuer as it is typed (RFC 8414 §2): no query, no fragment, and not that of its metadata.
///
/// # Errors
/// What is wrong with it.
pub fn issuer_url(text: &str) -> Result<Url, LookUpError> {
    let bad = |why| LookUpError::Url(url_excerpt(text), why);
    let url = Url::parse(text).map_err(|_| bad("it has to begin with https:// and name a host"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a user name or password; put no secret into a URL"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it has neither ?query nor #fragment"));
    }
    if url.path().contains("/.well-known/") {
        return Err(bad(
            "give the issuer's own, without /.well-known/… (its metadata says `issuer`); where that is is known",
        ));
    }
    Ok(url)
}

/// Hosts that may be at private addresses: those that were named, and the one of `url` where that is this machine
/// itself, which nobody types by mistake.
pub fn private_hosts(url: &Url, named: &[String]) -> Vec<String> {
    let own = url.host().filter(fetch::is_this_machine).map(|host| host.to_string());
    let mut hosts: Vec<_> = named.iter().cloned().chain(own).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// The name of a host as it is compared: as the URL standard writes it.
///
/// # Errors
/// A sentence that says what a host is.
pub fn host(text: &str) -> Result<String, String> {
    let parsed = Host::parse(text).map_err(|_| {
        format!("`{}` is no name of a host, nor an address such as 10.0.0.1 or [fd00::1]", excerpt(text))
    })?;
    Ok(parsed.to_string())
}

/// Finds the keys of the issuer `iss` by its metadata, which is at `url`. Blocks, for a few times five seconds at most.
///
/// # Errors
/// See [`LookUpError`].
pub fn look_up(
    fetcher: &Fetcher,
    url: &Url,
    iss: &str,
    allow_private: &[String],
) -> Result<(Url, Published), LookUpError> {
    block_on(async {
        let jwks_uri = discover(fetcher, url, iss, allow_private).await?;
        match fetcher.get(&jwks_uri, allow_private, None).await? {
            Answer::Document(published) => Ok((jwks_uri, published)),
            Answer::Unchanged { .. } => {
                Err(FetchError { url: jwks_uri.to_string(), fault: Fault::Status(304) }.into())
            }
        }
    })?
}

/// Where the keys of `iss` are. An answer that is not there is looked for at the next place; one that is wrong is the end.
async fn discover(
    fetcher: &Fetcher,
    url: &Url,
    iss: &str,
    allow_private: &[String],
) -> Result<Url, LookUpError> {
    let mut tried = Vec::new();
    for at in locations(url) {
        match fetcher.get(&at, allow_private, None).await {
            Ok(Answer::Document(document)) => {
                return match Metadata::read(document.text.as_bytes(), iss) {
                    Ok(metadata) => Ok(metadata.jwks_uri),
                    Err(error) => {
                        Err(LookUpError::Metadata { url: without_user_info(at.as_str()).into_owned(), error })
                    }
                };
            }
            Ok(Answer::Unchanged { .. }) => tried.push(format!("{at}: {}", Fault::Status(304))),
            Err(error) if error.fault.is_absence() => tried.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(LookUpError::Nowhere(tried))
}

/// Runs one task to its end. A look-up of a name that still waits for an answer is left to itself.
fn block_on<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(task);
    runtime.shutdown_background();
    Ok(done)
}
