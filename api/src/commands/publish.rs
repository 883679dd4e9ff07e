//! `mecapy publish`: a package goes to a server, which checks it, runs its test cases and keeps it for ever.

use super::{
    connection::connect,
    exit::Exit,
    refusal::{Misuse, Refusal},
    terminal::{Diagnostic, Format, Severity, Style, Terminal, bytes, duration, neutralise_line, summary},
};
use crate::{
    client::{Client, Keeping, Publishing, TestState, TestsAnswer, VersionAnswer},
    config::ClientFlags,
    packages::{
        Bounds, Files, FolderError, MANIFEST_FILE, Package, PackageName, Refused, read_folder, read_zip, write_zip,
    },
};
use anyhow::{Context, Result};
use cap_std::{ambient_authority, fs::Dir};
use indicatif::ProgressBar;
use mecapy_model::Fault;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Where the projects of `mecapy new` in Rust and C have their packages.
const PACKAGE_FOLDER: &str = "package";
/// The code of a warning that a test case failed which needn't pass.
const TEST_FAILED: &str = "test_failed";

/// Publish a package of functions, once its test cases have passed on the server
///
/// A package is a folder, or a zip of what is in it, with mecapy.yml at its root. The server reads it, checks that every
/// handler is there and that what it imports is too, and runs its test cases in a sandbox. A version that is published
/// never changes; a mended package needs a new version.
#[derive(Debug, clap::Args)]
pub(super) struct PublishArguments {
    /// The package; hidden files and __pycache__ in it are left out
    #[arg(value_name = "FOLDER|ZIP", default_value = ".")]
    package: PathBuf,
    /// Whom the package belongs to [default: the tenant of the credentials]
    #[arg(long, value_name = "NAME")]
    owner: Option<PackageName>,
    /// Do everything but keep it: the checks and the test cases
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn publish(arguments: PublishArguments, terminal: &Terminal) -> Result<Exit> {
    let files = Arc::new(read(&arguments.package)?);
    let manifest = Package::manifest(&files).map_err(|faults| Refusal::of_package(faults, files.clone()))?;
    let zip = pack(&files)?;
    let client = connect(&arguments.client)?;
    let keeping = if arguments.check { Keeping::CheckOnly } else { Keeping::Publish };
    let publishing = Publishing { owner: arguments.owner.map(String::from), keeping };
    let what = format!("{} {}", manifest.package.name, manifest.package.version);
    let answer = send(&client, zip, (&publishing, &what), terminal).await;
    let answer = answer.map_err(|error| Refusal::with_package(error, &files))?;
    match terminal.format {
        Format::Json => terminal.print(answer.text.get()),
        Format::Human => show(&answer.value, keeping, &files, terminal),
    }
    Ok(Exit::Completed)
}

/// The package's files, under the bounds that the server has.
fn read(path: &Path) -> Result<Files> {
    let unreadable = |error: std::io::Error| Misuse::new(format!("can't read {}: {error}", path.display()));
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        let mut archive = Vec::new();
        let file = fs::File::open(path).map_err(unreadable)?;
        file.take(Bounds::PACKAGE.archive_bytes_max + 1).read_to_end(&mut archive).map_err(unreadable)?;
        return Ok(read_zip(&archive, Bounds::PACKAGE).map_err(refused)?);
    }
    let inner = path.join(PACKAGE_FOLDER);
    if !path.join(MANIFEST_FILE).exists() && inner.join(MANIFEST_FILE).exists() {
        let message = format!("there is no {MANIFEST_FILE} in {}: publish {}", path.display(), inner.display());
        return Err(Misuse::new(message).into());
    }
    let folder = Dir::open_ambient_dir(path, ambient_authority()).map_err(unreadable)?;
    read_folder(&folder, Bounds::PACKAGE).map_err(|error| match error {
        FolderError::Refused(why) => refused(why).into(),
        FolderError::Io { name, source } => {
            Misuse::new(format!("can't read {}: {source}", path.join(name).display())).into()
        }
    })
}

fn refused(why: Refused) -> Refusal {
    Refusal::of_package(vec![Fault::new("", why.code, why.message)], Arc::default())
}

/// The archive that is sent: the same for a folder and for any zip of it.
fn pack(files: &Files) -> Result<Vec<u8>> {
    let zip = write_zip(files).context("can't pack the package")?;
    let max = Bounds::PACKAGE.archive_bytes_max;
    if zip.len() as u64 > max {
        let (found, max) = (bytes(zip.len() as u64), bytes(max));
        let message = format!("the package has {found} when it is packed, and may have {max}: leave out large data");
        return Err(Refusal::of_package(vec![Fault::new("", "archive_too_large", message)], Arc::default()).into());
    }
    Ok(zip)
}

async fn send(
    client: &Client,
    zip: Vec<u8>,
    (publishing, what): (&Publishing, &str),
    terminal: &Terminal,
) -> Result<crate::client::Answer<VersionAnswer>, crate::client::ClientError> {
    let bar = terminal.spinner();
    let total = zip.len() as u64;
    let (counter, done) = (bar.clone(), AtomicU64::new(0));
    let (name, server) = (what.to_owned(), neutralise_line(client.base_url()));
    let sent = Arc::new(move |count| {
        let so_far = done.fetch_add(count, Ordering::Relaxed) + count;
        tell(&counter, (&name, &server), (so_far, total));
    });
    let answer = client.publish(zip, publishing, sent).await;
    bar.finish_and_clear();
    answer
}

fn tell(bar: &ProgressBar, (what, server): (&str, &str), (sent, total): (u64, u64)) {
    bar.set_message(if sent < total {
        format!("sending {what}: {} of {}", bytes(sent), bytes(total))
    } else {
        format!("{what}: checked and tested at {server}")
    });
}

fn show(version: &VersionAnswer, keeping: Keeping, files: &Files, terminal: &Terminal) {
    // A case that failed has its line below.
    for warning in version.warnings.iter().filter(|warning| warning.code != TEST_FAILED) {
        let diagnostic = Diagnostic {
            severity: Severity::Warning,
            code: &warning.code,
            message: &warning.message,
            pointer: warning.pointer.as_deref().unwrap_or_default(),
            line: warning.line,
            column: None,
        };
        terminal.note(&diagnostic.render_in(files, terminal.err));
    }
    match version.tests.as_ref().filter(|tests| tests.total > 0) {
        Some(tests) => test_lines(tests, terminal).iter().for_each(|line| terminal.note(line)),
        None => terminal
            .note(&terminal.err.paint(Style::Yellow, "no test case ran: the package has none, or turns them off")),
    }
    let reference = neutralise_line(&version.reference);
    let size = bytes(version.size_bytes);
    terminal.note(&match keeping {
        Keeping::Publish => {
            let word = terminal.err.paint(Style::Green, "published");
            let shown = terminal.err.paint(Style::Bold, &reference);
            format!("{word} {shown} ({}, {size}); these can be called:", version.visibility.as_str())
        }
        Keeping::CheckOnly => {
            let word = terminal.err.paint(Style::Green, "checked");
            format!("{word} {reference} ({size}): nothing stands against it, and nothing was kept. It would have:")
        }
    });
    for function in &version.functions {
        let about = summary(&function.description);
        let about = if about.is_empty() { about } else { format!("  {}", terminal.out.paint(Style::Dim, &about)) };
        terminal.print(&format!("{}{about}", neutralise_line(&function.reference)));
    }
}

/// A line for each test case, what was wrong with those that failed, and the count.
fn test_lines(tests: &TestsAnswer, terminal: &Terminal) -> Vec<String> {
    let painter = terminal.err;
    let names: Vec<String> =
        tests.cases.iter().map(|case| format!("{}: {}", summary(&case.function), summary(&case.name))).collect();
    let width = names.iter().map(|name| console::measure_text_width(name)).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (case, name) in tests.cases.iter().zip(&names) {
        let mark = match case.state {
            TestState::Passed => painter.paint(Style::Green, "✓"),
            TestState::Failed => painter.paint(Style::Red, "✗"),
        };
        let name = console::pad_str(name, width, console::Alignment::Left, None);
        let time = painter.paint(Style::Dim, &format!("{:>8}", duration(case.duration_ms)));
        lines.push(format!("  {mark} {name}  {time}"));
        let message = case.message.as_deref().unwrap_or_default();
        lines.extend(message.lines().map(|line| format!("      {}", neutralise_line(line))));
    }
    let (passed, failed) = (tests.passed, tests.failed);
    let failed_text = format!("{failed} failed");
    let failed_text = if failed > 0 { painter.paint(Style::Red, &failed_text) } else { failed_text };
    lines.push(format!("  {passed} passed, {failed_text} in {}", duration(tests.duration_ms)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_found_where_it_is() {
        let top = tempfile::tempdir().unwrap();
        let message = |path: &Path| format!("{:#}", read(path).unwrap_err());
        assert!(message(&top.path().join("none")).contains("can't read"));
        let inner = top.path().join("package");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join(MANIFEST_FILE), "version: \"1\"\n").unwrap();
        assert!(message(top.path()).contains("publish "), "{}", message(top.path()));
        let files = read(&inner).unwrap();
        fs::write(top.path().join("p.zip"), pack(&files).unwrap()).unwrap();
        assert_eq!(read(&top.path().join("p.zip")).unwrap(), files);
        fs::write(top.path().join("p.zip"), "no zip").unwrap();
        assert!(message(&top.path().join("p.zip")).contains("not a zip archive"));
    }

    #[test]
    fn failing_cases_say_why() {
        let tests = r#"{"total":2,"passed":1,"failed":1,"duration_ms":1.25,"cases":[
            {"function":"rod","name":"M12","file":"tests/a.yml","state":"passed","message":null,"duration_ms":0.4},
            {"function":"rod","name":"thin\u001b","state":"failed","message":"/stress: 3 instead of 4","duration_ms":12}]}"#;
        let lines = test_lines(&serde_json::from_str(tests).unwrap(), &Terminal::new(Format::Json));
        let expected = [
            "  ✓ rod: M12      0.4 ms",
            "  ✗ rod: thin␛     12 ms",
            "      /stress: 3 instead of 4",
            "  1 passed, 1 failed in 1.2 ms",
        ];
        assert_eq!(lines, expected);
    }
}
