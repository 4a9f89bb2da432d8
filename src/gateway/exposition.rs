//! In which form a scrape is answered: as its `Accept` asks for it, in the text format of Prometheus (0.0.4) or in that of
//! OpenMetrics (1.0.0).

use std::collections::HashSet;
use std::fmt;

use http::header;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::wire::{Fields, Media};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    Text,
    OpenMetrics,
}

impl Exposition {
    /// What a scraper wants most (RFC 9110 §12.5.1); the older one where both do, which is what all read.
    pub fn asked(headers: &Fields) -> Self {
        let ranges = || headers.all(&header::ACCEPT).flat_map(Media::ranges);
        // Ranges that name this very one alone: whoever takes anything gets the older.
        let named = |media| ranges().filter(move |range| range.is(media));
        let weight = |media| named(media).map(Media::weight).fold(0.0, f32::max);
        match weight("application/openmetrics-text") > weight("text/plain") {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The text of a scrape.
    pub fn write(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut scraped = String::new();
        if self == Self::OpenMetrics {
            text::encode(&mut scraped, registry)?;
            return Ok(scraped);
        }
        text::encode_registry(&mut scraped, registry)?;
        Ok(older(&scraped))
    }
}

/// The same in the format of before OpenMetrics, in which a counter is called as its sample is.
fn older(scraped: &str) -> String {
    let about = |line: &str| {
        let mut words = line.strip_prefix("# ")?.splitn(3, ' ').map(str::to_owned);
        Some((words.next()?, words.next()?, words.next().unwrap_or_default()))
    };
    let counters: HashSet<String> = scraped
        .lines()
        .filter_map(about)
        .filter(|(word, _, rest)| word == "TYPE" && rest == "counter")
        .map(|(_, name, _)| name)
        .collect();
    let mut text = String::with_capacity(scraped.len());
    for line in scraped.lines() {
        match about(line) {
            // It has no such line.
            Some((word, ..)) if word == "UNIT" => continue,
            Some((word, name, rest)) if counters.contains(&name) => {
                text += &format!("# {word} {name}_total {rest}");
            }
            _ => text += line,
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn a_scraper_gets_the_format_that_it_asks_for() {
        for (accept, expected) in [
            (None, Exposition::Text),
            (Some("*/*"), Exposition::Text),
            (Some("text/plain;version=0.0.4"), Exposition::Text),
            (Some("application/openmetrics-text"), Exposition::OpenMetrics),
            (Some("Application/OpenMetrics-Text; version=1.0.0"), Exposition::OpenMetrics),
            // Prometheus 2 and 3.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                     text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ),
                Exposition::OpenMetrics,
            ),
            (
                Some(
                    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;q=0.5,*/*;q=0.2",
                ),
                Exposition::Text,
            ),
            (Some("application/openmetrics-text;q=0,*/*"), Exposition::Text),
            (Some("application/openmetrics-text;q=x"), Exposition::Text),
            (Some("application/json"), Exposition::Text),
        ] {
            let fields = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
            let fields = Fields::from(&HeaderMap::from_iter(fields));
            assert_eq!(Exposition::asked(&fields), expected, "{accept:?}");
        }
    }

    #[test]
    fn the_older_format_calls_a_counter_as_its_sample_is() {
        let newer = "# HELP a_calls Calls.\n# TYPE a_calls counter\n# UNIT a_calls s\na_calls_total{x=\"a_calls\"} 1\n\
                     # HELP b_now Now.\n# TYPE b_now gauge\nb_now 2\n";
        assert_eq!(
            older(newer),
            "# HELP a_calls_total Calls.\n# TYPE a_calls_total counter\na_calls_total{x=\"a_calls\"} 1\n\
             # HELP b_now Now.\n# TYPE b_now gauge\nb_now 2\n"
        );
    }
}
