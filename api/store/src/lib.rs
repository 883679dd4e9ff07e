//! Rows, queue and objects: embedded in a SQLite file and a folder, or shared by many processes in PostgreSQL.
//!
//! What is answered is committed, and what is committed survives a power loss. Every read names a tenant, and another
//! tenant's row is the same as an absent one. Knows nothing of HTTP and of how a task is run.

mod access;
mod adopting;
mod artifacts;
mod audit;
mod batches;
mod bus;
mod clock;
mod cluster;
mod compiled;
mod copied_artifacts;
mod counts;
mod deliveries;
mod due;
mod error;
mod events;
mod fail_points;
mod folder;
mod follow;
mod followers;
mod garbage;
mod ids;
mod keys;
mod ledger;
mod list;
mod modules;
mod objects;
mod orphans;
mod pace;
mod packages;
mod paging;
mod probe;
mod queue;
mod quota;
mod reading;
mod recent;
mod result_cache;
mod role;
mod runs;
mod schedules;
mod scopes;
mod shared;
mod signer;
mod spent;
mod sql;
mod storage;
mod store;
mod studies;
mod tasks;
mod tenants;
mod tickets;
mod uploads;
mod usage;
mod webhooks;
mod workers;
mod workflow_deletion;
mod workflows;
mod writer;

pub use adopting::{Adopted, KeptClaim, LEASE_HANDED_OVER_MAX};
pub use artifacts::{ArtifactFile, StoredArtifact};
pub use audit::{Actor, AuditAction, AuditEntry, AuditPage};
pub use batches::{
    BatchDeleted, BatchFilter, BatchPage, BatchRow, BatchSource, BatchSpec, BatchWatch, CHUNK_ITEMS_MAX,
    ITEMS_PAGE_MAX, ItemCounts, ItemRow, NewBatch, SubmittedBatch, chunk_items,
};
pub use bus::{Bus, BusAddress, BusAddressError, BusCounts, BusState, Hint, probe_bus};
pub use clock::{Clock, ManualClock, RandomError, SystemClock};
pub use cluster::{Migrated, migrate};
pub use compiled::{AfterCompile, COMPILE_ERRORS_KEPT_FOR, Compiled};
pub use counts::LaneCount;
pub use deliveries::{DELIVERIES_KEPT_FOR, Delivery, DeliveryState, LastAttempt, Replay};
pub use due::{DeliveryReport, DeliveryRoom, DueDelivery, EndpointEffect, NextAttempt};
pub use error::StoreError;
pub use events::{EventType, Subject, TENANT_EVENTS_KEPT_FOR, TENANT_EVENTS_PAGE_MAX, TenantEvent, TenantWatch};
pub use fail_points::{arm_fail_points, fail_point, fail_point_of};
pub use follow::{EVENTS_PAGE_MAX, EventKind, EventPage, LogEntry, LogPage, TaskEvent};
pub use followers::Watch;
pub use garbage::Collected;
pub use keys::{API_KEYS_PER_TENANT_MAX, AdminKey, ApiKey, ApiKeyError, CreatedApiKey, NewApiKey, Secret};
pub use ledger::{Reconciliation, UsageBy, UsageTotals, reconcile_usage};
pub use list::{LIST_LIMIT_MAX, ListError, TaskPage, TaskQuery};
pub use modules::{Module, NewModule};
pub use objects::{
    Download, InvalidObjectKey, InvalidObjectsAddress, LOG_INLINE_BYTES_MAX, Link, Listing, ObjectInfo, ObjectKey,
    ObjectReader, ObjectWriter, Objects, ObjectsAddress, ObjectsOptions, RESULT_INLINE_BYTES_MAX, S3Address,
    S3Credentials, SpoolRoom, StoredText, Swept,
};
pub use packages::{
    Maintainer, NewPackageVersion, PackageOutcome, PackagePin, PackageSummary, PackageVersion, PublishError,
    VERSIONS_PER_PACKAGE_MAX, VersionSummary, Viewer, Yank, YankOutcome,
};
pub use paging::{PageOf, PageRequest};
pub use probe::{DatabaseFindings, probe_database};
pub use queue::{
    Beat, ClaimRef, ClaimRequest, Claimed, Claims, Finish, LeaseToken, NewLog, PreparedFinish, Recovered, Written,
};
pub use quota::{OverQuota, Quota, QuotaKind};
pub use result_cache::CachedCopy;
pub use role::Role;
pub use runs::{
    Advance, Advanced, Arrived, InboxItem, LoadedRun, NewRun, NodeTask, ParentNode, RUN_EVENTS_PAGE_MAX, RunDeleted,
    RunEnd, RunEnded, RunEvent, RunKey, RunQuery, RunRow, RunState, RunWatch, StartRunError, StartedRun, TaskEnded,
};
pub use schedules::{
    FIRINGS_KEPT, Fire, FireWork, Fired, Firing, MissedPolicy, NewSchedule, OverlapPolicy, ScheduleChange, ScheduleRow,
};
pub use scopes::{Scope, Scopes};
pub use shared::TaskWatch;
pub use signer::{Grant, Method, SignatureError, Signer};
pub use sql::SchemaState;
pub use store::{Database, Store, StoreOptions};
pub use studies::{MemberCounts, MemberKind, StudyChange, StudyMember, StudyRow};
pub use tasks::{Cancelled, Deleted, Idempotency, NewTask, Replayed, Submission, SubmitError, Submitted, TaskResult};
pub use tenants::{Access, Found, OPERATOR_TENANT, Tenant, TenantError};
pub use tickets::{Ticket, TicketHolder};
pub use uploads::{NewUpload, OpenUploads, PendingUpload, Upload, UploadDeleted, UploadError, UploadState};
pub use usage::PreviewUsage;
pub use webhooks::{
    DisabledReason, NewSecret, NewWebhook, SECRET_KEPT_FOR, WEBHOOKS_PER_TENANT_MAX, Webhook, WebhookChange,
    WebhookError, WebhookHealth, WebhookState,
};
pub use workers::{SeenWorker, WorkerKind, WorkerRow};
pub use workflow_deletion::WorkflowDeleted;
pub use workflows::{NewWorkflow, SavedWorkflow, WorkflowRow};
