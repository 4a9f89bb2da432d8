//! What a decision costs against its one HMAC-SHA256, with 1 000 and with 1 000 000 keys (design, §8).
//!
//! A plain program and not a table of independent benches: only ratios of what was measured interleaved, in one run, mean
//! anything on a shared machine. Prints `PASS` or `FAIL` for each promise.
//! `PORTCULLIS_BENCH_KEYS` replaces the million.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to say")]

mod support;

use futures_util::FutureExt;
use portcullis::{
    domain::{
        api_key::PresentedKey,
        clock::{Clock, SystemClock},
        decision::{CredentialId, Request},
        usage::Outcome,
    },
    engine::{Engine, Presented, Seen},
    ops::Ctx,
};
use std::{hint::black_box, sync::Arc, time::Instant};
use support::{add_keys, median, open, save_open_policy};

const FEW: usize = 1_000;
const MANY: usize = 1_000_000;
const ROUNDS: usize = 41;
const CALLS: usize = 20_000;

/// One home, its engine, and what its clients present, in an order unlike that of the snapshot's memory.
struct Subject {
    ctx: Ctx,
    engine: Arc<Engine>,
    presented: Vec<Presented>,
    next: usize,
    _folder: tempfile::TempDir,
}

impl Subject {
    fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ctx = open(&folder.path().join("home"));
        save_open_policy(&ctx);
        let mut keys = add_keys(&ctx, count);
        // By id: random against the order in which the snapshot was filled.
        keys.sort_unstable_by_key(|key: &PresentedKey| key.id);
        let before = resident();
        let started = Instant::now();
        let vault = ctx.vault.as_ref().expect("the vault");
        let engine =
            Engine::start(ctx.store.clone(), vault, Arc::new(SystemClock)).expect("the engine starts");
        println!(
            "{count:>9} keys: loaded in {:.0} ms, {:.0} MiB, {:.0} bytes a key",
            started.elapsed().as_secs_f64() * 1e3,
            (resident() - before) / 1048576.0,
            (resident() - before) / count as f64,
        );
        let presented = keys.into_iter().map(Presented::ApiKey).collect();
        Self { ctx, engine, presented, next: 0, _folder: folder }
    }

    /// Nanoseconds a call of `work`, over the next presented keys.
    fn time(&mut self, work: impl Fn(&Self, &Presented)) -> f64 {
        let started = Instant::now();
        for _ in 0..CALLS {
            work(self, &self.presented[self.next]);
            self.next = (self.next + 1) % self.presented.len();
        }
        started.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    }
}

fn hmac(subject: &Subject, presented: &Presented) {
    let Presented::ApiKey(key) = presented else { return };
    black_box(subject.ctx.vault.as_ref().expect("the vault").pepper().digest(&key.secret));
}

fn authenticate(subject: &Subject, presented: &Presented, request: &Request) {
    black_box(subject.engine.authenticate(presented, request.address, request.at)).expect("a good key");
}

fn decide(subject: &Subject, presented: &Presented, request: &Request) {
    let principal = subject.engine.authenticate(presented, request.address, request.at).expect("a good key");
    let decided = subject.engine.decide(&principal, request).now_or_never().expect("no lease to wait for");
    assert!(decided.decision.is_allowed());
}

fn meter(subject: &Subject, presented: &Presented, request: &Request) {
    let Presented::ApiKey(key) = presented else { return };
    let credential = Some(CredentialId::ApiKey(key.id));
    let endpoint = request.endpoint.as_str();
    let seen = Seen {
        credential,
        subject: Some("user"),
        endpoint,
        address: request.address,
        outcome: Outcome::Allowed,
        request_id: "r",
        at: request.at,
    };
    subject.engine.record(&seen);
}

fn main() {
    let count = std::env::var("PORTCULLIS_BENCH_KEYS").ok().and_then(|text| text.parse().ok());
    let (mut few, mut many) = (Subject::new(FEW), Subject::new(count.unwrap_or(MANY)));
    let request = Request {
        endpoint: "tools/call/search_docs".parse().expect("an endpoint"),
        address: Some("192.0.2.1".parse().expect("an address")),
        at: SystemClock.now(),
        cost: 1,
    };
    let mut measured: [Vec<f64>; 6] = Default::default();
    for _ in 0..ROUNDS {
        let round = [
            few.time(hmac),
            few.time(|subject, key| authenticate(subject, key, &request)),
            few.time(|subject, key| decide(subject, key, &request)),
            many.time(|subject, key| authenticate(subject, key, &request)),
            many.time(|subject, key| decide(subject, key, &request)),
            few.time(|subject, key| meter(subject, key, &request)),
        ];
        for (all, one) in measured.iter_mut().zip(round) {
            all.push(one);
        }
    }
    let [hmac, few_auth, few_all, many_auth, many_all, metered] = measured.map(median);
    println!("one HMAC-SHA256                       {hmac:6.0} ns");
    println!("authenticate,              few keys   {few_auth:6.0} ns");
    println!("authenticate and decide,   few keys   {few_all:6.0} ns  {:.2} x HMAC", few_all / hmac);
    println!("authenticate,              many keys  {many_auth:6.0} ns");
    println!("authenticate and decide,   many keys  {many_all:6.0} ns  {:.2} x HMAC", many_all / hmac);
    println!("record                                {metered:6.0} ns");
    promise("a decision costs at most 3 x its HMAC, few keys", few_all / hmac, 3.0);
    promise("a decision costs at most 3 x its HMAC, many keys", many_all / hmac, 3.0);
    promise("flat: many keys cost at most 1.3 x few", many_all / few_all, 1.3);
}

fn promise(what: &str, found: f64, most: f64) {
    let verdict = if found <= most { "PASS" } else { "FAIL" };
    println!("{verdict}  {what}: {found:.2} (at most {most})");
}

/// Bytes of this process in memory; 0 where the system does not tell.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) * 1024.0
}
