//! The keeper: one thread that keeps the keys of registered issuers fresh.
//!
//! It fetches a set when it is due, and at once when a token names a key that is not known, though an issuer at most once
//! a minute, whatever tokens come. No request ever waits for it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::fetch::What;
use super::{Answer, Fault, FetchError, Fetcher, LookUpError, discover, issuer_url};
use crate::domain::clock::Timestamp;
use crate::domain::issuer::{Issuer, Source};
use crate::domain::name::IssuerName;
use crate::engine::MissedKeys;
use crate::ops::{Ctx, OpsError, issuer as ops};

/// Issuers are added and removed by other processes; one that is new is fresh for at least as long.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// How long to wait where the store could not say what is due, and with keys that are missed before their time.
const SOON: Duration = Duration::from_secs(10);
/// Who the audit log names for what it fetches.
const ACTOR: &str = "gateway";

/// The keeper's thread.
#[derive(Debug)]
pub struct Keeper {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts it. `missed`: what tokens named in vain.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub fn start(ctx: &Ctx, fetcher: Fetcher, missed: Arc<MissedKeys>) -> io::Result<Self> {
        let ctx = Ctx { actor: ACTOR.into(), ..ctx.clone() };
        let stop = CancellationToken::new();
        let until = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("issuers".into()).spawn(move || {
            crate::store::thread::step_back();
            runtime.block_on(until.run_until_cancelled(keep(&ctx, &fetcher, &missed)));
            // A look-up of a name that still waits is left to itself.
            runtime.shutdown_background();
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends it, in the middle of whatever it fetches.
    pub fn stop(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            tracing::error!("the thread that keeps the keys of issuers ended in a panic");
        }
    }
}

async fn keep(ctx: &Ctx, fetcher: &Fetcher, missed: &MissedKeys) {
    let mut wanted = BTreeSet::new();
    loop {
        let wait = round(ctx, fetcher, &mut wanted).await;
        tokio::select! {
            () = missed.wait() => wanted.extend(missed.take()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Fetches what is due, and what is `wanted` and may be fetched again; the rest stays wanted. Returns how long to wait.
pub(super) async fn round(ctx: &Ctx, fetcher: &Fetcher, wanted: &mut BTreeSet<IssuerName>) -> Duration {
    let agenda = match ops::agenda(ctx) {
        Ok(agenda) => agenda,
        Err(error) => {
            tracing::warn!(%error, "it cannot be read which keys of issuers are due");
            return SOON;
        }
    };
    wanted.retain(|name| agenda.iter().any(|(known, _)| known == name));
    let now = ctx.now();
    let due = agenda.iter().filter(|(name, next_at)| now >= *next_at || wanted.contains(name));
    let fetched = join_all(due.map(|(name, _)| one(ctx, fetcher, name, wanted.contains(name)))).await;
    for name in fetched.into_iter().flatten() {
        wanted.remove(&name);
    }
    let next = agenda.iter().map(|(_, next_at)| *next_at).filter(|next_at| *next_at > now).min();
    let wait = next.map_or(LOOK_AGAIN, |next: Timestamp| next.since(now)).min(LOOK_AGAIN);
    if wanted.is_empty() { wait } else { wait.min(SOON) }
}

/// The name of the issuer where it was asked.
async fn one(ctx: &Ctx, fetcher: &Fetcher, name: &IssuerName, missed: bool) -> Option<IssuerName> {
    let asked = match ops::ask(ctx, name, missed) {
        Ok(asked) => asked?,
        Err(error) => {
            tracing::warn!(issuer = %name, %error, "the keys of this issuer cannot be asked for");
            return None;
        }
    };
    let outcome = match get(fetcher, &asked.0, &asked.1).await {
        Ok((jwks_uri, Answer::Document(published))) => {
            ops::keep(ctx, &asked, &jwks_uri, &published).map(|kept| {
                if kept.is_changed {
                    tracing::info!(issuer = %name, "the issuer has other keys now, and these are taken");
                }
            })
        }
        Ok((_, Answer::Unchanged { fresh_for })) => ops::unchanged(ctx, &asked, fresh_for),
        Err(error) => ops::failed(ctx, &asked, &error.to_string())
            .and_then(|_| Err(OpsError::Invalid(error.to_string()))),
    };
    if let Err(error) = outcome {
        complain(&asked.0, &error, ctx.now());
    }
    Some(asked.0.name)
}

/// The keys, and where they are. Where they are gone, the issuer's metadata says where they are now.
async fn get(fetcher: &Fetcher, issuer: &Issuer, source: &Source) -> Result<(String, Answer), LookUpError> {
    let parsed =
        |text: &str| Url::parse(text).map_err(|_| FetchError { url: text.to_owned(), fault: Fault::Scheme });
    let allowed = &source.allow_private;
    let gone = match fetcher
        .get(&parsed(&source.jwks_uri)?, allowed, What::Keys { etag: source.etag.as_deref() })
        .await
    {
        Ok(answer) => return Ok((source.jwks_uri.clone(), answer)),
        Err(error) if error.fault.is_gone() => error,
        Err(error) => return Err(error.into()),
    };
    let (Some(url), Some(iss)) = (&issuer.url, &issuer.iss) else { return Err(gone.into()) };
    let jwks_uri = discover(fetcher, &issuer_url(url)?, iss, allowed).await?.1.jwks_uri;
    if jwks_uri.as_str() == source.jwks_uri {
        return Err(gone.into());
    }
    let answer = fetcher.get(&jwks_uri, allowed, What::Keys { etag: None }).await?;
    Ok((jwks_uri.into(), answer))
}

fn complain(issuer: &Issuer, error: &OpsError, now: Timestamp) {
    let name = &issuer.name;
    match issuer.good_until() {
        Some(end) if now >= end => tracing::error!(
            issuer = %name, %error,
            "the keys of this issuer have not been had for a day: its tokens are refused until they are"
        ),
        Some(end) => tracing::warn!(
            issuer = %name, %error, until = %end,
            "the keys of this issuer could not be had; those had before are taken for now"
        ),
        None => {}
    }
}
