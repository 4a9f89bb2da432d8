//! Threads whose work nobody waits for.

/// How far they step back, as `nice` counts.
const NICENESS: i32 = 10;

/// Lets every other thread of the machine go before the calling one. A processor that is shared with requests then serves
/// those first, and what was gathered meanwhile is written a little later.
///
/// Only Linux knows the niceness of a thread; elsewhere it would be that of the whole process, and nothing is done.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a thread of the background cannot step back");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_that_asks_steps_back() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let other = std::thread::spawn(move || {
            step_back();
            niceness()
        });
        assert_eq!(other.join().unwrap(), NICENESS.max(before));
        assert_eq!(niceness(), before);
    }
}
