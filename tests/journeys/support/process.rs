//! A child process whose output is read line by line, and which does not outlive its test.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::{JoinHandle, spawn},
    time::Instant,
};

use super::{FOREIGN_VARIABLES, PATIENCE};

pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    name: String,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        for variable in FOREIGN_VARIABLES {
            // What the test itself set stays.
            if !command.get_envs().any(|(name, _)| name == variable) {
                command.env_remove(variable);
            }
        }
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut error_output = child.stderr.take().expect("a pipe");
        let errors = spawn(move || {
            let mut text = Vec::new();
            // What was read before a fault is still worth showing.
            let _ = error_output.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { input: child.stdin.take(), child, lines, errors: Some(errors), name }
    }

    #[allow(dead_code, reason = "not every suite looks at its processes from outside")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of standard output.
    pub fn line(&mut self) -> String {
        self.line_or_end().unwrap_or_else(|| self.fail("ended before it said more"))
    }

    /// The same, or `None` where standard output has ended.
    pub fn line_or_end(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.fail("said nothing more on standard output"),
        }
    }

    fn fail(&mut self, what: &str) -> ! {
        let errors = self.kill();
        panic!("{} {what}; on standard error:\n{errors}", self.name)
    }

    pub fn write_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("standard input is open");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("the child reads its standard input");
    }

    /// Asks the process to end (SIGTERM) and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("the process is alive");
        self.wait()
    }

    /// Waits for the end, which something else must bring about; answers what was written to standard error.
    #[allow(dead_code, reason = "not every suite asks what was written there")]
    pub fn errors(mut self) -> String {
        self.wait();
        self.errors.take().and_then(|reader| reader.join().ok()).unwrap_or_default()
    }

    /// Waits for the end, which something else must bring about.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        // The end of standard output comes with the end of the process; what is still said before is of no interest.
        while let Ok(_line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {}
        if Instant::now() >= deadline {
            let errors = self.kill();
            panic!("{} does not end; on standard error:\n{errors}", self.name);
        }
        self.child.wait().expect("the exit status")
    }

    /// Ends the process at once; answers what it wrote to standard error.
    pub fn kill(&mut self) -> String {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.errors.take().and_then(|reader| reader.join().ok()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let errors = self.kill();
        if std::thread::panicking() && !errors.is_empty() {
            eprintln!("--- standard error of {}:\n{errors}", self.name);
        }
    }
}
