//! What goes to standard output: a table for people, JSON for scripts, CSV for spreadsheets.
//!
//! Foreign text is made visible here, on its way out; JSON carries it as it is, escaped by serde.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
    os::unix::fs::MetadataExt,
};

use clap::Args;
use rustix::fs::OFlags;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

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
    raw(table.render_within(terminal_width().unwrap_or(usize::MAX)).as_bytes())?;
    if let Some(next) = &list.next {
        remark(&format!("more: --after {}", visible(next)));
    }
    if list.items.is_empty() && io::stderr().is_terminal() {
        remark("nothing fits");
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
    raw(table.render_within(terminal_width().unwrap_or(usize::MAX)).as_bytes())
}

/// How many columns the terminal on standard output has; `None` where it is no terminal, because
/// whoever reads a pipe or a file wants all of it.
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
}

/// What is put between two columns.
const GAP: &str = "  ";

/// What stands before what has no room beside the rest of its row, and before the rest of that.
const INDENT: &str = "  ";

/// Which columns stand side by side in `most` cells: the first, and of the others each that has room beside those before it.
fn beside(widths: &[usize], most: usize) -> Vec<bool> {
    let mut taken = None;
    let fits = |&width: &usize| {
        let wanted = taken.map_or(width, |taken: usize| taken + GAP.len() + width);
        let fits = taken.is_none() || wanted <= most;
        if fits {
            taken = Some(wanted);
        }
        fits
    };
    widths.iter().map(fits).collect()
}

/// Lines of pieces, as many in one of `most` cells as have room; a longer piece is broken between its words. No word is ever
/// cut: a terminal goes on with it in the next line, and gives it back whole when it is copied.
fn below(pieces: impl Iterator<Item = String>, most: usize) -> String {
    let (mut text, mut line) = (String::new(), String::new());
    let mut end = |line: &mut String| {
        if !line.trim().is_empty() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        line.clear();
    };
    for piece in pieces {
        if !line.is_empty() && line.width() + GAP.len() + piece.width() > most {
            end(&mut line);
        }
        line.push_str(if line.is_empty() { INDENT } else { GAP });
        if line.width() + piece.width() <= most {
            line.push_str(&piece);
            continue;
        }
        for word in piece.split(' ') {
            if line.width() + word.width() > most && !line.trim().is_empty() {
                end(&mut line);
                line.push_str(INDENT);
                line.push_str(INDENT);
            }
            line.push_str(word);
            line.push(' ');
        }
        end(&mut line);
    }
    end(&mut line);
    text
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
        self.render_within(usize::MAX)
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

    /// The same in lines of `most` cells: what has no room beside the rest of its row stands below it, by its name.
    fn render_within(&self, most: usize) -> String {
        let widths = self.widths();
        let beside = beside(&widths, most);
        let mut text = String::new();
        for (place, cells) in self.lines().enumerate() {
            let mut line = String::new();
            for ((width, cell), _) in widths.iter().zip(&cells).zip(&beside).filter(|(_, beside)| **beside) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width.saturating_sub(cell.width())));
                line.push_str(GAP);
            }
            text.push_str(line.trim_end());
            text.push('\n');
            if place == 0 {
                continue;
            }
            let others = self.headers.iter().zip(&cells).zip(&beside).filter(|(_, beside)| !**beside);
            let named = others.filter(|((_, cell), _)| !cell.is_empty());
            text.push_str(&below(named.map(|((name, cell), _)| format!("{name} {cell}")), most));
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

    fn table(headers: &[&str], rows: &[&[&str]]) -> Table {
        let mut table = Table::new(headers);
        rows.iter().for_each(|row| table.row(row.iter().map(|&cell| cell.to_owned()).collect()));
        table
    }

    #[test]
    fn what_fits_is_one_line_a_row() {
        let table = table(&["id", "name"], &[&["a1", "alice"], &["b2", "bob"]]);
        assert_eq!(table.render_within(9), "ID  NAME\na1  alice\nb2  bob\n");
        assert_eq!(table.render_within(9), table.render());
    }

    #[test]
    fn what_has_no_room_stands_below_by_its_name_and_nothing_is_cut() {
        let table = table(
            &["id", "name", "state", "detail"],
            &[&["a1", "alice", "on", "one two three four"], &["b2", "bob", "off", ""]],
        );
        // The last that fits: a cell less, and one column more stands below.
        assert_eq!(
            table.render_within(16),
            "ID  NAME   STATE\na1  alice  on\n  detail one two\n    three four\nb2  bob    off\n"
        );
        assert_eq!(
            table.render_within(15),
            "ID  NAME\na1  alice\n  state on\n  detail one\n    two three\n    four\nb2  bob\n  state off\n"
        );
        let one = self::table(&["id"], &[&["0123456789"]]);
        assert_eq!(one.render_within(4), "ID\n0123456789\n", "an id stays whole");
    }

    #[test]
    fn a_narrow_column_has_the_room_that_a_wide_one_before_it_left() {
        let table = table(&["at", "detail", "count"], &[&["now", "0123456789", "3"]]);
        assert_eq!(table.render_within(12), "AT   COUNT\nnow  3\n  detail\n    0123456789\n");
        assert_eq!(table.render_within(15), "AT   DETAIL\nnow  0123456789\n  count 3\n");
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
