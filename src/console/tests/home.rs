//! A home in a temporary folder, with keys, tokens, policies, calls and refusals in it; and a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::domain::act::Act;
use crate::domain::api_key::{ApiKey, Environment, KeyId, SecretDigest};
use crate::domain::clock::{ManualClock, Timestamp};
use crate::domain::decision::Reason;
use crate::domain::event::Event as Recorded;
use crate::domain::jose::{Algorithm, base64};
use crate::domain::name::Kid;
use crate::domain::policy::{Policy, Revision};
use crate::domain::revocation::{Revocation, Target};
use crate::domain::signing_key::SigningKey;
use crate::domain::token::{IssuedToken, TokenId};
use crate::domain::usage::{Count, Outcome};
use crate::ops::{self, Ctx};
use crate::store::event::Whose;
use crate::store::gateway::{Held, Presence, announce};
use crate::store::home::Home;
use crate::store::{self, Mode, Rows, StoreError};
use crate::vault::SigningPair;

/// The private key of RFC 8037, appendix A: the same each time, so that its public part is.
const PRIVATE_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Those keys whose calls are counted.
const BUSY: [(usize, &[&str]); 2] = [(7, &["tools/call/search_docs", "/health"]), (10, &["tools/list"])];

/// 2026-07-28T14:02:11Z
pub fn noon() -> Timestamp {
    "2026-07-28T14:02:11Z".parse().unwrap()
}

pub fn id(number: usize) -> KeyId {
    format!("{number:022}").parse().unwrap()
}

pub fn key(number: usize) -> ApiKey {
    ApiKey {
        id: id(number),
        environment: Environment::default(),
        name: if number.is_multiple_of(3) { String::new() } else { format!("agent-{number}") },
        subject: format!("user{number}@example.com").parse().unwrap(),
        scopes: vec!["mcp:read".parse().unwrap()],
        policy: "default".parse().unwrap(),
        created_at: noon().minus(DAY * number as u32),
        expires_at: [Some(noon().plus(HOUR * 2)), None, Some(noon().minus(DAY))][number % 3],
        disabled: number % 5 == 4,
        revoked_at: (number % 7 == 6).then(|| noon().minus(DAY)),
        revoked_reason: if number % 7 == 6 { "laptop lost".into() } else { String::new() },
        rotated_at: None,
        previous_until: None,
        digest: SecretDigest::from_bytes([0; 32]),
        previous_digest: None,
    }
}

pub fn jti(number: usize) -> TokenId {
    TokenId::from_bytes(
        (number as u128 + 1).wrapping_mul(0x0517_cc1b_7272_20a9_4fe1_3abe_8fa9_a6ee).to_be_bytes(),
    )
}

pub fn kid(number: usize) -> Kid {
    ["t-next-2027", "t-active-2026", "t-verifying-2025", "t-retired-2024"][number].parse().unwrap()
}

pub fn token(number: usize) -> IssuedToken {
    let issued_at = noon().minus(MINUTE * (number as u32 + 1));
    // one in four has nearly ended, and one in four has
    let life = [HOUR * 8, MINUTE * (number as u32 + 2), HOUR, MINUTE * (number as u32)];
    // three speak for one subject
    let whose = if [5, 9].contains(&number) { 1 } else { number };
    IssuedToken {
        jti: jti(number),
        subject: format!("user{whose}@example.com").parse().unwrap(),
        client: format!("agent-{number}"),
        scopes: vec!["mcp:read".parse().unwrap(), "tools:list".parse().unwrap()],
        audience: vec!["https://mcp.example.com/mcp".into()],
        policy: "default".parse().unwrap(),
        bound: None,
        rests_on: Default::default(),
        max_uses: (number == 0).then_some(1),
        kid: kid(1),
        algorithm: Algorithm::EdDsa,
        issued_at,
        expires_at: issued_at.plus(life[number % 4]),
        issued_by: "console:ana".into(),
    }
}

pub fn revision(name: &str, number: u32) -> Revision {
    let mut policy = Policy::new(name.parse().unwrap());
    policy.rate_limits.requests_per_minute = Some(10 * number);
    policy.ip_restrictions.whitelist = vec!["10.0.0.0/8".parse().unwrap()];
    let (author, reason) = ("console:ana".to_owned(), format!("change {number}"));
    Revision { policy, revision: number, author, reason, saved_at: noon().minus(HOUR) }
}

fn signing_key(number: usize, public: &Value) -> SigningKey {
    let made = noon().minus(DAY * (number as u32 + 1));
    let mut public = public.clone();
    public["kid"] = kid(number).as_str().into();
    SigningKey {
        kid: kid(number),
        algorithm: if number == 3 { Algorithm::Hs256 } else { Algorithm::EdDsa },
        name: if number == 1 { "main".into() } else { String::new() },
        created_at: made,
        signs_from: if number == 0 { noon().plus(DAY) } else { made },
        signs_until: (number == 2).then(|| noon().minus(DAY)),
        verifies_until: (number == 2).then(|| noon().plus(DAY)),
        retired_at: None,
        public: (number != 3).then_some(public),
    }
}

fn refusals() -> Vec<Recorded> {
    let recorded = |kind: Reason, credential: String, issuer: &str, subject: &str, detail: &str| Recorded {
        seq: 0,
        at: noon().minus(Duration::from_secs(42)),
        kind: kind.as_str().into(),
        credential,
        issuer: issuer.into(),
        subject: subject.into(),
        endpoint: "tools/call/delete_file".into(),
        address: "203.0.113.7".into(),
        count: 3,
        detail: detail.into(),
    };
    let claimed = "r-3; issuer: the token claims to be of `https://evil.example`";
    // of those of one moment the last that was told stands on top
    vec![
        recorded(Reason::UnknownCredential, "-".into(), "", "-", claimed),
        recorded(Reason::Expired, "foreign-foreign-foreig".into(), "corp", "dora", ""),
        recorded(Reason::RateLimited, id(1).to_string(), "", "evil\u{1b}[2J\u{202e}name", ""),
        recorded(Reason::IpDenied, id(1).to_string(), "", "ana@example.com", ""),
    ]
}

fn calls(number: usize, minutes_ago: u32, endpoint: &str, outcome: Outcome, calls: u64) -> Count {
    let at = noon().minus(MINUTE * minutes_ago);
    Count {
        minute: Timestamp::from_millis(at.millis().div_euclid(60_000) * 60_000),
        credential: id(number).to_string(),
        issuer: String::new(),
        subject: key(number).subject.to_string(),
        endpoint: endpoint.into(),
        outcome,
        calls,
    }
}

/// An hour of calls, with none in every eighth minute.
fn traffic() -> Vec<Count> {
    let mut counts = Vec::new();
    for minutes_ago in 0..60 {
        let scale = u64::from(minutes_ago % 8);
        for (number, endpoint) in
            BUSY.iter().flat_map(|(number, endpoints)| endpoints.iter().map(|endpoint| (*number, endpoint)))
        {
            counts.extend([
                calls(number, minutes_ago, endpoint, Outcome::Allowed, 90 * scale),
                calls(number, minutes_ago, endpoint, Outcome::Denied(Reason::EndpointDenied), 7 * scale),
                calls(number, minutes_ago, endpoint, Outcome::Failed, scale),
            ]);
        }
    }
    counts.retain(|count| count.calls > 0);
    counts
}

/// A token that anybody may have written.
pub fn foreign() -> String {
    let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "k1" });
    let seconds = noon().seconds();
    let claims = json!({
        "iss": "https://idp.example.com", "sub": "ana\u{202e}evil", "aud": ["a", "b"], "iat": seconds - 60,
        "exp": seconds + 3_540, "jti": "x1", "scope": "mcp:read",
    });
    format!("{}.{}.c2ln", base64::encode(header.to_string()), base64::encode(claims.to_string()))
}

/// The home that somebody works on.
pub struct House {
    pub ctx: Ctx,
    pub clock: Arc<ManualClock>,
    pub home: Home,
    /// How many keys were made elsewhere meanwhile: they stand on top of the others.
    made: usize,
    _gateway: Held,
    folder: TempDir,
}

impl House {
    /// With so many keys and tokens, and nothing else where there are none.
    pub fn new(keys: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let clock = Arc::new(ManualClock::new(noon().minus(HOUR * 2)));
        let mut ctx = Ctx::open(&home, Mode::ReadWrite, "console", clock.clone()).unwrap();
        ctx.actor = "console:ana".into();
        ops::identity::set_resource(&ctx, &"https://mcp.example.com/mcp".parse().unwrap()).unwrap();
        clock.set(noon());
        let presence = Presence {
            listen: "http://127.0.0.1:8080".into(),
            admin_listen: "http://127.0.0.1:8081".into(),
            upstream: "http://127.0.0.1:3000/mcp".into(),
            since: noon().minus(HOUR * 2),
            version: "0".into(),
            process: 1,
        };
        let gateway = announce(home.path(), &presence).unwrap();
        let house = Self { ctx, clock, home, made: 0, _gateway: gateway, folder };
        if keys > 0 {
            house.fill(keys);
        }
        house
    }

    fn fill(&self, keys: usize) {
        let pair = Arc::new(SigningPair::import(PRIVATE_KEY, Algorithm::EdDsa).unwrap().pair);
        let public = pair.verifying_key().unwrap().to_jwk().unwrap();
        let vault = self.ctx.vault.clone().unwrap();
        self.write(move |c| {
            for revision in [revision("default", 2), revision("default", 3), revision("readers", 1)] {
                store::policy::insert(c, &revision)?;
            }
            for number in 0..4 {
                let key = signing_key(number, &public);
                let private = vault.seal_signing_key(&key.kid, &pair).unwrap();
                store::signing_key::insert(c, &key, &private, key.created_at)?;
            }
            store::signing_key::set_retired(c, &kid(3), noon().minus(DAY))?;
            for number in 0..keys {
                store::api_key::insert(c, &key(number))?;
            }
            for number in 0..keys.min(2_000) {
                store::token::insert(c, &token(number))?;
            }
            for number in (2..keys.min(2_000)).step_by(4) {
                let revocation = Revocation {
                    target: Target::Token { id: jti(number) },
                    revoked_at: noon().minus(Duration::from_secs(30)),
                    reason: "laptop lost".into(),
                    ends_at: None,
                };
                store::revocation::upsert(c, &revocation)?;
            }
            let at = noon().minus(MINUTE * 10);
            for object in [id(1).to_string(), id(7).to_string(), jti(0).to_string()] {
                store::audit::append(c, at, "console:ana", Act::KeyCreate, &object, json!({}))?;
            }
            Ok(())
        });
        let written = self.ctx.store.write_usage(|c| {
            store::usage::add(c, &traffic())?;
            store::event::append(c, Whose::Known, &refusals()).map(|_| ())
        });
        written.unwrap();
    }

    /// Changes the store as another process would.
    pub fn write(&self, job: impl FnOnce(&Rows<'_>) -> Result<(), StoreError> + Clone + Send + 'static) {
        self.ctx.store.write(job).unwrap();
    }

    /// Changes rows as nobody may, beside the store.
    pub fn tamper(&self, statement: &str) {
        let database = rusqlite::Connection::open(self.home.path().join("portcullis.db")).unwrap();
        assert_eq!(database.execute(statement, []).unwrap(), 1, "{statement}");
    }

    pub fn set(&self, now: Timestamp) {
        self.clock.set(now);
    }

    /// Where a file of this name may be written.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// So many keys are made elsewhere.
    pub fn make(&mut self, number: usize) {
        let first = self.made + 1;
        self.made += number;
        let last = self.made;
        self.write(move |c| {
            for made in first..=last {
                let created_at = noon().plus(Duration::from_secs(made as u64));
                store::api_key::insert(c, &ApiKey { created_at, ..key(10_000 + made) })?;
            }
            Ok(())
        });
    }

    /// A key is removed elsewhere.
    pub fn remove(&self, number: usize) {
        self.write(move |c| store::api_key::delete(c, id(number)).map(|_| ()));
    }

    pub fn name_key(&self, number: usize, name: &str) {
        let terms = crate::domain::api_key::KeyTerms { name: name.to_owned(), ..key(number).terms() };
        self.write(move |c| store::api_key::set_terms(c, id(number), &terms).map(|_| ()));
    }

    /// Somebody calls so many times with the key.
    pub fn call(&self, number: usize, times: u64) {
        let count = calls(number, 1, "tools/list", Outcome::Allowed, times);
        self.ctx.store.write_usage(move |c| store::usage::add(c, &[count])).unwrap();
    }

    /// The same with a token.
    pub fn call_with_token(&self, number: usize, times: u64) {
        let count = Count {
            credential: jti(number).to_string(),
            subject: token(number).subject.to_string(),
            ..calls(0, 1, "tools/list", Outcome::Allowed, times)
        };
        self.ctx.store.write_usage(move |c| store::usage::add(c, &[count])).unwrap();
    }

    /// Somebody else saves the policy `default` once more, as the revision of this number.
    pub fn save_default(&self, number: u32) {
        self.write(move |c| store::policy::insert(c, &revision("default", number)));
    }
}
