//! Batches: one computation for many inputs.

use super::{Answer, Client, ClientError, Events, ServerSentEvent, events::Told};
use mecapy_model::{BatchId, BatchState, TaskState, Warning};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// A body of 100 000 items is read, checked and kept before it is answered.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(180);
/// All items are gone through for a summary.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(120);

/// A batch as the server shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct BatchAnswer {
    pub id: BatchId,
    #[serde(default)]
    pub name: Option<String>,
    pub state: BatchState,
    #[serde(flatten)]
    pub counts: BatchCounts,
    #[serde(default)]
    pub warnings: Vec<Warning>,
    pub created_at: String,
}

/// How many items are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct BatchCounts {
    pub total: u64,
    #[serde(default)]
    pub running: u64,
    #[serde(default)]
    pub completed: u64,
    #[serde(default)]
    pub failed: u64,
    #[serde(default)]
    pub cancelled: u64,
}

impl BatchCounts {
    /// Items that have ended, however that was.
    pub(crate) fn ended(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }
}

/// How a batch stands, all counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct BatchEvent {
    pub state: BatchState,
    #[serde(flatten)]
    pub counts: BatchCounts,
    #[serde(skip)]
    is_last: bool,
}

impl Told for BatchEvent {
    fn read(received: &ServerSentEvent) -> Option<Self> {
        let is_last = match received.event.as_str() {
            "state" | "progress" => false,
            "done" => true,
            _ => return None,
        };
        let event: Self = serde_json::from_str(&received.data).ok()?;
        Some(Self { is_last, ..event })
    }

    fn is_last(&self) -> bool {
        self.is_last
    }
}

/// One item with what became of it.
#[derive(Debug, Deserialize)]
pub(crate) struct ItemRow {
    pub index: u64,
    pub state: TaskState,
    pub inputs: Box<RawValue>,
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
    #[serde(default)]
    pub error: Option<ItemError>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ItemError {
    pub kind: String,
    pub message: String,
}

#[derive(Debug, Deserialize)]
struct ItemPage {
    items: Vec<ItemRow>,
}

/// What the numbers of the results are like.
#[derive(Debug, Deserialize)]
pub(crate) struct SummaryAnswer {
    #[serde(default)]
    pub fields: Vec<FieldSummary>,
}

/// One numeric field of the results.
#[derive(Debug, Deserialize)]
pub(crate) struct FieldSummary {
    /// As in `result.stress`.
    pub field: String,
    pub count: u64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    #[serde(default)]
    pub std: Option<f64>,
    /// The first items that have the least and the most.
    pub min_index: u64,
    pub max_index: u64,
}

impl Client {
    /// Submits a batch; the idempotency key makes it safe to try again where the answer was lost.
    pub(crate) async fn submit_batch(
        &self,
        body: &RawValue,
        idempotency_key: &str,
    ) -> Result<Answer<BatchAnswer>, ClientError> {
        self.post_once("/v1/batches", body, idempotency_key, SUBMIT_TIMEOUT).await
    }

    pub(crate) async fn batch(&self, id: BatchId) -> Result<Answer<BatchAnswer>, ClientError> {
        self.answer(self.get(&batch_path(id))).await
    }

    /// How the batch goes on, until it has ended.
    pub(crate) fn batch_events(&self, id: BatchId) -> Events<'_, BatchEvent> {
        Events::new(self, format!("{}/events", batch_path(id)))
    }

    /// The first items, in their order.
    pub(crate) async fn first_items(&self, id: BatchId, limit: usize) -> Result<Vec<ItemRow>, ClientError> {
        let request = self.get(&format!("{}/results?limit={limit}", batch_path(id)));
        Ok(self.answer::<ItemPage>(request).await?.value.items)
    }

    pub(crate) async fn batch_summary(&self, id: BatchId) -> Result<Answer<SummaryAnswer>, ClientError> {
        self.answer(self.get(&format!("{}/summary", batch_path(id))).timeout(SUMMARY_TIMEOUT)).await
    }

    /// Stops what has not ended of it.
    pub(crate) async fn cancel_batch(&self, id: BatchId) -> Result<Answer<BatchAnswer>, ClientError> {
        self.post(&format!("{}/cancel", batch_path(id))).await
    }

    /// Runs again what failed or was cancelled of it.
    pub(crate) async fn retry_batch(&self, id: BatchId) -> Result<Answer<BatchAnswer>, ClientError> {
        self.post(&format!("{}/retry", batch_path(id))).await
    }

    pub(crate) async fn delete_batch(&self, id: BatchId) -> Result<(), ClientError> {
        self.delete(&batch_path(id)).await
    }
}

/// The path of a batch.
pub(super) fn batch_path(id: BatchId) -> String {
    format!("/v1/batches/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_counts_and_the_last_one_is_known() {
        let event = |name: &str, data: &str| {
            BatchEvent::read(&ServerSentEvent { id: None, event: name.to_owned(), data: data.to_owned() })
        };
        let data = r#"{"state":"running","total":10,"queued":4,"running":1,"completed":3,"failed":2,"cancelled":0,"fraction":0.5}"#;
        let read = event("progress", data).unwrap();
        assert_eq!((read.counts.total, read.counts.ended(), read.is_last()), (10, 5, false));
        assert!(event("done", data).unwrap().is_last());
        assert_eq!(event("weather", data), None);
        assert_eq!(event("state", "{}"), None);
    }
}
