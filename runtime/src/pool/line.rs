//! Who waits and who runs in one lane, by tenant, and who is next.
//!
//! A tenant's jobs start in the order they came; tenants take turns. Knows nothing of threads or of what a job is.

use mecapy_model::TenantId;
use std::collections::{HashMap, VecDeque};

#[derive(Debug, Clone, Copy)]
pub(super) struct LineLimits {
    pub(super) waiting_max: usize,
    pub(super) waiting_per_tenant_max: usize,
    pub(super) running_per_tenant_max: usize,
    /// Fresh runs at once; `None` where no run is ever fresh.
    pub(super) fresh_max: Option<usize>,
}

/// Why an item may not wait here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Lane,
    Tenant,
}

pub(super) struct Line<T> {
    limits: LineLimits,
    /// Those who wait or run.
    tenants: HashMap<TenantId, Tenant<T>>,
    /// Those who wait; in front who has waited for a turn the longest.
    turns: VecDeque<TenantId>,
    waiting: usize,
    running: usize,
    fresh: usize,
}

struct Tenant<T> {
    waiting: VecDeque<T>,
    held: Held,
}

/// A tenant's runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    running: usize,
    /// Of those, the fresh ones.
    fresh: usize,
}

impl LineLimits {
    /// Fresh places that one tenant has while others wait: half of them, but one at least.
    fn fresh_share(&self) -> usize {
        self.fresh_max.map_or(usize::MAX, |places| (places / 2).max(1))
    }
}

impl<T> Line<T> {
    pub(super) fn new(limits: LineLimits) -> Self {
        Self { limits, tenants: HashMap::new(), turns: VecDeque::new(), waiting: 0, running: 0, fresh: 0 }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn push(&mut self, tenant: TenantId, item: T) -> Result<(), Full> {
        if self.waiting >= self.limits.waiting_max {
            return Err(Full::Lane);
        }
        let waiting_of_tenant = self.tenants.get(&tenant).map_or(0, |tenant| tenant.waiting.len());
        if waiting_of_tenant >= self.limits.waiting_per_tenant_max {
            return Err(Full::Tenant);
        }
        if waiting_of_tenant == 0 {
            self.turns.push_back(tenant);
        }
        let entry =
            self.tenants.entry(tenant).or_insert_with(|| Tenant { waiting: VecDeque::new(), held: Held::default() });
        entry.waiting.push_back(item);
        self.waiting += 1;
        Ok(())
    }

    /// Takes the next item that may start, and counts it as running from now on.
    pub(super) fn start(&mut self) -> Option<T> {
        let index = self.chosen()?;
        let tenant = self.turns.remove(index)?;
        let entry = self.tenants.get_mut(&tenant)?;
        let item = entry.waiting.pop_front()?;
        let fresh = usize::from(self.limits.fresh_max.is_some());
        entry.held.running += 1;
        entry.held.fresh += fresh;
        if !entry.waiting.is_empty() {
            self.turns.push_back(tenant);
        }
        self.waiting -= 1;
        self.running += 1;
        self.fresh += fresh;
        Some(item)
    }

    /// One of the tenant's fresh runs is old from now on.
    pub(super) fn age(&mut self, tenant: TenantId) {
        if let Some(entry) = self.tenants.get_mut(&tenant).filter(|entry| entry.held.fresh > 0) {
            entry.held.fresh -= 1;
            self.fresh -= 1;
        }
    }

    /// One of the tenant's runs has ended, and was not fresh any more.
    pub(super) fn end(&mut self, tenant: TenantId) {
        let Some(entry) = self.tenants.get_mut(&tenant).filter(|entry| entry.held.running > 0) else { return };
        entry.held.running -= 1;
        self.running -= 1;
        if entry.held.running == 0 && entry.waiting.is_empty() {
            self.tenants.remove(&tenant);
        }
    }

    /// The place in `turns` of the tenant who may start a run now.
    fn chosen(&self) -> Option<usize> {
        if self.limits.fresh_max.is_some_and(|places| self.fresh >= places) {
            return None;
        }
        let held = |tenant: &TenantId| self.tenants.get(tenant).map(|tenant| tenant.held).unwrap_or_default();
        choose(self.turns.iter().map(held), &self.limits)
    }
}

/// The first in line with less than its share of the fresh places; where there is none, so that no place stays empty,
/// the first who may run at all.
fn choose(line: impl Iterator<Item = Held>, limits: &LineLimits) -> Option<usize> {
    let mut otherwise = None;
    for (index, held) in line.enumerate() {
        if held.running >= limits.running_per_tenant_max {
            continue;
        }
        if held.fresh < limits.fresh_share() {
            return Some(index);
        }
        otherwise = otherwise.or(Some(index));
    }
    otherwise
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LineLimits =
        LineLimits { waiting_max: 8, waiting_per_tenant_max: 5, running_per_tenant_max: 4, fresh_max: Some(4) };

    fn tenant(number: u8) -> TenantId {
        TenantId::from_parts(0, &[number; 10])
    }

    #[test]
    fn who_is_next_follows_from_what_each_in_line_holds() {
        // (running, fresh) of those in line, of 4 runs and 4 fresh places at most: a share is 2.
        type Row = (&'static [(usize, usize)], Option<usize>);
        let rows: [Row; 9] = [
            (&[], None),
            (&[(0, 0)], Some(0)),
            (&[(0, 0), (0, 0)], Some(0)),
            (&[(2, 2), (0, 0)], Some(1)),
            (&[(2, 2), (3, 1)], Some(1)),
            (&[(2, 2)], Some(0)),
            (&[(2, 2), (3, 3)], Some(0)),
            (&[(4, 0), (3, 3)], Some(1)),
            (&[(4, 0), (4, 4)], None),
        ];
        for (line, expected) in rows {
            let held = line.iter().map(|&(running, fresh)| Held { running, fresh });
            assert_eq!(choose(held, &LIMITS), expected, "{line:?}");
        }
        let alone = LineLimits { fresh_max: Some(1), ..LIMITS };
        assert_eq!(choose([Held::default()].into_iter(), &alone), Some(0));
        let never_fresh = LineLimits { fresh_max: None, ..LIMITS };
        assert_eq!(choose([Held { running: 3, fresh: 0 }].into_iter(), &never_fresh), Some(0));
    }

    #[test]
    fn a_flood_costs_another_tenant_one_turn() {
        let mut line = Line::new(LineLimits { fresh_max: Some(2), ..LIMITS });
        for number in 0..5 {
            line.push(tenant(1), (1, number)).unwrap();
        }
        assert_eq!((line.start(), line.start(), line.start()), (Some((1, 0)), Some((1, 1)), None));
        line.push(tenant(2), (2, 0)).unwrap();
        line.push(tenant(2), (2, 1)).unwrap();
        assert!(line.chosen().is_none(), "no place is free");
        // One of the flood's places gets free: it still holds its share.
        line.age(tenant(1));
        assert_eq!((line.start(), line.start()), (Some((2, 0)), None));
        line.age(tenant(2));
        line.age(tenant(1));
        assert_eq!((line.start(), line.start(), line.start()), (Some((1, 2)), Some((2, 1)), None));
    }

    #[test]
    fn a_tenant_at_its_cap_keeps_its_turn_and_holds_up_nobody() {
        let mut line = Line::new(LineLimits { running_per_tenant_max: 1, fresh_max: None, ..LIMITS });
        for (number, item) in [(1, 'a'), (1, 'b'), (2, 'c'), (3, 'd')] {
            line.push(tenant(number), item).unwrap();
        }
        assert_eq!((line.start(), line.start(), line.start(), line.start()), (Some('a'), Some('c'), Some('d'), None));
        line.push(tenant(4), 'e').unwrap();
        line.end(tenant(1));
        assert_eq!((line.start(), line.start()), (Some('b'), Some('e')));
    }

    #[test]
    fn what_waits_is_bounded_and_nothing_is_kept_of_who_left() {
        let mut line = Line::new(LIMITS);
        for number in 0..5 {
            line.push(tenant(1), number).unwrap();
        }
        assert_eq!(line.push(tenant(1), 5), Err(Full::Tenant));
        for number in 0..3 {
            line.push(tenant(2), number).unwrap();
        }
        assert_eq!(line.push(tenant(3), 0), Err(Full::Lane));
        assert_eq!((line.waiting(), line.running(), line.tenants.len()), (8, 0, 2));
        let mut order = Vec::new();
        while line.waiting() > 0 {
            order.push(line.start().unwrap());
            for number in [1, 2] {
                line.age(tenant(number));
                line.end(tenant(number));
            }
        }
        assert_eq!(order, [0, 0, 1, 1, 2, 2, 3, 4], "in turns, and each in order");
        assert_eq!((line.running, line.fresh, line.tenants.len(), line.turns.len()), (0, 0, 0, 0));
    }
}
