//! A passphrase: from a file, from standard input, or asked for at the terminal, where it is not shown.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    os::unix::fs::MetadataExt,
    path::Path,
};

use crossterm::{
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    terminal,
};
use zeroize::Zeroizing;

use super::{
    error::{CliError, Code},
    input::unreadable,
};
use crate::{
    domain::{secret::Secret, text::visible},
    store::writers,
};

/// None is longer, in bytes.
const LONGEST: u64 = 4096;

/// How often a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Once,
    /// For one that is new: a slip would show only when it is needed.
    Twice,
}

/// The first line of `file`, else of standard input, else what a person types.
pub fn read(file: Option<&Path>, asked: Asked) -> Result<Secret, CliError> {
    match file {
        Some(file) => of_file(file),
        None if io::stdin().is_terminal() => ask(asked),
        None => first_line(io::stdin().lock())
            .map_err(|error| {
                CliError::usage(format!("the passphrase cannot be read from standard input: {error}"))
            })
            .and_then(|line| secret(line, "standard input")),
    }
}

/// The same where standard input is the backup itself.
pub fn beside_input(file: Option<&Path>) -> Result<Secret, CliError> {
    match file {
        Some(file) => of_file(file),
        None if io::stderr().is_terminal() => ask(Asked::Once),
        None => Err(CliError::usage("standard input is the backup, and its passphrase is wanted too")
            .mend("name a file whose first line is the passphrase: --passphrase-file FILE")),
    }
}

fn of_file(path: &Path) -> Result<Secret, CliError> {
    if let Some(doubt) = writers::check(path)? {
        super::output::remark(&doubt);
    }
    if std::fs::metadata(path).is_ok_and(|found| found.mode() & 0o004 != 0) {
        super::output::remark(&format!(
            "any user of this machine can read the passphrase in {}: chmod o-r it",
            visible(&path.display().to_string())
        ));
    }
    let line = std::fs::File::open(path)
        .and_then(|file| first_line(io::BufReader::new(file)))
        .map_err(|error| unreadable(path, &error))?;
    secret(line, &path.display().to_string())
}

fn first_line(source: impl BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(LONGEST as usize));
    source.take(LONGEST).read_line(&mut line)?;
    Ok(line)
}

fn secret(line: Zeroizing<String>, place: &str) -> Result<Secret, CliError> {
    match line.trim_end_matches(['\n', '\r']) {
        "" => Err(CliError::usage(format!("the passphrase is the first line of {place}, and that is empty"))),
        text => Ok(Secret::new(text.to_owned())),
    }
}

fn ask(asked: Asked) -> Result<Secret, CliError> {
    let first = typed("passphrase: ")?;
    if first.is_empty() {
        return Err(CliError::usage("an empty passphrase seals nothing"));
    }
    if asked == Asked::Twice && *typed("the same again: ")? != *first {
        return Err(CliError::usage("the two are not the same; nothing was done"));
    }
    Ok(Secret::new(String::clone(&first)))
}

/// Without an echo. In raw mode, so that whatever ends it, ctrl-c too, leaves the terminal as it was.
fn typed(prompt: &str) -> Result<Zeroizing<String>, CliError> {
    struct Raw;
    impl Drop for Raw {
        fn drop(&mut self) {
            // There is nothing else to be done about it.
            let _ = terminal::disable_raw_mode();
        }
    }
    let failed = |error: io::Error| CliError::broken(format!("the terminal cannot be read: {error}"));
    let mut err = io::stderr().lock();
    // Before the question, so that whoever answers at once is not shown.
    terminal::enable_raw_mode().map_err(failed)?;
    let raw = Raw;
    write!(err, "{prompt}").and_then(|()| err.flush()).map_err(failed)?;
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize));
    let ended = loop {
        let Event::Key(key) = event::read().map_err(failed)? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => break true,
            KeyCode::Char('c' | 'd') if is_control => break false,
            KeyCode::Char('u') if is_control => text.clear(),
            KeyCode::Backspace => drop(text.pop()),
            // Never longer than what was set aside, so that no copy of it is left behind.
            KeyCode::Char(c) if !is_control && text.len() + c.len_utf8() <= LONGEST as usize => text.push(c),
            _ => {}
        }
    };
    drop(raw);
    writeln!(err).map_err(failed)?;
    if ended {
        Ok(text)
    } else {
        Err(CliError::new(Code::Usage, "no passphrase was given; nothing was done"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_passphrase_without_its_end() {
        for text in ["a b", "a b\n", "a b\r\n", "a b\nmore\n"] {
            let line = first_line(text.as_bytes()).unwrap();
            assert_eq!(secret(line, "x").unwrap().expose(), "a b", "{text:?}");
        }
        for text in ["", "\n", "\r\nmore"] {
            assert!(secret(first_line(text.as_bytes()).unwrap(), "x").is_err(), "{text:?}");
        }
    }
}
