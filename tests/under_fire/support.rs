//! What all of these proofs share: how long, how much, and by which chance.

#[path = "../journeys/support/home.rs"]
pub mod home;
#[path = "../journeys/support/process.rs"]
#[expect(dead_code, reason = "shared with the journeys, which also write to their processes")]
pub mod process;

use std::{env, time::Duration};

use serde_json::json;
use tokio::runtime::Runtime;

use home::{Home, Issued, policy};

/// The binary under test.
pub const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");
/// How long a wait may last before it counts as failed. Generous: it only ever runs out where something is broken.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Variables of the caller that would change what a child does.
pub const FOREIGN_VARIABLES: [&str; 5] =
    ["PORTCULLIS_HOME", "PORTCULLIS_MASTER_KEY_FILE", "PORTCULLIS_KEY", "NO_COLOR", "RUST_LOG"];

/// One of two figures: of the short run, and of `PORTCULLIS_FIRE=long`.
pub fn scaled<T>(short: T, long: T) -> T {
    if env::var("PORTCULLIS_FIRE").is_ok_and(|text| text == "long") { long } else { short }
}

/// The runtime of the upstream and the callers; the test itself stays outside of it.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// A key for everything, under a policy of its own with these limits.
pub fn limited_key(home: &Home, name: &str, limits: &[(&str, u64)], algorithm: &str) -> Issued {
    let mut changes = json!({"rate_limits": {
        "requests_per_minute": null, "requests_per_hour": null, "requests_per_day": null, "algorithm": algorithm,
    }});
    for (window, limit) in limits {
        changes["rate_limits"][*window] = json!(limit);
    }
    home.apply_policy(&policy(name, &changes));
    home.issue(name, "mcp:*", &["--policy", name])
}

/// Chance that repeats itself: SplitMix64.
pub struct Chance(u64);

impl Chance {
    /// `stream` keeps those apart who draw at the same time.
    pub fn new(stream: u64) -> Self {
        let seed = env::var("PORTCULLIS_FIRE_SEED").map_or(0x5eed, |text| text.parse().expect("a number"));
        Self(u64::wrapping_mul(seed, 0x2545_f491_4f6c_dd1d) ^ (stream << 32))
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
