//! Why the vault stays shut.

/// What hinders it. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// A key or an entry from elsewhere.
    #[error(
        "the vault does not fit this store: {0}; put back the vault.key (or the passphrase, or the file in \
         PORTCULLIS_MASTER_KEY_FILE) that this home was made with"
    )]
    DoesNotFit(String),
    /// The master key cannot be had; says why and what mends it.
    #[error("{0}")]
    Key(String),
    /// The operating system or the library refused.
    #[error("the cryptographic library failed to {0}; nothing was changed, try again")]
    Crypto(&'static str),
}
