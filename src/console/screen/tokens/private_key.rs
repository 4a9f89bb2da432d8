//! A private key that is brought along in a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::ops::OpsError;

/// The longest file that holds a private key.
pub const LONGEST: u64 = 16 * 1024;

/// The text of a private key, wiped when it was read.
pub fn read(file: &Path) -> Result<Zeroizing<String>, OpsError> {
    let bad = |why: String| OpsError::Invalid(format!("{} cannot be read: {why}", file.display()));
    // With room for all from the start: a text that grows leaves copies of itself behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize + 1));
    let opened = File::open(file).map_err(|error| bad(error.to_string()))?;
    opened.take(LONGEST + 1).read_to_string(&mut text).map_err(|error| bad(error.to_string()))?;
    if text.len() as u64 > LONGEST {
        return Err(bad(format!("it is longer than {LONGEST} bytes, and no private key is")));
    }
    Ok(text)
}
