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
use fetch::What;
pub use fetch::{Answer, Fault, FetchError, Fetcher};
pub use keeper::Keeper;

/// Why the keys of an issuer could not be had. Safe to show.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    #[error("`{0}` is no URL of an issuer: {1}")]
    Url(String, &'static str),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("no metadata that fits is found where the specifications put it; {}", told(.0))]
    Nowhere(Vec<Miss>),
    #[error("threads cannot be started: {0}")]
    Thread(#[from] io::Error),
}

impl LookUpError {
    /// Whether what was asked for is wrong, and not what came of it.
    pub fn is_of_input(&self) -> bool {
        match self {
            Self::Url(..) => true,
            Self::Fetch(error) => error.fault.is_of_input(),
            Self::Nowhere(tried) => {
                tried.iter().any(|miss| matches!(miss.why, Why::Metadata(BadMetadata::Issuer { .. })))
            }
            Self::Thread(_) => false,
        }
    }
}

/// A place where metadata should be, and why what is there is not it.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {why}")]
pub struct Miss {
    url: String,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Fetch(Fault),
    #[error("refused: {0}")]
    Metadata(BadMetadata),
}

fn told(tried: &[Miss]) -> String {
    tried.iter().map(Miss::to_string).collect::<Vec<_>>().join("; ")
}

/// What an issuer says of itself, and its keys.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where its metadata is.
    pub at: Url,
    pub metadata: Metadata,
    pub published: Published,
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

/// Finds the metadata of the issuer `iss`, which is at `url`, and by it its keys. Blocks, for a few times five seconds at
/// most.
///
/// # Errors
/// See [`LookUpError`].
pub fn look_up(
    fetcher: &Fetcher,
    url: &Url,
    iss: &str,
    allow_private: &[String],
) -> Result<Found, LookUpError> {
    block_on(async {
        let (at, metadata) = discover(fetcher, url, iss, allow_private).await?;
        match fetcher.get(&metadata.jwks_uri, allow_private, What::Keys { etag: None }).await? {
            Answer::Document(published) => Ok(Found { at, metadata, published }),
            Answer::Unchanged { .. } => {
                Err(FetchError { url: metadata.jwks_uri.to_string(), fault: Fault::Status(304) }.into())
            }
        }
    })?
}

/// The metadata of `iss`, and where it is. Each place is asked until one has what fits; what may not be asked at all is the
/// end, since all of them are on one host.
async fn discover(
    fetcher: &Fetcher,
    url: &Url,
    iss: &str,
    allow_private: &[String],
) -> Result<(Url, Metadata), LookUpError> {
    let mut tried = Vec::new();
    for at in locations(url) {
        let why = match fetcher.get(&at, allow_private, What::Metadata).await {
            Ok(Answer::Document(document)) => match Metadata::read(document.text.as_bytes(), iss) {
                Ok(metadata) => return Ok((at, metadata)),
                Err(error) => Why::Metadata(error),
            },
            Ok(Answer::Unchanged { .. }) => Why::Fetch(Fault::Status(304)),
            Err(error) if error.fault.is_of_input() => return Err(error.into()),
            Err(error) => Why::Fetch(error.fault),
        };
        tried.push(Miss { url: without_user_info(at.as_str()).into_owned(), why });
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
