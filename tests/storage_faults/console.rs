//! A person at the console of a home.

use std::path::Path;

use super::{
    support::{PORTCULLIS, home::Home},
    terminal::{Size, Terminal},
};

pub fn open(home: &Home, more: &[&str]) -> Terminal {
    let arguments = [&["--home", home.path().to_str().expect("a UTF-8 path"), "console"], more].concat();
    Terminal::start(Size(120, 30), Path::new(PORTCULLIS), &arguments, &[])
}

pub fn leave(mut terminal: Terminal) {
    terminal.press("Q");
    assert!(terminal.wait_for_end().success());
}

/// Asks for the one key of a subject, which nobody called with, to be revoked.
pub fn ask_to_revoke(terminal: &mut Terminal, subject: &str) {
    terminal.press("2");
    terminal.wait_for("› keys");
    terminal.press(&format!("/ {subject} enter"));
    terminal.wait_for("1/1");
    terminal.press("R");
    terminal.wait_for("Revoke key");
    terminal.press("tab enter");
}
