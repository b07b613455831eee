//! What this node counts, in Prometheus' words. Labels are routes, methods, statuses and codes: never a person, a ticket or a medicine.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    method: String,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandOutcome {
    command: String,
    outcome: String,
}

type MakeHistogram = fn() -> Histogram;

/// The counters of one node.
#[derive(Clone)]
pub(super) struct Metrics {
    registry: Arc<RwLock<Registry>>,
    requests: Family<Answered, Counter>,
    seconds: Family<Operation, Histogram, MakeHistogram>,
    commands: Family<CommandOutcome, Counter>,
    streams: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("medreq");
        let requests = Family::default();
        let seconds = Family::new_with_constructor(histogram as MakeHistogram);
        let commands = Family::default();
        let streams = Gauge::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register("http_request_seconds", "Time until an answer began", seconds.clone());
        registry.register("commands", "Commands by what became of them", commands.clone());
        registry.register("event_streams", "Live streams that are open", streams.clone());
        registry.register("build", "This build", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        Self { registry: Arc::new(RwLock::new(registry)), requests, seconds, commands, streams }
    }
}

/// From half a millisecond to 16 seconds.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.0, 16))
}

impl Metrics {
    /// Counts an answered request.
    pub(super) fn answered(&self, method: &str, route: &str, status: u16, elapsed: Duration) {
        let (method, route) = (method.to_owned(), route.to_owned());
        self.seconds
            .get_or_create(&Operation { method: method.clone(), route: route.clone() })
            .observe(elapsed.as_secs_f64());
        self.requests.get_or_create(&Answered { method, route, status }).inc();
    }

    /// Counts a command that was decided, or is not yet.
    pub(super) fn command(&self, command: &str, outcome: &str) {
        let labels = CommandOutcome { command: command.to_owned(), outcome: outcome.to_owned() };
        self.commands.get_or_create(&labels).inc();
    }

    /// Counts a stream for as long as it lives.
    pub(super) fn open_stream(&self) -> OpenStream {
        self.streams.inc();
        OpenStream(self.streams.clone())
    }

    /// Lets another part of the node add what it counts.
    pub(super) fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// All of it as text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("a string takes everything");
        text
    }
}

/// A stream that is open.
pub(super) struct OpenStream(Gauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}
