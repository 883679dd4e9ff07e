//! The binary as somebody in a folder uses it, told of one server by the environment.

use crate::{Server, run_binary_in};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{fs, path::PathBuf};
use tempfile::TempDir;

/// Exit codes, as `--help` says them.
pub mod exit {
    pub const COMPLETED: i32 = 0;
    pub const FAILED: i32 = 1;
    pub const MISUSE: i32 = 2;
    pub const REFUSED: i32 = 3;
    pub const CANCELLED: i32 = 6;
}

/// A folder with files in it, and a server.
pub struct CommandLine {
    pub server: Server,
    folder: TempDir,
}

impl CommandLine {
    /// Starts a server, and writes these files into a new folder.
    pub async fn start(files: &[(&str, &str)]) -> Result<Self> {
        let line = Self { server: Server::start().await?, folder: tempfile::tempdir()? };
        for (name, text) in files {
            fs::write(line.path(name), text)?;
        }
        Ok(line)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that a command wrote.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        fs::read(self.path(name)).with_context(|| format!("{name} was not written"))
    }

    /// Runs a command, which must end with this exit code; what it wrote to stdout, and to stderr.
    pub async fn run(&self, arguments: &[&str], exit: i32) -> Result<(String, String)> {
        let variables = [
            ("MECAPY_API_URL".to_owned(), self.server.base_url()),
            ("MECAPY_TOKEN".to_owned(), self.server.key().to_owned()),
            ("NO_COLOR".to_owned(), "1".to_owned()),
        ];
        let (code, out, said) = run_binary_in(self.folder.path(), arguments, &variables).await?;
        ensure!(code == exit, "{arguments:?}: {code} instead of {exit}:\n{out}{said}");
        ensure!(!said.contains("panicked"), "{arguments:?}: {said}");
        Ok((out, said))
    }

    /// The same with `--json`; the one document on stdout.
    pub async fn json(&self, arguments: &[&str], exit: i32) -> Result<Value> {
        let (out, said) = self.run(&[&["--json"][..], arguments].concat(), exit).await?;
        serde_json::from_str(&out).with_context(|| format!("{arguments:?}: {out}{said}"))
    }

    /// Runs a command that prints an id and nothing else on stdout.
    pub async fn id(&self, arguments: &[&str]) -> Result<String> {
        let (out, _) = self.run(arguments, exit::COMPLETED).await?;
        ensure!(out.trim().len() == 36 && out.lines().count() == 1, "{arguments:?} printed no id: {out}");
        Ok(out.trim().to_owned())
    }
}
