//! Prometheus metrics. Counting costs a hash lookup; gauges are filled in when somebody asks.

use mecapy_model::{ErrorKind, Lane, TaskState, Usage};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use std::time::Duration;

type Timings<L> = Family<L, Histogram, Buckets>;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Timings<RequestLabels>,
    previews: Family<StateLabels, Counter>,
    startup: Timings<LaneLabels>,
    execute: Timings<LaneLabels>,
    tasks: Family<TaskLabels, Gauge>,
    sandboxes_running: Family<LaneLabels, Gauge>,
    sandboxes_waiting: Family<LaneLabels, Gauge>,
    memory_used: Gauge,
    memory_budget: Gauge,
    sandboxes_live: Gauge,
    usage_dropped: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
    error_kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabels {
    lane: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabels {
    lane: &'static str,
    state: &'static str,
}

/// Bucket edges from 0.1 ms to about 7 minutes.
#[derive(Debug, Clone, Copy)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.0001, 2.0, 23))
    }
}

/// What the gauges show, read when somebody asks.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Lane, queued tasks, running tasks.
    pub tasks: Vec<(Lane, u64, u64)>,
    /// Lane, sandboxes running, jobs waiting for one.
    pub sandboxes: Vec<(Lane, u64, u64)>,
    pub memory_used_bytes: u64,
    pub memory_budget_bytes: u64,
    pub sandboxes_live: u64,
    pub preview_usage_dropped: u64,
}

impl Metrics {
    #[expect(clippy::new_without_default, reason = "a second set of metrics would be shown nowhere")]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("mecapy");
        let requests = Timings::new_with_constructor(Buckets);
        let (startup, execute) = (Timings::new_with_constructor(Buckets), Timings::new_with_constructor(Buckets));
        let metrics = Self {
            requests: requests.clone(),
            previews: Family::default(),
            startup: startup.clone(),
            execute: execute.clone(),
            tasks: Family::default(),
            sandboxes_running: Family::default(),
            sandboxes_waiting: Family::default(),
            memory_used: Gauge::default(),
            memory_budget: Gauge::default(),
            sandboxes_live: Gauge::default(),
            usage_dropped: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register_with_unit(
            "http_request",
            "From a request's headers to its response's",
            Unit::Seconds,
            requests,
        );
        registry.register("previews", "Previews that ended", metrics.previews.clone());
        registry.register_with_unit("sandbox_startup", "Making a sandbox for a preview", Unit::Seconds, startup);
        registry.register_with_unit("sandbox_execute", "Running a preview's guest", Unit::Seconds, execute);
        registry.register("tasks", "Tasks that are queued or running", metrics.tasks.clone());
        registry.register("sandboxes_running", "Attempts on a sandbox thread", metrics.sandboxes_running.clone());
        registry.register("sandboxes_waiting", "Attempts that wait for one", metrics.sandboxes_waiting.clone());
        registry.register("sandboxes_live", "Sandboxes that hold memory", metrics.sandboxes_live.clone());
        let used = metrics.memory_used.clone();
        registry.register_with_unit("sandbox_memory_used", "Memory charged to sandboxes", Unit::Bytes, used);
        let budget = metrics.memory_budget.clone();
        registry.register_with_unit(
            "sandbox_memory_budget",
            "Memory that sandboxes may use together",
            Unit::Bytes,
            budget,
        );
        let dropped = metrics.usage_dropped.clone();
        registry.register("preview_usage_dropped", "Usage rows of previews that could not be kept", dropped);
        Self { registry, ..metrics }
    }

    /// A response's headers are ready. `route` is the pattern, never the path.
    pub fn request(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let labels = RequestLabels { route: route.to_owned(), method, status };
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A preview has ended.
    pub fn preview(&self, state: TaskState, error_kind: Option<ErrorKind>, usage: &Usage) {
        let error_kind = error_kind.map_or("", ErrorKind::as_str);
        self.previews.get_or_create(&StateLabels { state: state.as_str(), error_kind }).inc();
        let labels = LaneLabels { lane: Lane::HighPriority.as_str() };
        self.startup.get_or_create(&labels).observe(usage.startup_ms / 1e3);
        self.execute.get_or_create(&labels).observe(usage.execute_ms / 1e3);
    }

    /// The whole page, with the gauges as they are now.
    pub fn page(&self, now: &Snapshot) -> String {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        for (lane, queued, running) in &now.tasks {
            for (state, count) in [(TaskState::Queued, queued), (TaskState::Running, running)] {
                let labels = TaskLabels { lane: lane.as_str(), state: state.as_str() };
                self.tasks.get_or_create(&labels).set(signed(*count));
            }
        }
        for (lane, running, waiting) in &now.sandboxes {
            let labels = LaneLabels { lane: lane.as_str() };
            self.sandboxes_running.get_or_create(&labels).set(signed(*running));
            self.sandboxes_waiting.get_or_create(&labels).set(signed(*waiting));
        }
        self.memory_used.set(signed(now.memory_used_bytes));
        self.memory_budget.set(signed(now.memory_budget_bytes));
        self.sandboxes_live.set(signed(now.sandboxes_live));
        self.usage_dropped.set(signed(now.preview_usage_dropped));
        let mut page = String::new();
        if let Err(error) = encode(&mut page, &self.registry) {
            tracing::error!(error = %error, "metrics.page: could not be written");
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_was_counted() {
        let metrics = Metrics::new();
        metrics.request("/v1/tasks/{id}", "GET", 200, Duration::from_millis(3));
        let usage = Usage { execute_ms: 5000.0, ..Usage::default() };
        metrics.preview(TaskState::Failed, Some(ErrorKind::Timeout), &usage);
        let snapshot = Snapshot { tasks: vec![(Lane::Default, 4, 2)], memory_used_bytes: 7, ..Snapshot::default() };
        let page = metrics.page(&snapshot);
        let lines = [
            "mecapy_http_request_seconds_count{route=\"/v1/tasks/{id}\",method=\"GET\",status=\"200\"} 1",
            "mecapy_previews_total{state=\"failed\",error_kind=\"timeout\"} 1",
            "mecapy_tasks{lane=\"default\",state=\"queued\"} 4",
            "mecapy_sandbox_memory_used_bytes 7",
            "mecapy_sandbox_execute_seconds_sum{lane=\"high_priority\"} 5.0",
        ];
        for line in lines {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
    }
}
