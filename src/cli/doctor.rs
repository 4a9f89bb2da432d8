//! `portcullis doctor`: looks at everything that must be right, changes nothing, and says what mends each fault.

mod files;

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use url::Url;

use super::{
    error::{CliError, Code},
    input,
    output::{self, Table},
    session::Session,
    status,
};
use crate::{
    domain::{
        act::Act,
        clock::Timestamp,
        credential::Kind,
        event::UPSTREAM_UNFIT,
        issuer::{Issuer, IssuerState},
        text::{counted, url_excerpt},
    },
    ops::{
        self, Ctx, OpsError,
        audit::{Kept, Standing},
    },
    store::{
        Mode, StoreError, audit,
        backup::{self, Manifest},
        event,
        home::Home,
    },
};

#[derive(Debug, Args)]
pub struct Options {
    /// From when on to look for what gateways have met: an age such as 24h, a date, or an RFC 3339 time [default: 1h, and not from before
    /// the gateways that run now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
}

/// What is older than this may have been mended since.
const RECENTLY: Duration = Duration::from_secs(3600);
/// How long an MCP server may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// How far the clock may stand behind the newest audit record.
const SKEW: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Finding {
    check: &'static str,
    passed: bool,
    detail: String,
    mend: Option<String>,
}

/// What a check found: the good news, or what is wrong and what mends it.
type Found = Result<String, (String, String)>;

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let since = options.since.as_deref().map(|text| input::since(text, session.now())).transpose()?;
    let Examined { findings, is_lost } = examine(session, since)?;
    let healthy = findings.iter().all(|finding| finding.passed);
    if session.json {
        output::json(&serde_json::json!({ "healthy": healthy, "checks": findings }))?;
    } else {
        show(&findings)?;
    }
    Ok(match (healthy, is_lost) {
        (true, _) => Code::Done,
        (false, true) => Code::Broken,
        (false, false) => Code::No,
    })
}

fn show(findings: &[Finding]) -> Result<(), CliError> {
    let mut table = Table::new(&["check", "", "detail"]);
    for finding in findings {
        let sign = if finding.passed { "ok" } else { "FAIL" };
        table.row(vec![finding.check.into(), sign.into(), finding.detail.clone()]);
        if let Some(mend) = &finding.mend {
            table.row(vec![String::new(), String::new(), format!("mend: {mend}")]);
        }
    }
    output::raw(table.render().as_bytes())
}

struct Examined {
    findings: Vec<Finding>,
    /// Whether the store is not the one that the home had, so that every command refuses.
    is_lost: bool,
}

fn examine(session: &Session, since: Option<Timestamp>) -> Result<Examined, CliError> {
    let home = session.home()?;
    let mut findings = Vec::new();
    let mut note = |check, found: Found| {
        findings.push(match found {
            Ok(detail) => Finding { check, passed: true, detail, mend: None },
            Err((detail, mend)) => Finding { check, passed: false, detail, mend: Some(mend) },
        });
    };
    let mut is_lost = false;
    note("sqlite", files::sqlite());
    if let Some(found) = files::restores(home.path()) {
        note("restore", found);
    }
    let has_store = match session.has_store() {
        Ok(has_store) => has_store,
        Err(error) => {
            note("home", Err((error.message, error.mend.unwrap_or_else(|| "check who owns it".into()))));
            return Ok(Examined { findings, is_lost });
        }
    };
    if !has_store {
        match Ctx::open(&home, Mode::ReadOnly, "cli", Arc::clone(&session.clock)) {
            Ok(_) | Err(OpsError::Store(StoreError::Missing(_))) => note(
                "home",
                Ok(format!(
                    "there is no store in {} yet; the first command that needs one makes it",
                    home.path().display()
                )),
            ),
            // What a restore left is told above.
            Err(OpsError::Store(StoreError::Unfinished(_))) => {}
            Err(error) => {
                is_lost = true;
                let CliError { message, mend, .. } = error.into();
                note("store", Err((message, mend.unwrap_or_default())));
            }
        }
        return Ok(Examined { findings, is_lost });
    }
    note("home", files::modes(&home));
    note("disk", files::disk(home.path()));
    if let Some(found) = files::copies(home.path()) {
        note("copies", Ok(found));
    }
    let copy = backup::marked(home.path()).unwrap_or_default();
    match Ctx::open(&home, Mode::ReadOnly, "cli", Arc::clone(&session.clock)) {
        Err(OpsError::Store(StoreError::TooOld { file, found, known })) => {
            note("store", Ok(of_an_earlier_one(&file, found, known)));
            return Ok(Examined { findings, is_lost });
        }
        Err(OpsError::Store(partial @ StoreError::Partial(_))) => {
            // Whatever opens it to write makes what is not there, which is not to be done unasked.
            let CliError { message, mend, .. } = partial.into();
            note("store", Err((message, mend.unwrap_or_default())));
            return Ok(Examined { findings, is_lost });
        }
        Err(error) => {
            is_lost = matches!(&error, OpsError::Store(StoreError::Lost { .. } | StoreError::Astray(_)));
            let CliError { message, mend, .. } = error.into();
            note("store", Err((message, mend.unwrap_or_else(|| "restore the home from a copy".into()))));
        }
        Ok(ctx) => {
            note("store", files::pragmas(&ctx));
            note("integrity", files::integrity(&ctx));
            if copy.is_none() {
                note("rows", rows(&ctx, &home));
            }
            note("audit", chain(&ctx, &home, copy.is_some()));
            note("usage", usage(&ctx));
            note("stops", stops(&ctx));
            note("clock", clock(&ctx, session));
            if let Some(found) = issuers(&ctx, session) {
                note("issuers", found);
            }
            if let Some(found) = upstream(&ctx, session, since) {
                note("upstream", found);
            }
        }
    }
    if let Some(copy) = copy {
        note("vault", Ok(auditors_copy(&copy)));
        return Ok(Examined { findings, is_lost });
    }
    note("vault", vault(session));
    // After the vault, which is opened for writing: that makes a ballast where there can be one.
    note("ballast", files::weight(home.path()));
    Ok(Examined { findings, is_lost })
}

/// No fault, and no more can be said before it was brought up to date, which is not this command's part.
fn of_an_earlier_one(file: &str, found: i64, known: i64) -> String {
    format!(
        "{file} is of an earlier portcullis (version {found}; this one has {known}): `portcullis store upgrade`, or the first \
         command that changes something, brings it up to date and has the home remember its store (`anchor`); then look again"
    )
}

/// What nobody who has such a copy can check, and needs not: nothing is changed or served with it.
fn auditors_copy(copy: &Manifest) -> String {
    format!(
        "none: this is an auditor's copy of store {}, as it was at {}; it can be read and not changed, and the seals of its \
         rows are not checked",
        copy.store_id, copy.taken_at
    )
}

/// Whether counters and events keep within their room.
fn usage(ctx: &Ctx) -> Found {
    let room = ctx
        .store
        .usage_room()
        .map_err(|error| (error.to_string(), "restore the home from a copy".to_owned()))?;
    // A gateway makes room after a flush, not before it.
    if room.used <= room.budget + room.budget / 8 {
        return Ok(status::room(&room));
    }
    let mend = "a gateway makes room by itself; or: portcullis usage purge --older-than 7d; or give it more: portcullis \
                serve --usage-budget SIZE";
    Err((status::room(&room), mend.into()))
}

/// Whether the keys of registered issuers could be had; `None` where there are no issuers. Damaged rows are named elsewhere.
fn issuers(ctx: &Ctx, session: &Session) -> Option<Found> {
    let issuers = ops::issuer::list(ctx).ok().filter(|issuers| !issuers.is_empty())?;
    let state = |issuer: &Issuer| issuer.state(session.now());
    let bad = |issuer: &&Issuer| matches!(state(issuer), IssuerState::Failing | IssuerState::Stale);
    Some(match issuers.iter().map(|(issuer, _)| issuer).find(bad) {
        None => Ok(format!("the keys of {} can be had", issuers.len())),
        Some(issuer) => {
            let name = &issuer.name;
            let detail = match state(issuer) {
                IssuerState::Stale => format!("tokens of {name} are refused: its keys are too old"),
                _ => format!("the keys of {name} could not be had: {}", issuer.last_error),
            };
            Err((
                detail,
                format!("a gateway fetches them by itself; to see why not: portcullis issuer refresh {name}"),
            ))
        }
    })
}

/// Whether the MCP servers behind the gateways that run take connections, and what they answered could be passed on: of late,
/// and since these began, unless it is said since when. `None` where no gateway ever began.
fn upstream(ctx: &Ctx, session: &Session, since: Option<Timestamp>) -> Option<Found> {
    let query =
        audit::Query { act: Some(Act::GatewayStart.as_str().into()), limit: 1, ..audit::Query::default() };
    let last = ops::audit::list(ctx, &query).ok()?.pop()?.record.at;
    let running = ops::gateway::list(ctx).unwrap_or_default().into_iter();
    let running: Vec<_> = running.filter(|one| one.alive == Some(true)).map(|one| one.presence).collect();
    if let Some((url, why)) =
        running.iter().find_map(|one| Some((&one.upstream, unreachable(&one.upstream)?)))
    {
        let mend = "start the MCP server, or the gateway with the right --upstream";
        return Some(Err((
            format!("{} takes no connection from here: {why}", url_excerpt(url)),
            mend.into(),
        )));
    }
    // Who began later says nothing of what the others found.
    let began = running.iter().map(|one| one.since).min().unwrap_or(last);
    let is_told = since.is_some();
    let since = since.unwrap_or_else(|| began.max(session.now().minus(RECENTLY)));
    let query = event::Query {
        kind: Some(UPSTREAM_UNFIT.into()),
        since: Some(since),
        limit: 1,
        ..event::Query::default()
    };
    let found = ops::event::list(ctx, &query).ok()?;
    Some(match found.first() {
        None if is_told => Ok(format!("nothing wrong with its answers since {since}")),
        None => Ok(format!(
            "nothing wrong with its answers since {since} (an hour at most; --since TIME looks back further)"
        )),
        Some(event) => Err((
            format!("at {}: {}", event.at, event.detail),
            "do what the detail says, and start the gateway anew where that changes --upstream".into(),
        )),
    })
}

/// Why no connection to a server can be had, where that is so.
fn unreachable(url: &str) -> Option<String> {
    let addresses = match Url::parse(url).ok()?.socket_addrs(|| None) {
        Ok(addresses) => addresses,
        Err(error) => return Some(error.to_string()),
    };
    let mut why = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return None,
            Err(error) => why = Some(error.to_string()),
        }
    }
    why
}

/// No more damaged rows than these are named.
const NAMED: usize = 10;

fn rows(ctx: &Ctx, home: &Home) -> Found {
    let found = ops::rows::examine(ctx, home).map_err(|error| {
        (format!("not checked: {error}"), "see to the vault and the store first".to_owned())
    })?;
    if found.damaged.is_empty() {
        return Ok(format!("{}, every seal fits", counted(found.rows, "row")));
    }
    let mut told: Vec<_> = found.damaged.iter().take(NAMED).map(told).collect();
    if found.damaged.len() > NAMED {
        told.push(format!("and {} more", found.damaged.len() - NAMED));
    }
    let credentials = Kind::ALL.map(Kind::plural).join(" and ");
    let purge = Kind::ALL.map(|kind| format!("{} purge --damaged", kind.command())).join(", ");
    Err((
        format!("what rests on these is denied: {}", told.join("; ")),
        format!(
            "restore the home from a copy; or remove such {credentials} (portcullis {purge}) and make new ones, and apply \
             a policy or set a scope anew"
        ),
    ))
}

/// Whether all who were stopped still are.
fn stops(ctx: &Ctx) -> Found {
    let found = ops::rows::contradictions(ctx)
        .map_err(|error| (error.to_string(), "restore the home from a copy".to_owned()))?;
    match found.first() {
        None => Ok("who was revoked or disabled still is".into()),
        Some(first) => Err((
            format!(
                "the audit chain says of {} what the tables do not: a row was removed, or an older one put back; the \
                 first: {first}",
                found.len()
            ),
            "do what the detail says for each, or restore the home from a copy".into(),
        )),
    }
}

fn told(error: &StoreError) -> String {
    match error {
        StoreError::Row { table, row, why } => format!("{table} `{row}`: {why}"),
        other => other.to_string(),
    }
}

fn chain(ctx: &Ctx, home: &Home, is_copy: bool) -> Found {
    let mend =
        || "compare with the head that was notarised elsewhere; restore the home from a copy".to_owned();
    let verdict = ops::audit::verify_against(ctx, home, &Kept::default())
        .map_err(|error| (error.to_string(), mend()))?;
    let reason = verdict.reason.unwrap_or_default();
    match (verdict.verdict, verdict.key) {
        (Standing::Valid, _) => Ok(format!("{}, chained and signed", counted(verdict.records, "record"))),
        (Standing::Unproven, Some(key)) if is_copy => Ok(format!(
            "{}, chained and signed by the key {key}; that it is the vault's shows: portcullis audit verify \
             --public-key FILE|FINGERPRINT, with what was kept elsewhere",
            counted(verdict.records, "record")
        )),
        (Standing::Unproven, Some(key)) => Err((
            format!("{}, chained and signed, but {reason}", counted(verdict.records, "record")),
            format!("have the vault at hand, or: portcullis audit verify --public-key {key}"),
        )),
        _ => {
            let place = verdict.first_bad.map_or_else(String::new, |seq| format!(" at record {seq}"));
            Err((format!("altered{place}: {reason}"), mend()))
        }
    }
}

/// A clock that was set back would revive what has expired.
fn clock(ctx: &Ctx, session: &Session) -> Found {
    let now = session.now();
    let newest = ops::audit::list(ctx, &audit::Query { limit: 1, ..audit::Query::default() })
        .map_err(|error| (error.to_string(), "restore the home from a copy".to_owned()))?;
    let latest = ctx.store.high_water().latest();
    if ctx.store.high_water().is_past(now) {
        return Err((
            format!(
                "it is {now}, yet {latest} was seen on this home: whatever has an end is refused until then"
            ),
            "set this machine's clock (NTP); where it ran ahead once: portcullis store accept".into(),
        ));
    }
    match newest.first().map(|entry| entry.record.at) {
        Some(at) if at.minus(SKEW) > now => Err((
            format!("it is {now}, yet a record was written at {at}"),
            "set this machine's clock (NTP)".into(),
        )),
        _ => Ok(now.to_string()),
    }
}

fn vault(session: &Session) -> Found {
    match session.operator() {
        Ok(_) => Ok("opens, and fits this store".into()),
        Err(error) => Err((
            error.message,
            error.mend.unwrap_or_else(|| "put back the vault.key that belongs to this home".into()),
        )),
    }
}
