//! What a person types, handed on from the terminal: nothing of it is lost, and each key is judged by the window that it
//! was typed in.
//!
//! crossterm is built with `use-dev-tty`, so that it waits until there is something to read. Its other way waits for
//! something new: what was typed while the window changed its size stayed unread until the next key.

use std::io;
use std::thread;

use crossterm::event::{Event as Input, read};
use tokio::sync::mpsc::UnboundedSender;

use super::event::Event;

/// Columns and rows.
type Size = (u16, u16);

/// Reads the terminal on a thread of its own until it is gone, or until nobody listens any more. `size` is the one that
/// the console knows.
pub fn forward(events: UnboundedSender<Event>, size: Size) -> io::Result<()> {
    let mut window = Window(size);
    let read_on = move || {
        while let Ok(input) = read() {
            // Where it cannot be asked, the size is as it was.
            let size = crossterm::terminal::size().unwrap_or(window.0);
            if window.meant(input, size).into_iter().flatten().any(|event| events.send(event).is_err()) {
                return;
            }
        }
        // The terminal is gone; where the console has ended already, nobody wants to know.
        let _ = events.send(Event::InputEnded);
    };
    thread::Builder::new().name("console-input".into()).spawn(read_on).map(|_| ())
}

/// The window as it was told last.
struct Window(Size);

impl Window {
    /// What `input` is to the console where the window has this `size` now. A key may be read before the change of size
    /// that came first: the new size is told before the key.
    fn meant(&mut self, input: Input, size: Size) -> [Option<Event>; 2] {
        let resized = (size != self.0).then_some(Event::Resize { width: size.0, height: size.1 });
        self.0 = size;
        let event = match input {
            Input::Key(key) => Some(Event::Key(key)),
            Input::Mouse(mouse) => Some(Event::Mouse(mouse)),
            Input::Paste(text) => Some(Event::Paste(text)),
            Input::Resize(..) | Input::FocusGained | Input::FocusLost => None,
        };
        [resized, event]
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;

    fn told(window: &mut Window, input: Input, size: Size) -> String {
        let events = window.meant(input, size).into_iter().flatten().map(|event| match event {
            Event::Key(key) => key.code.to_string(),
            Event::Resize { width, height } => format!("{width}×{height}"),
            other => format!("{other:?}"),
        });
        events.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_new_size_is_told_once_and_before_the_key_that_overtook_it() {
        let key = || Input::Key(KeyEvent::new(KeyCode::Char('2'), KeyModifiers::NONE));
        let mut window = Window((50, 12));
        assert_eq!(told(&mut window, key(), (50, 12)), "2");
        assert_eq!(told(&mut window, key(), (130, 40)), "130×40 2");
        assert_eq!(told(&mut window, Input::Resize(130, 40), (130, 40)), "");
        // What is told is the size that there is now, not one on the way to it.
        assert_eq!(told(&mut window, Input::Resize(80, 24), (50, 12)), "50×12");
        assert_eq!(told(&mut window, key(), (50, 12)), "2");
    }
}
