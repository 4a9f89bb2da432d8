//! A home of its own for each journey, and the command line on it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{FOREIGN_VARIABLES, PORTCULLIS};

pub struct Home {
    folder: TempDir,
    path: PathBuf,
}

/// How a command ended.
pub struct Ended {
    pub code: i32,
    pub output: String,
    pub errors: String,
}

/// What `key create` handed out. The secret is in it: not to be printed.
pub struct Issued {
    pub id: String,
    pub key: String,
}

impl Home {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { path: folder.path().join("home"), folder }
    }

    /// Not there before Portcullis makes it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The binary on this home, with the arguments that follow.
    pub fn command(&self) -> Command {
        let mut command = Command::new(PORTCULLIS);
        command.arg("--home").arg(self.path());
        for variable in FOREIGN_VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command().args(arguments).output().expect("the binary runs");
        Ended {
            code: output.status.code().expect("no signal ended it"),
            output: String::from_utf8(output.stdout).expect("UTF-8"),
            errors: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Runs a verb that must succeed; answers its JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[&["--json"], arguments].concat());
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.errors);
        serde_json::from_str(&ended.output)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error} in {}", ended.output))
    }

    pub fn issue(&self, subject: &str, scope: &str, more: &[&str]) -> Issued {
        let made = self.json(&[&["key", "create", "--subject", subject, "--scope", scope], more].concat());
        let text = |field: &str| {
            made[field].as_str().unwrap_or_else(|| panic!("`{field}` of key create")).to_owned()
        };
        Issued { id: text("id"), key: text("key") }
    }

    /// Makes `policy` (the document's JSON) the newest revision of its name.
    pub fn apply_policy(&self, policy: &Value) {
        let file = self.file("policy.json", &policy.to_string());
        self.json(&["policy", "apply", &file]);
    }

    /// A file beside the home; answers its path.
    pub fn file(&self, name: &str, contents: &str) -> String {
        let file = self.folder.path().join(name);
        std::fs::write(&file, contents).expect("the folder is writable");
        file.to_str().expect("a UTF-8 path").to_owned()
    }
}

/// A policy that allows everything, but for `changes` to its fields.
pub fn policy(name: &str, changes: &Value) -> Value {
    let mut document = json!({
        "name": name,
        "description": "",
        "mode": "enforce",
        "scopes": [],
        "rate_limits": {
            "requests_per_minute": null, "requests_per_hour": null, "requests_per_day": null, "algorithm": "sliding",
        },
        "ip_restrictions": {"whitelist": [], "blacklist": []},
        "time_restrictions": {"allowed_hours": (0..24).collect::<Vec<_>>(), "timezone": "UTC"},
        "endpoint_restrictions": {"allowed_endpoints": [], "blocked_endpoints": []},
    });
    for (field, value) in changes.as_object().expect("an object of fields") {
        document[field] = value.clone();
    }
    document
}
