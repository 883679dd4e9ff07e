//! Hints, and the messages that carry them.

use mecapy_model::{BatchId, Lane, TaskId, TenantId};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Messages of another version are not understood.
const VERSION: u32 = 1;
/// A larger message is not read.
pub(super) const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// What is worth a look. It may be false, late, or said twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// Something was queued in this lane.
    Lane(Lane),
    /// Something was queued in this lane that runs in a container.
    Containers(Lane),
    /// The rows of these tasks or workflow runs changed; `true` where the task has ended.
    Tasks(Vec<(TaskId, bool)>),
    /// A running task was asked to stop.
    Cancel { task: TaskId },
    /// Keys, tenants or quotas changed.
    Access,
    /// A tenant has events up to this number.
    Tenant { tenant: TenantId, seq: u64 },
    /// The row of a batch changed, so many times by now.
    Batch { batch: BatchId, seq: u64 },
    /// Deliveries of webhooks wait.
    Deliveries,
    /// Workflow runs have something to do.
    Runs,
    /// Hints may have been lost: look at everything once.
    Everything,
}

/// What one `PUBLISH` carries; without hints it is a heartbeat.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Message {
    v: u32,
    pub(super) from: Uuid,
    #[serde(deserialize_with = "known")]
    pub(super) hints: Vec<Hint>,
}

/// Leaves out what this program doesn't know: processes of several versions share a bus while they are brought up to
/// date, and look at the rows anyway.
fn known<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<Hint>, D::Error> {
    let hints = Vec::<&RawValue>::deserialize(list)?;
    Ok(hints.into_iter().filter_map(|hint| serde_json::from_str(hint.get()).ok()).collect())
}

impl Message {
    pub(super) fn new(from: Uuid, hints: Vec<Hint>) -> Self {
        Self { v: VERSION, from, hints }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Plain data has no way to fail; and nobody minds an empty message.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` for what no process of this version wrote.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let payload = Some(payload).filter(|payload| payload.len() <= MESSAGE_BYTES_MAX)?;
        serde_json::from_slice(payload).ok().filter(|message: &Message| message.v == VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_compact_json_and_comes_back_as_it_went() {
        let (task, tenant) = (TaskId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let hints = vec![
            Hint::Lane(Lane::HighPriority),
            Hint::Containers(Lane::LongRunning),
            Hint::Tasks(vec![(task, true)]),
            Hint::Cancel { task },
            Hint::Access,
            Hint::Tenant { tenant, seq: 7 },
            Hint::Batch { batch: BatchId(Uuid::from_u128(3)), seq: 8 },
            Hint::Deliveries,
            Hint::Runs,
            Hint::Everything,
        ];
        let encoded = Message::new(Uuid::nil(), hints.clone()).encode();
        assert_eq!(
            String::from_utf8(encoded.clone()).unwrap(),
            "{\"v\":1,\"from\":\"00000000-0000-0000-0000-000000000000\",\"hints\":[{\"lane\":\"high_priority\"},\
             {\"containers\":\"long_running\"},{\"tasks\":[[\"00000000-0000-0000-0000-000000000001\",true]]},\
             {\"cancel\":{\"task\":\"00000000-0000-0000-0000-000000000001\"}},\"access\",\
             {\"tenant\":{\"tenant\":\"00000000-0000-0000-0000-000000000002\",\"seq\":7}},\
             {\"batch\":{\"batch\":\"00000000-0000-0000-0000-000000000003\",\"seq\":8}},\"deliveries\",\"runs\",\"everything\"]}"
        );
        assert_eq!(Message::decode(&encoded).unwrap().hints, hints);
    }

    #[test]
    fn what_another_version_says_is_left_out_and_the_rest_is_heard() {
        let id = "\"from\":\"00000000-0000-0000-0000-000000000000\"";
        let unknown = [
            "\"workers\"",
            "{\"weather\":{\"wind\":[1,2]}}",
            "null",
            "{\"tasks\":[[\"no-id\",true]]}",
            "{\"tenant\":{\"tenant\":null,\"seq\":-1}}",
        ];
        for hint in unknown {
            let message = format!("{{\"v\":1,{id},\"hints\":[\"access\",{hint},\"everything\"]}}");
            assert_eq!(Message::decode(message.as_bytes()).unwrap().hints, [Hint::Access, Hint::Everything], "{hint}");
        }
    }

    #[test]
    fn what_is_no_message_of_this_version_is_none() {
        let id = "\"from\":\"00000000-0000-0000-0000-000000000000\"";
        let large = format!("{{\"v\":1,{id},\"hints\":[]{}}}", " ".repeat(MESSAGE_BYTES_MAX));
        let deep = "[".repeat(100_000);
        let rows = [
            "",
            "null",
            "[]",
            "{}",
            "\u{0}\u{ff}",
            &format!("{{\"v\":2,{id},\"hints\":[]}}"),
            &format!("{{\"v\":1,{id},\"hints\":null}}"),
            &format!("{{\"v\":1,{id},\"hints\":[\"access\"}}"),
            "{\"v\":1,\"from\":\"x\",\"hints\":[]}",
            &large,
            &deep,
        ];
        for row in rows {
            assert!(Message::decode(row.as_bytes()).is_none(), "{row:.80} was read");
        }
        assert!(Message::decode(b"\xff\xfe").is_none());
    }
}
