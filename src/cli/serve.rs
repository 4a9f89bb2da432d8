//! `portcullis serve`: the gateway, from the first listener to the last flush.

use std::{fmt::Display, net::SocketAddr, num::NonZeroUsize, path::PathBuf, str::FromStr, sync::Arc};

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    config,
    error::{CliError, Code},
    input, output,
    proxies::networks,
    session::Session,
};
use crate::{
    domain::clock::parse_life,
    engine::Engine,
    gateway::{
        Gateway, GatewayError, Identity, Origin, PublicUrl, Refusals, Running, Settings, Upstream,
        issuers::{Fetcher, Keeper},
    },
    ops::{self, Ctx},
};

#[derive(Debug, Args)]
pub struct Options {
    /// The MCP server behind the gateway; the path of the URL is the MCP endpoint, here and there
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Where clients connect [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where /health, /ready, /metrics and /verify are [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// The URL by which clients reach this gateway, where that is not the listening address
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The certificate of the data listener: a PEM file, the chain with the leaf first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, a PEM file; both are read anew when they change
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A certificate made at the start, for trying out
    #[arg(long, value_enum, conflicts_with = "tls_cert")]
    tls: Option<Tls>,
    /// Speak plain HTTP off loopback too: where a TLS proxy stands in front
    #[arg(long)]
    allow_plain_http: bool,
    /// A proxy whose X-Forwarded-For is believed and which may ask /verify
    #[arg(long, value_name = "CIDR")]
    trusted_proxy: Vec<String>,
    /// A web page that may call, such as https://app.example.com
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// A field of clients that the MCP server must not see, such as X-Tenant, or all that begin so: X-Tenant-*
    #[arg(long, value_name = "NAME")]
    strip_header: Vec<String>,
    /// How a refused call is answered: auto keeps sessions of older clients alive, status is always the true status
    #[arg(long, value_enum)]
    refusals: Option<Answer>,
    /// How long the MCP server may take until it begins to answer [default: 2m]
    #[arg(long, value_name = "LIFE")]
    upstream_timeout: Option<String>,
    /// Connections that one address (IPv6: one /64) may have open; trusted proxies are not counted, and loopback only
    /// where this is given [default: 64]
    #[arg(long, value_name = "COUNT")]
    connections_per_source: Option<NonZeroUsize>,
    /// Streams of events that one caller (a key with its tokens, or a subject with its) may listen on; as many again may
    /// answer its calls [default: 100]
    #[arg(long, value_name = "COUNT")]
    streams_per_principal: Option<NonZeroUsize>,
    /// How long a token may be, up to 32KiB [default: 16KiB]
    #[arg(long, value_name = "SIZE", value_parser = input::token_size)]
    max_token: Option<usize>,
    /// How long the body of a request may be [default: 4MiB]
    #[arg(long, value_name = "SIZE", value_parser = input::body_size)]
    max_body: Option<usize>,
    /// Tell clients by the metadata that tokens can be had here for an API key (POST /oauth/token): for those that know what
    /// to do with that, since others begin a login and fail
    #[arg(long)]
    advertise_tokens: bool,
    /// How much of the disk counters and events may take; kept for this home [default: a quarter of the disk, at most 2GiB]
    #[arg(long, value_name = "SIZE", value_parser = input::size)]
    usage_budget: Option<u64>,
    /// What is logged to standard error, such as info or portcullis=debug
    #[arg(long, env = "RUST_LOG", default_value = "info", hide_env_values = true, value_name = "FILTER")]
    log: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Answer {
    Auto,
    Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tls {
    SelfSigned,
}

impl From<Answer> for Refusals {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Auto => Self::Auto,
            Answer::Status => Self::Status,
        }
    }
}

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
    let stop = StopSignals::catch()?;
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

/// The command line beats the file.
fn settings(options: Options, file: &config::Serve) -> Result<Settings, CliError> {
    let tls = identity(&options, file)?;
    let upstream = options.upstream.or_else(|| file.upstream.clone()).ok_or_else(|| {
        CliError::usage("the gateway needs to know the MCP server that it stands in front of")
            .mend("portcullis serve --upstream http://127.0.0.1:3000/mcp")
    })?;
    let mut settings = Settings::new(parsed::<Upstream>("--upstream", &upstream)?);
    if let Some(listen) = options.listen.or(file.listen) {
        settings.listen = listen;
    }
    if let Some(listen) = options.admin_listen.or(file.admin_listen) {
        settings.admin_listen = listen;
    }
    settings.tls = tls;
    if settings.listen == settings.admin_listen && settings.listen.port() != 0 {
        return Err(CliError::usage(format!(
            "--listen and --admin-listen are both {}; each needs an address of its own",
            settings.listen
        )));
    }
    settings.public_url = options
        .public_url
        .or_else(|| file.public_url.clone())
        .map(|url| parsed::<PublicUrl>("--public-url", &url))
        .transpose()?;
    settings.allow_plain_http = options.allow_plain_http || file.allow_plain_http;
    let proxies = if options.trusted_proxy.is_empty() { &file.trusted_proxy } else { &options.trusted_proxy };
    settings.trusted_proxies = networks(proxies)?;
    let origins = if options.allow_origin.is_empty() { &file.allow_origin } else { &options.allow_origin };
    settings.allowed_origins =
        origins.iter().map(|text| parsed::<Origin>("--allow-origin", text)).collect::<Result<_, _>>()?;
    let stripped = if options.strip_header.is_empty() { &file.strip_header } else { &options.strip_header };
    settings.stripped =
        stripped.iter().map(|text| parsed("--strip-header", text)).collect::<Result<_, _>>()?;
    let refusals = match (options.refusals, &file.refusals) {
        (Some(answer), _) => Some(answer),
        (None, Some(text)) => Some(
            Answer::from_str(text, false).map_err(|error| CliError::usage(format!("refusals: {error}")))?,
        ),
        (None, None) => None,
    };
    if let Some(answer) = refusals {
        settings.refusals = answer.into();
    }
    settings.connections_per_source = options.connections_per_source.or(file.connections_per_source);
    if let Some(most) = options.streams_per_principal.or(file.streams_per_principal) {
        settings.streams_per_principal = most;
    }
    if let Some(most) = options.max_token {
        settings.max_token = most;
    } else if let Some(text) = &file.max_token {
        settings.max_token =
            input::token_size(text).map_err(|why| CliError::usage(format!("max_token: {why}")))?;
    }
    if let Some(most) = options.max_body {
        settings.max_body = most;
    } else if let Some(text) = &file.max_body {
        settings.max_body =
            input::body_size(text).map_err(|why| CliError::usage(format!("max_body: {why}")))?;
    }
    settings.advertises_tokens = options.advertise_tokens || file.advertise_tokens;
    if let Some(text) = options.upstream_timeout.as_ref().or(file.upstream_timeout.as_ref()) {
        settings.timeouts.response =
            parse_life(text).map_err(|error| CliError::usage(format!("--upstream-timeout: {error}")))?;
    }
    Ok(settings)
}

/// Where the certificate comes from; what is said on the command line replaces all that the file says of it.
fn identity(options: &Options, file: &config::Serve) -> Result<Option<Identity>, CliError> {
    match (&options.tls_cert, &options.tls_key, options.tls) {
        (Some(certificate), Some(key), _) => {
            return Ok(Some(Identity::Files { certificate: certificate.clone(), key: key.clone() }));
        }
        (_, _, Some(Tls::SelfSigned)) => return Ok(Some(Identity::SelfSigned)),
        _ => {}
    }
    match (&file.tls_cert, &file.tls_key) {
        (Some(certificate), Some(key)) => {
            Ok(Some(Identity::Files { certificate: certificate.clone(), key: key.clone() }))
        }
        (None, None) => Ok(None),
        _ => Err(CliError::usage("tls_cert and tls_key belong together: the file has one of them")),
    }
}

fn parsed<T: FromStr<Err: Display>>(option: &str, text: &str) -> Result<T, CliError> {
    text.parse().map_err(|error| CliError::usage(format!("{option}: {error}")))
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

/// SIGTERM, SIGINT and SIGHUP: each asks for an orderly end.
pub struct StopSignals([tokio::signal::unix::Signal; 3]);

impl StopSignals {
    /// From here on these signals no longer kill the process. Needs a tokio runtime.
    pub fn catch() -> Result<Self, CliError> {
        let catch = |kind| {
            signal(kind).map_err(|error| CliError::broken(format!("signals cannot be caught: {error}")))
        };
        Ok(Self([
            catch(SignalKind::terminate())?,
            catch(SignalKind::interrupt())?,
            catch(SignalKind::hangup())?,
        ]))
    }

    pub async fn wait(self) {
        let [mut terminate, mut interrupt, mut hangup] = self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn options(upstream: Option<&str>) -> Options {
        Options {
            upstream: upstream.map(Into::into),
            listen: None,
            admin_listen: None,
            public_url: None,
            tls_cert: None,
            tls_key: None,
            tls: None,
            allow_plain_http: false,
            trusted_proxy: Vec::new(),
            allow_origin: Vec::new(),
            strip_header: Vec::new(),
            refusals: None,
            upstream_timeout: None,
            connections_per_source: None,
            streams_per_principal: None,
            max_token: None,
            max_body: None,
            advertise_tokens: false,
            usage_budget: None,
            log: "info".into(),
        }
    }

    #[test]
    fn the_command_line_beats_the_file() {
        let file: config::Serve = toml::from_str(
            "upstream = \"http://127.0.0.1:1/mcp\"\nlisten = \"127.0.0.1:9\"\nrefusals = \"status\"\nstrip_header = [\"X-Tenant\"]\nupstream_timeout = \"90s\"\nconnections_per_source = 5\nstreams_per_principal = 7\nmax_token = \"20KiB\"\nmax_body = \"16MiB\"\nadvertise_tokens = true",
        )
        .unwrap();
        let of_file = settings(options(None), &file).unwrap();
        assert_eq!(of_file.upstream.to_string(), "http://127.0.0.1:1/mcp");
        assert_eq!((of_file.listen.port(), of_file.refusals), (9, Refusals::Status));
        assert_eq!(of_file.stripped, ["x-tenant".parse().unwrap()]);
        assert_eq!(of_file.timeouts.response, Duration::from_secs(90));
        assert_eq!(of_file.connections_per_source.map(NonZeroUsize::get), Some(5));
        assert_eq!(of_file.streams_per_principal.get(), 7);
        assert_eq!(of_file.max_token, 20 * 1024);
        assert_eq!((of_file.max_body, of_file.advertises_tokens), (16 << 20, true));
        let mut both = options(Some("http://127.0.0.1:2/mcp"));
        both.refusals = Some(Answer::Auto);
        both.upstream_timeout = Some("5m".into());
        both.connections_per_source = NonZeroUsize::new(6);
        both.streams_per_principal = NonZeroUsize::new(8);
        both.max_token = Some(2048);
        both.max_body = Some(2048);
        let both = settings(both, &file).unwrap();
        assert_eq!(both.upstream.to_string(), "http://127.0.0.1:2/mcp");
        assert_eq!((both.listen.port(), both.refusals), (9, Refusals::Auto));
        assert_eq!(both.timeouts.response, Duration::from_secs(300));
        assert_eq!(both.connections_per_source.map(NonZeroUsize::get), Some(6));
        assert_eq!(both.streams_per_principal.get(), 8);
        assert_eq!(both.max_body, 2048);
    }

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

    #[test]
    fn what_is_wrong_is_named_with_its_option() {
        let wrong = |change: fn(&mut Options)| {
            let mut options = options(Some("http://127.0.0.1:1/mcp"));
            change(&mut options);
            settings(options, &config::Serve::default()).unwrap_err().message
        };
        assert!(settings(options(None), &config::Serve::default()).is_err());
        assert!(wrong(|options| options.upstream = Some("nowhere".into())).starts_with("--upstream"));
        let most = config::Serve { max_body: Some("1B".into()), ..config::Serve::default() };
        assert!(
            settings(options(Some("http://127.0.0.1:1/mcp")), &most)
                .unwrap_err()
                .message
                .starts_with("max_body")
        );
        assert!(
            wrong(|options| options.upstream_timeout = Some("0s".into())).starts_with("--upstream-timeout")
        );
        assert!(
            wrong(|options| options.trusted_proxy = vec!["10.0.0.0/33".into()])
                .starts_with("--trusted-proxy")
        );
        let both = |port: u16| Options {
            listen: Some(([127, 0, 0, 1], port).into()),
            admin_listen: Some(([127, 0, 0, 1], port).into()),
            ..options(Some("http://127.0.0.1:1/mcp"))
        };
        let error = settings(both(9000), &config::Serve::default()).unwrap_err();
        assert!(error.code == Code::Usage && error.message.contains("127.0.0.1:9000"), "{error}");
        assert!(settings(both(0), &config::Serve::default()).is_ok(), "0 picks two free ports");
        assert!(wrong(|options| options.strip_header = vec!["Mcp-*".into()]).starts_with("--strip-header"));
        assert!(wrong(|options| options.allow_origin = vec!["app".into()]).starts_with("--allow-origin"));
        let proxy =
            Options { trusted_proxy: vec!["10.0.0.1".into()], ..options(Some("http://127.0.0.1:1/mcp")) };
        assert_eq!(settings(proxy, &config::Serve::default()).unwrap().trusted_proxies.len(), 1);
    }
}
