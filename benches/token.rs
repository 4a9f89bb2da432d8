//! What verifying a token costs against the bare signature, with none and with 1 000 000 tokens revoked, and what issuing
//! one costs against making an API key.
//!
//! As in `decision.rs`, only ratios of what was measured interleaved, in one run, mean anything on a shared machine. Prints
//! `PASS` or `FAIL` for each promise. `PORTCULLIS_BENCH_REVOKED` replaces the million.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to say")]

mod support;

use aws_lc_rs::{
    hmac,
    signature::{self, ParsedPublicKey},
};
use portcullis::{
    domain::{
        clock::{Clock, SystemClock, Timestamp},
        decision::Reason,
        jose::{Algorithm, Compact, VerifyingKey, base64},
        revocation::{Revocation, Target},
        token::TokenId,
    },
    engine::{Engine, Presented, PresentedToken},
    ops::{Ctx, api_key, signing_key, token},
    store::{Rows, StoreError, revocation},
    vault::RsaBits,
};
use std::{hint::black_box, sync::Arc, time::Duration, time::Instant};
use support::{median, open, promise, resident, save_open_policy};

const REVOKED: usize = 1_000_000;
const CHUNK: usize = 50_000;
const ROUNDS: usize = 15;
/// Tokens of each round, of which each is new to the engine.
const CALLS: usize = 60;
/// How often each of them is judged again.
const AGAIN: usize = 20;
const SECRET: &str = "the secret of HS256, known to both";

/// One home and its engine.
struct Subject {
    ctx: Ctx,
    engine: Arc<Engine>,
    _folder: tempfile::TempDir,
}

impl Subject {
    /// With so many tokens of others revoked.
    fn new(revoked: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ctx = open(&folder.path().join("home"));
        save_open_policy(&ctx);
        for algorithm in Algorithm::ISSUED {
            let new = signing_key::NewSigningKey {
                algorithm,
                name: String::new(),
                bits: RsaBits::default(),
                kid: Some(algorithm.as_str().parse().expect("a kid")),
            };
            match algorithm.is_symmetric() {
                true => signing_key::import(&ctx, new, SECRET),
                false => signing_key::create(&ctx, new),
            }
            .expect("a signing key");
        }
        revoke(&ctx, revoked);
        let before = resident();
        let started = Instant::now();
        let vault = ctx.vault.as_ref().expect("the vault");
        let engine =
            Engine::start(ctx.store.clone(), vault, Arc::new(SystemClock)).expect("the engine starts");
        println!(
            "{revoked:>9} tokens revoked: loaded in {:.0} ms, {:.1} MiB",
            started.elapsed().as_secs_f64() * 1e3,
            (resident() - before) / 1_048_576.0
        );
        Self { ctx, engine, _folder: folder }
    }

    fn issue(&self, algorithm: Algorithm) -> Presented {
        let new = token::NewToken {
            subject: "bench".parse().expect("a subject"),
            client: None,
            scopes: vec!["tools:call".parse().expect("a scope")],
            audience: Vec::new(),
            policy: "open".parse().expect("a policy name"),
            bind_policy: false,
            life: token::LONGEST_LIFE,
            algorithm: Some(algorithm),
            kid: None,
            once: false,
            rests_on: Default::default(),
        };
        let text = token::issue(&self.ctx, new).expect("a token").text;
        Presented::Token(PresentedToken { text, possession: None })
    }

    fn issue_all(&self, algorithm: Algorithm) -> Vec<Presented> {
        (0..CALLS).map(|_| self.issue(algorithm)).collect()
    }

    fn make_key(&self) {
        let new = api_key::NewKey {
            subject: "bench".parse().expect("a subject"),
            scopes: vec!["tools:call".parse().expect("a scope")],
            policy: "open".parse().expect("a policy name"),
            name: String::new(),
            environment: Default::default(),
            life: Some(api_key::DEFAULT_LIFE),
        };
        black_box(api_key::create(&self.ctx, new).expect("a key"));
    }

    fn authenticate(&self, presented: &Presented, now: Timestamp) {
        black_box(self.engine.authenticate(presented, None, now).expect("a good token"));
    }
}

/// Revokes so many tokens that nobody has, straight in the store.
fn revoke(ctx: &Ctx, count: usize) {
    let now = SystemClock.now();
    let ends_at = Some(now.plus(Duration::from_secs(86_400)));
    let mut left = count;
    while left > 0 {
        let chunk = left.min(CHUNK);
        let insert = move |c: &Rows<'_>| {
            (0..chunk).try_for_each(|_| {
                let id = TokenId::generate().expect("randomness");
                let (target, reason) = (Target::Token { id }, String::new());
                revocation::upsert(c, &Revocation { target, revoked_at: now, reason, ends_at })
            })
        };
        ctx.store.write::<_, StoreError>(insert).expect("the revocations are saved");
        left -= chunk;
    }
}

/// The signature alone: its key parsed long before, and no reading of the token.
enum Bare {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

impl Bare {
    fn new(ctx: &Ctx, algorithm: Algorithm) -> Self {
        let kind: &'static dyn signature::VerificationAlgorithm = match algorithm {
            Algorithm::EdDsa => &signature::ED25519,
            Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            _ => return Self::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()))),
        };
        let kid = algorithm.as_str().parse().expect("a kid");
        let public = signing_key::show(ctx, &kid).expect("the key").public.expect("a public part");
        let key = VerifyingKey::from_jwk(&public.to_string(), Some(algorithm)).expect("a sound key");
        let der = pem::parse(key.to_pem().expect("a PEM")).expect("a PEM").into_contents();
        Self::Public(ParsedPublicKey::new(kind, der).expect("a key"))
    }

    fn verify(&self, input: &[u8], signature: &[u8]) {
        match self {
            Self::Public(key) => key.verify_sig(input, signature).expect("it fits"),
            Self::Secret(key) => hmac::verify(key, input, signature).expect("it fits"),
        }
    }
}

/// What is signed, and the signature.
fn parts(presented: &Presented) -> (Vec<u8>, Vec<u8>) {
    let Presented::Token(token) = presented else { return Default::default() };
    let text = token.text.expose();
    Compact::parse(text).expect("a token");
    let (input, signature) = text.rsplit_once('.').expect("a token");
    (input.as_bytes().to_vec(), base64::decode(signature).expect("base64"))
}

/// Microseconds a call of `work`.
fn time<T>(all: &[T], times: usize, mut work: impl FnMut(&T)) -> f64 {
    let started = Instant::now();
    for _ in 0..times {
        all.iter().for_each(&mut work);
    }
    started.elapsed().as_secs_f64() * 1e6 / (all.len() * times) as f64
}

/// Bare, new to the engine, known to it; issuing, in calls and in keys made.
#[derive(Default)]
struct Measured {
    bare: Vec<f64>,
    cold: Vec<f64>,
    cached: Vec<f64>,
    cold_ratio: Vec<f64>,
    cached_ratio: Vec<f64>,
    issue: Vec<f64>,
    issue_ratio: Vec<f64>,
}

fn by_algorithm(subject: &Subject) {
    let bare = Algorithm::ISSUED.map(|algorithm| Bare::new(&subject.ctx, algorithm));
    let mut measured: [Measured; 5] = Default::default();
    for _ in 0..ROUNDS {
        for ((algorithm, bare), found) in Algorithm::ISSUED.into_iter().zip(&bare).zip(&mut measured) {
            let key = time(&[(); CALLS / 4], 1, |()| subject.make_key());
            let started = Instant::now();
            let tokens = subject.issue_all(algorithm);
            let issue = started.elapsed().as_secs_f64() * 1e6 / CALLS as f64;
            let parts: Vec<_> = tokens.iter().map(parts).collect();
            let now = SystemClock.now();
            let bare = time(&parts, 1, |(input, signature)| bare.verify(input, signature));
            let cold = time(&tokens, 1, |token| subject.authenticate(token, now));
            let cached = time(&tokens, AGAIN, |token| subject.authenticate(token, now));
            found.bare.push(bare);
            found.cold.push(cold);
            found.cached.push(cached);
            // Ratios within a round: what disturbs the machine disturbs both.
            found.cold_ratio.push(cold / bare);
            found.cached_ratio.push(cached / bare);
            found.issue.push(issue);
            found.issue_ratio.push(issue / key);
        }
    }
    println!("         bare µs  cold µs (x bare)  cached µs (x bare)  issued a second (x making a key)");
    for (algorithm, found) in Algorithm::ISSUED.into_iter().zip(measured) {
        println!(
            "{algorithm:<7} {:8.1} {:8.1} {:8.2} {:10.2} {:8.2} {:12.0} {:12.2}",
            median(found.bare),
            median(found.cold),
            median(found.cold_ratio),
            median(found.cached),
            median(found.cached_ratio),
            1e6 / median(found.issue),
            median(found.issue_ratio),
        );
    }
}

/// Ratios of many to few, for new tokens and for known ones.
fn by_revoked(few: &Subject, many: &Subject) -> [f64; 2] {
    let (mut cold, mut cached) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let tokens = [few, many].map(|subject| subject.issue_all(Algorithm::EdDsa));
        let now = SystemClock.now();
        let [new_few, new_many] = [(few, 0), (many, 1)]
            .map(|(of, which)| time(&tokens[which], 1, |token| of.authenticate(token, now)));
        let [few, many] = [(few, 0), (many, 1)]
            .map(|(of, which)| time(&tokens[which], AGAIN, |token| of.authenticate(token, now)));
        cold.push(new_many / new_few);
        cached.push(many / few);
    }
    [median(cold), median(cached)]
}

/// What is measured does refuse.
fn require_refusal(subject: &Subject) {
    let presented = subject.issue(Algorithm::EdDsa);
    let Presented::Token(token) = &presented else { return };
    token::revoke_text(&subject.ctx, token.text.expose(), "bench").expect("revoked");
    let vault = subject.ctx.vault.as_ref().expect("the vault");
    let engine = Engine::start(subject.ctx.store.clone(), vault, Arc::new(SystemClock)).expect("an engine");
    let refused = engine.authenticate(&presented, None, SystemClock.now()).expect_err("it is revoked");
    assert_eq!(refused.reason, Reason::Revoked);
}

fn main() {
    let count = std::env::var("PORTCULLIS_BENCH_REVOKED").ok().and_then(|text| text.parse().ok());
    let few = Subject::new(0);
    by_algorithm(&few);
    let many = Subject::new(count.unwrap_or(REVOKED));
    let [cold, cached] = by_revoked(&few, &many);
    require_refusal(&many);
    promise(
        "with so many tokens revoked, a new token costs at most 1.3 x what it costs with none",
        cold,
        1.3,
    );
    promise("the same for a token that was verified before", cached, 1.3);
}
