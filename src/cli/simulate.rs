//! `policy simulate`: what a policy would have said to calls that were written down, or were recorded.
//! Changes nothing.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{
    error::{CliError, Code},
    input, output, policy,
    session::Session,
};
use crate::{
    domain::{
        name::PolicyName,
        policy::{CompiledPolicy, Policy},
        scope::Catalogue,
        text::{counted, visible},
    },
    ops::{
        self, Ctx,
        policy::{Call, LeftOut, Simulated, SimulatedRequest},
    },
};

#[derive(Debug, Args)]
pub struct Options {
    /// The policy: a file with its document (`-`: standard input), or else the name of a saved one
    #[arg(long, value_name = "FILE|NAME")]
    policy: PathBuf,
    /// One JSON request a line, {"at","ip","endpoint","scopes"?}, in time order [default: standard input]
    #[arg(long, value_name = "FILE", conflicts_with = "since")]
    requests: Option<PathBuf>,
    /// Replay recorded traffic from then on: an age such as 24h, a date, or an RFC 3339 time. Only the calls of keys and tokens that
    /// are under the policy of this name now are judged; how many others there were is told
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let home = session.witness()?;
    let catalogue = policy::catalogue(home.as_ref())?;
    let (policy, revision) = find_policy(session, home.as_ref(), &catalogue, &options.policy)?;
    let name = policy.name.clone();
    let compiled = CompiledPolicy::new(policy, revision)
        .map_err(|bad| policy::refused(&options.policy.display().to_string(), &bad))?;
    // The first line that is none ends the replay; it is told after the answers to those before it.
    let fault = RefCell::new(None);
    let mut left_out = None;
    let requests: Box<dyn Iterator<Item = SimulatedRequest>> = match &options.since {
        Some(since) => {
            let since = input::since(since, session.now())?;
            let home = home.as_ref().ok_or_else(|| no_home(session, "nothing was recorded".into()))?;
            let (requests, others) = ops::policy::recorded(home, &name, since)?;
            left_out = Some(others);
            Box::new(requests)
        }
        None => {
            let lines = open(options.requests.as_deref().unwrap_or(Path::new("-")), &options.policy)?;
            Box::new(
                ops::policy::read_requests(lines)
                    .map_while(|request| request.map_err(|error| *fault.borrow_mut() = Some(error)).ok()),
            )
        }
    };
    let judged = answer(session, left_out, ops::policy::simulate(&compiled, &catalogue, requests))?;
    if let Some(left_out) = left_out.filter(|_| !session.json || judged == 0) {
        output::remark(&told(&name, left_out));
    }
    match fault.take() {
        Some(error) => Err(error.into()),
        None => Ok(Code::Done),
    }
}

fn find_policy(
    session: &Session,
    home: Option<&Ctx>,
    catalogue: &Catalogue,
    what: &Path,
) -> Result<(Policy, u32), CliError> {
    let name = what.to_str().and_then(|text| text.parse::<PolicyName>().ok());
    if let (Some(name), false) = (name, what.is_file() || what == Path::new("-")) {
        let missing = || no_home(session, format!("there is neither a file nor a saved policy `{name}`"));
        let revision = ops::policy::show(home.ok_or_else(missing)?, &name)?;
        return Ok((revision.policy, revision.revision));
    }
    let (policy, _) = ops::policy::check(catalogue, &input::document(what)?)
        .map_err(|bad| policy::refused(&what.display().to_string(), &bad))?;
    Ok((policy, 0))
}

/// What is not there because no home is.
fn no_home(session: &Session, what: String) -> CliError {
    let place = session.home().map(|home| home.path().display().to_string()).unwrap_or_default();
    CliError::new(Code::NotFound, format!("{what}: there is no store in {place} yet"))
        .mend("give --policy FILE and --requests FILE, or name the home with --home DIR")
}

fn open(requests: &Path, policy: &Path) -> Result<Box<dyn BufRead>, CliError> {
    if requests != Path::new("-") {
        let file = File::open(requests).map_err(|error| input::unreadable(requests, &error))?;
        return Ok(Box::new(BufReader::new(file)));
    }
    if policy == Path::new("-") {
        return Err(CliError::usage(
            "standard input cannot be the policy and the requests at once; give --requests FILE",
        ));
    }
    input::say_that_it_waits("requests");
    Ok(Box::new(io::stdin().lock()))
}

/// What a replay did not judge, in words.
fn told(policy: &PolicyName, left_out: LeftOut) -> String {
    let LeftOut { calls, credentials, unnamed_calls } = left_out;
    let whose = format!("judged were the calls of keys and tokens that are under policy {policy} now");
    let others = format!("{} of {}", counted(calls, "call"), counted(credentials, "other credential"));
    match unnamed_calls {
        0 => format!("{whose}; left out: {others}"),
        _ => format!(
            "{whose}; left out: {others}, and {} whose endpoint was not told apart",
            counted(unnamed_calls, "call")
        ),
    }
}

/// What became of a request, as scripts read it.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    simulated: Simulated,
    /// What a replay of recorded traffic does not judge; the same in each line.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<LeftOut>,
}

/// The verdict, of a recorded call which one it was, and each check that fails.
fn in_words(answer: &Simulated) -> String {
    let verdict = if answer.allowed { "allowed" } else { "denied" };
    let call = answer
        .call
        .as_ref()
        .map(|Call { at, endpoint, credential }| format!("{at}  {credential}  {}", visible(endpoint)));
    let failed = answer.failed.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(" ");
    let parts = [Some(verdict.to_owned()), call, Some(failed).filter(|failed| !failed.is_empty())];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

/// One line for each request, as it comes; how many they were.
fn answer(
    session: &Session,
    left_out: Option<LeftOut>,
    answers: impl Iterator<Item = Simulated>,
) -> Result<u64, CliError> {
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut allowed, mut all) = (0_u64, 0_u64);
    for answer in answers {
        all += 1;
        allowed += u64::from(answer.allowed);
        if session.json {
            let answer = Answer { simulated: answer, left_out };
            serde_json::to_writer(&mut out, &answer).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        } else {
            writeln!(out, "{}", in_words(&answer))?;
        }
    }
    out.flush()?;
    if !session.json {
        output::remark(&format!("{allowed} of {all} allowed"));
    }
    Ok(all)
}
