//! `.export` files: what a study is made of, parsed, judged and written.
//!
//! Lines: `P name value` (a parameter), `A words` (arguments of the solver), `F type path flags unit` (a file) and
//! `R type path flags unit` (a folder); `#` begins a comment. Flags are any of D (data), R (result) and C (compressed).
//! The solver knows a file as `fort.<unit>`. Paths are relative to the `.export`.

use mecapy_model::ArtifactName;
use std::fmt::Write as _;

/// An `.export` longer than this is not read.
pub(super) const EXPORT_BYTES_MAX: u64 = 64 << 10;
/// Files and folders that one study may name.
const ENTRIES_MAX: usize = 200;
/// Faults that are told at once.
const PROBLEMS_MAX: usize = 20;
/// Fortran's logical units, which Code_Aster numbers to 99.
pub(super) const UNIT_MAX: u32 = 99;
/// Characters of a name that mean nothing to the solver's own launcher, which passes names on through a shell.
const PUNCTUATION: &str = "._-+=/";

/// Parameters that go on to the solver. The others say where and how a job client runs it: here the task says that.
const PARAMETERS: [&str; 5] = ["time_limit", "memory_limit", "ncpus", "mpi_nbcpu", "hide-command"];
/// Parameters and arguments that would change what the task's own members say.
const OVERRIDING: [&str; 3] = ["version", "expected_diag", "interact"];
/// Arguments that stand for `time_limit`, `memory_limit` and `ncpus`.
const LIMITING_ARGUMENTS: [&str; 4] = ["memjeveux", "memory", "tpmax", "numthreads"];

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// From 1; 0 where the file as a whole is meant.
    pub(super) line: u32,
    pub(super) message: String,
}

/// What a file or folder is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) data: bool,
    pub(super) result: bool,
    pub(super) compressed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    File,
    Folder,
}

/// One `F` or `R` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) line: u32,
    pub(super) shape: Shape,
    pub(super) kind: String,
    pub(super) path: String,
    pub(super) flags: Flags,
    pub(super) unit: u32,
}

/// An `.export`, or one that is yet to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Export {
    /// Name, value and line.
    pub(super) parameters: Vec<(String, String, u32)>,
    pub(super) arguments: Vec<String>,
    pub(super) entries: Vec<Entry>,
    /// What was left out, for a warning.
    pub(super) ignored: Vec<String>,
}

impl Entry {
    pub(super) fn file(kind: &str, path: &str, flags: Flags, unit: u32) -> Self {
        Self { line: 0, shape: Shape::File, kind: kind.to_owned(), path: path.to_owned(), flags, unit }
    }

    pub(super) fn is_command_file(&self) -> bool {
        self.kind == "comm" && self.flags.data
    }

    /// Whether it is a mesh in one of the formats that Code_Aster reads.
    pub(super) fn is_mesh(&self) -> bool {
        self.flags.data && matches!(self.kind.as_str(), "mail" | "mmed" | "med" | "msh" | "mgib" | "msup" | "ideas")
    }
}

impl Flags {
    pub(super) const DATA: Self = Self { data: true, result: false, compressed: false };
    pub(super) const RESULT: Self = Self { data: false, result: true, compressed: false };

    /// Any of `D`, `R` and `C`, in any order, each once, with at least D or R.
    fn parse(text: &str) -> Option<Self> {
        let mut flags = Self::default();
        for letter in text.chars() {
            let flag = match letter {
                'D' => &mut flags.data,
                'R' => &mut flags.result,
                'C' => &mut flags.compressed,
                _ => return None,
            };
            if std::mem::replace(flag, true) {
                return None;
            }
        }
        (flags.data || flags.result).then_some(flags)
    }
}

impl std::fmt::Display for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (set, letter) in [(self.data, "D"), (self.result, "R"), (self.compressed, "C")] {
            f.write_str(if set { letter } else { "" })?;
        }
        Ok(())
    }
}

impl Export {
    /// Reads an `.export`.
    ///
    /// # Errors
    /// Every line that can't be understood, up to 20 of them.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let (mut export, mut problems) = (Self::default(), Vec::new());
        for (line, text) in (1_u32..).zip(text.lines()) {
            let words: Vec<&str> = text.split_whitespace().collect();
            let told = match words.split_first() {
                None => Ok(()),
                Some((first, _)) if first.starts_with('#') => Ok(()),
                Some((&"P", rest)) => export.parameter(rest, line),
                Some((&"A", rest)) => export.argument(rest),
                Some((&"F", rest)) => export.entry(Shape::File, rest, line),
                Some((&"R", rest)) => export.entry(Shape::Folder, rest, line),
                Some((first, _)) => Err(format!("a line begins with P, A, F or R, not {:?}", clip(first))),
            };
            problems.extend(told.err().map(|message| Problem { line, message }));
            if problems.len() >= PROBLEMS_MAX {
                break;
            }
        }
        if problems.is_empty() { Ok(export) } else { Err(problems) }
    }

    fn parameter(&mut self, words: &[&str], line: u32) -> Result<(), String> {
        let (name, values) = words.split_first().ok_or("P needs a name and a value")?;
        if *name == "actions" && values != ["make_etude"] {
            return Err("make_etude is the only action here".to_owned());
        }
        if OVERRIDING.contains(name) {
            self.ignored.push(format!("P {name}"));
        } else if PARAMETERS.contains(name) {
            let value = values.join(" ");
            if self.parameters.iter().any(|(known, ..)| known == name) {
                return Err(format!("{name} is given twice"));
            }
            self.parameters.push(((*name).to_owned(), value, line));
        }
        Ok(())
    }

    fn argument(&mut self, words: &[&str]) -> Result<(), String> {
        let harmless = |c: char| c.is_ascii_alphanumeric() || "._-+=/,".contains(c);
        if words.is_empty() || !words.iter().all(|word| word.len() <= 64 && word.chars().all(harmless)) {
            return Err("A needs arguments of letters, digits and ._-+=/,".to_owned());
        }
        let names = |word: &&str| LIMITING_ARGUMENTS.contains(&word.trim_start_matches('-'));
        if words.first().is_some_and(names) || words.iter().any(|word| word.starts_with("--") && names(word)) {
            self.ignored.push(format!("A {}", words.join(" ")));
        } else if self.arguments.len() < ENTRIES_MAX {
            self.arguments.push(words.join(" "));
        }
        Ok(())
    }

    fn entry(&mut self, shape: Shape, words: &[&str], line: u32) -> Result<(), String> {
        let letter = if shape == Shape::File { 'F' } else { 'R' };
        let &[kind, path, flags, unit] = words else {
            return Err(match words.len() {
                0..4 => format!("{letter} needs a type, a path, flags (D, R, C) and a unit"),
                _ => "a path has no blanks in it".to_owned(),
            });
        };
        let kind_known = kind.len() <= 16 && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !kind_known {
            return Err(format!("{:?} is no file type", clip(kind)));
        }
        let path = plain_path(path)?;
        let flags = Flags::parse(flags)
            .ok_or_else(|| format!("flags are D or R or both, with C where compressed, not {:?}", clip(flags)))?;
        let unit = unit.parse().ok().filter(|unit| *unit <= UNIT_MAX);
        let unit = unit.ok_or_else(|| format!("a unit is a whole number from 0 to {UNIT_MAX}"))?;
        if self.entries.len() >= ENTRIES_MAX {
            return Err(format!("more than {ENTRIES_MAX} files and folders"));
        }
        self.entries.push(Entry { line, shape, kind: kind.to_owned(), path: path.to_owned(), flags, unit });
        Ok(())
    }

    pub(super) fn results(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.flags.result)
    }

    pub(super) fn command_files(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_command_file())
    }

    /// A parameter's value and line.
    pub(super) fn value(&self, name: &str) -> Option<(&str, u32)> {
        self.parameters.iter().find(|(known, ..)| known == name).map(|(_, value, line)| (value.as_str(), *line))
    }

    pub(super) fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        self.parameters.retain(|(known, ..)| known != name);
        self.parameters.push((name.to_owned(), value.to_string(), 0));
    }

    /// What the solver can't work with, given the names of the files that were sent.
    pub(super) fn judge(&self, sent: &dyn Fn(&str, Shape) -> bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut tell = |line: u32, message: String| problems.push(Problem { line, message });
        if self.command_files().next().is_none() {
            tell(0, "it names no command file: a line `F comm study.comm D 1` is needed".to_owned());
        }
        for (at, entry) in self.entries.iter().enumerate() {
            let (line, path, flags) = (entry.line, &entry.path, entry.flags);
            let earlier = || self.entries.iter().take(at);
            if flags.data && !sent(path, entry.shape) {
                let what = match (entry.is_mesh(), entry.is_command_file(), entry.shape) {
                    (true, ..) => "the mesh",
                    (_, true, _) => "the command file",
                    (.., Shape::Folder) => "the folder",
                    _ => "the file",
                };
                tell(line, format!("{what} {path} was not sent"));
            }
            if entry.is_command_file() && (entry.shape, entry.unit) != (Shape::File, 1) {
                tell(line, "a command file has unit 1".to_owned());
            }
            if entry.shape == Shape::File && entry.unit == 0 && entry.kind != "nom" {
                tell(line, format!("{path} needs a unit from 1 to {UNIT_MAX}; only the type `nom` has none"));
            }
            let same_unit = |other: &Entry| {
                other.unit == entry.unit
                    && ((other.flags.data && flags.data) || (other.flags.result && flags.result))
                    && !(other.is_command_file() && entry.is_command_file())
            };
            if entry.unit > 0 && entry.shape == Shape::File && earlier().any(same_unit) {
                tell(line, format!("unit {} is taken by an earlier line", entry.unit));
            }
            let overwrites = flags.result
                && (earlier().any(|other| other.path == *path) || (!flags.data && sent(path, Shape::File)));
            if overwrites && entry.shape == Shape::File {
                tell(line, format!("the result {path} would overwrite another file of the study"));
            }
        }
        problems.truncate(PROBLEMS_MAX);
        problems
    }

    /// The file's text.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("P actions make_etude\n");
        for (name, value, _) in &self.parameters {
            // Writing to a string can't fail.
            let _ = writeln!(text, "P {name} {value}");
        }
        for words in &self.arguments {
            let _ = writeln!(text, "A {words}");
        }
        for Entry { shape, kind, path, flags, unit, .. } in &self.entries {
            let letter = if *shape == Shape::File { 'F' } else { 'R' };
            let _ = writeln!(text, "{letter} {kind} {path} {flags} {unit}");
        }
        text
    }
}

/// A relative path of plain names, without a leading `./`.
///
/// # Errors
/// Why it is none, and what to write in its place.
pub(super) fn plain_path(path: &str) -> Result<&str, String> {
    let shown = clip(path);
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    let name = clip(path.rsplit(['/', '\\', ':']).next().unwrap_or_default());
    if shown.starts_with('/') || path.contains('\\') {
        return Err(format!("{shown:?} is an absolute path: write the name under which the file is sent, as {name:?}"));
    }
    if path.contains(':') {
        return Err(format!(
            "{shown:?} names another machine: write the name under which the file is sent, as {name:?}"
        ));
    }
    if path.split('/').any(|part| part == "..") {
        return Err(format!("{shown:?} leaves the study's folder"));
    }
    let known = |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c);
    if path.starts_with('-') || path.contains("/-") || !path.chars().all(known) {
        return Err(format!(
            "{shown:?}: Code_Aster's file names have letters without accents, digits and ._-+= in them"
        ));
    }
    ArtifactName::parse(path).map_err(|invalid| invalid.to_string())?;
    Ok(path)
}

/// As much of a user's text as a message shows.
fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(100)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "# by hand\nP actions make_etude\nP time_limit 3600.0\nP memory_limit 2048\nP ncpus 2\n\
        P mpi_nbcpu 1\nP version stable\nP uclient me\nA memjeveux 64.0\nA args --continue\n\n\
        F comm ./first.comm D 1\nF comm second.comm D 1\nF mmed mesh.med D 20\nF mess out/run.mess R 6\n\
        F rmed run.rmed R 80\nR base base DC 0\nR base base2 RC 0\nR repe repe D 0\nF nom data.csv D 0\n";

    fn all_sent(_: &str, shape: Shape) -> bool {
        shape == Shape::Folder
    }

    #[test]
    fn a_whole_study_is_read_and_written() {
        let export = Export::parse(FULL).unwrap();
        assert_eq!(export.ignored, ["P version", "A memjeveux 64.0"]);
        assert_eq!(export.value("time_limit"), Some(("3600.0", 3)));
        assert_eq!(
            export.command_files().map(|entry| entry.path.as_str()).collect::<Vec<_>>(),
            ["first.comm", "second.comm"]
        );
        let base = &export.entries[5];
        assert_eq!((base.shape, base.flags.to_string().as_str(), base.line), (Shape::Folder, "DC", 17));
        let text = export.text();
        assert!(
            text.contains("A args --continue\nF comm first.comm D 1\n") && text.contains("R base base2 RC 0\n"),
            "{text}"
        );
        let again = Export::parse(&text).unwrap();
        assert_eq!(again.text(), text);
    }

    #[test]
    fn each_fault_is_told_with_its_line() {
        let rows = [
            ("P", "P needs a name"),
            ("X a b", "begins with P, A, F or R"),
            ("F comm a.comm D", "a type, a path, flags"),
            ("F comm my study.comm D 1", "no blanks"),
            ("F comm a.comm Q 1", "flags are D or R"),
            ("F comm a.comm C 1", "flags are D or R"),
            ("F comm a.comm DD 1", "flags are D or R"),
            ("F comm a.comm D 100", "from 0 to 99"),
            ("F comm a.comm D -1", "from 0 to 99"),
            ("F comm /home/me/a.comm D 1", "as \"a.comm\""),
            ("F comm C:\\study\\a.comm D 1", "as \"a.comm\""),
            ("F comm me@host:a.comm D 1", "another machine"),
            ("F comm ../a.comm D 1", "leaves the study's folder"),
            ("F comm a$(id).comm D 1", "letters without accents"),
            ("F comm -a.comm D 1", "letters without accents"),
            ("F comm . D 1", "not allowed"),
            ("F co;mm a.comm D 1", "no file type"),
            ("A --x;id", "letters, digits"),
            ("P actions make_exec", "only action"),
            ("P ncpus 1\nP ncpus 2", "given twice"),
        ];
        for (text, expected) in rows {
            let problems = Export::parse(&format!("# comment\n{text}\n")).unwrap_err();
            assert!(problems[0].message.contains(expected), "{text}: {problems:?}");
            assert_eq!(problems[0].line as usize, 1 + text.lines().count(), "{text}");
        }
        assert_eq!(Export::parse(&"X\n".repeat(1000)).unwrap_err().len(), PROBLEMS_MAX);
    }

    #[test]
    fn a_study_is_judged_by_what_was_sent() {
        let rows = [
            ("F mess a.mess R 6", "no command file"),
            ("F comm a.comm D 1", "the command file a.comm was not sent"),
            ("F comm a.comm D 2", "unit 1"),
            ("F mail a.mail D 20", "the mesh a.mail was not sent"),
            ("F libr a.csv D 31\nF libr b.csv D 31", "unit 31 is taken"),
            ("F libr a.csv R 0", "needs a unit"),
            ("F libr a.csv R 31\nF libr a.csv R 32", "overwrite"),
        ];
        for (text, expected) in rows {
            let problems = Export::parse(text).unwrap().judge(&all_sent);
            assert!(problems.iter().any(|problem| problem.message.contains(expected)), "{text}: {problems:?}");
        }
        let sent = |path: &str, _| path == "a.comm";
        let good = Export::parse("F comm a.comm D 1\nF libr a.csv R 31\nR base base R 0\nF mess a.mess R 6").unwrap();
        assert_eq!(good.judge(&sent), []);
        let restart = Export::parse("F comm a.comm D 1\nR base base D 0\n").unwrap();
        assert_eq!(restart.judge(&sent), [Problem { line: 2, message: "the folder base was not sent".to_owned() }]);
    }
}
