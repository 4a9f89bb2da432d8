//! The fields of a policy in a form: made from a document, judged as they are typed, read back.

use chrono_tz::TZ_VARIANTS;

use crate::console::widget::field::{Choice, Field};
use crate::console::widget::form::Form;
use crate::console::widget::fuzzy::fuzzy;
use crate::domain::name::ScopeName;
use crate::domain::policy::field::{
    parse_algorithm, parse_description, parse_endpoints_line, parse_limit, parse_mode, parse_name,
    parse_networks_line, parse_timezone, write_limit, write_networks_line,
};
use crate::domain::policy::{
    Algorithm, EndpointRestrictions, IpRestrictions, Mode, Policy, RateLimits, TimeRestrictions,
};
use crate::domain::scope::Catalogue;

const LIMIT: &str = "a number; 0 = nothing passes, none = no limit";
const NETWORKS: &str = "addresses or CIDR networks, v4 or v6, by commas";
const PATTERNS: &str = "by commas; * stays inside a segment, ** crosses them: tools/call/search_*, /files/**";

/// The form for `policy`; `fixed_name` where it exists already.
pub fn form(policy: &Policy, catalogue: &Catalogue, fixed_name: bool) -> Form {
    let mut scopes: Vec<Choice> =
        catalogue.iter().map(|scope| Choice::new(scope.name.as_str(), scope.description.as_str())).collect();
    for held in &policy.scopes {
        if catalogue.get(held).is_none() {
            scopes.push(Choice::new(held.as_str(), "not in the catalogue"));
        }
    }
    let held: Vec<String> = policy.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let modes = vec![
        Choice::new(Mode::Enforce.as_str(), "what is denied is refused"),
        Choice::new(Mode::Shadow.as_str(), "decide and record, let through"),
    ];
    let algorithms = vec![
        Choice::new(Algorithm::Sliding.as_str(), "never more than N in any window"),
        Choice::new(Algorithm::Fixed.as_str(), "exactly N in each minute, hour, day"),
    ];
    let limits = &policy.rate_limits;
    let endpoints = &policy.endpoint_restrictions;
    let join = |patterns: &[crate::domain::endpoint::EndpointPattern]| {
        patterns.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>().join(", ")
    };
    let number =
        |name, label, value| Field::text(name, label, LIMIT, &write_limit(value)).empty_means("no limit");
    let mut name = Field::text("name", "name", "letters, digits and . _ -", policy.name.as_str());
    name.hidden = fixed_name;
    let mut form = Form::new(
        "review",
        vec![
            name,
            Field::text("description", "description", "what it is for", &policy.description)
                .empty_means("none"),
            Field::choice("mode", "mode", "", modes, policy.mode.as_str()),
            Field::many(
                "scopes",
                "scopes",
                "the ceiling for its keys: what they hold beyond it is void",
                scopes,
                &held,
            )
            .empty_means("no ceiling"),
            number("per_minute", "per minute", limits.requests_per_minute),
            number("per_hour", "per hour", limits.requests_per_hour),
            number("per_day", "per day", limits.requests_per_day),
            Field::choice("algorithm", "algorithm", "", algorithms, limits.algorithm.as_str()),
            Field::text(
                "whitelist",
                "whitelist",
                NETWORKS,
                &write_networks_line(&policy.ip_restrictions.whitelist),
            )
            .empty_means("any address"),
            Field::text(
                "blacklist",
                "blacklist",
                NETWORKS,
                &write_networks_line(&policy.ip_restrictions.blacklist),
            )
            .empty_means("none"),
            Field::hours("hours", "hours", "", policy.time_restrictions.allowed_hours.iter()),
            Field::text(
                "timezone",
                "timezone",
                "an IANA name, such as Europe/Berlin",
                policy.time_restrictions.timezone.name(),
            )
            .suggesting(timezones),
            Field::text("allowed", "allowed", PATTERNS, &join(&endpoints.allowed_endpoints))
                .empty_means("all that the scopes cover"),
            Field::text("blocked", "blocked", PATTERNS, &join(&endpoints.blocked_endpoints))
                .empty_means("none"),
        ],
    );
    check(&mut form);
    form
}

fn timezones(typed: &str) -> Vec<String> {
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    fuzzy(typed, names())
        .into_iter()
        .take(4)
        .filter_map(|place| TZ_VARIANTS.get(place).map(|zone| zone.name().to_owned()))
        .collect()
}

/// Judges every field as it stands.
pub fn check(form: &mut Form) {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    for field in &mut form.fields {
        let text = field.value();
        let fault = match field.name {
            "name" => parse_name(text.trim()).err().map(|error| said(&error)),
            "description" => parse_description(text.trim()).err().map(|error| said(&error)),
            "per_minute" | "per_hour" | "per_day" => parse_limit(text).err().map(|error| said(&error)),
            "whitelist" | "blacklist" => parse_networks_line(text).err().map(|error| said(&error)),
            "timezone" => parse_timezone(text.trim()).err().map(|error| said(&error)),
            "allowed" | "blocked" => parse_endpoints_line(text).err().map(|error| said(&error)),
            _ => None,
        };
        field.error = fault;
    }
}

/// The document that the form describes; `None` while a field is wrong.
pub fn read(form: &Form) -> Option<Policy> {
    let scopes: Result<Vec<ScopeName>, _> =
        form.field("scopes")?.values().into_iter().map(str::parse::<ScopeName>).collect();
    Some(Policy {
        name: parse_name(form.value("name").trim()).ok()?,
        description: parse_description(form.value("description").trim()).ok()?,
        mode: parse_mode(form.value("mode")).ok()?,
        scopes: scopes.ok()?,
        rate_limits: RateLimits {
            requests_per_minute: parse_limit(form.value("per_minute")).ok()?,
            requests_per_hour: parse_limit(form.value("per_hour")).ok()?,
            requests_per_day: parse_limit(form.value("per_day")).ok()?,
            algorithm: parse_algorithm(form.value("algorithm")).ok()?,
        },
        ip_restrictions: IpRestrictions {
            whitelist: parse_networks_line(form.value("whitelist")).ok()?,
            blacklist: parse_networks_line(form.value("blacklist")).ok()?,
        },
        time_restrictions: TimeRestrictions {
            allowed_hours: form.field("hours")?.hours_allowed().into_iter().collect(),
            timezone: parse_timezone(form.value("timezone").trim()).ok()?,
        },
        endpoint_restrictions: EndpointRestrictions {
            allowed_endpoints: parse_endpoints_line(form.value("allowed")).ok()?,
            blocked_endpoints: parse_endpoints_line(form.value("blocked")).ok()?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::new(Catalogue::built_in()).unwrap()
    }

    #[test]
    fn what_a_form_shows_is_what_it_reads_back() {
        let policy = Policy::from_json(
            r#"{"name":"readers","description":"reads","mode":"shadow","scopes":["mcp:*"],
            "rate_limits":{"requests_per_minute":0,"requests_per_hour":null,"requests_per_day":9,"algorithm":"fixed"},
            "ip_restrictions":{"whitelist":["10.0.0.0/8"],"blacklist":["10.1.2.3"]},
            "time_restrictions":{"allowed_hours":[8,9,23],"timezone":"Europe/Berlin"},
            "endpoint_restrictions":{"allowed_endpoints":["tools/**"],"blocked_endpoints":["/x"]}}"#,
        )
        .unwrap();
        assert_eq!(read(&form(&policy, &catalogue(), true)), Some(policy));
    }

    #[test]
    fn a_wrong_field_is_named_and_nothing_is_read() {
        let policy = Policy::new("p".parse().unwrap());
        for (name, wrong) in [
            ("per_minute", "many"),
            ("whitelist", "10.0.0.0/33"),
            ("timezone", "Mars/Olympus"),
            ("name", "a b"),
        ] {
            let mut form = form(&policy, &catalogue(), false);
            form.field_mut(name).unwrap().kind = Field::text("", "", "", wrong).kind;
            check(&mut form);
            assert!(form.field(name).unwrap().error.is_some(), "{name}");
            assert_eq!(read(&form), None, "{name}");
            assert_eq!(form.value(name), wrong);
        }
    }
}
