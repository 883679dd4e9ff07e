//! Tables of what was computed: rows of JSON in, bytes of a format out, a piece at a time.
//!
//! Pure: knows neither where rows come from nor where bytes go. A row is the JSON texts of its parts, in the order in
//! which [`Columns`] were told of them; nested members become columns such as `inputs.d` and `result.bolt.stress`, and
//! whatever has no column of its own (arrays, and what is nested too deep) stays JSON in a text. A table is made in two
//! passes over the same rows: [`Columns::see`] finds its columns, [`Sheet::row`] writes. Neither keeps rows.

mod arrow;
mod columns;
mod csv;
mod flatten;
mod plot;
mod sheet;
mod summary;

pub use columns::{COLUMNS_MAX, Columns, Kind, Part, TooManyColumns};
pub use plot::{Axes, GROUPS_MAX, POINTS_MAX, Picture, Plot, SOURCE as PLOT_SOURCE};
pub use sheet::{Format, Sheet, SheetError};
pub use summary::{FieldSummary, SUMMARY_FIELDS_MAX, Statistics, Summary};
