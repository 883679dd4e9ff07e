//! Where a guest's standard output and error go: counted, cut at a cap, and made safe to show.
//!
//! The text of a sink is valid UTF-8. What is no UTF-8 becomes U+FFFD, and what a terminal would obey becomes visible:
//! ESC is shown as `␛`. A sink may keep the bytes as they came too, for who parses them, and may take out of the text
//! what a program tells the platform. It knows nothing of descriptors or of the sandbox.

mod told;

pub use told::Told;
pub(crate) use told::{WARNINGS_MAX, kind_of_guest, progress};

use crate::Observer;
use mecapy_model::{LogStream, TaskError};
use std::sync::Arc;

/// Text without a newline is told to the observer once there is this much of it, in bytes.
const LIVE_CHUNK_BYTES_MAX: usize = 4_096;
/// Bytes looked at beyond the room that is left. Text is never shorter than the bytes that it shows, but for an
/// incomplete character at their end (3 bytes), so that this much more always passes the cap.
const BEYOND_ROOM_BYTES: usize = 8;

/// One stream's sink. Memory is bounded by `bytes_max` and `raw_bytes_max`, time by the bytes up to the caps, however
/// long one write is: what lies beyond is counted and dropped.
pub struct Sink {
    stream: LogStream,
    bytes_max: usize,
    text: String,
    raw_bytes_max: usize,
    /// The first bytes, as they came.
    raw: Vec<u8>,
    /// What is told to the platform, where the stream may hold that.
    told_lines: Option<told::Lines>,
    /// The beginning of a character whose end has not been written yet.
    partial: Partial,
    bytes_written: u64,
    truncated: bool,
    observer: Option<Arc<dyn Observer>>,
    /// Bytes of `text` that the observer has been told.
    told: usize,
}

/// What a sink holds at the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    pub text: String,
    /// Some of what was written is not in `text`.
    pub truncated: bool,
    /// Everything that the guest wrote, kept or not.
    pub bytes_written: u64,
    /// What the program told the platform: see [`Sink::hearing`].
    pub told: Told,
}

impl Sink {
    /// A sink that keeps at most `bytes_max` bytes of text.
    pub fn new(stream: LogStream, bytes_max: usize) -> Self {
        Self {
            stream,
            bytes_max,
            text: String::new(),
            raw_bytes_max: 0,
            raw: Vec::new(),
            told_lines: None,
            partial: Partial::default(),
            bytes_written: 0,
            truncated: false,
            observer: None,
            told: 0,
        }
    }

    /// Keeps the first `bytes_max` bytes as they came, beside the text.
    #[must_use]
    pub fn keeping_raw(mut self, bytes_max: usize) -> Self {
        self.raw_bytes_max = bytes_max;
        self
    }

    /// Takes lines as `mecapy: progress 0.42 meshing` out of the text: the observer hears of progress, the rest is
    /// there at the end.
    #[must_use]
    pub fn hearing(mut self) -> Self {
        self.told_lines = Some(told::Lines::default());
        self
    }

    /// Tells `observer` each complete line as it is written, and long lines in parts.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Takes whatever a guest writes; it never fails and never blocks.
    pub fn write(&mut self, bytes: &[u8]) {
        self.bytes_written = self.bytes_written.saturating_add(bytes.len() as u64);
        let raw_room = self.raw_bytes_max.saturating_sub(self.raw.len());
        self.raw.extend_from_slice(first(bytes, raw_room));
        match self.told_lines.take() {
            None => self.write_text(bytes),
            Some(mut lines) => {
                lines.take(bytes, |log| self.write_text(log));
                if let (Some(observer), Some(progress)) = (&self.observer, lines.told.progress.take()) {
                    observer.progress(progress);
                }
                self.told_lines = Some(lines);
            }
        }
    }

    fn write_text(&mut self, bytes: &[u8]) {
        if self.truncated || bytes.is_empty() {
            return;
        }
        let from = self.text.len();
        let room = self.bytes_max.saturating_sub(from);
        let rest = self.finish_partial(first(bytes, room.saturating_add(BEYOND_ROOM_BYTES)));
        self.push_bytes(rest);
        if self.observer.is_some() {
            self.tell_new(from);
        }
    }

    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// The text so far, without a character that is not complete yet.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first bytes as they came: see [`Sink::keeping_raw`].
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Why the program says that it failed: see [`Sink::hearing`].
    pub fn told_error(&self) -> Option<&TaskError> {
        self.told_lines.as_ref()?.told.error.as_ref()
    }

    /// Ends the stream: an incomplete last character becomes U+FFFD, and the observer is told the rest.
    pub fn finish(mut self) -> Output {
        let mut told = Told::default();
        if let Some(mut lines) = self.told_lines.take() {
            lines.end(|log| self.write_text(log));
            told = lines.told;
        }
        if self.partial.len > 0 {
            self.push_text("\u{fffd}");
        }
        self.tell(self.text.len());
        Output { text: self.text, truncated: self.truncated, bytes_written: self.bytes_written, told }
    }
}

impl Sink {
    /// Completes the character that an earlier write began; answers the bytes after it.
    fn finish_partial<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let mut rest = bytes;
        while self.partial.len > 0 {
            let Some((&byte, after)) = rest.split_first() else { return rest };
            let mut longer = self.partial;
            longer.push(byte);
            match std::str::from_utf8(longer.as_slice()) {
                Ok(text) => {
                    self.push_text(text);
                    self.partial = Partial::default();
                    rest = after;
                }
                Err(error) if error.error_len().is_none() => {
                    self.partial = longer;
                    rest = after;
                }
                // The new byte doesn't belong to it: it may begin something of its own.
                Err(_) => {
                    self.push_text("\u{fffd}");
                    self.partial = Partial::default();
                }
            }
        }
        rest
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        let mut left = bytes.len();
        for chunk in bytes.utf8_chunks() {
            self.push_text(chunk.valid());
            let invalid = chunk.invalid();
            left -= chunk.valid().len() + invalid.len();
            let may_go_on = || std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if left == 0 && may_go_on() {
                invalid.iter().for_each(|byte| self.partial.push(*byte));
            } else if !invalid.is_empty() {
                self.push_text("\u{fffd}");
            }
            if self.truncated {
                return;
            }
        }
    }

    /// Adds text with its control characters made visible.
    fn push_text(&mut self, text: &str) {
        let mut rest = text;
        while let Some((at, control)) = rest.char_indices().find(|(_, c)| is_harmful(*c)) {
            let (harmless, after) = rest.split_at(at);
            self.keep(harmless);
            let mut visible = [0; 8];
            self.keep(make_visible(control, &mut visible));
            if self.truncated {
                return;
            }
            rest = after.get(control.len_utf8()..).unwrap_or_default();
        }
        self.keep(rest);
    }

    /// Adds text up to the cap. Nothing is added after the first piece that didn't fit.
    fn keep(&mut self, text: &str) {
        if self.truncated {
            return;
        }
        let room = self.bytes_max.saturating_sub(self.text.len());
        let fitting = if text.len() <= room { text.len() } else { text.floor_char_boundary(room) };
        self.text.push_str(text.get(..fitting).unwrap_or_default());
        self.truncated = fitting < text.len();
    }

    /// Tells the lines that what was added at `from` has completed.
    fn tell_new(&mut self, from: usize) {
        let added = self.text.as_bytes().get(from..).unwrap_or_default();
        if let Some(newline) = added.iter().rposition(|byte| *byte == b'\n') {
            self.tell(from + newline + 1);
        }
        if self.text.len() - self.told >= LIVE_CHUNK_BYTES_MAX {
            self.tell(self.text.len());
        }
    }

    /// Tells everything up to `end` in pieces of a bounded size.
    fn tell(&mut self, end: usize) {
        let Some(observer) = &self.observer else { return };
        while self.told < end {
            let limit = end.min(self.told + LIVE_CHUNK_BYTES_MAX);
            let piece_end = self.text.floor_char_boundary(limit);
            let Some(piece @ [_, ..]) = self.text.get(self.told..piece_end).map(str::as_bytes) else { return };
            // Whole lines where the piece has any.
            let lines =
                piece.iter().rposition(|byte| *byte == b'\n').map_or(piece_end, |newline| self.told + newline + 1);
            observer.log(self.stream, self.text.get(self.told..lines).unwrap_or_default());
            self.told = lines;
        }
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("stream", &self.stream)
            .field("bytes_max", &self.bytes_max)
            .field("raw_bytes_max", &self.raw_bytes_max)
            .field("bytes_written", &self.bytes_written)
            .field("truncated", &self.truncated)
            .finish_non_exhaustive()
    }
}

/// A guest's text as a stream would show it: of at most `bytes_max` bytes, with nothing in it that a terminal obeys.
pub(crate) fn harmless(text: &str, bytes_max: usize) -> String {
    let mut sink = Sink::new(LogStream::Stderr, bytes_max);
    sink.write(text.as_bytes());
    sink.finish().text
}

/// Up to four bytes of one character.
#[derive(Debug, Clone, Copy, Default)]
struct Partial {
    bytes: [u8; 4],
    len: usize,
}

impl Partial {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

fn first(bytes: &[u8], count: usize) -> &[u8] {
    bytes.get(..count).unwrap_or(bytes)
}

/// Control characters but the three that lay out plain text.
fn is_harmful(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t' | '\r')
}

/// The control picture of a C0 character or DEL; a C1 character is shown as the escape sequence that it stands for.
fn make_visible(control: char, out: &mut [u8; 8]) -> &str {
    let code = u32::from(control);
    let (picture, after) = match code {
        0..0x20 => (0x2400 + code, None),
        0x7f => (0x2421, None),
        _ => (0x241b, char::from_u32(code.saturating_sub(0x40))),
    };
    let picture = char::from_u32(picture).unwrap_or(char::REPLACEMENT_CHARACTER);
    let (first, second) = out.split_at_mut(4);
    let mut len = picture.encode_utf8(first).len();
    if let Some(after) = after {
        let after = after.encode_utf8(second).len();
        out.copy_within(4..4 + after, len);
        len += after;
    }
    out.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("\u{fffd}")
}

#[cfg(test)]
mod tests;
