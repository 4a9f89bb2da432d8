//! How many files this process may have open (`ulimit -n`), and how many of them are for clients.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the store, the log and what else a process has.
const OWN: u64 = 64;
/// For a worker's runtime and its socket.
const OF_WORKER: u64 = 8;

/// Takes as many as the process may have without asking anybody; says how many these are, where there is a limit.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Where a sandbox refuses it, it stays as it was.
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// How many connections clients may have on each listener where `wanted` are asked for: each may need one more to the
/// server, and the admin listener has its own.
pub fn connections(wanted: usize, limit: Option<u64>, workers: NonZeroUsize) -> usize {
    let Some(limit) = limit else { return wanted };
    let own = OWN + OF_WORKER * workers.get() as u64;
    // With very few of them nothing works well; something still does.
    let left = limit.saturating_sub(own).max(limit / 2);
    let each = usize::try_from(left / 3).unwrap_or(usize::MAX).max(1);
    if each < wanted {
        tracing::warn!(
            limit,
            connections = each,
            "the limit of open files leaves room for so many connections; a higher one (ulimit -n) allows {wanted}"
        );
    }
    wanted.min(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_what_store_and_server_leave() {
        let workers = NonZeroUsize::new(2).unwrap();
        for (limit, connections) in [
            (None, 1024),
            (Some(1_048_576), 1024),
            (Some(4096), 1024),
            (Some(3152), 1024),
            (Some(3151), 1023),
            (Some(1024), 314),
            (Some(128), 21),
            (Some(3), 1),
        ] {
            assert_eq!(super::connections(1024, limit, workers), connections, "{limit:?}");
        }
    }
}
