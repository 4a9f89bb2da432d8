//! What goes to standard output: a table for people, JSON for scripts, CSV for spreadsheets.
//!
//! Foreign text is made visible here, on its way out; JSON carries it as it is, escaped by serde.

use std::{
    borrow::Cow,
    io::{self, Write},
    os::unix::fs::MetadataExt,
};

use clap::Args;
use rustix::fs::OFlags;
use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::error::{CliError, Code};
use crate::{
    domain::{decision::Check, name::ScopeName, text::visible},
    store::StoreError,
};

/// Scopes in one cell.
pub fn scopes(scopes: &[ScopeName]) -> String {
    scopes.iter().map(ScopeName::as_str).collect::<Vec<_>>().join(" ")
}

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

/// Refuses where standard output is closed: for what is shown once and never again. Ask before it is made.
///
/// Before `main` the standard library puts the null device, open both ways, in the place of a closed output, and writing
/// to it succeeds. Whoever throws an answer away on purpose (`> /dev/null`) opens it for writing alone.
pub fn require_reader() -> Result<(), CliError> {
    let is_closed = || -> io::Result<bool> {
        let out = io::stdout();
        let way = rustix::fs::fcntl_getfl(&out)? & OFlags::RWMODE;
        let null = std::fs::metadata("/dev/null")?;
        Ok(way == OFlags::RDWR && rustix::fs::fstat(&out)?.st_rdev == null.rdev())
    };
    // What cannot be looked at shows itself when it is written to.
    if is_closed().unwrap_or(false) {
        return Err(CliError::broken(
            "standard output leads nowhere, and a key is shown only once: nothing was done",
        )
        .mend("run it again with standard output on a terminal, or in a file: --out alice.key"));
    }
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

/// Which part of what is numbered is wanted, newest first.
#[derive(Clone, Debug, Args)]
pub struct Page {
    /// How many at most
    #[arg(long, default_value_t = 100, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on after this cursor (`next` of the page before)
    #[arg(long, value_name = "CURSOR", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(1..))]
    pub after: Option<i64>,
    /// Answer in CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

impl Page {
    /// How many to ask for: one more than is shown, which tells whether there are more.
    pub fn wanted(&self) -> u32 {
        self.limit + 1
    }

    /// What is shown of them, with the cursor after it.
    pub fn cut<T>(&self, mut items: Vec<T>, number: impl Fn(&T) -> i64) -> List<T> {
        let more = items.len() > self.limit as usize;
        items.truncate(self.limit as usize);
        let next = items.last().filter(|_| more).map(|item| number(item).to_string());
        List { items, next }
    }
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
    let widths = table.widths();
    let (fitted, whole) = match terminal_width() {
        Some(most) => fit(&table.headers, &widths, most),
        None => (widths, true),
    };
    raw(table.render_as(&fitted).as_bytes())?;
    if !whole {
        remark("cut to the width of this terminal; --json has all of it");
    }
    if let Some(next) = &list.next {
        remark(&format!("more: --after {}", visible(next)));
    }
    Ok(())
}

/// Names the rows that a list leaves out because they are damaged; the answer is no then.
pub fn damaged(rows: &[StoreError]) -> Code {
    for error in rows {
        remark(&format!("left out: {}", visible(&error.to_string())));
    }
    if rows.is_empty() { Code::Done } else { Code::No }
}

/// Writes one thing as people read it: a field a line.
pub fn fields(fields: &[(&str, String)]) -> Result<(), CliError> {
    let width = fields.iter().map(|(name, _)| name.width()).max().unwrap_or_default();
    let text =
        fields.iter().map(|(name, value)| format!("{name:width$}  {}\n", visible(value))).collect::<String>();
    raw(text.as_bytes())
}

/// Writes what was judged, and how: a check a line.
pub fn checks<'a>(checks: impl IntoIterator<Item = &'a Check>) -> Result<(), CliError> {
    let mut table = Table::new(&["check", "passed", "detail"]);
    for check in checks {
        let passed = if check.passed { "yes" } else { "NO" };
        table.row(vec![check.check.into(), passed.into(), check.detail.clone()]);
    }
    raw(table.render().as_bytes())
}

/// How many columns the terminal on standard output has; `None` where it is no terminal, because
/// whoever reads a pipe or a file wants all of it.
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
}

/// What is put between two columns.
const GAP: &str = "  ";

/// Narrows the widest columns until a row takes `most` cells, and where that would leave too little of
/// them, leaves out the last columns. Returns the widths of the columns to show, and whether that is all.
fn fit(headers: &[String], widths: &[usize], most: usize) -> (Vec<usize>, bool) {
    /// The id of a key or a token.
    const ID: usize = 22;
    /// A date and the sign that something was cut off.
    const NARROWEST: usize = 11;
    /// The same with the time of day.
    const MOMENT: usize = 20;
    let least = |header: &str, width: usize| match header {
        // An id is there to be copied.
        "id" | "jti" | "kid" | "credential" | "fingerprint" => width,
        // What is counted may be the id of a credential.
        "key" => width.min(ID),
        "at" => width.min(MOMENT),
        _ => width.min(NARROWEST),
    };
    let taken = |widths: &[usize]| widths.iter().map(|width| width + GAP.len()).sum::<usize>() - GAP.len();
    let leasts = headers.iter().zip(widths).map(|(header, &width)| least(header, width)).collect::<Vec<_>>();
    let shown = (1..=widths.len()).rev().find(|&shown| taken(&leasts[..shown]) <= most).unwrap_or(1);
    let mut fitted = widths[..shown].to_vec();
    for _ in most..taken(&fitted) {
        let narrower = fitted.iter_mut().zip(&leasts).filter(|(width, least)| **width > **least);
        if let Some((width, _)) = narrower.max_by_key(|(width, _)| **width) {
            *width -= 1;
        }
    }
    let whole = fitted == widths;
    (fitted, whole)
}

/// The beginning of `text` in `most` cells, with a sign where something was cut off.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.width() <= most {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    for c in text.chars() {
        if kept.width() + c.width().unwrap_or_default() + 1 > most {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    Cow::Owned(kept)
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
        self.render_as(&self.widths())
    }

    /// The headers and every row, as they are shown.
    fn lines(&self) -> impl Iterator<Item = Vec<Cow<'_, str>>> {
        let headers = self.headers.iter().map(|header| Cow::Owned(header.to_uppercase())).collect();
        std::iter::once(headers)
            .chain(self.rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()))
    }

    /// How wide each column is at its widest.
    fn widths(&self) -> Vec<usize> {
        let mut widths = vec![0; self.headers.len()];
        for line in self.lines() {
            for (width, cell) in widths.iter_mut().zip(&line) {
                *width = (*width).max(cell.width());
            }
        }
        widths
    }

    /// The first columns, each as wide as `widths` says; what is longer is cut.
    fn render_as(&self, widths: &[usize]) -> String {
        let mut text = String::new();
        for cells in self.lines() {
            let mut line = String::new();
            for (&width, cell) in widths.iter().zip(&cells) {
                let cell = cut(cell, width);
                line.push_str(&cell);
                line.push_str(&" ".repeat(width.saturating_sub(cell.width())));
                line.push_str(GAP);
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

    fn columns(of: &[(&str, usize)]) -> (Vec<String>, Vec<usize>) {
        of.iter().map(|&(header, width)| (header.to_owned(), width)).unzip()
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let (headers, widths) = columns(&[("id", 22), ("scopes", 30), ("created", 24)]);
        assert_eq!(fit(&headers, &widths, 80), (widths.clone(), true));
        assert_eq!(
            fit(&headers, &widths, 79),
            (vec![22, 29, 24], false),
            "one cell less: the widest gives it"
        );
    }

    #[test]
    fn a_list_of_keys_fits_80_columns_with_whole_ids() {
        let (headers, widths) = columns(&[
            ("id", 22),
            ("name", 4),
            ("subject", 7),
            ("policy", 7),
            ("scopes", 8),
            ("state", 6),
            ("expires", 24),
            ("created", 24),
        ]);
        let (fitted, whole) = fit(&headers, &widths, 80);
        assert_eq!((fitted, whole), (vec![22, 4, 7, 7, 8, 6, 14], false));
        assert_eq!(fit(&headers, &widths, 5).0, [22], "the first column is always there");
    }

    #[test]
    fn a_cell_is_cut_by_what_is_seen() {
        assert_eq!(cut("readers", 7), "readers");
        assert_eq!(cut("readers", 6), "reade…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…", "half a character is none");
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
