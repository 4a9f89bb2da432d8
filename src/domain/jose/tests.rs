use std::path::PathBuf;

use serde_json::Value;

use super::*;

mod keys;
mod primitives;
mod rfc;
mod tokens;
mod wycheproof;

/// The folder of published vectors; says so where it is not there.
pub(super) fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("PORTCULLIS_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from)
        .join("wycheproof");
    if folder.is_dir() {
        return Some(folder);
    }
    let told = format!("no test vectors in {}; set PORTCULLIS_VECTORS", folder.display());
    assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{told}");
    eprintln!("NOT TESTED: {told}");
    None
}

pub(super) fn key(jwk: Value) -> Result<VerifyingKey, Fault> {
    VerifyingKey::from_jwk(&jwk.to_string(), None)
}
