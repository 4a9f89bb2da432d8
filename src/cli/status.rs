//! `portcullis status`: how things stand, in one look.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{
    error::{CliError, Code},
    output,
    session::Session,
};
use crate::{
    domain::{
        act::Act,
        clock::Timestamp,
        credential::{Kind, State},
        text::counted,
        token::TokenState,
        usage::Totals,
    },
    ops::{self, Ctx},
    store::{
        self,
        credential::Counts,
        gateway::{Gateway, Presence},
        room::Room,
    },
};

/// With more keys and tokens than these, checking every seal takes longer than a look may; `doctor` takes the time.
const MOST_CHECKED: u64 = 50_000;

#[derive(Serialize)]
struct Status {
    version: &'static str,
    home: String,
    at: Timestamp,
    #[serde(flatten)]
    credentials: Credentials,
    policies: usize,
    rows: Rows,
    /// Totals of the last 24 hours.
    last_24h: Totals,
    /// How much of the disk counters and events take, and what went for want of room.
    usage: Room,
    /// Of when it is, where it is an auditor's copy.
    auditors_copy: Option<Timestamp>,
    /// Those that run on this home, and those that ended without a word.
    gateways: Vec<Gateway>,
    gateway: LastWord,
}

/// How many of each kind are in each state.
struct Credentials(Vec<(Kind, Counts)>);

impl Credentials {
    fn all(&self) -> u64 {
        self.0.iter().map(|(_, counts)| counts.all()).sum()
    }
}

impl Serialize for Credentials {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(kind, counts)| (kind.plural(), counts)))
    }
}

/// Whether the rows that decisions rest on are as they were written.
#[derive(Serialize)]
struct Rows {
    /// `null` where nothing was checked: the vault cannot be opened, or there are too many for one look.
    damaged: Option<usize>,
}

/// What the audit log last heard of a gateway on this home.
#[derive(Serialize)]
struct LastWord {
    /// `started`, `stopped`, or `never`.
    last: &'static str,
    at: Option<Timestamp>,
}

pub fn run(session: &Session) -> Result<Code, CliError> {
    let status = gather(session)?;
    if session.json {
        output::json(&status)?;
    } else {
        show(&status)?;
    }
    Ok(Code::Done)
}

fn gather(session: &Session) -> Result<Status, CliError> {
    let ctx = session.reader()?;
    let now = session.now();
    let counts = ctx.store.read(|c| store::credential::counts(c, now, now))?;
    let credentials = Credentials(counts);
    let range = store::usage::Query {
        since: now.minus(Duration::from_secs(86_400)),
        until: now.plus(Duration::from_secs(60)),
        ..store::usage::Query::default()
    };
    Ok(Status {
        version: env!("CARGO_PKG_VERSION"),
        home: session.home()?.path().display().to_string(),
        at: now,
        policies: ops::policy::list(&ctx)?.len(),
        rows: Rows {
            damaged: match credentials.all() {
                0..=MOST_CHECKED => {
                    ops::rows::examine(&ctx, &session.home()?).ok().map(|found| found.damaged.len())
                }
                _ => None,
            },
        },
        credentials,
        last_24h: ops::usage::totals(&ctx, range)?,
        usage: ctx.store.usage_room()?,
        auditors_copy: store::backup::marked(ctx.store.home())?.map(|copy| copy.taken_at),
        gateways: ops::gateway::list(&ctx)?,
        gateway: last_word(&ctx)?,
    })
}

fn last_word(ctx: &Ctx) -> Result<LastWord, CliError> {
    let newest = |act: Act| -> Result<_, CliError> {
        let query = store::audit::Query {
            act: Some(act.as_str().into()),
            limit: 1,
            ..store::audit::Query::default()
        };
        Ok(ops::audit::list(ctx, &query)?.into_iter().next().map(|entry| entry.record))
    };
    let (started, stopped) = (newest(Act::GatewayStart)?, newest(Act::GatewayStop)?);
    let seq = |record: &Option<crate::domain::audit::Record>| record.as_ref().map_or(0, |record| record.seq);
    let (last, record) = match (&started, &stopped) {
        (None, None) => ("never", None),
        _ if seq(&started) > seq(&stopped) => ("started", started),
        _ => ("stopped", stopped),
    };
    Ok(LastWord { last, at: record.map(|record| record.at) })
}

fn show(status: &Status) -> Result<(), CliError> {
    let totals = status.last_24h;
    let mut fields = vec![("portcullis", status.version.to_owned()), ("home", status.home.clone())];
    fields.extend(status.credentials.0.iter().map(|(kind, counts)| (kind.plural(), told(counts))));
    fields.extend([
        ("policies", status.policies.to_string()),
        (
            "rows",
            match status.rows.damaged {
                None => "not checked here: `portcullis doctor` checks them, or says why it cannot".into(),
                Some(0) => "every seal fits".into(),
                Some(damaged) => format!("{damaged} DAMAGED: `portcullis doctor` names them"),
            },
        ),
        (
            "last 24 h",
            format!(
                "{} allowed, {} denied, {} failed",
                counted(totals.allowed, "call"),
                totals.denied,
                totals.failed
            ),
        ),
        ("usage", room(&status.usage)),
    ]);
    if let Some(at) = status.auditors_copy {
        fields.push((
            "role",
            format!("an auditor's copy, as it was at {at}: to be read, not changed or served"),
        ));
    }
    fields.extend(gateways(status).into_iter().map(|told| ("gateway", told)));
    output::fields(&fields)?;
    output::line(&format!("\n{}", next_steps(status).join("\n")))
}

fn told(counts: &Counts) -> String {
    let state = |(state, count): &(State, u64)| match state {
        State::Token(TokenState::Expiring) => format!("{count} about to expire"),
        State::ApiKey(_) | State::Token(_) => format!("{count} {}", state.as_str()),
    };
    counts.states.iter().map(state).collect::<Vec<_>>().join(", ")
}

/// The first steps that are still to be taken, and where all commands are.
fn next_steps(status: &Status) -> Vec<&'static str> {
    let has_credential = status.credentials.all() > 0;
    let has_served = !status.gateways.is_empty() || status.gateway.at.is_some();
    let is_copy = status.auditors_copy.is_some();
    [
        (!has_credential && !is_copy, "portcullis key create --subject S --scope mcp:read   make a key"),
        (!has_served && !is_copy, "portcullis serve --upstream URL                      run the gateway"),
        (
            !has_credential && !has_served,
            "portcullis demo                                      see all of it at work",
        ),
        (true, "portcullis --help                                    every command"),
    ]
    .into_iter()
    .filter_map(|(is_due, step)| is_due.then_some(step))
    .collect()
}

/// A line for each gateway that runs, and for each that ended without a word; else what was last heard of one.
fn gateways(status: &Status) -> Vec<String> {
    let mut told: Vec<_> = status.gateways.iter().map(of_one).collect();
    if !status.gateways.iter().any(|gateway| gateway.alive != Some(false)) {
        let last = match (status.gateway.at, status.gateway.last) {
            (None, _) => "never started on this home".to_owned(),
            (Some(at), "stopped") => format!("none runs; the last one stopped at {at}"),
            (Some(at), _) => {
                format!("none runs; the last one started at {at}, and did not say that it stopped")
            }
        };
        told.insert(0, last);
    }
    told
}

fn of_one(gateway: &Gateway) -> String {
    let Presence { listen, admin_listen, upstream, since, .. } = &gateway.presence;
    match gateway.alive {
        Some(true) => format!("runs: {listen} for {upstream}, since {since} (admin: {admin_listen})"),
        Some(false) => {
            format!("ended without a word (killed, or crashed): {listen} for {upstream}, since {since}")
        }
        None => format!(
            "{listen} for {upstream}, since {since}; this file system cannot tell whether it still runs"
        ),
    }
}

/// How much room counters and events take, and what went for want of it.
pub fn room(room: &Room) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let mut told = format!("{:.1} of {:.0} MiB", room.used as f64 / MIB, room.budget as f64 / MIB);
    for (whose, before) in [
        ("what strangers left", room.shed_strangers_before),
        ("what is known of credentials", room.shed_before),
    ] {
        if let Some(before) = before {
            told.push_str(&format!("; some of {whose} from before {before} went for want of room"));
        }
    }
    told
}
