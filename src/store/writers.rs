//! Who besides this user and root can write a file, or put another in its place.
//!
//! A file is as safe as every folder on the way to it: who may write one of these renames what is in it, and so may its
//! owner. In a folder with the sticky bit, such as `/tmp`, only the owner of a file, or of the folder, may rename it.

use std::{
    collections::VecDeque,
    env,
    ffi::OsString,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use super::{StoreError, error::shown, user};
use crate::domain::text::for_shell;

const BY_ANYBODY: u32 = 0o002;
const BY_GROUP: u32 = 0o020;
const STICKY: u32 = 0o1000;
/// The kernel follows no more (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Refuses what any user of this machine can write or replace. Where only a group or another owner can, which may be as
/// it is meant, it says so in a sentence.
///
/// Symbolic links are followed, and what they lie in counts too. A file that is not there can be written by whoever can
/// write the folders above it.
pub fn check(path: &Path) -> Result<Option<String>, StoreError> {
    look(path, Owners::AreNamed)
}

/// The same for the home, which is nobody else's: a folder on the way to it that belongs to another user is refused.
pub(super) fn check_home(path: &Path) -> Result<Option<String>, StoreError> {
    look(path, Owners::AreRefused)
}

/// What becomes of a place that belongs to another user, who is not root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owners {
    AreNamed,
    AreRefused,
}

fn look(path: &Path, owners: Owners) -> Result<Option<String>, StoreError> {
    let us = rustix::process::geteuid().as_raw();
    let mut doubt = None;
    for (place, found) in way(path)? {
        let found = Found::of(&found);
        if let Some(said) = judge(path, &place, found, us, owners)? {
            doubt.get_or_insert(said);
        }
    }
    Ok(doubt)
}

/// All by which `path` is reached, from the root on: folders, links, what they point to, and the file itself. What is not
/// there is left out.
fn way(path: &Path) -> Result<Vec<(PathBuf, Metadata)>, StoreError> {
    let failed = |place: &Path, error: io::Error| super::error::io("look at", place, &error);
    let mut left = steps(path);
    if !path.is_absolute() {
        let here = env::current_dir().map_err(|error| failed(path, error))?;
        steps(&here).into_iter().rev().for_each(|step| left.push_front(step));
    }
    let (mut seen, mut at, mut links) = (Vec::new(), PathBuf::new(), 0);
    while let Some(step) = left.pop_front() {
        // What came before has no link in it any more.
        if step == ".." {
            at.pop();
            continue;
        }
        let place = at.join(step);
        let found = match place.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                at = place;
                continue;
            }
            found => found.map_err(|error| failed(&place, error))?,
        };
        if found.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(failed(path, rustix::io::Errno::LOOP.into()));
            }
            let target = fs::read_link(&place).map_err(|error| failed(&place, error))?;
            steps(&target).into_iter().rev().for_each(|step| left.push_front(step));
        } else {
            at.clone_from(&place);
        }
        seen.push((place, found));
    }
    Ok(seen)
}

/// The parts of a path; the root is one that leaves behind what came before it, as [`Path::join`] does.
fn steps(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

/// What is to be known of a place.
#[derive(Clone, Copy)]
struct Found {
    kind: Kind,
    mode: u32,
    uid: u32,
    gid: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    Link,
    File,
}

impl Found {
    fn of(metadata: &Metadata) -> Self {
        let kind = if metadata.is_dir() {
            Kind::Folder
        } else if metadata.is_symlink() {
            Kind::Link
        } else {
            Kind::File
        };
        Self { kind, mode: metadata.mode(), uid: metadata.uid(), gid: metadata.gid() }
    }
}

fn judge(
    path: &Path,
    place: &Path,
    found: Found,
    us: u32,
    owners: Owners,
) -> Result<Option<String>, StoreError> {
    let Found { kind, mode, uid, gid } = found;
    let what = if kind == Kind::File {
        "write it".into()
    } else {
        format!("put another {} in its place", shown(path))
    };
    let refused = |found: String, mend: String| Err(StoreError::Modes { path: shown(place), found, mend });
    // The mode of a link says nothing.
    let is_open = kind == Kind::File || kind == Kind::Folder && mode & STICKY == 0;
    if is_open && mode & BY_ANYBODY != 0 {
        return refused(
            format!("its mode is {:04o}: any user of this machine can {what}", mode & 0o7777),
            format!("chmod o-w {}", for_shell(place)),
        );
    }
    if uid != 0 && uid != us {
        if owners == Owners::AreRefused {
            return refused(
                format!("it belongs to {}, who can {what}", user::named(uid)),
                format!("name a home elsewhere (--home), or {}", user::act_as(uid, path)),
            );
        }
        return Ok(Some(format!("{} belongs to {}, who can {what}", shown(place), user::named(uid))));
    }
    if is_open && mode & BY_GROUP != 0 && gid != 0 {
        return Ok(Some(format!("the group {gid} of {} can {what}", shown(place))));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::Permissions,
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

    #[test]
    fn the_folder_of_a_link_in_the_midst_of_a_path_counts() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for folder in ["real", "open", "open/near", "kept"] {
            fs::create_dir(at(folder)).unwrap();
            chmod(&at(folder), 0o755);
        }
        // Over a link that points to another, which lies where anybody may put a third.
        symlink(at("real"), at("open/second")).unwrap();
        symlink("../open/./second", at("kept/first")).unwrap();
        symlink("loop", at("kept/loop")).unwrap();
        let asked = at("kept/first/home");
        assert_eq!(check_home(&asked), Ok(None));
        assert!(check_home(&at("kept/loop/home")).is_err());
        chmod(&at("open"), 0o777);
        assert!(matches!(check_home(&asked), Err(StoreError::Modes { path, .. }) if path.ends_with("/open")));
        assert_eq!(check_home(&at("kept/../real/home")), Ok(None), "not on the way to it");
        chmod(&at("open"), 0o1777);
        assert_eq!(check_home(&asked), Ok(None));
    }

    #[test]
    fn another_owner_is_named_and_for_the_home_refused() {
        let (path, place) = (Path::new("/a/b/home"), Path::new("/a/b"));
        let told = |kind, mode, uid, owners| {
            judge(path, place, Found { kind, mode, uid, gid: 0 }, 1000, owners).map(|doubt| doubt.is_some())
        };
        for kind in [Kind::Folder, Kind::Link, Kind::File] {
            // The owner of a sticky folder renames in it what he likes.
            for mode in [0o755, 0o1755] {
                assert_eq!(told(kind, mode, 1001, Owners::AreNamed), Ok(true));
                assert!(told(kind, mode, 1001, Owners::AreRefused).is_err());
                for ours in [0, 1000] {
                    assert_eq!(told(kind, mode, ours, Owners::AreRefused), Ok(false));
                }
            }
        }
        let of_a_group = Found { kind: Kind::Folder, mode: 0o775, uid: 1000, gid: 7 };
        assert!(matches!(judge(path, place, of_a_group, 1000, Owners::AreRefused), Ok(Some(_))));
    }
}
