//! Results that are used again: what a request says of earlier ones, and what came of that.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a request says of earlier results of the same computation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheMode {
    /// It runs, and its result is not kept for others.
    #[default]
    Off,
    /// An earlier result stands for it; where there is none it runs, and its result is kept.
    Use,
    /// It runs, and its result is kept in the place of an earlier one.
    Refresh,
}

/// Whether a task took an earlier result when it was accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reuse {
    /// It was not asked for.
    #[default]
    Off,
    /// The task has an earlier one's result, and did not run.
    Hit,
    /// Nothing was kept for its computation.
    Miss,
    /// The task was asked to run, whatever was kept.
    Refresh,
}

impl Reuse {
    /// What the request had said.
    pub const fn mode(self) -> CacheMode {
        match self {
            Reuse::Off => CacheMode::Off,
            Reuse::Refresh => CacheMode::Refresh,
            Reuse::Hit | Reuse::Miss => CacheMode::Use,
        }
    }

    /// Whether this is what a request without a word of it has.
    pub fn is_off(&self) -> bool {
        *self == Reuse::Off
    }
}
