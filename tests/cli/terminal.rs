//! `portcullis demo` and `portcullis` on a terminal.

use std::{
    fs,
    io::{Read, Write},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

use crate::support::{BINARY, Place, err};

/// How long anything may take to appear before the test is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary on a terminal of 30 by 100.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Terminal {
    fn open(place: &Place, arguments: &[&str]) -> Self {
        Self::open_with(place, arguments, &[])
    }

    fn open_with(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(BINARY);
        command.args(arguments);
        command.cwd(place.path());
        command.env("PORTCULLIS_HOME", place.home());
        command.env("TMPDIR", place.path());
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let keys = pty.master.take_writer().unwrap();
        let (sender, bytes) = channel();
        thread::spawn(move || {
            let _keep_open = pty.master;
            let mut buffer = [0; 8192];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(30.try_into().unwrap(), 100.try_into().unwrap(), 0);
        Self { child, keys, bytes, screen }
    }

    /// Waits until the screen shows `text`.
    #[track_caller]
    fn see(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.screen.screen().contents().contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(_) => panic!("{text:?} never appeared:\n{}", self.screen.screen().contents()),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.process_id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits for the end; returns the exit code and whether the terminal was given back as it was.
    fn end(mut self) -> (u32, bool) {
        let code = self.child.wait().unwrap().exit_code();
        while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_secs(1)) {
            self.screen.process(&bytes);
        }
        (code, !self.screen.screen().alternate_screen() && !self.screen.screen().hide_cursor())
    }
}

#[track_caller]
fn nothing_left(place: &Place) {
    let left = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_demo_opens_the_console_on_live_traffic_and_leaves_nothing_behind() {
    let place = Place::new();
    let mut terminal = Terminal::open(&place, &["demo"]);
    terminal.see("DEMO");
    terminal.press("2");
    terminal.see("docs-assistant");
    terminal.see("former-contractor");
    terminal.press("Q");
    assert_eq!(terminal.end(), (0, true));
    nothing_left(&place);
}

#[test]
fn a_signal_ends_the_demo_in_order() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
        let place = Place::new();
        let mut terminal = Terminal::open(&place, &["demo"]);
        terminal.see("DEMO");
        terminal.signal(signal);
        let (_, restored) = terminal.end();
        assert!(restored, "{signal:?}");
        nothing_left(&place);
    }
}

#[test]
fn alone_on_a_terminal_it_opens_the_console() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    let mut terminal = Terminal::open(&place, &[]);
    terminal.press("2");
    terminal.see("alice");
    terminal.press("Q");
    assert_eq!(terminal.end(), (0, true));
}

#[test]
fn a_terminal_that_only_writes_lines_gets_the_summary_that_a_pipe_gets() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    let dumb = [("TERM", "dumb")];
    for (arguments, said) in [
        (&[][..], "1 active"),
        (&["console"][..], "this terminal cannot show the console: TERM=dumb"),
        (&["demo", "--for", "1s"][..], "REFUSED AT"),
    ] {
        let mut terminal = Terminal::open_with(&place, arguments, &dumb);
        terminal.see(said);
        let screen = terminal.screen.screen();
        assert!(!screen.alternate_screen() && !screen.contents().contains('┌'), "{arguments:?}");
        terminal.end();
    }
}

#[test]
fn where_the_locale_is_not_utf_8_it_draws_ascii() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    for (locale, ascii) in [("C", true), ("de_DE.ISO-8859-1", true), ("C.UTF-8", false), ("de_DE", false)] {
        let mut terminal = Terminal::open_with(&place, &[], &[("TERM", "vt100"), ("LC_ALL", locale)]);
        terminal.see("1 active");
        let contents = terminal.screen.screen().contents();
        assert_eq!(contents.is_ascii(), ascii, "{locale}: {contents}");
        terminal.press("2");
        terminal.see("alice");
        assert_eq!(terminal.screen.screen().contents().is_ascii(), ascii, "{locale}");
        terminal.press("Q");
        assert_eq!(terminal.end(), (0, true));
    }
}

#[test]
fn a_list_on_a_terminal_loses_nothing_and_its_ids_stay_whole() {
    let place = Place::new();
    let name = "n".repeat(64);
    let (id, _) = place.key(&["--subject", "alice", "--scope", "mcp:read", "--name", &name]);
    let piped = place.ok(&["key", "list"]);
    assert_eq!(piped.lines().count(), 2, "a pipe gets one line a row: {piped}");
    let mut terminal = Terminal::open(&place, &["key", "list"]);
    terminal.see("created 20");
    let shown = terminal.screen.screen().contents();
    assert!(!shown.contains('…') && shown.lines().all(|line| line.len() <= 100), "{shown}");
    for cell in piped.lines().nth(1).unwrap().split_whitespace() {
        assert!(shown.contains(cell), "{cell}: {shown}");
    }
    assert!(shown.contains(&id) && shown.contains("\n  policy default"), "below its row: {shown}");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn who_is_waited_for_at_a_terminal_is_told_so() {
    let place = Place::new();
    place.key(&["--subject", "alice", "--scope", "mcp:read"]);
    let mut terminal = Terminal::open(&place, &["key", "verify"]);
    terminal.see("reading the credential from this terminal, up to ctrl-d");
    terminal.press("nothing of the kind\n\x04");
    terminal.see("denied: malformed");
    assert_eq!(terminal.end().0, 1);
    let piped = place.feed(&["key", "verify"], "nothing of the kind");
    assert_eq!(err(&piped), "", "a pipe needs no telling");
}

#[test]
fn a_home_that_is_made_is_told_of_at_a_terminal_and_not_in_a_script() {
    let place = Place::new();
    let mut terminal = Terminal::open(&place, &["key", "list", "--json"]);
    terminal.see("made a new home at ");
    terminal.see("/home");
    assert_eq!(terminal.end().0, 0);
    let mut again = Terminal::open(&place, &["key", "list", "--json"]);
    again.see("items");
    assert!(!again.screen.screen().contents().contains("made a new home"));
    assert_eq!(again.end().0, 0);
    let list = Place::new().run(&["key", "list"]);
    assert_eq!((list.status.code(), err(&list).as_str()), (Some(0), ""));
}
