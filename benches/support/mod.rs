//! Homes of many keys, made fast: straight into the store, without the audit record that each would have.

#![allow(dead_code, reason = "each bench needs a part of it")]

use portcullis::{
    domain::{
        api_key::{ApiKey, KeyId, KeySecret, PresentedKey},
        clock::{Clock, SystemClock, Timestamp},
        policy::Policy,
    },
    ops::{self, Ctx},
    store::{Mode, Rows, StoreError, api_key, home::Home},
};
use std::{path::Path, sync::Arc, time::Duration};

const CHUNK: usize = 50_000;

/// Opens the home in `folder` as an operator.
pub fn open(folder: &Path) -> Ctx {
    let home = Home::locate(Some(folder.to_owned())).expect("a home");
    Ctx::open(&home, Mode::ReadWrite, "bench", Arc::new(SystemClock)).expect("the store opens")
}

/// Saves the policy `open`: the document's defaults without limits.
pub fn save_open_policy(ctx: &Ctx) {
    let limits = r#"{"requests_per_minute": null, "requests_per_hour": null, "requests_per_day": null}"#;
    let policy =
        Policy::from_json(&format!(r#"{{"name": "open", "rate_limits": {limits}}}"#)).expect("a policy");
    ops::policy::apply(ctx, policy, "bench").expect("the policy is saved");
}

/// Adds `count` keys under the policy `open`, each with a subject and a secret of its own; what their owners present.
pub fn add_keys(ctx: &Ctx, count: usize) -> Vec<PresentedKey> {
    add_keys_with(ctx, count, |_, _| ())
}

/// The same, each with what `change` makes of it by its number.
pub fn add_keys_with(ctx: &Ctx, count: usize, change: impl Fn(usize, &mut ApiKey)) -> Vec<PresentedKey> {
    let now = SystemClock.now();
    let mut presented = Vec::with_capacity(count);
    while presented.len() < count {
        let chunk: Vec<_> = (presented.len()..count.min(presented.len() + CHUNK))
            .map(|number| {
                let (mut key, presented) = key(ctx, number, now);
                change(number, &mut key);
                (key, presented)
            })
            .collect();
        let (keys, texts): (Vec<_>, Vec<_>) = chunk.into_iter().unzip();
        let insert = move |c: &Rows<'_>| keys.iter().try_for_each(|key| api_key::insert(c, key));
        ctx.store.write::<_, StoreError>(insert).expect("the keys are saved");
        presented.extend(texts);
    }
    presented
}

fn key(ctx: &Ctx, number: usize, now: Timestamp) -> (ApiKey, PresentedKey) {
    let vault = ctx.vault.as_ref().expect("an operator has the vault");
    let id = KeyId::generate().expect("randomness");
    let secret = KeySecret::generate().expect("randomness");
    let key = ApiKey {
        id,
        environment: Default::default(),
        name: format!("bench {number}"),
        subject: format!("user-{number}").parse().expect("a subject"),
        scopes: vec!["tools:call".parse().expect("a scope"), "tools:list".parse().expect("a scope")],
        policy: "open".parse().expect("a policy name"),
        created_at: now,
        expires_at: Some(now.plus(Duration::from_secs(86_400))),
        disabled: false,
        revoked_at: None,
        revoked_reason: String::new(),
        rotated_at: None,
        previous_until: None,
        digest: vault.pepper().digest(&secret),
        previous_digest: None,
    };
    (key, PresentedKey { environment: Some(Default::default()), id, secret })
}

/// The middle of what was measured.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Bytes of this process in memory; 0 where the system does not tell.
pub fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) * 1024.0
}

/// Says whether `found` keeps to `most`.
pub fn promise(what: &str, found: f64, most: f64) {
    let verdict = if found <= most { "PASS" } else { "FAIL" };
    println!("{verdict}  {what}: {found:.2} (at most {most})");
}
