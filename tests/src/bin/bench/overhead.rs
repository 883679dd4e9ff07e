//! What HTTP can't show, measured inside one process by `python-wasm/examples/overhead.rs`.

use crate::{
    peers::numbers,
    report::{Report, Row},
};
use anyhow::{Context, Result, ensure};
use mecapy_tests::repository_root;
use serde_json::Value;
use std::{path::PathBuf, process::Command};

const PROGRAM: &str = "target/release/examples/overhead";

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    eprintln!("   inside one process: metering, sandboxes");
    let program = repository_root().join(PROGRAM);
    ensure!(program.is_file(), "{PROGRAM} is not built: run `make bench`");
    let done = Command::new(program).arg(cache_folder()?).output()?;
    ensure!(done.status.success(), "{PROGRAM} failed: {}", String::from_utf8_lossy(&done.stderr));
    let measured: Value = serde_json::from_slice(&done.stdout)?;
    metering(report, measured.get("loop_ms").context("no loops were measured")?)?;
    sandboxes(report, measured.get("sandbox_ms").context("no sandboxes were measured")?)
}

/// The price of each kind of metering over a loop without any.
fn metering(report: &mut Report, loops: &Value) -> Result<()> {
    const SECTION: &str = "metering of a dispatch loop, more time than without";
    let without = numbers(loops, "neither")?.median();
    for (field, label) in [("fuel", "fuel"), ("epochs", "epochs"), ("both", "fuel and epochs")] {
        let with = numbers(loops, field)?.map(|time| (time / without - 1.0) * 100.0);
        report.add(Row::new(&format!("metering.{field}"), SECTION, label).unit("%").samples(with));
    }
    Ok(())
}

fn sandboxes(report: &mut Report, sandboxes: &Value) -> Result<()> {
    const SECTION: &str = "a sandbox inside the process, one thread, no HTTP";
    for (name, what) in [
        ("expression", "expression"),
        ("solve", "3x3 solve"),
        ("function", "a function's own source"),
        ("warm", "the same, published"),
    ] {
        let times = sandboxes.get(name).with_context(|| format!("no sandbox of {name} was measured"))?;
        let steps = [("startup", "made"), ("execute", "run"), ("turnover", "reset and handed over")];
        for (field, label) in steps {
            let row = Row::new(&format!("sandbox.{name}.{field}"), SECTION, &format!("{what}: {label}"));
            report.add(row.samples(numbers(times, field)?));
        }
    }
    Ok(())
}

/// Where the platform keeps its images, by the same rule.
#[expect(clippy::disallowed_methods, reason = "the bench follows the settings of whoever runs it")]
fn cache_folder() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let users = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    set("MECAPY_CACHE_DIR").or_else(|| Some(users()?.join("mecapy"))).context("no folder for caches")
}
