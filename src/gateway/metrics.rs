//! What `/metrics` tells.
//!
//! Each worker has counters of its own, so that threads share no line of memory on the path of a request; a scrape adds
//! them up by their label.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::engine::Engine;

use super::upstream::UpstreamFault;

type Labels = [(&'static str, String); 1];
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// 1 µs to about 0.5 s.
fn overhead_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_001, 2.0, 20))
}

/// All that is measured.
pub struct Metrics {
    registry: Registry,
    in_flight: Family<Labels, Gauge>,
    streams: Family<Labels, Gauge>,
    overhead: Histograms,
    down: Counter,
    slow: Counter,
    garbled: Counter,
    closed: Counter,
}

impl Metrics {
    pub fn new(engine: Arc<Engine>) -> Self {
        let in_flight: Family<Labels, Gauge> = Family::default();
        let streams: Family<Labels, Gauge> = Family::default();
        let overhead = Histograms::new_with_constructor(overhead_histogram);
        let errors: Family<Labels, Counter> = Family::default();
        let mut registry = Registry::with_prefix("portcullis");
        registry.register_collector(Box::new(UsageBooks(Arc::clone(&engine))));
        registry.register_collector(Box::new(Decisions(engine)));
        registry.register("requests_in_flight", "Requests whose answer has not begun", in_flight.clone());
        registry.register("open_streams", "Streams of server-sent events that are open", streams.clone());
        registry.register(
            "gateway_overhead_seconds",
            "From a request's last byte to its hand-over to the upstream",
            overhead.clone(),
        );
        registry.register("upstream_errors", "Requests that the upstream could not answer", errors.clone());
        let closed = Counter::default();
        registry.register(
            "connections_refused",
            "Connections closed at once because their source had as many as it may",
            closed.clone(),
        );
        let counter =
            |fault: UpstreamFault| errors.get_or_create_owned(&[("fault", fault.as_str().to_owned())]);
        let (down, slow, garbled) =
            (counter(UpstreamFault::Down), counter(UpstreamFault::Slow), counter(UpstreamFault::Garbled));
        Self { registry, in_flight, streams, overhead, down, slow, garbled, closed }
    }

    /// The counters of one worker.
    pub fn of_worker(&self, worker: usize) -> WorkerMetrics {
        let label: Labels = [("worker", worker.to_string())];
        WorkerMetrics {
            in_flight: self.in_flight.get_or_create_owned(&label),
            streams: self.streams.get_or_create_owned(&label),
            overhead: self.overhead.get_or_create_owned(&label),
            down: self.down.clone(),
            slow: self.slow.clone(),
            garbled: self.garbled.clone(),
            closed: self.closed.clone(),
        }
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

/// The counters of one worker.
pub struct WorkerMetrics {
    in_flight: Gauge,
    streams: Gauge,
    overhead: Histogram,
    down: Counter,
    slow: Counter,
    garbled: Counter,
    closed: Counter,
}

impl WorkerMetrics {
    pub fn request(&self) -> Held<&Gauge> {
        Held::new(&self.in_flight)
    }
    pub fn stream(&self) -> Held<Gauge> {
        Held::new(self.streams.clone())
    }
    /// A request that began then is handed over to the upstream now.
    pub fn handed_over(&self, began: Instant) -> Instant {
        let now = Instant::now();
        self.overhead.observe(now.saturating_duration_since(began).as_secs_f64());
        now
    }
    pub fn connection_refused(&self) {
        self.closed.inc();
    }
    pub fn upstream_error(&self, fault: UpstreamFault) {
        match fault {
            UpstreamFault::Down => self.down.inc(),
            UpstreamFault::Slow => self.slow.inc(),
            UpstreamFault::Garbled => self.garbled.inc(),
        };
    }
}

/// Counts for as long as it lives.
pub struct Held<G: Borrow<Gauge>>(G);

impl<G: Borrow<Gauge>> Held<G> {
    fn new(gauge: G) -> Self {
        gauge.borrow().inc();
        Self(gauge)
    }
}

impl<G: Borrow<Gauge>> Drop for Held<G> {
    fn drop(&mut self) {
        self.0.borrow().dec();
    }
}

/// How `usage.db` stands, read at each scrape.
struct UsageBooks(Arc<Engine>);

impl fmt::Debug for UsageBooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UsageBooks")
    }
}

impl Collector for UsageBooks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let books = self.0.books();
        for (name, help, value) in [
            ("usage_bytes", "What counters and events take of the disk", books.used),
            ("usage_budget_bytes", "What they may take", books.budget),
            ("usage_unwritten", "Counters that could not be written yet", books.unwritten),
        ] {
            let gauge = ConstGauge::new(value as f64);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let help = "Rows of counters and events that went for want of room";
        let shed = encoder.encode_descriptor("usage_shed_rows", help, None, MetricType::Counter)?;
        ConstCounter::new(books.shed).encode(shed)
    }
}

/// The engine's totals, read at each scrape.
struct Decisions(Arc<Engine>);

impl fmt::Debug for Decisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decisions")
    }
}

impl Collector for Decisions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(
            "decisions",
            "Calls by what became of them",
            None,
            MetricType::Counter,
        )?;
        for (outcome, calls) in self.0.totals() {
            let label: Labels = [("outcome", outcome.code())];
            ConstCounter::new(calls).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}
