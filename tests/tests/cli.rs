//! The command line against a live server, and without one: output for programs, exit codes that mean something.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, fixture_path, mecapy_binary};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

const COMPLETED: i32 = 0;
const FAILED: i32 = 1;
const MISUSE: i32 = 2;
const REFUSED: i32 = 3;
const UNREACHABLE: i32 = 4;
const LIMIT: i32 = 5;
const CANCELLED: i32 = 6;
const INTERRUPTED: i32 = 130;

/// What the environment of these tests may say, and the commands must not hear.
const SETTINGS: [&str; 6] =
    ["MECAPY_API_URL", "MECAPY_TOKEN", "MECAPY_TOKEN_FILE", "MECAPY_DATA_DIR", "MECAPY_LISTEN", "MECAPY_CONFIG"];

/// A folder with a few programs, and the client of one server.
struct Client<'a> {
    server: Option<&'a Server>,
    folder: TempDir,
}

impl<'a> Client<'a> {
    fn of(server: Option<&'a Server>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let programs = [
            ("double.py", "def main(x):\n    print('doubling')\n    return {'y': x * 2}\n"),
            ("raise.py", "def main():\n    raise ValueError('too thin')\n"),
            ("syntax.py", "def main(:\n"),
            ("environment.py", "import os\nresult = os.getenv('KEY')\n"),
            ("spin.py", "while True:\n    pass\n"),
            ("figure.py", "open('/work/out/a.txt', 'w').write('artifact')\nresult = open('/work/in/in.txt').read()\n"),
            ("in.txt", "from a file"),
        ];
        for (name, source) in programs {
            fs::write(folder.path().join(name), source)?;
        }
        Ok(Self { server, folder })
    }

    /// The binary in the folder, told of the server by the environment.
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let (url, token) = match self.server {
            Some(server) => (server.base_url(), server.key().to_owned()),
            // The discard port of this machine, where nothing listens.
            None => ("http://127.0.0.1:9".to_owned(), "key".to_owned()),
        };
        let mut command = self.untold(arguments)?;
        command.env("MECAPY_API_URL", url).env("MECAPY_TOKEN", token);
        Ok(command)
    }

    /// The binary in the folder; the environment says nothing of a server.
    fn untold(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(mecapy_binary()?);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in SETTINGS {
            command.env_remove(name);
        }
        command.env("NO_COLOR", "1").kill_on_drop(true);
        Ok(command)
    }

    /// Runs the binary in the folder; its output and the exit code that was expected.
    async fn run(&self, arguments: &[&str], exit: i32) -> Result<Output> {
        Self::end(self.command(arguments)?, exit).await
    }

    async fn end(mut command: Command, exit: i32) -> Result<Output> {
        let output = command.output().await?;
        let shown =
            || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let (arguments, status) = (command.as_std().get_args(), output.status);
        ensure!(status.code() == Some(exit), "{arguments:?}: {status} instead of {exit}:\n{}", shown());
        ensure!(!shown().contains("panicked"), "{}", shown());
        Ok(output)
    }

    /// The same with `--json`; the one document on stdout.
    async fn json(&self, arguments: &[&str], exit: i32) -> Result<Value> {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let output = self.run(&all, exit).await?;
        serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[tokio::test]
async fn a_file_runs_without_a_server() -> Result<()> {
    let client = Client::of(None)?;
    let report = client.json(&["run", "double.py", "--input", "x=21"], COMPLETED).await?;
    ensure!(report.pointer("/result") == Some(&json!({"y": 42})), "{report}");
    let report = client.json(&["run", "figure.py", "--file", "in.txt", "--out", "out"], COMPLETED).await?;
    ensure!(report.pointer("/result/result") == Some(&json!("from a file")), "{report}");
    ensure!(fs::read_to_string(client.folder.path().join("out/a.txt"))? == "artifact");
    client.run(&["run", "raise.py"], FAILED).await?;
    client.run(&["run", "syntax.py"], REFUSED).await?;
    client.run(&["run", "no-such-file.py"], MISUSE).await?;
    client.run(&["run", "spin.py", "--timeout-ms", "200"], LIMIT).await?;
    Ok(())
}

#[tokio::test]
async fn a_preview_shows_result_output_and_artifacts() -> Result<()> {
    let server = Server::start().await?;
    let client = Client::of(Some(&server))?;
    let people = client.run(&["preview", "double.py", "-i", "x=4"], COMPLETED).await?;
    let text = String::from_utf8_lossy(&people.stdout).into_owned();
    ensure!(text.contains("doubling") && text.contains('8'), "{text}");
    let report = client.json(&["preview", "figure.py", "--file", "in.txt", "--out", "here"], COMPLETED).await?;
    ensure!(report.pointer("/result/result") == Some(&json!("from a file")), "{report}");
    ensure!(fs::read_to_string(client.folder.path().join("here/a.txt"))? == "artifact");
    let failed = client.run(&["preview", "raise.py"], FAILED).await?;
    ensure!(String::from_utf8_lossy(&failed.stderr).contains("too thin"));
    client.run(&["preview", "syntax.py"], REFUSED).await?;
    client.run(&["preview", "spin.py", "--timeout-ms", "200"], LIMIT).await?;
    Ok(())
}

#[tokio::test]
async fn a_task_is_submitted_watched_read_and_cancelled() -> Result<()> {
    let server = Server::start().await?;
    let client = Client::of(Some(&server))?;
    let submitted = client.json(&["submit", "double.py", "-i", "x=1.5", "--name", "a task"], COMPLETED).await?;
    let id = submitted.pointer("/id").and_then(Value::as_str).context("no id")?.to_owned();
    let watched = client.run(&["watch", &id], COMPLETED).await?;
    ensure!(String::from_utf8_lossy(&watched.stdout).contains('3'), "{watched:?}");
    let logs = client.run(&["logs", &id], COMPLETED).await?;
    ensure!(String::from_utf8_lossy(&logs.stdout) == "doubling\n", "{logs:?}");
    let waited = client.json(&["submit", "double.py", "-i", "x=2", "--wait"], COMPLETED).await?;
    ensure!(waited.pointer("/result") == Some(&json!({"y": 4})), "{waited}");

    let warned = client.run(&["submit", "environment.py"], COMPLETED).await?;
    ensure!(String::from_utf8_lossy(&warned.stderr).contains("warning"), "{warned:?}");
    ensure!(warned.stdout.iter().filter(|byte| **byte == b'\n').count() == 1, "{warned:?}");

    let spinning = client.json(&["submit", "spin.py"], COMPLETED).await?;
    let spinning = spinning.pointer("/id").and_then(Value::as_str).context("no id")?.to_owned();
    server.until_state(&spinning, "running").await?;
    client.run(&["cancel", &spinning], COMPLETED).await?;
    client.run(&["watch", &spinning], CANCELLED).await?;
    client.run(&["watch", "018bcfe5-6800-7707-8707-070707070707"], REFUSED).await?;
    Ok(())
}

#[tokio::test]
async fn a_task_that_is_not_waited_for_to_its_end_goes_on() -> Result<()> {
    let server = Server::start().await?;
    let client = Client::of(Some(&server))?;
    let waited = client.json(&["submit", "spin.py", "--wait", "--wait-at-most", "1"], LIMIT).await?;
    let id = waited.pointer("/id").and_then(Value::as_str).context("no id")?;
    server.until_state(id, "running").await?;

    let mut command = client.command(&["--json", "watch", id])?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    ensure!(lines.next_line().await?.is_some(), "the task has no events");
    let pid = libc::pid_t::try_from(child.id().context("the watch has ended")?)?;
    // SAFETY: `kill` touches no memory of ours, and the pid is that of a child which is not yet reaped.
    let sent = unsafe { libc::kill(pid, libc::SIGINT) };
    ensure!(sent == 0, "SIGINT failed");
    let mut last = String::new();
    while let Some(line) = lines.next_line().await? {
        last = line;
    }
    ensure!(child.wait().await?.code() == Some(INTERRUPTED), "{last}");
    ensure!(serde_json::from_str::<Value>(&last)?.pointer("/id") == Some(&json!(id)), "{last}");
    ensure!(server.state(id).await? == "running", "the task has ended");
    client.run(&["cancel", id], COMPLETED).await?;
    Ok(())
}

#[tokio::test]
async fn a_client_finds_its_server_by_the_settings_file_of_both() -> Result<()> {
    let server = Server::start().await?;
    let client = Client::of(Some(&server))?;
    let preview = ["preview", "double.py", "-i", "x=1"];
    let (listen, data_dir) = (server.address(), server.data_directory());
    let file = format!("listen = \"{listen}\"\ndata_dir = {data_dir:?}\n");
    fs::write(client.folder.path().join("mecapy.toml"), file)?;
    Client::end(client.untold(&preview)?, COMPLETED).await?;
    let with_wrong_token = |arguments: &[&str]| {
        let mut command = client.untold(arguments)?;
        command.env("MECAPY_TOKEN", "wrong");
        anyhow::Ok(command)
    };
    let refused = Client::end(with_wrong_token(&preview)?, UNREACHABLE).await?;
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("--token-file"), "{refused:?}");
    // A flag goes before the environment.
    fs::write(client.folder.path().join("key"), server.key())?;
    let flag = ["preview", "double.py", "-i", "x=1", "--token-file", "key"];
    Client::end(with_wrong_token(&flag)?, COMPLETED).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_can_not_have_what_it_is_told_to_use_is_wrong_use() -> Result<()> {
    let server = Server::start().await?;
    let client = Client::of(Some(&server))?;
    let (listen, data_dir) = (server.address().to_string(), server.data_directory());
    let data_dir = data_dir.to_string_lossy();
    let rows: [(&[&str], &str); 4] = [
        (&["serve", "--data-dir", "new", "--listen", &listen], "--listen"),
        (&["serve", "--data-dir", &data_dir, "--listen", "127.0.0.1:0"], "in use"),
        (&["serve", "--data-dir", "new", "--preview-waiting-max", "0"], "preview-waiting-max"),
        (&["serve", "--data-dir", "new", "--memory-budget-bytes", "0"], "memory-budget-bytes"),
    ];
    for (arguments, said) in rows {
        let output = Client::end(client.untold(arguments)?, MISUSE).await?;
        ensure!(String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn no_server_no_credentials_and_no_sense_have_exit_codes_of_their_own() -> Result<()> {
    let nowhere = Client::of(None)?;
    let refused = nowhere.run(&["preview", "double.py", "-i", "x=1"], UNREACHABLE).await?;
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("127.0.0.1:9"), "{refused:?}");
    nowhere.run(&["preview"], MISUSE).await?;
    nowhere.run(&["preview", "double.py", "--inputs", "{"], MISUSE).await?;
    nowhere.run(&["no-such-command"], MISUSE).await?;
    let help = nowhere.run(&["--help"], COMPLETED).await?;
    ensure!(String::from_utf8_lossy(&help.stdout).contains("Quick start:"), "{help:?}");
    nowhere.run(&["--version"], COMPLETED).await?;
    let server = Server::start().await?;
    let client = Client::of(Some(&server))?;
    client.run(&["preview", "double.py", "--token", "wrong"], UNREACHABLE).await?;
    client.run(&["preview", "double.py", "-i", "x=1", "--memory", "9999GiB"], REFUSED).await?;
    Ok(())
}

#[tokio::test]
async fn the_images_are_listed_and_the_doctor_finds_no_fault() -> Result<()> {
    let server = Server::start().await?;
    let client = Client::of(Some(&server))?;
    let list = client.json(&["python", "list"], COMPLETED).await?.to_string();
    for image in ["core", "sci", "full"] {
        ensure!(list.contains(image), "{list}");
    }
    client.run(&["doctor"], COMPLETED).await?;
    Ok(())
}

#[tokio::test]
async fn the_truss_of_the_demo_runs_from_its_own_files() -> Result<()> {
    let server = Server::start().await?;
    let client = Client::of(Some(&server))?;
    let folder = fixture_path("engineering/truss")?;
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let inputs = format!("@{}", path("inputs.json"));
    let report = client.json(&["preview", &path("task.py"), "--inputs", &inputs, "--out", "out"], COMPLETED).await?;
    ensure!(report.pointer("/result/equilibrium/ok") == Some(&json!(true)), "{report}");
    let figure = report.pointer("/artifacts/0/path").and_then(Value::as_str).context("no figure")?;
    let png = fs::read(client.folder.path().join(Path::new(figure)))?;
    ensure!(png.starts_with(b"\x89PNG"), "{figure} is no PNG");
    Ok(())
}
