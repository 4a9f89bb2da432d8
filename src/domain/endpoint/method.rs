//! The methods of MCP, and what each acts on.

use super::globs::Globs;
use crate::domain::text::excerpt;

/// The methods of MCP 2024-11-05 to 2026-07-28 that a client sends, and the gateway's own. `notifications/…` are endless:
/// those of MCP itself stand here.
pub const METHODS: [&str; 30] = [
    "tools/call",
    "tools/list",
    "prompts/get",
    "prompts/list",
    "resources/read",
    "resources/list",
    "resources/templates/list",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
    "subscriptions/listen",
    "logging/setLevel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tasks/cancel",
    "initialize",
    "ping",
    "server/discover",
    "oauth/token",
    "oauth/introspect",
    "oauth/revoke",
    "oauth/revoke-others",
    "stream",
    "session/end",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
];

/// The methods whose target is a part of the endpoint, and what the target is of.
const TARGETED: [(&str, Target); 7] = [
    ("tools/call", Target::Itself),
    ("prompts/get", Target::Itself),
    ("resources/read", Target::Itself),
    ("resources/subscribe", Target::Resource),
    ("resources/unsubscribe", Target::Resource),
    ("subscriptions/listen", Target::Resource),
    ("completion/complete", Target::Endpoint),
];

/// What the target of a method is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// What the method is for: it is judged as the endpoint says.
    Itself,
    /// The URI of a resource, which is judged as if it were read.
    Resource,
    /// A prompt or resource, as `prompts/get/NAME` or `resources/read/URI`, and judged as that.
    Endpoint,
}

/// Whether clients send this method in MCP, to the letter, or it is the gateway's own.
pub(super) fn is_known(method: &str) -> bool {
    method.starts_with("notifications/") || METHODS.contains(&method)
}

/// The method of an endpoint's text, what kind of target it has, and the target, where it has one.
pub(super) fn split(text: &str) -> Option<(&'static str, Target, &str)> {
    TARGETED
        .into_iter()
        .find_map(|(method, kind)| Some((method, kind, text.strip_prefix(method)?.strip_prefix('/')?)))
}

/// What a call of `method` acts on, where that is a part of its endpoint.
pub(super) fn target(method: &str) -> Option<Target> {
    TARGETED.iter().find(|(known, _)| *known == method).map(|(_, kind)| *kind)
}

/// Whether a lenient server could take a text that is no method for one: it differs in the case of letters, or holds
/// what no method has, blanks for one.
pub(super) fn is_disguised(method: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.:$".contains(&byte);
    !method.bytes().all(is_plain)
        || method.starts_with(['.', '/'])
        || method.ends_with(['.', '/'])
        || method.contains("//")
        || method.get(..14).is_some_and(|head| head.eq_ignore_ascii_case("notifications/"))
        || METHODS.iter().any(|known| known.eq_ignore_ascii_case(method))
        || TARGETED.iter().any(|(known, _)| {
            method.get(..known.len()).is_some_and(|head| head.eq_ignore_ascii_case(known))
                && method.as_bytes().get(known.len()) == Some(&b'/')
        })
}

/// Why a pattern matches no call, with what could be meant.
pub(super) fn doubt(pattern: &str) -> Option<String> {
    let method = pattern.strip_suffix('/').unwrap_or(pattern);
    if target(method) == Some(Target::Itself) {
        return Some(format!("this matches no call, for each names what it acts on; write {method}/**"));
    }
    let as_a_tool = || format!("if it is a tool, write tools/call/{}", excerpt(pattern));
    if pattern.contains('*') {
        let glob = Globs::new([pattern.into()]);
        let is_met =
            METHODS.iter().any(|method| target(method) != Some(Target::Itself) && glob.cover(method))
                || TARGETED.iter().any(|(method, _)| glob.cover_beginning(&format!("{method}/")))
                || ["notifications/", "/"].into_iter().any(|beginning| glob.cover_beginning(beginning));
        let mend = if pattern.contains('/') { "write the method as MCP does".into() } else { as_a_tool() };
        return (!is_met)
            .then(|| format!("this matches no method of MCP, and stars cover no others; {mend}"));
    }
    let is_method = is_known(pattern) || split(pattern).is_some() || pattern.starts_with('/');
    if is_method {
        return None;
    }
    if !pattern.contains('/') {
        return Some(format!("MCP has no such method; {}", as_a_tool()));
    }
    if is_disguised(pattern) {
        return Some("this matches no call; write the method as MCP does".into());
    }
    near(pattern).map(|meant| format!("no method of MCP begins so; did you mean {}?", excerpt(&meant)))
}

/// What was probably meant by a pattern that begins nearly as a method does. One that is nearer to none may be of a server's
/// own.
fn near(pattern: &str) -> Option<String> {
    const NEAR: f64 = 0.9;
    let meant = |method: &'static str| {
        let steps = method.matches('/').count();
        let end = pattern.match_indices('/').nth(steps).map_or(pattern.len(), |(end, _)| end);
        let (head, rest) = pattern.split_at(end);
        let has_place = rest.is_empty() || target(method).is_some();
        let rest = if rest.is_empty() && target(method) == Some(Target::Itself) { "/**" } else { rest };
        has_place.then(|| (strsim::jaro_winkler(head, method), format!("{method}{rest}")))
    };
    METHODS
        .into_iter()
        .filter_map(meant)
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, meant)| meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_known_as_mcp_spells_them() {
        for method in ["tools/call", "logging/setLevel", "notifications/cancelled", "stream", "ping"] {
            assert!(is_known(method), "{method}");
        }
        for method in
            ["Tools/Call", "tools/call ", " tools/call", "logging/setlevel", "tools", "acme/run", ""]
        {
            assert!(!is_known(method), "{method:?}");
        }
    }

    #[test]
    fn what_resembles_a_method_is_told_from_one_of_somebody_elses() {
        for method in [
            "Tools/Call",
            " tools/call",
            "tools/call ",
            "tools/call\0",
            "tools//call",
            "tools/call/",
            "TOOLS/CALL/x",
            "tоols/call",
            "Notifications/x",
            "Ping",
        ] {
            assert!(is_disguised(method), "{method:?}");
        }
        for method in ["acme/run", "acme.run", "tools/calls", "tool/call", "x"] {
            assert!(!is_disguised(method), "{method:?}");
        }
    }
}
