//! What a person types, handed on from the terminal: nothing of it is lost, nothing of it ends or hangs the console, and each
//! key is judged by the window that it was typed in.
//!
//! The terminal is read here and not by crossterm: that one panics at a report of the mouse with a 0 in it, drops what was
//! read together with it, takes a sequence that comes in two parts for the escape key and letters, and types the terminal's
//! own answers as keys.

mod decode;
mod keys;
#[cfg(test)]
mod tests;

use std::io;
use std::os::unix::net::UnixStream;
use std::thread;

use crossterm::event::{KeyEvent, MouseEvent};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::stdio::stdin;
use tokio::sync::mpsc::UnboundedSender;

use super::event::Event;
use super::theme::Shade;

use decode::Decoder;

/// What came from the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    /// The terminal's answer what its background is.
    Background(Shade),
}

/// Columns and rows.
type Size = (u16, u16);

/// Reads the terminal on a thread of its own until it is gone, nobody listens any more, or the other end of `resized` is
/// closed. A byte from there says that the window may have changed. `size` is the one that the console knows.
pub fn forward(events: UnboundedSender<Event>, size: Size, resized: UnixStream) -> io::Result<()> {
    resized.set_nonblocking(true)?;
    let read_on = move || {
        let mut window = Window(size);
        let mut decoder = Decoder::default();
        loop {
            let inputs = match next(&mut decoder, &resized) {
                Ok(Some(inputs)) => inputs,
                Ok(None) => return,
                // The terminal is gone; where the console has ended already, nobody wants to know.
                Err(_) => {
                    let _ = events.send(Event::InputEnded);
                    return;
                }
            };
            // Where it cannot be asked, the size is as it was.
            let size = crossterm::terminal::size().unwrap_or(window.0);
            let resize = window.is_now(size);
            let told = resize.into_iter().chain(inputs.into_iter().map(Event::from));
            for event in told {
                if events.send(event).is_err() {
                    return;
                }
            }
        }
    };
    thread::Builder::new().name("console-input".into()).spawn(read_on).map(|_| ())
}

/// What comes next, which may be nothing but that the window changed; `None` where the console has ended.
fn next(decoder: &mut Decoder, resized: &UnixStream) -> io::Result<Option<Vec<Input>>> {
    let keyboard = stdin();
    let mut ready = [PollFd::new(&keyboard, PollFlags::IN), PollFd::new(resized, PollFlags::IN)];
    let patience = decoder.patience().and_then(|patience| Timespec::try_from(patience).ok());
    match poll(&mut ready, patience.as_ref()) {
        Ok(0) => return Ok(Some(decoder.give_up())),
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(Some(Vec::new())),
        Err(error) => return Err(error.into()),
    }
    let [is_typed, changed] = ready.map(|ready| !ready.revents().is_empty());
    if changed {
        // However many changes: the size is asked for once.
        match rustix::io::read(resized, &mut [0; 64]) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !is_typed {
        return Ok(Some(Vec::new()));
    }
    let mut buffer = [0; 4096];
    match rustix::io::read(keyboard, &mut buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(read) => Ok(Some(decoder.feed(buffer.get(..read).unwrap_or_default()))),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Some(Vec::new())),
        Err(error) => Err(error.into()),
    }
}

impl From<Input> for Event {
    fn from(input: Input) -> Self {
        match input {
            Input::Key(key) => Self::Key(key),
            Input::Mouse(mouse) => Self::Mouse(mouse),
            Input::Paste(text) => Self::Paste(text),
            Input::Background(shade) => Self::Background(shade),
        }
    }
}

/// The window as it was told last.
struct Window(Size);

impl Window {
    /// A new size is told before the keys that came with it.
    fn is_now(&mut self, size: Size) -> Option<Event> {
        let resized = (size != self.0).then_some(Event::Resize { width: size.0, height: size.1 });
        self.0 = size;
        resized
    }
}
