//! What a container is labelled with, so that a worker which starts again finds it.

use mecapy_model::{TaskId, TenantId};
use std::collections::HashMap;
use time::OffsetDateTime;

const OWNER: &str = "mecapy.owner";
const TASK: &str = "mecapy.task";
const TENANT: &str = "mecapy.tenant";
const ATTEMPT: &str = "mecapy.attempt";
const FENCE: &str = "mecapy.fence";
const DEADLINE: &str = "mecapy.deadline";
const LOG_OFFSET: &str = "mecapy.log-offset";
const OUTPUT_BYTES_MAX: &str = "mecapy.output-bytes-max";

/// The claim that an attempt runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub task: TaskId,
    pub tenant: TenantId,
    /// From 1; may be the same again under a higher fence.
    pub attempt: u32,
    pub fence: u64,
    /// When the run is to be stopped, kept to the millisecond.
    pub deadline: OffsetDateTime,
    /// How much log the task had before this attempt.
    pub log_offset: u64,
}

impl Claim {
    /// What the attempt's volume and control group are called: one path component, the same for no two claims.
    pub fn key(&self) -> String {
        format!("{}-{}-{}", self.task, self.attempt, self.fence)
    }

    /// What its container is called: two claims of one attempt can't both have one.
    pub(super) fn container_name(&self) -> String {
        format!("mecapy-{}-{}", self.task, self.attempt)
    }

    pub(super) fn labels(&self, owner: &str, output_bytes_max: u64) -> HashMap<String, String> {
        let deadline_ms = self.deadline.unix_timestamp_nanos() / 1_000_000;
        [
            (OWNER, owner.to_owned()),
            (TASK, self.task.to_string()),
            (TENANT, self.tenant.to_string()),
            (ATTEMPT, self.attempt.to_string()),
            (FENCE, self.fence.to_string()),
            (DEADLINE, deadline_ms.to_string()),
            (LOG_OFFSET, self.log_offset.to_string()),
            (OUTPUT_BYTES_MAX, output_bytes_max.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    fn parse(labels: &HashMap<String, String>) -> Option<Self> {
        let deadline_ms: i64 = labels.get(DEADLINE)?.parse().ok()?;
        Some(Self {
            task: labels.get(TASK)?.parse().ok()?,
            tenant: labels.get(TENANT)?.parse().ok()?,
            attempt: labels.get(ATTEMPT)?.parse().ok()?,
            fence: labels.get(FENCE)?.parse().ok()?,
            deadline: OffsetDateTime::from_unix_timestamp_nanos(i128::from(deadline_ms) * 1_000_000).ok()?,
            log_offset: labels.get(LOG_OFFSET)?.parse().ok()?,
        })
    }
}

/// The filter that finds an owner's containers.
pub(super) fn owned_by(owner: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{OWNER}={owner}")])])
}

/// Whether these are the labels of an owner's container.
pub(super) fn is_of(owner: &str, labels: &HashMap<String, String>) -> bool {
    labels.get(OWNER).is_some_and(|of| of == owner)
}

/// A container of ours, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The engine's id of it.
    pub id: String,
    /// `None` where its labels are not what we write: nobody can adopt it.
    pub claim: Option<Claim>,
    /// Whether it runs: if not, it has ended, or was never started.
    pub running: bool,
    pub(super) output_bytes_max: u64,
}

impl Found {
    pub(super) fn new(id: String, labels: &HashMap<String, String>, running: bool) -> Self {
        let output_bytes_max = labels.get(OUTPUT_BYTES_MAX).and_then(|text| text.parse().ok());
        let claim = Claim::parse(labels).filter(|_| output_bytes_max.is_some());
        Self { id, claim, running, output_bytes_max: output_bytes_max.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_give_the_claim_back_and_others_give_none() {
        let claim = Claim {
            task: TaskId::from_parts(1_700_000_000_000, &[1; 10]),
            tenant: TenantId::from_parts(1, &[2; 10]),
            attempt: 3,
            fence: 7,
            deadline: OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap(),
            log_offset: 4096,
        };
        let mut labels = claim.labels("here", 99);
        assert!(labels.keys().all(|name| name.starts_with("mecapy.")));
        let found = Found::new("id".to_owned(), &labels, true);
        assert_eq!((found.claim, found.output_bytes_max), (Some(claim), 99));
        assert!(is_of("here", &labels) && !is_of("there", &labels) && !is_of("here", &HashMap::new()));
        labels.insert(FENCE.to_owned(), "seven".to_owned());
        assert_eq!(Found::new("id".to_owned(), &labels, true).claim, None);
    }
}
