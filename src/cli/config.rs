//! `--config FILE`: a home and the options of `serve`, as TOML. An option on the command line beats the file.

use std::{net::SocketAddr, num::NonZeroUsize, path::Path, path::PathBuf};

use serde::Deserialize;

use super::{error::CliError, input, output};
use crate::{
    domain::text::{visible, without_user_info},
    store::writers,
};

/// The whole file. A key that nobody knows is refused: a typing error must not switch a restriction off.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub home: Option<PathBuf>,
    #[serde(default)]
    pub serve: Serve,
}

/// `[serve]`: the options of `portcullis serve`, with underscores.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serve {
    pub upstream: Option<String>,
    pub listen: Option<SocketAddr>,
    pub admin_listen: Option<SocketAddr>,
    pub public_url: Option<String>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    #[serde(default)]
    pub allow_plain_http: bool,
    #[serde(default)]
    pub trusted_proxy: Vec<String>,
    #[serde(default)]
    pub allow_origin: Vec<String>,
    #[serde(default)]
    pub strip_header: Vec<String>,
    pub refusals: Option<String>,
    pub upstream_timeout: Option<String>,
    pub connections_per_source: Option<NonZeroUsize>,
    pub streams_per_principal: Option<NonZeroUsize>,
    pub max_token: Option<String>,
    pub max_body: Option<String>,
    #[serde(default)]
    pub advertise_tokens: bool,
    pub usage_budget: Option<String>,
}

impl Config {
    pub fn read(path: &Path) -> Result<Self, CliError> {
        if path != Path::new("-")
            && let Some(doubt) = writers::check(path)?
        {
            output::remark(&visible(&format!("{}: {doubt}", path.display())));
        }
        let text = input::document(path)?;
        // Not toml's own message, which quotes the line: it may hold the password of a URL.
        toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before
                .map_or_else(String::new, |before| format!(" in line {}", before.matches('\n').count() + 1));
            let why = without_user_info(error.message()).into_owned();
            CliError::usage(format!("{} is not a configuration{line}: {why}", path.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error =
            toml::from_str::<Config>("home = \"/x\"\n[serve]\nlisten_on = \"x\"\n").unwrap_err().to_string();
        assert!(error.contains("listen_on") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn the_options_of_serve_are_read() {
        let config =
            toml::from_str::<Config>("[serve]\nlisten = \"127.0.0.1:9\"\ntrusted_proxy = [\"10.0.0.0/8\"]\n")
                .unwrap();
        assert_eq!(config.serve.listen, Some("127.0.0.1:9".parse().unwrap()));
        assert_eq!(config.serve.trusted_proxy, ["10.0.0.0/8"]);
        assert!(toml::from_str::<Config>("[serve]\nlisten = \"nowhere\"\n").is_err());
    }
}
