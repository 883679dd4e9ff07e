//! Projects of `mecapy new`: the commands of their own READMEs test, build and publish them, and what they publish is
//! called by its name.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, mecapy_binary, repository_root, run_binary};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::process::Command;

/// Building the crates that the SDK in Rust needs, on a machine that does other things too.
const COMMAND_DEADLINE: Duration = Duration::from_secs(240);
const NAME: &str = "rods-and-beams";
/// F L³ / (3 E I) of the template's cantilever, mm.
const DEFLECTION: f64 = 4.409_171_075_837_743;

/// A project as `mecapy new` makes it, and the server that its commands talk to.
struct Project {
    // Goes with the test.
    _top: TempDir,
    folder: PathBuf,
    server: Server,
}

impl Project {
    async fn new(language: &str) -> Result<Self> {
        let top = tempfile::tempdir()?;
        let folder = top.path().join(NAME);
        let place = folder.to_str().context("the temporary folder is not UTF-8")?;
        let arguments = ["--json", "new", NAME, "--lang", language, "--dir", place];
        let (code, made, said) = run_binary(&arguments, &[]).await?;
        ensure!(code == 0, "{made}{said}");
        let made: Value = serde_json::from_str(&made)?;
        let files = made.pointer("/files").and_then(Value::as_array).context("no files")?;
        ensure!(files.iter().all(|file| file.as_str().is_some_and(|file| folder.join(file).is_file())), "{made}");
        // Nobody's work is written over.
        let (code, _, said) = run_binary(&["new", NAME, "--lang", language, "--dir", place], &[]).await?;
        ensure!(code == 2 && said.contains("--dir"), "{code}: {said}");
        Ok(Self { _top: top, folder, server: Server::start().await? })
    }

    /// Runs a command of the README in the project, as a user's shell would; what it printed.
    async fn shell(&self, script: &str) -> Result<String> {
        let root = repository_root();
        let binary = mecapy_binary()?.parent().context("no folder")?.to_owned();
        let tools = [binary, root.join("target/toolchain/bin")];
        let tools: Vec<_> = tools.iter().map(|folder| folder.display().to_string()).collect();
        let script = format!("export PATH=\"{}:$PATH\"\n{script}", tools.join(":"));
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &script]).current_dir(&self.folder).stdin(Stdio::null());
        // What runs these tests has a target folder and settings of its own.
        for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "MECAPY_TOKEN_FILE", "MECAPY_CONFIG", "PYTHONPATH"] {
            command.env_remove(name);
        }
        command.env("MECAPY_API_URL", self.server.base_url()).env("MECAPY_TOKEN", self.server.key());
        let output = tokio::time::timeout(COMMAND_DEADLINE, command.kill_on_drop(true).output()).await??;
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        ensure!(output.status.success(), "{script}\n{}\n{out}{err}", output.status);
        Ok(format!("{out}{err}"))
    }

    fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.folder.join(file)).with_context(|| file.to_owned())
    }

    /// The commands in the second column of the README's table, but for those that prepare the machine.
    fn commands(&self) -> Result<Vec<String>> {
        let readme = self.read("README.md")?;
        let cells = readme.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | `"));
        let commands = cells.filter_map(|(_, rest)| Some(rest.split_once('`')?.0.to_owned()));
        Ok(commands.filter(|command| !["rustup ", "pip "].iter().any(|tool| command.starts_with(tool))).collect())
    }

    /// The function's result, called by its name from the command line.
    async fn call(&self, function: &str, inputs: &[&str]) -> Result<Value> {
        let reference = format!("default/{NAME}#{function}");
        let variables = [("MECAPY_API_URL", self.server.base_url()), ("MECAPY_TOKEN", self.server.key().to_owned())];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        let arguments = [&["--json", "preview", reference.as_str()][..], inputs].concat();
        let (code, out, said) = run_binary(&arguments, &variables).await?;
        ensure!(code == 0, "{out}{said}");
        let report: Value = serde_json::from_str(&out)?;
        report.pointer("/result").cloned().context("no result")
    }

    /// What every project's cantilever gives, once all commands of its README have run.
    async fn check_cantilever(&self) -> Result<()> {
        let line = self.read("results/line.csv")?;
        ensure!(line.starts_with("x_mm,w_mm\n") && line.lines().count() == 102, "{line}");
        let inputs = ["-i", "force=1kN", "-i", "length=0.5m", "-i", "width=20", "-i", "height=30mm"];
        let result = self.call("cantilever", &inputs).await?;
        let deflection = result.pointer("/deflection").and_then(Value::as_f64).context("no deflection")?;
        ensure!((deflection - DEFLECTION).abs() < 1e-12, "{result}");
        Ok(())
    }
}

#[tokio::test]
async fn a_project_in_python_is_tested_and_published_by_its_readme() -> Result<()> {
    let project = Project::new("python").await?;
    let readme = project.read("README.md")?;
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    // The server is the test's.
    let lines = blocks.flat_map(str::lines).filter(|line| !line.starts_with("export MECAPY_"));
    let said = project.shell(&lines.collect::<Vec<_>>().join("\n")).await?;
    for words in ["6 passed, 0 failed", "is current", "published", "default/rods-and-beams@0.1.0#bolted_joint"] {
        ensure!(said.contains(words), "{words:?} is missing in\n{said}");
    }
    let cases: Value = serde_json::from_str(&project.read("tests/test_bolted_joint.json")?)?;
    let case = cases.pointer("/test_cases/0").context("no case")?;
    let inputs = case.pointer("/inputs").context("no inputs")?.to_string();
    let result = project.call("bolted_joint", &["--inputs", &inputs]).await?;
    let preload = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_f64);
    let expected = preload(case, "/expected_outputs/preload_max").context("no preload")?;
    let found = preload(&result, "/preload_max").with_context(|| result.to_string())?;
    ensure!((found / expected - 1.0).abs() < 1e-12, "{result}");
    Ok(())
}

#[tokio::test]
async fn a_project_in_rust_is_tested_built_and_published_by_its_readme() -> Result<()> {
    let project = Project::new("rust").await?;
    // What the SDK itself is built with is compiled once.
    let shared = repository_root().join("target/guest-sdk");
    fs::create_dir_all(&shared)?;
    std::os::unix::fs::symlink(&shared, project.folder.join("target"))?;
    let compiler = repository_root().join("fixtures/wasi/rustc-wasi.sh");
    let mut said = String::new();
    let commands = project.commands()?;
    ensure!(commands.len() == 6, "{commands:?}");
    for command in commands {
        // As after `rustup target add`, where this machine's compiler has the target.
        let compiler = match command.contains("--target wasm32-wasip1") {
            true => format!("RUSTC=$(sh '{}' --compiler)\nexport RUSTC\n", compiler.display()),
            false => String::new(),
        };
        said += &project.shell(&format!("{compiler}{command}")).await?;
    }
    for words in ["2 passed; 0 failed", "\"deflection\":4.409171075837743", "default/rods-and-beams@0.1.0#cantilever"] {
        ensure!(said.contains(words), "{words:?} is missing in\n{said}");
    }
    project.check_cantilever().await
}

#[tokio::test]
async fn a_project_in_c_is_tested_built_and_published_by_its_readme() -> Result<()> {
    let project = Project::new("c").await?;
    let commands = project.commands()?;
    ensure!(commands.len() == 5, "{commands:?}");
    let mut said = String::new();
    for command in commands {
        said += &project.shell(&command).await?;
    }
    for words in ["2 passed, 0 failed", "default/rods-and-beams@0.1.0#cantilever"] {
        ensure!(said.contains(words), "{words:?} is missing in\n{said}");
    }
    ensure!(is_module(&project.folder.join("package/rods-and-beams.wasm"))?);
    project.check_cantilever().await
}

fn is_module(path: &Path) -> Result<bool> {
    Ok(fs::read(path)?.starts_with(b"\0asm"))
}
