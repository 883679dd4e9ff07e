//! The adapter as a whole.
