//! An issuer's token claim by claim: what each that counts here says, and what comes of it.

use serde::Serialize;
use serde_json::{Map, Value};

use super::Issuer;
use crate::domain::clock::Timestamp;
use crate::domain::name::ScopeName;
use crate::domain::scope::Catalogue;
use crate::domain::text::excerpt;
use crate::domain::token::{Profile, find_claim, is_same_audience, is_scope, meant_way, names_in};

/// What is found of one claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub claim: String,
    /// As it stands in the token: foreign. `None` where it is not there.
    pub value: Option<Value>,
    pub passed: bool,
    /// What comes of it, and where nothing does, what would mend that. Safe to show.
    pub detail: String,
}

impl Issuer {
    /// What scopes of a token of its come to here: those that the catalogue has.
    pub fn known_scopes(&self, scopes: &[String], catalogue: &Catalogue) -> Vec<ScopeName> {
        let mut here = self.mapping.scopes_here(scopes, |scope| catalogue.is_reserved(scope));
        here.retain(|scope| catalogue.get(scope).is_some());
        here
    }
}

/// What the claims of `payload` say that count for `issuer`. `own`: the audiences of this home. The moments of a token, its
/// key and what was revoked are judged elsewhere.
pub fn review(
    issuer: &Issuer,
    own: &[String],
    payload: &Map<String, Value>,
    catalogue: &Catalogue,
) -> Vec<Finding> {
    let look = |claim: &str| find_claim(payload, claim).filter(|value| !value.is_null());
    let finding = |claim: &str, (passed, detail): (bool, String)| Finding {
        claim: claim.to_owned(),
        value: look(claim).cloned(),
        passed,
        detail,
    };
    let mapping = &issuer.mapping;
    let audience = mapping.audience.as_deref().unwrap_or("aud");
    let mut findings = vec![
        finding("iss", of_issuer(issuer, look("iss"))),
        finding(&mapping.subject, of_subject(issuer, look(&mapping.subject))),
        finding(audience, of_audience(issuer, own, look(audience))),
    ];
    for claim in ["exp", "iat", "nbf", "jti"].into_iter().filter(|claim| look(claim).is_some()) {
        let moment = look(claim).and_then(Value::as_f64).and_then(Timestamp::from_numeric_date);
        let detail = moment.map_or(said(claim).to_owned(), |moment| format!("{}: {moment}", said(claim)));
        findings.push(finding(claim, (true, detail)));
    }
    findings.extend(of_scopes(issuer, &look, catalogue));
    findings
}

fn said(claim: &str) -> &'static str {
    match claim {
        "exp" => "when it ends",
        "iat" => "when it was issued",
        "nbf" => "when it begins",
        _ => "its name, by which it is revoked",
    }
}

fn of_issuer(issuer: &Issuer, found: Option<&Value>) -> (bool, String) {
    let found = found.map(|value| value.as_str().unwrap_or_default());
    match (&issuer.iss, found) {
        (wanted, found) if wanted.as_deref() == found => (true, "the issuer's, letter by letter".into()),
        (Some(wanted), Some(_)) => (
            false,
            format!("the tokens of issuer {} have `{}`, letter by letter", issuer.name, excerpt(wanted)),
        ),
        (Some(wanted), None) => (false, format!("is not there; it has to be `{}`", excerpt(wanted))),
        (None, _) => (false, format!("the tokens of issuer {} have none", issuer.name)),
    }
}

fn of_subject(issuer: &Issuer, found: Option<&Value>) -> (bool, String) {
    match found.and_then(Value::as_str) {
        Some(name) => {
            (true, format!("the subject `{}`", excerpt(&format!("{}{name}", issuer.mapping.subject_prefix))))
        }
        // The source document has another name for it.
        None if issuer.profile == Profile::Legacy => (true, "is not there; `user_id` stands for it".into()),
        None => (false, "names no subject; --subject-claim says which claim does".into()),
    }
}

fn of_audience(issuer: &Issuer, own: &[String], found: Option<&Value>) -> (bool, String) {
    let wanted = if issuer.audiences.is_empty() { own } else { &issuer.audiences };
    let taken = || wanted.iter().map(|one| format!("`{}`", excerpt(one))).collect::<Vec<_>>().join(", ");
    let named: Vec<&str> = match found {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match named.iter().find(|one| wanted.iter().any(|other| is_same_audience(one, other))) {
        Some(one) => (true, format!("for `{}`, which is taken here", excerpt(one))),
        None if named.is_empty() && issuer.profile == Profile::Legacy && issuer.audiences.is_empty() => {
            (true, "for nobody in particular, as the legacy profile allows".into())
        }
        None if named.is_empty() => (
            false,
            format!(
                "names nobody; taken is {}. --audience-claim has another claim stand for it (client_id, azp)",
                taken()
            ),
        ),
        None => (false, format!("for somebody else; taken is {}: --audience, once for each", taken())),
    }
}

/// Each claim of scopes, and where none gives any, that.
fn of_scopes<'a>(
    issuer: &Issuer,
    look: &impl Fn(&str) -> Option<&'a Value>,
    catalogue: &Catalogue,
) -> Vec<Finding> {
    let mut claims: Vec<&str> = issuer.mapping.scopes.iter().map(String::as_str).collect();
    let is_missing = claims.iter().all(|claim| look(claim).is_none());
    if is_missing && issuer.profile != Profile::Oidc && look("scopes").is_some() {
        claims.push("scopes");
    }
    let mut gives_any = false;
    let mut findings = Vec::new();
    for claim in claims {
        let value = look(claim);
        let (has_some, detail) = match value {
            None => (false, absent(claim)),
            Some(value) => given(issuer, value, catalogue),
        };
        gives_any |= has_some;
        findings.push(Finding { claim: claim.to_owned(), value: value.cloned(), passed: true, detail });
    }
    if !gives_any {
        for finding in &mut findings {
            finding.passed = false;
        }
    }
    findings
}

fn absent(claim: &str) -> String {
    match meant_way(claim) {
        Some(way) => format!("is not there; a member of an object is named with slashes: {way}"),
        None => "is not there: nobody has a scope by it".into(),
    }
}

/// What the names in a claim come to.
fn given(issuer: &Issuer, value: &Value, catalogue: &Catalogue) -> (bool, String) {
    const SHOWN: usize = 5;
    let names: Vec<String> = names_in(value).into_iter().map(str::to_owned).collect();
    let (scopes, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| is_scope(name));
    let here = issuer.known_scopes(&scopes, catalogue);
    let idle = |name: &&String| issuer.known_scopes(std::slice::from_ref(*name), catalogue).is_empty();
    let unknown: Vec<_> = scopes.iter().filter(idle).map(|name| excerpt(name)).collect();
    let mut detail = match here.as_slice() {
        [] => "no scope here".to_owned(),
        here => format!("here {}", here.iter().map(ScopeName::as_str).collect::<Vec<_>>().join(" ")),
    };
    if !unknown.is_empty() {
        let more = unknown.len().saturating_sub(SHOWN);
        let shown = unknown.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(" ");
        detail += &format!("; counts for nothing: {shown}");
        if more > 0 {
            detail += &format!(" and {more} more");
        }
        if here.is_empty() {
            detail += &format!(" (--scope-map gives them a meaning: portcullis issuer set {})", issuer.name);
        }
    }
    if !others.is_empty() {
        detail += &format!("; {} that cannot be names of scopes", others.len());
    }
    (!here.is_empty(), detail)
}
