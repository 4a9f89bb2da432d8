//! `portcullis snippet`: the configuration of another proxy that asks this gateway for decisions (forward-auth).

mod fields;

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

use super::{
    error::{CliError, Code},
    input, output,
    session::Session,
};
use crate::gateway::{BODY, FieldPattern, Upstream};
use fields::When;

#[derive(Debug, Args)]
pub struct Options {
    /// For which program
    program: Program,
    /// Where the proxy reaches the admin listener of portcullis serve [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// The MCP server behind the proxy; the same as that of portcullis serve
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Where the proxy takes clients
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// A field of clients that the MCP server must not see, such as X-Tenant, or all that begin so: X-Tenant-*
    #[arg(long, value_name = "NAME")]
    strip_header: Vec<String>,
    /// How long the body of a request may be, where the proxy has a bound of its own; the same as that of portcullis serve
    #[arg(long, value_name = "SIZE", value_parser = input::body_size)]
    max_body: Option<usize>,
}

/// What a configuration is made of.
struct Values<'a> {
    admin: SocketAddr,
    upstream: &'a Upstream,
    listen: SocketAddr,
    max_body: usize,
    stripped: &'a [FieldPattern],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Program {
    Nginx,
    Caddy,
    Traefik,
    Envoy,
    Haproxy,
    /// The script that the configuration for HAProxy loads
    HaproxyLua,
}

impl Program {
    fn template(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("../../assets/snippets/nginx.conf"),
            Self::Caddy => include_str!("../../assets/snippets/Caddyfile"),
            Self::Traefik => include_str!("../../assets/snippets/traefik.yml"),
            Self::Envoy => include_str!("../../assets/snippets/envoy.yaml"),
            Self::Haproxy => include_str!("../../assets/snippets/haproxy.cfg"),
            Self::HaproxyLua => include_str!("../../assets/snippets/haproxy.lua"),
        }
    }
}

/// Prints the configuration as text, with `--json` too. The options of `serve` in the `--config` file count where the
/// command line is silent.
pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let serve = &session.config.serve;
    let upstream = options.upstream.as_ref().or(serve.upstream.as_ref()).ok_or_else(|| {
        CliError::usage("the proxy needs to know the MCP server that it forwards to")
            .mend("portcullis snippet nginx --upstream http://127.0.0.1:3000/mcp")
    })?;
    let upstream: Upstream =
        upstream.parse().map_err(|error| CliError::usage(format!("--upstream: {error}")))?;
    let admin = options.admin_listen.or(serve.admin_listen);
    let admin = admin.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8081)));
    if admin.ip().is_unspecified() || admin.port() == 0 {
        return Err(CliError::usage(format!(
            "--admin-listen: a proxy cannot connect to {admin}; give the address that it has from there"
        )));
    }
    let more = if options.strip_header.is_empty() { &serve.strip_header } else { &options.strip_header };
    let more = more.iter().map(|text| text.parse()).collect::<Result<Vec<FieldPattern>, _>>();
    let more = more.map_err(|error| CliError::usage(format!("--strip-header: {error}")))?;
    if options.program == Program::Nginx
        && let Some(beginning) = more.iter().find(|pattern| pattern.is_beginning())
    {
        return Err(CliError::usage(format!(
            "--strip-header: nginx takes away fields by their whole names; name those that {beginning} stands for"
        )));
    }
    let max_body = match (options.max_body, &serve.max_body) {
        (Some(size), _) => size,
        (None, Some(text)) => {
            input::body_size(text).map_err(|why| CliError::usage(format!("max_body: {why}")))?
        }
        (None, None) => BODY,
    };
    let values = Values { admin, upstream: &upstream, listen: options.listen, max_body, stripped: &more };
    output::raw(render(options.program, &values).as_bytes())?;
    Ok(Code::Done)
}

/// Every value is a number, an address, a plain host name or the name of a field, so that none can end a line or a
/// quotation.
fn render(program: Program, values: &Values<'_>) -> String {
    let Values { admin, upstream, listen, max_body, stripped } = *values;
    let (host, port) = (upstream.host(), upstream.port());
    // All addresses of IPv6 means those of IPv4 too, as with `portcullis serve`, and never the other way round.
    let is_all_of_v6 = listen.is_ipv6() && listen.ip().is_unspecified();
    let is_all_of_v4 = listen.is_ipv4() && listen.ip().is_unspecified();
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let values = [
        ("{{admin}}", admin.to_string()),
        ("{{admin_host}}", admin.ip().to_string()),
        ("{{admin_port}}", admin.port().to_string()),
        ("{{upstream}}", authority),
        ("{{upstream_host}}", host.to_owned()),
        ("{{upstream_port}}", port.to_string()),
        ("{{listen}}", listen.to_string()),
        ("{{listen_all}}", format!("{listen}{}", only(is_all_of_v6, " ipv6only=off"))),
        ("{{listen_compatible}}", only(is_all_of_v6, ", ipv4_compat: true").to_owned()),
        ("{{listen_bound}}", format!("{}{}", only(is_all_of_v4, "tcp4/"), listen.ip())),
        ("{{max_body}}", max_body.to_string()),
        ("{{listen_host}}", listen.ip().to_string()),
        ("{{listen_port}}", listen.port().to_string()),
    ];
    let text = stripping(program, stripped);
    values.iter().fold(text, |text, (place, value)| text.replace(place, value))
}

fn only(is_so: bool, text: &str) -> &str {
    if is_so { text } else { "" }
}

/// The template with the lines that take fields away, where it wants them.
fn stripping(program: Program, more: &[FieldPattern]) -> String {
    // What the same block says of fields itself.
    let mut blocks = program.template().split("\n    }\n");
    let kept =
        blocks.find(|block| block.contains("{{strip_before}}")).unwrap_or_default().to_ascii_lowercase();
    let mut text = String::new();
    for line in program.template().lines() {
        let when = match line.trim() {
            "{{strip_before}}" => When::Before,
            "{{strip_after}}" => When::After,
            _ => {
                text += &format!("{line}\n");
                continue;
            }
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        for stripping in fields::lines(program, when, more, &kept) {
            text += &format!("{indent}{stripping}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_filled() {
        for program in Program::value_variants() {
            let upstream = "http://[fd00::5]:3000/mcp".parse().unwrap();
            let values = Values {
                admin: "127.0.0.1:9081".parse().unwrap(),
                upstream: &upstream,
                listen: "127.0.0.2:9000".parse().unwrap(),
                max_body: 5000,
                stripped: &["x-tenant".parse().unwrap()],
            };
            let text = render(*program, &values);
            assert!(!text.contains("{{"), "{program:?}: {text}");
            assert!(text.contains("9081"), "{program:?}");
            let twice = |name: &str| text.matches(&format!("proxy_set_header {name} ")).count();
            if *program == Program::Nginx {
                // For the server, for the question, and for that of a browser.
                assert_eq!(
                    (twice("X-Real-Ip"), twice("X-Forwarded-For"), twice("X-Original-Url")),
                    (3, 3, 1)
                );
                assert!(text.contains("client_max_body_size 5000;"), "{text}");
            }
            assert!(*program == Program::HaproxyLua || text.to_lowercase().contains("tenant"), "{program:?}");
        }
    }

    #[test]
    fn a_host_cannot_write_configuration() {
        for url in ["http://a;b:1/mcp", "http://a$b:1/mcp", "http://a'b:1/mcp", "http://a(b:1/mcp"] {
            assert!(url.parse::<Upstream>().is_err(), "{url}");
        }
        for url in ["http://mcp-1.example_a:1/mcp", "http://[fd00::5]/mcp", "http://10.0.0.1/mcp"] {
            assert!(url.parse::<Upstream>().is_ok(), "{url}");
        }
    }
}
