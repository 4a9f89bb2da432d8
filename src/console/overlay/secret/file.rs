//! Writes a secret into a file of its owner's.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::console::effect::{Deed, Fault};
use crate::domain::secret::Secret;
use crate::ops::Ctx;

/// Writes a secret into a file that is not there yet.
#[derive(Debug)]
pub struct WriteSecret {
    pub file: PathBuf,
    pub text: Secret,
}

impl Deed for WriteSecret {
    /// Where it was written to.
    type Answer = PathBuf;
    fn carry_out(&self, _ctx: &Ctx) -> Result<PathBuf, Fault> {
        write(&self.file, &self.text)
    }
}

/// Writes `text` on one line into `file`, which nobody else may read. Returns where it is. What is there already stays as it
/// is; a file that could not be written whole is not left.
fn write(file: &Path, text: &Secret) -> Result<PathBuf, Fault> {
    let file = below_home(file);
    let fault = |error: io::Error| {
        let why = match error.kind() {
            io::ErrorKind::AlreadyExists => "is there already; choose another name".to_owned(),
            _ => format!("cannot be written: {error}"),
        };
        Fault::new(format!("{} {why}", file.display()))
    };
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(fault)?;
    if let Err(error) = fill(made, text) {
        // It holds half of a secret; where it cannot be removed either, the first error is what matters.
        let _ = std::fs::remove_file(&file);
        return Err(fault(error));
    }
    Ok(std::fs::canonicalize(&file).unwrap_or(file))
}

fn fill(mut file: File, text: &Secret) -> io::Result<()> {
    file.write_all(text.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// As a shell reads it.
pub fn below_home(file: &Path) -> PathBuf {
    match (file.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(below), Some(home)) => PathBuf::from(home).join(below),
        _ => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_for_its_owner_alone_and_writes_over_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let secret = Secret::new("pcl_live_secret".into());
        write(&file, &secret).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "pcl_live_secret\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let again = write(&file, &Secret::new("another".into())).unwrap_err();
        assert!(again.message.contains("is there already"), "{again:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "pcl_live_secret\n");
        // a link is not followed to where somebody else wants it
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
        assert!(write(&link, &secret).is_err() && !folder.path().join("elsewhere").exists());
        let nowhere = write(&folder.path().join("no/key"), &secret).unwrap_err();
        assert!(nowhere.message.contains("cannot be written"), "{nowhere:?}");
    }
}
