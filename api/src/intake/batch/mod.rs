//! A batch's request: one computation, and many sets of inputs for it.

mod asked;
mod items;
#[cfg(test)]
mod tests;

use super::{Rejected, lookup::Intake};
use crate::{
    functions::Call,
    json::{Faults, Path, check},
    packages::FunctionReference,
};
use asked::{Asked, Source, read};
use mecapy_model::{Code, Fault, Retry};
use mecapy_store::{BatchSource, Idempotency, NewBatch};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use tokio::task::spawn_blocking;

/// What is done with items whose inputs don't fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum InvalidItems {
    /// The batch is refused.
    #[default]
    Reject,
    /// They end with an error of their own, when it is their turn.
    Record,
}

impl Intake<'_> {
    /// Accepts the batch that `body` asks for, and reads it on a thread that may block: it may be long. `key` is the
    /// request's idempotency key; so many tasks of the tenant may be queued as `queued_max` says, where its quota doesn't.
    ///
    /// Uploads are left to the store where nothing else is wrong, as those of a task.
    ///
    /// # Errors
    /// All faults of the request together, those of items at `/items/17/inputs/d`.
    pub async fn batch<B>(&self, body: B, key: Option<String>, queued_max: u32) -> Result<NewBatch, Rejected>
    where
        B: AsRef<[u8]> + Send + Sync + 'static,
    {
        let seed = self.new_seed();
        let reading = spawn_blocking(move || {
            let text = check(body.as_ref()).map_err(Rejected::Malformed)?;
            let mut faults = Faults::default();
            let asked = read(text, seed, &mut faults);
            let idempotency = key.map(|key| Idempotency { key, body_digest: Sha256::digest(body.as_ref()).into() });
            Ok::<_, Rejected>((asked, faults, idempotency))
        });
        let (asked, mut faults, idempotency) = reading.await.map_err(|_| Rejected::interrupted())??;
        let Some(mut asked) = asked else { return Err(Rejected::Invalid(faults.into_vec())) };
        let readable = faults.is_empty();
        if let Some(reference) = asked.function.take() {
            asked.code = self.function_of(&reference, &mut asked, &mut faults).await?;
        }
        if let Some(study) = asked.study {
            self.check_study_exists(study, &mut faults).await?;
        }
        let analysis = match &asked.code {
            Some(code) => self.check_code(code, &mut faults).await?,
            None => None,
        };
        if readable && !faults.is_empty() {
            self.check_files(&asked.files, &BTreeSet::new(), &mut faults).await?;
        }
        asked.warnings.extend(analysis.iter().flat_map(|analysis| analysis.warnings.iter().cloned()));
        // Its chunks are a sandbox's, so that a source must be compiled before they are queued.
        if faults.is_empty()
            && let Some(code) = asked.code.take()
        {
            asked.code = Some(self.with_module_soon(code, &mut asked.warnings).await?);
        }
        match self.new_batch(asked, idempotency, queued_max) {
            Some(batch) if faults.is_empty() => Ok(batch),
            _ => Err(Rejected::Invalid(faults.into_vec())),
        }
    }

    /// The function's code, pinned, after its items were checked by its ports.
    async fn function_of(
        &self,
        reference: &FunctionReference,
        asked: &mut Asked,
        faults: &mut Faults,
    ) -> Result<Option<Code>, Rejected> {
        let call = match self.functions.find(self.viewer, reference).await? {
            Ok(call) => call,
            Err(missing) => {
                let root = Path::Root;
                faults.at(root.key("code").key("function"), "unknown_function", missing.to_string());
                return Ok(None);
            }
        };
        let code = call.code();
        if asked.invalid_items == InvalidItems::Reject
            && let Some(source) = asked.source.take()
        {
            let files: Vec<String> = asked.files.keys().cloned().collect();
            let checking = spawn_blocking(move || {
                let found = check_items(&call, &files, &source);
                (source, found)
            });
            let (source, found) = checking.await.map_err(|_| Rejected::interrupted())?;
            asked.source = Some(source);
            found.into_iter().for_each(|fault| faults.add(fault));
        }
        Ok(code)
    }

    fn new_batch(&self, asked: Asked, idempotency: Option<Idempotency>, queued_max: u32) -> Option<NewBatch> {
        let total = asked.source.as_ref()?.total();
        Some(NewBatch {
            tenant: self.tenant,
            name: asked.name,
            code: asked.code?,
            lane: asked.lane,
            priority: asked.priority,
            limits: asked.limits?,
            retry: Retry::default(),
            seed: asked.seed,
            non_finite: asked.non_finite,
            kernels: asked.kernels,
            files: asked.files,
            labels: asked.labels,
            study: asked.study,
            isolation: asked.isolation,
            on_error: asked.on_error,
            source: match asked.source? {
                Source::Sweep(sweep) => BatchSource::Sweep(sweep.to_json()),
                Source::Items { chunks, .. } => BatchSource::Items(chunks),
            },
            total,
            warnings: asked.warnings,
            idempotency,
            queued_max,
        })
    }
}

/// What is wrong with the inputs of items by the function's ports, where the request has them.
fn check_items(call: &Call, files: &[String], source: &Source) -> Vec<Fault> {
    let files: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    let mut faults = Faults::default();
    match source {
        Source::Items { .. } => source.each(|index, inputs| {
            if let Err(found) = checked(call, inputs, &files) {
                for fault in found {
                    let pointer = match fault.pointer.strip_prefix("/inputs") {
                        Some(rest) => format!("/items/{index}/inputs{rest}"),
                        None => fault.pointer.clone(),
                    };
                    faults.add(Fault { pointer, ..fault });
                }
            }
            !faults.is_full()
        }),
        Source::Sweep(sweep) => {
            let axes: BTreeSet<&str> = sweep.axes().collect();
            // One bad value of a grid is in many items: it is told once.
            let mut told = BTreeSet::new();
            source.each(|index, inputs| {
                for mut fault in checked(call, inputs, &files).err().unwrap_or_default() {
                    if let Some(rest) = fault.pointer.strip_prefix("/inputs/")
                        && rest.split('/').next().is_some_and(|name| axes.contains(name))
                    {
                        fault.pointer = format!("/sweep/{rest}");
                    }
                    fault.message.push_str(&format!(" (item {index}: {})", shortened(inputs)));
                    if told.insert((fault.pointer.clone(), fault.code.clone())) {
                        faults.add(fault);
                    }
                }
                !faults.is_full()
            });
        }
    }
    faults.into_vec()
}

fn checked(call: &Call, inputs: &str, files: &BTreeSet<&str>) -> Result<(), Vec<Fault>> {
    match serde_json::from_str(inputs) {
        Ok(inputs) => call.inputs(inputs, files).map(drop),
        Err(_) => Err(vec![Fault::new("/inputs", "malformed", "these inputs are no JSON")]),
    }
}

/// Inputs for a message.
fn shortened(inputs: &str) -> String {
    const CHARS_MAX: usize = 120;
    let mut text: String = inputs.chars().take(CHARS_MAX).collect();
    if text.len() < inputs.len() {
        text.push('…');
    }
    text
}
