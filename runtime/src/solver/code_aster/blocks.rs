//! The solver's messages within its output: boxes with a severity and a code, and Python's tracebacks.
//!
//! A box is framed by `!---!` and `! … !` in older versions, by `╔═╗`, `║ … ║` and `╚═╝` in newer ones. Its first line
//! is `<A> <CALCULEL_8>` or so. Outside of a box a message may be one line that begins with its severity.

/// Bytes of one message that are kept.
const BLOCK_BYTES_MAX: usize = 8 << 10;
/// Lines of one message that are kept.
const BLOCK_LINES_MAX: usize = 100;
/// Characters of a message's summary.
const SUMMARY_CHARS_MAX: usize = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Information,
    Alarm,
    /// An error after which the command goes on looking for more.
    Error,
    /// `<S>`, `<F>` and `<EXCEPTION>`: the command ends.
    Fatal,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) severity: Severity,
    /// As it stands in the output: `<F>`.
    pub(super) mark: String,
    /// The message's number in the solver's catalogue, as `MODELISA5_37`, or nothing.
    pub(super) code: String,
    /// The lines after the first, without their frame.
    pub(super) lines: Vec<String>,
    bytes: usize,
}

impl Block {
    fn begin(content: &str) -> Option<Self> {
        let (mark, rest) = tag(content)?;
        let severity = match mark {
            "I" => Severity::Information,
            "A" => Severity::Alarm,
            "E" => Severity::Error,
            "S" | "F" | "EXCEPTION" => Severity::Fatal,
            _ => return None,
        };
        let (code, rest) = tag(rest.trim_start()).unwrap_or(("", rest));
        let mark = format!("<{mark}>");
        let mut block = Self { severity, mark, code: code.to_owned(), lines: Vec::new(), bytes: 0 };
        block.push(rest.trim());
        Some(block)
    }

    fn push(&mut self, line: &str) {
        self.bytes += line.len() + 1;
        if self.bytes <= BLOCK_BYTES_MAX && self.lines.len() < BLOCK_LINES_MAX {
            self.lines.push(line.to_owned());
        }
    }

    /// The message in a line: its first paragraph.
    pub(super) fn summary(&self) -> String {
        let said = self.lines.iter().map(|line| line.trim()).skip_while(|line| line.is_empty());
        let paragraph: Vec<&str> = said.take_while(|line| !line.is_empty()).collect();
        paragraph.join(" ").chars().take(SUMMARY_CHARS_MAX).collect()
    }

    /// The whole message, as a text.
    pub(super) fn text(&self) -> String {
        let head = if self.code.is_empty() { self.mark.clone() } else { format!("{} <{}>", self.mark, self.code) };
        let lines = self.lines.join("\n");
        format!("{head}\n{}", lines.trim_matches('\n').trim_end())
    }
}

/// `<X> rest` as `X` and ` rest`, where X is a word.
fn tag(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.strip_prefix('<')?.split_once('>')?;
    let is_word = !word.is_empty() && word.len() <= 40 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_word.then_some((word, rest))
}

/// Finds messages in lines as they come.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Outside,
    /// A frame has been opened.
    Opened,
    Inside(Block),
}

impl Blocks {
    /// Takes a line; answers the message that it completes.
    pub(super) fn line(&mut self, line: &str) -> Option<Block> {
        let text = line.trim();
        let frame = is_frame(text);
        match std::mem::take(&mut self.state) {
            State::Inside(block) if frame => Some(block),
            State::Inside(mut block) => match framed(text) {
                Some(content) => {
                    block.push(content.trim_end());
                    self.state = State::Inside(block);
                    None
                }
                // A box that ends without its frame: another process wrote between.
                None => Some(block),
            },
            State::Opened => {
                if let Some(block) = framed(text).and_then(|content| Block::begin(content.trim())) {
                    self.state = State::Inside(block);
                }
                None
            }
            State::Outside if frame => {
                self.state = State::Opened;
                None
            }
            State::Outside => {
                let spaced = tag(text).is_some_and(|(_, rest)| rest.starts_with(' '));
                Block::begin(text).filter(|block| spaced && block.severity != Severity::Information)
            }
        }
    }

    /// The message that was being said when the output ended.
    pub(super) fn unfinished(&self) -> Option<&Block> {
        if let State::Inside(block) = &self.state { Some(block) } else { None }
    }
}

/// The upper or lower edge of a box.
fn is_frame(text: &str) -> bool {
    let edge = |text: &str, [first, between, last]: [char; 3]| {
        let inner = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
        inner.is_some_and(|inner| inner.chars().count() > 8 && inner.chars().all(|c| c == between))
    };
    [['!', '-', '!'], ['╔', '═', '╗'], ['╚', '═', '╝']].into_iter().any(|corners| edge(text, corners))
}

/// What stands between a box's sides.
fn framed(text: &str) -> Option<&str> {
    ['!', '║'].into_iter().find_map(|side| {
        let inner = text.strip_prefix(side)?;
        let inner = inner.strip_suffix(side).unwrap_or(inner);
        Some(inner.strip_prefix(' ').unwrap_or(inner))
    })
}

/// Lines of a traceback that are kept.
const TRACE_LINES_MAX: usize = 60;

/// A Python traceback, or a syntax error that Python found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) lines: Vec<String>,
    /// The exception's type, as `SyntaxError`, once it was said.
    pub(super) exception: String,
    /// What Python says after the type.
    pub(super) message: String,
    /// The innermost line of a command file: file name, line of the file that ran, and its text.
    pub(super) place: Option<(String, u32, String)>,
    awaits_source: bool,
}

impl Trace {
    /// Takes a line; answers whether the traceback goes on.
    fn line(&mut self, line: &str) -> bool {
        if self.lines.len() < TRACE_LINES_MAX {
            self.lines.push(line.to_owned());
        }
        let text = line.trim();
        if line.starts_with("Traceback") {
            self.awaits_source = false;
        } else if let Some((file, number)) = frame_place(text) {
            self.awaits_source = is_command_file(file);
            if self.awaits_source {
                self.place = Some((file.to_owned(), number, String::new()));
            }
        } else if std::mem::take(&mut self.awaits_source) {
            if let Some((.., source)) = &mut self.place {
                source.push_str(text);
            }
        } else if !line.starts_with(char::is_whitespace) && !text.is_empty() {
            let (exception, message) = text.split_once(':').unwrap_or((text, ""));
            let name = exception.rsplit('.').next().unwrap_or_default();
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                self.exception = name.to_owned();
                self.message = message.trim().chars().take(SUMMARY_CHARS_MAX).collect();
                return false;
            }
        }
        self.lines.len() < TRACE_LINES_MAX
    }
}

/// `File "x", line 3` with anything after it.
fn frame_place(text: &str) -> Option<(&str, u32)> {
    let (file, rest) = text.strip_prefix("File \"")?.split_once('"')?;
    let number = rest.strip_prefix(", line ")?.split([',', ' ']).next()?;
    Some((file, number.parse().ok()?))
}

/// `run_aster` runs a changed copy, `x.comm.changed.py` or `x.changed.py`; older launchers run `fort.1`.
fn is_command_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.contains(".comm") || name.ends_with(".changed.py") || name == "fort.1" || name.starts_with("fort.1.")
}

/// Finds tracebacks in lines as they come; keeps the first.
#[derive(Debug, Default)]
pub(super) struct Traces {
    pub(super) first: Option<Trace>,
    open: bool,
}

impl Traces {
    pub(super) fn line(&mut self, line: &str) {
        let begins = line.starts_with("Traceback (most recent call last)") || frame_place(line.trim()).is_some();
        if self.first.is_none() && begins {
            self.first = Some(Trace::default());
            self.open = true;
        } else if !self.open {
            return;
        }
        self.open = self.first.as_mut().is_some_and(|trace| trace.line(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Block> {
        let mut blocks = Blocks::default();
        text.lines().filter_map(|line| blocks.line(line)).collect()
    }

    #[test]
    fn boxes_of_both_kinds_are_read() {
        let old = " !-------------------------!\n ! <A> <CALCULEL_8>        !\n !                         !\n \
            ! The field is  empty.    !\n ! It has no values.       !\n !                         !\n ! More.                   !\n !-------------------------!\n";
        let new = " ╔═════════════════════════╗\n ║ <EXCEPTION> <MECANONLINE9_7> ║\n ║ Arrêt pour cause \u{fffd} ║\n ╚═════════════════════════╝\n";
        let blocks = found(&format!("{old}text\n{new}\n <F> <JEVEUX_62> no memory\n<I> <FIN> ARRET\n<F>_ERROR\n"));
        let told: Vec<_> = blocks.iter().map(|block| (block.severity, block.code.as_str(), block.summary())).collect();
        assert_eq!(
            told,
            [
                (Severity::Alarm, "CALCULEL_8", "The field is  empty. It has no values.".to_owned()),
                (Severity::Fatal, "MECANONLINE9_7", "Arrêt pour cause \u{fffd}".to_owned()),
                (Severity::Fatal, "JEVEUX_62", "no memory".to_owned()),
            ]
        );
        assert!(blocks[0].text().starts_with("<A> <CALCULEL_8>\nThe field is  empty.\nIt"), "{}", blocks[0].text());
    }

    #[test]
    fn boxes_are_cut_and_may_stay_open() {
        let mut blocks = Blocks::default();
        blocks.line("!-------------------------!");
        blocks.line("! <F> <DVP_1> !");
        for _ in 0..10_000 {
            assert_eq!(blocks.line("! a long message that never ends !"), None);
        }
        let block = blocks.unfinished().unwrap();
        assert!(block.lines.len() <= BLOCK_LINES_MAX && block.text().len() <= BLOCK_BYTES_MAX + 100);
        assert_eq!(blocks.line("something else").map(|block| block.code), Some("DVP_1".to_owned()));
    }

    #[test]
    fn python_tells_the_line_of_the_command_file() {
        let mut traces = Traces::default();
        let text = "before\n  File \"/tmp/run_aster_x/./beam.comm.changed.py\", line 18\n    MA = LIRE_MAILLAGE(UNITE=20\n                      ^\nSyntaxError: '(' was never closed\nafter: text\n";
        text.lines().for_each(|line| traces.line(line));
        let trace = traces.first.unwrap();
        assert_eq!((trace.exception.as_str(), trace.message.as_str()), ("SyntaxError", "'(' was never closed"));
        assert_eq!(trace.lines.len(), 4);
        let (file, line, source) = trace.place.unwrap();
        assert!(file.ends_with("beam.comm.changed.py"));
        assert_eq!((line, source.as_str()), (18, "MA = LIRE_MAILLAGE(UNITE=20"));
    }

    #[test]
    fn the_innermost_command_line_of_a_traceback_counts() {
        let mut traces = Traces::default();
        let text = "Traceback (most recent call last):\n  File \"./a.comm.changed.py\", line 9, in <module>\n    go()\n  File \"./a.comm.changed.py\", line 5, in go\n    AFFE_MODELE(MAILAGE=m)\n  File \"/opt/x/Supervis.py\", line 1, in y\n    raise\ncode_aster.Utils.AsterError: <SUPERVIS_1>\n";
        text.lines().for_each(|line| traces.line(line));
        let trace = traces.first.unwrap();
        assert_eq!(trace.exception, "AsterError");
        assert_eq!(trace.place.map(|(_, line, source)| (line, source)), Some((5, "AFFE_MODELE(MAILAGE=m)".to_owned())));
    }
}
