//! What a process that holds secrets does first, before it reads anything.

use std::io::Write;

use rustix::process::{DumpableBehavior, Resource, Rlimit, setrlimit, umask};

/// Files are made for their owner alone, no core is dumped, no other process reads our memory,
/// and a panic says where but not with what.
pub fn harden() {
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Each of these may be refused by a sandbox that is stricter already; that is no reason not to run.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "error: portcullis met a fault of its own at {place}: please report this line"
        );
    }));
}
