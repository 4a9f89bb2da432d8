//! Runs the suite, and reads what it found.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use tempfile::TempDir;

use crate::{node::Node, support::process::Process};

/// What each scenario's checks came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcomes(BTreeMap<String, Vec<Check>>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Check {
    id: String,
    name: String,
    status: String,
}

/// Lets the suite examine the server at `url` for all that a revision requires, and all that belongs to it besides.
pub fn run(node: &Node, url: &str, revision: &str) -> Outcomes {
    let folder = TempDir::new().expect("a temporary folder");
    let mut command = node.installed("@modelcontextprotocol/conformance/dist/index.js");
    command.args(["server", "--url", url, "--requirements", revision, "--output-dir"]).arg(folder.path());
    let mut process = Process::start(&mut command);
    // Its code is about the server; what matters here is in the folder.
    while process.line_or_end().is_some() {}
    process.wait();
    Outcomes::read(folder.path())
}

impl Outcomes {
    /// A folder for each scenario, `server-NAME-TIME`, with a list of checks in it.
    fn read(folder: &Path) -> Self {
        let mut outcomes = BTreeMap::new();
        for entry in fs::read_dir(folder).expect("the suite's output") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a UTF-8 name");
            let scenario = name.strip_prefix("server-").expect("a server scenario");
            let scenario = scenario.get(..scenario.len() - "-2026-07-28T00-00-00-000Z".len());
            let text = fs::read_to_string(path.join("checks.json"));
            let mut checks: Vec<Check> = text.map_or_else(
                // A scenario that broke off.
                |_| Vec::new(),
                |text| serde_json::from_str(&text).expect("a list of checks"),
            );
            checks.sort();
            let earlier = outcomes.insert(scenario.expect("a name before the time").to_owned(), checks);
            assert!(earlier.is_none(), "{name} ran twice");
        }
        Self(outcomes)
    }

    pub fn scenarios(&self) -> usize {
        self.0.len()
    }

    pub fn checks_passed(&self) -> usize {
        self.0.values().flatten().filter(|check| check.status == "SUCCESS").count()
    }

    pub fn scenarios_with_a_failure(&self) -> Vec<&str> {
        let failed =
            |checks: &[Check]| checks.is_empty() || checks.iter().any(|check| check.status == "FAILURE");
        self.0.iter().filter(|(_, checks)| failed(checks)).map(|(scenario, _)| scenario.as_str()).collect()
    }
}
