//! Pieces of a task's log as they are written: in their rows, or too large for that and in objects.

use super::state::Writer;
use crate::follow::stream_name;
use crate::sql::{Rows, pieces, query};
use crate::{StoreError, StoredText};
use mecapy_model::LogStream;

/// Said once where a task's log is cut.
const LOG_CUT: &str = "\n[log truncated]\n";

const LOGS: Rows = Rows {
    head: "INSERT INTO task_logs (no, seq, at_ms, stream, text, object_key, object_bytes, object_sha256)",
    width: 8,
    tail: "",
};

/// What one stream said, without a break by the other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogPiece {
    pub(crate) stream: LogStream,
    pub(crate) text: StoredText,
}

/// A row of a task's log.
pub(super) struct LogRow {
    pub(super) no: i64,
    pub(super) seq: i64,
    pub(super) at_ms: i64,
    pub(super) piece: LogPiece,
}

impl LogPiece {
    /// Its text's length in bytes.
    fn bytes(&self) -> u64 {
        match &self.text {
            StoredText::Inline(text) => text.len() as u64,
            StoredText::Object { size_bytes, .. } => *size_bytes,
        }
    }
}

impl Writer {
    pub(super) async fn insert_logs(&mut self, rows: &[LogRow]) -> Result<(), StoreError> {
        for rows in pieces(rows) {
            let mut query = query(LOGS.sql(rows.len()));
            for LogRow { no, seq, at_ms, piece } in rows {
                query = query.bind(*no).bind(*seq).bind(*at_ms).bind(stream_name(piece.stream));
                query = match &piece.text {
                    StoredText::Inline(text) => {
                        query.bind(text.as_str()).bind(None::<&str>).bind(None::<i64>).bind(None::<&[u8]>)
                    }
                    StoredText::Object { key, size_bytes, sha256 } => query
                        .bind("")
                        .bind(key.as_str())
                        .bind(i64::try_from(*size_bytes).unwrap_or(i64::MAX))
                        .bind(sha256.0.as_slice()),
                };
            }
            self.run(query).await?;
        }
        Ok(())
    }
}

/// The pieces that fit a log which holds `before` bytes already; the first that doesn't is cut, with a note. (One that
/// is an object is left out: nothing names it then, so it is swept.)
pub(super) fn cut(logs: &[LogPiece], before: i64, bytes_max: u64) -> Vec<LogPiece> {
    let before = u64::try_from(before).unwrap_or(u64::MAX);
    let mut room = bytes_max.saturating_sub(before);
    let mut kept = Vec::with_capacity(logs.len());
    for piece in logs {
        if piece.bytes() <= room {
            room -= piece.bytes();
            kept.push(piece.clone());
            continue;
        }
        if before <= bytes_max {
            let start = match &piece.text {
                StoredText::Inline(text) => start_of(text, usize::try_from(room).unwrap_or(usize::MAX)),
                StoredText::Object { .. } => "",
            };
            kept.push(LogPiece { stream: piece.stream, text: StoredText::Inline(format!("{start}{LOG_CUT}")) });
        }
        break;
    }
    kept
}

/// As much of a text as fits so many bytes.
fn start_of(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

pub(super) fn bytes(logs: &[LogPiece]) -> i64 {
    i64::try_from(logs.iter().map(LogPiece::bytes).fold(0, u64::saturating_add)).unwrap_or(i64::MAX)
}

pub(super) fn count(logs: &[LogPiece]) -> i64 {
    i64::try_from(logs.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectKey;
    use mecapy_model::Digest;

    fn here(text: &str) -> LogPiece {
        LogPiece { stream: LogStream::Stdout, text: StoredText::Inline(text.to_owned()) }
    }

    fn there(size_bytes: u64) -> LogPiece {
        let key = ObjectKey::parse("logs/a").unwrap();
        let text = StoredText::Object { key, size_bytes, sha256: Digest([0; 32]) };
        LogPiece { stream: LogStream::Stderr, text }
    }

    #[test]
    fn what_passes_the_limit_is_cut_once_wherever_it_is() {
        let cut_here = |text: &str| here(&format!("{text}{LOG_CUT}"));
        assert_eq!(cut(&[here("abc"), here("dé")], 0, 5), [here("abc"), cut_here("d")]);
        assert_eq!(cut(&[here("abc"), here("d")], 1, 5), [here("abc"), here("d")]);
        let cut_there = LogPiece { stream: LogStream::Stderr, ..cut_here("") };
        assert_eq!(cut(&[there(3), there(3), here("x")], 0, 5), [there(3), cut_there]);
        assert_eq!(cut(&[here("x")], 6, 5), []);
        assert_eq!((bytes(&[there(3), here("dé")]), count(&[there(3), here("dé")])), (6, 2));
    }
}
