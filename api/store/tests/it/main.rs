//! The store through its public surface, on real files and on a real PostgreSQL server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's own helpers fail the test by panicking; only #[test] functions are exempt by themselves"
)]

mod auditing;
mod batches;
mod claiming;
mod compiling;
mod containers;
mod database;
mod events;
mod fixture;
mod following;
mod inboxes;
mod invariants;
mod jumping;
mod keeping;
mod kernels;
mod ledger;
mod listing;
mod packaging;
mod pooling;
mod processes;
mod quotas;
mod registering;
mod reporting;
mod result_cache;
mod schedules;
mod studies;
mod submitting;
mod surviving;
mod sweeping;
mod tenancy;
mod webhooks;
mod workflows;
