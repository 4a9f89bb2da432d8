//! A person at a terminal: a pseudo-terminal, what its screen shows, and keys.

use std::{
    io::{Read, Write},
    num::NonZeroU16,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::spawn,
    time::Instant,
};

use portable_pty::{ChildKiller, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use vt100::{Callbacks, Parser, Screen};

use super::{FOREIGN_VARIABLES, PATIENCE};

pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    ended: Receiver<ExitStatus>,
    killer: Box<dyn ChildKiller + Send + Sync>,
    parser: Parser<Asked>,
}

/// What the program asked of the terminal beside drawing.
#[derive(Default)]
struct Asked {
    /// Answers to questions where the cursor is (ECMA-48, DSR 6), to be sent.
    answers: String,
}

impl Callbacks for Asked {
    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        _: Option<u8>,
        _: Option<u8>,
        parameters: &[&[u16]],
        end: char,
    ) {
        if parameters == [[6]] && end == 'n' {
            let (row, column) = screen.cursor_position();
            self.answers.push_str(&format!("\x1b[{};{}R", row + 1, column + 1));
        }
    }
}

/// Columns and rows.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u16, pub u16);

impl Terminal {
    /// Runs `program` in a terminal of `size`, with `variables` beside the usual ones.
    pub fn start(size: Size, program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(size.into()).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        for variable in FOREIGN_VARIABLES {
            command.env_remove(variable);
        }
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        for (name, value) in variables {
            command.env(name, value);
        }
        let mut child = pair.slave.spawn_command(command).expect("the program starts");
        // The reader sees the end only when nobody holds the other side.
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let (sender, output) = channel();
        spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let killer = child.clone_killer();
        let (sender, ended) = channel();
        spawn(move || child.wait().map(|status| sender.send(status)));
        Self {
            keyboard: pair.master.take_writer().expect("a writer"),
            master: pair.master,
            output,
            ended,
            killer,
            parser: Parser::new_with_callbacks(nonzero(size.1), nonzero(size.0), 0, Asked::default()),
        }
    }

    /// Presses keys, named as in the console's own help (`enter`, `esc`, `ctrl-d`, `down`, …), separated by blanks; any
    /// other word is typed letter by letter.
    pub fn press(&mut self, keys: &str) {
        for key in keys.split(' ') {
            let bytes = bytes_of(key);
            self.type_text(&bytes);
        }
    }

    pub fn type_text(&mut self, text: &str) {
        self.keyboard
            .write_all(text.as_bytes())
            .and_then(|()| self.keyboard.flush())
            .expect("somebody reads the keys");
    }

    pub fn wait_for(&mut self, text: &str) {
        self.wait_until(&format!("{text:?}"), |screen| screen.contents().contains(text));
    }

    pub fn wait_until_gone(&mut self, text: &str) {
        self.wait_until(&format!("no {text:?}"), |screen| !screen.contents().contains(text));
    }

    /// Waits until the screen shows it; `what` names it where it never does.
    pub fn wait_until(&mut self, what: &str, shown: impl Fn(&Screen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !shown(self.parser.screen()) {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.process(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("no {what} on the screen:\n{}", self.contents()),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended before {what}; the screen:\n{}", self.contents())
                }
            }
        }
    }

    /// Takes what the program wrote, and answers what it asked.
    fn process(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        let answers = std::mem::take(&mut self.parser.callbacks_mut().answers);
        // A program that has ended meanwhile wants no answer.
        let _ = self.keyboard.write_all(answers.as_bytes()).and_then(|()| self.keyboard.flush());
    }

    pub fn screen(&self) -> &Screen {
        self.parser.screen()
    }

    /// The screen as text, row by row.
    pub fn contents(&self) -> String {
        self.parser.screen().contents()
    }

    pub fn resize(&mut self, size: Size) {
        self.parser.set_size(nonzero(size.1), nonzero(size.0));
        self.master.resize(size.into()).expect("a new size");
    }

    /// After the end: the shell's screen is back, with a cursor, and nothing special is asked of the terminal.
    pub fn assert_restored(&self) {
        let screen = self.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left");
        assert!(!screen.hide_cursor(), "the cursor is shown");
        assert!(!screen.bracketed_paste(), "paste is as before");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is free");
    }

    /// Waits for the end of the program and of all that it still writes.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.process(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; the screen:\n{}", self.contents()),
            }
        }
        self.ended.recv_timeout(PATIENCE).expect("an exit status")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.killer.kill();
    }
}

impl From<Size> for PtySize {
    fn from(Size(cols, rows): Size) -> Self {
        Self { rows, cols, pixel_width: 0, pixel_height: 0 }
    }
}

fn nonzero(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a terminal has rows and columns")
}

/// What a terminal sends for a key.
fn bytes_of(key: &str) -> String {
    match key {
        "enter" => "\r".into(),
        "esc" => "\x1b".into(),
        "tab" => "\t".into(),
        "backtab" => "\x1b[Z".into(),
        "space" => " ".into(),
        "backspace" => "\x7f".into(),
        "up" => "\x1b[A".into(),
        "down" => "\x1b[B".into(),
        "right" => "\x1b[C".into(),
        "left" => "\x1b[D".into(),
        _ => match key.strip_prefix("ctrl-").and_then(|letter| letter.chars().next()) {
            Some(letter) => char::from(letter.to_ascii_lowercase() as u8 & 0x1f).into(),
            None => key.into(),
        },
    }
}
