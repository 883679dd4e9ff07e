//! Pictures of small results.
