//! TLS on the data listener (RFC 8446): the certificate, where it comes from, and how it is renewed without a restart.
//!
//! The files are looked at when a client connects, not on a timer: a changed certificate serves the next handshake. One
//! that cannot be used is logged and leaves the last good one in place; a gateway never starts with one.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::store::writers;

/// A client that has not shaken hands by then is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What the gateway speaks under TLS, in order of preference (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];
/// HTTP/2 (RFC 9113 §3.2).
const HTTP_2: &[u8] = b"h2";

/// Where the certificate of the data listener comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// PEM files: the chain, leaf first, and its private key.
    Files { certificate: PathBuf, key: PathBuf },
    /// Made at the start, for trying out: nobody trusts it, and it is gone with the process.
    SelfSigned,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {why}", path = path.display())]
    File { path: PathBuf, why: String },
    #[error(
        "{certificate} and {key} do not belong together or cannot be used: {source}",
        certificate = certificate.display(), key = key.display()
    )]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("a certificate for trying out cannot be made: {0}")]
    SelfSigned(String),
}

/// The listener's side of every handshake.
pub struct Tls {
    identity: Identity,
    current: ArcSwap<ServerConfig>,
    /// When the files were last written, as of the last look at them.
    written: Mutex<Option<Written>>,
}

type Written = [SystemTime; 2];

impl Tls {
    /// Reads or makes the certificate. `listen` is named in one that is made.
    ///
    /// # Errors
    /// Where the files cannot be read, hold no certificate and key, or these do not fit each other.
    pub fn new(identity: Identity, listen: IpAddr) -> Result<Self, TlsError> {
        let (written, config) = match &identity {
            Identity::Files { certificate, key } => (written(certificate, key).ok(), read(certificate, key)?),
            Identity::SelfSigned => (None, self_signed(listen)?),
        };
        Ok(Self { identity, current: ArcSwap::from_pointee(config), written: Mutex::new(written) })
    }

    /// Shakes hands under the certificate that the files hold now.
    ///
    /// # Errors
    /// Where the client does not shake hands as TLS wants it, or not in time.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.follow();
        let acceptor = TlsAcceptor::from(self.current.load_full());
        timeout(HANDSHAKE, acceptor.accept(stream)).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not finish the handshake"))
        })
    }

    fn follow(&self) {
        let Identity::Files { certificate, key } = &self.identity else { return };
        let found = match written(certificate, key) {
            Ok(found) => found,
            // Mid-way through a renewal one of the files may be away; the next handshake looks again.
            Err(_) => return,
        };
        let mut last = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == Some(found) {
            return;
        }
        match read(certificate, key) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                tracing::info!(certificate = %certificate.display(), "a new certificate is in use");
            }
            Err(error) => {
                tracing::warn!(%error, "the new certificate is not usable; the last one stays in use")
            }
        }
        *last = Some(found);
    }
}

/// Whether the client chose HTTP/2 in the handshake.
pub fn is_http_2<S>(stream: &TlsStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP_2)
}

fn written(certificate: &Path, key: &Path) -> io::Result<Written> {
    Ok([fs::metadata(certificate)?.modified()?, fs::metadata(key)?.modified()?])
}

fn read(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let fault = |path: &Path, why: String| TlsError::File { path: path.to_owned(), why };
    for path in [certificate, key] {
        if let Some(doubt) = writers::check(path).map_err(|error| fault(path, error.to_string()))? {
            tracing::warn!("{doubt}");
        }
    }
    if fs::metadata(key).is_ok_and(|found| found.mode() & 0o004 != 0) {
        tracing::warn!(key = %key.display(), "any user of this machine can read the private key: chmod o-r it");
    }
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| fault(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(fault(certificate, "no certificate in PEM form is in it".into()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| fault(key, error.to_string()))?;
    config(chain, secret).map_err(|source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
}

fn self_signed(listen: IpAddr) -> Result<ServerConfig, TlsError> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), listen.to_string()];
    let made = rcgen::generate_simple_self_signed(names);
    let rcgen::CertifiedKey { cert, signing_key } =
        made.map_err(|error| TlsError::SelfSigned(error.to_string()))?;
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    config(vec![cert.der().clone()], key).map_err(|error| TlsError::SelfSigned(error.to_string()))
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// Named each time, so that nothing depends on a default of the whole process.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
