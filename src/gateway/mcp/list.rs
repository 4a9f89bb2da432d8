//! Takes from the answer to `tools/list` what the principal may not call.
//!
//! What stays, stays byte for byte and in order: the tools that go are cut out of the text. An answer that differs from
//! caller to caller must not be shared by caches, so `cacheScope` becomes `private` (MCP 2026-07-28, Caching).

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Larger answers are not held to be edited.
pub const MOST: usize = 4 * 1024 * 1024;

/// An answer that cannot be edited must not pass unedited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, rename = "cacheScope")]
    cache_scope: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// Where `part` stands in `whole`, of which it is a slice.
fn place(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// A message, or an array of them, without the tools that `may_call` refuses; `None` where nothing changes.
///
/// # Errors
/// Where it cannot be read as messages of MCP.
pub fn edit(text: &str, may_call: &mut dyn FnMut(&str) -> bool) -> Result<Option<String>, Unreadable> {
    let mut cuts: Vec<(Range<usize>, String)> = Vec::new();
    if text.trim_start().starts_with('[') {
        let messages = serde_json::from_str::<Vec<&RawValue>>(text).map_err(|_| Unreadable)?;
        for message in messages.into_iter().filter(|message| message.get().starts_with('{')) {
            mark(text, message.get(), may_call, &mut cuts)?;
        }
    } else {
        mark(text, text, may_call, &mut cuts)?;
    }
    if cuts.is_empty() {
        return Ok(None);
    }
    cuts.sort_by_key(|(range, _)| range.start);
    let mut edited = String::with_capacity(text.len());
    let mut from = 0;
    for (range, instead) in cuts {
        edited.push_str(text.get(from..range.start).ok_or(Unreadable)?);
        edited.push_str(&instead);
        from = range.end;
    }
    edited.push_str(text.get(from..).ok_or(Unreadable)?);
    Ok(Some(edited))
}

/// Notes what is to be replaced in one message. A message without a list of tools is left alone.
fn mark(
    whole: &str,
    message: &str,
    may_call: &mut dyn FnMut(&str) -> bool,
    cuts: &mut Vec<(Range<usize>, String)>,
) -> Result<(), Unreadable> {
    let answer: Answer<'_> = serde_json::from_str(message).map_err(|_| Unreadable)?;
    let Some(result) = answer.result.filter(|result| result.get().starts_with('{')) else { return Ok(()) };
    let listed: Listed<'_> = serde_json::from_str(result.get()).map_err(|_| Unreadable)?;
    let Some(tools) = listed.tools else { return Ok(()) };
    let all: Vec<&RawValue> = serde_json::from_str(tools.get()).map_err(|_| Unreadable)?;
    let mut kept: Vec<&str> = Vec::with_capacity(all.len());
    for tool in &all {
        let named: Tool<'_> = serde_json::from_str(tool.get()).map_err(|_| Unreadable)?;
        if may_call(&named.name) {
            kept.push(tool.get());
        }
    }
    if kept.len() < all.len() {
        cuts.push((place(whole, tools.get()), format!("[{}]", kept.join(","))));
    }
    if let Some(scope) = listed.cache_scope.filter(|scope| scope.get() != "\"private\"") {
        cuts.push((place(whole, scope.get()), "\"private\"".to_owned()));
    }
    Ok(())
}

/// Takes a stream of server-sent events apart, as it comes.
#[derive(Default)]
pub struct Events {
    held: BytesMut,
    /// Up to here `held` was searched for an event's end.
    searched: usize,
    /// Where the line starts that the search is in; `None`: before `held`.
    line: Option<usize>,
    /// Whether the event is longer than is held: it goes by itself.
    is_dropped: bool,
}

impl Events {
    pub fn new() -> Self {
        Self { line: Some(0), ..Self::default() }
    }

    pub fn push(&mut self, frame: &[u8]) {
        self.held.extend_from_slice(frame);
    }

    /// The first event, where it is complete by now. One that is longer than is held cannot be edited, and is dropped.
    pub fn take(&mut self) -> Option<Bytes> {
        while let Some(end) = self.end_of_event() {
            (self.searched, self.line) = (0, Some(0));
            let event = self.held.split_to(end).freeze();
            if !std::mem::take(&mut self.is_dropped) {
                return Some(event);
            }
        }
        if self.is_dropped || self.held.len() > MOST {
            self.is_dropped = true;
            self.line = self.line.filter(|line| *line == self.searched).map(|_| 0);
            self.held.advance(std::mem::take(&mut self.searched));
        }
        None
    }

    /// What is left of a stream that has ended: an event without the blank line that ends it. Clients that go by HTML
    /// §9.2.6 drop it, and others read it.
    pub fn rest(&mut self) -> Option<Bytes> {
        let rest = std::mem::take(&mut self.held).freeze();
        (!rest.is_empty() && !self.is_dropped).then_some(rest)
    }

    /// Where the first event ends: after a blank line. A line ends with LF, CR LF or CR (HTML §9.2.5).
    fn end_of_event(&mut self) -> Option<usize> {
        while let Some(&byte) = self.held.get(self.searched) {
            if byte != b'\n' && byte != b'\r' {
                self.searched += 1;
                continue;
            }
            let next = match (byte, self.held.get(self.searched + 1)) {
                (b'\r', Some(b'\n')) => self.searched + 2,
                // Whether a line feed follows is not known yet.
                (b'\r', None) => return None,
                _ => self.searched + 1,
            };
            if self.line == Some(self.searched) {
                return Some(next);
            }
            (self.searched, self.line) = (next, Some(next));
        }
        None
    }
}

/// An event as it came, or with the answer in its data edited. What cannot hold a list (a ping, whatever its data) passes as
/// it is. What could, and cannot be read, is dropped by itself: all but its id and what else is no data stays, so that the
/// stream can be resumed behind it.
pub fn edit_event(event: Bytes, may_call: &mut dyn FnMut(&str) -> bool) -> Bytes {
    let text = String::from_utf8_lossy(&event);
    let lines = || text.split(['\n', '\r']).filter(|line| !line.is_empty());
    let is_data = |line: &&str| field(line) == "data";
    let data: Vec<&str> = lines()
        .filter(is_data)
        .map(|line| line.split_once(':').map_or("", |(_, value)| value.strip_prefix(' ').unwrap_or(value)))
        .collect();
    let data = data.join("\n");
    let is_blank = |letter: char| letter.is_whitespace() || letter == '\u{feff}';
    if !data.trim_start_matches(is_blank).starts_with(['{', '[']) {
        return event;
    }
    let is_text = matches!(text, Cow::Borrowed(_));
    let edited = match if is_text { edit(&data, may_call) } else { Err(Unreadable) } {
        Ok(None) => return event,
        Ok(Some(edited)) => Some(edited),
        Err(Unreadable) => None,
    };
    let mut out = BytesMut::with_capacity(event.len());
    // Without data nothing is dispatched, whatever its name.
    let stays = |line: &&str| !is_data(line) && (edited.is_some() || field(line) != "event");
    for line in lines().filter(stays) {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\n");
    }
    for line in edited.iter().flat_map(|edited| edited.lines()) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\n");
    }
    out.extend_from_slice(b"\n");
    out.freeze()
}

/// The name of a line's field; of a comment it is empty.
fn field(line: &str) -> &str {
    let line = line.trim_start_matches('\u{feff}');
    line.split_once(':').map_or(line, |(name, _)| name)
}

#[cfg(test)]
mod tests;
