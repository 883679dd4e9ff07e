//! The expression language: total, small, without side effects.

/// An expression, read and found well formed.
#[derive(Debug, Clone)]
pub struct Expr {}
