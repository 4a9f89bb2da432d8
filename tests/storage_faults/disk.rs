//! A small disk of its own beneath a home.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::support::home::Home;

pub struct Disk(PathBuf);

impl Disk {
    /// A file system in memory, of this size, where the home is yet to be made. `None`, and a word about it, where
    /// nothing may be mounted.
    pub fn under(home: &Home, size: &str) -> Option<Self> {
        let folder = home.path().parent().expect("a home has a parent");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"]).arg(folder);
        if mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("SKIPPED: no file system can be mounted here: it takes root and the right to mount");
        None
    }

    pub fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]).arg(&self.0);
        assert!(mount.status().expect("mount runs").success(), "remount,{option}");
    }

    /// Takes every byte that is free now.
    pub fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.filler()).expect("the filler");
        for size in [1 << 20, 4096] {
            let block = vec![0xa5; size];
            loop {
                match file.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("the filler: {error}"),
                }
            }
        }
    }

    /// Gives back what was filled.
    pub fn clear(&self) {
        fs::remove_file(self.filler()).expect("the filler is there");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What still runs on it holds it for as long as it needs.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The name and the content of every file of a folder.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(&path).expect("a file that can be read")))
        .collect();
    files.sort();
    files
}
