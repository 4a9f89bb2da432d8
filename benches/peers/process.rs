//! Programs started for a measurement, and what the system says of them (`/proc`).

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Where a program is; system programs are looked for beyond the path of an ordinary user.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|place| place.join(name)).find(|file| file.is_file())
}

/// A program with its children, ended with this value.
pub struct Program(Child);

impl Program {
    /// Starts it on the processors `cores` (as `taskset -c` has them).
    pub fn start(cores: &str, program: &Path, arguments: &[&str]) -> Self {
        let child = on(cores, program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| unstartable(program, &error)))
    }

    /// The same; returns the first line of its standard output, which says that it is ready.
    pub fn start_and_read(cores: &str, program: &Path, arguments: &[&str]) -> (Self, String) {
        let child = on(cores, program).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.unwrap_or_else(|error| unstartable(program, &error));
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line of text");
        (Self(child), line)
    }

    /// Processor time spent until now, user and system, children included.
    pub fn spent(&self) -> Duration {
        family(self.0.id()).into_iter().map(spent).sum()
    }

    /// Bytes in memory, what is shared counted in parts (PSS), children included.
    pub fn resident(&self) -> u64 {
        family(self.0.id()).into_iter().map(resident).sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A process of several has one that stops the others, if it is asked to.
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        if asked.is_err() {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}

fn on(cores: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]).arg(program);
    command
}

fn unstartable(program: &Path, error: &std::io::Error) -> ! {
    eprintln!("{} cannot be started: {error}", program.display());
    std::process::exit(1)
}

/// A process and its descendants.
fn family(id: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(id).chain(children.flat_map(family)).collect()
}

fn spent(id: u32) -> Duration {
    /// What `/proc` counts in (`sysconf(_SC_CLK_TCK)`, 100 on every Linux that one meets).
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // After the name in parentheses, which may hold anything: field 3 on; 14 and 15 are user and system time.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    TICK * ticks
}

fn resident(id: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
