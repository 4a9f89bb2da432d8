//! How servers could read a resource's URI.
//!
//! Servers parse a URI before they look for the resource: `file:///public/../secret.md`, `FILE:///secret.md` and
//! `file:/secret.md` are one resource to whoever reads URLs as the WHATWG URL Standard says, as the MCP SDKs do. A call
//! is allowed only where every such reading is. The upstream still receives what the client wrote.

use percent_encoding::percent_decode_str;
use url::Url;

/// What servers could take `uri` for, beside itself.
pub(super) fn readings(uri: &str) -> Vec<String> {
    let decoded = percent_decode_str(uri).decode_utf8_lossy();
    let mut all = Vec::new();
    for reading in [standard(uri), standard(&decoded).or(Some(decoded.into_owned()))].into_iter().flatten() {
        if reading != uri && !all.contains(&reading) {
            all.push(reading);
        }
    }
    all
}

/// The URI as the WHATWG URL Standard writes it; `None` where it is none by that standard.
fn standard(uri: &str) -> Option<String> {
    Url::parse(uri).ok().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_in_its_standard_form_has_no_other() {
        for uri in [
            "file:///a.md",
            "file:///caf%C3%A9/a%20b.md",
            "db://Tables/Users?id=1",
            "memo:insights",
            "no uri",
            "https://x/",
        ] {
            assert!(readings(uri).is_empty(), "{uri}: {:?}", readings(uri));
        }
    }

    #[test]
    fn detours_end_at_what_they_reach() {
        for uri in [
            "file:///public/../secret.md",
            "file:///public/%2e%2e/secret.md",
            "file:///public/.%2E/secret.md",
            "file:///public/..%2fsecret.md",
            "file:///public/..\\secret.md",
            "file:///public/..%5Csecret.md",
            "FILE:///secret.md",
            "file://localhost/secret.md",
            "file:/secret.md",
            "file:///sec\nret.md",
            "file:///%73ecret.md",
            " file:///secret.md",
        ] {
            assert!(readings(uri).contains(&"file:///secret.md".to_owned()), "{uri:?}: {:?}", readings(uri));
        }
    }
}
