//! The console: `event -> update(state, event, now) -> effects -> runner -> event`.
//!
//! `update` is pure; SQLite is touched by worker threads only. It draws when something changed
//! and sleeps until the next event or deadline: an idle console costs nothing. The header shows
//! UTC minutes, so that its clock wakes the console once a minute and not once a second.

mod app;
mod ask;
mod canvas;
mod effect;
mod event;
mod held;
mod input;
mod keymap;
mod layer;
mod layout;
mod notice;
mod overlay;
mod runner;
mod screen;
mod tally;
mod term;
#[cfg(test)]
mod tests;
pub mod theme;
mod update;
mod widget;

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ratatui::layout::Rect;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use zeroize::Zeroizing;

use crate::ops::{Ctx, Role};
use crate::store::home::Home;

use app::App;
use canvas::Look;
use effect::Effect;
use event::Event;
use layer::{Setting, Tone};
use runner::Runner;
use term::Screen;
use theme::{Shade, Theme};

/// So long an answer of the terminal what its background is counts: later, the change would surprise.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// So long a console that is left at once waits for that answer, which the shell would read as keys.
const LEAVES_WITHIN: Duration = Duration::from_millis(200);

/// How the console is to be.
pub struct Options {
    pub ctx: Ctx,
    /// For its `keymap.toml`, and for backups of it; none where it is nobody's, as in the demo.
    pub home: Option<Home>,
    /// Why nothing can be changed, where that is so: asked for, or the store cannot be written.
    pub read_only_because: Option<String>,
    /// ASCII alone, for terminals and readers that know no other characters.
    pub ascii: bool,
    /// One of [`theme::names`]; `None` = by the terminal's background, or `mono` under `NO_COLOR`.
    pub theme: Option<String>,
    /// A word for the header, such as `demo`.
    pub banner: Option<String>,
}

/// Why the console cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error(
        "the console needs a terminal on its input and output; `portcullis status` prints a summary anywhere"
    )]
    NotATerminal,
    #[error("{0}")]
    Theme(String),
    #[error("the built-in keys cannot be read: {0}")]
    Keymap(String),
    #[error("the terminal failed: {0}")]
    Terminal(#[from] io::Error),
    /// With the place in the source.
    #[error("portcullis met a fault of its own at {0}: please report this line")]
    Fault(String),
}

/// Runs the console until the operator quits or a signal ends it. Blocks; brings a runtime of
/// its own, so it must not be called from within another.
pub fn run(options: Options) -> Result<(), ConsoleError> {
    if !term::is_there() {
        return Err(ConsoleError::NotATerminal);
    }
    let mut app = prepare(&options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(console(&options, &mut app))));
    match (term::fault(), ended) {
        (Some(place), _) => Err(ConsoleError::Fault(place)),
        (None, Ok(ended)) => ended,
        (None, Err(panic)) => resume_unwind(panic),
    }
}

fn prepare(options: &Options) -> Result<App, ConsoleError> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    // crossterm 0.29 answers NO_COLOR by resetting every attribute, the selection's too: it is
    // told to keep its hands off, and the theme uses no colour instead
    if no_color {
        crossterm::style::force_color_output(true);
    }
    let wanted = match (&options.theme, no_color) {
        (_, true) => "mono",
        (Some(theme), false) => theme,
        (None, false) => std::env::var("COLORFGBG")
            .ok()
            .and_then(|colours| Shade::of_variable(&colours))
            .map_or("neutral", Shade::theme),
    };
    let look = Look { theme: Theme::load(wanted)?, ascii: options.ascii };
    let read_only = options.read_only_because.clone().or_else(|| {
        (options.ctx.role == Role::Auditor).then(|| "an auditor looks and changes nothing".to_owned())
    });
    let actor = &options.ctx.actor;
    let setting = Setting {
        read_only,
        banner: options.banner.clone(),
        actor: actor.strip_prefix("console:").unwrap_or(actor).to_owned(),
        place: options.home.as_ref().map(|home| named_home(home.path())).unwrap_or_default(),
        home: options.home.clone(),
    };
    let now = options.ctx.clock.now();
    let mut app = App::new(setting, look, now);
    if options.theme.is_none() && !no_color && term::answers() {
        app.background_until = Some(now.plus(ANSWERS_WITHIN));
    }
    let (own, unread) = match options.home.as_ref().map(own_keys) {
        Some(Ok(own)) => (own, None),
        Some(Err(unread)) => (None, Some(unread)),
        None => (None, None),
    };
    let wrong = update::bind(&mut app, own.as_deref()).map_err(ConsoleError::Keymap)?;
    for sentence in wrong.into_iter().chain(unread) {
        app.notices.add(Tone::Failed, sentence, now);
    }
    Ok(app)
}

/// The operator's own lines of keys, where there are any; or why they cannot be read.
fn own_keys(home: &Home) -> Result<Option<String>, String> {
    let own = home.path().join("keymap.toml");
    match std::fs::read_to_string(&own) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read, the default keys hold: {error}", own.display())),
    }
}

/// A home's folder as people write it: below `~` where it is.
fn named_home(folder: &Path) -> String {
    let own = std::env::var_os("HOME").map(PathBuf::from);
    match own.as_deref().and_then(|own| folder.strip_prefix(own).ok()) {
        Some(below) => format!("~/{}", below.display()),
        None => folder.display().to_string(),
    }
}

/// The signals that end or wake the console.
struct Signals {
    ends: [Signal; 3],
    goes_on: Signal,
    resized: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            ends: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::interrupt())?,
            ],
            goes_on: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            resized: signal(SignalKind::window_change())?,
        })
    }
}

async fn console(options: &Options, app: &mut App) -> Result<(), ConsoleError> {
    let ctx = &options.ctx;
    let mut signals = Signals::listen()?;
    let (sender, mut events) = unbounded_channel();
    let faults = sender.clone();
    let mut screen = Screen::take(move || {
        // Where nobody listens, the console has ended.
        let _ = faults.send(Event::Fault);
    })?;
    let runner = Runner::start(ctx, &sender)?;
    let (width, height) = screen.size()?;
    app.size = Rect::new(0, 0, width, height);
    let (window, resized) = UnixStream::pair()?;
    window.set_nonblocking(true)?;
    input::forward(sender, (width, height), resized)?;
    let mut effects = update::start(app, ctx.clock.now());
    let mut asked = false;
    loop {
        if carry_out(std::mem::take(&mut effects), app, &mut screen, &runner, ctx)? {
            if asked {
                hear_out(app, &mut events, ctx).await;
            }
            return Ok(());
        }
        if app.take_dirty() {
            screen.draw(app)?;
        }
        // after the first frame, which waits for nobody
        if !asked && app.background_until.is_some() {
            screen.ask_background()?;
            asked = true;
        }
        let now = ctx.clock.now();
        let sleep = tokio::time::sleep(app.deadline().since(now));
        let [terminate, hangup, interrupt] = &mut signals.ends;
        let first = tokio::select! {
            event = events.recv() => event,
            () = sleep => Some(Event::Due),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = signals.goes_on.recv() => {
                screen.resume()?;
                app.dirty = true;
                None
            }
            _ = signals.resized.recv() => {
                // Full, it says already that the size is to be looked at.
                let _ = (&window).write(&[0]);
                None
            }
        };
        effects = take_in(first, app, ctx);
        // all that has come meanwhile, then one frame; a flood must not keep the frame away
        for _ in 0..1_000 {
            let Ok(event) = events.try_recv() else { break };
            effects.extend(take_in(Some(event), app, ctx));
        }
    }
}

/// Waits a moment for an answer of the terminal that is still on its way.
async fn hear_out(app: &App, events: &mut UnboundedReceiver<Event>, ctx: &Ctx) {
    if app.background_until.is_none_or(|until| ctx.clock.now() >= until) {
        return;
    }
    let answer = async {
        while let Some(event) = events.recv().await
            && !matches!(event, Event::Background(_))
        {}
    };
    let _ = tokio::time::timeout(LEAVES_WITHIN, answer).await;
}

fn take_in(event: Option<Event>, app: &mut App, ctx: &Ctx) -> Vec<Effect> {
    event.map(|event| update::update(app, event, ctx.clock.now())).unwrap_or_default()
}

/// Carries effects out; true = the console ends.
fn carry_out(
    effects: Vec<Effect>,
    app: &mut App,
    screen: &mut Screen,
    runner: &Runner,
    ctx: &Ctx,
) -> Result<bool, ConsoleError> {
    for effect in effects {
        match effect {
            Effect::Load(ticket, question) => runner.load(ticket, question),
            Effect::Act(ticket, deed) => runner.act(ticket, deed),
            Effect::Cancel(ticket) => runner.cancel(ticket),
            Effect::Copy(text) => {
                let text = Zeroizing::new(text.expose().to_owned());
                if let Err(error) = screen.copy(&text) {
                    app.notices.add(Tone::Failed, format!("it was not copied: {error}"), ctx.clock.now());
                }
            }
            Effect::Mouse(on) => screen.set_mouse(on)?,
            Effect::Redraw => screen.redraw()?,
            Effect::Suspend => {
                screen.suspend()?;
                app.dirty = true;
            }
            Effect::Quit => return Ok(true),
        }
    }
    Ok(false)
}
