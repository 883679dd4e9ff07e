//! What a run's output comes to: its lines into the log, made safe to show, and into progress.

use crate::worker::follow::Follow;
use mecapy_model::LogStream;
use mecapy_runtime::{Observer as _, container::Follower, output::Sink, solver::Reader};
use std::sync::Arc;

/// Hears a run's output from its first line, and passes over as much of it as the log holds already.
pub(super) struct Told {
    follow: Arc<Follow>,
    reader: Box<dyn Reader>,
    /// Bytes of text that an earlier process has written, of those that are still to come.
    written: u64,
}

impl Told {
    pub(super) fn new(follow: Arc<Follow>, reader: Box<dyn Reader>, written: u64) -> Self {
        Self { follow, reader, written }
    }

    /// What the adapter concludes from.
    pub(super) fn into_reader(self) -> Box<dyn Reader> {
        self.reader
    }
}

impl Follower for Told {
    fn line(&mut self, stream: LogStream, line: &str) {
        let progress = self.reader.line(line);
        if !self.reader.is_logged() {
            return;
        }
        let text = shown(stream, line);
        let bytes = text.len() as u64;
        if self.written >= bytes {
            self.written -= bytes;
            return;
        }
        // Lines are written whole; what an earlier version of this program wrote otherwise may end within one.
        let from = text.ceil_char_boundary(usize::try_from(self.written).unwrap_or(text.len()));
        self.written = 0;
        self.follow.log(stream, text.get(from..).unwrap_or_default());
        if let Some(progress) = progress {
            self.follow.progress(progress);
        }
    }
}

/// A line with its end, and without what a terminal would obey. The same line is always the same text.
fn shown(stream: LogStream, line: &str) -> String {
    let mut sink = Sink::new(stream, usize::MAX);
    sink.write(line.as_bytes());
    sink.write(b"\n");
    sink.finish().text
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::Progress;

    /// Says how many lines it was told.
    #[derive(Default)]
    struct Counting(u32);

    impl Reader for Counting {
        fn line(&mut self, _: &str) -> Option<Progress> {
            self.0 += 1;
            Some(Progress { fraction: f64::from(self.0), message: None })
        }

        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
    }

    const LINES: [&str; 4] = ["one", "\u{1b}[31mtwo", "", "four €"];

    /// The text, the latest progress and the lines that the reader saw, where so much was written before.
    fn told(written: u64) -> (String, Option<f64>, u32) {
        let follow = Arc::new(Follow::default());
        let mut told = Told::new(Arc::clone(&follow), Box::new(Counting::default()), written);
        LINES.iter().for_each(|line| told.line(LogStream::Stdout, line));
        let pending = follow.drain();
        let text = pending.logs.into_iter().map(|log| log.text).collect();
        let seen = told.into_reader();
        let seen = seen.as_any().downcast_ref::<Counting>().unwrap().0;
        (text, pending.progress.map(|progress| progress.fraction), seen)
    }

    #[test]
    fn what_was_written_before_is_passed_over_without_a_gap_or_a_double_line() {
        let (all, progress, seen) = told(0);
        assert_eq!(all, "one\n␛[31mtwo\n\nfour €\n");
        assert_eq!((progress, seen), (Some(4.0), 4));
        let ends = all.char_indices().filter(|(_, c)| *c == '\n').map(|(at, _)| at + 1);
        for written in ends {
            let (rest, _, seen) = told(written as u64);
            assert_eq!((rest.as_str(), seen), (&all[written..], 4));
        }
        assert_eq!(told(all.len() as u64).1, None);
        // Within the last character: it is not shown in half.
        assert_eq!(told(all.len() as u64 - 2).0, "\n");
    }
}
