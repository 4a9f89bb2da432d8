//! Revocation by another process, while the key is in use everywhere.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use http_body_util::BodyExt;
use tokio::{sync::watch, time::timeout};

use super::{
    caller::{Broken, Caller},
    fleet::{Door, Fleet},
    support::{PATIENCE, home::Home, limited_key, runtime, scaled},
    upstream::{Upstream, WATCH},
};

const GATEWAYS: usize = 2;
/// Callers at each gateway.
const TASKS: usize = 2;
/// How many calls each caller begins after the acknowledgement.
const AFTER: usize = 5;
/// One key in so many also holds a stream open at each gateway.
const STREAMS: usize = 5;
/// Streams end within a second; what runs this may be busy with other things.
const CUT_WITHIN: Duration = Duration::from_secs(5);

/// The moment at which the revocation was acknowledged, once it was.
type Acknowledged = watch::Receiver<Option<Instant>>;

struct Called {
    number: u64,
    began: Instant,
    ended: Instant,
    status: StatusCode,
}

#[test]
fn what_begins_after_a_revocation_is_refused_and_open_streams_end() {
    let home = Arc::new(Home::new());
    let runtime = runtime();
    let upstream = Upstream::start(&runtime);
    limited_key(&home, "open", &[], "fixed");
    let mut fleet = Fleet::start(&home, &upstream.url, GATEWAYS);
    let (mut calls, mut refusals, mut cuts, mut overtaken) = (0, Vec::new(), Vec::new(), 0);
    let revocations = scaled(100, 1000);
    for round in 0..revocations {
        let key = home.issue("open", "mcp:*", &["--policy", "open"]);
        let announce = watch::Sender::new(None);
        let doors: Vec<_> = fleet.doors().collect();
        let streams: Vec<_> = match round % STREAMS {
            0 => doors
                .iter()
                .map(|door| runtime.block_on(open_stream(door.clone(), key.key.clone())))
                .collect(),
            _ => Vec::new(),
        };
        let open = streams.len() as u64;
        let streams: Vec<_> = streams.into_iter().map(|stream| runtime.spawn(stream)).collect();
        let callers = doors.iter().flat_map(|door| vec![door.clone(); TASKS]);
        let callers: Vec<_> = callers
            .map(|door| runtime.spawn(keep_calling(Caller::new(door, &key.key), announce.subscribe())))
            .collect();
        // Everyone is at it.
        upstream.wait_for(&key.id, open + (GATEWAYS * TASKS * 2) as u64);

        home.json(&["key", "revoke", &key.id]);
        let acknowledged = Instant::now();
        announce.send_replace(Some(acknowledged));

        let came: HashSet<_> = upstream_numbers(&runtime, callers, |called| {
            calls += 1;
            if called.began < acknowledged {
                overtaken += u64::from(called.status != StatusCode::OK);
                return None;
            }
            assert_eq!(
                called.status,
                StatusCode::UNAUTHORIZED,
                "a call that began after the acknowledgement"
            );
            refusals.push(called.ended - called.began);
            Some(called.number)
        });
        let stale =
            upstream.arrivals(&key.id).iter().filter(|arrival| came.contains(&arrival.number)).count();
        assert_eq!(stale, 0, "calls that began after the acknowledgement reached the upstream");

        for stream in streams {
            let cut = runtime.block_on(async { timeout(CUT_WITHIN, stream).await });
            let ended = cut.expect("the stream outlived its key").expect("a stream");
            cuts.push(ended.saturating_duration_since(acknowledged));
        }
    }
    fleet.stop_all();
    assert!(refusals.len() >= revocations * GATEWAYS * TASKS * AFTER);
    eprintln!(
        "{revocations} revocations under {calls} calls: 0 of {} later calls admitted, {overtaken} refused before the \
         acknowledgement; refusal {}; stream cut {}",
        refusals.len(),
        spread(&mut refusals),
        spread(&mut cuts),
    );
}

/// What each caller reports, and of that the numbers which `choose` picks.
fn upstream_numbers(
    runtime: &tokio::runtime::Runtime,
    callers: Vec<tokio::task::JoinHandle<Vec<Called>>>,
    mut choose: impl FnMut(&Called) -> Option<u64>,
) -> HashSet<u64> {
    let mut numbers = HashSet::new();
    for caller in callers {
        let called = runtime.block_on(caller).expect("a caller");
        numbers.extend(called.iter().filter_map(&mut choose));
    }
    numbers
}

async fn keep_calling(mut caller: Caller, acknowledged: Acknowledged) -> Vec<Called> {
    let mut all = Vec::new();
    let mut after = 0;
    while after < AFTER {
        let was_acknowledged = acknowledged.borrow().is_some();
        let (number, began) = (Caller::number(), Instant::now());
        match caller.call(number).await {
            Ok(status) => {
                all.push(Called { number, began, ended: Instant::now(), status });
                after += usize::from(was_acknowledged);
            }
            Err(Broken) => panic!("a gateway broke a call off"),
        }
    }
    all
}

/// Opens a stream and waits for its first event; what is returned then waits for its end and says when that was.
async fn open_stream(door: Door, key: String) -> impl Future<Output = Instant> + Send + 'static {
    let mut caller = Caller::new(door, &key);
    let response = caller.send(WATCH, Caller::number()).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let mut events = response.into_body();
    timeout(PATIENCE, events.frame()).await.expect("an event in time").expect("an event").expect("no fault");
    async move {
        let _connection = caller;
        while let Some(Ok(_)) = events.frame().await {}
        Instant::now()
    }
}

/// Median, 99th percentile and maximum, in milliseconds.
fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |part: f64| {
        let place = (times.len().saturating_sub(1) as f64 * part) as usize;
        times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    format!("p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms (n {})", at(0.5), at(0.99), at(1.0), times.len())
}
