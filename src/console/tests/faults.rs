//! A console that meets a fault, in a terminal of its own: this test's binary runs itself there.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::console::{ConsoleError, Options, run};
use crate::domain::clock::{Clock, SystemClock, Timestamp};
use crate::ops::Ctx;
use crate::store::Mode;
use crate::store::home::Home;

/// Says which fault the console in the other terminal is to meet.
const WHERE: &str = "PORTCULLIS_TEST_FAULT";

/// A clock that breaks on the thread that draws, once the console is up.
#[derive(Debug)]
struct Broken(AtomicU32);

impl Clock for Broken {
    fn now(&self) -> Timestamp {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) < 5, "the clock broke");
        SystemClock.now()
    }
    fn steady(&self) -> Timestamp {
        SystemClock.steady()
    }
}

#[test]
#[ignore = "runs in the terminal that the test below gives it"]
fn a_console_that_meets_a_fault() {
    let Ok(place) = std::env::var(WHERE) else { return };
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("home"));
    let mut ctx = Ctx::open(&home, Mode::ReadWrite, "console", Arc::new(SystemClock)).unwrap();
    match place.as_str() {
        "draws" => ctx.clock = Arc::new(Broken(AtomicU32::new(0))),
        _ => drop(thread::spawn(|| {
            // it draws first, so that there is a terminal to give back
            thread::sleep(Duration::from_millis(500));
            panic!("a worker broke");
        })),
    }
    let options = Options {
        ctx,
        home: None,
        read_only_because: None,
        ascii: false,
        theme: Some("neutral".into()),
        banner: None,
    };
    match run(options) {
        Err(ConsoleError::Fault(place)) => println!("ended by the fault at {place}."),
        other => println!("ended otherwise: {other:?}."),
    }
}

/// All that a console writes that meets a fault, up to its end.
fn written(place: &str) -> String {
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let pty = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args([
        "console::tests::faults::a_console_that_meets_a_fault",
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    command.env(WHERE, place);
    command.env("TERM", "xterm-256color");
    command.env("LC_ALL", "C.UTF-8");
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader().unwrap();
    // The end of a pseudo-terminal is an error to whoever reads it.
    let mut written = Vec::new();
    let _ = reader.read_to_end(&mut written);
    assert!(child.wait().unwrap().success());
    String::from_utf8_lossy(&written).into_owned()
}

#[test]
fn a_fault_in_any_thread_ends_the_console_with_the_terminal_as_it_was() {
    for place in ["draws", "works"] {
        let written = written(place);
        let taken = written.rfind("\x1b[?1049h").unwrap_or_else(|| panic!("{place}: {written:?}"));
        let left = written.rfind("\x1b[?1049l").unwrap_or_else(|| panic!("{place}: {written:?}"));
        let said = written.rfind("ended by the fault at src/console/tests/faults.rs").expect(&written);
        assert!(taken < left && left < said, "{place}: {written:?}");
        let after = &written[left..];
        assert!(
            after.contains("\x1b[?25h") && !after.contains("\x1b[2;"),
            "nothing is drawn any more: {after:?}"
        );
    }
}
