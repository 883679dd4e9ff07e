//! Placeholder-free.
