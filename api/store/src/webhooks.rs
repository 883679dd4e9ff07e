//! Webhooks: where a tenant's events are sent, which of them, and with which secret they are signed.
//!
//! A secret has to be usable for as long as it signs, so a hash of it would not do. None is stored: each is derived
//! from the installation's key, the id of what it belongs to and a number, which a rotation raises.

use crate::audit::{AuditAction, AuditRecord};
use crate::clock::{from_unix_ms, millis};
use crate::events::EventType;
use crate::keys::Secret;
use crate::signer::Signer;
use crate::sql::{Row, query};
use crate::writer::Writer;
use crate::{Found, Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use mecapy_model::{TenantId, WebhookId};
use serde_json::json;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// How many webhooks a tenant may have.
pub const WEBHOOKS_PER_TENANT_MAX: u32 = 100;
/// How long a secret signs beside the one that replaced it.
pub const SECRET_KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);

pub(crate) const ENABLED: &str = "enabled";
const DISABLED: &str = "disabled";
/// The columns that [`read_webhook`] takes, in its order.
const COLUMNS: &str = "id, url, events, state, disabled_reason, failing_since_ms, failures, secret_number, \
                       before_until_ms, created_ms";
/// What the audit log calls the secret for the URLs that tasks bring along.
const TASKS_OWN: &str = "task-secret";
/// What every secret starts with, as Standard Webhooks says.
const SECRET_START: &str = "whsec_";

/// A webhook to make.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    pub tenant: TenantId,
    /// Judged by the caller.
    pub url: String,
    pub events: Vec<EventType>,
}

/// A webhook, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    pub url: String,
    pub events: Vec<EventType>,
    pub state: WebhookState,
    pub health: WebhookHealth,
    /// Until when the secret before the present one signs too.
    pub former_secret_until: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
}

/// Whether events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookState {
    Enabled,
    Disabled(DisabledReason),
}

/// Why a webhook is sent nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// Its owner said so.
    Asked,
    /// It answered 410.
    Gone,
    /// Everything had failed for days.
    Failing,
}

/// What is known of an endpoint. A delivery that works clears it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookHealth {
    /// Since when nothing has worked.
    pub failing_since: Option<OffsetDateTime>,
    /// Attempts that failed since.
    pub failures: u32,
}

/// What to change of a webhook; absent fields stay.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    /// Judged by the caller.
    pub url: Option<String>,
    pub events: Option<Vec<EventType>>,
    /// Enabling clears the webhook's health; disabling ends what waits.
    pub enabled: Option<bool>,
}

/// A secret, in the one answer that shows it.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// `whsec_…`
    pub secret: Secret,
    /// Until when the one before signs too, where there was one.
    pub former_until: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum WebhookError {
    #[error("the tenant has {max} webhooks already")]
    TooMany { max: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What has secrets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner {
    Webhook(WebhookId),
    /// The URLs that a tenant's tasks bring along.
    TasksOf(TenantId),
}

impl DisabledReason {
    const ALL: [DisabledReason; 3] = [DisabledReason::Asked, DisabledReason::Gone, DisabledReason::Failing];

    pub const fn as_str(self) -> &'static str {
        match self {
            DisabledReason::Asked => "asked",
            DisabledReason::Gone => "gone",
            DisabledReason::Failing => "failing",
        }
    }
}

impl Store {
    /// Makes a webhook. Its secret is in the answer, and is never shown again.
    pub async fn create_webhook(&self, new: NewWebhook) -> Result<(Webhook, NewSecret), WebhookError> {
        let (ms, random) = self.ids().next();
        let id = WebhookId::from_parts(ms, &random);
        let (tenant, actor) = (new.tenant, self.actor());
        let made = self
            .write_rarely(async move |writer| {
                writer.lock_tenant(tenant).await?;
                let count = query("SELECT count(*) FROM webhooks WHERE tenant = ?").bind(tenant);
                if count.fetch_one(&mut writer.conn).await?.count(0)? >= u64::from(WEBHOOKS_PER_TENANT_MAX) {
                    return Ok(false);
                }
                let sql = "INSERT INTO webhooks (id, tenant, url, events, state, secret_number, created_ms) \
                           VALUES (?, ?, ?, ?, ?, 1, ?)";
                let query = query(sql)
                    .bind(id)
                    .bind(tenant)
                    .bind(new.url.as_str())
                    .bind(written(&new.events))
                    .bind(ENABLED)
                    .bind(writer.now_ms);
                writer.run(query).await?;
                let record = AuditRecord {
                    detail: Some(json!({"events": new.events.iter().map(|event| event.as_str()).collect::<Vec<_>>()})),
                    ..about(tenant, id, AuditAction::WebhookCreated)
                };
                writer.audit(actor.as_deref(), record).await?;
                Ok(true)
            })
            .await?;
        if !made {
            return Err(WebhookError::TooMany { max: WEBHOOKS_PER_TENANT_MAX });
        }
        let webhook =
            self.webhook(tenant, id).await?.ok_or_else(|| StoreError::corrupt("a webhook just made is gone"))?;
        let secret = self.signer().webhook_secret(Owner::Webhook(id), 1);
        Ok((webhook, NewSecret { secret, former_until: None }))
    }

    /// A tenant's webhooks, oldest first.
    pub async fn webhooks(&self, tenant: TenantId) -> Result<Vec<Webhook>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE tenant = ? ORDER BY id");
        let rows = query(constant(sql)).bind(tenant).fetch_all(&mut self.reader(tenant).await?).await?;
        rows.iter().map(read_webhook).collect()
    }

    /// A webhook of the tenant.
    pub async fn webhook(&self, tenant: TenantId, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE tenant = ? AND id = ?");
        let query = query(constant(sql)).bind(tenant).bind(id);
        let row = query.fetch_optional(&mut self.reader(tenant).await?).await?;
        row.as_ref().map(read_webhook).transpose()
    }

    /// Changes a webhook; `None`: there is no such one.
    pub async fn update_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<Option<Webhook>, StoreError> {
        let (ends, actor) = (change.enabled == Some(false), self.actor());
        let changed = self
            .write_rarely(async move |writer| {
                let changed = writer.change_webhook(tenant, id, &change).await?;
                if changed > 0 {
                    let detail = json!({"enabled": change.enabled, "url": change.url.is_some().then_some("changed")});
                    let record = AuditRecord { detail: Some(detail), ..about(tenant, id, AuditAction::WebhookChanged) };
                    writer.audit(actor.as_deref(), record).await?;
                }
                Ok(changed)
            })
            .await?;
        if changed == 0 {
            return Ok(None);
        }
        if ends {
            self.abandon_deliveries(id).await?;
        }
        self.webhook(tenant, id).await
    }

    /// Deletes a webhook with its deliveries.
    pub async fn delete_webhook(&self, tenant: TenantId, id: WebhookId) -> Result<Found, StoreError> {
        let actor = self.actor();
        let delete = async move |writer: &mut Writer| {
            let sql = "DELETE FROM webhooks WHERE tenant = ? AND id = ?";
            let deleted = writer.run(query(sql).bind(tenant).bind(id)).await?;
            if deleted > 0 {
                writer.audit(actor.as_deref(), about(tenant, id, AuditAction::WebhookDeleted)).await?;
            }
            Ok(deleted)
        };
        if self.write_rarely(delete).await? == 0 {
            return Ok(Found::No);
        }
        self.delete_deliveries(id).await?;
        Ok(Found::Yes)
    }

    /// Gives a webhook a new secret; the old one signs too for [`SECRET_KEPT_FOR`]. `None`: there is no such webhook.
    pub async fn rotate_webhook_secret(
        &self,
        tenant: TenantId,
        id: WebhookId,
    ) -> Result<Option<NewSecret>, StoreError> {
        let actor = self.actor();
        let rotated = self
            .write_rarely(async move |writer| {
                let sql = "UPDATE webhooks SET secret_number = secret_number + 1, before_until_ms = ? \
                           WHERE tenant = ? AND id = ? RETURNING secret_number, before_until_ms";
                let query = query(sql).bind(writer.former_until_ms()).bind(tenant).bind(id);
                let Some(row) = query.fetch_optional(&mut writer.conn).await? else { return Ok(None) };
                writer.audit(actor.as_deref(), about(tenant, id, AuditAction::WebhookSecretRotated)).await?;
                read_number(&row).map(Some)
            })
            .await?;
        Ok(rotated.map(|number| self.new_secret(Owner::Webhook(id), number)))
    }

    /// Gives the URLs that the tenant's tasks bring along a new secret; the old one signs too for [`SECRET_KEPT_FOR`].
    /// Before the first call they are signed with a secret that nobody was shown.
    pub async fn rotate_task_secret(&self, tenant: TenantId) -> Result<NewSecret, StoreError> {
        let actor = self.actor();
        let number = self
            .write_rarely(async move |writer| {
                let sql = "INSERT INTO task_webhook_secrets (tenant, secret_number, before_until_ms) VALUES (?, 1, ?) \
                           ON CONFLICT (tenant) DO UPDATE SET secret_number = task_webhook_secrets.secret_number + 1, \
                           before_until_ms = excluded.before_until_ms RETURNING secret_number, before_until_ms";
                let query = query(sql).bind(tenant).bind(writer.former_until_ms());
                let row = query.fetch_one(&mut writer.conn).await?;
                let target = TASKS_OWN.to_owned();
                let record = AuditRecord { tenant, action: AuditAction::WebhookSecretRotated, target, detail: None };
                writer.audit(actor.as_deref(), record).await?;
                read_number(&row)
            })
            .await?;
        Ok(self.new_secret(Owner::TasksOf(tenant), number))
    }

    fn new_secret(&self, owner: Owner, (number, until_ms): (u64, Option<i64>)) -> NewSecret {
        NewSecret { secret: self.signer().webhook_secret(owner, number), former_until: until_ms.map(from_unix_ms) }
    }

    /// What signs now: the present secret, and the one before for as long as it does.
    pub(crate) fn secrets_of(
        &self,
        owner: Owner,
        number: u64,
        before_until_ms: Option<i64>,
        now_ms: i64,
    ) -> Vec<Secret> {
        let former = before_until_ms.filter(|until_ms| now_ms < *until_ms).and_then(|_| number.checked_sub(1));
        let numbers = [Some(number), former];
        numbers.into_iter().flatten().map(|number| self.signer().webhook_secret(owner, number)).collect()
    }
}

/// What the audit log says of a webhook. Its URL may hold a secret and is left out.
fn about(tenant: TenantId, id: WebhookId, action: AuditAction) -> AuditRecord {
    AuditRecord { tenant, action, target: id.to_string(), detail: None }
}

impl Writer {
    async fn change_webhook(
        &mut self,
        tenant: TenantId,
        id: WebhookId,
        change: &WebhookChange,
    ) -> Result<u64, StoreError> {
        let state = change.enabled.map(|enabled| if enabled { ENABLED } else { DISABLED });
        let sql = "UPDATE webhooks SET url = coalesce(?1, url), events = coalesce(?2, events), \
                   state = coalesce(?3, state), \
                   disabled_reason = CASE WHEN ?3 IS NULL THEN disabled_reason WHEN ?3 = 'disabled' THEN ?4 END, \
                   failing_since_ms = CASE WHEN ?3 = 'enabled' THEN NULL ELSE failing_since_ms END, \
                   failures = CASE WHEN ?3 = 'enabled' THEN 0 ELSE failures END WHERE tenant = ?5 AND id = ?6";
        let query = query(sql)
            .bind(change.url.as_deref())
            .bind(change.events.as_deref().map(written))
            .bind(state)
            .bind(DisabledReason::Asked.as_str())
            .bind(tenant)
            .bind(id);
        self.run(query).await
    }

    /// Sends a webhook nothing more; what waits is left to [`Store::abandon_deliveries`].
    pub(crate) async fn disable_webhook(&mut self, id: WebhookId, reason: DisabledReason) -> Result<(), StoreError> {
        let sql = "UPDATE webhooks SET state = ?, disabled_reason = ? WHERE id = ? AND state = ?";
        self.run(query(sql).bind(DISABLED).bind(reason.as_str()).bind(id.0).bind(ENABLED)).await.map(drop)
    }

    fn former_until_ms(&self) -> i64 {
        self.now_ms.saturating_add(millis(SECRET_KEPT_FOR))
    }
}

impl Signer {
    /// A secret of 32 bytes, as Standard Webhooks writes them.
    pub(crate) fn webhook_secret(&self, owner: Owner, number: u64) -> Secret {
        let (kind, id): (_, Uuid) = match owner {
            Owner::Webhook(id) => ("webhook", id.0),
            Owner::TasksOf(tenant) => ("tasks", tenant.0),
        };
        let mut mac = self.mac("webhook secret");
        mac.update(format!("{kind}\n{id}\n{number}").as_bytes());
        Secret::new(format!("{SECRET_START}{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

fn read_number(row: &Row) -> Result<(u64, Option<i64>), StoreError> {
    Ok((row.count(0)?, row.try_get(1)?))
}

fn read_webhook(row: &Row) -> Result<Webhook, StoreError> {
    let state: &str = row.try_get(3)?;
    let reason: Option<&str> = row.try_get(4)?;
    let state = match (state, reason) {
        (ENABLED, _) => WebhookState::Enabled,
        (DISABLED, Some(reason)) => {
            let found = DisabledReason::ALL.into_iter().find(|known| known.as_str() == reason);
            WebhookState::Disabled(found.ok_or_else(|| StoreError::corrupt(format!("reason {reason:?}")))?)
        }
        _ => return Err(StoreError::corrupt(format!("a webhook that is {state:?}"))),
    };
    Ok(Webhook {
        id: WebhookId(row.id(0)?),
        url: row.try_get(1)?,
        events: read_events(row.try_get(2)?)?,
        state,
        health: read_health(row, 5)?,
        former_secret_until: row.try_get::<Option<i64>>(8)?.map(from_unix_ms),
        created_at: from_unix_ms(row.try_get(9)?),
    })
}

/// The columns `failing_since_ms` and `failures`, which begin at `at`.
pub(crate) fn read_health(row: &Row, at: usize) -> Result<WebhookHealth, StoreError> {
    Ok(WebhookHealth {
        failing_since: row.try_get::<Option<i64>>(at)?.map(from_unix_ms),
        failures: u32::try_from(row.count(at + 1)?).unwrap_or(u32::MAX),
    })
}

fn written(events: &[EventType]) -> String {
    let mut events = events.to_vec();
    events.sort();
    events.dedup();
    events.into_iter().map(EventType::as_str).collect::<Vec<_>>().join(" ")
}

/// What [`written`] wrote.
pub(crate) fn read_events(text: &str) -> Result<Vec<EventType>, StoreError> {
    text.split_whitespace().map(str::parse).collect::<Result<_, String>>().map_err(StoreError::corrupt)
}

/// A text made of constants.
fn constant(sql: String) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_owner_and_number_has_a_secret_of_its_own_and_always_the_same() {
        let signer = Signer::new(&[7; 32]);
        let id = Uuid::from_u128(1);
        let mut secrets: Vec<String> = Vec::new();
        for owner in
            [Owner::Webhook(WebhookId(id)), Owner::TasksOf(TenantId(id)), Owner::Webhook(WebhookId(Uuid::nil()))]
        {
            for number in [0, 1, 11] {
                let secret = signer.webhook_secret(owner, number).expose().to_owned();
                assert_eq!(signer.webhook_secret(owner, number).expose(), secret);
                let bytes = STANDARD.decode(secret.strip_prefix(SECRET_START).unwrap()).unwrap();
                assert_eq!(bytes.len(), 32);
                secrets.push(secret);
            }
        }
        secrets.push(Signer::new(&[8; 32]).webhook_secret(Owner::Webhook(WebhookId(id)), 0).expose().to_owned());
        secrets.sort();
        secrets.dedup();
        assert_eq!(secrets.len(), 10);
    }

    #[test]
    fn events_are_read_as_they_are_written() {
        let all = EventType::ALL.to_vec();
        assert_eq!(read_events(&written(&[all.clone(), all.clone()].concat())).unwrap(), all);
        assert_eq!(read_events("").unwrap(), []);
        assert!(read_events("task.started").is_err());
    }
}
