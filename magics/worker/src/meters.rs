//! What the server measures, in Prometheus' terms.

use std::fmt;
use std::time::Duration;

use mlk8s_generate::{Class, Done};
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::call::Tokens;
use crate::keys::class_name;
use crate::served::Load;

/// What is measured.
pub(crate) struct Meters {
    registry: Registry,
    requests: Family<Ended, Counter>,
    tokens: Family<OfKind, Counter>,
    first: Family<OfClass, Histogram>,
    each: Family<OfClass, Histogram>,
    whole: Family<AtEndpoint, Histogram>,
    lost: Counter,
    now: Now,
}

/// What is looked up when somebody asks.
#[derive(Default)]
struct Now {
    ready: Gauge,
    under_way: Gauge,
    running: Gauge,
    waiting: Family<OfClass, Gauge>,
    pages: Family<InState, Gauge>,
    preemptions: Gauge,
    steps: Gauge,
    memory: Gauge,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    endpoint: &'static str,
    status: u16,
    class: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AtEndpoint {
    endpoint: &'static str,
    class: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfClass {
    class: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

impl Meters {
    /// Meters at zero.
    pub(crate) fn new() -> Meters {
        let mut registry = <Registry>::with_prefix("mlk8s");
        // From 1 ms to 2 minutes.
        let long = || Histogram::new(exponential_buckets(0.001, 2.0, 18));
        // From 0.1 ms to 3 s.
        let short = || Histogram::new(exponential_buckets(0.0001, 2.0, 16));
        let meters = Meters {
            requests: Family::default(),
            tokens: Family::default(),
            first: Family::new_with_constructor(long as fn() -> Histogram),
            each: Family::new_with_constructor(short as fn() -> Histogram),
            whole: Family::new_with_constructor(long as fn() -> Histogram),
            lost: Counter::default(),
            now: Now::default(),
            registry: Registry::default(),
        };
        registry.register(
            "requests",
            "Requests that have ended, by HTTP status; 499 when the client went away",
            meters.requests.clone(),
        );
        registry.register(
            "tokens",
            "Tokens of prompts, of prompts from the cache, and of answers",
            meters.tokens.clone(),
        );
        registry.register_with_unit(
            "time_to_first_token",
            "From a request to its first token",
            Unit::Seconds,
            meters.first.clone(),
        );
        registry.register_with_unit(
            "time_per_token",
            "Mean time between two tokens of an answer",
            Unit::Seconds,
            meters.each.clone(),
        );
        registry.register_with_unit(
            "request",
            "From a request to the end of its answer",
            Unit::Seconds,
            meters.whole.clone(),
        );
        registry.register(
            "log_lines_lost",
            "Lines that could not be written to the request log",
            meters.lost.clone(),
        );
        meters.now.register(&mut registry);
        Meters { registry, ..meters }
    }

    /// An answer is complete.
    pub(crate) fn answered(&self, class: Class, done: &Done) {
        let class = OfClass {
            class: class_name(class),
        };
        if done.completion_tokens > 0 {
            self.first
                .get_or_create(&class)
                .observe(done.first_token.as_secs_f64());
        }
        if done.completion_tokens > 1 {
            let writing = done.total.saturating_sub(done.first_token).as_secs_f64();
            self.each
                .get_or_create(&class)
                .observe(writing / (done.completion_tokens - 1) as f64);
        }
    }

    /// A request has ended.
    pub(crate) fn ended(
        &self,
        endpoint: &'static str,
        status: u16,
        class: Class,
        tokens: Tokens,
        total: Duration,
    ) {
        let class = class_name(class);
        let ended = Ended {
            endpoint,
            status,
            class,
        };
        self.requests.get_or_create(&ended).inc();
        self.whole
            .get_or_create(&AtEndpoint { endpoint, class })
            .observe(total.as_secs_f64());
        let kinds = [
            ("prompt", tokens.prompt),
            ("cached", tokens.cached),
            ("completion", tokens.completion),
        ];
        for (kind, n) in kinds {
            self.tokens.get_or_create(&OfKind { kind }).inc_by(n as u64);
        }
    }

    /// A line of the log is lost.
    pub(crate) fn line_lost(&self) {
        self.lost.inc();
    }

    /// All of it as text, with what is true now.
    pub(crate) fn text(
        &self,
        ready: bool,
        under_way: usize,
        load: Option<&Load>,
    ) -> Result<String, fmt::Error> {
        self.now.set(ready, under_way, load);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Now {
    fn register(&self, registry: &mut Registry) {
        registry.register("ready", "1 when the model can be asked", self.ready.clone());
        registry.register(
            "requests_under_way",
            "Requests that are not answered yet",
            self.under_way.clone(),
        );
        registry.register(
            "sequences_running",
            "Answers that are being written",
            self.running.clone(),
        );
        registry.register(
            "sequences_waiting",
            "Answers that wait for a slot",
            self.waiting.clone(),
        );
        registry.register(
            "cache_pages",
            "Pages of the cache of keys and values",
            self.pages.clone(),
        );
        registry.register(
            "preemptions",
            "Answers that had to make way and start over, so far",
            self.preemptions.clone(),
        );
        registry.register(
            "steps",
            "Steps that the model has made so far",
            self.steps.clone(),
        );
        registry.register(
            "resident_memory_bytes",
            "Memory of this process",
            self.memory.clone(),
        );
    }

    fn set(&self, ready: bool, under_way: usize, load: Option<&Load>) {
        self.ready.set(ready.into());
        self.under_way.set(signed(under_way as u64));
        self.memory.set(signed(resident_bytes().unwrap_or(0)));
        let Some(load) = load else {
            return;
        };
        self.running.set(signed(load.running));
        let classes = [Class::Interactive, Class::Batch];
        for (class, waiting) in classes.into_iter().zip(load.waiting) {
            let class = OfClass {
                class: class_name(class),
            };
            self.waiting.get_or_create(&class).set(signed(waiting));
        }
        let states = [("used", load.pages_used), ("total", load.pages_total)];
        for (state, n) in states {
            self.pages.get_or_create(&InState { state }).set(signed(n));
        }
        self.preemptions.set(signed(load.preemptions));
        self.steps.set(signed(load.steps));
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Memory of this process that is in use (proc(5), `VmRSS`).
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
