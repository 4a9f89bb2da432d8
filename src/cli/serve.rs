//! `portcullis serve`: the gateway, from the first listener to the last flush.

mod settings;

use std::{net::SocketAddr, sync::Arc};

use super::{
    error::{CliError, Code},
    input, output,
    session::Session,
    signals::StopSignals,
};
use crate::{
    engine::Engine,
    gateway::{
        Gateway, GatewayError, Running, Settings,
        issuers::{Fetcher, Keeper},
    },
    ops::{self, Ctx},
};

pub use settings::Options;
use settings::{parsed, settings};

pub fn run(session: &Session, options: Options) -> Result<Code, CliError> {
    log_to_stderr(&options.log)?;
    let budget = match (options.usage_budget, &session.config.serve.usage_budget) {
        (None, Some(text)) => {
            Some(input::size(text).map_err(|why| CliError::usage(format!("usage_budget: {why}")))?)
        }
        (given, _) => given,
    };
    let settings = settings(options, &session.config.serve)?;
    if let Some(doubt) = exposure(settings.admin_listen) {
        tracing::warn!("{doubt}");
    }
    let ctx = session.operator()?;
    refuse_contradictions(&ctx)?;
    let vault = ctx.vault.as_ref().ok_or_else(|| CliError::broken("the gateway needs the vault"))?;
    if let Some(resource) = settings.resource() {
        // Tokens are issued for it from now on, also by other processes.
        ops::identity::set_resource(&ctx, &parsed("--public-url", &resource)?)?;
    }
    if let Some(bytes) = budget {
        ops::usage::set_budget(&ctx, bytes)?;
    }
    let engine = Engine::start(ctx.store.clone(), vault, Arc::clone(&ctx.clock))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::broken(format!("threads cannot be started: {error}")))?;
    let served = runtime.block_on(serve(&ctx, settings, &engine));
    let stopped = engine.stop();
    served?;
    stopped?;
    Ok(Code::Done)
}

/// What an admin listener that is not on loopback gives away.
fn exposure(admin: SocketAddr) -> Option<String> {
    (!admin.ip().to_canonical().is_loopback()).then(|| {
        format!(
            "the admin listener {admin} is not on loopback: whoever reaches it reads /metrics (how much is called and refused) \
             and /ready, and a trusted proxy asks /verify about keys, in plain HTTP; let nobody else reach it, or: \
             --admin-listen 127.0.0.1:{}",
            admin.port()
        )
    })
}

/// Nobody is served while the tables let in whom the audit chain says was stopped.
fn refuse_contradictions(ctx: &Ctx) -> Result<(), CliError> {
    const SHOWN: usize = 5;
    let found = ops::rows::contradictions(ctx)?;
    if found.is_empty() {
        return Ok(());
    }
    let mut lines = vec![
        "the audit chain says what the tables do not bear out: a row was removed, or an older one put back"
            .to_owned(),
    ];
    lines.extend(found.iter().take(SHOWN).cloned());
    if found.len() > SHOWN {
        lines.push(format!("and {} more", found.len() - SHOWN));
    }
    Err(CliError::broken(lines.join("\n")).mend("do what each line says, or restore the home from a copy"))
}

async fn serve(ctx: &Ctx, settings: Settings, engine: &Arc<Engine>) -> Result<(), CliError> {
    // Signals are caught before anyone is told that we are ready.
    let mut stop = StopSignals::catch()?;
    let upstream = settings.upstream.to_string();
    let gateway = Gateway::start(settings, Arc::clone(engine), ctx.clone()).map_err(broken)?;
    let listen = gateway.listen.to_string();
    let recorded = ops::gateway::start(ctx, &listen, &upstream);
    if recorded.is_ok() {
        let keeper = keep_issuers(ctx, engine)?;
        announce(&gateway);
        stop.wait().await;
        keeper.stop();
        tracing::info!("stopping: no new requests are taken, those in flight may finish");
    }
    gateway.shutdown().map_err(broken)?;
    recorded?;
    Ok(ops::gateway::stop(ctx, &listen, &upstream)?)
}

/// Has the keys of registered issuers kept fresh.
fn keep_issuers(ctx: &Ctx, engine: &Engine) -> Result<Keeper, CliError> {
    let fetcher =
        Fetcher::new().map_err(|error| CliError::broken(format!("TLS cannot be set up: {error}")))?;
    Keeper::start(ctx, fetcher, Arc::clone(engine.missed_keys()))
        .map_err(|error| CliError::broken(format!("threads cannot be started: {error}")))
}

/// Tells whoever waits for it that the gateway takes calls. It serves on if nobody listens to that.
fn announce(gateway: &Running) {
    for text in [
        format!("{}://{}", gateway.scheme, gateway.listen),
        format!("http://{} (admin)", gateway.admin_listen),
    ] {
        if let Err(error) = output::line(&format!("listening on {text}")) {
            tracing::warn!(error = error.message, "standard output is closed");
        }
    }
}

fn broken(error: GatewayError) -> CliError {
    match error {
        GatewayError::PlainHttp(_) | GatewayError::Tls(_) => CliError::usage(error.to_string()),
        _ => CliError::broken(error.to_string()),
    }
}

/// One line an event, on standard error.
fn log_to_stderr(filter: &str) -> Result<(), CliError> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|error| CliError::usage(format!("--log: `{filter}` is no filter: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init()
        .map_err(|error| CliError::broken(format!("the log cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_listener_off_loopback_is_told_of() {
        for quiet in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(exposure(quiet.parse().unwrap()), None, "{quiet}");
        }
        for open in ["0.0.0.0:81", "[::]:81", "10.0.0.1:81", "[::ffff:10.0.0.1]:81"] {
            let told = exposure(open.parse().unwrap()).unwrap();
            assert!(told.contains("/metrics") && told.contains("/verify") && told.contains(open), "{told}");
        }
    }
}
