//! `completions` and `man`: generated from the same commands that are parsed.

use std::io::Write;

use clap::{Command, CommandFactory};

use super::{Cli, error::CliError, output};

/// When the commands were last changed: the date of the manual.
const RENEWED: &str = "2026-12-01";

/// What no command says by itself: how backups, upgrades and the like go.
const DAY_AFTER: &[u8] = include_bytes!("../../assets/day-after.1");

/// The completion script of a shell.
pub fn completions(shell: clap_complete::Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "portcullis", &mut script);
    output::raw(&script)
}

pub fn man() -> Result<(), CliError> {
    output::raw(&manual()?)
}

/// The manual: one page, every command with its options.
pub fn manual() -> Result<Vec<u8>, CliError> {
    let mut root = Cli::command();
    root.build();
    let page = clap_mangen::Man::new(root.clone()).title("PORTCULLIS").date(RENEWED).manual("Portcullis");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    writeln!(text, ".SH COMMANDS")?;
    for command in root.get_subcommands().filter(|command| shown(command)) {
        describe(command, "portcullis", &mut text)?;
    }
    text.extend_from_slice(DAY_AFTER);
    page.render_extra_section(&mut text)?;
    page.render_version_section(&mut text)?;
    Ok(tidy(&String::from_utf8_lossy(&text)).into_bytes())
}

/// Takes out what `mandoc -Tlint` objects to: blanks at the end of a line, space that is asked for where there is some
/// already, and long lines.
fn tidy(page: &str) -> String {
    let mut tidied: Vec<String> = Vec::new();
    for line in page.lines().map(str::trim_end) {
        let last = tidied.last().map(String::as_str).unwrap_or_default();
        match line {
            "" | ".br" if last == ".br" || last.is_empty() => {}
            ".PP" if last.starts_with(".S") => {}
            // A macro, or the tag of an item: a line of its own.
            _ if line.starts_with('.') || last == ".TP" => tidied.push(line.to_owned()),
            _ => tidied.extend(broken(line)),
        }
    }
    tidied.join("\n") + "\n"
}

/// A line of text as several that fill the same paragraph.
fn broken(line: &str) -> Vec<String> {
    const LONGEST: usize = 80;
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let Some(last) = lines.last_mut() else { break };
        // What begins with these would be read as a macro.
        let must_stay = last.is_empty() || word.starts_with(['.', '\'']);
        if must_stay || last.len() + 1 + word.len() <= LONGEST {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn shown(command: &Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

/// One command, then those below it. What clap_mangen writes as sections become parts of ours.
fn describe(command: &Command, parent: &str, text: &mut Vec<u8>) -> Result<(), CliError> {
    let name = format!("{parent} {}", command.get_name());
    let below = command.get_subcommands().filter(|command| shown(command)).collect::<Vec<_>>();
    if below.is_empty() {
        let command = command.clone().mut_args(|argument| {
            let global = argument.is_global_set() || matches!(argument.get_id().as_str(), "help" | "version");
            let hidden = global || argument.is_hide_set();
            argument.hide(hidden)
        });
        let page = clap_mangen::Man::new(command);
        let mut part = Vec::new();
        page.render_synopsis_section(&mut part)?;
        page.render_description_section(&mut part)?;
        page.render_options_section(&mut part)?;
        writeln!(text, ".SS \"{name}\"")?;
        for line in String::from_utf8_lossy(&part).lines() {
            match line.strip_prefix(".SH ") {
                Some("OPTIONS") => writeln!(text, ".PP\nOptions:")?,
                Some(_) => writeln!(text, ".PP")?,
                None if line.starts_with(".ie ") || line.starts_with(".el ") => {}
                None => writeln!(text, "{line}")?,
            }
        }
    }
    for command in below {
        describe(command, &name, text)?;
    }
    Ok(())
}
