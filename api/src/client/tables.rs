//! Tables and pictures that the server makes of a batch or a study.

use super::{Client, ClientError, batches::batch_path, paging::with_query, studies::study_path};
use mecapy_model::{BatchId, StudyId};
use reqwest::Method;
use std::time::Duration;

/// A table that brings nothing for so long has broken off.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Points are gathered, and matplotlib draws them in a sandbox.
const PLOT_TIMEOUT: Duration = Duration::from_secs(120);
const PICTURE_BYTES_MAX: usize = 64 << 20;

/// What the columns of a batch begin with.
const KNOWN: [&str; 8] = ["index", "state", "inputs", "result", "error", "seed", "usage", "task"];

/// Whose table or picture it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    Batch(BatchId),
    Study(StudyId),
}

/// The columns of a picture, named as in the table: `inputs.d`, `result.stress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Axes {
    pub x: String,
    pub y: String,
    /// Rows with the same value here are one line.
    pub group: Option<String>,
}

impl Axes {
    /// With columns that were named by their last part alone: one of these is an input, any other one a result.
    pub(crate) fn named(self, inputs: &[String]) -> Self {
        let named = |column: String| {
            let first = column.split('.').next().unwrap_or_default();
            if inputs.iter().any(|input| input == first) {
                format!("inputs.{column}")
            } else if KNOWN.contains(&first) {
                column
            } else {
                format!("result.{column}")
            }
        };
        Self { x: named(self.x), y: named(self.y), group: self.group.map(named) }
    }
}

impl Of {
    fn table(self) -> String {
        match self {
            Of::Batch(id) => format!("{}/results", batch_path(id)),
            Of::Study(id) => format!("{}/table", study_path(id)),
        }
    }

    fn plot(self) -> String {
        match self {
            Of::Batch(id) => format!("{}/plot", batch_path(id)),
            Of::Study(id) => format!("{}/plot", study_path(id)),
        }
    }
}

impl Client {
    /// Hands the bytes of a table to `write` as they arrive. `only` picks rows: `failed` of a batch.
    ///
    /// # Errors
    /// A table that breaks off is an error, after what came of it.
    pub(crate) async fn table(
        &self,
        of: Of,
        (format, only): (&str, Option<&str>),
        mut write: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), ClientError> {
        let path = with_query(&of.table(), [("format", Some(format)), ("only", only)]);
        let mut response = self.success(self.request(Method::GET, &path)).await?;
        let silent = |_| ClientError::TimedOut { url: self.base_url().to_owned() };
        while let Some(chunk) =
            tokio::time::timeout(SILENCE_MAX, response.chunk()).await.map_err(silent)?.map_err(|e| self.failed(e))?
        {
            write(&chunk).map_err(|source| ClientError::Write { name: "the table".to_owned(), source })?;
        }
        Ok(())
    }

    /// A picture, `png` or `svg`.
    pub(crate) async fn plot(&self, of: Of, axes: &Axes, format: &str) -> Result<Vec<u8>, ClientError> {
        let query = [
            ("x", Some(axes.x.as_str())),
            ("y", Some(axes.y.as_str())),
            ("group", axes.group.as_deref()),
            ("format", Some(format)),
        ];
        let request = self.request(Method::GET, &with_query(&of.plot(), query)).timeout(PLOT_TIMEOUT);
        let response = self.success(request).await?;
        self.body(response, PICTURE_BYTES_MAX).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_be_named_by_their_last_part() {
        let inputs = ["d".to_owned(), "bolt".to_owned()];
        for (column, expected) in [
            ("d", "inputs.d"),
            ("bolt.pitch", "inputs.bolt.pitch"),
            ("stress", "result.stress"),
            ("check.stress", "result.check.stress"),
            ("inputs.F", "inputs.F"),
            ("result.d", "result.d"),
            ("index", "index"),
        ] {
            let axes = Axes { x: column.to_owned(), y: "index".to_owned(), group: Some(column.to_owned()) };
            let named = axes.named(&inputs);
            assert_eq!((named.x.as_str(), named.group.as_deref()), (expected, Some(expected)));
        }
    }
}
