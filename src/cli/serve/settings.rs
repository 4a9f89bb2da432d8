//! What `serve` is told, by its options and by the file.

use std::{fmt::Display, net::SocketAddr, num::NonZeroUsize, path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};

use crate::{
    cli::{config, error::CliError, input, proxies::networks},
    domain::clock::parse_life,
    gateway::{Identity, Origin, PublicUrl, Refusals, Settings, Upstream},
};

#[derive(Debug, Args)]
pub struct Options {
    /// The MCP server behind the gateway; the path of the URL is the MCP endpoint, here and there
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Where clients connect [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = input::listen)]
    listen: Option<SocketAddr>,
    /// Where /health, /ready, /metrics and /verify are [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS", value_parser = input::listen)]
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
    pub(super) usage_budget: Option<u64>,
    /// What is logged to standard error, such as info or portcullis=debug
    #[arg(long, env = "RUST_LOG", default_value = "info", hide_env_values = true, value_name = "FILTER")]
    pub(super) log: String,
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

/// The command line beats the file.
pub(super) fn settings(options: Options, file: &config::Serve) -> Result<Settings, CliError> {
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

/// What was given for `option`, read.
pub(super) fn parsed<T: FromStr<Err: Display>>(option: &str, text: &str) -> Result<T, CliError> {
    text.parse().map_err(|error| CliError::usage(format!("{option}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::Code;
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
