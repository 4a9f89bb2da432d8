//! Who besides this user and root can write a file, or put another in its place.
//!
//! A file is as safe as every folder above it: who may write one of these renames what is in it. A folder with the sticky
//! bit, such as `/tmp`, is safe: there only the owner of a file may rename it.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    StoreError,
    error::{quoted, shown},
};

const BY_ANYBODY: u32 = 0o002;
const BY_GROUP: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// Refuses what any user of this machine can write or replace. Where only a group or another owner can, which may be as
/// it is meant, it says so in a sentence.
///
/// Symbolic links are followed. A file that is not there can be written by whoever can write the folders above it.
pub fn check(path: &Path) -> Result<Option<String>, StoreError> {
    let real = path.canonicalize();
    let mut places: Vec<PathBuf> = real.iter().flat_map(|real| real.ancestors()).map(Into::into).collect();
    // The name that was given may be a link: then the folder that holds the link counts as well.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Some(folder) = folder.ancestors().find_map(|folder| folder.canonicalize().ok()) {
        places.extend(folder.ancestors().map(Into::into));
    }
    let mut doubt = None;
    for place in places {
        match place.symlink_metadata() {
            Ok(found) => doubt = doubt.or(judge(path, &place, &found)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(super::error::io("look at", &place, &error)),
        }
    }
    Ok(doubt)
}

fn judge(path: &Path, place: &Path, found: &Metadata) -> Result<Option<String>, StoreError> {
    let mode = if found.is_dir() && found.mode() & STICKY != 0 { 0 } else { found.mode() };
    let what =
        if found.is_dir() { format!("put another {} in its place", shown(path)) } else { "write it".into() };
    if mode & BY_ANYBODY != 0 {
        return Err(StoreError::Modes {
            path: shown(place),
            found: format!("its mode is {:04o}: any user of this machine can {what}", found.mode() & 0o7777),
            mend: format!("chmod o-w {}", quoted(place)),
        });
    }
    let owner = found.uid();
    if mode & BY_GROUP != 0 && found.gid() != 0 {
        return Ok(Some(format!("the group {} of {} can {what}", found.gid(), shown(place))));
    }
    // Folders may belong to whoever lent them to a container; a file is its owner's to write.
    if found.is_file() && owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Ok(Some(format!("{} belongs to user {owner}, who can {what}", shown(place))));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_anybody_can_write_or_replace_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let (inner, link) = (place.path().join("inner"), place.path().join("link"));
        fs::create_dir(&inner).unwrap();
        let file = inner.join("key.pem");
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        chmod(&inner, 0o755);
        chmod(&file, 0o644);
        assert_eq!(check(&file), Ok(None));
        assert_eq!(check(&link), Ok(None));
        for (at, bad, good) in [
            (file.as_path(), 0o646, 0o600),
            (&inner, 0o777, 0o1777),
            (&inner, 0o703, 0o755),
            (place.path(), 0o757, 0o1757),
        ] {
            chmod(at, bad);
            for asked in [&file, &link] {
                let refused = check(asked);
                assert!(
                    matches!(&refused, Err(StoreError::Modes { mend, .. }) if mend.starts_with("chmod o-w ")),
                    "{at:?} {bad:o}: {refused:?}"
                );
            }
            chmod(at, good);
            assert!(check(&file).is_ok() && check(&link).is_ok(), "{at:?} {good:o}");
        }
    }

    #[test]
    fn the_folder_of_what_is_not_there_yet_counts() {
        let place = tempfile::tempdir().unwrap();
        let wanted = place.path().join("a/b/home");
        assert_eq!(check(&wanted), Ok(None));
        chmod(place.path(), 0o777);
        assert!(check(&wanted).is_err());
    }
}
