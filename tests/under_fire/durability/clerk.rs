//! A clerk: does one act after another through the command line, and remembers what was acknowledged.

use std::{
    collections::HashSet,
    io::Read,
    os::unix::process::ExitStatusExt,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
};

use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::ledger::Ledger;
use crate::support::{
    Chance,
    home::{Home, policy},
};

/// Who is at work now, so that all can be killed at once.
#[derive(Clone, Default)]
pub struct Desk(Arc<Mutex<AtWork>>);

#[derive(Default)]
struct AtWork {
    is_over: bool,
    /// Each still has its parent wait for it, so that no number here was given to another process.
    processes: HashSet<Pid>,
}

impl Desk {
    /// Kills everyone; nobody begins anything afterwards.
    pub fn kill_all(&self) {
        let mut at_work = self.0.lock().expect("the desk");
        at_work.is_over = true;
        for &process in &at_work.processes {
            kill_process(process, Signal::KILL).expect("a child that nobody has waited for");
        }
    }

    /// Starts a command unless it is over.
    fn begin(&self, start: impl FnOnce() -> Child) -> Option<Child> {
        let mut at_work = self.0.lock().expect("the desk");
        if at_work.is_over {
            return None;
        }
        let child = start();
        at_work.processes.insert(Pid::from_child(&child));
        Some(child)
    }

    fn leave(&self, child: &Child) {
        self.0.lock().expect("the desk").processes.remove(&Pid::from_child(child));
    }
}

struct Key {
    id: String,
    /// Unknown after a rotation whose answer was lost.
    secret: Option<String>,
    /// Secrets that a later rotation has replaced.
    replaced: Vec<String>,
    rotations: u64,
    is_revoked: bool,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Create,
    /// Of this key of the clerk's.
    Rotate(usize),
    Revoke(usize),
    Apply,
}

pub struct Clerk {
    home: Arc<Home>,
    chance: Chance,
    /// Of the policy and of the keys' subject: nobody else's.
    name: String,
    folder: TempDir,
    keys: Vec<Key>,
    /// How many revisions the policy has; its newest says so in its description.
    revisions: u64,
    /// What was killed before it answered: done or not.
    doubtful: Option<Act>,
    pub acknowledged: u64,
    /// How many acts were done whose answer was lost.
    pub survived: u64,
    /// Ids of keys whose making was never acknowledged.
    unclaimed: HashSet<String>,
}

impl Clerk {
    pub fn new(home: &Arc<Home>, number: u64) -> Self {
        Self {
            home: Arc::clone(home),
            chance: Chance::new(number),
            name: format!("clerk-{number}"),
            folder: TempDir::new().expect("a temporary folder"),
            keys: Vec::new(),
            revisions: 0,
            doubtful: None,
            acknowledged: 0,
            survived: 0,
            unclaimed: HashSet::new(),
        }
    }

    /// Works until everyone is killed; says whether that met an act of this clerk's.
    pub fn work(&mut self, desk: &Desk) -> bool {
        loop {
            let act = self.choose();
            let arguments = self.arguments(act);
            let begun = desk.begin(|| {
                let mut command = self.home.command();
                command.arg("--json").args(&arguments);
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().expect("the binary runs")
            });
            let Some(mut child) = begun else { return false };
            let (mut output, mut errors) = (String::new(), String::new());
            child.stdout.take().expect("a pipe").read_to_string(&mut output).expect("UTF-8");
            child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("UTF-8");
            desk.leave(&child);
            let status = child.wait().expect("the exit status");
            match (status.code(), status.signal()) {
                (Some(0), _) => self.acknowledge(act, &output),
                (None, Some(_)) => {
                    self.doubtful = Some(act);
                    return true;
                }
                _ => panic!("{arguments:?}: {status}: {errors}"),
            }
        }
    }

    fn choose(&mut self) -> Act {
        let live: Vec<_> = (0..self.keys.len()).filter(|&index| !self.keys[index].is_revoked).collect();
        let draw = self.chance.below(10);
        match (draw, live.len() as u64) {
            (0..2, _) => Act::Apply,
            (2..5, _) | (_, 0) => Act::Create,
            (5..8, count) => Act::Rotate(live[self.chance.below(count) as usize]),
            (_, count) => Act::Revoke(live[self.chance.below(count) as usize]),
        }
    }

    fn arguments(&self, act: Act) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        match act {
            Act::Create => {
                words(&["key", "create", "--subject", &self.name, "--scope", "mcp:*", "--policy", "busy"])
            }
            Act::Rotate(index) => words(&["key", "rotate", &self.keys[index].id]),
            Act::Revoke(index) => words(&["key", "revoke", &self.keys[index].id]),
            Act::Apply => {
                let file = self.folder.path().join("policy.json");
                let document = policy(&self.name, &json!({"description": (self.revisions + 1).to_string()}));
                std::fs::write(&file, document.to_string()).expect("the folder is writable");
                words(&["policy", "apply", file.to_str().expect("a UTF-8 path")])
            }
        }
    }

    fn acknowledge(&mut self, act: Act, output: &str) {
        self.acknowledged += 1;
        let answer: Value = serde_json::from_str(output).expect("JSON");
        let secret = || answer["key"].as_str().expect("a key").to_owned();
        match act {
            Act::Create => self.keys.push(Key {
                id: answer["id"].as_str().expect("an id").to_owned(),
                secret: Some(secret()),
                replaced: Vec::new(),
                rotations: 0,
                is_revoked: false,
            }),
            Act::Rotate(index) => self.keys[index].rotate(Some(secret())),
            Act::Revoke(index) => self.keys[index].is_revoked = true,
            Act::Apply => self.revisions += 1,
        }
    }

    /// Everything acknowledged is there, once; the doubtful act was done whole or not at all.
    pub fn check(&mut self, ledger: &Ledger) {
        let doubtful = self.doubtful.take();
        let was_done = self.resolve(doubtful, ledger);
        self.survived += u64::from(was_done);
        for key in &self.keys {
            let state = ledger.keys.get(&key.id).unwrap_or_else(|| panic!("{} is lost", key.id));
            let expected = if key.is_revoked { "revoked" } else { "active" };
            assert_eq!(state, expected, "the state of {}", key.id);
            let count = ledger.records("key.rotate", &key.id);
            assert_eq!(count, key.rotations, "records of the rotations of {}", key.id);
        }
        let numbered: Vec<_> = (1..=self.revisions).rev().map(|revision| revision.to_string()).collect();
        assert_eq!(ledger.descriptions(&self.name), numbered, "the revisions of {}", self.name);
        let known = self.keys.len() + self.unclaimed.len();
        assert_eq!(ledger.keys_of(&self.name).len(), known, "the keys of {}", self.name);
    }

    /// Finds out whether the act whose answer was lost was done, and remembers it as done if so.
    fn resolve(&mut self, doubtful: Option<Act>, ledger: &Ledger) -> bool {
        let Some(act) = doubtful else { return false };
        match act {
            Act::Create => {
                let known: HashSet<_> = self.keys.iter().map(|key| &key.id).chain(&self.unclaimed).collect();
                let found = ledger.keys_of(&self.name);
                let new: Vec<_> = found.into_iter().filter(|id| !known.contains(id)).collect();
                assert!(new.len() <= 1, "one act made {} keys", new.len());
                let was_done = !new.is_empty();
                self.unclaimed.extend(new);
                was_done
            }
            Act::Rotate(index) => {
                let key = &mut self.keys[index];
                let was_done = ledger.records("key.rotate", &key.id) > key.rotations;
                if was_done {
                    key.rotate(None);
                }
                was_done
            }
            Act::Revoke(index) => {
                let key = &mut self.keys[index];
                key.is_revoked = ledger.records("key.revoke", &key.id) > 0;
                key.is_revoked
            }
            Act::Apply => {
                let was_done = ledger.descriptions(&self.name).len() as u64 > self.revisions;
                self.revisions += u64::from(was_done);
                was_done
            }
        }
    }

    /// Secrets that were acknowledged, and how a call with each is to be answered. Of those that were replaced the last
    /// few: the fifth wrong one would lock its key's id.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, StatusCode)> {
        const REPLACED: usize = 3;
        self.keys.iter().flat_map(|key| {
            let now = if key.is_revoked { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
            let replaced = key.replaced.iter().rev().take(REPLACED);
            let replaced = replaced.map(|secret| (secret.as_str(), StatusCode::UNAUTHORIZED));
            key.secret.iter().map(move |secret| (secret.as_str(), now)).chain(replaced)
        })
    }
}

impl Key {
    fn rotate(&mut self, secret: Option<String>) {
        self.rotations += 1;
        self.replaced.extend(std::mem::replace(&mut self.secret, secret));
    }
}
