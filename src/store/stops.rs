//! Whether the tables bear out what the audit chain says of those who were stopped.

use std::str::FromStr;

use serde_json::Value;

use super::{Rows, StoreError, api_key, issuer, issuer_source, policy, scope, signing_key};
use crate::domain::{
    act::Act,
    audit::Record,
    clock::Timestamp,
    issuer::IssuerKeys,
    revocation::Target,
    scope::Scope,
    stop::{Reach, Revoked, Stops},
};

/// How much newer than the newest record a row may be: the clock may have been set between the two.
const SLACK: std::time::Duration = std::time::Duration::from_secs(60);

/// Calls `each` with the records of `acts` after `after`, oldest first.
pub fn each(
    c: &Rows<'_>,
    after: i64,
    acts: impl IntoIterator<Item = Act>,
    mut each: impl FnMut(Record),
) -> Result<(), StoreError> {
    // Names of ours: nothing in them could end the quotation.
    let acts = acts.into_iter().map(|act| format!("'{act}'")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT seq, at, actor, act, object, detail FROM audit WHERE seq > ?1 AND act IN ({acts}) ORDER BY seq"
    );
    c.each(&sql, [after], |row| {
        each(Record {
            seq: row.get(0)?,
            at: Timestamp::from_millis(row.get(1)?),
            actor: row.get(2)?,
            act: row.get(3)?,
            object: row.get(4)?,
            // Judging the chain itself is another's part.
            detail: serde_json::from_str(&row.get::<String>(5)?).unwrap_or(Value::Null),
        });
        Ok(())
    })
}

/// What the whole chain says.
pub fn of_chain(c: &Rows<'_>) -> Result<Stops, StoreError> {
    let mut stops = Stops::default();
    each(c, 0, Stops::acts(), |record| stops.add(&record))?;
    Ok(stops)
}

/// What the chain says and the tables do not, and rows that are newer than the chain: each a sentence. What is damaged or
/// missing and therefore denied anyway is no fault here. Needs no vault; takes a second for a million records.
pub fn contradictions(c: &Rows<'_>, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let stops = of_chain(c)?;
    let mut told = Vec::new();
    for (id, wanted) in &stops.keys {
        let Some(key) = sound(id, |id| api_key::find(c, *id))? else {
            continue;
        };
        if wanted.purged {
            told.push(format!("key {id} was purged; remove it again: portcullis key purge, or revoke it: portcullis key revoke {id}"));
        } else if wanted.revoked && key.revoked_at.is_none() {
            told.push(format!("key {id} was revoked; revoke it again: portcullis key revoke {id}"));
        } else if key.revoked_at.is_none() && wanted.disabled && !key.disabled {
            told.push(format!("key {id} was disabled; disable it again: portcullis key disable {id}"));
        } else if key.revoked_at.is_none() && key.rotated_at < wanted.rotated_at {
            told.push(format!(
                "key {id} has another secret since it was rotated; revoke it: portcullis key revoke {id}"
            ));
        } else if key.revoked_at.is_none() && wanted.terms.as_ref().is_some_and(|terms| *terms != key.terms())
        {
            told.push(format!(
                "key {id} is not as it was last set; set it right again: portcullis key set {id}, or revoke it: \
                 portcullis key revoke {id}"
            ));
        }
    }
    for (wanted, reach) in &stops.revoked {
        if !reach.is_over(wanted, now) && !is_borne_out(c, wanted, reach)? {
            let Revoked { kind, object, .. } = wanted;
            told.push(format!(
                "what {kind} `{object}` stands for was revoked; revoke it again: portcullis token revoke"
            ));
        }
    }
    for kid in &stops.retired {
        let key = sound(kid, |kid| signing_key::find(c, kid))?;
        if key.is_some_and(|key| key.retired_at.is_none()) {
            told.push(format!(
                "signing key {kid} was retired; retire it again: portcullis signing-key retire {kid}"
            ));
        }
    }
    for name in &stops.removed {
        let found = sound(name, |name| issuer::find(c, name))?;
        if found.is_some() {
            told.push(format!("issuer {name} was removed; remove it again: portcullis issuer remove {name}"));
        }
    }
    for (name, newest) in &stops.policies {
        let found = sound(name, |name| policy::find(c, name))?;
        if let Some(found) = found.filter(|found| u64::from(found.revision) < *newest) {
            told.push(format!(
                "policy {name} is at revision {newest}, and revision {} is in force; apply the right one again: \
                 portcullis policy apply",
                found.revision
            ));
        }
    }
    wider_than_recorded(c, &stops, &mut told)?;
    told.extend(newer(c)?);
    Ok(told)
}

/// Scopes that cover, and issuers that are believed by, what their newest record does not name; issuers that are not as
/// they were last set.
fn wider_than_recorded(c: &Rows<'_>, stops: &Stops, told: &mut Vec<String>) -> Result<(), StoreError> {
    for (name, recorded) in &stops.scopes {
        let found = sound(name, |name| scope::find(c, name))?;
        let is_wider =
            |found: &Scope| found.endpoints.iter().any(|pattern| !recorded.contains(&pattern.to_string()));
        if found.is_some_and(|found| is_wider(&found)) {
            let was = if recorded.is_empty() { "was removed" } else { "covered less when it was last set" };
            told.push(format!(
                "scope {name} {was}; set it right again: portcullis scope set {name}, or scope remove {name}"
            ));
        }
    }
    for (name, recorded) in &stops.issuer_keys {
        let found = sound(name, |name| issuer::find(c, name))?;
        let keys = found
            .and_then(|found| IssuerKeys::read(&found.keys.to_string(), &found.algorithms).ok())
            .map_or_else(Vec::new, |keys| keys.thumbprints());
        if keys.iter().any(|key| !recorded.contains(key)) {
            told.push(format!(
                "issuer {name} has a key that it had no longer; have its keys anew: portcullis issuer refresh {name}, or \
                 issuer remove {name}"
            ));
        }
    }
    for (name, recorded) in &stops.issuer_terms {
        let Some(found) = sound(name, |name| issuer::find(c, name))? else { continue };
        let source = match issuer_source::find(c, &found.name) {
            Err(error) if error.is_of_one_row() => continue,
            source => source?,
        };
        if found.terms(source.as_ref()) != *recorded {
            told.push(format!(
                "issuer {name} is not as it was last set; set it right again: portcullis issuer set {name}, or issuer \
                 remove {name}"
            ));
        }
    }
    Ok(())
}

/// The row of this name, where there is one that can be believed.
fn sound<N: FromStr, T>(
    name: &str,
    find: impl FnOnce(&N) -> Result<Option<T>, StoreError>,
) -> Result<Option<T>, StoreError> {
    name.parse().map_or(Ok(None), |name| StoreError::none_where_damaged(find(&name)))
}

fn is_borne_out(c: &Rows<'_>, wanted: &Revoked, reach: &Reach) -> Result<bool, StoreError> {
    let key = (&wanted.kind, wanted.issuer.as_deref().unwrap_or_default(), &wanted.object);
    let sql = "SELECT cut FROM revocation WHERE kind = ?1 AND issuer = ?2 AND object = ?3";
    let cut = c.one(sql, key, |row| Ok(row.get::<Option<i64>>(0)?.map(Timestamp::from_millis)))?;
    Ok(cut.is_some_and(|cut| cut >= reach.cut))
}

/// Whether a row was written after the newest record: then the chain is not the one that belongs to it.
fn newer(c: &Rows<'_>) -> Result<Option<String>, StoreError> {
    let max = |sql: &str| Ok::<_, StoreError>(c.get::<Option<_>>(sql, ())?.map(Timestamp::from_millis));
    let Some(chain) = max("SELECT max(at) FROM audit")? else { return Ok(None) };
    for (what, sql) in [
        ("an API key", "SELECT max(created_at) FROM api_key"),
        ("the revocation of an API key", "SELECT max(revoked_at) FROM api_key"),
        ("the rotation of an API key", "SELECT max(rotated_at) FROM api_key"),
        ("a policy", "SELECT max(saved_at) FROM policy_revision"),
        ("a signing key", "SELECT max(created_at) FROM signing_key"),
        ("a revocation of tokens", "SELECT max(revoked_at) FROM revocation"),
        ("an issuer", "SELECT max(created_at) FROM issuer"),
    ] {
        if let Some(at) = max(sql)?.filter(|at| at.minus(SLACK) > chain) {
            return Ok(Some(format!(
                "nothing after {chain}, and {what} is of {at}: the tables are newer than the chain; put back a copy of \
                 the home"
            )));
        }
    }
    Ok(None)
}

/// The target of a revocation that the chain tells of; `None` where this portcullis does not know its kind.
pub fn target(revoked: &Revoked, reach: &Reach) -> Option<Target> {
    let issuer = || revoked.issuer.as_deref().map(str::parse).transpose().ok();
    Some(match revoked.kind.as_str() {
        "token" => Target::Token { id: revoked.object.parse().ok()? },
        "subject" => Target::Subject { subject: revoked.object.parse().ok()?, cut: reach.cut? },
        "key" => Target::Key { issuer: issuer()?, kid: revoked.object.parse().ok()? },
        "issued_before" => Target::IssuedBefore { issuer: issuer()?, moment: reach.cut? },
        _ => return None,
    })
}
