//! `policy simulate`: what a policy would have said to calls that were written down, or were recorded.
//! Changes nothing.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    error::{CliError, Code},
    input, output, policy,
    session::Session,
};
use crate::{
    domain::policy::{CompiledPolicy, Policy},
    ops::{
        self, Ctx,
        policy::{Simulated, SimulatedRequest},
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
    /// Replay recorded traffic from then on: an age such as 24h, or an RFC 3339 time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let ctx = session.reader()?;
    let (policy, revision) = find_policy(&ctx, &options.policy)?;
    let name = policy.name.clone();
    let compiled = CompiledPolicy::new(policy, revision)
        .map_err(|bad| policy::refused(&options.policy.display().to_string(), &bad))?;
    let catalogue = ops::scope::list(&ctx)?;
    // The first line that is none ends the replay; it is told after the answers to those before it.
    let fault = RefCell::new(None);
    let requests: Box<dyn Iterator<Item = SimulatedRequest>> = match &options.since {
        Some(since) => Box::new(ops::policy::recorded(&ctx, &name, input::since(since, session.now())?)?),
        None => {
            let lines = open(options.requests.as_deref().unwrap_or(Path::new("-")), &options.policy)?;
            Box::new(
                ops::policy::read_requests(lines)
                    .map_while(|request| request.map_err(|error| *fault.borrow_mut() = Some(error)).ok()),
            )
        }
    };
    answer(session, ops::policy::simulate(&compiled, &catalogue, requests))?;
    match fault.take() {
        Some(error) => Err(error.into()),
        None => Ok(Code::Done),
    }
}

fn find_policy(ctx: &Ctx, what: &Path) -> Result<(Policy, u32), CliError> {
    let name = what.to_str().and_then(|text| text.parse().ok());
    if let (Some(name), false) = (name, what.is_file() || what == Path::new("-")) {
        let revision = ops::policy::show(ctx, &name)?;
        return Ok((revision.policy, revision.revision));
    }
    let checked = ops::policy::check(ctx, &input::document(what)?)?;
    let (policy, _) = checked.map_err(|bad| policy::refused(&what.display().to_string(), &bad))?;
    Ok((policy, 0))
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
    Ok(Box::new(io::stdin().lock()))
}

/// One line for each request, as it comes.
fn answer(session: &Session, answers: impl Iterator<Item = Simulated>) -> Result<(), CliError> {
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut allowed, mut all) = (0_u64, 0_u64);
    for answer in answers {
        all += 1;
        allowed += u64::from(answer.allowed);
        if session.json {
            serde_json::to_writer(&mut out, &answer).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        } else {
            let failed = answer.failed.iter().map(|reason| reason.as_str()).collect::<Vec<_>>();
            let verdict = if answer.allowed { "allowed" } else { "denied" };
            writeln!(out, "{}", format!("{verdict}  {}", failed.join(" ")).trim_end())?;
        }
    }
    out.flush()?;
    if !session.json {
        output::remark(&format!("{allowed} of {all} allowed"));
    }
    Ok(())
}
