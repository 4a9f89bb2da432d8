//! `portcullis demo`: the console on a demo; without a terminal a few seconds of traffic, then what they came to.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;

use super::{
    console::{self, Look},
    error::{CliError, Code},
    output::{self, Table},
    session::Session,
    signals::StopSignals,
    usage::Busy,
};
use crate::{
    demo::{self, Demo, DemoError},
    domain::{
        clock::{Timestamp, parse_life},
        event::Event,
        text::counted,
        usage::{Dimension, Totals},
    },
    ops,
    store::event,
};

#[derive(Debug, Args)]
pub struct Options {
    /// Without a terminal: for how long traffic runs
    #[arg(long = "for", default_value = "5s", value_parser = parse_life, value_name = "LIFE")]
    length: Duration,
    #[command(flatten)]
    look: Look,
    /// Run only the MCP server of the demo
    #[arg(long, hide = true)]
    server_only: bool,
    /// Where that server listens
    #[arg(long, hide = true, default_value = "127.0.0.1:0", requires = "server_only")]
    listen: SocketAddr,
}

/// What some seconds of traffic came to.
#[derive(Serialize)]
struct Summary {
    seconds: u64,
    totals: Totals,
    subjects: Vec<Busy>,
    endpoints: Vec<Busy>,
    outcomes: Vec<Busy>,
    refusals: Vec<Event>,
}

impl From<DemoError> for CliError {
    fn from(error: DemoError) -> Self {
        Self::broken(error.to_string())
    }
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::broken(format!("threads cannot be started: {error}")))?;
    if options.server_only {
        return runtime.block_on(serve_only(options.listen));
    }
    let began = session.now();
    let demo = runtime.block_on(Demo::start())?;
    if session.json || !console::has_terminal() {
        return runtime.block_on(watch(session, demo, began, options.length));
    }
    // The console has this thread and its terminal to itself; the demo runs on the runtime's threads.
    let left = console::open(demo.ctx().clone(), None, None, &options.look, Some("demo".into()));
    runtime.block_on(demo.stop())?;
    left
}

async fn serve_only(listen: SocketAddr) -> Result<Code, CliError> {
    let server = demo::server::start(listen)
        .await
        .map_err(|error| CliError::broken(format!("{listen} cannot be listened on: {error}")))?;
    let mut stop = StopSignals::catch()?;
    output::line(&format!("listening on {}", server.url()))?;
    stop.wait().await;
    server.stop().await;
    Ok(Code::Done)
}

async fn watch(session: &Session, demo: Demo, began: Timestamp, length: Duration) -> Result<Code, CliError> {
    let start = Instant::now();
    let mut stop = StopSignals::catch()?;
    output::remark(&format!(
        "{} of traffic through a gateway on loopback …",
        counted(length.as_secs(), "second")
    ));
    tokio::select! {
        () = tokio::time::sleep(length) => {}
        _ = stop.wait() => {}
    }
    demo.end_traffic().await;
    let gathered = gather(session, &demo, began, start.elapsed()).await;
    demo.stop().await?;
    let summary = gathered?;
    if session.json {
        output::json(&summary)?;
    } else {
        show(&summary)?;
    }
    Ok(Code::Done)
}

async fn gather(
    session: &Session,
    demo: &Demo,
    began: Timestamp,
    took: Duration,
) -> Result<Summary, CliError> {
    // Counters reach the store with the engine's next flush.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let ctx = demo.ctx();
    let range = demo::range(began, session.now());
    let top = |by| -> Result<_, CliError> { Ok(Busy::all(ops::usage::top(ctx, range.clone(), by, 20)?)) };
    Ok(Summary {
        seconds: took.as_secs(),
        totals: ops::usage::totals(ctx, range.clone())?,
        subjects: top(Dimension::Subject)?,
        endpoints: top(Dimension::Endpoint)?,
        outcomes: top(Dimension::Outcome)?,
        refusals: ops::event::list(ctx, &event::Query { limit: 20, ..event::Query::default() })?,
    })
}

fn show(summary: &Summary) -> Result<(), CliError> {
    let Totals { allowed, denied, failed } = summary.totals;
    output::line(&format!("{} allowed, {denied} denied, {failed} failed\n", counted(allowed, "call")))?;
    for (title, rows) in
        [("subject", &summary.subjects), ("endpoint", &summary.endpoints), ("outcome", &summary.outcomes)]
    {
        let mut headers = vec![title, "calls", "allowed", "denied", "failed"];
        headers.extend((title == "subject").then_some("issuer"));
        let mut table = Table::new(&headers);
        for row in rows {
            table.row(row.cells());
        }
        output::line(&table.render())?;
    }
    let mut table = Table::new(&["refused at", "why", "subject", "endpoint", "times"]);
    for event in &summary.refusals {
        table.row(vec![
            event.at.to_string(),
            event.kind.clone(),
            event.subject.clone(),
            event.endpoint.clone(),
            event.count.to_string(),
        ]);
    }
    output::raw(table.render().as_bytes())
}
