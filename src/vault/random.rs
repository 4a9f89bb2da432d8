//! Random bytes.

use zeroize::Zeroizing;

use super::error::VaultError;

/// 32 bytes from the operating system.
///
/// # Errors
/// Where it gives none.
pub(super) fn random() -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| VaultError::Crypto("draw random bytes"))?;
    Ok(bytes)
}
