//! The store through its public surface, on real files.

mod claiming;
mod fixture;
mod following;
mod invariants;
mod keeping;
mod listing;
mod reporting;
mod submitting;
mod surviving;
mod tenancy;
