//! The machine that the figures belong to.

use serde_json::{Value, json};
use std::{fs, thread};

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    processor: String,
    kernel: String,
    memory_bytes: u64,
    /// One minute's average when the bench began: above zero, somebody else was at work.
    load: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
            line.split_once(':').map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_bytes: memory.trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) << 10,
            load: read("/proc/loadavg").split_whitespace().next().unwrap_or("unknown").to_owned(),
        }
    }

    pub(crate) fn line(&self) -> String {
        let memory = self.memory_bytes as f64 / f64::from(1 << 30);
        format!(
            "{} cores of {}, {memory:.1} GiB, Linux {}; load average at the start {}",
            self.cores, self.processor, self.kernel, self.load
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores, "processor": self.processor, "kernel": self.kernel,
            "memory_bytes": self.memory_bytes, "load_at_start": self.load,
        })
    }
}
