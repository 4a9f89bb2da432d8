//! The busiest credentials and endpoints, by what people call them.

use crate::domain::{
    text::excerpt,
    usage::{self, Dimension, NOBODY, NOT_KEPT, Totals},
};
use crate::ops::{self, Ctx, OpsError, credential::Credential};
use crate::store::usage::Query;

/// One busy credential or endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Busy {
    /// A credential's id or an endpoint.
    pub object: String,
    /// What people call it.
    pub label: String,
    pub totals: Totals,
}

/// The busiest first, `limit` at most.
pub fn busiest(ctx: &Ctx, query: &Query, by: Dimension, limit: u32) -> Result<Vec<Busy>, OpsError> {
    let top = ops::usage::top(ctx, query.clone(), by, limit)?;
    top.into_iter().map(|busy| named(ctx, by, busy)).collect()
}

/// A credential by its label and subject, one that this home does not remember by whom it spoke for; all else by itself.
fn named(ctx: &Ctx, by: Dimension, busy: usage::Busy) -> Result<Busy, OpsError> {
    let id = busy.key.as_str();
    let label = match by {
        Dimension::Credential if id == NOBODY => "(no credential)".to_owned(),
        Dimension::Credential => match (ops::credential::show(ctx, id)?, busy.who()) {
            (Some(Credential::Token(token)), _) => format!("{} token {id:.8}", token.subject),
            (Some(Credential::ApiKey(key)), _) if key.name.is_empty() => format!("{} {id:.8}", key.subject),
            (Some(Credential::ApiKey(key)), _) => format!("{} · {}", key.subject, key.name),
            // Of other issuers there are tokens and nothing else; what they call their subjects is theirs to choose.
            (None, Some(who)) if busy.issuer.as_ref().is_some_and(|issuer| !issuer.is_empty()) => {
                format!("{} token {id:.8}", excerpt(&who))
            }
            (None, Some(who)) => format!("{} {id:.8}", excerpt(&who)),
            (None, None) => format!("{id} {NOT_KEPT}"),
        },
        _ => id.to_owned(),
    };
    Ok(Busy { label, totals: busy.totals, object: busy.key })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::clock::{Clock, ManualClock, Timestamp};
    use crate::domain::usage::{Count, Outcome};
    use crate::store::{self, Mode, home::Home};

    #[test]
    fn who_is_not_remembered_goes_by_what_the_counters_keep() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new("2026-07-28T09:30:00Z".parse().unwrap()));
        let now = clock.now();
        let home = Home::at(folder.path().join("home"));
        let ctx = Ctx::open(&home, Mode::ReadWrite, "console", clock).unwrap();
        let long = "d".repeat(320);
        let counted = [
            ("foreign-foreign-foreig", "corp", "dora", 5),
            ("foreign-foreign-second", "corp", long.as_str(), 4),
            ("purged-purged-purged-p", "", "alice", 3),
            ("named-named-named-name", "", NOBODY, 2),
            (NOBODY, "", NOBODY, 1),
        ];
        let counts = counted.map(|(credential, issuer, subject, calls)| Count {
            minute: Timestamp::from_millis(now.millis().div_euclid(60_000) * 60_000),
            credential: credential.into(),
            issuer: issuer.into(),
            subject: subject.into(),
            endpoint: "ping".into(),
            outcome: Outcome::Allowed,
            calls,
        });
        ctx.store.write_usage(move |c| store::usage::add(c, &counts)).unwrap();
        let query = super::super::since(now, std::time::Duration::from_secs(3_600));
        let busy = busiest(&ctx, &query, Dimension::Credential, 9).unwrap();
        let labels: Vec<_> = busy.iter().map(|busy| busy.label.as_str()).collect();
        let cut = format!("corp: {}… token foreign-", "d".repeat(74));
        let expected = [
            "corp: dora token foreign-",
            cut.as_str(),
            "alice purged-p",
            "named-named-named-name (subject not kept)",
            "(no credential)",
        ];
        assert_eq!(labels, expected);
        assert_eq!(busy[0].object, counted[0].0, "what is copied and looked into is the id");
    }
}
