//! Which fields a proxy takes away from what its clients send, in the words of that proxy: made of the one list by which the
//! gateway itself goes ([`names`]).

use super::Program;
use crate::gateway::{FieldPattern, names};

/// Marks between the words of a name that CGI-like servers make one of (RFC 9110 §5.6.2 has them all), but for the dash.
const MARKS: &str = "_.!#$%&'*+^`|~";
/// Characters of such expressions in one line: HAProxy takes lines of 2 048, and Envoy programs of RE2 of a size of 100.
const LINE_OF_HAPROXY: usize = 1_500;
const LINE_OF_ENVOY: usize = 100;
/// Of sessions of older revisions of MCP, which forward-auth does not serve.
const OF_SESSIONS: [&str; 2] = ["mcp-session-id", "last-event-id"];

/// When a field is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before anybody asks: what nobody should hear from a client, and what the operator named.
    Before,
    /// When that was decided by which it is decided.
    After,
}

/// The lines that take fields away. `kept`: what the configuration says of fields itself, in lower case.
pub fn lines(program: Program, when: When, more: &[FieldPattern], kept: &str) -> Vec<String> {
    match program {
        Program::Nginx => {
            let mut named: Vec<String> = match when {
                When::Before => {
                    names::telling_by_name().chain(more.iter().map(ToString::to_string)).collect()
                }
                When::After => names::judged_here_by_name().chain(OF_SESSIONS.map(str::to_owned)).collect(),
            };
            named.retain(|name| !kept.contains(&format!("proxy_set_header {name} ")));
            named.into_iter().map(|name| format!("proxy_set_header {} \"\";", shown(&name))).collect()
        }
        Program::Caddy => {
            let marks = MARKS.chars().filter(|_| when == When::Before).map(|mark| format!("-*{mark}*"));
            let named =
                patterns(when, more).into_iter().map(|pattern| format!("-{}", shown(&pattern.to_string())));
            marks.chain(named).map(|what| format!("request_header {what}")).collect()
        }
        Program::Haproxy => expressions(&patterns(when, more), LINE_OF_HAPROXY)
            .into_iter()
            .map(|expression| format!("http-request del-header ^({expression})$ -m reg"))
            .collect(),
        Program::Envoy => expressions(&patterns(when, more), LINE_OF_ENVOY)
            .into_iter()
            .map(|regex| format!("- remove_on_match: {{key_matcher: {{safe_regex: {{regex: '{regex}'}}}}}}"))
            .collect(),
        // It takes away what matches before it copies what Portcullis says.
        Program::Traefik => {
            let all = [patterns(When::Before, more), patterns(When::After, &[])].concat();
            vec![format!("authResponseHeadersRegex: '(?i)^({})$'", expressions_in_one(&all))]
        }
        Program::HaproxyLua => Vec::new(),
    }
}

fn patterns(when: When, more: &[FieldPattern]) -> Vec<FieldPattern> {
    match when {
        When::Before => names::telling().chain(more.iter().cloned()).collect(),
        When::After => names::judged_here().chain(OF_SESSIONS.map(FieldPattern::name)).collect(),
    }
}

/// As people write names: each word with a capital.
fn shown(name: &str) -> String {
    let capital = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + rest,
        None => String::new(),
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}

/// One regular expression for a pattern: names are in lower case, and any mark stands for any other.
fn expression(pattern: &FieldPattern) -> String {
    let rest = if pattern.is_beginning() { ".*" } else { "" };
    pattern.as_str().replace('-', "[^a-z0-9]") + rest
}

fn expressions_in_one(patterns: &[FieldPattern]) -> String {
    patterns.iter().map(expression).collect::<Vec<_>>().join("|")
}

/// Expressions of at most so many characters, but for one that is longer by itself.
fn expressions(patterns: &[FieldPattern], line: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for expression in patterns.iter().map(expression) {
        match lines.last_mut().filter(|last| last.len() + expression.len() < line) {
            Some(last) => *last += &format!("|{expression}"),
            None => lines.push(expression),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_in_the_words_of_each_proxy() {
        let more = ["acme-*".parse().unwrap(), "X_Tenant".parse().unwrap()];
        let all = |program, when| lines(program, when, &more, "proxy_set_header x-real-ip ").join("\n");
        let nginx = all(Program::Nginx, When::Before);
        assert!(nginx.contains("proxy_set_header Remote-User \"\";\n"), "{nginx}");
        assert!(nginx.ends_with("proxy_set_header X-Tenant \"\";"), "{nginx}");
        assert!(!nginx.contains("X-Real-Ip") && !nginx.contains("X-Api-Key"), "{nginx}");
        let caddy = all(Program::Caddy, When::Before);
        for line in ["request_header -*_*", "request_header -X-Portcullis*", "request_header -Acme-*"] {
            assert!(caddy.lines().any(|found| found == line), "{line} in {caddy}");
        }
        let haproxy = all(Program::Haproxy, When::After);
        assert!(haproxy.contains("x[^a-z0-9]api[^a-z0-9]key.*|mcp[^a-z0-9]session[^a-z0-9]id"), "{haproxy}");
        let traefik = all(Program::Traefik, When::Before);
        for part in [
            "|acme[^a-z0-9].*|",
            "|x[^a-z0-9]tenant|proxy[^a-z0-9]authorization|authorization|",
            "|last[^a-z0-9]event[^a-z0-9]id)$'",
        ] {
            assert!(traefik.contains(part), "{part} in {traefik}");
        }
        assert!(lines(Program::Haproxy, When::Before, &[], "").iter().all(|line| line.len() < 2_000));
    }
}
