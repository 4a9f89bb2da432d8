//! What was measured, as a table, and what was promised of it.

use std::{fmt, time::Duration};

use super::{load::Answered, support::median};

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    rate: f64,
    median: f64,
    slow: f64,
    /// Microseconds of processor time a request.
    cost: f64,
    resident: f64,
}

impl Row {
    pub fn new(answered: &Answered, spent: Duration, resident: u64) -> Self {
        let requests = answered.requests as f64;
        Self {
            rate: requests / answered.over.as_secs_f64(),
            median: answered.median.as_secs_f64() * 1e6,
            slow: answered.slow.as_secs_f64() * 1e6,
            cost: spent.as_secs_f64() * 1e6 / requests,
            resident: resident as f64 / 1048576.0,
        }
    }
}

/// All runs against one upstream: for each peer a row a round.
pub struct Table {
    names: Vec<&'static str>,
    rows: Vec<Vec<Row>>,
}

/// At least so many times the rate of a peer.
const PROMISED: [(&str, f64); 3] = [("auth_request", 1.4), ("haproxy", 1.0), ("nginx", 0.85)];

impl Table {
    pub fn new(names: impl Iterator<Item = &'static str>) -> Self {
        let names: Vec<_> = names.collect();
        Self { rows: vec![Vec::new(); names.len()], names }
    }

    pub fn add(&mut self, peer: usize, row: Row) {
        self.rows[peer].push(row);
    }

    fn find(&self, name: &str) -> Option<&[Row]> {
        let index = self.names.iter().position(|known| *known == name)?;
        self.rows.get(index).map(Vec::as_slice)
    }

    /// The median over the rounds of what `of` says of ours and theirs.
    fn ratio(&self, theirs: &str, of: impl Fn(&Row) -> f64) -> Option<f64> {
        let pairs = self.find("portcullis")?.iter().zip(self.find(theirs)?);
        Some(median(pairs.map(|(ours, theirs)| of(ours) / of(theirs)).collect()))
    }

    /// A line for each promise: kept or not.
    pub fn verdicts(&self, run: &str) -> Vec<String> {
        let line =
            |kept: bool, text: String| format!("{}  {run}: {text}", if kept { "PASS" } else { "FAIL" });
        let mut verdicts = Vec::new();
        for (peer, least) in PROMISED {
            if let Some(ratio) = self.ratio(peer, |row| row.rate) {
                verdicts.push(line(ratio >= least, format!("{ratio:.2} x {peer} (at least {least:.2})")));
            }
            if let Some(ratio) = self.ratio(peer, |row| row.slow) {
                verdicts.push(line(ratio <= 1.0, format!("p99 {ratio:.2} x {peer} (at most 1.00)")));
            }
        }
        if let Some(ratio) = self.ratio("before", |row| row.rate) {
            verdicts.push(format!("      {run}: {ratio:.2} x the other binary's rate"));
        }
        verdicts
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<14}{:>12}{:>10}{:>10}{:>12}{:>10}{:>12}",
            "", "requests/s", "p50 us", "p99 us", "CPU us/req", "MiB", "portcullis x"
        )?;
        for (name, rows) in self.names.iter().zip(&self.rows) {
            let of = |value: fn(&Row) -> f64| median(rows.iter().map(value).collect());
            let ratio = self.ratio(name, |row| row.rate).unwrap_or(f64::NAN);
            writeln!(
                f,
                "{name:<14}{:>12.0}{:>10.0}{:>10.0}{:>12.1}{:>10.1}{ratio:>12.2}",
                of(|row| row.rate),
                of(|row| row.median),
                of(|row| row.slow),
                of(|row| row.cost),
                of(|row| row.resident),
            )?;
        }
        Ok(())
    }
}
