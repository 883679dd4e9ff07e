//! The engineering fixtures give their expected values, as a preview and as a task.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, fixture_path, merge, python};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// Where a fixture names no tolerance of its own.
const RELATIVE_TOLERANCE: f64 = 1e-9;

#[tokio::test]
async fn every_fixture_gives_its_expected_values() -> Result<()> {
    let server = Server::start().await?;
    let mut ran = Vec::new();
    for entry in fs::read_dir(fixture_path("engineering")?)? {
        let folder = entry?.path();
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        run_fixture(&server, &folder).await.with_context(|| name.clone())?;
        ran.push(name);
    }
    for needed in ["truss", "beam", "bolt", "fatigue", "frame", "vessel", "tensile"] {
        ensure!(ran.iter().any(|name| name.contains(needed)), "no fixture about {needed} among {ran:?}");
    }
    Ok(())
}

async fn run_fixture(server: &Server, folder: &Path) -> Result<()> {
    let source = fs::read_to_string(folder.join("task.py"))?;
    let inputs: Value = serde_json::from_str(&fs::read_to_string(folder.join("inputs.json"))?)?;
    let expected: Value = serde_json::from_str(&fs::read_to_string(folder.join("expected.json"))?)?;
    let mut body = python(&source);
    merge(&mut body, json!({"inputs": inputs, "seed": 1}));
    let preview = server.preview(&body).await?.expect_completed()?;
    close_to(&preview.at("/result")?, &expected, "")?;

    let id = server.submit(&body).await?;
    let result = server.result(&id).await?;
    ensure!(result.at("/result")? == preview.at("/result")?, "the task's result is not the preview's");
    Ok(())
}

/// Every value of `expected` is in `found`, numbers within the tolerance.
fn close_to(found: &Value, expected: &Value, at: &str) -> Result<()> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected.iter().try_for_each(|(key, expected)| {
            let path = format!("{at}/{key}");
            close_to(found.get(key).with_context(|| format!("{path} is missing"))?, expected, &path)
        }),
        (Value::Array(found), Value::Array(expected)) => {
            ensure!(found.len() == expected.len(), "{at} has {} items instead of {}", found.len(), expected.len());
            let pairs = found.iter().zip(expected).enumerate();
            pairs.into_iter().try_for_each(|(index, (found, expected))| close_to(found, expected, &format!("{at}/{index}")))
        }
        (Value::Number(found), Value::Number(expected)) => {
            let (found, expected) = (found.as_f64().unwrap_or(f64::NAN), expected.as_f64().unwrap_or(f64::NAN));
            let allowed = RELATIVE_TOLERANCE * expected.abs().max(1e-12);
            ensure!((found - expected).abs() <= allowed, "{at} is {found} instead of {expected}");
            Ok(())
        }
        (found, expected) => {
            ensure!(found == expected, "{at} is {found} instead of {expected}");
            Ok(())
        }
    }
}
