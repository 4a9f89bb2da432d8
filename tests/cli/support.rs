//! A home of one's own, and the binary run on it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;

pub const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

/// A gateway before a server that is not there.
pub const SERVE: [&str; 7] = [
    "serve",
    "--upstream",
    "http://127.0.0.1:9/mcp",
    "--listen",
    "127.0.0.1:0",
    "--admin-listen",
    "127.0.0.1:0",
];

/// A folder that is removed at the end, with a home in it that the first command makes.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A file beside the home.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .env_remove("RUST_LOG")
            .env("PORTCULLIS_HOME", self.home())
            .env("USER", "tester")
            .env("EDITOR", "false")
            .env_remove("VISUAL")
            .current_dir(self.path());
        command
    }

    /// Runs with `input` on standard input.
    pub fn feed(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input has closed it; that is not this test's concern.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        child.wait_with_output().unwrap()
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.feed(arguments, "")
    }

    /// Runs what must succeed; returns standard output.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", err(&output));
        out(&output)
    }

    /// Runs what must succeed with `--json`.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Runs what must fail with `expected`, and must change nothing; returns standard error.
    #[track_caller]
    pub fn fails(&self, expected: i32, arguments: &[&str]) -> String {
        let before = self.state();
        let output = self.run(arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {}{}", out(&output), err(&output));
        assert_eq!(self.state(), before, "{arguments:?} changed something");
        let told = err(&output);
        assert!(told.starts_with("error: "), "{arguments:?}: {told}");
        told
    }

    /// All objects, as lists; what is damaged is named beside them.
    fn state(&self) -> Vec<String> {
        ["key", "policy", "scope"]
            .map(|noun| {
                let list = self.run(&[noun, "list", "--json"]);
                assert!(matches!(code(&list), 0 | 1), "{}", err(&list));
                out(&list) + &err(&list)
            })
            .into()
    }

    /// Makes a key; returns its id and its text.
    #[track_caller]
    pub fn key(&self, arguments: &[&str]) -> (String, String) {
        let made = self.json(&[&["key", "create"], arguments].concat());
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}
pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The fields of an object, sorted.
pub fn fields(value: &Value) -> Vec<&str> {
    let mut names = value.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    names.sort_unstable();
    names
}

/// A process that runs until it is told to end.
pub struct Service {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Service {
    pub fn start(place: &Place, arguments: &[&str]) -> Self {
        Self::start_in(place, &[], arguments)
    }

    /// The same with more variables in its environment.
    pub fn start_in(place: &Place, environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut child = place
            .command(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line of standard output; waits for it.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next line, which must begin with `listening on `; returns what stands behind.
    #[track_caller]
    pub fn listening(&mut self) -> String {
        let line = self.line();
        line.strip_prefix("listening on ").unwrap_or_else(|| panic!("not ready: {line:?}")).to_owned()
    }

    /// Ends it at once, as a crash would: it can do nothing about it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM; returns the exit code.
    pub fn terminate(&mut self) -> i32 {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
