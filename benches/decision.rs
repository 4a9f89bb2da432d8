//! What a decision costs against its one HMAC-SHA256, with 1 000 and with 1 000 000 keys (design, §8).
//!
//! A plain program and not a table of independent benches: only ratios of what was measured interleaved, in one run, mean
//! anything on a shared machine. Prints `PASS` or `FAIL` for each promise.
//! The calls come from a thousand clients that are active, in turn, at either size. A second figure has every key called once in
//! turn: each call then waits for memory that no cache holds, which is the machine's price and not the algorithm's.
//! `PORTCULLIS_BENCH_KEYS` replaces the million.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to say")]

mod support;

use futures_util::FutureExt;
use portcullis::{
    domain::{
        api_key::PresentedKey,
        clock::{Clock, SystemClock},
        credential::CredentialId,
        decision::Request,
        usage::Outcome,
    },
    engine::{Engine, Presented, Seen},
    ops::Ctx,
};
use std::{hint::black_box, sync::Arc, time::Instant};
use support::{add_keys, median, open, promise, resident, save_open_policy};

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
        let started = Instant::now();
        ctx.store.check_pages(|| false).expect("a store that is whole");
        println!(
            "{count:>9} keys: checked from end to end in {:.0} ms",
            started.elapsed().as_secs_f64() * 1e3
        );
        let presented = keys.into_iter().map(Presented::ApiKey).collect();
        Self { ctx, engine, presented, next: 0, _folder: folder }
    }

    /// Nanoseconds a call of `work`, made by `clients` in turn.
    fn time(&mut self, clients: usize, work: impl Fn(&Self, &Presented)) -> f64 {
        let started = Instant::now();
        for _ in 0..CALLS {
            work(self, &self.presented[self.next]);
            self.next = (self.next + 1) % clients.min(self.presented.len());
        }
        started.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    }
}

fn hmac(subject: &Subject, presented: &Presented) {
    let Presented::ApiKey(key) = presented else { return };
    black_box(subject.ctx.vault.as_ref().expect("the vault").pepper().digest(&key.secret));
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
        issuer: None,
        subject: Some("user"),
        endpoint,
        address: request.address,
        outcome: Outcome::Allowed,
        request_id: "r",
        judged: None,
        why: None,
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
    };
    let mut measured: [Vec<f64>; 7] = Default::default();
    for _ in 0..ROUNDS {
        let hmac = few.time(FEW, hmac);
        let few_all = few.time(FEW, |subject, key| decide(subject, key, &request));
        let many_all = many.time(FEW, |subject, key| decide(subject, key, &request));
        let cold_all = many.time(usize::MAX, |subject, key| decide(subject, key, &request));
        let metered = few.time(FEW, |subject, key| meter(subject, key, &request));
        // Ratios within a round: what disturbs the machine disturbs both.
        let round = [hmac, few_all / hmac, many_all / hmac, many_all / few_all, cold_all, metered, few_all];
        for (all, one) in measured.iter_mut().zip(round) {
            all.push(one);
        }
    }
    let [hmac, few_ratio, many_ratio, flatness, cold, metered, few_all] = measured.map(median);
    println!("one HMAC-SHA256                                    {hmac:6.0} ns");
    println!("authenticate and decide                            {few_all:6.0} ns");
    println!(
        "the same, each call by another of the many keys    {cold:6.0} ns (the memory's price; no promise)"
    );
    println!("record                                             {metered:6.0} ns");
    promise("a decision costs at most 3 x its HMAC, few keys", few_ratio, 3.0);
    promise("a decision costs at most 3 x its HMAC, many keys", many_ratio, 3.0);
    promise("flat: among many keys a client costs at most 1.3 x what it costs among few", flatness, 1.3);
}
