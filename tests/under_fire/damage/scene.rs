//! A home with keys of every kind, calls whose outcome is known, and the same home with its database damaged.

use std::{
    fs,
    net::IpAddr,
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use portcullis::{
    domain::{
        api_key::{KeyId, KeySecret, PresentedKey},
        clock::{Clock, ManualClock, SystemClock, Timestamp},
        decision::Request,
        policy::Policy,
        scope::Scope,
    },
    engine::{Engine, Presented},
    ops::{self, Ctx, api_key::NewKey},
    store::{Mode, home::Home},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const HOUR: Duration = Duration::from_secs(3600);
/// Keys and revisions that nobody calls with: they give the tables more than one page.
const FILLING: usize = 60;

/// One call, and what the sound home says to it.
pub struct Call {
    pub text: String,
    pub endpoint: &'static str,
    pub address: &'static str,
    pub truth: Verdict,
}

/// What became of a call. Whoever was let in is told apart by all that the upstream would be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed(String),
    Denied,
}

/// The files of a sound home, at rest, and the calls.
pub struct Scene {
    pub database: Vec<u8>,
    others: Vec<(String, Vec<u8>)>,
    pub calls: Vec<Call>,
    pub now: Timestamp,
    /// The key whose quota is used up.
    spent: String,
}

impl Scene {
    pub fn new(runtime: &Runtime) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("home");
        // What expires has expired now, for the binary as well, which knows no other clock than the system's.
        let now = SystemClock.now();
        let clock = Arc::new(ManualClock::new(now.minus(2 * HOUR)));
        let ctx = open(&path, clock.clone()).expect("a new home");
        policies(&ctx);
        let mut calls = Vec::new();
        let mut call = |text: &str, endpoint, address| {
            let text = text.to_owned();
            calls.push(Call { text, endpoint, address, truth: Verdict::Denied });
        };
        let (inside, outside) = ("10.1.2.3", "192.0.2.1");
        let (tool, list) = ("tools/call/find", "tools/list");

        let (_, live) = issue(&ctx, "open", "mcp:*");
        call(&live, tool, outside);
        call(&with_another_secret(&live), tool, outside);
        let (disabled, key) = issue(&ctx, "open", "mcp:*");
        ops::api_key::disable(&ctx, disabled).expect("a key");
        call(&key, tool, outside);
        let (revoked, key) = issue(&ctx, "open", "mcp:*");
        ops::api_key::revoke(&ctx, revoked, "stolen").expect("a key");
        call(&key, tool, outside);
        call(&issue_for(&ctx, "open", "mcp:*", Some(HOUR)).1, tool, outside);
        let (rotated, key) = issue(&ctx, "open", "mcp:*");
        call(&key, tool, outside);
        let again = ops::api_key::rotate(&ctx, rotated, HOUR).expect("a key");
        call(again.text.expose(), tool, outside);
        let (_, key) = issue(&ctx, "open", "narrow");
        call(&key, tool, outside);
        call(&key, "tools/call/delete", outside);
        let (_, key) = issue(&ctx, "office", "mcp:*");
        call(&key, tool, inside);
        call(&key, tool, outside);
        call(&issue(&ctx, "never", "mcp:*").1, tool, outside);
        let (_, key) = issue(&ctx, "blocked", "mcp:*");
        call(&key, list, outside);
        call(&key, tool, outside);
        let (_, key) = issue(&ctx, "ceiling", "mcp:*");
        call(&key, tool, outside);
        call(&key, "tools/call/delete", outside);
        let (_, spent) = issue(&ctx, "two", "mcp:*");
        call(&spent, tool, outside);
        call(&issue(&ctx, "two", "mcp:*").1, tool, outside);
        for _ in 0..FILLING {
            issue(&ctx, "open", "mcp:*");
        }
        clock.advance(2 * HOUR);

        let engine = start(&ctx).expect("an engine");
        let charged = Call { text: spent.clone(), endpoint: tool, address: outside, truth: Verdict::Denied };
        for _ in 0..2 {
            assert_ne!(judge(&engine, runtime, &charged, now), Verdict::Denied, "quota to spend");
        }
        engine.stop().expect("an orderly end");
        drop((engine, ctx));

        let connection = rusqlite::Connection::open(path.join("portcullis.db")).expect("a database");
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
        drop(connection);
        let read = |name: &str| fs::read(path.join(name)).expect("a file of the home");
        let others = ["usage.db", "vault.key", "anchor"].map(|name| (name.to_owned(), read(name))).into();
        let mut scene = Self { database: read("portcullis.db"), others, calls, now, spent };
        let truths = Copy::new().judge(&scene, &scene.database, runtime);
        for (call, truth) in scene.calls.iter_mut().zip(truths) {
            call.truth = truth;
        }
        scene
    }
}

impl Scene {
    /// Where in the database the rows stand that deny a call: those of its key, of its quota, and of policies.
    pub fn deciding_rows(&self) -> Vec<Range<usize>> {
        let mut rows = Vec::new();
        let mut find = |what: &[u8], before: usize, length: usize| {
            let found = self.database.windows(what.len()).enumerate().filter(|(_, window)| *window == what);
            let rows_of = found.map(|(at, _)| at - before..(at + length).min(self.database.len()));
            let known = rows.len();
            rows.extend(rows_of);
            assert!(rows.len() > known, "{:?} is nowhere", String::from_utf8_lossy(what));
        };
        for call in self.calls.iter().filter(|call| call.truth == Verdict::Denied) {
            let id = PresentedKey::parse(&call.text).expect("a key").id;
            // The id, and after it the environment; before it the header of the row.
            find(format!("{id}live").as_bytes(), 24, 230);
        }
        let spent = PresentedKey::parse(&self.spent).expect("a key").id;
        // The account, and after it its one cell, of a day's window.
        find(&[spent.as_str().as_bytes(), &[2]].concat(), 8, 70);
        for name in ["office", "never", "blocked", "ceiling", "two"] {
            find(format!("{{\n  \"name\": \"{name}\"").as_bytes(), 24, 600);
        }
        rows
    }
}

/// A home that is overwritten for each damage.
pub struct Copy {
    folder: TempDir,
}

impl Copy {
    pub fn new() -> Self {
        // What is damaged is at rest: in memory, where there is such a place, nothing waits for a disk.
        let folder =
            tempfile::tempdir_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary folder");
        fs::create_dir(folder.path().join("home")).expect("a folder");
        let copy = Self { folder };
        set_mode(&copy.home(), 0o700);
        copy
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Puts the scene there, with this for its database.
    pub fn lay_out(&self, scene: &Scene, database: &[u8]) {
        for file in ["portcullis.db-wal", "portcullis.db-shm", "usage.db-wal", "usage.db-shm"] {
            // Not there at first.
            let _ = fs::remove_file(self.home().join(file));
        }
        self.write("portcullis.db", database);
        scene.others.iter().for_each(|(name, content)| self.write(name, content));
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.home().join(name);
        fs::write(&path, content).expect("the folder is writable");
        set_mode(&path, 0o600);
    }

    /// What an engine on this database says to each call of the scene.
    pub fn judge(&self, scene: &Scene, database: &[u8], runtime: &Runtime) -> Vec<Verdict> {
        self.lay_out(scene, database);
        let nobody = || vec![Verdict::Denied; scene.calls.len()];
        let Some(ctx) = open(&self.home(), Arc::new(ManualClock::new(scene.now))) else { return nobody() };
        let Some(engine) = start(&ctx) else { return nobody() };
        let verdicts = scene.calls.iter().map(|call| judge(&engine, runtime, call, scene.now)).collect();
        // What cannot be given back any more is lost.
        let _ = engine.stop();
        verdicts
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a file of ours");
}

fn open(path: &Path, clock: Arc<dyn Clock>) -> Option<Ctx> {
    Ctx::open(&Home::at(path), Mode::ReadWrite, "test", clock).ok()
}

fn start(ctx: &Ctx) -> Option<Arc<Engine>> {
    let vault = ctx.vault.as_ref().expect("an operator has the vault");
    Engine::start(ctx.store.clone(), vault, ctx.clock.clone()).ok()
}

/// The whole way of a request through an engine.
fn judge(engine: &Engine, runtime: &Runtime, call: &Call, now: Timestamp) -> Verdict {
    let address: IpAddr = call.address.parse().expect("an address");
    let presented = Presented::ApiKey(PresentedKey::parse(&call.text).expect("a key"));
    let fresh = engine.watch().and_then(|mut watch| engine.refresh(&mut watch));
    let Ok(Ok(principal)) = fresh.map(|()| engine.authenticate(&presented, Some(address), now)) else {
        return Verdict::Denied;
    };
    let endpoint = call.endpoint.parse().expect("an endpoint");
    let request = Request { endpoint, address: Some(address), at: now };
    if !runtime.block_on(engine.decide(&principal, &request)).decision.is_allowed() {
        return Verdict::Denied;
    }
    let id = principal.credential;
    let policy = &principal.policy;
    Verdict::Allowed(format!(
        "{id} {} {:?} {} {} {:?}",
        principal.identity.subject,
        principal.scopes,
        policy.policy.name,
        policy.revision,
        principal.expires_at
    ))
}

fn policies(ctx: &Ctx) {
    let scope = Scope {
        name: "narrow".parse().expect("a name"),
        description: "one tool".into(),
        endpoints: vec!["tools/call/find".parse().expect("a pattern")],
    };
    ops::scope::set(ctx, scope).expect("a scope");
    let unlimited = json!({"requests_per_minute": null, "requests_per_hour": null, "requests_per_day": null});
    let two = json!({"requests_per_minute": null, "requests_per_hour": null, "requests_per_day": 2});
    let save = |name: &str, limits: &Value, more: Value| {
        let mut document = json!({"name": name, "rate_limits": limits});
        document.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let policy = Policy::from_json(&document.to_string()).expect("a policy");
        ops::policy::apply(ctx, policy, "for the scene").expect("a revision");
    };
    // Each was wider once: what an older revision allowed must not come back.
    for name in ["office", "never", "blocked", "ceiling", "two"] {
        save(name, &unlimited, json!({}));
    }
    save("open", &unlimited, json!({}));
    save("office", &unlimited, json!({"ip_restrictions": {"whitelist": ["10.0.0.0/8"], "blacklist": []}}));
    save("never", &unlimited, json!({"time_restrictions": {"allowed_hours": [], "timezone": "UTC"}}));
    save(
        "blocked",
        &unlimited,
        json!({"endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": ["tools/call/**"]}}),
    );
    save("ceiling", &unlimited, json!({"scopes": ["narrow"]}));
    save("two", &two, json!({}));
    for number in 0..FILLING / 4 {
        save("filling", &two, json!({"description": format!("revision {number}")}));
    }
}

fn issue(ctx: &Ctx, policy: &str, scope: &str) -> (KeyId, String) {
    issue_for(ctx, policy, scope, None)
}

fn issue_for(ctx: &Ctx, policy: &str, scope: &str, life: Option<Duration>) -> (KeyId, String) {
    let new = NewKey {
        subject: "alice".parse().expect("a subject"),
        scopes: vec![scope.parse().expect("a scope")],
        policy: policy.parse().expect("a name"),
        name: String::new(),
        environment: "live".parse().expect("an environment"),
        life,
    };
    let issued = ops::api_key::create(ctx, new).expect("a key");
    (issued.key.id, issued.text.expose().to_owned())
}

fn with_another_secret(text: &str) -> String {
    let key = PresentedKey::parse(text).expect("a key");
    let secret = KeySecret::generate().expect("randomness");
    secret.join(key.environment.expect("an environment"), key.id).expose().to_owned()
}
