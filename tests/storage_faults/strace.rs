//! System calls that fail: the binary under `strace`, which answers them in the kernel's place.
//!
//! Faults are aimed at one file (`-P`) and one call, and may last. Seeing which file a descriptor leads to needs root,
//! because Portcullis lets nobody look into it.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::support::home::{Ended, Home};

/// From which call on, and whether only that one.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Once(u64),
    From(u64),
}

#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// A file of the home.
    pub file: &'static str,
    /// System calls, separated by commas.
    pub calls: &'static str,
    pub error: &'static str,
    pub when: When,
}

/// `command` killed as it makes the so many-th of some system calls; whether it came to that.
pub fn killed_at(command: &Command, calls: &str, call: u64) -> bool {
    let mut traced = Command::new("strace");
    traced.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={calls}"));
    traced.arg("-e").arg(format!("inject={calls}:signal=KILL:when={call}"));
    traced.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    let ended = traced.stdin(Stdio::null()).output().expect("strace runs");
    assert!(matches!(ended.status.code(), None | Some(0)), "{}", String::from_utf8_lossy(&ended.stderr));
    ended.status.signal() == Some(9)
}

/// A log of `strace`, in a folder of its own.
pub struct Log(TempDir);

impl Log {
    pub fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// Whether any call was made to fail.
    pub fn shows_fault(&self) -> bool {
        // Not there where nothing was traced.
        fs::read_to_string(self.path()).is_ok_and(|text| text.contains("(INJECTED)"))
    }
}

impl Fault {
    /// The binary on this home, meeting the fault; its arguments follow.
    pub fn command(&self, home: &Home, log: &Log) -> Command {
        let plain = home.command();
        let when = match self.when {
            When::Once(call) => format!("{call}"),
            When::From(call) => format!("{call}+"),
        };
        let mut command = Command::new("strace");
        // The tracer is the grandchild, so that whoever signals or waits for the child means Portcullis.
        command.args(["-D", "-f", "-qq", "-o"]).arg(log.path()).arg("-P").arg(home.path().join(self.file));
        command.arg("-e").arg(format!("trace={}", self.calls));
        command.arg("-e").arg(format!("inject={}:error={}:when={when}", self.calls, self.error));
        command.arg(plain.get_program()).args(plain.get_args());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs a verb that may fail; answers as well whether it met the fault.
    pub fn run(&self, home: &Home, arguments: &[&str]) -> (Ended, bool) {
        let log = Log::new();
        let output = self.command(home, &log).arg("--json").args(arguments).output().expect("strace runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let errors = text(output.stderr);
        let code = output.status.code().unwrap_or_else(|| panic!("{self:?}: {arguments:?} died: {errors}"));
        (Ended { code, output: text(output.stdout), errors }, log.shows_fault())
    }
}

/// Whether faults can be made here. Where they cannot the test says that it is skipped, except under
/// `PORTCULLIS_REQUIRE_PEERS` (set by `.ci/run`), where it fails.
pub fn is_here() -> bool {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let message = if found.is_err() {
        "strace is not installed; `.ci/run` installs it"
    } else {
        let home = Home::new();
        home.json(&["status"]);
        let fault = Fault { file: "portcullis.db", calls: "pread64", error: "EIO", when: When::From(1) };
        if fault.run(&home, &["status"]).1 {
            return true;
        }
        "strace may not trace Portcullis here: it takes root and the right to ptrace"
    };
    assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{message}");
    eprintln!("SKIPPED: {message}");
    false
}
