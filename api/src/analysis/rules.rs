//! Calls that can't work in a sandbox, or that do something else than on the author's machine.

use super::bindings::Bindings;
use super::findings::{Finding, Reporter, quoted};
use super::imports::Imports;
use super::seen::{Guard, Place};
use ruff_python_ast::{Expr, ExprCall, Number};
use ruff_text_size::Ranged;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Severity {
    /// It would fail.
    Fault,
    /// It works, but otherwise than expected.
    Warning,
}

struct Verdict {
    severity: Severity,
    code: &'static str,
    message: String,
}

/// Reports every call, and every read of the environment, that a rule knows.
pub(super) fn report(bindings: &Bindings<'_>, imports: &Imports<'_>, reporter: &mut Reporter<'_, '_>) {
    let seen = reporter.seen;
    for &(call, place) in seen.calls.iter().filter(|(_, place)| place.guard != Guard::Excused) {
        let paths = bindings.paths_of(&call.func);
        let verdict = paths.iter().find_map(|path| judge(path, call, bindings, imports));
        if let Some(verdict) = verdict {
            verdict.report(call, place, reporter);
        }
    }
    for &(subscript, place) in seen.environment.iter().filter(|(_, place)| place.guard != Guard::Excused) {
        let is_environ = bindings.paths_of(&subscript.value).iter().any(|path| path == "os.environ");
        if is_environ && let Some(verdict) = text(&subscript.slice).and_then(environment) {
            verdict.report(subscript, place, reporter);
        }
    }
}

impl Verdict {
    /// Begins the message with the call that it is about.
    fn of_call(self, path: &str) -> Self {
        Self { message: format!("{path}() can't work here. {}", self.message), ..self }
    }

    fn report(self, at: &impl Ranged, place: Place, reporter: &mut Reporter<'_, '_>) {
        let finding = Finding { code: self.code, message: self.message, at: at.start() };
        match self.severity {
            Severity::Fault => reporter.report(finding, place),
            Severity::Warning => reporter.findings.warn(finding.code, finding.message, finding.at),
        }
    }
}

fn judge(path: &str, call: &ExprCall, bindings: &Bindings<'_>, imports: &Imports<'_>) -> Option<Verdict> {
    if imports.is_reported(path) {
        return None;
    }
    if let Some(builtin) = path.strip_prefix("builtins.") {
        // `from x import *` may have put something else in its place.
        let hidden = bindings.stars().iter().any(|module| !KNOWN_STARS.contains(module));
        return if hidden { None } else { judge_builtin(builtin, call) };
    }
    if let Some((_, message)) = imports.catalogue.unavailable(path) {
        return Some(fault("module_unavailable", message));
    }
    judge_process(path)
        .map(|verdict| verdict.of_call(path))
        .or_else(|| judge_library(path, call))
        .or_else(|| judge_file(path, call))
}

/// Modules whose star import leaves `open` and `input` alone.
const KNOWN_STARS: [&str; 12] = [
    "math",
    "cmath",
    "numpy",
    "numpy.linalg",
    "scipy",
    "sympy",
    "pylab",
    "matplotlib.pyplot",
    "typing",
    "time",
    "os",
    "random",
];

fn judge_builtin(name: &str, call: &ExprCall) -> Option<Verdict> {
    match name {
        "input" => Some(fault("terminal", "There is no keyboard in a sandbox: take the value from the task's inputs (a parameter of main, or inputs[\"…\"] in a script).".to_owned())),
        "breakpoint" => Some(fault("terminal", DEBUGGER.to_owned())),
        "open" => host_path(call.arguments.find_argument_value("file", 0)?),
        _ => None,
    }
}

const DEBUGGER: &str = "There is no terminal for a debugger in a sandbox: print what you want to see.";
const ONE_PROCESS: &str =
    "A sandbox can't start other programs: compute in Python, or upload the program as a WASI module.";
const ONE_THREAD: &str =
    "A sandbox runs one thread: compute one after the other, or submit a batch, whose items run in parallel.";
const NO_NETWORK: &str = "A sandbox has no network: upload the data and read it under /work/in.";

/// Calls that need an operating system's processes, threads or network.
fn judge_process(path: &str) -> Option<Verdict> {
    let (module, name) = path.rsplit_once('.')?;
    let process = match module {
        "os" => {
            matches!(
                name,
                "system"
                    | "popen"
                    | "fork"
                    | "forkpty"
                    | "kill"
                    | "killpg"
                    | "startfile"
                    | "posix_spawn"
                    | "posix_spawnp"
                    | "wait"
                    | "waitpid"
            ) || name.starts_with("exec")
                || name.starts_with("spawn")
        }
        "subprocess" => name.starts_with(|c: char| c.is_ascii_lowercase()) || name == "Popen",
        "pty" => matches!(name, "spawn" | "fork"),
        "multiprocessing" | "multiprocessing.pool" => matches!(name, "Process" | "Pool" | "ThreadPool" | "Manager"),
        "concurrent.futures" | "concurrent.futures.process" => name == "ProcessPoolExecutor",
        "webbrowser" => name.starts_with("open"),
        _ => false,
    };
    if process {
        let parallel = module.starts_with("multiprocessing") || module.starts_with("concurrent");
        let advice = if parallel {
            "A sandbox is one process on one core: compute one after the other, or submit a batch, whose items run in parallel."
        } else {
            ONE_PROCESS
        };
        return Some(fault("process", advice.to_owned()));
    }
    let thread = match module {
        "threading" => matches!(name, "Thread" | "Timer"),
        "_thread" => matches!(name, "start_new_thread" | "start_new"),
        "concurrent.futures" | "concurrent.futures.thread" => name == "ThreadPoolExecutor",
        "asyncio" => name == "to_thread",
        _ => false,
    };
    if thread {
        return Some(fault("threads", ONE_THREAD.to_owned()));
    }
    let network = match module {
        "socket" => matches!(name, "socket" | "create_connection" | "create_server" | "getaddrinfo" | "gethostbyname"),
        "urllib.request" => matches!(name, "urlopen" | "urlretrieve"),
        "http.client" => matches!(name, "HTTPConnection" | "HTTPSConnection"),
        "smtplib" => matches!(name, "SMTP" | "SMTP_SSL"),
        "ftplib" => matches!(name, "FTP" | "FTP_TLS"),
        _ => false,
    };
    network.then(|| fault("network", NO_NETWORK.to_owned()))
}

/// Calls that behave otherwise than on the author's machine.
fn judge_library(path: &str, call: &ExprCall) -> Option<Verdict> {
    match path {
        "pdb.set_trace" => Some(fault("terminal", DEBUGGER.to_owned())),
        "getpass.getpass" => {
            Some(fault("terminal", "There is no keyboard in a sandbox: secrets don't belong into a task.".to_owned()))
        }
        "matplotlib.pyplot.show" | "pylab.show" => Some(warning(
            "figures",
            "show() opens no window: figures that are open at the end become PNG artifacts.".to_owned(),
        )),
        "time.sleep" => Some(warning("sleep", "sleep() only uses up the task's time limit: leave it out.".to_owned())),
        "signal.alarm" | "signal.setitimer" => Some(warning(
            "signals",
            "There are no signals in a sandbox: limit the time with limits.timeout_ms.".to_owned(),
        )),
        "matplotlib.use" | "matplotlib.pyplot.switch_backend" => {
            let backend = text(call.arguments.find_argument_value("backend", 0)?)?;
            let interactive = ["tk", "qt", "gtk", "wx", "macosx", "webagg", "nbagg"]
                .iter()
                .any(|name| backend.to_ascii_lowercase().starts_with(name));
            interactive.then(|| {
                warning(
                    "figures",
                    format!(
                        "There is no screen for the backend {}: leave this line out, figures become PNG artifacts.",
                        quoted(backend)
                    ),
                )
            })
        }
        "os.getenv" | "os.environ.get" if call.arguments.len() == 1 => {
            environment(text(call.arguments.find_positional(0)?)?)
        }
        _ if path.starts_with("scipy.") || path.starts_with("sklearn.") => {
            let keyword = if path.starts_with("scipy.") { "workers" } else { "n_jobs" };
            let asked = &call.arguments.find_keyword(keyword)?.value;
            (!is_one(asked))
                .then(|| warning("one_core", format!("A sandbox has one core: write {keyword}=1, or leave it out.")))
        }
        _ => None,
    }
}

/// Reading a variable that no sandbox has.
fn environment(name: &str) -> Option<Verdict> {
    let there = matches!(name, "HOME" | "TMPDIR");
    (!there).then(|| {
        warning(
            "environment",
            format!("A sandbox has no environment variable {}: take the value from the task's inputs.", quoted(name)),
        )
    })
}

/// Functions that read the file, or the address, named by their first argument.
fn judge_file(path: &str, call: &ExprCall) -> Option<Verdict> {
    let reads = match path.rsplit_once('.')? {
        ("pandas", name) => name.starts_with("read_"),
        ("numpy", name) => matches!(name, "load" | "loadtxt" | "genfromtxt" | "fromfile" | "memmap"),
        ("pathlib", name) => matches!(name, "Path" | "PosixPath"),
        ("io" | "codecs" | "gzip" | "bz2" | "lzma", name) => name == "open",
        ("openpyxl", name) => name == "load_workbook",
        ("scipy.io", name) => name == "loadmat",
        ("matplotlib.pyplot", name) => matches!(name, "imread" | "savefig"),
        ("os", name) => matches!(name, "open" | "listdir" | "chdir" | "scandir"),
        ("sqlite3", name) => name == "connect",
        _ => false,
    };
    if !reads {
        return None;
    }
    let argument = call.arguments.find_positional(0)?;
    let address = text(argument)?;
    let remote = ["http://", "https://", "ftp://", "s3://", "gs://"].iter().any(|scheme| address.starts_with(scheme));
    if remote {
        return Some(fault("network", NO_NETWORK.to_owned()));
    }
    host_path(argument)
}

/// A path that names a file of the author's machine.
fn host_path(argument: &Expr) -> Option<Verdict> {
    let path = text(argument)?;
    let inside = ["/work", "/tmp", "/usr/local/lib", "/dev/null"]
        .iter()
        .any(|root| path == *root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')));
    let drive = path.as_bytes().get(1) == Some(&b':') && path.starts_with(|c: char| c.is_ascii_alphabetic());
    let foreign = (path.starts_with('/') && !inside) || drive || path.starts_with("\\\\") || path.starts_with("~/");
    foreign.then(|| {
        let message =
            format!("{} is not in the sandbox: input files are under /work/in, results go to /work/out.", quoted(path));
        warning("host_path", message)
    })
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::StringLiteral(literal) => Some(literal.value.to_str()),
        _ => None,
    }
}

/// Whether an expression is 1, or nothing that can be told.
fn is_one(expr: &Expr) -> bool {
    match expr {
        Expr::NumberLiteral(literal) => matches!(&literal.value, Number::Int(number) if number.as_u8() == Some(1)),
        Expr::UnaryOp(_) => false,
        _ => true,
    }
}

fn fault(code: &'static str, message: String) -> Verdict {
    Verdict { severity: Severity::Fault, code, message }
}

fn warning(code: &'static str, message: String) -> Verdict {
    Verdict { severity: Severity::Warning, code, message }
}
