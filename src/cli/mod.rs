//! The command line: one file a noun, the same verbs as the console, and the exit codes.
//!
//! It parses, calls `ops` (or starts the gateway, the console, the demo) and writes the answer.
//! It decides nothing: who may do what is judged in the rooms to the left.

mod api_key;
mod audit;
mod backup;
mod config;
mod console;
mod demo;
mod doctor;
mod edit;
pub mod error;
mod event;
mod handing_out;
mod input;
mod issuer;
mod licenses;
mod output;
mod passphrase;
mod policy;
mod process;
mod proxies;
mod reference;
mod scan;
mod scope;
mod serve;
mod session;
mod signals;
mod signing_key;
mod simulate;
mod snippet;
mod status;
mod store;
mod token;
mod usage;
mod verify;
mod watched;

use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

use crate::{
    domain::{
        clock::parse_life,
        text::{visible, without_user_info},
    },
    store::patience,
};
use error::{CliError, Code};
pub use process::harden;
pub use reference::manual;
use session::Session;

const AFTER_HELP: &str = "\
Exit status: 0 yes or done; 1 the answer is no; 2 bad usage or input; 3 not found; 4 refused; 5 store, vault or IO.\n\
Secrets are read from standard input and printed once; none is ever taken as an argument.";

/// How long an act waits for a store that others hold.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal security console for MCP servers.
///
/// Portcullis owns the credentials that may reach an MCP server, enforces a policy on each call, and shows what is
/// happening. Without a command it opens the console; where standard output is no terminal it prints the status.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = AFTER_HELP, max_term_width = 110)]
struct Cli {
    /// The folder that holds store and vault (else $PORTCULLIS_HOME, else the platform's data folder)
    #[arg(long, global = true, value_name = "DIR", help_heading = "Options of every command")]
    home: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true, help_heading = "Options of every command")]
    json: bool,
    /// Read the home and the options of serve from this TOML file
    #[arg(long, global = true, value_name = "FILE", help_heading = "Options of every command")]
    config: Option<PathBuf>,
    /// How long a command waits for a store that another process holds; console, demo and serve do not wait longer for it
    /// [default: 30s]
    #[arg(long, global = true, value_parser = parse_life, value_name = "LIFE", help_heading = "Options of every command")]
    wait: Option<Duration>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open the console
    Console(console::Options),
    /// Run the gateway in front of an MCP server
    Serve(serve::Options),
    /// Try it: an MCP server, a gateway and clients on a home that is thrown away
    Demo(demo::Options),
    /// Say how things stand
    Status,
    /// Check the home, the store, the vault and the audit log; say what mends each fault
    Doctor(doctor::Options),
    /// Say why a credential would be let in or refused; reads it from standard input
    Explain(verify::Options),
    /// API keys
    #[command(subcommand)]
    Key(api_key::Verb),
    /// Tokens (JWT): those of this home and those of others
    #[command(subcommand)]
    Token(token::Verb),
    /// The keys that sign tokens
    #[command(subcommand)]
    SigningKey(signing_key::Verb),
    /// Whose tokens are taken besides those of this home
    #[command(subcommand)]
    Issuer(issuer::Verb),
    /// Policies: the limits that credentials are under
    #[command(subcommand)]
    Policy(policy::Verb),
    /// The scope catalogue: which endpoints each scope covers
    #[command(subcommand)]
    Scope(scope::Verb),
    /// How many calls, by whom, of what
    #[command(subcommand)]
    Usage(usage::Verb),
    /// Recorded denials and security facts
    #[command(subcommand)]
    Event(event::Verb),
    /// The audit log: who changed what, chained and signed
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Write all of the home to one file, while everything runs; sealed under a passphrase
    Backup(backup::Backup),
    /// Put a backup into an empty home
    Restore(backup::Restore),
    /// What to do where the store of the home is lost, or is not the one that it had
    #[command(subcommand)]
    Store(store::Verb),
    /// Print the configuration of another proxy that asks this gateway for decisions
    Snippet(snippet::Options),
    /// Print what is compiled in by others, and the licences of all of it
    Licenses,
    /// Print the completion script of a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Runs one command line; returns what the process ends with.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = arguments.into_iter().collect::<Vec<_>>();
    let done = refuse_secrets(&arguments).and_then(|()| match Cli::try_parse_from(&arguments) {
        Ok(cli) => answer(cli),
        Err(error) => usage(&error),
    });
    match done {
        Ok(code) => code as u8,
        Err(error) => {
            if error.code != Code::Done && !error.message.is_empty() {
                output::remark(&error.to_string());
            }
            error.code as u8
        }
    }
}

/// A whole key in argv stands in the process list and in the shell's history. It is refused before
/// anything could echo it.
fn refuse_secrets(arguments: &[OsString]) -> Result<(), CliError> {
    if arguments.iter().any(|argument| input::holds_key(argument.as_bytes())) {
        return Err(CliError::usage(
            "an argument holds a whole API key: other users of this machine can read arguments, and the shell remembers them",
        )
        .mend("give the key's id (its third part), or pipe the key in: portcullis key verify < FILE; then rotate this key"));
    }
    if arguments.iter().any(|argument| input::holds_token(argument.as_bytes())) {
        return Err(CliError::usage(
            "an argument holds a token: other users of this machine can read arguments, and the shell remembers them",
        )
        .mend("pipe the token in, or name a file that holds it: portcullis token inspect < FILE; then revoke this one"));
    }
    Ok(())
}

/// What clap says of a wrong command line, of `--help` and of `--version`.
fn usage(error: &clap::Error) -> Result<Code, CliError> {
    if !error.use_stderr() {
        error.print()?;
        return Ok(Code::Done);
    }
    let text = error.render().to_string();
    // Before it is cut into lines, as a password may be.
    for line in without_user_info(&text).lines() {
        output::remark(&visible(line));
    }
    Ok(Code::Usage)
}

fn answer(cli: Cli) -> Result<Code, CliError> {
    let session = Session::new(cli.home, cli.json, cli.config.as_deref())?;
    // Others wait for a gateway and for a console.
    let has_time =
        !matches!(cli.command, None | Some(Command::Console(_) | Command::Serve(_) | Command::Demo(_)));
    if has_time {
        patience::set(cli.wait.unwrap_or(PATIENCE), || {
            output::remark("the store is held by another process; waiting for it (--wait says how long)");
        });
    }
    match cli.command {
        None => console::run_or_status(&session),
        Some(Command::Console(options)) => console::run(&session, &options),
        Some(Command::Serve(options)) => serve::run(&session, options),
        Some(Command::Demo(options)) => demo::run(&session, &options),
        Some(Command::Status) => status::run(&session),
        Some(Command::Doctor(options)) => doctor::run(&session, &options),
        Some(Command::Explain(options)) => verify::run(&session, &options),
        Some(Command::Key(verb)) => api_key::run(&session, verb),
        Some(Command::Token(verb)) => token::run(&session, verb),
        Some(Command::SigningKey(verb)) => signing_key::run(&session, verb),
        Some(Command::Issuer(verb)) => issuer::run(&session, verb),
        Some(Command::Policy(verb)) => policy::run(&session, verb),
        Some(Command::Scope(verb)) => scope::run(&session, verb),
        Some(Command::Usage(verb)) => usage::run(&session, verb),
        Some(Command::Event(verb)) => event::run(&session, verb),
        Some(Command::Audit(verb)) => audit::run(&session, verb),
        Some(Command::Backup(options)) => backup::back_up(&session, &options),
        Some(Command::Restore(options)) => backup::restore(&session, &options),
        Some(Command::Store(verb)) => store::run(&session, verb),
        Some(Command::Snippet(options)) => snippet::run(&session, &options),
        Some(Command::Licenses) => licenses::run(&session),
        Some(Command::Completions { shell }) => reference::completions(shell).map(|()| Code::Done),
        Some(Command::Man) => reference::man().map(|()| Code::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_not_in_this_release_is_no_command() {
        for absent in ["cert", "tool", "anomaly", "strategy"] {
            assert!(Cli::try_parse_from(["portcullis", absent]).is_err(), "{absent}");
        }
    }

    #[test]
    fn a_token_among_the_arguments_is_refused_without_an_echo() {
        let token = format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", "e30", "S".repeat(43));
        let error = refuse_secrets(&["portcullis".into(), "token".into(), token.clone().into()]).unwrap_err();
        assert_eq!(error.code, Code::Usage);
        assert!(!error.to_string().contains(&token));
    }

    #[test]
    fn a_key_among_the_arguments_is_refused_without_an_echo() {
        let key = format!("pcl_live_{}_{}", "a".repeat(22), "S".repeat(49));
        let error = refuse_secrets(&["portcullis".into(), "key".into(), key.clone().into()]).unwrap_err();
        assert_eq!(error.code, Code::Usage);
        assert!(!error.to_string().contains(&key));
    }
}
