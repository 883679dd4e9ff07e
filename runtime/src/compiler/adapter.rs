//! One compiler's run as the platform sees any run in a container.

use super::{clang, diagnostics::Diagnostics, rustc::Rustc};
use crate::{
    module::limits::MODULE_BYTES_MAX,
    solver::{Adapter, Conclusion, Ended, Folder, Prepared, Reader, Stopped, Study},
};
use mecapy_model::{ArtifactName, COMPILE_ROOM, ErrorKind, Fault, Progress, SourceLanguage, TaskError};
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};

/// What a compiler leaves in its work folder.
pub const MODULE_NAME: &str = "module.wasm";
/// How long a compiler may take.
pub const COMPILE_TIMEOUT: Duration = Duration::from_secs(60);
/// Its work folder, bytes: object files, and a module that is no larger than one may be.
pub const COMPILE_DISK_BYTES: u64 = 128 << 20;
/// What it may say, bytes.
pub const COMPILE_OUTPUT_BYTES_MAX: u64 = 4 << 20;

/// What this program asks of rustc beside the catalogue's command: messages that it can read, and where things are.
const RUSTC: [&str; 4] = ["--error-format=json", "-o", MODULE_NAME, "main.rs"];
/// The same of clang.
const CLANG: [&str; 6] =
    ["-fno-color-diagnostics", "-fno-crash-diagnostics", "-ferror-limit=100", "-o", MODULE_NAME, "main.c"];

/// Compiles one source.
#[derive(Debug)]
pub struct Compile {
    language: SourceLanguage,
    source: Arc<str>,
}

/// Follows what a compiler says.
struct Said {
    language: SourceLanguage,
    rustc: Rustc,
    diagnostics: Diagnostics,
}

/// The arguments behind the catalogue's.
pub(super) fn arguments(language: SourceLanguage) -> &'static [&'static str] {
    match language {
        SourceLanguage::C => &CLANG,
        SourceLanguage::Rust => &RUSTC,
    }
}

/// What the source is called: diagnostics name it.
const fn file_name(language: SourceLanguage) -> &'static str {
    match language {
        SourceLanguage::C => "main.c",
        SourceLanguage::Rust => "main.rs",
    }
}

impl Compile {
    pub fn new(language: SourceLanguage, source: &str) -> Self {
        Self { language, source: source.into() }
    }
}

impl Adapter for Compile {
    fn check(&self, _: &Study<'_>) -> Vec<Fault> {
        Vec::new()
    }

    fn prepare(&self, study: &Study<'_>, _: &dyn Folder) -> Result<Prepared, TaskError> {
        let arguments = arguments(self.language).iter().map(|argument| (*argument).to_owned());
        let command = study.command.iter().cloned().chain(arguments).collect();
        let source = self.source.as_bytes().to_vec();
        Ok(Prepared { command, files: vec![(name(file_name(self.language))?, source)] })
    }

    fn reader(&self, _: &Study<'_>) -> Box<dyn Reader> {
        let (rustc, diagnostics) = (Rustc::default(), Diagnostics::default());
        Box::new(Said { language: self.language, rustc, diagnostics })
    }

    fn conclude(&self, _: &Study<'_>, ended: &Ended, reader: &dyn Reader, files: &dyn Folder) -> Conclusion {
        let unheard = Diagnostics::default();
        let said = reader.as_any().downcast_ref::<Said>().map_or(&unheard, |said| &said.diagnostics);
        let module = failure(said, ended).map_or_else(|| module(files), Err);
        let (result, files) = match module {
            Ok(module) => (Ok(RawValue::NULL.to_owned()), vec![(module.clone(), module)]),
            Err(error) => (Err(error), Vec::new()),
        };
        Conclusion { result, warnings: said.warnings(), files, made: Vec::new() }
    }
}

impl Reader for Said {
    fn line(&mut self, line: &str) -> Option<Progress> {
        let file = file_name(self.language);
        match self.language {
            SourceLanguage::C => clang::line(line, file, &mut self.diagnostics),
            SourceLanguage::Rust => self.rustc.line(line, file, &mut self.diagnostics),
        }
        None
    }

    /// All of it is in the task's error and warnings.
    fn is_logged(&self) -> bool {
        false
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// Why there is no module, as far as the compiler's end tells.
fn failure(said: &Diagnostics, ended: &Ended) -> Option<TaskError> {
    let stopped = |why: String| Some(said.to_stopped(why));
    match ended.stopped {
        Some(Stopped::Cancelled) => Some(TaskError::new(ErrorKind::Cancelled, "cancelled")),
        Some(Stopped::Timeout) => {
            stopped(format!("the compiler was stopped: it had worked on this source for {COMPILE_TIMEOUT:?}"))
        }
        Some(Stopped::Flood) => {
            stopped(format!("the compiler was stopped: it had said more than {} MiB", COMPILE_OUTPUT_BYTES_MAX >> 20))
        }
        Some(Stopped::OutOfMemory) => stopped(out_of_memory()),
        None if ended.exit_code == 0 => None,
        None if said.was_killed() => stopped(out_of_memory()),
        None if ended.disk_free_bytes == 0 => {
            stopped(format!("what the compiler writes takes more than {} MiB", COMPILE_DISK_BYTES >> 20))
        }
        None => {
            Some(said.to_error(|| format!("the compiler broke down on this source (exit code {})", ended.exit_code)))
        }
    }
}

fn out_of_memory() -> String {
    let mib = COMPILE_ROOM.memory_bytes >> 20;
    format!("the compiler was stopped: it needed more than {mib} MiB of memory for this source")
}

/// The module that it left.
fn module(files: &dyn Folder) -> Result<ArtifactName, TaskError> {
    let refused = |message: String| Err(TaskError::new(ErrorKind::Compile, message));
    let listed = match files.list() {
        Ok(listed) => listed,
        Err(error) => return refused(format!("what the compiler left can't be read: {error}")),
    };
    match listed.into_iter().find(|(name, _)| name.as_str() == MODULE_NAME) {
        Some((_, bytes)) if bytes > MODULE_BYTES_MAX as u64 => {
            refused(format!("the module has {bytes} bytes: {MODULE_BYTES_MAX} are the most"))
        }
        Some((module, _)) => Ok(module),
        None => refused("the compiler left no module: the source must be a program with a main function".to_owned()),
    }
}

fn name(text: &str) -> Result<ArtifactName, TaskError> {
    ArtifactName::parse(text).map_err(|invalid| TaskError::new(ErrorKind::Executor, invalid.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::Limits;
    use std::io::{self, Read};

    const ENDED: Ended = Ended { exit_code: 0, stopped: None, disk_free_bytes: 1, wall: Duration::ZERO };

    struct Left(Vec<(&'static str, u64)>);

    impl Folder for Left {
        fn list(&self) -> io::Result<Vec<(ArtifactName, u64)>> {
            Ok(self.0.iter().map(|(name, bytes)| (ArtifactName::parse(name).unwrap(), *bytes)).collect())
        }

        fn open(&self, _: &str) -> io::Result<Box<dyn Read + '_>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// What comes of a C source of which a compiler says this, ends so and leaves that.
    fn conclude(ended: Ended, output: &str, left: &[(&'static str, u64)]) -> Conclusion {
        let compile = Compile::new(SourceLanguage::C, "int main(void) { return 0; }");
        let limits = Limits { timeout_ms: 1, memory_bytes: 1, fuel: 0, cpus: 1 };
        let command = ["/usr/bin/clang".to_owned(), "-O2".to_owned()];
        let study = Study { inputs: RawValue::NULL, files: &[], limits: &limits, command: &command };
        let prepared = compile.prepare(&study, &Left(Vec::new())).unwrap();
        assert_eq!(prepared.command.first().zip(prepared.command.last()).unwrap().1, "main.c");
        assert_eq!(prepared.files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["main.c"]);
        let mut reader = compile.reader(&study);
        assert!(!reader.is_logged());
        output.lines().for_each(|line| drop(reader.line(line)));
        compile.conclude(&study, &ended, &*reader, &Left(left.to_vec()))
    }

    #[test]
    fn a_compiler_that_ends_well_has_left_a_module_and_warnings() {
        let warned = "main.c:3:22: warning: unused variable 'x' [-Wunused-variable]
1 warning generated.
";
        let conclusion = conclude(ENDED, warned, &[("main.c", 9), (MODULE_NAME, 100)]);
        assert!(conclusion.result.is_ok());
        assert_eq!(conclusion.files.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), [MODULE_NAME]);
        assert_eq!(conclusion.warnings.first().and_then(|warning| warning.line), Some(3));
        for left in [&[("main.c", 9)][..], &[(MODULE_NAME, (MODULE_BYTES_MAX + 1) as u64)]] {
            let error = conclude(ENDED, "", left).result.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Compile, "{error:?}");
        }
    }

    #[test]
    fn what_stopped_a_compiler_is_named() {
        let fault = "main.c:7:1: error: no
";
        let rows = [
            (Ended { exit_code: 1, ..ENDED }, fault, "line 7, column 1: no", Some(7)),
            (
                Ended { exit_code: 139, ..ENDED },
                "Stack dump:
",
                "broke down",
                None,
            ),
            (Ended { exit_code: 137, stopped: Some(Stopped::Timeout), ..ENDED }, fault, "for 60s", None),
            (Ended { exit_code: 137, stopped: Some(Stopped::OutOfMemory), ..ENDED }, "", "1024 MiB of memory", None),
            (Ended { exit_code: 137, stopped: Some(Stopped::Flood), ..ENDED }, "", "more than 4 MiB", None),
            (Ended { exit_code: 1, disk_free_bytes: 0, ..ENDED }, fault, "128 MiB", None),
        ];
        for (ended, output, expected, line) in rows {
            let error = conclude(ended, output, &[(MODULE_NAME, 1)]).result.unwrap_err();
            assert!(error.message.contains(expected), "{error:?}");
            assert_eq!((error.kind, error.line), (ErrorKind::Compile, line), "{error:?}");
        }
        let ended = Ended { stopped: Some(Stopped::Cancelled), ..ENDED };
        assert_eq!(conclude(ended, fault, &[]).result.unwrap_err().kind, ErrorKind::Cancelled);
    }
}
