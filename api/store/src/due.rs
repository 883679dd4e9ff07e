//! Which deliveries are to be made now, and how attempts ended: what a dispatcher asks for and reports.
//!
//! Any number of processes dispatch. Each reads what is due and takes of it what it may; a compare-and-set says who got
//! what, and a lease says until when.

use crate::clock::millis;
use crate::keys::Secret;
use crate::sql::{Dialect, pieces, query, with_list};
use crate::webhooks::{ENABLED, Owner, read_health};
use crate::writer::Writer;
use crate::{DeliveryState, DisabledReason, Store, StoreError, WebhookHealth, Written};
use mecapy_model::{DeliveryId, EventId, TenantId, WebhookId};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// How many of the oldest due deliveries a claim looks at. Where there are more, an endpoint may have a long line, and
/// the others are looked for behind it.
const SCANNED_MAX: u32 = 256;
/// How many endpoints a claim then looks at, from a random one on.
const ENDPOINTS_SCANNED_MAX: u32 = 256;

/// How much a claim may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryRoom {
    /// Deliveries, at most.
    pub max: usize,
    /// Under way at one endpoint, those of other claims and processes counted.
    pub per_endpoint_max: usize,
    /// The same of one tenant.
    pub per_tenant_max: usize,
    /// Who doesn't report within this has lost the claim.
    pub lease: Duration,
}

/// A delivery that the caller now makes.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    pub id: DeliveryId,
    /// From 1; with `id` it names the claim.
    pub attempt: u32,
    pub tenant: TenantId,
    /// `None` where a task brought the URL.
    pub webhook: Option<WebhookId>,
    pub url: String,
    /// What signs: the present secret, and the one before while it does.
    pub secrets: Vec<Secret>,
    pub event: EventId,
    /// The event's JSON: the same at each attempt.
    pub payload: String,
    pub health: WebhookHealth,
}

/// How an attempt ended, and what follows.
#[derive(Debug, Clone)]
pub struct DeliveryReport {
    pub id: DeliveryId,
    pub attempt: u32,
    pub duration_ms: u64,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    pub error: Option<String>,
    /// The beginning of the answer's body; the caller bounds it.
    pub snippet: String,
    pub next: NextAttempt,
    pub effect: EndpointEffect,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextAttempt {
    /// None: it was delivered.
    Delivered,
    After(Duration),
    /// None: it failed.
    Never,
}

/// What an attempt says of its webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointEffect {
    Works,
    Fails,
    Disable(DisabledReason),
}

/// A delivery that might be taken.
struct Candidate {
    id: DeliveryId,
    tenant: TenantId,
    endpoint: Uuid,
}

/// A delivery that was taken, with what it is signed by.
struct Taken {
    due: DueDelivery,
    owner: Owner,
    secret_number: u64,
    before_until_ms: Option<i64>,
}

/// What is under way, and what is chosen beside it.
#[derive(Default)]
struct Choice {
    by_endpoint: HashMap<Uuid, usize>,
    by_tenant: HashMap<TenantId, usize>,
    seen: HashSet<DeliveryId>,
    chosen: Vec<DeliveryId>,
}

impl Choice {
    fn add(&mut self, candidates: Vec<Candidate>, room: &DeliveryRoom) {
        for Candidate { id, tenant, endpoint } in candidates {
            let of_endpoint = self.by_endpoint.entry(endpoint).or_default();
            let of_tenant = self.by_tenant.entry(tenant).or_default();
            let fits = *of_endpoint < room.per_endpoint_max && *of_tenant < room.per_tenant_max;
            if fits && self.chosen.len() < room.max && self.seen.insert(id) {
                *of_endpoint += 1;
                *of_tenant += 1;
                self.chosen.push(id);
            }
        }
    }
}

/// The oldest due delivery of each endpoint, for some endpoints in the order of their ids: a walk over the index that
/// reads one entry of each.
const HEADS: &str = "WITH RECURSIVE line AS ( \
     SELECT (SELECT endpoint FROM webhook_deliveries WHERE state = 'pending' AND endpoint > ?1 \
      ORDER BY endpoint LIMIT 1) AS endpoint, CAST(1 AS BIGINT) AS step \
     UNION ALL SELECT (SELECT endpoint FROM webhook_deliveries WHERE state = 'pending' AND endpoint > line.endpoint \
      ORDER BY endpoint LIMIT 1), line.step + 1 FROM line WHERE line.endpoint IS NOT NULL AND line.step < ?3) \
     SELECT d.id, d.tenant, d.endpoint FROM line JOIN webhook_deliveries d ON d.id = \
      (SELECT id FROM webhook_deliveries WHERE state = 'pending' AND endpoint = line.endpoint AND due_ms <= ?2 \
      ORDER BY due_ms LIMIT 1)";

impl Store {
    /// Takes deliveries that are due, in the order in which they are, as many as there is room for, and counts an
    /// attempt of each. What is not reported until the lease ends is due again.
    ///
    /// What an endpoint or a tenant has no room for is left for later, and what is due after it is taken: so none
    /// delays another.
    pub async fn claim_deliveries(&self, room: DeliveryRoom) -> Result<Vec<DueDelivery>, StoreError> {
        let now_ms = self.now_ms();
        let oldest = self.oldest_due(now_ms).await?;
        if oldest.is_empty() {
            return Ok(Vec::new());
        }
        let more = oldest.len() >= SCANNED_MAX as usize;
        // Read after the candidates: a claim of another process between the two reads has either taken them or counts.
        let mut choice = self.under_way(now_ms).await?;
        choice.add(oldest, &room);
        if more && choice.chosen.len() < room.max {
            let mut random = [0; 16];
            self.clock().fill_random(&mut random);
            for from in [Uuid::from_bytes(random), Uuid::nil()] {
                choice.add(self.heads(from, now_ms).await?, &room);
            }
        }
        let (chosen, lease) = (choice.chosen, room.lease);
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let taken = self.write_rarely(async move |writer| writer.take_deliveries(&chosen, lease).await).await?;
        let signed = taken.into_iter().map(|Taken { due, owner, secret_number, before_until_ms }| {
            let secrets = self.secrets_of(owner, secret_number, before_until_ms, now_ms);
            DueDelivery { secrets, ..due }
        });
        Ok(signed.collect())
    }

    /// Writes down how an attempt ended. Where the claim does not hold any more nothing changes.
    pub async fn report_delivery(&self, report: DeliveryReport) -> Result<Written, StoreError> {
        let effect = report.effect;
        let written = self.write_rarely(async move |writer| writer.report_delivery(&report).await).await?;
        let Some(webhook) = written else { return Ok(Written::Stale) };
        if let (Some(webhook), EndpointEffect::Disable(_)) = (webhook, effect) {
            self.abandon_deliveries(webhook).await?;
        }
        Ok(Written::Done)
    }

    async fn oldest_due(&self, now_ms: i64) -> Result<Vec<Candidate>, StoreError> {
        let sql = "SELECT id, tenant, endpoint FROM webhook_deliveries WHERE state = 'pending' AND due_ms <= ? \
                   ORDER BY due_ms LIMIT ?";
        let rows = query(sql).bind(now_ms).bind(SCANNED_MAX).fetch_all(self.readers()).await?;
        rows.iter().map(Candidate::read).collect()
    }

    async fn heads(&self, from: Uuid, now_ms: i64) -> Result<Vec<Candidate>, StoreError> {
        let asked = query(HEADS).bind(from).bind(now_ms).bind(ENDPOINTS_SCANNED_MAX);
        asked.fetch_all(self.readers()).await?.iter().map(Candidate::read).collect()
    }

    async fn under_way(&self, now_ms: i64) -> Result<Choice, StoreError> {
        let sql = "SELECT endpoint, tenant, count(*) FROM webhook_deliveries WHERE lease_until_ms > ? \
                   GROUP BY endpoint, tenant";
        let mut choice = Choice::default();
        for row in query(sql).bind(now_ms).fetch_all(self.readers()).await? {
            let count = usize::try_from(row.count(2)?).unwrap_or(usize::MAX);
            choice.by_endpoint.insert(row.id(0)?, count);
            *choice.by_tenant.entry(TenantId(row.id(1)?)).or_default() += count;
        }
        Ok(choice)
    }
}

impl Candidate {
    fn read(row: &crate::sql::Row) -> Result<Self, StoreError> {
        Ok(Self { id: DeliveryId(row.id(0)?), tenant: TenantId(row.id(1)?), endpoint: row.id(2)? })
    }
}

/// Takes, of a list of ids, what is still due and what nobody else is taking at this moment.
const TAKE: &str = "UPDATE webhook_deliveries SET attempt = attempt + 1, due_ms = ?, lease_until_ms = ? WHERE id IN \
                    (SELECT id FROM webhook_deliveries WHERE state = 'pending' AND due_ms <= ? AND id IN (";

/// What follows the list.
fn take_tail(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => ")) RETURNING id, attempt, tenant, webhook, url, event, payload",
        Dialect::Postgres => ") FOR UPDATE SKIP LOCKED) RETURNING id, attempt, tenant, webhook, url, event, payload",
    }
}

/// How a webhook stands, as far as sending to it needs.
struct Standing {
    url: String,
    enabled: bool,
    secret_number: u64,
    before_until_ms: Option<i64>,
    health: WebhookHealth,
}

impl Writer {
    async fn take_deliveries(&mut self, chosen: &[DeliveryId], lease: Duration) -> Result<Vec<Taken>, StoreError> {
        let until_ms = self.now_ms.saturating_add(millis(lease));
        let mut due = HashMap::with_capacity(chosen.len());
        for piece in pieces(chosen) {
            let mut query = query(with_list(TAKE, piece.len(), take_tail(self.dialect)));
            query = query.bind(until_ms).bind(until_ms).bind(self.now_ms);
            for id in piece {
                query = query.bind(*id);
            }
            for row in query.fetch_all(&mut self.conn).await? {
                let taken = DueDelivery {
                    id: DeliveryId(row.id(0)?),
                    attempt: u32::try_from(row.count(1)?).unwrap_or(u32::MAX),
                    tenant: TenantId(row.id(2)?),
                    webhook: row.try_get::<Option<Uuid>>(3)?.map(WebhookId),
                    url: row.try_get(4)?,
                    secrets: Vec::new(),
                    event: EventId(row.id(5)?),
                    payload: row.try_get(6)?,
                    health: WebhookHealth::default(),
                };
                due.insert(taken.id, taken);
            }
        }
        // In the order in which they were due.
        let due: Vec<DueDelivery> = chosen.iter().filter_map(|id| due.remove(id)).collect();
        self.address(due).await
    }

    /// What an earlier process was sending is due now: nobody else can be.
    pub(crate) async fn release_deliveries(&mut self) -> Result<(), StoreError> {
        let sql = "UPDATE webhook_deliveries SET due_ms = ?, lease_until_ms = NULL WHERE lease_until_ms IS NOT NULL";
        self.run(query(sql).bind(self.now_ms)).await.map(drop)
    }

    /// Adds to each delivery how its webhook stands today; ends those whose webhook is gone or disabled.
    async fn address(&mut self, due: Vec<DueDelivery>) -> Result<Vec<Taken>, StoreError> {
        let webhooks = self.standings(&due).await?;
        let of_tasks = self.task_secrets(&due).await?;
        let mut taken = Vec::with_capacity(due.len());
        for due in due {
            let Some(webhook) = due.webhook else {
                let (secret_number, before_until_ms) = of_tasks.get(&due.tenant).copied().unwrap_or_default();
                taken.push(Taken { owner: Owner::TasksOf(due.tenant), due, secret_number, before_until_ms });
                continue;
            };
            match webhooks.get(&webhook).filter(|standing| standing.enabled) {
                Some(standing) => {
                    let url = standing.url.clone();
                    if url != due.url {
                        let sql = "UPDATE webhook_deliveries SET url = ? WHERE id = ?";
                        self.run(query(sql).bind(url.as_str()).bind(due.id)).await?;
                    }
                    taken.push(Taken {
                        due: DueDelivery { url, health: standing.health, ..due },
                        owner: Owner::Webhook(webhook),
                        secret_number: standing.secret_number,
                        before_until_ms: standing.before_until_ms,
                    });
                }
                None => {
                    let sql = "UPDATE webhook_deliveries SET state = ?, attempt = attempt - 1, lease_until_ms = NULL \
                               WHERE id = ?";
                    self.run(query(sql).bind(DeliveryState::Abandoned.as_str()).bind(due.id)).await?;
                }
            }
        }
        Ok(taken)
    }

    async fn standings(&mut self, due: &[DueDelivery]) -> Result<HashMap<WebhookId, Standing>, StoreError> {
        let mut ids: Vec<WebhookId> = due.iter().filter_map(|due| due.webhook).collect();
        ids.sort();
        ids.dedup();
        let mut standings = HashMap::with_capacity(ids.len());
        for piece in pieces(&ids) {
            let sql = "SELECT id, url, state, secret_number, before_until_ms, failing_since_ms, failures FROM webhooks \
                       WHERE id IN (";
            let asked = piece.iter().fold(query(with_list(sql, piece.len(), ")")), |query, id| query.bind(*id));
            for row in asked.fetch_all(&mut self.conn).await? {
                let standing = Standing {
                    url: row.try_get(1)?,
                    enabled: row.try_get::<&str>(2)? == ENABLED,
                    secret_number: row.count(3)?,
                    before_until_ms: row.try_get(4)?,
                    health: read_health(&row, 5)?,
                };
                standings.insert(WebhookId(row.id(0)?), standing);
            }
        }
        Ok(standings)
    }

    /// By tenant: the number of the secret that signs what tasks asked for, and until when the one before does.
    async fn task_secrets(&mut self, due: &[DueDelivery]) -> Result<HashMap<TenantId, (u64, Option<i64>)>, StoreError> {
        let mut tenants: Vec<TenantId> = due.iter().filter(|due| due.webhook.is_none()).map(|due| due.tenant).collect();
        tenants.sort();
        tenants.dedup();
        let mut secrets = HashMap::with_capacity(tenants.len());
        for piece in pieces(&tenants) {
            let sql = "SELECT tenant, secret_number, before_until_ms FROM task_webhook_secrets WHERE tenant IN (";
            let asked = piece.iter().fold(query(with_list(sql, piece.len(), ")")), |query, id| query.bind(*id));
            for row in asked.fetch_all(&mut self.conn).await? {
                secrets.insert(TenantId(row.id(0)?), (row.count(1)?, row.try_get(2)?));
            }
        }
        Ok(secrets)
    }

    /// Answers the delivery's webhook; `None` where the claim does not hold any more.
    async fn report_delivery(&mut self, report: &DeliveryReport) -> Result<Option<Option<WebhookId>>, StoreError> {
        let (state, due_ms) = match report.next {
            NextAttempt::Delivered => (DeliveryState::Delivered, self.now_ms),
            NextAttempt::After(wait) => (DeliveryState::Pending, self.now_ms.saturating_add(millis(wait))),
            NextAttempt::Never => (DeliveryState::Failed, self.now_ms),
        };
        let sql = "UPDATE webhook_deliveries SET state = ?, due_ms = ?, lease_until_ms = NULL, delivered_ms = ?, \
                   last_ms = ?, last_duration_ms = ?, last_status = ?, last_error = ?, snippet = ? \
                   WHERE id = ? AND attempt = ? AND state = 'pending' AND lease_until_ms IS NOT NULL RETURNING webhook";
        let query = query(sql)
            .bind(state.as_str())
            .bind(due_ms)
            .bind((state == DeliveryState::Delivered).then_some(self.now_ms))
            .bind(self.now_ms)
            .bind(i64::try_from(report.duration_ms).unwrap_or(i64::MAX))
            .bind(report.status.map(i64::from))
            .bind(report.error.as_deref())
            .bind(report.snippet.as_str())
            .bind(report.id)
            .bind(report.attempt);
        let Some(row) = query.fetch_optional(&mut self.conn).await? else { return Ok(None) };
        let webhook = row.try_get::<Option<Uuid>>(0)?.map(WebhookId);
        if let Some(webhook) = webhook {
            self.note_health(webhook, report.effect).await?;
        }
        Ok(Some(webhook))
    }

    async fn note_health(&mut self, webhook: WebhookId, effect: EndpointEffect) -> Result<(), StoreError> {
        match effect {
            // Most find nothing to clear, and write nothing.
            EndpointEffect::Works => {
                let sql = "UPDATE webhooks SET failing_since_ms = NULL, failures = 0 \
                           WHERE id = ? AND failing_since_ms IS NOT NULL";
                self.run(query(sql).bind(webhook)).await.map(drop)
            }
            EndpointEffect::Fails => {
                let sql = "UPDATE webhooks SET failing_since_ms = coalesce(failing_since_ms, ?), failures = failures + 1 \
                           WHERE id = ?";
                self.run(query(sql).bind(self.now_ms).bind(webhook)).await.map(drop)
            }
            EndpointEffect::Disable(reason) => self.disable_webhook(webhook, reason).await,
        }
    }
}
