//! Code that is a source in C or Rust: who compiles it here, and what it was compiled to.

use super::{Rejected, lookup::Intake};
use crate::{
    compiling::{Asked, Soon},
    json::{Faults, Path},
};
use mecapy_model::{Code, ErrorKind, Fault, Source, SourceLanguage, TaskError, Warning};
use mecapy_runtime::{compiler::SOURCE_BYTES_MAX, solver::Toolchain};
use mecapy_store::Compiled;
use std::time::Duration;

/// When to come back for a source that is being compiled.
const RETRY_AFTER_COMPILE: Duration = Duration::from_secs(5);
/// When to come back where nobody compiles.
const RETRY_AFTER_WORKER: Duration = Duration::from_secs(30);

/// Code that may be run, as far as its source could be compiled.
#[derive(Debug)]
pub(super) struct Ready {
    /// With its module.
    pub(super) code: Result<Code, TaskError>,
    /// The compiler's.
    pub(super) warnings: Vec<Warning>,
    /// Where it was compiled just now: for how long, milliseconds.
    pub(super) compile_ms: Option<f64>,
}

impl Intake<'_> {
    /// Adds what speaks against a source before any compiler sees it.
    pub(super) fn check_source(&self, source: Source<'_>, faults: &mut Faults) {
        let root = Path::Root;
        let code = root.key("code");
        if self.toolchain(source.language).is_none() {
            let title = source.language.title();
            let message = format!(
                "no compiler for {title} is configured here: the platform's operators name one in the catalogue of \
                 --solvers. Or compile the program to WASI and upload the module with POST /v1/modules"
            );
            faults.at(code.key("language"), "not_available", message);
        }
        if source.text.len() > SOURCE_BYTES_MAX {
            let message = format!("the source has {} bytes: {SOURCE_BYTES_MAX} are the most", source.text.len());
            faults.at(code.key("source"), "too_long", message);
        }
    }

    /// The code with its module, where its source was compiled before; as it is, where it has no source or nothing is
    /// known: then a worker compiles it.
    pub(super) async fn with_module(&self, code: Code, warnings: &mut Vec<Warning>) -> Result<Code, Rejected> {
        let Some(asked) = self.asked(&code) else { return Ok(code) };
        let Some(Compiled { outcome: Ok(module), warnings: told, .. }) =
            self.compiling.known(self.store, asked).await?
        else {
            return Ok(without_module(code));
        };
        let code = Code::of_source(asked.toolchain.language, asked.source.to_owned(), Some(module));
        warnings.extend(told);
        Ok(code)
    }

    /// The same for who waits: compiles it where nothing is known. `None` for code without a source.
    ///
    /// # Errors
    /// Where it can't be compiled now.
    pub(super) async fn compiled_soon(&self, code: &Code) -> Result<Option<Ready>, Rejected> {
        let Some(asked) = self.asked(code) else { return Ok(None) };
        let soon = self.compiling.soon(self.store, asked).await.map_err(Rejected::NotQueued)?;
        let with = |module| Code::of_source(asked.toolchain.language, asked.source.to_owned(), Some(module));
        match soon {
            Soon::Done { compiled: Compiled { outcome, warnings, compile_ms }, is_new } => {
                let compile_ms = is_new.then_some(compile_ms);
                Ok(Some(Ready { code: outcome.map(with), warnings, compile_ms }))
            }
            Soon::Failed(error) => Ok(Some(Ready { code: Err(error), warnings: Vec::new(), compile_ms: None })),
            Soon::Pending => Err(Rejected::NotReady {
                detail: "the source is being compiled, or waits for a compiler: send the same request again in a moment",
                retry_after: RETRY_AFTER_COMPILE,
            }),
            Soon::NoWorker => Err(Rejected::NotReady {
                detail: "no_worker: no worker that is there now has this language's compiler on a Docker engine that \
                         answers. A task (POST /v1/tasks) waits for one; a module that you compile yourself \
                         (POST /v1/modules) needs none",
                retry_after: RETRY_AFTER_WORKER,
            }),
            Soon::Full => Err(Rejected::Busy {
                detail: "as many requests wait for a compiler as may: try again in a moment",
                retry_after: RETRY_AFTER_COMPILE,
            }),
        }
    }

    /// The code with its module, for what is stored once and run many times; as it is, where it has no source.
    ///
    /// # Errors
    /// Where the source has errors, or can't be compiled now.
    pub(super) async fn with_module_soon(&self, code: Code, warnings: &mut Vec<Warning>) -> Result<Code, Rejected> {
        let Some(Ready { code: made, warnings: told, .. }) = self.compiled_soon(&code).await? else { return Ok(code) };
        warnings.extend(told);
        made.map_err(|TaskError { kind, message, line, .. }| match kind {
            ErrorKind::Compile => {
                Rejected::Invalid(vec![Fault { line, ..Fault::new("/code/source", "compile", message) }])
            }
            _ => Rejected::NotReady {
                detail: "the platform failed to compile the source: send the same request again in a moment",
                retry_after: RETRY_AFTER_COMPILE,
            },
        })
    }

    fn asked<'b>(&'b self, code: &'b Code) -> Option<Asked<'b>> {
        let Source { language, text, .. } = code.source()?;
        Some(Asked { tenant: self.tenant, toolchain: self.toolchain(language)?, source: text })
    }

    pub(super) fn toolchain(&self, language: SourceLanguage) -> Option<&Toolchain> {
        self.solvers?.catalogue().compiler(language)
    }
}

/// A module that an earlier task had may be gone since.
fn without_module(code: Code) -> Code {
    match code {
        Code::C { source, .. } => Code::C { source, module: None },
        Code::Rust { source, .. } => Code::Rust { source, module: None },
        code => code,
    }
}
