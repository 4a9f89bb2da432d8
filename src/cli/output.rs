//! What goes to standard output: a table for people, JSON for scripts, CSV for spreadsheets.
//!
//! Foreign text is made visible here, on its way out; JSON carries it as it is, escaped by serde.

use std::io::{self, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::error::CliError;
use crate::domain::text::visible;

/// Writes one line to standard output.
pub fn line(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Writes bytes to standard output as they are.
pub fn raw(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Writes one JSON value on one line.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), CliError> {
    let text = serde_json::to_string(value)
        .map_err(|error| CliError::broken(format!("the answer cannot be written as JSON: {error}")))?;
    line(&text)
}

/// A remark to the person at the terminal: standard error, so that standard output stays the answer.
pub fn remark(text: &str) {
    // Nobody is left to tell if even standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A list as scripts read it.
#[derive(Serialize)]
pub struct List<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// How a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
    Csv,
}

/// Writes a list in the wanted form; `row` gives the cells of one item for table and CSV.
pub fn list<T: Serialize>(
    format: Format,
    headers: &[&str],
    list: &List<T>,
    row: impl Fn(&T) -> Vec<String>,
) -> Result<(), CliError> {
    if format == Format::Json {
        return json(list);
    }
    let mut table = Table::new(headers);
    for item in &list.items {
        table.row(row(item));
    }
    if format == Format::Csv {
        return raw(&table.csv()?);
    }
    raw(table.render().as_bytes())?;
    if let Some(next) = &list.next {
        remark(&format!("more: --after {}", visible(next)));
    }
    Ok(())
}

/// Writes one thing as people read it: a field a line.
pub fn fields(fields: &[(&str, String)]) -> Result<(), CliError> {
    let width = fields.iter().map(|(name, _)| name.width()).max().unwrap_or_default();
    let text =
        fields.iter().map(|(name, value)| format!("{name:width$}  {}\n", visible(value))).collect::<String>();
    raw(text.as_bytes())
}

/// Rows under headers.
pub struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(headers: &[&str]) -> Self {
        Self { headers: headers.iter().map(|&header| header.to_owned()).collect(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Columns two spaces apart, as wide as their widest cell; the last one is not padded.
    pub fn render(&self) -> String {
        let headers = self.headers.iter().map(|header| header.to_uppercase()).collect::<Vec<_>>();
        let rows = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| visible(cell).into_owned()).collect::<Vec<_>>())
            .collect::<Vec<_>>();
        let mut widths = vec![0; headers.len()];
        for row in std::iter::once(&headers).chain(&rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let mut text = String::new();
        for row in std::iter::once(&headers).chain(&rows) {
            let mut line = String::new();
            for (&width, cell) in widths.iter().zip(row) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// RFC 4180, and no cell that a spreadsheet would run (OWASP: CSV injection).
    pub fn csv(&self) -> Result<Vec<u8>, CliError> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        let fault =
            |error: csv::Error| CliError::broken(format!("the answer cannot be written as CSV: {error}"));
        writer.write_record(&self.headers).map_err(fault)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(|cell| harmless(cell))).map_err(fault)?;
        }
        writer
            .into_inner()
            .map_err(|error| CliError::broken(format!("the answer cannot be written: {error}")))
    }
}

/// A cell that no spreadsheet takes for a formula.
fn harmless(cell: &str) -> String {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') if cell != "-" => format!("'{}", visible(cell)),
        _ => visible(cell).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_what_is_seen_not_by_bytes() {
        let mut table = Table::new(&["name", "state"]);
        table.row(vec!["日本".into(), "active".into()]);
        table.row(vec!["a".into(), "revoked".into()]);
        assert_eq!(table.render(), "NAME  STATE\n日本  active\na     revoked\n");
    }

    #[test]
    fn an_escape_sequence_never_reaches_the_terminal() {
        let mut table = Table::new(&["subject"]);
        table.row(vec!["\u{1b}[2Jgone".into()]);
        assert!(!table.render().contains('\u{1b}'));
        assert!(table.render().contains("gone"));
    }

    #[test]
    fn a_spreadsheet_is_given_no_formula() {
        for start in ["=", "+", "-", "@", "\t", "\r"] {
            assert!(harmless(&format!("{start}1+1")).starts_with('\''), "{start:?}");
        }
        assert_eq!(harmless("plain"), "plain");
        assert_eq!(harmless("-"), "-", "a lone dash is our own sign for “nothing”");
    }

    #[test]
    fn csv_quotes_as_rfc_4180_says() {
        let mut table = Table::new(&["a", "b"]);
        table.row(vec!["x,y".into(), "say \"hi\"".into()]);
        assert_eq!(table.csv().unwrap(), b"a,b\r\n\"x,y\",\"say \"\"hi\"\"\"\r\n");
    }
}
