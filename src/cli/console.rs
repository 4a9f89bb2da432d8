//! Opening the console, and what stands in its place where there is no terminal.

use std::{
    io::{IsTerminal, stdin, stdout},
    sync::Arc,
};

use clap::Args;

use super::{
    error::{CliError, Code},
    session::Session,
    status,
};
use crate::{
    console::{self, ConsoleError},
    ops::Ctx,
    store::{Mode, home::Home},
};

#[derive(Debug, Args)]
pub struct Options {
    /// Look, but change nothing
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    look: Look,
}

/// How the console looks.
#[derive(Clone, Debug, Default, Args)]
pub struct Look {
    /// Draw with ASCII only, as where the locale is not UTF-8
    #[arg(long)]
    ascii: bool,
    /// The theme: neutral, dark, light or mono [default: by the background of the terminal]
    #[arg(long, value_name = "NAME")]
    theme: Option<String>,
}

/// Whether a person sits at both ends of a terminal that can show a console.
pub fn has_terminal() -> bool {
    stdout().is_terminal() && stdin().is_terminal() && !is_dumb()
}

/// Whether the terminal says of itself that it only writes lines.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|name| name == "dumb")
}

/// Whether the locale names another character set than UTF-8. Of the three variables the first that is set counts; one that
/// names no set says nothing against it.
fn is_other_charset(variable: impl Fn(&str) -> Option<String>) -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let Some(locale) = names.into_iter().filter_map(variable).find(|value| !value.is_empty()) else {
        return false;
    };
    if matches!(locale.as_str(), "C" | "POSIX") {
        return true;
    }
    let set =
        locale.split_once('.').map(|(_, set)| set.split('@').next().unwrap_or_default().to_ascii_lowercase());
    set.is_some_and(|set| !matches!(set.as_str(), "utf-8" | "utf8"))
}

/// `portcullis` alone.
pub fn run_or_status(session: &Session) -> Result<Code, CliError> {
    if session.json || !has_terminal() {
        return status::run(session);
    }
    run(session, &Options { read_only: false, look: Look::default() })
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    if is_dumb() {
        let said = "this terminal cannot show the console: TERM=dumb says that it only writes lines";
        return Err(
            CliError::usage(said).mend("portcullis status, or TERM=xterm-256color portcullis console")
        );
    }
    if !has_terminal() {
        return Err(
            CliError::usage("the console needs a terminal, and this is none").mend("portcullis status")
        );
    }
    let (home, clock) = (session.home()?, Arc::clone(&session.clock));
    let (ctx, read_only_because) = if options.read_only {
        (Ctx::open(&home, Mode::ReadOnly, "console", clock)?, Some("opened with --read-only".to_owned()))
    } else {
        Ctx::open_or_read_only(&home, "console", clock)?
    };
    super::store::tell_upgraded(&ctx);
    open(ctx, Some(home), read_only_because, &options.look, None)
}

/// Opens the console and returns when it is left.
pub fn open(
    ctx: Ctx,
    home: Option<Home>,
    read_only_because: Option<String>,
    look: &Look,
    banner: Option<String>,
) -> Result<Code, CliError> {
    let ascii = look.ascii || is_other_charset(|name| std::env::var(name).ok());
    let theme = look.theme.clone();
    console::run(console::Options { ctx, home, read_only_because, ascii, theme, banner }).map_err(
        |error| {
            let code = match error {
                ConsoleError::NotATerminal | ConsoleError::Theme(_) => Code::Usage,
                ConsoleError::Keymap(_) | ConsoleError::Terminal(_) | ConsoleError::Fault(_) => Code::Broken,
            };
            CliError::new(code, error.to_string())
        },
    )?;
    Ok(Code::Done)
}

#[cfg(test)]
mod tests {
    use super::is_other_charset;

    #[test]
    fn the_first_locale_that_is_set_names_the_character_set() {
        for (all, ctype, lang, other) in [
            ("", "", "", false),
            ("", "", "C", true),
            ("C", "en_US.UTF-8", "en_US.UTF-8", true),
            ("POSIX", "", "", true),
            ("", "de_DE.ISO-8859-1", "en_US.UTF-8", true),
            ("", "de_DE.ISO-8859-15@euro", "", true),
            ("", "", "ja_JP.eucJP", true),
            ("C.UTF-8", "C", "C", false),
            ("", "en_US.utf8", "C", false),
            ("", "", "en_US.UTF-8@x", false),
            ("", "", "de_DE", false),
        ] {
            let variable = |name: &str| {
                let value = match name {
                    "LC_ALL" => all,
                    "LC_CTYPE" => ctype,
                    _ => lang,
                };
                Some(value.to_owned())
            };
            assert_eq!(is_other_charset(variable), other, "{all} {ctype} {lang}");
        }
    }
}
