//! What must be true of a database once everything has ended, whatever happened before.

use crate::{Cluster, services::psql};
use anyhow::{Result, ensure};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinHandle, time::sleep};

/// How many offenders of a rule are told.
const TOLD_MAX: usize = 5;
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What holds, and a query for whatever breaks it.
const RULES: [(&str, &str); 11] = [
    (
        "I1: every accepted task is terminal, and nothing runs",
        "SELECT id, state FROM tasks WHERE state NOT IN ('completed', 'failed', 'cancelled') OR lease_token IS NOT NULL",
    ),
    (
        "I1: it became so once, as the last that happened to it",
        "SELECT t.id, t.state FROM tasks t WHERE (SELECT count(*) FROM task_events e WHERE e.no = t.no \
         AND e.state IN ('completed', 'failed', 'cancelled')) <> 1 \
         OR (SELECT e.state FROM task_events e WHERE e.no = t.no ORDER BY e.seq DESC LIMIT 1) <> t.state",
    ),
    (
        "I2: the fence counts the claims",
        "SELECT t.id, t.fence FROM tasks t \
         WHERE t.fence <> (SELECT count(*) FROM task_events e WHERE e.no = t.no AND e.state = 'running')",
    ),
    (
        "I2: attempts never fall, and never pass the fence",
        "SELECT no, attempt FROM (SELECT e.no, e.attempt, lag(e.attempt) OVER (PARTITION BY e.no ORDER BY e.seq) AS before, \
         t.fence FROM task_events e JOIN tasks t ON t.no = e.no WHERE e.state = 'running') AS claims \
         WHERE attempt < before OR attempt > fence",
    ),
    (
        "I2: files are of the newest fence",
        "SELECT a.object_key, t.fence FROM artifacts a JOIN tasks t ON t.no = a.no \
         WHERE split_part(a.object_key, '/', 4) <> t.fence::text",
    ),
    (
        "I2: results are of the newest fence",
        "SELECT r.object_key, t.fence FROM results r JOIN tasks t ON t.no = r.no \
         WHERE r.object_key IS NOT NULL AND split_part(r.object_key, '/', 4) <> t.fence::text",
    ),
    (
        "I3: a task has one result row and one usage row",
        "SELECT t.id, count(r.no), count(u.no) FROM tasks t LEFT JOIN results r ON r.no = t.no \
         LEFT JOIN task_usage u ON u.no = t.no GROUP BY t.id HAVING count(r.no) <> 1 OR count(u.no) <> 1",
    ),
    (
        "I3: result and usage say the same as the state",
        "SELECT t.id, t.state, u.error_kind FROM tasks t JOIN results r ON r.no = t.no JOIN task_usage u ON u.no = t.no \
         WHERE (t.state = 'completed') <> (r.error IS NULL) OR (t.state = 'completed') <> (u.error_kind IS NULL) \
         OR (t.state = 'cancelled') <> (u.error_kind IS NOT DISTINCT FROM 'cancelled')",
    ),
    (
        "I4: every end is told as one event",
        "SELECT t.id, count(e.id) FROM tasks t LEFT JOIN tenant_events e ON e.tenant = t.tenant AND e.task = t.id \
         GROUP BY t.id HAVING count(e.id) <> 1",
    ),
    (
        "I4: a tenant's events are numbered without a gap",
        "SELECT tenant, min(seq), max(seq), count(*) FROM tenant_events GROUP BY tenant \
         HAVING min(seq) <> 1 OR max(seq) <> count(*)",
    ),
    (
        "a key made one task",
        "SELECT task_no, count(*) FROM idempotency GROUP BY task_no HAVING count(*) <> 1 \
         UNION ALL SELECT task_no, 0 FROM idempotency i WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.no = i.task_no)",
    ),
];

/// Refuses a cluster at rest that breaks an invariant; says which rows do.
pub async fn invariants(cluster: &Cluster) -> Result<()> {
    let broken = broken_invariants(cluster).await?;
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// The invariants that a cluster at rest breaks, each with some of the rows.
pub async fn broken_invariants(cluster: &Cluster) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for (rule, offenders) in RULES {
        let rows = cluster.rows(offenders).await?;
        let count = rows.lines().count();
        if count > 0 {
            let told: Vec<&str> = rows.lines().take(TOLD_MAX).collect();
            broken.push(format!("{rule}: {count} rows break it: {}", told.join(", ")));
        }
    }
    Ok(broken)
}

/// Looks again and again at how many long tasks of one tenant run.
pub struct CapWatch {
    most: Arc<AtomicU32>,
    looking: JoinHandle<()>,
}

impl CapWatch {
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let (url, most) = (cluster.backends()?.database.owner_url.clone(), Arc::new(AtomicU32::new(0)));
        let seen = Arc::clone(&most);
        let looking = tokio::spawn(async move {
            loop {
                // The database may be down.
                if let Some(running) = running_of_one_tenant(&url).await {
                    seen.fetch_max(running, Ordering::Relaxed);
                }
                sleep(LOOK_INTERVAL).await;
            }
        });
        Ok(Self { most, looking })
    }

    /// I6: refuses more than `cap` at any time, and a watch that saw none at all.
    pub fn was_never_above(&self, cap: u32) -> Result<()> {
        let most = self.most.load(Ordering::Relaxed);
        ensure!(most > 0, "I6: not one long task was seen running, so nothing is known of its cap");
        ensure!(most <= cap, "I6: {most} long tasks of one tenant ran at once, {cap} may");
        Ok(())
    }
}

impl Drop for CapWatch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

async fn running_of_one_tenant(url: &str) -> Option<u32> {
    let sql = "SET mecapy.tenant = '*';\nSELECT coalesce(max(running), 0) FROM (SELECT count(*) AS running FROM tasks \
               WHERE state = 'running' AND lane = 'long_running' GROUP BY tenant) AS tenants;";
    psql(url, sql).await.ok()?.parse().ok()
}
