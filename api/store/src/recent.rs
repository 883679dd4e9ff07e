//! Tasks that were accepted or ended lately, kept so that whoever waits for one is answered without a read.
//!
//! Holds only what is committed; what it doesn't know has to be read.

use mecapy_model::{TaskId, TaskState, TenantId};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How much of results and errors is kept, in bytes.
const ENDED_BYTES_MAX: usize = 32 << 20;
/// A larger result is not kept.
const ONE_BYTES_MAX: usize = 1 << 20;
/// Places of deleted tasks that stay in the order, beside one for each task that is kept.
const EMPTY_PLACES_MAX: usize = 1_024;
/// What a kept task costs beside its texts, in bytes, roughly.
const ENTRY_BYTES: usize = 256;

/// How a task ended, as JSON texts.
#[derive(Debug, Clone)]
pub(crate) struct EndedTask {
    pub(crate) tenant: TenantId,
    pub(crate) state: TaskState,
    pub(crate) result: Option<Arc<str>>,
    /// The result is an object: it has to be read.
    pub(crate) by_reference: bool,
    pub(crate) error: Option<Arc<str>>,
}

/// What is known of a task without reading.
#[derive(Debug)]
pub(crate) enum Known {
    /// It has not ended.
    Live,
    Ended(EndedTask),
    Nothing,
}

#[derive(Debug, Default)]
pub(crate) struct Recent {
    live: HashMap<TaskId, TenantId>,
    ended: HashMap<TaskId, EndedTask>,
    oldest_first: VecDeque<TaskId>,
    bytes: usize,
}

impl Recent {
    pub(crate) fn accepted(&mut self, task: TaskId, tenant: TenantId) {
        self.live.insert(task, tenant);
    }

    pub(crate) fn ended(&mut self, task: TaskId, ended: EndedTask) {
        self.live.remove(&task);
        if ended.by_reference || bytes_of(&ended) > ONE_BYTES_MAX {
            return;
        }
        self.bytes += bytes_of(&ended);
        self.ended.insert(task, ended);
        self.oldest_first.push_back(task);
        while self.bytes > ENDED_BYTES_MAX {
            let Some(oldest) = self.oldest_first.pop_front() else { break };
            self.drop_ended(oldest);
        }
    }

    pub(crate) fn deleted(&mut self, task: TaskId) {
        // Its place in the order stays for now: taking it out would mean a search.
        self.drop_ended(task);
        if self.oldest_first.len() > 2 * self.ended.len() + EMPTY_PLACES_MAX {
            self.oldest_first.retain(|task| self.ended.contains_key(task));
        }
    }

    pub(crate) fn known(&self, tenant: TenantId, task: TaskId) -> Known {
        if self.live.get(&task) == Some(&tenant) {
            return Known::Live;
        }
        match self.ended.get(&task) {
            Some(ended) if ended.tenant == tenant => Known::Ended(ended.clone()),
            _ => Known::Nothing,
        }
    }

    fn drop_ended(&mut self, task: TaskId) {
        if let Some(ended) = self.ended.remove(&task) {
            self.bytes = self.bytes.saturating_sub(bytes_of(&ended));
        }
    }
}

fn bytes_of(ended: &EndedTask) -> usize {
    let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
    ENTRY_BYTES + length(&ended.result) + length(&ended.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: u8) -> TaskId {
        TaskId::from_parts(u64::from(number), &[number; 10])
    }

    fn ended(tenant: TenantId, bytes: usize) -> EndedTask {
        EndedTask {
            tenant,
            state: TaskState::Completed,
            result: Some("x".repeat(bytes).into()),
            by_reference: false,
            error: None,
        }
    }

    #[test]
    fn another_tenant_learns_nothing_and_a_deleted_task_is_forgotten() {
        let (mine, other) = (TenantId::from_parts(1, &[1; 10]), TenantId::from_parts(1, &[2; 10]));
        let mut recent = Recent::default();
        recent.accepted(task(1), mine);
        assert!(matches!(recent.known(mine, task(1)), Known::Live));
        assert!(matches!(recent.known(other, task(1)), Known::Nothing));
        recent.ended(task(1), ended(mine, 10));
        assert!(matches!(recent.known(mine, task(1)), Known::Ended(_)));
        assert!(matches!(recent.known(other, task(1)), Known::Nothing));
        recent.deleted(task(1));
        assert!(matches!(recent.known(mine, task(1)), Known::Nothing));
        assert_eq!(recent.bytes, 0);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let tenant = TenantId::from_parts(1, &[1; 10]);
        let mut recent = Recent::default();
        for number in 0..100 {
            recent.ended(task(number), ended(tenant, 900 << 10));
            assert!(recent.bytes <= ENDED_BYTES_MAX);
        }
        assert!(matches!(recent.known(tenant, task(0)), Known::Nothing));
        assert!(matches!(recent.known(tenant, task(99)), Known::Ended(_)));
        recent.ended(task(200), ended(tenant, 2 << 20));
        assert!(matches!(recent.known(tenant, task(200)), Known::Nothing));
    }

    #[test]
    fn deleted_tasks_leave_no_places_behind() {
        let tenant = TenantId::from_parts(1, &[1; 10]);
        let mut recent = Recent::default();
        recent.ended(task(1), ended(tenant, 10));
        for number in 0..5_000 {
            let gone = TaskId::from_parts(1_000 + number, &[2; 10]);
            recent.ended(gone, ended(tenant, 10));
            recent.deleted(gone);
            assert!(recent.oldest_first.len() <= EMPTY_PLACES_MAX + 4);
        }
        assert!(matches!(recent.known(tenant, task(1)), Known::Ended(_)));
        assert!(recent.oldest_first.contains(&task(1)));
    }
}
