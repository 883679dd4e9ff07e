//! What processes do that share one PostgreSQL database: bring its schema up to date, hear of one another's commits,
//! and look for themselves where they can't hear.

use crate::bus::{BusState, Hint};
use crate::counts::track_of_turns;
use crate::pace::tracks;
use crate::sql::{Conn, SchemaState, grant_to, migrate as apply, pieces, query, union_all, with_list};
use crate::{Clock, Store, StoreError};
use mecapy_model::{BatchId, Executor, TaskId, TaskState, TenantId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{MissedTickBehavior, interval};

/// How often a process looks at the rows itself, whatever it hears.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many followed tenants or batches one question names at most.
const FOLLOWED_AT_ONCE: usize = 512;
const FOLLOWED: &str = "SELECT id, tenant, event_seq, state FROM tasks WHERE tenant = ? AND id = ?";
const FOLLOWED_RUN: &str = "SELECT id, tenant, seq, state FROM workflow_runs WHERE tenant = ? AND id = ?";
const SIGNING_KEY: &str = "signing_key";

/// What [`migrate`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    pub before: SchemaState,
}

/// Brings a PostgreSQL database up to this program's schema, and lets `role`, which owns nothing, use it. The URL's role
/// must own the database or be allowed to create tables in it. Running it again changes nothing.
pub async fn migrate(url: &str, role: Option<&str>) -> Result<Migrated, StoreError> {
    let mut conn = Conn::open_postgres_to_maintain(url).await?;
    let before = conn.schema_state().await?;
    if before == SchemaState::Ahead {
        return Err(StoreError::Schema { advice: AHEAD });
    }
    apply(&mut conn).await?;
    if let (Some(role), Conn::Postgres { conn, .. }) = (role, &mut conn) {
        grant_to(conn, role).await?;
    }
    conn.close().await?;
    Ok(Migrated { before })
}

pub(crate) const AHEAD: &str = "it is newer, so use a newer MecaPy";
pub(crate) const BEHIND: &str = "run `mecapy migrate` with a database role that may create tables, then start again";

/// The key that signs URLs and cursors, the same for all: whoever is first makes it.
pub(crate) async fn signing_key(conn: &mut Conn, clock: &dyn Clock) -> Result<[u8; 32], StoreError> {
    let mut made = [0; 32];
    clock.fill_random(&mut made);
    let sql = "INSERT INTO installation (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING";
    query(sql).bind(SIGNING_KEY).bind(made.as_slice()).execute(&mut *conn).await?;
    let row = query("SELECT value FROM installation WHERE name = ?").bind(SIGNING_KEY).fetch_one(conn).await?;
    let key: &[u8] = row.try_get(0)?;
    key.try_into().map_err(|_| StoreError::corrupt("the installation's signing key"))
}

/// Follows the others for as long as somebody uses the store.
pub(crate) fn follow(store: &Store) {
    let weak = store.downgrade();
    if let Some(bus) = store.shared().bus() {
        tokio::spawn(listen(weak, bus.subscribe()));
    }
    let weak = store.downgrade();
    tokio::spawn(async move {
        let mut seen = HashMap::new();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(store) = weak.upgrade() else { return };
            match store.look(&mut seen).await {
                Err(StoreError::Closed) => return,
                Err(error) => tracing::debug!(error = %error, "cluster.look: the database did not answer"),
                Ok(()) => {}
            }
        }
    });
}

async fn listen(weak: crate::store::WeakStore, mut heard: Receiver<Arc<Vec<Hint>>>) {
    loop {
        let hints = match heard.recv().await {
            Ok(hints) => hints,
            Err(RecvError::Lagged(_)) => Arc::new(vec![Hint::Everything]),
            Err(RecvError::Closed) => return,
        };
        let Some(store) = weak.upgrade() else { return };
        for hint in hints.iter() {
            store.hear(hint).await;
        }
    }
}

impl Store {
    /// Whether hints of other processes arrive; `None` where there is no bus.
    pub fn bus_is_up(&self) -> Option<bool> {
        self.shared().bus().map(|bus| *bus.state().borrow() == BusState::Up)
    }

    async fn hear(&self, hint: &Hint) {
        match hint {
            Hint::Lane(lane) => self.shared().wake(*lane, Executor::Sandbox),
            Hint::Containers(lane) => self.shared().wake(*lane, Executor::Container),
            Hint::Tasks(tasks) => self.shared().others_changed(tasks.iter().copied()),
            Hint::Cancel { task } => self.shared().cancel_asked(*task),
            Hint::Access => self.reload_access().await,
            Hint::Everything => {
                self.shared().wake_all();
                self.shared().deliveries().notify_one();
                self.shared().runs().notify_one();
                self.reload_access().await;
            }
            Hint::Tenant { tenant, seq } => self.shared().tenants().tell(*tenant, *seq),
            Hint::Batch { batch, seq } => self.shared().batches().tell(*batch, *seq),
            Hint::Deliveries => self.shared().deliveries().notify_one(),
            Hint::Runs => self.shared().runs().notify_one(),
        }
    }

    /// A lane's turns count what was claimed from it, each executor's apart.
    async fn look_at_paces(&self) -> Result<(), StoreError> {
        let rows = query("SELECT lane, max(turn) FROM lane_turns GROUP BY lane").fetch_all(self.readers()).await?;
        let mut paces = self.shared().paces();
        for row in rows {
            let track = track_of_turns(row.try_get(0)?)?;
            paces.note(track, self.clock().monotonic(), row.count(1)?);
        }
        Ok(())
    }

    async fn reload_access(&self) {
        if let Err(error) = self.keys().reload(self.readers()).await {
            tracing::warn!(error = %error, "cluster.access: keys could not be read again");
        }
    }

    /// Reads what hints may have failed to say: who may come in, what became of followed tasks, which lanes hold
    /// something.
    async fn look(&self, seen: &mut HashMap<(TaskId, TenantId), i64>) -> Result<(), StoreError> {
        self.keys().reload(self.readers()).await?;
        self.look_at_paces().await?;
        let followed = self.shared().followed();
        seen.retain(|task, _| followed.contains(task));
        for followed in pieces(&Vec::from_iter(followed)) {
            let mut changed = Vec::new();
            // Each by the index of its tenant's rows: there is none by id alone. What it is, its id doesn't tell.
            for part in [FOLLOWED, FOLLOWED_RUN] {
                let list = union_all(part, "", followed.len());
                let asked = followed.iter().fold(query(list), |query, (id, tenant)| query.bind(*tenant).bind(*id));
                for row in asked.fetch_all(self.readers()).await? {
                    let (id, tenant, seq) = (TaskId(row.id(0)?), TenantId(row.id(1)?), row.try_get::<i64>(2)?);
                    let state: TaskState = row.try_get::<&str>(3)?.parse().map_err(StoreError::corrupt)?;
                    if seen.insert((id, tenant), seq) != Some(seq) {
                        changed.push((id, state.is_terminal()));
                    }
                }
            }
            self.shared().others_changed(changed);
        }
        let tenants = self.shared().tenants().followed();
        for tenants in tenants.chunks(FOLLOWED_AT_ONCE) {
            let list = with_list("SELECT tenant, last FROM tenant_event_numbers WHERE tenant IN (", tenants.len(), ")");
            let asked = tenants.iter().fold(query(list), |query, tenant| query.bind(*tenant));
            for row in asked.fetch_all(self.readers()).await? {
                self.shared().tenants().tell(TenantId(row.id(0)?), row.count(1)?);
            }
        }
        for batches in self.shared().batches().followed().chunks(FOLLOWED_AT_ONCE) {
            let list = with_list("SELECT id, seq FROM batches WHERE id IN (", batches.len(), ")");
            let asked = batches.iter().fold(query(list), |query, batch| query.bind(*batch));
            for row in asked.fetch_all(self.readers()).await? {
                self.shared().batches().tell(BatchId(row.id(0)?), row.count(1)?);
            }
        }
        // Redis may be up here and down where a task was accepted.
        for (lane, executor) in tracks() {
            if self.next_due_of(lane, executor).await?.is_some_and(|due| due <= self.now()) {
                self.shared().wake(lane, executor);
            }
        }
        Ok(())
    }
}
