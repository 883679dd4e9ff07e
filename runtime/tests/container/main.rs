//! Containers on a real Docker engine: what is contained, what is told, what is found again, and what is left (nothing).
//!
//! `MECAPY_TEST_DOCKER` names an engine (`unix:///path`), `MECAPY_TEST_DOCKER_IMAGE` an image on it by digest, with
//! `/bin/sh` and the core utilities. They need root, for the work folders.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // A test may fail.

mod bench;
mod contained;
mod ends;
mod found;
mod volumes;
