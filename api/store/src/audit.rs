//! Who changed what. An entry is written in the transaction of its change, and the log is only added to.

use crate::clock::from_unix_ms;
use crate::list::{LIST_LIMIT_MAX, ListError};
use crate::sql::{Row, query};
use crate::writer::Writer;
use crate::{Store, StoreError};
use mecapy_model::TenantId;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// What stands for the process itself.
const PLATFORM: &str = "platform";

/// Who asks for a change, as the log names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `api_key:<id>` or `access_token:<subject>`.
    pub principal: String,
    /// For people.
    pub name: String,
    /// What the client called its request.
    pub request_id: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditAction {
    ApiKeyCreated,
    ApiKeyRevoked,
    TenantCreated,
    TenantChanged,
    QuotaChanged,
    TaskCancelled,
    TaskDeleted,
    BatchCancelled,
    BatchDeleted,
    WebhookCreated,
    WebhookChanged,
    WebhookDeleted,
    /// A new secret signs.
    WebhookSecretRotated,
    PackagePublished,
    PackageYanked,
    PackageUnyanked,
    PackageMaintainersChanged,
}

/// An entry to write.
#[derive(Debug)]
pub(crate) struct AuditRecord {
    /// Whose things were changed: in whose log it stands.
    pub(crate) tenant: TenantId,
    pub(crate) action: AuditAction,
    /// The id of what was changed.
    pub(crate) target: String,
    /// What else there is to say; never a secret.
    pub(crate) detail: Option<Value>,
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    no: i64,
    pub tenant: TenantId,
    pub at: OffsetDateTime,
    /// `api_key:<id>`, `access_token:<subject>`, or `platform`.
    pub principal: String,
    pub principal_name: Option<String>,
    pub action: String,
    pub target: String,
    pub detail: Option<Box<RawValue>>,
    pub request_id: Option<String>,
}

/// Some entries, newest first.
#[derive(Debug, Clone)]
pub struct AuditPage {
    pub entries: Vec<AuditEntry>,
    /// For the page after this one.
    pub next_cursor: Option<String>,
}

impl AuditAction {
    pub const fn as_str(self) -> &'static str {
        match self {
            AuditAction::ApiKeyCreated => "api_key.created",
            AuditAction::ApiKeyRevoked => "api_key.revoked",
            AuditAction::TenantCreated => "tenant.created",
            AuditAction::TenantChanged => "tenant.changed",
            AuditAction::QuotaChanged => "quota.changed",
            AuditAction::TaskCancelled => "task.cancelled",
            AuditAction::TaskDeleted => "task.deleted",
            AuditAction::BatchCancelled => "batch.cancelled",
            AuditAction::BatchDeleted => "batch.deleted",
            AuditAction::WebhookCreated => "webhook.created",
            AuditAction::WebhookChanged => "webhook.changed",
            AuditAction::WebhookDeleted => "webhook.deleted",
            AuditAction::WebhookSecretRotated => "webhook.secret_rotated",
            AuditAction::PackagePublished => "package.published",
            AuditAction::PackageYanked => "package.yanked",
            AuditAction::PackageUnyanked => "package.unyanked",
            AuditAction::PackageMaintainersChanged => "package.maintainers_changed",
        }
    }
}

impl Writer {
    /// Adds an entry about what the transaction does, by `actor` or by the platform itself.
    pub(crate) async fn audit(&mut self, actor: Option<&Actor>, record: AuditRecord) -> Result<(), StoreError> {
        let sql = "INSERT INTO audit (tenant, at_ms, principal, principal_name, action, target, detail, request_id) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let query = query(sql)
            .bind(record.tenant)
            .bind(self.now_ms)
            .bind(actor.map_or(PLATFORM, |actor| actor.principal.as_str()))
            .bind(actor.map(|actor| actor.name.as_str()))
            .bind(record.action.as_str())
            .bind(record.target)
            .bind(record.detail.map(|detail| detail.to_string()))
            .bind(actor.and_then(|actor| actor.request_id.as_deref()));
        self.run(query).await.map(drop)
    }
}

impl Store {
    /// A page of one tenant's log, or of all tenants' logs.
    pub async fn audit(
        &self,
        tenant: Option<TenantId>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<AuditPage, ListError> {
        if !(1..=LIST_LIMIT_MAX).contains(&limit) {
            return Err(ListError::BadLimit { max: LIST_LIMIT_MAX });
        }
        let scope = Sha256::digest(format!("audit {tenant:?}"));
        let before = match cursor {
            Some(cursor) => {
                let position = self.signer().read_cursor(cursor, &scope).ok_or(ListError::BadCursor)?;
                i64::try_from(u128::from_be_bytes(position)).map_err(|_| ListError::BadCursor)?
            }
            None => i64::MAX,
        };
        // One more says whether there is another page.
        let rows = match tenant {
            Some(tenant) => {
                let sql = "SELECT no, tenant, at_ms, principal, principal_name, action, target, detail, request_id \
                           FROM audit WHERE tenant = ? AND no < ? ORDER BY no DESC LIMIT ?";
                let query = query(sql).bind(tenant).bind(before).bind(limit + 1);
                query.fetch_all(&mut self.reader(tenant).await?).await?
            }
            None => {
                let sql = "SELECT no, tenant, at_ms, principal, principal_name, action, target, detail, request_id \
                           FROM audit WHERE no < ? ORDER BY no DESC LIMIT ?";
                query(sql).bind(before).bind(limit + 1).fetch_all(self.readers()).await?
            }
        };
        let mut entries = rows.iter().map(read_entry).collect::<Result<Vec<_>, _>>()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = entries.len() > limit;
        entries.truncate(limit);
        let last = entries.last().filter(|_| more);
        let next_cursor = last.map(|last| {
            let position = u128::try_from(last.no).unwrap_or(0);
            self.signer().cursor(&position.to_be_bytes(), &scope)
        });
        Ok(AuditPage { entries, next_cursor })
    }
}

fn read_entry(row: &Row) -> Result<AuditEntry, StoreError> {
    let detail = row.try_get::<Option<String>>(7)?.map(RawValue::from_string).transpose();
    Ok(AuditEntry {
        no: row.try_get(0)?,
        tenant: TenantId(row.id(1)?),
        at: from_unix_ms(row.try_get(2)?),
        principal: row.try_get(3)?,
        principal_name: row.try_get(4)?,
        action: row.try_get(5)?,
        target: row.try_get(6)?,
        detail: detail.map_err(|error| StoreError::corrupt(error.to_string()))?,
        request_id: row.try_get(8)?,
    })
}
