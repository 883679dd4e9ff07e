//! A container's output, followed from its first byte to its last.

use super::{
    ContainerEngine, EngineError,
    error::Patience,
    watch::{Signal, told},
};
use bollard::{container::LogOutput, query_parameters::LogsOptionsBuilder};
use mecapy_model::LogStream;
use std::time::Duration;
use tokio::time::sleep;
use tokio_stream::StreamExt;

/// A longer line is handed on in pieces.
const LINE_BYTES_MAX: usize = 64 << 10;
/// What the engine writes to its disk for a line, beside the line.
const LINE_COST_BYTES: u64 = 80;
const REOPEN_PAUSE: Duration = Duration::from_millis(200);

/// Told of a container's output, line by line and in order. Called on the run's own task: must not block.
pub trait Follower: Send {
    /// A line without its end, as the program said it but for invalid UTF-8, which is replaced.
    fn line(&mut self, stream: LogStream, line: &str);
}

impl<F: FnMut(LogStream, &str) + Send> Follower for F {
    fn line(&mut self, stream: LogStream, line: &str) {
        self(stream, line);
    }
}

/// How much of a container's output was read.
pub(super) struct Output<'a> {
    follower: &'a mut dyn Follower,
    cost_max: u64,
    /// Pieces as the engine keeps them. Its log is only added to, so that their count alone says where to go on: the
    /// times of pieces don't, since those of the two streams may go back, and its API takes whole seconds.
    pieces: u64,
    cost: u64,
    /// Without the cost of lines.
    pub(super) bytes: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl<'a> Output<'a> {
    pub(super) fn new(follower: &'a mut dyn Follower, cost_max: u64) -> Self {
        Self { follower, cost_max, pieces: 0, cost: 0, bytes: 0, stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Reads until the container has `ended` and all that it said is read, or until it said too much, which `flood` is
    /// told.
    ///
    /// # Errors
    /// Where the engine is away for too long, or the container vanished.
    pub(super) async fn follow(
        &mut self,
        engine: &ContainerEngine,
        id: &str,
        flood: &Signal,
        ended: &Signal,
    ) -> Result<(), EngineError> {
        let mut patience = Patience::default();
        loop {
            // What is read after the end is all there is: the engine has closed its log by then.
            let is_last = *ended.borrow();
            let read = tokio::select! {
                biased;
                () = told(ended), if !is_last => continue,
                read = self.read(engine, id, !is_last, flood) => read,
            };
            match read {
                Ok(()) if is_last || *flood.borrow() => break,
                // A stream ends early in the moment before the container's end, and where the engine is about to go.
                Ok(()) => tokio::select! {
                    () = told(ended) => {}
                    () = sleep(REOPEN_PAUSE) => {}
                },
                Err(error) => patience.pause(error).await?,
            }
        }
        self.end();
        Ok(())
    }

    /// Reads the log from its beginning, passes over what is known, and takes the rest.
    async fn read(
        &mut self,
        engine: &ContainerEngine,
        id: &str,
        follow: bool,
        flood: &Signal,
    ) -> Result<(), EngineError> {
        let options = LogsOptionsBuilder::new().follow(follow).stdout(true).stderr(true).build();
        let mut known = self.pieces;
        let mut stream = std::pin::pin!(engine.docker.logs(id, Some(options)));
        while let Some(piece) = stream.next().await {
            let (of, bytes) = match piece.map_err(|error| EngineError::about(id, error))? {
                LogOutput::StdOut { message } => (LogStream::Stdout, message),
                LogOutput::StdErr { message } => (LogStream::Stderr, message),
                // What has no stream is no output, but what is left of a broken answer.
                LogOutput::Console { .. } | LogOutput::StdIn { .. } => return Err(cut()),
            };
            if known > 0 {
                known -= 1;
                continue;
            }
            self.pieces += 1;
            self.take(of, &bytes, flood);
            if *flood.borrow() {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, of: LogStream, bytes: &[u8], flood: &Signal) {
        self.bytes += bytes.len() as u64;
        self.cost += bytes.len() as u64 + LINE_COST_BYTES;
        if self.cost > self.cost_max {
            flood.send_replace(true);
            return;
        }
        let held = match of {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            held.extend_from_slice(part);
            if held.last() == Some(&b'\n') {
                held.pop();
                self.follower.line(of, &String::from_utf8_lossy(held));
                held.clear();
            } else if held.len() >= LINE_BYTES_MAX {
                let rest = held.split_off(whole_characters(held));
                self.follower.line(of, &String::from_utf8_lossy(held));
                *held = rest;
            }
        }
    }

    /// Hands on the lines that have no end.
    fn end(&mut self) {
        for (of, held) in [(LogStream::Stdout, &self.stdout), (LogStream::Stderr, &self.stderr)] {
            if !held.is_empty() {
                self.follower.line(of, &String::from_utf8_lossy(held));
            }
        }
    }
}

/// How many bytes there are before a character that has only begun.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => bytes.len(),
    }
}

fn cut() -> EngineError {
    let error = "the engine's log stream was cut".to_owned();
    EngineError::Unreachable(Box::new(bollard::errors::Error::DockerStreamError { error }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[(LogStream, &[u8])], cost_max: u64) -> (Vec<String>, bool) {
        let flood = Signal::new(false);
        let mut lines = Vec::new();
        let mut follower = |of: LogStream, line: &str| lines.push(format!("{of:?} {line}"));
        let mut output = Output::new(&mut follower, cost_max);
        pieces.iter().for_each(|(of, bytes)| output.take(*of, bytes, &flood));
        output.end();
        (lines, *flood.borrow())
    }

    #[test]
    fn pieces_become_lines_of_their_stream_in_order() {
        use LogStream::{Stderr, Stdout};
        let (lines, flooded) = said(
            &[(Stdout, b"step 1\nst"), (Stderr, b"warn\n"), (Stdout, b"ep \xff2\n\n"), (Stdout, b"no end")],
            1 << 20,
        );
        assert_eq!(lines, ["Stdout step 1", "Stderr warn", "Stdout step \u{fffd}2", "Stdout ", "Stdout no end"]);
        assert!(!flooded);
    }

    #[test]
    fn security_06_a_line_without_end_is_cut_between_characters_and_a_flood_is_told() {
        let euros = "€".repeat(30_000);
        let (lines, flooded) = said(&[(LogStream::Stdout, euros.as_bytes())], 1 << 20);
        assert!(!flooded && lines.iter().all(|line| !line.contains('\u{fffd}')));
        let pieces: Vec<_> = std::iter::repeat_n((LogStream::Stdout, b"\n".as_slice()), 100).collect();
        let (lines, flooded) = said(&pieces, 810);
        assert_eq!((lines.len(), flooded), (10, true));
    }
}
