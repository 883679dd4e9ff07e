//! One run of the program: in a new native process or in a new sandbox.

use super::cases::Case;
use crate::{
    http::{Call, Connection},
    peers::in_venv,
};
use anyhow::{Context, Result, bail, ensure};
use mecapy_tests::{merge, python};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

const PROGRAM: &str = include_str!("../../../../bench/kernels.py");
/// A run begins no other computation when it has computed for so long.
const SECONDS_MAX: f64 = 1.5;
/// Without kernels the frame takes minutes, and more than a task of the `default` lane may ask for on a slow machine.
const NATIVE: Place = Place { kernels: "native", lane: "default", timeout_ms: 300_000, cpus: 1 };
const WASM: Place = Place { kernels: "wasm", lane: "long_running", timeout_ms: 1_800_000, cpus: 1 };
/// The factors of the frame take about one gibibyte, and as much again while they grow.
const MEMORY_BYTES: u64 = 3 << 30;
const WAIT_SECONDS: u32 = 60;
/// Beside the size of what was asked for: wrong results are not timed.
const ERROR_MAX: f64 = 1e-9;

/// Who computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Native Python with its own OpenBLAS.
    Peer,
    /// A sandbox with the host's kernels.
    Native,
    /// The same on all cores of the machine.
    Cores,
    /// A sandbox without.
    Wasm,
}

/// How a task is submitted.
struct Place {
    kernels: &'static str,
    lane: &'static str,
    timeout_ms: u64,
    cpus: usize,
}

/// What is asked of the program.
pub(super) struct Run {
    inputs: Value,
}

/// What came of it.
pub(super) struct Done {
    pub(super) milliseconds: Vec<f64>,
    /// A sandbox's own, as its task tells it; null from a native process.
    pub(super) usage: Value,
}

impl By {
    pub(super) const ALL: [By; 4] = [By::Peer, By::Native, By::Cores, By::Wasm];

    /// The row of this one for a computation.
    pub(super) fn key(self, case: &str) -> String {
        match self {
            By::Peer => format!("{case}.peer"),
            By::Native => case.to_owned(),
            By::Cores => format!("{case}.cores"),
            By::Wasm => format!("{case}.wasm"),
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            By::Peer => "native Python",
            By::Native => "sandbox",
            By::Cores => "on all cores",
            By::Wasm => "without kernels",
        }
    }

    /// How many rounds of a computation it takes part in.
    pub(super) fn rounds(self, case: &Case) -> usize {
        match self {
            By::Peer | By::Native => case.rounds,
            By::Cores => case.cores_rounds,
            By::Wasm => case.wasm_rounds,
        }
    }
}

impl Run {
    pub(super) fn of(case: &Case) -> Self {
        Self { inputs: inputs(case.name, case.size, case.times, SECONDS_MAX) }
    }

    /// So many computations after the first, however long they take.
    pub(super) fn exactly(name: &str, size: u32, times: u32) -> Self {
        Self { inputs: inputs(name, size, times, f64::from(u32::MAX)) }
    }

    pub(super) async fn by(&self, by: By, connection: &mut Connection) -> Result<Done> {
        match by {
            By::Peer => self.in_a_process(),
            By::Native => self.in_a_sandbox(&NATIVE, connection).await,
            By::Cores => {
                // The most that a task may ask for is 64.
                let cpus = std::thread::available_parallelism().map_or(1, usize::from).min(64);
                self.in_a_sandbox(&Place { cpus, ..NATIVE }, connection).await
            }
            By::Wasm => self.in_a_sandbox(&WASM, connection).await,
        }
    }

    fn in_a_process(&self) -> Result<Done> {
        let text = serde_json::to_string(&self.inputs.to_string())?;
        let program = format!("{PROGRAM}\n\nimport json\nprint(json.dumps(main(**json.loads({text}))))\n");
        let mut command = Command::new(in_venv("python")?);
        command.args(["-c", &program]).stdin(Stdio::null());
        for threads in ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"] {
            command.env(threads, "1");
        }
        let done = command.output()?;
        ensure!(done.status.success(), "native Python failed: {}", String::from_utf8_lossy(&done.stderr));
        done_of(&serde_json::from_slice(&done.stdout)?, Value::Null)
    }

    async fn in_a_sandbox(&self, place: &Place, connection: &mut Connection) -> Result<Done> {
        let mut body = python(PROGRAM);
        let Place { kernels, lane, timeout_ms, cpus } = *place;
        let limits = json!({"timeout_ms": timeout_ms, "memory_bytes": MEMORY_BYTES, "cpus": cpus});
        merge(&mut body, json!({"inputs": self.inputs, "lane": lane, "limits": limits, "kernels": kernels}));
        // A result of an earlier round would tell that one's times.
        merge(&mut body, json!({"cache": "off"}));
        let reply = connection.exchange(&Call::post("/v1/tasks", &body)).await?;
        ensure!(reply.status.as_u16() == 202, "the task was refused: {} {}", reply.status, reply.text());
        let id = reply.task_id()?;
        let wait = Call::get(format!("/v1/tasks/{id}/result?wait={WAIT_SECONDS}"));
        let mut reply = connection.exchange(&wait).await?;
        while reply.status.as_u16() == 409 {
            reply = connection.exchange(&wait).await?;
        }
        let task = connection.json(&Call::get(format!("/v1/tasks/{id}"))).await?;
        if !reply.completed() {
            let of = |pointer| task.pointer(pointer).and_then(Value::as_str).unwrap_or("unknown");
            bail!("not to be had in a sandbox: {}: {}", of("/error/kind"), of("/error/message"));
        }
        let usage = task.get("usage").context("a task that ended has no usage")?.clone();
        let calls = usage.pointer("/kernels/calls").and_then(Value::as_u64).unwrap_or(0);
        ensure!(
            (calls > 0) == (place.kernels == NATIVE.kernels),
            "kernels: {kernels}, and {calls} calls of the host's"
        );
        let answer: Value = serde_json::from_slice(&reply.body)?;
        done_of(answer.get("result").context("no result")?, usage)
    }
}

fn inputs(case: &str, size: u32, times: u32, seconds_max: f64) -> Value {
    json!({"case": case, "size": size, "times": times, "seconds_max": seconds_max})
}

fn done_of(result: &Value, usage: Value) -> Result<Done> {
    let error = result.get("error").and_then(Value::as_f64).context("no error is told")?;
    ensure!(error < ERROR_MAX, "wrong result: {result}");
    let times = result.get("milliseconds").and_then(Value::as_array).context("no times are told")?;
    Ok(Done { milliseconds: times.iter().filter_map(Value::as_f64).collect(), usage })
}
