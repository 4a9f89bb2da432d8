//! A database that the disk, or somebody without the vault, has damaged: whatever is changed in it, nobody is let in who was
//! not before, and whoever still is has the same name, scopes and policy.
//!
//! Bytes, truncations and pages are chosen by chance all over the file, at rest (its log checkpointed), and as many single
//! bits within the rows for which calls are denied. What was lost with a log that never reached the file is another
//! matter: the store is then simply older.

mod scene;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use super::support::{Chance, FOREIGN_VARIABLES, PORTCULLIS, process::Process, runtime, scaled};
use scene::{Call, Copy, Scene, Verdict};

/// SQLite's pages.
const PAGE: usize = 4096;

#[derive(Clone, Copy, Debug)]
enum Damage {
    /// The byte at this place, and what it is combined with.
    Flip(usize, u8),
    Cut(usize),
    ZeroedPage(usize),
}

impl Damage {
    /// So many bytes anywhere and as many bits where they would matter, then truncations and pages.
    fn all(scene: &Scene, flips: usize, others: usize) -> Vec<Self> {
        let mut chance = Chance::new(6);
        let mut below = |end: usize| chance.below(end as u64) as usize;
        let length = scene.database.len();
        let deciding = scene.deciding_rows();
        let mut all = Vec::new();
        for _ in 0..flips {
            let row = &deciding[below(deciding.len())];
            all.push(Self::Flip(row.start + below(row.len()), 1 << below(8)));
        }
        // Never 0, which would change nothing.
        all.extend((0..flips).map(|_| Self::Flip(below(length), below(255) as u8 + 1)));
        all.extend((0..others).map(|_| Self::Cut(below(length))));
        all.extend((0..others).map(|_| Self::ZeroedPage(below(length / PAGE))));
        all
    }

    fn done_to(self, scene: &Scene) -> Vec<u8> {
        let mut database = scene.database.clone();
        match self {
            Self::Flip(at, with) => database[at] ^= with,
            Self::Cut(at) => database.truncate(at),
            Self::ZeroedPage(page) => database[page * PAGE..(page + 1) * PAGE].fill(0),
        }
        database
    }
}

/// How the outcomes compare with those of the sound home.
#[derive(Debug, Default)]
struct Tally {
    same: u64,
    denied: u64,
}

impl Tally {
    fn add(&mut self, damage: Damage, call: &Call, found: &Verdict) {
        let Call { endpoint, address, truth, .. } = call;
        match found {
            found if found == truth => self.same += 1,
            Verdict::Denied => self.denied += 1,
            Verdict::Allowed(_) => {
                panic!("{damage:?}: {endpoint} from {address} was {truth:?} and is {found:?}")
            }
        }
    }
}

#[test]
fn no_damage_to_the_database_lets_anybody_in() {
    let runtime = runtime();
    let scene = Scene::new(&runtime);
    let allowed = scene.calls.iter().filter(|call| call.truth != Verdict::Denied).count();
    assert_eq!((allowed, scene.calls.len()), (7, 18), "the calls of the sound home");
    let damages = Damage::all(&scene, scaled(300, 2000), scaled(40, 200));
    let part = |damages: &[Damage]| {
        let (copy, mut tally) = (Copy::new(), Tally::default());
        for &damage in damages {
            let found = copy.judge(&scene, &damage.done_to(&scene), &runtime);
            scene.calls.iter().zip(&found).for_each(|(call, found)| tally.add(damage, call, found));
        }
        tally
    };
    let (mut tally, rest) = std::thread::scope(|scope| {
        let (first, second) = damages.split_at(damages.len() / 2);
        let second = scope.spawn(|| part(second));
        (part(first), second.join().expect("no damage lets anybody in"))
    });
    tally.same += rest.same;
    tally.denied += rest.denied;
    eprintln!("{} damages to {} bytes, in process: {tally:?}", damages.len(), scene.database.len());
    assert!(tally.denied > 0, "no damage met a row that decides");
    assert!(tally.same > tally.denied, "most damage is of no consequence to most calls");
}

#[test]
fn nor_to_whom_the_command_line_or_a_gateway_answers() {
    let runtime = runtime();
    let scene = Scene::new(&runtime);
    let copy = Copy::new();
    let (mut told, mut served) = (Tally::default(), BTreeMap::<&str, u64>::new());
    for &damage in &Damage::all(&scene, scaled(6, 100), scaled(2, 20)) {
        let database = damage.done_to(&scene);
        for call in &scene.calls {
            copy.lay_out(&scene, &database);
            let found = match verify(&copy.home(), call) {
                // Who it is was judged in process.
                0 => call.truth.clone(),
                1 | 5 => Verdict::Denied,
                other => panic!("{damage:?}: exit {other}"),
            };
            assert!(
                found == Verdict::Denied || call.truth != Verdict::Denied,
                "{damage:?}: {}",
                call.endpoint
            );
            told.add(damage, call, &found);
        }
        copy.lay_out(&scene, &database);
        *served.entry(serve(&copy.home(), &scene, damage)).or_default() += 1;
    }
    eprintln!("by the command line: {told:?}; gateways: {served:?}");
    assert!(told.same > told.denied);
}

/// The exit code of `key verify`.
fn verify(home: &Path, call: &Call) -> i32 {
    let mut command = Command::new(PORTCULLIS);
    FOREIGN_VARIABLES.iter().for_each(|variable| _ = command.env_remove(variable));
    command.arg("--home").arg(home).args([
        "key",
        "verify",
        "--endpoint",
        call.endpoint,
        "--ip",
        call.address,
    ]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the binary runs");
    // A binary that refuses the home reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(call.text.as_bytes());
    child.wait().expect("an end").code().expect("no signal ended it")
}

/// Starts a gateway and makes the calls that come from nowhere else than here, as plain HTTP; says what became of it.
fn serve(home: &Path, scene: &Scene, damage: Damage) -> &'static str {
    let mut command = Command::new(PORTCULLIS);
    command.arg("--home").arg(home).args(["serve", "--upstream", "http://127.0.0.1:1/mcp", "--log", "off"]);
    let mut process =
        Process::start(command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]));
    let Some(line) = process.line_or_end() else {
        assert_eq!(process.wait().code(), Some(5), "{damage:?}");
        return "would not start";
    };
    let origin = line.strip_prefix("listening on ").expect("where it listens").to_owned();
    let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
    let mut refused = false;
    for call in &scene.calls {
        let tool = call.endpoint.strip_prefix("tools/call/");
        let method = if tool.is_some() { "tools/call" } else { call.endpoint };
        let meta = serde_json::json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params":
            {"name": tool, "arguments": {}, "_meta": meta}});
        let mut request = client.post(format!("{origin}/mcp")).bearer_auth(&call.text).body(body.to_string());
        for (name, value) in [
            ("Content-Type", Some("application/json")),
            ("Accept", Some("application/json, text/event-stream")),
            ("MCP-Protocol-Version", Some("2026-07-28")),
            ("Mcp-Method", Some(method)),
            ("Mcp-Name", tool),
        ] {
            request = value.into_iter().fold(request, |request, value| request.header(name, value));
        }
        let status = request.send().expect("an answer").status().as_u16();
        // Nothing listens upstream: 502 is what an admitted call meets.
        assert!(status != 502 || call.truth != Verdict::Denied, "{damage:?}: {} was denied", call.endpoint);
        refused |= status != 502 && call.truth != Verdict::Denied && call.address != "10.1.2.3";
    }
    if refused { "refused some" } else { "as ever" }
}
