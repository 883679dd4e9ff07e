//! The example computations under `fixtures/`: their cases, and whether an answer has the expected values.

use crate::Answer;
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One folder of `fixtures/` with cases.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub folder: PathBuf,
    pub name: String,
    pub cases: Vec<Case>,
    /// Files beside the task that it reads under `/work/in`.
    pub files: Vec<String>,
}

/// Inputs, and what comes of them.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub inputs: Value,
    rel_tol: f64,
    abs_tol: f64,
    /// A text that the error's message holds, where the case must fail.
    error: Option<String>,
    /// By JSON pointer into the result: a value, or `{"value", "rel_tol"}`.
    expect: Map<String, Value>,
    /// Names of all artifacts, sorted.
    artifacts: Option<Vec<String>>,
}

impl Fixture {
    /// Every fixture of one kind (a folder of `fixtures/`), sorted by name.
    pub fn all(kind: &str) -> Result<Vec<Self>> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(crate::fixture_path(kind)?)? {
            let folder = entry?.path();
            if folder.join("expected.json").is_file() {
                folders.push(folder);
            }
        }
        folders.sort();
        folders.into_iter().map(Self::read).collect()
    }

    /// One of them, by its folder in `fixtures/`.
    pub fn named(name: &str) -> Result<Self> {
        Self::read(crate::fixture_path(name)?)
    }

    fn read(folder: PathBuf) -> Result<Self> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let inputs = object(&folder.join("inputs.json"))?;
        let expected = object(&folder.join("expected.json"))?;
        let more = expected.get("cases").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut cases = vec![case(&inputs, &expected, &expected)];
        cases.extend(more.iter().filter_map(Value::as_object).map(|own| case(&inputs, &expected, own)));
        let files = strings(expected.get("files")).unwrap_or_default();
        Ok(Self { folder, name, cases, files })
    }
}

impl Case {
    /// Checks the answer of a preview or a result.
    pub fn check(&self, answer: &Answer) -> Result<()> {
        if let Some(error) = &self.error {
            ensure!(answer.str_at("/state")? == "failed", "it gave a result, not the error {error:?}");
            let told = answer.at("/error")?.to_string() + &answer.at("/stderr")?.to_string();
            let quoted = Value::from(error.as_str()).to_string();
            ensure!(told.contains(quoted.trim_matches('"')), "{told} does not say {error:?}");
            return Ok(());
        }
        let result = answer.clone().expect_completed()?.at("/result")?;
        for (pointer, wanted) in &self.expect {
            let found = result.pointer(pointer).with_context(|| format!("{pointer} is missing in {result}"))?;
            let own = wanted.get("value").zip(wanted.get("rel_tol").and_then(Value::as_f64));
            let (wanted, rel_tol) = own.unwrap_or((wanted, self.rel_tol));
            ensure!(equal(found, wanted, rel_tol, self.abs_tol), "{pointer} is {found}, not {wanted}");
        }
        if let Some(wanted) = &self.artifacts {
            let list = answer.at("/artifacts")?;
            let mut names: Vec<_> =
                list.as_array().into_iter().flatten().filter_map(|item| item.get("name")?.as_str()).collect();
            names.sort_unstable();
            ensure!(&names == wanted, "artifacts {names:?}, not {wanted:?}");
        }
        Ok(())
    }
}

fn case(inputs: &Map<String, Value>, all: &Map<String, Value>, own: &Map<String, Value>) -> Case {
    let mut inputs = inputs.clone();
    inputs.extend(own.get("with").and_then(Value::as_object).cloned().unwrap_or_default());
    let tolerance = |name: &str| own.get(name).or(all.get(name)).and_then(Value::as_f64).unwrap_or(0.0);
    let mut artifacts = strings(own.get("artifacts"));
    artifacts.iter_mut().for_each(|names| names.sort());
    Case {
        name: own.get("name").and_then(Value::as_str).unwrap_or("inputs.json").to_owned(),
        inputs: Value::Object(inputs),
        rel_tol: tolerance("rel_tol"),
        abs_tol: tolerance("abs_tol"),
        error: own.get("error").and_then(Value::as_str).map(str::to_owned),
        expect: own.get("expect").and_then(Value::as_object).cloned().unwrap_or_default(),
        artifacts,
    }
}

pub fn equal(found: &Value, wanted: &Value, rel_tol: f64, abs_tol: f64) -> bool {
    match (found, wanted) {
        (Value::Array(found), Value::Array(wanted)) => {
            let all = || found.iter().zip(wanted).all(|(found, wanted)| equal(found, wanted, rel_tol, abs_tol));
            found.len() == wanted.len() && all()
        }
        (Value::Number(found), Value::Number(wanted)) => {
            let (found, wanted) = (found.as_f64().unwrap_or(f64::NAN), wanted.as_f64().unwrap_or(f64::NAN));
            (found - wanted).abs() <= (rel_tol * wanted.abs()).max(abs_tol)
        }
        (found, wanted) => found == wanted,
    }
}

fn strings(list: Option<&Value>) -> Option<Vec<String>> {
    let items = list?.as_array()?.iter();
    Some(items.filter_map(|item| item.as_str().map(str::to_owned)).collect())
}

fn object(path: &Path) -> Result<Map<String, Value>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}
