//! The terminal: taken over, and given back on every way out.

use std::io::{self, IsTerminal, Stdout, Write, stdout};
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{Command, execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use rustix::process::{Signal, kill_current_process_group};
use zeroize::Zeroizing;

use super::app::App;

/// Terminals cut or refuse longer clipboard texts.
const MOST_COPIED: usize = 74_994;

/// Whether the terminal is ours now: read by the panic hook, which cannot borrow the guard.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Where the first fault lay that a thread of this process met while the terminal was ours.
static FAULT: Mutex<Option<String>> = Mutex::new(None);

/// Asks the terminal what its background is (OSC 11).
const ASK_BACKGROUND: &[u8] = b"\x1b]11;?\x1b\\";

/// The terminal while the console has it.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    mouse: bool,
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// A fault in any thread ends the console, which says why once the terminal is as it was: what `tell` does starts that. The
/// thread that draws ends by the fault itself, and gives the terminal back at once. While it is not ours, `before` speaks.
fn hook(tell: impl Fn() + Send + Sync + 'static, drawing: ThreadId, before: Hook) -> Hook {
    Box::new(move |info| {
        if !TAKEN.load(Ordering::SeqCst) {
            return before(info);
        }
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        FAULT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(place);
        if thread::current().id() == drawing {
            give_back();
        }
        tell();
    })
}

/// Where the fault lay that ended the console, if one did.
pub fn fault() -> Option<String> {
    FAULT.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Whether the terminal may be asked what its background is: the Linux console and the simplest ones write the question
/// on the screen.
pub fn answers() -> bool {
    std::env::var("TERM").is_ok_and(|name| !matches!(name.as_str(), "" | "dumb" | "linux" | "unknown"))
}

/// Whether there is a terminal on both ends.
pub fn is_there() -> bool {
    stdout().is_terminal() && io::stdin().is_terminal()
}

impl Screen {
    /// Takes the terminal. From now on `tell` is called where a thread of this process meets a fault.
    pub fn take(tell: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        panic::set_hook(hook(tell, thread::current().id(), panic::take_hook()));
        seize(true)?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout())).inspect_err(|_| give_back())?;
        Ok(Self { terminal, mouse: true })
    }

    pub fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
    }

    pub fn draw(&mut self, app: &App) -> io::Result<()> {
        self.terminal.draw(|frame| app.draw(frame)).map(|_| ())
    }

    /// Paints every cell again. (`Terminal::clear` would ask the terminal where its cursor is,
    /// and the answer goes to whoever reads the input.)
    pub fn redraw(&mut self) -> io::Result<()> {
        let (width, height) = self.size()?;
        self.terminal.resize(Rect::new(0, 0, width, height))
    }

    pub fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on { execute!(stdout(), EnableMouseCapture) } else { execute!(stdout(), DisableMouseCapture) }
    }

    /// Gives the terminal back, stops the process group as ctrl-z does, and takes the terminal
    /// again when it goes on.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        kill_current_process_group(Signal::TSTP)?;
        self.resume()
    }

    /// Takes the terminal again after another program had it.
    pub fn resume(&mut self) -> io::Result<()> {
        give_back();
        seize(self.mouse)?;
        self.redraw()
    }

    /// Asks the terminal what its background is; where it answers, the answer comes as input.
    pub fn ask_background(&mut self) -> io::Result<()> {
        let mut out = stdout();
        out.write_all(ASK_BACKGROUND)?;
        out.flush()
    }

    /// Into the clipboard of the terminal (OSC 52), also through tmux.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        if text.len() > MOST_COPIED {
            return Err(io::Error::other("it is too long for the terminal's clipboard"));
        }
        let mut out = stdout();
        if std::env::var_os("TMUX").is_some() {
            let mut sequence = Zeroizing::new(String::new());
            CopyToClipboard::to_clipboard_from(text)
                .write_ansi(&mut *sequence)
                .map_err(|_| io::Error::other("the text cannot be written"))?;
            // tmux passes on what is wrapped so, each escape doubled
            let wrapped = Zeroizing::new(format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")));
            out.write_all(wrapped.as_bytes())?;
        }
        queue!(out, CopyToClipboard::to_clipboard_from(text))?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn seize(mouse: bool) -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    let taken = enable_raw_mode().and_then(|()| write_seize(&mut stdout(), mouse));
    taken.inspect_err(|_| give_back())
}

fn write_seize(out: &mut impl Write, mouse: bool) -> io::Result<()> {
    execute!(out, EnterAlternateScreen, EnableBracketedPaste)?;
    if mouse { execute!(out, EnableMouseCapture) } else { Ok(()) }
}

/// Idempotent; errors are of no use here, the terminal may be gone.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = write_restore(&mut stdout());
    let _ = disable_raw_mode();
}

/// All that was switched on, off again, whatever part of it was reached.
fn write_restore(out: &mut impl Write) -> io::Result<()> {
    execute!(out, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, Show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_switched_on_is_switched_off_on_the_way_out() {
        let (mut taken, mut restored) = (Vec::new(), Vec::new());
        write_seize(&mut taken, true).unwrap();
        write_restore(&mut restored).unwrap();
        let (taken, restored) = (String::from_utf8(taken).unwrap(), String::from_utf8(restored).unwrap());
        let modes: Vec<&str> =
            taken.split('h').filter_map(|set| set.rsplit_once("\x1b[?")).map(|(_, mode)| mode).collect();
        assert!(modes.contains(&"1049") && modes.contains(&"2004") && modes.contains(&"1000"), "{taken:?}");
        for mode in modes {
            assert!(restored.contains(&format!("\x1b[?{mode}l")), "{mode} stays on: {restored:?}");
        }
        assert!(restored.ends_with("\x1b[?25h"), "the cursor is shown: {restored:?}");
    }
}
