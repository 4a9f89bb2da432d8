//! Acts of the command line whose reads, writes and synchronizations fail, one after the other.
//!
//! Whatever fails, when and for how long: an act that was acknowledged is there, with its one record; one that was not
//! is there whole or not at all; and nothing needs mending afterwards.

use portcullis::store::ballast;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    books::Books,
    strace::{self, Fault, When},
    support::{
        Chance,
        home::{Home, policy},
        scaled,
    },
};

/// What can fail beneath an act: the log that it is written to first, the database and SQLite's index of the log.
const FAULTS: [(&str, &str, &[&str]); 9] = [
    ("portcullis.db-wal", "pwrite64", &["ENOSPC", "EIO", "EDQUOT"]),
    ("portcullis.db-wal", "fsync,fdatasync", &["EIO", "ENOSPC", "EDQUOT"]),
    ("portcullis.db-wal", "ftruncate", &["EIO", "ENOSPC"]),
    ("portcullis.db-wal", "pread64", &["EIO"]),
    ("portcullis.db", "pwrite64", &["ENOSPC", "EIO", "EDQUOT"]),
    ("portcullis.db", "fsync,fdatasync", &["EIO", "ENOSPC", "EDQUOT"]),
    ("portcullis.db", "ftruncate", &["EIO", "ENOSPC"]),
    ("portcullis.db", "pread64", &["EIO"]),
    ("portcullis.db-shm", "pwrite64,ftruncate", &["ENOSPC", "EIO", "EDQUOT"]),
];

const ACTS: [Act; 6] = [Act::Create, Act::Revoke, Act::Rotate, Act::Disable, Act::Enable, Act::Apply];

#[derive(Clone, Copy, Debug)]
enum Act {
    Create,
    Revoke,
    Rotate,
    Disable,
    Enable,
    Apply,
}

#[test]
fn an_act_whose_disk_fails_is_done_whole_or_not_at_all_and_never_said_to_be_done_when_it_is_not() {
    if !strace::is_here() {
        return;
    }
    let mut desk = Desk::new();
    let mut chance = Chance::new(300);
    for act in ACTS {
        for (file, calls, errors) in FAULTS {
            // The next call to fail, until there is none so late. How many there are differs from act to act.
            let mut call = 1;
            let mut is_reached = true;
            while is_reached {
                let every = [When::Once as fn(u64) -> When, When::From];
                let all: Vec<_> =
                    every.iter().flat_map(|when| errors.iter().map(|error| (when(call), *error))).collect();
                let drawn = scaled(1, all.len());
                let first = chance.below(all.len() as u64) as usize;
                is_reached = false;
                for (when, error) in all.iter().cycle().skip(first).take(drawn) {
                    is_reached |= desk.attempt(act, Fault { file, calls, error, when: *when });
                }
                call += 1 + scaled(chance.below(10), 0);
            }
        }
    }
    desk.report();
}

#[test]
fn a_file_system_that_reserves_nothing_on_request_holds_a_whole_ballast_too() {
    if !strace::is_here() {
        return;
    }
    let home = Home::new();
    let fault = Fault { file: "ballast", calls: "fallocate", error: "EOPNOTSUPP", when: When::From(1) };
    let (ended, met) = fault.run(&home, &["key", "create", "--subject", "first", "--scope", "mcp:*"]);
    assert!(met && ended.code == 0, "{}", ended.errors);
    assert_eq!(ballast::weight(home.path()).expect("a home"), ballast::WEIGHT);
}

#[test]
fn a_home_whose_ballast_cannot_be_made_works_without_and_doctor_says_so() {
    if !strace::is_here() {
        return;
    }
    for (calls, error) in [("fallocate", "EIO"), ("openat", "EACCES")] {
        let home = Home::new();
        let fault = Fault { file: "ballast", calls, error, when: When::From(1) };
        let (ended, met) = fault.run(&home, &["key", "create", "--subject", "first", "--scope", "mcp:*"]);
        assert!(met && ended.code == 0, "{calls}: {}", ended.errors);
        let (ended, _) = fault.run(&home, &["doctor"]);
        assert_eq!(ended.code, 1, "{calls}");
        let said: Value = serde_json::from_str(&ended.output).expect("JSON");
        let checks = said["checks"].as_array().expect("a list");
        let failed: Vec<_> = checks.iter().filter(|check| check["passed"] == false).collect();
        assert_eq!(failed.len(), 1, "{said}");
        assert_eq!(failed[0]["check"], "ballast");
        assert_eq!(home.json(&["doctor"])["healthy"], true, "made by the first that can");
    }
}

/// Has acts done, and holds what is said of them against the books.
struct Desk {
    home: Home,
    folder: TempDir,
    attempts: u64,
    acknowledged: u64,
    /// Not acknowledged, and done all the same.
    kept: u64,
    /// A key that is neither revoked nor, where it can be helped, disabled.
    key: Option<String>,
}

impl Desk {
    fn new() -> Self {
        let (home, folder) = (Home::new(), TempDir::new().expect("a temporary folder"));
        home.json(&["status"]);
        Self { home, folder, attempts: 0, acknowledged: 0, kept: 0, key: None }
    }

    /// Whether the act met the fault.
    fn attempt(&mut self, act: Act, fault: Fault) -> bool {
        let place = format!("{act:?} under {fault:?}");
        self.attempts += 1;
        let name = format!("case-{}", self.attempts);
        let object = match act {
            Act::Create | Act::Apply => name.clone(),
            _ => self.ready_key(act),
        };
        let document = self.folder.path().join("policy.json");
        std::fs::write(&document, policy(&name, &json!({})).to_string()).expect("the folder is writable");
        let document = document.to_str().expect("a UTF-8 path");
        let before = Books::open(&self.home);
        let arguments: &[&str] = match act {
            Act::Create => &["key", "create", "--subject", &name, "--scope", "mcp:*"],
            Act::Revoke => &["key", "revoke", &object],
            Act::Rotate => &["key", "rotate", &object],
            Act::Disable => &["key", "disable", &object],
            Act::Enable => &["key", "enable", &object],
            Act::Apply => &["policy", "apply", document],
        };
        let records = |books: &Books, object: &str| books.records(act.verb(), object);
        let had = records(&before, &object);
        drop(before);
        let (ended, met) = fault.run(&self.home, arguments);
        assert!(
            [0, 5].contains(&ended.code)
                && ended.errors.lines().count() <= 2
                && !ended.errors.contains("fault"),
            "{place}: exit {}: {}",
            ended.code,
            ended.errors
        );
        let books = Books::open(&self.home);
        books.assert_whole();
        let is_done = match act {
            Act::Create => {
                let made = books.keys_of(&name);
                assert!(made.len() <= 1, "{place}: {} keys", made.len());
                assert!(made.iter().all(|key| records(&books, key.id.as_str()) == 1), "{place}: its record");
                !made.is_empty()
            }
            Act::Apply => {
                let saved = books.revisions(&name).len();
                assert_eq!(records(&books, &name), saved, "{place}: its record");
                saved == 1
            }
            _ => {
                let key = books.key(&object);
                let added = records(&books, &object) - had;
                let is_done = match act {
                    Act::Revoke => key.revoked_at.is_some(),
                    Act::Disable => key.disabled,
                    Act::Enable => !key.disabled,
                    _ => added == 1,
                };
                assert_eq!(added, usize::from(is_done), "{place}: its record");
                is_done
            }
        };
        if ended.code == 0 {
            assert!(is_done, "{place}: said to be done");
            self.acknowledged += 1;
            if matches!(act, Act::Create | Act::Rotate) {
                self.assert_opens(&ended.output);
            }
        } else {
            assert!(ended.errors.starts_with("error: "), "{place}: {}", ended.errors);
            self.kept += u64::from(is_done);
        }
        if matches!(act, Act::Revoke) && is_done {
            self.key = None;
        }
        met
    }

    /// A key that `act` can be done to.
    fn ready_key(&mut self, act: Act) -> String {
        let id = match self.key.take() {
            Some(id) => id,
            None => self.home.issue("case", "mcp:*", &[]).id,
        };
        self.home.json(&["key", if matches!(act, Act::Enable) { "disable" } else { "enable" }, &id]);
        self.key = Some(id.clone());
        id
    }

    /// The secret that was handed out is the one that is stored.
    fn assert_opens(&self, answer: &str) {
        use std::{io::Write, process::Stdio};
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        let mut command = self.home.command();
        command.args(["key", "verify"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut verifying = command.spawn().expect("the binary runs");
        let mut input = verifying.stdin.take().expect("a pipe");
        input.write_all(answer["key"].as_str().expect("a key").as_bytes()).expect("it reads");
        drop(input);
        assert_eq!(verifying.wait().expect("it ends").code(), Some(0), "a key just handed out");
    }

    fn report(&self) {
        let refused = self.attempts - self.acknowledged;
        eprintln!(
            "{} acts under faults: {} acknowledged, all there; {refused} refused, {} of them done all the same, none by \
             half",
            self.attempts, self.acknowledged, self.kept
        );
        assert!(self.acknowledged > 0 && refused > 0);
        assert_eq!(self.home.json(&["doctor"])["healthy"], true);
    }
}

impl Act {
    fn verb(self) -> &'static str {
        match self {
            Self::Create => "key.create",
            Self::Revoke => "key.revoke",
            Self::Rotate => "key.rotate",
            Self::Disable => "key.disable",
            Self::Enable => "key.enable",
            Self::Apply => "policy.apply",
        }
    }
}
