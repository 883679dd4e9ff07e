//! Workflows by their names, in versions that never change.

use crate::clock::from_unix_ms;
use crate::list::ListError;
use crate::paging::{PageOf, PageRequest};
use crate::sql::{Row, query};
use crate::writer::Writer;
use crate::{Store, StoreError};
use mecapy_model::{TenantId, WorkflowId};
use time::OffsetDateTime;

/// A workflow to save; validated by the caller.
#[derive(Debug, Clone)]
pub struct NewWorkflow {
    pub tenant: TenantId,
    /// The tenant's own: one workflow has it.
    pub name: String,
    /// The definition's JSON text, written in one way, so that equal definitions are equal texts.
    pub definition: String,
}

/// A workflow in one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRow {
    pub id: WorkflowId,
    pub tenant: TenantId,
    pub name: String,
    /// From 1 on.
    pub version: u32,
    /// The newest version that there is.
    pub latest: u32,
    /// The definition's JSON text; empty in lists.
    pub definition: String,
    /// When the workflow was first saved.
    pub created_at: OffsetDateTime,
    /// When this version was.
    pub saved_at: OffsetDateTime,
}

/// A workflow that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedWorkflow {
    pub workflow: WorkflowRow,
    /// `false`: the newest version was the same already, and stays the newest.
    pub is_new_version: bool,
}

/// The columns that [`read_workflow`] takes, by what stands for the definition.
macro_rules! workflow_sql {
    ($definition:literal, $version:literal) => {
        concat!(
            "SELECT w.id, w.tenant, w.name, v.version, w.version, ",
            $definition,
            ", w.created_ms, v.saved_ms FROM workflows w JOIN workflow_versions v ON v.workflow_no = w.no \
             AND v.version = ",
            $version,
            " WHERE w.tenant = ?1"
        )
    };
}

impl Store {
    /// Saves a workflow under its name: as the first version, or as a further one where the newest differs.
    pub async fn save_workflow(&self, workflow: NewWorkflow) -> Result<SavedWorkflow, StoreError> {
        let (ms, random) = self.ids().next();
        let id = WorkflowId::from_parts(ms, &random);
        self.write_rarely(async move |writer| writer.save_workflow(id, &workflow).await).await
    }

    /// A workflow by its id or its name, in a version or in the newest. `None`: there is no such workflow or version.
    pub async fn workflow(
        &self,
        tenant: TenantId,
        id_or_name: &str,
        version: Option<u32>,
    ) -> Result<Option<WorkflowRow>, StoreError> {
        const BY_ID: &str = concat!(workflow_sql!("v.definition", "coalesce(?3, w.version)"), " AND w.id = ?2");
        const BY_NAME: &str = concat!(workflow_sql!("v.definition", "coalesce(?3, w.version)"), " AND w.name = ?2");
        let named = match id_or_name.parse::<WorkflowId>() {
            Ok(id) => query(BY_ID).bind(tenant).bind(id),
            Err(_) => query(BY_NAME).bind(tenant).bind(id_or_name),
        };
        let row = named.bind(version).fetch_optional(&mut self.reader(tenant).await?).await?;
        row.as_ref().map(read_workflow).transpose()
    }

    /// The tenant's workflows in their newest versions, newest workflow first.
    pub async fn workflows(&self, tenant: TenantId, request: PageRequest) -> Result<PageOf<WorkflowRow>, ListError> {
        const SQL: &str = concat!(workflow_sql!("''", "w.version"), " AND w.id < ?2 ORDER BY w.id DESC LIMIT ?3");
        let page = self.open_page(tenant, "workflows", &request)?;
        let query = query(SQL).bind(tenant).bind(page.before).bind(page.rows);
        let rows = query.fetch_all(&mut self.reader(tenant).await?).await?;
        self.close_page(&page, rows.iter().map(read_workflow).collect(), |workflow| workflow.id.0)
    }

    /// The versions of a workflow, newest first, `limit` at most, all or those before one. Empty: there is none.
    pub async fn workflow_versions(
        &self,
        tenant: TenantId,
        id: WorkflowId,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<WorkflowRow>, StoreError> {
        const SQL: &str = concat!(
            workflow_sql!("''", "v.version"),
            " AND w.id = ?2 AND v.version < ?3 ORDER BY v.version DESC LIMIT ?4"
        );
        let query = query(SQL).bind(tenant).bind(id).bind(before.unwrap_or(u32::MAX)).bind(limit);
        query.fetch_all(&mut self.reader(tenant).await?).await?.iter().map(read_workflow).collect()
    }
}

impl Writer {
    async fn save_workflow(&mut self, id: WorkflowId, new: &NewWorkflow) -> Result<SavedWorkflow, StoreError> {
        let sql = "INSERT INTO workflows (id, tenant, name, version, created_ms) VALUES (?, ?, ?, 0, ?) \
                   ON CONFLICT (tenant, name) DO NOTHING";
        let made = query(sql).bind(id).bind(new.tenant).bind(new.name.as_str()).bind(self.now_ms);
        self.run(made).await?;
        // Locks the row until the commit: of two who save at the same time the second sees what the first saved.
        let sql = "UPDATE workflows SET version = version WHERE tenant = ? AND name = ? \
                   RETURNING no, id, version, created_ms";
        let locked = query(sql).bind(new.tenant).bind(new.name.as_str()).fetch_one(&mut self.conn).await?;
        let (no, latest): (i64, i64) = (locked.try_get(0)?, locked.try_get(2)?);
        let sql = "SELECT definition, saved_ms FROM workflow_versions WHERE workflow_no = ? AND version = ?";
        let newest = query(sql).bind(no).bind(latest).fetch_optional(&mut self.conn).await?;
        let same = match &newest {
            Some(row) => row.try_get::<&str>(0)? == new.definition,
            None => false,
        };
        let version = if same { latest } else { latest + 1 };
        let saved_ms = match &newest {
            Some(row) if same => row.try_get(1)?,
            _ => self.now_ms,
        };
        if !same {
            let sql = "INSERT INTO workflow_versions (workflow_no, version, definition, saved_ms) VALUES (?, ?, ?, ?)";
            let text = query(sql).bind(no).bind(version).bind(new.definition.as_str()).bind(saved_ms);
            self.run(text).await?;
            self.run(query("UPDATE workflows SET version = ? WHERE no = ?").bind(version).bind(no)).await?;
        }
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        let workflow = WorkflowRow {
            id: WorkflowId(locked.id(1)?),
            tenant: new.tenant,
            name: new.name.clone(),
            version,
            latest: version,
            definition: new.definition.clone(),
            created_at: from_unix_ms(locked.try_get(3)?),
            saved_at: from_unix_ms(saved_ms),
        };
        Ok(SavedWorkflow { workflow, is_new_version: !same })
    }
}

fn read_workflow(row: &Row) -> Result<WorkflowRow, StoreError> {
    Ok(WorkflowRow {
        id: WorkflowId(row.id(0)?),
        tenant: TenantId(row.id(1)?),
        name: row.try_get(2)?,
        version: u32::try_from(row.count(3)?).unwrap_or(u32::MAX),
        latest: u32::try_from(row.count(4)?).unwrap_or(u32::MAX),
        definition: row.try_get(5)?,
        created_at: from_unix_ms(row.try_get(6)?),
        saved_at: from_unix_ms(row.try_get(7)?),
    })
}
