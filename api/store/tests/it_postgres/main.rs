//! The same tests of the store's public surface, on a PostgreSQL server, and what only several processes can show.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's own helpers fail the test by panicking; only #[test] functions are exempt by themselves"
)]

#[path = "../it/claiming.rs"]
mod claiming;
mod database;
#[path = "../it/fixture.rs"]
mod fixture;
#[path = "../it/following.rs"]
mod following;
#[path = "../it/invariants.rs"]
mod invariants;
#[path = "../it/keeping.rs"]
mod keeping;
#[path = "../it/listing.rs"]
mod listing;
mod processes;
#[path = "../it/reporting.rs"]
mod reporting;
#[path = "../it/submitting.rs"]
mod submitting;
#[path = "../it/tenancy.rs"]
mod tenancy;
