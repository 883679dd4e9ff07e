//! Python sources in sandboxes of the interpreter's images, with the host's kernels of linear algebra or without.

use crate::bench::bench;
use mecapy_model::{Kernels, Lane, LimitsRequest, NonFinite, Outcome, TenantId};
use mecapy_runtime::{Attempt, Cancel, InputFile, Job, Program};
use std::{
    sync::{Arc, mpsc},
    time::Duration,
};
use time::macros::datetime;

/// Until a computation has ended, at most.
const PATIENCE: Duration = Duration::from_secs(150);
const SEED: u64 = 7;
const IMAGE: &str = "sci";
const MEMORY_BYTES: u64 = 1 << 30;

/// A source whose `main` is called, and with what.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) source: Arc<str>,
    /// A JSON object.
    pub(crate) inputs: String,
    pub(crate) files: Vec<InputFile>,
    pub(crate) limits: LimitsRequest,
}

/// A call that was submitted.
pub(crate) struct Pending(mpsc::Receiver<Outcome>);

impl Call {
    /// Submits it: two run at a time, the others wait.
    pub(crate) fn submit(&self, kernels: Kernels) -> Pending {
        let (tell, told) = mpsc::channel();
        let image = bench().interpreter.image(IMAGE).unwrap();
        let job = Job {
            program: Program::Python { image, source: Arc::clone(&self.source), entry: Some(Arc::from("main")) },
            attempt: Attempt {
                inputs: Arc::from(self.inputs.as_str()),
                files: self.files.clone(),
                limits: self.limits.resolve(Lane::Default).unwrap(),
                seed: SEED,
                non_finite: NonFinite::Reject,
                kernels,
                wall_clock: datetime!(2026-01-02 03:04:05 UTC),
            },
            lane: Lane::Default,
            tenant: TenantId::from_parts(0, &[0; 10]),
            cancel: Cancel::new(),
            observer: None,
            done: Box::new(move |outcome| drop(tell.send(outcome))),
        };
        bench().sandboxes.submit(job).unwrap();
        Pending(told)
    }
}

impl Pending {
    pub(crate) fn outcome(self) -> Outcome {
        self.0.recv_timeout(PATIENCE).unwrap()
    }
}

/// What is enough for any of these computations.
pub(crate) const LIMITS: LimitsRequest =
    LimitsRequest { timeout_ms: Some(120_000), memory_bytes: Some(MEMORY_BYTES), fuel: None, cpus: None };
