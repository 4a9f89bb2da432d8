//! Whose something is, and what to do about what is somebody else's: never to take it from him.

use std::{fs::Metadata, os::unix::fs::MetadataExt, path::Path};

use super::error::shown;
use crate::domain::text::{for_shell, visible};

/// A user's name and number, or the number alone.
pub fn named(uid: u32) -> String {
    match name(uid) {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

/// The name of a user in the user database of this system.
pub fn name(uid: u32) -> Option<String> {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten()?;
    Some(visible(&user.name).into_owned())
}

/// What mends it where the home at `home` is another user's.
pub(super) fn act_as(uid: u32, home: &Path) -> String {
    let user = name(uid).unwrap_or_else(|| format!("'#{uid}'"));
    let home = for_shell(home);
    format!(
        "act as its owner: sudo -u {user} portcullis --home {home} …; to look at a copy: sudo -u {user} portcullis --home \
         {home} backup --without-vault - > FILE, and restore FILE into a home of your own (--home)"
    )
}

/// Who keeps this user from looking at `path`: whose the last folder on the way is that can be seen; in a sentence, and what
/// mends it.
pub fn keeper_of(path: &Path) -> Option<(String, String)> {
    let own = rustix::process::geteuid().as_raw();
    let (place, found): (&Path, Metadata) =
        path.ancestors().find_map(|place| Some((place, place.symlink_metadata().ok()?)))?;
    let uid = found.uid();
    (uid != own).then(|| {
        let told =
            format!("{} belongs to {}, and this process runs as {}", shown(place), named(uid), named(own));
        (told, act_as(uid, path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_that_the_table_says() {
        assert_eq!(name(0).as_deref(), Some("root"));
        assert_eq!(named(4_000_000_000), "uid 4000000000");
        assert!(
            act_as(4_000_000_000, Path::new("/h")).contains("sudo -u '#4000000000' portcullis --home /h ")
        );
    }

    #[test]
    fn the_last_folder_that_can_be_seen_tells_whose_it_is() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(keeper_of(&place.path().join("a/b")), None, "our own");
        let is_root = rustix::process::geteuid().is_root();
        let (others, uid) = if is_root { (place.path(), 1) } else { (Path::new("/"), 0) };
        if is_root {
            std::os::unix::fs::chown(others, Some(uid), None).unwrap();
        }
        let path = others.join("no-such-folder/b");
        let (told, mend) = keeper_of(&path).unwrap();
        assert!(told.starts_with(&format!("{} belongs to {}", shown(others), named(uid))), "{told}");
        assert_eq!(mend, act_as(uid, &path));
    }
}
